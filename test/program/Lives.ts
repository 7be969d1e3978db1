/** What one test after the other uses, each of it gone before the next is there, and all of it in the end. */
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

export interface Lives {
  /** Is there until the end. */
  readonly throughout: <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Promise<A>
  /** Is there until the next one, or the end. */
  readonly next: <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Promise<A>
  /** What is still being made then is gone as soon as it is there: set-up goes on after its time limit, when nobody is left who would end it. */
  readonly end: () => Promise<void>
}

export const make = (): Lives => {
  const whole = Effect.runSync(Scope.make())
  let last: Scope.CloseableScope | undefined
  const close = (scope: Scope.CloseableScope) => Effect.runPromise(Scope.close(scope, Exit.void))
  const within = <A, E>(scope: Scope.Scope, effect: Effect.Effect<A, E, Scope.Scope>) =>
    Effect.runPromise(Scope.extend(effect, scope))
  return {
    throughout: (effect) => within(whole, effect),
    next: async (effect) => {
      if (last !== undefined) await close(last)
      last = await Effect.runPromise(Scope.fork(whole, ExecutionStrategy.sequential))
      return within(last, effect)
    },
    end: () => close(whole)
  }
}
