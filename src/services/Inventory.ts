/**
 * What should exist: hosts, images, types, VMs and what has been promised to them. Every write is durable when its effect ends.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Errors from "../domain/Errors.ts"
import type { Host, HostConfig, HostFacts } from "../domain/Host.ts"
import type { HostId, ImageId, InstanceTypeId, OperationId, VmId } from "../domain/Ids.ts"
import type { Image, ImageConfig, ImageContent } from "../domain/Image.ts"
import type { InstanceType } from "../domain/InstanceType.ts"
import type { Operation } from "../domain/Operation.ts"
import type { Resources } from "../domain/Resources.ts"
import type { Vm, VmState } from "../domain/Vm.ts"

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
}

/** @since 0.1.0 @category models */
export interface AdmitVm {
  readonly name: string
  readonly instanceType: InstanceType
  readonly imageId: ImageId
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
    readonly setHostFacts: (id: HostId, facts: HostFacts) => Effect.Effect<void, Errors.PersistenceError>

    /** Those offered, by id. */
    readonly images: Effect.Effect<ReadonlyArray<Image>, Errors.PersistenceError>
    /** Also one that is no longer offered. */
    readonly image: (id: ImageId) => Effect.Effect<Image, Errors.ImageNotFound | Errors.PersistenceError>
    readonly setImageContent: (id: ImageId, content: ImageContent) => Effect.Effect<void, Errors.PersistenceError>

    /** Those offered, in file order. */
    readonly types: Effect.Effect<ReadonlyArray<InstanceType>, Errors.PersistenceError>
    /** One that is offered. */
    readonly type: (
      tid: InstanceTypeId
    ) => Effect.Effect<InstanceType, Errors.InstanceTypeNotFound | Errors.PersistenceError>

    /**
     * One transaction: `place` chooses a host from what is promised at this moment (hosts in id order), then the VM (`creating`),
     * its reservation and a pending `CreateVm` operation are written. A failure of `place` writes nothing.
     */
    readonly admit: <E>(
      request: AdmitVm,
      place: (usage: ReadonlyArray<HostUsage>) => Effect.Effect<HostId, E>
    ) => Effect.Effect<{ readonly vm: Vm; readonly operation: Operation }, E | Errors.PersistenceError>

    /**
     * One transaction: the VM becomes `destroying` and a pending `DestroyVm` operation is written; while one is unfinished that one
     * is given instead. `VmNotFound`: never existed, or its creation failed. A VM already destroyed gives `None`. `VmBusy`: its creation has not ended.
     */
    readonly beginDestroy: (
      id: VmId
    ) => Effect.Effect<Option.Option<Operation>, Errors.VmNotFound | Errors.VmBusy | Errors.PersistenceError>

    /** A VM that exists for users. */
    readonly vm: (id: VmId) => Effect.Effect<Vm, Errors.VmNotFound | Errors.PersistenceError>
    /** The row whatever its state: for operations. */
    readonly vmRecord: (id: VmId) => Effect.Effect<Vm, Errors.VmNotFound | Errors.PersistenceError>
    /** Those that exist for users, by id; `host` limits to one host's. */
    readonly vms: (filter?: { readonly host?: HostId }) => Effect.Effect<ReadonlyArray<Vm>, Errors.PersistenceError>
    /** Sets the state; `destroyed` and `failed` give the reservation back in the same transaction. */
    readonly setVmState: (id: VmId, state: VmState) => Effect.Effect<void, Errors.PersistenceError>

    /** The operation's row. None: no such operation. */
    readonly operation: (id: OperationId) => Effect.Effect<Option.Option<Operation>, Errors.PersistenceError>
  }
>() {}
