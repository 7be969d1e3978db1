/**
 * Copies that images have left on hosts and in the pool: those of images that were deleted are removed in the background, again and again until they are
 * gone. What a disk lies over stays until that disk is gone. Where nothing is left it is looked again after twice the time each, since a copy may have been on
 * its way while its image was deleted.
 *
 * @since 0.7.0
 */
import * as Array from "effect/Array"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Host } from "../domain/Host.ts"
import type { HostId } from "../domain/Ids.ts"
import { EventLog } from "../services/EventLog.ts"
import { HostMonitor, statusOf } from "../services/HostMonitor.ts"
import { Inventory } from "../services/Inventory.ts"
import { Storage, type StorageDriver } from "../services/Storage.ts"

/**
 * It is looked everywhere when an image is deleted, where something is left after `interval` again, and elsewhere after at most `longest`.
 *
 * @since 0.7.0 @category models
 */
export interface Options {
  readonly interval: Duration.DurationInput
  readonly longest: Duration.DurationInput
}

/** @since 0.7.0 @category constants */
export const defaults: Options = { interval: "1 minute", longest: "6 hours" }

const make = Effect.fnUntraced(function* ({ interval, longest }: Options) {
  const inventory = yield* Inventory
  const log = yield* EventLog
  const monitor = yield* HostMonitor
  const storage = yield* Storage

  /** By host, null for the pool: when it is to be looked there again, and how long after the last time that is; none where it has to be looked at once. */
  const looked = new Map<HostId | null, { readonly due: number; readonly pause: number }>()

  /** Whether nothing is left there. */
  const removeFrom = (driver: StorageDriver, host: Host, deleted: ReadonlySet<string>) =>
    Effect.gen(function* () {
      const left = (yield* driver.listImages(host)).filter((sha256) => deleted.has(sha256))
      let clean = true
      for (const sha256 of left) {
        if (yield* driver.removeImage(host, sha256)) {
          yield* Effect.annotateLogs(Effect.log("the copy of a deleted image is removed"), { sha256 })
        } else clean = false
      }
      return clean
    }).pipe(
      // nobody waits for it: it is tried again
      Effect.catchAll((error) =>
        Effect.as(Effect.logWarning(`looking for copies of deleted images, tried again later: ${error.message}`), false)
      ),
      Effect.annotateLogs({ host: driver.pool ?? host.name })
    )

  const lookAt = Effect.fnUntraced(function* (
    key: HostId | null,
    driver: StorageDriver,
    host: Host,
    deleted: ReadonlySet<string>
  ) {
    const now = yield* Clock.currentTimeMillis
    const before = looked.get(key)
    if (before !== undefined && now < before.due) return
    const clean = yield* removeFrom(driver, host, deleted)
    const pause =
      clean && before !== undefined
        ? Math.min(before.pause * 2, Duration.toMillis(longest))
        : Duration.toMillis(interval)
    looked.set(key, { due: now + pause, pause })
  })

  const sweep = Effect.gen(function* () {
    const deleted = yield* inventory.deletedContents
    if (deleted.size === 0) return
    const statuses = yield* monitor.statuses
    const hosts = (yield* inventory.hosts).map(({ host }) => host)
    const [others, up] = Array.partition(hosts, ({ id }) => statusOf(statuses, id)._tag === "Up")
    // whoever comes back may bring something
    for (const { id } of others) looked.delete(id)
    const [any] = up
    const { preferred } = storage
    if (preferred.pool !== null && any !== undefined) yield* lookAt(null, preferred, any, deleted)
    yield* Effect.forEach(up, (host) => lookAt(host.id, storage.driver("dir"), host, deleted), {
      concurrency: 4,
      discard: true
    })
  })

  const wait = Effect.fnUntraced(function* () {
    const deletions = Stream.filter(
      log.follow(yield* log.latest, { types: ["image.changed"] }),
      ({ data }) => data["state"] === "deleted"
    )
    return Effect.race(
      Effect.zipRight(
        Stream.runHead(deletions),
        Effect.sync(() => looked.clear())
      ),
      Effect.sleep(interval)
    )
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
