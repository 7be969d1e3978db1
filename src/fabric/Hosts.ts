/**
 * What can be asked about hosts.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Errors from "../domain/Errors.ts"
import { Host, type HostStatus } from "../domain/Host.ts"
import type { HostId } from "../domain/Ids.ts"
import * as Resources from "../domain/Resources.ts"
import { HostMonitor, statusOf } from "../services/HostMonitor.ts"
import { Inventory, type HostUsage } from "../services/Inventory.ts"
import * as Facts from "./Facts.ts"
import * as Intent from "./Intent.ts"
import * as Revision from "./Revision.ts"

/**
 * A host with what it can hold. `capacity` is what may be promised in all, overcommit included; `free` what is left of it (never below
 * 0). Both are zero until the host was reached for the first time.
 *
 * @since 0.1.0 @category models
 */
export interface HostReport {
  readonly host: Host
  readonly status: HostStatus
  readonly capacity: Resources.Resources
  readonly promised: Resources.Resources
  readonly free: Resources.Resources
  readonly vms: number
}

/** @since 0.1.0 @category services */
export class Hosts extends Context.Tag("vmfabric/Hosts")<
  Hosts,
  {
    readonly list: Effect.Effect<ReadonlyArray<HostReport>, Errors.PersistenceError>
    readonly get: (id: HostId) => Effect.Effect<HostReport, Errors.HostNotFound | Errors.PersistenceError>
    /**
     * On: nothing new is placed on the host; what is there stays, and can be worked on. Kept over restarts; the report is of the host as it then
     * is. `HasChanged`: its revision is not the expected one.
     */
    readonly setMaintenance: (
      id: HostId,
      on: boolean,
      expect?: Revision.Expect
    ) => Effect.Effect<HostReport, Errors.HostNotFound | Errors.HasChanged | Errors.PersistenceError>
  }
>() {}

/** @since 0.1.0 @category layers */
export const layer = Layer.effect(
  Hosts,
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const monitor = yield* HostMonitor
    const report = (statuses: ReadonlyMap<HostId, HostStatus>, { host, promised, vms }: HostUsage): HostReport => {
      const capacity = host.capacity ?? Resources.zero
      return {
        host,
        status: statusOf(statuses, host.id),
        capacity,
        promised,
        free: Resources.map((name) => Math.max(0, capacity[name] - promised[name])),
        vms
      }
    }
    const get = (id: HostId) => Effect.zipWith(monitor.statuses, inventory.host(id), report)
    return Hosts.of({
      list: Effect.zipWith(monitor.statuses, inventory.hosts, (statuses, usage) =>
        usage.map((u) => report(statuses, u))
      ),
      get,
      setMaintenance: Effect.fn("Hosts.setMaintenance")((id, on, expect) =>
        Effect.flatMap(Intent.Intent, (intent) =>
          inventory.setMaintenance(id, on, Revision.checkHost(expect), (before) =>
            Effect.zipRight(
              intent.depends(() => Facts.ofHost(before)),
              intent.confirm(() => ({
                operation: null,
                host: { before, after: new Host({ ...before, maintenance: on }, { disableValidation: true }) }
              }))
            )
          )
        ).pipe(
          Effect.zipRight(get(id)),
          Effect.tap(({ host }) =>
            Effect.annotateLogs(Effect.log(on ? "maintenance begins" : "maintenance ends"), {
              host: host.name,
              pmid: id
            })
          )
        )
      )
    })
  })
)
