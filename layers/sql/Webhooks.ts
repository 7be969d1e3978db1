/**
 * Webhooks as they are stored. All of it runs in the caller's transaction.
 *
 * @since 0.5.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { EventId, EventType } from "../../src/domain/Event.ts"
import { DeliveryType, mostDeliveries, WebhookId } from "../../src/domain/Webhook.ts"
import type { Database } from "../Database.ts"
import * as Rows from "./Rows.ts"

const Types = Schema.Array(EventType)

const column = <A, I>(schema: Schema.Schema<A, I>, name: string) =>
  Schema.propertySignature(schema).pipe(Schema.fromKey(name))

/** @since 0.5.0 @category rows */
export const WebhookRow = Schema.Struct({
  id: WebhookId,
  url: Schema.String,
  types: Schema.NullOr(Schema.parseJson(Types)),
  secret: Schema.Redacted(Schema.String),
  previousSecret: column(Schema.NullOr(Schema.Redacted(Schema.String)), "previous_secret"),
  previousUntil: column(Schema.NullOr(Schema.Int), "previous_until"),
  cursor: EventId,
  createdAt: column(Schema.Int, "created_at"),
  lastSuccessAt: column(Schema.NullOr(Schema.Int), "last_success_at"),
  lastFailureAt: column(Schema.NullOr(Schema.Int), "last_failure_at"),
  lastFailure: column(Schema.NullOr(Schema.String), "last_failure"),
  failingSince: column(Schema.NullOr(Schema.Int), "failing_since")
})
/** @since 0.5.0 @category rows */
export type WebhookRow = typeof WebhookRow.Type

/** @since 0.8.0 @category rows */
export const DeliveryRow = Schema.Struct({
  id: Schema.Int,
  message: Schema.String,
  type: DeliveryType,
  cursor: Schema.NullOr(EventId),
  try: Schema.Int,
  at: Schema.Int,
  milliseconds: Schema.Int,
  status: Schema.NullOr(Schema.Int),
  reason: Schema.NullOr(Schema.String),
  nextTryAt: column(Schema.NullOr(Schema.Int), "next_try_at")
})
/** @since 0.8.0 @category rows */
export type DeliveryRow = typeof DeliveryRow.Type

/** One that was just tried. @since 0.8.0 @category rows */
export type Tried = Omit<DeliveryRow, "id" | "try">

const deliveries = Rows.table("webhook_deliveries", "id", DeliveryRow)

const webhooks = Rows.table("webhooks", "id", WebhookRow)

const encodeTypes = Schema.encodeSync(Schema.NullOr(Schema.parseJson(Types)))

/** @since 0.5.0 @category constructors */
export const make = (statement: Database["Type"]["statement"]) => {
  const selectAll = statement("select * from webhooks order by id")
  const select = statement("select * from webhooks where id = ?")
  const insert = statement(
    "insert into webhooks (url, types, secret, cursor, created_at) values (?, ?, ?, ?, ?) returning *"
  )
  const update = statement("update webhooks set url = ?, types = ? where id = ? returning *")
  const reseal = statement(`update webhooks set previous_secret = secret, previous_until = ?, secret = ?
    where id = ? returning *`)
  const remove = statement("delete from webhooks where id = ?")
  const arrived = statement(`update webhooks set cursor = ?, last_success_at = ?, failing_since = null
    where id = ? returning *`)
  const passed = statement("update webhooks set cursor = ? where id = ? returning *")
  const failed = statement(`update webhooks set last_failure_at = ?, last_failure = ?,
    failing_since = coalesce(failing_since, ?) where id = ? returning *`)

  const selectLast = statement("select * from webhook_deliveries where webhook_id = ? order by id desc limit ?")
  const insertDelivery = statement(`insert into webhook_deliveries
    (webhook_id, message, type, cursor, try, at, milliseconds, status, reason, next_try_at)
    select ?, ?, ?, ?, coalesce(max(try), 0) + 1, ?, ?, ?, ?, ?
    from webhook_deliveries where webhook_id = ? and message = ?`)
  const forget = statement(`delete from webhook_deliveries where webhook_id = ? and id <=
    (select id from webhook_deliveries where webhook_id = ? order by id desc limit 1 offset ?)`)

  /** Null: it is not there. */
  const one = <E>(rows: Effect.Effect<ReadonlyArray<Rows.Row>, E>) =>
    Effect.flatMap(rows, ([row]): Effect.Effect<WebhookRow | null> =>
      row === undefined ? Effect.succeed(null) : webhooks.one(row)
    )

  return {
    all: Effect.flatMap(
      Effect.suspend(() => selectAll()),
      webhooks.all
    ),
    get: (id: WebhookId) => one(select(id)),
    insert: (row: Pick<WebhookRow, "url" | "types" | "cursor" | "createdAt"> & { readonly secret: string }) =>
      Effect.flatMap(insert(row.url, encodeTypes(row.types), row.secret, row.cursor, row.createdAt), (rows) =>
        Effect.flatMap(Rows.only(rows, "a webhook was not stored"), webhooks.one)
      ),
    update: ({ id, types, url }: Pick<WebhookRow, "id" | "url" | "types">) => one(update(url, encodeTypes(types), id)),
    /** The present secret becomes the previous one. */
    reseal: (id: WebhookId, secret: string, previousUntil: number) => one(reseal(previousUntil, secret, id)),
    remove: (id: WebhookId) => Effect.asVoid(remove(id)),
    /** All up to the cursor has arrived. */
    arrived: (id: WebhookId, cursor: EventId, at: number) => one(arrived(cursor, at, id)),
    /** Nothing up to the cursor was to be sent. */
    passed: (id: WebhookId, cursor: EventId) => one(passed(cursor, id)),
    failed: (id: WebhookId, reason: string, at: number) => one(failed(at, reason, at, id)),
    /** One more; of more than are kept the oldest goes. */
    tried: (id: WebhookId, { at, cursor, message, milliseconds, nextTryAt, reason, status, type }: Tried) =>
      Effect.zipRight(
        insertDelivery(id, message, type, cursor, at, milliseconds, status, reason, nextTryAt, id, message),
        Effect.asVoid(forget(id, id, mostDeliveries))
      ),
    /** The newest first. */
    deliveries: (id: WebhookId) => Effect.flatMap(selectLast(id, mostDeliveries), deliveries.all)
  }
}
