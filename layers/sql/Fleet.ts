/**
 * Bringing hosts, images and types in line with the input files. All of it runs in the caller's transaction; a conflict is found after
 * everything has been looked at, so that all problems are told at once, and rolls back what was written.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Errors from "../../src/domain/Errors.ts"
import { canonicalHost, formatAddress } from "../../src/domain/Host.ts"
import type { InstanceTypeId } from "../../src/domain/Ids.ts"
import { formatSource, type ImageSource } from "../../src/domain/Image.ts"
import type { Resources } from "../../src/domain/Resources.ts"
import type { FleetConfig, KeptWith } from "../../src/services/Inventory.ts"
import * as Hosts from "./Hosts.ts"
import { listed, machineOf, whatIsOn } from "./Hosts.ts"
import * as Rows from "./Rows.ts"

/** By which an image is known. @since 0.7.0 @category formatting */
export const sourceOf = (source: ImageSource): string =>
  source.host === null ? source.path : `${machineOf(source.host)}:${source.path}`

const sizeOf = ({ cpu, disk, ram }: Resources): string => `${cpu} vCPU, ${ram} MiB, ${disk} GiB`

/** Lines that name the same thing; whoever built the fleet may not have looked. */
const duplicates = (fleet: FleetConfig): ReadonlyArray<string> => {
  const twice = <A>(things: ReadonlyArray<A>, key: (thing: A) => string, name: (thing: A) => string) => {
    const seen = new Set<string>()
    return things.flatMap((thing) => {
      const again = seen.has(key(thing))
      seen.add(key(thing))
      return again ? [`${name(thing)} is given twice`] : []
    })
  }
  const { hosts, images, types } = fleet
  return [
    ...twice(
      hosts,
      (h) => machineOf(h.address),
      (h) => `host ${formatAddress(h.address)}`
    ),
    ...twice(
      images,
      (i) => sourceOf(i.source),
      (i) => `image ${formatSource(i.source)}`
    ),
    ...twice(
      types,
      (t) => `${t.tid}`,
      (t) => `type ${t.tid}`
    )
  ]
}

const applyHosts = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, configs: FleetConfig["hosts"]) {
  const problems: Array<string> = []
  const known = yield* Effect.flatMap(
    sql<Rows.Row>`select id, host, port, config, active, origin from hosts`,
    Rows.hosts.all
  )
  const byMachine = Hosts.byMachine(known)

  const kept = new Set<number>()
  for (const config of configs) {
    const row = byMachine.get(machineOf(config.address))
    const text = Rows.encodeHostConfig(config)
    if (row === undefined) {
      yield* sql`insert into hosts (host, port, config)
        values (${canonicalHost(config.address.host)}, ${config.address.port}, ${text})`
      continue
    }
    kept.add(row.id)
    if (row.active && row.origin === "api") {
      problems.push(
        `host ${formatAddress(config.address)} (id ${row.id}) was added by API and is in the machine file, too: ` +
          `remove its line, or start without it and remove the host by API first`
      )
      continue
    }
    if (row.config.path !== config.path) {
      const there = yield* whatIsOn(sql, row.id)
      if (there !== undefined) {
        problems.push(
          `host ${formatAddress(config.address)} (id ${row.id}): its path cannot become ${config.path} while ${there.text} ` +
            `${there.several ? "have their disks" : "has its disk"} in ${row.config.path}`
        )
      }
    }
    // one that comes back may be another machine at the old address
    if (row.active) yield* sql`update hosts set config = ${text} where id = ${row.id}`
    else {
      yield* sql`update hosts set config = ${text}, active = 1, facts = null, host_uuid = null, maintenance = 0, lost_at = null, origin = 'file'
        where id = ${row.id}`
    }
  }
  for (const row of known) {
    if (!row.active || row.origin === "api" || kept.has(row.id)) continue
    const there = yield* whatIsOn(sql, row.id)
    if (there !== undefined) {
      problems.push(
        `host ${formatAddress(row.config.address)} (id ${row.id}) is no longer in the machine file, but has ${there.text}: ` +
          `put its line back, or destroy what is there first`
      )
    }
    yield* sql`update hosts set active = 0 where id = ${row.id}`
  }
  return problems
})

const applyImages = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, configs: FleetConfig["images"]) {
  const problems: Array<string> = []
  const known = yield* Effect.flatMap(
    sql<Rows.Row>`select id, source, config, origin from images
      where state <> 'deleted'`,
    Rows.imageKeys.all
  )
  const bySource = new Map(known.map((row) => [sourceOf(row.config.source), row]))
  yield* sql`update images set offered = 0 where origin = 'file'`
  for (const [position, config] of configs.entries()) {
    const source = sourceOf(config.source)
    const text = Rows.encodeImageConfig(config)
    const row = bySource.get(source)
    if (row === undefined) {
      yield* sql`insert into images (source, config, position) values (${source}, ${text}, ${position})`
      continue
    }
    if (row.origin !== "file") {
      problems.push(
        `image ${formatSource(config.source)} is in the image file, but was registered by the API as image ${row.id} (${row.config.name}): ` +
          `take its line out, or start without it and delete that image (vmfabric image delete ${row.id})`
      )
      continue
    }
    yield* sql`update images set config = ${text}, position = ${position}, offered = 1 where id = ${row.id}`
    // read under another format it is another content
    if (row.config.format !== config.format) yield* sql`update images set content = null where id = ${row.id}`
  }
  return problems
})

const applyTypes = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, types: FleetConfig["types"]) {
  const problems: Array<string> = []
  const known = yield* Effect.flatMap(
    sql<Rows.Row>`select ${sql.literal(Rows.knownTypeColumns)} from instance_types`,
    Rows.knownTypes.all
  )
  const byTid = new Map(known.map((row) => [row.tid, row]))

  const vmsOf = (tid: InstanceTypeId) =>
    Effect.flatMap(
      sql<Rows.Row>`select id, name from vms where tid = ${tid} and state not in ('destroyed', 'failed') order by id`,
      Rows.vmLabels.all
    )

  yield* sql`update instance_types set offered = 0 where origin = 'file'`
  for (const [position, type] of types.entries()) {
    const { cpu, disk, ram, tid } = type
    const row = byTid.get(tid)
    if (row?.origin === "api") {
      problems.push(
        `type ${tid} is in the types file, but was made by the API (${sizeOf(row)}${row.retired ? ", retired" : ""}): ` +
          "give the one in the file a tid of its own"
      )
      continue
    }
    if (row !== undefined && sizeOf(row) !== sizeOf(type)) {
      const users = yield* vmsOf(tid)
      if (users.length > 0) {
        problems.push(
          `type ${tid} cannot change from ${sizeOf(row)} to ${sizeOf(type)} while ${listed("VM", users)} ` +
            `${users.length === 1 ? "uses" : "use"} it: give the new size a tid of its own`
        )
      }
    }
    const requires = Rows.encodeRequired(type.requires)
    yield* sql`insert into instance_types (tid, cpu, ram, disk, requires, position)
      values (${tid}, ${cpu}, ${ram}, ${disk}, ${requires}, ${position})
      on conflict (tid) do update set cpu = ${cpu}, ram = ${ram}, disk = ${disk}, requires = ${requires},
        position = ${position}, offered = 1`
  }
  return problems
})

/** @since 0.1.0 @category fleet */
export const apply = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, fleet: FleetConfig) {
  const twice = duplicates(fleet)
  if (twice.length > 0) return yield* new Errors.FleetConflict({ problems: twice })
  const ofHosts = yield* applyHosts(sql, fleet.hosts)
  const ofImages = yield* applyImages(sql, fleet.images)
  const ofTypes = yield* applyTypes(sql, fleet.types)
  const problems = [...ofHosts, ...ofImages, ...ofTypes]
  if (problems.length > 0) return yield* new Errors.FleetConflict({ problems })
})

/** Whether everything that is kept in a pool is kept in `wanted`; else what is not, as a conflict. @since 0.2.0 @category fleet */
export const checkPool = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, wanted: KeptWith | null) {
  const pools = yield* sql<{ readonly pool: string }>`select pool from vms
      where pool is not null and state not in ('destroyed', 'failed')
    union select pool from volumes where pool is not null and state not in ('purged', 'failed')`
  const problems = yield* Effect.forEach(
    pools.filter(({ pool }) => pool !== wanted?.pool),
    ({ pool }) =>
      Effect.gen(function* () {
        const vms = yield* Effect.flatMap(
          sql<Rows.Row>`select id, name from vms where pool = ${pool} and state not in ('destroyed', 'failed') order by id`,
          Rows.vmLabels.all
        )
        const volumes = yield* Effect.flatMap(
          sql<Rows.Row>`select id, name from volumes where pool = ${pool} and state not in ('purged', 'failed') order by id`,
          Rows.volumeLabels.all
        )
        const there = [
          ...(vms.length === 0 ? [] : [listed("VM", vms)]),
          ...(volumes.length === 0 ? [] : [listed("volume", volumes)])
        ].join(" and ")
        const now = wanted === null ? "no pool is given" : `pool ${wanted.pool ?? "none"} is given`
        return `${now}, but pool ${pool} holds ${there}: start with that pool, or destroy and purge what is there first`
      })
  )
  if (problems.length > 0) return yield* new Errors.FleetConflict({ problems })
})
