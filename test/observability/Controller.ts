/** A controller over a simulated fleet, with the routes to look into it. */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AppLive from "../../layers/AppLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import * as Health from "../../src/http/Health.ts"
import * as Metrics from "../../src/http/Metrics.ts"
import * as Original from "../../src/http/Original.ts"
import * as Readiness from "../../src/observability/Readiness.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as World from "../fabric/World.ts"

/** Host `sim-1` … `sim-N` as `World.make` has them; `ceph`: disks are in a pool. */
export const make = Effect.fn("Controller.make")(function* (options: Pick<World.Options, "hosts" | "ceph">) {
  const world = yield* World.make(options)
  const readiness = yield* Readiness.fresh
  const life = AppLive.layer({
    fleet: world.config,
    database: ":memory:",
    ceph: options.ceph === true ? Fleet.cephOf(world.cluster, { user: "root", host: "sim-images", port: 22 }) : null
  }).pipe(
    Layer.provide(SimulatedFleet.layerSsh(world.fleet, { keepalive: "300 millis" })),
    Layer.provide(NodeContext.layer),
    Layer.provideMerge(Layer.succeed(Readiness.Readiness, readiness))
  )
  const app = yield* HttpLayerRouter.toHttpEffect(
    Layer.mergeAll(Original.layer, Health.layer, Metrics.layer).pipe(Layer.provide(life))
  )
  /** As a server does it: with a span for the request, where somebody gets that. */
  const get = (path: string) =>
    Effect.gen(function* () {
      const answered = yield* Deferred.make<HttpServerResponse.HttpServerResponse>()
      yield* HttpApp.toHandled(app, (_, response) => Deferred.succeed(answered, response)).pipe(
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromWeb(new Request(`http://controller${path}`))
        ),
        Effect.scoped
      )
      const response = HttpServerResponse.toWeb(yield* Deferred.await(answered))
      const text = yield* Effect.promise(() => response.text())
      return { status: response.status, type: response.headers.get("content-type"), text }
    })
  return { ...world, get }
})
