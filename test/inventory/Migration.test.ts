/** Databases of earlier versions: brought up to date with nothing lost. */
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Migrator from "@effect/sql/Migrator"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as path from "node:path"
import * as Database from "../../layers/Database.ts"
import * as Identities from "../../layers/sql/Identities.ts"
import { migrations } from "../../layers/sql/Migrations.ts"
import { UserName } from "../../src/domain/Identity.ts"
import { HostId, ImageId, OperationId, VmId } from "../../src/domain/Ids.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import { dir, fleet, host, image, layerOn, temporaryFolder, type } from "./Fleet.ts"

type Row = Readonly<Record<string, unknown>>

const operationId = (n: number) => `6f1f3a52-2a0c-4b0e-9d7a-00000000000${n}`
/** What images of before are: of the image file. */
const fromFile = { origin: "file", state: "available", reason: null, wanted: "{}", created_at: 0 }
const uuid = (n: number) => `00112233-4455-6677-8899-00000000000${n}`

/** What the first version keeps of four VMs: one runs, one is being made, one was destroyed, and one could not be made and is undone. */
const statements = [
  ...["a", "b", "c"].map(
    (name) => `insert into hosts (host, port, config) values ('${name}', 22, '${JSON.stringify(host(name))}')`
  ),
  `insert into images (source, config, position) values ('/images/ubuntu.img', '${JSON.stringify(image("ubuntu.img"))}', 0)`,
  `insert into instance_types values (1, 1, 512, 1, 1, 1)`,
  ...["running", "creating", "destroyed", "failed"].map(
    (
      state,
      i
    ) => `insert into vms (uuid, name, tid, image_id, host_id, cpu, ram, disk, mac, state, created_at, updated_at)
      values ('${uuid(i)}', 'vm-${state}', 1, 100, 1, 1, 512, 1, '52:54:00:00:00:0${i}', '${state}', 1, 2)`
  ),
  `insert into reservations values (1, 1, 1, 512, 1), (2, 1, 1, 512, 1)`,
  `insert into operations (id, kind, vm_id, state, error, owner, lease_until, epoch, created_at, finished_at) values
    ('${operationId(1)}', 'CreateVm', 1, 'done', null, null, null, 0, 10, 11),
    ('${operationId(2)}', 'CreateVm', 3, 'done', null, null, null, 0, 12, 13),
    ('${operationId(3)}', 'DestroyVm', 3, 'done', null, 'me', 5, 7, 14, 15),
    ('${operationId(4)}', 'CreateVm', 4, 'undoing', 'the disk is full', null, null, 0, 16, null),
    ('${operationId(5)}', 'CreateVm', 2, 'running', null, null, null, 0, 17, null)`,
  `insert into operation_steps values
    ('${operationId(1)}', 'do', 'image', 1, 'done', 1, null, 20, 21),
    ('${operationId(4)}', 'do', 'root disk', 1, 'failed', 3, 'the disk is full', 22, 23),
    ('${operationId(4)}', 'undo', 'root disk', 2, 'started', 2, 'busy', 24, null),
    ('${operationId(5)}', 'do', 'image', 1, 'done', 1, null, 25, 26),
    ('${operationId(5)}', 'do', 'root disk', 2, 'started', 1, null, 27, null)`
]

const tables = ["hosts", "images", "instance_types", "vms", "reservations", "operations", "operation_steps"]

const readAll = (sql: SqlClient.SqlClient, tables: ReadonlyArray<string>) =>
  Effect.map(
    Effect.forEach(tables, (table) => sql.unsafe<Row>(`select * from ${table} order by 1, 2, 3`)),
    (rows) => Object.fromEntries(tables.map((table, i) => [table, rows[i] ?? []]))
  )

/** A file as an earlier version leaves it, and all its rows. */
const earlier = Effect.fnUntraced(function* (
  migrated: Partial<typeof migrations>,
  rowsOf: ReadonlyArray<string>,
  tables: ReadonlyArray<string>
) {
  const filename = path.join(yield* temporaryFolder, "vmfabric.sqlite")
  const rows = yield* Effect.scoped(
    Effect.gen(function* () {
      const sql = Context.get(yield* Layer.build(SqliteClient.layer({ filename })), SqlClient.SqlClient)
      yield* sql`pragma foreign_keys = on`
      yield* Migrator.make({})({ loader: Migrator.fromRecord(migrated) }).pipe(
        Effect.provideService(SqlClient.SqlClient, sql)
      )
      for (const statement of rowsOf) yield* sql.unsafe(statement)
      return yield* readAll(sql, tables)
    })
  )
  return { filename, rows }
})

const firstVersion = earlier({ "0001_initial": migrations["0001_initial"] }, statements, tables)

const extended = (rows: Readonly<Record<string, ReadonlyArray<Row>>>, table: string, more: Row): ReadonlyArray<Row> =>
  (rows[table] ?? []).map((row) => ({ ...row, ...more }))

/** Only a VM that runs, or ran until it was destroyed, is known to be as it was wanted. */
const withApplied = (vms: ReadonlyArray<Row>): ReadonlyArray<Row> =>
  vms.map(({ mac, ...row }) => ({
    ...row,
    // the one that every VM had
    nics: JSON.stringify([{ id: 1, mac, network: null, vlan: null, model: "virtio", link: "up", state: "attached" }]),
    next_nic: 2,
    on_crash: "leave",
    protected: 0,
    autostart: 0,
    description: "",
    tags: "[]",
    labels: "{}",
    placement: null,
    owner: null,
    applied:
      row["state"] === "running" || row["state"] === "destroying"
        ? JSON.stringify({ name: row["name"], cpu: row["cpu"], ram: row["ram"] })
        : null
  }))

const inFile = <A, E>(use: (database: Database.Database["Type"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(Database.Database, use)

describe("a database of version 0001", () => {
  it.scoped("keeps every row, with what is new at its default", () =>
    Effect.gen(function* () {
      const { filename, rows } = yield* firstVersion
      const after = yield* Effect.provide(
        inFile(({ read, sql }) => read("read all", readAll(sql, tables))),
        layerOn(filename)
      )
      assert.deepStrictEqual(after, {
        ...rows,
        hosts: extended(rows, "hosts", { maintenance: 0, origin: "file", lost_at: null }),
        instance_types: extended(rows, "instance_types", { origin: "file", retired: 0, requires: null }),
        images: extended(rows, "images", fromFile),
        vms: withApplied(extended(rows, "vms", { driver: "dir", pool: null })),
        reservations: extended(rows, "reservations", { groups: null, owner: null }),
        operations: extended(rows, "operations", {
          volume_id: null,
          snapshot_id: null,
          detail: "{}",
          cancel_asked: 0,
          replaced_by: null,
          outcome: null,
          retry_of: null,
          retried_by: null,
          user: null,
          token: null,
          cause: null
        })
      })
      assert.strictEqual(after["operations"]?.length, 5)
      assert.strictEqual(after["operation_steps"]?.length, 5)
    })
  )

  it.scoped("is understood: VMs, what is promised, unfinished operations and their steps", () =>
    Effect.gen(function* () {
      const { filename } = yield* firstVersion
      yield* Effect.gen(function* () {
        const inventory = yield* Inventory
        const journal = yield* Journal
        assert.deepStrictEqual(
          (yield* inventory.vms()).map(({ driver, id, name, state }) => [id, name, state, driver]),
          [
            [1, "vm-running", "running", "dir"],
            [2, "vm-creating", "creating", "dir"]
          ]
        )
        assert.strictEqual((yield* inventory.vmRecord(VmId.make(3))).state, "destroyed")
        const { promised, vms } = yield* inventory.host(HostId.make(1))
        assert.deepStrictEqual([promised, vms], [{ cpu: 2, ram: 1024, disk: 2 }, 2])
        const unfinished = yield* journal.unfinished
        assert.deepStrictEqual(
          unfinished.map(({ detail, error, id, kind, state, vmId, volumeId }) => [
            id,
            kind,
            vmId,
            volumeId,
            detail,
            state,
            error
          ]),
          [
            [operationId(4), "CreateVm", VmId.make(4), null, {}, "undoing", "the disk is full"],
            [operationId(5), "CreateVm", VmId.make(2), null, {}, "running", null]
          ]
        )
        assert.deepStrictEqual(yield* journal.steps(OperationId.make(operationId(4))), [
          { phase: "do", name: "root disk", state: "failed", tries: 3 },
          { phase: "undo", name: "root disk", state: "started", tries: 2 }
        ])
        // they go on
        const going = OperationId.make(operationId(5))
        yield* journal.record(going, { ended: { phase: "do", name: "root disk", state: "done" } })
        yield* journal.record(going, { started: { phase: "do", name: "define" } })
        yield* journal.record(going, { state: { to: "done" } })
        assert.strictEqual(Option.getOrThrow(yield* inventory.operation(going)).state, "done")
        assert.strictEqual((yield* Effect.flip(inventory.beginDestroy(VmId.make(4))))._tag, "VmNotFound")
        assert.isTrue(Option.isSome(yield* inventory.beginDestroy(VmId.make(2))))
      }).pipe(Effect.provide(layerOn(filename)))
    })
  )

  it.scoped("takes volumes, and goes on counting where it was", () =>
    Effect.gen(function* () {
      const { filename } = yield* firstVersion
      yield* Effect.gen(function* () {
        const inventory = yield* Inventory
        const { sql, write } = yield* Database.Database
        yield* inventory.applyFleet(fleet)
        const place = () => Effect.succeed(HostId.make(1))
        const { operation } = yield* inventory.admitVolume({ name: "data", size: 3, disk: dir, sourceId: null }, place)
        const request = {
          name: "next",
          instanceType: type(1),
          imageId: ImageId.make(100),
          disk: dir,
          onCrash: "leave" as const
        }
        const { vm } = yield* inventory.admit(request, place)
        assert.strictEqual(vm.id, 5)
        assert.strictEqual((yield* inventory.host(HostId.make(1))).promised.disk, 6)
        const numbers = yield* write(
          "look",
          sql<{ seq: number }>`select seq from operations where id = ${operation.id}`
        )
        assert.deepStrictEqual(numbers, [{ seq: 6 }])
      }).pipe(Effect.provide(layerOn(filename)))
      // a second start finds nothing to do
      const latest = yield* Effect.provide(
        inFile(({ read, sql }) =>
          read("look", sql<Row>`select migration_id, name from effect_sql_migrations order by 1`)
        ),
        layerOn(filename)
      )
      assert.deepStrictEqual(latest, [
        { migration_id: 1, name: "initial" },
        { migration_id: 2, name: "volumes" },
        { migration_id: 3, name: "observations" },
        { migration_id: 4, name: "events" },
        { migration_id: 5, name: "identity" },
        { migration_id: 6, name: "pages" },
        { migration_id: 7, name: "webhooks" },
        { migration_id: 8, name: "drift_events" },
        { migration_id: 9, name: "power" },
        { migration_id: 10, name: "cloud_inits" },
        { migration_id: 11, name: "nics" },
        { migration_id: 12, name: "made_types" },
        { migration_id: 13, name: "made_images" },
        { migration_id: 14, name: "host_origins" },
        { migration_id: 15, name: "made_events" },
        { migration_id: 16, name: "placements" },
        { migration_id: 18, name: "explanations" },
        { migration_id: 20, name: "settings_events" },
        { migration_id: 21, name: "retries" },
        { migration_id: 22, name: "disabled_users" },
        { migration_id: 23, name: "webhook_deliveries" },
        { migration_id: 24, name: "keyed_things" },
        { migration_id: 25, name: "quotas" },
        { migration_id: 26, name: "askers" },
        { migration_id: 27, name: "requiring_types" },
        { migration_id: 28, name: "authors" },
        { migration_id: 29, name: "audit_kinds" },
        { migration_id: 30, name: "lost_hosts" }
      ])
    })
  )

  it.scoped("has foreign keys and unique indexes that hold", () =>
    Effect.gen(function* () {
      const { filename } = yield* firstVersion
      yield* Effect.gen(function* () {
        const inventory = yield* Inventory
        const { read, sql, write } = yield* Database.Database
        yield* inventory.applyFleet(fleet)
        const { volume } = yield* inventory.admitVolume({ name: "data", size: 3, disk: dir, sourceId: null }, () =>
          Effect.succeed(HostId.make(1))
        )
        assert.deepStrictEqual(yield* read("check", sql`pragma foreign_key_check`), [])
        assert.deepStrictEqual(yield* read("check", sql`pragma integrity_check`), [{ integrity_check: "ok" }])

        const operation = (n: number, vm: number | null, of: number | null, state = "pending") =>
          `insert into operations (id, kind, vm_id, volume_id, state, created_at)
            values ('${operationId(n)}', 'AttachVolume', ${vm}, ${of}, '${state}', 1)`
        const step = (id: string) =>
          `insert into operation_steps (operation_id, phase, name, ordinal, state, started_at) values ('${id}', 'do', 'x', 9, 'done', 1)`
        const volumeRow = (host: number | null, pool: string | null, more = "null, null, null") =>
          `insert into volumes (name, size, driver, host_id, pool, source_id, vm_id, target, state, pristine, promised, created_at, updated_at)
            values ('x', 1, 'dir', ${host}, ${pool === null ? null : `'${pool}'`}, ${more}, 'available', 1, 1, 1, 1)`
        const attempt = (statement: string) =>
          Effect.map(Effect.either(write("try", sql.unsafe(statement))), (result) =>
            result._tag === "Right" ? "written" : result.left.message.replace(/^.*: (?=[A-Z]+ )/, "")
          )
        const cases = [
          // the VM itself has one unfinished already, and one on a volume with it is another matter
          [operation(6, 2, null), "UNIQUE constraint failed: operations.vm_id"],
          [operation(6, 2, volume.id), "UNIQUE constraint failed: operations.volume_id"],
          [operation(6, 1, volume.id, "done"), "written"],
          [operation(6, null, volume.id, "done"), "UNIQUE constraint failed: operations.id"],
          [operation(7, 1, null), "written"],
          [operation(8, 1, null), "UNIQUE constraint failed: operations.vm_id"],
          [operation(8, 1, null, "failed"), "written"],
          [operation(9, 99, null), "FOREIGN KEY constraint failed"],
          [operation(9, null, 99), "FOREIGN KEY constraint failed"],
          [step(operationId(7)), "written"],
          [
            step(operationId(7)),
            "UNIQUE constraint failed: operation_steps.operation_id, operation_steps.phase, operation_steps.name"
          ],
          [step("none"), "FOREIGN KEY constraint failed"],
          [`delete from operations where id = '${operationId(7)}'`, "FOREIGN KEY constraint failed"],
          [volumeRow(1, null), "written"],
          [volumeRow(99, null), "FOREIGN KEY constraint failed"],
          [volumeRow(1, "vms"), "CHECK constraint failed: (pool is null) = (host_id is not null)"],
          [volumeRow(null, null), "CHECK constraint failed: (pool is null) = (host_id is not null)"],
          [volumeRow(1, null, "99, null, null"), "FOREIGN KEY constraint failed"],
          [volumeRow(1, null, "null, 1, null"), "CHECK constraint failed: (vm_id is null) = (target is null)"],
          [volumeRow(1, null, "null, 99, 'vdb'"), "FOREIGN KEY constraint failed"],
          [volumeRow(1, null, "null, 1, 'vdb'"), "written"],
          [volumeRow(null, "vms", "null, 1, 'vdb'"), "UNIQUE constraint failed: volumes.vm_id, volumes.target"],
          [volumeRow(null, "vms", "null, 2, 'vdb'"), "written"],
          ["insert into nic_macs values ('52:54:00:00:00:00', 2)", "UNIQUE constraint failed: nic_macs.mac"]
        ] as const
        for (const [statement, outcome] of cases) assert.strictEqual(yield* attempt(statement), outcome, statement)
        assert.deepStrictEqual(yield* read("check", sql`pragma foreign_key_check`), [])
      }).pipe(Effect.provide(layerOn(filename)))
    })
  )

  it.scoped("ends up like one that was made new", () =>
    Effect.gen(function* () {
      const { filename } = yield* firstVersion
      const schema = inFile(({ read, sql }) =>
        read(
          "look",
          sql<Row>`select type, name, tbl_name, sql from sqlite_master where name not like 'sqlite_%' order by 1, 2`
        )
      )
      const upgraded = yield* Effect.provide(schema, layerOn(filename))
      const made = yield* Effect.provide(schema, layerOn(":memory:"))
      assert.deepStrictEqual(upgraded, made)
      assert.isEmpty(upgraded.filter(({ name }) => String(name).includes("_next")))
    })
  )
})

/** What the second version keeps: VMs in every state, also one in a pool, volumes with snapshots, and operations on each of them. */
const secondStatements = [
  ...statements,
  `insert into vms (uuid, name, tid, image_id, host_id, cpu, ram, disk, mac, driver, pool, state, created_at, updated_at) values
    ('${uuid(4)}', 'vm-destroying', 1, 100, 2, 2, 1024, 3, '52:54:00:00:00:04', 'rbd', 'vms', 'destroying', 3, 4)`,
  `insert into reservations values (5, 2, 2, 1024, 0)`,
  `insert into pools values ('vms', 'rbd', 1e12, 1.5, 2.5, 1)`,
  `insert into volumes
    (name, size, driver, pool, host_id, state, vm_id, target, source_id, pristine, purge_at, promised, created_at, updated_at) values
    ('data', 4, 'dir', null, 1, 'attached', 1, 'vdb', null, 0, null, 4, 5, 6),
    ('base', 2, 'rbd', 'vms', null, 'available', null, null, null, 1, null, 2, 7, 8)`,
  `insert into snapshots (volume_id, name, size, state, created_at) values (2, 'monday', 2, 'ready', 9)`,
  `insert into volumes
    (name, size, driver, pool, host_id, state, vm_id, target, source_id, pristine, purge_at, promised, created_at, updated_at) values
    ('clone', 2, 'rbd', 'vms', null, 'deleted', null, null, 1, 0, 99, 2, 10, 11)`,
  `insert into operations (id, kind, vm_id, volume_id, snapshot_id, detail, state, error, epoch, created_at, finished_at) values
    ('${operationId(6)}', 'CreateVolume', null, 1, null, '{}', 'done', null, 0, 30, 31),
    ('${operationId(7)}', 'CreateSnapshot', null, 2, 1, '{"window":5}', 'running', null, 0, 32, null),
    ('${operationId(8)}', 'DetachVolume', 1, 1, null, '{}', 'pending', null, 0, 33, null),
    ('${operationId(9)}', 'DestroyVm', 5, null, null, '{}', 'running', null, 0, 34, null)`,
  `insert into operation_steps values ('${operationId(7)}', 'do', 'snapshot', 1, 'started', 2, null, 35, null)`
]

describe("a database of version 0002", () => {
  const second = { "0001_initial": migrations["0001_initial"], "0002_volumes": migrations["0002_volumes"] }
  const secondTables = [...tables, "pools", "volumes", "snapshots"]
  const secondVersion = earlier(second, secondStatements, secondTables)

  it.scoped("keeps every row, with what is new at its default", () =>
    Effect.gen(function* () {
      const { filename, rows } = yield* secondVersion
      yield* Effect.gen(function* () {
        const { read, sql } = yield* Database.Database
        assert.deepStrictEqual(yield* read("read all", readAll(sql, secondTables)), {
          ...rows,
          hosts: extended(rows, "hosts", { maintenance: 0, origin: "file", lost_at: null }),
          instance_types: extended(rows, "instance_types", { origin: "file", retired: 0, requires: null }),
          images: extended(rows, "images", fromFile),
          vms: withApplied(rows["vms"] ?? []),
          volumes: extended(rows, "volumes", { owner: null }),
          reservations: extended(rows, "reservations", { groups: null, owner: null }),
          operations: extended(rows, "operations", {
            cancel_asked: 0,
            replaced_by: null,
            outcome: null,
            retry_of: null,
            retried_by: null,
            user: null,
            token: null,
            cause: null
          })
        })
        assert.deepStrictEqual(
          secondTables.map((table) => rows[table]?.length),
          [3, 1, 1, 5, 3, 9, 6, 1, 3, 1]
        )
        assert.deepStrictEqual(yield* read("check", sql`pragma foreign_key_check`), [])
        assert.deepStrictEqual(yield* read("check", sql`pragma integrity_check`), [{ integrity_check: "ok" }])
      }).pipe(Effect.provide(layerOn(filename)))
    })
  )

  it.scoped("is understood, and takes what is new", () =>
    Effect.gen(function* () {
      const { filename } = yield* secondVersion
      yield* Effect.gen(function* () {
        const inventory = yield* Inventory
        const journal = yield* Journal
        yield* inventory.applyFleet(fleet)
        assert.deepStrictEqual(
          (yield* inventory.vms()).map(({ applied, id, onCrash, state }) => [id, state, onCrash, applied]),
          [
            [VmId.make(1), "running", "leave", { name: "vm-running", cpu: 1, ram: 512 }],
            [VmId.make(2), "creating", "leave", null],
            [VmId.make(5), "destroying", "leave", { name: "vm-destroying", cpu: 2, ram: 1024 }]
          ]
        )
        assert.deepStrictEqual(
          (yield* journal.unfinished).map(({ cancelAsked, createdAt, finishedAt, id }) => [
            id,
            createdAt,
            finishedAt,
            cancelAsked
          ]),
          [
            [operationId(4), 16, null, false],
            [operationId(5), 17, null, false],
            [operationId(7), 32, null, false],
            [operationId(8), 33, null, false],
            [operationId(9), 34, null, false]
          ]
        )
        const ended = yield* journal.list({ ended: true, limit: 2 })
        assert.deepStrictEqual(
          ended.map(({ finishedAt, id }) => [id, finishedAt]),
          [
            [OperationId.make(operationId(6)), 31],
            [OperationId.make(operationId(3)), 15]
          ]
        )

        yield* inventory.setMaintenance(HostId.make(1), true)
        assert.isTrue((yield* inventory.host(HostId.make(1))).host.maintenance)
        yield* inventory.observe([{ vmId: VmId.make(1), seen: { power: "running", reason: null }, drift: [] }], 50)
        assert.deepStrictEqual((yield* inventory.seen).get(VmId.make(1)), { power: "running", reason: null, since: 50 })
        const cancelled = yield* journal.askCancel(OperationId.make(operationId(5)))
        assert.isTrue(Option.getOrThrow(cancelled).cancelAsked)
        const key = { key: "k", fingerprint: "f" }
        const request = {
          name: "x",
          instanceType: type(1),
          imageId: ImageId.make(100),
          disk: dir,
          onCrash: "restart"
        } as const
        const { vm } = yield* inventory.admit({ ...request, key }, () => Effect.succeed(HostId.make(3)))
        assert.deepStrictEqual([vm.id, vm.onCrash, vm.applied], [6, "restart", null])
      }).pipe(Effect.provide(layerOn(filename)))
    })
  )
})

describe("a database of version 0003", () => {
  const third = {
    "0001_initial": migrations["0001_initial"],
    "0002_volumes": migrations["0002_volumes"],
    "0003_observations": migrations["0003_observations"]
  }
  const thirdStatements = [
    ...secondStatements,
    `insert into vm_seen values (1, 'running', null, 40), (5, 'stopped', null, 41)`,
    `insert into drift values (1, 'vcpus', 'definition', '1', '1', '2', 42)`,
    `update hosts set maintenance = 1 where id = 2`
  ]
  const thirdTables = [...tables, "pools", "volumes", "snapshots", "vm_seen", "drift"]

  it.scoped("has no events until something changes, and then tells what has changed since", () =>
    Effect.gen(function* () {
      const { filename } = yield* earlier(third, thirdStatements, thirdTables)
      yield* Effect.gen(function* () {
        const inventory = yield* Inventory
        const { read, sql } = yield* Database.Database
        const told = Effect.map(
          read("look", sql<Row>`select type, vm_id, volume_id, host_id, data from events order by id`),
          (rows) => rows.map((row) => Object.values(row))
        )
        yield* inventory.applyFleet(fleet)
        assert.deepStrictEqual(yield* told, [])
        yield* inventory.setMaintenance(HostId.make(2), false)
        yield* inventory.observe(
          [
            { vmId: VmId.make(1), seen: { power: "running", reason: null }, drift: [] },
            { vmId: VmId.make(5), seen: { power: "absent", reason: null }, drift: null }
          ],
          50
        )
        yield* inventory.setVmState(VmId.make(2), "running")
        assert.deepStrictEqual(yield* told, [
          ["host.changed", null, null, 2, '{"maintenance":false}'],
          ["vm.seen", 5, null, 2, '{"power":"absent","reason":null}'],
          ["vm.drift", 1, null, 1, '{"count":0,"fields":""}'],
          ["vm.changed", 2, null, 1, '{"name":"vm-creating","state":"running","hostId":1}']
        ])
      }).pipe(Effect.provide(layerOn(filename)))
    })
  )
})

describe("keys of a database of version 0025", () => {
  const before = Object.fromEntries(Object.entries(migrations).filter(([name]) => name < "0026"))
  const said = {
    hers: ["VM", "web", 1, null, "leave"],
    one: ["VM", "zz-1", 1, null, "leave", 2, "{}"],
    two: ["VM", "zz-2", 1, null, "leave", 2, "{}"],
    data: ["volume", "data", 1, null],
    off: ["POST", "/api/v1/vms/1/power-off", "null"],
    token: ["bob", "admin", "POST", "/api/v1/tokens", "{}"]
  }
  const kept = (key: string, fingerprint: ReadonlyArray<unknown>, operation: number | null, thing: string | null) =>
    `insert into request_keys values ('${key}', '${JSON.stringify(fingerprint)}',
      ${operation === null ? "null" : `'${operationId(operation)}'`},
      ${thing === null ? "null, null" : `'${thing}', '7'`}, ${Number.MAX_SAFE_INTEGER})`

  it.scoped("are their owners', whoever's where that was not kept, and one for all of a batch", () =>
    Effect.gen(function* () {
      const { filename } = yield* earlier(
        { "0001_initial": migrations["0001_initial"], "0002_volumes": migrations["0002_volumes"] },
        secondStatements,
        []
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const sql = Context.get(yield* Layer.build(SqliteClient.layer({ filename })), SqlClient.SqlClient)
          yield* Migrator.make({})({ loader: Migrator.fromRecord(before) }).pipe(
            Effect.provideService(SqlClient.SqlClient, sql)
          )
          for (const statement of [
            "update vms set owner = 'ada' where id in (1, 3)",
            "update volumes set owner = 'bob' where id = 1",
            kept("k", said.hers, 1, null),
            // one of a batch is nobody's, and the other one ada's
            kept("b/1", said.one, 2, null),
            kept("b/2", said.two, 5, null),
            kept("v", said.data, 6, null),
            kept("o", said.off, 3, null),
            kept("t", said.token, null, "token"),
            kept("odd", ["x"], 4, null),
            `update request_keys set fingerprint = 'no JSON' where key = 'odd'`
          ])
            yield* sql.unsafe(statement)
        })
      )
      const all = JSON.stringify(["VMs", "zz", ...said.one.slice(2)])
      yield* Effect.gen(function* () {
        const inventory = yield* Inventory
        const { read, sql } = yield* Database.Database
        const rows = yield* read("look", sql<Row>`select * from request_keys order by key, asker, number`)
        assert.deepStrictEqual(
          rows.map(({ asker, fingerprint, key, number, operation_id: operation, thing, thing_id: id }) => [
            asker,
            key,
            number,
            fingerprint,
            operation ?? `${String(thing)} ${String(id)}`
          ]),
          [
            ["*", "b", 0, all, operationId(5)],
            ["*", "b", 2, JSON.stringify(said.two), operationId(5)],
            ["ada", "b", 0, all, operationId(2)],
            ["ada", "b", 1, JSON.stringify(said.one), operationId(2)],
            ["ada", "k", 0, JSON.stringify(said.hers), operationId(1)],
            ["*", "o", 0, JSON.stringify(said.off), operationId(3)],
            ["*", "odd", 0, "no JSON", operationId(4)],
            ["bob", "t", 0, JSON.stringify(said.token), "token 7"],
            ["bob", "v", 0, JSON.stringify(said.data), operationId(6)]
          ]
        )
        assert.deepStrictEqual(yield* read("check", sql`pragma foreign_key_check`), [])
        const led = (asker: string | null, key: string, said: ReadonlyArray<unknown>, number?: number) =>
          inventory.keyed({
            key,
            asker: asker === null ? null : UserName.make(asker),
            fingerprint: JSON.stringify(said),
            ...(number === undefined ? {} : { among: { number, fingerprint: all } })
          })
        assert.deepInclude(yield* led("ada", "k", said.hers), { _tag: "Operation" })
        for (const other of ["bob", null]) assert.isNull(yield* led(other, "k", said.hers))
        assert.deepInclude(yield* led("ada", "b", said.one, 1), { _tag: "Operation" })
        for (const whoever of ["ada", "bob", null]) {
          assert.deepInclude(yield* led(whoever, "b", said.two, 2), { _tag: "Operation" })
          assert.deepInclude(yield* led(whoever, "o", said.off), { _tag: "Operation" })
          assert.strictEqual((yield* Effect.flip(led(whoever, "o", said.hers)))._tag, "KeyReused")
        }
        assert.deepStrictEqual(yield* led("bob", "t", said.token), { _tag: "Thing", thing: "token", id: "7" })
      }).pipe(Effect.provide(layerOn(filename)))
    })
  )
})

describe("the audit log of a database of version 0028", () => {
  const before = Object.fromEntries(Object.entries(migrations).filter(([name]) => name < "0029"))
  const lines = ["/1", "/stranger", "/stranger", "/2", "/stranger"].map(
    (path, i) => `insert into audit (time, user, via, token_id, address, method, path, status, failed)
      values (${i}, ${path === "/stranger" ? "null, null" : "'ada', 'session'"}, null, '', 'POST', '${path}', 200, null)`
  )

  it.scoped("keeps its lines, and from then on each kind pushes out its own", () =>
    Effect.gen(function* () {
      const { filename } = yield* earlier(before, lines, [])
      yield* inFile(({ read, sql, write }) =>
        Effect.gen(function* () {
          const kept = Effect.map(read("look", Identities.audited(sql, null, 100)), (all) =>
            all.map(({ path }) => path).toReversed()
          )
          const add = (path: string, via: "session" | null) =>
            write(
              "audit",
              Identities.insertAudit(
                sql,
                { time: 9, user: null, via, tokenId: null, from: "", method: "POST", path, status: 200, failed: null },
                3
              )
            )
          assert.deepStrictEqual(yield* kept, ["/1", "/stranger", "/stranger", "/2", "/stranger"])
          for (let i = 0; i < 5; i++) yield* add("/later", null)
          assert.deepStrictEqual(yield* kept, ["/1", "/2", "/later", "/later", "/later"])
          yield* add("/3", "session")
          yield* add("/4", "session")
          assert.deepStrictEqual(yield* kept, ["/2", "/later", "/later", "/later", "/3", "/4"])
        })
      ).pipe(Effect.provide(layerOn(filename)))
    })
  )
})
