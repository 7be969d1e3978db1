/** The database's own promises: one owner, durable before it answers, whole or not at all, and never stuck. */
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as TestServices from "effect/TestServices"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { promisify } from "node:util"
import * as Database from "../../layers/Database.ts"
import { HostId, ImageId, InstanceTypeId, type OperationId, VmId, VolumeId } from "../../src/domain/Ids.ts"
import type { PersistenceError } from "../../src/domain/Errors.ts"
import { type AdmitVm, Inventory, type KeptWith } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import * as Tools from "../check/Tools.ts"
import { dir, facts, fleet, inPool, layerOn, layerTemporary, pool, temporaryFolder, type } from "./Fleet.ts"

const temporaryFile = Effect.map(temporaryFolder, (folder) => path.join(folder, "vmfabric.sqlite"))

const memory = Database.layer({ filename: ":memory:" })

const refusal = (filename: string) =>
  Effect.map(Effect.flip(Effect.scoped(Layer.build(Database.layer({ filename })))), (error) => error.message)

const web: AdmitVm = {
  name: "web",
  instanceType: type(1),
  imageId: ImageId.make(100),
  disk: dir,
  onCrash: "leave"
}

const admit = Effect.flatMap(Inventory, (inventory) => inventory.admit(web, () => Effect.succeed(HostId.make(1))))

const admitVolume = (disk: KeptWith) =>
  Effect.flatMap(Inventory, (inventory) =>
    inventory.admitVolume({ name: "data", size: 1, disk, sourceId: null }, () =>
      Effect.succeed(disk.pool === null ? HostId.make(1) : null)
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

const controller = (filename: string, kind: "one" | "group" = "one", wrapper: ReadonlyArray<string> = []) => {
  const [program = process.execPath, ...args] = [
    ...wrapper,
    process.execPath,
    "--conditions=vmfabric-source",
    "--import",
    "tsx",
    path.join(import.meta.dirname, "controller.ts"),
    filename,
    kind
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

  it.scoped("that cannot be used (a defect to the client) is named, with the reason", () =>
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

      assert.strictEqual(
        yield* refusal(folder),
        `the database failed to open ${folder}: it is a folder: name another by --database, of a file`
      )
      assert.strictEqual(fs.statSync(folder).mode & 0o777, 0o700)
      assert.strictEqual(
        yield* refusal("/dev/null"),
        "the database failed to open /dev/null: it is no regular file: name another by --database"
      )
      // where nobody can make a file, not even root
      assert.strictEqual(
        yield* refusal("/proc/x.sqlite"),
        "the database failed to open /proc/x.sqlite: no file can be made in /proc (no such file or directory): name another by --database"
      )
      assert.match(yield* refusal(""), /: its name is empty$/)

      const foreign = path.join(folder, "foreign.sqlite")
      yield* edit(foreign, "create table hosts (id integer)")
      assert.match(yield* refusal(foreign), /foreign.sqlite: table hosts already exists$/)
    })
  )

  it.scoped(
    "whose disk is full or fails is told with the folder to make room in, for which there is no use in trying again",
    () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        const folder = path.dirname(filename)
        yield* Effect.gen(function* () {
          const { sql, write } = yield* Database.Database
          // as a disk that has no room for another page
          yield* sql.unsafe("pragma max_page_count = 1")
          const full = yield* Effect.flip(write("fill it", sql`create table more as select zeroblob(1000000)`))
          assert.deepInclude(full, { lasting: true })
          assert.strictEqual(
            full.message,
            `the database failed to fill it: the disk that its folder ${folder} is on is full: make room there`
          )
          yield* sql.unsafe("pragma max_page_count = 100000")
          yield* write("go on", sql`create table more (id integer)`)
          const cause = Object.assign(new Error("disk I/O error"), { code: "SQLITE_IOERR_WRITE" })
          const failing = yield* Effect.flip(write("change it", new SqlError({ cause })))
          assert.deepInclude(failing, { lasting: true })
          assert.strictEqual(
            failing.message,
            `the database failed to change it: its folder ${folder} cannot be read or written (SQLITE_IOERR_WRITE): make room there if its disk is full, or else have the disk looked after`
          )
          const other = yield* Effect.flip(write("ask it", sql`select * from nothing`))
          assert.notProperty(other, "lasting")
        }).pipe(Effect.provide(Database.layer({ filename })))
      })
  )

  it.scoped("that is damaged is told as that, with how to get it back", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      yield* Effect.provide(Effect.asVoid(Inventory), layerOn(filename))
      const whole = fs.statSync(filename).size
      const words =
        "it is damaged (sqlite3 FILE 'PRAGMA integrity_check' tells where): end the controller and put a copy of it back, " +
        "without the -wal and -shm files beside it, or save what is left by sqlite3 FILE .recover"
      fs.truncateSync(filename, Math.floor(whole / 3))
      assert.strictEqual(yield* refusal(filename), `the database failed to open ${filename}: ${words}`)

      // what is found to be so only when it is read
      const later = yield* temporaryFile
      yield* Effect.gen(function* () {
        const { read, sql } = yield* Database.Database
        const [{ rootpage } = { rootpage: 0 }] = yield* sql<{
          rootpage: number
        }>`select rootpage from sqlite_master where name = 'vms'`
        return [rootpage, yield* read("look", sql`select 1`)] as const
      }).pipe(
        Effect.provide(Database.layer({ filename: later })),
        Effect.map(([rootpage]) => {
          const file = fs.openSync(later, "r+")
          fs.writeSync(file, Buffer.alloc(4096, 0xff), 0, 4096, (rootpage - 1) * 4096)
          fs.closeSync(file)
        })
      )
      const broken = Effect.gen(function* () {
        const { read, sql } = yield* Database.Database
        yield* read("list the VMs", sql`select * from vms`)
      }).pipe(Effect.provide(Database.layer({ filename: later })))
      assert.strictEqual((yield* Effect.flip(broken)).message, `the database failed to list the VMs: ${words}`)
    })
  )

  it.scoped("of another user is told as that", () =>
    Effect.gen(function* () {
      const root = process.geteuid?.() === 0
      const folder = yield* temporaryFolder
      const own = path.join(folder, "x.sqlite")
      const nobody = 65534
      if (root) {
        fs.chmodSync(folder, 0o755)
        fs.writeFileSync(own, "")
        yield* Effect.acquireRelease(
          Effect.sync(() => process.seteuid?.(nobody)),
          () => Effect.sync(() => process.seteuid?.(0))
        )
      }
      const user = root ? nobody : process.geteuid?.()
      const filename = root ? own : "/etc/passwd"
      assert.strictEqual(
        yield* refusal(filename),
        `the database failed to open ${filename}: it is the file of user 0, and this is user ${user}: run as that user, ` +
          `or have it given to this one (chown ${user}), or name another by --database`
      )
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

  /** What the controller does to the log, in order, and what it says, from when it begins to write. */
  const traced = Effect.fnUntraced(function* (kind: "one" | "group") {
    const filename = yield* temporaryFile
    const trace = `${filename}.trace`
    yield* controller(filename, kind, [strace, "-f", "-y", "-e", "trace=pwrite64,write,fsync,fdatasync", "-o", trace])
    const calls = fs.readFileSync(trace, "utf8").split("\n")
    return calls.slice(calls.findIndex((call) => call.includes("WRITING")) + 1).flatMap((call) => {
      if (call.includes("ACKNOWLEDGED")) return ["acknowledged"]
      if (!call.includes("-wal>")) return []
      if (call.includes("pwrite64(")) return ["written"]
      return /(fsync|fdatasync)\(.*= 0$/.test(call) ? ["synced"] : []
    })
  })

  it.scoped.skipIf(Tools.isMissing("strace"))(
    "is synced between the write and the answer, though the driver is built with synchronous=NORMAL (needs strace)",
    () =>
      Effect.gen(function* () {
        const seen = yield* traced("one")
        const between = seen.slice(0, seen.indexOf("acknowledged"))
        assert.include(between, "written", "nothing was written to the log")
        assert.strictEqual(between.at(-1), "synced", between.join(" "))
      }),
    60_000
  )

  it.scoped.skipIf(Tools.isMissing("strace"))(
    "is synced once for many writes that come at once, and before the first of them is answered (needs strace)",
    () =>
      Effect.gen(function* () {
        const seen = yield* traced("group")
        assert.strictEqual(seen.filter((what) => what === "acknowledged").length, 120)
        for (const [i, what] of seen.entries()) {
          if (what !== "acknowledged") continue
          const before = seen.slice(0, i).findLast((earlier) => earlier !== "acknowledged")
          assert.strictEqual(before, "synced", `answer after ${i} calls`)
        }
        // three times forty; a write or two may come too early or too late for its group
        const syncs = seen.slice(0, seen.lastIndexOf("acknowledged")).filter((what) => what === "synced").length
        assert.isAtMost(syncs, 12)
        assert.isAtLeast(syncs, 3)
      }),
    60_000
  )

  it.scoped("is not written what it says already: of hosts, and of what is seen of VMs", () =>
    Effect.gen(function* () {
      const inventory = yield* Inventory
      const { transaction } = yield* Database.Database
      yield* inventory.applyFleet(fleet)
      const said = facts({ cpu: 9, ram: 9, disk: 9 })
      yield* inventory.setHostFacts(HostId.make(1), said)
      const { vm } = yield* admit
      const see = (power: "running" | "paused", now: number) =>
        inventory.observe([{ vmId: vm.id, seen: { power, reason: null }, drift: [] }], now)
      yield* see("running", 1)
      const before = transaction()
      yield* inventory.setHostFacts(HostId.make(1), { ...said })
      yield* see("running", 2)
      assert.strictEqual(transaction(), before)
      assert.strictEqual((yield* inventory.seen).get(vm.id)?.since, 1)
      yield* inventory.setHostFacts(HostId.make(1), facts({ cpu: 8, ram: 9, disk: 9 }))
      assert.strictEqual((yield* inventory.host(HostId.make(1))).host.facts?.resources.cpu, 8)
      // the last word counts, also when it is said while another is being written
      yield* Effect.all([see("paused", 3), see("running", 4)], { concurrency: "unbounded" })
      assert.deepStrictEqual((yield* inventory.seen).get(vm.id), { power: "running", reason: null, since: 4 })
    }).pipe(Effect.provide(layerOn(":memory:")))
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
        yield* journal.record(operation.id, { started: { phase: "do", name: "image" } })
        yield* inventory.observe(
          [operation.vmId!, destroyed.vm.id].map((vmId) => ({
            vmId,
            seen: { power: "paused" as const, reason: "an I/O error" },
            drift: [
              { kind: "network" as const, field: "mac", wanted: "a", applied: null, seen: "b" },
              { kind: "disks" as const, field: "disk vdq", wanted: null, applied: null, seen: "/dev/sdz" }
            ]
          })),
          77
        )
        yield* inventory.setMaintenance(HostId.make(2), true)
        yield* inventory.createType({ cpu: 1, ram: 512, disk: 1, requires: { "host.virt": ["kvm"] } })
        yield* journal.askCancel(operation.id)
        yield* inventory.setVmState(destroyed.vm.id, "destroyed")
        yield* inventory.setPool(pool(10, { used: 1.5, overcommit: 2.5 }))
        yield* admitVolume(inPool())
        const purged = yield* admitVolume(dir)
        yield* inventory.settleVolume(purged.volume.id, { state: "purged" })
        const { operation: creation, volume } = yield* admitVolume(dir)
        yield* journal.record(creation.id, { state: { to: "done" } })
        yield* inventory.changeVolume(volume.id, null, () =>
          Effect.succeed({
            state: "deleted" as const,
            purgeAt: 2 ** 41,
            newSnapshot: { name: "monday" },
            operation: { kind: "CreateSnapshot" as const, detail: { window: 5 } }
          })
        )
        return yield* everything(operation.id)
      }).pipe(Effect.provide(layerOn(filename)))
      const after = yield* Effect.provide(everything(before.operation), layerOn(filename))
      assert.deepStrictEqual(after, before)
      assert.deepStrictEqual(after.types.at(-1)?.requires, { "host.virt": ["kvm"] })
      assert.deepStrictEqual(
        after.volumes.map(({ id }) => id),
        [1, 3].map((id) => VolumeId.make(id))
      )
      assert.deepStrictEqual([after.seen.size, after.drift.map(({ field }) => field)], [1, ["disk vdq", "mac"]])
      const next = yield* Effect.provide(Effect.zip(admit, admitVolume(dir)), layerOn(filename))
      assert.deepStrictEqual([next[0].vm.id, next[1].volume.id], [VmId.make(3), VolumeId.make(4)])
    })
  )

  it.scoped("keeps what a request's key led to for a week", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const key = { key: "a", fingerprint: "f" }
      const keyed = Effect.flatMap(Inventory, (inventory) =>
        inventory.admit({ ...web, key }, () => Effect.succeed(HostId.make(1)))
      )
      const restarted = Effect.suspend(() => Effect.provide(keyed, layerOn(filename)))
      yield* Effect.provide(
        Effect.flatMap(Inventory, (inventory) => inventory.applyFleet(fleet)),
        layerOn(filename)
      )
      const first = yield* restarted
      yield* TestClock.adjust("7 days")
      assert.deepStrictEqual(yield* restarted, first)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* restarted).vm.id, 2)
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
        seen: new Map(yield* inventory.seen),
        drift: yield* inventory.drift(),
        listed: yield* journal.list({ limit: 9 }),
        volumes: yield* inventory.volumes(),
        snapshots: yield* inventory.snapshots(VolumeId.make(3)),
        pools: yield* inventory.pools,
        due: yield* inventory.volumesToPurge(2 ** 41),
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
        const journal = yield* Journal
        yield* inventory.applyFleet(fleet)
        yield* inventory.setPool(pool(10))
        yield* admit
        const { operation, volume } = yield* admitVolume(dir)
        yield* journal.record(operation.id, { state: { to: "done" } })
        yield* inventory.changeVolume(volume.id, null, () => Effect.succeed({ newSnapshot: { name: "monday" } }))
      }).pipe(Effect.provide(layerOn(filename)))
      yield* edit(filename, statement)
      const exit = yield* Effect.exit(Effect.provide(use, layerOn(filename)))
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      return Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
    })
  const inventory = <A, E>(use: (inventory: Inventory["Type"]) => Effect.Effect<A, E>) => Effect.flatMap(Inventory, use)

  it.scoped("is a defect that names table and id, also for an integer beyond 2^53, which the driver rounds", () =>
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
        ],
        [
          "update operations set detail = '{\"window\":0.5}', state = 'pending'",
          Effect.flatMap(Journal, (j) => j.unfinished),
          /stored row operations id=[^]*window/
        ],
        [
          "update volumes set state = 'flying'",
          inventory((i) => i.volumes()),
          /stored row volumes id=1 cannot be read: [^]*flying/
        ],
        ["update volumes set size = 65537", inventory((i) => i.volumes()), /stored row volumes id=1 [^]*size/],
        [
          "update snapshots set state = 'half'",
          inventory((i) => i.snapshots(VolumeId.make(1))),
          /stored row snapshots id=1 [^]*half/
        ],
        ["update pools set driver = 'no such'", inventory((i) => i.pools), /stored row pools name=vms [^]*driver/]
      ] as const
      for (const [statement, use, message] of cases) assert.match(yield* corrupted(statement, use), message)
    })
  )
})

describe("transactions", () => {
  const table = Effect.gen(function* () {
    const database = yield* Database.Database
    const { read, sql, statement, write, writeSimply } = database
    yield* write("prepare", sql`create table t (id integer primary key, parent integer references t (id))`)
    const insert = (id: number, parent: number | null = null) =>
      write(`insert ${id}`, sql`insert into t (id, parent) values (${id}, ${parent})`)
    const insertRow = statement("insert into t (id) values (?)")
    /** the same, run by the writer itself */
    const simply = (id: number) => writeSimply(`insert ${id}`, insertRow(id))
    const all = Effect.map(read("read", sql<{ readonly id: number }>`select id from t order by id`), (rows) =>
      rows.map(({ id }) => id)
    )
    return { ...database, insert, simply, all }
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

  it.scoped("whose COMMIT fails (a defect to the client, which stays inside) are undone and leave nothing behind", () =>
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
      const { all, insert, simply, sql, write, writeSimply } = yield* table
      const exits = yield* Effect.forEach(
        Array.from({ length: 600 }, (_, i) => i),
        (i) =>
          Effect.exit(
            i % 3 === 0
              ? (i % 2 === 0 ? write : writeSimply)(
                  "fail",
                  Effect.zipRight(sql`insert into t (id) values (${i})`, Effect.fail("no"))
                )
              : (i % 4 < 2 ? insert : simply)(i % 50 === 1 ? 2 : i) // there already, or soon
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
      const { all, insert, simply, sql, write, writeSimply } = yield* table
      // what SQLite does by itself when the disk fails in the middle
      const breaking = Effect.zipRight(sql`rollback`, sql`insert into nowhere values (1)`)
      for (const broken of [write("break", breaking), writeSimply("break", breaking)]) {
        const exits = yield* Effect.all([insert(1), simply(2), broken, insert(3), simply(4)].map(Effect.exit), {
          concurrency: "unbounded"
        })
        isRefused(exits[0]!, /^the database failed to insert 1: /)
        isRefused(exits[1]!, /^the database failed to insert 2: /)
        isRefused(exits[2]!, /^the database failed to break: no such table: nowhere$/)
        assert.isTrue(Exit.isSuccess(exits[3]!) && Exit.isSuccess(exits[4]!))
        assert.deepStrictEqual(yield* all, [3, 4])
        yield* write("clear", sql`delete from t`)
      }
      yield* simply(5)
      assert.deepStrictEqual(yield* all, [5])
    }).pipe(Effect.provide(memory))
  )

  it.scoped("that fail alone, or while others come, are taken back, say why, and keep nobody from theirs", () =>
    Effect.gen(function* () {
      const { all, simply, sql, statement, writeSimply } = yield* table
      const insertRow = statement("insert into t (id) values (?)")
      const breaking = Effect.zipRight(sql`rollback`, sql`insert into nowhere values (1)`)
      assert.deepStrictEqual(
        yield* Effect.exit(writeSimply("fail", Effect.zipRight(insertRow(1), Effect.fail("no")))),
        Exit.fail("no")
      )
      isRefused(yield* Effect.exit(writeSimply("break", breaking)), /: no such table: nowhere$/)
      assert.deepStrictEqual(yield* all, [])
      // others come while it is at work
      const begun = yield* Deferred.make<void>()
      const late = Effect.zipRight(Deferred.await(begun), Effect.all([simply(2), simply(3)], { concurrency: 2 }))
      const [exit] = yield* Effect.all(
        [
          Effect.exit(
            writeSimply(
              "fail late",
              Effect.all([
                insertRow(4),
                Deferred.succeed(begun, undefined),
                Effect.yieldNow(),
                Effect.yieldNow(),
                Effect.fail("no")
              ])
            )
          ),
          late
        ],
        { concurrency: 2 }
      )
      assert.deepStrictEqual(exit, Exit.fail("no"))
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
      isRefused(yield* Effect.exit(bulk), /: the disk that its folder \S+ is on is full: make room there$/)
      yield* limit(1_000_000)
      yield* bulk
      yield* fill
    }).pipe(Effect.provide(layerTemporary))
  )

  it.scoped("that are interrupted write nothing and hold up nobody", () =>
    Effect.gen(function* () {
      const { all, insert, simply, sql, write } = yield* table
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
      const waiting = yield* Effect.all([Effect.fork(insert(2)), Effect.fork(simply(4))])
      const patient = yield* Effect.fork(insert(3))
      const reader = yield* Effect.fork(all)
      yield* Effect.yieldNow()
      yield* Fiber.interruptAll(waiting)
      yield* Fiber.interrupt(stuck)
      yield* Fiber.join(patient)
      assert.deepStrictEqual(yield* Fiber.join(reader), [3])
      assert.deepStrictEqual(yield* all, [3])
    }).pipe(Effect.provide(memory))
  )

  it.scoped("that are interrupted in the moment of their commit end all the same", () =>
    Effect.gen(function* () {
      const { all, insert, sql, write, writeSimply } = yield* table
      for (const [id, kind] of [write, writeSimply].entries()) {
        const begun: { fiber?: Fiber.RuntimeFiber<unknown, unknown> } = {}
        // right before its caller is told, who has heard nothing of either yet
        const interrupt = () => begun.fiber?.unsafeInterruptAsFork(FiberId.none)
        const row = sql`insert into t (id) values (${id})`
        const fiber = yield* Effect.fork(kind("insert", row, interrupt))
        begun.fiber = fiber
        yield* Fiber.await(fiber).pipe(Effect.timeout("5 seconds"), TestServices.provideLive)
      }
      yield* insert(7)
      assert.deepStrictEqual(yield* all, [0, 1, 7])
    }).pipe(Effect.provide(memory))
  )

  it.scoped("that are interrupted once their turn is over are waited for: what they wrote may be committed", () =>
    Effect.gen(function* () {
      const { all, insert, simply, sql, write } = yield* table
      const inside = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      // one whose turn holds the commit up, after two that have had theirs
      const [plain, simple] = yield* Effect.all([Effect.fork(insert(1)), Effect.fork(simply(2))])
      const slow = yield* Effect.fork(
        write(
          "be slow",
          Effect.zipRight(Deferred.succeed(inside, undefined), Effect.zipRight(Deferred.await(go), sql`select 1`))
        )
      )
      yield* Deferred.await(inside)
      const interrupted = yield* Effect.fork(Fiber.interruptAll([plain, simple]))
      yield* Effect.yieldNow()
      assert.isNull(interrupted.unsafePoll())
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(interrupted)
      yield* Fiber.join(slow)
      assert.deepStrictEqual(yield* all, [1, 2])
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

  it.scoped("tell memory ahead of the next body of the same transaction, and void it with the transaction", () =>
    Effect.gen(function* () {
      const inventory = yield* Inventory
      const { sql, transaction, write } = yield* Database.Database
      yield* inventory.applyFleet(fleet)
      const promised: Array<ReadonlyArray<number>> = []
      const watched = inventory.admit(web, (usage) => {
        promised.push([transaction(), ...usage.map(({ vms }) => vms)])
        return Effect.succeed(HostId.make(2))
      })
      const broken = write("break", Effect.zipRight(sql`rollback`, sql`insert into nowhere values (1)`))
      const exits = yield* Effect.all([Effect.exit(watched), Effect.exit(watched), Effect.exit(broken)], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(
        exits.map(({ _tag }) => _tag),
        ["Failure", "Failure", "Failure"]
      )
      assert.deepStrictEqual(
        (yield* inventory.hosts).map(({ vms }) => vms),
        [0, 0, 0]
      )
      yield* watched
      const first = promised[0]![0]!
      assert.deepStrictEqual(promised, [
        [first, 0, 0, 0],
        [first, 0, 1, 0],
        [transaction(), 0, 0, 0]
      ])
      assert.notStrictEqual(first, transaction())
      assert.strictEqual((yield* inventory.host(HostId.make(2))).vms, 1)
    }).pipe(Effect.provide(layerTemporary))
  )

  it.scoped("of others' writes are all of them or none, and tell memory of each once they are committed", () =>
    Effect.gen(function* () {
      const { all, insert, simply, statement, together, write, writeSimply } = yield* table
      const insertRow = statement("insert into t (id) values (?)")
      const told: Array<string> = []
      const telling = (id: number) =>
        [() => void told.push(`committed ${id}`), () => void told.push(`ahead ${id}`)] as const
      const first = write("insert 1", insertRow(1), ...telling(1))
      const second = writeSimply("insert 2", insertRow(2), ...telling(2))
      yield* together(
        "insert both",
        Effect.zipRight(
          first,
          Effect.zipRight(
            second,
            Effect.sync(() => assert.deepStrictEqual(told, []))
          )
        )
      )
      assert.deepStrictEqual(yield* all, [1, 2])
      assert.deepStrictEqual(told, ["ahead 1", "ahead 2", "committed 1", "committed 2"])
      told.length = 0
      const third = writeSimply("insert 3", insertRow(3), ...telling(3))
      const failed = yield* Effect.exit(together("insert two", Effect.zipRight(third, simply(3))))
      isRefused(failed, /insert 3: .*UNIQUE/)
      assert.deepStrictEqual(yield* all, [1, 2])
      assert.deepStrictEqual(told, [])
      // and nobody is taken in afterwards
      const nested = yield* Effect.exit(write("outer", insert(4)))
      assert.isTrue(Exit.isFailure(nested) && Cause.isDie(nested.cause))
      yield* insert(4)
      assert.deepStrictEqual(yield* all, [1, 2, 4])
    }).pipe(Effect.provide(memory))
  )

  it.scoped("see themselves, and refuse another inside instead of waiting for ever", () =>
    Effect.gen(function* () {
      const { all, insert, simply, sql, write, writeSimply } = yield* table
      const seen = yield* write("insert and look", Effect.zipRight(sql`insert into t (id) values (1)`, all))
      assert.deepStrictEqual(seen, [1])
      for (const outer of [write, writeSimply]) {
        for (const inner of [insert, simply]) {
          const nested = yield* Effect.exit(outer("outer", inner(2)))
          assert.isTrue(Exit.isFailure(nested) && Cause.isDie(nested.cause))
        }
      }
      assert.deepStrictEqual(yield* all, [1])
    }).pipe(Effect.provide(memory))
  )

  it.scoped(
    "go to their own database, also inside those of another client (all clients share one transaction tag)",
    () =>
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

  it.scoped(
    "are synced in full, keep foreign keys, and do not wait for another process (the driver's defaults do)",
    () =>
      Effect.gen(function* () {
        const { read, sql } = yield* table
        const setting = (name: string) =>
          Effect.map(
            read(name, sql.unsafe<Record<string, unknown>>(`pragma ${name}`)),
            ([row]) => Object.values(row ?? {})[0]
          )
        assert.deepStrictEqual(
          yield* Effect.forEach(
            ["synchronous", "journal_mode", "locking_mode", "foreign_keys", "busy_timeout"],
            setting
          ),
          [2, "wal", "exclusive", 1, 200]
        )
      }).pipe(Effect.provide(layerTemporary))
  )

  it.scoped(
    "that read before they write do so beside others and lose nothing (a deferred BEGIN fails with BUSY_SNAPSHOT)",
    () =>
      Effect.gen(function* () {
        const { insert, read, sql, write } = yield* table
        yield* insert(0)
        const increment = write(
          "increment",
          Effect.gen(function* () {
            const [row] = yield* sql<{ readonly id: number }>`select max(id) as id from t`
            yield* Effect.yieldNow()
            yield* sql`update t set id = ${(row?.id ?? 0) + 1}`
          })
        )
        yield* Effect.all(
          Array.from({ length: 300 }, () => increment),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(yield* read("read", sql`select id from t`), [{ id: 300 }])
      }).pipe(Effect.provide(layerTemporary))
  )

  it.scoped("that take their time hold up statements, but not what is asked for most (one connection)", () =>
    Effect.gen(function* () {
      const inventory = yield* Inventory
      const { write } = yield* Database.Database
      yield* inventory.applyFleet(fleet)
      const { vm } = yield* admit
      const inside = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const slow = yield* Effect.fork(
        write("be slow", Effect.zipRight(Deferred.succeed(inside, undefined), Deferred.await(go)))
      )
      yield* Deferred.await(inside)
      const images = yield* Effect.fork(inventory.images)
      assert.deepStrictEqual(yield* inventory.vm(vm.id), vm)
      assert.deepStrictEqual(yield* inventory.vms(), [vm])
      assert.strictEqual((yield* inventory.seen).size, 0)
      assert.deepStrictEqual(yield* inventory.volumes(), [])
      assert.strictEqual((yield* inventory.hosts).length, 3)
      assert.isNull(images.unsafePoll())
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(slow)
      assert.strictEqual((yield* Fiber.join(images)).length, 2)
    }).pipe(Effect.provide(layerTemporary))
  )

  it.scoped(
    "fail with a typed error that keeps SQLite's code, also for what SQLite does not take (booleans, dates)",
    () =>
      Effect.gen(function* () {
        const { all, insert, sql, write } = yield* table
        yield* insert(1)
        const causeOf = (effect: Effect.Effect<unknown, PersistenceError>) =>
          Effect.map(Effect.flip(effect), (e) => e.cause)
        assert.propertyVal(yield* causeOf(insert(1)), "code", "SQLITE_CONSTRAINT_PRIMARYKEY")
        assert.propertyVal(yield* causeOf(insert(2, 99)), "code", "SQLITE_CONSTRAINT_FOREIGNKEY")
        for (const parameter of [true, new Date(0)]) {
          assert.instanceOf(yield* causeOf(write("insert", sql`insert into t (id) values (${parameter})`)), TypeError)
        }
        assert.deepStrictEqual(yield* all, [1])
      }).pipe(Effect.provide(memory))
  )

  it.effect("fail once the database is closed", () =>
    Effect.gen(function* () {
      const { insert, simply } = yield* Effect.provide(table, memory)
      isRefused(yield* Effect.exit(insert(1)), /^the database failed to insert 1: it is closed$/)
      isRefused(yield* Effect.exit(simply(2)), /^the database failed to insert 2: it is closed$/)
    })
  )
})
