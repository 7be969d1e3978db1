/**
 * Lists page by page, from where the page before ended. What is in them is in memory, and so is their number; of those that are not by id the
 * database is asked for ids, from an index.
 *
 * @since 0.4.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { VmId, type VolumeId } from "../../src/domain/Ids.ts"
import type { Vm } from "../../src/domain/Vm.ts"
import type { Volume } from "../../src/domain/Volume.ts"
import type { Page, Position, VmFilter, VmOrder, VolumeFilter, VolumeOrder } from "../../src/services/Inventory.ts"
import type { ById } from "../ById.ts"

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

/** Whoever asks for a few does not have all looked at. */
const amongThese = <Id extends number, A extends { readonly id: Id }>(
  existing: ById<Id, A>,
  ids: ReadonlyArray<Id> | undefined
): ById<Id, A> => (ids === undefined ? existing : existing.among(ids))

interface Row {
  readonly id: number
}

const everyVm = (): boolean => true

const isVmIn = ({ host, label, name, owner, state, tags = [], type }: VmFilter): ((vm: Vm) => boolean) => {
  const conditions: ReadonlyArray<((vm: Vm) => boolean) | false> = [
    name !== undefined && ((vm) => vm.name.startsWith(name)),
    state !== undefined && ((vm) => vm.state === state),
    host !== undefined && ((vm) => vm.hostId === host),
    type !== undefined && ((vm) => vm.instanceType === type),
    owner !== undefined && ((vm) => vm.owner === owner),
    tags.length > 0 && ((vm) => tags.every((tag) => vm.tags.includes(tag))),
    label !== undefined &&
      ((vm) => Object.hasOwn(vm.labels, label.key) && (label.value === null || vm.labels[label.key] === label.value))
  ]
  const asked = conditions.filter((condition) => condition !== false)
  return asked.length === 0 ? everyVm : (vm) => asked.every((counts) => counts(vm))
}

/** @since 0.10.0 @category constructors */
export const vmsById = (
  existing: ById<VmId, Vm>,
  filter: VmFilter,
  descending: boolean,
  after: Position | null,
  limit: number
): Page<Vm> => {
  const isIn = isVmIn(filter)
  const some = amongThese(existing, filter.ids)
  return cut(
    some.following(after?.id ?? null, descending, limit + 1, isIn),
    limit,
    isIn === everyVm ? some.size : count(some, isIn),
    ({ id }) => id
  )
}

/** @since 0.4.0 @category statements */
export const vms = (
  sql: SqlClient.SqlClient,
  existing: ById<VmId, Vm>,
  filter: VmFilter,
  order: VmOrder,
  after: Position | null,
  limit: number
): Effect.Effect<Page<Vm>, SqlError> => {
  const { host, ids, label, name, owner, state, tags = [], type } = filter
  const some = amongThese(existing, ids)
  const by = sql.literal(columns[order.by])
  const way = sql.literal(order.descending ? "desc" : "asc")
  const further = sql.literal(order.descending ? "<" : ">")
  const conditions = [
    sql.literal("state not in ('destroyed', 'failed')"),
    ...begins(sql, name),
    ...(ids === undefined ? [] : [sql.in("id", ids)]),
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
    ...(after === null ? [] : [sql`(${by}, id) ${further} (${after.value}, ${after.id})`])
  ]
  const isIn = isVmIn(filter)
  return Effect.map(
    sql<Row>`select id from vms where ${sql.and(conditions)} order by ${by} ${way}, id ${way} limit ${limit + 1}`,
    (rows) =>
      cut(
        rows.flatMap(({ id }) => existing.get(VmId.make(id)) ?? []),
        limit,
        isIn === everyVm ? some.size : count(some, isIn),
        (vm) => valueOf(vm, order.by)
      )
  )
}

/** As SQLite has it: what UTF-16 has in two units, of which each is less than some others, is more than all that it has in one. */
const unitInOrder = (unit: number): number => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit)

const byCodePoint = (a: string, b: string): number => {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) {
    const [one, other] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (one !== other) return unitInOrder(one) - unitInOrder(other)
  }
  return a.length - b.length
}

const compared = (a: Position, b: Position): number => {
  const difference = typeof a.value === "number" ? a.value - Number(b.value) : byCodePoint(a.value, String(b.value))
  return difference === 0 ? a.id - b.id : difference
}

const placeOf = (volume: Volume, by: VolumeOrder["by"]): Position => {
  switch (by) {
    case "id":
      return { value: volume.id, id: volume.id }
    case "name":
      return { value: volume.name, id: volume.id }
    case "size":
      return { value: volume.size, id: volume.id }
    case "owner":
      return { value: volume.owner ?? "", id: volume.id }
  }
}

/** The first so many that follow, in order: of all others no more is kept than whether they are among these. */
const firstVolumes = (
  existing: Iterable<Volume>,
  { by, descending }: VolumeOrder,
  after: Position | null,
  most: number,
  isIn: (volume: Volume) => boolean
): ReadonlyArray<Volume> => {
  const sign = descending ? -1 : 1
  const first: Array<{ readonly place: Position; readonly volume: Volume }> = []
  for (const volume of existing) {
    if (!isIn(volume)) continue
    const place = placeOf(volume, by)
    if (after !== null && sign * compared(place, after) <= 0) continue
    const last = first.at(-1)
    if (first.length === most && last !== undefined && sign * compared(place, last.place) > 0) continue
    let [from, to] = [0, first.length]
    while (from < to) {
      const middle = (from + to) >> 1
      const there = first[middle]
      if (there !== undefined && sign * compared(there.place, place) < 0) from = middle + 1
      else to = middle
    }
    first.splice(from, 0, { place, volume })
    if (first.length > most) first.pop()
  }
  return first.map(({ volume }) => volume)
}

/** @since 0.4.0 @category constructors */
export const volumes = (
  existing: ById<VolumeId, Volume>,
  filter: VolumeFilter,
  order: VolumeOrder,
  after: Position | null,
  limit: number
): Page<Volume> => {
  const { ids, name, owner, state, vm } = filter
  const some = amongThese(existing, ids)
  const isIn = (volume: Volume) =>
    (name === undefined || volume.name.startsWith(name)) &&
    (state === undefined || volume.state === state) &&
    (vm === undefined || volume.vmId === vm) &&
    (owner === undefined || volume.owner === owner)
  return cut(
    order.by === "id"
      ? some.following(after?.id ?? null, order.descending, limit + 1, isIn)
      : firstVolumes(some, order, after, limit + 1, isIn),
    limit,
    count(some, isIn),
    (last) => placeOf(last, order.by).value
  )
}
