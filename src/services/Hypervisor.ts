/**
 * Domains (VMs as the hypervisor knows them) on hosts.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { HostError } from "../domain/Errors.ts"
import type { Host, HostFacts } from "../domain/Host.ts"
import type { DomainUuid, OperationId, VmId } from "../domain/Ids.ts"
import type { Resources } from "../domain/Resources.ts"

/** A disk as the domain's XML names it. @since 0.1.0 @category models */
export interface DiskSource {
  readonly path: string
  readonly format: "qcow2"
  /** what the guest finds under /dev/disk/by-id; at most 20 characters */
  readonly serial: string
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
  readonly mac: string
  readonly root: DiskSource
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

/** A change of a domain's state as the host reports it. @since 0.1.0 @category models */
export interface DomainChange {
  readonly uuid: string
  readonly name: string
  readonly change:
    "defined" | "undefined" | "started" | "suspended" | "resumed" | "stopped" | "shutdown" | "pmsuspended" | "crashed"
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
    /** Defines the domain, or redefines one with the same uuid. Fails when another domain has its name. */
    readonly define: (host: Host, spec: DomainSpec) => Effect.Effect<void, HostError>
    /** Starts it; one that already runs is left running. */
    readonly start: (host: Host, domain: DomainRef) => Effect.Effect<void, HostError>
    /** None: no such domain. */
    readonly status: (host: Host, domain: DomainRef) => Effect.Effect<Option.Option<DomainStatus>, HostError>
    /** Takes the power from it, whatever state it is in; absent or stopped is fine. */
    readonly powerOff: (host: Host, domain: DomainRef) => Effect.Effect<void, HostError>
    /** Removes the definition, with managed save, snapshots' metadata and NVRAM; absent is fine. It must not be running. */
    readonly undefine: (host: Host, domain: DomainRef) => Effect.Effect<void, HostError>
    /** Every domain on the host, ours or not. */
    readonly list: (host: Host) => Effect.Effect<ReadonlyArray<DomainSummary>, HostError>
    /** Changes from now on; fails when the connection is lost. */
    readonly changes: (host: Host) => Stream.Stream<DomainChange, HostError>
  }
>() {}
