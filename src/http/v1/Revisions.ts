/**
 * ETags: what is wanted of a resource, and changes that depend on it.
 *
 * @since 0.4.0
 */
import * as HttpApp from "@effect/platform/HttpApp"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { InvalidArgument } from "../../domain/Errors.ts"
import type { Expect } from "../../fabric/Revision.ts"

/** What an answer is sent as: a text, or bytes. */
type Sent = string | Uint8Array

/** Apart from the revision, of which there is none in it. */
const mark = "."

/** Of all that an answer shows, also of what is only seen. */
const digest = (sent: Sent): string => createHash("sha256").update(sent).digest("base64url").slice(0, 22)

/**
 * Headers of an answer that is made here. The tag has two parts: the revision, which is what `If-Match` compares, and what all of the answer is, which
 * `If-None-Match` compares with it: whoever has a copy of what is wanted must not take it for what is seen.
 *
 * @since 0.8.0 @category conversions
 */
export const headersOf = (revision: string, sent: Sent) => ({ etag: `"${revision}${mark}${digest(sent)}"` })

/** Of an ETag, without its quotes. */
const revisionIn = (tag: string): string => tag.split(mark, 1)[0] ?? tag

/** Whether one of the tags is that one. What is weak is the same for who only reads (RFC 9110, 13.1.2). @since 0.12.0 @category predicates */
export const names = (ifNoneMatch: string, etag: string): boolean =>
  ifNoneMatch.trim() === "*" || ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag)

/** 304 in place of what whoever asks has already, as its `If-None-Match` says. @since 0.10.0 @category combinators */
export const unlessKnown = (
  { headers, method }: Pick<HttpServerRequest.HttpServerRequest, "headers" | "method">,
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => {
  const { etag } = response.headers
  const known = headers["if-none-match"]
  const reads = method === "GET" || method === "HEAD"
  if (known === undefined || etag === undefined || !reads || response.status !== 200) return response
  return names(known, etag) ? HttpServerResponse.empty({ status: 304, headers: { etag } }) : response
}

const sentIn = ({ body }: HttpServerResponse.HttpServerResponse): Sent | undefined => {
  if (body._tag === "Uint8Array") return body.body
  return body._tag === "Raw" && typeof body.body === "string" ? body.body : undefined
}

/** The answer to this request says which revision it shows. @since 0.4.0 @category combinators */
export const tagged = (revision: string): Effect.Effect<void> =>
  HttpApp.appendPreResponseHandler((request, response) => {
    const sent = response.status < 300 ? sentIn(response) : undefined
    return Effect.succeed(
      sent === undefined
        ? response
        : unlessKnown(request, HttpServerResponse.setHeaders(response, headersOf(revision, sent)))
    )
  })

const tags = /^\s*(?:(?:W\/)?"[\x21\x23-\x7e]*"\s*(?:,\s*|$))+$/

/** What `If-Match` expects (RFC 9110); undefined: there is none. @since 0.4.0 @category parsing */
export const expectation = (ifMatch: string | undefined): Effect.Effect<Expect | undefined, InvalidArgument> => {
  if (ifMatch === undefined) return Effect.succeed(ifMatch)
  if (ifMatch.trim() === "*") return Effect.succeed(() => true)
  if (!tags.test(ifMatch)) {
    return new InvalidArgument({
      field: "If-Match",
      problem: "is no ETag",
      expected: "the ETag as it was given, in double quotes, or *"
    })
  }
  // weak ones are the same as nothing: what is compared here has to be exactly the same
  const expected = new Set(
    ifMatch.split(",").flatMap((tag) => (tag.trim().startsWith('"') ? [revisionIn(tag.trim().slice(1, -1))] : []))
  )
  return Effect.succeed((revision) => expected.has(revision))
}

/** With what the request's `If-Match` expects. @since 0.9.0 @category combinators */
export const withExpectation = <A, E, R>(
  { headers }: { readonly headers: { readonly "if-match"?: string } },
  useCase: (expect: Expect | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | InvalidArgument, R> => Effect.flatMap(expectation(headers["if-match"]), useCase)
