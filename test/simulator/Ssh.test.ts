import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import type { HostAddress } from "../../src/domain/Host.ts"
import { Ssh, type SshError } from "../../src/services/Ssh.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as Keys from "../../src/simulator/Keys.ts"

const address = (host: string): HostAddress => ({ user: "root", host, port: 22 })
const settings = { backoff: { first: "10 millis", longest: "50 millis" } } as const

const withFleet = <A, E>(
  body: (fleet: Fleet.Fleet) => Effect.Effect<A, E, Ssh>,
  options: Fleet.Options = { hosts: [{ hostname: "a" }, { hostname: "b" }], dialTimeout: "200 millis" }
) =>
  Effect.scoped(
    Effect.flatMap(Fleet.make(options), (fleet) =>
      body(fleet).pipe(Effect.provide(SimulatedFleet.layerSsh(fleet, settings)))
    )
  )

const reason = (error: SshError) => error.reason._tag

describe("the simulated host's SSH server", () => {
  it.live("runs the programs it has", () =>
    withFleet((fleet) =>
      Effect.gen(function* () {
        const ssh = yield* Ssh
        const [a] = fleet.hosts
        assert.isDefined(a)
        const bytes = Fleet.diskImage(3 * 1024 * 1024 + 17, 7)
        yield* a.putFile("/images/it's one.img", bytes)
        const exec = (...argv: readonly [string, ...Array<string>]) =>
          Effect.map(ssh.exec(address("a"), argv), ({ stdout }) => Buffer.from(stdout).toString())
        assert.strictEqual(
          yield* exec("sha256sum", "--", "/images/it's one.img"),
          `${createHash("sha256").update(bytes).digest("hex")}  /images/it's one.img\n`
        )
        assert.match(
          yield* exec("stat", "-L", "-c", "%s %Y %f", "--", "/images/it's one.img"),
          /^3145745 [0-9]+ 81a4\n$/
        )
        const head = yield* ssh.exec(address("a"), ["head", "-c", "1000", "--", "/images/it's one.img"])
        assert.deepStrictEqual(Buffer.from(head.stdout), Buffer.from(bytes.subarray(0, 1000)))
        const tail = yield* ssh.exec(address("a"), ["tail", "-c", "512", "--", "/images/it's one.img"])
        assert.deepStrictEqual(Buffer.from(tail.stdout), Buffer.from(bytes.subarray(-512)))
        const chunks = yield* Stream.runCollect(ssh.stream(address("a"), ["cat", "--", "/images/it's one.img"]))
        assert.isTrue(Buffer.concat([...chunks]).equals(Buffer.from(bytes)))
        const missing = yield* Effect.flip(ssh.exec(address("a"), ["cat", "/nope"]))
        assert.deepInclude(missing.reason, { _tag: "SshCommandFailed", exitCode: 1 })
        const unknown = yield* Effect.flip(ssh.exec(address("a"), ["frobnicate"]))
        assert.deepInclude(unknown.reason, { _tag: "SshCommandFailed", exitCode: 127 })
      })
    )
  )

  it.live("refuses sockets that are not there and forwarding that is forbidden", () =>
    withFleet((fleet) =>
      Effect.gen(function* () {
        const ssh = yield* Ssh
        const open = (path: string) => Effect.scoped(ssh.openSocket(address("a"), path))
        const absent = yield* Effect.flip(open("/run/nope"))
        assert.deepInclude(absent.reason, { _tag: "SshChannelRefused", code: 2 })
        yield* open("/run/libvirt/libvirt-sock")
        yield* fleet.hosts[0]!.faults.forbidForwarding(true)
        const forbidden = yield* Effect.flip(open("/run/libvirt/libvirt-sock"))
        assert.deepInclude(forbidden.reason, { _tag: "SshChannelRefused", code: 1 })
        yield* fleet.hosts[0]!.faults.forbidForwarding(false)
        yield* open("/run/libvirt/libvirt-sock")
        yield* fleet.hosts[0]!.faults.stopLibvirtd
        const stopped = yield* Effect.flip(open("/run/libvirt/libvirt-sock"))
        assert.deepInclude(stopped.reason, { _tag: "SshChannelRefused", code: 2 })
      })
    )
  )

  it.live("knows no other keys, names and ports", () =>
    withFleet((fleet) =>
      Effect.gen(function* () {
        const stranger = Keys.make()
        const denied = yield* Effect.flip(
          Effect.flatMap(Ssh, (ssh) => ssh.exec(address("a"), ["true"])).pipe(
            Effect.provide(
              SimulatedFleet.layerSsh({
                ...fleet,
                credentials: { ...fleet.credentials, privateKeys: [stranger.private] }
              })
            )
          )
        )
        assert.strictEqual(reason(denied), "SshAuthenticationFailed")
        const ssh = yield* Ssh
        assert.strictEqual(reason(yield* Effect.flip(ssh.exec(address("c"), ["true"]))), "SshUnreachable")
        assert.strictEqual(
          reason(yield* Effect.flip(ssh.exec({ ...address("a"), port: 2222 }, ["true"]))),
          "SshUnreachable"
        )
        const swapped = fleet.credentials.knownHosts.replace(/^a /m, "x ").replace(/^b /m, "a ")
        const refused = yield* Effect.flip(
          Effect.flatMap(Ssh, (ssh) => ssh.exec(address("a"), ["true"])).pipe(
            Effect.provide(
              SimulatedFleet.layerSsh({ ...fleet, credentials: { ...fleet.credentials, knownHosts: swapped } })
            )
          )
        )
        assert.strictEqual(reason(refused), "SshHostKeyRefused")
      })
    )
  )

  it.live("drops, refuses, cuts and mends", () =>
    withFleet((fleet) =>
      Effect.gen(function* () {
        const ssh = yield* Ssh
        const [a] = fleet.hosts
        assert.isDefined(a)
        const hello = Effect.map(ssh.exec(address("a"), ["echo", "hello"]), ({ stdout }) =>
          Buffer.from(stdout).toString()
        )
        assert.strictEqual(yield* hello, "hello\n")
        assert.strictEqual(a.connections(), 1)

        yield* a.faults.dropConnections
        assert.strictEqual(a.connections(), 0)
        const again = Effect.retry(hello, { times: 100, schedule: Schedule.spaced("10 millis") })
        assert.strictEqual(yield* again, "hello\n")

        yield* a.faults.refuseConnections(true)
        yield* a.faults.dropConnections
        yield* Effect.flip(hello).pipe(
          Effect.repeat({
            until: (error) => reason(error) === "SshUnreachable",
            times: 100,
            schedule: Schedule.spaced("10 millis")
          })
        )
        yield* a.faults.refuseConnections(false)
        assert.strictEqual(
          yield* Effect.retry(hello, { times: 100, schedule: Schedule.spaced("10 millis") }),
          "hello\n"
        )

        yield* a.faults.cutNetwork
        const waiting = yield* Effect.fork(hello)
        assert.isTrue(yield* Effect.isFailure(hello.pipe(Effect.timeout("100 millis"))))
        yield* a.faults.mendNetwork
        assert.strictEqual(yield* waiting.await.pipe(Effect.flatten), "hello\n")
      })
    )
  )

  it.live("a silent host costs a dialer its time limit and nothing more", () =>
    withFleet((fleet) =>
      Effect.gen(function* () {
        yield* fleet.hosts[0]!.faults.cutNetwork
        const [took, error] = yield* Effect.timed(Effect.flip(Effect.scoped(fleet.dial(address("a")))))
        assert.strictEqual(reason(error), "SshTimeout")
        assert.isBelow(Duration.toMillis(took), 1000)
      })
    )
  )
})
