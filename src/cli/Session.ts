/**
 * What every command of a client has: whom it asks, and how it shows what it finds.
 *
 * @since 0.5.0
 */
import * as Options from "@effect/cli/Options"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Client from "../client/Client.ts"
import * as Contexts from "./Contexts.ts"
import { Refused } from "./Failure.ts"
import * as Files from "./Files.ts"

/** How results are shown. @since 0.5.0 @category models */
export const modes = ["table", "wide", "json", "yaml", "name"] as const
/** @since 0.5.0 @category models */
export type Mode = (typeof modes)[number]

/** HTTP to a controller, whose certificate may be of an authority in a PEM file. @since 0.5.0 @category services */
export class Network extends Context.Tag("vmfabric/cli/Network")<
  Network,
  { readonly clientFor: (authority: string | undefined) => Effect.Effect<HttpClient.HttpClient> }
>() {}

const value = (name: string, pseudoName: string, description: string) =>
  Options.text(name).pipe(Options.withPseudoName(pseudoName), Options.withDescription(description), Options.optional)

/** Flags of every command. @since 0.5.0 @category options */
export const options = Options.all({
  output: Options.choice("output", modes).pipe(
    Options.withAlias("o"),
    Options.withDescription(
      "table and wide are for people; json is the API's answer, yaml the same; name is one id (or name, of users, pools and contexts) a line."
    ),
    Options.withDefault("table")
  ),
  url: value(
    "url",
    "URL",
    "The controller's address. [VMFABRIC_URL] Default: the context's, else http://127.0.0.1:8080."
  ),
  context: value("context", "NAME", "The controller by its name; see vmfabric context. [VMFABRIC_CONTEXT]"),
  tokenFile: value(
    "token-file",
    "FILE",
    "File with an API token, which nobody else may read. [VMFABRIC_TOKEN has the token itself]"
  ),
  caFile: value("ca-file", "FILE", "PEM file with the authority of the controller's certificate. [VMFABRIC_CA_FILE]")
})
/** @since 0.5.0 @category models */
export type Common = typeof options extends Options.Options<infer A> ? A : never

/** Whom a command asks. @since 0.5.0 @category models */
export interface Target {
  readonly url: string
  readonly token: Redacted.Redacted<string> | undefined
  readonly caFile: string | undefined
  /** the context it is from; null: from none */
  readonly context: string | null
}

/** The usual one, when nothing else is said. @since 0.5.0 @category constants */
export const usualUrl = "http://127.0.0.1:8080"

const loopback = (host: string) => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(host)

/**
 * Flags count for most, then the environment, then the current context. A context's token goes to that context's address only, and no token goes in
 * the clear to another machine.
 *
 * @since 0.5.0 @category constructors
 */
export const targetOf = Effect.fn("Session.targetOf")(function* ({
  caFile,
  context,
  tokenFile,
  url
}: Omit<Common, "output">) {
  const env = yield* Config.all({
    url: Config.option(Config.nonEmptyString("VMFABRIC_URL")),
    context: Config.option(Config.nonEmptyString("VMFABRIC_CONTEXT")),
    token: Config.option(Config.redacted(Config.nonEmptyString("VMFABRIC_TOKEN"))),
    caFile: Config.option(Config.nonEmptyString("VMFABRIC_CA_FILE"))
  }).pipe(
    Effect.mapError(
      () => new Refused({ why: "usage", message: "VMFABRIC_URL, _CONTEXT, _TOKEN or _CA_FILE is no text" })
    )
  )
  // where an address is given no context is, unless both are flags: then the context's token and authority do not count
  const addressed = Option.isSome(url) || (Option.isNone(context) && Option.isSome(env.url))
  const contexts = addressed ? { current: null, contexts: {} } : yield* Contexts.read
  const name = addressed
    ? null
    : Option.getOrElse(
        Option.orElse(context, () => env.context),
        () => contexts.current
      )
  const entry = name === null ? undefined : yield* Contexts.named(contexts, name)
  const given = Option.isSome(tokenFile)
    ? Redacted.make(yield* Contexts.secretIn(tokenFile.value))
    : Option.isSome(context)
      ? (entry?.token ?? Option.getOrUndefined(env.token))
      : (Option.getOrUndefined(env.token) ?? entry?.token)
  const address =
    entry?.url ??
    Option.getOrElse(
      Option.orElse(url, () => env.url),
      () => usualUrl
    )
  const { hostname, protocol } = yield* Contexts.checkedUrl(address)
  if (given !== undefined && !/^[\x21-\x7e]+$/.test(Redacted.value(given))) {
    return yield* new Refused({
      why: "usage",
      message: "the token is none: expected one line, as vmf_ and 43 characters"
    })
  }
  if (given !== undefined && protocol === "http:" && !loopback(hostname)) {
    return yield* new Refused({
      why: "usage",
      message: `${address} would get the token unencrypted: give an https address, or go through an SSH tunnel`,
      field: "url"
    })
  }
  const target: Target = {
    url: address,
    token: given,
    caFile: Option.getOrUndefined(Option.orElse(caFile, () => env.caFile)) ?? entry?.caFile,
    context: name
  }
  return target
})

/** The body of an answer in JSON is kept, since what it says is decoded from it and shown as it came. A stream has to stay one. */
const keepingBody = (response: HttpClientResponse.HttpClientResponse) => {
  if (!(response.headers["content-type"] ?? "").includes("json")) return Effect.succeed(response)
  return Effect.map(response.text, (text): HttpClientResponse.HttpClientResponse => {
    const bytes = new TextEncoder().encode(text)
    return Object.create(response, {
      arrayBuffer: { value: Effect.succeed(bytes) },
      text: { value: Effect.succeed(text) },
      json: {
        value: Effect.try({
          try: (): unknown => JSON.parse(text),
          catch: (cause) =>
            new HttpClientError.ResponseError({ request: response.request, response, reason: "Decode", cause })
        })
      }
    })
  })
}

/** What a file of authorities has, PEM; undefined: there is none. @since 0.7.0 @category reading */
export const authorityOf = Effect.fn("Session.authorityOf")(function* (caFile: string | undefined) {
  if (caFile === undefined) return undefined
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(fs.readFileString(caFile), Files.unreadable(caFile, "ca-file"))
  // Node takes whatever it is given, and then trusts nobody
  if (!/^-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/m.test(text)) {
    return yield* new Refused({
      why: "usage",
      message:
        `${caFile} has no certificate in it: expected a PEM file with that of the controller's authority, ` +
        "or with the controller's own, which begins with -----BEGIN CERTIFICATE-----",
      field: "ca-file"
    })
  }
  return text
})

/** A client of a controller, that tries for so long. `around`: what is done to each of its requests. @since 0.5.0 @category constructors */
export const clientOf = Effect.fn("Session.clientOf")(function* (
  { caFile, token, url }: Target,
  patience: "2 seconds" | "10 minutes",
  around: (http: HttpClient.HttpClient) => HttpClient.HttpClient = identity
) {
  const authority = yield* authorityOf(caFile)
  const http = HttpClient.transformResponse(
    yield* Effect.flatMap(Network, ({ clientFor }) => clientFor(authority)),
    Effect.flatMap(keepingBody)
  )
  return yield* Client.make({ url, patience, ...(token === undefined ? {} : { token }) }).pipe(
    Effect.provideService(HttpClient.HttpClient, around(http))
  )
})

/** Every request with a session's cookie. @since 0.5.0 @category combinators */
export const withCookie =
  (cookie: Redacted.Redacted<string>) =>
  (http: HttpClient.HttpClient): HttpClient.HttpClient =>
    HttpClient.mapRequest(http, (request) => HttpClientRequest.setHeader(request, "cookie", Redacted.value(cookie)))

/** @since 0.5.0 @category services */
export class Session extends Context.Tag("vmfabric/cli/Session")<
  Session,
  {
    readonly mode: Mode
    readonly common: Common
    readonly target: Effect.Effect<Target, Refused>
    /** for what is answered at once: somebody sits before it */
    readonly client: Effect.Effect<Client.Service, Refused>
    /** for what is waited for: a controller that is started anew is waited for, too */
    readonly patient: Effect.Effect<Client.Service, Refused>
  }
>() {}

/** Of the session: for what is answered at once. @since 0.5.0 @category getters */
export const client = Effect.flatMap(Session, ({ client }) => client)
/** Of the session: for what is waited for. @since 0.5.0 @category getters */
export const patient = Effect.flatMap(Session, ({ patient }) => patient)

/** @since 0.5.0 @category models */
export type Needs = Network | FileSystem.FileSystem

/** `around`: what is done to each request. @since 0.5.0 @category constructors */
export const make = Effect.fnUntraced(function* (
  common: Common,
  around: (http: HttpClient.HttpClient) => HttpClient.HttpClient = identity
) {
  const context = yield* Effect.context<Needs>()
  const cached = <A>(effect: Effect.Effect<A, Refused, Needs>) => Effect.cached(Effect.provide(effect, context))
  const target = yield* cached(targetOf(common))
  return Session.of({
    mode: common.output,
    common,
    target,
    client: yield* cached(Effect.flatMap(target, (to) => clientOf(to, "2 seconds", around))),
    patient: yield* cached(Effect.flatMap(target, (to) => clientOf(to, "10 minutes", around)))
  })
})
