import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { ServerChannel } from "ssh2"
import { vi } from "vitest"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import { formatAddress, type HostAddress } from "../../src/domain/Host.ts"
import { Ssh, SshAuthenticationFailed, SshError, SshUnreachable } from "../../src/services/Ssh.ts"
import { SshDialer } from "../../src/services/SshDialer.ts"
import * as KnownHosts from "../../src/ssh/KnownHosts.ts"
import * as TestServer from "./TestServer.ts"

const clientOf = (
  server: TestServer.TestServer,
  settings: Partial<SshLive.Settings> = {},
  credentials: Partial<SshLive.Credentials> = {}
) =>
  SshLive.layerWith(
    { privateKeys: [TestServer.userKey.private], knownHosts: server.knownHosts, ...credentials },
    settings
    // what is logged of lost connections is expected here
  ).pipe(Layer.provide(server.dialer), Layer.provideMerge(Logger.minimumLogLevel(LogLevel.None)))

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

/** no wait in these tests may be longer, whatever goes wrong */
const soon = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.timeout(self, "5 seconds")

const failsWith = <T extends SshError["reason"]["_tag"]>(
  error: SshError,
  tag: T
): Extract<SshError["reason"], { readonly _tag: T }> => {
  const { reason } = error
  const is = (it: SshError["reason"]): it is Extract<SshError["reason"], { readonly _tag: T }> => it._tag === tag
  if (is(reason)) return reason
  return assert.fail(`expected ${tag}, got ${reason._tag}: ${error.message}`)
}

/** a promise to the test from inside a callback of the server */
const signal = <A>() => {
  const deferred = Deferred.unsafeMake<A>(
    Fiber.getCurrentFiber().pipe(
      Option.map((f) => f.id()),
      Option.getOrThrow
    )
  )
  return { await: soon(Deferred.await(deferred)), give: (a: A) => Deferred.unsafeDone(deferred, Exit.succeed(a)) }
}

const reply = (socket: Duplex, message: string) =>
  soon(
    Effect.async<string>((resume) => {
      socket.once("data", (chunk: Buffer) => resume(Effect.succeed(chunk.toString())))
      socket.write(message)
    })
  )

const errorOf = (socket: Duplex) =>
  soon(Effect.async<Error>((resume) => void socket.once("error", (error) => resume(Effect.succeed(error)))))

const endOf = (socket: Duplex) =>
  soon(
    Effect.async<void>((resume) => {
      if (socket.closed) return resume(Effect.void)
      socket.once("close", () => resume(Effect.void))
      socket.resume()
    })
  )

describe.each(["tcp", "memory"] as const)("SshLive over %s", (transport) => {
  it.scopedLive("makes the connection when it is asked for nothing else, and uses that one then", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        yield* ssh.connect(server.address)
        assert.strictEqual(server.seen.logins, 1)
        server.behaviour.exec = (_, channel) => TestServer.exit(channel, 0)
        yield* ssh.exec(server.address, ["program"])
        yield* ssh.connect(server.address)
        assert.strictEqual(server.seen.dials, 1)
      }).pipe(Effect.provide(clientOf(server)))
    })
  )

  it.scopedLive("gives output, status, signal and the end of stderr", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const words = ["a b", "c'd", "$(e)", "é\n\\"]
        server.behaviour.exec = ({ argv, stdin }, channel) => {
          assert.strictEqual(stdin, "watched")
          assert.deepStrictEqual(argv, ["program", ...words])
          channel.stderr.write("note")
          channel.write("output", () => TestServer.exit(channel, 0))
        }
        const result = yield* ssh.exec(server.address, ["program", ...words])
        assert.strictEqual(text(result.stdout), "output")
        assert.strictEqual(result.stderr, "note")

        server.behaviour.exec = (_, channel) => {
          channel.stderr.write(Buffer.alloc(100_000, "x"))
          channel.stderr.write("the end", () => TestServer.exit(channel, 3))
        }
        const failed = yield* Effect.flip(ssh.exec(server.address, ["program"]))
        const reason = failsWith(failed, "SshCommandFailed")
        assert.strictEqual(reason.exitCode, 3)
        assert.strictEqual(reason.stderr.length, 4096)
        assert.isTrue(reason.stderr.endsWith("xthe end"))
        assert.strictEqual(failed.host, formatAddress(server.address))
        assert.strictEqual(failed.action, "exec program")

        server.behaviour.exec = (_, channel) => TestServer.exit(channel, "KILL")
        const killed = failsWith(yield* Effect.flip(ssh.exec(server.address, ["program"])), "SshCommandFailed")
        assert.deepStrictEqual([killed.exitCode, killed.signal], [null, "SIGKILL"])

        // a server that closes without a status: not a success
        server.behaviour.exec = (_, channel) => channel.close()
        const without = failsWith(yield* Effect.flip(ssh.exec(server.address, ["program"])), "SshCommandFailed")
        assert.deepStrictEqual([without.exitCode, without.signal], [null, null])
      }).pipe(Effect.provide(clientOf(server)))
    })
  )

  it.scopedLive("bounds output, whole or streamed", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        server.behaviour.exec = (_, channel) => {
          channel.write(Buffer.alloc(3_000_000, 7), () => TestServer.exit(channel, 0))
        }
        const whole = yield* ssh.exec(server.address, ["big"], { maxOutput: 3_000_000 })
        assert.strictEqual(whole.stdout.length, 3_000_000)
        const refused = yield* Effect.flip(ssh.exec(server.address, ["big"], { maxOutput: 2_999_999 }))
        assert.include(refused.message, "more than 2999999 bytes")

        // a slow consumer: what the server could send ahead of it stays bounded
        const total = 48 * 1024 * 1024
        let sent = 0
        server.behaviour.exec = (_, channel) => {
          const piece = Buffer.alloc(256 * 1024, 1)
          const more = () => {
            if (sent === total) return TestServer.exit(channel, 0)
            channel.write(piece, () => {
              sent += piece.length
              more()
            })
          }
          more()
        }
        // the consumer stops after its first bytes until the server cannot send more, then takes the rest
        const stalled = Effect.gen(function* () {
          let before = -1
          for (let same = 0; same < 10; same = sent === before ? same + 1 : 0) {
            before = sent
            yield* Effect.sleep("10 millis")
          }
        })
        let received = 0
        let ahead = 0
        yield* ssh.stream(server.address, ["endless"]).pipe(
          Stream.runForEach((chunk) => {
            const first = received === 0
            received += chunk.length
            return first
              ? Effect.map(stalled, () => {
                  ahead = sent - received
                })
              : Effect.void
          }),
          soon
        )
        assert.strictEqual(received, total)
        assert.isAbove(ahead, 0)
        assert.isBelow(ahead, 6 * 1024 * 1024)
      }).pipe(Effect.provide(clientOf(server)))
    })
  )

  it.scopedLive("100 programs at once: one connection, never more than 5 of them running", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      let running = 0
      let most = 0
      server.behaviour.exec = ({ argv }, channel) => {
        most = Math.max(most, ++running)
        setImmediate(() =>
          channel.write(argv[1] ?? "", () => {
            running--
            TestServer.exit(channel, 0)
          })
        )
      }
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const answers = yield* Effect.forEach(
          Array.from({ length: 100 }, (_, index) => String(index)),
          (word) => Effect.map(ssh.exec(server.address, ["echo", word]), (result) => text(result.stdout) === word),
          { concurrency: "unbounded" }
        )
        assert.isTrue(answers.every((same) => same))
        assert.deepStrictEqual([server.seen.dials, server.seen.logins, most], [1, 1, 5])
      }).pipe(Effect.provide(clientOf(server)))
    })
  )

  it.scopedLive("interruption and time limits close the channel, and its place is free again", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const running = signal<void>()
        const closed = signal<void>()
        server.behaviour.exec = (_, channel) => {
          channel.on("close", () => closed.give())
          running.give()
        }
        const fiber = yield* Effect.fork(ssh.exec(server.address, ["hang"]))
        yield* running.await
        const exit = yield* soon(Fiber.interrupt(fiber))
        assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
        yield* closed.await

        for (let round = 0; round < 12; round++) {
          const late = yield* Effect.flip(soon(ssh.exec(server.address, ["hang"], { timeout: "20 millis" })))
          assert.isTrue(late instanceof SshError && late.reason._tag === "SshTimeout")
        }
        // a stream that is left early
        const left = signal<void>()
        server.behaviour.exec = (_, channel) => {
          channel.on("close", () => left.give())
          channel.write("first")
        }
        const head = yield* Stream.runHead(ssh.stream(server.address, ["hang"]))
        assert.deepStrictEqual(Option.map(head, text), Option.some("first"))
        yield* left.await
        // and a channel that is given up before the server has opened it
        server.behaviour.silent = true
        const opening = yield* Effect.flip(soon(ssh.exec(server.address, ["hang"], { timeout: "20 millis" })))
        assert.isTrue(opening instanceof SshError && opening.reason._tag === "SshTimeout")
        server.behaviour.silent = false
        server.behaviour.exec = (_, channel) => TestServer.exit(channel, 0)
        yield* soon(ssh.exec(server.address, ["true"]))
        assert.strictEqual(server.seen.logins, 1)
      }).pipe(Effect.provide(clientOf(server)))
    })
  )

  it.scopedLive("whenever a program is interrupted, no channel and no place stays behind", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      const open = new Set<ServerChannel>()
      const settled = signal<void>()
      let last = false
      server.behaviour.exec = ({ argv }, channel) => {
        open.add(channel)
        channel.on("close", () => {
          open.delete(channel)
          if (last && open.size === 0) settled.give()
        })
        channel.write("x".repeat(1000))
        // some end by themselves, some at the moment they are interrupted, some never
        if (argv[1] !== "never") setTimeout(() => TestServer.exit(channel, 0), Number(argv[1]))
      }
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const moments = FastCheck.sample(FastCheck.tuple(FastCheck.nat(12), FastCheck.nat(15)), 400)
        yield* soon(
          Effect.forEach(
            moments,
            ([after, ends]) =>
              ssh.exec(server.address, ["program", ends > 12 ? "never" : String(ends)]).pipe(
                Effect.exit,
                Effect.fork,
                Effect.flatMap((fiber) =>
                  Effect.zipRight(after === 0 ? Effect.yieldNow() : Effect.sleep(after), Fiber.interrupt(fiber))
                )
              ),
            { concurrency: 12, discard: true }
          )
        )
        last = true
        if (open.size > 0) yield* settled.await
        // all five places are free: five programs that end only together
        const together = yield* Deferred.make<void>()
        let running = 0
        server.behaviour.exec = (_, channel) => {
          if (++running === 5) Deferred.unsafeDone(together, Exit.void)
          setTimeout(() => TestServer.exit(channel, 0), 50)
        }
        yield* Effect.forEach([1, 2, 3, 4, 5], () => soon(ssh.exec(server.address, ["true"])), {
          concurrency: "unbounded"
        })
        yield* soon(Deferred.await(together))
        assert.strictEqual(server.seen.logins, 1)
      }).pipe(Effect.provide(clientOf(server)))
    })
  )

  it.scopedLive("a lost connection fails all that is on it at once, and the next use connects anew", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const socket = yield* ssh.openSocket(server.address, "/run/x.sock")
        assert.strictEqual(yield* reply(socket, "hello"), "hello")
        let started = 0
        const allRunning = signal<void>()
        server.behaviour.exec = () => {
          if (++started === 5) allRunning.give()
        }
        // five run, four wait for their turn
        const fibers = yield* Effect.forEach(Array.from({ length: 9 }), () =>
          Effect.fork(Effect.flip(ssh.exec(server.address, ["hang"])))
        )
        yield* allRunning.await
        const told = yield* Effect.fork(errorOf(socket))
        yield* Effect.yieldNow()
        yield* server.drop
        for (const fiber of fibers) failsWith(yield* soon(Fiber.join(fiber)), "SshUnreachable")
        const error = yield* Fiber.join(told)
        assert.isTrue(error instanceof SshError && error.reason._tag === "SshUnreachable")
        assert.isTrue(socket.destroyed)

        server.behaviour.exec = (_, channel) => TestServer.exit(channel, 0)
        yield* soon(ssh.exec(server.address, ["true"]))
        assert.strictEqual(server.seen.logins, 2)
      }).pipe(Effect.provide(clientOf(server)))
    })
  )

  it.scopedLive("a peer that falls silent is given up after three keepalives", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const running = signal<void>()
        server.behaviour.exec = () => running.give()
        const fiber = yield* Effect.fork(Effect.flip(ssh.exec(server.address, ["hang"])))
        yield* running.await
        yield* server.freeze
        const reason = failsWith(yield* soon(Fiber.join(fiber)), "SshUnreachable")
        assert.include(reason.reason, "Keepalive timeout")
      }).pipe(Effect.provide(clientOf(server, { keepalive: "50 millis" })))
    })
  )

  it.scopedLive("sockets: many at once, half-closed by the host, closed with the scope", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const closed = signal<void>()
        server.behaviour.socket = (path, channel) => {
          if (path === "/bye") return void channel.end("bye")
          channel.on("close", () => closed.give())
          channel.pipe(channel)
        }
        yield* Effect.scoped(
          Effect.gen(function* () {
            const sockets = yield* Effect.forEach(Array.from({ length: 20 }), () =>
              ssh.openSocket(server.address, "/x")
            )
            const answers = yield* Effect.forEach(sockets, (socket, index) => reply(socket, `n${index}`), {
              concurrency: "unbounded"
            })
            assert.deepStrictEqual(
              answers,
              sockets.map((_, index) => `n${index}`)
            )
            // megabytes both ways, whatever the windows are
            const big = Buffer.alloc(5_000_000, 3)
            const [socket] = sockets
            if (socket === undefined) return assert.fail()
            const back = yield* soon(
              Effect.async<number>((resume) => {
                let size = 0
                socket.on("data", (chunk: Buffer) => {
                  size += chunk.length
                  if (size === big.length) resume(Effect.succeed(size))
                })
                socket.write(big)
              })
            )
            assert.strictEqual(back, big.length)
          })
        )
        yield* closed.await
        const bye = yield* ssh.openSocket(server.address, "/bye")
        const heard = yield* reply(bye, "")
        assert.strictEqual(heard, "bye")
        yield* endOf(bye)
        assert.strictEqual(server.seen.logins, 1)
      }).pipe(Effect.provide(clientOf(server)))
    })
  )

  it.scopedLive("a program as a byte stream: both ways, half-closed, and its failure follows its last byte", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        server.behaviour.exec = ({ stdin }, channel) => {
          assert.strictEqual(stdin, "channel")
          channel.on("data", (chunk: Buffer) => channel.write(chunk))
          channel.on("end", () => {
            channel.stderr.write("broke")
            channel.write("last", () => TestServer.exit(channel, 9))
          })
        }
        const program = yield* ssh.openProgram(server.address, ["filter"])
        assert.strictEqual(yield* reply(program, "x"), "x")
        let rest = ""
        program.on("data", (chunk: Buffer) => {
          rest += chunk.toString()
        })
        program.end()
        const error = yield* errorOf(program)
        assert.strictEqual(rest, "last")
        assert.isTrue(error instanceof SshError && error.reason._tag === "SshCommandFailed")
        assert.include(error.message, "broke")
      }).pipe(Effect.provide(clientOf(server)))
    })
  )

  it.scopedLive("a refused channel says why; a shortage of sessions is waited for", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        for (const code of [1, 2, 3, 4]) {
          server.behaviour.refuse = code
          server.behaviour.refusals = 1
          const refused = yield* Effect.flip(Effect.scoped(ssh.openSocket(server.address, "/x")))
          assert.strictEqual(failsWith(refused, "SshChannelRefused").code, code)
          server.behaviour.refusals = 3
          const ran = yield* Effect.either(ssh.exec(server.address, ["true"]))
          assert.strictEqual(ran._tag, code === 2 || code === 4 ? "Right" : "Left")
        }
        server.behaviour.refuse = 2
        server.behaviour.refusals = Number.POSITIVE_INFINITY
        const never = yield* Effect.flip(soon(ssh.exec(server.address, ["true"])))
        assert.isTrue(never instanceof SshError && never.reason._tag === "SshChannelRefused")
        // all of them gave their places back
        server.behaviour.refuse = null
        yield* Effect.all(Array.from({ length: 6 }, () => soon(ssh.exec(server.address, ["true"]))))
        assert.strictEqual(server.seen.logins, 1)
      }).pipe(Effect.provide(clientOf(server)))
    })
  )

  it.scopedLive("host keys: unknown, changed and revoked ones are refused before anything is offered", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      const connect = (knownHosts: string) =>
        Effect.flatMap(Ssh, (ssh) => Effect.flip(ssh.exec(server.address, ["true"]))).pipe(
          Effect.provide(clientOf(server, {}, { knownHosts })),
          Effect.map((error) => failsWith(error, "SshHostKeyRefused"))
        )
      const shown = KnownHosts.fingerprint(Buffer.from(TestServer.hostKey.public.split(" ")[1] ?? "", "base64"))
      const expected = KnownHosts.fingerprint(Buffer.from(TestServer.otherHostKey.public.split(" ")[1] ?? "", "base64"))
      const { port } = server.address
      const name = KnownHosts.hostName(server.address.host, port)
      const shownName = name.startsWith("[") ? `'${name}'` : name

      const unknown = yield* connect("")
      assert.strictEqual(unknown.fingerprint, shown)
      assert.strictEqual(unknown.accept, `ssh-keyscan -p ${port} -t ed25519 127.0.0.1 >> known_hosts`)

      const changed = yield* connect(TestServer.knownHostsLine(server.address, TestServer.otherHostKey.public))
      assert.strictEqual(changed.fingerprint, shown)
      assert.include(changed.reason, `${expected} (line 1)`)
      assert.isTrue(changed.accept.startsWith(`ssh-keygen -R ${shownName} -f known_hosts && ssh-keyscan `))

      const otherType = yield* connect(TestServer.knownHostsLine(server.address, TestServer.ecdsaHostKey.public))
      assert.strictEqual(otherType.fingerprint, shown)
      assert.include(otherType.reason, "is not what known_hosts has")

      const revoked = yield* connect(`${server.knownHosts}@revoked * ${TestServer.hostKey.public}\n`)
      assert.include(revoked.reason, "revoked by line 2")

      const asAuthority = yield* connect(`@cert-authority * ${TestServer.hostKey.public}\n`)
      assert.include(asAuthority.reason, "is unknown, known_hosts has none")
      assert.deepStrictEqual([server.seen.logins, server.seen.offered.length], [0, 0])
    })
  )

  it.scopedLive("a host with several keys is asked for one that is known", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport, [TestServer.hostKey, TestServer.ecdsaHostKey])
      yield* Effect.flatMap(Ssh, (ssh) => ssh.exec(server.address, ["true"])).pipe(
        Effect.provide(
          clientOf(
            server,
            {},
            { knownHosts: TestServer.knownHostsLine(server.address, TestServer.ecdsaHostKey.public) }
          )
        )
      )
    })
  )

  it.scopedLive("keys are offered in order; when none is accepted it says which were tried", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      const first = TestServer.makeKey()
      const run = (privateKeys: ReadonlyArray<string>) =>
        Effect.flatMap(Ssh, (ssh) => ssh.exec(server.address, ["true"])).pipe(
          Effect.provide(clientOf(server, {}, { privateKeys }))
        )
      yield* run([first.private, TestServer.userKey.private])
      const fingerprints = [first, TestServer.userKey].map((key) =>
        KnownHosts.fingerprint(Buffer.from(key.public.split(" ")[1] ?? "", "base64"))
      )
      assert.deepStrictEqual([...new Set(server.seen.offered)], fingerprints)
      const refused = yield* Effect.flip(run([first.private]))
      failsWith(refused, "SshAuthenticationFailed")
      assert.include(refused.message, fingerprints[0] ?? "")
      const garbage = yield* Effect.flip(run(["not a key"]))
      assert.include(failsWith(garbage, "SshNoKey").reason, "key 1 is no usable private key")
      assert.isFalse(failsWith(garbage, "SshNoKey").none)
      const none = yield* Effect.flip(run([]))
      assert.deepInclude(failsWith(none, "SshNoKey"), {
        reason: "the controller has no key to log in with: none was given",
        none: true
      })
    })
  )

  it.scopedLive("many first users share one attempt, which outlives the one who began it", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const first = yield* Effect.fork(ssh.exec(server.address, ["true"]))
        yield* Effect.yieldNow()
        const others = yield* Effect.fork(
          Effect.all(
            Array.from({ length: 20 }, () => ssh.exec(server.address, ["true"])),
            { concurrency: "unbounded" }
          )
        )
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(first)
        yield* soon(Fiber.join(others))
        assert.deepStrictEqual([server.seen.dials, server.seen.logins], [1, 1])
      }).pipe(Effect.provide(clientOf(server)))
    })
  )

  it.scopedLive("new session keys are agreed on under way, by the same host key", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const socket = yield* ssh.openSocket(server.address, "/x")
        assert.strictEqual(yield* reply(socket, "before"), "before")
        yield* soon(server.rekey)
        assert.strictEqual(yield* reply(socket, "after"), "after")
        yield* ssh.exec(server.address, ["true"])
        assert.strictEqual(server.seen.logins, 1)
      }).pipe(Effect.provide(clientOf(server)))
    })
  )

  it.scopedLive("closing the layer closes the connection and fails what is on it", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(transport)
      const closed = signal<void>()
      const running = signal<ServerChannel>()
      server.behaviour.exec = (_, channel) => {
        channel.on("close", () => closed.give())
        running.give(channel)
      }
      const fiber = yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const fiber = yield* Effect.forkDaemon(Effect.flip(ssh.exec(server.address, ["hang"])))
        yield* running.await
        return fiber
      }).pipe(Effect.provide(clientOf(server)))
      failsWith(yield* soon(Fiber.join(fiber)), "SshUnreachable")
      yield* closed.await
    })
  )
})

describe("SshLive and the network", () => {
  const known = { privateKeys: [TestServer.userKey.private], knownHosts: "" }
  const overTcp = (settings: Partial<SshLive.Settings> = {}) =>
    SshLive.layerWith(known, settings).pipe(Layer.provide(SshDialerTcp.layer))

  /** Whoever is dialled does not answer, and time passes as the test has it; gives those that were dialled. */
  const silence = Effect.gen(function* () {
    const dialled: Array<Socket> = []
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        vi.spyOn(Socket.prototype, "connect").mockImplementation(function (this: Socket) {
          dialled.push(this)
          return this
        })
      ),
      (spy) => Effect.sync(() => spy.mockRestore())
    )
    yield* Effect.acquireRelease(
      Effect.sync(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })),
      () => Effect.sync(() => vi.useRealTimers())
    )
    return dialled
  })

  it.scopedLive("Nagle's delay is off", () =>
    Effect.gen(function* () {
      const spy = yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(Socket.prototype, "setNoDelay")),
        (spy) => Effect.sync(() => spy.mockRestore())
      )
      const address = yield* TestServer.mute
      yield* Effect.flatMap(SshDialer, (dialer) => dialer.dial(address)).pipe(Effect.provide(SshDialerTcp.layer))
      assert.deepStrictEqual(spy.mock.calls, [[true]])
    })
  )

  it.scopedLive("a host that does not answer is dialled anew every two seconds, for ten", () =>
    Effect.gen(function* () {
      const dialled = yield* silence
      const { dial } = yield* SshDialer
      const fiber = yield* Effect.fork(Effect.flip(dial({ user: "root", host: "127.0.0.1", port: 22 })))
      yield* Effect.yieldNow()
      for (let seconds = 0; seconds < 10; seconds += 2) {
        assert.deepStrictEqual(
          dialled.map(({ destroyed }) => destroyed),
          dialled.map((_, n) => n < seconds / 2)
        )
        assert.lengthOf(dialled, seconds / 2 + 1)
        vi.advanceTimersByTime(2000)
      }
      const late = yield* Fiber.join(fiber)
      assert.strictEqual(failsWith(late, "SshTimeout").after, "10s")
      assert.isTrue(dialled.every(({ destroyed }) => destroyed))
      assert.strictEqual(vi.getTimerCount(), 0)
    }).pipe(Effect.provide(SshDialerTcp.layer))
  )

  it.scopedLive(
    "who no longer wants the connection leaves nothing behind, neither while it is made nor while a name is looked up",
    () =>
      Effect.gen(function* () {
        const dialled = yield* silence
        const { dial } = yield* SshDialer
        for (const host of ["127.0.0.1", "host.invalid"]) {
          const fiber = yield* Effect.fork(dial({ user: "root", host, port: 22 }))
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(fiber)
          assert.isTrue(dialled.at(-1)?.destroyed)
          dialled.at(-1)?.emit("lookup")
          assert.strictEqual(vi.getTimerCount(), 0)
        }
        assert.lengthOf(dialled, 2)
      }).pipe(Effect.provide(SshDialerTcp.layer))
  )

  it.effect(
    "keys and known hosts are read for a host that can be connected to, and no others; without a key nobody is dialled",
    () =>
      Effect.gen(function* () {
        const reads: Array<string> = []
        let key = ""
        const files = FileSystem.layerNoop({
          readFileString: (path) =>
            Effect.sync(() => {
              reads.push(path)
              return path === "/key" ? key : ""
            })
        })
        const address: HostAddress = { user: "root", host: "h", port: 22 }
        let dials = 0
        const unreachable = new SshError({
          host: "h",
          action: "connect",
          reason: new SshUnreachable({ reason: "gone" })
        })
        const dialer = Layer.succeed(
          SshDialer,
          SshDialer.of({
            dial: () =>
              Effect.zipRight(
                Effect.sync(() => dials++),
                unreachable
              )
          })
        )
        const options = {
          keyFile: Option.some("/key"),
          knownHostsFile: "/known_hosts",
          agentSocket: Option.none(),
          homeDirectory: "/"
        }
        yield* Effect.gen(function* () {
          const ssh = yield* Ssh
          failsWith(yield* Effect.flip(ssh.connect(address)), "SshNoKey")
          assert.strictEqual(dials, 0)
          key = TestServer.userKey.private
          reads.length = 0
          for (let tries = 1; tries <= 5; tries++) {
            yield* TestClock.adjust("20 seconds")
            failsWith(yield* Effect.flip(ssh.connect(address)), "SshUnreachable")
            assert.strictEqual(dials, tries)
          }
          assert.deepStrictEqual(reads, ["/key"])
        }).pipe(Effect.provide(SshLive.layer(options).pipe(Layer.provide([dialer, files]))))
      })
  )

  it.scopedLive("a closed port, a silent host and a name that does not exist are told apart", () =>
    Effect.gen(function* () {
      const ssh = yield* Ssh
      const closed = yield* TestServer.closedPort
      const refused = yield* Effect.flip(ssh.exec(closed, ["true"]))
      assert.include(failsWith(refused, "SshUnreachable").reason, "nothing listens there")
      assert.isTrue(refused.cause instanceof Error)
      assert.strictEqual(refused.stack, `SshError: ${refused.message}`, "it is kept, and would keep fibers")
      const silent = yield* TestServer.mute
      const late = yield* Effect.flip(ssh.exec(silent, ["true"]))
      failsWith(late, "SshTimeout")
      assert.strictEqual(late.action, "connect")
      const nowhere = yield* Effect.flip(ssh.exec({ user: "root", host: "name.invalid", port: 22 }, ["true"]))
      failsWith(nowhere, "SshUnreachable")
    }).pipe(Effect.provide(overTcp({ handshake: "100 millis" })))
  )

  it.scopedLive("closing the layer ends an attempt under way", () =>
    Effect.gen(function* () {
      const silent = yield* TestServer.mute
      const fiber = yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const fiber = yield* Effect.forkDaemon(Effect.flip(ssh.exec(silent, ["true"])))
        yield* Effect.yieldNow()
        return fiber
      }).pipe(Effect.provide(overTcp()))
      assert.include(failsWith(yield* soon(Fiber.join(fiber)), "SshUnreachable").reason, "shutting down")
    })
  )

  it.effect.each([
    ["that is silent", 500, (text: string) => new SshUnreachable({ reason: text })],
    ["that turns us away", 15_000, (text: string) => new SshAuthenticationFailed({ reason: text })]
  ] as const)("after failures of a host %s it waits twice as long each time, up to %i ms", ([, longest, reason]) =>
    Effect.gen(function* () {
      const dials = yield* Ref.make(0)
      const address: HostAddress = { user: "root", host: "h", port: 22 }
      const dialer = Layer.succeed(
        SshDialer,
        SshDialer.of({
          dial: () =>
            Ref.updateAndGet(dials, (count) => count + 1).pipe(
              Effect.flatMap((count) =>
                Effect.fail(
                  new SshError({
                    host: "root@h",
                    action: "connect",
                    reason: reason(`attempt ${count}`)
                  })
                )
              )
            )
        })
      )
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const use = Effect.map(Effect.flip(ssh.exec(address, ["true"])), (error) => error.message)
        for (let attempt = 1; attempt <= 12; attempt++) {
          const nominal = Math.min(250 * 2 ** (attempt - 1), longest)
          assert.include(yield* use, `attempt ${attempt}`)
          // 20 % of jitter either way
          yield* TestClock.adjust(nominal * 0.79)
          assert.include(yield* use, `attempt ${attempt}`)
          assert.strictEqual(yield* Ref.get(dials), attempt)
          yield* TestClock.adjust(nominal * 0.42)
        }
      }).pipe(Effect.provide(SshLive.layerWith(known).pipe(Layer.provide(dialer))))
    })
  )

  it.effect("what is no address never reaches a dialer", () =>
    Effect.gen(function* () {
      const dialer = Layer.succeed(SshDialer, SshDialer.of({ dial: () => Effect.die("dialled") }))
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const hosts = [
          "-oProxyCommand=x",
          "a;b",
          "$(x)",
          "`x`",
          "a b",
          "",
          "a\nb",
          "a\0",
          "h|x",
          "x".repeat(300),
          "[::1]"
        ]
        const users = ["-l", "a;b", "$(x)", "", "a b", "a@b", "ro\not"]
        const ports = [0, -1, 65536, 1.5, Number.NaN]
        const good: HostAddress = { user: "root", host: "h", port: 22 }
        for (const address of [
          ...hosts.map((host) => ({ ...good, host })),
          ...users.map((user) => ({ ...good, user })),
          ...ports.map((port) => ({ ...good, port }))
        ]) {
          for (const use of [
            Effect.asVoid(ssh.exec(address, ["true"])),
            Effect.asVoid(Effect.scoped(ssh.openSocket(address, "/x")))
          ]) {
            const { reason } = failsWith(yield* Effect.flip(use), "SshUnreachable")
            assert.strictEqual(reason, "this is not the address of a host")
          }
        }
        const dialled = yield* Effect.exit(ssh.exec(good, ["true"]))
        assert.isTrue(Exit.isFailure(dialled) && Cause.isDie(dialled.cause), "a defect stays a defect")
        // nor do words that no argument can carry
        for (const argv of [["a\0b"], ["\ud800"], [""], ["-c"], ["x", "y".repeat(200_000)]]) {
          const [program = "", ...rest] = argv
          const refused = yield* Effect.flip(ssh.exec(good, [program, ...rest]))
          assert.include(failsWith(refused, "SshCommandFailed").stderr, "it was not started")
        }
      }).pipe(Effect.provide(SshLive.layerWith(known).pipe(Layer.provide(dialer))))
    })
  )
})
