/**
 * `--idempotency-key` of every command that creates something, or has something done: repeated with the same key it shows what the first one led to.
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
  "addHost",
  "addNic",
  "attachVolume",
  "cancelOperation",
  "createImage",
  "createInstanceType",
  "createSnapshot",
  "createToken",
  "createUser",
  "createVm",
  "createVms",
  "createVolume",
  "createWebhook",
  "detachVolume",
  "pauseVm",
  "powerOffVm",
  "publishImage",
  "purgeVolume",
  "rebootVm",
  "repairVm",
  "resetVm",
  "resizeVm",
  "restoreVolume",
  "resumeVm",
  "retryOperation",
  "revertToSnapshot",
  "rotateWebhookSecret",
  "shutDownVm",
  "startVm"
])

/** @since 0.6.0 @category options */
export const options: Options.Options<Option.Option<string>> = Options.text("idempotency-key").pipe(
  Options.withPseudoName("KEY"),
  Options.withDescription(
    "Repeated with the same key, the command does nothing more, and shows what it led to before."
  ),
  Options.optional
)

/** Of what creates nothing. @since 0.6.0 @category options */
export const none: Options.Options<Option.Option<string>> = Options.none.pipe(Options.map(() => Option.none()))

/** Asks with that key, in place of one that is made for each request. What is done to several at once has one for each of them, made of it. @since 0.6.0 @category combinators */
export const through =
  (key: Option.Option<string>) =>
  (http: HttpClient.HttpClient): HttpClient.HttpClient =>
    Option.match(key, {
      onNone: () => http,
      onSome: (key) => {
        let first: string | null = null
        return HttpClient.mapRequest(http, (request) => {
          if (request.method !== "POST") return request
          const { url } = request
          first ??= url
          const path = url.replace(/^[a-z]+:\/\/[^/]*/, "")
          return HttpClientRequest.setHeader(request, "idempotency-key", url === first ? key : `${key}:${path}`)
        })
      }
    })
