/**
 * What a request fails with beside the API's problems.
 *
 * @since 0.4.0
 */
import * as Duration from "effect/Duration"
import * as ParseResult from "effect/ParseResult"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { Operation } from "../api/Operations.ts"
import * as Problem from "../api/Problem.ts"
import * as Wording from "../api/Wording.ts"

/** No answer, or only a part of one: whether the request took effect is not known. @since 0.4.0 @category errors */
export class Unreachable extends Schema.TaggedError<Unreachable>("vmfabric/client/Unreachable")("Unreachable", {
  /** why, as the network says it */
  reason: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `the controller cannot be reached: ${this.reason}`
  }
}

/** An answer that is none of the API's, as of a proxy on the way. @since 0.4.0 @category errors */
export class UnexpectedAnswer extends Schema.TaggedError<UnexpectedAnswer>("vmfabric/client/UnexpectedAnswer")(
  "UnexpectedAnswer",
  {
    /** null: not known */
    status: Schema.NullOr(Schema.Int),
    reason: Schema.String,
    /** seconds to wait before trying again, when it said so */
    retryAfter: Schema.optionalWith(Schema.Int, { exact: true })
  }
) {
  override get message(): string {
    return `the answer is none of vmfabric's API: ${this.reason}`
  }
}

/** What was waited for has failed. @since 0.4.0 @category errors */
export class OperationFailed extends Schema.TaggedError<OperationFailed>("vmfabric/client/OperationFailed")(
  "OperationFailed",
  { operation: Operation }
) {
  override get message(): string {
    return `operation ${this.operation.id} (${this.operation.kind}) failed: ${this.operation.error ?? "no reason is known"}`
  }
}

/** Whatever a client fails with. @since 0.4.0 @category errors */
export type Failure = Problem.Problem | Unreachable | UnexpectedAnswer | OperationFailed

/** An https address where none but http is spoken. @since 0.9.0 @category constants */
export const noTls = "what answers there speaks no TLS"

/** As where TLS is spoken, and the address is an http one. @since 0.9.0 @category constants */
export const hungUp = "it hung up without an answer"

/** As of a browser, which says nothing of the reason. @since 0.12.0 @category constants */
export const noAnswer = "there is no answer"

/** What node says is in the cause of what fetch says. @since 0.4.0 @category constructors */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  if (error.cause instanceof Error) return reasonOf(error.cause)
  // OpenSSL's words are of its own files and lines, and Node's of its sockets
  if (/wrong version number|packet length too long|http request/.test(error.message)) return noTls
  if (error.message === "socket hang up" || error.message === "other side closed") return hungUp
  // browsers say no more than that, each in words of its own
  if (/^(failed to fetch|networkerror when attempting to fetch|load failed|network error$)/i.test(error.message))
    return noAnswer
  return error.message !== "" ? error.message : "code" in error ? String(error.code) : error.name
}

/** What Node or OpenSSL calls it, as in `ECONNREFUSED` or `CERT_HAS_EXPIRED`; null: it has no name. @since 0.9.0 @category constructors */
export const codeOf = (error: unknown): string | null => {
  if (!(error instanceof Error)) return null
  const inner = codeOf(error.cause)
  return inner ?? ("code" in error && typeof error.code === "string" ? error.code : null)
}

const titles = {
  invalid_argument: "A parameter cannot be used",
  invalid_body: "The body cannot be used"
} as const

/** A request that is refused before it is sent, in the words the controller would have. @since 0.4.0 @category constructors */
export const invalid = (
  detail: string,
  field: string,
  code: keyof typeof titles = "invalid_argument"
): Problem.InvalidRequest =>
  new Problem.InvalidRequest({
    status: 400,
    code,
    title: titles[code],
    detail,
    ...(field === "" ? {} : { field })
  })

/** What is wrong first, and where. @since 0.4.0 @category constructors */
export const issueOf = (error: ParseResult.ParseError): { readonly field: string; readonly text: string } => {
  const { detail, field } = Wording.of(ParseResult.ArrayFormatter.formatErrorSync(error)) ?? {
    detail: error.message,
    field: ""
  }
  return { field, text: detail }
}

/** Of what a request has in its path, its query or its headers; `code`: or in its body. @since 0.4.0 @category constructors */
export const invalidOf = (error: ParseResult.ParseError, code?: keyof typeof titles): Problem.InvalidRequest => {
  const { field, text } = issueOf(error)
  return invalid(text, field, code)
}

/** Of a request's body. @since 0.10.0 @category constructors */
export const invalidBodyOf = (error: ParseResult.ParseError): Problem.InvalidRequest => invalidOf(error, "invalid_body")

const retryAfterOf = (error: unknown): number => {
  if (
    error instanceof Problem.TooManyRequests ||
    error instanceof Problem.Unavailable ||
    error instanceof UnexpectedAnswer
  ) {
    return error.retryAfter ?? 0
  }
  return 0
}

const passes = (error: unknown): boolean =>
  error instanceof Unreachable ||
  error instanceof Problem.TooManyRequests ||
  error instanceof Problem.Unavailable ||
  (error instanceof UnexpectedAnswer && [429, 502, 503, 504].includes(error.status ?? 0))

/** Again and again after what passes by itself, not before a time that was named, and for so long. @since 0.4.0 @category schedules */
export const again = (patience: Duration.Duration) =>
  Schedule.exponential("100 millis").pipe(
    Schedule.union(Schedule.spaced("3 seconds")),
    Schedule.jittered,
    Schedule.intersect(Schedule.identity<unknown>()),
    Schedule.modifyDelay(([, error], delay) => Duration.max(delay, Duration.seconds(retryAfterOf(error)))),
    Schedule.upTo(patience),
    Schedule.whileInput((error: unknown) => passes(error) && retryAfterOf(error) <= Duration.toSeconds(patience))
  )
