/**
 * The typed client, in a browser.
 *
 * @since 0.7.0
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { Atom } from "@effect-atom/atom-react"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Client from "../../client/Client.ts"
import { type Failure, invalidOf } from "../../client/Errors.ts"
import * as Problem from "../../api/Problem.ts"
import { fetchAhead } from "./Ahead.ts"

/** `HttpClient` by paths of this controller, for its streams. @since 0.7.0 @category services */
export class Here extends Context.Tag("vmfabric/gui/Here")<Here, HttpClient.HttpClient>() {}

const here = Layer.effect(
  Here,
  Effect.map(HttpClient.HttpClient, HttpClient.mapRequest(HttpClientRequest.prependUrl(location.origin)))
)

// what does not answer is told at once, and tried again by whoever looks
const client = Layer.effect(Client.Client, Client.make({ url: location.origin, patience: "2 seconds" }))

const http = Layer.provide(FetchHttpClient.layer, Layer.succeed(FetchHttpClient.Fetch, fetchAhead))

const layer = Layer.provide(Layer.merge(client, here), http)

/** What everything here that asks the controller runs on. @since 0.7.0 @category runtimes */
export const runtime = Atom.runtime(layer)

/** Where the controller tells what its API can do, for people to read. @since 0.8.0 @category constants */
export const docs = "/docs"

/** The client of an effect. @since 0.7.0 @category accessors */
export const calls = Client.Client

/** What a page shows when something went wrong: the API's own words. @since 0.7.0 @category models */
export interface Words {
  readonly title: string
  readonly detail: string
  /** of which of a form's fields it is, as the API names it; null: of none */
  readonly field: string | null
  /** where the API tells more: hosts that cannot take a VM, and what would help */
  readonly refusal: Problem.PlacementRefusal | null
}

const isFailure = (error: unknown): error is Failure => error instanceof Error && "_tag" in error

/** @since 0.7.0 @category conversions */
export const wordsOf = (error: unknown): Words => {
  const said = { field: null, refusal: null }
  // of what was asked for: it was never sent
  if (ParseResult.isParseError(error)) return wordsOf(invalidOf(error))
  if (!isFailure(error)) return { title: "Something went wrong", detail: String(error), ...said }
  switch (error._tag) {
    case "Unreachable":
      return { title: "The controller does not answer", detail: error.message, ...said }
    case "UnexpectedAnswer":
      return { title: "An answer cannot be understood", detail: error.message, ...said }
    case "OperationFailed":
      return { title: "It failed", detail: error.operation.error ?? error.message, ...said }
    case "PreconditionFailed":
      return {
        title: "Somebody else has changed it",
        detail: "Nothing was done. It is read anew: look at what it is now, and do this again if you still want it.",
        ...said
      }
    default:
      return {
        title: error.title,
        detail: error.detail,
        field: error.field ?? null,
        refusal: error instanceof Problem.Conflict ? (error.refusal ?? null) : null
      }
  }
}

/** @since 0.7.0 @category conversions */
export const wordsOfCause = (cause: Cause.Cause<unknown>): Words =>
  wordsOf(Option.getOrElse(Cause.failureOption(cause), () => Cause.squash(cause)))

/** Whether somebody has to sign in first. @since 0.7.0 @category predicates */
export const isUnknown = (error: unknown): boolean => error instanceof Problem.Unauthenticated

/** Whether what an address names is not there, or not any more. @since 0.13.0 @category predicates */
export const isNotThere = (cause: Cause.Cause<unknown>): boolean => Cause.squash(cause) instanceof Problem.NotFound

/** What a form says as what the API takes; fails in the words that the API has for what it does not take. @since 0.8.0 @category conversions */
export const payloadOf = <A, I>(schema: Schema.Schema<A, I>, body: unknown) =>
  Effect.mapError(Schema.decodeUnknown(schema)(body), invalidOf)
