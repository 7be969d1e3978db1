/**
 * The event log by HTTP: a page as JSON, or a stream of server-sent events.
 *
 * @since 0.4.0
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Cursor, type EventPage, type Parameters, streamType } from "../api/Events.ts"
import * as Problem from "../api/Problem.ts"
import type { PersistenceError } from "../domain/Errors.ts"
import { type Event, type EventFilter, EventId } from "../domain/Event.ts"
import { EventLog } from "../services/EventLog.ts"
import { Identity } from "../services/Identity.ts"
import * as Guard from "./Guard.ts"
import * as Problems from "./v1/Problems.ts"

/** How often it is looked whether the reader may still read. */
const trust = "1 second"

/** How often something is sent when nothing happens, so that nobody on the way takes the connection for dead. */
const sign = "15 seconds"

/** How many are told unless it is said. */
const usual = 100

const filterOf = ({ host, image, operation, type, vm, volume }: Parameters): EventFilter => ({
  ...(type === undefined ? {} : { types: type }),
  ...(vm === undefined ? {} : { vmId: vm }),
  ...(volume === undefined ? {} : { volumeId: volume }),
  ...(host === undefined ? {} : { hostId: host }),
  ...(image === undefined ? {} : { imageId: image }),
  ...(operation === undefined ? {} : { operationId: operation })
})

// ---------------------------------------------------------------------------------------------------------------- a page

/** Those after `cursor`, or after what is just before the oldest that is kept. */
const fromOldest = (
  log: EventLog["Type"],
  limit: number,
  filter: EventFilter,
  cursor = EventId.make(0)
): Effect.Effect<readonly [EventId, ReadonlyArray<Event>], PersistenceError> =>
  log.after(cursor, limit, filter).pipe(
    Effect.map((events) => [cursor, events] as const),
    // again when it was forgotten in this very moment
    Effect.catchTag("EventsLost", ({ oldest }) => fromOldest(log, limit, filter, EventId.make(oldest - 1)))
  )

/** @since 0.4.0 @category handlers */
export const list = (parameters: Parameters): Effect.Effect<EventPage, Problem.Gone | Problem.Unavailable, EventLog> =>
  Effect.gen(function* () {
    const log = yield* EventLog
    const { after, limit = usual } = parameters
    const filter = filterOf(parameters)
    // all up to this one are looked at, unless there are more than asked for
    const latest = yield* log.latest
    const [cursor, events] =
      after === undefined ? yield* fromOldest(log, limit, filter) : [after, yield* log.after(after, limit, filter)]
    const last = events.at(-1)?.id ?? cursor
    return {
      items: events.map(({ time, ...event }) => ({ ...event, time: DateTime.unsafeMake(time) })),
      next: events.length === limit ? last : EventId.make(Math.max(last, latest))
    }
  }).pipe(Problems.told)

// -------------------------------------------------------------------------------------------------------------- a stream

const encoder = new TextEncoder()

const encodeGone = Schema.encodeSync(Problem.Gone)

const written = (event: Event): string =>
  `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify({ ...event, time: new Date(event.time).toISOString() })}\n\n`

/** A part of a stream. @since 0.11.0 @category models */
export interface Part {
  /** whole messages; empty: nothing is to be sent */
  readonly text: string
  /** what a reader who has all up to here goes on after; absent: that is not known */
  readonly cursor?: EventId
}

const signAt = (cursor: EventId | undefined): string =>
  // without data it is no event, and still what a client that is cut off goes on after
  `: nothing happened for a while\n${cursor === undefined ? "" : `id: ${cursor}\n`}\n`

/**
 * Server-sent events as an answer, with a sign when nothing is told for long. Ends when the sender of `request` would not be let in any more, or
 * when `parts` do.
 *
 * @since 0.6.0 @category conversions
 */
export const told = (
  request: HttpServerRequest.HttpServerRequest,
  parts: Stream.Stream<Part>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, Identity> =>
  Effect.map(Identity, (identity) => {
    const good = Effect.provideService(Guard.isStillGood(request), Identity, identity)
    const signs = Stream.as(Stream.fromSchedule(Schedule.spaced(sign)), null)
    // one that cannot be looked up now may be good
    const revoked = Effect.repeat(
      Effect.catchAll(good, () => Effect.succeed(true)),
      { schedule: Schedule.spaced(trust), while: (still) => still }
    )
    const body = Stream.merge(parts, signs, { haltStrategy: "left" }).pipe(
      // after they are in one line: a sign must not name what has not been sent before it
      Stream.mapAccum(undefined, (cursor: EventId | undefined, part): readonly [EventId | undefined, string] =>
        part === null ? [cursor, signAt(cursor)] : [part.cursor ?? cursor, part.text]
      ),
      Stream.filter((text) => text !== ""),
      Stream.interruptWhen(revoked)
    )
    return HttpServerResponse.stream(
      Stream.map(body, (text) => encoder.encode(text)),
      {
        contentType: streamType,
        // the second one is for proxies that would otherwise wait until they have a lot
        headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
      }
    )
  })

/**
 * Ends when the sender of `request` would not be let in any more. `lastEventId`: the header of a client that was cut off. It comes with the same URL as before, so it counts for more than what is said there.
 *
 * @since 0.4.0 @category handlers
 */
export const stream = (
  parameters: Parameters,
  request: HttpServerRequest.HttpServerRequest,
  lastEventId?: EventId
): Effect.Effect<HttpServerResponse.HttpServerResponse, Problem.Gone | Problem.Unavailable, EventLog | Identity> =>
  Effect.gen(function* () {
    const log = yield* EventLog
    const cursor = lastEventId ?? parameters.after ?? (yield* log.latest)
    // whether they are there is found out before the answer begins
    yield* log.after(cursor, 1)
    // a client that is cut off before anything has happened knows where to go on, too
    const head = Stream.make<[Part]>({ text: `retry: 1000\nid: ${cursor}\n\n`, cursor })
    const events = log.followPages(cursor, filterOf(parameters)).pipe(
      // a page in one piece
      Stream.map(({ cursor, events }): Part => ({ text: events.map(written).join(""), cursor })),
      Stream.catchTags({
        EventsLost: (error) =>
          Stream.make<[Part]>({
            text: `event: lost\ndata: ${JSON.stringify(encodeGone(Problems.of(error)))}\n\n`
          }),
        PersistenceError: (error) => Stream.drain(Stream.fromEffect(Effect.logError(error.message)))
      })
    )
    return yield* told(request, Stream.concat(head, events))
  }).pipe(Problems.told)

/** A client that takes either is not given a stream. @since 0.6.0 @category predicates */
export const asksForStream = ({ headers }: HttpServerRequest.HttpServerRequest): boolean => {
  const { accept = "" } = headers
  return accept.includes(streamType) && !accept.includes("application/json")
}

const decodeCursor = Schema.decodeEither(Cursor)

/**
 * The handler of `listEvents`.
 *
 * @since 0.4.0 @category handlers
 */
export const handle = ({
  request,
  urlParams
}: {
  readonly request: HttpServerRequest.HttpServerRequest
  readonly urlParams: Parameters
}): Effect.Effect<
  EventPage | HttpServerResponse.HttpServerResponse,
  Problem.Gone | Problem.InvalidRequest | Problem.Unavailable,
  EventLog | Identity
> => {
  if (!asksForStream(request)) return list(urlParams)
  const given = request.headers["last-event-id"]
  if (given === undefined) return stream(urlParams, request)
  return Either.match(decodeCursor(given), {
    onLeft: () =>
      new Problem.InvalidRequest({
        status: 400,
        code: "invalid_header",
        title: "A header cannot be used",
        detail: `Last-Event-ID is ${JSON.stringify(given.slice(0, 40))}: expected the id of an event, in decimal digits`,
        field: "Last-Event-ID"
      }),
    onRight: (cursor) => stream(urlParams, request, cursor)
  })
}
