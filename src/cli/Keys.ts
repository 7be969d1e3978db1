/**
 * `--idempotency-key` of every command that creates something: repeated with the same key it shows what the first one has created.
 *
 * It is added to the request where it leaves, so that no command has to know of it.
 *
 * @since 0.6.0
 */
import * as Options from "@effect/cli/Options"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Option from "effect/Option"

/** Endpoints whose requests can have a key. @since 0.6.0 @category constants */
export const keyed: ReadonlySet<string> = new Set([
  "addNic",
  "createSnapshot",
  "createVm",
  "createVms",
  "createVolume",
  "retryOperation"
])

/** @since 0.6.0 @category options */
export const options: Options.Options<Option.Option<string>> = Options.text("idempotency-key").pipe(
  Options.withPseudoName("KEY"),
  Options.withDescription(
    "Repeated with the same key, the command creates nothing more, and shows what it has created before."
  ),
  Options.optional
)

/** Of what creates nothing. @since 0.6.0 @category options */
export const none: Options.Options<Option.Option<string>> = Options.none.pipe(Options.map(() => Option.none()))

/** Asks with that key, in place of one that is made for each request. @since 0.6.0 @category combinators */
export const through =
  (key: Option.Option<string>) =>
  (http: HttpClient.HttpClient): HttpClient.HttpClient =>
    Option.match(key, {
      onNone: () => http,
      onSome: (key) =>
        HttpClient.mapRequest(http, (request) =>
          request.method === "POST" ? HttpClientRequest.setHeader(request, "idempotency-key", key) : request
        )
    })
