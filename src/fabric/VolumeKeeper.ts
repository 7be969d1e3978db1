/**
 * What becomes of volumes without anybody asking: the trash is emptied when its time has come, and a guest that lets go of a volume late
 * is taken at its word.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type * as Errors from "../domain/Errors.ts"
import type { HostId, VolumeId } from "../domain/Ids.ts"
import { type Volume, volumeOfAlias } from "../domain/Volume.ts"
import * as VolumeSaga from "../operations/VolumeSaga.ts"
import { HostMonitor } from "../services/HostMonitor.ts"
import { Hypervisor } from "../services/Hypervisor.ts"
import { Inventory } from "../services/Inventory.ts"
import { Volumes } from "./Volumes.ts"

/** How often the trash is looked through. */
const interval = "30 seconds"

const make = Effect.gen(function* () {
  const inventory = yield* Inventory
  const hypervisor = yield* Hypervisor
  const monitor = yield* HostMonitor
  const volumes = yield* Volumes

  /** Nobody waits for it: what went wrong is for the log, and tried again the next time. */
  const quietly = (id: VolumeId, what: string, effect: Effect.Effect<void, { readonly message: string }>) =>
    effect.pipe(
      Effect.catchAll((error) => Effect.logWarning(`${what} failed: ${error.message}`)),
      Effect.annotateLogs({ volumeid: id })
    )

  const emptyTrash = Effect.gen(function* () {
    const due = yield* inventory.volumesToPurge(yield* Clock.currentTimeMillis)
    yield* Effect.forEach(due, (id) => quietly(id, "emptying the trash", volumes.purge(id)), {
      concurrency: 4,
      discard: true
    })
  })

  const released = (volume: Volume) =>
    Effect.zipRight(
      Effect.logInfo("the guest has let go of the volume after all"),
      quietly(volume.id, "finishing the detach", volumes.detach(volume.id))
    )

  const isAsked = (volume: Volume) => volume.state === "attached" && volume.releaseAsked

  /** Whether the running domain no longer has the disk. */
  const isOut = (volume: Volume, hostId: HostId) =>
    Effect.gen(function* () {
      if (volume.vmId === null) return false
      const vm = yield* inventory.vmRecord(volume.vmId)
      if (vm.hostId !== hostId) return false
      const { host } = yield* inventory.host(hostId)
      const domain = { uuid: vm.uuid, domainName: vm.domainName }
      const presence = yield* hypervisor.diskPresence(host, domain, VolumeSaga.diskOf(volume))
      return Option.exists(presence, ({ live }) => live !== true)
    })

  /** What was missed while the host could not be reached, or while this program did not run. */
  const lookAt = Effect.fnUntraced(function* (hostId: HostId) {
    const asked = (yield* inventory.volumes()).filter(isAsked)
    for (const volume of asked) {
      const out = yield* Effect.catchAll(isOut(volume, hostId), (error) =>
        Effect.as(Effect.logWarning(`whether the guest still has volume ${volume.id}: ${error.message}`), false)
      )
      if (out) yield* released(volume)
    }
  })

  const onEvent = (event: Stream.Stream.Success<Effect.Effect.Success<typeof monitor.events>>) => {
    if (event._tag === "Up") return lookAt(event.hostId)
    const { change, device } = event.change
    const id = change === "device-removed" && device !== null ? volumeOfAlias(device) : undefined
    if (id === undefined) return Effect.void
    return inventory.volume(id).pipe(
      Effect.flatMap((volume) => (isAsked(volume) ? released(volume) : Effect.void)),
      // an alias of ours that a database before this one gave
      Effect.catchTag("VolumeNotFound", () => Effect.void)
    )
  }

  const failing = (error: Errors.PersistenceError) => Effect.logError(error.message)
  const events = yield* monitor.events
  yield* Stream.runForEach(events, (event) => Effect.catchAll(onEvent(event), failing)).pipe(Effect.forkScoped)
  // hosts that were up before anybody listened
  yield* Effect.gen(function* () {
    yield* monitor.settled
    for (const [hostId, status] of yield* monitor.statuses) if (status._tag === "Up") yield* lookAt(hostId)
  }).pipe(Effect.catchAll(failing), Effect.forkScoped)
  yield* emptyTrash.pipe(Effect.catchAll(failing), Effect.repeat(Schedule.spaced(interval)), Effect.forkScoped)
})

/** Works as long as the layer's scope is open. @since 0.2.0 @category layers */
export const layer = Layer.scopedDiscard(make)
