/** The database's own promises: one owner, durable before it answers, whole or not at all, and never stuck. */
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { promisify } from "node:util"
import * as Database from "../../layers/Database.ts"
import { HostId, ImageId, InstanceTypeId, type OperationId, VmId } from "../../src/domain/Ids.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import { facts, fleet, layerOn, layerTemporary, temporaryFolder, type } from "./Fleet.ts"

const temporaryFile = Effect.map(temporaryFolder, (folder) => path.join(folder, "vmfabric.sqlite"))

const memory = Database.layer({ filename: ":memory:" })

const refusal = (filename: string) =>
  Effect.map(Effect.flip(Effect.scoped(Layer.build(Database.layer({ filename })))), (error) => error.message)

const admit = Effect.flatMap(Inventory, (inventory) =>
  inventory.admit({ name: "web", instanceType: type(1), imageId: ImageId.make(100) }, () =>
    Effect.succeed(HostId.make(1))
  )
)

/** Another program's hand in the file, while nobody has it open. */
const edit = (filename: string, statement: string) =>
  Effect.scoped(
    Effect.flatMap(
      Effect.map(Layer.build(SqliteClient.layer({ filename })), (context) => Context.get(context, SqlClient.SqlClient)),
      (sql) => sql.unsafe(statement)
    )
  )

const controller = (filename: string, ...wrapper: ReadonlyArray<string>) => {
  const [program = process.execPath, ...args] = [
    ...wrapper,
    process.execPath,
    "--conditions=vmfabric-source",
    "--import",
    "tsx",
    path.join(import.meta.dirname, "controller.ts"),
    filename
  ]
  return Effect.promise(() => promisify(execFile)(program, args))
}

describe("the file", () => {
  it.scoped("is made for its owner's eyes only", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      yield* Effect.provide(Effect.asVoid(Inventory), layerOn(filename))
      fs.chmodSync(filename, 0o644)
      yield* Effect.gen(function* () {
        const inventory = yield* Inventory
        yield* inventory.applyFleet(fleet)
        for (const file of [filename, `${filename}-wal`]) assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)
      }).pipe(Effect.provide(layerOn(filename)))
    })
  )

  it.scoped("that cannot be used is named, with the reason", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const missing = path.join(folder, "no", "such", "x.sqlite")
      assert.strictEqual(
        yield* refusal(missing),
        `the database failed to open ${missing}: the folder ${path.dirname(missing)} does not exist`
      )

      const text = path.join(folder, "text")
      fs.writeFileSync(text, "not a database, but long enough to be looked at ".repeat(100))
      assert.strictEqual(yield* refusal(text), `the database failed to open ${text}: it is not a SQLite database`)
      assert.strictEqual(
        yield* refusal(path.join(text, "x")),
        `the database failed to open ${text}/x: ${text} is not a folder`
      )

      assert.match(yield* refusal(folder), /^the database failed to open .*: unable to open database file$/)
      assert.match(yield* refusal(""), /: its name is empty$/)

      const foreign = path.join(folder, "foreign.sqlite")
      yield* edit(foreign, "create table hosts (id integer)")
      assert.match(yield* refusal(foreign), /foreign.sqlite: table hosts already exists$/)
    })
  )

  it.scoped("of a newer version is left alone", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      yield* Effect.provide(Effect.asVoid(Inventory), layerOn(filename))
      yield* edit(filename, "insert into effect_sql_migrations (migration_id, name) values (9999, 'future')")
      assert.match(yield* refusal(filename), /: it was written by a newer version \(migration 9999, known \d+\)$/)
    })
  )

  it.scoped("has one owner in this process", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      yield* Effect.gen(function* () {
        const inventory = yield* Inventory
        assert.strictEqual(
          yield* refusal(filename),
          `the database failed to open ${filename}: another process has it open, and one database serves one controller only`
        )
        yield* inventory.applyFleet(fleet)
      }).pipe(Effect.provide(layerOn(filename)))
      // and is free again afterwards
      yield* Effect.provide(Effect.asVoid(Inventory), layerOn(filename))
    })
  )

  it.scoped(
    "has one owner among processes",
    () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        const during = yield* Effect.provide(controller(filename), layerOn(filename))
        assert.strictEqual(
          during.stdout,
          `REFUSED the database failed to open ${filename}: another process has it open, and one database serves one controller only\n`
        )
        const after = yield* controller(filename)
        assert.strictEqual(after.stdout, "WRITING\nACKNOWLEDGED\n")
      }),
    60_000
  )

  const strace = "/usr/bin/strace"
  it.scoped.skipIf(!fs.existsSync(strace))(
    "is synced between the write and the answer (needs strace)",
    () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        const trace = `${filename}.trace`
        yield* controller(filename, strace, "-f", "-y", "-e", "trace=pwrite64,write,fsync,fdatasync", "-o", trace)
        const calls = fs.readFileSync(trace, "utf8").split("\n")
        const from = calls.findIndex((call) => call.includes("WRITING"))
        const to = calls.findIndex((call) => call.includes("ACKNOWLEDGED"))
        const between = calls.slice(from + 1, to).filter((call) => call.includes("-wal"))
        const written = between.findLastIndex((call) => call.includes("pwrite64("))
        const synced = between.findLastIndex((call) => /(fsync|fdatasync)\(.*= 0$/.test(call))
        assert.isAtLeast(written, 0, "nothing was written to the log")
        assert.isAbove(synced, written, between.join("\n"))
      }),
    60_000
  )

  it.scoped("keeps everything over a restart", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const before = yield* Effect.gen(function* () {
        const inventory = yield* Inventory
        const journal = yield* Journal
        yield* inventory.applyFleet(fleet)
        yield* inventory.setHostFacts(HostId.make(1), facts({ cpu: 9, ram: 9, disk: 9 }))
        const { operation } = yield* admit
        const destroyed = yield* admit
        yield* journal.stepStarted(operation.id, "do", "image")
        yield* inventory.setVmState(destroyed.vm.id, "destroyed")
        return yield* everything(operation.id)
      }).pipe(Effect.provide(layerOn(filename)))
      const after = yield* Effect.provide(everything(before.operation), layerOn(filename))
      assert.deepStrictEqual(after, before)
      const next = yield* Effect.provide(admit, layerOn(filename))
      assert.strictEqual(next.vm.id, 3)
    })
  )

  const everything = (operation: OperationId) =>
    Effect.gen(function* () {
      const inventory = yield* Inventory
      const journal = yield* Journal
      return {
        operation,
        hosts: yield* inventory.hosts,
        images: yield* inventory.images,
        types: yield* inventory.types,
        vms: yield* inventory.vms(),
        unfinished: yield* journal.unfinished,
        steps: yield* journal.steps(operation)
      }
    })
})

describe("a stored row that cannot be read", () => {
  const corrupted = (statement: string, use: Effect.Effect<unknown, unknown, Inventory | Journal>) =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      yield* Effect.gen(function* () {
        const inventory = yield* Inventory
        yield* inventory.applyFleet(fleet)
        yield* admit
      }).pipe(Effect.provide(layerOn(filename)))
      yield* edit(filename, statement)
      const exit = yield* Effect.exit(Effect.provide(use, layerOn(filename)))
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      return Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
    })
  const inventory = <A, E>(use: (inventory: Inventory["Type"]) => Effect.Effect<A, E>) => Effect.flatMap(Inventory, use)

  it.scoped("is a defect that names table and id", () =>
    Effect.gen(function* () {
      const cases = [
        [
          "update vms set state = 'flying'",
          inventory((i) => i.vms()),
          /stored row vms id=1 cannot be read: [^]*flying/
        ],
        [
          "update vms set ram = 9007199254740993",
          inventory((i) => i.vmRecord(VmId.make(1))),
          /stored row vms id=1 [^]*ram/
        ],
        ["update hosts set config = '{}' where id = 2", inventory((i) => i.hosts), /stored row hosts id=2 [^]*address/],
        [
          "update hosts set facts = 'x' where id = 2",
          inventory((i) => i.host(HostId.make(2))),
          /stored row hosts id=2 [^]*JSON/
        ],
        ['update images set content = \'{"format":"iso"}\'', inventory((i) => i.images), /stored row images id=100/],
        [
          "update instance_types set cpu = 0",
          inventory((i) => i.type(InstanceTypeId.make(1))),
          /stored row instance_types tid=/
        ],
        [
          "update operations set kind = 'Nothing'",
          Effect.flatMap(Journal, (j) => j.unfinished),
          /stored row operations id=/
        ]
      ] as const
      for (const [statement, use, message] of cases) assert.match(yield* corrupted(statement, use), message)
    })
  )
})

describe("transactions", () => {
  const table = Effect.gen(function* () {
    const database = yield* Database.Database
    const { read, sql, write } = database
    yield* write("prepare", sql`create table t (id integer primary key, parent integer references t (id))`)
    const insert = (id: number, parent: number | null = null) =>
      write(`insert ${id}`, sql`insert into t (id, parent) values (${id}, ${parent})`)
    const all = Effect.map(read("read", sql<{ readonly id: number }>`select id from t order by id`), (rows) =>
      rows.map(({ id }) => id)
    )
    return { ...database, insert, all }
  })

  const isRefused = (exit: Exit.Exit<unknown, unknown>, message: RegExp) => {
    const failure = Exit.isFailure(exit) ? Cause.failureOption(exit.cause) : null
    assert.isTrue(failure?._tag === "Some", `expected a failure, got ${String(exit)}`)
    if (failure?._tag === "Some") {
      const error = failure.value
      assert.isTrue(error instanceof Error && "_tag" in error && error._tag === "PersistenceError")
      if (error instanceof Error) assert.match(error.message, message)
    }
  }

  it.scoped("whose commit fails are undone and leave nothing behind", () =>
    Effect.gen(function* () {
      const { all, insert, sql, write } = yield* table
      const bad = write(
        "insert an orphan",
        Effect.zipRight(sql`pragma defer_foreign_keys = on`, sql`insert into t values (2, 99)`)
      )
      for (let i = 0; i < 2; i++) {
        isRefused(yield* Effect.exit(bad), /^the database failed to insert an orphan: FOREIGN KEY constraint failed$/)
      }
      yield* insert(3)
      assert.deepStrictEqual(yield* all, [3])
    }).pipe(Effect.provide(memory))
  )

  it.scoped("share a commit and nothing else", () =>
    Effect.gen(function* () {
      const { all, insert, sql, write } = yield* table
      const exits = yield* Effect.forEach(
        Array.from({ length: 600 }, (_, i) => i),
        (i) =>
          Effect.exit(
            i % 3 === 0
              ? write("fail", Effect.zipRight(sql`insert into t (id) values (${i})`, Effect.fail("no")))
              : i % 50 === 1
                ? insert(2) // there already, or soon
                : insert(i)
          ),
        { concurrency: "unbounded" }
      )
      const expected = exits.flatMap((exit, i) => (Exit.isSuccess(exit) ? [i % 50 === 1 ? 2 : i] : []))
      assert.deepStrictEqual(
        yield* all,
        expected.sort((a, b) => a - b)
      )
      assert.isTrue(
        exits.every((exit, i) => (i % 3 === 0 ? Exit.isFailure(exit) : i % 50 === 1 || i === 2 || Exit.isSuccess(exit)))
      )
    }).pipe(Effect.provide(memory))
  )

  it.scoped("all fail when SQLite gives the whole group up, and the next ones do not", () =>
    Effect.gen(function* () {
      const { all, insert, sql, write } = yield* table
      // what SQLite does by itself when the disk fails in the middle
      const broken = write("break", Effect.zipRight(sql`rollback`, sql`insert into nowhere values (1)`))
      const exits = yield* Effect.all([Effect.exit(insert(1)), Effect.exit(broken), Effect.exit(insert(2))], {
        concurrency: "unbounded"
      })
      isRefused(exits[0], /^the database failed to insert 1: /)
      isRefused(exits[1], /^the database failed to break: /)
      assert.isTrue(Exit.isSuccess(exits[2]))
      yield* insert(3)
      assert.deepStrictEqual(yield* all, [2, 3])
    }).pipe(Effect.provide(memory))
  )

  it.scoped("fail for want of space and succeed when there is some", () =>
    Effect.gen(function* () {
      const { insert, read, sql, write } = yield* table
      const limit = (pages: number) => read("limit", sql.unsafe(`pragma max_page_count = ${pages}`))
      const fill = write("fill", sql`insert into t (id) select max(id) + 1 from t`)
      const bulk = write("fill up", sql`create table big as select randomblob(100000) as b`)
      yield* insert(1)
      yield* limit(1)
      isRefused(yield* Effect.exit(bulk), /database or disk is full$/)
      yield* limit(1_000_000)
      yield* bulk
      yield* fill
    }).pipe(Effect.provide(layerTemporary))
  )

  it.scoped("that are interrupted write nothing and hold up nobody", () =>
    Effect.gen(function* () {
      const { all, insert, sql, write } = yield* table
      const inside = yield* Deferred.make<void>()
      const stuck = yield* Effect.fork(
        write(
          "hang",
          sql`insert into t (id) values (1)`.pipe(
            Effect.zipRight(Deferred.succeed(inside, undefined)),
            Effect.zipRight(Effect.never)
          )
        )
      )
      yield* Deferred.await(inside)
      const waiting = yield* Effect.fork(insert(2))
      const patient = yield* Effect.fork(insert(3))
      const reader = yield* Effect.fork(all)
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(waiting)
      yield* Fiber.interrupt(stuck)
      yield* Fiber.join(patient)
      assert.deepStrictEqual(yield* Fiber.join(reader), [3])
      assert.deepStrictEqual(yield* all, [3])
    }).pipe(Effect.provide(memory))
  )

  it.scoped("tell memory before they tell anybody, in the order they took effect", () =>
    Effect.gen(function* () {
      const { sql, write } = yield* table
      const told: Array<number> = []
      yield* Effect.forEach(
        Array.from({ length: 100 }, (_, i) => i),
        (i) =>
          Effect.map(
            write("insert", sql`insert into t (id) values (${i})`, () => void told.push(i)),
            () => assert.include(told, i)
          ),
        { concurrency: "unbounded" }
      )
      yield* Effect.exit(write("fail", Effect.fail("no"), () => void told.push(-1)))
      assert.deepStrictEqual(
        told,
        Array.from({ length: 100 }, (_, i) => i)
      )
    }).pipe(Effect.provide(memory))
  )

  it.scoped("see themselves, and refuse another inside instead of waiting for ever", () =>
    Effect.gen(function* () {
      const { all, insert, sql, write } = yield* table
      const seen = yield* write("insert and look", Effect.zipRight(sql`insert into t (id) values (1)`, all))
      assert.deepStrictEqual(seen, [1])
      const nested = yield* Effect.exit(write("outer", insert(2)))
      assert.isTrue(Exit.isFailure(nested) && Cause.isDie(nested.cause))
      assert.deepStrictEqual(yield* all, [1])
    }).pipe(Effect.provide(memory))
  )

  it.scoped("go to their own database, also inside those of another client", () =>
    Effect.gen(function* () {
      const inventory = yield* Inventory
      const filename = yield* temporaryFile
      const foreign = yield* Effect.map(Layer.build(SqliteClient.layer({ filename })), (context) =>
        Context.get(context, SqlClient.SqlClient)
      )
      yield* foreign.withTransaction(
        Effect.gen(function* () {
          yield* inventory.applyFleet(fleet)
          const { vm } = yield* admit
          assert.deepStrictEqual(yield* inventory.vmRecord(vm.id), vm)
          assert.strictEqual((yield* inventory.hosts).length, 3)
        })
      )
    }).pipe(Effect.provide(layerTemporary))
  )

  it.effect("fail once the database is closed", () =>
    Effect.gen(function* () {
      const { insert } = yield* Effect.provide(table, memory)
      isRefused(yield* Effect.exit(insert(1)), /^the database failed to insert 1: it is closed$/)
    })
  )
})
