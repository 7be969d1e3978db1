/**
 * One POST to an address that somebody named, without being led where they may not reach themselves.
 *
 * Node's own client rather than fetch or undici: it is loaded already, follows no redirects, knows no proxies of the environment, and lets each
 * connection ask us which addresses a name has. So what is checked is what is connected to, whatever the name leads to a moment later.
 *
 * @since 0.5.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import { createHmac } from "node:crypto"
import * as http from "node:http"
import * as https from "node:https"
import { isIP } from "node:net"
import packageJson from "../package.json" with { type: "json" }
import { type AddressRange, isLoopback, isPublic, isWithin } from "../src/config/Addresses.ts"
import { InvalidArgument } from "../src/domain/Errors.ts"
import * as Outbound from "./Outbound.ts"

/** It did not arrive. `kind` is a label out of few; `reason` says why in words, without the URL's path, which may be a secret. @since 0.5.0 @category errors */
export class DeliveryFailed extends Data.TaggedError("DeliveryFailed")<{
  readonly kind: "forbidden" | "unreachable" | "timeout" | "status"
  readonly reason: string
  /** of the answer; null: there was none */
  readonly status: number | null
  /** seconds after which the receiver wants to be asked again; null: it did not say */
  readonly retryAfter: number | null
}> {
  override get message(): string {
    return this.reason
  }
}

/** @since 0.5.0 @category models */
export interface Message {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Gives the status of an answer of success. @since 0.5.0 @category models */
export type Send = (message: Message) => Effect.Effect<number, DeliveryFailed>

/** @since 0.5.0 @category models */
export interface Options {
  /** addresses that are not public, and yet may be sent to; without TLS only those of them that are loopback */
  readonly allow: ReadonlyArray<AddressRange>
  /** authorities, PEM, in place of those that node knows */
  readonly ca?: string
  /** the addresses of a name; default: what DNS says */
  readonly resolve?: Outbound.Resolve
}

/** Of one delivery, from the connection to the head of the answer. @since 0.5.0 @category constants */
export const timeLimit = "10 seconds"

/** So much of an answer's body is read, that the connection can be used again; what has more loses it. */
const mostRead = 1024

const failed = (
  kind: DeliveryFailed["kind"],
  reason: string,
  { retryAfter = null, status = null }: Partial<Pick<DeliveryFailed, "status" | "retryAfter">> = {}
) => new DeliveryFailed({ kind, reason, status, retryAfter })

// ------------------------------------------------------------------------------------------------------ where it may go

const mayReach = ({ allow }: Options, secure: boolean, address: string): boolean =>
  secure ? isPublic(address) || isWithin(allow, address) : isLoopback(address) && isWithin(allow, address)

const notThere = (name: string, addresses: ReadonlyArray<string>, secure: boolean): string => {
  const where = addresses.join(", ")
  const what = name === where ? where : `${name} (${where})`
  return secure
    ? `nothing is sent to ${what}, which is no public address: the controller has to be started with --webhook-allow for it`
    : `nothing is sent without TLS to ${what}, but to loopback addresses that --webhook-allow names: use https`
}

/**
 * A URL that something may be sent to, as it will be used. What a name leads to is only known when it is: that is checked then.
 *
 * @since 0.5.0 @category parsing
 */
export const parseUrl = (text: string, options: Options): Either.Either<string, InvalidArgument> => {
  const refuse = (problem: string, expected: string) =>
    Either.left(new InvalidArgument({ field: "url", problem, expected }))
  const form = "a URL as in https://receiver.example/hooks"
  if (text.length > 2000) return refuse(`has ${text.length} characters`, "2000 at most")
  if (!URL.canParse(text)) return refuse("is no URL", form)
  const url = new URL(text)
  if (url.protocol !== "https:" && url.protocol !== "http:") return refuse("is none of https", form)
  // whoever lists webhooks would see them; the signature says who sends
  if (url.username !== "" || url.password !== "") return refuse("has a user name or a password", "none in it")
  if (url.port === "0") return refuse("has the port 0, where nobody can be", "a port from 1 to 65535, or none")
  if (url.hash !== "") return refuse("has a fragment", "nothing after a #")
  const secure = url.protocol === "https:"
  const host = Outbound.hostOf(url)
  const known = isIP(host) !== 0 ? [host] : Outbound.isLocalName(host) ? Outbound.loopback : null
  if (known === null && !secure) return refuse("is without TLS", form)
  return known === null || known.some((address) => mayReach(options, secure, address))
    ? Either.right(url.href)
    : refuse("leads where nothing may be sent", `${form}; ${notThere(host, known, secure)}`)
}

/** Asked at each connection. */
const lookupOf = (options: Options, secure: boolean) =>
  Outbound.lookup(
    options.resolve ?? Outbound.byDns,
    (address) => mayReach(options, secure, address),
    (name, addresses) => notThere(name, addresses, secure)
  )

// ------------------------------------------------------------------------------------------------------------- one POST

const unreachable = (host: string, error: Error): DeliveryFailed => {
  const { forbidden, reason } = Outbound.failure(host, error)
  return failed(forbidden ? "forbidden" : "unreachable", reason)
}

/** A connection that was kept open may have been closed by the other side just now: nothing was said about the request then. */
class Stale extends Data.TaggedError("Stale")<{ readonly error: DeliveryFailed }> {}

const seconds = (header: string | undefined): number | null =>
  header !== undefined && /^[0-9]{1,6}$/.test(header.trim()) ? Number(header) : null

/** Reads so much that the connection can be used again, or gives it up: the answer has arrived, whatever becomes of the rest of it. */
const drain = (response: http.IncomingMessage): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    let read = 0
    response.on("data", (chunk: Buffer) => {
      read += chunk.length
      if (read > mostRead) response.destroy()
    })
    response.on("error", () => resume(Effect.void))
    response.on("close", () => resume(Effect.void))
    if (response.destroyed) resume(Effect.void)
    return Effect.sync(() => response.destroy())
  }).pipe(Effect.timeoutOption("1 second"), Effect.asVoid)

/** @since 0.5.0 @category constructors */
export const make = (options: Options): Effect.Effect<Send, never, Scope.Scope> =>
  Effect.gen(function* () {
    const kept = { keepAlive: true, maxFreeSockets: 64, timeout: 30_000 }
    const plain = new http.Agent(kept)
    const tls = new https.Agent(kept)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        plain.destroy()
        tls.destroy()
      })
    )

    const post = ({ body, headers, url }: Message) =>
      Effect.suspend(() => {
        const target = new URL(url)
        const secure = target.protocol === "https:"
        const host = Outbound.hostOf(target)
        // no name, so that nobody asks for its addresses
        if (isIP(host) !== 0 && !mayReach(options, secure, host)) {
          return failed("forbidden", notThere(host, [host], secure))
        }
        return Effect.async<http.IncomingMessage, DeliveryFailed | Stale>((resume) => {
          const request = (secure ? https : http).request(target, {
            method: "POST",
            agent: secure ? tls : plain,
            lookup: lookupOf(options, secure),
            headers: { ...headers, "content-length": Buffer.byteLength(body) },
            ...(options.ca === undefined ? {} : { ca: options.ca })
          })
          request.on("response", (response) => resume(Effect.succeed(response)))
          request.on("error", (error) => {
            const why = unreachable(host, error)
            const closed = request.reusedSocket && ["ECONNRESET", "EPIPE"].includes(Outbound.codeOf(error))
            resume(closed ? new Stale({ error: why }) : why)
          })
          // also without an error, as when the answer is a switch to another protocol
          request.on("close", () => resume(failed("unreachable", `${host} has closed the connection`)))
          request.end(body)
          return Effect.sync(() => request.destroy())
        }).pipe(
          Effect.tap(drain),
          Effect.flatMap(({ headers: said, statusCode: status = 0 }) =>
            status >= 200 && status < 300
              ? Effect.succeed(status)
              : failed(
                  "status",
                  `${host} answers ${status}${status >= 300 && status < 400 ? ", and redirects are not followed" : ""}`,
                  { status, retryAfter: seconds(said["retry-after"]) }
                )
          )
        )
      })

    return (message) =>
      Effect.retry(post(message), { times: 1, while: ({ _tag }) => _tag === "Stale" }).pipe(
        Effect.catchTag("Stale", ({ error }) => error),
        Effect.timeoutFail({
          duration: timeLimit,
          onTimeout: () =>
            failed("timeout", `${Outbound.hostOf(new URL(message.url))} did not answer within ${timeLimit}`)
        })
      )
  })

// ------------------------------------------------------------------------------------------------------------ signatures

/** What the receiver's library expects before the base64 of the bytes. @since 0.5.0 @category constants */
export const secretPrefix = "whsec_"

/**
 * The headers of the Standard Webhooks specification. `secrets`: the present one, and the one before while it is still good.
 *
 * @since 0.5.0 @category formatting
 */
export const signed = (
  secrets: ReadonlyArray<string>,
  id: string,
  timestamp: number,
  body: string
): Readonly<Record<string, string>> => ({
  "content-type": "application/json",
  "user-agent": `vmfabric/${packageJson.version}`,
  "webhook-id": id,
  "webhook-timestamp": String(timestamp),
  "webhook-signature": secrets
    .map((secret) => {
      const key = Buffer.from(secret.slice(secretPrefix.length), "base64")
      return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`
    })
    .join(" ")
})
