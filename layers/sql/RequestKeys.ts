/**
 * What the keys of requests led to. All of it runs in the caller's transaction.
 *
 * A key is its asker's. With one that many are asked for with, each of them has a row with its number, and number 0 is all of it: the operation of the first
 * that was begun.
 *
 * @since 0.3.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Errors from "../../src/domain/Errors.ts"
import type { UserName } from "../../src/domain/Identity.ts"
import type { Operation } from "../../src/domain/Operation.ts"
import * as Keys from "../../src/fabric/Keys.ts"
import type { Led, RequestKey } from "../../src/services/Inventory.ts"
import * as Rows from "./Rows.ts"

/** Longer than anybody goes on repeating a request. */
const kept = 7 * 24 * 3600 * 1000

const operationColumns = Rows.operationColumns
  .split(", ")
  .map((column) => `o.${column}`)
  .join(", ")

/** Nobody in particular; no user is called so. */
const nobody = ""
/** Whose keys of before 0026 are may not be known: they are found by whoever asks. No user is called so. */
const anybody = "*"

/** All that are asked for with that key, as one request; undefined: it is asked for alone. */
const whole = ({ among, asker, key }: RequestKey): RequestKey | undefined =>
  among === undefined ? undefined : { key, fingerprint: among.fingerprint, ...(asker === undefined ? {} : { asker }) }

const one = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  { among, asker, fingerprint, formerly = fingerprint, key }: RequestKey
): Effect.fn.Return<Led | null, Errors.KeyReused | SqlError> {
  const [row] = yield* sql<Rows.Row>`select key, fingerprint, thing, thing_id, ${sql.literal(operationColumns)}
    from request_keys k left join operations o on o.id = k.operation_id
    where k.asker in (${asker ?? nobody}, ${anybody}) and k.key = ${key} and k.number = ${among?.number ?? 0}
    order by k.asker = ${anybody} limit 1`
  if (row === undefined) return null
  const known = yield* Rows.requestKeys.one(row)
  const isSame = Keys.isSame(known.fingerprint, fingerprint) || Keys.isSame(known.fingerprint, formerly)
  if (!isSame) return yield* new Errors.KeyReused({ key })
  const { thing, thingId } = known
  return thing === null || thingId === null
    ? { _tag: "Operation", operation: yield* Rows.operations.one(row) }
    : { _tag: "Thing", thing, id: thingId }
})

/** What the request led to before; null: it is new. @since 0.8.0 @category statements */
export const led = (
  sql: SqlClient.SqlClient,
  request: RequestKey
): Effect.Effect<Led | null, Errors.KeyReused | SqlError> => {
  const all = whole(request)
  // another request's key is so for each of many, also for one that is new
  return all === undefined ? one(sql, request) : Effect.zipRight(one(sql, all), one(sql, request))
}

/** The operation that the request led to before; null: it has no key, is new, or is tried anew. @since 0.3.0 @category statements */
export const find = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  request: RequestKey | undefined,
  kind: "CreateVm" | "CreateVolume" | "CreateSnapshot" | "AttachNic"
): Effect.fn.Return<Operation | null, Errors.KeyReused | SqlError> {
  if (request === undefined) return null
  const before = yield* led(sql, request)
  if (before === null) return null
  if (before._tag === "Thing" || before.operation.kind !== kind) {
    return yield* new Errors.KeyReused({ key: request.key })
  }
  return before.operation.id === request.replaces ? null : before.operation
})

/** `now` in milliseconds since 1970. @since 0.3.0 @category statements */
export const keep = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  request: RequestKey,
  led: Led,
  now: number
): Effect.fn.Return<void, SqlError> {
  const { among, asker, fingerprint, key } = request
  const [operation, thing, id] = led._tag === "Operation" ? [led.operation.id, null, null] : [null, led.thing, led.id]
  yield* sql`insert into request_keys (asker, key, number, fingerprint, operation_id, thing, thing_id, created_at)
    values (${asker ?? nobody}, ${key}, ${among?.number ?? 0}, ${fingerprint}, ${operation}, ${thing}, ${id}, ${now})
    on conflict (asker, key, number) do update set operation_id = excluded.operation_id, thing = excluded.thing,
      thing_id = excluded.thing_id, created_at = excluded.created_at`
  if (among === undefined) return
  // as old as the youngest of them, so that it is not forgotten before
  yield* sql`insert into request_keys (asker, key, number, fingerprint, operation_id, thing, thing_id, created_at)
    values (${asker ?? nobody}, ${key}, 0, ${among.fingerprint}, ${operation}, ${thing}, ${id}, ${now})
    on conflict (asker, key, number) do update set created_at = excluded.created_at`
})

/** That it led to the operation; nothing, when it has no key or led to none. @since 0.12.0 @category statements */
export const keepOperation = (
  sql: SqlClient.SqlClient,
  request: RequestKey | undefined,
  operation: Operation | null,
  now: number
) =>
  request === undefined || operation === null ? Effect.void : keep(sql, request, { _tag: "Operation", operation }, now)

/**
 * Of a user who is removed: another one of that name is somebody else. Their own keys are gone with them, and what led to them leads to nobody any more.
 *
 * @since 0.10.0 @category statements
 */
export const disown = (sql: SqlClient.SqlClient, name: UserName) =>
  Effect.zipRight(
    sql`delete from request_keys where asker = ${name}`,
    // no user is called so
    sql`update request_keys set thing_id = ${`${name}, who was removed`} where thing = 'user' and thing_id = ${name}`
  )

/** Drops those that are too old to come again. @since 0.3.0 @category statements */
export const forget = (sql: SqlClient.SqlClient, now: number) =>
  sql`delete from request_keys where created_at < ${now - kept}`
