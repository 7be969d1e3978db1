/**
 * The part of the inventory that is hosts.
 *
 * @since 0.12.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Errors from "../src/domain/Errors.ts"
import { formatAddress, type Host, HostFacts } from "../src/domain/Host.ts"
import type { HostId } from "../src/domain/Ids.ts"
import type { Inventory } from "../src/services/Inventory.ts"
import type { Database } from "./Database.ts"
import * as Hosts from "./sql/Hosts.ts"
import type { HostUsages } from "./sql/HostUsages.ts"
import * as Rows from "./sql/Rows.ts"

const sameFacts = Schema.equivalence(HostFacts)

/** Calls of `Inventory`. @since 0.12.0 @category constructors */
export const make = ({ sql }: Database["Type"], usages: HostUsages) => {
  const { changing, changingAllHosts, changingSimply } = usages

  /** In a body: as it and those before it in the same transaction have made it. */
  const hostNow = Effect.fnUntraced(function* (id: HostId) {
    const [usage] = yield* usages.one(id)
    return usage === undefined ? yield* new Errors.HostNotFound({ hostId: id }) : usage.host
  })
  const setMaintenance = (id: HostId, on: boolean) => sql`update hosts set maintenance = ${on ? 1 : 0} where id = ${id}`
  /** It is lost since it was first declared so. */
  const setLost = ({ id, lostAt }: Host, lost: boolean) =>
    lost === (lostAt !== null)
      ? Effect.void
      : Effect.flatMap(
          Clock.currentTimeMillis,
          (now) => sql`update hosts set lost_at = ${lost ? now : null} where id = ${id}`
        )

  return {
    lostHosts: Effect.succeed(usages.lost),
    hosts: Effect.sync(() => [...usages.all.values()]),
    host: (id) =>
      Effect.suspend(() => {
        const usage = usages.all.get(id)
        return usage === undefined ? new Errors.HostNotFound({ hostId: id }) : Effect.succeed(usage)
      }),
    setHostFacts: Effect.fn("Inventory.setHostFacts")((id, facts) => {
      // every host is asked again and again, and hardly ever says anything new
      const before = usages.all.get(id)?.host.facts ?? null
      if (before !== null && sameFacts(before, facts)) return Effect.void
      return changingSimply(
        `keep what pm ${id} said of itself`,
        // a host that was dropped meanwhile has no use for them
        Effect.as(
          sql`update hosts set facts = ${Rows.encodeHostFacts(facts)}, host_uuid = ${facts.uuid}
            where id = ${id} and active = 1`,
          { result: undefined, hosts: [id] }
        )
      )
    }),
    setMaintenance: (id, on, check, confirm) =>
      Effect.withSpan(
        changing(
          `put pm ${id} ${on ? "into" : "out of"} maintenance`,
          Effect.gen(function* () {
            const host = yield* hostNow(id)
            if (check !== undefined) yield* check(host)
            if (confirm !== undefined) yield* confirm(host)
            yield* setMaintenance(id, on)
            return { result: undefined, hosts: [id] }
          })
        ),
        "Inventory.setMaintenance"
      ),

    addHost: Effect.fn("Inventory.addHost")((config, confirm) =>
      changingAllHosts(
        `add host ${formatAddress(config.address)}`,
        Effect.gen(function* () {
          const host = yield* Effect.catchTag(hostNow(yield* Hosts.add(sql, config)), "HostNotFound", Effect.die)
          if (confirm !== undefined) yield* confirm(host)
          return host
        })
      )
    ),
    changeHost: (id, decide, confirm) =>
      Effect.withSpan(
        changing(
          `change pm ${id}`,
          Effect.gen(function* () {
            const before = yield* hostNow(id)
            const { config, lost, maintenance } = yield* decide(before)
            if (config !== undefined) yield* Hosts.change(sql, before, config)
            if (maintenance !== undefined) yield* setMaintenance(id, maintenance)
            if (lost !== undefined) yield* setLost(before, lost)
            const changed = { before, after: yield* hostNow(id) }
            if (confirm !== undefined) yield* confirm(changed)
            return { result: changed, hosts: [id] }
          })
        ),
        "Inventory.changeHost"
      ),
    removeHost: (id, check, confirm) =>
      Effect.withSpan(
        changingAllHosts(
          `remove pm ${id}`,
          Effect.gen(function* () {
            const host = yield* hostNow(id)
            if (check !== undefined) yield* check(host)
            yield* Hosts.remove(sql, host)
            if (confirm !== undefined) yield* confirm(host)
            return host
          })
        ),
        "Inventory.removeHost"
      )
  } satisfies Partial<Inventory["Type"]>
}
