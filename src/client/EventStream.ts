/**
 * Server-sent events, one connection at a time.
 *
 * @since 0.4.0
 */
import * as Headers from "@effect/platform/Headers"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as UrlParams from "@effect/platform/UrlParams"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { prefix } from "../api/Api.ts"
import { type Parameters, Parameters as ParametersSchema, streamType } from "../api/Events.ts"
import * as Problem from "../api/Problem.ts"
import { reasonOf, UnexpectedAnswer, Unreachable } from "./Errors.ts"

/** The controller says something every 15 seconds. */
const silence = "45 seconds"

/** What stands between two empty lines; a comment is one with nothing in it. @since 0.4.0 @category models */
export interface Message {
  readonly id?: string
  readonly event?: string
  readonly data?: string
}

const withLine = (message: Message, line: string): Message => {
  const colon = line.indexOf(":")
  const [name, value] = colon === -1 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")]
  if (name === "id" || name === "event") return { ...message, [name]: value }
  return name === "data"
    ? { ...message, data: message.data === undefined ? value : `${message.data}\n${value}` }
    : message
}

const messages = <E>(bytes: Stream.Stream<Uint8Array, E>): Stream.Stream<Message, E> =>
  bytes.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.mapAccum({}, (message: Message, line): readonly [Message, Option.Option<Message>] =>
      line === "" ? [{}, Option.some(message)] : [withLine(message, line), Option.none()]
    ),
    Stream.filterMap(identity)
  )

/** What the controller may answer in place of a stream. @since 0.4.0 @category errors */
export const Refusal = Schema.Union(
  Problem.InvalidRequest,
  Problem.Unauthenticated,
  Problem.Forbidden,
  Problem.Gone,
  Problem.TooManyRequests,
  Problem.Internal,
  Problem.Unavailable
)
/** @since 0.4.0 @category errors */
export type Refusal = typeof Refusal.Type

/** An answer that cannot be used. @since 0.4.0 @category constructors */
export const unexpected = ({ headers, status }: HttpClientResponse.HttpClientResponse): UnexpectedAnswer => {
  const seconds = Option.map(Headers.get(headers, "retry-after"), Number)
  return new UnexpectedAnswer({
    status,
    reason: `status ${status} with ${Option.getOrElse(Headers.get(headers, "content-type"), () => "nothing")}`,
    ...(Option.isSome(seconds) && Number.isSafeInteger(seconds.value) ? { retryAfter: seconds.value } : {})
  })
}

/** The network's own words. @since 0.4.0 @category constructors */
export const lost = (cause: unknown): Unreachable => new Unreachable({ reason: reasonOf(cause), cause })

const cutOff = () => new Unreachable({ reason: "the stream of events was cut off" })

const encode = Schema.encode(ParametersSchema)

/** What is asked with: a path of the API, and what goes with it. */
interface Asking<A, I> {
  readonly path: `/${string}`
  readonly urlParams: UrlParams.Input
  readonly headers?: Headers.Input
  /** what the controller may answer in place of a stream */
  readonly refusals: Schema.Schema<A, I>
}

/** Until it is cut off, which is a failure. @since 0.6.0 @category streams */
export const listen = <A, I>(
  client: HttpClient.HttpClient,
  { headers = {}, path, refusals, urlParams }: Asking<A, I>
): Stream.Stream<Message, A | UnexpectedAnswer | Unreachable> =>
  Effect.gen(function* () {
    const request = HttpClientRequest.get(`${prefix}${path}`, { accept: streamType, urlParams, headers })
    const response = yield* Effect.mapError(client.execute(request), lost)
    if (response.status !== 200) {
      const body = yield* Effect.mapError(response.json, () => unexpected(response))
      return yield* Effect.flatMap(
        Effect.mapError(Schema.decodeUnknown(refusals)(body), () => unexpected(response)),
        Effect.fail
      )
    }
    if (!(response.headers["content-type"] ?? "").startsWith(streamType)) return yield* unexpected(response)
    return Stream.mapError(response.stream, lost).pipe(
      Stream.timeoutFailCause(() => Cause.fail(cutOff()), silence),
      messages,
      Stream.concat(Stream.failSync(cutOff))
    )
  }).pipe(Stream.unwrap)

/** The stream of events, the same way. @since 0.4.0 @category streams */
export const connection = (
  client: HttpClient.HttpClient,
  parameters: Parameters
): Stream.Stream<Message, Refusal | UnexpectedAnswer | Unreachable> =>
  Effect.map(Effect.orDie(encode(parameters)), (urlParams) =>
    listen(client, { path: "/events", urlParams, refusals: Refusal })
  ).pipe(Stream.unwrap)
