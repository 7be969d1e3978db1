/**
 * So many at a time, first come, first served.
 *
 * Effect's semaphore wakes all who wait whenever a place becomes free, and all but one go back to the end of the line, each a few frames deeper
 * in its stack: a thousand that wait cost a million wakings, and as much again when they are interrupted. This one hands the place to who has
 * waited longest and wakes nobody else.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** As `Effect.uninterruptibleMask` gives it. */
type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** @since 0.7.0 @category models */
export interface Places {
  /** The effect, once there is a place; the place is free again when it has ended. */
  readonly within: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** A place, until the scope closes. */
  readonly hold: Effect.Effect<void, never, Scope.Scope>
  /** A place, to be given back by `leave`; run where nothing is interrupted but what `restore` is given, and so is the way to `leave`. */
  readonly enter: (restore: Restore) => Effect.Effect<void>
  readonly leave: Effect.Effect<void>
}

/** @since 0.7.0 @category constructors */
export const unsafeMake = (places: number): Places => {
  let free = places
  /** in the order in which they came */
  const waiting = new Set<() => void>()

  const unsafeLeave = () => {
    for (const give of waiting) {
      waiting.delete(give)
      return give()
    }
    free++
  }
  const leave = Effect.sync(unsafeLeave)

  const enter = (restore: Restore) =>
    Effect.suspend(() => {
      if (free > 0) {
        free--
        return Effect.void
      }
      let given = false
      const turn = Effect.async<void>((resume) => {
        const give = () => {
          given = true
          resume(Effect.void)
        }
        waiting.add(give)
        return Effect.sync(() => void waiting.delete(give))
      })
      // one that is interrupted in the moment in which it is given the place hands it on
      return Effect.onError(restore(turn), () => (given ? leave : Effect.void))
    })

  return {
    enter,
    leave,
    within: (effect) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.zipRight(enter(restore), Effect.exit(restore(effect))), (exit) => {
          unsafeLeave()
          return exit
        })
      ),
    hold: Effect.uninterruptibleMask((restore) =>
      Effect.zipRight(
        enter(restore),
        Effect.addFinalizer(() => leave)
      )
    )
  }
}

/** @since 0.7.0 @category constructors */
export const make = (places: number): Effect.Effect<Places> => Effect.sync(() => unsafeMake(places))
