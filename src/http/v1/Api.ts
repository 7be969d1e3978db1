/**
 * `/api/v1` on the router, with its description.
 *
 * @since 0.4.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as Layer from "effect/Layer"
import { api, prefix } from "../../api/Api.ts"
import * as Events from "../Events.ts"
import * as Backup from "./Backup.ts"
import * as Consoles from "./Consoles.ts"
import * as Docs from "./Docs.ts"
import * as Handlers from "./Handlers.ts"
import * as Identity from "./Identity.ts"
import * as Inspections from "./Inspections.ts"
import * as Placements from "./Placements.ts"
import * as Problems from "./Problems.ts"
import * as Statistics from "./Statistics.ts"
import * as Webhooks from "./Webhooks.ts"

const events = HttpApiBuilder.group(api, "events", (handlers) => handlers.handle("listEvents", Events.handle))

/**
 * For the router that serves it: one that has a limit answers a longer parameter, and so its path, by nothing at all.
 *
 * @since 0.4.0 @category constants
 */
export const routerConfig = { maxParamLength: Number.MAX_SAFE_INTEGER }

/** Every endpoint, `/openapi.json` and `/docs`. Provide the guard to it, so that it stands before all of them. @since 0.4.0 @category layers */
export const layer = Layer.mergeAll(
  HttpLayerRouter.addHttpApi(api).pipe(
    Layer.provide(
      Layer.mergeAll(
        Handlers.layer,
        Inspections.layer,
        Consoles.layer,
        Statistics.layer,
        Placements.layer,
        Webhooks.layer,
        Identity.layer,
        Backup.layer,
        events
      )
    ),
    Layer.provide(Problems.middleware)
  ),
  Problems.notFound(prefix),
  Docs.layer
)
