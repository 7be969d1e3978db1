/**
 * A stop that ends.
 *
 * @since 0.9.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"

/** How long what is still there may take to end. @since 0.9.0 @category constants */
export const grace = Duration.seconds(10)

/**
 * From the release of this on, all that is released after it has so long, or `late` is run: whatever waits there for a host or a client that never
 * answers would hold the process, which has stopped to answer, for as long. The wait keeps no process alive.
 *
 * @since 0.9.0 @category finalization
 */
export const within = <R>(time: Duration.Duration, late: Effect.Effect<void, never, R>) =>
  Effect.flatMap(Effect.runtime<R>(), (runtime) =>
    Effect.addFinalizer(() =>
      Effect.sync(() => {
        setTimeout(() => Runtime.runFork(runtime)(late), Duration.toMillis(time)).unref()
      })
    )
  )

/**
 * The process ends within the grace, and says when that cut something short. All that is under way is in the journal: nothing is lost by it.
 *
 * @since 0.9.0 @category finalization
 */
export const bounded = within(
  grace,
  Effect.zipRight(
    Effect.logError(
      `stopping took more than ${Duration.format(grace)} and is cut short: what was under way goes on at the next start`
    ),
    Effect.sync(() => process.exit(1))
  )
)
