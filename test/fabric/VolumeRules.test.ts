/** Every rule in every state a volume can be in: what is allowed, and what is refused with which words. */
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Ids from "../../src/domain/Ids.ts"
import * as Nic from "../../src/domain/Nic.ts"
import { Operation, type OperationKind } from "../../src/domain/Operation.ts"
import { type Power, Vm } from "../../src/domain/Vm.ts"
import { Snapshot, type SnapshotState, Volume, VolumeState } from "../../src/domain/Volume.ts"
import * as Rules from "../../src/fabric/VolumeRules.ts"
import { volumeSlots } from "../../src/services/Hypervisor.ts"
import type { VolumeChange, VolumeView } from "../../src/services/Inventory.ts"

const snapshotId = Ids.SnapshotId.make(5)
const hostId = Ids.HostId.make(1)

const vm = new Vm({
  id: Ids.VmId.make(7),
  uuid: Ids.DomainUuid.make("00112233-4455-6677-8899-aabbccddeeff"),
  name: "web",
  instanceType: Ids.InstanceTypeId.make(1),
  imageId: Ids.ImageId.make(100),
  hostId,
  resources: { cpu: 1, ram: 512, disk: 1 },
  driver: "dir",
  nics: [Nic.usual("52:54:00:00:00:01")],
  state: "running"
})
const vmWith = (more: Partial<ConstructorParameters<typeof Vm>[0]>) => new Vm({ ...vm, ...more })

const volume = new Volume({
  id: Ids.VolumeId.make(3),
  name: "data",
  size: 4,
  driver: "dir",
  hostId,
  state: "available",
  vmId: null,
  target: null,
  sourceId: null,
  pristine: true,
  releaseAsked: false,
  purgeAt: null
})
const volumeWith = (more: Partial<ConstructorParameters<typeof Volume>[0]>) => new Volume({ ...volume, ...more })

/** As the inventory has it in that state: with a VM where there has to be one, here number 9. */
const volumeIn = (state: VolumeState) => {
  const held = state === "attaching" || state === "attached" || state === "detaching"
  return volumeWith({ state, ...(held ? { vmId: Ids.VmId.make(9), target: "vdb" } : {}) })
}

const snapshotWith = (state: SnapshotState, name = "monday") =>
  new Snapshot({ id: snapshotId, volumeId: volume.id, name, size: 2, state, createdAt: 0 })

const view = (more: Partial<VolumeView> = {}): VolumeView => ({
  volume,
  snapshots: [],
  holder: null,
  vm: null,
  vmOperation: null,
  neighbours: [],
  ...more
})

const operation = (kind: OperationKind) =>
  new Operation({
    id: Ids.OperationId.make("6f1f3a52-2a0c-4b0e-9d7a-222222222222"),
    kind,
    vmId: vm.id,
    volumeId: null,
    snapshotId: null,
    detail: {},
    state: "running",
    error: null,
    cancelAsked: false,
    createdAt: 0,
    finishedAt: null
  })

const right = <E>(decision: Either.Either<VolumeChange, E>): VolumeChange => Either.getOrThrow(decision)
/** Why not, in the words of the user's answer. */
const refusal = (decision: Either.Either<unknown, { readonly message: string }>): string =>
  Either.isLeft(decision) ? decision.left.message : `allowed: ${JSON.stringify(decision.right)}`

const nothing: VolumeChange = {}
const isDeleted = "is deleted: restore it first"
const isPurged = "is purged: nothing of it is left"
const attached = "is attached to VM 9: detach it first"
/** A change, or what stands after `volume 3` in the refusal. */
type Outcome = VolumeChange | string
type Table = Record<VolumeState, Outcome>

/** What most rules say of a volume that is not there for VMs. */
const whenThere = (there: Outcome): Table => ({
  creating: "is creating",
  available: there,
  attaching: there,
  attached: there,
  detaching: there,
  destroying: "is destroying",
  deleted: isDeleted,
  restoring: "is restoring",
  purging: "is purging",
  purged: isPurged,
  failed: "is failed"
})

/** The same in every state. */
const always = (outcome: Outcome): Table => ({
  creating: outcome,
  available: outcome,
  attaching: outcome,
  attached: outcome,
  detaching: outcome,
  destroying: outcome,
  deleted: outcome,
  restoring: outcome,
  purging: outcome,
  purged: outcome,
  failed: outcome
})

/** With its VM, where it has one. */
const withVm = (table: Table, change: (vmId: Ids.VmId | null) => VolumeChange): Table => ({
  ...table,
  available: change(null),
  attaching: change(Ids.VmId.make(9)),
  attached: change(Ids.VmId.make(9)),
  detaching: change(Ids.VmId.make(9))
})

const ready = { snapshots: [{ snapshot: snapshotWith("ready"), clones: [] }] }

const rules: Record<string, readonly [rule: Rules.Rule, more: Partial<VolumeView>, table: Table]> = {
  attach: [
    Rules.attach,
    { vm },
    {
      ...whenThere(attached),
      available: {
        state: "attaching",
        attachment: { vmId: vm.id, target: "vdb" },
        pristine: false,
        operation: { kind: "AttachVolume", vmId: vm.id }
      }
    }
  ],
  detach: [
    Rules.detach,
    {},
    {
      ...whenThere({ state: "detaching", operation: { kind: "DetachVolume", vmId: Ids.VmId.make(9) } }),
      available: "is not attached"
    }
  ],
  destroy: [
    Rules.destroy(90, false),
    {},
    {
      ...always({ state: "destroying", operation: { kind: "DestroyVolume", detail: { window: 90 } } }),
      attaching: attached,
      attached,
      detaching: attached,
      deleted: nothing,
      purged: nothing
    }
  ],
  restore: [
    Rules.restore,
    {},
    {
      ...always(nothing),
      deleted: { state: "restoring", operation: { kind: "RestoreVolume" } },
      purged: isPurged
    }
  ],
  purge: [
    Rules.purge,
    {},
    {
      ...always("is not in the trash: destroy it first"),
      deleted: { state: "purging", operation: { kind: "PurgeVolume" } },
      purged: nothing
    }
  ],
  grow: [
    Rules.grow(9),
    {},
    withVm(whenThere(nothing), (vmId) => ({
      size: 9,
      operation: { kind: "GrowVolume", vmId, detail: { size: 9, formerSize: 4 } }
    }))
  ],
  rename: [
    Rules.rename("new"),
    {},
    withVm(whenThere(nothing), (vmId) => ({
      name: "new",
      operation: { kind: "RenameVolume", vmId, detail: { name: "new", formerName: "data" } }
    }))
  ],
  snapshot: [
    Rules.snapshot("monday", false, new Map()),
    {},
    withVm(whenThere(nothing), (vmId) => ({
      newSnapshot: { name: "monday" },
      operation: { kind: "CreateSnapshot", vmId }
    }))
  ],
  "destroy snapshot": [
    Rules.destroySnapshot(snapshotId, false),
    ready,
    withVm(whenThere(nothing), (vmId) => ({
      snapshot: { id: snapshotId, state: "destroying" },
      operation: { kind: "DestroySnapshot", vmId, snapshotId }
    }))
  ],
  revert: [
    Rules.revert(snapshotId, new Map()),
    ready,
    withVm(whenThere(nothing), (vmId) => ({
      size: 4,
      operation: { kind: "RevertVolume", vmId, snapshotId, detail: { formerSize: 4 } }
    }))
  ]
}

for (const [name, [rule, more, table]] of Object.entries(rules)) {
  describe(`the rule ${name}`, () => {
    for (const state of VolumeState.literals) {
      const outcome = table[state]
      it(`${state}: ${typeof outcome === "string" ? `refused, it ${outcome}` : (outcome.operation?.kind ?? "nothing to do")}`, () => {
        const decision = rule(view({ volume: volumeIn(state), ...more }))
        if (typeof outcome === "string") assert.strictEqual(refusal(decision), `volume 3 (data) ${outcome}`)
        else assert.deepStrictEqual(right(decision), outcome)
      })
    }
  })
}

describe("attach", () => {
  it("finds no VM that is not there, whatever the volume is", () => {
    const without = [null, vmWith({ state: "destroyed" }), vmWith({ state: "failed" })]
    assert.deepStrictEqual(
      without.map((vm) => refusal(Rules.attach(view({ volume: volumeIn("purged"), vm })))),
      ["VM 0 does not exist", "VM 7 does not exist", "VM 7 does not exist"]
    )
  })

  it("to the VM that has it already is fine once it is attached", () => {
    const held = (state: VolumeState) => volumeWith({ state, vmId: vm.id, target: "vdb" })
    assert.deepStrictEqual(right(Rules.attach(view({ volume: held("attached"), vm }))), nothing)
    for (const state of ["attaching", "detaching"] as const) {
      const decision = Rules.attach(view({ volume: held(state), vm, holder: vm }))
      assert.strictEqual(refusal(decision), "volume 3 (data) is attached to VM 7 (web): detach it first")
    }
  })

  it("waits for the creation or destruction of its VM", () => {
    for (const [kind, doing] of [
      ["CreateVm", "it is still being created"],
      ["DestroyVm", "it is being destroyed"]
    ] as const) {
      const vmOperation = operation(kind)
      const decision = Rules.attach(view({ vm, vmOperation }))
      const busy = Either.getOrThrow(Either.flip(decision))
      assert.strictEqual(busy.message, `VM 7 (web) is busy (${doing}): try again when that has ended`)
      assert.strictEqual(busy._tag === "VmBusy" && busy.operationId, vmOperation.id)
    }
  })

  it("needs a VM that runs as far as is known", () => {
    for (const state of ["creating", "destroying"] as const) {
      assert.strictEqual(
        refusal(Rules.attach(view({ vm: vmWith({ state }) }))),
        `volume 3 (data) cannot be attached to VM 7 (web), which is ${state}`
      )
    }
  })

  it("takes the first place that is free, from vdb on", () => {
    const neighbour = (letter: string) => volumeWith({ state: "attached", vmId: vm.id, target: `vd${letter}` })
    const target = (taken: string) =>
      right(Rules.attach(view({ vm, neighbours: Array.from(taken, neighbour) }))).attachment?.target
    assert.strictEqual(target(""), "vdb")
    assert.strictEqual(target("bcd"), "vde")
    assert.strictEqual(target("cb"), "vdd")
    assert.strictEqual(target("bcdfghijklmno"), "vde")
    const all = Array.from("bcdefghijklmno", neighbour)
    assert.strictEqual(all.length, volumeSlots)
    assert.strictEqual(
      refusal(Rules.attach(view({ vm, neighbours: all }))),
      "volume 3 (data) cannot be attached to VM 7 (web), which has 14 volumes and room for no more: detach one first"
    )
  })

  it("uses a volume in a pool on any host", () => {
    const decision = Rules.attach(view({ volume: volumeWith({ hostId: null, pristine: false }), vm }))
    assert.deepStrictEqual(right(decision).operation, { kind: "AttachVolume", vmId: vm.id })
    assert.isUndefined(right(decision).hostId)
  })

  it("uses a volume that is on the VM's host, whatever it holds", () => {
    const decision = Rules.attach(view({ volume: volumeWith({ pristine: false }), vm, ...ready }))
    assert.isUndefined(right(decision).hostId)
  })

  it("takes an empty one along from another host, and leaves a used one there", () => {
    const elsewhere = vmWith({ hostId: Ids.HostId.make(2) })
    assert.deepStrictEqual(right(Rules.attach(view({ vm: elsewhere }))), {
      state: "attaching",
      attachment: { vmId: vm.id, target: "vdb" },
      pristine: false,
      hostId: elsewhere.hostId,
      operation: { kind: "AttachVolume", vmId: vm.id, detail: { formerHost: hostId } }
    })
    const stays = (why: string) =>
      `volume 3 (data) is kept on host 1 and VM 7 (web) runs on host 2: without Ceph a volume that ${why} stays on its host, ` +
      "so attach it to a VM there"
    const refused = (volume: Partial<Volume>) =>
      refusal(Rules.attach(view({ volume: volumeWith({ pristine: false, ...volume }), vm: elsewhere })))
    assert.strictEqual(refused({}), stays("has been used"))
    // what it holds would stay behind, and so would its snapshots
    assert.strictEqual(refused({ sourceId: Ids.SnapshotId.make(5) }), stays("was made of a snapshot"))
    assert.strictEqual(refusal(Rules.attach(view({ vm: elsewhere, ...ready }))), stays("has snapshots"))
  })
})

describe("grow", () => {
  it("to the size it has is fine, to less is refused", () => {
    assert.deepStrictEqual(right(Rules.grow(4)(view())), nothing)
    assert.strictEqual(
      refusal(Rules.grow(3)(view())),
      "volume 3 (data) has 4 GiB and cannot shrink to 3: make a smaller one and copy"
    )
  })
})

describe("rename", () => {
  it("to the name it has is fine", () => {
    assert.deepStrictEqual(right(Rules.rename("data")(view())), nothing)
  })
})

describe("snapshots and clones", () => {
  const clone = (id: number, state: VolumeState, name = "copy") =>
    volumeWith({ id: Ids.VolumeId.make(id), name, state, sourceId: snapshotId })
  const withClones = (...clones: ReadonlyArray<Volume>) =>
    view({ snapshots: [{ snapshot: snapshotWith("ready"), clones }] })
  const rulesFor = (copies: boolean) => [
    ["needs its snapshot 5 (monday)", Rules.destroySnapshot(snapshotId, copies)] as const,
    ["has snapshot 5 (monday)", Rules.destroy(90, copies)] as const
  ]

  it("keep a snapshot and its volume for as long as clones need them, in the trash too", () => {
    for (const [start, rule] of rulesFor(false)) {
      assert.strictEqual(
        refusal(rule(withClones(clone(8, "attached", "a"), clone(9, "deleted", "b"), clone(10, "creating", "c")))),
        `volume 3 (data) ${start}, from which volume 8 (a), volume 9 (b, in the trash), volume 10 (c) was made: ` +
          "destroy and purge that first"
      )
    }
  })

  it("are apart once they are copies, but not before", () => {
    for (const [start, rule] of rulesFor(true)) {
      assert.isTrue(Either.isRight(rule(withClones(clone(8, "available"), clone(9, "deleted")))))
      assert.strictEqual(
        refusal(rule(withClones(clone(8, "available", "a"), clone(9, "creating", "b")))),
        `volume 3 (data) ${start}, from which volume 9 (b) is being made: try again when that has ended`
      )
    }
  })

  it("of any snapshot count for the volume", () => {
    const other = new Snapshot({ ...snapshotWith("ready"), id: Ids.SnapshotId.make(6), name: "tuesday" })
    const both = view({
      snapshots: [
        { snapshot: snapshotWith("ready"), clones: [] },
        { snapshot: other, clones: [clone(8, "available")] }
      ]
    })
    assert.strictEqual(
      refusal(Rules.destroy(90, false)(both)),
      "volume 3 (data) has snapshot 6 (tuesday), from which volume 8 (copy) was made: destroy and purge that first"
    )
    assert.isTrue(Either.isRight(Rules.destroySnapshot(snapshotId, false)(both)))
    // what hangs on snapshots matters to nothing else
    for (const rule of [
      Rules.grow(9),
      Rules.rename("x"),
      Rules.snapshot("x", true, new Map()),
      Rules.revert(snapshotId, new Map())
    ]) {
      assert.isTrue(Either.isRight(rule(both)))
    }
  })

  it("need a snapshot that is whole", () => {
    const states: ReadonlyArray<SnapshotState> = ["creating", "destroying"]
    const views = [
      view(),
      ...states.map((state) => view({ snapshots: [{ snapshot: snapshotWith(state), clones: [] }] }))
    ]
    for (const one of views) {
      for (const rule of [Rules.revert(snapshotId, new Map()), Rules.destroySnapshot(snapshotId, true)]) {
        assert.strictEqual(refusal(rule(one)), "snapshot 5 does not exist")
      }
    }
  })

  it("are copies, without Ceph, which need a guest that does not write meanwhile", () => {
    const attached = volumeIn("attached")
    const of = (state: (typeof vm)["state"], copies: boolean, power?: Power) => {
      const holder = vmWith({ id: Ids.VmId.make(9), state })
      const seen = new Map(power === undefined ? [] : [[holder.id, { power, reason: null, since: 0 }]])
      return Rules.snapshot("x", copies, seen)(view({ volume: attached, holder }))
    }
    for (const state of ["running", "paused"] as const) {
      for (const power of ["running", "paused", "suspended", undefined] as const) {
        assert.strictEqual(
          refusal(of(state, true, power)),
          `volume 3 (data) is attached to VM 9 (web), which is ${state}, and of a disk that is a file there is no copy of one moment then: ` +
            "shut that VM down or detach the volume first"
        )
      }
      assert.isTrue(Either.isRight(of(state, false, "running")))
      // it has ended without anybody asking here
      for (const power of ["stopped", "crashed", "absent"] as const) {
        assert.isTrue(Either.isRight(of(state, true, power)))
      }
    }
    // whoever is being destroyed or was never made may or may not have it open: its host knows
    for (const state of ["stopped", "destroying", "failed"] as const) assert.isTrue(Either.isRight(of(state, true)))
  })

  it("are not gone back to while a guest runs with the volume", () => {
    const attached = volumeIn("attached")
    const of = (state: (typeof vm)["state"], power: Power) => {
      const holder = vmWith({ id: Ids.VmId.make(9), state })
      const seen = new Map([[holder.id, { power, reason: null, since: 0 }]])
      return Rules.revert(
        snapshotId,
        seen
      )(view({ volume: attached, holder, snapshots: [{ snapshot: snapshotWith("ready"), clones: [] }] }))
    }
    for (const power of ["running", "paused", "suspended"] as const) {
      assert.strictEqual(
        refusal(of("running", power)),
        "volume 3 (data) cannot be reverted while VM 9 (web) runs with it: stop the VM or detach the volume first"
      )
    }
    for (const power of ["stopped", "crashed", "absent"] as const) assert.isTrue(Either.isRight(of("running", power)))
    assert.isTrue(Either.isRight(of("stopped", "stopped")))
  })

  it("are made of volumes that are there", () => {
    const table = whenThere(nothing)
    for (const state of VolumeState.literals) {
      const decision = Rules.clone({ volume: volumeIn(state), snapshot: snapshotWith("ready") })
      const outcome = table[state]
      assert.strictEqual(
        refusal(decision),
        typeof outcome === "string" ? `volume 3 (data) ${outcome}` : "allowed: undefined"
      )
    }
  })
})
