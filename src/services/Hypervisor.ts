/**
 * Domains (VMs as the hypervisor knows them) on hosts.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { GuestHoldsDevice, GuestIgnores, HostError } from "../domain/Errors.ts"
import type { Host, HostFacts } from "../domain/Host.ts"
import type { DomainUuid, OperationId, VmId } from "../domain/Ids.ts"
import type { NetworkSource } from "../domain/Network.ts"
import type { LinkState, NicModel } from "../domain/Nic.ts"
import type { Resources } from "../domain/Resources.ts"
import type { Power } from "../domain/Vm.ts"

/**
 * A disk as the domain's XML names it. `serial` is what the guest finds under /dev/disk/by-id, at most 20 characters; no two disks of
 * a domain have the same.
 *
 * @since 0.1.0 @category models
 */
export type DiskSource =
  | { readonly _tag: "File"; readonly path: string; readonly format: "qcow2" | "raw"; readonly serial: string }
  | {
      readonly _tag: "Rbd"
      readonly pool: string
      readonly image: string
      /** all of them: QEMU takes whichever answers */
      readonly monitors: ReadonlyArray<{ readonly host: string; readonly port: number }>
      /** cephx client, without the `client.` before it */
      readonly client: string
      /** of the libvirt secret on the host that holds the client's key */
      readonly secret: string
      readonly serial: string
    }

/**
 * How a volume's disk is found in a domain again. `target` is its place (`vdb`, `vdc`, …), which the guest may or may not name it by.
 *
 * @since 0.2.0 @category models
 */
export interface VolumeDisk {
  /** `ua-<serial>`, a device alias of the user's in libvirt's sense: device events carry it */
  readonly alias: string
  readonly target: string
}

/** How many volumes a domain of ours can have attached at a time: each takes a PCI Express port of its own. @since 0.2.0 @category constants */
export const volumeSlots = 14

/** A NIC as the domain's XML names it. @since 0.6.0 @category models */
export interface DomainNic {
  /** `ua-nic-<number>`, a device alias of the user's in libvirt's sense: device events carry it */
  readonly alias: string
  readonly mac: string
  readonly source: NetworkSource
  readonly model: NicModel
  readonly link: LinkState
}

/**
 * How a NIC is found in a domain again: by its alias, or by its address in a domain that was defined before NICs had one.
 *
 * @since 0.6.0 @category models
 */
export type NicRef = Pick<DomainNic, "alias" | "mac">

/**
 * An address that a guest has. `agent`: its guest agent says so; `lease`: the DHCP server of the host's libvirt gave it; `arp`: the host's own
 * table of neighbours has it.
 *
 * @since 0.6.0 @category models
 */
export interface GuestAddress {
  /** of the NIC; null: the guest's agent has named none */
  readonly mac: string | null
  readonly address: string
  /** bits of the network's part */
  readonly prefix: number
  readonly source: "agent" | "lease" | "arp"
}

/**
 * Where a device stands in a domain. `live` null: the domain does not run.
 *
 * @since 0.2.0 @category models
 */
export interface DiskPresence {
  readonly live: boolean | null
  readonly persistent: boolean
}

/** Everything a domain is built from. @since 0.1.0 @category models */
export interface DomainSpec {
  readonly vmId: VmId
  readonly uuid: DomainUuid
  /** libvirt's name, `vm-<vmid>` */
  readonly domainName: string
  /** the user's name, any text */
  readonly title: string
  readonly resources: Resources
  readonly nics: ReadonlyArray<DomainNic>
  readonly root: DiskSource
  /** what cloud-init reads, as a CD-ROM; absent or null: it has none */
  readonly seed?: DiskSource | null
  /** kept in the domain's metadata, so that what made it can be recognised */
  readonly operationId: OperationId
}

/** @since 0.1.0 @category models */
export interface DomainRef {
  readonly uuid: DomainUuid
  readonly domainName: string
}

/** virDomainState in words. @since 0.1.0 @category models */
export type DomainState =
  "nostate" | "running" | "blocked" | "paused" | "shutdown" | "shutoff" | "crashed" | "pmsuspended"

/** Why nothing can be done with a domain that is not there, one clause. @since 0.9.0 @category constants */
export const noDomain = "it has no such domain: repair the VM, which defines it anew"

/** What is there, as found on the host. `operationId` null: not made by vmfabric. @since 0.1.0 @category models */
export interface DomainStatus {
  readonly state: DomainState
  readonly operationId: string | null
}

/** @since 0.1.0 @category models */
export interface DomainSummary {
  readonly uuid: string
  readonly name: string
}

/** A domain's state and how it came to it. @since 0.3.0 @category models */
export interface DomainPower extends DomainSummary {
  readonly power: Power
  /** one clause, as in `the guest shut itself down`; null: nothing to say */
  readonly reason: string | null
}

/** A disk as a domain's XML has it. @since 0.3.0 @category models */
export interface DomainDisk {
  /** `vda` */
  readonly target: string
  /** a path, or `pool/image`; null: an empty drive */
  readonly source: string | null
  readonly serial: string | null
}

/** A NIC as a domain's XML has it. @since 0.6.0 @category models */
export interface ShapeNic {
  /** lower case */
  readonly mac: string
  /** as in `bridge:br0` or `libvirt:default`; of any other kind, its type alone */
  readonly source: string
  readonly link: LinkState
}

/** What can drift of a domain's definition. @since 0.3.0 @category models */
export interface DomainShape {
  readonly title: string | null
  readonly cpu: number
  /** MiB */
  readonly ram: number
  readonly disks: ReadonlyArray<DomainDisk>
  readonly nics: ReadonlyArray<ShapeNic>
}

/** Whose a domain says it is. @since 0.3.0 @category models */
export interface DomainOwner {
  readonly vmId: number
  readonly operationId: string
}

/** A domain looked at closely. `live` null: it does not run. `defined` null: it is transient. @since 0.3.0 @category models */
export interface DomainDetail {
  readonly owner: DomainOwner | null
  /** whether its host starts it when it boots */
  readonly autostart: boolean
  readonly live: DomainShape | null
  readonly defined: DomainShape | null
}

/**
 * A domain looked at closely, once again. `digest` stands for all that the host says of it; `detail` null: that is what it was.
 *
 * @since 0.3.0 @category models
 */
export interface DomainGlance {
  readonly digest: string
  readonly detail: DomainDetail | null
}

/** A change of a domain's state as the host reports it. @since 0.1.0 @category models */
export interface DomainChange {
  readonly uuid: string
  readonly name: string
  readonly change:
    | "defined"
    | "undefined"
    | "started"
    | "suspended"
    | "resumed"
    | "stopped"
    | "shutdown"
    | "pmsuspended"
    | "crashed"
    | "device-added"
    | "device-removed"
    /** its title, or what is written into its metadata */
    | "annotated"
  /** the device's alias, of `device-…` */
  readonly device: string | null
}

/**
 * All methods fail with `HostUnreachable` (effect unknown, try again later) or `HostFailure` (the host said no), and are safe to
 * repeat.
 *
 * @since 0.1.0 @category services
 */
export class Hypervisor extends Context.Tag("vmfabric/Hypervisor")<
  Hypervisor,
  {
    /** Asks the host what it is. `disk` (GiB) is the whole size of the file system behind the storage path. */
    readonly facts: (host: Host) => Effect.Effect<HostFacts, HostError>
    /**
     * Defines the domain, or redefines one with the same uuid. Fails when another domain has its name. `isNew`: the uuid was made for it and nobody
     * else knows it, so that whose domain it is need not be asked.
     */
    readonly define: (host: Host, spec: DomainSpec, isNew?: boolean) => Effect.Effect<void, HostError>
    /** The definition that `define` would give the host, for people to read: indented, and with a last line end. Nothing is changed. */
    readonly describe: (host: Host, spec: DomainSpec) => Effect.Effect<string, HostError>
    /** The same for the device of `attachDisk`. */
    readonly describeDisk: (
      host: Host,
      disk: VolumeDisk & { readonly source: DiskSource }
    ) => Effect.Effect<string, HostError>
    /** Starts it; one that already runs is left running. `isNew`: whoever asks has just defined it, so that whose domain it is need not be asked. */
    readonly start: (host: Host, domain: DomainRef, isNew?: boolean) => Effect.Effect<void, HostError>
    /** None: no such domain. */
    readonly status: (host: Host, domain: DomainRef) => Effect.Effect<Option.Option<DomainStatus>, HostError>
    /** Takes the power from it, whatever state it is in; absent or stopped is fine. */
    readonly powerOff: (host: Host, domain: DomainRef) => Effect.Effect<void, HostError>
    /**
     * Asks the guest to shut down, by its agent or its power button, again and again, and waits until it is off; absent or stopped is fine.
     * A guest that is not up yet does not hear it. `HostFailure` at once when it is paused or asleep.
     */
    readonly shutDown: (
      host: Host,
      domain: DomainRef,
      within: Duration.DurationInput
    ) => Effect.Effect<void, HostError | GuestIgnores>
    /** The same for starting anew, in the QEMU that it has; fails when it does not run. */
    readonly reboot: (
      host: Host,
      domain: DomainRef,
      within: Duration.DurationInput
    ) => Effect.Effect<void, HostError | GuestIgnores>
    /** The guest begins anew without being asked, as by a reset button; one that is paused stays so. Fails when it does not run. */
    readonly reset: (host: Host, domain: DomainRef) => Effect.Effect<void, HostError>
    /** The guest stands still and keeps its memory; paused is fine. Fails when it does not run. */
    readonly pause: (host: Host, domain: DomainRef) => Effect.Effect<void, HostError>
    /** One that is paused goes on; one that runs is fine. Fails when it does not run. */
    readonly resume: (host: Host, domain: DomainRef) => Effect.Effect<void, HostError>
    /**
     * Removes the definition, with managed save, snapshots' metadata and NVRAM, and what its console has said, where the account may; absent is fine. It must
     * not be running.
     */
    readonly undefine: (host: Host, domain: DomainRef) => Effect.Effect<void, HostError>
    /**
     * Puts a disk into the domain: into the running one, where it runs or is paused, and into its definition. Already there in either is
     * fine. Fails when the domain is absent, has another disk at that target, or has no slot left.
     */
    readonly attachDisk: (
      host: Host,
      domain: DomainRef,
      disk: VolumeDisk & { readonly source: DiskSource }
    ) => Effect.Effect<void, HostError>
    /**
     * Takes a disk out of the domain, whose absence is fine, as is the disk's. A running guest is asked to let go of it, again and again,
     * and waited for within a limit; with `GuestHoldsDevice` the disk is where it was: it is taken out of the definition only after
     * the guest has let go.
     */
    readonly detachDisk: (
      host: Host,
      domain: DomainRef,
      disk: VolumeDisk
    ) => Effect.Effect<void, HostError | GuestHoldsDevice>
    /** None: no such domain. */
    readonly diskPresence: (
      host: Host,
      domain: DomainRef,
      disk: VolumeDisk
    ) => Effect.Effect<Option.Option<DiskPresence>, HostError>
    /** Makes the disk of a running or paused domain `size` bytes large, and tells the guest. Never makes it smaller. */
    readonly growDisk: (host: Host, domain: DomainRef, disk: VolumeDisk, size: number) => Effect.Effect<void, HostError>
    /** The definition of the device of `attachNic`. */
    readonly describeNic: (host: Host, nic: DomainNic) => Effect.Effect<string, HostError>
    /**
     * Puts a NIC into the domain: into the running one, where it runs or is paused, and into its definition. Already there in either is
     * fine. Fails when the domain is absent, or has no slot left.
     */
    readonly attachNic: (host: Host, domain: DomainRef, nic: DomainNic) => Effect.Effect<void, HostError>
    /** Takes a NIC out of the domain, as `detachDisk` takes a disk. */
    readonly detachNic: (
      host: Host,
      domain: DomainRef,
      nic: NicRef
    ) => Effect.Effect<void, HostError | GuestHoldsDevice>
    /** None: no such domain. */
    readonly nicPresence: (
      host: Host,
      domain: DomainRef,
      nic: NicRef
    ) => Effect.Effect<Option.Option<DiskPresence>, HostError>
    /** Plugs its cable in or out wherever the domain has it, running and as defined, and answers where that was. None: no such domain. */
    readonly setLink: (
      host: Host,
      domain: DomainRef,
      nic: NicRef,
      link: LinkState
    ) => Effect.Effect<Option.Option<DiskPresence>, HostError>
    /**
     * The addresses of a running guest, from whatever knows any: first its agent, then leases, then the host's neighbours. None are known of one
     * that does not run. A guest's agent that is silent takes some seconds.
     */
    readonly addresses: (host: Host, domain: DomainRef) => Effect.Effect<ReadonlyArray<GuestAddress>, HostError>
    /** Every domain on the host, ours or not. */
    readonly list: (host: Host) => Effect.Effect<ReadonlyArray<DomainSummary>, HostError>
    /** The power of every domain on the host, ours or not, in one call that waits for no guest and no storage. */
    readonly powers: (host: Host) => Effect.Effect<ReadonlyArray<DomainPower>, HostError>
    /** The power of one. None: no such domain. */
    readonly power: (host: Host, domain: DomainRef) => Effect.Effect<Option.Option<DomainPower>, HostError>
    /** A domain of anybody's, by its uuid. None: no such domain. */
    readonly detail: (host: Host, uuid: string) => Effect.Effect<Option.Option<DomainDetail>, HostError>
    /** The same; what is as it was when `known` was its digest is not read again. */
    readonly glance: (
      host: Host,
      uuid: string,
      known: string | null
    ) => Effect.Effect<Option.Option<DomainGlance>, HostError>
    /**
     * Gives title, vCPUs and memory back to the definition and leaves everything else in it; a running guest has them from its next start on.
     * Fails when the domain is absent.
     */
    readonly redefine: (
      host: Host,
      domain: DomainRef,
      shape: { readonly title: string; readonly cpu: number; readonly ram: number }
    ) => Effect.Effect<void, HostError>
    /** Gives the domain another title, the running one and its definition. Fails when it is absent. */
    readonly rename: (host: Host, domain: DomainRef, title: string) => Effect.Effect<void, HostError>
    /** Whether the host starts the domain when it boots, with nobody there to ask. Fails when it is absent. */
    readonly setAutostart: (host: Host, domain: DomainRef, on: boolean) => Effect.Effect<void, HostError>
    /**
     * Puts the seed's drive into the definition, unless it is there; a running guest has it from its next start on. Fails when the domain is absent.
     */
    readonly provideSeed: (host: Host, domain: DomainRef, seed: DiskSource) => Effect.Effect<void, HostError>
    /** Changes from now on; fails when the connection is lost. */
    readonly changes: (host: Host) => Stream.Stream<DomainChange, HostError>
  }
>() {}
