/**
 * Asking what may take long or never answer, on behalf of those who come again and again.
 *
 * @since 0.4.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"

/**
 * The effect, run once at a time for all who ask meanwhile, and not interrupted by one who leaves. None: no answer within `limit`; it goes on, and
 * who asks next waits for the same.
 *
 * @since 0.4.0 @category combinators
 */
export const within = <A, E>(
  effect: Effect.Effect<A, E>,
  limit: Duration.DurationInput
): Effect.Effect<Effect.Effect<Option.Option<A>, E>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    let running: Fiber.RuntimeFiber<A, E> | null = null
    const asked = Effect.suspend(() =>
      running === null
        ? Effect.tap(
            Effect.forkIn(
              Effect.ensuring(
                effect,
                Effect.sync(() => void (running = null))
              ),
              scope
            ),
            (fiber) => Effect.sync(() => void (running = fiber))
          )
        : Effect.succeed(running)
    )
    return Effect.timeoutOption(Effect.flatMap(asked, Fiber.join), limit)
  })
