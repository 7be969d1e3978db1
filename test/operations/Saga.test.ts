import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Errors from "../../src/domain/Errors.ts"
import * as Ids from "../../src/domain/Ids.ts"
import { Operation, type OperationState } from "../../src/domain/Operation.ts"
import * as Saga from "../../src/operations/Saga.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Journal, type Phase, type StepRecord } from "../../src/services/Journal.ts"

const operation = Operation.make({
  id: Ids.OperationId.make("6f1f3a52-2a0c-4b0e-9d7a-111111111111"),
  kind: "CreateVm",
  vmId: Ids.VmId.make(7),
  state: "pending",
  error: null
})
const hostId = Ids.HostId.make(1)
const silent = new Errors.HostUnreachable({ host: "root@h1", reason: "libvirt does not answer" })
const refused = new Errors.HostFailure({ host: "root@h1", action: "start vm-7", reason: "no memory" })
const broken = new Errors.PersistenceError({ action: "write a step", cause: new Error("disk full") })

/** A journal in memory, a host that can be silent, and a list of all that happened. */
const makeWorld = () => {
  const happened: Array<string> = []
  const rows: Array<{ -readonly [K in keyof StepRecord]: StepRecord[K] }> = []
  const operationRow: { state: OperationState; error: string | null } = { state: "pending", error: null }
  let journalFails: ((phase: Phase, name: string) => boolean) | undefined
  const up = Deferred.unsafeMake<void>(operationFiberId)
  const find = (phase: Phase, name: string) => rows.find((r) => r.phase === phase && r.name === name)
  const mark = (phase: Phase, name: string, state: StepRecord["state"]) =>
    Effect.sync(() => {
      const row = find(phase, name)
      if (row !== undefined) row.state = state
    })
  const journal = Journal.of({
    unfinished: Effect.succeed([]),
    steps: () => Effect.sync(() => rows.map((row) => ({ ...row }))),
    stepStarted: (_, phase, name) =>
      Effect.suspend(() => {
        if (journalFails?.(phase, name) === true) return broken
        const row = find(phase, name)
        if (row === undefined) rows.push({ phase, name, state: "started", tries: 1 })
        else Object.assign(row, { state: "started", tries: row.tries + 1 })
        return Effect.void
      }),
    stepDone: (_, phase, name) => mark(phase, name, "done"),
    stepFailed: (_, phase, name) => mark(phase, name, "failed"),
    setState: (_, state, error) =>
      Effect.sync(() => {
        operationRow.state = state
        operationRow.error ??= error ?? null
      })
  })
  const monitor = HostMonitor.of({
    statuses: Effect.succeed(new Map()),
    settled: Effect.void,
    awaitUp: () => Effect.suspend(() => Deferred.await(up)),
    suspect: (_, reason) => Effect.sync(() => void happened.push(`suspect: ${reason}`))
  })
  const step = (
    name: string,
    act: Effect.Effect<void, Saga.StepError> = Effect.void,
    undo: Effect.Effect<void, Saga.StepError> = Effect.void
  ): Saga.Step => ({
    name,
    act: Effect.zipRight(
      Effect.sync(() => void happened.push(name)),
      act
    ),
    undo: Effect.zipRight(
      Effect.sync(() => void happened.push(`undo ${name}`)),
      undo
    )
  })
  const drive = (steps: ReadonlyArray<Saga.Step>, unreachable: Saga.Saga["unreachable"] = "undo") =>
    Effect.suspend(() =>
      Saga.drive(
        { journal, monitor },
        Operation.make({ ...operation, ...operationRow }),
        {
          hostId,
          steps,
          unreachable,
          succeeded: Effect.sync(() => void happened.push("succeeded")),
          failed: Effect.sync(() => void happened.push("failed"))
        },
        (blocked) => Effect.sync(() => void happened.push(blocked === null ? "goes on" : `blocked: ${blocked.reason}`))
      )
    )
  return {
    happened,
    rows,
    operationRow,
    step,
    drive,
    hostComesBack: Effect.suspend(() => Deferred.succeed(up, undefined)),
    failJournal: (when: typeof journalFails) => void (journalFails = when)
  }
}
const operationFiberId = Fiber.id(Fiber.void)

describe("the saga runner", () => {
  it.effect("does its steps in order and records each", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const outcome = yield* world.drive([world.step("a"), world.step("b")])
      assert.deepStrictEqual(outcome, { _tag: "Succeeded" })
      assert.deepStrictEqual(world.happened, ["a", "b", "succeeded"])
      assert.strictEqual(world.operationRow.state, "done")
    })
  )

  it.effect("undoes in reverse after a failure, the failed step included, and tells the first reason", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const outcome = yield* world.drive([world.step("a"), world.step("b"), world.step("c", refused), world.step("d")])
      assert.deepStrictEqual(outcome, { _tag: "Failed", reason: refused.message, unreachableHost: null })
      assert.deepStrictEqual(world.happened, ["a", "b", "c", "undo c", "undo b", "undo a", "failed"])
      assert.deepStrictEqual(world.operationRow, { state: "failed", error: refused.message })
    })
  )

  it.effect("undoes after a defect too", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const outcome = yield* world.drive([world.step("a"), world.step("b", Effect.dieMessage("bug"))])
      assert.deepStrictEqual(outcome, { _tag: "Failed", reason: "internal error: bug", unreachableHost: null })
      assert.deepStrictEqual(world.happened, ["a", "b", "undo b", "undo a", "failed"])
    })
  )

  it.effect("a stop at any step undoes nothing, and the next start goes on from there", () =>
    Effect.gen(function* () {
      const names = ["a", "b", "c"]
      for (const stopAt of names) {
        const world = makeWorld()
        const reached = yield* Deferred.make<void>()
        const hang = Effect.zipRight(Deferred.succeed(reached, undefined), Effect.never)
        const fiber = yield* Effect.fork(
          world.drive(names.map((name) => world.step(name, name === stopAt ? hang : Effect.void)))
        )
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
        const before = names.slice(0, names.indexOf(stopAt) + 1)
        assert.deepStrictEqual(world.happened, before)
        assert.strictEqual(world.operationRow.state, "running")

        yield* world.drive(names.map((name) => world.step(name)))
        assert.deepStrictEqual(world.happened, [...before, ...names.slice(names.indexOf(stopAt)), "succeeded"])
      }
    })
  )

  it.effect("a stop in the middle of an undo goes on undoing, and never does a step again", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const reached = yield* Deferred.make<void>()
      const hang = Effect.zipRight(Deferred.succeed(reached, undefined), Effect.never)
      const fiber = yield* Effect.fork(
        world.drive([world.step("a"), world.step("b", Effect.void, hang), world.step("c", refused)])
      )
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(world.operationRow.state, "undoing")

      world.happened.length = 0
      const outcome = yield* world.drive([world.step("a"), world.step("b"), world.step("c")])
      assert.deepStrictEqual(outcome, { _tag: "Failed", reason: refused.message, unreachableHost: null })
      assert.deepStrictEqual(world.happened, ["undo b", "undo a", "failed"])
    })
  )

  it.effect("a silent host is tried again, then the saga is undone once the host is back", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      let answers = false
      const undo = Effect.suspend(() => (answers ? Effect.void : silent))
      const fiber = yield* Effect.fork(world.drive([world.step("a"), world.step("b", silent, undo)]))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(world.operationRow.state, "undoing")
      assert.isAbove(world.happened.filter((h) => h === "b").length, 1)
      assert.include(world.happened, `blocked: ${silent.message}`)
      assert.notInclude(world.happened, "undo a")

      answers = true
      yield* world.hostComesBack
      const outcome = yield* Fiber.join(fiber)
      assert.deepStrictEqual(outcome, { _tag: "Failed", reason: silent.message, unreachableHost: hostId })
      assert.deepStrictEqual(world.happened.slice(-2), ["undo a", "failed"])
    })
  )

  it.effect("a saga that can only go forward waits for a silent host", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      let answers = false
      const act = Effect.suspend(() => (answers ? Effect.void : silent))
      const fiber = yield* Effect.fork(world.drive([world.step("a", act), world.step("b")], "wait"))
      yield* TestClock.adjust("1 minute")
      assert.include(world.happened, `blocked: ${silent.message}`)
      assert.strictEqual(world.operationRow.state, "running")

      answers = true
      yield* world.hostComesBack
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Succeeded" })
      assert.deepStrictEqual(world.happened.slice(-2), ["b", "succeeded"])
    })
  )

  it.effect("an undo the host refuses is tried until it succeeds", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      let refusals = 12 // more than those who wait are kept waiting for
      const undo = Effect.suspend(() => (refusals-- > 0 ? refused : Effect.void))
      const fiber = yield* Effect.fork(world.drive([world.step("a", Effect.void, undo), world.step("b", refused)]))
      yield* TestClock.adjust("10 seconds")
      assert.include(world.happened, `blocked: ${refused.message}`)
      assert.strictEqual(world.operationRow.state, "undoing")
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.isBelow(refusals, 0)
      assert.strictEqual(world.operationRow.state, "failed")
    })
  )

  it.effect("a database that fails stops the runner where it is: nothing is done unrecorded, nothing is undone", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      world.failJournal((_, name) => name === "b")
      const error = yield* Effect.flip(world.drive([world.step("a"), world.step("b")]))
      assert.strictEqual(error._tag, "PersistenceError")
      assert.deepStrictEqual(world.happened, ["a"])

      world.failJournal(undefined)
      yield* world.drive([world.step("a"), world.step("b")])
      assert.deepStrictEqual(world.happened, ["a", "b", "succeeded"])
    })
  )
})
