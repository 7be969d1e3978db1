/**
 * A typed client of `/api/v1`, for Node and for browsers.
 *
 * @since 0.4.0
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import type * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import * as Stream from "effect/Stream"
import { api } from "../api/Api.ts"
import { Event, type Parameters } from "../api/Events.ts"
import type { Operation } from "../api/Operations.ts"
import type { Plan } from "../api/Plans.ts"
import * as Problem from "../api/Problem.ts"
import { EventId, EventType } from "../domain/Event.ts"
import type { ConsolePart } from "../domain/Console.ts"
import type { OperationId, VmId } from "../domain/Ids.ts"
import {
  again,
  invalid,
  invalidBodyOf,
  invalidOf,
  issueOf,
  OperationFailed,
  UnexpectedAnswer,
  type Unreachable
} from "./Errors.ts"
import * as ConsoleStream from "./ConsoleStream.ts"
import * as EventStream from "./EventStream.ts"

/** @since 0.4.0 @category models */
export interface Options {
  /** where the controller is, as in `https://fabric.example.org` */
  readonly url: string
  /** an API token; absent: a browser's session, or a controller on this machine that asks for none */
  readonly token?: string | Redacted.Redacted<string>
  /**
   * For how long what is safe to repeat is tried again when the controller does not answer or is busy, and for how long a stream of events that was cut
   * off is: 30 seconds unless it is said, 0 for not at all.
   */
  readonly patience?: Duration.DurationInput
}

// ------------------------------------------------------------------------------------------------------------------ types

type Part<Name extends string, A> = [A] extends [void]
  ? {}
  : {} extends A
    ? { readonly [_ in Name]?: A }
    : { readonly [_ in Name]: A }

/** What a call is given: only what the endpoint has, and parts that may be empty may be absent. @since 0.4.0 @category models */
export type Request<Path, UrlParams, Payload, Headers> = Part<"path", Path> &
  Part<"urlParams", UrlParams> &
  Part<"payload", Payload> &
  Part<"headers", Headers>

interface Response<W extends boolean> {
  /** `true`: the answer is a pair of what it says and the HTTP response, as for its `ETag` */
  readonly withResponse?: W
}

/** @since 0.4.0 @category models */
export type Answer<A, W extends boolean> = W extends true ? [A, HttpClientResponse.HttpClientResponse] : A

/**
 * `plan: true` is answered by a plan, and everything else as ever: so each call has the type of its own answer.
 *
 * @since 0.5.0 @category models
 */
export type Planned<Success, P extends boolean> = P extends true ? Extract<Success, Plan> : Exclude<Success, Plan>

/** Those of an endpoint, with a `plan` that is known to be true or not. @since 0.5.0 @category models */
export type Params<UrlParams, P extends boolean> = [UrlParams] extends [void]
  ? UrlParams
  : "plan" extends keyof UrlParams
    ? Omit<UrlParams, "plan"> & { readonly plan?: P }
    : UrlParams

/** @since 0.4.0 @category models */
export type Call<Endpoint, GroupError> = [Endpoint] extends [
  HttpApiEndpoint.HttpApiEndpoint<
    infer _Name,
    infer _Method,
    infer Path,
    infer UrlParams,
    infer Payload,
    infer Headers,
    infer Success,
    infer Error,
    infer _R,
    infer _RE
  >
]
  ? {} extends Request<Path, UrlParams, Payload, Headers>
    ? <W extends boolean = false, P extends boolean = false>(
        request?: Request<Path, Params<UrlParams, P>, Payload, Headers> & Response<W>
      ) => Effect.Effect<Answer<Planned<Success, P>, W>, Error | GroupError | Unreachable | UnexpectedAnswer>
    : <W extends boolean = false, P extends boolean = false>(
        request: Request<Path, Params<UrlParams, P>, Payload, Headers> & Response<W>
      ) => Effect.Effect<Answer<Planned<Success, P>, W>, Error | GroupError | Unreachable | UnexpectedAnswer>
  : never

/** The groups of the API. @since 0.4.0 @category models */
export type ApiGroup = typeof api extends HttpApi.HttpApi<infer _Id, infer Group, infer _E, infer _R> ? Group : never

type Calls<Group> =
  Group extends HttpApiGroup.HttpApiGroup<infer _Name, infer Endpoint, infer Error, infer _R>
    ? { readonly [E in Endpoint as HttpApiEndpoint.HttpApiEndpoint.Name<E>]: Call<E, Error> }
    : never

/** Each endpoint as a function, by group and name. @since 0.4.0 @category models */
export type Groups = {
  readonly [Group in ApiGroup as HttpApiGroup.HttpApiGroup.Name<Group>]: Calls<Group>
}

/** Which events. @since 0.4.0 @category models */
export interface EventOptions extends Omit<Parameters, "type" | "limit"> {
  readonly types?: ReadonlyArray<EventType>
  /**
   * Told now and then, after the events before it: up to that id there are no others of these, so whoever keeps where to go on keeps it, too. `after` and the last
   * event alone may be so old, where little is of these, that what follows them is no longer kept.
   *
   * @since 0.11.0
   */
  readonly passed?: (cursor: EventId) => Effect.Effect<void>
}

/** What a stream of events fails with in the end. @since 0.4.0 @category errors */
export type EventsError = EventStream.Refusal | UnexpectedAnswer | Unreachable

/** @since 0.4.0 @category errors */
export type WaitError = EventsError | Problem.NotFound | OperationFailed

/** @since 0.4.0 @category models */
export interface Service extends Omit<Groups, "events"> {
  /**
   * What a VM's guest prints on its first serial port: the last that it printed, or what came after a cursor, and then on until the VM is gone. It goes on by
   * itself where it was cut off.
   */
  readonly console: (
    vm: VmId,
    options?: ConsoleStream.Options
  ) => Stream.Stream<ConsolePart, ConsoleStream.ConsoleError>
  /**
   * What happens, from now on or after an event. It goes on by itself where it was cut off: nothing is missed, and nothing comes twice. `events.listEvents`
   * reads a page.
   */
  readonly events: Groups["events"] & ((options?: EventOptions) => Stream.Stream<Event, EventsError>)
  /**
   * The operation when it is done; `OperationFailed` when it has failed. One that was left for another on another host is followed there. Nothing, as
   * calls give that had nothing to do, is nothing again.
   */
  readonly wait: <O extends { readonly id: OperationId } | void>(
    operation: O
  ) => Effect.Effect<Operation | Extract<O, void>, WaitError>
}

/** @since 0.4.0 @category services */
export class Client extends Context.Tag("vmfabric/client/Client")<Client, Service>() {}

// ---------------------------------------------------------------------------------------------------------------- calls

interface AnyRequest {
  readonly path?: unknown
  readonly urlParams?: unknown
  readonly payload?: unknown
  readonly headers?: object
  readonly withResponse?: boolean
}

/** @since 0.4.0 @category models */
export type AnyCall = (request?: AnyRequest) => Effect.Effect<unknown, unknown>
/** @since 0.4.0 @category models */
export type AnyGroups = Record<string, Record<string, AnyCall>>

/** The types of endpoints are known one by one only; what is done with each of them is the same. */
function loose(groups: object): AnyGroups
function loose(groups: unknown): unknown {
  return groups
}
function strict(groups: AnyGroups): Groups
function strict(groups: unknown): unknown {
  return groups
}

const newKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")

interface Endpoint {
  readonly name: string
  readonly method: string
  readonly headersSchema: Option.Option<Pick<Schema.Schema.All, "ast">>
}

const takesKey = ({ headersSchema }: Endpoint) =>
  Option.isSome(headersSchema) &&
  AST.getPropertySignatures(headersSchema.value.ast).some(({ name }) => name === "idempotency-key")

const isIn = (name: string, part: unknown): boolean => typeof part === "object" && part !== null && name in part

/** Whether it is the body that is wrong, as the controller would say. */
const isOfBody = ({ path, payload, urlParams }: AnyRequest, error: ParseResult.ParseError): boolean => {
  const [first = ""] = issueOf(error).field.split(".")
  return isIn(first, payload) && !isIn(first, path) && !isIn(first, urlParams)
}

/** What the request says is checked before it is sent; what the answer says, in `make`. */
const told =
  (request: AnyRequest) =>
  (error: unknown): unknown => {
    if (ParseResult.isParseError(error)) {
      return isOfBody(request, error) ? invalidBodyOf(error) : invalidOf(error)
    }
    if (error instanceof HttpClientError.RequestError) {
      return error.reason === "InvalidUrl"
        ? invalid(`the url is none: ${error.methodAndUrl}`, "url")
        : EventStream.lost(error)
    }
    if (error instanceof HttpClientError.ResponseError) {
      return error.reason === "StatusCode" || error.cause instanceof SyntaxError
        ? EventStream.unexpected(error.response)
        : EventStream.lost(error)
    }
    return error
  }

/** What is in the way answers in its own way, also with a status that the API has. */
const ofApi = (response: HttpClientResponse.HttpClientResponse) =>
  response.status === 204 || /json|^application\/octet-stream|^image\/png/.test(response.headers["content-type"] ?? "")
    ? Effect.succeed(response)
    : new HttpClientError.ResponseError({ request: response.request, response, reason: "StatusCode" })

interface Made {
  readonly call: AnyCall
  readonly keyed: boolean
}

/** The API with one endpoint alone: a client of all of it, or of a group, is made of schemas of a hundred others, which takes a browser's start a while. */
const alone = (group: ApiGroups[string], endpoint: Endpoint) =>
  Object.assign(HttpApi.make("vmfabric").add({ ...group, endpoints: { [endpoint.name]: endpoint } }), {
    errorSchema: api.errorSchema
  })

type ApiGroups = typeof api.groups

/** Each endpoint of the client, called with what is asked for and what goes without saying. Each is made when it is called first. */
const callsOf = (
  make: (group: ApiGroups[string], endpoint: Endpoint) => Effect.Effect<Made>,
  patience: Duration.Duration
): Groups => {
  const groups: AnyGroups = {}
  for (const group of Object.values(api.groups)) {
    const calls: Record<string, AnyCall> = {}
    for (const endpoint of Object.values<Endpoint>(group.endpoints)) {
      const made = make(group, endpoint)
      calls[endpoint.name] = (request = {}) =>
        Effect.flatMap(made, ({ call, keyed }) => {
          const headers = { ...(keyed ? { "idempotency-key": newKey() } : {}), ...request.headers }
          const answer = Effect.mapError(call({ urlParams: {}, ...request, headers }), told(request))
          return keyed || endpoint.method === "GET" ? Effect.retry(answer, again(patience)) : answer
        })
    }
    groups[group.identifier] = calls
  }
  return strict(groups)
}

// --------------------------------------------------------------------------------------------------------------- helpers

const decodeEvent = Schema.decode(Schema.parseJson(Event))
const decodeGone = Schema.decode(Schema.parseJson(Problem.Gone))
const isEventId = Schema.is(EventId)
const isEventType = Schema.is(EventType)

const notEvent = (error: ParseResult.ParseError) =>
  new UnexpectedAnswer({ status: 200, reason: `an event cannot be understood: ${issueOf(error).text}` })

/** Over whatever `HttpClient` there is. @since 0.4.0 @category constructors */
export const make = Effect.fnUntraced(function* ({ patience: given = "30 seconds", token, url }: Options) {
  const patience = Duration.decode(given)
  const http = (yield* HttpClient.HttpClient).pipe(
    HttpClient.mapRequest((request) =>
      request.pipe(
        HttpClientRequest.prependUrl(url.replace(/\/+$/, "")),
        token === undefined ? identity : HttpClientRequest.bearerToken(token)
      )
    )
  )
  const httpClient = HttpClient.transformResponse(http, Effect.flatMap(ofApi))
  const made = new Map<string, Made>()
  const makeCall = (group: ApiGroups[string], endpoint: Endpoint): Effect.Effect<Made> => {
    const { identifier } = group
    const key = `${identifier}.${endpoint.name}`
    return Effect.suspend(() => {
      const before = made.get(key)
      if (before !== undefined) return Effect.succeed(before)
      const its = HttpApiClient.makeWith(alone(group, endpoint), {
        httpClient,
        transformResponse: Effect.mapError((error) =>
          ParseResult.isParseError(error) ? new UnexpectedAnswer({ status: null, reason: issueOf(error).text }) : error
        )
      })
      return Effect.flatMap(its, (calls) => {
        const call = loose(calls)[identifier]?.[endpoint.name]
        if (call === undefined) return Effect.dieMessage(`the client has no ${key}`)
        const now = { call, keyed: takesKey(endpoint) }
        made.set(key, now)
        return Effect.succeed(now)
      })
    })
  }
  const groups = callsOf(makeCall, patience)
  const once = callsOf(makeCall, Duration.zero)

  const events = ({ after, passed = () => Effect.void, types, ...filter }: EventOptions = {}): Stream.Stream<
    Event,
    EventsError
  > =>
    Effect.map(Ref.make(after), (cursor) => {
      const next = ({ data = "", event, id }: EventStream.Message) => {
        if (event === "lost") return Effect.flatMap(Effect.mapError(decodeGone(data), notEvent), Effect.fail)
        const number = Number(id)
        const moved = id !== undefined && isEventId(number) ? Ref.set(cursor, number) : Effect.void
        // a sign of life, without an event
        if (event === undefined && isEventId(number))
          return Effect.as(Effect.zipRight(moved, passed(number)), Option.none<Event>())
        // of a type that a newer controller has
        if (!isEventType(event)) return Effect.as(moved, Option.none<Event>())
        return Effect.zipLeft(Effect.mapBoth(decodeEvent(data), { onFailure: notEvent, onSuccess: Option.some }), moved)
      }
      return Effect.map(Ref.get(cursor), (at) =>
        EventStream.connection(http, {
          ...filter,
          ...(types === undefined ? {} : { type: types }),
          ...(at === undefined ? {} : { after: at })
        })
      ).pipe(
        Stream.unwrap,
        Stream.mapEffect(next),
        // what the stream begins with has passed by then: its patience is for each time that it is cut off
        Stream.retry(again(patience)),
        Stream.filterMap(identity)
      )
    }).pipe(Stream.unwrap)

  /** Looked at whenever a connection begins, and whenever something comes: no cursor is needed for that. */
  const ended = (id: OperationId): Effect.Effect<Operation, WaitError> =>
    EventStream.connection(http, { operation: id }).pipe(
      Stream.mapEffect(() => once.operations.getOperation({ path: { id } })),
      Stream.retry(again(patience)),
      Stream.filter(({ endedAt }) => endedAt !== null),
      Stream.runHead,
      Effect.flatMap(
        Option.match({
          onNone: () => EventStream.lost("the stream of events has ended"),
          onSome: (operation) =>
            operation.state === "done"
              ? Effect.succeed(operation)
              : operation.replacedBy === null
                ? new OperationFailed({ operation })
                : ended(operation.replacedBy)
        })
      )
    )

  function wait<O extends { readonly id: OperationId } | void>(
    operation: O
  ): Effect.Effect<Operation | Extract<O, void>, WaitError>
  function wait(operation: { readonly id: OperationId } | void): Effect.Effect<Operation | void, WaitError> {
    return operation === undefined ? Effect.void : ended(operation.id)
  }

  const console: Service["console"] = (vm, options = {}) => ConsoleStream.follow(http, patience, vm, options)

  const service: Service = { ...groups, console, events: Object.assign(events, groups.events), wait }
  return service
})

/** Over `fetch`. @since 0.4.0 @category layers */
export const layer = (options: Options): Layer.Layer<Client> =>
  Layer.effect(Client, make(options)).pipe(Layer.provide(FetchHttpClient.layer))
