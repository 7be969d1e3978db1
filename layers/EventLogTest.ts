/**
 * The event log for tests, with the inventory and the journal whose changes it tells: the live code, unchanged, on a database in memory.
 *
 * @since 0.4.0
 */
import * as Layer from "effect/Layer"
import type { PersistenceError } from "../src/domain/Errors.ts"
import type { EventLog } from "../src/services/EventLog.ts"
import type { Inventory } from "../src/services/Inventory.ts"
import type { Journal } from "../src/services/Journal.ts"
import * as Database from "./Database.ts"
import * as EventLogLive from "./EventLogLive.ts"
import * as InventoryLive from "./InventoryLive.ts"
import * as JournalLive from "./JournalLive.ts"

/** Empty. Each build of the layer has a database of its own. @since 0.4.0 @category layers */
export const layerWith = (
  options: Partial<EventLogLive.Options> = {}
): Layer.Layer<EventLog | Inventory | Journal, PersistenceError> =>
  Layer.mergeAll(EventLogLive.layerWith(options), InventoryLive.layer, JournalLive.layer).pipe(
    Layer.provide(Database.layer({ filename: ":memory:" }))
  )

/** @since 0.4.0 @category layers */
export const layer: Layer.Layer<EventLog | Inventory | Journal, PersistenceError> = layerWith()
