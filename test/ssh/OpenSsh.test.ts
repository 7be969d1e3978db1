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
import { execFileSync, spawn } from "node:child_process"
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
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
    Effect.timeout("10 seconds"),
    Effect.orDieWith(() => new Error(`never came true: ${what}`))
  )

const alive = (pid: number): boolean => {
  if (!existsSync(`/proc/${pid}/stat`)) return false
  return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
}

describe.skipIf(OpenSsh.missing)("Ssh against OpenSSH (needs /usr/sbin/sshd)", () => {
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

  it.scopedLive("interrupted at any moment, also before it has begun, a program does not stay", () =>
    Effect.gen(function* () {
      const server = yield* OpenSsh.start()
      // seconds to sleep that no other program sleeps
      const mark = `300.${server.address.port}${process.pid}`
      const sleeping = () =>
        readdirSync("/proc").filter((pid) => {
          if (!/^[0-9]+$/.test(pid)) return false
          try {
            return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(mark)
          } catch (error) {
            // it ended while we looked
            if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH"))
              return false
            throw error
          }
        })
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        yield* ssh.exec(server.address, ["true"])
        yield* Effect.forEach(
          Array.from({ length: 60 }, (_, index) => index % 15),
          (after) =>
            ssh.exec(server.address, ["sleep", mark]).pipe(
              Effect.fork,
              Effect.flatMap((fiber) => Effect.zipRight(Effect.sleep(after), Fiber.interrupt(fiber)))
            ),
          { concurrency: 5, discard: true }
        )
        yield* eventually("no sleep is left", () => sleeping().length === 0)
        // nor does one begin late
        yield* ssh.exec(server.address, ["true"])
        assert.deepStrictEqual(sleeping(), [])
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

  it.scopedLive("keys: explicit, from the home directory, from the agent; an encrypted one is named", () =>
    Effect.gen(function* () {
      // an explicit key must be the only one offered: sshd hangs up after the second
      const server = yield* OpenSsh.start(["MaxAuthTries 2"])
      const login = (options: Partial<SshLive.Options>) =>
        Effect.flatMap(Ssh, (ssh) => ssh.exec(server.address, ["true"])).pipe(
          Effect.provide(of(server, { keyFile: Option.none(), ...options }))
        )
      const file = (name: string) => join(server.directory, name)
      const run = (program: string, args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
        execFileSync(program, args, { stdio: "pipe", env: { ...process.env, ...env } })

      const none = yield* Effect.flip(login({}))
      assert.deepInclude(none.reason, { _tag: "SshNoKey", none: true })
      assert.include(none.message, "/nonexistent/.ssh")
      const absent = yield* Effect.flip(login({ keyFile: Option.some(file("absent")) }))
      assert.include(absent.message, `${file("absent")} cannot be read`)

      mkdirSync(file(".ssh"))
      copyFileSync(server.keyFile, file(".ssh/id_ed25519"))
      yield* login({ homeDirectory: server.directory })

      copyFileSync(server.keyFile, file("encrypted"))
      chmodSync(file("encrypted"), 0o600)
      run("ssh-keygen", ["-q", "-p", "-P", "", "-N", "secret", "-f", file("encrypted")])
      const encrypted = yield* Effect.flip(login({ keyFile: Option.some(file("encrypted")) }))
      assert.include(encrypted.message, `${file("encrypted")} is encrypted and there is no ssh-agent`)

      const agentSocket = file("agent.sock")
      const agent = yield* Effect.acquireRelease(
        Effect.sync(() => spawn("ssh-agent", ["-D", "-a", agentSocket], { stdio: "ignore" })),
        (agent) => Effect.sync(() => agent.kill("SIGTERM"))
      )
      yield* eventually("the agent listens", () => existsSync(agentSocket) && agent.exitCode === null)
      for (const other of ["o1", "o2", "o3"]) {
        run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file(other)])
        run("ssh-add", ["-q", file(other)], { SSH_AUTH_SOCK: agentSocket })
      }
      const others = yield* Effect.flip(login({ agentSocket: Option.some(agentSocket) }))
      assert.strictEqual(others.reason._tag, "SshAuthenticationFailed", others.message)
      run("ssh-add", ["-q", server.keyFile], { SSH_AUTH_SOCK: agentSocket })
      yield* login({ agentSocket: Option.some(agentSocket), keyFile: Option.some(file("encrypted")) })
      run("ssh-add", ["-q", "-D"], { SSH_AUTH_SOCK: agentSocket })
      run("ssh-add", ["-q", server.keyFile], { SSH_AUTH_SOCK: agentSocket })
      yield* login({ agentSocket: Option.some(agentSocket) })
      const gone = yield* Effect.flip(login({ agentSocket: Option.some(file("no-agent")) }))
      assert.strictEqual(gone.reason._tag, "SshAuthenticationFailed")
      assert.include(gone.message, file("no-agent"))
    })
  )

  it.scopedLive("known_hosts: hashed, made by ssh-keyscan, unreadable", () =>
    Effect.gen(function* () {
      const server = yield* OpenSsh.start()
      const login = (knownHostsFile: string) =>
        Effect.flatMap(Ssh, (ssh) => ssh.exec(server.address, ["true"])).pipe(
          Effect.provide(of(server, { knownHostsFile }))
        )
      const scanned = join(server.directory, "scanned")
      const refused = yield* Effect.flip(login(scanned))
      if (refused.reason._tag !== "SshHostKeyRefused") return assert.fail(refused.message)
      execFileSync("/bin/sh", ["-c", refused.reason.accept], { stdio: "pipe" })
      yield* login(scanned)
      execFileSync("ssh-keygen", ["-H", "-f", scanned], { stdio: "pipe" })
      assert.include(readFileSync(scanned, "utf8"), "|1|")
      yield* login(scanned)
      const unreadable = yield* Effect.flip(login(server.directory))
      assert.strictEqual(unreadable.reason._tag, "SshHostKeyRefused")
      assert.include(unreadable.message, `${server.directory} cannot be read`)
    })
  )

  it.scopedLive("60 programs through a server that allows 5 sessions", () =>
    Effect.gen(function* () {
      const server = yield* OpenSsh.start(["MaxSessions 5"])
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const outputs = yield* Effect.forEach(
          Array.from({ length: 60 }, (_, index) => String(index)),
          (word) => ssh.exec(server.address, ["echo", word]),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(
          outputs.map(({ stdout }) => Buffer.from(stdout).toString()).join(""),
          Array.from({ length: 60 }, (_, index) => `${index}\n`).join("")
        )
      }).pipe(Effect.provide(of(server)))
    })
  )

  it.scopedLive(
    "forwarding that sshd forbids fails with a hint, for sshd gives it the code of a socket that is not there",
    () =>
      Effect.gen(function* () {
        const server = yield* OpenSsh.start(["AllowStreamLocalForwarding no"])
        const refused = yield* Effect.flatMap(Ssh, (ssh) =>
          Effect.flip(Effect.scoped(ssh.openSocket(server.address, "/run/x")))
        ).pipe(Effect.provide(of(server)))
        if (refused.reason._tag !== "SshChannelRefused") return assert.fail(refused.message)
        assert.strictEqual(refused.reason.code, 2)
        assert.include(refused.message, "AllowStreamLocalForwarding")
      })
  )

  it.scopedLive("closing, losing and killing: programs end with the connection, calls end with the server", () =>
    Effect.gen(function* () {
      const server = yield* OpenSsh.start()
      const started = (name: string) => {
        const path = join(server.directory, name)
        return eventually(`${name} started`, () => existsSync(path) && readFileSync(path, "utf8").endsWith("\n")).pipe(
          Effect.map(() => Number(readFileSync(path, "utf8")))
        )
      }
      const sleeper = (name: string) =>
        ["sh", "-c", 'echo $$ > "$0"; exec sleep 300', join(server.directory, name)] as const
      // the layer's scope closes
      const closing = yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        yield* Effect.forkDaemon(Effect.flip(ssh.exec(server.address, [...sleeper("closing")])))
        return yield* started("closing")
      }).pipe(Effect.provide(of(server)))
      yield* eventually("closing ended", () => !alive(closing))

      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        // a program used as a byte stream ends when its stdin does
        const pid = yield* Effect.scoped(
          Effect.gen(function* () {
            yield* ssh.openProgram(server.address, [
              "sh",
              "-c",
              'echo $$ > "$0"; exec cat',
              join(server.directory, "cat")
            ])
            return yield* started("cat")
          })
        )
        yield* eventually("cat ended", () => !alive(pid))
        // the server is killed
        const fiber = yield* Effect.fork(Effect.flip(ssh.exec(server.address, [...sleeper("killed")])))
        const killed = yield* started("killed")
        yield* server.kill
        const error = yield* Fiber.join(fiber).pipe(Effect.timeout("5 seconds"))
        assert.strictEqual(error.reason._tag, "SshUnreachable")
        yield* eventually("killed ended", () => !alive(killed))
      }).pipe(Effect.provide(of(server)))
    })
  )
})
