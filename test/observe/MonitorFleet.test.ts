/** The host monitor over a whole controller and simulated hosts, in a time that passes when there is nothing left to do. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as AppLive from "../../layers/AppLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import { defaultConfig, type HostAddress, type HostStatus } from "../../src/domain/Host.ts"
import { HostId, InstanceTypeId } from "../../src/domain/Ids.ts"
import { Hosts } from "../../src/fabric/Hosts.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Ssh } from "../../src/services/Ssh.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as Virtual from "../../src/simulator/Virtual.ts"

const id = (n: number) => HostId.make(n)
const address = (host: string): HostAddress => ({ user: "root", host, port: 22 })

const world = Effect.fnUntraced(function* (count: number) {
  const names = Array.from({ length: count }, (_, index) => `sim-${index + 1}`)
  const fleet = yield* Fleet.make({
    hosts: [...names.map((hostname) => ({ hostname })), { hostname: "sim-images" }]
  })
  yield* fleet.host("sim-images")!.putFile("/images/test.img", Fleet.diskImage(8192, 1))
  /** sessions with each host's libvirt, and the most there were */
  const sessions = new Map(names.map((name) => [name, { now: 0, most: 0 }]))
  const counted = Layer.effect(
    Ssh,
    Effect.map(Ssh, (inner) =>
      Ssh.of({
        ...inner,
        openSocket: (to, path) => {
          const count = sessions.get(to.host)
          const open = inner.openSocket(to, path)
          if (count === undefined) return open
          return Effect.acquireRelease(
            Effect.sync(() => {
              count.most = Math.max(count.most, ++count.now)
            }),
            () => Effect.sync(() => void count.now--)
          ).pipe(Effect.zipRight(open))
        }
      })
    )
  ).pipe(Layer.provide(SimulatedFleet.layerMemory(fleet)))
  const life = AppLive.layer({
    fleet: {
      hosts: names.map((name) => defaultConfig(address(name))),
      images: [{ name: "test", source: { host: address("sim-images"), path: "/images/test.img" } }],
      types: [{ tid: InstanceTypeId.make(1), cpu: 1, ram: 1024, disk: 1 }]
    },
    database: ":memory:"
  }).pipe(Layer.provide(counted), Layer.provide(NodeContext.layer))
  return { hosts: names.map((name) => fleet.host(name)!), sessions, life }
})

const quiet = Logger.remove(Logger.defaultLogger)

const create = (name: string) =>
  Effect.flatMap(Vms, (vms) => vms.create({ name, instanceType: InstanceTypeId.make(1) }))

const status = (n: number) => Effect.map(HostMonitor.pipe(Effect.flatMap((m) => m.statuses)), (all) => all.get(id(n))!)

/** How long it takes until the status is that. */
const until = (n: number, tag: HostStatus["_tag"]) =>
  status(n).pipe(
    Effect.repeat({ until: (now) => now._tag === tag, schedule: Schedule.spaced("50 millis") }),
    Effect.timeout("3 minutes"),
    Effect.timed,
    Effect.map(([took]) => Duration.toSeconds(took))
  )

const reason = (n: number) => Effect.map(status(n), (now) => ("reason" in now ? now.reason : ""))

const test = <E>(name: string, body: () => Effect.Effect<void, E, Scope.Scope>) =>
  it.live(
    name,
    () => Virtual.run(1, Effect.scoped(body())).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))),
    60_000
  )

describe("the host monitor over simulated hosts", () => {
  test("a cable is cut: down, others agree, VMs go elsewhere; plugged in: up within two seconds", () =>
    Effect.gen(function* () {
      const { hosts, life } = yield* world(3)
      yield* Effect.gen(function* () {
        yield* until(1, "Up")
        yield* Effect.sleep("1 minute")
        for (const [silence, longest] of [
          ["30 seconds", 30],
          ["5 minutes", 30]
        ] as const) {
          yield* hosts[0]!.faults.cutNetwork
          assert.isBelow(yield* until(1, "Down"), longest)
          assert.strictEqual(yield* reason(1), "sshd does not answer, from host 2 and host 3 neither")
          assert.notStrictEqual((yield* create(`elsewhere ${silence}`)).hostId, id(1))
          yield* Effect.sleep(silence)
          yield* hosts[0]!.faults.mendNetwork
          assert.isBelow(yield* until(1, "Up"), 2)
        }
      }).pipe(Effect.provide(life))
    }))

  test("only the controller is cut off from it: said so, and up within two seconds when it is not", () =>
    Effect.gen(function* () {
      const { hosts, life } = yield* world(3)
      yield* Effect.gen(function* () {
        yield* until(1, "Up")
        yield* Effect.sleep("1 minute")
        yield* hosts[0]!.faults.blockController(true)
        assert.isBelow(yield* until(1, "Down"), 45)
        assert.strictEqual(
          yield* reason(1),
          "the controller cannot reach it, but host 2 and host 3 can: the network between them, not the host, is broken"
        )
        yield* hosts[0]!.faults.blockController(false)
        assert.isBelow(yield* until(1, "Up"), 2)
      }).pipe(Effect.provide(life))
    }))

  test("libvirtd is restarted, or its connection reset: up again within a second", () =>
    Effect.gen(function* () {
      const { hosts, life } = yield* world(2)
      const [host] = hosts
      yield* Effect.gen(function* () {
        yield* until(1, "Up")
        for (const brief of [
          host!.faults.dropConnections,
          Effect.zipRight(host!.faults.stopLibvirtd, host!.faults.startLibvirtd),
          Effect.zipRight(
            Effect.zipRight(host!.faults.stopLibvirtd, Effect.sleep("10 seconds")),
            host!.faults.startLibvirtd
          )
        ]) {
          yield* Effect.sleep("1 minute")
          yield* brief
          yield* Effect.yieldNow()
          assert.isBelow(yield* until(1, "Up"), 1.5)
          yield* create("back")
        }
      }).pipe(Effect.provide(life))
    }))

  test("a daemon that hangs costs its own callers ten seconds, and others nothing; nothing more is asked of it", () =>
    Effect.gen(function* () {
      const { hosts, life } = yield* world(3)
      const [first] = hosts
      yield* Effect.gen(function* () {
        yield* until(1, "Up")
        yield* until(2, "Up")
        yield* until(3, "Up")
        // the image is everywhere, so that times can be compared
        yield* Effect.forEach(["a", "b", "c", "d", "e", "f"], create)
        const alone = Duration.toMillis((yield* Effect.timed(create("alone")))[0])
        yield* first!.faults.hang("all", true)
        const creations = yield* Effect.forEach(
          Array.from({ length: 30 }, (_, n) => `hung ${n}`),
          (name) => Effect.forkScoped(Effect.timed(create(name)))
        )
        assert.isBelow(yield* until(1, "Suspect"), 11)
        yield* until(1, "Down")
        assert.match(yield* reason(1), /^sshd answers, libvirt does not: /)
        const made = yield* Effect.forEach(creations, Fiber.join)
        assert.isTrue(made.every(([, vm]) => vm.hostId !== 1))
        const took = made.map(([time]) => Duration.toMillis(time)).toSorted((a, b) => a - b)
        assert.isAtMost(took[19]!, 2 * alone + 1000, "those that were placed elsewhere from the first")

        const calls = yield* first!.faults.calls("DOMAIN_DEFINE_XML_FLAGS")
        const during = yield* Effect.forEach(["x", "y"], (name) => Effect.timed(create(name)))
        for (const [time] of during) assert.isAtMost(Duration.toMillis(time), 2 * alone)
        assert.strictEqual(yield* first!.faults.calls("DOMAIN_DEFINE_XML_FLAGS"), calls)

        yield* first!.faults.hang("all", false)
        assert.isBelow(yield* until(1, "Up"), 2)
      }).pipe(Effect.provide(life))
    }))

  test("everything is reconnected at once, with 50 operations waiting for each: no daemon sees more clients than it takes", () =>
    Effect.gen(function* () {
      const { hosts, life, sessions } = yield* world(4)
      yield* Effect.gen(function* () {
        for (const n of [1, 2, 3, 4]) yield* until(n, "Up")
        const vms = yield* Vms
        const names = Array.from({ length: 100 }, (_, n) => `vm ${n}`)
        const made = yield* Effect.forEach(names, create, { concurrency: "unbounded" })
        // libvirtd is gone everywhere, and what everybody asks for has to wait
        yield* Effect.forEach(hosts, ({ faults }) => faults.stopLibvirtd)
        const destroyed = yield* Effect.forkScoped(
          Effect.forEach(made, (vm) => Effect.either(vms.destroy(vm.id)), { concurrency: "unbounded" })
        )
        yield* Fiber.join(destroyed)
        for (const count of sessions.values()) count.most = count.now
        yield* Effect.forEach(hosts, ({ faults }) => faults.startLibvirtd)
        for (const n of [1, 2, 3, 4]) assert.isBelow(yield* until(n, "Up"), 2)
        yield* Effect.map(vms.list(), (left) => assert.lengthOf(left, 0)).pipe(
          Effect.sandbox,
          Effect.retry(Schedule.spaced("1 second").pipe(Schedule.upTo("1 minute"))),
          Effect.unsandbox
        )
        // libvirtd takes 20 that have not logged in yet
        for (const [name, { most }] of sessions) assert.isBelow(most, 10, name)
      }).pipe(Effect.provide(life))
    }))

  test("in maintenance nothing new is placed on a host, and what is there can be worked on", () =>
    Effect.gen(function* () {
      const { life } = yield* world(2)
      yield* Effect.gen(function* () {
        for (const n of [1, 2]) yield* until(n, "Up")
        const hosts = yield* Hosts
        const vms = yield* Vms
        const before = yield* create("before")
        assert.isTrue((yield* hosts.setMaintenance(before.hostId, true)).host.maintenance)
        for (const name of ["a", "b", "c"]) assert.notStrictEqual((yield* create(name)).hostId, before.hostId)
        yield* vms.destroy(before.id)
        yield* hosts.setMaintenance(id(before.hostId === 1 ? 2 : 1), true)
        const refused = yield* Effect.flip(create("d"))
        assert.include(refused.message, "2 hosts (host 1 (root@sim-1), host 2 (root@sim-2)): it is in maintenance")
        assert.isFalse((yield* hosts.setMaintenance(before.hostId, false)).host.maintenance)
        assert.strictEqual((yield* create("e")).hostId, before.hostId)
      }).pipe(Effect.provide(life))
    }))
})

describe("a host that comes and goes", () => {
  for (const [how, ssh] of [
    ["over SSH", SimulatedFleet.layerSsh],
    ["without SSH's cryptography", SimulatedFleet.layerMemory]
  ] as const) {
    it.scopedLive(`is used, and leaves no connection behind, ${how}`, () =>
      Effect.gen(function* () {
        const fleet = yield* Fleet.make({ hosts: [{ hostname: "sim-1" }, { hostname: "sim-2" }] })
        const machine = fleet.host("sim-2")!
        const life = AppLive.layer({
          fleet: {
            hosts: [defaultConfig(address("sim-1"))],
            images: [],
            types: [{ tid: InstanceTypeId.make(1), cpu: 1, ram: 1024, disk: 1 }]
          },
          database: ":memory:"
        }).pipe(Layer.provide(ssh(fleet)), Layer.provide(NodeContext.layer), Layer.provide(quiet))
        yield* Effect.gen(function* () {
          const hosts = yield* Hosts
          const monitor = yield* HostMonitor
          assert.strictEqual(machine.connections(), 0)
          const { host } = yield* hosts.add(defaultConfig(address("sim-2")))
          yield* monitor.awaitUp(host.id)
          assert.isAtLeast(machine.connections(), 1)
          // other settings are asked about at once
          yield* hosts.change(host.id, { networks: { lan: { kind: "bridge", name: "br0" } } })
          yield* hosts.get(host.id).pipe(
            Effect.repeat({
              until: (report) => report.host.facts?.networks?.some(({ name }) => name === "lan") === true,
              schedule: Schedule.spaced("20 millis")
            }),
            Effect.timeout("30 seconds")
          )
          yield* hosts.remove(host.id)
          yield* Effect.sync(() => machine.connections()).pipe(
            Effect.repeat({ until: (count) => count === 0, schedule: Schedule.spaced("20 millis") }),
            Effect.timeout("30 seconds")
          )
          assert.strictEqual((yield* monitor.statuses).size, 1)
          // and it may come back
          yield* hosts.add(defaultConfig(address("sim-2")))
          yield* monitor.awaitUp(host.id)
        }).pipe(Effect.provide(life))
      })
    )
  }
})
