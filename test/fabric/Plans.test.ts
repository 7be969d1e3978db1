/**
 * Plans against a simulated fleet: for each thing that can be done, that planning it changes nothing, that it is then done as planned, and that it is
 * not when something that the plan depended on has moved.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as AppTest from "../../layers/AppTest.ts"
import type { PlanOutdated } from "../../src/domain/Errors.ts"
import * as Ids from "../../src/domain/Ids.ts"
import type { OperationKind } from "../../src/domain/Operation.ts"
import * as Batch from "../../src/fabric/Batch.ts"
import * as Begun from "../../src/fabric/Begun.ts"
import { Hosts } from "../../src/fabric/Hosts.ts"
import * as Plans from "../../src/fabric/Plans.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Volumes } from "../../src/fabric/Volumes.ts"
import type { ProcedureName } from "../../src/libvirt/Procedures.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Operations } from "../../src/services/Operations.ts"
import * as Dump from "./Dump.ts"
import * as World from "./World.ts"

type Services = Vms | Volumes | Hosts | Reality | Plans.Plans | Inventory | Operations | HostMonitor
type Act = (world: World.Whole) => Effect.Effect<unknown, { readonly message: string }, Services>

const type = Ids.InstanceTypeId.make(1)
const vmId = Ids.VmId.make(1)
const otherVmId = Ids.VmId.make(2)
const volumeId = Ids.VolumeId.make(1)
const otherId = Ids.VolumeId.make(2)
const snapshotId = Ids.SnapshotId.make(1)

const vms =
  <A, E extends { readonly message: string }>(use: (vms: Vms["Type"]) => Effect.Effect<A, E>): Act =>
  () =>
    Effect.flatMap(Vms, use)
const volumes =
  <A, E extends { readonly message: string }>(use: (volumes: Volumes["Type"]) => Effect.Effect<A, E>): Act =>
  () =>
    Effect.flatMap(Volumes, use)
const inTurn =
  (...acts: ReadonlyArray<Act>): Act =>
  (world) =>
    Effect.forEach(acts, (act) => act(world), { discard: true })

const createVm = vms((it) => it.create({ name: "web", instanceType: type }))
const destroyVm = vms((it) => it.destroy(vmId))
const setOnCrash = vms((it) => it.change(vmId, { onCrash: "restart" }))
const tell = (hostname: string) =>
  vms((it) => it.setCloudInit(vmId, { hostname, userData: `#!/bin/sh\n: secret of ${hostname}\n` }))
const createVolume = volumes((it) => it.create({ name: "data", size: 2 }))
const attach = volumes((it) => it.attach(volumeId, vmId))
const detach = volumes((it) => it.detach(volumeId))
const destroyVolume = volumes((it) => it.destroy(volumeId))
const rename = volumes((it) => it.rename(volumeId, "archive"))
const grow = volumes((it) => it.grow(volumeId, 3))
const snapshot = volumes((it) => it.snapshot(volumeId, "monday"))
const destroySnapshot = volumes((it) => it.destroySnapshot(snapshotId))
const clone = volumes((it) => it.create({ name: "clone", source: snapshotId }))
const repair: Act = () => Effect.flatMap(Reality, (it) => it.repair(vmId))
const maintain =
  (on: boolean, host = 1): Act =>
  () =>
    Effect.flatMap(Hosts, (it) => it.setMaintenance(Ids.HostId.make(host), on))

/** What is there is looked at closely now. */
const look: Act = ({ hosts }) =>
  Effect.forEach(hosts, (_, index) => Effect.flatMap(Reality, (it) => it.look(Ids.HostId.make(index + 1))))

const crash: Act = (world) =>
  Effect.zipRight(
    Effect.forEach(world.hosts, ({ faults }) => faults.crashGuest("vm-1"), { discard: true }),
    look(world)
  )

/** The host of the plan takes nothing new any more. */
const fill: Act = () =>
  Effect.flatMap(Inventory, (inventory) =>
    Effect.forEach([1, 2], (id) => inventory.setHostFacts(Ids.HostId.make(id), small), { discard: true })
  )
const small = {
  hostname: "sim",
  uuid: "4c4c4544-0042-4b10-8052-b4c04f4d3132",
  libvirtVersion: "9.0.0",
  resources: { cpu: 1, ram: 512, disk: 500 },
  arch: "x86_64",
  domainType: "kvm",
  network: null
} as const

/** The machine file, the image file or the file of types says something else. */
const refit =
  (change: (config: World.Whole["config"]) => World.Whole["config"]): Act =>
  ({ config }) =>
    Effect.flatMap(Inventory, (inventory) => inventory.applyFleet(change(config)))

const silence: Act = ({ hosts }) =>
  Effect.gen(function* () {
    const monitor = yield* HostMonitor
    yield* Effect.forEach(hosts, ({ faults }) => faults.stopLibvirtd, { discard: true })
    yield* World.eventually(
      Effect.map(monitor.statuses, (all) => assert.isFalse([...all.values()].some(({ _tag }) => _tag === "Up")))
    )
  })

interface Case {
  readonly name: string
  /** what is there before */
  readonly given: Act
  readonly act: Act
  /** the operations that are planned */
  readonly kinds: ReadonlyArray<OperationKind>
  /** what its changes are about, `action kind`, in their order */
  readonly changes: ReadonlyArray<string>
  /** what the plan depends on: how it moves, and what is told of it */
  readonly moves: ReadonlyArray<readonly [how: string, act: Act, told: RegExp]>
  /** absent: both with volumes on hosts and in a pool */
  readonly only?: "hosts" | "pool"
  readonly undoWindow?: "0 seconds"
}

const volumeMoves: Case["moves"] = [
  ["it is renamed", volumes((it) => it.rename(volumeId, "other")), /^volume 1: name: planned data, now other$/m],
  ["it is grown", volumes((it) => it.grow(volumeId, 5)), /^volume 1: size: planned 2 GiB, now 5 GiB$/m],
  ["a snapshot is made", snapshot, /^volume 1: snapshots: planned none, now 1 \(monday, 2 GiB, ready\)$/m],
  ["it is destroyed", destroyVolume, /^volume 1: state: planned available, now deleted$/m]
]

const cases: ReadonlyArray<Case> = [
  {
    name: "a VM is created",
    given: () => Effect.void,
    act: createVm,
    kinds: ["CreateVm"],
    changes: ["create root disk", "create seed", "create domain", "create record"],
    moves: [
      [
        "its host is in maintenance",
        inTurn(maintain(true), maintain(true, 2)),
        /host 1 \(.*\): planned can take web, now .*maintenance/
      ],
      ["its host is full", fill, /host 1 \(.*\): planned can take web, now memory short/],
      ["its host does not answer", silence, /host 1 \(.*\): planned can take web, now .*libvirt/],
      [
        "its type is another",
        refit((config) => ({ ...config, types: config.types.map((one) => ({ ...one, ram: 2048 })) })),
        /instance type 1: planned 1 vCPUs, 1024 MiB, 1 GiB, now 1 vCPUs, 2048 MiB/
      ],
      [
        "its type is offered no more",
        refit((config) => ({ ...config, types: [{ ...config.types[0]!, tid: Ids.InstanceTypeId.make(2) }] })),
        /instance type 1: planned on offer/
      ],
      [
        "its host is dropped",
        refit((config) => ({ ...config, hosts: config.hosts.slice(1) })),
        /host 1 \(.*\): planned can take web, now it is not in the machine file/
      ]
    ]
  },
  {
    name: "a VM's guest is told something else",
    given: createVm,
    act: tell("one"),
    kinds: ["SetCloudInit"],
    changes: ["change seed"],
    moves: [
      ["it is told something else", tell("other"), /VM 1: cloud-init: planned revision 1, now revision 2/],
      ["it is destroyed", destroyVm, /VM 1: planned there, now .*/]
    ]
  },
  {
    name: "a VM is destroyed",
    given: inTurn(createVm, createVolume, attach),
    act: destroyVm,
    kinds: ["DestroyVm"],
    changes: ["remove domain", "remove seed", "remove root disk", "remove record", "change volume"],
    moves: [
      ["it is changed", setOnCrash, /VM 1: after a crash: planned leave, now restart/],
      ["a volume is taken from it", detach, /VM 1: volumes: planned volume 1 as vdb \(attached\), now none/],
      [
        "it is destroyed",
        destroyVm,
        /planned begins DestroyVm, now nothing to begin|VM 1: state: planned running, now destroyed/
      ]
    ]
  },
  {
    name: "a VM is repaired",
    given: inTurn(createVm, crash),
    act: repair,
    kinds: ["RepairVm"],
    changes: ["change power"],
    moves: [
      ["it was repaired", inTurn(repair, look), /VM 1: what differs: planned .*, now none/],
      ["it is changed", setOnCrash, /VM 1: after a crash: planned leave, now restart/],
      ["it is destroyed", destroyVm, /VM 1: planned there/]
    ]
  },
  {
    name: "what becomes of a VM after a crash",
    given: createVm,
    act: setOnCrash,
    kinds: [],
    changes: ["change record"],
    moves: [
      ["it is set", setOnCrash, /VM 1: after a crash: planned leave, now restart/],
      ["it is destroyed", destroyVm, /VM 1: planned there/]
    ]
  },
  {
    name: "a host is put into maintenance",
    given: () => Effect.void,
    act: maintain(true),
    kinds: [],
    changes: ["change record"],
    moves: [
      ["it is there already", maintain(true), /host 1: maintenance: planned off, now on/],
      [
        "its settings are others",
        refit((config) => ({
          ...config,
          hosts: config.hosts.map((one) => ({ ...one, overcommit: { cpu: 9, ram: 1, disk: 1 } }))
        })),
        /host 1: settings/
      ]
    ]
  },
  {
    name: "a volume is created",
    given: () => Effect.void,
    act: createVolume,
    kinds: ["CreateVolume"],
    changes: ["create volume"],
    only: "hosts",
    moves: [
      ["its host is in maintenance", inTurn(maintain(true), maintain(true, 2)), /host 1 \(.*\): planned can take data/]
    ]
  },
  {
    name: "a volume is created in a pool",
    given: () => Effect.void,
    act: createVolume,
    kinds: ["CreateVolume"],
    changes: ["create volume"],
    only: "pool",
    moves: [
      [
        "the pool is full",
        volumes((it) => it.create({ name: "most", size: 1023 })),
        /pool .*: planned has room, now pool .* has no room for 2 GiB/
      ]
    ]
  },
  {
    name: "a volume is cloned",
    given: inTurn(createVolume, snapshot),
    act: clone,
    kinds: ["CreateVolume"],
    changes: ["create volume"],
    moves: [
      ["the snapshot is destroyed", destroySnapshot, /snapshot 1: planned there, now/],
      ["the volume is destroyed", destroyVolume, /volume 1: state: planned available, now deleted/]
    ]
  },
  {
    name: "a volume is attached",
    given: inTurn(createVm, createVolume),
    act: attach,
    kinds: ["AttachVolume"],
    changes: ["create disk", "change volume"],
    moves: [
      ...volumeMoves,
      ["the VM is changed", setOnCrash, /VM 1: after a crash: planned leave, now restart/],
      ["the VM is destroyed", destroyVm, /VM 1: state: planned running, now destroyed/],
      [
        "its place is taken",
        inTurn(
          volumes((it) => it.create({ name: "other", size: 1 })),
          volumes((it) => it.attach(otherId, vmId))
        ),
        /place in the VM: planned vdb, now vdc/
      ],
      [
        "another VM gets it",
        inTurn(
          vms((it) => it.create({ name: "second", instanceType: type })),
          volumes((it) => it.attach(volumeId, otherVmId))
        ),
        /volume 1: state: planned available, now attached/
      ]
    ]
  },
  {
    name: "a volume is detached",
    given: inTurn(createVm, createVolume, attach),
    act: detach,
    kinds: ["DetachVolume"],
    changes: ["remove disk", "change volume"],
    moves: [
      ["it is detached", detach, /volume 1: VM: planned VM 1 as vdb, now none/],
      ["the VM is destroyed", destroyVm, /volume 1: VM: planned VM 1 as vdb, now none/],
      ["it is grown", grow, /volume 1: size: planned 2 GiB, now 3 GiB/]
    ]
  },
  {
    name: "a volume is grown and renamed",
    given: createVolume,
    act: volumes((it) => it.edit(volumeId, { size: 4, name: "archive" })),
    kinds: ["GrowVolume", "RenameVolume"],
    changes: ["change volume", "change volume"],
    moves: volumeMoves
  },
  {
    name: "an attached volume is grown",
    given: inTurn(createVm, createVolume, attach),
    act: grow,
    kinds: ["GrowVolume"],
    changes: ["change volume"],
    moves: [["it is detached", detach, /volume 1: state: planned attached, now available/]]
  },
  {
    name: "a volume is renamed",
    given: createVolume,
    act: rename,
    kinds: ["RenameVolume"],
    changes: ["change volume"],
    moves: volumeMoves
  },
  {
    name: "a volume is destroyed",
    given: createVolume,
    act: destroyVolume,
    kinds: ["DestroyVolume"],
    changes: ["change volume"],
    moves: [
      ...volumeMoves,
      ["it is attached", inTurn(createVm, attach), /volume 1: state: planned available, now attached/]
    ]
  },
  {
    name: "a volume is destroyed where no trash is kept",
    given: createVolume,
    act: destroyVolume,
    kinds: ["DestroyVolume", "PurgeVolume"],
    changes: ["remove volume"],
    undoWindow: "0 seconds",
    moves: [["it is renamed", rename, /volume 1: name: planned data, now archive/]]
  },
  {
    name: "a volume is restored",
    given: inTurn(createVolume, destroyVolume),
    act: volumes((it) => it.restore(volumeId)),
    kinds: ["RestoreVolume"],
    changes: ["change volume"],
    moves: [
      ["it is restored", volumes((it) => it.restore(volumeId)), /volume 1: state: planned deleted, now available/],
      ["it is purged", volumes((it) => it.purge(volumeId)), /volume 1: state: planned deleted, now purged/]
    ]
  },
  {
    name: "a volume is purged",
    given: inTurn(createVolume, destroyVolume),
    act: volumes((it) => it.purge(volumeId)),
    kinds: ["PurgeVolume"],
    changes: ["remove volume"],
    moves: [
      ["it is restored", volumes((it) => it.restore(volumeId)), /volume 1: state: planned deleted, now available/]
    ]
  },
  {
    name: "a snapshot is taken",
    given: createVolume,
    act: snapshot,
    kinds: ["CreateSnapshot"],
    changes: ["create snapshot"],
    moves: volumeMoves
  },
  {
    name: "a snapshot is destroyed",
    given: inTurn(createVolume, snapshot),
    act: destroySnapshot,
    kinds: ["DestroySnapshot"],
    changes: ["remove snapshot"],
    moves: [
      ["it is destroyed", destroySnapshot, /volume 1: snapshots: planned 1 .*, now none|snapshot 1: planned there/],
      ["it is cloned", clone, /volume 1: clones: planned none, now volume 2/]
    ]
  },
  {
    name: "a volume is reverted",
    given: inTurn(createVolume, snapshot, grow),
    act: volumes((it) => it.revert(snapshotId)),
    kinds: ["RevertVolume"],
    changes: ["change volume", "change volume"],
    moves: [
      [
        "the snapshot is destroyed",
        destroySnapshot,
        /volume 1: snapshots: planned 1 .*, now none|snapshot 1: planned there/
      ],
      ["it is grown", volumes((it) => it.grow(volumeId, 5)), /volume 1: size: planned 3 GiB, now 5 GiB/]
    ]
  }
]

const mutating: ReadonlyArray<ProcedureName> = [
  "DOMAIN_DEFINE_XML_FLAGS",
  "DOMAIN_CREATE_WITH_FLAGS",
  "DOMAIN_DESTROY_FLAGS",
  "DOMAIN_UNDEFINE_FLAGS",
  "DOMAIN_ATTACH_DEVICE_FLAGS",
  "DOMAIN_DETACH_DEVICE_FLAGS",
  "DOMAIN_BLOCK_RESIZE",
  "STORAGE_VOL_CREATE_XML",
  "STORAGE_VOL_DELETE",
  "STORAGE_VOL_RESIZE",
  "STORAGE_VOL_UPLOAD",
  "SECRET_DEFINE_XML",
  "SECRET_SET_VALUE"
]

const mutations = ({ hosts }: World.World) =>
  Effect.map(
    Effect.forEach(hosts, ({ faults }) => Effect.forEach(mutating, (procedure) => faults.calls(procedure))),
    (counts) => counts.flat()
  )

/** Disks of all kinds, by name and size, in folders and in the pool. */
const storage = (world: World.World) => World.remains(world)

const request: Plans.Request = { owner: "ada", method: "POST", path: "/x", content: "{}" }

const toldOf = ({ moved }: PlanOutdated) =>
  moved.map(({ now, planned, what }) => `${what}: planned ${planned}, now ${now}`).join("\n")

const isOutdated = (error: unknown): error is PlanOutdated =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "PlanOutdated"

const applyIt = (id: string, act: Effect.Effect<unknown, { readonly message: string }, Services>) =>
  Effect.flatMap(Plans.Plans, (plans) => Effect.flatMap(plans.apply(id, request), ({ run }) => run(act)))

const planIt = (act: Effect.Effect<unknown, { readonly message: string }, Services>) =>
  Effect.flatMap(Plans.Plans, (plans) => plans.plan(request, [act]))

const settle = Effect.flatMap(HostMonitor, ({ settled }) => settled)

for (const pool of [false, true]) {
  describe(`${pool ? "in a pool" : "on hosts"}, planned`, () => {
    for (const { act, changes, given, kinds, moves, name, only, undoWindow } of cases) {
      if (only !== undefined && (only === "pool") !== pool) continue
      const make = World.make({
        hosts: 2,
        ceph: pool,
        transport: "memory",
        ...(undoWindow === undefined ? {} : { undoWindow })
      })

      it.scopedLive(`${name}: nothing changes, and then it is done as planned`, () =>
        Effect.gen(function* () {
          const world = yield* make
          yield* Effect.gen(function* () {
            yield* settle
            yield* given(world)
            const before = yield* Dump.of(world.database)
            const called = yield* mutations(world)
            const kept = storage(world)
            const plan = yield* planIt(act(world))
            assert.strictEqual(yield* Dump.of(world.database), before, "the database")
            assert.deepStrictEqual(yield* mutations(world), called, "calls to the hosts")
            assert.deepStrictEqual(storage(world), kept, "the storage")
            assert.deepStrictEqual([...new Set(plan.steps.map(({ operation }) => operation))], [...kinds])
            assert.deepStrictEqual(
              plan.changes.map(({ action, kind }) => `${action} ${kind}`),
              [...changes]
            )
            for (const { action, after, before, diff } of plan.changes) {
              assert.strictEqual(before === null, action === "create")
              assert.strictEqual(after === null, action === "remove")
              assert.match(diff, /^--- .*\n\+\+\+ .*\n@@ /)
            }

            const sent: Array<string> = []
            for (const { faults } of world.hosts) {
              yield* faults.lieAbout("DOMAIN_DEFINE_XML_FLAGS", (truth, { xml }) => {
                sent.push(xml)
                return truth
              })
              yield* faults.lieAbout("DOMAIN_ATTACH_DEVICE_FLAGS", (truth, { xml }) => {
                sent.push(xml)
                return truth
              })
            }
            const operations = yield* Operations
            const known = new Set((yield* operations.list({ limit: 100 })).map(({ operation }) => operation.id))
            yield* applyIt(plan.id, act(world))
            assert.notStrictEqual(yield* Dump.of(world.database), before, "what was applied is seen in the database")

            const begun = (yield* operations.list({ limit: 100 })).filter(({ operation }) => !known.has(operation.id))
            const journal = yield* world.writes.journal
            const recorded = yield* Effect.forEach(begun.toReversed(), ({ operation }) =>
              Effect.map(journal.steps(operation.id), (steps) =>
                steps.map(({ name, phase, state }) => `${operation.kind} ${phase} ${name} ${state}`)
              )
            )
            assert.deepStrictEqual(
              recorded.flat(),
              plan.steps.map(({ name, operation }) => `${operation} do ${name} done`),
              "the steps"
            )
            const inventory = yield* Inventory
            const vm = (yield* inventory.vms()).at(-1)
            const volume = (yield* inventory.volumes()).at(-1)
            const filled = (text: string) =>
              text
                .replaceAll("{vmid}", String(vm?.id))
                .replaceAll("{uuid}", String(vm?.uuid))
                .replaceAll("{mac}", String(vm?.mac))
                .replaceAll("{volumeid}", String(volume?.id))
                .replaceAll("{operation}", String(begun[0]?.operation.id))
            for (const { action, after, kind } of plan.changes) {
              if (action !== "create" || (kind !== "domain" && kind !== "disk")) continue
              const indented = sent.map(
                (xml) => `${Either.getOrThrow(Xml.renderIndented(Either.getOrThrow(Xml.parse(xml))))}\n`
              )
              assert.include(indented, filled(after ?? ""))
            }
            for (const { hostId, name } of plan.placements) {
              const there = vm?.name === name ? vm.hostId : volume?.hostId
              assert.strictEqual(there, hostId)
            }
            for (const { after, kind } of plan.changes.filter(({ action }) => action !== "remove")) {
              if (kind === "volume" && (after ?? "").startsWith("name:") && changes.at(-1) !== "change volume") {
                assert.include(after, `name: ${volume?.name}\nsize: ${volume?.size} GiB\nstate: ${volume?.state}\n`)
              }
            }
            const again = yield* Effect.flip(applyIt(plan.id, act(world)))
            assert(isOutdated(again))
          }).pipe(Effect.provide(world.life))
        })
      )

      for (const [how, move, told] of moves) {
        it.scopedLive(`${name}: not when meanwhile ${how}`, () =>
          Effect.gen(function* () {
            const world = yield* make
            yield* Effect.gen(function* () {
              yield* settle
              yield* given(world)
              const plan = yield* planIt(act(world))
              yield* move(world)
              const before = yield* Dump.of(world.database)
              const called = yield* mutations(world)
              const refused = yield* Effect.flip(applyIt(plan.id, act(world)))
              assert(isOutdated(refused), String(refused))
              assert.match(toldOf(refused), told)
              assert.strictEqual(yield* Dump.of(world.database), before, "the database")
              assert.deepStrictEqual(yield* mutations(world), called, "calls to the hosts")
            }).pipe(Effect.provide(world.life))
          })
        )
      }
    }
  })
}

describe("a plan", () => {
  const world = World.make({ hosts: 2, transport: "memory" })
  /** With a world that has a VM and a volume. */
  const inWorld = (
    use: (world: World.Whole) => Effect.Effect<void, unknown, Services>
  ): Effect.Effect<void, unknown, Scope.Scope> =>
    Effect.flatMap(world, (made) =>
      Effect.gen(function* () {
        yield* settle
        yield* inTurn(createVm, createVolume)(made)
        yield* use(made)
      }).pipe(Effect.provide(made.life))
    )

  it.scopedLive("is applied once, however many try at the same time", () =>
    inWorld((world) =>
      Effect.gen(function* () {
        const plan = yield* planIt(createVm(world))
        const all = yield* Effect.forEach([1, 2, 3, 4], () => Effect.either(applyIt(plan.id, createVm(world))), {
          concurrency: "unbounded"
        })
        const refused = all.flatMap((one) => (one._tag === "Left" ? [one.left] : []))
        assert.lengthOf(refused, 3)
        for (const error of refused) {
          assert(isOutdated(error))
          assert.strictEqual(
            error.message,
            `plan ${plan.id} has been applied already, which is done once: make a new one`
          )
        }
        assert.lengthOf(yield* Effect.flatMap(Vms, (it) => it.list()), 2)
      })
    )
  )

  it.scopedLive("that was refused can be applied when what moved is back", () =>
    inWorld((world) =>
      Effect.gen(function* () {
        const plan = yield* planIt(rename(world))
        yield* volumes((it) => it.rename(volumeId, "other"))(world)
        assert(isOutdated(yield* Effect.flip(applyIt(plan.id, rename(world)))))
        yield* volumes((it) => it.rename(volumeId, "data"))(world)
        yield* applyIt(plan.id, rename(world))
        assert.strictEqual((yield* Effect.flatMap(Volumes, (it) => it.get(volumeId))).name, "archive")
      })
    )
  )

  it.scopedLive("is not made of what is busy, and does not wait", () =>
    inWorld((world) =>
      Effect.gen(function* () {
        const hung = world.hosts.map(({ faults }) => faults.hang("DOMAIN_ATTACH_DEVICE_FLAGS", true))
        yield* Effect.all(hung, { discard: true })
        const begin = yield* Begun.make
        yield* begin(attach(world))
        const busy = yield* Effect.flip(planIt(detach(world)))
        assert.propertyVal(busy, "_tag", "VolumeBusy")
        assert.propertyVal(yield* Effect.flip(planIt(destroyVm(world))), "_tag", "VmBusy")
        yield* Effect.forEach(world.hosts, ({ faults }) => faults.clear, { discard: true })
      }).pipe(Effect.scoped)
    )
  )

  it.scopedLive("is refused with what the request itself is refused with", () =>
    inWorld((world) =>
      Effect.gen(function* () {
        const impossible: ReadonlyArray<Act> = [
          vms((it) => it.create({ name: "", instanceType: type })),
          vms((it) => it.create({ name: "a", instanceType: Ids.InstanceTypeId.make(7) })),
          vms((it) => it.destroy(otherVmId)),
          vms((it) => it.destroy(vmId, () => false)),
          volumes((it) => it.create({ name: "a", size: 60_000 })),
          volumes((it) => it.create({ name: "a", source: snapshotId })),
          volumes((it) => it.attach(volumeId, otherVmId)),
          detach,
          volumes((it) => it.grow(volumeId, 1)),
          volumes((it) => it.grow(volumeId, 60_000)),
          volumes((it) => it.purge(volumeId)),
          destroySnapshot,
          maintain(true, 9)
        ]
        for (const act of impossible) {
          const asked = yield* Effect.flip(planIt(act(world)))
          const done = yield* Effect.flip(act(world))
          assert.strictEqual(asked.message, done.message)
        }
      })
    )
  )

  it.scopedLive("is not known to others, nor for another request", () =>
    inWorld((world) =>
      Effect.gen(function* () {
        const plans = yield* Plans.Plans
        const { id } = yield* planIt(rename(world))
        const others: ReadonlyArray<readonly [change: Partial<Plans.Request>, tag: string]> = [
          [{ owner: "bob" }, "PlanNotFound"],
          [{ path: "/y" }, "PlanMismatch"],
          [{ method: "DELETE" }, "PlanMismatch"],
          [{ content: "{1}" }, "PlanMismatch"]
        ]
        for (const [change, tag] of others) {
          assert.propertyVal(yield* Effect.flip(plans.apply(id, { ...request, ...change })), "_tag", tag)
        }
      })
    )
  )

  it.scopedLive(
    "of other rules tells which of them would not hold where the VM is, and the VM's answer then says the same",
    () =>
      inWorld((world) =>
        Effect.gen(function* () {
          yield* createVm(world)
          const plans = yield* Plans.Plans
          const vms = yield* Vms
          const reality = yield* Reality
          const rules = [
            { kind: "on", label: "rack", values: ["a, b"] } as const,
            { kind: "apart", group: "db" } as const
          ]
          const placement = { group: "web", rules }
          const change = vms.change(vmId, { placement })
          const before = yield* Dump.of(world.database)
          const plan = yield* plans.plan(request, [change])
          assert.strictEqual(yield* Dump.of(world.database), before)
          const told = plan.violations.map(({ name, reason, rule, vmId }) => [vmId, name, rule.kind, reason])
          assert.lengthOf(told, 1)
          assert.deepStrictEqual(told[0]?.slice(0, 3), [vmId, "web", "on"])
          assert.match(String(told[0]?.[3]), / has no label rack$/)
          yield* change
          const { violations } = yield* reality.vm(vmId)
          assert.deepStrictEqual(
            violations,
            plan.violations.map(({ reason, rule }) => ({ rule, reason }))
          )
          // what has nothing to do with rules says nothing of them
          const named = yield* plans.plan(request, [vms.change(vmId, { description: "other" })])
          assert.deepStrictEqual(named.violations, [])
        })
      )
  )

  it.scopedLive("of many VMs shows where each goes, as if those before it were there", () =>
    inWorld((world) =>
      Effect.gen(function* () {
        const plans = yield* Plans.Plans
        const vms = yield* Vms
        const batch = { count: 70, name: "many", instanceType: type }
        const before = yield* Dump.of(world.database)
        const plan = yield* plans.plan(request, Batch.rehearsals(vms, batch))
        assert.strictEqual(yield* Dump.of(world.database), before)
        // 32 GiB each, one VM of 1 GiB is there
        assert(plan.refused !== null)
        assert.strictEqual(plan.refused.count, 70 - 63)
        assert.strictEqual(plan.refused.error._tag, "NoFeasibleHost")
        assert.lengthOf(plan.placements, 20)
        assert.deepStrictEqual([plan.alike, plan.steps.length], [43, 120])
        assert.sameMembers([...new Set(plan.placements.map(({ hostId }) => Number(hostId)))], [1, 2])

        yield* maintain(true, 2)(world)
        const begin = yield* Begun.make
        const refused = yield* Effect.flatMap(plans.apply(plan.id, request), (application) =>
          Effect.flip(Batch.create(begin, vms, batch, application))
        )
        assert(isOutdated(refused))
        assert.match(toldOf(refused), /host 2 \(.*\): planned can take many-\d+, now it is in maintenance/)
        assert.lengthOf(yield* vms.list(), 1)

        yield* maintain(false, 2)(world)
        const application = yield* plans.apply(plan.id, request)
        const made = yield* Batch.create(begin, vms, batch, application)
        assert.deepStrictEqual([made.begun.length, made.refused?.count], [63, 7])
        yield* Effect.forEach(made.begun, ({ ended }) => ended, { concurrency: "unbounded", discard: true })
        const hosts = new Map((yield* vms.list()).map(({ hostId, name }) => [name, hostId]))
        assert.deepStrictEqual(
          plan.placements.map(({ name }) => hosts.get(name)),
          plan.placements.map(({ hostId }) => hostId)
        )
      }).pipe(Effect.scoped)
    )
  )
})

describe("plans", () => {
  const maintainFirst = Effect.flatMap(Hosts, (it) => it.setMaintenance(Ids.HostId.make(1), true))
  const planned = Effect.flatMap(Plans.Plans, (plans) => plans.plan(request, [maintainFirst]))

  it.scoped("are kept for ten minutes", () =>
    Effect.gen(function* () {
      const plans = yield* Plans.Plans
      const { id } = yield* planned
      yield* TestClock.adjust("599 seconds")
      yield* plans.apply(id, request)
      yield* TestClock.adjust("1 second")
      assert.propertyVal(yield* Effect.flip(plans.apply(id, request)), "_tag", "PlanNotFound")
    }).pipe(Effect.provide(AppTest.layer))
  )

  it.scoped("are so many at most: the oldest go", () =>
    Effect.gen(function* () {
      const plans = yield* Plans.Plans
      const first = yield* planned
      const second = yield* planned
      yield* Effect.replicateEffect(planned, Plans.most - 1, { discard: true })
      assert.propertyVal(yield* Effect.flip(plans.apply(first.id, request)), "_tag", "PlanNotFound")
      yield* plans.apply(second.id, request)
    }).pipe(Effect.provide(AppTest.layer))
  )
})
