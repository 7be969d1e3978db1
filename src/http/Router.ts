/**
 * Every route of the controller on one router.
 *
 * @since 0.1.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Further from "./Further.ts"
import * as Insight from "./Insight.ts"
import * as Original from "./Original.ts"

const notFound = HttpLayerRouter.add("*", "/*", (request) =>
  HttpServerResponse.json(
    {
      error:
        `there is no route ${request.method} ${(request.url.split("?")[0] ?? "").slice(0, 80)}; ` +
        `there are, by GET and POST: ${[...Original.paths, ...Further.paths, ...Insight.paths].join(", ")}`
    },
    { status: 404 }
  )
)

/** The routes without a server, for tests and for programs with a server of their own. @since 0.1.0 @category layers */
export const routes = Layer.mergeAll(Original.layer, Further.layer, Insight.layer, notFound)

/**
 * Serves the routes on whatever `HttpServer` is provided. Requests are not traced one by one: that costs a third of the throughput, and
 * the operations they begin have spans of their own.
 *
 * @since 0.1.0 @category layers
 */
export const layer = HttpLayerRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
  HttpMiddleware.withTracerDisabledWhen(() => true)
)
