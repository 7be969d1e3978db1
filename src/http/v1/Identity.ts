/**
 * Handlers of users, tokens, sessions and the audit log.
 *
 * @since 0.4.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { CurrentPrincipal } from "../../api/Access.ts"
import { api } from "../../api/Api.ts"
import * as Audit from "../../api/Audit.ts"
import * as Problem from "../../api/Problem.ts"
import * as Session from "../../api/Session.ts"
import type * as Tokens from "../../api/Tokens.ts"
import type * as Users from "../../api/Users.ts"
import * as Errors from "../../domain/Errors.ts"
import {
  allows,
  type AuditEntry,
  lesser,
  localUser,
  type Principal,
  type Token,
  type TokenId,
  type User,
  type UserName
} from "../../domain/Identity.ts"
import * as Quota from "../../domain/Quota.ts"
import * as Accounts from "../../fabric/Accounts.ts"
import * as Revision from "../../fabric/Revision.ts"
import * as Told from "../../fabric/Told.ts"
import { Identity, type NewToken } from "../../services/Identity.ts"
import { Inventory } from "../../services/Inventory.ts"
import * as Connection from "../Connection.ts"
import * as Answers from "./Answers.ts"
import { told } from "./Problems.ts"
import { expectation, tagged, withExpectation } from "./Revisions.ts"

const wrongPassword = (detail: string) =>
  new Problem.Unauthenticated({ status: 401, code: "bad_credentials", title: "Wrong credentials", detail })

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

const quotaView = ({ used, user: { quota } }: { readonly used: Quota.Use; readonly user: Pick<User, "quota"> }) => ({
  quota,
  used,
  exceeded: Quota.exceeded(quota, used)
})

const userView = (report: Accounts.UserReport): Users.User => {
  const { createdAt, disabled, hasPassword, name, role } = report.user
  return { name, role, hasPassword, disabled, createdAt: DateTime.unsafeMake(createdAt), ...quotaView(report) }
}

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

const noContent = Effect.as(HttpServerResponse.empty({ status: 204 }))

const inWords = (time: number) => DateTime.formatIso(DateTime.unsafeMake(time))

const forbidden = (reason: string) => new Errors.NotAllowed({ reason })

/** Whoever shuts themselves out cannot take it back. */
const isAnother = Effect.fnUntraced(function* (name: UserName, what: "disable" | "remove") {
  const { user } = yield* me
  if (user !== name) return
  return yield* told(new Errors.UserConflict({ name, reason: `cannot ${what} themselves: ask another admin to` }))
})

/** From when on the token that asks is worth nothing; null: never, or none asks. */
const worthUntil = Effect.gen(function* () {
  const { tokenId, user } = yield* me
  if (tokenId === null) return null
  const { tokens } = yield* Identity
  return (yield* told(tokens(user))).find(({ id }) => id === tokenId)?.expiresAt ?? null
})

// --- users ----------------------------------------------------------------------------------------------------------

/**
 * Whoever has somebody's session or token must not become that user for good by it: the present password is asked for, and neither a token that may
 * less than its owner is enough, nor, where there is no password to ask for, one that expires.
 */
const mayHavePassword = Effect.fnUntraced(function* (name: UserName, current: Redacted.Redacted | undefined) {
  const { isPassword } = yield* Identity
  const { role, user } = yield* me
  if (role === "admin") return
  if (user !== name) return yield* told(forbidden("only an admin can set the password of somebody else"))
  const own = yield* told(Accounts.named(name))
  if (own.role !== role) {
    return yield* told(
      forbidden(`a token with the role ${role} cannot set the password of a user with the role ${own.role}`)
    )
  }
  const until = own.hasPassword ? null : yield* worthUntil
  if (until !== null) {
    return yield* told(
      forbidden(
        `a token that expires cannot set a first password, and this one expires ${inWords(until)}: ask an admin to`
      )
    )
  }
  if (own.hasPassword && (current === undefined || !(yield* isPassword(name, current)))) {
    return yield* wrongPassword("current is not the present password")
  }
})

const users = HttpApiBuilder.group(api, "users", (handlers) =>
  Effect.gen(function* () {
    const identity = yield* Identity
    const { decide, made } = yield* Answers.make
    const shown = (user: User) => Effect.map(Accounts.report(user), userView)
    const one = (user: User) => Effect.zipRight(tagged(Revision.ofUser(user)), shown(user))
    return handlers
      .handle("listUsers", () => told(Effect.map(Accounts.reports, (all) => ({ items: all.map(userView) }))))
      .handle("createUser", (asked) => {
        const { name, password } = asked.payload
        // a password is kept as its hash only: whether it is the same one is found out by that
        const again = Effect.fnUntraced(function* (id: string, key: string) {
          // somebody of that name who was removed: whoever has it now is another
          if (id !== name) return null
          const user = yield* Effect.catchTag(Accounts.named(name), "UserNotFound", () => Effect.succeed(null))
          const same = user === null || password === undefined || (yield* identity.isPassword(name, password))
          return same ? user : yield* new Errors.KeyReused({ key })
        })
        return told(decide(asked, made(asked, Accounts.createUser(asked.payload), again), Effect.flatMap(shown)))
      })
      .handle("getUser", ({ path }) => told(Effect.flatMap(Accounts.named(path.name), one)))
      .handle("changeUser", (asked) =>
        Effect.gen(function* () {
          if (asked.payload.disabled === true) yield* isAnother(asked.path.name, "disable")
          const change = withExpectation(asked, (expect) => Accounts.changeUser(asked.path.name, asked.payload, expect))
          return yield* told(decide(asked, change, Effect.flatMap(one)))
        })
      )
      .handle("setPassword", (asked) =>
        Effect.gen(function* () {
          const { current, password } = asked.payload
          yield* mayHavePassword(asked.path.name, current)
          const change = withExpectation(asked, (expect) => Accounts.changeUser(asked.path.name, { password }, expect))
          return yield* told(decide(asked, change, noContent))
        })
      )
      .handle("removeUser", (asked) =>
        Effect.gen(function* () {
          yield* isAnother(asked.path.name, "remove")
          const removal = withExpectation(asked, (expect) => Accounts.removeUser(asked.path.name, expect))
          return yield* told(decide(asked, removal, noContent))
        })
      )
  })
)

// --- tokens ---------------------------------------------------------------------------------------------------------

/** One's own; an admin sees anybody's. */
const tokenOf = Effect.fnUntraced(function* (id: TokenId, { role, user }: Principal) {
  const { tokens } = yield* Identity
  const token = (yield* tokens(role === "admin" ? undefined : user)).find((one) => one.id === id)
  return token ?? (yield* new Errors.TokenNotFound({ tokenId: id }))
})

/** All that the new token will be, as far as whoever asks may have it. */
const tokenToBe = Effect.fnUntraced(function* ({ expiresAt, name, owner, role }: Tokens.NewToken) {
  const identity = yield* Identity
  const mine = yield* me
  const whose = owner ?? mine.user
  if (owner === undefined && whose === localUser) {
    const nobody = (yield* told(identity.users)).length === 0
    return yield* told(
      new Errors.InvalidArgument({
        field: "owner",
        problem: "is missing",
        expected: nobody
          ? "the name of a user, and there is none yet: create one with POST /api/v1/users"
          : "the name of the user whose the token will be, since you are signed in as none"
      })
    )
  }
  if (whose !== mine.user && mine.role !== "admin") {
    return yield* told(forbidden("only an admin can make tokens for somebody else"))
  }
  // a role that nobody said must not be too much for the owner
  const as = role ?? (whose === mine.user ? mine.role : lesser(mine.role, (yield* told(Accounts.named(whose))).role))
  if (!allows(mine.role, as)) {
    return yield* told(
      forbidden(`${mine.user} asks with the role ${mine.role}, so the new token cannot have the role ${as}`)
    )
  }
  // else one that was to be good for an hour would be so for ever
  const until = yield* worthUntil
  const said = expiresAt === undefined ? until : expiresAt === null ? null : DateTime.toEpochMillis(expiresAt)
  if (until !== null && (said === null || said > until)) {
    return yield* told(
      forbidden(
        `${mine.user} asks with a token that expires ${inWords(until)}, so the new token cannot be good for longer: say an expiresAt that is no later, or none`
      )
    )
  }
  return { name, owner: whose, role: as, expiresAt: said }
})

const tokens = HttpApiBuilder.group(api, "tokens", (handlers) =>
  Effect.gen(function* () {
    const identity = yield* Identity
    const { decide, sealed } = yield* Answers.make
    const secrets = Told.make<NewToken>()
    const named = (id: string) =>
      Effect.map(identity.tokens(), (all) => {
        const token = all.find((one) => String(one.id) === id)
        return token === undefined
          ? null
          : { made: `token ${id} (${token.name}) of ${token.owner}`, instead: "remove that token and make another" }
      })
    return handlers
      .handle("listTokens", ({ urlParams }) =>
        Effect.gen(function* () {
          const { role, user } = yield* me
          const { owner = role === "admin" ? undefined : user } = urlParams
          if (owner !== undefined && owner !== user && role !== "admin") {
            return yield* told(forbidden("only an admin can list the tokens of somebody else: list them without owner"))
          }
          return { items: (yield* told(identity.tokens(owner))).map(tokenView) }
        })
      )
      .handle("getToken", ({ path }) =>
        Effect.flatMap(me, (mine) =>
          told(
            Effect.flatMap(tokenOf(path.id, mine), (token) =>
              Effect.as(tagged(Revision.ofToken(token)), tokenView(token))
            )
          )
        )
      )
      .handle("createToken", (asked) =>
        Effect.flatMap(tokenToBe(asked.payload), (token) =>
          told(
            decide(
              asked,
              sealed(asked, secrets, Accounts.createToken(token), (made) => String(made.token.id), named),
              Effect.map((made) => ({ ...tokenView(made.token), secret: made.secret }))
            )
          )
        )
      )
      .handle("removeToken", (asked) =>
        Effect.flatMap(me, (mine) => {
          const { id } = asked.path
          const { role, user } = mine
          const remove = Effect.gen(function* () {
            const expect = yield* expectation(asked.headers["if-match"])
            const token = yield* tokenOf(id, mine)
            if (!allows(role, token.role)) {
              return yield* forbidden(`${user} asks with the role ${role}, and token ${id} has the role ${token.role}`)
            }
            yield* Accounts.removeToken(id, expect)
          })
          return told(decide(asked, remove, noContent))
        })
      )
  })
)

// --- session --------------------------------------------------------------------------------------------------------

const whoAmI = () =>
  Effect.gen(function* () {
    const mine = yield* me
    const own = yield* told(
      Effect.catchTag(Accounts.named(mine.user), "UserNotFound", () => Effect.succeed({ quota: Quota.unlimited }))
    )
    const { use } = yield* Inventory
    return { ...mine, ...quotaView({ user: own, used: yield* told(use(mine.user)) }) }
  })

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

const signIn = ({ payload }: { readonly payload: Session.SignIn }) =>
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
  }).pipe(Effect.catchTag("PersistenceError", (error) => told(error)))

const signOut = () =>
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
  }).pipe(told)

// --- audit ----------------------------------------------------------------------------------------------------------

const lineView = ({ time, ...entry }: AuditEntry): Audit.AuditLine => ({ ...entry, time: DateTime.unsafeMake(time) })

const listAudit = ({
  urlParams: { before = null, limit = Audit.page.usual }
}: {
  readonly urlParams: { readonly before?: number | null; readonly limit?: number }
}) =>
  Effect.gen(function* () {
    const { audited } = yield* Identity
    const found = yield* audited({ before, limit: limit + 1 })
    const items = found.slice(0, limit).map(lineView)
    return { items, next: found.length > limit ? (items.at(-1)?.id ?? null) : null }
  }).pipe(told)

/** @since 0.8.0 @category layers */
export const layer = Layer.mergeAll(
  HttpApiBuilder.group(api, "session", (handlers) =>
    handlers.handle("whoAmI", whoAmI).handle("signIn", signIn).handle("signOut", signOut)
  ),
  users,
  tokens,
  HttpApiBuilder.group(api, "audit", (handlers) => handlers.handle("listAudit", listAudit))
)
