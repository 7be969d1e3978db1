/**
 * Images, root disks and volumes where hosts can use them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { HostError, ImageRefused, PersistenceError, StorageError } from "../domain/Errors.ts"
import type { Host } from "../domain/Host.ts"
import type { OperationId, SnapshotId, VmId, VolumeId } from "../domain/Ids.ts"
import type { Image, Piece } from "../domain/Image.ts"
import type { DriverName } from "../domain/Pool.ts"
import type { DiskSource } from "./Hypervisor.ts"

/** What a driver's methods fail with; `HostUnreachable` and `StorageUnreachable` leave open whether it took effect. @since 0.2.0 @category errors */
export type DriverError = HostError | StorageError

/** A root disk to make: `size` in GiB. @since 0.2.0 @category models */
export interface RootRequest {
  readonly vmId: VmId
  readonly image: Image
  readonly size: number
  readonly operationId: OperationId
}

/** A VM's cloud-init seed: at most 1 MiB. @since 0.6.0 @category models */
export interface SeedRequest {
  readonly vmId: VmId
  readonly operationId: OperationId
  readonly content: Uint8Array
  /** whether one that another operation of ours made for this VM is written anew; else it is another's, and refused */
  readonly replaces: boolean
}

/** A volume, and for a driver that keeps volumes on hosts the host that has it; others get null. @since 0.2.0 @category models */
export interface VolumeAt {
  readonly id: VolumeId
  readonly host: Host | null
}

/** A volume to make: `size` in GiB. `source`: with the content of a snapshot of another volume. @since 0.2.0 @category models */
export interface VolumeRequest {
  readonly size: number
  /** the user's name, kept beside the volume where the storage can */
  readonly name: string
  readonly operationId: OperationId
  readonly source: { readonly volumeId: VolumeId; readonly snapshotId: SnapshotId } | null
}

/** Bytes: what a shared pool could hold in all, holds, and can still take. @since 0.2.0 @category models */
export interface PoolUsage {
  readonly name: string
  readonly capacity: number
  readonly used: number
  readonly available: number
}

/** A disk that is kept: a VM's root disk, a volume, or a snapshot of one. @since 0.7.0 @category models */
export type DiskAt =
  | { readonly _tag: "Root"; readonly host: Host; readonly vmId: VmId }
  | { readonly _tag: "Volume"; readonly volume: VolumeAt }
  | { readonly _tag: "Snapshot"; readonly volume: VolumeAt; readonly snapshotId: SnapshotId }

/** All methods are safe to repeat. @since 0.2.0 @category models */
export interface StorageDriver {
  readonly name: DriverName
  /**
   * `null`: disks and volumes are on a host each, use its space, and can be used there only. Else the name of the pool that all hosts
   * share.
   */
  readonly pool: string | null
  /** How full the pool is; none for a driver without one. */
  readonly usage: Effect.Effect<Option.Option<PoolUsage>, StorageError>

  /**
   * Sees to it that the image is there for disks on the host, whole: sent once per content, however many ask at the same time, and sent
   * again only when an earlier sending did not end. Progress goes to the log.
   */
  readonly ensureImage: (host: Host, image: Image) => Effect.Effect<void, DriverError | ImageRefused | PersistenceError>
  /** SHA-256 of the images of which there is a copy, or a part of one: on the host, or in the pool. */
  readonly listImages: (host: Host) => Effect.Effect<ReadonlyArray<string>, DriverError>
  /**
   * Removes the copy of that SHA-256, whole or not; absent is fine. False: it stays, for a disk lies over it, or it is being sent, or a disk over it made, at
   * this moment.
   */
  readonly removeImage: (host: Host, sha256: string) => Effect.Effect<boolean, DriverError>
  /** The VM's root disk: a copy-on-write disk over the image, `size` GiB (or the image's own size when that is more). */
  readonly createRoot: (
    host: Host,
    root: RootRequest
  ) => Effect.Effect<DiskSource, DriverError | ImageRefused | PersistenceError>
  /**
   * Removes it; absent is fine. Refused while it is in use. `madeBy`: only what that operation made, where the storage can tell; what
   * is not of it stays.
   */
  readonly deleteRoot: (host: Host, vmId: VmId, madeBy?: OperationId) => Effect.Effect<void, DriverError>
  /** What a domain on the host is given as the VM's root disk, whether or not it is there: nothing is made, changed or asked of the host. */
  readonly describeRoot: (host: Host, vmId: VmId) => Effect.Effect<DiskSource, DriverError>
  /** The same for one that a domain is about to be given anew. Fails when it is not there, cannot be read at this moment, or is open somewhere. */
  readonly openRoot: (host: Host, vmId: VmId) => Effect.Effect<DiskSource, DriverError>
  /** The VMs that have a root disk there: on the host, or in the pool. */
  readonly listRoots: (host: Host) => Effect.Effect<ReadonlyArray<VmId>, DriverError>

  /**
   * The VM's seed, kept with its root disk, with that content. A guest that has it open sees it change, so that the next boot finds it. One of another origin
   * is refused and left alone.
   */
  readonly writeSeed: (host: Host, seed: SeedRequest) => Effect.Effect<DiskSource, DriverError>
  /** Removes it; absent is fine. `madeBy`: only what that operation made. */
  readonly deleteSeed: (host: Host, vmId: VmId, madeBy?: OperationId) => Effect.Effect<void, DriverError>
  /** As `describeRoot`. */
  readonly describeSeed: (host: Host, vmId: VmId) => Effect.Effect<DiskSource, DriverError>

  /** Reads as zeros, or as its source. One that this operation made is kept; one of another origin is refused and left alone. */
  readonly createVolume: (volume: VolumeAt, request: VolumeRequest) => Effect.Effect<void, DriverError>
  /** Removes what `createVolume` made for this operation, also half of it; anything else of that name stays. Absent is fine. */
  readonly discardVolume: (volume: VolumeAt, operationId: OperationId) => Effect.Effect<void, DriverError>
  /** The volumes there, by id: on the host, or in the pool. Those destroyed and not purged are left out where the storage can tell. */
  readonly listVolumes: (host: Host | null) => Effect.Effect<ReadonlyArray<VolumeId>, DriverError>
  /** Bytes a guest sees. None: there is no such volume. */
  readonly volumeSize: (volume: VolumeAt) => Effect.Effect<Option.Option<number>, DriverError>
  /**
   * What a domain on `host` is given to use it. Fails when it is not there, cannot be read at this moment, or is open somewhere else.
   * `held`: that very domain runs with it already, so that it is open is right.
   */
  readonly openVolume: (
    volume: VolumeAt,
    use: { readonly host: Host; readonly domainName: string; readonly held: boolean }
  ) => Effect.Effect<DiskSource, DriverError>
  /** The same for a volume, and without looking whether it is there: nothing is made, changed or asked of a host. */
  readonly describeVolume: (volume: VolumeAt, host: Host) => Effect.Effect<DiskSource, DriverError>
  /** Waits until nobody has it open any more, within a limit; then fails and says who has. */
  readonly awaitReleased: (volume: VolumeAt) => Effect.Effect<void, DriverError>
  /** To `size` GiB; one that is as large or larger is left. Not for one that a running domain uses: QEMU has to do it. */
  readonly growVolume: (volume: VolumeAt, size: number) => Effect.Effect<void, DriverError>
  readonly renameVolume: (volume: VolumeAt, name: string) => Effect.Effect<void, DriverError>

  readonly createSnapshot: (volume: VolumeAt, snapshot: SnapshotId) => Effect.Effect<void, DriverError>
  /** Absent is fine; refused while volumes are clones of it. */
  readonly deleteSnapshot: (volume: VolumeAt, snapshot: SnapshotId) => Effect.Effect<void, DriverError>
  /** Content and size become the snapshot's. Refused while the volume is in use. */
  readonly revertVolume: (volume: VolumeAt, snapshot: SnapshotId) => Effect.Effect<void, DriverError>
  readonly listSnapshots: (volume: VolumeAt) => Effect.Effect<ReadonlyArray<SnapshotId>, DriverError>

  /** Puts it aside for `window` seconds or more; refused while it is in use. One that is put aside or absent is fine. */
  readonly trashVolume: (volume: VolumeAt, window: number) => Effect.Effect<void, DriverError>
  /** Brings it back. Fails when it is not there any more. */
  readonly restoreVolume: (volume: VolumeAt) => Effect.Effect<void, DriverError>
  /** Removes it for good, with its snapshots; absent is fine. Never removes one that was not put aside. */
  readonly purgeVolume: (volume: VolumeAt) => Effect.Effect<void, DriverError>

  /**
   * Keeps what the disk holds at this moment, for `readDisk`, until `releaseDisk`; what was kept before for the operation stays. Of a disk that a guest
   * writes it is what would be there after a power cut; a driver without a pool refuses that.
   */
  readonly holdDisk: (disk: DiskAt, operationId: OperationId) => Effect.Effect<void, DriverError>
  /**
   * What is held, as a qcow2 file that stands alone and has little of what is zero; its pieces may come before others that are earlier in it. How far it is
   * is told to the operation. Fails when it is not held.
   */
  readonly readDisk: (
    disk: DiskAt,
    operationId: OperationId
  ) => Effect.Effect<Stream.Stream<Piece, DriverError>, DriverError>
  /** Removes what was made to hold it; absent is fine, and what is there besides stays. */
  readonly releaseDisk: (disk: DiskAt, operationId: OperationId) => Effect.Effect<void, DriverError>
}

/** @since 0.1.0 @category services */
export class Storage extends Context.Tag("vmfabric/Storage")<
  Storage,
  {
    /** Makes the host's own storage folder ready to use and gives the whole size of its file system in bytes. */
    readonly prepare: (host: Host) => Effect.Effect<{ readonly capacity: number }, HostError>
    /** what new disks and volumes are kept with */
    readonly preferred: StorageDriver
    /** The driver of that name. One that is not set up fails in everything, and says how to set it up. */
    readonly driver: (name: DriverName) => StorageDriver
  }
>() {}
