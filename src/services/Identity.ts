/**
 * Users, their tokens and sessions, and the record of what they did. Secrets are kept as hashes only.
 *
 * @since 0.4.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type {
  HasChanged,
  InvalidArgument,
  NotAllowed,
  PersistenceError,
  TokenNotFound,
  UserConflict,
  UserNotFound
} from "../domain/Errors.ts"
import type { AuditEntry, Principal, Role, Token, TokenId, User, UserName } from "../domain/Identity.ts"
import type { Change as QuotaChange } from "../domain/Quota.ts"
import type { Confirm } from "./Inventory.ts"

/** Looks at what is to be changed in the transaction that changes it. @since 0.8.0 @category models */
export type Check<A> = (now: A) => Effect.Effect<void, HasChanged>

/** What a user was, and became. @since 0.8.0 @category models */
export interface UserChanged {
  readonly before: User
  readonly after: User
}

/** A token that was just made: the only time its secret is told. @since 0.4.0 @category models */
export interface NewToken {
  readonly token: Token
  /** `vmf_` and 43 characters of base64url */
  readonly secret: Redacted.Redacted
}

/** @since 0.4.0 @category services */
export class Identity extends Context.Tag("vmfabric/Identity")<
  Identity,
  {
    /**
     * Whether anybody could sign in: a user with a password, or a token that has not expired. Those of disabled users count: to disable somebody must not
     * open the door to whoever is on the machine.
     */
    readonly anybody: Effect.Effect<boolean, PersistenceError>
    /** Whose token this is; none: nobody's or a disabled user's, or it has expired. Compared by hash, in constant time. */
    readonly byToken: (secret: Redacted.Redacted) => Effect.Effect<Option.Option<Principal>, PersistenceError>
    /** Whose session this is; none: nobody's or a disabled user's, or it has ended. */
    readonly bySession: (secret: Redacted.Redacted) => Effect.Effect<Option.Option<Principal>, PersistenceError>
    /** With name and password; takes the same time whether or not there is such a user. Gives the session's secret. None: one of both is wrong, or the user is disabled. */
    readonly signIn: (
      name: string,
      password: Redacted.Redacted
    ) => Effect.Effect<
      Option.Option<{ readonly principal: Principal; readonly secret: Redacted.Redacted; readonly expiresAt: number }>,
      PersistenceError
    >
    /** Whether that is the user's password; takes as long as signing in, and begins nothing. False also for whoever has none. @since 0.8.0 */
    readonly isPassword: (name: UserName, password: Redacted.Redacted) => Effect.Effect<boolean>
    readonly signOut: (secret: Redacted.Redacted) => Effect.Effect<void, PersistenceError>

    /** By name. */
    readonly users: Effect.Effect<ReadonlyArray<User>, PersistenceError>
    readonly createUser: (
      user: {
        readonly name: UserName
        readonly role: Role
        readonly password?: Redacted.Redacted
        /** what is absent is not limited */
        readonly quota?: QuotaChange
      },
      confirm?: Confirm<User>
    ) => Effect.Effect<User, InvalidArgument | UserConflict | PersistenceError>
    /**
     * What is absent stays. A new password or another role ends the user's sessions. While a user is disabled no session and no token of theirs is
     * good, and they are when that is over. The last admin that is not disabled stays one. A quota may be less than what is there: then there can be no more.
     */
    readonly changeUser: (
      name: UserName,
      change: {
        readonly role?: Role
        readonly password?: Redacted.Redacted
        readonly disabled?: boolean
        readonly quota?: QuotaChange
      },
      check?: Check<User>,
      confirm?: Confirm<UserChanged>
    ) => Effect.Effect<User, InvalidArgument | UserNotFound | UserConflict | HasChanged | PersistenceError>
    /** With all tokens and sessions. The last admin stays. */
    readonly removeUser: (
      name: UserName,
      check?: Check<User>,
      confirm?: Confirm<User>
    ) => Effect.Effect<void, UserNotFound | UserConflict | HasChanged | PersistenceError>

    /** By id; `owner` limits to one user's. */
    readonly tokens: (owner?: UserName) => Effect.Effect<ReadonlyArray<Token>, PersistenceError>
    /** `NotAllowed`: the role is more than the owner has; `UserConflict`: the owner could sign in then, and no admin could. */
    readonly createToken: (
      token: {
        readonly name: string
        readonly owner: UserName
        readonly role: Role
        /** milliseconds since 1970; null: never */
        readonly expiresAt: number | null
      },
      confirm?: Confirm<Token>
    ) => Effect.Effect<NewToken, InvalidArgument | UserNotFound | UserConflict | NotAllowed | PersistenceError>
    /** `UserConflict`: no admin could sign in without it, and somebody else could. */
    readonly removeToken: (
      id: TokenId,
      check?: Check<Token>,
      confirm?: Confirm<Token>
    ) => Effect.Effect<void, TokenNotFound | UserConflict | HasChanged | PersistenceError>

    readonly audit: (entry: Omit<AuditEntry, "id" | "time">) => Effect.Effect<void, PersistenceError>
    /** The newest first, those before `before` (all: null). */
    readonly audited: (filter: {
      readonly before: number | null
      readonly limit: number
    }) => Effect.Effect<ReadonlyArray<AuditEntry>, PersistenceError>
  }
>() {}
