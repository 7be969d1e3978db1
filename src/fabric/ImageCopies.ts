/**
 * Copies that images have left on hosts and in the pool: those of images that were deleted are removed in the background, again and again until they are
 * gone. What a disk lies over stays until that disk is gone.
 *
 * @since 0.7.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Host } from "../domain/Host.ts"
import { EventLog } from "../services/EventLog.ts"
import { HostMonitor, statusOf } from "../services/HostMonitor.ts"
import { Inventory } from "../services/Inventory.ts"
import { Storage, type StorageDriver } from "../services/Storage.ts"

/** `interval`: how often it is looked for what is left, besides whenever an image is deleted. @since 0.7.0 @category models */
export interface Options {
  readonly interval: Duration.DurationInput
}

/** @since 0.7.0 @category constants */
export const defaults: Options = { interval: "1 minute" }

const make = Effect.fnUntraced(function* ({ interval }: Options) {
  const inventory = yield* Inventory
  const log = yield* EventLog
  const monitor = yield* HostMonitor
  const storage = yield* Storage

  const removeFrom = (driver: StorageDriver, host: Host, deleted: ReadonlySet<string>) =>
    Effect.gen(function* () {
      const left = (yield* driver.listImages(host)).filter((sha256) => deleted.has(sha256))
      for (const sha256 of left) {
        if (yield* driver.removeImage(host, sha256)) {
          yield* Effect.annotateLogs(Effect.log("the copy of a deleted image is removed"), { sha256 })
        }
      }
    }).pipe(
      // nobody waits for it: it is tried again
      Effect.catchAll((error) =>
        Effect.logWarning(`looking for copies of deleted images, tried again later: ${error.message}`)
      ),
      Effect.annotateLogs({ host: driver.pool ?? host.name })
    )

  const sweep = Effect.gen(function* () {
    const deleted = yield* inventory.deletedContents
    if (deleted.size === 0) return
    const statuses = yield* monitor.statuses
    const up = (yield* inventory.hosts).flatMap(({ host }) => (statusOf(statuses, host.id)._tag === "Up" ? [host] : []))
    const [any] = up
    const { preferred } = storage
    if (preferred.pool !== null && any !== undefined) yield* removeFrom(preferred, any, deleted)
    yield* Effect.forEach(up, (host) => removeFrom(storage.driver("dir"), host, deleted), {
      concurrency: 4,
      discard: true
    })
  })

  const wait = Effect.fnUntraced(function* () {
    const deletions = Stream.filter(
      log.follow(yield* log.latest, { types: ["image.changed"] }),
      ({ data }) => data["state"] === "deleted"
    )
    return Effect.race(Stream.runHead(deletions), Effect.sleep(interval))
  })

  yield* monitor.settled.pipe(
    Effect.zipRight(
      Effect.gen(function* () {
        // before it is looked: what is deleted meanwhile is not missed
        const next = yield* wait()
        yield* sweep
        yield* next
      }).pipe(
        Effect.catchAll((error) =>
          Effect.zipRight(Effect.logError(`copies of deleted images: ${error.message}`), Effect.sleep(interval))
        ),
        Effect.forever
      )
    ),
    Effect.forkScoped
  )
})

/** Works as long as the layer's scope is open. @since 0.7.0 @category layers */
export const layerWith = (options: Partial<Options>) => Layer.scopedDiscard(make({ ...defaults, ...options }))

/** @since 0.7.0 @category layers */
export const layer = layerWith({})
