/**
 * What stands before every route: whether the request was meant for this controller, who it is from, what they may, how often, and the
 * record of it.
 *
 * @since 0.4.0
 */
import * as Headers from "@effect/platform/Headers"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { IncomingMessage } from "node:http"
import { isIPv6 } from "node:net"
import { CurrentPrincipal } from "../api/Access.ts"
import * as Problem from "../api/Problem.ts"
import { cookieName } from "../api/Session.ts"
import type { PersistenceError } from "../domain/Errors.ts"
import { allows, localUser, type Principal, type Role } from "../domain/Identity.ts"
import { Asker } from "../fabric/Asker.ts"
import { Author } from "../services/Author.ts"
import { Identity } from "../services/Identity.ts"
import * as Connection from "./Connection.ts"
import { Limits, sourceOf } from "./Limits.ts"
import type { Need } from "./Needs.ts"
import * as Gui from "./Gui.ts"
import * as Secrets from "./Secrets.ts"

/** @since 0.4.0 @category models */
export interface Options {
  readonly needs: (method: string, url: string) => Need
  /** whether only this machine can connect */
  readonly loopback: boolean
  /** names, beside the addresses, by which clients may call this controller; in lower case */
  readonly publicNames: ReadonlyArray<string>
  /** requests a second that one user may make, twice as many at once */
  readonly rateLimit: number
}

// --- answers --------------------------------------------------------------------------------------------------------

/** What is looked at of a request. */
interface Request extends Pick<HttpServerRequest.HttpServerRequest, "cookies" | "headers" | "url"> {
  readonly method: string
  readonly source: unknown
}
type Response = HttpServerResponse.HttpServerResponse

/** Routes whose failures are problems; all others have `{…,"error":…}`. @since 0.5.0 @category predicates */
export const hasProblems = (url: string): boolean => /^(?:https?:\/\/[^/]*)?\/+api\//i.test(url)

/** Whose request it is that is refused, as far as the answer depends on it. */
interface Refused extends Pick<Request, "url">, Pick<Need, "failed"> {}

const Refusal = Schema.Union(Problem.Unauthenticated, Problem.Forbidden, Problem.TooManyRequests, Problem.Unavailable)
const encodeRefusal = Schema.encodeSync(Refusal)

/** Old clients read only the body, and look in it for what a failure of their route is documented to have. */
const answer = (
  { failed, url }: Refused,
  problem: { readonly status: number; readonly detail: string },
  headers: Record<string, string> = {}
): Response => {
  const text = hasProblems(url) ? JSON.stringify(problem) : JSON.stringify({ ...failed, error: problem.detail })
  return HttpServerResponse.raw(text, {
    status: problem.status,
    headers,
    contentType: hasProblems(url) ? "application/problem+json" : "application/json",
    contentLength: Buffer.byteLength(text)
  })
}

const refusedAs = ({ url }: Request, { failed }: Need): Refused => ({ url, failed })

const misdirection = (detail: string) => ({
  _tag: "Misdirected",
  status: 421,
  code: "unknown_host",
  title: "Not this controller's name",
  detail
})

const misdirected = (refused: Refused, detail: string): Response =>
  // no client of the API meets it, so it is none of its errors
  answer(refused, misdirection(detail))

const foreignOrigin = (refused: Refused, detail: string): Response =>
  answer(
    refused,
    encodeRefusal(
      new Problem.Forbidden({ status: 403, code: "foreign_origin", title: "From another site's page", detail })
    )
  )

const unauthenticated = (refused: Refused, wrong: boolean): Response =>
  answer(
    refused,
    encodeRefusal(
      new Problem.Unauthenticated({
        status: 401,
        code: wrong ? "bad_credentials" : "unauthenticated",
        title: wrong ? "Wrong credentials" : "Not signed in",
        detail: wrong
          ? "the Authorization header holds no token that is good now: it is mistyped, was removed or has expired"
          : "who asks is not known: send a token as Authorization: Bearer TOKEN, or sign in with POST /api/v1/session"
      })
    ),
    { "www-authenticate": 'Bearer realm="vmfabric"' }
  )

/** The original's routes change things by GET, and so HEAD, which is said to be safe, would. */
const notByHead = (refused: Refused): Response =>
  answer(
    refused,
    { status: 405, detail: "this changes something, which is not done by HEAD: use GET or POST" },
    {
      allow: "GET, POST"
    }
  )

const notAllowed = (refused: Refused, { role, user }: Principal, needed: Role): Response =>
  answer(
    refused,
    encodeRefusal(
      new Problem.Forbidden({
        status: 403,
        code: "not_allowed",
        title: "Not allowed",
        detail: `this needs the role ${needed}, and ${user} asks with the role ${role}`
      })
    )
  )

const tooMany = (refused: Refused, retryAfter: number, what: string): Response =>
  answer(
    refused,
    encodeRefusal(
      new Problem.TooManyRequests({
        status: 429,
        code: "rate_limited",
        title: "Too many requests",
        detail: `${what}: go on in ${retryAfter} s`,
        retryAfter
      })
    ),
    { "retry-after": String(retryAfter) }
  )

const unavailable = (refused: Refused, detail: string): Response =>
  answer(
    refused,
    encodeRefusal(new Problem.Unavailable({ status: 503, code: "database", title: "The database fails", detail }))
  )

// --- meant for this controller --------------------------------------------------------------------------------------

/** A name or an address in brackets, and a port. */
const hostForm = /^(\[[0-9a-f:.]+\]|[^:[\]/?#@\\\s]+)(?::[0-9]{1,5})?$/i

/** How a URL writes the address. */
const literal = (address: string): string =>
  isIPv6(address) ? new URL(`http://[${address.split("%")[0] ?? ""}]`).hostname : address

const local = ["localhost", "127.0.0.1", "[::1]"]

/**
 * A page of some site can have that site's name lead to our address (DNS rebinding), and then its scripts are of our origin. What they cannot
 * do is to call us by a name of ours.
 */
const strangeHost = (
  request: Request,
  need: Need,
  connection: Connection.Connection,
  { loopback, publicNames }: Options
): Response | null => {
  const { host = "" } = request.headers
  const name = hostForm.exec(host)?.[1]?.toLowerCase()
  if (name !== undefined) {
    if ((loopback || Connection.isLoopback(connection.local)) && local.includes(name)) return null
    if (publicNames.includes(name) || (connection.local !== "" && name === literal(connection.local))) return null
  }
  const shown = (name ?? host).slice(0, 80)
  return misdirected(
    refusedAs(request, need),
    name === undefined
      ? `the Host header ${JSON.stringify(shown)} names no host`
      : `this controller does not answer to the name ${shown}: if that is its own, start it with --public-name ${shown}`
  )
}

/** Whether that is the origin of the pages this controller serves, as far as the request's own Host header tells, which has been checked. */
const isOwn = (origin: string, host: string, secure: boolean): boolean => {
  if (!URL.canParse(origin)) return false
  const { host: theirs, protocol } = new URL(origin)
  // without TLS here there may be a proxy with TLS in front
  if (protocol !== "https:" && (secure || protocol !== "http:")) return false
  return theirs === new URL(`${protocol}//${host}`).host
}

const ofGui = new RegExp(`^${Gui.prefix}(?:[/?]|$)`)

/** Somebody who follows a link to the web interface: its files are the same for everybody and change nothing, and no other page can read them or frame them. */
const leadsToGui = ({ headers, method, url }: Request): boolean =>
  (method === "GET" || method === "HEAD") &&
  headers["sec-fetch-mode"] === "navigate" &&
  headers["sec-fetch-dest"] === "document" &&
  headers["origin"] === undefined &&
  ofGui.test(url)

/** Other sites' pages may not even GET: the original's routes change things by it. Programs that are no browsers send none of this. */
const fromForeignPage = (request: Request, need: Need, connection: Connection.Connection): Response | null => {
  const { headers } = request
  if (leadsToGui(request)) return null
  const site = headers["sec-fetch-site"]
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    return foreignOrigin(
      refusedAs(request, need),
      "the request comes from another site's page, or by a link there: type the address instead"
    )
  }
  const origin = headers["origin"] ?? (site === undefined ? headers["referer"] : undefined)
  if (origin === undefined || isOwn(origin, headers["host"] ?? "", connection.secure)) return null
  return foreignOrigin(
    refusedAs(request, need),
    `the request comes from a page of ${JSON.stringify(origin.slice(0, 80))}, which is not this controller's: ` +
      "a proxy in front of it has to pass the Host header on"
  )
}

// --- who ------------------------------------------------------------------------------------------------------------

/** Null: nobody that is known; wrong: they said who, and it is not true. */
type Who = Principal | null | "wrong"

const localAdmin: Principal = { user: localUser, role: "admin", via: "loopback", tokenId: null }

const proxyHeaders = new Set(["forwarded", "via", "x-real-ip"])

/** Somebody else's request may come from this machine by a proxy. */
const byProxy = (headers: Request["headers"]): boolean => {
  for (const name in headers) if (proxyHeaders.has(name) || name.startsWith("x-forwarded-")) return true
  return false
}

const bearer = /^bearer +([\x21-\x7e]{1,512})$/i

const orWrong = Option.getOrElse((): Who => "wrong")

/** Undefined: the request names nobody, so it depends on where it comes from. */
const named = (request: Request, identity: Identity["Type"]): Effect.Effect<Who, PersistenceError> | undefined => {
  const { authorization, cookie } = request.headers
  if (authorization !== undefined) {
    const token = bearer.exec(authorization)?.[1]
    return token === undefined ? Effect.succeed("wrong") : Effect.map(identity.byToken(Redacted.make(token)), orWrong)
  }
  const session = cookie === undefined ? undefined : request.cookies[cookieName]
  return session === undefined ? undefined : Effect.map(identity.bySession(Redacted.make(session)), Option.getOrNull)
}

const onThisMachine = (
  { headers }: Request,
  { remote }: Connection.Connection,
  { loopback }: Options,
  identity: Identity["Type"]
): Effect.Effect<Who, PersistenceError> =>
  loopback && Connection.isLoopback(remote) && !byProxy(headers)
    ? Effect.map(identity.anybody, localUnless)
    : Effect.succeed(null)

const localUnless = (anybody: boolean): Who => (anybody ? null : localAdmin)

const who = (
  request: Request,
  connection: Connection.Connection,
  options: Options,
  identity: Identity["Type"]
): Effect.Effect<Who, PersistenceError> => {
  const known = named(request, identity)
  if (known === undefined) return onThisMachine(request, connection, options, identity)
  // the cookie of a session that has ended is still in the browser, and no wrong word of its user
  return Effect.flatMap(known, (given) =>
    given === null ? onThisMachine(request, connection, options, identity) : Effect.succeed(given)
  )
}

/**
 * Whether whoever sent this would still be let in: their token or session is good and of that role at least (any, unless it is said), and none of them
 * whom nobody knows by name. For answers that go on for long.
 *
 * @since 0.5.0 @category predicates
 */
export const isStillGood = (
  request: Request,
  role: Role = "viewer"
): Effect.Effect<boolean, PersistenceError, Identity> =>
  Effect.flatMap(Identity, (identity) =>
    Effect.flatMap(named(request, identity) ?? Effect.succeed(null), (given) =>
      given === null
        ? Effect.map(identity.anybody, (anybody) => !anybody)
        : Effect.succeed(given !== "wrong" && allows(given.role, role))
    )
  )

// --- the record -----------------------------------------------------------------------------------------------------

const Failed = Schema.parseJson(
  Schema.Struct({ error: Schema.optional(Schema.String), detail: Schema.optional(Schema.String) })
)
const decodeFailed = Schema.decodeUnknownOption(Failed)

/** Why nothing came of it, in the words of the answer; null: it did. */
const failure = ({ body, status }: Response): string | null => {
  const text =
    body._tag === "Raw" && typeof body.body === "string"
      ? body.body
      : body._tag === "Uint8Array"
        ? new TextDecoder().decode(body.body.subarray(0, 65_536))
        : ""
  const said = Option.getOrNull(Option.map(decodeFailed(text), ({ detail, error }) => error ?? detail ?? null))
  const words = said ?? (status >= 400 ? `HTTP ${status}` : null)
  return words === null ? null : Secrets.without(words).slice(0, 500)
}

const clientWentAway = 499

// --- all of it ------------------------------------------------------------------------------------------------------

const notAdmitted = Effect.succeed(false)

/** What handlers and use cases know of whoever asks. @since 0.13.0 @category context */
export const asking = (principal: Principal | null) =>
  Context.make(CurrentPrincipal, principal).pipe(
    Context.add(Asker, principal?.user ?? null),
    Context.add(
      Author,
      principal === null ? null : { user: principal.user, token: principal.tokenName ?? null, cause: null }
    )
  )

const make = (options: Options, identity: Identity["Type"], clock: Clock.Clock) => {
  const { needs, rateLimit } = options
  const rates = new Limits(rateLimit, 2 * rateLimit)
  const wrongTries = new Limits(10 / 60, 10)

  const record = (request: Request, from: string, principal: Principal | null, status: number, failed: string | null) =>
    identity
      .audit({
        user: principal?.user ?? null,
        via: principal?.via ?? null,
        tokenId: principal?.tokenId ?? null,
        from,
        method: request.method,
        path: Secrets.withoutIn(request.url),
        status,
        failed
      })
      // what was done is done, and whoever asked for it has to know
      .pipe(Effect.catchAll((error) => Effect.logError("a change is missing in the audit log", error.message)))

  const recordExit = <E>(
    request: Request,
    from: string,
    principal: Principal | null,
    exit: Exit.Exit<Response, E>
  ): Effect.Effect<void> =>
    exit._tag === "Success"
      ? record(request, from, principal, exit.value.status, failure(exit.value))
      : Effect.flatMap(HttpServerError.causeResponse(exit.cause), ([response]) =>
          record(
            request,
            from,
            principal,
            response.status,
            response.status === clientWentAway ? "the client went away" : failure(response)
          )
        )

  /** Wrong credentials, and what is said to that. */
  const refuseWrong = (request: Request, from: string, need: Need, now: number): Effect.Effect<Response> => {
    const wait = wrongTries.take(sourceOf(from), now)
    if (wait > 0)
      return Effect.succeed(
        tooMany(refusedAs(request, need), wait, "too many wrong credentials came from this address")
      )
    const refused = unauthenticated(refusedAs(request, need), true)
    return need.changes
      ? Effect.as(record(request, from, null, refused.status, "wrong credentials"), refused)
      : Effect.succeed(refused)
  }

  /** Somebody who may, within their limits. */
  const run = <E, R>(
    handler: Effect.Effect<Response, E, R>,
    request: Request,
    from: string,
    principal: Principal | null,
    need: Need,
    now: number
  ): Effect.Effect<Response, E, R> => {
    // what it costs is only spent where it is asked for
    const handled = need.asksWho ? Effect.provide(handler, asking(principal)) : handler
    if (!need.changes && !need.comparesPassword) return handled
    const key = sourceOf(from)
    if (need.comparesPassword) {
      // taken before it is compared: a thousand at once are a thousand tries
      const wait = wrongTries.take(key, now)
      if (wait > 0)
        return Effect.succeed(
          tooMany(refusedAs(request, need), wait, "too many wrong credentials came from this address")
        )
    }
    return Effect.flatMap(Effect.exit(handled), (exit) => {
      if (need.comparesPassword && exit._tag === "Success" && exit.value.status !== 401) wrongTries.giveBack(key)
      // signing in and out says by itself who it was
      return need.role === "nobody" ? exit : Effect.zipRight(recordExit(request, from, principal, exit), exit)
    })
  }

  /** Null: they may, and that was one of the requests that they may make. */
  const refusal = (
    request: Request,
    from: string,
    principal: Principal | null,
    need: Need,
    now: number
  ): Response | null => {
    const { role } = need
    if (principal?.via !== "loopback") {
      const wait = rates.take(principal?.user ?? sourceOf(from), now)
      if (wait > 0) return tooMany(refusedAs(request, need), wait, `more than ${rateLimit} requests a second came`)
    }
    if (request.method === "HEAD" && need.changes && !hasProblems(request.url)) {
      return notByHead(refusedAs(request, need))
    }
    if (role === "nobody") return null
    if (principal === null) return unauthenticated(refusedAs(request, need), false)
    return allows(principal.role, role) ? null : notAllowed(refusedAs(request, need), principal, role)
  }

  const admit = <E, R>(
    handler: Effect.Effect<Response, E, R>,
    request: Request,
    from: string,
    given: Who,
    need: Need,
    now: number
  ): Effect.Effect<Response, E, R> => {
    if (given === "wrong" && need.role !== "nobody") return refuseWrong(request, from, need, now)
    const principal = given === "wrong" ? null : given
    const refused = refusal(request, from, principal, need, now)
    if (refused === null) return run(handler, request, from, principal, need, now)
    return need.changes && refused.status === 403
      ? Effect.as(record(request, from, principal, refused.status, failure(refused)), refused)
      : Effect.succeed(refused)
  }

  /** Every request passes here, so with as few steps as can be. */
  const middleware = <E, R>(handler: Effect.Effect<Response, E, R>) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const connection = Connection.of(request)
      const need = needs(request.method, request.url)
      const refused = strangeHost(request, need, connection, options) ?? fromForeignPage(request, need, connection)
      if (refused !== null) return Effect.succeed(refused)
      return Effect.matchEffect(who(request, connection, options, identity), {
        onFailure: (error) => Effect.succeed(unavailable(refusedAs(request, need), error.message)),
        onSuccess: (given) => admit(handler, request, connection.remote, given, need, clock.unsafeCurrentTimeMillis())
      })
    })

  const admits = (incoming: IncomingMessage): Effect.Effect<boolean, PersistenceError> => {
    const { headers, method = "", url = "" } = incoming
    if (headers.cookie !== undefined) return notAdmitted
    const request: Request = { cookies: {}, headers: Headers.fromInput(headers), method, source: incoming, url }
    const need = needs(method, url)
    if (need.changes || need.comparesPassword) return notAdmitted
    const connection = Connection.of(request)
    if (strangeHost(request, need, connection, options) !== null) return notAdmitted
    if (fromForeignPage(request, need, connection) !== null) return notAdmitted
    return Effect.map(
      who(request, connection, options, identity),
      (given) =>
        given !== null &&
        given !== "wrong" &&
        refusal(request, connection.remote, given, need, clock.unsafeCurrentTimeMillis()) === null
    )
  }

  return { admission: Admission.of({ admits }), middleware }
}

/**
 * Whether a read is let in, at once: for answers that are made before there is a fiber for the request. What is not is asked again by the guard
 * itself, which then answers it: requests with a cookie, all that change something, and all that it refuses.
 *
 * @since 0.9.0 @category services
 */
export class Admission extends Context.Tag("vmfabric/http/Guard/Admission")<
  Admission,
  { readonly admits: (request: IncomingMessage) => Effect.Effect<boolean, PersistenceError> }
>() {}

/** Before every route of the router it is merged with, whether added before or after it. @since 0.4.0 @category layers */
export const layer = (options: Options) =>
  Layer.effect(
    Admission,
    Effect.gen(function* () {
      const router = yield* HttpLayerRouter.HttpRouter
      const { admission, middleware } = make(options, yield* Identity, yield* Effect.clock)
      yield* router.addGlobalMiddleware(middleware)
      return admission
    })
  )
