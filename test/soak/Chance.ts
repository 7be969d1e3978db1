/**
 * What is left to chance, which is to say to the seed.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

export const below = (n: number) => Random.nextIntBetween(0, n)
export const pick = <A>(from: ReadonlyArray<A>) => Effect.map(below(from.length), (index) => from[index])
/** One of them, by their weights. */
export const weighed = <A>(from: ReadonlyArray<readonly [weight: number, one: A]>) =>
  Effect.map(below(from.reduce((sum, [weight]) => sum + weight, 0)), (drawn) => {
    let left = drawn
    return from.find(([weight]) => (left -= weight) < 0)![1]
  })
/** seconds, as between things that happen by themselves */
export const interval = (mean: number) => Effect.map(Random.next, (x) => Duration.seconds(-Math.log(1 - x) * mean))
