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
import { api } from "../api/Api.ts"
import * as Guard from "./Guard.ts"
import * as Health from "./Health.ts"
import * as Insight from "./Insight.ts"
import * as Metrics from "./Metrics.ts"
import * as Needs from "./Needs.ts"
import * as Original from "./Original.ts"
import * as Traces from "./Traces.ts"
import * as Api from "./v1/Api.ts"

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

/** The original's routes and those in its manner, without a server and without a guard. @since 0.1.0 @category layers */
export const routes = Layer.mergeAll(Original.layer, Further.layer, Insight.layer, notFound)

/** What each of the routes needs. An API that is served and missing here would be open to every viewer. */
const needs = Needs.make([...Needs.plain, ...Needs.ofApi(api)])

/** What the router is told beside what its guard is. @since 0.5.0 @category models */
export interface Options extends Omit<Guard.Options, "needs"> {
  /** whether each request gets a span: that costs a third of the throughput, and is for nothing where traces are not sent. Default: no */
  readonly traced?: boolean
}

/** Serves the routes, guarded, on whatever `HttpServer` is provided. @since 0.4.0 @category layers */
export const layerWith = ({ traced = false, ...guarding }: Options) =>
  HttpLayerRouter.serve(
    Layer.mergeAll(routes, Api.layer, Health.layer, Metrics.layer, Guard.layer({ ...guarding, needs })),
    {
      disableLogger: true,
      disableListenLog: true,
      routerConfig: Api.routerConfig,
      ...(traced ? { middleware: Traces.middleware } : {})
    }
  ).pipe(
    // its spans have whole URLs and all headers
    HttpMiddleware.withTracerDisabledWhen(() => true)
  )

/** `layerWith` for a server that only this machine can reach, which has no name but localhost. @since 0.1.0 @category layers */
export const layer = layerWith({ loopback: true, publicNames: [], rateLimit: 1000 })
