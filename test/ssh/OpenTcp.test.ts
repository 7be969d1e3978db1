/** TCP connections by way of a host: of the simulated kind, and of OpenSSH. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { createServer } from "node:net"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import type { HostAddress } from "../../src/domain/Host.ts"
import { Ssh, type SshError } from "../../src/services/Ssh.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as Banner from "../../src/ssh/Banner.ts"
import * as OpenSsh from "./OpenSsh.ts"

const codeOf = (error: SshError) => (error.reason._tag === "SshChannelRefused" ? error.reason.code : error.message)

const hear = (address: HostAddress, target: { readonly host: string; readonly port: number }) =>
  Effect.flatMap(Ssh, (ssh) => Effect.scoped(Effect.flatMap(ssh.openTcp(address, target), Banner.heard)))

const refusal = (address: HostAddress, target: { readonly host: string; readonly port: number }) =>
  Effect.flatMap(Ssh, (ssh) => Effect.map(Effect.flip(Effect.scoped(ssh.openTcp(address, target))), codeOf))

/** Where there is no event to wait for. */
const backSoon = Schedule.spaced("20 millis")

/** The port of one that gives back what it gets. */
const listener = Effect.acquireRelease(
  Effect.async<ReturnType<typeof createServer>>((resume) => {
    const server = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1", () =>
      resume(Effect.succeed(server))
    )
  }),
  (server) => Effect.sync(() => server.close())
).pipe(
  Effect.map((server) => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  })
)

const [a, b] = ["a", "b"].map((host): HostAddress => ({ user: "root", host, port: 22 }))

describe.each([
  ["over SSH", SimulatedFleet.layerSsh],
  ["in memory", SimulatedFleet.layerMemory]
] as const)("TCP by way of a simulated host, %s", (_, layer) => {
  it.scopedLive("the other host's sshd is heard; nothing there, none of that name, and forbidden are told apart", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make({ hosts: [{ hostname: "a" }, { hostname: "b" }] })
      yield* Effect.gen(function* () {
        yield* hear(a!, { host: "b", port: 22 })
        assert.strictEqual(yield* refusal(a!, { host: "b", port: 23 }), 2)
        assert.strictEqual(yield* refusal(a!, { host: "c", port: 22 }), 2)
        yield* fleet.hosts[1]!.faults.refuseConnections(true)
        assert.strictEqual(yield* refusal(a!, { host: "b", port: 22 }), 2)
        yield* fleet.hosts[1]!.faults.refuseConnections(false)
        yield* fleet.hosts[0]!.faults.forbidForwarding(true)
        assert.strictEqual(yield* refusal(a!, { host: "b", port: 22 }), 1)
        yield* fleet.hosts[0]!.faults.forbidForwarding(false)
        yield* hear(a!, { host: "b", port: 22 })
      }).pipe(Effect.provide(layer(fleet)))
    })
  )

  it.scopedLive(
    "where the controller is cut off alone, another host gets through; a host that is dead nobody reaches",
    () =>
      Effect.gen(function* () {
        const fleet = yield* Fleet.make({ hosts: [{ hostname: "a" }, { hostname: "b" }], dialTimeout: "100 millis" })
        const { faults } = fleet.hosts[1]!
        yield* Effect.gen(function* () {
          const ssh = yield* Ssh
          yield* faults.blockController(true)
          assert.isTrue(yield* Effect.isFailure(ssh.exec(b!, ["true"], { timeout: "1 second" })))
          yield* hear(a!, { host: "b", port: 22 })
          yield* faults.cutNetwork
          const waiting = yield* Effect.fork(hear(a!, { host: "b", port: 22 }))
          yield* ssh.exec(a!, ["true"])
          assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
          // it is heard as soon as it is back, as by a kernel that tries again
          yield* faults.mendNetwork
          yield* Fiber.join(waiting)
          assert.isTrue(yield* Effect.isFailure(ssh.exec(b!, ["true"], { timeout: "1 second" })))
          yield* faults.blockController(false)
          yield* ssh.exec(b!, ["true"]).pipe(Effect.retry({ times: 100, schedule: backSoon }))
        }).pipe(Effect.provide(layer(fleet)))
      })
  )
})

describe.skipIf(OpenSsh.missing)("TCP by way of OpenSSH (needs /usr/sbin/sshd)", () => {
  const of = (server: OpenSsh.OpenSsh, settings: Partial<SshLive.Settings> = {}) =>
    SshLive.layer(
      {
        keyFile: Option.some(server.keyFile),
        knownHostsFile: server.knownHostsFile,
        agentSocket: Option.none(),
        homeDirectory: "/nonexistent"
      },
      settings
    ).pipe(Layer.provide(SshDialerTcp.layer), Layer.provide(NodeContext.layer))

  it.scopedLive("bytes both ways; its own banner; nothing there is refused with code 2 and the system's words", () =>
    Effect.gen(function* () {
      const server = yield* OpenSsh.start()
      const echo = yield* listener
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        yield* hear(server.address, { host: "127.0.0.1", port: server.address.port })
        const answer = yield* Effect.scoped(
          Effect.gen(function* () {
            const stream = yield* ssh.openTcp(server.address, { host: "127.0.0.1", port: echo })
            return yield* Effect.async<string>((resume) => {
              stream.once("data", (chunk: Buffer) => resume(Effect.succeed(chunk.toString())))
              stream.write("hello")
            })
          })
        )
        assert.strictEqual(answer, "hello")
        const nobody = yield* Effect.flip(Effect.scoped(ssh.openTcp(server.address, { host: "127.0.0.1", port: 1 })))
        assert.strictEqual(codeOf(nobody), 2)
        assert.match(nobody.message, /refused/i)
        const nowhere = yield* Effect.flip(
          Effect.scoped(ssh.openTcp(server.address, { host: "name.invalid", port: 22 }))
        )
        assert.strictEqual(codeOf(nowhere), 2)
        assert.match(nowhere.message, /name|resol|known/i)
      }).pipe(Effect.provide(of(server)))
    })
  )

  it.scopedLive("AllowTcpForwarding no: code 1", () =>
    Effect.gen(function* () {
      const server = yield* OpenSsh.start(["AllowTcpForwarding no"])
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* refusal(server.address, { host: "127.0.0.1", port: server.address.port }), 1)
      }).pipe(Effect.provide(of(server)))
    })
  )

  it.scopedLive("no more than so many at once: the next is refused with code 4, and no longer when one is closed", () =>
    Effect.gen(function* () {
      const server = yield* OpenSsh.start()
      const echo = yield* listener
      yield* Effect.gen(function* () {
        const ssh = yield* Ssh
        const target = { host: "127.0.0.1", port: echo }
        const opened = yield* Deferred.make<void>()
        const closed = yield* Deferred.make<void>()
        yield* ssh.openTcp(server.address, target)
        const second = yield* ssh
          .openTcp(server.address, target)
          .pipe(
            Effect.zipRight(Deferred.succeed(opened, undefined)),
            Effect.zipRight(Deferred.await(closed)),
            Effect.scoped,
            Effect.fork
          )
        yield* Deferred.await(opened)
        assert.strictEqual(yield* refusal(server.address, target), 4)
        yield* Deferred.succeed(closed, undefined)
        yield* Fiber.join(second)
        yield* Effect.scoped(ssh.openTcp(server.address, target)).pipe(Effect.retry({ times: 100, schedule: backSoon }))
      }).pipe(Effect.provide(of(server, { tunnels: 2 })))
    })
  )
})
