/**
 * Time limits of very many short things: one fiber that sleeps until the first of them is due, instead of a fiber and a timer for each.
 *
 * @since 0.3.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"

/** @since 0.3.0 @category models */
export interface Watchdog {
  /** The effect, or after `limit`, `late`. What does not let itself be interrupted then is left behind. */
  readonly within: <E, E2>(
    effect: Effect.Effect<void, E>,
    limit: Duration.DurationInput,
    late: Effect.Effect<never, E2>
  ) => Effect.Effect<void, E | E2>
}

/** How long what took too long may take to let itself be interrupted. */
const grace = Duration.seconds(5)

/** Watches until the scope is closed. @since 0.3.0 @category constructors */
export const make = (scope: Scope.Scope): Watchdog => {
  const watched = new Set<{ readonly until: number; readonly expire: () => void }>()
  /** who sleeps until when; null: nobody */
  let sleeper: { readonly fiber: Fiber.RuntimeFiber<void>; readonly until: number } | null = null

  const earliest = () => {
    let first = Number.POSITIVE_INFINITY
    for (const { until } of watched) first = Math.min(first, until)
    return first
  }

  const sleep = (until: number): Effect.Effect<void> =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      yield* Effect.sleep(Math.max(0, until - now))
      for (const one of watched) if (one.until <= until) one.expire()
      sleeper = null
      if (watched.size > 0) yield* wakeAt(earliest())
    })

  /** Most things have the same limit, so that it is seldom that one is due before those who came earlier. */
  const wakeAt = (until: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (sleeper !== null && sleeper.until <= until) return Effect.void
      const before = sleeper === null ? Effect.void : Fiber.interruptFork(sleeper.fiber)
      return Effect.forkIn(Effect.interruptible(sleep(until)), scope).pipe(
        Effect.map((fiber) => void (sleeper = { fiber, until })),
        Effect.zipRight(before)
      )
    })

  /** How it ended. None: it did not, in time. */
  const ended = <E>(fiber: Fiber.RuntimeFiber<void, E>, until: number) =>
    Effect.async<Option.Option<Exit.Exit<void, E>>>((resume) => {
      const entry = { until, expire: () => end(Option.none()) }
      const end = (exit: Option.Option<Exit.Exit<void, E>>) => {
        watched.delete(entry)
        resume(Effect.succeed(exit))
      }
      watched.add(entry)
      // also of one that is interrupted because nobody waits for it any more
      fiber.addObserver((exit) => end(Option.some(exit)))
    })

  return {
    within: (effect, limit, late) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(limit)
          const fiber = yield* Effect.forkDaemon(restore(effect))
          yield* wakeAt(until)
          const outcome = yield* Effect.exit(restore(ended(fiber, until)))
          if (Exit.isFailure(outcome)) {
            yield* Fiber.interrupt(fiber)
            return yield* outcome
          }
          const exit = outcome.value
          if (Option.isSome(exit)) return yield* exit.value
          yield* restore(Effect.timeoutOption(Fiber.interrupt(fiber), grace))
          return yield* late
        })
      )
  }
}
