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
import * as Layer from "effect/Layer"
import type * as Errors from "../domain/Errors.ts"
import { Inventory } from "../services/Inventory.ts"
import { Operations } from "../services/Operations.ts"
import * as Begun from "./Begun.ts"
import * as Bond from "./Bond.ts"
import type * as Intent from "./Intent.ts"
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
      return yield* inTurn(
        key.key,
        Effect.fnUntraced(function* (leave: Effect.Effect<void>) {
          const before = yield* inventory.keyed(key)
          if (before !== null) {
            yield* leave
            yield* Begun.start(operations, before)
            return yield* operations.await(before.id)
          }
          const write = ({ operation }: Intent.Made) =>
            operation === null
              ? Effect.void
              : inventory.keepKey(key, operation.id, now).pipe(
                  // a part of the transaction that cannot be written takes that along
                  Effect.catchTag("PersistenceError", Effect.die)
                )
          return yield* Bond.tie(useCase, { write, leave })
        })
      )
    })

    return Requests.of({ once })
  })
)
