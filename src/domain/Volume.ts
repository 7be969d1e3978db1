/**
 * Volumes: block devices that exist apart from VMs; and their snapshots.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import { UserName } from "./Identity.ts"
import * as Ids from "./Ids.ts"
import { DriverName } from "./Pool.ts"
import { VmName } from "./Vm.ts"

/**
 * What the inventory wants of a volume. `attaching` and `detaching` have a VM; so has `attached`. `deleted`: destroyed, but can be had back
 * until it is purged. `failed`: its creation did not succeed and is, or will be, undone.
 *
 * @since 0.2.0 @category models
 */
export const VolumeState = Schema.Literal(
  "creating",
  "available",
  "attaching",
  "attached",
  "detaching",
  "destroying",
  "deleted",
  "restoring",
  "purging",
  "purged",
  "failed"
)
/** @since 0.2.0 @category models */
export type VolumeState = typeof VolumeState.Type

/** Those of volumes that exist for users, if only in the trash, and so are in lists. @since 0.8.0 @category models */
export const ListedVolumeState = VolumeState.pipe(
  Schema.pickLiteral(
    "creating",
    "available",
    "attaching",
    "attached",
    "detaching",
    "destroying",
    "deleted",
    "restoring",
    "purging"
  )
)

/** As a VM's name: 1 to 255 characters, no control characters, no blanks at the ends. @since 0.2.0 @category models */
export const VolumeName = VmName.annotations({ identifier: "VolumeName" })

/** GiB: 1 to 64 TiB. @since 0.2.0 @category models */
export const VolumeSize = Schema.Int.pipe(
  Schema.between(1, 64 * 1024),
  Schema.annotations({ identifier: "VolumeSize" })
)

/** @since 0.2.0 @category models */
export class Volume extends Schema.Class<Volume>("Volume")({
  id: Ids.VolumeId,
  name: VolumeName,
  /** GiB a guest sees */
  size: VolumeSize,
  driver: DriverName,
  /** the host that has it, for drivers that keep volumes on hosts; else null */
  hostId: Schema.NullOr(Ids.HostId),
  state: VolumeState,
  vmId: Schema.NullOr(Ids.VmId),
  /** its place in the VM: `vdb`, `vdc`, …; null without a VM */
  target: Schema.NullOr(Schema.String),
  /** the snapshot it was made from */
  sourceId: Schema.NullOr(Ids.SnapshotId),
  /** nobody can have written to it yet: it was never attached, and is no clone */
  pristine: Schema.Boolean,
  /** a detach was asked for that the guest has not obeyed yet */
  releaseAsked: Schema.Boolean,
  /** milliseconds since 1970: when a deleted volume is purged */
  purgeAt: Schema.NullOr(Schema.Int),
  /** who had it made, and in whose quota it counts; null: nobody that is known */
  owner: Schema.NullOr(UserName).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => null)
  )
}) {
  /** what the guest finds it by, and what device aliases are made of: at most 20 characters */
  get serial(): string {
    return volumeSerial(this.id)
  }
}

/** virtio-blk carries 20 characters. @since 0.2.0 @category getters */
export const volumeSerial = (id: Ids.VolumeId): string => {
  const full = `volume-${id}`
  return full.length <= 20 ? full : `vol-${id}`
}

/** The volume that a device alias of ours is of. @since 0.2.0 @category getters */
export const volumeOfAlias = (alias: string): Ids.VolumeId | undefined => {
  const number = Number(/^ua-vol(?:ume)?-([1-9][0-9]{0,15})$/.exec(alias)?.[1])
  return Number.isSafeInteger(number) ? Ids.VolumeId.make(number) : undefined
}

/** @since 0.2.0 @category models */
export const SnapshotState = Schema.Literal("creating", "ready", "destroying", "destroyed", "failed")
/** @since 0.2.0 @category models */
export type SnapshotState = typeof SnapshotState.Type

/** A volume's content at one moment. @since 0.2.0 @category models */
export class Snapshot extends Schema.Class<Snapshot>("Snapshot")({
  id: Ids.SnapshotId,
  volumeId: Ids.VolumeId,
  name: VolumeName,
  /** GiB the volume had */
  size: VolumeSize,
  state: SnapshotState,
  /** milliseconds since 1970: when it was asked for */
  createdAt: Schema.Int
}) {}
