/** What every Inventory must do, whatever it is made of. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { DriftField } from "../../src/domain/Drift.ts"
import { HasChanged, NoFeasibleHost } from "../../src/domain/Errors.ts"
import type { Host } from "../../src/domain/Host.ts"
import { HostId, ImageId, InstanceTypeId, OperationId, VmId } from "../../src/domain/Ids.ts"
import { UserName } from "../../src/domain/Identity.ts"
import type { InstanceType } from "../../src/domain/InstanceType.ts"
import * as Placement from "../../src/domain/Placement.ts"
import * as Resources from "../../src/domain/Resources.ts"
import type { Power, Vm, VmSeen, VmState } from "../../src/domain/Vm.ts"
import * as Kept from "../../src/scheduler/Kept.ts"
import {
  type AdmitVm,
  type HostUsage,
  Inventory,
  type Page,
  type Position,
  type VmFilter,
  type VmOrder
} from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import { dir, facts, fleet, host, image, type } from "../inventory/Fleet.ts"

const ids = (things: ReadonlyArray<{ readonly id: number }>) => things.map(({ id }) => id)
const hostIds = (usages: ReadonlyArray<HostUsage>) => usages.map((usage) => usage.host.id)
const on = (id: number) => () => Effect.succeed(HostId.make(id))

const small = type(1)
const request = (name = "web", instanceType = small, disk = dir): AdmitVm => ({
  name,
  instanceType,
  imageId: ImageId.make(100),
  disk,
  onCrash: "leave"
})

/** The real placement, every host up. */
const spread = (wanted: Resources.Resources) => (usage: ReadonlyArray<HostUsage>) =>
  Effect.suspend(() => {
    const placement = Kept.make().place(
      { resources: wanted, exclude: new Map() },
      usage.map((one) => ({ ...one, status: { _tag: "Up" } as const }))
    )
    return placement._tag === "Placed"
      ? Effect.succeed(placement.hostId)
      : new NoFeasibleHost({ refusals: placement.refusals })
  })

const started = Effect.gen(function* () {
  const inventory = yield* Inventory
  const journal = yield* Journal
  yield* inventory.applyFleet(fleet)
  /** a VM in the state, its creation ended */
  const vmIn = Effect.fnUntraced(function* (state: VmState, where = 1, name = "web") {
    const { operation, vm } = yield* inventory.admit(request(name), on(where))
    yield* inventory.setVmState(vm.id, state)
    yield* journal.record(operation.id, { state: { to: "done" } })
    return vm
  })
  return { inventory, journal, vmIn }
})

export const inventoryContract = <E>(name: string, layer: Layer.Layer<Inventory | Journal, E>) =>
  describe(`Inventory: ${name}`, () => {
    describe("the input files", () => {
      it.effect("number hosts from 1 and images from 100 in file order", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          const hosts = yield* inventory.hosts
          assert.deepStrictEqual(
            hosts.map(({ host }) => [host.id, host.name]),
            [
              [1, "root@a"],
              [2, "root@b"],
              [3, "root@c"]
            ]
          )
          assert.deepStrictEqual(
            (yield* inventory.images).map(({ config, id }) => [id, config.name]),
            [
              [100, "ubuntu.img"],
              [101, "fedora.qcow2"]
            ]
          )
          assert.deepStrictEqual(yield* inventory.types, fleet.types)
        }).pipe(Effect.provide(layer))
      )

      it.effect("change nothing when they say the same again", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          yield* inventory.setHostFacts(HostId.make(1), facts({ cpu: 4, ram: 4096, disk: 100 }))
          const before = [yield* inventory.hosts, yield* inventory.images, yield* inventory.types]
          yield* inventory.applyFleet(fleet)
          assert.deepStrictEqual([yield* inventory.hosts, yield* inventory.images, yield* inventory.types], before)
        }).pipe(Effect.provide(layer))
      )

      it.effect("say what types require, which VMs keep until they have another type", () =>
        Effect.gen(function* () {
          const { inventory, journal, vmIn } = yield* started
          const requires = { "host.virt": ["kvm"], rack: ["a", "b"] }
          const [first, second] = fleet.types
          if (first === undefined || second === undefined) return assert.fail("there are two types")
          const types = [{ ...first, requires }, second]
          yield* inventory.applyFleet({ ...fleet, types })
          assert.deepStrictEqual(yield* inventory.types, types)
          assert.deepStrictEqual((yield* inventory.type(first.tid)).requires, requires)
          assert.deepStrictEqual(
            (yield* inventory.knownTypes).map(({ requires, tid }) => [tid, requires]),
            [
              [second.tid, undefined],
              [first.tid, requires]
            ]
          )

          const vm = yield* vmIn("stopped")
          const own = Placement.make({ group: "g", rules: [{ kind: "on", label: "disk", values: ["ssd"] }] })
          const said = Either.getOrThrow(own)
          yield* inventory.changeVm(vm.id, { placement: said })
          const { beginResize, settleResize } = inventory
          const sized = (to: InstanceType) => ({ instanceType: to.tid, cpu: to.cpu, ram: to.ram })
          yield* beginResize(
            vm.id,
            first.tid,
            (_, to) => Effect.sync(() => assert.deepStrictEqual(to.requires, requires)),
            ({ after }) =>
              Effect.sync(() =>
                assert.deepStrictEqual(after.placement, Placement.ofType(said, first.tid, requires), "as it is to be")
              )
          ).pipe(Effect.flatMap(({ id }) => journal.record(id, { state: { to: "done" } })))
          assert.deepStrictEqual((yield* inventory.vm(vm.id)).placement, said, "it is not resized yet")
          yield* settleResize(vm.id, sized(first))
          const rules = Effect.map(inventory.vm(vm.id), ({ placement }) => placement?.rules.map(Placement.show))
          const required = [
            "must be on host.virt=kvm (instance type 2 requires it)",
            "must be on rack=a,b (instance type 2 requires it)"
          ]
          assert.deepStrictEqual(yield* rules, ["must be on disk=ssd", ...required])

          // what is said of a VM is not what its type requires
          yield* inventory.changeVm(vm.id, { placement: null })
          assert.deepStrictEqual(yield* rules, required)
          // neither does the file change what VMs have
          yield* inventory.applyFleet(fleet)
          assert.deepStrictEqual(yield* inventory.types, fleet.types)
          assert.deepStrictEqual(yield* rules, required)
          yield* settleResize(vm.id, null)
          assert.deepStrictEqual(yield* rules, required)
          yield* settleResize(vm.id, sized(second))
          assert.deepStrictEqual((yield* inventory.vm(vm.id)).placement, null)
        }).pipe(Effect.provide(layer))
      )

      it.effect("stand beside types that are made, whose ids they may not have", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          const made = yield* inventory.createType({ cpu: 8, ram: 8192, disk: 80 })
          const free = InstanceTypeId.make(Math.max(...fleet.types.map(({ tid }) => tid)) + 1)
          assert.deepStrictEqual(made, { tid: free, cpu: 8, ram: 8192, disk: 80, origin: "api", retired: false })
          const size = { tid: made.tid, cpu: 8, ram: 8192, disk: 80 }
          assert.deepStrictEqual(yield* inventory.types, [...fleet.types, size])
          // a new start with the same files
          yield* inventory.applyFleet(fleet)
          assert.deepStrictEqual(yield* inventory.types, [...fleet.types, size])
          const { message } = yield* Effect.flip(inventory.applyFleet({ ...fleet, types: [...fleet.types, size] }))
          assert.strictEqual(
            message,
            `type ${free} is in the types file, but was made by the API (8 vCPU, 8192 MiB, 80 GiB): give the one in the file a tid of its own`
          )
          assert.strictEqual((yield* Effect.flip(inventory.createType(size)))._tag, "InstanceTypeConflict")

          // what it requires is kept as it was said, and is not what the file says of others
          const requires = { "host.virt": ["kvm"], rack: ["a", "b"] }
          const choosy = yield* inventory.createType({ cpu: 1, ram: 512, disk: 1, requires })
          assert.deepStrictEqual(choosy.requires, requires)
          const easy = yield* inventory.createType({ cpu: 1, ram: 512, disk: 1, requires: {} })
          assert.notProperty(easy, "requires")
          yield* inventory.applyFleet(fleet)
          assert.deepStrictEqual(
            (yield* inventory.knownTypes).flatMap(({ requires, tid }) =>
              requires === undefined ? [] : [[tid, requires]]
            ),
            [[choosy.tid, requires]]
          )
          assert.deepStrictEqual((yield* inventory.type(choosy.tid)).requires, requires)
          const placed = yield* inventory.admit({ ...request("choosy"), instanceType: choosy }, on(1))
          assert.strictEqual(placed.vm.instanceType, choosy.tid)
          assert.deepStrictEqual((yield* inventory.retireType(choosy.tid)).requires, requires)

          // retired for good, and VMs that have it stay
          const [first] = fleet.types
          assert(first !== undefined)
          const vm = yield* vmIn("running")
          assert.isTrue((yield* inventory.retireType(first.tid)).retired)
          yield* inventory.applyFleet(fleet)
          assert.notInclude(
            (yield* inventory.types).map(({ tid }) => tid),
            first.tid
          )
          const late = yield* Effect.flip(inventory.admit({ ...request("late"), instanceType: first }, on(1)))
          assert.strictEqual(late._tag, "InstanceTypeNotFound")
          assert.strictEqual((yield* inventory.vm(vm.id)).instanceType, vm.instanceType)
          assert.strictEqual(yield* Effect.flip(inventory.retireType(made.tid, () => Effect.fail("no"))), "no")
          assert.isFalse((yield* inventory.knownTypes).find(({ tid }) => tid === made.tid)?.retired)
        }).pipe(Effect.provide(layer))
      )

      it.effect("that the file does not have any more are withdrawn, and can be deleted once no VM needs them", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          const vm = yield* vmIn("running")
          const [first, ...others] = yield* inventory.images
          assert(first !== undefined)
          assert.strictEqual(vm.imageId, first.id)
          assert.include(
            (yield* Effect.flip(inventory.deleteImage(first.id))).message,
            "is given in the image file: take its line out there, start the controller again, and delete it then"
          )
          const without = { ...fleet, images: fleet.images.filter(({ name }) => name !== first.config.name) }
          yield* inventory.applyFleet(without)
          assert.deepStrictEqual(yield* inventory.images, others)
          const withdrawn = yield* inventory.image(first.id)
          assert.deepInclude(withdrawn, {
            state: "withdrawn",
            reason: "the image file does not have it any more, so it is there only for the VMs that were made of it"
          })
          assert.deepStrictEqual(yield* inventory.allImages, [withdrawn, ...others])
          assert.strictEqual(
            (yield* Effect.flip(inventory.admit({ ...request("late"), imageId: first.id }, on(1)))).message,
            `image ${first.id} (${first.config.name}) is not in the image file any more: take another one, or put its line back there and start the controller again`
          )
          assert.include(
            (yield* Effect.flip(inventory.deleteImage(first.id))).message,
            `image ${first.id} (${first.config.name}) cannot be deleted while VM ${vm.id}`
          )
          // its line is back
          yield* inventory.applyFleet(fleet)
          assert.deepStrictEqual(yield* inventory.image(first.id), first)

          yield* inventory.applyFleet(without)
          yield* inventory.setVmState(vm.id, "destroyed")
          yield* inventory.deleteImage(first.id)
          assert.deepStrictEqual(yield* inventory.allImages, others)
          // what was deleted is not what a line of that file is now
          yield* inventory.applyFleet(fleet)
          assert.isFalse((yield* inventory.images).some(({ id }) => id === first.id))
          assert.isTrue((yield* inventory.images).some(({ config }) => config.name === first.config.name))
        }).pipe(Effect.provide(layer))
      )

      it.effect("stand beside images that are added, which are not of the file", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          const source = { host: null, path: "/images/own.raw" }
          const own = { config: { source, name: "own" }, origin: "path", state: "quarantine", wanted: {} } as const
          const before = yield* inventory.images
          assert.strictEqual(yield* Effect.flip(inventory.addImage(own, () => Effect.fail("no"))), "no")
          const added = yield* inventory.addImage(own)
          assert.deepInclude(added, { origin: "path", state: "quarantine", reason: null, content: null, wanted: {} })
          assert.deepStrictEqual(yield* inventory.images, before)
          assert.deepStrictEqual(yield* inventory.allImages, [...before, added])
          const create = inventory.admit({ ...request("own"), imageId: added.id }, on(1))
          assert.strictEqual(
            (yield* Effect.flip(create)).message,
            `image ${added.id} (own) is being fetched, published or checked: wait until it is available`
          )
          assert.strictEqual((yield* Effect.flip(inventory.addImage(own)))._tag, "ImageConflict")
          yield* inventory.settleImage(added.id, "refused", "it is marked corrupt")
          assert.strictEqual(
            (yield* Effect.flip(create)).message,
            `image ${added.id} (own) is refused: it is marked corrupt`
          )

          yield* inventory.settleImage(added.id, "available")
          // a new start with the same files keeps it; with its file among them it is refused
          yield* inventory.applyFleet(fleet)
          assert.include(
            (yield* inventory.images).map(({ id }) => id),
            added.id
          )
          const twice = { ...fleet, images: [...fleet.images, own.config] }
          assert.include(
            (yield* Effect.flip(inventory.applyFleet(twice))).message,
            `image /images/own.raw is in the image file, but was registered by the API as image ${added.id} (own)`
          )
          const { operation, vm } = yield* create
          assert.include(
            (yield* Effect.flip(inventory.deleteImage(added.id))).message,
            "cannot be deleted while VM 1 (own) needs it"
          )
          yield* inventory.setVmState(vm.id, "destroyed")
          assert.strictEqual(operation.vmId, vm.id)
          assert.strictEqual(yield* Effect.flip(inventory.deleteImage(added.id, () => Effect.fail("no"))), "no")
          yield* inventory.deleteImage(added.id)
          yield* inventory.deleteImage(added.id)
          assert.deepStrictEqual(yield* inventory.allImages, before)
          // what comes too late does not bring it back
          yield* inventory.settleImage(added.id, "available")
          const gone = yield* inventory.image(added.id)
          assert.strictEqual(gone.state, "deleted")
          // there are ever more of those, so none is kept in memory
          assert.notStrictEqual(yield* inventory.image(added.id), gone)
          assert.strictEqual((yield* Effect.flip(create))._tag, "ImageNotFound")
          const [first] = before
          assert(first !== undefined)
          yield* vmIn("running")
          assert.include((yield* Effect.flip(inventory.deleteImage(first.id))).message, "is given in the image file")
          // its file may be added again, or be given in the image file
          const again = yield* inventory.addImage(own)
          assert.isAbove(again.id, added.id)
          yield* inventory.deleteImage(again.id)
          yield* inventory.applyFleet(twice)
          assert.strictEqual((yield* inventory.images).at(-1)?.origin, "file")
        }).pipe(Effect.provide(layer))
      )

      it.effect("keep the ids of what was reordered, and go on from the highest", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          yield* inventory.applyFleet({
            hosts: [host("new"), host("c"), host("b"), host("a")],
            images: [image("new.img"), image("fedora.qcow2"), image("ubuntu.img")],
            types: [type(7), type(1), type(2, 2, 1024, 10)]
          })
          assert.deepStrictEqual(
            (yield* inventory.hosts).map(({ host }) => [host.id, host.config.address.host]),
            [
              [1, "a"],
              [2, "b"],
              [3, "c"],
              [4, "new"]
            ]
          )
          assert.deepStrictEqual(
            (yield* inventory.images).map(({ config, id }) => [id, config.name]),
            [
              [100, "ubuntu.img"],
              [101, "fedora.qcow2"],
              [102, "new.img"]
            ]
          )
          assert.deepStrictEqual(
            (yield* inventory.types).map(({ tid }) => tid),
            [7, 1, 2].map((tid) => InstanceTypeId.make(tid))
          )
        }).pipe(Effect.provide(layer))
      )

      it.effect("change what they say of a known host, also its user", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          yield* vmIn("running")
          const resources = { cpu: 4, ram: 4096, disk: 100 }
          yield* inventory.setHostFacts(HostId.make(1), facts(resources))
          const changed = host("A", {
            address: { user: "admin", host: "A", port: 22 },
            overcommit: { cpu: 2, ram: 1.5, disk: 1 },
            limit: { cpu: 3 },
            labels: { rack: "r1" }
          })
          yield* inventory.applyFleet({ ...fleet, hosts: [changed, host("b"), host("c")] })
          const usage = yield* inventory.host(HostId.make(1))
          assert.deepStrictEqual(usage.host.config, changed)
          assert.deepStrictEqual(usage.host.capacity, { cpu: 6, ram: 6144, disk: 100 })
          assert.strictEqual(usage.host.facts?.resources.cpu, 4)
          assert.strictEqual(usage.vms, 1)
        }).pipe(Effect.provide(layer))
      )

      it.effect("are the same machines however their addresses are written", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          const six = yield* inventory.addHost(host("2001:db8:0:0:0:0:0:14"))
          const again = yield* Effect.flip(inventory.addHost(host("2001:DB8::14")))
          assert.include(again.message, "is host 4 already")
          const four = yield* inventory.addHost(host("::ffff:192.0.2.7"))
          assert.include(
            (yield* Effect.flip(inventory.addHost(host("192.0.2.7")))).message,
            `is host ${four.id} already`
          )
          const changed = yield* inventory.changeHost(six.id, () => Effect.succeed({ config: host("2001:db8::0:14") }))
          assert.strictEqual(changed.after.config.address.host, "2001:db8::0:14")
          yield* inventory.removeHost(six.id)
          yield* inventory.removeHost(four.id)

          // what is known of one of the machine file stays with it, in whatever way its line is written
          const written = (...names: ReadonlyArray<string>) => ({ ...fleet, hosts: names.map((name) => host(name)) })
          yield* inventory.applyFleet(written("a", "2001:db8::15", "198.51.100.9"))
          const ids = hostIds(yield* inventory.hosts)
          const [, second = HostId.make(0)] = ids
          yield* inventory.setMaintenance(second, true)
          yield* inventory.applyFleet(written("A", "2001:0DB8:0:0::15", "::FFFF:198.51.100.9"))
          assert.deepStrictEqual(hostIds(yield* inventory.hosts), ids)
          assert.isTrue((yield* inventory.host(second)).host.maintenance)
          const twice = yield* Effect.flip(inventory.applyFleet(written("2001:db8::15", "2001:db8:0::15")))
          assert.include(twice.message, "is given twice")
        }).pipe(Effect.provide(layer))
      )

      it.effect("may lower overcommit below what is promised", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          yield* inventory.setHostFacts(HostId.make(1), facts({ cpu: 2, ram: 1024, disk: 10 }))
          yield* vmIn("running")
          yield* vmIn("running")
          const less = host("a", { overcommit: { cpu: 0.5, ram: 0.5, disk: 0.5 } })
          yield* inventory.applyFleet({ ...fleet, hosts: [less] })
          const usage = yield* inventory.host(HostId.make(1))
          assert.strictEqual(usage.promised.ram, 1024)
          assert.strictEqual(usage.host.capacity?.ram, 512)
          const refused = yield* Effect.flip(inventory.admit(request(), spread(small)))
          assert.include(refused.message, "memory short by 1024 MiB (needs 512, 512 more than its 512 promised)")
        }).pipe(Effect.provide(layer))
      )

      it.effect("drop an empty host, give its id to nobody, and back to it when it returns", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          yield* inventory.setHostFacts(HostId.make(3), facts({ cpu: 2, ram: 1024, disk: 10 }))
          yield* inventory.applyFleet({ ...fleet, hosts: [host("a"), host("b"), host("d")] })
          assert.deepStrictEqual(hostIds(yield* inventory.hosts), [1, 2, 4])
          assert.strictEqual((yield* Effect.flip(inventory.host(HostId.make(3))))._tag, "HostNotFound")
          // a late answer of a dropped host changes nothing
          yield* inventory.setHostFacts(HostId.make(3), facts({ cpu: 2, ram: 1024, disk: 10 }))
          yield* inventory.applyFleet(fleet)
          assert.deepStrictEqual(hostIds(yield* inventory.hosts), [1, 2, 3])
          assert.isNull((yield* inventory.host(HostId.make(3))).host.facts)
        }).pipe(Effect.provide(layer))
      )

      it.effect("stay apart from hosts that are added one by one", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          const four = yield* inventory.addHost(host("d"))
          assert.deepStrictEqual([four.id, four.origin, four.facts], [4, "api", null])
          yield* inventory.setHostFacts(four.id, facts({ cpu: 2, ram: 1024, disk: 10 }))
          // what the file says stays apart from it
          yield* inventory.applyFleet(fleet)
          assert.deepStrictEqual(hostIds(yield* inventory.hosts), [1, 2, 3, 4])
          const both = yield* Effect.flip(inventory.applyFleet({ ...fleet, hosts: [...fleet.hosts, host("d")] }))
          assert.include(both.message, "(id 4) was added by API and is in the machine file, too")
          assert.include((yield* Effect.flip(inventory.addHost(host("d")))).message, "is host 4 already")

          // what is refused has changed nothing, and is not what a later transaction sees
          const before = yield* inventory.hosts
          const no = new HasChanged({ what: "host 4" })
          assert.strictEqual((yield* Effect.flip(inventory.changeHost(four.id, () => no)))._tag, "HasChanged")
          assert.strictEqual((yield* Effect.flip(inventory.removeHost(four.id, () => no)))._tag, "HasChanged")
          const confirmed = yield* Effect.exit(
            inventory.changeHost(
              four.id,
              () => Effect.succeed({ maintenance: true }),
              () => Effect.die("rehearsed")
            )
          )
          assert.isTrue(Exit.isFailure(confirmed))
          assert.deepStrictEqual(yield* inventory.hosts, before)

          const { after } = yield* inventory.changeHost(four.id, ({ config }) =>
            Effect.succeed({ config: { ...config, labels: { rack: "7" } }, maintenance: true })
          )
          assert.isTrue(after.maintenance)
          assert.deepStrictEqual(after.config, { ...host("d"), labels: { rack: "7" } })
          const lostHosts = yield* inventory.lostHosts
          const declared = yield* inventory.changeHost(four.id, () => Effect.succeed({ lost: true }))
          assert.isNotNull(declared.after.lostAt)
          assert.isTrue(declared.after.maintenance)
          assert.deepStrictEqual([...lostHosts], [four.id])
          const again = yield* inventory.changeHost(four.id, () => Effect.succeed({ lost: true }))
          assert.strictEqual(again.after.lostAt, declared.after.lostAt, "since when it is lost")
          yield* inventory.changeHost(four.id, () => Effect.succeed({ lost: false }))
          assert.deepStrictEqual([...lostHosts], [])
          yield* inventory.changeHost(four.id, () => Effect.succeed({ lost: true }))
          const moved = yield* Effect.flip(
            inventory.changeHost(four.id, () => Effect.succeed({ config: { ...host("e"), path: "/x" } }))
          )
          assert.include(moved.message, "another machine")

          const vm = yield* vmIn("running", 4, "web")
          const held = yield* Effect.flip(inventory.removeHost(four.id))
          assert.include(held.message, "VM 1 (web) is there")
          yield* inventory.setVmState(vm.id, "destroyed")
          yield* inventory.removeHost(four.id)
          assert.deepStrictEqual(hostIds(yield* inventory.hosts), [1, 2, 3])
          // then the file may have it
          yield* inventory.applyFleet({ ...fleet, hosts: [...fleet.hosts, host("d")] })
          const back = (yield* inventory.host(four.id)).host
          assert.deepStrictEqual([back.origin, back.facts, back.maintenance, back.lostAt], ["file", null, false, null])
          assert.deepStrictEqual([...lostHosts], [])
          assert.include((yield* Effect.flip(inventory.removeHost(four.id))).message, "machine file")
        }).pipe(Effect.provide(layer))
      )

      it.effect("are refused as a whole, with every problem named", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          yield* vmIn("running", 1, "web")
          yield* vmIn("running", 2, "db")
          for (let i = 0; i < 7; i++) yield* vmIn("running", 3, `many-${i}`)
          const before = [yield* inventory.hosts, yield* inventory.images, yield* inventory.types]
          const conflict = yield* Effect.flip(
            inventory.applyFleet({
              hosts: [host("new"), host("b", { path: "/srv/vms" })],
              images: [image("new.img")],
              types: [type(1, 8, 8192, 80), type(2)]
            })
          )
          assert.strictEqual(conflict._tag, "FleetConflict")
          if (conflict._tag !== "FleetConflict") return
          assert.deepStrictEqual(conflict.problems, [
            "host root@b (id 2): its path cannot become /srv/vms while VM 2 (db) has its disk in /var/lib/vmfabric",
            "host root@a (id 1) is no longer in the machine file, but has VM 1 (web): put its line back, or destroy what is there first",
            "host root@c (id 3) is no longer in the machine file, but has VMs 3 (many-0), 4 (many-1), 5 (many-2), 6 (many-3), " +
              "7 (many-4) and 2 more: put its line back, or destroy what is there first",
            "type 1 cannot change from 1 vCPU, 512 MiB, 1 GiB to 8 vCPU, 8192 MiB, 80 GiB while VMs 1 (web), 2 (db), 3 (many-0), " +
              "4 (many-1), 5 (many-2) and 4 more use it: give the new size a tid of its own"
          ])
          assert.deepStrictEqual([yield* inventory.hosts, yield* inventory.images, yield* inventory.types], before)
        }).pipe(Effect.provide(layer))
      )

      it.effect("are refused when they give something twice", () =>
        Effect.gen(function* () {
          const inventory = yield* Inventory
          const again = { ...host("A"), address: { user: "other", host: "A", port: 22 } }
          const conflict = yield* Effect.flip(
            inventory.applyFleet({
              hosts: [host("a"), again],
              images: [image("x.img"), image("x.img")],
              types: [small, small]
            })
          )
          assert.strictEqual(
            conflict.message,
            "host other@A is given twice; image /images/x.img is given twice; type 1 is given twice"
          )
          assert.deepStrictEqual(yield* inventory.hosts, [])
        }).pipe(Effect.provide(layer))
      )

      it.effect("cannot drop a host where an undo still has to clean up", () =>
        Effect.gen(function* () {
          const { inventory, journal } = yield* started
          const { operation, vm } = yield* inventory.admit(request(), on(2))
          yield* journal.record(operation.id, { state: { to: "undoing", error: "the disk is full" } })
          yield* inventory.setVmState(vm.id, "failed")
          const fewer = { ...fleet, hosts: [host("a"), host("c")] }
          assert.include((yield* Effect.flip(inventory.applyFleet(fewer))).message, "has VM 1 (web)")
          yield* journal.record(operation.id, { state: { to: "failed" } })
          yield* inventory.applyFleet(fewer)
          assert.deepStrictEqual(hostIds(yield* inventory.hosts), [1, 3])
        }).pipe(Effect.provide(layer))
      )

      it.effect("may drop images and types that VMs were made from", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          const vm = yield* vmIn("running")
          yield* inventory.applyFleet({ ...fleet, images: [image("fedora.qcow2")], types: [type(2, 2, 1024, 10)] })
          assert.deepStrictEqual(ids(yield* inventory.images), [101])
          assert.strictEqual((yield* inventory.image(vm.imageId)).config.name, "ubuntu.img")
          const unknownType = yield* Effect.flip(inventory.type(vm.instanceType))
          assert.strictEqual(unknownType.message, "instance type 1 does not exist; there are 2")
          assert.strictEqual((yield* inventory.vm(vm.id)).instanceType, vm.instanceType)
          // still in use, so its size is not free to be another
          const conflict = yield* Effect.flip(inventory.applyFleet({ ...fleet, types: [type(1, 4)] }))
          assert.strictEqual(conflict._tag, "FleetConflict")
          yield* inventory.applyFleet(fleet)
          assert.deepStrictEqual(ids(yield* inventory.images), [100, 101])
        }).pipe(Effect.provide(layer))
      )

      it.effect("may change a type that only destroyed VMs used", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          const vm = yield* vmIn("destroyed")
          yield* inventory.applyFleet({ ...fleet, types: [type(1, 4, 2048, 20)] })
          assert.deepStrictEqual(yield* inventory.type(InstanceTypeId.make(1)), type(1, 4, 2048, 20))
          assert.strictEqual((yield* inventory.vmRecord(vm.id)).resources.cpu, 1)
        }).pipe(Effect.provide(layer))
      )
    })

    describe("images", () => {
      it.effect("keep their content until the format is another", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          const id = ImageId.make(100)
          const content = {
            format: "raw",
            virtualSize: 2 ** 41,
            fileSize: 2 ** 41,
            modified: 1732368000123.5,
            sha256: "ab".repeat(32)
          } as const
          yield* inventory.setImageContent(id, content)
          assert.deepStrictEqual((yield* inventory.image(id)).content, content)
          yield* inventory.applyFleet({ ...fleet, images: [{ ...image("ubuntu.img"), name: "renamed" }] })
          assert.deepStrictEqual((yield* inventory.image(id)).content, content)
          yield* inventory.applyFleet({ ...fleet, images: [{ ...image("ubuntu.img"), format: "raw" }] })
          assert.isNull((yield* inventory.image(id)).content)
        }).pipe(Effect.provide(layer))
      )

      it.effect("that are unknown tell which are known", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          const unknown = yield* Effect.flip(inventory.image(ImageId.make(7)))
          assert.strictEqual(unknown.message, "image 7 does not exist; there are 100, 101")
        }).pipe(Effect.provide(layer))
      )
    })

    describe("admit", () => {
      it.effect("writes the VM, its reservation and a pending operation", () =>
        Effect.gen(function* () {
          const { inventory, journal } = yield* started
          const { operation, vm } = yield* inventory.admit(request("web"), on(2))
          assert.strictEqual(vm.id, 1)
          assert.strictEqual(vm.state, "creating")
          assert.strictEqual(vm.hostId, 2)
          assert.match(vm.mac ?? "", /^52:54:00(:[0-9a-f]{2}){3}$/)
          assert.deepStrictEqual(vm.resources, { cpu: 1, ram: 512, disk: 1 })
          assert.strictEqual(operation.kind, "CreateVm")
          assert.strictEqual(operation.state, "pending")
          assert.strictEqual(operation.vmId, vm.id)
          assert.deepStrictEqual(yield* inventory.vm(vm.id), vm)
          assert.deepStrictEqual(yield* inventory.vmRecord(vm.id), vm)
          assert.deepStrictEqual(yield* inventory.operation(operation.id), Option.some(operation))
          assert.deepStrictEqual(yield* journal.unfinished, [operation])
          const usage = yield* inventory.host(HostId.make(2))
          assert.deepStrictEqual([usage.promised, usage.vms], [vm.resources, 1])
        }).pipe(Effect.provide(layer))
      )

      it.effect("shows the placement every host in id order, with what is promised", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          yield* inventory.admit(request(), on(3))
          const { vm } = yield* inventory.admit(request(), (usage) => {
            assert.deepStrictEqual(hostIds(usage), [1, 2, 3])
            assert.deepStrictEqual(
              usage.map(({ promised, vms }) => [promised.ram, vms]),
              [
                [0, 0],
                [0, 0],
                [512, 1]
              ]
            )
            return Effect.succeed(HostId.make(1))
          })
          assert.strictEqual(vm.hostId, 1)
        }).pipe(Effect.provide(layer))
      )

      it.effect("writes nothing when the placement fails, dies or is interrupted", () =>
        Effect.gen(function* () {
          const { inventory, journal } = yield* started
          const before = yield* inventory.hosts
          const placements = [
            () => Effect.fail("nowhere"),
            () => Effect.die("broken"),
            () => Effect.interrupt,
            on(99) // not a host
          ]
          for (const place of placements) {
            assert.isTrue(Exit.isFailure(yield* Effect.exit(inventory.admit(request(), place))))
          }
          assert.deepStrictEqual(yield* inventory.hosts, before)
          assert.deepStrictEqual(yield* inventory.vms(), [])
          assert.deepStrictEqual(yield* journal.unfinished, [])
          assert.strictEqual((yield* inventory.admit(request(), on(1))).vm.id, 1)
        }).pipe(Effect.provide(layer))
      )

      it.effect("never promises more than there is, however many ask at once", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          // room for 20 + 20 + 10
          yield* inventory.setHostFacts(HostId.make(1), facts({ cpu: 20, ram: 512 * 30, disk: 30 }))
          yield* inventory.setHostFacts(HostId.make(2), facts({ cpu: 30, ram: 512 * 20 + 511, disk: 30 }))
          yield* inventory.setHostFacts(HostId.make(3), facts({ cpu: 30, ram: 512 * 30, disk: 10 }))
          const exits = yield* Effect.forEach(
            Array.from({ length: 200 }, (_, i) => `vm-${i}`),
            (name) => Effect.exit(inventory.admit(request(name), spread(small))),
            { concurrency: "unbounded" }
          )
          const admitted = exits.flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value.vm] : []))
          assert.strictEqual(admitted.length, 50)
          assert.strictEqual(new Set(ids(admitted)).size, 50)
          assert.deepStrictEqual(
            (yield* inventory.hosts).map(({ promised, vms }) => [promised.cpu, promised.ram, promised.disk, vms]),
            [
              [20, 512 * 20, 20, 20],
              [20, 512 * 20, 20, 20],
              [10, 512 * 10, 10, 10]
            ]
          )
          assert.deepStrictEqual(
            ids(yield* inventory.vms()),
            ids(admitted).sort((a, b) => a - b)
          )
        }).pipe(Effect.provide(layer))
      )

      it.effect("gives every VM an address of its own", () =>
        Effect.gen(function* () {
          const { inventory, journal } = yield* started
          const macs = Effect.gen(function* () {
            const first = yield* inventory.admit(request(), on(1))
            const second = yield* inventory.admit(request(), on(1))
            yield* inventory.setVmState(first.vm.id, "failed")
            yield* journal.record(first.operation.id, { state: { to: "failed" } })
            const third = yield* inventory.admit(request(), on(1))
            return [first, second, third].map(({ vm }) => vm.mac)
          })
          assert.deepStrictEqual(yield* Effect.withRandom(macs, Random.fixed([5, 5, 5, 255 * 256, 5])), [
            "52:54:00:00:00:05",
            "52:54:00:00:ff:00",
            "52:54:00:00:00:05"
          ])
        }).pipe(Effect.provide(layer))
      )

      it.effect("keeps any name as it is", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          for (const name of ["'; drop table vms; --", "naïve 日本 🚀", `"${"x".repeat(253)}"`, "%s ${1} ?"]) {
            const { vm } = yield* inventory.admit(request(name), on(1))
            assert.strictEqual((yield* inventory.vmRecord(vm.id)).name, name)
          }
        }).pipe(Effect.provide(layer))
      )
    })

    describe("destroy", () => {
      it.effect("begins once: while it is unfinished the same operation is given", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          const vm = yield* vmIn("running")
          const all = yield* Effect.all(
            Array.from({ length: 5 }, () => inventory.beginDestroy(vm.id)),
            { concurrency: "unbounded" }
          )
          const operations = all.flatMap(Option.toArray)
          assert.strictEqual(operations.length, 5)
          assert.strictEqual(new Set(operations.map(({ id }) => id)).size, 1)
          assert.strictEqual(operations[0]?.kind, "DestroyVm")
          assert.strictEqual((yield* inventory.vm(vm.id)).state, "destroying")
          // it is promised until it is gone
          assert.strictEqual((yield* inventory.host(vm.hostId)).vms, 1)
        }).pipe(Effect.provide(layer))
      )

      it.effect("of one already destroyed has nothing to do", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          const vm = yield* vmIn("destroyed")
          assert.deepStrictEqual(yield* inventory.beginDestroy(vm.id), Option.none())
        }).pipe(Effect.provide(layer))
      )

      it.effect("of one never made, or whose creation failed, finds nothing", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          const vm = yield* vmIn("failed")
          for (const id of [vm.id, VmId.make(4711)]) {
            const error = yield* Effect.flip(inventory.beginDestroy(id))
            assert.strictEqual(error.message, `VM ${id} does not exist`)
          }
        }).pipe(Effect.provide(layer))
      )

      it.effect("waits for the end of the creation, also after the VM runs", () =>
        Effect.gen(function* () {
          const { inventory, journal } = yield* started
          const { operation, vm } = yield* inventory.admit(request(), on(1))
          assert.strictEqual((yield* Effect.flip(inventory.beginDestroy(vm.id)))._tag, "VmBusy")
          yield* inventory.setVmState(vm.id, "running")
          assert.strictEqual((yield* Effect.flip(inventory.beginDestroy(vm.id)))._tag, "VmBusy")
          yield* journal.record(operation.id, { state: { to: "done" } })
          assert.isTrue(Option.isSome(yield* inventory.beginDestroy(vm.id)))
        }).pipe(Effect.provide(layer))
      )

      it.effect("can be begun again when the last one failed", () =>
        Effect.gen(function* () {
          const { inventory, journal, vmIn } = yield* started
          const vm = yield* vmIn("running")
          const first = Option.getOrThrow(yield* inventory.beginDestroy(vm.id))
          yield* journal.record(first.id, { state: { to: "failed", error: "the host refused" } })
          const second = Option.getOrThrow(yield* inventory.beginDestroy(vm.id))
          assert.notStrictEqual(second.id, first.id)
        }).pipe(Effect.provide(layer))
      )
    })

    describe("VMs", () => {
      it.effect("exist for users until destroyed or failed, and their records longer", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          for (const state of ["creating", "running", "destroying", "destroyed", "failed"] as const) {
            const vm = yield* vmIn(state)
            const visible = Exit.isSuccess(yield* Effect.exit(inventory.vm(vm.id)))
            assert.strictEqual(visible, state !== "destroyed" && state !== "failed", state)
            assert.strictEqual((yield* inventory.vmRecord(vm.id)).state, state)
          }
          assert.deepStrictEqual(ids(yield* inventory.vms()), [1, 2, 3])
          const absent = VmId.make(99)
          assert.strictEqual((yield* Effect.flip(inventory.vm(absent))).message, "VM 99 does not exist")
          assert.strictEqual((yield* Effect.flip(inventory.vmRecord(absent)))._tag, "VmNotFound")
        }).pipe(Effect.provide(layer))
      )

      it.effect("are listed by id, and by host", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          for (const where of [3, 1, 3, 2, 3]) yield* vmIn("running", where)
          yield* inventory.setVmState(VmId.make(1), "destroying")
          assert.deepStrictEqual(ids(yield* inventory.vms()), [1, 2, 3, 4, 5])
          assert.deepStrictEqual(ids(yield* inventory.vms({ host: HostId.make(3) })), [1, 3, 5])
        }).pipe(Effect.provide(layer))
      )

      it.effect("give their reservation back once, and cannot come back themselves", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          const vm = yield* vmIn("running")
          yield* vmIn("running")
          for (let i = 0; i < 2; i++) {
            yield* inventory.setVmState(vm.id, "destroyed")
            assert.strictEqual((yield* inventory.host(vm.hostId)).vms, 1)
          }
          const exit = yield* Effect.exit(inventory.setVmState(vm.id, "running"))
          assert.isTrue(Exit.isFailure(exit))
          assert.strictEqual((yield* inventory.vmRecord(vm.id)).state, "destroyed")
        }).pipe(Effect.provide(layer))
      )

      it.effect("never get the id of another", () =>
        Effect.gen(function* () {
          const { vmIn } = yield* started
          const first = yield* vmIn("destroyed")
          const second = yield* vmIn("failed")
          const third = yield* vmIn("running")
          assert.deepStrictEqual(
            [first.id, second.id, third.id],
            [1, 2, 3].map((id) => VmId.make(id))
          )
        }).pipe(Effect.provide(layer))
      )
    })

    describe("a request's key", () => {
      const keyed = (key: string, fingerprint = "web", replaces?: OperationId) => ({
        ...request(),
        key: { key, fingerprint, ...(replaces === undefined ? {} : { replaces }) }
      })
      const nowhere = () => Effect.die("the placement was asked")

      it.effect("gives what the request led to, as it is now, and writes nothing", () =>
        Effect.gen(function* () {
          const { inventory, journal } = yield* started
          const first = yield* inventory.admit(keyed("a"), on(2))
          assert.deepStrictEqual(yield* inventory.admit(keyed("a"), nowhere), first)
          yield* inventory.setVmState(first.vm.id, "running")
          yield* journal.record(first.operation.id, { state: { to: "done" } })
          const again = yield* inventory.admit(keyed("a"), nowhere)
          assert.deepStrictEqual([again.vm.state, again.operation.state], ["running", "done"])
          assert.deepStrictEqual(yield* inventory.vms(), [again.vm])
          // also of one that is gone
          yield* inventory.setVmState(first.vm.id, "destroyed")
          assert.strictEqual((yield* inventory.admit(keyed("a"), nowhere)).vm.state, "destroyed")
          assert.deepStrictEqual(yield* inventory.vms(), [])
          assert.strictEqual((yield* inventory.admit(keyed("b"), on(1))).vm.id, 2)
        }).pipe(Effect.provide(layer))
      )

      it.effect("makes one VM of many requests that come at once", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          const all = yield* Effect.all(
            Array.from({ length: 20 }, () => inventory.admit(keyed("a"), on(1))),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(new Set(all.map(({ operation }) => operation.id)).size, 1)
          assert.deepStrictEqual(ids(yield* inventory.vms()), [1])
        }).pipe(Effect.provide(layer))
      )

      it.effect("is refused for another request", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          yield* inventory.admit(keyed("a"), on(1))
          const volume = { name: "data", size: 1, disk: dir, sourceId: null, key: { key: "a", fingerprint: "web" } }
          const refusals = [
            yield* Effect.flip(inventory.admit(keyed("a", "db"), nowhere)),
            yield* Effect.flip(inventory.admitVolume(volume, nowhere))
          ]
          for (const error of refusals) {
            assert.strictEqual(
              error.message,
              "Idempotency-Key a was used for another request before: take a new key for a new request"
            )
          }
        }).pipe(Effect.provide(layer))
      )

      it.effect("of a request that was refused is still new", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          assert.strictEqual(yield* Effect.flip(inventory.admit(keyed("a"), () => Effect.fail("full"))), "full")
          assert.strictEqual((yield* inventory.admit(keyed("a", "db"), on(1))).vm.id, 1)
        }).pipe(Effect.provide(layer))
      )

      it.effect("leads to another operation when the request is tried anew, once", () =>
        Effect.gen(function* () {
          const { inventory, journal } = yield* started
          const first = yield* inventory.admit(keyed("a"), on(1))
          yield* inventory.setVmState(first.vm.id, "failed")
          yield* journal.record(first.operation.id, { state: { to: "failed", error: "no" } })
          const anew = keyed("a", "web", first.operation.id)
          const second = yield* inventory.admit(anew, on(2))
          assert.notStrictEqual(second.operation.id, first.operation.id)
          // whoever comes too late with it, and whoever repeats the request, finds the second
          assert.deepStrictEqual(yield* inventory.admit(anew, nowhere), second)
          assert.deepStrictEqual(yield* inventory.admit(keyed("a"), nowhere), second)
          assert.strictEqual(
            (yield* Effect.flip(inventory.admit(keyed("a", "db", first.operation.id), nowhere)))._tag,
            "KeyReused"
          )
          // a failure of the placement leaves it as it was
          const third = keyed("a", "web", second.operation.id)
          yield* Effect.flip(inventory.admit(third, () => Effect.fail("full")))
          assert.deepStrictEqual(yield* inventory.admit(keyed("a"), nowhere), second)
        }).pipe(Effect.provide(layer))
      )
    })

    describe("operations on a VM", () => {
      it.effect("are begun one at a time", () =>
        Effect.gen(function* () {
          const { inventory, journal, vmIn } = yield* started
          const vm = yield* vmIn("running")
          const repair = yield* inventory.beginOnVm(vm.id, "RepairVm", { repair: ["disks", "network"] })
          assert.deepStrictEqual(
            [repair.kind, repair.vmId, repair.state, repair.detail],
            ["RepairVm", vm.id, "pending", { repair: ["disks", "network"] }]
          )
          assert.deepStrictEqual(yield* journal.unfinished, [repair])
          const busy = yield* Effect.flip(inventory.beginOnVm(vm.id, "StartVm"))
          assert.strictEqual(busy._tag === "VmBusy" && busy.operationId, repair.id)
          assert.include(busy.message, "it is being repaired")
          assert.include((yield* Effect.flip(inventory.beginDestroy(vm.id))).message, "it is being repaired")
          yield* journal.record(repair.id, { state: { to: "done" } })
          const start = yield* inventory.beginOnVm(vm.id, "StartVm")
          assert.deepStrictEqual([start.kind, start.detail], ["StartVm", {}])
          assert.include((yield* Effect.flip(inventory.beginDestroy(vm.id))).message, "it is being started")
          yield* journal.record(start.id, { state: { to: "failed", error: "no" } })
          assert.isTrue(Option.isSome(yield* inventory.beginDestroy(vm.id)))
          assert.strictEqual((yield* Effect.flip(inventory.beginOnVm(vm.id, "RepairVm")))._tag, "VmBusy")
        }).pipe(Effect.provide(layer))
      )

      it.effect("wait for those on its volumes, and change nothing of the VM", () =>
        Effect.gen(function* () {
          const { inventory, journal, vmIn } = yield* started
          const vm = yield* vmIn("running")
          const before = yield* inventory.vmRecord(vm.id)
          const { operation, volume } = yield* inventory.admitVolume(
            { name: "data", size: 1, disk: dir, sourceId: null },
            on(1)
          )
          yield* journal.record(operation.id, { state: { to: "done" } })
          yield* inventory.settleVolume(volume.id, { state: "available" })
          const attach = yield* inventory.changeVolume(volume.id, vm.id, () =>
            Effect.succeed({
              state: "attaching",
              attachment: { vmId: vm.id, target: "vdb" },
              operation: { kind: "AttachVolume", vmId: vm.id }
            })
          )
          const busy = yield* Effect.flip(inventory.beginOnVm(vm.id, "StartVm"))
          assert.include(busy.message, `volume ${volume.id}: it is being attached`)
          yield* journal.record(attach.operation!.id, { state: { to: "done" } })
          yield* inventory.beginOnVm(vm.id, "StartVm")
          assert.deepStrictEqual(yield* inventory.vmRecord(vm.id), before)
        }).pipe(Effect.provide(layer))
      )

      it.effect("clean what is gone, and do the rest to what is not", () =>
        Effect.gen(function* () {
          const { inventory, journal, vmIn } = yield* started
          for (const state of ["destroyed", "failed"] as const) {
            const vm = yield* vmIn(state)
            for (const kind of ["StartVm", "RepairVm"] as const) {
              assert.strictEqual((yield* Effect.flip(inventory.beginOnVm(vm.id, kind)))._tag, "VmNotFound")
            }
            const clean = yield* inventory.beginOnVm(vm.id, "CleanVm")
            assert.deepStrictEqual([clean.kind, clean.vmId], ["CleanVm", vm.id])
            const busy = yield* Effect.flip(inventory.beginOnVm(vm.id, "CleanVm"))
            assert.include(busy.message, "what was left of it is being removed")
            // a repeated destroy is answered as before
            if (state === "destroyed") assert.deepStrictEqual(yield* inventory.beginDestroy(vm.id), Option.none())
            yield* journal.record(clean.id, { state: { to: "done" } })
            yield* inventory.beginOnVm(vm.id, "CleanVm")
          }
          for (const state of ["running", "destroying"] as const) {
            const vm = yield* vmIn(state)
            assert.isTrue(Exit.isFailure(yield* Effect.exit(inventory.beginOnVm(vm.id, "CleanVm"))), state)
            yield* inventory.beginOnVm(vm.id, "StartVm")
          }
          assert.strictEqual((yield* Effect.flip(inventory.beginOnVm(VmId.make(99), "CleanVm")))._tag, "VmNotFound")
        }).pipe(Effect.provide(layer))
      )
    })

    describe("what was seen", () => {
      const [first, second, third] = [VmId.make(1), VmId.make(2), VmId.make(3)] as const
      const seen = (power: Power, reason: string | null = null) => ({ power, reason })
      const field = (name: string, seen: string | null = null, more: Partial<DriftField> = {}): DriftField => ({
        kind: "definition",
        field: name,
        wanted: "2",
        applied: null,
        seen,
        ...more
      })

      it.effect("of a VM is remembered with when it was first seen so", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          yield* vmIn("running")
          yield* vmIn("running")
          assert.deepStrictEqual([...(yield* inventory.seen)], [])
          yield* inventory.observe(
            [
              { vmId: first, seen: seen("running"), drift: null },
              { vmId: second, seen: seen("stopped", "the guest shut itself down"), drift: null }
            ],
            100
          )
          const before = new Map<VmId, VmSeen>([
            [first, { power: "running", reason: null, since: 100 }],
            [second, { power: "stopped", reason: "the guest shut itself down", since: 100 }]
          ])
          assert.deepStrictEqual(new Map(yield* inventory.seen), before)
          // as before, or not looked at
          yield* inventory.observe(
            [
              { vmId: first, seen: seen("running"), drift: null },
              { vmId: second, seen: null, drift: [] }
            ],
            200
          )
          assert.deepStrictEqual(new Map(yield* inventory.seen), before)
          yield* inventory.observe(
            [
              { vmId: first, seen: seen("paused", "an I/O error"), drift: null },
              { vmId: second, seen: seen("stopped", "it was switched off"), drift: null }
            ],
            300
          )
          assert.deepStrictEqual(
            new Map(yield* inventory.seen),
            new Map<VmId, VmSeen>([
              [first, { power: "paused", reason: "an I/O error", since: 300 }],
              [second, { power: "stopped", reason: "it was switched off", since: 300 }]
            ])
          )
        }).pipe(Effect.provide(layer))
      )

      it.effect("to differ is kept by VM and field, and says since when", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          for (let i = 0; i < 3; i++) yield* vmIn("running")
          const observe = (vmId: VmId, drift: ReadonlyArray<DriftField> | null, now: number) =>
            inventory.observe([{ vmId, seen: null, drift }], now)
          assert.deepStrictEqual(yield* inventory.drift(), [])
          yield* observe(third, [field("vcpus", "4")], 100)
          yield* observe(
            first,
            [field("vcpus", "4"), field("memory", null, { kind: "disks", applied: "1", wanted: null })],
            100
          )
          const told = (filter?: { readonly vms: ReadonlyArray<VmId> }) =>
            Effect.map(inventory.drift(filter), (all) => all.map((one) => [one.vmId, one.field, one.seen, one.since]))
          assert.deepStrictEqual(yield* told(), [
            [1, "memory", null, 100],
            [1, "vcpus", "4", 100],
            [3, "vcpus", "4", 100]
          ])
          assert.deepStrictEqual(
            { ...(yield* inventory.drift({ vms: [first] }))[0] },
            {
              vmId: first,
              kind: "disks",
              field: "memory",
              wanted: null,
              applied: "1",
              seen: null,
              since: 100
            }
          )
          // another value is still a difference since then; one that is gone is gone, and new when it comes back
          yield* observe(first, [field("vcpus", "8"), field("title", "x")], 200)
          assert.deepStrictEqual(yield* told({ vms: [first] }), [
            [1, "title", "x", 200],
            [1, "vcpus", "8", 100]
          ])
          yield* observe(first, null, 300)
          assert.strictEqual((yield* told({ vms: [first] })).length, 2)
          yield* observe(first, [], 400)
          assert.deepStrictEqual(yield* told({ vms: [first] }), [])
          yield* observe(first, [field("vcpus", "8")], 500)
          assert.deepStrictEqual(yield* told(), [
            [1, "vcpus", "8", 500],
            [3, "vcpus", "4", 100]
          ])
          assert.deepStrictEqual(yield* told({ vms: [second] }), [])
        }).pipe(Effect.provide(layer))
      )

      it.effect("ends with the VM, and nothing is remembered of what does not exist", () =>
        Effect.gen(function* () {
          const { inventory, journal, vmIn } = yield* started
          for (let i = 0; i < 3; i++) yield* vmIn("running")
          const all = [first, second, third, VmId.make(99)].map((vmId) => ({
            vmId,
            seen: seen("running"),
            drift: [field("vcpus")]
          }))
          yield* inventory.observe(all, 100)
          assert.deepStrictEqual([...(yield* inventory.seen).keys()], [first, second, third])
          yield* inventory.setVmState(first, "destroyed")
          // beside its end, whichever is first
          yield* Effect.all([inventory.setVmState(second, "failed"), inventory.observe(all, 200)], {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual([...(yield* inventory.seen).keys()], [third])
          assert.deepStrictEqual(ids((yield* inventory.drift()).map(({ vmId }) => ({ id: vmId }))), [3])
          const next = yield* inventory.admit(request(), on(1))
          yield* journal.record(next.operation.id, { state: { to: "done" } })
          assert.isFalse((yield* inventory.seen).has(next.vm.id))
        }).pipe(Effect.provide(layer))
      )

      it.effect("several times at once is as if it had been told one after the other", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          yield* vmIn("running")
          yield* inventory.observe(
            [
              { vmId: first, seen: seen("running"), drift: [field("a"), field("b")] },
              { vmId: first, seen: seen("crashed"), drift: [field("b", "7"), field("c")] },
              { vmId: first, seen: seen("running"), drift: [field("c"), field("a")] }
            ],
            100
          )
          const fields = Effect.map(inventory.drift(), (all) => all.map((one) => [one.field, one.seen]))
          assert.deepStrictEqual(yield* fields, [
            ["a", null],
            ["c", null]
          ])
          yield* Effect.all(
            Array.from({ length: 9 }, (_, i) =>
              inventory.observe(
                [{ vmId: first, seen: seen(i % 2 === 0 ? "stopped" : "running"), drift: [field("a", `${i}`)] }],
                200 + i
              )
            ),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual((yield* inventory.seen).get(first), { power: "stopped", reason: null, since: 208 })
          assert.deepStrictEqual(yield* fields, [["a", "8"]])
        }).pipe(Effect.provide(layer))
      )
    })

    describe("what is expected", () => {
      it.effect("is looked at in the transaction, and when it is not so nothing is changed", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          const vm = yield* vmIn("running")
          const seen: Array<string> = []
          const no = (now: Vm | Host) => {
            seen.push(now.name)
            return new HasChanged({ what: "it" })
          }
          assert.strictEqual((yield* Effect.flip(inventory.beginDestroy(vm.id, no)))._tag, "HasChanged")
          assert.strictEqual((yield* inventory.vm(vm.id)).state, "running")
          assert.strictEqual(
            (yield* Effect.flip(inventory.changeVm(vm.id, { onCrash: "restart" }, no)))._tag,
            "HasChanged"
          )
          assert.strictEqual((yield* inventory.vm(vm.id)).onCrash, "leave")
          assert.strictEqual(
            (yield* Effect.flip(inventory.setMaintenance(HostId.make(1), true, no)))._tag,
            "HasChanged"
          )
          assert.isFalse((yield* inventory.host(HostId.make(1))).host.maintenance)
          assert.deepStrictEqual(seen, ["web", "web", (yield* inventory.host(HostId.make(1))).host.name])

          const yes = () => Effect.void
          assert.strictEqual((yield* inventory.changeVm(vm.id, { onCrash: "restart" }, yes)).after.onCrash, "restart")
          assert.strictEqual((yield* inventory.vm(vm.id)).onCrash, "restart")
          assert.strictEqual((yield* inventory.vmRecord(vm.id)).onCrash, "restart")
          assert.isTrue(Option.isSome(yield* inventory.beginDestroy(vm.id, yes)))
          // what is being destroyed already needs not to be begun
          assert.isTrue(Option.isSome(yield* inventory.beginDestroy(vm.id, no)))
          yield* inventory.setVmState(vm.id, "destroyed")
          assert.strictEqual((yield* Effect.flip(inventory.changeVm(vm.id, { onCrash: "leave" })))._tag, "VmNotFound")
          assert.strictEqual(
            (yield* Effect.flip(inventory.changeVm(VmId.make(99), { onCrash: "leave" })))._tag,
            "VmNotFound"
          )
        }).pipe(Effect.provide(layer))
      )
    })

    it.effect("an operation knows the one that does the same anew", () =>
      Effect.gen(function* () {
        const { inventory } = yield* started
        const first = yield* inventory.admit(request(), on(1))
        assert.isNull(first.operation.replacedBy)
        const second = yield* inventory.admit({ ...request(), replaces: first.operation.id }, on(2))
        const replaced = Option.getOrThrow(yield* inventory.operation(first.operation.id))
        assert.strictEqual(replaced.replacedBy, second.operation.id)
        assert.isNull(Option.getOrThrow(yield* inventory.operation(second.operation.id)).replacedBy)
      }).pipe(Effect.provide(layer))
    )

    it.effect("an operation has one retry, and a key, which are written with it or not at all", () =>
      Effect.gen(function* () {
        const { inventory, journal } = yield* started
        const first = yield* inventory.admit(request(), on(1))
        yield* inventory.setVmState(first.vm.id, "failed")
        yield* journal.record(first.operation.id, { state: { to: "failed", error: "no" } })
        const of = first.operation.id
        const key = { key: "once", fingerprint: "retry" }
        const found: Array<OperationId | null> = []
        const retrying = (end: Effect.Effect<void>) =>
          inventory.admit(request(), on(1), ({ operation }) =>
            inventory.keepRetry(of, operation.id).pipe(
              Effect.map((by) => void found.push(by)),
              Effect.zipRight(inventory.keepKey(key, { _tag: "Operation", operation }, 0)),
              Effect.orDie,
              Effect.zipRight(end)
            )
          )
        assert.isTrue(Exit.isFailure(yield* Effect.exit(retrying(Effect.die("it is taken back")))))
        assert.isNull(Option.getOrThrow(yield* inventory.operation(of)).retriedBy)
        assert.isNull(yield* inventory.keyed(key))

        const { operation } = yield* retrying(Effect.void)
        assert.deepInclude(Option.getOrThrow(yield* inventory.operation(of)), {
          retryOf: null,
          retriedBy: operation.id
        })
        assert.deepInclude(Option.getOrThrow(yield* inventory.operation(operation.id)), {
          retryOf: of,
          retriedBy: null
        })
        const led = yield* inventory.keyed(key)
        assert.strictEqual(led?._tag === "Operation" ? led.operation.id : null, operation.id)
        assert.strictEqual((yield* Effect.flip(inventory.keyed({ ...key, fingerprint: "another" })))._tag, "KeyReused")
        yield* retrying(Effect.void)
        assert.deepStrictEqual(found, [null, null, operation.id])
        // alone it could be lost, or be there without its operation
        assert.isTrue(Exit.isFailure(yield* Effect.exit(inventory.keepRetry(of, operation.id))))
        assert.isTrue(Exit.isFailure(yield* Effect.exit(inventory.keepKey(key, { _tag: "Operation", operation }, 0))))
      }).pipe(Effect.provide(layer))
    )

    describe("pages of VMs", () => {
      const walk = Effect.fnUntraced(function* (filter: VmFilter, order: VmOrder, limit: number) {
        const inventory = yield* Inventory
        const pages: Array<ReadonlyArray<number>> = []
        let after: Position | null = null
        let total = 0
        do {
          const page: Page<Vm> = yield* inventory.vmPage(filter, order, after, limit)
          pages.push(ids(page.items))
          after = page.next
          total = page.total
        } while (after !== null)
        return { pages, total }
      })
      const byId: VmOrder = { by: "id", descending: false }

      it.effect("are in order, whole, and end where there are no more", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          assert.deepStrictEqual(yield* walk({}, byId, 3), { pages: [[]], total: 0 })
          for (const name of ["b", "a", "b", "é", "B"]) yield* vmIn("running", 1, name)
          yield* vmIn("failed", 1, "a")
          yield* vmIn("destroyed", 1, "a")
          assert.deepStrictEqual(yield* walk({}, byId, 2), { pages: [[1, 2], [3, 4], [5]], total: 5 })
          assert.deepStrictEqual(yield* walk({}, byId, 5), { pages: [[1, 2, 3, 4, 5]], total: 5 })
          const pages = (by: VmOrder["by"], descending: boolean, limit = 2) =>
            Effect.map(walk({}, { by, descending }, limit), ({ pages }) => pages)
          assert.deepStrictEqual(yield* pages("id", true), [[5, 4], [3, 2], [1]])
          assert.deepStrictEqual(yield* pages("name", false), [[5, 2], [1, 3], [4]])
          assert.deepStrictEqual(yield* pages("name", true), [[4, 3], [1, 2], [5]])
          // all in one moment
          assert.deepStrictEqual(yield* pages("created", false, 1), [[1], [2], [3], [4], [5]])
          assert.deepStrictEqual(yield* pages("created", true, 4), [[5, 4, 3, 2], [1]])
          const { items } = yield* inventory.vmPage({}, byId, null, 1)
          assert.deepStrictEqual(items, [yield* inventory.vm(VmId.make(1))])
        }).pipe(Effect.provide(layer))
      )

      it.effect("are of those that somebody had made, or in the order of who had", () =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          const [ada, bob] = [UserName.make("ada"), UserName.make("bob")]
          for (const [name, owner] of [
            ["v1", bob],
            ["v2", ada],
            ["v3", null],
            ["v4", ada],
            ["w5", ada]
          ] as const) {
            yield* inventory.admit({ ...request(name), owner }, on(1))
          }
          assert.deepStrictEqual(yield* walk({ owner: ada }, byId, 2), { pages: [[2, 4], [5]], total: 3 })
          assert.deepStrictEqual(yield* walk({ owner: ada, name: "v" }, byId, 2), { pages: [[2, 4]], total: 2 })
          assert.deepStrictEqual(yield* walk({ owner: UserName.make("eve") }, byId, 2), { pages: [[]], total: 0 })
          const pages = (descending: boolean) =>
            Effect.map(walk({}, { by: "owner", descending }, 2), ({ pages }) => pages)
          assert.deepStrictEqual(yield* pages(false), [[3, 2], [4, 5], [1]])
          assert.deepStrictEqual(yield* pages(true), [[1, 5], [4, 2], [3]])
        }).pipe(Effect.provide(layer))
      )

      it.effect("are of those that were asked for", () =>
        Effect.gen(function* () {
          const { inventory, vmIn } = yield* started
          yield* vmIn("running", 1, "web-1")
          yield* vmIn("running", 2, "web-2")
          yield* vmIn("creating", 2, "db")
          yield* inventory.admit(request("web_", type(2)), on(1))
          const found = (filter: VmFilter) => walk(filter, byId, 10)
          assert.deepStrictEqual(yield* found({ name: "web-" }), { pages: [[1, 2]], total: 2 })
          assert.deepStrictEqual(yield* found({ name: "%" }), { pages: [[]], total: 0 })
          assert.deepStrictEqual(yield* found({ name: "" }), { pages: [[1, 2, 3, 4]], total: 4 })
          assert.deepStrictEqual(yield* found({ state: "creating" }), { pages: [[3, 4]], total: 2 })
          assert.deepStrictEqual(yield* found({ state: "destroyed" }), { pages: [[]], total: 0 })
          assert.deepStrictEqual(yield* found({ host: HostId.make(2) }), { pages: [[2, 3]], total: 2 })
          assert.deepStrictEqual(yield* found({ type: InstanceTypeId.make(2) }), { pages: [[4]], total: 1 })
          const both = { host: HostId.make(2), name: "web" }
          assert.deepStrictEqual(yield* found(both), { pages: [[2]], total: 1 })
        }).pipe(Effect.provide(layer))
      )
    })

    it.effect("a host's maintenance is kept until it is ended, or the host is dropped", () =>
      Effect.gen(function* () {
        const { inventory } = yield* started
        const inMaintenance = Effect.map(inventory.hosts, (all) =>
          all.flatMap(({ host }) => (host.maintenance ? [host.id] : []))
        )
        assert.deepStrictEqual(yield* inMaintenance, [])
        yield* inventory.setMaintenance(HostId.make(2), true)
        yield* inventory.setMaintenance(HostId.make(2), true)
        yield* inventory.setMaintenance(HostId.make(3), true)
        yield* inventory.applyFleet(fleet)
        yield* inventory.setHostFacts(HostId.make(2), facts({ cpu: 4, ram: 4096, disk: 100 }))
        assert.deepStrictEqual(
          yield* inMaintenance,
          [2, 3].map((id) => HostId.make(id))
        )
        assert.isTrue((yield* inventory.host(HostId.make(2))).host.maintenance)
        yield* inventory.setMaintenance(HostId.make(2), false)
        assert.isFalse((yield* inventory.host(HostId.make(2))).host.maintenance)
        yield* inventory.applyFleet({ ...fleet, hosts: [host("a"), host("b")] })
        for (const id of [3, 99]) {
          assert.strictEqual((yield* Effect.flip(inventory.setMaintenance(HostId.make(id), true)))._tag, "HostNotFound")
        }
        yield* inventory.applyFleet(fleet)
        assert.deepStrictEqual(yield* inMaintenance, [])
      }).pipe(Effect.provide(layer))
    )

    it.effect("a VM says what becomes of it in a crash, and what it was last made", () =>
      Effect.gen(function* () {
        const { inventory } = yield* started
        const { vm } = yield* inventory.admit({ ...request(), onCrash: "restart" }, on(1))
        assert.deepStrictEqual([vm.onCrash, vm.applied], ["restart", null])
        const applied = { name: "web", cpu: 1, ram: 512 }
        for (const [state, expected] of [
          ["creating", null],
          ["running", applied],
          ["destroying", applied]
        ] as const) {
          yield* inventory.setVmState(vm.id, state)
          const now = yield* inventory.vm(vm.id)
          assert.deepStrictEqual([now.state, now.onCrash, now.applied], [state, "restart", expected])
          assert.deepStrictEqual(yield* inventory.vmRecord(vm.id), now)
        }
        assert.strictEqual((yield* inventory.admit(request(), on(1))).vm.onCrash, "leave")
      }).pipe(Effect.provide(layer))
    )

    it.effect("an unknown operation is none", () =>
      Effect.gen(function* () {
        const inventory = yield* Inventory
        const id = OperationId.make("6f1b8b52-5df1-4a43-9a3c-0d1b6f0d3a11")
        assert.deepStrictEqual(yield* inventory.operation(id), Option.none())
      }).pipe(Effect.provide(layer))
    )

    it.effect("readers see a placement's effects only when all of it is written", () =>
      Effect.gen(function* () {
        const { inventory } = yield* started
        const placing = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        const writer = yield* Effect.fork(
          inventory.admit(request(), () =>
            Deferred.succeed(placing, undefined).pipe(Effect.zipRight(Deferred.await(go)), Effect.zipRight(on(1)()))
          )
        )
        yield* Deferred.await(placing)
        const reader = yield* Effect.fork(inventory.host(HostId.make(1)))
        assert.deepStrictEqual(yield* inventory.vms(), [])
        yield* Deferred.succeed(go, undefined)
        yield* Fiber.join(writer)
        assert.include([0, 1], (yield* Fiber.join(reader)).vms)
        assert.strictEqual((yield* inventory.host(HostId.make(1))).vms, 1)
      }).pipe(Effect.provide(layer))
    )

    const Step = FastCheck.oneof(
      { weight: 5, arbitrary: FastCheck.record({ what: FastCheck.constant("admit" as const), n: FastCheck.nat(3) }) },
      {
        weight: 4,
        arbitrary: FastCheck.record({
          what: FastCheck.constantFrom("running" as const, "destroy" as const, "destroyed" as const, "failed" as const),
          n: FastCheck.nat(30)
        })
      },
      {
        weight: 1,
        arbitrary: FastCheck.record({ what: FastCheck.constant("overcommit" as const), n: FastCheck.nat(3) })
      }
    )

    it.effect.prop(
      "what is promised is the sum over the VMs that exist, and never grows beyond what there is",
      { steps: FastCheck.array(Step, { minLength: 300, maxLength: 300, size: "max" }), parallel: FastCheck.boolean() },
      ({ parallel, steps }) =>
        Effect.gen(function* () {
          const { inventory } = yield* started
          const capacity = { cpu: 12, ram: 6144, disk: 40 }
          for (const id of [1, 2, 3]) yield* inventory.setHostFacts(HostId.make(id), facts(capacity))
          const sizes = [small, type(2, 2, 1024, 10), small, type(2, 2, 1024, 10)]
          const perform = Effect.fnUntraced(function* ({ n, what }: (typeof steps)[number]) {
            if (what === "admit") {
              const size = sizes[n] ?? small
              return yield* Effect.exit(inventory.admit(request("any", size), spread(size)))
            }
            if (what === "overcommit") {
              const ratio = 0.5 + n / 3
              const overcommit = { cpu: ratio, ram: ratio, disk: ratio }
              const hosts = ["a", "b", "c"].map((name) => host(name, { overcommit }))
              return yield* Effect.exit(inventory.applyFleet({ ...fleet, hosts }))
            }
            const vms = yield* inventory.vms()
            const vm = vms[n % Math.max(1, vms.length)]
            if (vm === undefined) return
            // in parallel it may be over by now, which is refused
            return yield* Effect.exit(
              what === "destroy" ? inventory.beginDestroy(vm.id) : inventory.setVmState(vm.id, what)
            )
          })
          const check = Effect.gen(function* () {
            const vms = yield* inventory.vms()
            for (const usage of yield* inventory.hosts) {
              const there = vms.filter((vm) => vm.hostId === usage.host.id)
              const sum = Resources.map((name) => there.reduce((total, vm) => total + vm.resources[name], 0))
              assert.deepStrictEqual([usage.promised, usage.vms], [sum, there.length])
              // 1.5 is the highest overcommit there ever was
              assert.isTrue(Resources.names.every((name) => sum[name] <= 1.5 * capacity[name]))
            }
            for (const vm of vms) assert.deepStrictEqual(yield* inventory.vmRecord(vm.id), vm)
          })
          if (parallel) yield* Effect.forEach(steps, perform, { concurrency: 20 })
          else {
            for (const [index, step] of steps.entries()) {
              yield* perform(step)
              if (index % 25 === 0) yield* check
            }
          }
          yield* check
        }).pipe(Effect.provide(layer)),
      { fastCheck: { numRuns: 18 }, timeout: 120_000 }
    )
  })
