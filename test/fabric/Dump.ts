/** Everything that a controller's database holds, as text: read from a copy, since nobody else may open the file while it is used. */
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** What is looked at on hosts and in pools by the way, whoever asks for what. */
const observed = new Set(["vm_seen", "drift", "pools"])

const only: Readonly<Record<string, string>> = {
  events: " where type not in ('host.changed', 'vm.seen', 'vm.drift')",
  sqlite_sequence: " where name <> 'events'"
}

/** A table a line, each row in it as JSON, the counters of ids among them. */
export const of = (database: string): Effect.Effect<string> =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-dump-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true }))
    )
    const filename = join(folder, "copy.sqlite")
    for (const end of ["", "-wal"]) {
      if (existsSync(`${database}${end}`)) copyFileSync(`${database}${end}`, `${filename}${end}`)
    }
    const context = yield* Layer.build(SqliteClient.layer({ filename }))
    const sql = Context.get(context, SqlClient.SqlClient)
    const tables = yield* sql<{
      readonly name: string
    }>`select name from sqlite_master where type = 'table' order by name`
    const rows = yield* Effect.forEach(
      tables.filter(({ name }) => !observed.has(name)),
      ({ name }) =>
        Effect.map(sql.unsafe(`select * from "${name}"${only[name] ?? ""}`), (all) => `${name}: ${JSON.stringify(all)}`)
    )
    return rows.join("\n")
  }).pipe(Effect.scoped, Effect.orDie)
