/**
 * What the keys of requests led to. All of it runs in the caller's transaction.
 *
 * @since 0.3.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Errors from "../../src/domain/Errors.ts"
import type { Operation } from "../../src/domain/Operation.ts"
import type { Led, RequestKey } from "../../src/services/Inventory.ts"
import * as Rows from "./Rows.ts"

/** Longer than anybody goes on repeating a request. */
const kept = 7 * 24 * 3600 * 1000

const operationColumns = Rows.operationColumns
  .split(", ")
  .map((column) => `o.${column}`)
  .join(", ")

/** What the request led to before; null: it is new. @since 0.8.0 @category statements */
export const led = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  { fingerprint, key }: RequestKey
): Effect.fn.Return<Led | null, Errors.KeyReused | SqlError> {
  const [row] = yield* sql<Rows.Row>`select key, fingerprint, thing, thing_id, ${sql.literal(operationColumns)}
    from request_keys k left join operations o on o.id = k.operation_id where k.key = ${key}`
  if (row === undefined) return null
  const known = yield* Rows.requestKeys.one(row)
  if (known.fingerprint !== fingerprint) return yield* new Errors.KeyReused({ key })
  const { thing, thingId } = known
  return thing === null || thingId === null
    ? { _tag: "Operation", operation: yield* Rows.operations.one(row) }
    : { _tag: "Thing", thing, id: thingId }
})

/** The operation that the request led to before; null: it is new, or is tried anew. @since 0.3.0 @category statements */
export const find = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  request: RequestKey,
  kind: "CreateVm" | "CreateVolume" | "CreateSnapshot" | "AttachNic"
): Effect.fn.Return<Operation | null, Errors.KeyReused | SqlError> {
  const before = yield* led(sql, request)
  if (before === null) return null
  if (before._tag === "Thing" || before.operation.kind !== kind) {
    return yield* new Errors.KeyReused({ key: request.key })
  }
  return before.operation.id === request.replaces ? null : before.operation
})

/** `now` in milliseconds since 1970. @since 0.3.0 @category statements */
export const keep = (sql: SqlClient.SqlClient, { fingerprint, key }: RequestKey, led: Led, now: number) => {
  const [operation, thing, id] = led._tag === "Operation" ? [led.operation.id, null, null] : [null, led.thing, led.id]
  return sql`insert into request_keys (key, fingerprint, operation_id, thing, thing_id, created_at)
    values (${key}, ${fingerprint}, ${operation}, ${thing}, ${id}, ${now})
    on conflict (key) do update set operation_id = excluded.operation_id, thing = excluded.thing, thing_id = excluded.thing_id,
      created_at = excluded.created_at`
}

/** Drops those that are too old to come again. @since 0.3.0 @category statements */
export const forget = (sql: SqlClient.SqlClient, now: number) =>
  sql`delete from request_keys where created_at < ${now - kept}`
