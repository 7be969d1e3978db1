/**
 * Failed operations once more.
 *
 * A retry is the same request again: it takes the way of the first one, through the same use cases, so that today's rules decide on it. What is new is the
 * bond between the two, which is written in the transaction that writes the new operation.
 *
 * @since 0.8.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Errors from "../domain/Errors.ts"
import type { UserName } from "../domain/Identity.ts"
import type { OperationId, SnapshotId, VmId, VolumeId } from "../domain/Ids.ts"
import { Operation, type OperationDetail, type OperationKind } from "../domain/Operation.ts"
import { own } from "../domain/Placement.ts"
import { Inventory } from "../services/Inventory.ts"
import { Operations } from "../services/Operations.ts"
import { Asker } from "./Asker.ts"
import * as Bond from "./Bond.ts"
import { ImagePublishing, type PublishError } from "./ImagePublishing.ts"
import type * as Intent from "./Intent.ts"
import { type ChangeError as NicError, Nics } from "./Nics.ts"
import { Power, type PowerError } from "./Power.ts"
import { Reality } from "./Reality.ts"
import * as Turns from "./Turns.ts"
import { type CreateError as CreateVmError, Vms } from "./Vms.ts"
import { type CreateError as CreateVolumeError, Volumes } from "./Volumes.ts"

/** What the use cases themselves fail with. */
type UseCaseError =
  CreateVmError | CreateVolumeError | NicError | PowerError | PublishError | Errors.VmProtected | Errors.NotRetryable

/** What a retry needs and is there no more is a reason not to. */
type Gone =
  | Errors.VmNotFound
  | Errors.VolumeNotFound
  | Errors.SnapshotNotFound
  | Errors.NicNotFound
  | Errors.ImageNotFound
  | Errors.InstanceTypeNotFound

/** @since 0.8.0 @category errors */
export type RetryError = Exclude<UseCaseError, Gone | Errors.HasChanged> | Errors.OperationNotFound

/** @since 0.8.0 @category services */
export class Retries extends Context.Tag("vmfabric/Retries")<
  Retries,
  {
    /**
     * Begins the request of a failed operation once more, as a new operation, and waits for its end; where it is like that by now nothing is begun.
     * `NotRetryable`: it has not failed, it was retried already, or its request cannot be done again, and what can be done instead is said.
     */
    readonly retry: (id: OperationId) => Effect.Effect<void, RetryError>
  }
>() {}

const refuse = ({ id }: Pick<Operation, "id">, reason: string, by: OperationId | null = null) =>
  new Errors.NotRetryable({ operationId: id, reason, by })

const retriedBy = (operation: Pick<Operation, "id">, by: OperationId) =>
  refuse(operation, `operation ${by} is its retry already: retry that one if it has failed, too`, by)

/** Made for whom it was to be made, whoever has it retried. */
const ownedBy = <A, E>(owner: UserName | null, creation: Effect.Effect<A, E>) =>
  owner === null ? creation : Effect.provideService(creation, Asker, owner)

/** Whether it has failed, and nothing else has taken its place. */
const check = (operation: Operation): Effect.Effect<void, Errors.NotRetryable> => {
  const { replacedBy, state } = operation
  if (state === "done") return refuse(operation, "it has done what was asked: for the same once more ask for it anew")
  if (state === "undoing") {
    return refuse(operation, "what it made is still being removed: wait until that has ended, and retry it then")
  }
  if (state !== "failed") return refuse(operation, "it has not ended: wait for its end, or cancel it and retry it then")
  if (operation.retriedBy !== null) return retriedBy(operation, operation.retriedBy)
  return replacedBy === null
    ? Effect.void
    : refuse(
        operation,
        `operation ${replacedBy} does the same on another host: retry that one if it failed`,
        replacedBy
      )
}

/** What is to be done where something is there no more. */
const instead = (error: Gone): string => {
  switch (error._tag) {
    case "VmNotFound":
      return `VM ${error.vmId} is there no more: create another one, and ask for it there`
    case "VolumeNotFound":
      return `volume ${error.volumeId} is there no more: create another one, and ask for it there`
    case "SnapshotNotFound":
      return `snapshot ${error.snapshotId} is there no more: ask for it with another one`
    case "NicNotFound":
      return `VM ${error.vmId} has no NIC ${error.nic} any more: see which it has, and ask for it with one of those`
    case "ImageNotFound":
      return `image ${error.imageId} is not on offer any more: create the VM anew, of another image`
    case "InstanceTypeNotFound":
      return `instance type ${error.tid} is not on offer any more: ask for it anew, with another type`
  }
}

/** @since 0.8.0 @category layers */
export const layer = Layer.effect(
  Retries,
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const operations = yield* Operations
    const vms = yield* Vms
    const power = yield* Power
    const reality = yield* Reality
    const nics = yield* Nics
    const volumes = yield* Volumes
    const publishing = yield* ImagePublishing
    const inTurn = Turns.make()

    // ----------------------------------------------------------------------------------------------- what each asked for

    type Again = (operation: Operation) => Effect.Effect<unknown, UseCaseError>

    const without = ({ id, kind }: Operation, what: string) => Effect.dieMessage(`${kind} ${id} has no ${what}`)

    const ofVm =
      (
        again: (id: VmId, detail: OperationDetail, operation: Operation) => Effect.Effect<unknown, UseCaseError>
      ): Again =>
      (operation) =>
        operation.vmId === null ? without(operation, "VM") : again(operation.vmId, operation.detail, operation)

    const ofVolume =
      (
        again: (id: VolumeId, detail: OperationDetail, operation: Operation) => Effect.Effect<unknown, UseCaseError>
      ): Again =>
      (operation) =>
        operation.volumeId === null
          ? without(operation, "volume")
          : again(operation.volumeId, operation.detail, operation)

    const ofSnapshot =
      (again: (id: SnapshotId) => Effect.Effect<unknown, UseCaseError>): Again =>
      (operation) =>
        operation.snapshotId === null ? without(operation, "snapshot") : again(operation.snapshotId)

    const ofNic = (again: (id: VmId, nic: number, detail: OperationDetail) => Effect.Effect<unknown, UseCaseError>) =>
      ofVm((id, detail, operation) =>
        detail.nic === undefined ? without(operation, "NIC") : again(id, detail.nic, detail)
      )

    /** One that has failed leaves its row, and nothing of what its guest was to be told: that may be secret. */
    const create = ofVm((id, { cloudInit = false }, operation) =>
      Effect.gen(function* () {
        if (cloudInit) {
          return yield* refuse(
            operation,
            "what cloud-init was to tell its guest may be secret, and is not kept of a VM that was never there: create the VM anew, with that"
          )
        }
        const vm = yield* inventory.vmRecord(id)
        const { autostart, description, imageId, instanceType, labels, name, onCrash, owner, placement, tags } = vm
        const again = vms.create({
          name,
          instanceType,
          imageId,
          onCrash,
          protected: vm.protected,
          autostart,
          description,
          tags,
          labels,
          // what its type requires, its type says again
          placement: own(placement),
          nics: vm.nics.map(({ mac, model, network, vlan }) => ({ network, vlan, mac, model }))
        })
        yield* ownedBy(owner, again)
      })
    )

    const publish: Again = ({ detail, id, kind, snapshotId, vmId, volumeId }) =>
      Effect.gen(function* () {
        if (detail.image === undefined) return yield* Effect.dieMessage(`${kind} ${id} has no image`)
        const { name } = (yield* inventory.image(detail.image)).config
        if (snapshotId !== null) return yield* publishing.publish({ name, snapshot: snapshotId })
        if (volumeId !== null) return yield* publishing.publish({ name, volume: volumeId })
        if (vmId !== null) return yield* publishing.publish({ name, vm: vmId })
        return yield* Effect.dieMessage(`${kind} ${id} is about nothing`)
      })

    const patience = ({ force, within }: OperationDetail) => ({
      ...(within === undefined ? {} : { within }),
      ...(force === undefined ? {} : { force })
    })

    const again: Readonly<Record<OperationKind, Again>> = {
      CreateVm: create,
      DestroyVm: ofVm((id) => vms.destroy(id)),
      StartVm: ofVm((id) => power.start(id)),
      ShutDownVm: ofVm((id, detail) => power.shutDown(id, patience(detail))),
      PowerOffVm: ofVm((id) => power.powerOff(id)),
      RebootVm: ofVm((id, detail) => power.reboot(id, patience(detail))),
      ResetVm: ofVm((id) => power.reset(id)),
      PauseVm: ofVm((id) => power.pause(id)),
      ResumeVm: ofVm((id) => power.resume(id)),
      // it is wanted already: its domain is told once more
      ConfigureVm: ofVm((id) =>
        Effect.flatMap(inventory.vm(id), ({ autostart, name }) => vms.change(id, { name, autostart }))
      ),
      ResizeVm: ofVm((id, { type }, operation) =>
        type === undefined ? without(operation, "type") : vms.resize(id, type)
      ),
      RepairVm: ofVm((id) => reality.repair(id)),
      CleanVm: (operation) =>
        refuse(
          operation,
          "what is left of a VM that is gone is removed by itself as soon as it is seen: have its host looked at"
        ),
      AttachNic: ofVm((id, { asked }, operation) =>
        asked === undefined
          ? refuse(operation, "what was asked of the NIC is not known of one that old: attach it anew")
          : nics.attach(id, asked)
      ),
      DetachNic: ofNic((id, nic) => nics.detach(id, nic)),
      SetNicLink: ofNic((id, nic, { link }) =>
        link === undefined ? Effect.dieMessage(`NIC ${nic} of VM ${id} has no link to be`) : nics.setLink(id, nic, link)
      ),
      // it is kept with the VM already, and is written once more
      SetCloudInit: ofVm((id) => vms.setCloudInit(id, { reapply: false })),
      CreateVolume: ofVolume((id) =>
        Effect.flatMap(inventory.volumeRecord(id), ({ name, owner, size, sourceId }) =>
          ownedBy(owner, volumes.create({ name, size, ...(sourceId === null ? {} : { source: sourceId }) }))
        )
      ),
      DestroyVolume: ofVolume((id) => volumes.destroy(id)),
      RestoreVolume: ofVolume((id) => volumes.restore(id)),
      PurgeVolume: ofVolume((id) => volumes.purge(id)),
      AttachVolume: ofVolume((id, _, operation) =>
        operation.vmId === null ? without(operation, "VM") : volumes.attach(id, operation.vmId)
      ),
      DetachVolume: ofVolume((id) => volumes.detach(id)),
      GrowVolume: ofVolume((id, { size }, operation) =>
        size === undefined ? without(operation, "size") : volumes.grow(id, size)
      ),
      RenameVolume: ofVolume((id, { name }, operation) =>
        name === undefined ? without(operation, "name") : volumes.rename(id, name)
      ),
      RevertVolume: ofSnapshot((id) => volumes.revert(id)),
      CreateSnapshot: ofVolume((id, _, operation) =>
        operation.snapshotId === null
          ? without(operation, "snapshot")
          : Effect.flatMap(inventory.snapshotRecord(operation.snapshotId), ({ name }) => volumes.snapshot(id, name))
      ),
      DestroySnapshot: ofSnapshot((id) => volumes.destroySnapshot(id)),
      PublishVm: publish,
      PublishVolume: publish
    }

    // ------------------------------------------------------------------------------------------------------- once more

    const retry = Effect.fn("Retries.retry")(function* (id: OperationId) {
      const once = Effect.fnUntraced(function* (leave: Effect.Effect<void>) {
        const { operation } = yield* operations.report(id)
        yield* check(operation)

        /** What the use case begins: a creation is begun anew when its host falls silent, and the first of all is the retry. */
        const own = new Set<OperationId>()
        const write = ({ operation: begun }: Intent.Made): Effect.Effect<void, Errors.NotRetryable> => {
          if (begun === null) return Effect.void
          own.add(begun.id)
          return inventory.keepRetry(id, begun.id).pipe(
            // a part of the transaction that cannot be written takes that along
            Effect.orDie,
            Effect.flatMap((by) => (by === null || own.has(by) ? Effect.void : retriedBy(operation, by)))
          )
        }
        let first = true
        const shown = (begun: Operation) => {
          const bound = first ? new Operation({ ...begun, retryOf: id }, { disableValidation: true }) : begun
          first = false
          return bound
        }
        yield* Bond.tie(again[operation.kind](operation), { write, shown, leave }).pipe(
          Effect.catchTags({
            VmNotFound: (error) => refuse(operation, instead(error)),
            VolumeNotFound: (error) => refuse(operation, instead(error)),
            SnapshotNotFound: (error) => refuse(operation, instead(error)),
            NicNotFound: (error) => refuse(operation, instead(error)),
            ImageNotFound: (error) => refuse(operation, instead(error)),
            InstanceTypeNotFound: (error) => refuse(operation, instead(error)),
            // nothing is expected
            HasChanged: (error) => Effect.die(error)
          })
        )
      })

      yield* inTurn(id, once)
    })

    return Retries.of({ retry })
  })
)
