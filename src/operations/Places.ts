/**
 * How many operations are driven at once. All of them at once would share the processor evenly, and under a load that lasts none would come
 * to its end; so each needs a place, and who has begun goes on before anything new is begun.
 *
 * A place is for work that goes on: one that waits gives it back, and one that has not come further for a while (a host that does not answer, a
 * copy that takes hours) does not keep others from theirs. Time in which this process itself does not get on is not held against anybody: it would
 * be everybody who loses a place then, and all would be driven at once just when that is too much.
 *
 * @since 0.5.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { OperationId } from "../domain/Ids.ts"

/** @since 0.5.0 @category models */
export interface Places {
  /** Waits for a place, longest first; one that has a place keeps it as one that has just come further. `begun`: goes before those that have not. */
  readonly enter: (id: OperationId, begun: boolean) => Effect.Effect<void>
  /** Gives it back; without one that is fine. */
  readonly leave: (id: OperationId) => Effect.Effect<void>
  /** Ends its wait, and it goes on without a place. */
  readonly skip: (id: OperationId) => Effect.Effect<void>
}

/** `patience`: for how long one keeps its place without coming further, while others wait. @since 0.5.0 @category models */
export interface Options {
  readonly count: number
  readonly patience: Duration.DurationInput
}

/** @since 0.5.0 @category constructors */
export const make = ({ count, patience }: Options): Effect.Effect<Places, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const clock = yield* Effect.clock
    const looks = 8
    const between = Duration.toMillis(patience) / looks
    /** how often was looked, as long as others waited, and in time */
    let looked = 0
    /** and how often when each came further the last time */
    const inside = new Map<OperationId, number>()
    const begun = new Map<OperationId, () => void>()
    const fresh = new Map<OperationId, () => void>()
    let sweeping = false

    const waiting = () => begun.size + fresh.size

    const admit = () => {
      while (inside.size < count && waiting() > 0) {
        const queue = begun.size > 0 ? begun : fresh
        for (const [id, go] of queue) {
          queue.delete(id)
          inside.set(id, looked)
          go()
          break
        }
      }
    }

    const sweep = Effect.gen(function* () {
      while (waiting() > 0) {
        const due = clock.unsafeCurrentTimeMillis() + between
        yield* Effect.sleep(between)
        if (clock.unsafeCurrentTimeMillis() - due > between / 4) continue
        looked++
        for (const [id, since] of inside) if (looked - since >= looks) inside.delete(id)
        admit()
      }
      sweeping = false
    })

    const wait = (id: OperationId, queue: Map<OperationId, () => void>) =>
      Effect.async<void>((resume) => {
        queue.set(id, () => resume(Effect.void))
        return Effect.sync(() => void queue.delete(id))
      })

    return {
      enter: (id, hasBegun) =>
        Effect.suspend(() => {
          if (inside.has(id) || inside.size < count) {
            inside.set(id, looked)
            return Effect.void
          }
          const turn = wait(id, hasBegun ? begun : fresh)
          if (sweeping) return turn
          sweeping = true
          return Effect.zipRight(Effect.forkIn(sweep, scope), turn)
        }),
      leave: (id) =>
        Effect.sync(() => {
          if (inside.delete(id)) admit()
        }),
      skip: (id) =>
        Effect.sync(() => {
          const go = begun.get(id) ?? fresh.get(id)
          begun.delete(id)
          fresh.delete(id)
          go?.()
        })
    }
  })
