/**
 * ETags: what is wanted of a resource, and changes that depend on it.
 *
 * @since 0.4.0
 */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import { InvalidArgument } from "../../domain/Errors.ts"
import type { Expect } from "../../fabric/Revision.ts"

/** Headers of an answer that is made here. @since 0.8.0 @category conversions */
export const headersOf = (revision: string) => ({ etag: `"${revision}"` })

/** The answer to this request says which revision it shows. @since 0.4.0 @category combinators */
export const tagged = (revision: string): Effect.Effect<void> =>
  HttpApp.appendPreResponseHandler((_, response) =>
    Effect.succeed(response.status < 300 ? HttpServerResponse.setHeaders(response, headersOf(revision)) : response)
  )

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
    ifMatch.split(",").flatMap((tag) => (tag.trim().startsWith('"') ? [tag.trim().slice(1, -1)] : []))
  )
  return Effect.succeed((revision) => expected.has(revision))
}

/** With what the request's `If-Match` expects. @since 0.9.0 @category combinators */
export const withExpectation = <A, E, R>(
  { headers }: { readonly headers: { readonly "if-match"?: string } },
  useCase: (expect: Expect | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | InvalidArgument, R> => Effect.flatMap(expectation(headers["if-match"]), useCase)
