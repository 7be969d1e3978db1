/**
 * The program as a process of its own, ended by SIGKILL before and after every write of every kind of operation. Its hosts live on.
 *
 * Of each kind one is under way in each life, and stands still at a point of its own; when all do, the process is killed. So there are as many lives as the kind
 * with most points has.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { afterAll, inject } from "vitest"
import { Client } from "../../src/client/index.ts"
import * as Ids from "../../src/domain/Ids.ts"
import { type Operation, OperationKind } from "../../src/domain/Operation.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import * as Kinds from "../../src/operations/Kinds.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import * as Built from "../program/Built.ts"
import * as Program from "../program/Program.ts"
import * as Watching from "../observe/Watching.ts"
import * as Asks from "./Asks.ts"
import * as Hold from "./Hold.ts"
import * as Served from "./Served.ts"
import * as Table from "./Table.ts"
import * as Verdict from "./Verdict.ts"

const cells: Array<Table.Cell> = []
afterAll(() => Table.write(inject("crashParts"), "kill", cells))

const kinds = OperationKind.literals
const all = { concurrency: "unbounded" } as const

/** A machine that leaves it no time has it refuse what is asked for: its host may be away for all it knows. */
const stubbornly = <A, E, R>(asked: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(asked, Schedule.spaced("500 millis").pipe(Schedule.upTo("1 minute")))

/** Steps that one host has no use for: `Ends.test.ts` comes upon them. */
const betweenHosts: ReadonlyArray<string> = ["volume on its former host", "volume on the VM's host"]

/** One life of the program, with somebody who asks it. */
const begin = Effect.fnUntraced(function* (served: Served.Served, hold: string) {
  const program = yield* Program.start(served.arguments, { entry: Built.crashing, env: { HOLD: hold } })
  // whoever asks is not to ask again: the process ends
  const client = yield* Effect.provide(Client.make({ url: program.url, patience: 0 }), FetchHttpClient.layer)
  return { program, client }
})

const keepers = ({ hosts }: Served.Served): Pick<Asks.At, "crash" | "keep"> => ({
  crash: (vm) => Effect.forEach(hosts, ({ faults }) => faults.crashGuest(`vm-${vm}`), { discard: true }),
  keep: (vm) =>
    Effect.gen(function* () {
      const [kept] = hosts.flatMap((host) =>
        [...host.state.domains.values()].flatMap(({ name, persistent }) =>
          name === `vm-${vm}` && persistent !== null ? [{ host, persistent }] : []
        )
      )
      assert(kept !== undefined, `vm-${vm} is there`)
      const xml = yield* Xml.render(kept.persistent)
      return Effect.flatMap(Watching.byHand(kept.host), (client) =>
        client.call("DOMAIN_DEFINE_XML_FLAGS", { xml, flags: 0 })
      ).pipe(Effect.scoped)
    })
})

/** What the database has between two lives. */
const lookAll = Effect.gen(function* () {
  const inventory = yield* Inventory
  const journal = yield* Journal
  const volumes = yield* inventory.volumes()
  const last = yield* Effect.forEach(kinds, (kind) => journal.list({ kind, limit: 1 }))
  return {
    vms: new Map((yield* inventory.vms()).map((vm) => [vm.id, vm])),
    volumes: new Map(volumes.map((volume) => [volume.id, volume])),
    snapshots: new Map(
      yield* Effect.forEach(volumes, ({ id }) => Effect.map(inventory.snapshots(id), (found) => [id, found] as const))
    ),
    last: new Map<OperationKind, Operation>(last.flat().map((operation) => [operation.kind, operation]))
  }
})

/** A VM and a volume of its own for each kind that is about one; the others are given the first. */
const provide = Effect.fnUntraced(function* (client: Asks.At["client"]) {
  const makeVm = (name: string) =>
    client.vms.createVm({ payload: { name, instanceType: Ids.InstanceTypeId.make(1) } }).pipe(
      (asked) => Asks.done(client, asked),
      stubbornly,
      Effect.map((operation) => Ids.VmId.make(operation?.vmId ?? 0))
    )
  const makeVolume = (name: string) =>
    client.volumes.createVolume({ payload: { name, size: 1 } }).pipe(
      (asked) => Asks.done(client, asked),
      stubbornly,
      Effect.map((operation) => Ids.VolumeId.make(operation?.volumeId ?? 0))
    )
  // the image is known from then on
  const first = { vmId: yield* makeVm("first"), volumeId: yield* makeVolume("first") }
  const made = yield* Effect.forEach(
    kinds,
    Effect.fnUntraced(function* (kind) {
      const { of, off = false } = Asks.asks[kind]
      const vmId = of === "vm" || of === "both" ? yield* makeVm(kind) : first.vmId
      const volumeId = of === "volume" || of === "both" ? yield* makeVolume(kind) : first.volumeId
      if (off) yield* Asks.done(client, client.vms.powerOffVm({ path: { id: vmId } }))
      return [kind, { vmId, volumeId }] as const
    }),
    all
  )
  return new Map(made)
})

const everywhere = Effect.fnUntraced(function* (where: "in a pool" | "on the hosts") {
  const served = yield* Served.makeWith({ ceph: where === "in a pool" })
  const hold = join(served.folder, "hold")
  mkdirSync(hold)
  const look = Served.look(served, lookAll)
  const keep = keepers(served)

  type Provided = Effect.Effect.Success<ReturnType<typeof provide>>

  /** What is asked for when all is ready; nothing is under way before. */
  const ready = Effect.fnUntraced(function* (
    client: Asks.At["client"],
    own: Provided,
    which: ReadonlyArray<OperationKind>,
    life: number
  ) {
    const { snapshots, vms, volumes } = yield* look
    return yield* Effect.forEach(
      which,
      Effect.fnUntraced(function* (kind) {
        const { vmId, volumeId } = own.get(kind) ?? assert.fail(`nothing is provided for ${kind}`)
        const vm = vms.get(vmId) ?? assert.fail(`the VM for ${kind} is there`)
        const volume = volumes.get(volumeId) ?? assert.fail(`the volume for ${kind} is there`)
        const at: Asks.At = { ...keep, client, life, vm, volume, snapshots: snapshots.get(volumeId) ?? [] }
        return { kind, ask: yield* stubbornly(Asks.asks[kind].ready(at)) }
      }),
      all
    )
  })

  // once undisturbed
  const { own, points } = yield* Effect.gen(function* () {
    const { client } = yield* begin(served, hold)
    const own = yield* provide(client)
    yield* Served.atRest(served)
    const asked = yield* ready(client, own, kinds, 0)
    yield* Served.atRest(served)
    const before = yield* look
    Hold.begin(hold, {})
    yield* Effect.forEach(asked, ({ ask }) => stubbornly(ask), all)
    yield* look.pipe(
      Effect.map(({ last }) => {
        const none = kinds.filter((kind) => last.get(kind)?.id === before.last.get(kind)?.id)
        assert.deepStrictEqual(none, [], "kinds of which none was begun")
      }),
      Effect.sandbox,
      Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo("2 minutes"))),
      Effect.unsandbox
    )
    yield* Served.atRest(served)
    const points = new Map(kinds.map((kind) => [kind, Hold.allPassed(hold, kind)] as const))
    return { own, points }
  }).pipe(Effect.scoped)
  Hold.end(hold)
  for (const kind of kinds) {
    const passed = points.get(kind) ?? []
    for (const step of Kinds.kinds[kind].steps.filter((name) => !betweenHosts.includes(name))) {
      assert.isTrue(
        passed.some((point) => point.includes(`do ${step} done`)),
        `${kind} passes its step ${step}: ${passed.join("; ")}`
      )
    }
  }

  const lives = Math.max(...[...points.values()].map(({ length }) => length))
  let struck: ReadonlyMap<OperationKind, { readonly before: string | undefined; readonly point: string }> = new Map()
  /** What was begun before the kill was finished by the life after it. */
  const finished = Effect.gen(function* () {
    yield* Served.atRest(served)
    const { last } = yield* look
    for (const [kind, { before, point }] of struck) {
      assert.notStrictEqual(last.get(kind)?.id, before, `${kind} had begun`)
      const { error = null, state } = last.get(kind) ?? assert.fail(`there is no ${kind}`)
      const isRight = Verdict.isRight({ kind, passed: points.get(kind) ?? [], point }, state, error)
      assert.isTrue(isRight, `${kind}, killed at ${point}, is ${state}: ${error ?? "no error"}`)
    }
  })
  for (let life = 1; life <= lives; life++) {
    const plan = new Map(
      [...points].flatMap(([kind, passed]) => {
        const point = passed[life - 1]
        return point === undefined ? [] : [[kind, point] as const]
      })
    )
    yield* Effect.gen(function* () {
      const { client, program } = yield* begin(served, hold)
      yield* finished
      const asked = yield* ready(client, own, [...plan.keys()], life)
      yield* Served.atRest(served)
      const { last } = yield* look
      struck = new Map([...plan].map(([kind, point]) => [kind, { before: last.get(kind)?.id, point }]))
      Hold.begin(hold, Object.fromEntries(plan))
      const fibers = yield* Effect.forEach(asked, ({ ask, kind }) => {
        // one that fails before it is at its point is asked for again
        const ended = Effect.flatMap(ask, (answer) =>
          isBegun(answer) ? Effect.asVoid(Asks.done(client, Effect.succeed(answer))) : Effect.void
        )
        return Effect.map(Effect.forkScoped(Effect.exit(stubbornly(ended))), (fiber) => ({ fiber, kind }))
      })
      const late = Effect.gen(function* () {
        const held = Hold.allHeld(hold)
        const missing = [...plan].filter(([kind]) => !held.has(kind))
        if (missing.length === 0) return
        const answers = yield* Effect.forEach(fibers, ({ fiber, kind }) =>
          Effect.map(Fiber.poll(fiber), (exit) => `${kind}: ${exit._tag === "None" ? "no answer" : said(exit.value)}`)
        )
        return yield* new Program.ProgramError({
          message: `life ${life}: not at their points are ${missing.map((one) => one.join(" at ")).join("; ")}; ${answers.join("; ")}`
        })
      })
      yield* Effect.retry(late, Schedule.spaced("20 millis").pipe(Schedule.upTo("2 minutes")))
      yield* program.kill("SIGKILL")
      assert.isNull(yield* program.exited)
    }).pipe(Effect.scoped)
    Hold.end(hold)
  }
  yield* begin(served, hold)
  yield* finished
  for (const [kind, { length }] of points) {
    cells.push({ kind, scenario: `one of each kind at once, ${where}`, what: "SIGKILL", passed: length })
  }
})

const isBegun = Schema.is(Schema.Struct({ id: Ids.OperationId }))

const said = (exit: Exit.Exit<Exit.Exit<unknown, unknown>>): string =>
  Exit.isFailure(exit) ? String(exit.cause) : Exit.isFailure(exit.value) ? String(exit.value.cause) : "answered"

describe("kill -9 of the program before and after every write of every kind of operation, and the next one finishes", () => {
  for (const where of ["in a pool", "on the hosts"] as const) {
    // only ends what hangs: a program is started for each point of the kind with most
    it.scopedLive(`with disks ${where}`, () => everywhere(where), 900_000)
  }
})
