/**
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"

/**
 * Work that several may ask for at the same time, done once for each key. It runs in the scope, not in whoever asked first: any of those
 * who wait may be interrupted, the others still get the result. All who wait get the same failure; whoever asks next begins anew.
 *
 * @since 0.1.0 @category constructors
 */
export const make = <A, E>(scope: Scope.Scope): ((key: string, work: Effect.Effect<A, E>) => Effect.Effect<A, E>) => {
  const flights = new Map<string, Deferred.Deferred<A, E>>()
  return (key, work) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const joined = flights.get(key)
        if (joined !== undefined) return restore(Deferred.await(joined))
        const flight = Deferred.unsafeMake<A, E>(FiberId.none)
        flights.set(key, flight)
        return Effect.interruptible(work).pipe(
          Effect.onExit((exit) =>
            Effect.suspend(() => {
              flights.delete(key)
              return Deferred.done(flight, exit)
            })
          ),
          Effect.forkIn(scope),
          Effect.zipRight(restore(Deferred.await(flight)))
        )
      })
    )
}
