/**
 * What becomes of volumes without anybody asking: the trash is emptied when its time has come.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { VolumeId } from "../domain/Ids.ts"
import { byItself } from "../services/Author.ts"
import { Inventory } from "../services/Inventory.ts"
import { Volumes } from "./Volumes.ts"

/** How often the trash is looked through. */
const interval = "30 seconds"

const make = Effect.gen(function* () {
  const inventory = yield* Inventory
  const volumes = yield* Volumes

  /** Nobody waits for it: what went wrong is for the log, and tried again the next time. */
  const quietly = (id: VolumeId, what: string, effect: Effect.Effect<void, { readonly message: string }>) =>
    effect.pipe(
      Effect.catchAll((error) => Effect.logWarning(`${what} failed: ${error.message}`)),
      Effect.annotateLogs({ volumeid: id })
    )

  const inTime = byItself("its time in the trash is over")
  const emptyTrash = Effect.gen(function* () {
    const due = yield* inventory.volumesToPurge(yield* Clock.currentTimeMillis)
    yield* Effect.forEach(due, (id) => quietly(id, "emptying the trash", inTime(volumes.purge(id))), {
      concurrency: 4,
      discard: true
    })
  })

  yield* emptyTrash.pipe(
    Effect.catchAll((error) => Effect.logError(error.message)),
    Effect.repeat(Schedule.spaced(interval)),
    Effect.forkScoped
  )
})

/** Works as long as the layer's scope is open. @since 0.2.0 @category layers */
export const layer = Layer.scopedDiscard(make)
