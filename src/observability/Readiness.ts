/**
 * Whether the controller can do its work at this moment, as its parts say.
 *
 * @since 0.4.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Patience from "./Patience.ts"

/** `reason` null: it is fine; else a sentence that anybody may read. @since 0.4.0 @category models */
export interface Check {
  readonly name: string
  readonly ok: boolean
  readonly reason: string | null
}

/** How long a check may take, and how long its answer is good for: anybody may ask, as often as they like. */
const limits = { answer: "2 seconds", fresh: "1 second" } as const

const make = () => {
  const checks = new Set<{ readonly name: string; readonly ask: Effect.Effect<string | null> }>()

  /** Until the scope is closed. `check` gives why not; null: it is fine. */
  const register = (name: string, check: Effect.Effect<string | null>): Effect.Effect<void, never, Scope.Scope> =>
    Effect.gen(function* () {
      const cached = yield* Effect.cachedWithTTL(check, limits.fresh)
      const asked = yield* Patience.within(cached, limits.answer)
      const ask = Effect.map(
        asked,
        Option.getOrElse(() => `there was no answer within ${limits.answer}`)
      )
      const entry = { name, ask }
      yield* Effect.acquireRelease(
        Effect.sync(() => checks.add(entry)),
        () => Effect.sync(() => checks.delete(entry))
      )
    })

  /** Not fine for `reason` until the effect it gives is run. */
  const pending = (name: string, reason: string): Effect.Effect<Effect.Effect<void>, never, Scope.Scope> =>
    Effect.suspend(() => {
      let done = false
      return Effect.as(
        register(
          name,
          Effect.sync(() => (done ? null : reason))
        ),
        Effect.sync(() => void (done = true))
      )
    })

  let stopping = false
  const stop = Effect.sync(() => void (stopping = true))
  /** Fine until `stop`, or the end of the scope. */
  const untilStopped: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() => {
    stopping = false
    return Effect.zipRight(
      register(
        "running",
        Effect.sync(() => (stopping ? "the controller is stopping" : null))
      ),
      Effect.addFinalizer(() => stop)
    )
  })

  /** By name; of several that have the same name, the first that is not fine. */
  const report = Effect.suspend(() =>
    Effect.forEach([...checks], ({ ask, name }) => Effect.map(ask, (reason) => ({ name, reason })), {
      concurrency: "unbounded"
    })
  ).pipe(
    Effect.map((answers) => {
      const reasons = new Map<string, string | null>()
      for (const { name, reason } of answers) reasons.set(name, reasons.get(name) ?? reason)
      return [...reasons]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, reason]): Check => ({ name, ok: reason === null, reason }))
    })
  )

  return { register, pending, untilStopped, stop, report }
}

/** One for the whole process, unless a program provides its own. @since 0.4.0 @category services */
export class Readiness extends Context.Reference<Readiness>()("vmfabric/Readiness", { defaultValue: make }) {}

/** @since 0.4.0 @category constructors */
export const fresh = Effect.sync(make)
