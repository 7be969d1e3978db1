/**
 * Requests that may be sent again: with the same key a request is done once, whatever it is that it begins or makes.
 *
 * What makes VMs, volumes, snapshots and NICs keeps its key itself, in the row's own transaction: a program that has these use cases gets what was made
 * from them, and not the operation. Here it is all else.
 *
 * @since 0.8.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Errors from "../domain/Errors.ts"
import { Inventory, type Led, type RequestKey } from "../services/Inventory.ts"
import { Operations } from "../services/Operations.ts"
import * as Begun from "./Begun.ts"
import * as Bond from "./Bond.ts"
import type * as Intent from "./Intent.ts"
import * as Keys from "./Keys.ts"
import * as Turns from "./Turns.ts"

/** @since 0.8.0 @category errors */
export type RequestError = Errors.OperationFailed | Errors.InvalidArgument | Errors.KeyReused | Errors.PersistenceError

/** @since 0.8.0 @category errors */
export type MadeError = Errors.InvalidArgument | Errors.KeyReused | Errors.KeySpent | Errors.PersistenceError

/** @since 0.8.0 @category services */
export class Requests extends Context.Tag("vmfabric/Requests")<
  Requests,
  {
    /**
     * Runs the use case, and binds the operation that it begins to the key, in the transaction that writes it. Where the key has led to one before, that one
     * is waited for and nothing else is done. `request`: all that it says, in a fixed order; `formerly`: the same as versions before 0.11 kept it, where that differs; `KeyReused`: the key was another
     * request's.
     */
    readonly once: <A, E, R>(
      idempotencyKey: string,
      request: Keys.Said,
      useCase: Effect.Effect<A, E, R>,
      formerly?: Keys.Said
    ) => Effect.Effect<A | void, E | RequestError, R>
    /**
     * The same for what begins no operation: the key is bound to what the use case makes. Where it has led to something before, that is given as `again`
     * finds it by its id, and nothing else is done. `KeySpent`: it is there no more, where `again` gives null.
     */
    readonly made: <A, E, R, E2, R2>(
      idempotencyKey: string,
      request: Keys.Said,
      useCase: Effect.Effect<A, E, R>,
      again: (id: string) => Effect.Effect<A | null, E2, R2>,
      formerly?: Keys.Said
    ) => Effect.Effect<A, E | E2 | MadeError, R | R2>
  }
>() {}

/** What is made is found by its id again; null: nothing was. */
const ledTo = (made: Intent.Made): Led | null => {
  const { cancelled, host, image, operation, token, type, user, webhook } = made
  if (operation !== null) return { _tag: "Operation", operation }
  const thing = (thing: Extract<Led, { readonly _tag: "Thing" }>["thing"], id: string | number): Led => ({
    _tag: "Thing",
    thing,
    id: String(id)
  })
  if (host?.after) return thing("host", host.after.id)
  if (image?.after) return thing("image", image.after.id)
  if (type !== undefined) return thing("instance type", type.after.tid)
  if (user?.after) return thing("user", user.after.name)
  if (token?.after) return thing("token", token.after.id)
  if (webhook?.after) return thing(webhook.before === null ? "webhook" : "webhook secret", webhook.after.id)
  return cancelled === undefined ? null : thing("cancellation", cancelled.id)
}

/** @since 0.8.0 @category layers */
export const layer = Layer.effect(
  Requests,
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const operations = yield* Operations
    const inTurn = Turns.make()

    const keyOf = (idempotencyKey: string, request: Keys.Said, formerly: Keys.Said | undefined) =>
      Effect.flatMap(Keys.make(idempotencyKey, request), (key) =>
        Keys.unlessPlanned(
          inventory,
          key === undefined || formerly === undefined ? key : { ...key, formerly: JSON.stringify(formerly) }
        )
      )

    /** In turn: what the key has led to before, or else the use case, whose work it leads to from now on. */
    const first = <A, E, R, B, E2, R2>(
      key: RequestKey,
      useCase: Effect.Effect<A, E, R>,
      repeated: (led: Led) => Effect.Effect<B, E2, R2>
    ) =>
      inTurn(
        JSON.stringify([key.asker ?? null, key.key]),
        Effect.fnUntraced(function* (leave: Effect.Effect<void>) {
          const now = yield* Clock.currentTimeMillis
          const before = yield* inventory.keyed(key)
          if (before !== null) return yield* Effect.zipRight(leave, repeated(before))
          const write = (made: Intent.Made) => {
            const led = ledTo(made)
            return led === null
              ? Effect.void
              : // a part of the transaction that cannot be written takes that along
                Effect.catchTag(inventory.keepKey(key, led, now), "PersistenceError", Effect.die)
          }
          return yield* Bond.tie(useCase, { write, leave })
        })
      )

    return Requests.of({
      once: Effect.fn("Requests.once")(function* (idempotencyKey, request, useCase, formerly) {
        const key = yield* keyOf(idempotencyKey, request, formerly)
        if (key === undefined) return yield* useCase
        return yield* first(
          key,
          useCase,
          Effect.fnUntraced(function* (led) {
            if (led._tag === "Thing") return yield* new Errors.KeyReused({ key: idempotencyKey })
            yield* Begun.start(operations, led.operation)
            return yield* operations.await(led.operation.id)
          })
        )
      }),
      made: Effect.fn("Requests.made")(function* (idempotencyKey, request, useCase, again, formerly) {
        const key = yield* keyOf(idempotencyKey, request, formerly)
        if (key === undefined) return yield* useCase
        return yield* first(
          key,
          useCase,
          Effect.fnUntraced(function* (led) {
            if (led._tag === "Operation") return yield* new Errors.KeyReused({ key: idempotencyKey })
            const found = yield* again(led.id)
            if (found === null) {
              return yield* new Errors.KeySpent({ key: idempotencyKey, made: `${led.thing} ${led.id}` })
            }
            return found
          })
        )
      })
    })
  })
)
