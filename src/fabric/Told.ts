/**
 * What is told once and kept nowhere: for a few minutes it can be told again to whoever asks the same with the same key.
 *
 * @since 0.8.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** For so long. @since 0.8.0 @category constants */
export const patience = Duration.minutes(10)

/** How many are remembered at most; of more the oldest go. */
const most = 1000

/** In memory alone: a process that starts anew knows none. @since 0.8.0 @category models */
export interface Told<A> {
  readonly remember: (key: string, value: A) => Effect.Effect<void>
  /** null: it was never told, or too long ago */
  readonly recall: (key: string) => Effect.Effect<A | null>
}

/** @since 0.8.0 @category constructors */
export const make = <A>(): Told<A> => {
  const kept = new Map<string, { readonly value: A; readonly until: number }>()
  const dropOld = Effect.map(Clock.currentTimeMillis, (now) => {
    for (const [key, { until }] of kept) if (until <= now) kept.delete(key)
    return now
  })
  return {
    remember: (key, value) =>
      Effect.map(dropOld, (now) => {
        const [oldest] = kept.keys()
        if (oldest !== undefined && kept.size >= most) kept.delete(oldest)
        kept.set(key, { value, until: now + Duration.toMillis(patience) })
      }),
    recall: (key) => Effect.map(dropOld, () => kept.get(key)?.value ?? null)
  }
}
