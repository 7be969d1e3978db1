/**
 * Every route of the controller on one router.
 *
 * @since 0.1.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerError from "@effect/platform/HttpServerError"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Further from "./Further.ts"
import { api } from "../api/Api.ts"
import * as Problem from "../api/Problem.ts"
import * as AnyMethod from "./AnyMethod.ts"
import * as Guard from "./Guard.ts"
import * as Gui from "./Gui.ts"
import * as Health from "./Health.ts"
import * as Insight from "./Insight.ts"
import * as Json from "./Json.ts"
import * as Metrics from "./Metrics.ts"
import * as Needs from "./Needs.ts"
import * as Original from "./Original.ts"
import * as Secrets from "./Secrets.ts"
import * as Traces from "./Traces.ts"
import * as Api from "./v1/Api.ts"
import * as Problems from "./v1/Problems.ts"
import * as VmReads from "./v1/VmReads.ts"

/** What is served outside of the API, by each method, and whether that changes something. */
const served = HttpLayerRouter.FindMyWay.make<boolean>({ maxParamLength: Number.MAX_SAFE_INTEGER })
for (const { method, need, path } of Needs.plain) served.on(method, path, need.changes)

const wrongMethod = (request: HttpServerRequest.HttpServerRequest, allowed: ReadonlyArray<string>) =>
  Json.answer(
    { error: `${Secrets.pathOf(request.url)} has no ${request.method}: use ${allowed.join(" or ")}` },
    { status: 405, headers: { allow: allowed.join(", ") } }
  )

const unknownRoute = (request: HttpServerRequest.HttpServerRequest) => {
  const byHead = served.find("GET", request.url)?.handler === false
  const allowed = AnyMethod.allowed((method) => served.find(method, request.url) !== undefined, byHead)
  return allowed.length > 0 ? wrongMethod(request, allowed) : noRoute(request)
}

const noRoute = (request: HttpServerRequest.HttpServerRequest) =>
  Json.answer(
    {
      error:
        `there is no route ${request.method} ${Secrets.pathOf(request.url)}; ` +
        `there are, by GET and POST: ${[...Original.paths, ...Further.paths, ...Insight.paths].join(", ")}`
    },
    { status: 404 }
  )

const notFound = HttpLayerRouter.addAll(AnyMethod.routes("/*", unknownRoute))

/** A browser is led to the web interface; for everybody else there is nothing. */
const root = HttpLayerRouter.add("GET", "/", (request) => {
  const led = Gui.fromRoot(request)
  return Effect.succeed(led ?? noRoute(request))
})

/** The original's routes and those in its manner, without a server and without a guard. @since 0.1.0 @category layers */
export const routes = Layer.mergeAll(Original.layer, Further.layer, Insight.layer, root, notFound)

/**
 * What is found by no route, not even by the one that says so: a path that cannot be decoded, or a method that none has.
 */
const unfound = (request: HttpServerRequest.HttpServerRequest): HttpServerResponse.HttpServerResponse => {
  const hasProblems = Guard.hasProblems(request.url)
  if (AnyMethod.isOther(request.method)) return hasProblems ? Problems.unknown(request) : unknownRoute(request)
  const path = Secrets.pathOf(request.url)
  const detail = `there is no route ${request.method} ${path}: each % in a path is followed by two hexadecimal digits, of UTF-8`
  return hasProblems
    ? Problems.respond(
        new Problem.NotFound({ status: 404, code: "route_not_found", title: "There is no such route", detail })
      )
    : Json.answer({ error: detail }, { status: 404 })
}

/**
 * The server it is served on, which would answer such a request with nothing at all. Each request's context is its own alone: the routes have the
 * services they need with them, and what is served with all of them copies and compares them at each step that adds something.
 */
const answering = Layer.effect(
  HttpServer.HttpServer,
  Effect.map(HttpServer.HttpServer, (server) =>
    HttpServer.make({
      address: server.address,
      serve: (app, middleware) => {
        const answered = Effect.catchIf(
          app,
          (error) => error instanceof HttpServerError.RouteNotFound,
          (error) => Effect.succeed(unfound(error.request))
        )
        const serving = middleware === undefined ? server.serve(answered) : server.serve(answered, middleware)
        return Effect.mapInputContext(serving, Context.pick(Scope.Scope))
      }
    })
  )
)

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
    Layer.mergeAll(
      routes,
      Api.layer,
      Health.layer,
      Metrics.layer,
      Gui.layer,
      // they would have no span
      traced ? Layer.empty : VmReads.layer
    ).pipe(
      // first, and so before all that answers
      Layer.provide(Guard.layer({ ...guarding, needs }))
    ),
    {
      disableLogger: true,
      disableListenLog: true,
      routerConfig: Api.routerConfig,
      ...(traced ? { middleware: Traces.middleware } : {})
    }
  ).pipe(
    Layer.provide(answering),
    // its spans have whole URLs and all headers
    HttpMiddleware.withTracerDisabledWhen(() => true)
  )

/** `layerWith` for a server that only this machine can reach, which has no name but localhost. @since 0.1.0 @category layers */
export const layer = layerWith({ loopback: true, publicNames: [], rateLimit: 1000 })
