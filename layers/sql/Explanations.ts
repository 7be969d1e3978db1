/**
 * Why VMs are where they were placed, as long as they exist.
 *
 * @since 0.7.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Explained, Explanation } from "../../src/domain/Explanation.ts"
import type { VmId } from "../../src/domain/Ids.ts"
import type { Database } from "../Database.ts"
import * as Rows from "./Rows.ts"

const rows = Rows.table(
  "explanations",
  "vm_id",
  Schema.Struct({ at: Schema.Int, explanation: Schema.parseJson(Explanation) })
)

/** Run in the caller's transaction. @since 0.7.0 @category constructors */
export const make = (sql: SqlClient.SqlClient, statement: Database["Type"]["statement"]) => {
  const insert = statement("insert into explanations (vm_id, at, explanation) values (?, ?, ?)")
  return {
    find: (id: VmId): Effect.Effect<Explained | null, SqlError> =>
      Effect.flatMap(
        sql<Rows.Row>`select vm_id, at, explanation from explanations where vm_id = ${id}`,
        ([row]): Effect.Effect<Explained | null> => (row === undefined ? Effect.succeed(null) : rows.one(row))
      ),
    // it was just made, and what it is made of is JSON already: a schema would look at all of it again, for every VM
    put: (id: VmId, at: number, explanation: Explanation) => Effect.asVoid(insert(id, at, JSON.stringify(explanation))),
    remove: (id: VmId) => Effect.asVoid(sql`delete from explanations where vm_id = ${id}`)
  }
}
