/**
 * Handlers of users, tokens, sessions and the audit log: one function for each endpoint of their groups, and named like it.
 *
 * @since 0.4.0
 */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { CurrentPrincipal } from "../../api/Access.ts"
import * as Audit from "../../api/Audit.ts"
import * as Problem from "../../api/Problem.ts"
import * as Session from "../../api/Session.ts"
import * as Tokens from "../../api/Tokens.ts"
import * as Users from "../../api/Users.ts"
import * as Errors from "../../domain/Errors.ts"
import {
  allows,
  type AuditEntry,
  lesser,
  localUser,
  type Token,
  type TokenId,
  type User,
  type UserName
} from "../../domain/Identity.ts"
import { Identity } from "../../services/Identity.ts"
import * as Connection from "../Connection.ts"

const notFound = (code: "user_not_found" | "token_not_found", detail: string) =>
  new Problem.NotFound({
    status: 404,
    code,
    title: code === "user_not_found" ? "No such user" : "No such token",
    detail
  })

const forbidden = (detail: string) =>
  new Problem.Forbidden({ status: 403, code: "not_allowed", title: "Not allowed", detail })

const wrongPassword = (detail: string) =>
  new Problem.Unauthenticated({ status: 401, code: "bad_credentials", title: "Wrong credentials", detail })

// what fails below, as a problem; each endpoint names those it can meet
const InvalidArgument = ({ field, message }: Errors.InvalidArgument) =>
  new Problem.InvalidRequest({
    status: 400,
    code: "invalid_argument",
    title: "A parameter cannot be used",
    detail: message,
    field
  })
const UserNotFound = ({ message }: Errors.UserNotFound) => notFound("user_not_found", message)
const TokenNotFound = ({ message }: Errors.TokenNotFound) => notFound("token_not_found", message)
const UserConflict = ({ message }: Errors.UserConflict) =>
  new Problem.Conflict({ status: 409, code: "user_conflict", title: "Not with this user", detail: message })
const NotAllowed = ({ message }: Errors.NotAllowed) => forbidden(message)
const PersistenceError = ({ message }: Errors.PersistenceError) =>
  new Problem.Unavailable({ status: 503, code: "database", title: "The database fails", detail: message })

/** Whom the guard has let through. */
const me = Effect.flatMap(CurrentPrincipal, (principal) =>
  principal === null
    ? new Problem.Unauthenticated({
        status: 401,
        code: "unauthenticated",
        title: "Not signed in",
        detail: "who asks is not known"
      })
    : Effect.succeed(principal)
)

const userView = ({ createdAt, disabled, hasPassword, name, role }: User): Users.User => ({
  name,
  role,
  hasPassword,
  disabled,
  createdAt: DateTime.unsafeMake(createdAt)
})

const timeOrNull = (time: number | null) => (time === null ? null : DateTime.unsafeMake(time))

const tokenView = ({ createdAt, expiresAt, id, lastUsedAt, name, owner, role }: Token): Tokens.Token => ({
  id,
  name,
  owner,
  role,
  createdAt: DateTime.unsafeMake(createdAt),
  expiresAt: timeOrNull(expiresAt),
  lastUsedAt: timeOrNull(lastUsedAt)
})

// --- users ----------------------------------------------------------------------------------------------------------

/** @since 0.4.0 @category handlers */
export const listUsers = () =>
  Effect.map(
    Effect.flatMap(Identity, ({ users }) => users),
    (all) => ({ items: all.map(userView) })
  ).pipe(Effect.catchTags({ PersistenceError }))

/** @since 0.4.0 @category handlers */
export const createUser = ({ payload }: { readonly payload: Users.NewUser }) =>
  Effect.map(
    Effect.flatMap(Identity, ({ createUser }) => createUser(payload)),
    userView
  ).pipe(Effect.catchTags({ InvalidArgument, PersistenceError, UserConflict }))

const userNamed = (name: UserName) =>
  Effect.flatMap(
    Effect.flatMap(Identity, ({ users }) => users),
    (all) => {
      const user = all.find((one) => one.name === name)
      return user === undefined ? notFound("user_not_found", `user ${name} does not exist`) : Effect.succeed(user)
    }
  )

/** @since 0.4.0 @category handlers */
export const getUser = ({ path }: { readonly path: { readonly name: UserName } }) =>
  Effect.map(userNamed(path.name), userView).pipe(Effect.catchTags({ PersistenceError }))

/** @since 0.4.0 @category handlers */
export const changeUser = ({
  path,
  payload
}: {
  readonly path: { readonly name: UserName }
  readonly payload: Users.UserChange
}) =>
  Effect.gen(function* () {
    const { changeUser } = yield* Identity
    const { user } = yield* me
    if (payload.disabled === true && user === path.name) {
      return yield* new Problem.Conflict({
        status: 409,
        code: "user_conflict",
        title: "Not with this user",
        detail: `user ${user} cannot disable themselves: ask another admin to`
      })
    }
    return userView(yield* changeUser(path.name, payload))
  }).pipe(Effect.catchTags({ InvalidArgument, PersistenceError, UserConflict, UserNotFound }))

/**
 * Whoever has somebody's session or token must not become that user for good by it: the present password is asked for, and a token that may
 * less than its owner is not enough.
 *
 * @since 0.4.0 @category handlers
 */
export const setPassword = ({
  path: { name },
  payload: { current, password }
}: {
  readonly path: { readonly name: UserName }
  readonly payload: Users.NewPassword
}) =>
  Effect.gen(function* () {
    const identity = yield* Identity
    const { role, user } = yield* me
    if (role !== "admin") {
      if (user !== name) return yield* forbidden("only an admin can set the password of somebody else")
      const own = yield* userNamed(name)
      if (own.role !== role) {
        return yield* forbidden(
          `a token with the role ${role} cannot set the password of a user with the role ${own.role}`
        )
      }
      if (own.hasPassword) {
        const right = current !== undefined && Option.isSome(yield* identity.signIn(name, current))
        if (!right) return yield* wrongPassword("current is not the present password")
      }
    }
    // ends all sessions, also the one that was just begun to find out
    yield* identity.changeUser(name, { password })
  }).pipe(Effect.catchTags({ InvalidArgument, PersistenceError, UserConflict, UserNotFound }))

/** @since 0.4.0 @category handlers */
export const removeUser = ({ path }: { readonly path: { readonly name: UserName } }) =>
  Effect.flatMap(Identity, ({ removeUser }) => removeUser(path.name)).pipe(
    Effect.catchTags({ PersistenceError, UserConflict, UserNotFound })
  )

// --- tokens ---------------------------------------------------------------------------------------------------------

/** @since 0.4.0 @category handlers */
export const listTokens = ({ urlParams }: { readonly urlParams: { readonly owner?: UserName } }) =>
  Effect.gen(function* () {
    const { tokens } = yield* Identity
    const { role, user } = yield* me
    return { items: (yield* tokens(role === "admin" ? urlParams.owner : user)).map(tokenView) }
  }).pipe(Effect.catchTags({ PersistenceError }))

/** @since 0.4.0 @category handlers */
export const createToken = ({ payload }: { readonly payload: Tokens.NewToken }) =>
  Effect.gen(function* () {
    const identity = yield* Identity
    const mine = yield* me
    const { expiresAt = null, name, owner = mine.user } = payload
    if (payload.owner === undefined && owner === localUser) {
      return yield* new Errors.InvalidArgument({
        field: "owner",
        problem: "is missing",
        expected:
          (yield* identity.users).length === 0
            ? "the name of a user, and there is none yet: create one with POST /api/v1/users"
            : "the name of the user whose the token will be, since you are signed in as none"
      })
    }
    if (owner !== mine.user && mine.role !== "admin") {
      return yield* forbidden("only an admin can make tokens for somebody else")
    }
    // a role that nobody said must not be too much for the owner
    const { role = owner === mine.user ? mine.role : lesser(mine.role, (yield* userNamed(owner)).role) } = payload
    if (!allows(mine.role, role)) {
      return yield* forbidden(
        `${mine.user} asks with the role ${mine.role}, so the new token cannot have the role ${role}`
      )
    }
    const made = yield* identity.createToken({
      name,
      owner,
      role,
      expiresAt: expiresAt === null ? null : DateTime.toEpochMillis(expiresAt)
    })
    return { ...tokenView(made.token), secret: made.secret }
  }).pipe(Effect.catchTags({ InvalidArgument, NotAllowed, PersistenceError, UserNotFound }))

/** @since 0.4.0 @category handlers */
export const removeToken = ({ path: { id } }: { readonly path: { readonly id: TokenId } }) =>
  Effect.gen(function* () {
    const identity = yield* Identity
    const { role, user } = yield* me
    const token = (yield* identity.tokens(role === "admin" ? undefined : user)).find((one) => one.id === id)
    if (token === undefined) return yield* notFound("token_not_found", `token ${id} does not exist`)
    if (!allows(role, token.role)) {
      return yield* forbidden(`${user} asks with the role ${role}, and token ${id} has the role ${token.role}`)
    }
    yield* identity.removeToken(id)
  }).pipe(Effect.catchTags({ PersistenceError, TokenNotFound }))

// --- session --------------------------------------------------------------------------------------------------------

/** @since 0.4.0 @category handlers */
export const whoAmI = () => me

/** With TLS here, or in front of us. */
const cookieOptions = (request: HttpServerRequest.HttpServerRequest) => ({
  httpOnly: true,
  sameSite: "strict" as const,
  path: "/",
  secure: Connection.of(request).secure || (request.headers["origin"] ?? "").startsWith("https:")
})

/** Its own line in the audit log: the guard does not know who it is before. */
const recorded = (
  request: HttpServerRequest.HttpServerRequest,
  entry: Pick<AuditEntry, "user" | "via" | "status" | "failed">
) =>
  Effect.flatMap(Identity, ({ audit }) =>
    audit({
      ...entry,
      tokenId: null,
      from: Connection.of(request).remote,
      method: request.method,
      path: "/api/v1/session"
    })
  )

/** @since 0.4.0 @category handlers */
export const signIn = ({ payload }: { readonly payload: Session.SignIn }) =>
  Effect.gen(function* () {
    const identity = yield* Identity
    const request = yield* HttpServerRequest.HttpServerRequest
    const session = Option.getOrUndefined(yield* identity.signIn(payload.name, payload.password))
    if (session === undefined) {
      // a name that is none may be a password in the wrong field
      const known = (yield* identity.users).find(({ name }) => name === payload.name)
      const failed =
        known === undefined
          ? "no such user"
          : known.disabled
            ? `${known.name} is disabled`
            : `wrong password of ${known.name}`
      yield* recorded(request, { user: null, via: null, status: 401, failed })
      return yield* wrongPassword("name or password is wrong")
    }
    const { expiresAt, principal, secret } = session
    yield* recorded(request, { user: principal.user, via: "session", status: 200, failed: null })
    yield* HttpApp.appendPreResponseHandler((_, response) =>
      Effect.orDie(
        HttpServerResponse.setCookie(response, Session.cookieName, Redacted.value(secret), {
          ...cookieOptions(request),
          expires: new Date(expiresAt)
        })
      )
    )
    return { user: principal.user, role: principal.role, expiresAt: DateTime.unsafeMake(expiresAt) }
  }).pipe(Effect.catchTags({ PersistenceError }))

/** @since 0.4.0 @category handlers */
export const signOut = () =>
  Effect.gen(function* () {
    const identity = yield* Identity
    const request = yield* HttpServerRequest.HttpServerRequest
    const cookie = request.cookies[Session.cookieName]
    if (cookie !== undefined) {
      const secret = Redacted.make(cookie)
      const session = Option.getOrUndefined(yield* identity.bySession(secret))
      yield* identity.signOut(secret)
      if (session !== undefined) {
        yield* recorded(request, { user: session.user, via: "session", status: 204, failed: null })
      }
    }
    yield* HttpApp.appendPreResponseHandler((_, response) =>
      Effect.succeed(HttpServerResponse.expireCookie(response, Session.cookieName, cookieOptions(request)))
    )
  }).pipe(Effect.catchTags({ PersistenceError }))

// --- audit ----------------------------------------------------------------------------------------------------------

const lineView = ({ time, ...entry }: AuditEntry): Audit.AuditLine => ({ ...entry, time: DateTime.unsafeMake(time) })

/** @since 0.4.0 @category handlers */
export const listAudit = ({
  urlParams: { before = null, limit = Audit.page.usual }
}: {
  readonly urlParams: { readonly before?: number | null; readonly limit?: number }
}) =>
  Effect.gen(function* () {
    const { audited } = yield* Identity
    const found = yield* audited({ before, limit: limit + 1 })
    const items = found.slice(0, limit).map(lineView)
    return { items, next: found.length > limit ? (items.at(-1)?.id ?? null) : null }
  }).pipe(Effect.catchTags({ PersistenceError }))
