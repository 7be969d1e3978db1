/**
 * The client for programs that know promises only.
 *
 * @since 0.4.0
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import type { HttpMethod } from "@effect/platform/HttpMethod"
import type { Brand } from "effect/Brand"
import * as Cause from "effect/Cause"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { api } from "../api/Api.ts"
import { Event } from "../api/Events.ts"
import { Operation } from "../api/Operations.ts"
import * as Client from "./Client.ts"
import { type Failure, invalidBodyOf } from "./Errors.ts"

/** What a call rejects with. @since 0.4.0 @category errors */
export class ClientError extends Error {
  override readonly name = "ClientError"
  /** stable: programs may decide by it; the API's codes, and `unreachable` and `unexpected_answer` */
  readonly code: string
  /** null: there was no answer */
  readonly status: number | null
  /** what is wrong in this case, and what to do about it; one sentence */
  readonly detail: string
  /** the parameter, header or field of the body it is about; null: none */
  readonly field: string | null

  constructor(failure: Failure) {
    super(failure.message, { cause: failure })
    this.detail = failure.message
    this.field = null
    switch (failure._tag) {
      case "Unreachable":
        this.code = "unreachable"
        this.status = null
        break
      case "UnexpectedAnswer":
        this.code = "unexpected_answer"
        this.status = failure.status
        break
      case "OperationFailed":
        this.code = "operation_failed"
        this.status = 409
        break
      default:
        this.code = failure.code
        this.status = failure.status
        this.field = failure.field ?? null
    }
  }
}

// ------------------------------------------------------------------------------------------------------------------ types

/** As it is in JSON. @since 0.4.0 @category models */
export type Plain<A> =
  A extends Redacted.Redacted<infer Secret>
    ? Secret
    : A extends DateTime.Utc
      ? string
      : A extends number & Brand<infer _>
        ? number
        : A extends string & Brand<infer _>
          ? string
          : A extends object
            ? { readonly [K in keyof A]: Plain<A[K]> }
            : A

/** @since 0.4.0 @category models */
export interface CallOptions {
  /** gives up the call, and rejects with its reason; what the controller has begun goes on */
  readonly signal?: AbortSignal
}

type Call<Endpoint> = [Endpoint] extends [
  HttpApiEndpoint.HttpApiEndpoint<
    infer _Name,
    infer _Method,
    infer Path,
    infer UrlParams,
    infer Payload,
    infer Headers,
    infer Success,
    infer _Error,
    infer _R,
    infer _RE
  >
]
  ? {} extends Client.Request<Path, UrlParams, Payload, Headers>
    ? <W extends boolean = false, P extends boolean = false>(
        request?: Plain<Client.Request<Path, Client.Params<UrlParams, P>, Payload, Headers>> & {
          readonly withResponse?: W
        },
        options?: CallOptions
      ) => Promise<Client.Answer<Plain<Client.Planned<Success, P>>, W>>
    : <W extends boolean = false, P extends boolean = false>(
        request: Plain<Client.Request<Path, Client.Params<UrlParams, P>, Payload, Headers>> & {
          readonly withResponse?: W
        },
        options?: CallOptions
      ) => Promise<Client.Answer<Plain<Client.Planned<Success, P>>, W>>
  : never

type Calls<Group> =
  Group extends HttpApiGroup.HttpApiGroup<infer _Name, infer Endpoint, infer _E, infer _R>
    ? { readonly [E in Endpoint as HttpApiEndpoint.HttpApiEndpoint.Name<E>]: Call<E> }
    : never

type Groups = {
  readonly [Group in Client.ApiGroup as HttpApiGroup.HttpApiGroup.Name<Group>]: Calls<Group>
}

/** @since 0.4.0 @category models */
export interface Connection extends Omit<Groups, "events"> {
  /** What happens, from now on or after an event; it goes on by itself where it was cut off. `events.listEvents` reads a page. */
  readonly events: Groups["events"] & ((options?: Plain<Client.EventOptions>) => AsyncIterable<Plain<Event>>)
  /** The operation when it is done; rejects with `operation_failed` when it has failed. */
  readonly wait: <O extends { readonly id: string } | void>(
    operation: O,
    options?: CallOptions
  ) => Promise<Plain<Operation> | Extract<O, void>>
}

// ------------------------------------------------------------------------------------------------------------------ calls

const run = async (effect: Effect.Effect<unknown, Failure>, { signal }: CallOptions = {}): Promise<unknown> => {
  const exit = await Effect.runPromiseExit(effect, signal === undefined ? {} : { signal })
  if (Exit.isSuccess(exit)) return exit.value
  const failure = Cause.failureOption(exit.cause)
  if (Option.isSome(failure)) throw new ClientError(failure.value)
  throw signal?.aborted === true ? signal.reason : Cause.squash(exit.cause)
}

interface AnyService {
  readonly groups: Client.AnyGroups
  readonly events: (options: object) => Stream.Stream<Event, Failure>
  readonly wait: (operation: unknown) => Effect.Effect<unknown, Failure>
}

/** Types of endpoints are known one by one only; see `Client`. */
function loose(service: Client.Service): AnyService
function loose(service: Client.Service): unknown {
  const { events, wait, ...groups } = service
  return { groups: { ...groups, events }, events, wait }
}
function strict(connection: object): Connection
function strict(connection: unknown): unknown {
  return connection
}
function failing<A>(effect: Effect.Effect<A, unknown>): Effect.Effect<A, Failure>
function failing(effect: unknown): unknown {
  return effect
}

const encodeEvent = Schema.encode(Event)
const encodeOperation = Schema.encodeUnknown(Schema.UndefinedOr(Operation))

/** A request and an answer as they are in JSON, where the client has values of its own. */
const plainly = (
  call: Client.AnyCall,
  endpoint: HttpApiEndpoint.HttpApiEndpoint<string, HttpMethod>
): Client.AnyCall => {
  const decode = Option.map(endpoint.payloadSchema, Schema.decodeUnknown)
  const encode = Schema.encodeUnknown(endpoint.successSchema)
  return (request = {}) =>
    Effect.gen(function* () {
      const payload = Option.isSome(decode)
        ? yield* Effect.mapError(decode.value(request.payload), invalidBodyOf)
        : undefined
      const answer = yield* call({ ...request, ...(payload === undefined ? {} : { payload }) })
      if (request.withResponse !== true || !Array.isArray(answer)) return yield* Effect.orDie(encode(answer))
      return [yield* Effect.orDie(encode(answer[0])), answer[1]]
    })
}

/**
 * The API's groups with promises for answers, which reject with a `ClientError`. Values are what they are in JSON: times are ISO 8601, ids are numbers.
 *
 * @since 0.4.0 @category constructors
 */
export const connect = (options: Client.Options): Connection => {
  const service = loose(Effect.runSync(Effect.provide(Client.make(options), FetchHttpClient.layer)))
  const groups: Record<string, Record<string, (request?: object, options?: CallOptions) => Promise<unknown>>> = {}
  HttpApi.reflect(api, {
    onGroup: ({ group }) => {
      groups[group.identifier] = {}
    },
    onEndpoint: ({ endpoint, group }) => {
      const call = service.groups[group.identifier]?.[endpoint.name]
      const calls = groups[group.identifier]
      if (call === undefined || calls === undefined) return
      const plain = plainly(call, endpoint)
      calls[endpoint.name] = (request, options) => run(failing(plain(request)), options)
    }
  })
  const events = (options = {}) =>
    service
      .events(options)
      .pipe(
        Stream.mapBoth({ onFailure: (failure) => new ClientError(failure), onSuccess: encodeEvent }),
        Stream.mapEffect(Effect.orDie),
        Stream.toAsyncIterable
      )
  const wait = (operation: unknown, options?: CallOptions) =>
    run(
      Effect.flatMap(service.wait(operation), (ended) => Effect.orDie(encodeOperation(ended))),
      options
    )
  return strict({ ...groups, events: Object.assign(events, groups.events), wait })
}
