/** What every Inventory must do with volumes, snapshots and pools. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Errors from "../../src/domain/Errors.ts"
import { HostId, ImageId, type OperationId, SnapshotId, VmId, VolumeId } from "../../src/domain/Ids.ts"
import { UserName } from "../../src/domain/Identity.ts"
import type { Operation, OperationKind } from "../../src/domain/Operation.ts"
import type { Pool } from "../../src/domain/Pool.ts"
import * as Resources from "../../src/domain/Resources.ts"
import type { VmState } from "../../src/domain/Vm.ts"
import type { Volume } from "../../src/domain/Volume.ts"
import * as Rules from "../../src/fabric/VolumeRules.ts"
import * as Kept from "../../src/scheduler/Kept.ts"
import {
  type HostUsage,
  Inventory,
  type Publishable,
  type VolumeChange,
  type VolumeView,
  type Page,
  type Position,
  type VolumeOrder
} from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import { dir, facts, fleet, host, inPool, pool, type } from "../inventory/Fleet.ts"

/** What is said of a pool that is full. */
const wayOut =
  ": ask for less, destroy VMs that are not needed, and destroy and purge such volumes (the trash counts), " +
  "or have the controller started with a higher --ceph-overcommit"

const ids = (things: ReadonlyArray<{ readonly id: number }>) => things.map(({ id }) => id)

/** `null`: in the pool. */
type Where = number | null
const at = (where: Where) => () => Effect.succeed(where === null ? null : HostId.make(where))

const request = (where: Where, size = 1, name = "data") => ({
  name,
  size,
  disk: where === null ? inPool() : dir,
  sourceId: null
})

/** The real placement of a volume, every host up. */
const spread = (size: number) => (usage: ReadonlyArray<HostUsage>) =>
  Effect.suspend(() => {
    const placement = Kept.make().place(
      { resources: { ...Resources.zero, disk: size }, exclude: new Map() },
      usage.map((one) => ({ ...one, status: { _tag: "Up" } as const }))
    )
    return placement._tag === "Placed"
      ? Effect.succeed(placement.hostId)
      : new Errors.NoFeasibleHost({ refusals: placement.refusals, what: "volume" })
  })

const attaching = (vmId: VmId, target = "vdb"): VolumeChange => ({
  state: "attaching",
  attachment: { vmId, target },
  pristine: false,
  operation: { kind: "AttachVolume", vmId }
})

const started = Effect.gen(function* () {
  const inventory = yield* Inventory
  const journal = yield* Journal
  yield* inventory.applyFleet(fleet)

  /** a VM in the state, its creation ended */
  const vmIn = Effect.fnUntraced(function* (state: VmState, where = 1, name = "web", disk = dir) {
    const { operation, vm } = yield* inventory.admit(
      { name, instanceType: type(1), imageId: ImageId.make(100), disk, onCrash: "leave" as const },
      () => Effect.succeed(HostId.make(where))
    )
    yield* inventory.setVmState(vm.id, state)
    yield* journal.record(operation.id, { state: { to: "done" } })
    return yield* inventory.vmRecord(vm.id)
  })

  const change = (id: VolumeId, what: VolumeChange, vmId: VmId | null = null) =>
    inventory.changeVolume(id, vmId, () => Effect.succeed(what))

  /** as the saga ends */
  const end = Effect.fnUntraced(function* (
    operation: Operation | null,
    settled: VolumeChange,
    state: "done" | "failed" = "done"
  ) {
    const { id, volumeId } = operation!
    yield* inventory.settleVolume(volumeId!, settled)
    yield* journal.record(id, { state: { to: state } })
    return yield* inventory.volumeRecord(volumeId!)
  })

  /** one that is there, its creation ended */
  const volumeAt = Effect.fnUntraced(function* (where: Where, size = 1, name = "data") {
    const { operation } = yield* inventory.admitVolume(request(where, size, name), at(where))
    return yield* end(operation, { state: "available" })
  })

  const snapshotOf = Effect.fnUntraced(function* (id: VolumeId, name = "monday") {
    const begun = yield* change(id, { newSnapshot: { name }, operation: { kind: "CreateSnapshot" } })
    const snapshot = begun.snapshot!
    yield* end(begun.operation, { snapshot: { id: snapshot.id, state: "ready" } })
    return yield* inventory.snapshotRecord(snapshot.id)
  })

  const cloneOf = Effect.fnUntraced(function* (source: SnapshotId, where: Where, name = "clone") {
    const { operation } = yield* inventory.admitVolume({ ...request(where, 1, name), sourceId: source }, at(where))
    return yield* end(operation, { state: "available" })
  })

  const attachTo = Effect.fnUntraced(function* (id: VolumeId, vmId: VmId, target = "vdb") {
    const { operation } = yield* change(id, attaching(vmId, target), vmId)
    return yield* end(operation, { state: "attached" })
  })

  const settled = (id: VolumeId, kind: OperationKind, what: VolumeChange) =>
    Effect.flatMap(change(id, { operation: { kind } }), ({ operation }) => end(operation, what))
  const trash = (id: VolumeId, purgeAt: number) => settled(id, "DestroyVolume", { state: "deleted", purgeAt })
  const purge = (id: VolumeId) => settled(id, "PurgeVolume", { state: "purged" })

  /** GiB of disk promised on host 1, 2, 3, and in the pool */
  const promised = Effect.gen(function* () {
    const hosts = yield* inventory.hosts
    const pools = yield* inventory.pools
    return [...hosts.map((usage) => usage.promised.disk), pools.find(({ pool }) => pool.name === "vms")?.promised]
  })

  return {
    inventory,
    journal,
    vmIn,
    change,
    end,
    volumeAt,
    snapshotOf,
    cloneOf,
    attachTo,
    trash,
    purge,
    promised
  }
})

/** Everything that a refusal must leave as it is. */
const everything = Effect.gen(function* () {
  const inventory = yield* Inventory
  const journal = yield* Journal
  const volumes = yield* inventory.volumes()
  return {
    hosts: yield* inventory.hosts,
    pools: yield* inventory.pools,
    vms: yield* inventory.vms(),
    volumes,
    records: yield* Effect.forEach(volumes, ({ id }) => inventory.volumeRecord(id)),
    snapshots: yield* Effect.forEach(volumes, ({ id }) => inventory.snapshots(id)),
    unfinished: yield* journal.unfinished
  }
})

export const inventoryVolumesContract = <E>(name: string, layer: Layer.Layer<Inventory | Journal, E>) =>
  describe(`Inventory: ${name}: volumes`, () => {
    describe("admitVolume", () => {
      it.effect("on a host writes the volume, what it is promised there, and a pending operation", () =>
        Effect.gen(function* () {
          const { inventory, journal, vmIn } = yield* started
          yield* vmIn("running", 2)
          const { operation, volume } = yield* inventory.admitVolume(request(2, 7), at(2))
          assert.deepInclude(volume, {
            id: VolumeId.make(1),
            name: "data",
            size: 7,
            driver: "dir",
            hostId: HostId.make(2),
            state: "creating",
            vmId: null,
            target: null,
            sourceId: null,
            pristine: true,
            releaseAsked: false,
            purgeAt: null
          })
          assert.deepInclude(operation, {
            kind: "CreateVolume",
            state: "pending",
            vmId: null,
            volumeId: volume.id,
            snapshotId: null,
            detail: {}
          })
          assert.deepStrictEqual(yield* inventory.volume(volume.id), volume)
          assert.deepStrictEqual(yield* inventory.volumeRecord(volume.id), volume)
          assert.deepStrictEqual(yield* inventory.volumes(), [volume])
          assert.deepStrictEqual(yield* inventory.operation(operation.id), Option.some(operation))
          assert.deepStrictEqual(yield* journal.unfinished, [operation])
          const { promised, vms } = yield* inventory.host(HostId.make(2))
          assert.deepStrictEqual([promised, vms], [{ cpu: 1, ram: 512, disk: 8 }, 1])
        }).pipe(Effect.provide(layer))
      )

      it.effect("with a key that was used gives what it led to, and with another request refuses it", () =>
        Effect.gen(function* () {
          const { end, inventory } = yield* started
          const keyed = (fingerprint = "f", replaces?: OperationId) => ({
            ...request(1),
            key: { key: "a", fingerprint, ...(replaces === undefined ? {} : { replaces }) }
          })
          const nowhere = () => Effect.die("the placement was asked")
          const first = yield* inventory.admitVolume(keyed(), at(2))
          assert.deepStrictEqual(yield* inventory.admitVolume(keyed(), nowhere), first)
          const settled = yield* end(first.operation, { state: "failed" }, "failed")
          const repeated = yield* inventory.admitVolume(keyed(), nowhere)
          assert.deepStrictEqual([repeated.volume, repeated.operation.state], [settled, "failed"])
          assert.deepStrictEqual(yield* inventory.volumes(), [])
          assert.strictEqual((yield* Effect.flip(inventory.admitVolume(keyed("g"), nowhere)))._tag, "KeyReused")
          const vm = {
            name: "web",
            instanceType: type(1),
            imageId: ImageId.make(100),
            disk: dir,
            onCrash: "leave" as const
          }
          const reused = yield* Effect.flip(inventory.admit({ ...vm, key: keyed().key }, nowhere))
          assert.strictEqual(reused._tag, "KeyReused")
          const second = yield* inventory.admitVolume(keyed("f", first.operation.id), at(3))
          assert.strictEqual(second.volume.hostId, 3)
          assert.deepStrictEqual(yield* inventory.admitVolume(keyed(), nowhere), second)
        }).pipe(Effect.provide(layer))
      )

      it.effect("in a pool takes no host's space", () =>
        Effect.gen(function* () {
          const { inventory, promised, vmIn } = yield* started
          yield* inventory.setPool(pool(100))
          const vm = yield* vmIn("running", 1, "web", inPool())
          const { volume } = yield* inventory.admitVolume(request(null, 7), at(null))
          assert.deepInclude(volume, { driver: "rbd", hostId: null })
          assert.strictEqual(vm.driver, "rbd")
          assert.deepStrictEqual(yield* promised, [0, 0, 0, 8])
          assert.deepStrictEqual(yield* inventory.pools, [{ pool: pool(100), promised: 8 }])
          // the rest of what the VM takes is its host's
          assert.deepStrictEqual((yield* inventory.host(HostId.make(1))).promised, { cpu: 1, ram: 512, disk: 0 })
        }).pipe(Effect.provide(layer))
      )

      it.effect("shows the placement every host with what volumes are promised, and the snapshot it is made from", () =>
        Effect.gen(function* () {
          const { inventory, snapshotOf, volumeAt } = yield* started
          const origin = yield* volumeAt(3, 4, "origin")
          const snapshot = yield* snapshotOf(origin.id)
          yield* inventory.admitVolume(request(1), (usage, source) => {
            assert.deepStrictEqual(
              usage.map((one) => [one.host.id, one.promised.disk]),
              [
                [1, 0],
                [2, 0],
                [3, 8]
              ]
            )
            assert.isNull(source)
            return Effect.succeed(HostId.make(1))
          })
          const { volume } = yield* inventory.admitVolume({ ...request(3, 5), sourceId: snapshot.id }, (_, source) => {
            assert.deepStrictEqual(source, { snapshot, volume: origin })
            return Effect.succeed(HostId.make(3))
          })
          // it has content from the start
          assert.deepInclude(volume, { sourceId: snapshot.id, pristine: false, size: 5 })
        }).pipe(Effect.provide(layer))
      )

      it.effect("finds no snapshot but one that is whole and there", () =>
        Effect.gen(function* () {
          const { change, end, inventory, purge, snapshotOf, trash, volumeAt } = yield* started
          const { id } = yield* volumeAt(1)
          const unfinished = yield* change(id, {
            newSnapshot: { name: "half" },
            operation: { kind: "CreateSnapshot" }
          })
          const from = (sourceId: SnapshotId) =>
            Effect.map(Effect.flip(inventory.admitVolume({ ...request(1), sourceId }, at(1))), ({ message }) => message)
          const half = unfinished.snapshot!.id
          assert.strictEqual(yield* from(half), `snapshot ${half} does not exist`)
          yield* end(unfinished.operation, { snapshot: { id: half, state: "failed" } }, "failed")
          assert.strictEqual(yield* from(half), `snapshot ${half} does not exist`)
          const whole = yield* snapshotOf(id)
          yield* trash(id, 0)
          yield* purge(id)
          assert.strictEqual(yield* from(whole.id), `snapshot ${whole.id} does not exist`)
          assert.strictEqual(yield* from(SnapshotId.make(99)), "snapshot 99 does not exist")
          assert.deepStrictEqual(yield* inventory.volumes(), [])
        }).pipe(Effect.provide(layer))
      )

      it.effect("writes nothing when the placement fails, dies, is interrupted, or chooses what cannot be", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          yield* inventory.setHostFacts(HostId.make(2), facts({ cpu: 4, ram: 4096, disk: 5 }))
          const before = yield* everything
          const attempts = [
            inventory.admitVolume(request(1), () => Effect.fail("nowhere")),
            inventory.admitVolume(request(1), () => Effect.die("broken")),
            inventory.admitVolume(request(1), () => Effect.interrupt),
            inventory.admitVolume(request(1), at(99)), // not a host
            inventory.admitVolume(request(1), at(null)), // neither a host nor a pool
            inventory.admitVolume(request(null), at(1)), // both
            inventory.admitVolume(request(2, 6), at(2)) // a host without room
          ]
          for (const attempt of attempts) assert.isTrue(Exit.isFailure(yield* Effect.exit(attempt)))
          assert.deepStrictEqual(yield* everything, before)
          assert.strictEqual((yield* inventory.admitVolume(request(1), at(1))).volume.id, 1)
        }).pipe(Effect.provide(layer))
      )

      it.effect("keeps any name as it is", () =>
        Effect.gen(function* () {
          const { inventory, snapshotOf, volumeAt } = yield* started
          for (const name of ["'; drop table volumes; --", "naïve 日本 🚀", `"${"x".repeat(253)}"`, "%s ${1} ?"]) {
            const volume = yield* volumeAt(1, 1, name)
            assert.strictEqual((yield* inventory.volumeRecord(volume.id)).name, name)
            assert.strictEqual((yield* snapshotOf(volume.id, name)).name, name)
          }
        }).pipe(Effect.provide(layer))
      )
    })

    describe("pools", () => {
      it.effect("may be promised as often as their overcommit says, root disks and volumes together", () =>
        Effect.gen(function* () {
          const { inventory, promised, vmIn, volumeAt } = yield* started
          // 15 GiB may be promised
          yield* inventory.setPool(pool(10, { overcommit: 1.5 }))
          yield* vmIn("running", 1, "web", inPool())
          yield* volumeAt(null, 12)
          const before = yield* everything
          const refused = yield* Effect.flip(inventory.admitVolume(request(null, 3), at(null)))
          assert.deepInclude(refused, { pool: "vms", wanted: 3, promised: 13, limit: 15, available: 10 })
          assert.strictEqual(refused.message, `pool vms has no room for 3 GiB: 13 of 15 GiB are promised${wayOut}`)
          assert.deepStrictEqual(yield* everything, before)
          yield* volumeAt(null, 2)
          const vm = yield* Effect.flip(vmIn("running", 1, "db", inPool()))
          assert.strictEqual(vm.message, `pool vms has no room for 1 GiB: 15 of 15 GiB are promised${wayOut}`)
          assert.deepStrictEqual(yield* promised, [0, 0, 0, 15])
          assert.strictEqual((yield* inventory.vms()).length, 1)
        }).pipe(Effect.provide(layer))
      )

      it.effect("with less than 5 % left take nothing, whatever may be promised", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          const gibibyte = 1024 ** 3
          const full = pool(100, { overcommit: 10, used: 95 * gibibyte, available: 5 * gibibyte })
          yield* inventory.setPool(full)
          const before = yield* everything
          const message =
            "pool vms is full: only 5 GiB can still be written: destroy VMs that are not needed, and destroy and purge such volumes (the trash counts), or add disks to Ceph"
          assert.strictEqual((yield* Effect.flip(inventory.admitVolume(request(null), at(null)))).message, message)
          assert.strictEqual((yield* Effect.flip(vmIn("running", 1, "web", inPool()))).message, message)
          assert.deepStrictEqual(yield* everything, before)
          yield* inventory.setPool({ ...full, available: full.available + 1 })
          yield* inventory.admitVolume(request(null), at(null))
        }).pipe(Effect.provide(layer))
      )

      it.effect("that nobody could look at yet are not taken for full", () =>
        Effect.gen(function* () {
          const { inventory, volumeAt } = yield* started
          yield* volumeAt(null, 1000)
          assert.deepStrictEqual(yield* inventory.pools, [])
          yield* inventory.setPool(pool(10))
          assert.deepStrictEqual(yield* inventory.pools, [{ pool: pool(10), promised: 1000 }])
          // what is beyond it is refused from now on
          assert.strictEqual((yield* Effect.flip(inventory.admitVolume(request(null, 1), at(null))))._tag, "PoolFull")
        }).pipe(Effect.provide(layer))
      )

      it.effect("are told by name, as they were last seen", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          const other: Pool = { ...pool(7), name: "fast" }
          yield* inventory.setPool(pool(10))
          yield* inventory.setPool(other)
          yield* inventory.setPool(pool(11, { overcommit: 2.5, used: 3.5 }))
          assert.deepStrictEqual(yield* inventory.pools, [
            { pool: other, promised: 0 },
            { pool: pool(11, { overcommit: 2.5, used: 3.5 }), promised: 0 }
          ])
        }).pipe(Effect.provide(layer))
      )

      it.effect("cannot be left while something is kept in them, which is named", () =>
        Effect.gen(function* () {
          const { inventory, purge, trash, vmIn, volumeAt } = yield* started
          yield* inventory.usePool(null)
          yield* inventory.usePool(inPool())
          const vm = yield* vmIn("running", 1, "web", inPool())
          const volumes = yield* Effect.all(Array.from({ length: 7 }, (_, i) => volumeAt(null, 1, `data-${i}`)))
          // on a host, which is none of the pool's business
          yield* volumeAt(1)
          const refused = (wanted: Parameters<typeof inventory.usePool>[0]) =>
            Effect.map(Effect.flip(inventory.usePool(wanted)), (error) => [error._tag, error.message])
          const what =
            "VM 1 (web) and volumes 1 (data-0), 2 (data-1), 3 (data-2), 4 (data-3), 5 (data-4) and 2 more: " +
            "start with that pool, or destroy and purge what is there first"
          assert.deepStrictEqual(yield* refused(null), [
            "FleetConflict",
            `no pool is given, but pool vms holds ${what}`
          ])
          assert.deepStrictEqual(yield* refused(inPool("other")), [
            "FleetConflict",
            `pool other is given, but pool vms holds ${what}`
          ])
          yield* inventory.usePool(inPool())

          yield* inventory.setVmState(vm.id, "destroyed")
          for (const { id } of volumes.slice(1)) {
            yield* trash(id, 0)
            yield* purge(id)
          }
          // in the trash it still is in the pool
          yield* trash(volumes[0]!.id, 0)
          assert.include((yield* refused(null))[1], "holds volume 1 (data-0): start with that pool")
          yield* purge(volumes[0]!.id)
          yield* inventory.usePool(null)
        }).pipe(Effect.provide(layer))
      )
    })

    it.effect("pages are by id, of those that were asked for", () =>
      Effect.gen(function* () {
        const { attachTo, inventory, trash, vmIn, volumeAt } = yield* started
        const vm = yield* vmIn("running")
        const made = yield* Effect.all([volumeAt(null), volumeAt(null), volumeAt(null), volumeAt(null)])
        const [first, second, third] = made.map(({ id }) => id)
        yield* attachTo(first!, vm.id)
        yield* trash(second!, 5)
        const page = (...query: Parameters<typeof inventory.volumePage>) =>
          Effect.map(inventory.volumePage(...query), ({ items, next, total }) => [
            items.map(({ id }) => Number(id)),
            next?.id ?? null,
            total
          ])
        assert.deepStrictEqual(yield* page({}, null, 3), [[1, 2, 3], 3, 4])
        assert.deepStrictEqual(yield* page({}, { value: 3, id: third! }, 3), [[4], null, 4])
        assert.deepStrictEqual(yield* page({}, null, 4), [[1, 2, 3, 4], null, 4])
        assert.deepStrictEqual(yield* page({ vm: vm.id }, null, 3), [[1], null, 1])
        assert.deepStrictEqual(yield* page({ state: "deleted" }, null, 3), [[2], null, 1])
        assert.deepStrictEqual(yield* page({ name: "nobody" }, null, 3), [[], null, 0])
        const ada = UserName.make("ada")
        assert.deepStrictEqual(yield* page({ owner: ada }, null, 3), [[], null, 0])
        for (const where of [1, null]) yield* inventory.admitVolume({ ...request(where), owner: ada }, at(where))
        assert.deepStrictEqual(yield* page({ owner: ada }, null, 1), [[5], 5, 2])
      }).pipe(Effect.provide(layer))
    )

    it.effect("pages are by what they are asked to be by, each volume once, also where many are alike", () =>
      Effect.gen(function* () {
        const { inventory } = yield* started
        // the last but one is before the last by UTF-16, and after it by code point
        const names = ["b", "a", "b", "", "ab", "\u{1F600}", "\uFF21"].map((name) => `x${name}`)
        for (const [n, name] of names.entries()) {
          const owner = n % 3 === 0 ? {} : { owner: UserName.make(n % 3 === 1 ? "bob" : "ada") }
          yield* inventory.admitVolume({ ...request(null), name, size: 7 - (n % 3), ...owner }, at(null))
        }
        const walk = Effect.fnUntraced(function* (order: VolumeOrder, limit: number) {
          const ids: Array<number> = []
          let after: Position | null = null
          do {
            const page: Page<Volume> = yield* inventory.volumePage({ name: "x" }, after, limit, order)
            assert.strictEqual(page.total, names.length)
            ids.push(...page.items.map(({ id }) => Number(id)))
            after = page.next
          } while (after !== null)
          return ids
        })
        const orders = {
          id: [1, 2, 3, 4, 5, 6, 7],
          name: [4, 2, 5, 1, 3, 7, 6],
          size: [3, 6, 2, 5, 1, 4, 7],
          owner: [1, 4, 7, 3, 6, 2, 5]
        } as const
        for (const by of ["id", "name", "size", "owner"] as const) {
          for (const limit of [1, 2, 3, 7, 100]) {
            assert.deepStrictEqual(yield* walk({ by, descending: false }, limit), [...orders[by]], `${by} ${limit}`)
            assert.deepStrictEqual(
              yield* walk({ by, descending: true }, limit),
              orders[by].toReversed(),
              `-${by} ${limit}`
            )
          }
        }
      }).pipe(Effect.provide(layer))
    )

    it.effect(
      "an image is published of what is free for it, is dropped without a trace, and not deleted meanwhile",
      () =>
        Effect.gen(function* () {
          const { attachTo, change, end, inventory, journal, snapshotOf, trash, vmIn, volumeAt } = yield* started
          const vm = yield* vmIn("stopped")
          const volume = yield* volumeAt(1)
          const snapshot = yield* snapshotOf(volume.id)
          yield* attachTo(volume.id, vm.id)
          const config = (name: string) => ({
            source: { host: null, path: `/kept/${name}` },
            name,
            format: "qcow2" as const
          })
          const publish = (of: Publishable, name: string) =>
            inventory.publishImage(of, () => Effect.succeed(config(name)))
          const tagOf = (of: Publishable) => Effect.map(Effect.flip(publish(of, "none")), (error) => error._tag)
          const before = yield* inventory.allImages

          assert.strictEqual(yield* Effect.flip(inventory.publishImage({ vm: vm.id }, () => Effect.fail("no"))), "no")
          const asked = inventory.publishImage(
            { vm: vm.id },
            () => Effect.succeed(config("a")),
            () => Effect.die("taken back")
          )
          assert.isTrue(Exit.isFailure(yield* Effect.exit(asked)))
          assert.deepStrictEqual(yield* inventory.allImages, before)

          const first = yield* publish({ vm: vm.id }, "a")
          assert.deepInclude(first.image, {
            origin: "vm",
            state: "quarantine",
            wanted: { of: vm.id },
            config: config("a")
          })
          assert.deepInclude(first.operation, {
            kind: "PublishVm",
            vmId: vm.id,
            volumeId: null,
            detail: { image: first.image.id }
          })
          assert.deepInclude(first, { vm, volume: null, snapshot: null })
          assert.deepStrictEqual(yield* inventory.operation(first.operation.id), Option.some(first.operation))
          assert.strictEqual(yield* tagOf({ vm: vm.id }), "VmBusy")
          assert.strictEqual(yield* tagOf({ volume: volume.id }), "VmBusy")
          assert.strictEqual(
            (yield* Effect.flip(inventory.deleteImage(first.image.id))).message,
            `image ${first.image.id} (a) is being published by operation ${first.operation.id}: cancel that`
          )
          yield* inventory.dropImage(first.image.id)
          yield* inventory.dropImage(first.image.id)
          yield* journal.record(first.operation.id, { state: { to: "failed" } })
          assert.deepStrictEqual(yield* inventory.allImages, before)

          const second = yield* publish({ snapshot: snapshot.id }, "b")
          assert.deepInclude(second.image, { origin: "snapshot", wanted: { of: snapshot.id } })
          assert.deepInclude(second.operation, {
            kind: "PublishVolume",
            vmId: vm.id,
            volumeId: volume.id,
            snapshotId: snapshot.id
          })
          assert.deepInclude(second, { vm, snapshot })
          assert.strictEqual(yield* tagOf({ volume: volume.id }), "VolumeBusy")
          assert.strictEqual((yield* Effect.flip(change(volume.id, {})))._tag, "VolumeBusy")
          yield* inventory.settleImage(second.image.id, "available")
          yield* journal.record(second.operation.id, { state: { to: "done" } })
          yield* inventory.deleteImage(second.image.id)

          const other = yield* volumeAt(1)
          const third = yield* publish({ volume: other.id }, "c")
          assert.deepInclude(third.operation, {
            kind: "PublishVolume",
            vmId: null,
            volumeId: other.id,
            snapshotId: null
          })
          yield* end(third.operation, {})
          yield* trash(other.id, 0)
          // that it is in the trash is for whoever decides
          const { volume: seen } = yield* publish({ volume: other.id }, "d")
          assert.strictEqual(seen?.state, "deleted")
          assert.strictEqual(yield* tagOf({ vm: VmId.make(99) }), "VmNotFound")
          assert.strictEqual(yield* tagOf({ volume: VolumeId.make(99) }), "VolumeNotFound")
          assert.strictEqual(yield* tagOf({ snapshot: SnapshotId.make(99) }), "SnapshotNotFound")
        }).pipe(Effect.provide(layer))
    )

    describe("changeVolume", () => {
      it.effect("with a key takes one snapshot, however often it is asked for", () =>
        Effect.gen(function* () {
          const { end, inventory, volumeAt } = yield* started
          const volume = yield* volumeAt(null)
          const take = (key: string, fingerprint: string) =>
            inventory.changeVolume(
              volume.id,
              null,
              () => Effect.succeed({ newSnapshot: { name: "monday" }, operation: { kind: "CreateSnapshot" } }),
              { key, fingerprint }
            )
          const first = yield* take("a", "monday")
          const snapshotId = first.snapshot!.id
          // also while it is under way, and when it has ended
          assert.strictEqual((yield* take("a", "monday")).operation?.id, first.operation?.id)
          yield* end(first.operation, { snapshot: { id: snapshotId, state: "ready" } })
          const again = yield* take("a", "monday")
          assert.strictEqual(again.operation?.id, first.operation?.id)
          assert.deepInclude(again.snapshot, { id: snapshotId, state: "ready" })
          assert.lengthOf(yield* inventory.snapshots(volume.id), 1)
          assert.strictEqual((yield* Effect.flip(take("a", "tuesday")))._tag, "KeyReused")
          assert.notStrictEqual((yield* take("b", "monday")).operation?.id, first.operation?.id)
        }).pipe(Effect.provide(layer))
      )

      it.effect("shows the decision everything as it is at this moment", () =>
        Effect.gen(function* () {
          const { attachTo, change, cloneOf, end, inventory, journal, purge, snapshotOf, trash, vmIn, volumeAt } =
            yield* started
          const vm = yield* vmIn("running")
          const other = yield* vmIn("running", 2)
          const volume = yield* volumeAt(null)
          const first = yield* snapshotOf(volume.id, "first")
          const second = yield* snapshotOf(volume.id, "second")
          const gone = yield* change(volume.id, {
            newSnapshot: { name: "gone" },
            operation: { kind: "CreateSnapshot" }
          })
          yield* end(gone.operation, { snapshot: { id: gone.snapshot!.id, state: "failed" } }, "failed")
          const kept = yield* cloneOf(first.id, null, "kept")
          const inTrash = yield* Effect.flatMap(cloneOf(first.id, null, "in the trash"), ({ id }) => trash(id, 5))
          const purged = yield* cloneOf(first.id, null, "purged")
          yield* trash(purged.id, 5)
          yield* purge(purged.id)
          // of another VM
          yield* attachTo((yield* volumeAt(2)).id, other.id)
          const neighbour = yield* attachTo((yield* volumeAt(1)).id, vm.id, "vdc")
          const { volume: beginning } = yield* change((yield* volumeAt(1)).id, attaching(vm.id, "vdb"), vm.id)

          const views: Array<VolumeView> = []
          const look = (vmId: VmId | null) =>
            inventory.changeVolume(volume.id, vmId, (view) => {
              views.push(view)
              return Effect.succeed({})
            })
          assert.deepStrictEqual(yield* look(vm.id), { volume, operation: null, snapshot: null })
          yield* look(null)
          const snapshots = [
            { snapshot: first, clones: [kept, inTrash] },
            { snapshot: second, clones: [] }
          ]
          assert.deepStrictEqual(views, [
            { volume, snapshots, holder: null, vm, vmOperation: null, neighbours: [neighbour, beginning] },
            { volume, snapshots, holder: null, vm: null, vmOperation: null, neighbours: [] }
          ])
          yield* inventory.changeVolume(neighbour.id, null, (view) => {
            assert.deepStrictEqual(view.holder, vm)
            assert.isNull(view.vm)
            return Effect.succeed({})
          })

          const destroying = Option.getOrThrow(yield* inventory.beginDestroy(other.id))
          yield* look(other.id)
          assert.deepStrictEqual(views[2]?.vmOperation, destroying)
          assert.strictEqual(views[2]?.vm?.state, "destroying")
          yield* journal.record(destroying.id, { state: { to: "failed", error: "the host refused" } })
          yield* look(other.id)
          assert.isNull(views[3]?.vmOperation)
        }).pipe(Effect.provide(layer))
      )

      it.effect("writes what was decided, and the operation with what it has to know", () =>
        Effect.gen(function* () {
          const { end, inventory, journal, vmIn, volumeAt } = yield* started
          const vm = yield* vmIn("running", 2)
          const before = yield* volumeAt(1, 3)
          const begun = yield* inventory.changeVolume(before.id, vm.id, () =>
            Effect.succeed({
              state: "attaching",
              name: "other",
              size: 4,
              hostId: vm.hostId,
              pristine: false,
              releaseAsked: true,
              purgeAt: 5,
              attachment: { vmId: vm.id, target: "vdo" },
              operation: { kind: "AttachVolume", vmId: vm.id, detail: { formerHost: HostId.make(1), size: 4 } }
            } satisfies VolumeChange)
          )
          assert.deepInclude(begun.volume, {
            ...before,
            state: "attaching",
            name: "other",
            size: 4,
            hostId: vm.hostId,
            pristine: false,
            releaseAsked: true,
            purgeAt: 5,
            vmId: vm.id,
            target: "vdo"
          })
          assert.deepInclude(begun.operation, {
            kind: "AttachVolume",
            state: "pending",
            vmId: vm.id,
            volumeId: before.id,
            snapshotId: null,
            detail: { formerHost: HostId.make(1), size: 4 }
          })
          assert.deepStrictEqual(yield* inventory.volume(before.id), begun.volume)
          assert.deepStrictEqual(yield* inventory.volumeRecord(before.id), begun.volume)
          assert.deepStrictEqual(yield* journal.unfinished, [begun.operation!])
          // what is absent stays; null is said
          const after = yield* end(begun.operation, { state: "available", attachment: null, purgeAt: null })
          assert.deepInclude(after, { ...begun.volume, state: "available", vmId: null, target: null, purgeAt: null })
        }).pipe(Effect.provide(layer))
      )

      it.effect("finds no volume that never was, and no VM that never was", () =>
        Effect.gen(function* () {
          const { change, end, inventory, volumeAt } = yield* started
          const { operation, volume } = yield* inventory.admitVolume(request(1), at(1))
          yield* end(operation, { state: "failed" }, "failed")
          for (const id of [volume.id, VolumeId.make(4711)]) {
            const error = yield* Effect.flip(change(id, {}))
            assert.strictEqual(error.message, `volume ${id} does not exist`)
          }
          const there = yield* volumeAt(1)
          const error = yield* Effect.flip(change(there.id, {}, VmId.make(99)))
          assert.strictEqual(error.message, "VM 99 does not exist")
        }).pipe(Effect.provide(layer))
      )

      it.effect("waits for the end of what is being done with the volume, and says what that is", () =>
        Effect.gen(function* () {
          const { change, end, inventory, vmIn, volumeAt } = yield* started
          const vm = yield* vmIn("running")
          const { operation, volume } = yield* inventory.admitVolume(request(1), at(1))
          const busy = (doing: string, by: Operation | null) =>
            Effect.map(Effect.flip(change(volume.id, {}, vm.id)), (error) => {
              assert.strictEqual(
                error.message,
                `volume ${volume.id} (${volume.name}) is busy (${doing}): try again when that has ended`
              )
              assert.strictEqual(error._tag === "VolumeBusy" && error.operationId, by?.id)
            })
          yield* busy("it is still being created", operation)
          // the row alone does not end it
          yield* inventory.settleVolume(volume.id, { state: "available" })
          yield* busy("it is still being created", operation)
          yield* end(operation, {})
          const words: ReadonlyArray<readonly [OperationKind, string]> = [
            ["DestroyVolume", "it is being destroyed"],
            ["RestoreVolume", "it is being restored"],
            ["PurgeVolume", "it is being purged"],
            ["AttachVolume", "it is being attached"],
            ["DetachVolume", "it is being detached"],
            ["GrowVolume", "it is growing"],
            ["RenameVolume", "it is being renamed"],
            ["RevertVolume", "it is being reverted to a snapshot"],
            ["CreateSnapshot", "a snapshot is being made"],
            ["DestroySnapshot", "a snapshot is being destroyed"],
            ["PublishVolume", "it is being published as an image"]
          ]
          for (const [kind, doing] of words) {
            const begun = yield* change(volume.id, { operation: { kind } })
            yield* busy(doing, begun.operation)
            yield* end(begun.operation, {}, kind === "GrowVolume" ? "failed" : "done")
          }
          yield* change(volume.id, {})
          // nobody else has to wait
          yield* change((yield* volumeAt(1)).id, { operation: { kind: "RenameVolume" } })
        }).pipe(Effect.provide(layer))
      )

      it.effect("changes nothing when the decision is a refusal, dies or is interrupted", () =>
        Effect.gen(function* () {
          const { inventory, vmIn, volumeAt } = yield* started
          const vm = yield* vmIn("running")
          const { id } = yield* volumeAt(1)
          const before = yield* everything
          const refusal = new Errors.VolumeConflict({ volumeId: id, reason: "is not to be changed" })
          const refused = yield* Effect.flip(inventory.changeVolume(id, vm.id, () => refusal))
          assert.strictEqual(refused.message, "volume 1 is not to be changed")
          for (const decide of [() => Effect.die("broken"), () => Effect.interrupt]) {
            assert.isTrue(Exit.isFailure(yield* Effect.exit(inventory.changeVolume(id, vm.id, decide))))
          }
          assert.deepStrictEqual(yield* everything, before)
        }).pipe(Effect.provide(layer))
      )

      it.effect("lets a volume grow as far as there is room on its host", () =>
        Effect.gen(function* () {
          const { change, end, inventory, promised, vmIn, volumeAt } = yield* started
          yield* inventory.setHostFacts(HostId.make(1), facts({ cpu: 9, ram: 9999, disk: 10 }))
          yield* vmIn("running")
          const { id } = yield* volumeAt(1, 4)
          const grow = (size: number) => change(id, { size, operation: { kind: "GrowVolume", detail: { size } } })
          const before = yield* everything
          const refused = yield* Effect.flip(grow(10))
          assert.strictEqual(refused._tag, "VolumeConflict")
          assert.strictEqual(refused.message, "volume 1 (data) needs 6 GiB more on root@a, where 5 GiB are free")
          assert.deepStrictEqual(yield* everything, before)
          const { operation, volume } = yield* grow(9)
          assert.strictEqual(volume.size, 9)
          assert.deepStrictEqual(yield* promised, [10, 0, 0, undefined])
          // it could not be done: what it was to grow by is free again
          yield* end(operation, { size: 4 }, "failed")
          assert.deepStrictEqual(yield* promised, [5, 0, 0, undefined])
        }).pipe(Effect.provide(layer))
      )

      it.effect("lets a volume grow as far as there is room in its pool", () =>
        Effect.gen(function* () {
          const { change, inventory, promised, volumeAt } = yield* started
          yield* inventory.setPool(pool(10))
          const { id } = yield* volumeAt(null, 4)
          const grow = (size: number) => change(id, { size, operation: { kind: "GrowVolume", detail: { size } } })
          const before = yield* everything
          const refused = yield* Effect.flip(grow(11))
          assert.strictEqual(refused.message, `pool vms has no room for 7 GiB: 4 of 10 GiB are promised${wayOut}`)
          assert.deepStrictEqual(yield* everything, before)
          yield* grow(10)
          assert.deepStrictEqual(yield* promised, [0, 0, 0, 10])
        }).pipe(Effect.provide(layer))
      )

      it.effect("asks for no room for what needs none, however full it is", () =>
        Effect.gen(function* () {
          const { attachTo, change, end, inventory, snapshotOf, trash, vmIn, volumeAt } = yield* started
          const vm = yield* vmIn("running")
          const here = yield* volumeAt(1, 4)
          const there = yield* volumeAt(null, 4)
          // both lost much of what they had
          yield* inventory.setHostFacts(HostId.make(1), facts({ cpu: 1, ram: 512, disk: 1 }))
          yield* inventory.setPool(pool(1, { available: 0 }))
          for (const { id } of [here, there]) {
            yield* attachTo(id, vm.id, `vd${id === here.id ? "b" : "c"}`)
            const renaming = yield* change(id, { name: "new", operation: { kind: "RenameVolume" } })
            yield* end(renaming.operation, {})
            const detaching = yield* change(id, { state: "detaching", operation: { kind: "DetachVolume" } })
            yield* end(detaching.operation, { state: "available", attachment: null })
          }
          // in a pool a snapshot shares what it has with its volume
          yield* snapshotOf(there.id)
          for (const { id } of [here, there]) yield* trash(id, 0)
        }).pipe(Effect.provide(layer))
      )

      it.effect("counts snapshots on a host, where they are full copies, and not in a pool", () =>
        Effect.gen(function* () {
          const { change, end, inventory, promised, snapshotOf, volumeAt } = yield* started
          yield* inventory.setHostFacts(HostId.make(1), facts({ cpu: 9, ram: 9999, disk: 10 }))
          yield* inventory.setPool(pool(10))
          const here = yield* volumeAt(1, 3)
          const there = yield* volumeAt(null, 4)
          yield* snapshotOf(there.id)
          const first = yield* snapshotOf(here.id)
          assert.deepInclude(first, { volumeId: here.id, size: 3, state: "ready" })
          assert.deepStrictEqual(yield* promised, [6, 0, 0, 4])
          const growing = yield* change(here.id, { size: 4, operation: { kind: "GrowVolume" } })
          yield* end(growing.operation, {})
          const before = yield* everything
          const refused = yield* Effect.flip(snapshotOf(here.id))
          assert.strictEqual(refused.message, "volume 1 (data) needs 4 GiB more on root@a, where 3 GiB are free")
          assert.deepStrictEqual(yield* everything, before)

          const id = first.id
          const destroying = yield* change(here.id, {
            snapshot: { id, state: "destroying" },
            operation: { kind: "DestroySnapshot", snapshotId: id }
          })
          assert.strictEqual(destroying.operation?.snapshotId, id)
          assert.strictEqual((yield* inventory.snapshot(id)).state, "destroying")
          // promised until it is gone
          assert.deepStrictEqual(yield* promised, [7, 0, 0, 4])
          yield* end(destroying.operation, { snapshot: { id, state: "destroyed" } })
          assert.deepStrictEqual(yield* promised, [4, 0, 0, 4])
          assert.deepStrictEqual(yield* inventory.snapshots(here.id), [])
          // one that could not be made is promised nothing
          const making = yield* change(here.id, { newSnapshot: { name: "x" }, operation: { kind: "CreateSnapshot" } })
          assert.strictEqual(making.operation?.snapshotId, making.snapshot?.id)
          yield* end(making.operation, { snapshot: { id: making.snapshot!.id, state: "failed" } }, "failed")
          assert.deepStrictEqual(yield* promised, [4, 0, 0, 4])
        }).pipe(Effect.provide(layer))
      )

      it.effect("takes what is promised along to another host, if that has room", () =>
        Effect.gen(function* () {
          const { change, end, inventory, promised, vmIn, volumeAt } = yield* started
          yield* inventory.setHostFacts(HostId.make(2), facts({ cpu: 9, ram: 9999, disk: 6 }))
          const vm = yield* vmIn("running", 2)
          const { id } = yield* volumeAt(1, 5)
          const tooLarge = yield* volumeAt(1, 6)
          const along = { ...attaching(vm.id), hostId: vm.hostId }
          const refused = yield* Effect.flip(change(tooLarge.id, along, vm.id))
          assert.strictEqual(refused.message, "volume 2 (data) needs 6 GiB more on root@b, where 5 GiB are free")
          assert.deepStrictEqual(yield* promised, [11, 1, 0, undefined])
          const { operation } = yield* change(id, along, vm.id)
          assert.deepStrictEqual(yield* promised, [6, 6, 0, undefined])
          yield* end(operation, { state: "available", attachment: null, hostId: HostId.make(1) }, "failed")
          assert.deepStrictEqual(yield* promised, [11, 1, 0, undefined])
        }).pipe(Effect.provide(layer))
      )

      it.effect("lets exactly one of many attaches of a volume win", () =>
        Effect.gen(function* () {
          const { inventory, journal, vmIn, volumeAt } = yield* started
          const vms = yield* Effect.all(Array.from({ length: 20 }, () => vmIn("running")))
          const { id } = yield* volumeAt(1)
          const exits = yield* Effect.forEach(
            vms,
            (vm) => Effect.either(inventory.changeVolume(id, vm.id, Rules.attach)),
            { concurrency: "unbounded" }
          )
          const won = exits.flatMap((exit) => (exit._tag === "Right" ? [exit.right] : []))
          assert.strictEqual(won.length, 1)
          const lost = exits.flatMap((exit) => (exit._tag === "Left" ? [exit.left._tag] : []))
          assert.deepStrictEqual(new Set(lost), new Set(["VolumeBusy"]))
          assert.deepStrictEqual(yield* inventory.volume(id), won[0]?.volume)
          assert.deepStrictEqual(yield* journal.unfinished, [won[0]!.operation!])
        }).pipe(Effect.provide(layer))
      )

      it.effect("gives every volume of a VM a place of its own", () =>
        Effect.gen(function* () {
          const { attachTo, change, inventory, vmIn, volumeAt } = yield* started
          const vm = yield* vmIn("running")
          const other = yield* vmIn("running")
          const volumes = yield* Effect.all(Array.from({ length: 14 }, () => volumeAt(1)))
          const begun = yield* Effect.forEach(volumes, ({ id }) => inventory.changeVolume(id, vm.id, Rules.attach), {
            concurrency: "unbounded"
          })
          const targets = begun.map(({ volume }) => volume.target)
          assert.deepStrictEqual(
            targets.toSorted(),
            Array.from("bcdefghijklmno", (letter) => `vd${letter}`)
          )
          const one = yield* volumeAt(1)
          const refused = yield* Effect.flip(inventory.changeVolume(one.id, vm.id, Rules.attach))
          assert.strictEqual(
            refused.message,
            `volume 15 (data) cannot be attached to VM ${vm.id} (${vm.name}), which has 14 volumes and room for no more: detach one first`
          )
          // whoever decides wrongly is stopped by the table
          const before = yield* everything
          const error = yield* Effect.flip(change(one.id, attaching(vm.id, "vdc"), vm.id))
          assert.strictEqual(error._tag, "PersistenceError")
          assert.deepStrictEqual(yield* everything, before)
          yield* attachTo(one.id, other.id, "vdc")
        }).pipe(Effect.provide(layer))
      )
    })

    describe("settleVolume", () => {
      it.effect("is written whatever else there is", () =>
        Effect.gen(function* () {
          const { inventory, promised, volumeAt } = yield* started
          yield* inventory.setHostFacts(HostId.make(1), facts({ cpu: 9, ram: 9999, disk: 5 }))
          yield* inventory.setPool(pool(5))
          const here = yield* volumeAt(1, 5)
          const there = yield* volumeAt(null, 5)
          for (const { id } of [here, there]) yield* inventory.settleVolume(id, { size: 9 })
          assert.deepStrictEqual(yield* promised, [9, 0, 0, 9])
          assert.strictEqual((yield* inventory.volume(here.id)).size, 9)
          // safe to repeat
          yield* inventory.settleVolume(here.id, { size: 9 })
          assert.deepStrictEqual(yield* promised, [9, 0, 0, 9])
        }).pipe(Effect.provide(layer))
      )

      it.effect("gives back what was promised with the failure or the purge, not with the trash", () =>
        Effect.gen(function* () {
          const { end, inventory, promised, purge, snapshotOf, trash, volumeAt } = yield* started
          yield* inventory.setPool(pool(10))
          const { operation } = yield* inventory.admitVolume(request(1, 3), at(1))
          assert.deepStrictEqual(yield* promised, [3, 0, 0, 0])
          yield* end(operation, { state: "failed" }, "failed")
          assert.deepStrictEqual(yield* promised, [0, 0, 0, 0])
          for (const where of [1, null]) {
            const { id } = yield* volumeAt(where, 3)
            const snapshot = yield* snapshotOf(id)
            const full = where === null ? [0, 0, 0, 3] : [6, 0, 0, 0]
            yield* trash(id, 5)
            assert.deepStrictEqual(yield* promised, full)
            assert.deepStrictEqual(yield* inventory.snapshots(id), [snapshot])
            yield* purge(id)
            assert.deepStrictEqual(yield* promised, [0, 0, 0, 0])
            // they went with it
            assert.deepStrictEqual(yield* inventory.snapshots(id), [])
            const unknown = yield* Effect.flip(inventory.snapshot(snapshot.id))
            assert.strictEqual(unknown.message, `snapshot ${snapshot.id} does not exist`)
            assert.strictEqual((yield* inventory.snapshotRecord(snapshot.id)).state, "destroyed")
          }
        }).pipe(Effect.provide(layer))
      )

      it.effect("of a volume that never was is a defect", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          const exit = yield* Effect.exit(inventory.settleVolume(VolumeId.make(9), { state: "available" }))
          assert.isTrue(Exit.isFailure(exit))
        }).pipe(Effect.provide(layer))
      )
    })

    describe("a VM's end", () => {
      it.effect("makes its volumes available again, and leaves the others alone", () =>
        Effect.gen(function* () {
          const { attachTo, inventory, journal, promised, vmIn, volumeAt } = yield* started
          yield* inventory.setPool(pool(10))
          const vm = yield* vmIn("running")
          const other = yield* vmIn("running")
          const here = yield* attachTo((yield* volumeAt(1, 3)).id, vm.id, "vdb")
          const there = yield* attachTo((yield* volumeAt(null, 4)).id, vm.id, "vdc")
          yield* inventory.settleVolume(there.id, { releaseAsked: true })
          const others = yield* attachTo((yield* volumeAt(1)).id, other.id)
          assert.deepStrictEqual(ids(yield* inventory.volumes({ vm: vm.id })), [here.id, there.id])

          const destroying = Option.getOrThrow(yield* inventory.beginDestroy(vm.id))
          assert.strictEqual((yield* inventory.volume(here.id)).state, "attached")
          yield* inventory.setVmState(vm.id, "destroyed")
          yield* journal.record(destroying.id, { state: { to: "done" } })
          for (const { id } of [here, there]) {
            const free = { state: "available", vmId: null, target: null, releaseAsked: false } as const
            assert.deepInclude(yield* inventory.volume(id), free)
            assert.deepInclude(yield* inventory.volumeRecord(id), free)
          }
          assert.deepStrictEqual(yield* inventory.volumes({ vm: vm.id }), [])
          assert.deepStrictEqual(yield* inventory.volume(others.id), others)
          // kept, and promised as before
          assert.deepStrictEqual(yield* promised, [5, 0, 0, 4])
          // once more changes nothing
          yield* attachTo(here.id, other.id, "vdc")
          yield* inventory.setVmState(vm.id, "destroyed")
          assert.strictEqual((yield* inventory.volume(here.id)).vmId, other.id)
        }).pipe(Effect.provide(layer))
      )

      it.effect("waits for attaches and detaches of its volumes", () =>
        Effect.gen(function* () {
          const { attachTo, change, end, inventory, vmIn, volumeAt } = yield* started
          const vm = yield* vmIn("running")
          const first = yield* attachTo((yield* volumeAt(1)).id, vm.id)
          const second = yield* volumeAt(1)
          const detaching = yield* change(first.id, {
            state: "detaching",
            operation: { kind: "DetachVolume", vmId: vm.id }
          })
          // several volumes of one VM at the same time
          const beginning = yield* change(second.id, attaching(vm.id, "vdc"), vm.id)
          const busy = (doing: string, by: Operation | null) =>
            Effect.map(Effect.flip(inventory.beginDestroy(vm.id)), (error) => {
              assert.strictEqual(
                error.message,
                `VM ${vm.id} (${vm.name}) is busy (${doing}): try again when that has ended`
              )
              assert.strictEqual(error._tag === "VmBusy" && error.operationId, by?.id)
            })
          yield* busy(`volume ${first.id}: it is being detached`, detaching.operation)
          yield* end(detaching.operation, { state: "available", attachment: null })
          yield* busy(`volume ${second.id}: it is being attached`, beginning.operation)
          assert.strictEqual((yield* inventory.vm(vm.id)).state, "running")
          yield* end(beginning.operation, { state: "attached" })
          assert.isTrue(Option.isSome(yield* inventory.beginDestroy(vm.id)))
        }).pipe(Effect.provide(layer))
      )

      it.effect("in the middle of a detach that then fails leaves nothing attached to nobody", () =>
        Effect.gen(function* () {
          const { attachTo, change, end, inventory, journal, vmIn, volumeAt } = yield* started
          const vm = yield* vmIn("running")
          const { id } = yield* attachTo((yield* volumeAt(1)).id, vm.id)
          const destroying = Option.getOrThrow(yield* inventory.beginDestroy(vm.id))
          const { operation } = yield* change(id, {
            state: "detaching",
            operation: { kind: "DetachVolume", vmId: vm.id }
          })
          yield* inventory.setVmState(vm.id, "destroyed")
          yield* journal.record(destroying.id, { state: { to: "done" } })
          const after = yield* end(operation, { state: "attached", releaseAsked: true }, "failed")
          assert.deepInclude(after, { state: "available", vmId: null, releaseAsked: false })
          assert.deepStrictEqual(yield* inventory.volume(id), after)
        }).pipe(Effect.provide(layer))
      )
    })

    describe("a VM whose definition is being written", () => {
      it.effect.each(["RepairVm", "SetCloudInit", "ResizeVm"] as const)(
        "(%s) is given no volume and loses none until that has ended",
        (kind) =>
          Effect.gen(function* () {
            const { attachTo, change, inventory, journal, vmIn, volumeAt } = yield* started
            const vm = yield* vmIn("running")
            const attached = yield* attachTo((yield* volumeAt(1)).id, vm.id)
            const free = yield* volumeAt(1)
            const under =
              kind === "RepairVm"
                ? yield* inventory.beginOnVm(vm.id, kind, { repair: ["definition", "disks"] })
                : kind === "SetCloudInit"
                  ? yield* inventory.changeCloudInit(vm.id, (now) => Effect.succeed(now))
                  : yield* inventory.beginResize(vm.id, vm.instanceType, () => Effect.void)
            const attach = change(free.id, attaching(vm.id, "vdc"), vm.id)
            const detach = change(attached.id, {
              state: "detaching",
              operation: { kind: "DetachVolume", vmId: vm.id }
            })
            for (const refused of [attach, detach]) {
              const error = yield* Effect.flip(refused)
              assert.strictEqual(error._tag === "VmBusy" && error.operationId, under.id)
              assert.include(error.message, `VM ${vm.id} (${vm.name}) is busy (`)
            }
            assert.deepStrictEqual(yield* inventory.volume(attached.id), attached)
            assert.deepStrictEqual(yield* inventory.volume(free.id), free)
            // what is no matter of its definition goes on
            yield* change(attached.id, { operation: { kind: "GrowVolume", vmId: vm.id } })
            yield* journal.record(under.id, { state: { to: "done" } })
            yield* attach
          }).pipe(Effect.provide(layer))
      )
    })

    describe("what there is", () => {
      it.effect("is told by id, also what is in the trash, until it is purged or its creation failed", () =>
        Effect.gen(function* () {
          const { end, inventory, purge, trash, volumeAt } = yield* started
          const kept = yield* volumeAt(1)
          const deleted = yield* trash((yield* volumeAt(1)).id, 5)
          const purged = yield* trash((yield* volumeAt(1)).id, 5)
          yield* purge(purged.id)
          const { operation, volume: failed } = yield* inventory.admitVolume(request(1), at(1))
          yield* end(operation, { state: "failed" }, "failed")
          assert.deepStrictEqual(yield* inventory.volumes(), [kept, deleted])
          assert.strictEqual((yield* inventory.volume(deleted.id)).state, "deleted")
          // destroyed is not unknown
          assert.strictEqual((yield* inventory.volume(purged.id)).state, "purged")
          for (const id of [failed.id, VolumeId.make(99)]) {
            assert.strictEqual((yield* Effect.flip(inventory.volume(id))).message, `volume ${id} does not exist`)
          }
          assert.strictEqual((yield* inventory.volumeRecord(failed.id)).state, "failed")
          assert.strictEqual((yield* Effect.flip(inventory.volumeRecord(VolumeId.make(99))))._tag, "VolumeNotFound")
          // one that comes back stands where it stood
          const restoring = yield* Effect.flatMap(Inventory, (i) =>
            i.changeVolume(kept.id, null, () => Effect.succeed({ operation: { kind: "RestoreVolume" as const } }))
          )
          yield* end(restoring.operation, { state: "available", purgeAt: null })
          assert.deepStrictEqual(ids(yield* inventory.volumes()), [kept.id, deleted.id])
        }).pipe(Effect.provide(layer))
      )

      it.effect("is due to be purged when its time has come, oldest first", () =>
        Effect.gen(function* () {
          const { change, end, inventory, purge, trash, volumeAt } = yield* started
          const later = yield* trash((yield* volumeAt(1)).id, 2_000)
          const sooner = yield* trash((yield* volumeAt(null)).id, 1_000)
          const restored = yield* trash((yield* volumeAt(1)).id, 500)
          const purged = yield* trash((yield* volumeAt(1)).id, 500)
          const never = yield* volumeAt(1)
          yield* purge(purged.id)
          const restoring = yield* change(restored.id, { state: "restoring", operation: { kind: "RestoreVolume" } })
          assert.deepStrictEqual(yield* inventory.volumesToPurge(9_999), [sooner.id, later.id])
          yield* end(restoring.operation, { state: "available", purgeAt: null })
          assert.deepStrictEqual(yield* inventory.volumesToPurge(999), [])
          assert.deepStrictEqual(yield* inventory.volumesToPurge(1_000), [sooner.id])
          assert.deepStrictEqual(yield* inventory.volumesToPurge(2_000), [sooner.id, later.id])
          assert.strictEqual((yield* inventory.volume(never.id)).purgeAt, null)
        }).pipe(Effect.provide(layer))
      )

      it.effect("of snapshots is told by id, until they are destroyed or could not be made", () =>
        Effect.gen(function* () {
          const { change, end, inventory, snapshotOf, volumeAt } = yield* started
          const { id } = yield* volumeAt(1)
          const other = yield* volumeAt(1)
          const first = yield* snapshotOf(id, "first")
          yield* snapshotOf(other.id, "of another")
          const begun = yield* change(id, { newSnapshot: { name: "third" }, operation: { kind: "CreateSnapshot" } })
          assert.deepStrictEqual(yield* inventory.snapshots(id), [first, begun.snapshot!])
          assert.deepStrictEqual(yield* inventory.snapshot(begun.snapshot!.id), begun.snapshot)
          yield* end(begun.operation, { snapshot: { id: begun.snapshot!.id, state: "failed" } }, "failed")
          assert.deepStrictEqual(yield* inventory.snapshots(id), [first])
          const unknown = yield* Effect.flip(inventory.snapshot(begun.snapshot!.id))
          assert.strictEqual(unknown.message, `snapshot ${begun.snapshot!.id} does not exist`)
          assert.strictEqual((yield* inventory.snapshotRecord(begun.snapshot!.id)).state, "failed")
          assert.strictEqual(
            (yield* Effect.flip(inventory.snapshotRecord(SnapshotId.make(99))))._tag,
            "SnapshotNotFound"
          )
        }).pipe(Effect.provide(layer))
      )

      it.effect("never gets the id of another", () =>
        Effect.gen(function* () {
          const { change, end, inventory, purge, snapshotOf, trash, volumeAt } = yield* started
          const first = yield* trash((yield* volumeAt(1)).id, 0)
          yield* purge(first.id)
          const { operation, volume: second } = yield* inventory.admitVolume(request(1), at(1))
          yield* end(operation, { state: "failed" }, "failed")
          const third = yield* volumeAt(1)
          assert.deepStrictEqual(ids([first, second, third]), [1, 2, 3])
          const before = yield* snapshotOf(third.id)
          const destroying = yield* change(third.id, {
            snapshot: { id: before.id, state: "destroying" },
            operation: { kind: "DestroySnapshot", snapshotId: before.id }
          })
          yield* end(destroying.operation, { snapshot: { id: before.id, state: "destroyed" } })
          assert.deepStrictEqual(ids([before, yield* snapshotOf(third.id)]), [1, 2])
        }).pipe(Effect.provide(layer))
      )
    })

    describe("the input files", () => {
      it.effect("can neither drop a host that has volumes, nor change its path", () =>
        Effect.gen(function* () {
          const { inventory, purge, trash, vmIn, volumeAt } = yield* started
          yield* vmIn("running", 1)
          const here = yield* volumeAt(1)
          const alone = yield* trash((yield* volumeAt(2, 1, "old")).id, 0)
          // in a pool it is on no host
          yield* volumeAt(null)
          const hosts = [host("a", { path: "/srv/vms" }), host("c")]
          const problems = Effect.map(Effect.flip(inventory.applyFleet({ ...fleet, hosts })), (error) =>
            error._tag === "FleetConflict" ? error.problems : []
          )
          const ofA =
            "host root@a (id 1): its path cannot become /srv/vms while VM 1 (web) and volume 1 (data) have their disks " +
            "in /var/lib/vmfabric"
          assert.deepStrictEqual(yield* problems, [
            ofA,
            "host root@b (id 2) is no longer in the machine file, but has volume 2 (old): put its line back, or destroy " +
              "what is there first"
          ])
          yield* purge(alone.id)
          assert.deepStrictEqual(yield* problems, [ofA])
          yield* inventory.setVmState(VmId.make(1), "destroyed")
          assert.include((yield* problems)[0], "while volume 1 (data) has its disk in /var/lib/vmfabric")
          yield* trash(here.id, 0)
          yield* purge(here.id)
          yield* inventory.applyFleet({ ...fleet, hosts })
          assert.deepStrictEqual(
            (yield* inventory.hosts).map(({ host }) => host.id),
            [HostId.make(1), HostId.make(3)]
          )
        }).pipe(Effect.provide(layer))
      )

      it.effect("cannot drop a host that a volume is just leaving", () =>
        Effect.gen(function* () {
          const { change, end, inventory, vmIn, volumeAt } = yield* started
          const vm = yield* vmIn("running", 1)
          const { id } = yield* volumeAt(2)
          const { operation } = yield* change(
            id,
            {
              ...attaching(vm.id),
              hostId: vm.hostId,
              operation: { kind: "AttachVolume", vmId: vm.id, detail: { formerHost: HostId.make(2) } }
            },
            vm.id
          )
          const fewer = { ...fleet, hosts: [host("a"), host("c")] }
          assert.include((yield* Effect.flip(inventory.applyFleet(fewer))).message, "but has volume 1 (data)")
          yield* end(operation, { state: "attached" })
          yield* inventory.applyFleet(fewer)
        }).pipe(Effect.provide(layer))
      )
    })

    const Step = FastCheck.record({
      what: FastCheck.constantFrom(
        ...(["create", "create", "create in pool", "create in pool", "attach", "attach", "attach", "detach"] as const),
        ...(["grow", "snapshot", "destroy snapshot", "destroy", "restore", "purge", "destroy VM"] as const)
      ),
      n: FastCheck.nat(40),
      m: FastCheck.nat(5),
      fails: FastCheck.boolean()
    })

    it.effect.prop(
      "whatever happens at once, what is promised is the sum of what exists, and no volume has two VMs",
      { steps: FastCheck.array(Step, { minLength: 100, maxLength: 100, size: "max" }) },
      ({ steps }) =>
        Effect.gen(function* () {
          const { inventory, journal, vmIn } = yield* started
          for (const id of [1, 2, 3])
            yield* inventory.setHostFacts(HostId.make(id), facts({ cpu: 9, ram: 9999, disk: 12 }))
          yield* inventory.setPool(pool(12))
          for (const where of [1, 2, 3]) for (const disk of [dir, inPool()]) yield* vmIn("running", where, "web", disk)

          const finish = (operation: Operation | null, volumeId: VolumeId, change: VolumeChange, fails: boolean) =>
            operation === null
              ? Effect.void
              : inventory
                  .settleVolume(volumeId, change)
                  .pipe(Effect.zipRight(journal.record(operation.id, { state: { to: fails ? "failed" : "done" } })))

          /** Decided by the real rules, ended as the sagas end. */
          const perform = Effect.fnUntraced(function* ({ fails, m, n, what }: (typeof steps)[number]) {
            const size = (n % 3) + 1
            if (what === "create" || what === "create in pool") {
              const where = what === "create" ? 1 : null
              const { operation, volume } = yield* inventory.admitVolume(
                request(where, size),
                (usage): Effect.Effect<HostId | null, Errors.NoFeasibleHost> =>
                  where === null ? Effect.succeed(null) : spread(size)(usage)
              )
              return yield* finish(operation, volume.id, { state: fails ? "failed" : "available" }, fails)
            }
            if (what === "destroy VM") {
              const vm = VmId.make(m + 1)
              const begun = yield* inventory.beginDestroy(vm)
              if (begun._tag === "None" || n > 5) return
              yield* inventory.setVmState(vm, "destroyed")
              return yield* journal.record(begun.value.id, { state: { to: "done" } })
            }
            const volumes = yield* inventory.volumes()
            const volume = volumes[n % Math.max(1, volumes.length)]
            if (volume === undefined) return
            const snapshots = yield* inventory.snapshots(volume.id)
            const snapshot = snapshots[m % Math.max(1, snapshots.length)]?.id ?? SnapshotId.make(99)
            const rules: Record<typeof what, readonly [Rules.Rule, VolumeChange, VolumeChange]> = {
              attach: [Rules.attach, { state: "attached" }, { state: "available", attachment: null }],
              detach: [Rules.detach, { state: "available", attachment: null }, { state: "attached" }],
              grow: [Rules.grow(volume.size + size), {}, {}],
              snapshot: [Rules.snapshot("any", false, new Map()), {}, {}],
              "destroy snapshot": [Rules.destroySnapshot(snapshot, volume.hostId !== null), {}, {}],
              destroy: [
                Rules.destroy(5, volume.hostId !== null),
                { state: "deleted", purgeAt: 5 },
                { state: "available" }
              ],
              restore: [Rules.restore, { state: "available", purgeAt: null }, { state: "deleted" }],
              purge: [Rules.purge, { state: "purged" }, { state: "deleted" }]
            }
            const [rule, succeeded, failed] = rules[what]
            const begun = yield* inventory.changeVolume(volume.id, what === "attach" ? VmId.make(m + 1) : null, rule)
            const about = begun.operation?.snapshotId ?? null
            const former = begun.operation?.detail.formerSize
            yield* finish(
              begun.operation,
              volume.id,
              {
                ...(fails ? failed : succeeded),
                ...(fails && former !== undefined ? { size: former } : {}),
                ...(about === null
                  ? {}
                  : { snapshot: { id: about, state: (what === "snapshot") === fails ? "destroyed" : "ready" } })
              },
              fails
            )
          })

          const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, number) => total + number, 0)
          const check = Effect.gen(function* () {
            const vms = yield* inventory.vms()
            const volumes = yield* inventory.volumes()
            const taken = yield* Effect.forEach(volumes, (volume: Volume) =>
              Effect.map(inventory.snapshots(volume.id), (snapshots) => ({
                ...volume,
                whole: volume.size + sum(snapshots.map(({ size }) => size))
              }))
            )
            for (const { host, promised } of yield* inventory.hosts) {
              const disks = vms.filter((vm) => vm.hostId === host.id && vm.driver === "dir")
              const there = taken.filter(({ hostId }) => hostId === host.id)
              assert.strictEqual(promised.disk, disks.length + sum(there.map(({ whole }) => whole)))
              assert.isAtMost(promised.disk, 12)
            }
            const [report] = yield* inventory.pools
            const pooled = vms.filter((vm) => vm.driver === "rbd").length
            assert.strictEqual(
              report?.promised,
              pooled + sum(volumes.filter(({ hostId }) => hostId === null).map(({ size }) => size))
            )
            assert.isAtMost(report?.promised ?? 0, 12)
            const existing = ids(vms)
            for (const volume of volumes) {
              assert.deepStrictEqual(yield* inventory.volumeRecord(volume.id), volume)
              assert.strictEqual(volume.vmId !== null, volume.state === "attached", volume.state)
              if (volume.vmId !== null) assert.include(existing, volume.vmId)
            }
            const places = volumes.flatMap(({ target, vmId }) => (vmId === null ? [] : [`${vmId} ${target}`]))
            assert.strictEqual(new Set(places).size, places.length)
            // of the VMs' own there may be some: not every destruction was ended
            const unfinished = yield* journal.unfinished
            assert.deepStrictEqual(new Set(unfinished.map(({ kind }) => kind)).has("DestroyVm"), unfinished.length > 0)
          })
          const exits = yield* Effect.forEach(steps, (step) => Effect.exit(perform(step)), { concurrency: 20 })
          // refused is fine
          for (const exit of exits) assert.isFalse(Exit.isFailure(exit) && Cause.isDie(exit.cause), String(exit))
          yield* check
        }).pipe(Effect.provide(layer)),
      { fastCheck: { numRuns: 12 }, timeout: 60_000 }
    )
  })
