/**
 * What should exist: hosts, images, types, VMs and what has been promised to them. Every write is durable when its effect ends.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Errors from "../domain/Errors.ts"
import type { CloudInit } from "../domain/CloudInit.ts"
import type { Explained, Explanation } from "../domain/Explanation.ts"
import type { UserName } from "../domain/Identity.ts"
import type { ThingKind } from "../domain/Keyed.ts"
import type { Host, HostConfig, HostFacts } from "../domain/Host.ts"
import type { HostId, ImageId, InstanceTypeId, OperationId, SnapshotId, VmId, VolumeId } from "../domain/Ids.ts"
import type { LinkState, NewNic, Nic, NicId, NicState } from "../domain/Nic.ts"
import type {
  DiskOrigin,
  Image,
  ImageConfig,
  ImageContent,
  ImageOrigin,
  ImageState,
  ImageWanted
} from "../domain/Image.ts"
import type { InstanceType, KnownType } from "../domain/InstanceType.ts"
import type { Operation, OperationDetail, OperationKind } from "../domain/Operation.ts"
import type { DriverName, Pool } from "../domain/Pool.ts"
import type { Use } from "../domain/Quota.ts"
import type { Resources } from "../domain/Resources.ts"
import type { Drift, DriftField } from "../domain/Drift.ts"
import type { OnCrash, Power, Vm, VmChange, VmSeen, VmSettings, VmState, WantedPower } from "../domain/Vm.ts"
import type { Snapshot, Volume, VolumeState } from "../domain/Volume.ts"

/** The three input files, read and checked, each in file order. @since 0.1.0 @category models */
export interface FleetConfig {
  readonly hosts: ReadonlyArray<HostConfig>
  readonly images: ReadonlyArray<ImageConfig>
  readonly types: ReadonlyArray<InstanceType>
}

/** A host with what is promised on it. @since 0.1.0 @category models */
export interface HostUsage {
  readonly host: Host
  readonly promised: Resources
  readonly vms: number
  /** what the VMs there are counted in for rules about groups, each as often as it is; absent: nothing */
  readonly groups?: ReadonlyArray<string>
}

/** What VMs, or volumes, a list is of. @since 0.4.0 @category models */
export interface VmFilter {
  /** only of these */
  readonly ids?: ReadonlyArray<VmId>
  /** what its name begins with */
  readonly name?: string
  readonly state?: VmState
  readonly host?: HostId
  readonly type?: InstanceTypeId
  readonly owner?: UserName
  /** all of them */
  readonly tags?: ReadonlyArray<string>
  /** `value` null: whatever it is */
  readonly label?: { readonly key: string; readonly value: string | null }
}

/** Names are compared by code point; by owner those that are nobody's are the least. @since 0.4.0 @category models */
export interface VmOrder {
  readonly by: "id" | "name" | "created" | "owner"
  readonly descending: boolean
}

/** @since 0.4.0 @category models */
export interface VolumeFilter {
  /** only of these */
  readonly ids?: ReadonlyArray<VolumeId>
  /** what its name begins with */
  readonly name?: string
  readonly state?: VolumeState
  readonly vm?: VmId
  readonly owner?: UserName
}

/** Names are compared by code point; by owner those that are nobody's are the least. By id is by when they were made. @since 0.11.0 @category models */
export interface VolumeOrder {
  readonly by: "id" | "name" | "size" | "owner"
  readonly descending: boolean
}

/** Where a page ended: its last one, by what it is in order. @since 0.4.0 @category models */
export interface Position {
  readonly value: string | number
  readonly id: number
}

/** `next` null: there are no more. `total`: how many there are on all pages. @since 0.4.0 @category models */
export interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly next: Position | null
  readonly total: number
}

/** What something is kept with: `pool` null: on its host, whose space it takes. @since 0.2.0 @category models */
export interface KeptWith {
  readonly driver: DriverName
  readonly pool: string | null
}

/**
 * What makes repeating a request harmless: the same key with the same fingerprint is the same request. Keys are of whoever asks: the same one of two of
 * them is two.
 *
 * @since 0.3.0 @category models
 */
export interface RequestKey {
  readonly key: string
  /** absent or null: nobody in particular. @since 0.9.0 */
  readonly asker?: UserName | null
  /** which of those it is that are asked for with one key, from 1 on, and the fingerprint of all of it. Absent: it is asked for alone. @since 0.9.0 */
  readonly among?: { readonly number: number; readonly fingerprint: string }
  /** of everything the request says */
  readonly fingerprint: string
  /** the same as versions before 0.11 kept it; absent: they did so alike. @since 0.11.0 */
  readonly formerly?: string
  /** the operation it led to before, which has failed and is tried anew on another host */
  readonly replaces?: OperationId
}

/**
 * What a request led to. `id`: of the thing, as paths have it; of a webhook's secret the webhook's, of a cancellation the operation's.
 *
 * @since 0.8.0 @category models
 */
export type Led =
  | { readonly _tag: "Operation"; readonly operation: Operation }
  | { readonly _tag: "Thing"; readonly thing: ThingKind; readonly id: string }

/** What was seen of a VM; `seen` null: its domain was not looked at. @since 0.3.0 @category models */
export interface Observation {
  readonly vmId: VmId
  readonly seen: { readonly power: Power; readonly reason: string | null } | null
  /** all that differs at this moment; null: that was not looked at */
  readonly drift: ReadonlyArray<DriftField> | null
}

/**
 * Asked in the transaction, with what it has written or found so far: whatever else than success comes of it, nothing is changed. A request that
 * is a repetition is not asked about, for it changes nothing.
 *
 * @since 0.5.0 @category models
 */
export type Confirm<A> = (made: A) => Effect.Effect<void>

/** What becomes of a host; what is absent stays. @since 0.7.0 @category models */
export interface HostChange {
  readonly config?: HostConfig
  readonly maintenance?: boolean
  /** whether it is declared lost, from now on */
  readonly lost?: boolean
}

/** @since 0.7.0 @category models */
export interface HostChanged {
  readonly before: Host
  readonly after: Host
}

/** A change of a VM. `operation` null: nobody but the inventory has to know of it. @since 0.6.0 @category models */
export interface VmChanged {
  readonly before: Vm
  readonly after: Vm
  readonly operation: Operation | null
}

/** An image that somebody adds. @since 0.7.0 @category models */
export interface NewImage {
  readonly config: ImageConfig
  readonly origin: Exclude<ImageOrigin, "file" | DiskOrigin>
  readonly state: Extract<ImageState, "uploading" | "quarantine">
  readonly wanted: ImageWanted
}

/** What an image is to be published of. @since 0.7.0 @category models */
export type Publishable = { readonly vm: VmId } | { readonly volume: VolumeId } | { readonly snapshot: SnapshotId }

/**
 * The same, as it is at the moment at which that begins: the VM whose root disk it is, or that has the volume; the volume, also that of a snapshot.
 *
 * @since 0.7.0 @category models
 */
export interface PublishView {
  readonly vm: Vm | null
  readonly volume: Volume | null
  readonly snapshot: Snapshot | null
}

/** An image that is being published. @since 0.7.0 @category models */
export interface Published extends PublishView {
  readonly image: Image
  readonly operation: Operation
}

/**
 * An instance type to be; `tid` absent: the next that was never given. `requires` absent: nothing of its host.
 *
 * @since 0.7.0 @category models
 */
export interface NewType extends Omit<InstanceType, "tid"> {
  readonly tid?: InstanceTypeId
}

/** Operations on the power of a VM. @since 0.6.0 @category models */
export type PowerKind = Extract<
  OperationKind,
  "StartVm" | "ShutDownVm" | "PowerOffVm" | "RebootVm" | "ResetVm" | "PauseVm" | "ResumeVm"
>

/** What may be said of a new VM beside its name; what is absent is not said. @since 0.6.0 @category models */
export type NewSettings = Partial<Omit<VmSettings, "name" | "onCrash">>

/** A VM, and the operation that was begun on it. @since 0.7.0 @category models */
export interface VmBegun {
  readonly vm: Vm
  readonly operation: Operation
}

/** Why a VM is not admitted, beside what its host is chosen by. @since 0.7.0 @category errors */
export type AdmitError =
  | Errors.ImageNotFound
  | Errors.ImageConflict
  | Errors.InstanceTypeNotFound
  | Errors.PoolFull
  | Errors.QuotaExceeded
  | Errors.MacTaken
  | Errors.KeyReused
  | Errors.PersistenceError

/** @since 0.1.0 @category models */
export interface AdmitVm {
  readonly key?: RequestKey
  /** the operation of an earlier try, whose host fell silent */
  readonly replaces?: OperationId
  readonly name: string
  readonly onCrash: OnCrash
  /** what else is said of it */
  readonly settings?: NewSettings
  readonly instanceType: InstanceType
  readonly imageId: ImageId
  readonly disk: KeptWith
  /** absent: one on the default network */
  readonly nics?: ReadonlyArray<NewNic>
  /** absent: what is usual */
  readonly cloudInit?: CloudInit
  /** whose it will be; null, absent: nobody's */
  readonly owner?: UserName | null
  /** how many of the same are asked for with it, of which all or none may be had; absent: none */
  readonly following?: number
  /** what counts in the owner's quota besides, and is not written yet; absent: nothing */
  readonly planned?: Use
  /** GiB of the pool that are taken besides, by what is not written yet; absent: none */
  readonly besides?: number
  /** asked when the host is chosen: why it is that one, which is kept with the VM; null, absent: nothing is */
  readonly explain?: (usage: ReadonlyArray<HostUsage>, chosen: HostId) => Effect.Effect<Explanation | null>
}

/** `size` in GiB. @since 0.2.0 @category models */
export interface AdmitVolume {
  readonly key?: RequestKey
  readonly name: string
  readonly size: number
  readonly disk: KeptWith
  readonly sourceId: SnapshotId | null
  /** whose it will be; null, absent: nobody's */
  readonly owner?: UserName | null
}

/** What is to be done with a VM's NICs. @since 0.6.0 @category models */
export type NicChange =
  | { readonly _tag: "Attach"; readonly nic: NewNic }
  | { readonly _tag: "Detach"; readonly nic: NicId }
  | { readonly _tag: "Link"; readonly nic: NicId; readonly link: LinkState }
  /** it is so already */
  | { readonly _tag: "Nothing" }

/** A VM before and after a change of its NICs; `operation` null: there is nothing to do. @since 0.6.0 @category models */
export interface NicsChanged {
  readonly before: Vm
  readonly after: Vm
  readonly operation: Operation | null
}

/** What an operation made of a NIC; null: it is no more. @since 0.6.0 @category models */
export type NicOutcome = { readonly state: NicState; readonly link?: LinkState; readonly releaseAsked?: boolean } | null

/** A snapshot with the volumes made from it that have not been purged. @since 0.2.0 @category models */
export interface SnapshotUse {
  readonly snapshot: Snapshot
  readonly clones: ReadonlyArray<Volume>
}

/** A snapshot and its volume. @since 0.2.0 @category models */
export interface Source {
  readonly snapshot: Snapshot
  readonly volume: Volume
}

/** A volume at the moment of a change, with what a decision about it may need. @since 0.2.0 @category models */
export interface VolumeView {
  readonly volume: Volume
  /** those that exist, by id */
  readonly snapshots: ReadonlyArray<SnapshotUse>
  /** the VM that has it; null: none has */
  readonly holder: Vm | null
  /** the VM that was asked for; null: none was */
  readonly vm: Vm | null
  /** the creation or destruction of that VM, while it lasts */
  readonly vmOperation: Operation | null
  /** volumes that have that VM, whatever their state */
  readonly neighbours: ReadonlyArray<Volume>
}

/** What becomes of a volume; what is absent stays. @since 0.2.0 @category models */
export interface VolumeChange {
  readonly state?: VolumeState
  readonly name?: string
  /** GiB */
  readonly size?: number
  readonly hostId?: HostId
  readonly pristine?: boolean
  readonly releaseAsked?: boolean
  readonly purgeAt?: number | null
  readonly attachment?: { readonly vmId: VmId; readonly target: string } | null
  /** a new snapshot, which the operation is about */
  readonly newSnapshot?: { readonly name: string }
  readonly snapshot?: { readonly id: SnapshotId; readonly state: Snapshot["state"] }
  readonly operation?: {
    readonly kind: OperationKind
    readonly vmId?: VmId | null
    readonly snapshotId?: SnapshotId
    readonly detail?: OperationDetail
  }
}

/** What a change has made. @since 0.2.0 @category models */
export interface VolumeChanged {
  readonly volume: Volume
  readonly operation: Operation | null
  readonly snapshot: Snapshot | null
}

/** A pool with what is promised of it in GiB: root disks and volumes, those in the trash too. @since 0.2.0 @category models */
export interface PoolReport {
  readonly pool: Pool
  readonly promised: number
}

/** @since 0.1.0 @category services */
export class Inventory extends Context.Tag("vmfabric/Inventory")<
  Inventory,
  {
    /**
     * Makes hosts, images and types what the files say, in one transaction. New ones are added (ids go on from the highest ever
     * given), known ones (same host and port; same image source; same tid) keep their id. Refused as a whole, naming every problem: a host
     * dropped while it has VMs or unfinished operations, or its path changed while VMs have their disks there; a type changed while VMs use
     * it; anything given twice. Images and types that were dropped
     * are no longer offered, VMs made from them go on.
     */
    readonly applyFleet: (fleet: FleetConfig) => Effect.Effect<void, Errors.FleetConflict | Errors.PersistenceError>

    readonly hosts: Effect.Effect<ReadonlyArray<HostUsage>, Errors.PersistenceError>
    readonly host: (id: HostId) => Effect.Effect<HostUsage, Errors.HostNotFound | Errors.PersistenceError>
    /** Those that are declared lost: a set that is kept as they are at each moment. */
    readonly lostHosts: Effect.Effect<ReadonlySet<HostId>>
    readonly setHostFacts: (id: HostId, facts: HostFacts) => Effect.Effect<void, Errors.PersistenceError>
    /** One transaction: a failure of `check`, which sees the host as it is at this moment, changes nothing. */
    readonly setMaintenance: <E = never>(
      id: HostId,
      on: boolean,
      check?: (host: Host) => Effect.Effect<void, E>,
      confirm?: Confirm<Host>
    ) => Effect.Effect<void, E | Errors.HostNotFound | Errors.PersistenceError>

    /**
     * One transaction: the host is kept in the database alone, beside those of the machine file. One that was removed comes back under its old id, as new.
     * `HostConflict`: another host has the address.
     */
    readonly addHost: (
      config: HostConfig,
      confirm?: Confirm<Host>
    ) => Effect.Effect<Host, Errors.HostConflict | Errors.PersistenceError>
    /**
     * One transaction: `decide` sees the host as it is at this moment, and says what becomes of it; a failure of it changes nothing. `HostConflict`: its
     * settings are the machine file's, it would be at another address, or VMs or volumes are where they would not be any more.
     */
    readonly changeHost: <E = never>(
      id: HostId,
      decide: (host: Host) => Effect.Effect<HostChange, E>,
      confirm?: Confirm<HostChanged>
    ) => Effect.Effect<HostChanged, E | Errors.HostNotFound | Errors.HostConflict | Errors.PersistenceError>
    /**
     * One transaction: the host is no more; `check` sees it as it is at this moment, and a failure of it changes nothing. `HostConflict`: it is the machine
     * file's, or VMs or volumes are there, which are named.
     */
    readonly removeHost: <E = never>(
      id: HostId,
      check?: (host: Host) => Effect.Effect<void, E>,
      confirm?: Confirm<Host>
    ) => Effect.Effect<Host, E | Errors.HostNotFound | Errors.HostConflict | Errors.PersistenceError>

    /** Those offered, by id: what new VMs can be made of. */
    readonly images: Effect.Effect<ReadonlyArray<Image>, Errors.PersistenceError>
    /** Also one that is no longer offered. */
    readonly image: (id: ImageId) => Effect.Effect<Image, Errors.ImageNotFound | Errors.PersistenceError>
    /** All that there are, by id, also those that cannot be used (yet); not those that were deleted. */
    readonly allImages: Effect.Effect<ReadonlyArray<Image>, Errors.PersistenceError>
    /** SHA-256 of images that were deleted, and that no image has any more. */
    readonly deletedContents: Effect.Effect<ReadonlySet<string>, Errors.PersistenceError>
    /** Adds one. One transaction: a failure of `check`, which sees all others, changes nothing. `ImageConflict`: another one has that source. */
    readonly addImage: <E = never>(
      image: NewImage,
      check?: (others: ReadonlyArray<Image>) => Effect.Effect<void, E>,
      confirm?: Confirm<Image>
    ) => Effect.Effect<Image, E | Errors.ImageConflict | Errors.PersistenceError>
    /** How an image came out of its upload or its quarantine; one that was deleted meanwhile stays so. */
    readonly settleImage: (
      id: ImageId,
      state: Extract<ImageState, "quarantine" | "available" | "refused">,
      reason?: string
    ) => Effect.Effect<void, Errors.PersistenceError>
    /**
     * One transaction: an image in quarantine, as `decide` says when it has seen what it is made of, and a pending operation that makes it are written. A failure
     * of `decide` changes nothing. `VmBusy`, `VolumeBusy`: another operation on it has not ended.
     */
    readonly publishImage: <E>(
      of: Publishable,
      decide: (view: PublishView) => Effect.Effect<ImageConfig, E>,
      confirm?: Confirm<Published>
    ) => Effect.Effect<
      Published,
      | E
      | Errors.VmNotFound
      | Errors.VmBusy
      | Errors.VolumeNotFound
      | Errors.VolumeBusy
      | Errors.SnapshotNotFound
      | Errors.PersistenceError
    >
    /** An image whose making came to nothing is no more; repeating it is fine. */
    readonly dropImage: (id: ImageId) => Effect.Effect<void, Errors.PersistenceError>
    /**
     * It is no more; what is repeated is fine. One transaction: a failure of `check` changes nothing. `ImageConflict`: VMs need it, which are named, an operation
     * is making it, or the image file has it.
     */
    readonly deleteImage: <E = never>(
      id: ImageId,
      check?: (image: Image) => Effect.Effect<void, E>,
      confirm?: Confirm<Image>
    ) => Effect.Effect<Image, E | Errors.ImageNotFound | Errors.ImageConflict | Errors.PersistenceError>
    readonly setImageContent: (id: ImageId, content: ImageContent) => Effect.Effect<void, Errors.PersistenceError>

    /** Those offered, in file order, then those made by the API. */
    readonly types: Effect.Effect<ReadonlyArray<InstanceType>, Errors.PersistenceError>
    /** One that is offered. */
    readonly type: (
      tid: InstanceTypeId
    ) => Effect.Effect<InstanceType, Errors.InstanceTypeNotFound | Errors.PersistenceError>

    /** All that ever were, by id. */
    readonly knownTypes: Effect.Effect<ReadonlyArray<KnownType>, Errors.PersistenceError>
    /** A new one; `tid` absent: the next that was never given. `InstanceTypeConflict`: there is or was one of that id. */
    readonly createType: (
      type: NewType,
      confirm?: Confirm<KnownType>
    ) => Effect.Effect<KnownType, Errors.InstanceTypeConflict | Errors.PersistenceError>
    /** It takes no new VMs any more, also after a new start; repeating it is fine. One transaction: a failure of `check` changes nothing. */
    readonly retireType: <E = never>(
      tid: InstanceTypeId,
      check?: (type: KnownType) => Effect.Effect<void, E>,
      confirm?: Confirm<{ readonly before: KnownType; readonly after: KnownType }>
    ) => Effect.Effect<KnownType, E | Errors.InstanceTypeNotFound | Errors.PersistenceError>

    /**
     * One transaction: `place` chooses a host from what is promised at this moment (hosts in id order), then the VM (`creating`),
     * its reservation and a pending `CreateVm` operation are written. A failure of `place` writes nothing, nor does a quota or a pool without room, nor
     * an instance type that was retired, or an image that was deleted, meanwhile.
     * A key that was used before gives what it led to then, and writes nothing.
     */
    readonly admit: <E>(
      request: AdmitVm,
      place: (usage: ReadonlyArray<HostUsage>) => Effect.Effect<HostId, E>,
      confirm?: Confirm<VmBegun>
    ) => Effect.Effect<VmBegun, E | AdmitError>
    /**
     * Several at once, in one transaction: each is placed by what is promised with those before it. When one cannot be admitted, none is.
     */
    readonly admitAll: <E>(
      wanted: ReadonlyArray<{
        readonly request: AdmitVm
        readonly place: (usage: ReadonlyArray<HostUsage>) => Effect.Effect<HostId, E>
        readonly confirm?: Confirm<VmBegun>
      }>
    ) => Effect.Effect<ReadonlyArray<VmBegun>, E | AdmitError>
    /**
     * One transaction: `decide` sees the VM as it is at this moment, and says what becomes of its NICs; that is written, with a pending operation.
     * A failure of it changes nothing. `VmBusy`: another operation on it, or on a volume with it, has not ended. A key that was used before
     * gives what it led to then, and changes nothing.
     */
    readonly changeNics: <E>(
      id: VmId,
      decide: (vm: Vm, host: Host) => Effect.Effect<NicChange, E>,
      key?: RequestKey,
      confirm?: Confirm<NicsChanged>
    ) => Effect.Effect<
      NicsChanged,
      E | Errors.VmNotFound | Errors.VmBusy | Errors.MacTaken | Errors.KeyReused | Errors.PersistenceError
    >
    /** What an operation on a NIC came to. One that is no more already is passed over. */
    readonly settleNic: (id: VmId, nic: Nic["id"], outcome: NicOutcome) => Effect.Effect<void, Errors.PersistenceError>
    /**
     * One transaction: a pending operation on the VM is written. `VmBusy`: another operation on it, or on a volume with it, has not ended.
     * `CleanVm` is for one that is destroyed or whose creation failed, the others for one that is not. A failure of `check`, which sees the VM as it
     * is at this moment, changes nothing.
     */
    readonly beginOnVm: <E = never>(
      id: VmId,
      kind: PowerKind | "RepairVm" | "CleanVm",
      detail?: OperationDetail,
      confirm?: Confirm<VmBegun>,
      check?: (vm: Vm) => Effect.Effect<void, E>
    ) => Effect.Effect<Operation, E | Errors.VmNotFound | Errors.VmBusy | Errors.PersistenceError>

    /**
     * One transaction: the VM becomes `destroying` and a pending `DestroyVm` operation is written; while one is unfinished that one
     * is given instead. `VmNotFound`: never existed, or its creation failed. A VM already destroyed gives `None`. `VmBusy`: another
     * operation on it, or on a volume with it, has not ended. `check` is asked where there is something to begin; a failure of it changes nothing.
     * `confirm` sees the VM as it was, the operation (null: there is nothing to do any more) and the volumes that it has.
     */
    readonly beginDestroy: <E = never>(
      id: VmId,
      check?: (vm: Vm) => Effect.Effect<void, E>,
      confirm?: Confirm<{
        readonly vm: Vm
        readonly operation: Operation | null
        readonly volumes: ReadonlyArray<Volume>
      }>
    ) => Effect.Effect<Option.Option<Operation>, E | Errors.VmNotFound | Errors.VmBusy | Errors.PersistenceError>
    /**
     * What people say of the VM. One transaction: a failure of `check` changes nothing. Where its domain has to be told of it a pending `ConfigureVm`
     * operation is written, too; then `VmBusy`: another operation on it, or on a volume with it, has not ended.
     */
    readonly changeVm: <E = never>(
      id: VmId,
      change: VmChange,
      check?: (vm: Vm) => Effect.Effect<void, E>,
      confirm?: Confirm<VmChanged>
    ) => Effect.Effect<VmChanged, E | Errors.VmNotFound | Errors.VmBusy | Errors.PersistenceError>

    /**
     * One transaction: a pending `ResizeVm` operation is written, and from then on the larger of what the VM has and of what that instance type has is
     * promised to it. `check` sees what else is promised on its host; a failure of it, or of `confirm`, changes nothing, nor does its owner's quota when it has no
     * room for what is more. The type's disk is none of it. `VmBusy`: another operation on it, or on a volume with it, has not ended.
     *
     * @since 0.8.0
     */
    readonly beginResize: <E = never>(
      id: VmId,
      instanceType: InstanceTypeId,
      check: (vm: Vm, to: InstanceType, others: HostUsage) => Effect.Effect<void, E>,
      confirm?: Confirm<VmChanged>
    ) => Effect.Effect<
      Operation,
      | E
      | Errors.VmNotFound
      | Errors.VmBusy
      | Errors.InstanceTypeNotFound
      | Errors.QuotaExceeded
      | Errors.PersistenceError
    >
    /** What it is from then on, and what is promised to it; null: what it was. @since 0.8.0 */
    readonly settleResize: (
      id: VmId,
      to: { readonly instanceType: InstanceTypeId; readonly cpu: number; readonly ram: number } | null
    ) => Effect.Effect<void, Errors.PersistenceError>

    /** What the VM's guest is told; of one that is over what is usual, for nothing of it is kept. */
    readonly cloudInit: (id: VmId) => Effect.Effect<CloudInit, Errors.PersistenceError>
    /**
     * One transaction: what `decide` makes of it and a pending `SetCloudInit` operation are written. `VmBusy`: another operation on the VM, or on a volume with
     * it, has not ended. A failure of `decide` changes nothing.
     */
    readonly changeCloudInit: <E>(
      id: VmId,
      decide: (now: CloudInit, vm: Vm) => Effect.Effect<CloudInit, E>,
      confirm?: Confirm<{
        readonly vm: Vm
        readonly operation: Operation
        readonly cloudInit: { readonly before: CloudInit; readonly after: CloudInit }
      }>
    ) => Effect.Effect<Operation, E | Errors.VmNotFound | Errors.VmBusy | Errors.PersistenceError>

    /** A VM that exists for users. */
    readonly vm: (id: VmId) => Effect.Effect<Vm, Errors.VmNotFound | Errors.PersistenceError>
    /** Why the VM was placed where it was; null: nobody said so, or it exists no more. */
    readonly explained: (id: VmId) => Effect.Effect<Explained | null, Errors.PersistenceError>
    /** The row whatever its state: for operations. */
    readonly vmRecord: (id: VmId) => Effect.Effect<Vm, Errors.VmNotFound | Errors.PersistenceError>
    /** Those that exist for users, by id; `host` limits to one host's. */
    readonly vms: (filter?: { readonly host?: HostId }) => Effect.Effect<ReadonlyArray<Vm>, Errors.PersistenceError>
    /**
     * Those that exist for users, in that order, from `after` on (null: from the first) and at most `limit`. One that exists all the time is
     * on exactly one of the pages, whatever else comes and goes meanwhile.
     */
    readonly vmPage: (
      filter: VmFilter,
      order: VmOrder,
      after: Position | null,
      limit: number
    ) => Effect.Effect<Page<Vm>, Errors.PersistenceError>
    /**
     * Sets the state; `destroyed` and `failed` give the reservation back in the same transaction, with them goes what its guest was told, and
     * `destroyed` makes the VM's volumes available again. `running`, `stopped`, `paused`: what was wanted of the VM has been applied. `seen`: what its
     * host said of it when it was asked, at milliseconds since 1970, which is remembered in the same transaction.
     */
    readonly setVmState: (
      id: VmId,
      state: VmState,
      seen?: NonNullable<Observation["seen"]> & { readonly at: number }
    ) => Effect.Effect<void, Errors.PersistenceError>
    /**
     * What is wanted of the power of a VM that is there; one that is being destroyed is left as it is. `seen`: what its host says of it after that, which is
     * remembered in the same transaction.
     */
    readonly setVmPower: (
      id: VmId,
      power: WantedPower,
      seen?: NonNullable<Observation["seen"]>
    ) => Effect.Effect<void, Errors.PersistenceError>
    /** How an operation came about, one clause; what was said before is replaced. */
    readonly setOutcome: (id: OperationId, outcome: string) => Effect.Effect<void, Errors.PersistenceError>

    /**
     * Remembers what was seen, in one transaction; what is as before is not written again and keeps its `since`. VMs that no longer exist are
     * passed over. `now` in milliseconds since 1970.
     */
    readonly observe: (
      observations: ReadonlyArray<Observation>,
      now: number
    ) => Effect.Effect<void, Errors.PersistenceError>
    /** What was last seen of the VMs that exist; those never seen are not in it. */
    readonly seen: Effect.Effect<ReadonlyMap<VmId, VmSeen>>
    /** By VM, then field. */
    readonly drift: (filter?: {
      readonly vms?: ReadonlyArray<VmId>
    }) => Effect.Effect<ReadonlyArray<Drift>, Errors.PersistenceError>

    /**
     * One transaction: `place` chooses the host that will have the volume (null for one in a pool), then the volume (`creating`) and a
     * pending `CreateVolume` operation are written. A failure of `place` writes nothing, nor does a quota or a pool without room.
     */
    readonly admitVolume: <E>(
      request: AdmitVolume,
      place: (usage: ReadonlyArray<HostUsage>, source: Source | null) => Effect.Effect<HostId | null, E>,
      confirm?: Confirm<{ readonly volume: Volume; readonly operation: Operation }>
    ) => Effect.Effect<
      { readonly volume: Volume; readonly operation: Operation },
      E | Errors.PoolFull | Errors.QuotaExceeded | Errors.SnapshotNotFound | Errors.KeyReused | Errors.PersistenceError
    >
    /**
     * One transaction: `decide` sees the volume, and the VM when one is named, as they are at this moment, and says what becomes of it. A
     * failure of it changes nothing, nor does a change for which its owner's quota, the pool or the host has no room. `VolumeBusy`: an operation on the volume has
     * not ended. `VmBusy`: the VM that it is to be attached to, or detached from, is being repaired or told something by cloud-init. A key that was used before gives what it led to then, and changes nothing.
     */
    readonly changeVolume: <E>(
      id: VolumeId,
      vmId: VmId | null,
      decide: (view: VolumeView) => Effect.Effect<VolumeChange, E>,
      key?: RequestKey,
      confirm?: Confirm<VolumeChanged>
    ) => Effect.Effect<
      VolumeChanged,
      | E
      | Errors.KeyReused
      | Errors.VolumeNotFound
      | Errors.VolumeBusy
      | Errors.VmBusy
      | Errors.VmNotFound
      | Errors.PoolFull
      | Errors.QuotaExceeded
      | Errors.VolumeConflict
      | Errors.PersistenceError
    >
    /** What an operation on the volume came to, written whatever else there is. */
    readonly settleVolume: (id: VolumeId, change: VolumeChange) => Effect.Effect<void, Errors.PersistenceError>
    /** A volume that exists for users, or did: one whose creation failed never has. */
    readonly volume: (id: VolumeId) => Effect.Effect<Volume, Errors.VolumeNotFound | Errors.PersistenceError>
    /** The row whatever its state: for operations. */
    readonly volumeRecord: (id: VolumeId) => Effect.Effect<Volume, Errors.VolumeNotFound | Errors.PersistenceError>
    /** Those that exist for users, by id, also those in the trash; `vm` limits to one VM's. */
    readonly volumes: (filter?: { readonly vm?: VmId }) => Effect.Effect<ReadonlyArray<Volume>, Errors.PersistenceError>
    /** Those that exist for users, from `after` on and at most `limit`; by id unless it is said. */
    readonly volumePage: (
      filter: VolumeFilter,
      after: Position | null,
      limit: number,
      order?: VolumeOrder
    ) => Effect.Effect<Page<Volume>, Errors.PersistenceError>
    /** Those in the trash whose time has come. `now` in milliseconds since 1970. */
    readonly volumesToPurge: (now: number) => Effect.Effect<ReadonlyArray<VolumeId>, Errors.PersistenceError>
    /** A snapshot that exists. */
    readonly snapshot: (id: SnapshotId) => Effect.Effect<Snapshot, Errors.SnapshotNotFound | Errors.PersistenceError>
    /** The row whatever its state: for operations. */
    readonly snapshotRecord: (
      id: SnapshotId
    ) => Effect.Effect<Snapshot, Errors.SnapshotNotFound | Errors.PersistenceError>
    /** Those that exist, by id. */
    readonly snapshots: (volume: VolumeId) => Effect.Effect<ReadonlyArray<Snapshot>, Errors.PersistenceError>

    /**
     * The pool that `driver` works with from now on; null: none is set up. Refused while VMs or volumes are kept in another one, which are
     * named.
     */
    readonly usePool: (pool: KeptWith | null) => Effect.Effect<void, Errors.FleetConflict | Errors.PersistenceError>
    readonly setPool: (pool: Pool) => Effect.Effect<void, Errors.PersistenceError>
    /** Those that have been looked at. */
    readonly pools: Effect.Effect<ReadonlyArray<PoolReport>, Errors.PersistenceError>

    /**
     * What each user has of what quotas are of: whoever has nothing is not in it. VMs count from their admission until they are destroyed or their creation has
     * been undone, volumes until they are purged.
     *
     * @since 0.9.0
     */
    readonly uses: Effect.Effect<ReadonlyMap<UserName, Use>, Errors.PersistenceError>
    /** The same of one. @since 0.9.0 */
    readonly use: (user: UserName) => Effect.Effect<Use, Errors.PersistenceError>

    /**
     * `by` becomes the retry of `of`, which has failed. For a `Confirm` alone, whose transaction it is a part of: `by` is the operation that is written
     * there. Gives the one that is its retry already, and then writes nothing; null: there was none.
     *
     * @since 0.8.0
     */
    readonly keepRetry: (of: OperationId, by: OperationId) => Effect.Effect<OperationId | null, Errors.PersistenceError>
    /**
     * The key leads there from then on. For a `Confirm` alone, as `keepRetry`. `now` in milliseconds since 1970.
     *
     * @since 0.8.0
     */
    readonly keepKey: (
      key: RequestKey,
      led: Led,
      now: number
    ) => Effect.Effect<void, Errors.KeyReused | Errors.PersistenceError>
    /** What a request with that key led to; null: there was none. @since 0.8.0 */
    readonly keyed: (key: RequestKey) => Effect.Effect<Led | null, Errors.KeyReused | Errors.PersistenceError>
    /** The operation's row. None: no such operation. */
    readonly operation: (id: OperationId) => Effect.Effect<Option.Option<Operation>, Errors.PersistenceError>
  }
>() {}
