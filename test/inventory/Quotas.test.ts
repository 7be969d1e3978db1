/** Whatever a user may have is held where it is promised, and is counted from what is there. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Database from "../../layers/Database.ts"
import * as IdentityLive from "../../layers/IdentityLive.ts"
import * as InventoryLive from "../../layers/InventoryLive.ts"
import * as JournalLive from "../../layers/JournalLive.ts"
import { type Role, UserName } from "../../src/domain/Identity.ts"
import { HostId, ImageId, InstanceTypeId, type VmId, type VolumeId } from "../../src/domain/Ids.ts"
import * as Quota from "../../src/domain/Quota.ts"
import { Identity } from "../../src/services/Identity.ts"
import { type AdmitVm, Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import { dir, fleet, type } from "./Fleet.ts"

const layer = Layer.mergeAll(InventoryLive.layer, JournalLive.layer, IdentityLive.layer).pipe(
  Layer.provide(Database.layer({ filename: ":memory:" }))
)

const ada = UserName.make("ada")
const bob = UserName.make("bob")

const small = type(1)
/** 2 vCPUs and 1024 MiB */
const large = type(2, 2, 1024, 10)

const first = () => Effect.succeed(HostId.make(1))

const request = (owner: UserName | null, instanceType = small, more: Partial<AdmitVm> = {}): AdmitVm => ({
  name: "web",
  instanceType,
  imageId: ImageId.make(100),
  disk: dir,
  onCrash: "leave",
  owner,
  ...more
})

const user = (name: UserName, quota: Quota.Change, role: Role = "operator") => ({ name, role, quota })

const started = Effect.gen(function* () {
  const inventory = yield* Inventory
  const journal = yield* Journal
  const identity = yield* Identity
  yield* inventory.applyFleet(fleet)
  yield* identity.createUser({ name: UserName.make("root"), role: "admin" })
  const admit = (owner: UserName | null, instanceType = small, more: Partial<AdmitVm> = {}) =>
    inventory.admit(request(owner, instanceType, more), first)
  /** one that runs, its creation ended */
  const running = Effect.fnUntraced(function* (owner: UserName | null, instanceType = small) {
    const { operation, vm } = yield* admit(owner, instanceType)
    yield* inventory.setVmState(vm.id, "running")
    yield* journal.record(operation.id, { state: { to: "done" } })
    return vm.id
  })
  const volume = Effect.fnUntraced(function* (owner: UserName | null, size: number) {
    const { operation, volume } = yield* inventory.admitVolume(
      { name: "data", size, disk: dir, sourceId: null, owner },
      first
    )
    yield* inventory.settleVolume(volume.id, { state: "available" })
    yield* journal.record(operation.id, { state: { to: "done" } })
    return volume.id
  })
  const grow = (id: VolumeId, size: number) => inventory.changeVolume(id, null, () => Effect.succeed({ size }))
  const resize = (id: VmId, tid: number) => inventory.beginResize(id, InstanceTypeId.make(tid), () => Effect.void)
  return { inventory, journal, identity, admit, running, volume, grow, resize }
})

describe("a quota", () => {
  it.effect("counts VMs from their admission until they are destroyed or failed, and is each user's own", () =>
    Effect.gen(function* () {
      const { admit, identity, inventory, running } = yield* started
      yield* identity.createUser(user(ada, { vms: 2 }))
      const one = yield* running(ada)
      const { vm: two } = yield* admit(ada)
      assert.strictEqual((yield* inventory.vm(one)).owner, ada)
      const refused = yield* Effect.flip(admit(ada))
      assert.strictEqual(refused._tag, "QuotaExceeded")
      assert.strictEqual(
        refused.message,
        "the quota of ada has 2 VMs (2 used, 1 more asked for): ask for less, destroy VMs that ada does not need, or have an admin raise the quota"
      )
      // others, and what is nobody's, are no concern of it
      yield* admit(bob)
      yield* admit(null)
      assert.deepStrictEqual(yield* inventory.use(ada), Quota.ofVms(small, 2))
      assert.deepStrictEqual([...(yield* inventory.uses).keys()].toSorted(), [ada, bob])

      // a failed creation gives back, and so does a destruction, when it has come to its end
      yield* inventory.setVmState(two.id, "failed")
      yield* running(ada)
      yield* inventory.setVmState(one, "destroying")
      assert.strictEqual((yield* Effect.flip(admit(ada)))._tag, "QuotaExceeded")
      yield* inventory.setVmState(one, "destroyed")
      yield* admit(ada)
      assert.deepStrictEqual(yield* inventory.use(ada), Quota.ofVms(small, 2))
    }).pipe(Effect.provide(layer))
  )

  it.effect("names everything there is too little of, and may be lowered below what is there", () =>
    Effect.gen(function* () {
      const { admit, identity, inventory, running, volume } = yield* started
      yield* identity.createUser(user(ada, {}))
      yield* running(ada, large)
      yield* volume(ada, 3)
      const after = yield* identity.changeUser(ada, { quota: { vms: 1, cpu: 1, ram: 1536, volumeSize: 2 } })
      assert.deepStrictEqual(after.quota, { vms: 1, cpu: 1, ram: 1536, volumes: null, volumeSize: 2 })
      const used = yield* inventory.use(ada)
      assert.deepStrictEqual(Quota.exceeded(after.quota, used), ["cpu", "volumeSize"])
      assert.strictEqual(
        Quota.showExceeded(ada, after.quota, used),
        "ada has 2 vCPUs, and may have 1; 3 GiB of volumes, and may have 2 GiB: all of it stays, and there can be no more of that until there is less"
      )
      assert.strictEqual(
        (yield* Effect.flip(admit(ada, large))).message,
        "the quota of ada has 1 VM (1 used, 1 more asked for) and 1 vCPU (2 used, 2 more asked for) and 1536 MiB of memory (1 GiB used, 1 GiB more asked for): " +
          "ask for less, destroy VMs that ada does not need, or have an admin raise the quota"
      )
      assert.strictEqual(
        (yield* Effect.flip(volume(ada, 1))).message,
        "the quota of ada has 2 GiB of volumes (3 GiB used, 1 GiB more asked for): " +
          "ask for less, destroy and purge volumes that ada does not need, or have an admin raise the quota"
      )
      // what is absent stays, and null is no limit
      const open = yield* identity.changeUser(ada, { quota: { vms: null, cpu: null } })
      assert.deepStrictEqual(open.quota, { ...Quota.unlimited, ram: 1536, volumeSize: 2 })
      yield* admit(ada)
    }).pipe(Effect.provide(layer))
  )

  it.effect("is held by whoever resizes a VM, for what is more alone, and by the larger of both while it lasts", () =>
    Effect.gen(function* () {
      const { identity, inventory, journal, resize, running } = yield* started
      yield* identity.createUser(user(ada, { cpu: 2, ram: 2048 }))
      const one = yield* running(ada)
      const two = yield* running(ada)
      const refused = yield* Effect.flip(resize(one, 2))
      assert.match(refused.message, /^the quota of ada has 2 vCPUs \(2 used, 1 more asked for\): /)
      yield* identity.changeUser(ada, { quota: { cpu: 3 } })
      const larger = yield* resize(one, 2)
      assert.deepInclude(yield* inventory.use(ada), { vms: 2, cpu: 3, ram: 1536 })
      yield* inventory.settleResize(one, { instanceType: large.tid, cpu: large.cpu, ram: large.ram })
      yield* journal.record(larger.id, { state: { to: "done" } })
      const full = yield* Effect.flip(resize(two, 2))
      assert.strictEqual(full._tag, "QuotaExceeded")
      // less is always had, also by whoever has too much
      yield* identity.changeUser(ada, { quota: { cpu: 1 } })
      const smaller = yield* resize(one, 1)
      assert.deepInclude(yield* inventory.use(ada), { cpu: 3 })
      yield* inventory.settleResize(one, { instanceType: small.tid, cpu: small.cpu, ram: small.ram })
      yield* journal.record(smaller.id, { state: { to: "done" } })
      assert.deepInclude(yield* inventory.use(ada), { cpu: 2 })
    }).pipe(Effect.provide(layer))
  )

  it.effect("counts volumes until they are purged, and what they grow by", () =>
    Effect.gen(function* () {
      const { grow, identity, inventory, volume } = yield* started
      yield* identity.createUser(user(ada, { volumes: 2, volumeSize: 10 }))
      const one = yield* volume(ada, 4)
      const two = yield* volume(ada, 4)
      assert.match(
        (yield* Effect.flip(volume(ada, 1))).message,
        /^the quota of ada has 2 volumes \(2 used, 1 more asked for\): /
      )
      yield* grow(one, 6)
      const refused = yield* Effect.flip(grow(two, 5))
      assert.match(refused.message, /^the quota of ada has 10 GiB of volumes \(10 GiB used, 1 GiB more asked for\): /)
      // in the trash it still takes its room, and can be had back
      yield* inventory.settleVolume(one, { state: "deleted" })
      assert.strictEqual((yield* Effect.flip(volume(ada, 1)))._tag, "QuotaExceeded")
      yield* inventory.settleVolume(one, { state: "available" })
      yield* inventory.settleVolume(one, { state: "purged" })
      assert.deepStrictEqual(yield* inventory.use(ada), Quota.ofVolume(4))
      yield* volume(ada, 6)
      // one whose creation fails never was
      yield* inventory.settleVolume(two, { state: "failed" })
      assert.deepStrictEqual(yield* inventory.use(ada), Quota.ofVolume(6))
    }).pipe(Effect.provide(layer))
  )

  it.effect("has room for the VM that takes another's place, whose creation is still being undone", () =>
    Effect.gen(function* () {
      const { admit, identity, inventory, journal } = yield* started
      yield* identity.createUser(user(ada, { vms: 1 }))
      const { operation, vm } = yield* admit(ada)
      yield* journal.record(operation.id, { state: { to: "undoing", error: "its host fell silent" } })
      assert.strictEqual((yield* Effect.flip(admit(ada)))._tag, "QuotaExceeded")
      const second = yield* admit(ada, small, { replaces: operation.id })
      assert.deepStrictEqual(yield* inventory.use(ada), Quota.ofVms(small))
      // the room on its host is its own until it is gone
      assert.strictEqual((yield* inventory.host(HostId.make(1))).vms, 2)
      yield* inventory.setVmState(vm.id, "failed")
      assert.deepStrictEqual(yield* inventory.use(ada), Quota.ofVms(small))
      yield* inventory.setVmState(second.vm.id, "failed")
      assert.deepStrictEqual(yield* inventory.use(ada), Quota.nothing)
    }).pipe(Effect.provide(layer))
  )

  it.effect("has room for all of those of which all or none are made, or for none", () =>
    Effect.gen(function* () {
      const { admit, identity, inventory } = yield* started
      yield* identity.createUser(user(ada, { vms: 4 }))
      yield* admit(ada)
      const of = (count: number) =>
        inventory.admitAll(
          Array.from({ length: count }, (_, index) => ({
            request: request(ada, small, { following: count - 1 - index }),
            place: first
          }))
        )
      const refused = yield* Effect.flip(of(4))
      assert.match(refused.message, /^the quota of ada has 4 VMs \(1 used, 4 more asked for\): /)
      assert.deepInclude(yield* inventory.use(ada), { vms: 1 })
      yield* of(3)
      assert.deepInclude(yield* inventory.use(ada), { vms: 4 })
      // of a plan nothing is written, and it counts all the same
      yield* identity.changeUser(ada, { quota: { vms: 6 } })
      yield* admit(ada, small, { planned: Quota.ofVms(small) })
      const planned = yield* Effect.flip(admit(ada, small, { planned: Quota.ofVms(small) }))
      assert.match(planned.message, /\(6 used, 1 more asked for\)/)
    }).pipe(Effect.provide(layer))
  )

  it.effect("lets exactly as many through as it has, of two hundred at once", () =>
    Effect.gen(function* () {
      const { admit, identity, inventory } = yield* started
      yield* identity.createUser(user(ada, { vms: 20 }))
      const all = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, index) => index),
        () => Effect.either(admit(ada)),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(
        all.filter(({ _tag }) => _tag === "Right"),
        20
      )
      assert.deepInclude(yield* inventory.use(ada), { vms: 20 })
    }).pipe(Effect.provide(layer))
  )
})

// ------------------------------------------------------------------------------------------ against a count by hand

const who = FastCheck.constantFrom(ada, bob)
const limit = FastCheck.option(FastCheck.integer({ min: 0, max: 6 }))
const nth = FastCheck.nat(7)
const command = FastCheck.oneof(
  FastCheck.record({
    _tag: FastCheck.constant("Admit" as const),
    who,
    large: FastCheck.boolean(),
    count: FastCheck.integer({ min: 1, max: 3 })
  }),
  FastCheck.record({
    _tag: FastCheck.constant("Over" as const),
    nth,
    state: FastCheck.constantFrom("failed" as const, "destroyed" as const)
  }),
  FastCheck.record({
    _tag: FastCheck.constant("Resize" as const),
    nth,
    large: FastCheck.boolean(),
    settles: FastCheck.boolean()
  }),
  FastCheck.record({ _tag: FastCheck.constant("Volume" as const), who, size: FastCheck.integer({ min: 1, max: 3 }) }),
  FastCheck.record({ _tag: FastCheck.constant("Grow" as const), nth, by: FastCheck.integer({ min: 1, max: 3 }) }),
  FastCheck.record({
    _tag: FastCheck.constant("Purge" as const),
    nth,
    first: FastCheck.constantFrom("deleted" as const, "purged" as const)
  }),
  FastCheck.record({
    _tag: FastCheck.constant("Quota" as const),
    who,
    quota: FastCheck.record({ vms: limit, cpu: limit, volumes: limit, volumeSize: limit })
  })
)

describe("what a quota lets through", () => {
  it.effect.prop(
    "is what a count of everything there is says",
    [FastCheck.array(command, { minLength: 10, maxLength: 40 })],
    ([commands]) =>
      Effect.gen(function* () {
        const { grow, identity, inventory, journal, resize, volume } = yield* started
        const quotas = new Map<UserName, Quota.Quota>()
        for (const name of [ada, bob]) {
          yield* identity.createUser(user(name, {}))
          quotas.set(name, Quota.unlimited)
        }

        const vms = Effect.map(inventory.vms(), (all) => all.filter(({ owner }) => owner !== null))
        const volumes = inventory.volumes()
        const count = (name: UserName) =>
          Effect.gen(function* () {
            let use = Quota.nothing
            for (const { owner, resources } of yield* vms)
              if (owner === name) use = Quota.plus(use, Quota.ofVms(resources))
            for (const { owner, size } of yield* volumes)
              if (owner === name) use = Quota.plus(use, Quota.ofVolume(size))
            return use
          })
        /** Whether it went through, and whether it should have. */
        const agrees = Effect.fnUntraced(function* <A, E extends { readonly _tag: string }>(
          name: UserName,
          asked: Quota.Use,
          effect: Effect.Effect<A, E>
        ) {
          const used = yield* count(name)
          const quota = quotas.get(name) ?? Quota.unlimited
          const fits = Quota.names.every(
            (one) => asked[one] <= 0 || used[one] + asked[one] <= (quota[one] ?? 1_000_000)
          )
          const ended = yield* Effect.either(effect)
          if (ended._tag === "Left") assert.strictEqual(ended.left._tag, "QuotaExceeded")
          assert.strictEqual(ended._tag === "Right", fits, JSON.stringify({ name, asked, used, quota }))
        })
        const one = <A>(all: ReadonlyArray<A>, at: number) => (all.length === 0 ? undefined : all[at % all.length])

        for (const command of commands) {
          switch (command._tag) {
            case "Admit": {
              const what = command.large ? large : small
              const all = Array.from({ length: command.count }, (_, index) => ({
                request: request(command.who, what, { following: command.count - 1 - index }),
                place: first
              }))
              yield* agrees(
                command.who,
                Quota.ofVms(what, command.count),
                Effect.flatMap(inventory.admitAll(all), (made) =>
                  Effect.forEach(made, ({ operation, vm }) =>
                    Effect.zipRight(
                      inventory.setVmState(vm.id, "running"),
                      Effect.orDie(journal.record(operation.id, { state: { to: "done" } }))
                    )
                  )
                )
              )
              break
            }
            case "Over": {
              const vm = one(yield* vms, command.nth)
              if (vm !== undefined) yield* inventory.setVmState(vm.id, command.state)
              break
            }
            case "Resize": {
              const vm = one(yield* vms, command.nth)
              if (vm === undefined || vm.owner === null) break
              const to = command.large ? large : small
              const asked = { ...Quota.nothing, cpu: to.cpu - vm.resources.cpu, ram: to.ram - vm.resources.ram }
              yield* agrees(
                vm.owner,
                asked,
                Effect.flatMap(resize(vm.id, to.tid), ({ id }) =>
                  Effect.zipRight(
                    inventory.settleResize(
                      vm.id,
                      command.settles ? { instanceType: to.tid, cpu: to.cpu, ram: to.ram } : null
                    ),
                    Effect.orDie(journal.record(id, { state: { to: "done" } }))
                  )
                )
              )
              break
            }
            case "Volume":
              yield* agrees(command.who, Quota.ofVolume(command.size), volume(command.who, command.size))
              break
            case "Grow": {
              const found = one(yield* volumes, command.nth)
              if (found === undefined || found.owner === null) break
              const asked = { ...Quota.nothing, volumeSize: command.by }
              yield* agrees(found.owner, asked, grow(found.id, found.size + command.by))
              break
            }
            case "Purge": {
              const found = one(yield* volumes, command.nth)
              if (found !== undefined) yield* inventory.settleVolume(found.id, { state: command.first })
              break
            }
            case "Quota":
              quotas.set(command.who, { ...Quota.unlimited, ...command.quota })
              yield* identity.changeUser(command.who, { quota: command.quota })
          }
          for (const name of [ada, bob]) {
            assert.deepStrictEqual(yield* inventory.use(name), yield* count(name))
            assert.deepStrictEqual((yield* inventory.uses).get(name) ?? Quota.nothing, yield* count(name))
          }
        }
      }).pipe(Effect.provide(layer)),
    { fastCheck: { numRuns: 15 } }
  )
})
