/**
 * Volumes on a simulated fleet, in a pool and on the hosts, with things going wrong.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { vi } from "vitest"
import * as Ids from "../../src/domain/Ids.ts"
import { Pools } from "../../src/fabric/Pools.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Volumes } from "../../src/fabric/Volumes.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Operations } from "../../src/services/Operations.ts"
import * as World from "./World.ts"

/** What is said of a pool that is full. */
const wayOut =
  ": ask for less, destroy VMs that are not needed, and destroy and purge such volumes (the trash counts), " +
  "or have the controller started with a higher --ceph-overcommit"

vi.setConfig({ testTimeout: 120_000 })

const type = Ids.InstanceTypeId.make(1)

/** Guests that do not let go and hosts that do not answer are waited for, for up to half a minute each. What is about many at once has real time. */
const inVirtualTime = (name: string, use: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => World.virtually(use()))

const createVms = (count: number) =>
  Effect.flatMap(Vms, (vms) =>
    Effect.forEach(
      Array.from({ length: count }, (_, i) => `vm${i}`),
      (name) => vms.create({ name, instanceType: type }),
      { concurrency: "unbounded" }
    )
  )

const booted = (world: World.World) =>
  World.eventually(
    Effect.sync(() =>
      world.hosts.forEach((host) =>
        host.guests().forEach(({ name, serial }) => assert.include(serial.join("\n"), "GUEST READY", name))
      )
    )
  )

const guestOf = (world: World.World, name: string) =>
  world.hosts.flatMap((host) => host.guests()).find((guest) => guest.name === name)

for (const ceph of [true, false]) {
  describe(`volumes ${ceph ? "in a pool" : "on the hosts"}`, () => {
    inVirtualTime("are attached, grow and are detached while the guest looks on", () =>
      Effect.gen(function* () {
        const world = yield* World.make({ transport: "memory", hosts: 2, ceph })
        yield* Effect.gen(function* () {
          const volumes = yield* Volumes
          const [vm] = yield* createVms(2)
          yield* booted(world)
          const made = yield* volumes.create({ name: "data", size: 2 })
          assert.deepInclude(made, { name: "data", size: 2, state: "available", vmId: null })
          const attached = yield* volumes.attach(made.id, vm!.id)
          assert.deepInclude(attached, { state: "attached", vmId: vm!.id, target: "vdb" })
          yield* World.agree(world)
          const sees = (text: string) =>
            World.eventually(
              Effect.sync(() => assert.include(guestOf(world, vm!.domainName)?.serial.join("\n") ?? "", text))
            )
          yield* sees(`GUEST DISK + vdb size=${2 * 1024 ** 3} serial=volume-1`)
          assert.strictEqual((yield* volumes.grow(made.id, 3)).size, 3)
          yield* sees(`GUEST DISK = vdb size=${3 * 1024 ** 3}`)
          yield* volumes.detach(made.id)
          yield* sees("GUEST DISK - vdb")
          assert.deepInclude(yield* volumes.get(made.id), { state: "available", vmId: null, size: 3 })
          yield* World.agree(world)

          const shrunk = yield* Effect.flip(volumes.grow(made.id, 1))
          assert.match(shrunk.message, /^volume 1 \(data\) has 3 GiB and cannot shrink to 1/)
          const again = yield* Effect.flip(volumes.detach(made.id))
          assert.strictEqual(again.message, "volume 1 (data) is not attached")
        }).pipe(Effect.provide(world.life))
      })
    )

    inVirtualTime("stay when their VM is destroyed, and come back from the trash until they are purged", () =>
      Effect.gen(function* () {
        const world = yield* World.make({ transport: "memory", hosts: 1, ceph })
        yield* Effect.gen(function* () {
          const vms = yield* Vms
          const volumes = yield* Volumes
          const [vm] = yield* createVms(1)
          const { id } = yield* volumes.create({ name: "data", size: 1 })
          yield* volumes.attach(id, vm!.id)
          assert.match(
            (yield* Effect.flip(volumes.destroy(id))).message,
            /^volume 1 \(data\) is attached to VM 1 \(.*\): detach it first$/
          )
          yield* vms.destroy(vm!.id)
          assert.deepInclude(yield* volumes.get(id), { state: "available", vmId: null })
          yield* World.agree(world)
          yield* volumes.destroy(id)
          yield* volumes.destroy(id)
          assert.strictEqual((yield* volumes.get(id)).state, "deleted")
          const gone = yield* Effect.flip(volumes.attach(id, vm!.id))
          assert.include(gone.message, "VM 1 does not exist")
          assert.strictEqual((yield* volumes.restore(id)).state, "available")
          yield* World.agree(world)
          yield* volumes.destroy(id)
          yield* volumes.purge(id)
          yield* volumes.purge(id)
          assert.deepStrictEqual(World.remains(world), { domains: [], disks: [] })
          assert.match((yield* Effect.flip(volumes.restore(id))).message, /is purged: nothing of it is left/)
        }).pipe(Effect.provide(world.life))
      })
    )

    inVirtualTime("without an undo window they are gone at once", () =>
      Effect.gen(function* () {
        const world = yield* World.make({ transport: "memory", hosts: 1, ceph, undoWindow: 0 })
        yield* Effect.gen(function* () {
          const volumes = yield* Volumes
          const { id } = yield* volumes.create({ name: "data", size: 1 })
          yield* volumes.destroy(id)
          assert.strictEqual((yield* volumes.get(id)).state, "purged")
          assert.deepStrictEqual(World.remains(world), { domains: [], disks: [] })
        }).pipe(Effect.provide(world.life))
      })
    )

    inVirtualTime("have snapshots, which clones are made from and to which they go back", () =>
      Effect.gen(function* () {
        const world = yield* World.make({ transport: "memory", hosts: 1, ceph })
        yield* Effect.gen(function* () {
          const volumes = yield* Volumes
          const { id } = yield* volumes.create({ name: "data", size: 1 })
          const snapshot = yield* volumes.snapshot(id, "before")
          assert.deepInclude(snapshot, { name: "before", size: 1, state: "ready", volumeId: id })
          yield* volumes.grow(id, 2)
          const clone = yield* volumes.create({ name: "clone", source: snapshot.id, size: 3 })
          assert.deepInclude(clone, { size: 3, sourceId: snapshot.id, state: "available" })
          const small = yield* Effect.flip(volumes.create({ name: "small", size: 1, source: Ids.SnapshotId.make(9) }))
          assert.strictEqual(small.message, "snapshot 9 does not exist")
          if (ceph) {
            assert.match(
              (yield* Effect.flip(volumes.destroySnapshot(snapshot.id))).message,
              /needs its snapshot 1 \(before\), from which volume 2 \(clone\) was made: destroy and purge that first/
            )
            assert.match((yield* Effect.flip(volumes.destroy(id))).message, /from which volume 2 \(clone\) was made/)
          }
          assert.strictEqual((yield* volumes.revert(snapshot.id)).size, 1)
          yield* volumes.destroy(clone.id)
          yield* volumes.purge(clone.id)
          yield* volumes.destroySnapshot(snapshot.id)
          assert.deepStrictEqual(yield* volumes.snapshots(id), [])
          yield* volumes.destroy(id)
          yield* volumes.purge(id)
          assert.deepStrictEqual(World.remains(world), { domains: [], disks: [] })
        }).pipe(Effect.provide(world.life))
      })
    )

    it.scopedLive("50 created, attached and detached at once over 10 VMs leave nothing askew", () =>
      Effect.gen(function* () {
        const world = yield* World.make({ hosts: 2, ceph })
        yield* Effect.gen(function* () {
          const volumes = yield* Volumes
          const vms = yield* createVms(10)
          const made = yield* Effect.forEach(
            Array.from({ length: 50 }, (_, i) => `v${i}`),
            (name) => volumes.create({ name, size: 1 }),
            { concurrency: "unbounded" }
          )
          yield* Effect.forEach(made, ({ id }, i) => volumes.attach(id, vms[i % 10]!.id), { concurrency: "unbounded" })
          yield* World.agree(world)
          yield* booted(world)
          yield* Effect.forEach(made, ({ id }) => volumes.detach(id), { concurrency: "unbounded" })
          yield* World.agree(world)
        }).pipe(Effect.provide(world.life))
      })
    )

    it.scopedLive("asked for by two VMs at once, 100 times, one gets it each time", () =>
      Effect.gen(function* () {
        const world = yield* World.make({ hosts: 1, ceph })
        yield* Effect.gen(function* () {
          const volumes = yield* Volumes
          const vms = yield* createVms(2)
          yield* booted(world)
          const { id } = yield* volumes.create({ name: "wanted", size: 1 })
          for (let round = 0; round < 100; round++) {
            const asked = yield* Effect.forEach(vms, (vm) => Effect.either(volumes.attach(id, vm.id)), {
              concurrency: "unbounded"
            })
            assert.strictEqual(asked.filter((one) => one._tag === "Right").length, 1)
            const lost = asked.flatMap((one) => (one._tag === "Left" ? [one.left.message] : []))
            assert.match(lost.join(), /^volume 1 \(wanted\) is attached to VM \d \(.*\): detach it first$/)
            yield* volumes.detach(id)
          }
          yield* World.agree(world)
        }).pipe(Effect.provide(world.life))
      })
    )

    inVirtualTime("a guest that refuses to let go keeps the volume, and can be asked again", () =>
      Effect.gen(function* () {
        const world = yield* World.make({ transport: "memory", hosts: 1, ceph })
        const [host] = world.hosts
        yield* Effect.gen(function* () {
          const volumes = yield* Volumes
          const [vm] = yield* createVms(1)
          yield* booted(world)
          const { id } = yield* volumes.create({ name: "held", size: 1 })
          yield* volumes.attach(id, vm!.id)
          yield* host!.faults.refuseDevices(vm!.domainName, true)
          const error = yield* Effect.flip(volumes.detach(id))
          assert.match(error.message, /^the guest of vm-1 does not let go of volume-1: /)
          assert.deepInclude(yield* volumes.get(id), { state: "attached", vmId: vm!.id })
          yield* World.agree(world)
          yield* host!.faults.refuseDevices(vm!.domainName, false)
          yield* volumes.detach(id)
          yield* World.agree(world)
        }).pipe(Effect.provide(world.life))
      })
    )

    inVirtualTime("attached to a VM that does not run they are there when it starts", () =>
      Effect.gen(function* () {
        const world = yield* World.make({ transport: "memory", hosts: 1, ceph })
        const [host] = world.hosts
        yield* Effect.gen(function* () {
          const volumes = yield* Volumes
          const [vm] = yield* createVms(1)
          yield* host!.faults.crashGuest(vm!.domainName)
          const { id } = yield* volumes.create({ name: "cold", size: 1 })
          yield* volumes.attach(id, vm!.id)
          yield* World.agree(world)
          yield* volumes.grow(id, 2)
          const { seen } = yield* Inventory
          yield* World.eventually(
            Effect.map(seen, (all) => assert.include(["stopped", "crashed"], all.get(vm!.id)?.power))
          )
          const snapshot = yield* volumes.snapshot(id, "cold")
          yield* volumes.revert(snapshot.id)
          yield* volumes.detach(id)
          yield* World.agree(world)
        }).pipe(Effect.provide(world.life))
      })
    )
  })
}

describe("volumes in a pool", () => {
  inVirtualTime("a pool that is promised away, or full, refuses before anything is made", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ transport: "memory", hosts: 1, ceph: true })
      yield* Effect.gen(function* () {
        const volumes = yield* Volumes
        const inventory = yield* Inventory
        yield* volumes.create({ name: "most", size: 1000 })
        const error = yield* Effect.flip(volumes.create({ name: "more", size: 25 }))
        assert.strictEqual(error.message, `pool vms has no room for 25 GiB: 1000 of 1024 GiB are promised${wayOut}`)
        assert.lengthOf(yield* inventory.volumes(), 1)
        yield* World.agree(world)
        const [report] = yield* Effect.flatMap(Pools, (pools) => pools.list)
        assert.deepInclude(report, { promised: 1000 })
      }).pipe(Effect.provide(world.life))
    })
  )

  inVirtualTime(
    "OSDs that do not answer end creates and attaches in a clear error, and all is well when they are back",
    () =>
      Effect.gen(function* () {
        const world = yield* World.make({ transport: "memory", hosts: 1, ceph: true })
        yield* Effect.gen(function* () {
          const volumes = yield* Volumes
          const [vm] = yield* createVms(1)
          const { id } = yield* volumes.create({ name: "ready", size: 1 })
          // the clone's first half is done when they die
          yield* world.cluster.faults.fail("create", { errno: "ETIMEDOUT", effect: true })
          yield* world.cluster.faults.fail("look", { errno: "ETIMEDOUT" })
          const created = yield* Effect.flip(volumes.create({ name: "lost", size: 1 }))
          const attached = yield* Effect.flip(volumes.attach(id, vm!.id))
          for (const error of [created, attached]) {
            assert.match(
              error.message,
              /^Ceph pool vms cannot be used: .*; what it began is removed when the storage answers again$/
            )
          }
          yield* world.cluster.faults.clear
          yield* World.eventually(World.agree(world))
          yield* volumes.attach(id, vm!.id)
          yield* World.agree(world)
        }).pipe(Effect.provide(world.life))
      })
  )

  inVirtualTime("a guest that lets go only later is taken at its word, also when nobody was there to hear it", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ transport: "memory", hosts: 1, ceph: true })
      const [host] = world.hosts
      const id = Ids.VolumeId.make(1)
      const isAvailable = World.eventually(
        Effect.gen(function* () {
          const volumes = yield* Volumes
          assert.deepInclude(yield* volumes.get(id), { state: "available", vmId: null })
          yield* World.agree(world)
        })
      )
      /** Asks for it while the guest holds on: fails only when the time for it is up. */
      const askInVain = Effect.gen(function* () {
        const volumes = yield* Volumes
        yield* volumes.attach(id, Ids.VmId.make(1))
        yield* host!.faults.holdDevices("vm-1", true)
        const error = yield* Effect.flip(volumes.detach(id))
        assert.match(error.message, /^the guest of vm-1 does not let go of volume-1: it was asked for 20 seconds: /)
        assert.deepInclude(yield* volumes.get(id), { state: "attached", vmId: Ids.VmId.make(1) })
        yield* World.agree(world)
      })
      yield* Effect.gen(function* () {
        yield* createVms(1)
        yield* booted(world)
        yield* Effect.flatMap(Volumes, (volumes) => volumes.create({ name: "held", size: 1 }))
        yield* askInVain
        yield* host!.faults.holdDevices("vm-1", false)
        yield* isAvailable
        yield* askInVain
      }).pipe(Effect.provide(world.life))
      yield* host!.faults.holdDevices("vm-1", false)
      yield* Effect.provide(isAvailable, world.life)
    })
  )

  inVirtualTime("taken out while its VM starts it is free when the VM stops, though the guest kept it", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ transport: "memory", hosts: 1, ceph: true })
      const { faults } = world.hosts[0]!
      yield* Effect.gen(function* () {
        const volumes = yield* Volumes
        const power = yield* Power
        const [vm] = yield* createVms(1)
        yield* booted(world)
        yield* power.powerOff(vm!.id)
        const { id } = yield* volumes.create({ name: "late", size: 1 })
        yield* volumes.attach(id, vm!.id)
        yield* faults.holdDevices("vm-1", true)
        // it is seen not to run, and runs when it is taken out of its definition
        const before = yield* faults.calls("DOMAIN_CREATE_WITH_FLAGS")
        yield* faults.hang("DOMAIN_CREATE_WITH_FLAGS", true)
        const starting = yield* Effect.fork(power.start(vm!.id))
        yield* World.eventually(
          Effect.map(faults.calls("DOMAIN_CREATE_WITH_FLAGS"), (calls) => assert.isAbove(calls, before))
        )
        const begun = World.eventually(Effect.sync(() => assert.isDefined(guestOf(world, "vm-1"))))
        const meanwhile = Effect.zipRight(faults.hang("DOMAIN_CREATE_WITH_FLAGS", false), Effect.orDie(begun))
        yield* faults.onCall("DOMAIN_DETACH_DEVICE_ALIAS", "before", meanwhile, { nth: 1 })
        const error = yield* Effect.flip(volumes.detach(id))
        assert.match(error.message, /^the guest of vm-1 does not let go of volume-1: /)
        yield* Fiber.join(starting)
        assert.deepInclude(yield* volumes.get(id), { state: "attached", vmId: vm!.id })
        yield* power.powerOff(vm!.id)
        yield* World.eventually(
          Effect.gen(function* () {
            assert.deepInclude(yield* volumes.get(id), { state: "available", vmId: null })
            yield* World.agree(world)
          })
        )
      }).pipe(Effect.provide(world.life))
    })
  )

  inVirtualTime("the trash is emptied when its time has come", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ transport: "memory", hosts: 1, ceph: true, undoWindow: "1 second" })
      yield* Effect.gen(function* () {
        const volumes = yield* Volumes
        const { id } = yield* volumes.create({ name: "brief", size: 1 })
        yield* volumes.destroy(id)
        assert.strictEqual((yield* volumes.get(id)).state, "deleted")
      }).pipe(Effect.provide(world.life))
      assert.deepStrictEqual(World.remains(world).disks, ["volume-1"])
      // it is the time itself that is waited for
      yield* Effect.sleep("1100 millis")
      yield* Effect.gen(function* () {
        yield* World.eventually(Effect.sync(() => assert.deepStrictEqual(World.remains(world).disks, [])))
        const [purge] = yield* (yield* Operations).list({ kind: "PurgeVolume", limit: 1 })
        assert.strictEqual(purge?.operation.cause, "its time in the trash is over")
      }).pipe(Effect.provide(world.life))
    })
  )

  inVirtualTime("one that is open elsewhere is not attached, and who has it is told", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ transport: "memory", hosts: 1, ceph: true })
      yield* Effect.gen(function* () {
        const volumes = yield* Volumes
        const [vm] = yield* createVms(1)
        const { id } = yield* volumes.create({ name: "taken", size: 1 })
        const stranger = yield* world.cluster.openForWriting(`volume-${id}`, "10.9.8.7:0/123")
        const error = yield* Effect.flip(volumes.attach(id, vm!.id))
        assert.match(error.message, /^Ceph pool vms failed to open volume-1: it is open on 10\.9\.8\.7/)
        assert.deepInclude(yield* volumes.get(id), { state: "available", vmId: null })
        stranger.close()
        yield* volumes.attach(id, vm!.id)
        yield* World.agree(world)
      }).pipe(Effect.provide(world.life))
    })
  )
})

describe("volumes on the hosts", () => {
  inVirtualTime("one that was never attached goes along to its VM's host, one that was stays and says so", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ transport: "memory", hosts: 2 })
      yield* Effect.gen(function* () {
        const volumes = yield* Volumes
        const [one, two] = yield* createVms(2)
        yield* booted(world)
        assert.notStrictEqual(one!.hostId, two!.hostId)
        const made = yield* Effect.forEach(["a", "b", "c"], (name) => volumes.create({ name, size: 1 }))
        const away = made.find(({ hostId }) => hostId !== one!.hostId)
        assert(away !== undefined)
        assert.strictEqual((yield* volumes.attach(away.id, one!.id)).hostId, one!.hostId)
        yield* World.agree(world)
        yield* volumes.detach(away.id)
        const error = yield* Effect.flip(volumes.attach(away.id, two!.id))
        assert.match(
          error.message,
          /is kept on host \d and VM \d \(.*\) runs on host \d: without Ceph a volume that has been used stays on its host/
        )
        yield* World.agree(world)
      }).pipe(Effect.provide(world.life))
    })
  )
})
