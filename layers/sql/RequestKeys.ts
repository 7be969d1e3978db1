/**
 * What the keys of requests led to. All of it runs in the caller's transaction.
 *
 * @since 0.3.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Errors from "../../src/domain/Errors.ts"
import type { OperationId } from "../../src/domain/Ids.ts"
import type { RequestKey } from "../../src/services/Inventory.ts"
import * as Rows from "./Rows.ts"

/** Longer than anybody goes on repeating a request. */
const kept = 7 * 24 * 3600 * 1000

/** The operation that the request led to before; null: it is new, or is tried anew. A request to retry one leads to `any` kind. @since 0.3.0 @category statements */
export const find = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  request: RequestKey,
  kind: "CreateVm" | "CreateVolume" | "CreateSnapshot" | "AttachNic" | "any"
) {
  const { fingerprint, key, replaces } = request
  const [row] = yield* sql<Rows.Row>`select key, fingerprint, ${sql.literal(operationColumns)}
    from request_keys k join operations o on o.id = k.operation_id where k.key = ${key}`
  if (row === undefined) return null
  const known = yield* Rows.requestKeys.one(row)
  const operation = yield* Rows.operations.one(row)
  const same = known.fingerprint === fingerprint && (kind === "any" || operation.kind === kind)
  if (!same) return yield* new Errors.KeyReused({ key })
  return operation.id === replaces ? null : operation
})

const operationColumns = Rows.operationColumns
  .split(", ")
  .map((column) => `o.${column}`)
  .join(", ")

/** `now` in milliseconds since 1970. @since 0.3.0 @category statements */
export const keep = (sql: SqlClient.SqlClient, request: RequestKey, operation: OperationId, now: number) =>
  sql`insert into request_keys (key, fingerprint, operation_id, created_at)
    values (${request.key}, ${request.fingerprint}, ${operation}, ${now})
    on conflict (key) do update set operation_id = excluded.operation_id, created_at = excluded.created_at`

/** Drops those that are too old to come again. @since 0.3.0 @category statements */
export const forget = (sql: SqlClient.SqlClient, now: number) =>
  sql`delete from request_keys where created_at < ${now - kept}`
