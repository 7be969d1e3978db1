/**
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { NoFeasibleHost } from "../src/domain/Errors.ts"
import * as Place from "../src/scheduler/Place.ts"
import { Scheduler } from "../src/services/Scheduler.ts"

/** The scheduler with the given policy. @since 0.1.0 @category layers */
export const layerPolicy = (policy: Place.Policy): Layer.Layer<Scheduler> =>
  Layer.succeed(Scheduler, {
    place: (request, candidates) =>
      Effect.suspend(() => {
        const placement = Place.place(request, candidates, policy)
        return placement._tag === "Placed"
          ? Effect.succeed(placement.hostId)
          : new NoFeasibleHost({ refusals: placement.refusals })
      })
  })

/** Spreads VMs over the hosts. @since 0.1.0 @category layers */
export const layer: Layer.Layer<Scheduler> = layerPolicy("spread")
