/**
 * Every kind of operation: how its saga is made from its row, and what can be known of it beforehand.
 *
 * @since 0.3.0
 */
import * as Effect from "effect/Effect"
import type * as Errors from "../domain/Errors.ts"
import type { Host } from "../domain/Host.ts"
import type { Operation, OperationKind } from "../domain/Operation.ts"
import type { Snapshot } from "../domain/Volume.ts"
import type { Hypervisor } from "../services/Hypervisor.ts"
import type { ImageLibrary } from "../services/ImageLibrary.ts"
import type { ImageStore } from "../services/ImageStore.ts"
import type { Inventory } from "../services/Inventory.ts"
import type { Storage } from "../services/Storage.ts"
import * as AttachNic from "./AttachNic.ts"
import * as AttachVolume from "./AttachVolume.ts"
import * as CleanVm from "./CleanVm.ts"
import * as ConfigureVm from "./ConfigureVm.ts"
import * as CreateSnapshot from "./CreateSnapshot.ts"
import * as CreateVm from "./CreateVm.ts"
import * as CreateVolume from "./CreateVolume.ts"
import * as DestroySnapshot from "./DestroySnapshot.ts"
import * as DestroyVm from "./DestroyVm.ts"
import * as DestroyVolume from "./DestroyVolume.ts"
import * as DetachNic from "./DetachNic.ts"
import * as DetachVolume from "./DetachVolume.ts"
import * as GrowVolume from "./GrowVolume.ts"
import * as PauseVm from "./PauseVm.ts"
import * as PowerOffVm from "./PowerOffVm.ts"
import * as PublishImage from "./PublishImage.ts"
import * as PurgeVolume from "./PurgeVolume.ts"
import * as RebootVm from "./RebootVm.ts"
import * as RenameVolume from "./RenameVolume.ts"
import * as RepairVm from "./RepairVm.ts"
import * as ResetVm from "./ResetVm.ts"
import * as ResizeVm from "./ResizeVm.ts"
import * as RestoreVolume from "./RestoreVolume.ts"
import * as ResumeVm from "./ResumeVm.ts"
import * as RevertVolume from "./RevertVolume.ts"
import type { Saga } from "./Saga.ts"
import * as SetCloudInit from "./SetCloudInit.ts"
import * as SetNicLink from "./SetNicLink.ts"
import * as ShutDownVm from "./ShutDownVm.ts"
import * as StartVm from "./StartVm.ts"
import type * as VmSaga from "./VmSaga.ts"
import * as VolumeSaga from "./VolumeSaga.ts"

/** @since 0.3.0 @category models */
export interface Ports {
  readonly inventory: Inventory["Type"]
  readonly hypervisor: Hypervisor["Type"]
  readonly storage: Storage["Type"]
  readonly store: ImageStore["Type"]
  readonly library: ImageLibrary["Type"]
}

/** The inventory refuses to drop what an unfinished operation needs: only the last can come. @since 0.3.0 @category errors */
export type LoadError =
  | Errors.VmNotFound
  | Errors.HostNotFound
  | Errors.ImageNotFound
  | Errors.VolumeNotFound
  | Errors.SnapshotNotFound
  | Errors.PersistenceError

/** @since 0.3.0 @category models */
export interface Kind {
  /** Names of all steps it can have, in their order; an operation may have fewer. */
  readonly steps: ReadonlyArray<string>
  /** `forward`: what is begun cannot be taken back, so it cannot be cancelled. */
  readonly goes: "forward" | "both ways"
  readonly saga: (ports: Ports, operation: Operation) => Effect.Effect<Saga, LoadError>
}

interface Named {
  readonly steps: ReadonlyArray<string>
}

const ofVm = (
  { steps }: Named,
  goes: Kind["goes"],
  saga: (subject: VmSaga.Subject, ports: Ports) => Saga | Effect.Effect<Saga, LoadError>
): Kind => ({
  steps,
  goes,
  saga: Effect.fnUntraced(function* (ports, operation) {
    const { hypervisor, inventory, storage } = ports
    if (operation.vmId === null || operation.volumeId !== null) {
      return yield* Effect.dieMessage(`operation ${operation.id} is about no VM, or about a volume too`)
    }
    const vm = yield* inventory.vmRecord(operation.vmId)
    const { host } = yield* inventory.host(vm.hostId)
    const made = saga({ inventory, hypervisor, driver: storage.driver(vm.driver), operation, vm, host }, ports)
    return Effect.isEffect(made) ? yield* made : made
  })
})

const ofVolume = (
  { steps }: Named,
  goes: Kind["goes"],
  saga: (subject: VolumeSaga.Subject, ports: Ports) => Saga | Effect.Effect<Saga, LoadError>
): Kind => ({
  steps,
  goes,
  saga: Effect.fnUntraced(function* (ports, operation) {
    const { hypervisor, inventory, storage } = ports
    if (operation.volumeId === null) return yield* Effect.dieMessage(`operation ${operation.id} is about no volume`)
    const volume = yield* inventory.volumeRecord(operation.volumeId)
    const hostOf = (id: Host["id"]) => Effect.map(inventory.host(id), ({ host }) => host)
    // a VM that was destroyed meanwhile has released its volumes
    const vmId = volume.vmId ?? operation.vmId
    const vm = vmId === null ? null : yield* inventory.vmRecord(vmId)
    const snapshotId = operation.snapshotId ?? (operation.kind === "CreateVolume" ? volume.sourceId : null)
    const subject = {
      inventory,
      hypervisor,
      driver: storage.driver(volume.driver),
      operation,
      volume,
      host: volume.hostId === null ? null : yield* hostOf(volume.hostId),
      formerHost: operation.detail.formerHost === undefined ? null : yield* hostOf(operation.detail.formerHost),
      user: vm === null ? null : { vm, host: yield* hostOf(vm.hostId) },
      snapshot: snapshotId === null ? null : yield* inventory.snapshotRecord(snapshotId)
    }
    const made = saga(subject, ports)
    return Effect.isEffect(made) ? yield* made : made
  })
})

const withUser =
  (saga: (subject: VolumeSaga.Subject, user: NonNullable<VolumeSaga.Subject["user"]>) => Saga) =>
  (subject: VolumeSaga.Subject) =>
    subject.user === null
      ? Effect.dieMessage(`volume ${subject.volume.id} has no VM`)
      : Effect.succeed(saga(subject, subject.user))

const withSnapshot =
  (saga: (subject: VolumeSaga.Subject, snapshot: Snapshot) => Saga) => (subject: VolumeSaga.Subject) =>
    subject.snapshot === null
      ? Effect.dieMessage(`operation ${subject.operation.id} names no snapshot`)
      : Effect.succeed(saga(subject, subject.snapshot))

const publishing = (
  { inventory, library, store }: Ports,
  { driver, operation }: Pick<VmSaga.Subject, "driver" | "operation">,
  of: Pick<PublishImage.Subject, "what" | "disk" | "hosts">
) =>
  operation.detail.image === undefined
    ? Effect.dieMessage(`operation ${operation.id} names no image`)
    : Effect.map(inventory.image(operation.detail.image), (image) =>
        PublishImage.saga({ inventory, library, store, driver, operationId: operation.id, image, ...of })
      )

/** @since 0.3.0 @category constants */
export const kinds: Readonly<Record<OperationKind, Kind>> = {
  CreateVm: ofVm(CreateVm, "both ways", (subject) =>
    Effect.map(subject.inventory.image(subject.vm.imageId), (image) => CreateVm.saga(subject, image))
  ),
  DestroyVm: ofVm(DestroyVm, "forward", DestroyVm.saga),
  StartVm: ofVm(StartVm, "both ways", StartVm.saga),
  ShutDownVm: ofVm(ShutDownVm, "both ways", ShutDownVm.saga),
  PowerOffVm: ofVm(PowerOffVm, "both ways", PowerOffVm.saga),
  RebootVm: ofVm(RebootVm, "both ways", RebootVm.saga),
  ResetVm: ofVm(ResetVm, "both ways", ResetVm.saga),
  PauseVm: ofVm(PauseVm, "both ways", PauseVm.saga),
  ResumeVm: ofVm(ResumeVm, "both ways", ResumeVm.saga),
  ConfigureVm: ofVm(ConfigureVm, "forward", ConfigureVm.saga),
  ResizeVm: ofVm(ResizeVm, "both ways", ResizeVm.saga),
  RepairVm: ofVm(RepairVm, "both ways", (subject, { storage }) => RepairVm.saga(subject, storage.driver)),
  CleanVm: ofVm(CleanVm, "forward", CleanVm.saga),
  AttachNic: ofVm(AttachNic, "both ways", AttachNic.saga),
  DetachNic: ofVm(DetachNic, "forward", DetachNic.saga),
  SetNicLink: ofVm(SetNicLink, "both ways", SetNicLink.saga),
  SetCloudInit: ofVm(SetCloudInit, "forward", SetCloudInit.saga),
  CreateVolume: ofVolume(CreateVolume, "both ways", CreateVolume.saga),
  DestroyVolume: ofVolume(DestroyVolume, "forward", DestroyVolume.saga),
  RestoreVolume: ofVolume(RestoreVolume, "forward", RestoreVolume.saga),
  PurgeVolume: ofVolume(PurgeVolume, "forward", PurgeVolume.saga),
  AttachVolume: ofVolume(AttachVolume, "both ways", withUser(AttachVolume.saga)),
  DetachVolume: ofVolume(DetachVolume, "forward", withUser(DetachVolume.saga)),
  GrowVolume: ofVolume(GrowVolume, "forward", GrowVolume.saga),
  RenameVolume: ofVolume(RenameVolume, "forward", RenameVolume.saga),
  RevertVolume: ofVolume(RevertVolume, "forward", withSnapshot(RevertVolume.saga)),
  CreateSnapshot: ofVolume(CreateSnapshot, "both ways", withSnapshot(CreateSnapshot.saga)),
  DestroySnapshot: ofVolume(DestroySnapshot, "forward", withSnapshot(DestroySnapshot.saga)),
  PublishVm: ofVm(PublishImage, "both ways", (subject, ports) => {
    const { driver, host, vm } = subject
    return publishing(ports, subject, {
      what: `the root disk of ${vm.domainName}`,
      disk: { _tag: "Root", host, vmId: vm.id },
      hosts: driver.pool === null ? [host] : []
    })
  }),
  PublishVolume: ofVolume(PublishImage, "both ways", (subject, ports) => {
    const {
      host,
      snapshot,
      volume: { serial }
    } = subject
    const volume = VolumeSaga.place(subject)
    return publishing(ports, subject, {
      what: snapshot === null ? serial : `snapshot ${snapshot.id} (${snapshot.name}) of ${serial}`,
      disk: snapshot === null ? { _tag: "Volume", volume } : { _tag: "Snapshot", volume, snapshotId: snapshot.id },
      hosts: host === null ? [] : [host]
    })
  })
}
