/**
 * Lists page by page. The database is asked for ids only, from an index and from where the page before ended; what they are is in memory,
 * and so is their number.
 *
 * @since 0.4.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { VmId, VolumeId } from "../../src/domain/Ids.ts"
import type { Vm } from "../../src/domain/Vm.ts"
import type { Volume } from "../../src/domain/Volume.ts"
import type { Page, Position, VmFilter, VmOrder, VolumeFilter } from "../../src/services/Inventory.ts"

/** Whatever comes after a prefix is less than this. */
const beyond = "\u{10FFFF}"

const begins = (sql: SqlClient.SqlClient, name: string | undefined) =>
  name === undefined || name === "" ? [] : [sql`name >= ${name}`, sql`name < ${name + beyond}`]

// nobody's come first
const columns = { id: "id", name: "name", created: "created_at", owner: "coalesce(owner, '')" } as const

const valueOf = (vm: Vm, by: VmOrder["by"]): string | number => {
  switch (by) {
    case "id":
      return vm.id
    case "name":
      return vm.name
    case "created":
      return vm.createdAt
    case "owner":
      return vm.owner ?? ""
  }
}

/** One more than the page has tells whether there is another. */
const cut = <A extends { readonly id: number }>(
  found: ReadonlyArray<A>,
  limit: number,
  total: number,
  value: (last: A) => string | number
): Page<A> => {
  const items = found.slice(0, limit)
  const last = items.at(-1)
  return { items, next: found.length > limit && last !== undefined ? { value: value(last), id: last.id } : null, total }
}

const count = <A>(all: Iterable<A>, counts: (one: A) => boolean): number => {
  let number = 0
  for (const one of all) if (counts(one)) number += 1
  return number
}

interface Row {
  readonly id: number
}

/** @since 0.4.0 @category statements */
export const vms = (
  sql: SqlClient.SqlClient,
  existing: ReadonlyMap<VmId, Vm>,
  filter: VmFilter,
  order: VmOrder,
  after: Position | null,
  limit: number
): Effect.Effect<Page<Vm>, SqlError> => {
  const { host, label, name, owner, state, tags = [], type } = filter
  const by = sql.literal(columns[order.by])
  const way = sql.literal(order.descending ? "desc" : "asc")
  const further = sql.literal(order.descending ? "<" : ">")
  const conditions = [
    sql.literal("state not in ('destroyed', 'failed')"),
    ...begins(sql, name),
    ...(state === undefined ? [] : [sql`state = ${state}`]),
    ...(host === undefined ? [] : [sql`host_id = ${host}`]),
    ...(type === undefined ? [] : [sql`tid = ${type}`]),
    ...(owner === undefined ? [] : [sql`owner = ${owner}`]),
    ...tags.map((tag) => sql`exists (select 1 from json_each(vms.tags) where value = ${tag})`),
    ...(label === undefined
      ? []
      : label.value === null
        ? [sql`exists (select 1 from json_each(vms.labels) where key = ${label.key})`]
        : [sql`exists (select 1 from json_each(vms.labels) where key = ${label.key} and value = ${label.value})`]),
    ...(after === null
      ? []
      : [
          order.by === "id" ? sql`id ${further} ${after.id}` : sql`(${by}, id) ${further} (${after.value}, ${after.id})`
        ])
  ]
  const isIn = (vm: Vm) =>
    (name === undefined || vm.name.startsWith(name)) &&
    (state === undefined || vm.state === state) &&
    (host === undefined || vm.hostId === host) &&
    (type === undefined || vm.instanceType === type) &&
    (owner === undefined || vm.owner === owner) &&
    tags.every((tag) => vm.tags.includes(tag)) &&
    (label === undefined ||
      (Object.hasOwn(vm.labels, label.key) && (label.value === null || vm.labels[label.key] === label.value)))
  const isAll =
    name === undefined &&
    state === undefined &&
    host === undefined &&
    type === undefined &&
    owner === undefined &&
    tags.length === 0 &&
    label === undefined
  return Effect.map(
    sql<Row>`select id from vms where ${sql.and(conditions)}
      order by ${order.by === "id" ? sql`id ${way}` : sql`${by} ${way}, id ${way}`} limit ${limit + 1}`,
    (rows) =>
      cut(
        rows.flatMap(({ id }) => existing.get(VmId.make(id)) ?? []),
        limit,
        isAll ? existing.size : count(existing.values(), isIn),
        (vm) => valueOf(vm, order.by)
      )
  )
}

/** @since 0.4.0 @category statements */
export const volumes = (
  sql: SqlClient.SqlClient,
  existing: ReadonlyMap<VolumeId, Volume>,
  filter: VolumeFilter,
  after: Position | null,
  limit: number
): Effect.Effect<Page<Volume>, SqlError> => {
  const { name, owner, state, vm } = filter
  const conditions = [
    sql.literal("state not in ('purged', 'failed')"),
    ...begins(sql, name),
    ...(state === undefined ? [] : [sql`state = ${state}`]),
    ...(vm === undefined ? [] : [sql`vm_id = ${vm}`]),
    ...(owner === undefined ? [] : [sql`owner = ${owner}`]),
    ...(after === null ? [] : [sql`id > ${after.id}`])
  ]
  const isIn = (volume: Volume) =>
    (name === undefined || volume.name.startsWith(name)) &&
    (state === undefined || volume.state === state) &&
    (vm === undefined || volume.vmId === vm) &&
    (owner === undefined || volume.owner === owner)
  return Effect.map(
    sql<Row>`select id from volumes where ${sql.and(conditions)} order by id limit ${limit + 1}`,
    (rows) =>
      cut(
        rows.flatMap(({ id }) => existing.get(VolumeId.make(id)) ?? []),
        limit,
        count(existing.values(), isIn),
        ({ id }) => id
      )
  )
}
