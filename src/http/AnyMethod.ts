/**
 * Routes that answer whatever method a request has.
 *
 * @since 0.9.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"

/** HEAD is not among them: it finds what GET finds, which it would not if it were. @since 0.9.0 @category constants */
export const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const

/** Whether a request with another method, such as TRACE, is found by no route at all. @since 0.11.0 @category predicates */
export const isOther = (method: string): boolean => method !== "HEAD" && !methods.some((known) => known === method)

/** As `Allow` has them. HEAD is where GET is, unless GET changes something. @since 0.11.0 @category getters */
export const allowed = (has: (method: string) => boolean, byHead = true): ReadonlyArray<string> =>
  methods.flatMap((method) => (!has(method) ? [] : method === "GET" && byHead ? [method, "HEAD"] : [method]))

/** @since 0.9.0 @category constructors */
export const routes = (
  path: HttpLayerRouter.PathInput,
  answer: (request: HttpServerRequest.HttpServerRequest) => HttpServerResponse.HttpServerResponse
) => methods.map((method) => HttpLayerRouter.route(method, path, (request) => Effect.succeed(answer(request))))
