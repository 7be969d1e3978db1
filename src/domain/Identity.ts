/**
 * Who asks, and what they may.
 *
 * @since 0.4.0
 */
import * as Schema from "effect/Schema"
import * as Quota from "./Quota.ts"

/**
 * `viewer` sees everything but secrets; `operator` also changes VMs, volumes, snapshots and their operations; `admin` also changes hosts,
 * users and tokens, and reads the audit log.
 *
 * @since 0.4.0 @category models
 */
export const Role = Schema.Literal("viewer", "operator", "admin")
/** @since 0.4.0 @category models */
export type Role = typeof Role.Type

const rank: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 }

/** Whether `role` may do what needs `needed`. @since 0.4.0 @category predicates */
export const allows = (role: Role, needed: Role): boolean => rank[role] >= rank[needed]

/** The lesser of two. @since 0.4.0 @category combinators */
export const lesser = (a: Role, b: Role): Role => (rank[a] <= rank[b] ? a : b)

/** @since 0.4.0 @category ids */
export const UserName = Schema.String.pipe(
  Schema.pattern(/^[a-z][a-z0-9_.@-]{0,63}$/),
  Schema.brand("UserName"),
  Schema.annotations({
    identifier: "UserName",
    description: "1 to 64 of a-z 0-9 _ . @ -, beginning with a letter"
  })
)
/** @since 0.4.0 @category ids */
export type UserName = typeof UserName.Type

/** Whoever works on the controller's own machine, while nobody could sign in. No user has this name. @since 0.4.0 @category ids */
export const localUser = UserName.make("local")

/** @since 0.4.0 @category ids */
export const TokenId = Schema.Int.pipe(
  Schema.between(1, Number.MAX_SAFE_INTEGER),
  Schema.brand("TokenId"),
  Schema.annotations({ identifier: "TokenId" })
)
/** @since 0.4.0 @category ids */
export type TokenId = typeof TokenId.Type

/** A person, or a program with an account. Times in milliseconds since 1970. @since 0.4.0 @category models */
export class User extends Schema.Class<User>("User")({
  name: UserName,
  role: Role,
  /** whether a password was set: without one only tokens open the door */
  hasPassword: Schema.Boolean,
  /** shut out until an admin enables them: nothing of theirs opens the door, and all of it stays */
  disabled: Schema.Boolean,
  createdAt: Schema.Int,
  /** how much they may have */
  quota: Quota.Quota.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => Quota.unlimited)
  )
}) {}

/** An API token without its secret, which is shown once. Times in milliseconds since 1970. @since 0.4.0 @category models */
export class Token extends Schema.Class<Token>("Token")({
  id: TokenId,
  /** what it is for, in its owner's words */
  name: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(255)),
  owner: UserName,
  /** never more than its owner's */
  role: Role,
  createdAt: Schema.Int,
  /** null: it does not expire */
  expiresAt: Schema.NullOr(Schema.Int),
  /** to the minute; null: never */
  lastUsedAt: Schema.NullOr(Schema.Int)
}) {}

/**
 * Who a request is from. `via`: `loopback` is whoever is on this machine while nobody could sign in; `tokenId` null without a token, and `tokenName`
 * is what that one is called.
 *
 * @since 0.4.0 @category models
 */
export interface Principal {
  readonly user: UserName
  readonly role: Role
  readonly via: "loopback" | "token" | "session"
  readonly tokenId: TokenId | null
  readonly tokenName?: string | null
}

/** One line of the audit log. @since 0.4.0 @category models */
export class AuditEntry extends Schema.Class<AuditEntry>("AuditEntry")({
  id: Schema.Int,
  /** milliseconds since 1970 */
  time: Schema.Int,
  /** null: nobody that is known */
  user: Schema.NullOr(UserName),
  via: Schema.NullOr(Schema.Literal("loopback", "token", "session")),
  tokenId: Schema.NullOr(TokenId),
  /** address it came from */
  from: Schema.String,
  method: Schema.String,
  /** path and query, secrets taken out */
  path: Schema.String,
  /** HTTP status, or for the original's routes 200 with `failed` telling */
  status: Schema.Int,
  failed: Schema.NullOr(Schema.String)
}) {}
