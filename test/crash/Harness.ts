/**
 * Finds every durable point of an operation by doing it once undisturbed, then does it again for each of them with something happening
 * there, and looks at what is left. All points of a scenario follow each other in one world, each with what the one before it has left; one that fails is
 * done once more in a world of its own, so that it is told whether it needs the others.
 *
 * All of it in virtual time: who waits for a host to come back waits no longer than it takes to see that nothing else is to be done.
 */
import { assert } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { inject } from "vitest"
import * as AppLive from "../../layers/AppLive.ts"
import * as Protocol from "../../src/ceph/Protocol.ts"
import { PersistenceError } from "../../src/domain/Errors.ts"
import * as Ids from "../../src/domain/Ids.ts"
import type { Operation } from "../../src/domain/Operation.ts"
import * as Procedures from "../../src/libvirt/Procedures.ts"
import * as Kinds from "../../src/operations/Kinds.ts"
import { Hosts } from "../../src/fabric/Hosts.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Volumes } from "../../src/fabric/Volumes.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Hypervisor } from "../../src/services/Hypervisor.ts"
import { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import { ImageStore } from "../../src/services/ImageStore.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Operations } from "../../src/services/Operations.ts"
import { Storage } from "../../src/services/Storage.ts"
import type { Moment } from "../../src/simulator/Faults.ts"
import * as Virtual from "../../src/simulator/Virtual.ts"
import * as World from "../fabric/World.ts"

/** One thing to do with the fabric. */
export interface Scenario {
  readonly name: string
  /** one unless given */
  readonly hosts?: number
  /** what there is before */
  readonly given: Act<unknown>
  /** Ends when the operation has ended, or cannot go on for now. */
  readonly work: Act<unknown>
  /** whether what was asked for is so */
  readonly done: Act<boolean>
  /** From what is done back to what was given: done once more in the same world, it passes the same points. */
  readonly back: Act<unknown>
  /** each of its points is passed in a world of its own all the same */
  readonly alone?: true
  /** it is about something that is not as it should be; until it is done, that may be so or half mended */
  readonly amiss?: true
}

export type Act<A> = (place: Place) => Effect.Effect<A, unknown, AppLive.App>

/** A world, and in it what the scenario is about: the last that it was given. */
export interface Place extends World.Whole {
  readonly own: { image: number; vm: Ids.VmId; nic: number; volume: Ids.VolumeId; snapshot: Ids.SnapshotId }
}

// ------------------------------------------------------------------------------------------------------------------ points

/** Calls that change a host; `Procedures.test.ts` finds one that is missing. */
export const procedures: ReadonlyArray<Procedures.ProcedureName> = [
  "STORAGE_VOL_CREATE_XML",
  "STORAGE_VOL_CREATE_XML_FROM",
  "STORAGE_VOL_UPLOAD",
  "STORAGE_VOL_DELETE",
  "STORAGE_VOL_RESIZE",
  "DOMAIN_DEFINE_XML_FLAGS",
  "DOMAIN_UNDEFINE_FLAGS",
  "DOMAIN_CREATE_WITH_FLAGS",
  "DOMAIN_DESTROY",
  "DOMAIN_SHUTDOWN_FLAGS",
  "DOMAIN_REBOOT",
  "DOMAIN_RESET",
  "DOMAIN_SUSPEND",
  "DOMAIN_RESUME",
  "DOMAIN_SET_METADATA",
  "DOMAIN_SET_AUTOSTART",
  "DOMAIN_ATTACH_DEVICE_FLAGS",
  "DOMAIN_DETACH_DEVICE_FLAGS",
  "DOMAIN_DETACH_DEVICE_ALIAS",
  "DOMAIN_UPDATE_DEVICE_FLAGS",
  "DOMAIN_BLOCK_RESIZE",
  "SECRET_DEFINE_XML",
  "SECRET_SET_VALUE"
]

/** Requests that change the pool. */
const requests: ReadonlyArray<Protocol.Operation> = Object.values(Protocol.requests).flatMap(({ kind, operation }) =>
  kind === "change" && Protocol.isOperation(operation) ? [operation] : []
)

type What =
  | { readonly _tag: "Call"; readonly procedure: Procedures.ProcedureName; readonly host: number }
  | { readonly _tag: "Request"; readonly request: Protocol.Operation }
  | { readonly _tag: "Write"; readonly label: string }

/** `nth`: of its kind, since the work began. */
export interface Point {
  readonly what: What
  readonly nth: number
  readonly moment: Moment
}

const nameOf = (what: What): string => {
  switch (what._tag) {
    case "Call":
      return `${what.procedure} on sim-${what.host + 1}`
    case "Request":
      return `${what.request} in the pool`
    case "Write":
      return what.label
  }
}

export const shown = ({ moment, nth, what }: Point): string => `${moment} ${nameOf(what)} (${nth})`

const countsOf = (world: World.Whole) =>
  Effect.gen(function* () {
    const counts: Array<{ readonly what: What; readonly count: number }> = []
    for (const [host, { faults }] of world.hosts.entries()) {
      for (const procedure of procedures) {
        counts.push({ what: { _tag: "Call", procedure, host }, count: yield* faults.calls(procedure) })
      }
    }
    for (const request of requests) {
      counts.push({ what: { _tag: "Request", request }, count: yield* world.cluster.faults.calls(request) })
    }
    for (const [label, count] of world.writes.calls()) counts.push({ what: { _tag: "Write", label }, count })
    return counts
  })

/** Runs `effect` when the point is reached, counted from now. */
const arm = (world: World.Whole, { moment, nth, what }: Point, effect: Effect.Effect<void>) => {
  switch (what._tag) {
    case "Call":
      return world.hosts[what.host]!.faults.onCall(what.procedure, moment, effect, { nth })
    case "Request":
      return world.cluster.faults.onCall(what.request, moment, effect, { nth })
    case "Write":
      return world.writes.on(what.label, moment, nth, effect)
  }
}

const disarm = (world: World.Whole) =>
  Effect.all([
    world.writes.clear,
    world.cluster.faults.clear,
    world.images.faults.clear,
    Effect.forEach(world.hosts, ({ faults }) => faults.clear)
  ])

// ------------------------------------------------------------------------------------------------------------------ worlds

let template: string | undefined

/** A database with its tables, made once: every world begins with a copy. */
const database = Effect.suspend(() => {
  if (template !== undefined) return Effect.succeed(template)
  const folder = mkdtempSync(join(inject("crashParts"), "database-"))
  const file = join(folder, "vmfabric.sqlite")
  return Layer.build(AppLive.persistence(file)).pipe(
    Effect.scoped,
    Effect.map(() => (template = file))
  )
})

/** One life of the controller: `end` is its end, at whatever it is. */
const begin = Effect.fnUntraced(function* (world: World.Whole) {
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
  const context = yield* Layer.buildWithScope(world.life, scope)
  return {
    run: <A, E>(effect: Effect.Effect<A, E, AppLive.App>): Effect.Effect<A, E> => Effect.provide(effect, context),
    context,
    end: Scope.close(scope, Exit.void)
  }
})

type Life = Effect.Effect.Success<ReturnType<typeof begin>>

/** What the scenario is given in a world, with the controller that lives. */
interface Stage {
  readonly scenario: Scenario
  readonly world: Place
  life: Life
}

/** In virtual time unless its hosts are reached by SSH, it takes no longer than it takes to see that it would never end. */
const within =
  (what: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, Broken, R> =>
    Effect.sandbox(Effect.timeout(effect, "30 minutes")).pipe(
      Effect.mapError((cause) => new Broken({ message: what, cause }))
    )

class Broken extends Data.TaggedError("Broken")<{ readonly message: string; readonly cause: unknown }> {}

/** A world of its own, in virtual time unless its hosts are reached by SSH. */
const inWorld = <A, E>(
  { ceph, scenario, transport = "memory" }: Setting,
  effect: (world: Place) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.flatMap(database, (file) => {
    const whole = World.make({ hosts: scenario.hosts ?? 1, ceph, transport, database: file }).pipe(
      Effect.flatMap((world) =>
        effect({
          ...world,
          own: {
            image: 1,
            vm: Ids.VmId.make(1),
            nic: 1,
            volume: Ids.VolumeId.make(1),
            snapshot: Ids.SnapshotId.make(1)
          }
        })
      ),
      Effect.scoped
    )
    return transport === "memory" ? Virtual.run(1, whole) : whole
  })

/** A world with a controller, and in it what the scenario is given. */
const enter = Effect.fnUntraced(function* (scenario: Scenario, world: Place) {
  const life = yield* begin(world)
  yield* life.run(Effect.zipRight(scenario.given(world), atRestBefore(world)))
  const stage: Stage = { scenario, world, life }
  return stage
})

export interface Setting {
  readonly scenario: Scenario
  readonly ceph: boolean
  /** `memory` unless given */
  readonly transport?: "ssh" | "memory"
}

// -------------------------------------------------------------------------------------------------------------------- truth

class Unfinished extends Data.TaggedError("Unfinished")<{ readonly message: string }> {}

const allEnded = (world: World.Whole) =>
  Effect.flatMap(world.writes.journal, ({ unfinished }) => unfinished).pipe(
    Effect.filterOrFail(
      (unfinished) => unfinished.length === 0,
      (unfinished) =>
        new Unfinished({ message: unfinished.map(({ error, kind }) => `${kind} (${error ?? "no error"})`).join() })
    ),
    Effect.retry(Schedule.spaced("100 millis").pipe(Schedule.upTo("10 minutes")))
  )

/** No operation is left, and hosts, pool and inventory are one. */
const atRest = Effect.fnUntraced(function* (world: World.Whole) {
  yield* allEnded(world)
  yield* Effect.sandbox(Effect.zipRight(World.agree(world), World.told(world))).pipe(
    Effect.retry(Schedule.spaced("500 millis").pipe(Schedule.upTo("30 seconds"))),
    Effect.unsandbox
  )
})

/** What somebody who looks sees. */
const portrait = Effect.fnUntraced(function* (world: World.Whole) {
  const inventory = yield* Inventory
  const volumes = yield* inventory.volumes()
  return {
    ...World.remains(world),
    images: (yield* inventory.allImages).map(({ config, state }) => ({ name: config.name, state })),
    files: World.kept(world),
    guests: world.hosts.flatMap((host) => host.guests().map(({ name, paused }) => ({ name, paused }))),
    vms: (yield* inventory.vms()).map(({ hostId, id, state }) => ({ hostId, id, state })),
    volumes: volumes.map(({ hostId, id, name, size, state, target, vmId }) => ({
      hostId,
      id,
      name,
      size,
      state,
      target,
      vmId
    })),
    snapshots: yield* Effect.forEach(volumes, ({ id }) =>
      Effect.map(inventory.snapshots(id), (all) => all.map(({ id, name, size, state }) => ({ id, name, size, state })))
    )
  }
})

const everything = { limit: 1000 }
const operationsOf = (world: World.Whole) => Effect.flatMap(world.writes.journal, ({ list }) => list(everything))

// ------------------------------------------------------------------------------------------------------- undisturbed

/** Does the work; gives every point that it passes. */
const passing = Effect.fnUntraced(function* (scenario: Scenario, world: Place) {
  const before = new Map((yield* countsOf(world)).map(({ count, what }) => [nameOf(what), count]))
  yield* scenario.work(world)
  const after = yield* countsOf(world)
  assert.isTrue(yield* scenario.done(world), `${scenario.name}: done`)
  yield* atRest(world)
  return after.flatMap(({ count, what }) =>
    Array.from({ length: count - (before.get(nameOf(what)) ?? 0) }, (_, nth) => nth + 1).flatMap((nth) =>
      (["before", "after"] as const).map((moment): Point => ({ what, nth, moment }))
    )
  )
})

/** Every point that the scenario's work passes when nothing disturbs it, and what it has left in the journal. Once it has gone back it passes the same ones. */
export const undisturbed = (setting: Setting) =>
  inWorld(setting, (world) =>
    Effect.gen(function* () {
      const { scenario } = setting
      const stage = yield* enter(scenario, world)
      return yield* stage.life.run(
        Effect.gen(function* () {
          const earlier = (yield* operationsOf(world)).length
          const points = yield* passing(scenario, world)
          const operations = (yield* operationsOf(world)).slice(0, -earlier || undefined)
          const journal = yield* world.writes.journal
          const steps = yield* Effect.forEach(operations, ({ id }) => journal.steps(id))
          yield* goBack(stage)
          const again = yield* passing(scenario, world)
          assert.deepStrictEqual(again.map(shown).toSorted(), points.map(shown).toSorted(), "the points, once more")
          return { points, operations, done: steps.flat().flatMap(({ name, phase }) => (phase === "do" ? [name] : [])) }
        })
      )
    }).pipe(within(`${setting.scenario.name}, undisturbed`), Effect.orDie)
  )

/** The points alone, which the files of one run find once between them. */
export const pointsOf = (setting: Setting): Effect.Effect<ReadonlyArray<Point>, unknown> =>
  Effect.suspend(() => {
    const name = `${setting.scenario.name} ${setting.ceph} ${setting.transport ?? "memory"}.points`
    const file = join(inject("crashParts"), name.replaceAll(" ", "-"))
    if (existsSync(file)) {
      const found: ReadonlyArray<Point> = JSON.parse(readFileSync(file, "utf8"))
      return Effect.succeed(found)
    }
    return Effect.map(undisturbed(setting), ({ points }) => {
      // at once, since another process may read it
      writeFileSync(`${file}.${process.pid}`, JSON.stringify(points))
      renameSync(`${file}.${process.pid}`, file)
      return points
    })
  })

/** The work begins when nothing else is done any more: hosts are known, guests are up. */
const atRestBefore = (world: World.Whole) =>
  Effect.zipRight(
    Effect.sleep("500 millis"),
    Effect.flatMap(world.writes.journal, ({ unfinished }) =>
      Effect.map(unfinished, (left) => assert.lengthOf(left, 0, "nothing is under way before the work"))
    )
  )

/** Every host is known to be up. */
const allUp = Effect.gen(function* () {
  const monitor = yield* HostMonitor
  const hosts = yield* (yield* Inventory).hosts
  yield* Effect.forEach(hosts, ({ host }) => monitor.awaitUp(host.id), { discard: true })
})

/** From what is done to what was given. */
const goBack = ({ life, scenario, world }: Stage) =>
  life.run(
    Effect.gen(function* () {
      yield* scenario.back(world)
      yield* allUp
      yield* atRestBefore(world)
    })
  )

const procedureNames = Object.keys(Procedures.procedures).filter((name) => Procedures.isProcedureName(name))

/** Every call fails once, from the moment when the last step is recorded as begun: which steps were undone, and which can be. */
export const lastStepFails = (setting: Setting) =>
  Effect.gen(function* () {
    const { done, points } = yield* undisturbed(setting)
    const begun = points.findLast(
      ({ moment, what }) =>
        moment === "after" && what._tag === "Write" && what.label.endsWith(`do ${done.at(-1) ?? ""} started`)
    )
    assert(begun !== undefined, "the last step is begun")
    return yield* inWorld(setting, (world) =>
      Effect.gen(function* () {
        const { scenario } = setting
        const { life } = yield* enter(scenario, world)
        return yield* life.run(
          Effect.gen(function* () {
            const before = yield* portrait(world)
            const fail = Effect.zipRight(
              Effect.forEach(world.hosts, ({ faults }) =>
                Effect.forEach(procedureNames, (name) => faults.fail(name, { code: 1, message: "not now", nth: 1 }))
              ),
              Effect.forEach(Object.keys(Protocol.requests).filter(Protocol.isOperation), (request) =>
                world.cluster.faults.fail(request, { errno: "EIO", nth: 1 })
              ).pipe(
                // nor are the images there that the controller keeps itself
                Effect.andThen(Effect.sync(() => World.kept(world).forEach((path) => rmSync(path))))
              )
            )
            yield* arm(world, begun, Effect.asVoid(fail))
            yield* Effect.either(scenario.work(world))
            yield* allEnded(world)
            yield* disarm(world)
            const [operation] = yield* operationsOf(world)
            assert(operation !== undefined)
            const hypervisor = yield* Hypervisor
            const storage = yield* Storage
            const store = yield* ImageStore
            const library = yield* ImageLibrary
            const inventory = yield* Inventory
            const saga = yield* Kinds.kinds[operation.kind].saga(
              { inventory, hypervisor, storage, store, library },
              operation
            )
            const steps = yield* Effect.flatMap(world.writes.journal, (journal) => journal.steps(operation.id))
            if (operation.state === "failed") {
              const goesBack = saga.unreachable === "undo" && scenario.amiss === undefined
              if (goesBack) assert.deepStrictEqual(yield* portrait(world), before, "it is as before")
              yield* finish(scenario, world)
            } else yield* atRest(world)
            return {
              operation,
              undoable: saga.steps.flatMap(({ name, undo }) => (undo === undefined ? [] : [name])).toReversed(),
              undone: steps.flatMap(({ name, phase, state }) => (phase === "undo" && state === "done" ? [name] : []))
            }
          }).pipe(Effect.provide(life.context))
        )
      }).pipe(within(`${setting.scenario.name}: its last step fails`), Effect.orDie)
    )
  })

// -------------------------------------------------------------------------------------------------------- disturbances

/** Something that happens at a point. */
export interface Disturbance {
  readonly name: string
  readonly at: (point: Point) => boolean
  /** There is no way back from it: each point is passed in a world of its own. */
  readonly alone?: true
  /** From what was given to what is done. False: at this point it means nothing. */
  readonly run: (stage: Stage, point: Point) => Effect.Effect<boolean, unknown, Scope.Scope>
}

const isCall = ({ what }: Point) => what._tag !== "Write"

/** Nothing can be seen or said any more; for ever, unless whoever waits is ended. */
const stopped = Effect.interruptible(Effect.never)

/** The controller ends there, and nobody asks for it again: the next one finishes. */
export const ends: Disturbance = {
  name: "the controller ends",
  at: () => true,
  run: (stage, point) =>
    Effect.gen(function* () {
      const { life, scenario, world } = stage
      const earlier = (yield* life.run(operationsOf(world))).length
      const reached = yield* Deferred.make<void>()
      yield* arm(world, point, Effect.zipRight(Deferred.succeed(reached, undefined), stopped))
      const fiber = yield* Effect.fork(life.run(scenario.work(world)))
      yield* Effect.raceFirst(Deferred.await(reached), Effect.ignore(Fiber.join(fiber)))
      assert.isTrue(yield* Deferred.isDone(reached), "the point is reached again")
      yield* Fiber.interrupt(fiber)
      yield* life.end
      yield* disarm(world)
      stage.life = yield* begin(world)
      yield* stage.life.run(
        Effect.gen(function* () {
          yield* allEnded(world)
          // what was not even begun has to be asked for again
          if ((yield* operationsOf(world)).length === earlier) yield* scenario.work(world)
          yield* atRest(world)
          assert.isTrue(yield* scenario.done(world), "what was begun is done")
        })
      )
      return true
    })
}

/** Asks for it (once more), and has it. */
const finish = Effect.fnUntraced(function* (scenario: Scenario, world: Place) {
  yield* scenario.work(world)
  assert.isTrue(yield* scenario.done(world), "it is done when it is asked for once more")
  yield* atRest(world)
})

interface During {
  readonly life: Life
  readonly world: World.Whole
  readonly point: Point
  /** to be run at the point */
  readonly mark: Effect.Effect<void>
}

interface Options {
  readonly name: string
  readonly at: (point: Point) => boolean
  /** Makes it happen at the point; once the work has ended or cannot go on, `mend` ends it. */
  readonly arm: (during: During) => Effect.Effect<unknown>
  readonly mend?: (world: World.Whole, point: Point) => Effect.Effect<unknown, unknown, AppLive.App>
  /** whether a failure may leave things half done, to be asked for again */
  readonly halfDone?: boolean
}

/** The controller lives on: it ends as done, or as undone. */
const survived = ({ at, halfDone = false, name, mend, ...options }: Options): Disturbance => ({
  name,
  at,
  run: ({ life, scenario, world }, point) =>
    life.run(
      Effect.gen(function* () {
        const before = yield* portrait(world)
        let reached = false
        const mark = Effect.sync(() => {
          reached = true
        })
        yield* options.arm({ life, world, point, mark })
        const answer = yield* Effect.either(scenario.work(world))
        assert.isTrue(reached, `the point is reached again: ${String(answer._tag === "Left" ? answer.left : "done")}`)
        yield* disarm(world)
        if (mend !== undefined) yield* mend(world, point)
        yield* allEnded(world)
        const done = yield* scenario.done(world)
        if (answer._tag === "Right") assert.isTrue(done, "what was said to be done is done")
        if (done) {
          yield* atRest(world)
          return true
        }
        if (!halfDone && scenario.amiss === undefined) {
          yield* atRest(world)
          assert.deepStrictEqual(yield* portrait(world), before, "it is as before")
        }
        yield* finish(scenario, world)
        return true
      })
    )
})

/** The connection that the call came on is lost. */
export const drops = survived({
  name: "the connection drops",
  at: isCall,
  arm: ({ mark, point, world }) => {
    const { what } = point
    const drop =
      what._tag === "Call" ? world.hosts[what.host]!.faults.dropConnections : world.cluster.faults.killSessions
    return arm(world, point, Effect.zipRight(mark, drop))
  },
  // what was being asked of the pool just then, by whomever, has failed, and that is believed for two seconds
  mend: (_, { what }) => (what._tag === "Request" ? Effect.sleep("2 seconds") : Effect.void)
})

const refuse = ({ moment, what }: Point, world: World.Whole, nth: number | undefined) => {
  const effect = moment === "after"
  const which = nth === undefined ? {} : { nth }
  switch (what._tag) {
    case "Call":
      return world.hosts[what.host]!.faults.fail(what.procedure, {
        code: 1,
        message: "no more pixie dust",
        effect,
        ...which
      })
    case "Request":
      return world.cluster.faults.fail(what.request, { errno: "EIO", effect, ...which })
    case "Write":
      return Effect.void
  }
}

/** libvirt removes a file that it could not make whole before it says so. */
const isTakenBack = ({ moment, what }: Point) =>
  moment === "after" && what._tag === "Call" && what.procedure.startsWith("STORAGE_VOL_CREATE_XML")

/** The host, or the pool, refuses the call once: `HostFailure`, `StorageFailure`. */
export const refused = survived({
  name: "the call is refused",
  at: (point) => isCall(point) && !isTakenBack(point),
  arm: ({ mark, point, world }) => Effect.zipRight(arm(world, point, mark), refuse(point, world, point.nth))
})

/** … and from then on every one of that kind, until the operation has ended or somebody is told that it waits. */
export const refusedAlways = survived({
  name: "such calls are refused from then on",
  at: (point) => isCall(point) && point.moment === "before",
  arm: ({ mark, point, world }) => arm(world, point, Effect.zipRight(mark, refuse(point, world, undefined))),
  halfDone: true
})

/** The host's daemon, or all of Ceph, is gone until the operation has ended or somebody is told that it waits. */
export const silent = survived({
  name: "the host or the pool falls silent",
  at: isCall,
  arm: ({ mark, point, world }) => {
    const { what } = point
    const { dropConnections, refuseConnections } = world.images.faults
    const fall =
      what._tag === "Call"
        ? world.hosts[what.host]!.faults.stopLibvirtd
        : Effect.all([refuseConnections(true), world.cluster.faults.killSessions, dropConnections], { discard: true })
    return arm(world, point, Effect.zipRight(mark, fall))
  },
  mend: Effect.fnUntraced(function* (world, { what }) {
    yield* world.images.faults.refuseConnections(false)
    yield* Effect.forEach(world.hosts, ({ faults }) => faults.startLibvirtd)
    // until it is known that they are back; of the pool nobody tells
    yield* what._tag === "Request" ? Effect.sleep("20 seconds") : allUp
  })
})

/** Everything there is can be destroyed, and nothing is promised any more. */
const emptied = Effect.gen(function* () {
  const inventory = yield* Inventory
  const vms = yield* Vms
  const volumes = yield* Volumes
  for (const { id } of yield* vms.list()) yield* vms.destroy(id)
  for (const { id, state } of yield* volumes.list()) {
    for (const snapshot of yield* volumes.snapshots(id)) yield* volumes.destroySnapshot(snapshot.id)
    if (state !== "deleted") yield* volumes.destroy(id)
    yield* volumes.purge(id)
  }
  const none = { cpu: 0, ram: 0, disk: 0 }
  for (const { host, promised } of yield* inventory.hosts) assert.deepStrictEqual(promised, none, host.name)
})

/**
 * The machine dies for good, and is declared lost: whatever was under way ends, and all that there is can be destroyed. Then it is back after all, with
 * what it had on its disks.
 */
export const lost: Disturbance = {
  name: "the host is lost",
  at: ({ what }) => what._tag === "Call",
  alone: true,
  run: ({ life, scenario, world }, point) =>
    life.run(
      Effect.gen(function* () {
        const { what } = point
        if (what._tag !== "Call") return false
        const { faults, state } = world.hosts[what.host]!
        const hosts = yield* Hosts
        const id = (yield* hosts.list)[what.host]!.host.id
        yield* arm(world, point, faults.losePower)
        const working = yield* Effect.fork(Effect.either(scenario.work(world)))
        yield* hosts.get(id).pipe(
          Effect.repeat({
            until: ({ status }) => status._tag === "Down",
            schedule: Schedule.spaced("100 millis")
          })
        )
        yield* disarm(world)
        yield* hosts.change(id, { lost: true })
        yield* Fiber.join(working)
        yield* allEnded(world)
        yield* emptied
        yield* allEnded(world)

        yield* faults.bootAgain
        yield* hosts.change(id, { lost: false })
        yield* allUp
        yield* World.eventually(
          Effect.sync(() => assert.deepStrictEqual([...state.domains.values()], [], "domains there"))
        )
        yield* allEnded(world)
        // what its folder has of volumes that were destroyed meanwhile is told as foreign
        const { pools } = yield* Inventory
        if ((yield* pools).length > 0) {
          // nobody looks for what a domain has said that is undefined already
          World.forgetLogs(world)
          yield* atRest(world)
        }
        return true
      })
    )
}

const diskIsFull = new PersistenceError({ action: "write", cause: new Error("database or disk is full") })

/** The database cannot take the write. */
export const unwritten = survived({
  name: "the database refuses the write",
  at: (point) => !isCall(point) && point.moment === "before",
  arm: ({ mark, point: { nth, what }, world }) =>
    what._tag === "Write" ? world.writes.on(what.label, "before", nth, Effect.zipRight(mark, diskIsFull)) : Effect.void
})

/** Somebody asks for it to be cancelled: it ends as cancelled with nothing left, or as done where it could not be any more. */
export const cancelled: Disturbance = {
  name: "cancel is asked",
  at: () => true,
  run: ({ life, scenario, world }, point) =>
    life.run(
      Effect.gen(function* () {
        const before = yield* portrait(world)
        const operations = yield* Operations
        const journal = yield* world.writes.journal
        let asked: Operation | undefined
        let refusal: unknown
        let reached = false
        const ask = Effect.gen(function* () {
          reached = true
          asked = (yield* journal.unfinished).at(-1)
          if (asked === undefined) return
          const answer = yield* Effect.either(operations.cancel(asked.id))
          if (answer._tag === "Left") refusal = answer.left
        }).pipe(Effect.orDie)
        yield* arm(world, point, ask)
        const answer = yield* Effect.either(scenario.work(world))
        assert.isTrue(reached, "the point is reached again")
        yield* disarm(world)
        yield* allEnded(world)
        const done = yield* scenario.done(world)
        if (done) yield* atRest(world)
        if (asked === undefined || refusal !== undefined) {
          assert.isTrue(done, "what cannot be cancelled is done")
          return asked !== undefined
        }
        const [ended] = (yield* operationsOf(world)).filter(({ id }) => id === asked?.id)
        assert.isTrue(ended?.cancelAsked, "that it was asked is written down")
        if (ended?.state === "done") {
          assert.isTrue(done, "what was done before it was noticed is done")
          return true
        }
        assert.strictEqual(ended?.error, "it was cancelled")
        assert.strictEqual(answer._tag, "Left", "who waits is told")
        if (scenario.amiss === undefined) {
          assert.isFalse(done, "what was cancelled is not done")
          yield* atRest(world)
          assert.deepStrictEqual(yield* portrait(world), before, "it is as before")
        }
        yield* finish(scenario, world)
        return true
      })
    )
}

/** It has failed at the point; `others`: how many were passed before it in the same world. */
class Failed extends Data.TaggedError("Failed")<{
  readonly point: Point
  readonly others: number
  readonly cause: Broken
}> {}

/** Does it at all of these points, one after the other in one world; gives at how many it meant something. */
const inOneWorld = (setting: Setting, points: ReadonlyArray<Point>, disturbance: Disturbance) =>
  inWorld(
    setting,
    Effect.fnUntraced(function* (world) {
      const { scenario } = setting
      let stage: Stage | undefined
      let counted = 0
      for (const [others, point] of points.entries()) {
        yield* Effect.gen(function* () {
          const here = (stage ??= yield* enter(scenario, world))
          if (yield* disturbance.run(here, point)) counted++
          if (others < points.length - 1) yield* goBack(here)
        }).pipe(
          within(`${scenario.name}: ${disturbance.name} ${shown(point)}`),
          Effect.mapError((cause) => new Failed({ point, others, cause }))
        )
      }
      return counted
    })
  )

/** Does it at each of the points that the disturbance is about; gives at how many it meant something. */
export const atEveryPoint = Effect.fnUntraced(function* (
  setting: Setting,
  points: ReadonlyArray<Point>,
  disturbance: Disturbance
) {
  const about = points.filter(disturbance.at)
  const isReal = setting.transport === "ssh"
  const counts = yield* Effect.forEach(
    // in real time most of it is waiting; virtual time stands still as long as others are at work
    isReal || setting.scenario.alone === true || disturbance.alone === true ? about.map((point) => [point]) : [about],
    (some) =>
      Effect.catchTag(inOneWorld(setting, some, disturbance), "Failed", ({ cause, others, point }) =>
        others === 0
          ? Effect.die(cause)
          : Effect.flatMap(Effect.exit(inOneWorld(setting, [point], disturbance)), (alone) => {
              const told = Exit.isSuccess(alone) ? "passes" : "fails too"
              const message = `${cause.message}, after ${others} others in its world; in a world of its own it ${told}`
              return Effect.die(new Error(message, { cause: cause.cause }))
            })
      ),
    { concurrency: isReal ? 8 : 1 }
  )
  return counts.reduce((all, count) => all + count, 0)
})
