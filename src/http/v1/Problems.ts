/**
 * What goes wrong, as problem details: each error of the domain, requests that cannot be decoded, and what nobody foresaw.
 *
 * @since 0.4.0
 */
import * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpMethod from "@effect/platform/HttpMethod"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as OpenApi from "@effect/platform/OpenApi"
import { RequestError } from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { BodyOptional } from "../../api/Access.ts"
import { api } from "../../api/Api.ts"
import * as P from "../../api/Problem.ts"
import * as Wording from "../../api/Wording.ts"
import type * as Errors from "../../domain/Errors.ts"
import * as AnyMethod from "../AnyMethod.ts"
import * as Secrets from "../Secrets.ts"
import * as Said from "./Said.ts"

type Missing =
  | Errors.VmNotFound
  | Errors.VolumeNotFound
  | Errors.SnapshotNotFound
  | Errors.HostNotFound
  | Errors.ImageNotFound
  | Errors.InstanceTypeNotFound
  | Errors.OperationNotFound
  | Errors.UserNotFound
  | Errors.TokenNotFound
  | Errors.WebhookNotFound
  | Errors.PlanNotFound
  | Errors.NicNotFound
  | Errors.NetworkNotFound

type Standing =
  | Errors.VmBusy
  | Errors.VmConflict
  | Errors.HostConflict
  | Errors.VmProtected
  | Errors.VolumeBusy
  | Errors.VolumeConflict
  | Errors.NoFeasibleHost
  | Errors.PoolFull
  | Errors.QuotaExceeded
  | Errors.KeyReused
  | Errors.KeySpent
  | Errors.SecretNotKept
  | Errors.NotCancellable
  | Errors.NotRetryable
  | Errors.ImageRefused
  | Errors.UserConflict
  | Errors.OperationFailed
  | Errors.PlanOutdated
  | Errors.PlanMismatch
  | Errors.NicConflict
  | Errors.MacTaken
  | Errors.ConsoleBusy
  | Errors.InstanceTypeConflict
  | Errors.ImageConflict

type Failing = Errors.HostError | Errors.StorageError | Errors.PersistenceError

/** Every error that a use case can fail with. @since 0.4.0 @category models */
export type Known =
  | Errors.InvalidArgument
  | Missing
  | Standing
  | Failing
  | Errors.HasChanged
  | Errors.EventsLost
  | Errors.NotAllowed
  | Errors.TicketRefused

/** The problem that an error is. @since 0.4.0 @category models */
export type Of<E extends Known> = E extends Errors.InvalidArgument
  ? P.InvalidRequest
  : E extends Missing
    ? P.NotFound
    : E extends Standing
      ? P.Conflict
      : E extends Failing
        ? P.Unavailable
        : E extends Errors.HasChanged
          ? P.PreconditionFailed
          : E extends Errors.EventsLost
            ? P.Gone
            : E extends Errors.NotAllowed | Errors.TicketRefused
              ? P.Forbidden
              : never

const invalid = (code: P.InvalidRequest["code"], detail: string, field?: string) =>
  new P.InvalidRequest({
    status: 400,
    code,
    title: {
      invalid_argument: "A parameter cannot be used",
      invalid_body: "The body cannot be used",
      invalid_header: "A header cannot be used"
    }[code],
    detail,
    ...(field === undefined ? {} : { field })
  })

const missing = (code: P.NotFound["code"], title: string, detail: string) =>
  new P.NotFound({ status: 404, code, title, detail })

const conflict = (code: P.Conflict["code"], title: string, detail: string, operation?: string) =>
  new P.Conflict({ status: 409, code, title, detail, ...(operation === undefined ? {} : { operation }) })

/** Seconds after which what does not answer may do so again. */
const retryAfter = 5

const unavailable = (code: P.Unavailable["code"], title: string, detail: string) =>
  new P.Unavailable({ status: 503, code, title, detail, retryAfter })

const isHeader = (field: string) => field === "Idempotency-Key" || field === "If-Match"

/** @since 0.4.0 @category conversions */
export function of<E extends Known>(error: E): Of<E>
export function of(error: Known): P.Problem {
  const { message } = error
  switch (error._tag) {
    case "InvalidArgument":
      return invalid(isHeader(error.field) ? "invalid_header" : "invalid_argument", message, error.field)
    case "VmNotFound":
      return missing("vm_not_found", "There is no such VM", message)
    case "VolumeNotFound":
      return missing("volume_not_found", "There is no such volume", message)
    case "SnapshotNotFound":
      return missing("snapshot_not_found", "There is no such snapshot", message)
    case "HostNotFound":
      return missing("host_not_found", "There is no such host", message)
    case "ImageNotFound":
      return missing("image_not_found", "There is no such image", message)
    case "InstanceTypeNotFound":
      return missing("instance_type_not_found", "There is no such instance type", message)
    case "OperationNotFound":
      return missing("operation_not_found", "There is no such operation", message)
    case "UserNotFound":
      return missing("user_not_found", "There is no such user", message)
    case "TokenNotFound":
      return missing("token_not_found", "There is no such token", message)
    case "WebhookNotFound":
      return missing("webhook_not_found", "There is no such webhook", message)
    case "PlanNotFound":
      return missing("plan_not_found", "There is no such plan", message)
    case "NicNotFound":
      return missing("nic_not_found", "There is no such NIC", message)
    case "NetworkNotFound":
      return missing("network_not_found", "There is no such network", message)
    case "NicConflict":
      return conflict("nic_conflict", "It cannot be done with the VM's NICs", message)
    case "ImageConflict":
      return conflict("image_conflict", "It cannot be done with this image", message)
    case "InstanceTypeConflict":
      return conflict("instance_type_conflict", "It cannot be done with this instance type", message)
    case "MacTaken":
      return conflict("mac_taken", "The address is taken", message)
    case "ConsoleBusy":
      return conflict("console_busy", "Somebody has the console", message)
    case "TicketRefused":
      return new P.Forbidden({
        status: 403,
        code: "ticket_refused",
        title: "The ticket opens nothing",
        detail: message
      })
    case "PlanOutdated":
      if (error.applied === true) return conflict("plan_applied", "The plan has been applied already", message)
      return new P.Conflict({
        status: 409,
        code: "plan_outdated",
        title: "The world is not as it was planned",
        detail: message,
        moved: error.moved
      })
    case "PlanMismatch":
      return conflict("plan_mismatch", "The plan is of another request", message)
    case "VmBusy":
      return conflict("vm_busy", "The VM is busy", message, error.operationId)
    case "VmProtected":
      return conflict("vm_protected", "The VM is protected", message)
    case "VmConflict":
      return conflict("vm_conflict", "The VM's state does not allow it", message)
    case "HostConflict":
      return conflict("host_conflict", "It cannot be done with this host", message)
    case "VolumeBusy":
      return conflict("volume_busy", "The volume is busy", message, error.operationId)
    case "VolumeConflict":
      return conflict("volume_conflict", "The volume's state does not allow it", message)
    case "NoFeasibleHost":
      return new P.Conflict({
        status: 409,
        code: "no_feasible_host",
        title: "No host can take it",
        detail: error.sentence,
        ...(error.why === undefined ? {} : { refusal: { problem: error.problem, ...error.why } })
      })
    case "PoolFull":
      return conflict("pool_full", "The pool has no room", message)
    case "QuotaExceeded":
      return new P.Conflict({
        status: 409,
        code: "quota_exceeded",
        title: "The quota does not allow it",
        detail: message,
        short: error.short
      })
    case "KeyReused":
      return conflict("key_reused", "The key was used before", message)
    case "KeySpent":
      return conflict("key_spent", "What it made is there no more", message)
    case "SecretNotKept":
      return conflict("secret_not_kept", "The secret is not kept", message)
    case "NotCancellable":
      return conflict("not_cancellable", "The operation cannot be cancelled", message, error.operationId)
    case "NotRetryable":
      return conflict("not_retryable", "The operation cannot be retried", message, error.by ?? error.operationId)
    case "ImageRefused":
      return conflict("image_refused", "The image cannot be used", message)
    case "UserConflict":
      return conflict("user_conflict", "It cannot be done with this user", message)
    case "OperationFailed":
      return conflict("operation_failed", "An operation stands in the way", message, error.operationId)
    case "HasChanged":
      return new P.PreconditionFailed({
        status: 412,
        code: "has_changed",
        title: "It has changed since it was read",
        detail: message
      })
    case "EventsLost":
      return new P.Gone({
        status: 410,
        code: "events_lost",
        title: error.isAhead ? "The cursor is of another log" : "Events are no longer kept",
        detail: message
      })
    case "NotAllowed":
      return new P.Forbidden({ status: 403, code: "not_allowed", title: "It is not allowed", detail: message })
    case "HostUnreachable":
      return unavailable("host_unreachable", "The host does not answer", message)
    case "HostFailure":
      return unavailable("host_failed", "The host fails", message)
    case "StorageUnreachable":
      return unavailable("storage_unreachable", "The storage does not answer", message)
    case "StorageFailure":
      return unavailable("storage_failed", "The storage fails", message)
    case "PersistenceError":
      return error.lasting === true
        ? new P.Unavailable({ status: 503, code: "database", title: "The database fails", detail: message })
        : unavailable("database", "The database fails", message)
  }
}

/** Whatever a use case fails with becomes its problem. @since 0.4.0 @category combinators */
export const told = <A, E extends Known, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, Of<E>, R> =>
  Effect.mapError(effect, (error) => of(error))

const encode = Schema.encodeSync(P.Problem)

/** @since 0.4.0 @category conversions */
export const respond = (problem: P.Problem): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(JSON.stringify(encode(problem)), {
    status: problem.status,
    contentType: P.contentType,
    ...(problem.retryAfter === undefined ? {} : { headers: { "retry-after": String(problem.retryAfter) } })
  })

// ------------------------------------------------------------------------------------- requests that cannot be decoded

/** Much more than any valid body has. */
const maxBody = 1024 * 1024

const tooLarge = new P.TooLarge({
  status: 413,
  code: "body_too_large",
  title: "The body is too large",
  detail: "the body has more than 1 MiB: send less"
})

type Endpoint = HttpApiEndpoint.HttpApiEndpoint<string, HttpMethod.HttpMethod>

/** By method and path. */
const endpoints = new Map<string, Endpoint>()
HttpApi.reflect(api, {
  onGroup: () => undefined,
  onEndpoint: ({ endpoint }) => void endpoints.set(`${endpoint.method} ${endpoint.path}`, endpoint)
})

const current = Effect.map(HttpRouter.RouteContext, ({ route }) => endpoints.get(`${route.method} ${route.path}`))

/** What the request's endpoint is for, in a few words. @since 0.5.0 @category getters */
export const summary = Effect.map(current, (endpoint) =>
  endpoint === undefined ? "" : Option.getOrElse(Context.getOption(endpoint.annotations, OpenApi.Summary), () => "")
)

/** What its body says, by which it is compared with another one of the same endpoint. @since 0.11.0 @category getters */
export const said = (payload: unknown) =>
  Effect.map(current, (endpoint) =>
    endpoint === undefined || Option.isNone(endpoint.payloadSchema)
      ? payload
      : Said.of(endpoint.payloadSchema.value.ast, payload)
  )

const has = (schema: Option.Option<Schema.Schema.All>, field: string) =>
  Option.exists(schema, ({ ast }) => {
    const encoded = AST.encodedAST(ast)
    return AST.isTypeLiteral(encoded) && encoded.propertySignatures.some(({ name }) => name === field)
  })

const queryOf = (url: string): URLSearchParams =>
  new URLSearchParams(url.includes("?") ? url.slice(url.indexOf("?") + 1) : "")

/** One sentence about the first of what is wrong. */
const undecodable = (
  { issues }: HttpApiDecodeError,
  endpoint: Endpoint | undefined,
  query: URLSearchParams
): P.InvalidRequest => {
  const wrong = Wording.of(issues)
  if (wrong === undefined) return invalid("invalid_argument", "the request cannot be understood")
  const { detail, field, isUnexpected, path } = wrong
  const [first] = path
  if (first === undefined) return invalid("invalid_body", detail)
  if (endpoint !== undefined) {
    if (!isUnexpected && has(endpoint.headersSchema, first)) return invalid("invalid_header", detail, field)
    const ofUrl = has(endpoint.urlParamsSchema, first) || has(endpoint.pathSchema, first)
    // what the URL's schemas know is not what they did not expect: of that name there is something in the body then
    if (isUnexpected ? !ofUrl && query.has(first) : ofUrl) {
      return invalid("invalid_argument", detail, field)
    }
    if (Option.isSome(endpoint.payloadSchema)) return invalid("invalid_body", detail, field)
  }
  return invalid("invalid_argument", detail, field)
}

const unreadable = ({ cause, reason }: RequestError): P.Problem | undefined => {
  if (reason !== "Decode") return undefined
  return cause instanceof SyntaxError
    ? invalid("invalid_body", `the body is not JSON: ${cause.message}`)
    : String(cause).includes("maxBytes")
      ? tooLarge
      : invalid("invalid_body", "the body cannot be read")
}

const internal = new P.Internal({
  status: 500,
  code: "internal",
  title: "Nobody foresaw this",
  detail: "internal error: the controller's log says more"
})

const bytes = "application/octet-stream"

/** A body of bytes, as many as come: its handler takes them one after the other. */
const takesBytes = (endpoint: Endpoint | undefined): boolean =>
  endpoint !== undefined &&
  Option.exists(endpoint.payloadSchema, ({ ast }) => HttpApiSchema.getEncoding(ast).kind === "Uint8Array")

const isBodyRefused = (
  request: HttpServerRequest.HttpServerRequest,
  endpoint: Endpoint | undefined
): P.Problem | undefined => {
  if (takesBytes(endpoint)) {
    return (request.headers["content-type"] ?? "").toLowerCase() === bytes
      ? undefined
      : invalid("invalid_header", `Content-Type: expected ${bytes}`, "Content-Type")
  }
  if (Number(request.headers["content-length"] ?? 0) > maxBody) return tooLarge
  const type = request.headers["content-type"] ?? ""
  return /^application\/json\s*(;|$)/i.test(type)
    ? undefined
    : invalid("invalid_header", "Content-Type: expected application/json", "Content-Type")
}

/** Once: it is not kept. What cannot be read is told as wherever else a body is read. */
const bytesOf = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.map(
    Effect.orDie(HttpIncomingMessage.withMaxBodySize(request.arrayBuffer, Option.some(maxBody))),
    (body) => new Uint8Array(body)
  )

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })

/** The request with the body that was read of it, for whoever decodes it: its `json` is made of its `text`. */
const withText = (request: HttpServerRequest.HttpServerRequest, text: string): HttpServerRequest.HttpServerRequest =>
  new Proxy(request, {
    get: (target, name, receiver): unknown =>
      name === "text" ? Effect.succeed(text) : Reflect.get(target, name, receiver)
  })

const noBody = invalid("invalid_body", "this request takes no body: send it without")

/** More than anything that is asked for has; what decodes and tells is recursive. */
const deepest = 64

const tooDeep = invalid("invalid_body", `the body has lists or objects in each other, more than ${deepest} of them`)

/** It would be lost where the body is decoded. */
const noName = invalid("invalid_body", "the body has something under the name __proto__, which nothing may have")

/** Whether a text, as JSON, has more in each other than that. */
const isTooDeep = (text: string): boolean => {
  let depth = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (quoted) {
      if (c === 0x5c) i++
      else if (c === 0x22) quoted = false
    } else if (c === 0x22) quoted = true
    else if (c === 0x5b || c === 0x7b) {
      if (++depth > deepest) return true
    } else if (c === 0x5d || c === 0x7d) depth--
  }
  return false
}

/** Most characters that are said of a name in it. */
const shownOfName = 80

/** An object or a list within a text that is JSON. */
interface Inside {
  /** where it is, as in `nics.0.` */
  readonly at: string
  /** what it has had; null: a list has none */
  readonly names: Set<string> | null
  /** whether the next string is a name */
  isNameNext: boolean
  /** the name of what comes next, or in a list its number */
  step: string | number
}

const parsed = Option.liftThrowable((text: string): unknown => JSON.parse(text))

const endOfString = (text: string, start: number): number => {
  let end = start + 1
  while (end < text.length && text.charCodeAt(end) !== 0x22) end += text.charCodeAt(end) === 0x5c ? 2 : 1
  return end
}

/** What a text, as JSON, has twice in one object, of which JSON.parse would take the last without a word; undefined: nothing, as far as it is JSON. */
const twiceIn = (text: string): { readonly name: string; readonly field: string } | undefined => {
  const open: Array<Inside> = []
  for (let i = 0; i < text.length; i++) {
    const inside = open.at(-1)
    switch (text[i]) {
      case '"': {
        const end = endOfString(text, i)
        if (inside?.names && inside.isNameNext) {
          const quoted = text.slice(i, end + 1)
          // one name can be written in several ways
          const name = quoted.includes("\\") ? Option.getOrUndefined(parsed(quoted)) : quoted.slice(1, -1)
          if (typeof name !== "string") return undefined
          if (inside.names.has(name)) return { name, field: `${inside.at}${name}` }
          inside.names.add(name)
          inside.step = name
          inside.isNameNext = false
        }
        i = end
        break
      }
      case "{":
      case "[": {
        const isObject = text[i] === "{"
        const at = inside === undefined ? "" : `${inside.at}${inside.step}.`
        open.push({ at, names: isObject ? new Set() : null, isNameNext: isObject, step: 0 })
        break
      }
      case ",":
        if (inside === undefined) return undefined
        if (typeof inside.step === "number") inside.step += 1
        inside.isNameNext = inside.names !== null
        break
      case "}":
      case "]":
        open.pop()
    }
  }
  return undefined
}

const twice = ({ field, name }: { readonly name: string; readonly field: string }) =>
  invalid(
    "invalid_body",
    `the body has ${JSON.stringify(name.slice(0, shownOfName))} twice in one object, of which only the last would be taken: give it once`,
    field.slice(0, 2 * shownOfName)
  )

/** JSON begins with two characters of ASCII, or is one: as UTF-16, one byte of each is 0. */
const isUtf16 = (text: string): boolean => /^(?:\u0000[^\u0000]|[^\u0000]\u0000|\ufffd\ufffd)/.test(text)

const utf16 = invalid("invalid_body", "the body is not in UTF-8 (it seems to be UTF-16): send it in UTF-8")

/** What stands in a decoded text for bytes that are no UTF-8, and for itself. */
const replacement = "\ufffd"
const replacementBytes = Buffer.from(replacement)

/** From which byte on a body, counted from 0, is no UTF-8; undefined: all of it is. */
const notUtf8At = (body: Uint8Array, text: string): number | undefined => {
  let at = 0
  for (const between of text.split(replacement).slice(0, -1)) {
    at += Buffer.byteLength(between)
    if (replacementBytes.compare(body.subarray(at, at + replacementBytes.length)) !== 0) return at
    at += replacementBytes.length
  }
  return undefined
}

const notUtf8 = (at: number, byte = 0) =>
  invalid(
    "invalid_body",
    `the body is not in UTF-8 at byte offset ${at} (0x${byte.toString(16).padStart(2, "0")}): send it in UTF-8`
  )

const failed = Effect.fnUntraced(function* (cause: Cause.Cause<HttpLayerRouter.unhandled>) {
  if (Cause.isInterruptedOnly(cause)) return yield* Effect.failCause(cause)
  const error = Cause.squash(cause)
  const { method, url } = yield* HttpServerRequest.HttpServerRequest
  if (error instanceof HttpApiDecodeError) return respond(undecodable(error, yield* current, queryOf(url)))
  const problem = error instanceof RequestError ? unreadable(error) : undefined
  if (problem !== undefined) return respond(problem)
  yield* Effect.annotateLogs(Effect.logError("a request failed unexpectedly", cause), {
    method,
    path: url.split("?")[0] ?? ""
  })
  return respond(internal)
})

/** What the query asks for and the endpoint does not know: one that is only to be planned must not be done because nobody here plans it. */
const isQueryRefused = (url: string, endpoint: Endpoint | undefined): P.Problem | undefined => {
  if (!url.includes("?") || endpoint === undefined || has(endpoint.urlParamsSchema, "plan")) return undefined
  const query = queryOf(url)
  const asked = ["plan", "plan_id"].find((name) => query.has(name))
  if (asked === undefined) {
    // those with parameters refuse others by themselves
    const [unknown] = Option.isNone(endpoint.urlParamsSchema) ? query.keys() : []
    return unknown === undefined
      ? undefined
      : invalid("invalid_argument", `${unknown.slice(0, 80)} is not known here`, unknown.slice(0, 80))
  }
  return invalid(
    "invalid_argument",
    `${asked}: this request cannot be planned; nothing was done, send it without`,
    asked
  )
}

/** What is only to be done to one as it was read must not be done to whatever it is now because nobody here compares. */
const isConditionRefused = (
  { headers, method }: HttpServerRequest.HttpServerRequest,
  endpoint: Endpoint | undefined
): P.Problem | undefined =>
  headers["if-match"] === undefined ||
  method === "GET" ||
  endpoint === undefined ||
  has(endpoint.headersSchema, "if-match")
    ? undefined
    : invalid(
        "invalid_header",
        "If-Match: this request compares no ETag; nothing was done, send it without",
        "If-Match"
      )

const decodeWait = Schema.decodeUnknownOption(Schema.parseJson(Schema.Struct({ retryAfter: Schema.Int })))

/**
 * An endpoint's own problems are encoded by its schema, which knows of no headers: they say what the body says. Of what lasts until somebody mends it, such
 * as a disk that is full, it says nothing, for there is no use in trying again.
 */
const withRetryAfter = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
  const { body, headers, status } = response
  if (status !== 503 || headers["retry-after"] !== undefined || body._tag !== "Uint8Array") return response
  return Option.match(decodeWait(new TextDecoder().decode(body.body)), {
    onNone: () => response,
    onSome: ({ retryAfter }) => HttpServerResponse.setHeader(response, "retry-after", String(retryAfter))
  })
}

/**
 * Around every endpoint of the API: bodies are bounded and JSON, and whatever the endpoint itself has no words for is a problem, too.
 *
 * @since 0.4.0 @category layers
 */
export const middleware = HttpLayerRouter.middleware((endpoint) => {
  const told = Effect.map(endpoint, withRetryAfter)
  const bounded = HttpIncomingMessage.withMaxBodySize(told, Option.some(maxBody))
  const given = (request: HttpServerRequest.HttpServerRequest, text: string) =>
    Effect.provideService(told, HttpServerRequest.HttpServerRequest, withText(request, text))
  const withBody = Effect.fnUntraced(function* (
    request: HttpServerRequest.HttpServerRequest,
    asked: Endpoint | undefined
  ) {
    if (asked === undefined) return yield* bounded
    if (Option.isNone(asked.payloadSchema)) {
      const nothing = /^(?:\s*\{\s*\}\s*)?$/.test(utf8.decode(yield* bytesOf(request)))
      return nothing ? yield* told : respond(noBody)
    }
    const refused = isBodyRefused(request, asked)
    const optional = Context.get(asked.annotations, BodyOptional)
    // nobody need say what a body is that is not there
    if (refused !== undefined && (refused === tooLarge || !optional)) return respond(refused)
    if (takesBytes(asked)) return yield* bounded
    const body = yield* bytesOf(request)
    if (optional && body.length === 0) return yield* given(request, "{}")
    if (refused !== undefined) return respond(refused)
    const text = utf8.decode(body)
    if (isUtf16(text)) return respond(utf16)
    const wrong = notUtf8At(body, text)
    if (wrong !== undefined) return respond(notUtf8(wrong, body[wrong]))
    if (isTooDeep(text)) return respond(tooDeep)
    if (/"__proto__"\s*:/.test(text)) return respond(noName)
    const again = twiceIn(text)
    return again === undefined ? yield* given(request, text) : respond(twice(again))
  })
  // most requests have no body: with as few steps as can be
  return Effect.catchAllCause(
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Effect.flatMap(current, (asked) => {
        const refused = isQueryRefused(request.url, asked) ?? isConditionRefused(request, asked)
        if (refused !== undefined) return Effect.succeed(respond(refused))
        return HttpMethod.hasBody(request.method) ? withBody(request, asked) : told
      })
    ),
    failed
  )
}).layer

/** The paths of the API, as its router finds them, by each method that they have. */
const paths = HttpLayerRouter.FindMyWay.make<void>()
for (const { method, path } of endpoints.values()) paths.on(method, path, undefined)

/** Paths without parameters, with the methods that each has itself: what it has not is not one with a parameter that would take its last part. */
const plain = new Map<string, { readonly path: HttpLayerRouter.PathInput; readonly own: Set<string> }>()
for (const { method, path } of endpoints.values()) {
  if (path.includes(":")) continue
  const known = plain.get(path) ?? { path, own: new Set() }
  known.own.add(method)
  plain.set(path, known)
}

const methodsOf = (path: string) => {
  const known = plain.get(path)
  return AnyMethod.allowed((method) => known?.own.has(method) ?? paths.find(method, path) !== undefined)
}

/** As `GET /vms/batch`, which is no VM. */
const shadowed = [...plain.values()].flatMap(({ own, path }) =>
  AnyMethod.methods.flatMap((method) =>
    own.has(method) || paths.find(method, path) === undefined
      ? []
      : [HttpLayerRouter.route(method, path, (request) => Effect.succeed(unknown(request, path)))]
  )
)

/**
 * What no endpoint is asked by: there is no such path, or it has no such method. `known`: how the API writes the path, where that is known.
 *
 * @since 0.11.0 @category conversions
 */
export const unknown = ({ method, url }: HttpServerRequest.HttpServerRequest, known?: string) => {
  const path = Secrets.pathOf(url)
  const methods = methodsOf(known ?? path)
  const there = `there is no route ${method} ${path}`
  if (methods.length === 0) {
    return respond(
      missing("route_not_found", "There is no such route", `${there}; /openapi.json has those that there are`)
    )
  }
  const [code, title] = ["method_not_allowed", "There is no such method"] as const
  const problem = new P.MethodNotAllowed({ status: 405, code, title, detail: `${there}: it has ${methods.join(", ")}` })
  return HttpServerResponse.setHeader(respond(problem), "allow", methods.join(", "))
}

/** What is under the prefix and no endpoint. @since 0.4.0 @category layers */
export const notFound = (prefix: `/${string}`) =>
  HttpLayerRouter.addAll([
    ...shadowed,
    ...([prefix, `${prefix}/*`] as const).flatMap((path) => AnyMethod.routes(path, unknown))
  ])
