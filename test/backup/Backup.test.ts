/** Copies of the database that are made while it is written to. */
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Reactivity from "@effect/experimental/Reactivity"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as BackupLive from "../../layers/BackupLive.ts"
import * as Database from "../../layers/Database.ts"
import type { Row } from "../../layers/sql/Rows.ts"
import { Backup } from "../../src/services/Backup.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-backup-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const world = (filename: string) => BackupLive.layer.pipe(Layer.provideMerge(Database.layer({ filename })))

const rows = (filename: string, query: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const sql = yield* SqliteClient.make({ filename })
      return yield* sql.unsafe<Row>(query)
    })
  ).pipe(Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make))

const saved = (file: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { bytes, size } = yield* Effect.flatMap(Backup, ({ copy }) => copy)
      const parts = Array.from(yield* Stream.runCollect(bytes))
      assert.strictEqual(
        parts.reduce((sum, one) => sum + one.length, 0),
        size
      )
      writeFileSync(file, Buffer.concat(parts))
    })
  )

const fill = (rows: number) =>
  Effect.flatMap(Database.Database, ({ sql, write }) =>
    write(
      "be filled",
      Effect.zipRight(
        sql`create table pairs (id integer primary key, left integer not null, right integer not null, filler text not null)`,
        Effect.forEach(
          Array.from({ length: rows }, (_, id) => id),
          (id) => sql`insert into pairs values (${id}, 0, 0, ${"x".repeat(3000)})`
        )
      )
    )
  )

describe("Backup", () => {
  it.live("has what was acknowledged before, and no half of a transaction, while others write all the time", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const path = yield* folder
        const filename = join(path, "inventory.db")
        const copy = join(path, "copy.db")
        yield* Effect.gen(function* () {
          yield* fill(600)
          const { sql, write } = yield* Database.Database
          const acknowledged = yield* SubscriptionRef.make(0)
          const until = (least: number) =>
            Stream.runDrain(Stream.takeUntil(acknowledged.changes, (number) => number >= least))
          const writer = yield* Effect.fork(
            Effect.forever(
              Effect.gen(function* () {
                const next = (yield* acknowledged) + 1
                yield* write(
                  "be changed",
                  Effect.gen(function* () {
                    yield* sql`update pairs set left = ${next} where id in (1, 300, 599)`
                    yield* Effect.yieldNow()
                    yield* sql`update pairs set right = ${next} where id in (1, 300, 599)`
                  })
                )
                yield* SubscriptionRef.set(acknowledged, next)
              })
            )
          )
          yield* until(4)
          const before = yield* acknowledged
          yield* saved(copy)
          const after = yield* acknowledged
          yield* until(after + 4)
          yield* Fiber.interrupt(writer)
          const seen = yield* rows(copy, "select left, right from pairs where id in (1, 300, 599)")
          const values = new Set(seen.flatMap(({ left, right }) => [Number(left), Number(right)]))
          assert.strictEqual(values.size, 1, `one moment: ${[...values].join()}`)
          const [value = 0] = values
          assert.isAtLeast(value, before)
          assert.isAtMost(value, after + 1)
          assert.deepStrictEqual(yield* rows(copy, "pragma integrity_check"), [{ integrity_check: "ok" }])
        }).pipe(Effect.provide(world(filename)))
        assert.deepStrictEqual(readdirSync(path).sort(), ["copy.db", "inventory.db"])
      })
    )
  )

  it.scopedLive(
    "leaves nothing, also of a process that was killed while it made one, and touches nobody else's files",
    () =>
      Effect.gen(function* () {
        const path = yield* folder
        const filename = join(path, "inventory.db")
        for (const name of [".inventory.db.copy-AbCdEf", "inventory.db.copy-mine"]) {
          mkdirSync(join(path, name))
          writeFileSync(join(path, name, "copy"), "half of one")
        }
        yield* Effect.flatMap(Backup, ({ copy }) => Effect.scoped(copy)).pipe(Effect.provide(world(filename)))
        assert.deepStrictEqual(readdirSync(path).sort(), ["inventory.db", "inventory.db.copy-mine"])
      })
  )

  it.scopedLive("of a database in memory is one, too, and two at once are", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const files = [join(path, "1.db"), join(path, "2.db")]
      yield* Effect.zipRight(fill(3), Effect.forEach(files, saved, { concurrency: 2 })).pipe(
        Effect.provide(world(":memory:"))
      )
      for (const file of files) {
        assert.deepStrictEqual(yield* rows(file, "select count(*) as many from pairs"), [{ many: 3 }])
      }
    })
  )

  it.scopedLive("that cannot be made says why, and what was asked of the database goes on", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* Effect.gen(function* () {
        const { copyTo, read, sql } = yield* Database.Database
        const { message } = yield* Effect.flip(copyTo(join(path, "no", "such", "copy")))
        assert.include(message, "the database failed to be copied")
        assert.deepStrictEqual(yield* read("be read", sql`select 1 as one`), [{ one: 1 }])
      }).pipe(Effect.provide(world(join(path, "inventory.db"))))
    })
  )
})
