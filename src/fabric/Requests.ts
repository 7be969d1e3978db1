/**
 * Requests that may be sent again: with the same key a request is begun once, whatever it is that it begins.
 *
 * What makes something new (VMs, volumes, snapshots, NICs) keeps its key itself, in the row's own transaction. Here it is all that begins an operation on
 * what is there.
 *
 * @since 0.8.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Errors from "../domain/Errors.ts"
import { Inventory } from "../services/Inventory.ts"
import { Operations } from "../services/Operations.ts"
import * as Begun from "./Begun.ts"
import * as Intent from "./Intent.ts"
import * as Keys from "./Keys.ts"
import * as Turns from "./Turns.ts"

/** @since 0.8.0 @category errors */
export type RequestError = Errors.OperationFailed | Errors.InvalidArgument | Errors.KeyReused | Errors.PersistenceError

/** @since 0.8.0 @category services */
export class Requests extends Context.Tag("vmfabric/Requests")<
  Requests,
  {
    /**
     * Runs the use case, and binds the operation that it begins to the key, in the transaction that writes it. Where the key has led to one before, that one
     * is waited for and nothing else is done. `request`: all that it says, in a fixed order; `KeyReused`: the key was another request's.
     */
    readonly once: <A, E, R>(
      idempotencyKey: string,
      request: ReadonlyArray<string | number | null>,
      useCase: Effect.Effect<A, E, R>
    ) => Effect.Effect<A | void, E | RequestError, R>
  }
>() {}

/** @since 0.8.0 @category layers */
export const layer = Layer.effect(
  Requests,
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const operations = yield* Operations
    const inTurn = Turns.make()

    const once = Effect.fn("Requests.once")(function* <A, E, R>(
      idempotencyKey: string,
      request: ReadonlyArray<string | number | null>,
      useCase: Effect.Effect<A, E, R>
    ) {
      const key = yield* Keys.make(idempotencyKey, request)
      if (key === undefined) return yield* useCase
      const now = yield* Clock.currentTimeMillis
      const outer = yield* Intent.Intent
      const tell = yield* Begun.Begun
      return yield* inTurn(
        key.key,
        Effect.fnUntraced(function* (leave: Effect.Effect<void>) {
          const before = yield* inventory.keyed(key)
          if (before !== null) {
            yield* leave
            yield* Begun.start(operations, before)
            return yield* operations.await(before.id)
          }
          const confirm = (made: () => Intent.Made) => {
            const begun = made().operation
            if (begun === null) return outer.confirm(made)
            return inventory.keepKey(key, begun.id, now).pipe(
              Effect.catchTags({
                KeyReused: (error) => Intent.stop(error),
                // a part of the transaction that cannot be written takes that along
                PersistenceError: (error) => Effect.die(error)
              }),
              Effect.zipRight(outer.confirm(made))
            )
          }
          const ended = yield* Intent.stopped(useCase).pipe(
            Effect.provideService(Intent.Intent, { ...outer, confirm }),
            // from here on whoever comes finds it
            Effect.provideService(Begun.Begun, (operation) => Effect.zipRight(leave, tell(operation)))
          )
          if (Either.isRight(ended)) return ended.right
          const { left } = ended
          return left._tag === "KeyReused" ? yield* left : yield* Intent.stop(left)
        })
      )
    })

    return Requests.of({ once })
  })
)
