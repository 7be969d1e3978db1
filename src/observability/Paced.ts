/**
 * Long computations that leave the event loop to others between two pieces.
 *
 * @since 0.8.0
 */
import * as Effect from "effect/Effect"

/** Milliseconds after which others are let in, once the piece that is at work has ended. */
const most = 5

/** What has arrived meanwhile (requests, answers of hosts, timers) is heard: `Effect.yieldNow` lets in other fibers alone. @since 0.8.0 @category constructors */
export const others: Effect.Effect<void> = Effect.async<void>((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/** Runs the pieces one after the other; interrupted, it ends after the piece that is at work. @since 0.8.0 @category constructors */
export const run = <A>(pieces: () => Generator<void, A, void>): Effect.Effect<A> =>
  Effect.gen(function* () {
    const work = pieces()
    let since = performance.now()
    for (let next = work.next(); ; next = work.next()) {
      if (next.done === true) return next.value
      if (performance.now() - since < most) continue
      yield* others
      since = performance.now()
    }
  })
