/**
 * What can be asked about hosts.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Errors from "../domain/Errors.ts"
import { Host, type HostConfig, type HostStatus } from "../domain/Host.ts"
import type { HostId } from "../domain/Ids.ts"
import * as Resources from "../domain/Resources.ts"
import { HostMonitor, statusOf } from "../services/HostMonitor.ts"
import { Inventory, type HostUsage } from "../services/Inventory.ts"
import * as Facts from "./Facts.ts"
import * as Intent from "./Intent.ts"
import * as Revision from "./Revision.ts"

/**
 * A host with what it can hold. `capacity` is what may be promised in all, overcommit included and without what is reserved; `free` what is left
 * of it (never below 0). Both are zero until the host was reached for the first time.
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

/** What becomes of a host; what is absent stays, `network` null is none. @since 0.7.0 @category models */
export interface HostChange extends Partial<Omit<HostConfig, "network">> {
  readonly network?: string | null
  readonly maintenance?: boolean
  /** true: it never comes back, and what was on it counts as gone; false: it is watched again */
  readonly lost?: boolean
}

const changedConfig = (
  before: HostConfig,
  { network, ...others }: Omit<HostChange, "maintenance" | "lost">
): HostConfig => {
  const { network: had, ...rest } = before
  const has = network === undefined ? had : (network ?? undefined)
  return { ...rest, ...others, ...(has === undefined ? {} : { network: has }) }
}

/** What runs on a host goes on when it is declared lost: as far as can be told from here it has to be dead. */
const checkLost = ({ lostAt, name }: Host, status: HostStatus) =>
  lostAt !== null || status._tag === "Down"
    ? Effect.void
    : new Errors.HostConflict({
        host: name,
        reason: `cannot be declared lost while it is ${status._tag.toLowerCase()}: take its power away, and wait until it is down`
      })

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
    /** Kept in the database, beside those of the machine file, and used from now on. `HostConflict`: another host has the address. */
    readonly add: (config: HostConfig) => Effect.Effect<HostReport, Errors.HostConflict | Errors.PersistenceError>
    /**
     * What is absent stays. `HostConflict`: its settings are the machine file's, it would be at another address, its disks would be in another folder than
     * those that are there, or it is to be declared lost and is not down.
     */
    readonly change: (
      id: HostId,
      change: HostChange,
      expect?: Revision.Expect
    ) => Effect.Effect<
      HostReport,
      Errors.HostNotFound | Errors.HostConflict | Errors.HasChanged | Errors.PersistenceError
    >
    /** Nothing connects to it any more. `HostConflict`: it is the machine file's, or VMs or volumes are there, which are named. */
    readonly remove: (
      id: HostId,
      expect?: Revision.Expect
    ) => Effect.Effect<void, Errors.HostNotFound | Errors.HostConflict | Errors.HasChanged | Errors.PersistenceError>
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
      ),
      add: Effect.fn("Hosts.add")(function* (config) {
        const intent = yield* Intent.Intent
        const host = yield* inventory.addHost(config, (after) =>
          intent.confirm(() => ({ operation: null, host: { before: null, after } }))
        )
        yield* monitor.refresh
        yield* Effect.annotateLogs(Effect.log("host is added"), { host: host.name, pmid: host.id })
        return yield* Effect.catchTag(get(host.id), "HostNotFound", Effect.die)
      }),
      change: Effect.fn("Hosts.change")(function* (id, change, expect) {
        const intent = yield* Intent.Intent
        const check = Revision.checkHost(expect)
        const { lost, maintenance, ...settings } = change
        const { after } = yield* inventory.changeHost(
          id,
          Effect.fnUntraced(function* (before) {
            yield* intent.depends(() => Facts.ofHost(before))
            if (check !== undefined) yield* check(before)
            if (lost === true) yield* checkLost(before, statusOf(yield* monitor.statuses, id))
            return {
              ...(maintenance === undefined ? {} : { maintenance }),
              ...(lost === undefined ? {} : { lost }),
              ...(Object.keys(settings).length === 0 ? {} : { config: changedConfig(before.config, settings) })
            }
          }),
          (host) => intent.confirm(() => ({ operation: null, host }))
        )
        yield* monitor.refresh
        const news = lost === undefined ? "host is changed" : lost ? "host is declared lost" : "host is no longer lost"
        yield* Effect.annotateLogs(Effect.log(news), { host: after.name, pmid: id })
        return yield* get(id)
      }),
      remove: Effect.fn("Hosts.remove")(function* (id, expect) {
        const intent = yield* Intent.Intent
        const check = Revision.checkHost(expect)
        const host = yield* inventory.removeHost(
          id,
          Effect.fnUntraced(function* (before) {
            yield* intent.depends(() => Facts.ofHost(before))
            if (check !== undefined) yield* check(before)
          }),
          (before) => intent.confirm(() => ({ operation: null, host: { before, after: null } }))
        )
        yield* monitor.refresh
        yield* Effect.annotateLogs(Effect.log("host is removed"), { host: host.name, pmid: id })
      })
    })
  })
)
