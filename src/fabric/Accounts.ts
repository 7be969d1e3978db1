/**
 * What can be done with users and tokens, so that it can be planned, repeated, and made to depend on what was read.
 *
 * @since 0.8.0
 */
import * as Effect from "effect/Effect"
import { type PersistenceError, UserNotFound } from "../domain/Errors.ts"
import type { TokenId, User, UserName } from "../domain/Identity.ts"
import * as Quota from "../domain/Quota.ts"
import { Identity } from "../services/Identity.ts"
import { Inventory } from "../services/Inventory.ts"
import * as Facts from "./Facts.ts"
import * as Intent from "./Intent.ts"
import * as Revision from "./Revision.ts"

type Service = Identity["Type"]

/** A user, and what they have of what quotas are of. @since 0.9.0 @category models */
export interface UserReport {
  readonly user: User
  readonly used: Quota.Use
}

/** @since 0.9.0 @category use cases */
export const report = (user: User): Effect.Effect<UserReport, PersistenceError, Inventory> =>
  Effect.flatMap(Inventory, ({ use }) => Effect.map(use(user.name), (used) => ({ user, used })))

/** All users, by name. @since 0.9.0 @category use cases */
export const reports: Effect.Effect<ReadonlyArray<UserReport>, PersistenceError, Identity | Inventory> = Effect.gen(
  function* () {
    const { users } = yield* Identity
    const uses = yield* Effect.flatMap(Inventory, (inventory) => inventory.uses)
    return (yield* users).map((user) => ({ user, used: uses.get(user.name) ?? Quota.nothing }))
  }
)

/** One user, by name. @since 0.9.0 @category use cases */
export const named = (name: UserName): Effect.Effect<User, UserNotFound | PersistenceError, Identity> =>
  Effect.flatMap(Identity, ({ users }) =>
    Effect.flatMap(users, (all) => {
      const user = all.find((one) => one.name === name)
      return user === undefined ? new UserNotFound({ name }) : Effect.succeed(user)
    })
  )

/** @since 0.8.0 @category use cases */
export const createUser = Effect.fn("Accounts.createUser")(function* (user: Parameters<Service["createUser"]>[0]) {
  const identity = yield* Identity
  const intent = yield* Intent.Intent
  return yield* identity.createUser(user, (after) =>
    intent.confirm(() => ({ operation: null, user: { before: null, after } }))
  )
})

/** @since 0.8.0 @category use cases */
export const changeUser = Effect.fn("Accounts.changeUser")(function* (
  name: UserName,
  change: Parameters<Service["changeUser"]>[1],
  expect?: Revision.Expect
) {
  const identity = yield* Identity
  const intent = yield* Intent.Intent
  return yield* identity.changeUser(
    name,
    change,
    (before) =>
      Effect.zipRight(
        intent.depends(() => Facts.ofUser(before)),
        Revision.checkUser(expect, before)
      ),
    (user) => intent.confirm(() => ({ operation: null, user: { ...user, password: change.password !== undefined } }))
  )
})

/** @since 0.8.0 @category use cases */
export const removeUser = Effect.fn("Accounts.removeUser")(function* (name: UserName, expect?: Revision.Expect) {
  const identity = yield* Identity
  const intent = yield* Intent.Intent
  yield* identity.removeUser(
    name,
    (before) =>
      Effect.zipRight(
        intent.depends(() => Facts.ofUser(before)),
        Revision.checkUser(expect, before)
      ),
    (before) => intent.confirm(() => ({ operation: null, user: { before, after: null } }))
  )
})

/** @since 0.8.0 @category use cases */
export const createToken = Effect.fn("Accounts.createToken")(function* (token: Parameters<Service["createToken"]>[0]) {
  const identity = yield* Identity
  const intent = yield* Intent.Intent
  return yield* identity.createToken(token, (after) =>
    intent.confirm(() => ({ operation: null, token: { before: null, after } }))
  )
})

/** @since 0.8.0 @category use cases */
export const removeToken = Effect.fn("Accounts.removeToken")(function* (id: TokenId, expect?: Revision.Expect) {
  const identity = yield* Identity
  const intent = yield* Intent.Intent
  yield* identity.removeToken(
    id,
    (before) =>
      Effect.zipRight(
        intent.depends(() => Facts.ofToken(before)),
        Revision.checkToken(expect, before)
      ),
    (before) => intent.confirm(() => ({ operation: null, token: { before, after: null } }))
  )
})
