import { assert, describe, it } from "@effect/vitest"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import { Ssh } from "../../src/services/Ssh.ts"
import * as OpenSsh from "./OpenSsh.ts"

const live = (options: Partial<SshLive.Options>) =>
  SshLive.layer({
    keyFile: Option.none(),
    knownHostsFile: "/nonexistent/known_hosts",
    agentSocket: Option.none(),
    homeDirectory: "/nonexistent",
    ...options
  }).pipe(Layer.provide(SshDialerTcp.layer), Layer.provide(NodeContext.layer))

const of = (server: OpenSsh.OpenSsh, options: Partial<SshLive.Options> = {}) =>
  live({ keyFile: Option.some(server.keyFile), knownHostsFile: server.knownHostsFile, ...options })

/** Bounded wait for something outside this process, where there is no event to wait for. */
const eventually = (what: string, holds: () => boolean) =>
  Effect.sync(holds).pipe(
    Effect.delay("10 millis"),
    Effect.repeat({ until: (held) => held }),
    Effect.timeoutFail({ duration: "10 seconds", onTimeout: () => new Error(`never came true: ${what}`) })
  )

const alive = (pid: number): boolean => {
  if (!existsSync(`/proc/${pid}/stat`)) return false
  return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
}

if (OpenSsh.missing !== null) {
  describe.skip(`Ssh against OpenSSH: ${OpenSsh.missing}`, () => {
    it("is skipped", () => {})
  })
} else {
  describe("Ssh against OpenSSH", () => {
    it.scopedLive("runs programs word by word, with their output, status and signal", () =>
      Effect.gen(function* () {
        const server = yield* OpenSsh.start()
        yield* Effect.gen(function* () {
          const ssh = yield* Ssh
          const words = [
            "",
            " ",
            "a'b",
            '"',
            "$(id)",
            "`id`",
            "\\n",
            "line\nline",
            "é漢🎉",
            "-n",
            "*",
            "~",
            "#",
            ";",
            "\t"
          ]
          const echoed = yield* ssh.exec(server.address, ["printf", "%s\\0", ...words])
          assert.deepStrictEqual(Buffer.from(echoed.stdout).toString().split("\0").slice(0, -1), words)

          const both = yield* ssh.exec(server.address, ["sh", "-c", "echo out; echo err >&2; cat"])
          assert.strictEqual(Buffer.from(both.stdout).toString(), "out\n")
          assert.include(both.stderr, "err\n")

          const failed = yield* Effect.flip(ssh.exec(server.address, ["sh", "-c", "echo why >&2; exit 7"]))
          assert.strictEqual(failed.reason._tag, "SshCommandFailed")
          assert.include(failed.message, "why")
          if (failed.reason._tag === "SshCommandFailed") assert.strictEqual(failed.reason.exitCode, 7)

          const signalled = yield* Effect.flip(ssh.exec(server.address, ["sh", "-c", "kill -KILL $$"]))
          if (signalled.reason._tag === "SshCommandFailed") assert.strictEqual(signalled.reason.signal, "SIGKILL")
          else assert.fail(signalled.message)

          const absent = yield* Effect.flip(ssh.exec(server.address, ["no-such-program"]))
          if (absent.reason._tag === "SshCommandFailed") assert.strictEqual(absent.reason.exitCode, 127)
          else assert.fail(absent.message)
        }).pipe(Effect.provide(of(server)))
      })
    )

    it.scopedLive("an interrupted or timed-out exec leaves no process, not even one that ignores TERM", () =>
      Effect.gen(function* () {
        const server = yield* OpenSsh.start()
        yield* Effect.gen(function* () {
          const ssh = yield* Ssh
          for (const [name, script] of [
            ["plain", 'sleep 300 & echo "$! $$" > "$0"; wait'],
            ["stubborn", 'trap "" TERM; sleep 300 & echo "$! $$" > "$0"; while :; do sleep 1; done']
          ] as const) {
            const pidFile = join(server.directory, name)
            const fiber = yield* Effect.fork(ssh.exec(server.address, ["sh", "-c", script, pidFile]))
            yield* eventually("it started", () => existsSync(pidFile) && readFileSync(pidFile, "utf8").endsWith("\n"))
            const pids = readFileSync(pidFile, "utf8").trim().split(" ").map(Number)
            assert.deepStrictEqual(pids.map(alive), [true, true])
            const exit = yield* Fiber.interrupt(fiber)
            assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
            yield* eventually(`${name} ended`, () => !pids.some(alive))
          }
          const late = yield* Effect.flip(
            ssh.exec(server.address, ["sh", "-c", 'echo $$ > "$0"; exec sleep 300', join(server.directory, "late")], {
              timeout: "2 seconds"
            })
          )
          assert.strictEqual(late.reason._tag, "SshTimeout")
          const pid = Number(readFileSync(join(server.directory, "late"), "utf8"))
          yield* eventually("the late one ended", () => !alive(pid))
        }).pipe(Effect.provide(of(server)))
      })
    )

    it.scopedLive("streams with backpressure, and fails after the last byte", () =>
      Effect.gen(function* () {
        const server = yield* OpenSsh.start()
        yield* Effect.gen(function* () {
          const ssh = yield* Ssh
          let received = 0
          const failed = yield* ssh
            .stream(server.address, ["sh", "-c", "head -c 20000000 /dev/zero; echo no >&2; exit 3"])
            .pipe(
              Stream.runForEach((chunk) =>
                Effect.sync(() => {
                  received += chunk.length
                })
              ),
              Effect.flip
            )
          assert.strictEqual(received, 20_000_000)
          if (failed.reason._tag === "SshCommandFailed") assert.strictEqual(failed.reason.exitCode, 3)
          else assert.fail(failed.message)
          // the consumer stops: the endless program ends
          const first = yield* ssh.stream(server.address, ["yes"]).pipe(Stream.runHead)
          assert.isTrue(Option.isSome(first))
        }).pipe(Effect.provide(of(server)))
      })
    )

    it.scopedLive("forwards to a Unix socket; where nothing listens it says so", () =>
      Effect.gen(function* () {
        const server = yield* OpenSsh.start()
        const path = join(server.directory, "echo.sock")
        yield* Effect.acquireRelease(
          Effect.sync(() => createServer((socket) => socket.pipe(socket)).listen(path)),
          (listener) => Effect.sync(() => listener.close())
        )
        yield* Effect.gen(function* () {
          const ssh = yield* Ssh
          yield* Effect.scoped(
            Effect.gen(function* () {
              const socket = yield* ssh.openSocket(server.address, path)
              const answer = yield* Effect.async<string>((resume) => {
                socket.once("data", (chunk: Buffer) => resume(Effect.succeed(chunk.toString())))
                socket.write("hello")
              })
              assert.strictEqual(answer, "hello")
            })
          )
          const nobody = yield* Effect.flip(Effect.scoped(ssh.openSocket(server.address, join(server.directory, "no"))))
          if (nobody.reason._tag === "SshChannelRefused") assert.strictEqual(nobody.reason.code, 2)
          else assert.fail(nobody.message)
          // a program as a byte stream
          yield* Effect.scoped(
            Effect.gen(function* () {
              const cat = yield* ssh.openProgram(server.address, ["cat"])
              const text = yield* Effect.async<string>((resume) => {
                let all = ""
                cat.on("data", (chunk: Buffer) => (all += chunk.toString()))
                cat.on("end", () => resume(Effect.succeed(all)))
                cat.end("through")
              })
              assert.strictEqual(text, "through")
            })
          )
        }).pipe(Effect.provide(of(server)))
      })
    )

    it.scopedLive("refuses a key it does not know, tells its fingerprint, and takes it once accepted", () =>
      Effect.gen(function* () {
        const server = yield* OpenSsh.start()
        const knownHostsFile = join(server.directory, "empty")
        yield* Effect.gen(function* () {
          const ssh = yield* Ssh
          const refused = yield* Effect.flip(ssh.exec(server.address, ["true"]))
          if (refused.reason._tag !== "SshHostKeyRefused") return assert.fail(refused.message)
          assert.strictEqual(refused.reason.fingerprint, server.fingerprint)
          assert.include(refused.message, server.fingerprint)
          assert.include(refused.reason.accept, `ssh-keyscan -p ${server.address.port} -t ed25519 127.0.0.1 >> `)
          writeFileSync(knownHostsFile, readFileSync(server.knownHostsFile))
          yield* ssh.exec(server.address, ["true"]).pipe(
            Effect.retry({
              while: (error) => error.reason._tag === "SshHostKeyRefused",
              schedule: Schedule.spaced("10 millis")
            }),
            Effect.timeout("5 seconds")
          )
        }).pipe(Effect.provide(of(server, { knownHostsFile })))
      })
    )
  })
}
