/**
 * A route in the original program's manner: GET or POST, parameters in the URL or a form, and always an answer of status 200 in its documented
 * shape; after a failure a further key `error` says why.
 *
 * @since 0.1.0
 */
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Errors from "../domain/Errors.ts"
import * as Failures from "./Failures.ts"
import * as Json from "./Json.ts"
import * as Parameters from "./Parameters.ts"

/** Far above what any parameter may be. */
const maxBody = 64 * 1024

const formType = "application/x-www-form-urlencoded"

const withForm = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
  inUrl: Parameters.Parameters
) {
  const all: Record<string, string | ReadonlyArray<string> | undefined> = { ...inUrl }
  const tooLarge = new Errors.InvalidArgument({
    field: "body",
    problem: "cannot be read",
    expected: `a form (${formType}) of at most 64 KiB`
  })
  // refused by its announced length, so that the answer still reaches the client; one that lies or announces none is cut off while read
  if (Number(request.headers["content-length"] ?? 0) > maxBody) return yield* tooLarge
  const form = yield* HttpIncomingMessage.withMaxBodySize(request.urlParamsBody, Option.some(maxBody)).pipe(
    Effect.mapError(() => tooLarge)
  )
  for (const [name, value] of form) {
    const before = all[name]
    all[name] = before === undefined ? value : [...(typeof before === "string" ? [before] : before), value]
  }
  return all
})

/** `application/json` of `Application/JSON; charset=utf-8`; empty: it was not said. */
const mediaType = (request: HttpServerRequest.HttpServerRequest): string =>
  (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? ""

/** A form's fields count like the URL's; one that is in both is given twice. Every request passes here, so without a generator. */
const parameters = Effect.flatMap(HttpServerRequest.ParsedSearchParams, (inUrl: Parameters.Parameters) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    request.method === "POST" && mediaType(request) === formType ? withForm(request, inUrl) : Effect.succeed(inUrl)
  )
)

/** What is missing may stand in a body that is none of a form: that it is not read here is said then. */
const explained = (error: { readonly message: string }) =>
  Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
    const type = mediaType(request)
    const isUnread = request.method === "POST" && type !== "" && type !== formType
    return isUnread && error instanceof Errors.InvalidArgument && error.problem === "is missing"
      ? `${error.message}; a body of ${type} is not read here, only a form (${formType})`
      : Failures.spelled(error.message)
  })

/**
 * The header that makes repeating a request harmless: the same key is the same request. Absent: `undefined`.
 *
 * @since 0.3.0 @category parsing
 */
export const idempotencyKey = Effect.map(
  HttpServerRequest.HttpServerRequest,
  ({ headers }): string | undefined => headers["idempotency-key"]
)

/**
 * One route, which answers a failure as it is documented. What nobody foresaw is logged whole and told as such: the
 * client learns nothing of our insides, and never gets an empty 500.
 *
 * @since 0.1.0 @category constructors
 */
export const make = <E extends { readonly message: string }, R>(
  path: Failures.Path,
  handler: (parameters: Parameters.Parameters) => Effect.Effect<object, E, R>
) => {
  const failed = Failures.shapes[path]
  const effect = parameters.pipe(
    Effect.flatMap(handler),
    Effect.map((body) => Json.answer(body)),
    Effect.catchAll((error) => Effect.map(explained(error), (told) => Json.answer({ ...failed, error: told }))),
    Effect.catchAllDefect((defect) =>
      Effect.as(
        Effect.annotateLogs(Effect.logError("a request failed unexpectedly", defect), { path }),
        Json.answer({ ...failed, error: "internal error: the controller's log says more" })
      )
    )
  )
  return [HttpLayerRouter.route("GET", path, effect), HttpLayerRouter.route("POST", path, effect)] as const
}
