/**
 * `/vms/{id}/placement`, `/fits` and `/rebalancing`.
 *
 * @since 0.7.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import { api } from "../../api/Api.ts"
import { Placements } from "../../fabric/Placements.ts"
import { told } from "./Problems.ts"
import * as Views from "./Views.ts"

/** @since 0.7.0 @category layers */
export const layer = HttpApiBuilder.group(api, "placements", (handlers) =>
  Effect.map(Placements, (placements) =>
    handlers
      .handle("getVmPlacement", ({ path }) => told(Effect.map(placements.why(path.id), Views.vmPlacement)))
      .handle("getFits", () => told(Effect.map(placements.fits, Views.fits)))
      .handle("getRebalancing", ({ urlParams: { aim, ...asked } }) =>
        told(Effect.map(placements.rebalance({ ...asked, repair: aim === "repair" }), Views.rebalancing))
      )
  )
)
