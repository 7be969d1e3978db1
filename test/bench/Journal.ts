/**
 * The database: durable records of many operations at once against single commits, whole operations, the start, and what a sweep brings.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs/promises"
import { createRequire } from "node:module"
import * as path from "node:path"
import type { FleetConflict, PersistenceError } from "../../src/domain/Errors.ts"
import type { HostId, VmId } from "../../src/domain/Ids.ts"
import type { Operation } from "../../src/domain/Operation.ts"
import * as Saga from "../../src/operations/Saga.ts"
import * as Watchdog from "../../src/operations/Watchdog.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import type { Journal } from "../../src/services/Journal.ts"
import { compare, type Figure, interleave, milliseconds } from "./Figure.ts"
import { filled, type Opened, opened } from "./Filled.ts"
import * as Program from "./Program.ts"

const section = "journal"
const writers = 64
const steps = ["image", "root disk", "seed", "define", "start", "running"] as const

const stepAt = (i: number) => ({ phase: "do", name: steps[i % steps.length] ?? steps[0] }) as const

interface RawDatabase {
  readonly exec: (statements: string) => void
  readonly prepare: (statement: string) => { readonly run: (...parameters: ReadonlyArray<unknown>) => unknown }
  readonly close: () => void
}

/** The driver that the SQL client is made of. */
const driver: new (filename: string) => RawDatabase = createRequire(import.meta.resolve("@effect/sql-sqlite-node"))(
  "better-sqlite3"
)

/** On the disk of the checkout: a folder for temporary files may be in memory, where nothing has to be synced. */
const temporaryFolder = Effect.acquireRelease(
  Effect.promise(async () => {
    await fs.mkdir(Program.output, { recursive: true })
    return await fs.mkdtemp(path.join(Program.output, "journal-"))
  }),
  (folder) => Effect.promise(() => fs.rm(folder, { recursive: true }))
)

// --------------------------------------------------------------------------------------------------------------- records

/** How often a second, and how long each took in milliseconds. */
interface Rate {
  readonly rate: number
  readonly times: ReadonlyArray<number>
}

const percentile = (values: ReadonlyArray<number>, share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? Number.NaN

/** One step ended and the next begun, again and again, by each writer in an operation of its own. */
const grouped = (journal: Journal["Type"], operations: ReadonlyArray<Operation>, each: number) =>
  Effect.gen(function* () {
    const times: Array<number> = []
    const writer = Effect.fnUntraced(function* ({ id }: Operation) {
      yield* journal.record(id, { started: stepAt(0) })
      for (let i = 0; i < each; i++) {
        const entry = { ended: { ...stepAt(i), state: "done" as const }, started: stepAt(i + 1) }
        times.push(yield* milliseconds(journal.record(id, entry)))
      }
    })
    const elapsed = yield* milliseconds(Effect.forEach(operations, writer, { concurrency: "unbounded", discard: true }))
    return { rate: ((each + 1) * operations.length * 1000) / elapsed, times } satisfies Rate
  })

/** The same statements on the same tables, without savepoints, and each write a commit of its own. */
const single = Effect.fnUntraced(function* (filename: string) {
  const db = yield* Effect.acquireRelease(
    Effect.sync(() => new driver(filename)),
    (db) => Effect.sync(() => db.close())
  )
  db.exec("pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full")
  db.exec(`create table operations (seq integer primary key autoincrement, id text not null unique, kind text not null,
    vm_id integer not null, state text not null, created_at integer not null, finished_at integer) strict`)
  db.exec(`create table operation_steps (operation_id text not null, phase text not null, name text not null,
    ordinal integer not null, state text not null, tries integer not null default 1, error text, started_at integer not null,
    finished_at integer, primary key (operation_id, phase, name)) strict, without rowid`)
  const begin = db.prepare("begin immediate")
  const commit = db.prepare("commit")
  const insert = db.prepare(
    "insert into operations (id, kind, vm_id, state, created_at) values (?, 'RepairVm', ?, 'pending', ?)"
  )
  const setState = db.prepare("update operations set state = ?, finished_at = ? where id = ?")
  const end = db.prepare(`update operation_steps set state = 'done', finished_at = ?
    where operation_id = ? and phase = ? and name = ?`)
  const start = db.prepare(`insert into operation_steps (operation_id, phase, name, ordinal, state, started_at)
    values (?, ?, ?, (select coalesce(max(ordinal), 0) + 1 from operation_steps where operation_id = ?), 'started', ?)
    on conflict do update set state = 'started', tries = tries + 1, finished_at = null`)

  const commits = (writes: () => void) => {
    begin.run()
    writes()
    commit.run()
  }
  const ended = (id: string, step: ReturnType<typeof stepAt>) => end.run(Date.now(), id, step.phase, step.name)
  const started = (id: string, step: ReturnType<typeof stepAt>) => start.run(id, step.phase, step.name, id, Date.now())
  const timed = (count: number, one: (i: number) => void) =>
    Effect.sync(() => {
      const times: Array<number> = []
      const before = performance.now()
      for (let i = 0; i < count; i++) {
        const begun = performance.now()
        one(i)
        times.push(performance.now() - begun)
      }
      return { rate: (count * 1000) / (performance.now() - before), times } satisfies Rate
    })

  const records = (count: number) =>
    timed(count, (i) =>
      commits(() => {
        ended("one", stepAt(i))
        started("one", stepAt(i + 1))
      })
    )
  const operations = (count: number) =>
    timed(count, (i) => {
      const id = globalThis.crypto.randomUUID()
      commits(() => insert.run(id, i, Date.now()))
      commits(() => {
        setState.run("running", null, id)
        started(id, stepAt(0))
      })
      for (let step = 1; step < steps.length; step++) {
        commits(() => {
          ended(id, stepAt(step - 1))
          started(id, stepAt(step))
        })
      }
      commits(() => {
        ended(id, stepAt(steps.length - 1))
        setState.run("done", Date.now(), id)
      })
    })
  return { records, operations }
})

const records = Effect.fnUntraced(function* (folder: string) {
  const filename = path.join(folder, "records.sqlite")
  yield* filled(filename, { hosts: 10, vms: writers, unfinished: writers })
  const world = yield* opened(filename)
  const operations = yield* world.journal.unfinished
  const raw = yield* single(path.join(folder, "raw.sqlite"))
  const latencies: Record<"ours" | "raw", Array<number>> = { ours: [], raw: [] }
  const kept = (name: "ours" | "raw", effect: Effect.Effect<Rate, PersistenceError>) =>
    Effect.map(effect, ({ rate, times }) => {
      latencies[name].push(...times)
      return rate
    })
  yield* grouped(world.journal, operations, 100)
  const rates = yield* interleave(5, [
    { name: "ours", round: kept("ours", grouped(world.journal, operations, 300)) },
    { name: "raw", round: kept("raw", raw.records(2000)) }
  ])
  const latency = (share: number, target?: Figure["target"]): Figure => ({
    section,
    what: `a record of ${writers} at once, p${share * 100}`,
    unit: "ms",
    values: [percentile(latencies.ours, share)],
    against: compare("a single commit", [percentile(latencies.ours, share)], [percentile(latencies.raw, share)]),
    ...(target === undefined ? {} : { target })
  })
  return [
    {
      section,
      what: `durable records, ${writers} writers at once`,
      unit: "records/s",
      values: rates("ours"),
      against: compare("single commits", rates("ours"), rates("raw")),
      target: { of: "median", kind: "at least", value: 5000 }
    },
    latency(0.5),
    latency(0.99, { of: "median", kind: "at most", value: 25 })
  ] satisfies ReadonlyArray<Figure>
})

// ------------------------------------------------------------------------------------------------------------ operations

const never = new Error("nothing here needs a host")

/** No step works on a host, so nobody asks. */
const monitor = HostMonitor.of({
  refresh: Effect.void,
  statuses: Effect.die(never),
  settled: Effect.void,
  awaitUp: () => Effect.die(never),
  events: Effect.die(never),
  changes: Effect.die(never),
  check: () => Effect.die(never),
  suspect: () => Effect.die(never)
})

/** Begun, driven through five steps that do nothing, and ended, one after the other on each VM. */
const whole = ({ inventory, journal }: Opened, watchdog: Watchdog.Watchdog, vms: ReadonlyArray<VmId>, each: number) => {
  const saga: Saga.Saga = {
    hosts: [],
    steps: steps.map((name) => ({ name, description: name, act: Effect.void, undo: Effect.void })),
    succeeded: Effect.void,
    failed: Effect.void,
    unreachable: "undo"
  }
  const one = (vm: VmId) =>
    Effect.gen(function* () {
      const operation = yield* inventory.beginOnVm(vm, "RepairVm")
      const follower = {
        onBlocked: () => Effect.void,
        onProgress: () => Effect.void,
        cancel: yield* Deferred.make<void>()
      }
      const outcome = yield* Saga.drive({ journal, monitor, watchdog }, operation, saga, follower)
      if (outcome._tag === "Failed") return yield* Effect.dieMessage(outcome.reason)
    })
  return Effect.map(
    milliseconds(
      Effect.forEach(vms, (vm) => Effect.repeatN(Effect.orDie(one(vm)), each - 1), {
        concurrency: "unbounded",
        discard: true
      })
    ),
    (elapsed) => (vms.length * each * 1000) / elapsed
  )
}

const operations = Effect.fnUntraced(function* (folder: string) {
  const filename = path.join(folder, "operations.sqlite")
  yield* filled(filename, { hosts: 10, vms: writers, unfinished: 0 })
  const world = yield* opened(filename)
  const vms = (yield* world.inventory.vms()).map(({ id }) => id)
  const raw = yield* single(path.join(folder, "raw-operations.sqlite"))
  const watchdog = Watchdog.make(yield* Effect.scope)
  yield* whole(world, watchdog, vms, 10)
  const rates = yield* interleave(5, [
    { name: "ours", round: whole(world, watchdog, vms, 30) },
    { name: "raw", round: Effect.map(raw.operations(400), ({ rate }) => rate) }
  ])
  return {
    section,
    what: `whole operations of ${steps.length} steps, ${writers} at once`,
    unit: "operations/s",
    values: rates("ours"),
    against: compare("single commits", rates("ours"), rates("raw")),
    target: { of: "median", kind: "at least", value: 1000 }
  } satisfies Figure
})

// ----------------------------------------------------------------------------------------------------------------- start

const large = { hosts: 1000, vms: 20_000, unfinished: 1000 }

const start = Effect.fnUntraced(function* (folder: string) {
  const filename = path.join(folder, "large.sqlite")
  yield* filled(filename, large)
  const once = Effect.scoped(
    milliseconds(
      Effect.gen(function* () {
        const { inventory, journal } = yield* opened(filename)
        const [vms, unfinished] = [yield* inventory.vms(), yield* journal.unfinished]
        if (vms.length !== large.vms || unfinished.length !== large.unfinished)
          return yield* Effect.dieMessage("it is not all there")
      })
    )
  )
  const times = yield* interleave(5, [{ name: "start", round: once }])
  return {
    section,
    what: `start with ${large.vms.toLocaleString("en")} VMs, ${large.unfinished.toLocaleString("en")} unfinished operations`,
    unit: "ms",
    values: times("start"),
    target: { of: "median", kind: "at most", value: 2000 }
  } satisfies Figure
})

// ----------------------------------------------------------------------------------------------------------- observations

/** Every host tells of its VMs at once, as after a restart of the controller; each round something else, then the same again. */
const observations = Effect.fnUntraced(function* (folder: string) {
  const { inventory } = yield* opened(path.join(folder, "large.sqlite"))
  const byHost = new Map<HostId, Array<VmId>>()
  for (const { hostId, id } of yield* inventory.vms()) byHost.set(hostId, [...(byHost.get(hostId) ?? []), id])
  const batches = [...byHost.values()]
  let round = 0
  const told = Effect.suspend(() =>
    milliseconds(
      Effect.forEach(
        batches,
        (vms) =>
          inventory.observe(
            vms.map((vmId, i) => ({
              vmId,
              seen: { power: "running", reason: `${round}` },
              drift:
                i > 0 ? [] : [{ kind: "power", field: "power", wanted: "running", applied: null, seen: `${round}` }]
            })),
            round
          ),
        { concurrency: "unbounded", discard: true }
      )
    )
  )
  const times = yield* interleave(5, [
    {
      name: "new",
      round: Effect.zipRight(
        Effect.sync(() => void round++),
        told
      )
    },
    { name: "same", round: told }
  ])
  const figure = (name: "new" | "same", what: string): Figure => ({
    section,
    what: `${what} of ${large.vms.toLocaleString("en")} VMs, ${large.vms / large.hosts} a host`,
    unit: "ms",
    values: times(name)
  })
  return [figure("new", "new sights"), figure("same", "the same sights")]
})

export const measure: Effect.Effect<ReadonlyArray<Figure>, FleetConflict | PersistenceError, Scope.Scope> = Effect.gen(
  function* () {
    const folder = yield* temporaryFolder
    return [
      ...(yield* Effect.scoped(records(folder))),
      yield* Effect.scoped(operations(folder)),
      yield* start(folder),
      ...(yield* Effect.scoped(observations(folder)))
    ]
  }
)
