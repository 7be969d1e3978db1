/**
 * The inventory in the database. VMs and volumes that exist, and what was seen of them, are also kept in memory, changed by commits alone:
 * they are what is asked for most, and nobody else writes the file.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { PersistenceError } from "../src/domain/Errors.ts"
import { Inventory } from "../src/services/Inventory.ts"
import { Database } from "./Database.ts"
import * as InventoryAdmission from "./InventoryAdmission.ts"
import * as InventoryCatalogue from "./InventoryCatalogue.ts"
import * as InventoryHosts from "./InventoryHosts.ts"
import * as InventoryNics from "./InventoryNics.ts"
import * as InventorySeen from "./InventorySeen.ts"
import * as InventoryVms from "./InventoryVms.ts"
import * as InventoryVolumes from "./InventoryVolumes.ts"
import * as Fleet from "./sql/Fleet.ts"
import * as HostUsages from "./sql/HostUsages.ts"
import * as RequestKeys from "./sql/RequestKeys.ts"
import * as Tables from "./sql/Tables.ts"

const make = Effect.gen(function* () {
  const database = yield* Database
  const { mustBeInside, read, sql, write, writeSimply } = database
  const usages = yield* HostUsages.make(database)
  const tables = Tables.make(database, usages)
  const { operations, quotas } = tables
  const catalogue = InventoryCatalogue.make(database, tables)
  const seen = yield* InventorySeen.make(database, tables)
  const volumes = yield* InventoryVolumes.make(database, tables, usages)
  const vms = yield* InventoryVms.make(database, tables, usages, catalogue, seen, volumes.remember)

  yield* write(
    "drop old request keys",
    Effect.flatMap(Clock.currentTimeMillis, (now) => RequestKeys.forget(sql, now))
  )

  /** A part of the caller's transaction. */
  const inside = <A, E>(action: string, body: Effect.Effect<A, E>) =>
    Effect.zipRight(mustBeInside(action), read(action, body))

  return Inventory.of({
    applyFleet: Effect.fn("Inventory.applyFleet")((fleet) =>
      usages.changingAllHosts("apply the input files", Fleet.apply(sql, fleet), catalogue.forget)
    ),
    ...InventoryHosts.make(database, usages),
    ...catalogue.service,
    ...InventoryAdmission.make(database, tables, usages, catalogue, vms.remember),
    ...vms.service,
    ...InventoryNics.make(database, tables, usages, vms.remember),
    ...seen.service,
    ...volumes.service,

    setOutcome: Effect.fn("Inventory.setOutcome")((id, outcome) =>
      writeSimply(`say how operation ${id} came about`, Effect.asVoid(operations.setOutcome(id, outcome)))
    ),
    operation: (id) => read(`read operation ${id}`, operations.byId(id)),
    keepRetry: (of, by) => inside(`keep the retry of operation ${of}`, operations.retry(of, by)),
    keepKey: (key, led, now) =>
      Effect.asVoid(
        inside(
          "keep what a request led to",
          Effect.zipRight(RequestKeys.led(sql, key), RequestKeys.keep(sql, key, led, now))
        )
      ),
    keyed: Effect.fn("Inventory.keyed")((key) => read("read what a request led to", RequestKeys.led(sql, key))),
    uses: Effect.withSpan(read("read what users have", quotas.all), "Inventory.uses"),
    use: Effect.fn("Inventory.use")((user) => read(`read what ${user} has`, quotas.used(user)))
  })
})

/**
 * The inventory on the given database. Fails when the VMs cannot be read at start.
 *
 * @since 0.1.0 @category layers
 */
export const layer: Layer.Layer<Inventory, PersistenceError, Database> = Layer.effect(Inventory, make)
