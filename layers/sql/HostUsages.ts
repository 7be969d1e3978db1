/**
 * Hosts with what is promised on them, kept in memory: every placement looks at all of them, and the sums over everything that is promised
 * would cost more than all the rest of an admission.
 *
 * Sums are never counted on. A body that changes what a host has looks at that host again, and what it found is kept: for the bodies after
 * it in the same transaction at once (`ahead`), for everybody else by the commit (`committed`).
 *
 * @since 0.3.0
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { HostId } from "../../src/domain/Ids.ts"
import type { HostUsage } from "../../src/services/Inventory.ts"
import type { Database } from "../Database.ts"
import * as Rows from "./Rows.ts"

/** Summed before it is joined: that is one walk through each index, whatever the number of hosts. */
const select = (ofHost: boolean) => `select h.id, h.config, h.facts, h.maintenance, h.lost_at as lostAt, h.origin,
    coalesce(r.cpu, 0) as cpu, coalesce(r.ram, 0) as ram, coalesce(r.disk, 0) + coalesce(v.disk, 0) as disk,
    coalesce(r.vms, 0) as vms,
    (select group_concat(groups, char(10)) from reservations g where g.host_id = h.id and g.groups is not null) as groups
  from hosts h left join (
    select host_id, sum(cpu) as cpu, sum(ram) as ram, sum(disk) as disk, count(*) as vms
    from reservations ${ofHost ? "where host_id = ?" : ""} group by host_id
  ) r on r.host_id = h.id left join (
    select host_id, sum(promised) as disk
    from volumes where host_id is not null and state not in ('purged', 'failed')
      ${ofHost ? "and host_id = ?" : ""} group by host_id
  ) v on v.host_id = h.id
  where h.active = 1 ${ofHost ? "and h.id = ?" : ""} order by h.id`

/** What a body found: all hosts, or some. */
interface Found {
  readonly all: boolean
  readonly usages: ReadonlyArray<HostUsage>
}

/** @since 0.3.0 @category constructors */
export const make = Effect.fnUntraced(function* ({
  read,
  statement,
  transaction,
  write,
  writeSimply
}: Database["Type"]) {
  const decode = Rows.makeHostUsage()
  const selectAll = statement(select(false))
  const selectOne = statement(select(true))

  /** In id order. */
  type Usages = Map<HostId, HostUsage>
  const kept = (into: Usages, found: Found): Usages => {
    const { all: whole, usages } = found
    if (whole) into.clear()
    for (const usage of usages) into.set(usage.host.id, usage)
    return into
  }

  const lookAtAll: Effect.Effect<Found, SqlError> = Effect.map(Effect.flatMap(selectAll(), decode), (usages) => ({
    all: true,
    usages
  }))

  const all: Usages = new Map()
  const lost: Set<HostId> = new Set()
  const commit = (found: Found): void => {
    kept(all, found)
    if (found.all) lost.clear()
    for (const { host } of found.usages) {
      if (host.lostAt === null) lost.delete(host.id)
      else lost.add(host.id)
    }
  }
  commit(yield* read("read the hosts", lookAtAll))
  /** `base`: what is not in `changed` */
  let inTransaction: { readonly number: number; base: Usages; readonly changed: Usages } | null = null
  const one = (id: HostId) => Effect.flatMap(selectOne(id, id, id), decode)

  /** In a body, after its changes. */
  const look = (ids: ReadonlyArray<HostId | null>): Effect.Effect<Found, SqlError> =>
    Effect.map(
      Effect.forEach(new Set(ids), (id) => (id === null ? Effect.succeed([]) : one(id))),
      (found) => ({ all: false, usages: found.flat() })
    )

  const ahead = (found: Found): void => {
    if (!found.all && found.usages.length === 0) return
    const number = transaction()
    if (inTransaction?.number !== number) inTransaction = { number, base: all, changed: new Map() }
    if (found.all) inTransaction.base = kept(new Map(), found)
    kept(inTransaction.changed, found)
  }

  const changingBy =
    (how: typeof write) =>
    <A, E>(
      action: string,
      body: Effect.Effect<{ readonly result: A; readonly hosts: ReadonlyArray<HostId | null> }, E>,
      committed: (result: A) => void = () => undefined
    ) =>
      how(
        action,
        Effect.flatMap(body, ({ hosts, result }) => Effect.map(look(hosts), (found) => ({ result, found }))),
        ({ found, result }) => {
          commit(found)
          committed(result)
        },
        ({ found }) => ahead(found)
      ).pipe(Effect.map(({ result }) => result))

  return {
    /** As of the last commit. */
    all,
    /** Those that are declared lost, as of the last commit. */
    lost,
    /** In a body: as it and those before it in the same transaction have made them. */
    now: Effect.sync(() => {
      if (inTransaction?.number !== transaction()) return [...all.values()]
      const { base, changed } = inTransaction
      return Array.from(base.values(), (usage) => changed.get(usage.host.id) ?? usage)
    }),
    /** In a body. Empty: it was dropped. */
    one,
    /** A write after which the hosts that it names have something else promised, or are something else. */
    changing: changingBy(write),
    /** The same, which fails with nothing of its own. */
    changingSimply: changingBy(writeSimply),
    /** A write after which there may be other hosts. */
    changingAllHosts: <A, E>(
      action: string,
      body: Effect.Effect<A, E>,
      committed: (result: A) => void = () => undefined
    ) =>
      write(
        action,
        Effect.flatMap(body, (result) => Effect.map(lookAtAll, (found) => ({ result, found }))),
        ({ found, result }) => {
          commit(found)
          committed(result)
        },
        ({ found }) => ahead(found)
      ).pipe(Effect.map(({ result }) => result))
  }
})

/** @since 0.8.0 @category models */
export type HostUsages = Effect.Effect.Success<ReturnType<typeof make>>
