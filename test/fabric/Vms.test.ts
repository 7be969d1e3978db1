/**
 * VMs on a simulated fleet with things going wrong.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { vi } from "vitest"
import * as Ids from "../../src/domain/Ids.ts"
import { Hosts } from "../../src/fabric/Hosts.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import type { SimulatedHost } from "../../src/simulator/SimulatedHost.ts"
import * as Watching from "../observe/Watching.ts"
import * as World from "./World.ts"

vi.setConfig({ testTimeout: 60_000 })

const type = Ids.InstanceTypeId.make(1)

const createAll = (count: number) =>
  Effect.flatMap(Vms, (vms) =>
    Effect.forEach(
      Array.from({ length: count }, (_, i) => `vm${i}`),
      (name) => Effect.either(vms.create({ name, instanceType: type })),
      { concurrency: "unbounded" }
    )
  )

describe("VMs on a simulated fleet", () => {
  it.scopedLive("30 at once are spread evenly, the image is sent to each host once, and nothing remains of them", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 3 })
      yield* Effect.gen(function* () {
        const created = yield* createAll(30)
        assert.isTrue(created.every((result) => result._tag === "Right"))
        for (const host of world.hosts) {
          assert.strictEqual(host.guests().length, 10)
          // beside the seed of each
          assert.strictEqual(yield* host.faults.calls("STORAGE_VOL_UPLOAD"), 1 + 10)
        }
        yield* World.agree(world)
        const vms = yield* Vms
        yield* Effect.forEach(yield* vms.list(), (vm) => vms.destroy(vm.id), { concurrency: "unbounded" })
        assert.deepStrictEqual(World.remains(world), { domains: [], disks: [] })
        yield* World.agree(world)
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive(
    "a create does not ask its host whose the domain is that it has made itself, unless it has to try again",
    () =>
      Effect.gen(function* () {
        const world = yield* World.make({ hosts: 1 })
        const [host] = world.hosts
        const { calls } = host!.faults
        yield* Effect.gen(function* () {
          yield* createAll(5)
          assert.strictEqual(yield* calls("DOMAIN_GET_METADATA"), 0)
          // started, and the answer lost
          yield* host!.faults.onCall("DOMAIN_CREATE_WITH_FLAGS", "after", host!.faults.dropConnections, { nth: 1 })
          yield* createAll(1)
          assert.strictEqual(yield* calls("DOMAIN_GET_METADATA"), 1)
        }).pipe(Effect.provide(world.life))
      })
  )

  it.scopedLive("parallel creates never promise more than there is, and the refusals say what is short where", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 2 })
      yield* Effect.gen(function* () {
        // 32 GiB each: 32 VMs on each host (vCPUs are overcommitted four times: also 32)
        const created = yield* createAll(70)
        const refused = created.flatMap((result) => (result._tag === "Left" ? [result.left] : []))
        assert.strictEqual(refused.length, 70 - 64)
        for (const error of refused) {
          assert.strictEqual(error._tag, "NoFeasibleHost")
          assert.match(error.message, /2 hosts \(host 1 \(root@sim-1\), host 2 \(root@sim-2\)\): .*memory/)
        }
        yield* World.agree(world)
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive("a host that refuses makes the creation fail with its reason, and nothing remains", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 1 })
      yield* world.hosts[0]!.faults.fail("DOMAIN_CREATE_WITH_FLAGS", { code: 1, message: "no more pixie dust" })
      yield* Effect.gen(function* () {
        const vms = yield* Vms
        const error = yield* Effect.flip(vms.create({ name: "a", instanceType: type }))
        assert.strictEqual(error._tag, "OperationFailed")
        assert.strictEqual(error.message, "host root@sim-1 failed to start vm-1: no more pixie dust")
        yield* World.agree(world)
        assert.deepStrictEqual(yield* vms.list(), [])
      }).pipe(Effect.provide(world.life))
    })
  )

  /** As by a start that was given up and takes effect after all. */
  const startAgain = (host: SimulatedHost) =>
    Effect.suspend(() =>
      Effect.forEach(
        [...host.state.domains.values()],
        ({ name, uuid }) => Watching.virsh(host, "CREATE", { domainName: name, uuid: Ids.DomainUuid.make(uuid) }),
        { discard: true }
      )
    )

  it.scopedLive("one that runs again right after its power was taken goes all the same", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 1 })
      const host = world.hosts[0]!
      yield* Effect.gen(function* () {
        const vms = yield* Vms
        const vm = yield* vms.create({ name: "a", instanceType: type })
        yield* host.faults.onCall("DOMAIN_DESTROY", "after", Effect.orDie(startAgain(host)), { nth: 1 })
        yield* vms.destroy(vm.id)
        assert.deepStrictEqual(World.remains(world), { domains: [], disks: [] })

        // the same while a creation is undone
        const ended = yield* host.faults.calls("DOMAIN_DESTROY")
        yield* host.faults.fail("DOMAIN_CREATE_WITH_FLAGS", {
          code: 1,
          message: "no more pixie dust",
          nth: 1,
          effect: true
        })
        yield* host.faults.onCall("DOMAIN_DESTROY", "after", Effect.orDie(startAgain(host)), { nth: 1 })
        yield* Effect.flip(vms.create({ name: "b", instanceType: type }))
        assert.strictEqual((yield* host.faults.calls("DOMAIN_DESTROY")) - ended, 2)
        yield* World.agree(world)
        assert.deepStrictEqual(World.remains(world), { domains: [], disks: [] })
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive("a host that dies under a creation is left for another, and cleaned when it is back", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 2 })
      const [first, second] = world.hosts
      // the daemon goes as soon as the domain is defined, before its answer
      yield* first!.faults.onCall("DOMAIN_DEFINE_XML_FLAGS", "after", first!.faults.stopLibvirtd, { nth: 1 })
      yield* Effect.gen(function* () {
        const vms = yield* Vms
        const vm = yield* vms.create({ name: "a", instanceType: type })
        assert.strictEqual(vm.hostId, Ids.HostId.make(2))
        assert.strictEqual(second!.guests().length, 1)
        assert.strictEqual(World.remains(world).domains.length, 2)

        yield* first!.faults.startLibvirtd
        yield* World.eventually(World.agree(world))
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive("a host that is down gets nothing and says why, and is used again when it is back", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 2 })
      const [first] = world.hosts
      yield* Effect.gen(function* () {
        const vms = yield* Vms
        const hosts = yield* Hosts
        const status = Effect.map(hosts.get(Ids.HostId.make(1)), (report) => report.status)
        yield* World.eventually(Effect.map(status, (now) => assert.strictEqual(now._tag, "Up")))
        yield* first!.faults.stopLibvirtd
        yield* World.eventually(Effect.map(status, (now) => assert.strictEqual(now._tag, "Down")))
        const down = yield* status
        assert.match(down._tag === "Down" ? down.reason : "", /libvirt/)

        const made = yield* createAll(4)
        assert.isTrue(made.every((result) => result._tag === "Right" && result.right.hostId === 2))

        yield* first!.faults.startLibvirtd
        yield* World.eventually(Effect.map(status, (now) => assert.strictEqual(now._tag, "Up")))
        assert.strictEqual((yield* vms.create({ name: "back", instanceType: type })).hostId, Ids.HostId.make(1))
        yield* World.agree(world)
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive("a destroy on a silent host says so, and ends by itself when the host is back", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 1 })
      const [host] = world.hosts
      yield* Effect.gen(function* () {
        const vms = yield* Vms
        const vm = yield* vms.create({ name: "a", instanceType: type })
        yield* host!.faults.stopLibvirtd
        const error = yield* Effect.flip(vms.destroy(vm.id))
        assert.strictEqual(error._tag, "OperationFailed")
        assert.match(
          error.message,
          /root@sim-1 .*libvirt.*; it goes on when the host answers again, or is declared lost$/
        )

        yield* host!.faults.startLibvirtd
        yield* World.eventually(World.agree(world))
        assert.deepStrictEqual(yield* vms.list(), [])
        yield* vms.destroy(vm.id)
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive("a VM that is still being created is destroyed right after", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 1 })
      const [host] = world.hosts
      const defined = yield* Deferred.make<void>()
      yield* host!.faults.onCall("DOMAIN_DEFINE_XML_FLAGS", "after", Deferred.succeed(defined, undefined))
      yield* Effect.gen(function* () {
        const vms = yield* Vms
        const creation = yield* Effect.fork(vms.create({ name: "brief", instanceType: type }))
        yield* Deferred.await(defined)
        const [vm] = yield* vms.list()
        yield* vms.destroy(vm!.id)
        assert.strictEqual((yield* Fiber.join(creation)).id, vm!.id)
        assert.deepStrictEqual(yield* vms.list(), [])
        yield* World.agree(world)
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive("a guest that died, is paused or was removed by hand is destroyed like any other", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 1 })
      const [host] = world.hosts
      yield* Effect.gen(function* () {
        const vms = yield* Vms
        const crashed = yield* vms.create({ name: "crashed", instanceType: type })
        const gone = yield* vms.create({ name: "gone", instanceType: type })
        assert.isTrue(yield* host!.faults.crashGuest(crashed.domainName))
        yield* host!.faults.crashGuest(gone.domainName)
        host!.state.domains.delete(gone.uuid)
        yield* vms.destroy(crashed.id)
        yield* vms.destroy(gone.id)
        yield* World.agree(world)
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive.each([0, 1])(
    "two lines for one machine: the second is refused, by name, also when host %i is slow",
    (slow) =>
      Effect.gen(function* () {
        const world = yield* World.make({ hosts: 2 })
        const [first] = world.hosts
        yield* world.hosts[slow]!.faults.slow("CONNECT_GET_CAPABILITIES", "500 millis")
        yield* world.hosts[1]!.faults.lieAbout("CONNECT_GET_CAPABILITIES", (truth) => ({
          capabilities: truth.capabilities.replace(world.hosts[1]!.uuid, first!.uuid)
        }))
        yield* Effect.gen(function* () {
          const hosts = yield* Hosts
          yield* World.eventually(
            Effect.gen(function* () {
              const [one, two] = yield* hosts.list
              assert.strictEqual(one!.status._tag, "Up")
              assert(two!.status._tag === "Down")
              assert.match(two!.status.reason, /same machine as host 1 \(root@sim-1\)/)
            })
          )
        }).pipe(Effect.provide(world.life))
      })
  )
})
