/**
 * A process of its own for what is measured at scale: the whole controller, by SSH, over SIMULATED hosts in yet another process. Prints what it
 * found as JSON on its last line.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as AppLive from "../../layers/AppLive.ts"
import * as SshLive from "../../layers/SshLive.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import type { OperationId } from "../../src/domain/Ids.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Operations } from "../../src/services/Operations.ts"
import { Ssh } from "../../src/services/Ssh.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import { BenchError } from "./Process.ts"
import * as Raw from "./Raw.ts"
import * as ScaleFleet from "./ScaleFleet.ts"

const { values } = parseArgs({
  options: {
    hosts: { type: "string", default: "1000" },
    creates: { type: "string", default: "10000" },
    rate: { type: "string", default: "150" },
    /** hosts whose daemon answers nothing */
    hung: { type: "string", default: "0" },
    /** seconds after which it is told how far it came */
    within: { type: "string", default: "100" },
    /** VMs that run before it begins: what is measured is the start, and how long it takes until all have been seen */
    standing: { type: "string", default: "0" },
    /** so many more by `Raw.ts`, when all else has ended: at most 6,000, and a thousand creates before */
    raw: { type: "string", default: "0" }
  }
})

const mebibytes = () => process.memoryUsage().rss / 1024 ** 2

const quantile = (sorted: Float64Array, q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0

const nameOf = (i: number) => `vm-${i}`

/** Names of those that were placed on one of the first hosts, if only for a while. */
const onHung = Effect.fnUntraced(function* (hung: number) {
  const inventory = yield* Inventory
  const operations = yield* Operations
  const names = new Set<string>()
  let before: OperationId | undefined
  if (hung === 0) return names
  while (true) {
    const page = yield* operations.list({ kind: "CreateVm", limit: 1000, ...(before === undefined ? {} : { before }) })
    for (const {
      operation: { vmId }
    } of page) {
      if (vmId === null) continue
      const { hostId, name } = yield* inventory.vmRecord(vmId)
      if (hostId <= hung) names.add(name)
    }
    before = page.at(-1)?.operation.id
    if (before === undefined) return names
  }
})

/** Creates that arrive whether or not earlier ones have ended. Those that have not when time is up count as if they ended then. */
const creating = <E>(hostsCpu: Effect.Effect<number, E>) =>
  Effect.gen(function* () {
    const vms = yield* Vms
    const inventory = yield* Inventory
    const [type] = yield* inventory.types
    if (type === undefined) return yield* Effect.dieMessage("no type")
    const creates = Number(values.creates)
    const gap = 1000 / Number(values.rate)
    const clients = yield* FiberSet.make<void, never>()
    /** by number, from when it was due: what arrives late because the process is busy counts */
    const took = new Map<number, number>()
    let failed = 0
    const before = mebibytes()
    const hostsCpuBefore = yield* hostsCpu
    const cpuBefore = process.cpuUsage()
    const began = performance.now()
    const due = (i: number) => began + i * gap
    const arriving = Effect.gen(function* () {
      for (let i = 0; i < creates; i++) {
        const early = due(i) - performance.now()
        if (early > 1) yield* Effect.sleep(early)
        else if (i % 16 === 0) yield* Effect.yieldNow()
        yield* FiberSet.run(
          clients,
          Effect.gen(function* () {
            const outcome = yield* Effect.either(vms.create({ name: nameOf(i), instanceType: type.tid }))
            if (outcome._tag === "Left") failed++
            took.set(i, performance.now() - due(i))
          })
        )
      }
      yield* FiberSet.awaitEmpty(clients)
    })
    yield* Effect.timeoutOption(arriving, `${Number(values.within)} seconds`)
    const ended = performance.now()
    const seconds = (ended - began) / 1000
    const cpu = process.cpuUsage(cpuBefore)
    const hostsCpuAfter = yield* hostsCpu
    const running = took.size - failed
    const memory = mebibytes()
    const tookOf = (i: number) => took.get(i) ?? Math.max(0, ended - due(i))
    const sorted = Float64Array.from({ length: creates }, (_, i) => tookOf(i)).sort()
    const touched = yield* onHung(Number(values.hung))
    const others = Float64Array.from(
      Array.from({ length: creates }, (_, i) => i)
        .filter((i) => !touched.has(nameOf(i)))
        .map(tookOf)
    ).sort()
    return {
      hosts: Number(values.hosts),
      hung: Number(values.hung),
      creates,
      failed,
      unfinished: creates - took.size,
      perSecond: running / seconds,
      cpuOfOne: (cpu.user + cpu.system) / 1000 / Math.max(1, took.size),
      hostsCpuOfOne: (hostsCpuAfter - hostsCpuBefore) / Math.max(1, took.size),
      p50: quantile(sorted, 0.5),
      p99: quantile(sorted, 0.99),
      others: { creates: others.length, p50: quantile(others, 0.5), p99: quantile(others, 0.99) },
      mebibytesBefore: before,
      mebibytes: memory
    }
  })

/** One more, of which is noted what it takes. */
const recorded = (recorder: Raw.Recorder) =>
  Effect.gen(function* () {
    const vms = yield* Vms
    const inventory = yield* Inventory
    const [type] = yield* inventory.types
    if (type === undefined) return yield* Effect.dieMessage("no type")
    recorder.on = true
    const vm = yield* vms.create({ name: "recorded", instanceType: type.tid })
    // what is told of it once it runs is read and written, too
    yield* Effect.sleep("1 second")
    recorder.on = false
    const [report] = yield* (yield* Operations).list({ vmId: vm.id, limit: 1 })
    if (report === undefined) return yield* Effect.dieMessage("no operation")
    const { host } = yield* inventory.host(vm.hostId)
    return { vm, operationId: report.operation.id, host: host.config.address.host }
  })

const main = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-scale-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const database = join(folder, "vmfabric.sqlite")
  const standing = Number(values.standing)
  const hosts = Number(values.hosts)
  const fleet = yield* ScaleFleet.make({ hosts, socket: join(folder, "hosts.sock"), database, standing })
  const hung = Number(values.hung)
  const before = mebibytes()
  const raw = Number(values.raw)
  const recorder = new Raw.Recorder()
  if (raw > 0) recorder.watchDatabases()
  const live = SshLive.layerWith(fleet).pipe(Layer.provide(fleet.dialer))
  const ssh = raw > 0 ? Layer.effect(Ssh, Effect.map(Ssh, recorder.watch)).pipe(Layer.provide(live)) : live
  const config = Fleet.configOf(ScaleFleet.file({ hosts, standing: standing > 0 }))
  const app = AppLive.layer({ fleet: config, database, ceph: fleet.ceph }).pipe(
    Layer.provide(ssh),
    Layer.provide(NodeContext.layer)
  )
  const began = performance.now()
  const ours = Effect.gen(function* () {
    const ready = performance.now() - began
    const monitor = yield* HostMonitor
    const inventory = yield* Inventory
    yield* monitor.settled
    const reached = performance.now() - began
    if (standing > 0) {
      yield* Effect.repeat(inventory.seen, {
        until: (seen) => seen.size >= standing,
        schedule: Schedule.spaced("20 millis")
      }).pipe(
        Effect.timeoutFail({
          duration: `${Number(values.within)} seconds`,
          onTimeout: () => new BenchError({ message: `not all VMs have been seen within ${values.within} s` })
        })
      )
      const seen = performance.now() - began
      return { hosts, standing, ready, reached, seen, mebibytesBefore: before, mebibytes: mebibytes(), recorded: null }
    }
    // once all is known and warm
    if (hung > 0) yield* fleet.hang(hung)
    const figures = yield* creating(fleet.cpu)
    return { ...figures, recorded: raw > 0 ? yield* recorded(recorder) : null }
  }).pipe(Effect.provide(app))
  const { recorded: one, ...figures } = yield* ours
  const { ceph, cpu, dial, privateKeys } = fleet
  if (one === null || ceph === null) return figures
  const options = { ...one, recorder, creates: raw, together: 64, dial, database, ceph }
  const names = config.hosts.map(({ address }) => address.host)
  const run = yield* Effect.promise(() => Raw.prepare({ ...options, hosts: names, privateKey: privateKeys[0] ?? "" }))
  const hostsBefore = yield* cpu
  const cpuBefore = process.cpuUsage()
  const perSecond = yield* Effect.promise(run)
  const used = process.cpuUsage(cpuBefore)
  const hostsCpuOfOne = ((yield* cpu) - hostsBefore) / raw
  return { ...figures, raw: { perSecond, cpuOfOne: (used.user + used.system) / 1000 / raw, hostsCpuOfOne } }
}).pipe(
  Effect.scoped,
  Effect.tap((report) => Effect.sync(() => process.stdout.write(`${JSON.stringify(report)}\n`))),
  Logger.withMinimumLogLevel(LogLevel.Error)
)

NodeRuntime.runMain(main)
