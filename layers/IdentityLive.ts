/**
 * Users, tokens, sessions and the audit log in the inventory's database.
 *
 * All but the audit log is also held in memory, in step with what is committed: every request asks for it.
 *
 * @since 0.4.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { randomBytes } from "node:crypto"
import * as Errors from "../src/domain/Errors.ts"
import { allows, localUser, type Token, User, UserName } from "../src/domain/Identity.ts"
import * as Quota from "../src/domain/Quota.ts"
import { Identity } from "../src/services/Identity.ts"
import { Database } from "./Database.ts"
import * as IdentityMemory from "./IdentityMemory.ts"
import * as Passwords from "./Passwords.ts"
import * as Identities from "./sql/Identities.ts"
import * as RequestKeys from "./sql/RequestKeys.ts"

/** @since 0.4.0 @category models */
export interface Options {
  /** how many lines of the audit log are kept, the newest ones: so many of whoever had signed in, and as many of strangers; default: 100,000 */
  readonly keep?: number
}

const sessionLength = Duration.toMillis("12 hours")

/** A browser each, and then some. */
const mostSessions = 50

const mostTokens = 100

const newSecret = (prefix: string): string => prefix + randomBytes(32).toString("base64url")

const isUserName = Schema.is(UserName)

const mayNotYet =
  "would be able to sign in, and no admin would: give an admin a password or a token of the role admin before"
const mayNoMore =
  "is the last admin who can sign in, and others can: give an admin another password or token of the role admin before"

const lastAdmin = (name: UserName) =>
  new Errors.UserConflict({ name, reason: "is the last admin: make somebody else one first" })

const make = Effect.fnUntraced(function* ({ keep = 100_000 }: Options) {
  const { read, sql, writeSimply } = yield* Database
  const passwords = yield* Passwords.make
  // every request asks: the time without going through an effect of its own
  const clock = yield* Effect.clock
  const now = (): number => clock.unsafeCurrentTimeMillis()

  const memory = IdentityMemory.make()
  const { sessions, sessionUses, tokens, tokenUses, users } = memory

  yield* read(
    "read users and tokens",
    Effect.gen(function* () {
      memory.load({
        users: yield* Identities.users(sql),
        tokens: yield* Identities.tokens(sql),
        sessions: yield* Identities.sessions(sql)
      })
    })
  )

  const userOf = (row: Identities.UserRow): User => new User(Identities.userFields(row))
  const tokenOf = (row: Identities.TokenRow): Token => Identities.tokenOf(row, tokenUses.get(row.id))

  const unconfirmed = () => Effect.void

  const knownUser = (name: string) => (isUserName(name) ? users.get(name) : undefined)

  /**
   * A change within its transaction, refused when it would leave somebody who can sign in and no admin who can: while there is nobody who could, whoever
   * works on this machine is admin, and then they are not.
   */
  const keepingAdmins = <A, E, R>(name: UserName, reason: string, change: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const before = yield* Identities.isLockedOut(sql, now)
      const result = yield* change
      if (!before && (yield* Identities.isLockedOut(sql, now))) return yield* new Errors.UserConflict({ name, reason })
      return result
    })

  /** Off every request's path. What cannot be stored now is stored next time. */
  const store = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const usedTokens = tokenUses.take()
    const usedSessions = sessionUses.take()
    const ended = sessions.values().some(({ expiresAt }) => expiresAt <= now)
    if (usedTokens.length === 0 && usedSessions.length === 0 && !ended) return
    yield* writeSimply(
      "store when tokens and sessions were used",
      Effect.gen(function* () {
        for (const [id, at] of usedTokens) yield* Identities.tokenUsed(sql, id, at)
        for (const [hash, at] of usedSessions) yield* Identities.sessionUsed(sql, hash, at)
        yield* Identities.deleteExpiredSessions(sql, now)
      }),
      () => memory.dropSessions(({ expiresAt }) => expiresAt <= now)
    ).pipe(
      Effect.onError(() =>
        Effect.sync(() => {
          tokenUses.giveBack(usedTokens)
          sessionUses.giveBack(usedSessions)
        })
      )
    )
  })
  const storeOrTell = Effect.catchAll(store, (error) => Effect.logWarning(error.message))
  yield* Effect.addFinalizer(() => storeOrTell)
  yield* Effect.forkScoped(Effect.schedule(storeOrTell, Schedule.spaced("1 minute")))

  return Identity.of({
    anybody: Effect.sync(() => memory.anybody(now())),
    byToken: (secret) => Effect.sync(() => memory.byToken(secret, now())),
    bySession: (secret) => Effect.sync(() => memory.bySession(secret, now())),

    signIn: Effect.fn("Identity.signIn")(function* (name, password) {
      const user = knownUser(name)
      const right = yield* passwords.verify(password, user?.passwordHash ?? null)
      // as long as a wrong password takes
      if (!right || user === undefined || user.passwordHash === null || user.disabled) return Option.none()
      const now = yield* Clock.currentTimeMillis
      const secret = Redacted.make(newSecret("vms_"))
      const session = {
        hash: IdentityMemory.digest(secret).toString("hex"),
        user: user.name,
        expiresAt: now + sessionLength,
        lastUsedAt: IdentityMemory.toTheMinute(now)
      }
      const dropped = yield* writeSimply(
        `sign ${user.name} in`,
        Identities.insertSession(sql, session, user.passwordHash, mostSessions),
        (gone) => {
          if (gone === null) return
          memory.keepSession(session)
          memory.dropSessions(({ hash }) => gone.includes(hash))
        }
      )
      // the password was changed, or the user disabled or removed, while it was looked at
      if (dropped === null) return Option.none()
      const role = users.get(user.name)?.role ?? user.role
      return Option.some({
        principal: IdentityMemory.principal(user.name, role, "session", null),
        secret,
        expiresAt: session.expiresAt
      })
    }),

    isPassword: Effect.fn("Identity.isPassword")((name, password) =>
      passwords.verify(password, users.get(name)?.passwordHash ?? null)
    ),

    signOut: Effect.fn("Identity.signOut")(function* (secret) {
      const session = sessions.find(secret)
      if (session === undefined) return
      yield* writeSimply(`sign ${session.user} out`, Identities.deleteSession(sql, session.hash), () =>
        memory.dropSessions(({ hash }) => hash === session.hash)
      )
    }),

    users: Effect.sync(() => [...users.values()].map(userOf).toSorted((a, b) => (a.name < b.name ? -1 : 1))),

    createUser: Effect.fn("Identity.createUser")(function* (
      { name, password, quota = {}, role },
      confirm = unconfirmed
    ) {
      if (name === localUser) {
        return yield* new Errors.UserConflict({
          name,
          reason: "is what whoever works on this machine is called while there is no user: take another name"
        })
      }
      const passwordHash = password === undefined ? null : yield* passwords.hash(password)
      const createdAt = yield* Clock.currentTimeMillis
      const stored = yield* writeSimply(
        `create user ${name}`,
        Effect.gen(function* () {
          const row = yield* keepingAdmins(
            name,
            mayNotYet,
            Identities.insertUser(sql, {
              name,
              role,
              passwordHash,
              disabled: false,
              quota: Identities.quotaOf(Quota.changed(Quota.unlimited, quota)),
              createdAt
            })
          )
          if (row === null) return yield* new Errors.UserConflict({ name, reason: "exists already" })
          if (role !== "admin" && !(yield* Identities.otherAdmin(sql, name))) {
            return yield* new Errors.UserConflict({
              name,
              reason: "cannot be the first one with this role: nobody could administer, so create an admin before"
            })
          }
          yield* confirm(userOf(row))
          return row
        }),
        memory.keepUser
      )
      return userOf(stored)
    }),

    changeUser: Effect.fn("Identity.changeUser")(function* (
      name,
      { disabled, password, quota = {}, role },
      check,
      confirm = unconfirmed
    ) {
      const passwordHash = password === undefined ? undefined : yield* passwords.hash(password)
      const { row } = yield* writeSimply(
        `change user ${name}`,
        Effect.gen(function* () {
          const before = yield* Identities.user(sql, name)
          if (before === null) return yield* new Errors.UserNotFound({ name })
          if (check !== undefined) yield* check(userOf(before))
          const row = {
            ...before,
            role: role ?? before.role,
            passwordHash: passwordHash ?? before.passwordHash,
            disabled: disabled ?? before.disabled,
            quota: Identities.quotaOf(Quota.changed(before.quota ?? Quota.unlimited, quota))
          }
          const administers = (one: Identities.UserRow) => one.role === "admin" && !one.disabled
          if (administers(before) && !administers(row) && !(yield* Identities.otherAdmin(sql, name))) {
            return yield* lastAdmin(name)
          }
          const reason = role === undefined && disabled !== true ? mayNotYet : mayNoMore
          yield* keepingAdmins(name, reason, Identities.updateUser(sql, row))
          const ends = row.role !== before.role || row.passwordHash !== before.passwordHash
          if (ends) yield* Identities.deleteSessionsOf(sql, name)
          yield* confirm({ before: userOf(before), after: userOf(row) })
          return { row, ends }
        }),
        ({ ends, row }) => {
          memory.keepUser(row)
          if (ends) memory.dropSessions(({ user }) => user === name)
        }
      )
      return userOf(row)
    }),

    removeUser: Effect.fn("Identity.removeUser")((name, check, confirm = unconfirmed) =>
      writeSimply(
        `remove user ${name}`,
        Effect.gen(function* () {
          const before = yield* Identities.user(sql, name)
          if (before === null) return yield* new Errors.UserNotFound({ name })
          if (check !== undefined) yield* check(userOf(before))
          if (before.role === "admin" && !(yield* Identities.otherAdmin(sql, name))) return yield* lastAdmin(name)
          yield* keepingAdmins(name, mayNoMore, Identities.deleteUser(sql, name))
          yield* RequestKeys.disown(sql, name)
          yield* confirm(userOf(before))
        }),
        () => memory.dropUser(name)
      )
    ),

    tokens: (owner) =>
      Effect.sync(() =>
        tokens
          .values()
          .filter((token) => owner === undefined || token.owner === owner)
          .map(tokenOf)
          .toSorted((a, b) => a.id - b.id)
      ),

    createToken: Effect.fn("Identity.createToken")(function* ({ expiresAt, name, owner, role }, confirm = unconfirmed) {
      if (name.length < 1 || name.length > 255) {
        return yield* new Errors.InvalidArgument({
          field: "name",
          problem: `has ${name.length} ${name.length === 1 ? "character" : "characters"}`,
          expected: "1 to 255"
        })
      }
      const createdAt = yield* Clock.currentTimeMillis
      if (expiresAt !== null && expiresAt <= createdAt) {
        return yield* new Errors.InvalidArgument({
          field: "expiresAt",
          problem: "is in the past",
          expected: "a time to come"
        })
      }
      const secret = Redacted.make(newSecret("vmf_"))
      const hash = IdentityMemory.digest(secret).toString("hex")
      const row = yield* writeSimply(
        `create a token of ${owner}`,
        Effect.gen(function* () {
          const user = yield* Identities.user(sql, owner)
          if (user === null) return yield* new Errors.UserNotFound({ name: owner })
          if (!allows(user.role, role)) {
            return yield* new Errors.NotAllowed({
              reason: `a token of ${owner} can have the role ${user.role} at most, not ${role}`
            })
          }
          if ((yield* Identities.countTokens(sql, owner)) >= mostTokens) {
            return yield* new Errors.NotAllowed({ reason: `${owner} has ${mostTokens} tokens: remove one first` })
          }
          const made = yield* keepingAdmins(
            owner,
            mayNotYet,
            Identities.insertToken(sql, { hash, name, owner, role, createdAt, expiresAt })
          )
          yield* confirm(tokenOf(made))
          return made
        }),
        memory.keepToken
      )
      return { token: tokenOf(row), secret }
    }),

    removeToken: Effect.fn("Identity.removeToken")((id, check, confirm = unconfirmed) =>
      writeSimply(
        `remove token ${id}`,
        Effect.gen(function* () {
          const before = yield* Identities.token(sql, id)
          if (before === null) return yield* new Errors.TokenNotFound({ tokenId: id })
          if (check !== undefined) yield* check(tokenOf(before))
          yield* keepingAdmins(before.owner, mayNoMore, Identities.deleteToken(sql, id))
          yield* confirm(tokenOf(before))
        }),
        () => memory.dropTokens((token) => token.id === id)
      )
    ),

    audit: (entry) =>
      Effect.flatMap(Clock.currentTimeMillis, (time) =>
        writeSimply("write the audit log", Identities.insertAudit(sql, { ...entry, time }, keep))
      ),
    audited: ({ before, limit }) => read("read the audit log", Identities.audited(sql, before, limit))
  })
})

/** @since 0.4.0 @category layers */
export const layerWith = (options: Options): Layer.Layer<Identity, Errors.PersistenceError, Database> =>
  Layer.scoped(Identity, make(options))

/** `layerWith` the defaults. @since 0.4.0 @category layers */
export const layer: Layer.Layer<Identity, Errors.PersistenceError, Database> = layerWith({})
