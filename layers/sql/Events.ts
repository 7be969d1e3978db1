/**
 * Events' rows. Most are written by triggers, in the transaction of what they tell: see the migrations.
 *
 * Ids are without gaps, also after a write that failed, whose ids were never given out: so how many there are is known from the first and the
 * last. There is no index but the key, so events of one thing are looked for among so many at a time.
 *
 * @since 0.4.0
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { EventsLost } from "../../src/domain/Errors.ts"
import { Event, type EventFilter, EventId } from "../../src/domain/Event.ts"
import { HostId } from "../../src/domain/Ids.ts"
import type { NewEvent } from "../../src/services/EventLog.ts"
import type { Database, Parameter } from "../Database.ts"
import * as Rows from "./Rows.ts"

/** How many events one read walks through. */
const window = 1000

const EventRow = Schema.Struct({
  id: Event.fields.id,
  time: Event.fields.time,
  type: Event.fields.type,
  vmId: Schema.propertySignature(Event.fields.vmId).pipe(Schema.fromKey("vm_id")),
  volumeId: Schema.propertySignature(Event.fields.volumeId).pipe(Schema.fromKey("volume_id")),
  snapshotId: Schema.propertySignature(Event.fields.snapshotId).pipe(Schema.fromKey("snapshot_id")),
  hostId: Schema.propertySignature(Event.fields.hostId).pipe(Schema.fromKey("host_id")),
  imageId: Schema.propertySignature(Event.fields.imageId).pipe(Schema.fromKey("image_id")),
  operationId: Schema.propertySignature(Event.fields.operationId).pipe(Schema.fromKey("operation_id")),
  data: Schema.parseJson(Event.fields.data)
})
const events = Rows.table(
  "events",
  "id",
  Schema.transform(EventRow, Schema.typeSchema(Event), {
    strict: true,
    decode: (row) => new Event(row, { disableValidation: true }),
    encode: (event) => event
  })
)
const encodeData = Schema.encodeSync(Schema.parseJson(Event.fields.data))

const BoundsRow = Schema.Struct({ oldest: EventId, latest: EventId })
const bounds = Rows.table("events", "latest", BoundsRow)

const statuses = Rows.table(
  "events",
  "host_id",
  Schema.Struct({ hostId: Schema.propertySignature(HostId).pipe(Schema.fromKey("host_id")), status: Schema.String })
)

/** What is kept: from `oldest` on; without events it is the next one that will be. @since 0.4.0 @category models */
export type Bounds = typeof BoundsRow.Type

/** Events, and up to which one was looked. @since 0.4.0 @category models */
export interface Page {
  readonly rows: ReadonlyArray<Rows.Row>
  readonly cursor: EventId
  /** there are none beyond the cursor yet */
  readonly last: boolean
}

const conditionsOf = (filter: EventFilter): ReadonlyArray<readonly [string, Parameter]> => [
  ...(filter.types === undefined
    ? []
    : [["type in (select value from json_each(?))", JSON.stringify(filter.types)] as const]),
  ...(filter.vmId === undefined ? [] : [["vm_id = ?", filter.vmId] as const]),
  ...(filter.volumeId === undefined ? [] : [["volume_id = ?", filter.volumeId] as const]),
  ...(filter.hostId === undefined ? [] : [["host_id = ?", filter.hostId] as const]),
  ...(filter.imageId === undefined ? [] : [["image_id = ?", filter.imageId] as const]),
  ...(filter.operationId === undefined ? [] : [["operation_id = ?", filter.operationId] as const])
]

/** @since 0.4.0 @category constructors */
export const make = (statement: Database["Type"]["statement"]) => {
  // what was given out is remembered here, whether or not it is still kept
  const selectBounds = statement(`select latest, coalesce((select min(id) from events), latest + 1) as oldest
    from (select coalesce((select seq from sqlite_sequence where name = 'events'), 0) as latest)`)
  // of several rows of a group, a bare column is of the one with the maximum
  const selectStatuses = statement(`select host_id, status from (
    select host_id, data ->> 'status' as status, max(id) from events
    where type = 'host.changed' and host_id is not null and data ->> 'status' is not null group by host_id)`)
  const selectTypes = statement("select distinct type from events where id > ? and id <= ?")
  const insert = statement("insert into events (type, host_id, data) values (?, ?, ?)")
  const remove = statement("delete from events where id <= ?")

  const known: Effect.Effect<Bounds, SqlError> = Effect.flatMap(selectBounds(), (rows) =>
    Effect.flatMap(Rows.only(rows, "there are no bounds"), bounds.one)
  )

  /** Those of the filter among the next `window`, at most `limit`. */
  const page = Effect.fnUntraced(function* (cursor: EventId, limit: number, filter: EventFilter = {}) {
    const { latest, oldest } = yield* known
    // one that is ahead is of another log
    if (cursor < oldest - 1 || cursor > latest) return yield* new EventsLost({ cursor, oldest, latest })
    const end = EventId.make(Math.min(cursor + window, latest))
    if (cursor === end) return { rows: [], cursor, last: true } satisfies Page
    const conditions = conditionsOf(filter)
    const select = statement(`select * from events
      where ${["id > ?", "id <= ?", ...conditions.map(([condition]) => condition)].join(" and ")} order by id limit ?`)
    const rows = yield* select(cursor, end, ...conditions.map(([, parameter]) => parameter), limit)
    if (rows.length < limit) return { rows, cursor: end, last: end === latest } satisfies Page
    const reached = EventId.make(Number(rows.at(-1)?.["id"] ?? end))
    return { rows, cursor: reached, last: reached === latest } satisfies Page
  })

  return {
    bounds: known,
    page,
    decode: events.all,
    /** Of which types those after `after` are, up to `latest`. */
    types: (after: EventId, latest: EventId) =>
      Effect.map(selectTypes(after, latest), (rows) => new Set(rows.map(({ type }) => String(type)))),
    /** A walk through all of them, for the start. */
    hostStatuses: Effect.flatMap(
      Effect.suspend(() => selectStatuses()),
      statuses.all
    ),
    append: ({ data, hostId, type }: NewEvent) => insert(type, hostId, encodeData(data)),
    /** Forgets those up to this one. */
    forget: (id: number) => Effect.asVoid(remove(id))
  }
}
