/**
 * One after the other, in the order in which they came.
 *
 * @since 0.8.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"

/** Runs what it is given when those before it, by the same name, have left. `leave`: the next may come before it has ended. @since 0.8.0 @category models */
export type InTurn = <A, E, R>(
  name: string,
  use: (leave: Effect.Effect<void>) => Effect.Effect<A, E, R>
) => Effect.Effect<A, E, R>

/** @since 0.8.0 @category constructors */
export const make = (): InTurn => {
  /** who waits for what, the one whose turn it is first */
  const lines = new Map<string, Array<Deferred.Deferred<void>>>()
  return (name, use) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const line = lines.get(name) ?? []
        const turn = Deferred.unsafeMake<void>(FiberId.none)
        line.push(turn)
        lines.set(name, line)
        const leave = Effect.suspend(() => {
          const at = line.indexOf(turn)
          if (at === -1) return Effect.void
          line.splice(at, 1)
          const [next] = line
          if (next !== undefined) return Effect.asVoid(Deferred.succeed(next, undefined))
          lines.delete(name)
          return Effect.void
        })
        return { line, turn, leave }
      }),
      ({ leave, line, turn }) => (line[0] === turn ? use(leave) : Effect.zipRight(Deferred.await(turn), use(leave))),
      ({ leave }) => leave
    )
}
