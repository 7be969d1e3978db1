/**
 * A span for each request, where traces are sent.
 *
 * The server library's own span has whole URLs and all headers, and so whatever opens doors: this one has neither.
 *
 * @since 0.5.0
 */
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Secrets from "./Secrets.ts"

/** Asked all the time, and of no interest. */
const uninteresting = new Set(["/healthz", "/readyz", "/metrics"])

/** A part of the sender's own trace, when it says so. @since 0.5.0 @category middleware */
export const middleware = <E, R>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, method, url }) => {
    const path = url.split(/[?#;]/)[0] ?? ""
    if (uninteresting.has(path)) return handler
    const above = HttpTraceContext.fromHeaders(headers)
    return Effect.useSpan(
      `http.server ${method}`,
      {
        ...Option.match(above, { onNone: () => ({ root: true }), onSome: (parent) => ({ parent }) }),
        kind: "server",
        captureStackTrace: false,
        attributes: { "http.request.method": method, "url.path": Secrets.withoutIn(path) }
      },
      (span) =>
        Effect.flatMap(Effect.exit(Effect.withParentSpan(handler, span)), (exit) => {
          span.attribute("http.response.status_code", HttpServerError.exitResponse(exit).status)
          return exit
        })
    )
  })
