/**
 * Inventory and journal for tests: the live code, unchanged, on a database in memory. Nothing is imitated, so nothing can differ but
 * durability.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { FleetConflict, PersistenceError } from "../src/domain/Errors.ts"
import type { HostConfig, HostFacts } from "../src/domain/Host.ts"
import { type FleetConfig, Inventory } from "../src/services/Inventory.ts"
import type { Journal } from "../src/services/Journal.ts"
import * as Database from "./Database.ts"
import * as InventoryLive from "./InventoryLive.ts"
import * as JournalLive from "./JournalLive.ts"

/** Empty. Each build of the layer has a database of its own. @since 0.1.0 @category layers */
export const layer: Layer.Layer<Inventory | Journal, PersistenceError> = Layer.merge(
  InventoryLive.layer,
  JournalLive.layer
).pipe(Layer.provide(Database.layer({ filename: ":memory:" })))

/** With the fleet, and with every host's facts when `facts` is given: as if each had been reached. @since 0.1.0 @category layers */
export const layerFleet = (
  fleet: FleetConfig,
  facts?: (config: HostConfig) => HostFacts
): Layer.Layer<Inventory | Journal, PersistenceError | FleetConflict> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const inventory = yield* Inventory
      yield* inventory.applyFleet(fleet)
      if (facts === undefined) return
      for (const { host } of yield* inventory.hosts) yield* inventory.setHostFacts(host.id, facts(host.config))
    })
  ).pipe(Layer.provideMerge(layer))
