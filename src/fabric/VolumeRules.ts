/**
 * What may be done with a volume in which state: pure decisions, taken in the inventory's transaction. Each gives the change to make,
 * or why not.
 *
 * @since 0.2.0
 */
import * as Either from "effect/Either"
import * as Errors from "../domain/Errors.ts"
import type { SnapshotId, VmId } from "../domain/Ids.ts"
import type { Vm, VmSeen } from "../domain/Vm.ts"
import type { Volume } from "../domain/Volume.ts"
import { volumeSlots } from "../services/Hypervisor.ts"
import type { Source, VolumeChange, VolumeView } from "../services/Inventory.ts"
import * as Revision from "./Revision.ts"

type Decision<E = never> = Either.Either<VolumeChange, Errors.VolumeConflict | E>

/** Everything a rule can say no with. @since 0.2.0 @category models */
export type Rule = (
  view: VolumeView
) => Either.Either<
  VolumeChange,
  Errors.VolumeConflict | Errors.VmNotFound | Errors.VmBusy | Errors.SnapshotNotFound | Errors.HasChanged
>

/** Nothing to do: it is as it should be already. */
const nothing: VolumeChange = {}

const conflict = (volume: Volume, reason: string) =>
  Either.left(new Errors.VolumeConflict({ volumeId: volume.id, called: volume.name, reason }))

/** Why nothing can be done with a volume that is not there for VMs; undefined: it is. */
const absent = (volume: Volume) => {
  switch (volume.state) {
    case "available":
    case "attaching":
    case "attached":
    case "detaching":
      return undefined
    case "deleted":
      return "is deleted: restore it first"
    case "purged":
      return "is purged: nothing of it is left"
    default:
      // between an operation's end and this one nothing else can be: a volume with an operation is busy
      return `is ${volume.state}`
  }
}

const called = ({ id, name }: Vm) => `VM ${id} (${name})`

/** `holder`: the VM that has it, where it is at hand. */
const attachedTo = ({ vmId }: Volume, holder: Vm | null) =>
  `is attached to ${holder === null ? `VM ${vmId ?? 0}` : called(holder)}`

/**
 * A rule that applies only to a volume (or one of its snapshots) that is as it was expected to be. Where nothing is to be done there is nothing to
 * expect.
 *
 * @since 0.4.0 @category rules
 */
export const expecting = <E>(
  expect: Revision.Expect | undefined,
  rule: (view: VolumeView) => Either.Either<VolumeChange, E>,
  snapshotId?: SnapshotId
): ((view: VolumeView) => Either.Either<VolumeChange, E | Errors.HasChanged>) => {
  if (expect === undefined) return rule
  return (view) => {
    const decided = rule(view)
    if (Either.isRight(decided) && decided.right === nothing) return decided
    const kept = view.snapshots.find(({ snapshot }) => snapshot.id === snapshotId)
    // one that is not there is the rule's to tell
    if (snapshotId !== undefined && kept === undefined) return decided
    const revision = kept === undefined ? Revision.ofVolume(view.volume) : Revision.ofSnapshot(kept.snapshot)
    if (expect(revision)) return decided
    return Either.left(
      new Errors.HasChanged({ what: snapshotId === undefined ? `volume ${view.volume.id}` : `snapshot ${snapshotId}` })
    )
  }
}

/** `vdb` to `vdo`: `vda` is the root disk's. */
const targets = Array.from({ length: volumeSlots }, (_, index) => `vd${String.fromCharCode("b".charCodeAt(0) + index)}`)

/** @since 0.2.0 @category rules */
export const attach = (view: VolumeView): Decision<Errors.VmNotFound | Errors.VmBusy> => {
  const { holder, neighbours, vm, vmOperation, volume } = view
  if (vm === null || !vm.exists) return Either.left(new Errors.VmNotFound({ vmId: vm?.id ?? 0 }))
  const gone = absent(volume)
  if (gone !== undefined) return conflict(volume, gone)
  if (volume.vmId !== null) {
    return volume.vmId === vm.id && volume.state === "attached"
      ? Either.right(nothing)
      : conflict(volume, `${attachedTo(volume, holder)}: detach it first`)
  }
  if (vmOperation !== null) {
    const doing =
      vmOperation.kind === "CreateVm"
        ? "it is still being created"
        : vmOperation.kind === "DestroyVm"
          ? "it is being destroyed"
          : `${vmOperation.kind} has not ended`
    return Either.left(new Errors.VmBusy({ vmId: vm.id, called: vm.name, operationId: vmOperation.id, doing }))
  }
  if (!vm.settled) return conflict(volume, `cannot be attached to ${called(vm)}, which is ${vm.state}`)
  const target = targets.find((name) => !neighbours.some((neighbour) => neighbour.target === name))
  if (target === undefined) {
    return conflict(
      volume,
      `cannot be attached to ${called(vm)}, which has ${volumeSlots} volumes and room for no more: detach one first`
    )
  }
  // from here on the guest may write to it, however the attaching ends
  const begun = { state: "attaching", attachment: { vmId: vm.id, target }, pristine: false } as const
  if (volume.hostId === null || volume.hostId === vm.hostId) {
    return Either.right({ ...begun, operation: { kind: "AttachVolume", vmId: vm.id } })
  }
  if (!volume.pristine || view.snapshots.length > 0) {
    const why =
      view.snapshots.length > 0
        ? "has snapshots"
        : volume.sourceId === null
          ? "has been used"
          : "was made of a snapshot"
    return conflict(
      volume,
      `is kept on host ${volume.hostId} and ${called(vm)} runs on host ${vm.hostId}: without Ceph a volume that ${why} ` +
        `stays on its host, so attach it to a VM there`
    )
  }
  return Either.right({
    ...begun,
    hostId: vm.hostId,
    operation: { kind: "AttachVolume", vmId: vm.id, detail: { formerHost: volume.hostId } }
  })
}

/** @since 0.2.0 @category rules */
export const detach = ({ volume }: VolumeView): Decision => {
  const gone = absent(volume)
  if (gone !== undefined) return conflict(volume, gone)
  if (volume.vmId === null) return conflict(volume, "is not attached")
  return Either.right({ state: "detaching", operation: { kind: "DetachVolume", vmId: volume.vmId } })
}

const cloneNames = (clones: ReadonlyArray<Volume>) =>
  clones.map(({ id, name, state }) => `volume ${id} (${name}${state === "deleted" ? ", in the trash" : ""})`).join(", ")

/** Who needs a snapshot: clones that are copies (`copies`) do so only until they are made. Undefined: nobody. */
const neededFor = (clones: ReadonlyArray<Volume>, copies: boolean) => {
  const beginning = clones.filter(({ state }) => state === "creating")
  if (copies && beginning.length > 0) {
    return `from which ${cloneNames(beginning)} is being made: try again when that has ended`
  }
  return copies || clones.length === 0
    ? undefined
    : `from which ${cloneNames(clones)} was made: destroy and purge that first`
}

/** Whether a clone can be made of the snapshot: its volume must be there. @since 0.2.0 @category rules */
export const clone = ({ volume }: Source): Either.Either<void, Errors.VolumeConflict> => {
  const gone = absent(volume)
  return gone === undefined ? Either.void : conflict(volume, gone)
}

const beingWritten = (volume: Volume, user: Vm) =>
  conflict(
    volume,
    `${attachedTo(volume, user)}, which is ${user.state}, and of a disk that is a file there is no copy of one moment then: ` +
      "shut that VM down or detach the volume first"
  )

/** Whether an image can be made of it. `user`: the VM that has it, where that must not run meanwhile. @since 0.7.0 @category rules */
export const publish = (volume: Volume, user: Vm | null): Either.Either<void, Errors.VolumeConflict> => {
  const gone = absent(volume)
  if (gone !== undefined) return conflict(volume, gone)
  return user === null ? Either.void : beingWritten(volume, user)
}

/** `window` in seconds; `copies`: clones do not need what they were made from. @since 0.2.0 @category rules */
export const destroy =
  (window: number, copies: boolean) =>
  ({ holder, snapshots, volume }: VolumeView): Decision => {
    if (volume.state === "deleted" || volume.state === "purged") return Either.right(nothing)
    if (volume.vmId !== null) return conflict(volume, `${attachedTo(volume, holder)}: detach it first`)
    for (const { clones, snapshot } of snapshots) {
      const needed = neededFor(clones, copies)
      if (needed !== undefined) return conflict(volume, `has snapshot ${snapshot.id} (${snapshot.name}), ${needed}`)
    }
    return Either.right({ state: "destroying", operation: { kind: "DestroyVolume", detail: { window } } })
  }

/** @since 0.2.0 @category rules */
export const restore = ({ volume }: VolumeView): Decision => {
  if (volume.state === "purged") return conflict(volume, "is purged: nothing of it is left")
  if (volume.state !== "deleted") return Either.right(nothing)
  return Either.right({ state: "restoring", operation: { kind: "RestoreVolume" } })
}

/** @since 0.2.0 @category rules */
export const purge = ({ volume }: VolumeView): Decision => {
  if (volume.state === "purged") return Either.right(nothing)
  if (volume.state !== "deleted") return conflict(volume, "is not in the trash: destroy it first")
  return Either.right({ state: "purging", operation: { kind: "PurgeVolume" } })
}

/** `size` in GiB. @since 0.2.0 @category rules */
export const grow =
  (size: number) =>
  ({ volume }: VolumeView): Decision => {
    const gone = absent(volume)
    if (gone !== undefined) return conflict(volume, gone)
    if (size === volume.size) return Either.right(nothing)
    if (size < volume.size) {
      return conflict(volume, `has ${volume.size} GiB and cannot shrink to ${size}: make a smaller one and copy`)
    }
    return Either.right({
      size,
      operation: { kind: "GrowVolume", vmId: volume.vmId, detail: { size, formerSize: volume.size } }
    })
  }

/** @since 0.2.0 @category rules */
export const rename =
  (name: string) =>
  ({ volume }: VolumeView): Decision => {
    const gone = absent(volume)
    if (gone !== undefined) return conflict(volume, gone)
    if (name === volume.name) return Either.right(nothing)
    return Either.right({
      name,
      operation: { kind: "RenameVolume", vmId: volume.vmId, detail: { name, formerName: volume.name } }
    })
  }

/** Whether its QEMU has its disks open, as far as is known; where nothing was seen of it, as is wanted. */
const isOpen = (vm: Vm, seen: VmSeen | undefined) =>
  vm.settled &&
  vm.state !== "stopped" &&
  (seen === undefined || seen.power === "running" || seen.power === "paused" || seen.power === "suspended")

/**
 * `copies`: a snapshot is a copy of all of it, which a guest must not write to meanwhile. `seen`: what was last seen of VMs.
 *
 * @since 0.2.0 @category rules
 */
export const snapshot =
  (name: string, copies: boolean, seen: ReadonlyMap<VmId, VmSeen>) =>
  ({ holder, volume }: VolumeView): Decision => {
    const gone = absent(volume)
    if (gone !== undefined) return conflict(volume, gone)
    if (copies && holder !== null && isOpen(holder, seen.get(holder.id))) return beingWritten(volume, holder)
    return Either.right({ newSnapshot: { name }, operation: { kind: "CreateSnapshot", vmId: volume.vmId } })
  }

const find = ({ snapshots }: VolumeView, id: SnapshotId) => {
  const found = snapshots.find(({ snapshot }) => snapshot.id === id && snapshot.state === "ready")
  return found === undefined ? Either.left(new Errors.SnapshotNotFound({ snapshotId: id })) : Either.right(found)
}

/** @since 0.2.0 @category rules */
export const destroySnapshot =
  (id: SnapshotId, copies: boolean) =>
  (view: VolumeView): Decision<Errors.SnapshotNotFound> =>
    Either.flatMap(find(view, id), ({ clones, snapshot }): Decision => {
      const { volume } = view
      const gone = absent(volume)
      if (gone !== undefined) return conflict(volume, gone)
      const needed = neededFor(clones, copies)
      if (needed !== undefined) return conflict(volume, `needs its snapshot ${id} (${snapshot.name}), ${needed}`)
      return Either.right({
        snapshot: { id, state: "destroying" },
        operation: { kind: "DestroySnapshot", vmId: volume.vmId, snapshotId: id }
      })
    })

/** `seen`: what was last seen of VMs. @since 0.2.0 @category rules */
export const revert =
  (id: SnapshotId, seen: ReadonlyMap<VmId, VmSeen>) =>
  (view: VolumeView): Decision<Errors.SnapshotNotFound> =>
    Either.flatMap(find(view, id), ({ snapshot }): Decision => {
      const { holder, volume } = view
      const gone = absent(volume)
      if (gone !== undefined) return conflict(volume, gone)
      if (holder !== null && isOpen(holder, seen.get(holder.id))) {
        return conflict(
          volume,
          `cannot be reverted while ${called(holder)} runs with it: stop the VM or detach the volume first`
        )
      }
      return Either.right({
        // the larger of the two is promised until it has happened
        size: Math.max(volume.size, snapshot.size),
        operation: {
          kind: "RevertVolume",
          vmId: volume.vmId,
          snapshotId: id,
          detail: { formerSize: volume.size }
        }
      })
    })
