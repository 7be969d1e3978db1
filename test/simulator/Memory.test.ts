/** The way to simulated hosts without SSH: what goes wrong with them goes wrong on it as it does by way of SSH. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import { Ssh, type SshError } from "../../src/services/Ssh.ts"
import * as Cluster from "../../src/simulator/Cluster.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as Virtual from "../../src/simulator/Virtual.ts"

const address = (host: string) => ({ user: "root", host, port: 22 })
const socket = "/run/libvirt/libvirt-sock"

/** In virtual time, so that every limit is what it is. */
const withFleet = <A, E>(body: (fleet: Fleet.Fleet) => Effect.Effect<A, E, Ssh>) =>
  Effect.gen(function* () {
    const cluster = yield* Cluster.make()
    const fleet = yield* Fleet.make({ hosts: [{ hostname: "a", cephCommands: cluster }, { hostname: "b" }] })
    return yield* Effect.provide(body(fleet), SimulatedFleet.layerMemory(fleet))
  }).pipe(Effect.scoped, Effect.provide(Virtual.recording(() => {})), (effect) => Virtual.run(1, effect))

const refusal = <A>(effect: Effect.Effect<A, SshError>) => Effect.map(Effect.flip(effect), ({ message }) => message)

/** What has come of a stream once it ends or breaks. */
const closing = (duplex: Duplex) =>
  Effect.async<Error | null>((resume) => {
    duplex.resume()
    duplex.once("close", () => resume(Effect.succeed(duplex.errored)))
  })

describe("without SSH", () => {
  it.live("programs run, stream and fail as they do", () =>
    withFleet((fleet) =>
      Effect.gen(function* () {
        const ssh = yield* Ssh
        const bytes = Fleet.diskImage(3 * 1024 * 1024 + 17, 7)
        yield* fleet.hosts[0]!.putFile("/images/x y.img", bytes)
        const { stdout } = yield* ssh.exec(address("a"), ["hostname"])
        assert.strictEqual(Buffer.from(stdout).toString(), "a\n")
        const chunks = yield* Stream.runCollect(ssh.stream(address("a"), ["cat", "--", "/images/x y.img"]))
        assert.isTrue(Buffer.concat([...chunks]).equals(Buffer.from(bytes)))
        assert.include(yield* refusal(ssh.exec(address("a"), ["cat", "/nope"])), "ended with status 1: cat: /nope")
        assert.include(
          yield* refusal(Stream.runDrain(ssh.stream(address("a"), ["frobnicate"]))),
          "exec frobnicate ended with status 127"
        )
        assert.include(
          yield* refusal(ssh.exec(address("a"), ["cat", "--", "/images/x y.img"], { maxOutput: 1000 })),
          "it wrote more than 1000 bytes"
        )
        const program = yield* ssh.openProgram(address("a"), ["cat", "/nope"])
        const failed = yield* closing(program)
        assert.include(failed?.message, "cat: /nope: No such file or directory")
      }).pipe(Effect.scoped)
    )
  )

  it.live("sockets are refused with the code that sshd gives", () =>
    withFleet((fleet) =>
      Effect.gen(function* () {
        const ssh = yield* Ssh
        const code = (path: string) =>
          Effect.map(Effect.either(Effect.scoped(ssh.openSocket(address("a"), path))), (outcome) =>
            Either.isRight(outcome) ? 0 : "code" in outcome.left.reason ? outcome.left.reason.code : -1
          )
        const { faults } = fleet.hosts[0]!
        assert.strictEqual(yield* code("/run/nope"), 2)
        assert.strictEqual(yield* code(socket), 0)
        yield* faults.forbidForwarding(true)
        assert.strictEqual(yield* code(socket), 1)
        yield* faults.forbidForwarding(false)
        yield* faults.stopLibvirtd
        assert.strictEqual(yield* code(socket), 2)
        yield* faults.startLibvirtd
        assert.strictEqual(yield* code(socket), 0)
      })
    )
  )

  it.live("a host can be asked for another one's sshd", () =>
    withFleet((fleet) =>
      Effect.gen(function* () {
        const ssh = yield* Ssh
        const knock = Effect.scoped(
          Effect.flatMap(ssh.openTcp(address("a"), { host: "b", port: 22 }), (duplex) =>
            Effect.async<string>((resume) => {
              duplex.once("data", (bytes: Buffer) => resume(Effect.succeed(bytes.toString())))
            })
          )
        )
        assert.match(yield* knock, /^SSH-2\.0-OpenSSH_[^\r\n]*\r\n$/)
        yield* fleet.hosts[1]!.faults.refuseConnections(true)
        assert.include(yield* refusal(knock), "nothing answers at b port 22")
        yield* fleet.hosts[1]!.faults.losePower
        assert.include(yield* refusal(knock), "open b:22 did not end within 15s")
      })
    )
  )

  it.live("a connection that is reset fails what it carried, and is made anew", () =>
    withFleet((fleet) =>
      Effect.gen(function* () {
        const ssh = yield* Ssh
        const open = yield* ssh.openSocket(address("a"), socket)
        const program = yield* ssh.openProgram(address("a"), ["hostname"])
        program.end()
        assert.strictEqual(yield* closing(program), null)
        const closed = yield* Effect.fork(closing(open))
        yield* Effect.yieldNow()
        yield* fleet.hosts[0]!.faults.dropConnections
        assert.include((yield* Fiber.join(closed))?.message, "the connection was lost: read ECONNRESET")
        yield* ssh.exec(address("a"), ["true"])
        yield* fleet.hosts[0]!.faults.refuseConnections(true)
        yield* ssh.exec(address("a"), ["true"])
        yield* fleet.hosts[0]!.faults.dropConnections
        assert.include(yield* refusal(ssh.exec(address("a"), ["true"])), "nothing listens there (port 22)")
        assert.strictEqual(fleet.hosts[0]!.connections(), 0)
      }).pipe(Effect.scoped)
    )
  )

  it.live("a cut is noticed when nothing has been heard for 15 s; what was mended before goes on", () =>
    withFleet((fleet) =>
      Effect.gen(function* () {
        const ssh = yield* Ssh
        const { faults } = fleet.hosts[0]!
        yield* ssh.exec(address("a"), ["true"])
        yield* faults.cutNetwork
        const patient = yield* Effect.fork(Effect.timed(ssh.exec(address("a"), ["true"])))
        yield* Effect.sleep("10 seconds")
        yield* faults.mendNetwork
        const [waited] = yield* Fiber.join(patient)
        assert.strictEqual(Duration.toSeconds(waited), 10)
        yield* faults.cutNetwork
        yield* Effect.sleep("1 second")
        const [lost, told] = yield* Effect.timed(refusal(ssh.exec(address("a"), ["true"])))
        assert.strictEqual(Duration.toSeconds(lost), 14)
        assert.include(told, "Keepalive timeout")
        const [dialled, silent] = yield* Effect.timed(refusal(ssh.exec(address("a"), ["true"])))
        assert.strictEqual(Duration.toSeconds(dialled), 10)
        assert.include(silent, "connect did not end within 10s")
      })
    )
  )

  it.live("what is interrupted leaves nothing open", () =>
    withFleet((fleet) =>
      Effect.gen(function* () {
        const ssh = yield* Ssh
        yield* ssh.exec(address("a"), ["true"])
        for (let turn = 0; turn < 30; turn++) {
          const opening = yield* Effect.fork(
            Effect.scoped(Effect.zipRight(ssh.openSocket(address("a"), socket), Effect.never))
          )
          for (let wait = 0; wait < turn; wait++) yield* Effect.yieldNow()
          yield* Fiber.interrupt(opening)
        }
        yield* Effect.sleep("1 second")
        // the one that all share
        assert.strictEqual(fleet.hosts[0]!.connections(), 1)
      })
    )
  )
})
