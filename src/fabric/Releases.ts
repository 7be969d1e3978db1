/**
 * A guest that lets go of a volume or a NIC late, when nobody waits any more, is taken at its word: what was asked is finished. So is
 * what a guest kept that has stopped, and that its definition does not have any more.
 *
 * @since 0.8.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as Errors from "../domain/Errors.ts"
import type { HostId } from "../domain/Ids.ts"
import { type Nic, nicOfAlias } from "../domain/Nic.ts"
import type { Vm } from "../domain/Vm.ts"
import { type Volume, volumeOfAlias } from "../domain/Volume.ts"
import * as NicSaga from "../operations/NicSaga.ts"
import * as VolumeSaga from "../operations/VolumeSaga.ts"
import { byItself } from "../services/Author.ts"
import { type HostEvent, HostMonitor } from "../services/HostMonitor.ts"
import { type DiskPresence, Hypervisor } from "../services/Hypervisor.ts"
import { Inventory } from "../services/Inventory.ts"
import { Nics } from "./Nics.ts"
import { Volumes } from "./Volumes.ts"

/** What a running guest was asked to let go of. */
interface Asked {
  readonly what: string
  readonly presence: Effect.Effect<Option.Option<DiskPresence>, { readonly message: string }>
  readonly finish: Effect.Effect<void, { readonly message: string }>
}

const isAsked = (volume: Volume) => volume.state === "attached" && volume.releaseAsked
const isAskedNic = (nic: Nic) => nic.state === "attached" && nic.releaseAsked

const make = Effect.gen(function* () {
  const inventory = yield* Inventory
  const hypervisor = yield* Hypervisor
  const monitor = yield* HostMonitor
  const volumes = yield* Volumes
  const nics = yield* Nics

  const ofVolume = (volume: Volume, vm: Vm): Asked => ({
    what: `volume ${volume.id}`,
    presence: Effect.flatMap(inventory.host(vm.hostId), ({ host }) =>
      hypervisor.diskPresence(host, { uuid: vm.uuid, domainName: vm.domainName }, VolumeSaga.diskOf(volume))
    ),
    finish: Effect.asVoid(volumes.detach(volume.id))
  })

  const ofNic = (nic: Nic, vm: Vm): Asked => ({
    what: `NIC ${nic.id}`,
    presence: Effect.flatMap(inventory.host(vm.hostId), ({ host }) =>
      hypervisor.nicPresence(host, { uuid: vm.uuid, domainName: vm.domainName }, NicSaga.refOf(nic))
    ),
    finish: nics.detach(vm.id, nic.id)
  })

  /** Nobody waits for it: what went wrong is for the log, and tried again the next time. */
  const finish = ({ finish, what }: Asked) =>
    Effect.zipRight(
      Effect.logInfo(`the guest has let go of ${what} after all`),
      Effect.catchAll(byItself(`the guest has let go of ${what} after all`)(finish), (error) =>
        Effect.logWarning(`finishing the detach of ${what} failed: ${error.message}`)
      )
    )

  /** Finished when it is free: when the running domain no longer has it, unless something else is said. */
  const look = Effect.fnUntraced(function* (
    asked: Asked,
    isFree: (presence: DiskPresence) => boolean = ({ live }) => live !== true
  ) {
    const found = yield* Effect.either(asked.presence)
    if (found._tag === "Left") {
      return yield* Effect.logWarning(`whether the guest still has ${asked.what}: ${found.left.message}`)
    }
    if (Option.exists(found.right, isFree)) yield* finish(asked)
  })

  const vmOf = (hostId: HostId, uuid: string) =>
    Effect.map(inventory.vms({ host: hostId }), (vms) => vms.find((one) => one.uuid === uuid))

  const askedOf = (vm: Vm, volumes: ReadonlyArray<Volume>): ReadonlyArray<Asked> => [
    ...volumes.filter((volume) => volume.vmId === vm.id && isAsked(volume)).map((volume) => ofVolume(volume, vm)),
    ...vm.nics.filter(isAskedNic).map((nic) => ofNic(nic, vm))
  ]

  /** What was missed while the host could not be reached, or while this program did not run. */
  const lookAt = Effect.fnUntraced(function* (hostId: HostId) {
    const held = (yield* inventory.volumes()).filter(isAsked)
    for (const vm of yield* inventory.vms({ host: hostId })) {
      for (const asked of askedOf(vm, held)) yield* look(asked).pipe(Effect.annotateLogs({ pmid: hostId }))
    }
  })

  /**
   * A domain that was started while it was taken out of its definition ran with it, and has it nowhere once it has stopped. One whose definition has it keeps
   * it, for somebody may detach it again, or start the VM.
   */
  const stopped = Effect.fnUntraced(function* (hostId: HostId, uuid: string) {
    const vm = yield* vmOf(hostId, uuid)
    if (vm === undefined) return
    for (const asked of askedOf(vm, yield* inventory.volumes({ vm: vm.id }))) {
      yield* look(asked, ({ live, persistent }) => live !== true && !persistent)
    }
  })

  const volumeGone = (device: string) =>
    Effect.gen(function* () {
      const id = volumeOfAlias(device)
      if (id === undefined) return
      const volume = yield* inventory.volume(id)
      if (volume.vmId !== null && isAsked(volume))
        yield* finish(ofVolume(volume, yield* inventory.vmRecord(volume.vmId)))
    }).pipe(
      // an alias of ours that a database before this one gave
      Effect.catchTags({ VolumeNotFound: () => Effect.void, VmNotFound: () => Effect.void })
    )

  const nicGone = Effect.fnUntraced(function* (hostId: HostId, uuid: string, device: string) {
    const id = nicOfAlias(device)
    if (id === undefined) return
    const vm = yield* vmOf(hostId, uuid)
    const nic = vm?.nics.find((one) => one.id === id)
    if (vm !== undefined && nic !== undefined && isAskedNic(nic)) yield* finish(ofNic(nic, vm))
  })

  const onEvent = (event: HostEvent) => {
    if (event._tag === "Up") return lookAt(event.hostId)
    const { change, device, uuid } = event.change
    if (change === "stopped" || change === "crashed") return stopped(event.hostId, uuid)
    return change === "device-removed" && device !== null
      ? Effect.zipRight(volumeGone(device), nicGone(event.hostId, uuid, device))
      : Effect.void
  }

  const failing = (error: Errors.PersistenceError) => Effect.logError(error.message)
  const events = yield* monitor.events
  yield* Stream.runForEach(events, (event) => Effect.catchAll(onEvent(event), failing)).pipe(Effect.forkScoped)
  // hosts that were up before anybody listened
  yield* Effect.gen(function* () {
    yield* monitor.settled
    for (const [hostId, status] of yield* monitor.statuses) if (status._tag === "Up") yield* lookAt(hostId)
  }).pipe(Effect.catchAll(failing), Effect.forkScoped)
})

/** Works as long as the layer's scope is open. @since 0.8.0 @category layers */
export const layer = Layer.scopedDiscard(make)
