/**
 * Hosts that are added, changed and removed one by one.
 *
 * @since 0.7.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Errors from "../../src/domain/Errors.ts"
import { canonicalHost, formatAddress, type Host, type HostAddress, type HostConfig } from "../../src/domain/Host.ts"
import type { HostId } from "../../src/domain/Ids.ts"
import * as Rows from "./Rows.ts"

/** However its address is written; the user does not tell one machine from another. @since 0.7.0 @category formatting */
export const machineOf = (address: Pick<HostAddress, "host" | "port">): string =>
  `${canonicalHost(address.host)}:${address.port}`

/** Before 0.10 one machine could be two hosts, by two spellings of its address: the one that is used comes first, and of these the machine file's. */
const byUse = (a: Rows.HostRow, b: Rows.HostRow) =>
  Number(b.active) - Number(a.active) || Number(b.origin === "file") - Number(a.origin === "file") || a.id - b.id

/** Each machine and its host. @since 0.10.0 @category reading */
export const byMachine = (rows: ReadonlyArray<Rows.HostRow>): ReadonlyMap<string, Rows.HostRow> =>
  new Map(rows.toSorted((a, b) => byUse(b, a)).map((row) => [machineOf(row), row]))

/** `VMs 1 (web), 2 (db)`, or `volumes 7 (data)`; five at most. @since 0.2.0 @category formatting */
export const listed = (
  what: "VM" | "volume",
  things: ReadonlyArray<{ readonly id: number; readonly name: string }>
): string => {
  const shown = things.slice(0, 5).map(({ id, name }) => `${id} (${name})`)
  const more = things.length - shown.length
  return `${what}${things.length === 1 ? "" : "s"} ${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`
}

/**
 * VMs that exist on a host, or of which something may be left that an operation still has to remove, and volumes that are kept there or are on their way
 * from there or back, as `listed`. Undefined: nothing is there.
 *
 * @since 0.7.0 @category reading
 */
export const whatIsOn = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, id: HostId) {
  const moving = yield* Effect.flatMap(
    sql<Rows.Row>`select ${sql.literal(Rows.operationColumns)} from operations
      where state not in ('done', 'failed') and kind = 'AttachVolume'`,
    Rows.operations.all
  )
  const leaving = moving.flatMap(({ detail, volumeId }) =>
    volumeId !== null && detail.formerHost === id ? [volumeId] : []
  )
  const vms = yield* Effect.flatMap(
    sql<Rows.Row>`select id, name from vms where host_id = ${id} and (state not in ('destroyed', 'failed') or exists (
      select 1 from operations where vm_id = vms.id and operations.state not in ('done', 'failed'))) order by id`,
    Rows.vmLabels.all
  )
  const volumes = yield* Effect.flatMap(
    sql<Rows.Row>`select id, name from volumes
      where (host_id = ${id} or ${sql.in("id", leaving)}) and state not in ('purged', 'failed') order by id`,
    Rows.volumeLabels.all
  )
  const parts = [
    ...(vms.length === 0 ? [] : [listed("VM", vms)]),
    ...(volumes.length === 0 ? [] : [listed("volume", volumes)])
  ]
  return parts.length === 0 ? undefined : { text: parts.join(" and "), several: vms.length + volumes.length > 1 }
})

const conflict = (host: Pick<Host, "name">, reason: string) => new Errors.HostConflict({ host: host.name, reason })

/** What the machine file says is changed there. */
const checkOrigin = (host: Host, what: "changed" | "removed") =>
  host.origin === "api"
    ? Effect.void
    : conflict(
        host,
        `is the machine file's and cannot be ${what} here: ${what === "changed" ? "change" : "remove"} its line there, and start the controller again`
      )

const atAddress = (sql: SqlClient.SqlClient, address: HostAddress) =>
  Effect.map(
    Effect.flatMap(
      sql<Rows.Row>`select id, host, port, config, active, origin from hosts
        where port = ${address.port} and (host = ${canonicalHost(address.host)} or host like '%:%')`,
      Rows.hosts.all
    ),
    // an IPv6 address may be written there in another way
    (rows) => byMachine(rows).get(machineOf(address))
  )

/**
 * A new one, or one that was removed and is back under its old id: then nothing is known of it, it may be another machine.
 *
 * @since 0.7.0 @category writing
 */
export const add = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, config: HostConfig) {
  const row = yield* atAddress(sql, config.address)
  if (row?.active === true) {
    const whose = row.origin === "file" ? "it is in the machine file" : "it was added before"
    return yield* conflict(
      { name: formatAddress(config.address) },
      `is host ${row.id} already: ${whose}; a machine is one host, whichever user logs in`
    )
  }
  const text = Rows.encodeHostConfig(config)
  if (row === undefined) {
    yield* sql`insert into hosts (host, port, config, origin)
      values (${canonicalHost(config.address.host)}, ${config.address.port}, ${text}, 'api')`
  } else {
    yield* sql`update hosts set config = ${text}, active = 1, facts = null, host_uuid = null, maintenance = 0, lost_at = null, origin = 'api'
      where id = ${row.id}`
  }
  const added = yield* atAddress(sql, config.address)
  return added === undefined
    ? yield* Effect.dieMessage(`host ${formatAddress(config.address)} was not written`)
    : added.id
})

/** @since 0.7.0 @category writing */
export const change = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, before: Host, config: HostConfig) {
  yield* checkOrigin(before, "changed")
  if (machineOf(before.config.address) !== machineOf(config.address)) {
    return yield* conflict(
      before,
      `cannot become ${formatAddress(config.address)}, which may be another machine: add that one, and remove this one`
    )
  }
  if (before.config.path !== config.path) {
    const there = yield* whatIsOn(sql, before.id)
    if (there !== undefined) {
      return yield* conflict(
        before,
        `cannot have the path ${config.path} while ${there.text} ` +
          `${there.several ? "have their disks" : "has its disk"} in ${before.config.path}: destroy and purge what is there first`
      )
    }
  }
  yield* sql`update hosts set config = ${Rows.encodeHostConfig(config)} where id = ${before.id}`
})

/** @since 0.7.0 @category writing */
export const remove = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, host: Host) {
  yield* checkOrigin(host, "removed")
  const there = yield* whatIsOn(sql, host.id)
  if (there !== undefined) {
    return yield* conflict(
      host,
      `cannot be removed while ${there.text} ${there.several ? "are" : "is"} there: destroy and purge what is there first`
    )
  }
  yield* sql`update hosts set active = 0 where id = ${host.id}`
})
