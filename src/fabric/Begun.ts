/**
 * Not waiting for the end: use cases wait until what they began is done, and whoever does not want to wait hears of its beginning.
 *
 * @since 0.4.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type { OperationId } from "../domain/Ids.ts"
import type { Operation } from "../domain/Operation.ts"
import type { Operations } from "../services/Operations.ts"

/** Told of each operation that a use case begins, as soon as it is durable. Usually nobody listens. @since 0.4.0 @category services */
export class Begun extends Context.Reference<Begun>()("vmfabric/fabric/Begun", {
  defaultValue: (): ((operation: Operation) => Effect.Effect<void>) => () => Effect.void
}) {}

/** Tells of an operation that a use case has begun. @since 0.7.0 @category combinators */
export const tell = (operation: Operation): Effect.Effect<void> => Effect.flatMap(Begun, (tell) => tell(operation))

/** Drives an operation that a use case has just begun, and tells of it. @since 0.4.0 @category combinators */
export const start = (operations: Operations["Type"], operation: Operation): Effect.Effect<void> =>
  Effect.zipRight(operations.start(operation), tell(operation))

/** What is under way. A use case may begin one operation after the other. @since 0.4.0 @category models */
export interface UnderWay<A, E> {
  readonly _tag: "UnderWay"
  readonly first: Operation
  readonly latest: Effect.Effect<OperationId>
  /** the use case's own end */
  readonly ended: Effect.Effect<Exit.Exit<A, E>>
}

/** @since 0.4.0 @category models */
export type Beginning<A, E> = UnderWay<A, E> | { readonly _tag: "Nothing"; readonly value: A }

/** @since 0.4.0 @category models */
export type Begin = <A, E, R>(useCase: Effect.Effect<A, E, R>) => Effect.Effect<Beginning<A, E>, E, R>

/**
 * Runs use cases in the background of the scope, and waits only until one has begun something: then it goes on whatever becomes of the waiter.
 * When there was nothing to begin, or it fails before, its own end is given. A waiter that goes away before takes it along.
 *
 * @since 0.4.0 @category constructors
 */
export const make: Effect.Effect<Begin, never, Scope.Scope> = Effect.map(FiberSet.make(), (fibers): Begin =>
  Effect.fnUntraced(
    function* <A, E, R>(useCase: Effect.Effect<A, E, R>) {
      const beginning = yield* Deferred.make<Beginning<A, E>, E>()
      const ended = yield* Deferred.make<Exit.Exit<A, E>>()
      let latest: OperationId | null = null
      const tell = (operation: Operation) =>
        Effect.suspend(() => {
          latest = operation.id
          return Deferred.succeed(beginning, {
            _tag: "UnderWay",
            first: operation,
            latest: Effect.sync(() => latest ?? operation.id),
            ended: Deferred.await(ended)
          })
        })
      const fiber = yield* useCase.pipe(
        Effect.provideService(Begun, tell),
        Effect.interruptible,
        Effect.onExit((exit) =>
          Effect.zipRight(
            Deferred.succeed(ended, exit),
            Deferred.complete(
              beginning,
              Effect.map(exit, (value) => ({ _tag: "Nothing" as const, value }))
            )
          )
        ),
        FiberSet.run(fibers)
      )
      return yield* Effect.interruptible(Deferred.await(beginning)).pipe(
        Effect.onInterrupt(() =>
          Effect.flatMap(Deferred.isDone(beginning), (isDone) => (isDone ? Effect.void : Fiber.interrupt(fiber)))
        )
      )
    },
    (effect) => Effect.uninterruptible(effect)
  )
)
