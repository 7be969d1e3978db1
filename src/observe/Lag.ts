/**
 * Time in which this process itself did not get on, measured by a timer that is late. Who waited for an answer meanwhile has not waited for the
 * other side: nobody is called silent for what the controller had no time to hear, or an overload would take the whole fleet down, and reaching
 * all of it again would keep the overload going.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** @since 0.7.0 @category models */
export interface Lag {
  /** Milliseconds since the beginning, as of the last look: only the difference of two readings says anything. */
  readonly lost: () => number
}

/** Milliseconds between two looks; one that is late by less is as good as in time. */
const between = 250

/** Looks for as long as the scope lives. @since 0.7.0 @category constructors */
export const make: Effect.Effect<Lag, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Effect.clock
  let lost = 0
  let due = clock.unsafeCurrentTimeMillis() + between
  /** what is late now counts before the timer has said so */
  const late = () => {
    const by = clock.unsafeCurrentTimeMillis() - due
    return by > between ? by : 0
  }
  yield* Effect.suspend(() => {
    due = clock.unsafeCurrentTimeMillis() + between
    return Effect.sleep(between)
  }).pipe(
    Effect.tap(() => Effect.sync(() => (lost += late()))),
    Effect.forever,
    Effect.withTracerEnabled(false),
    Effect.forkScoped
  )
  return { lost: () => lost + late() }
})
