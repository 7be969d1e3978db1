/**
 * Time limits, the budget of tries, progress, and how often the journal is written.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Retry from "../../src/operations/Retry.ts"
import * as Saga from "../../src/operations/Saga.ts"
import { StepProgress } from "../../src/services/StepProgress.ts"
import { hostId, make, refused, silent, silentStorage } from "./SagaWorld.ts"

describe("a step's time limit", () => {
  it.effect("ends a try that hangs, and the saga is undone", () =>
    Effect.gen(function* () {
      const world = make()
      let interrupted = false
      const hang = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted = true)))
      const fiber = yield* Effect.fork(world.drive([world.step("a"), world.step("b", hang)]))
      yield* TestClock.adjust(Duration.subtract(Saga.limits.step, "1 second"))
      assert.strictEqual(world.row.state, "running")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(fiber), {
        _tag: "Failed",
        reason: "step b did not end within 5 minutes",
        unreachableHost: null
      })
      assert.isTrue(interrupted)
      assert.deepStrictEqual(world.happened, ["a", "b", "undo b", "undo a", "failed"])
    })
  )

  it.effect("holds for a try that does not let itself be interrupted", () =>
    Effect.gen(function* () {
      const world = make()
      const end = yield* Deferred.make<void>()
      const step = { ...world.step("a", Effect.uninterruptible(Deferred.await(end))), limit: "90 seconds" as const }
      const fiber = yield* Effect.fork(world.drive([step]))
      yield* TestClock.adjust("2 minutes")
      assert.deepInclude(world.row, { state: "failed", error: "step a did not end within 90 seconds" })
      yield* Deferred.succeed(end, undefined)
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "Failed" })
    })
  )

  it.effect("of its own is for what takes longer", () =>
    Effect.gen(function* () {
      const world = make()
      const image = { ...world.step("image", Effect.sleep("5 hours")), limit: Saga.limits.copy }
      const fiber = yield* Effect.fork(world.drive([image], "undo", { limit: Saga.limits.sagaWithCopy }))
      yield* TestClock.adjust("5 hours")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Succeeded" })
    })
  )

  it.effect("is for each try: what has no other way is tried on, and those who wait are told", () =>
    Effect.gen(function* () {
      const world = make()
      let hangs = 3
      const act = Effect.suspend(() => (hangs-- > 0 ? Effect.never : Effect.void))
      const fiber = yield* Effect.fork(world.drive([world.step("a", act)], "wait"))
      yield* TestClock.adjust("5 minutes")
      const reason = "step a did not end within 5 minutes"
      assert.deepStrictEqual(world.blocks, [{ reason, failed: false, waitsFor: "host", host: null }])
      yield* TestClock.adjust("11 minutes")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Succeeded" })
      assert.strictEqual(world.tries("a"), 4)
    })
  )

  it.effect("is for an undo too, which is tried on", () =>
    Effect.gen(function* () {
      const world = make()
      let hangs = 1
      const undo = Effect.suspend(() => (hangs-- > 0 ? Effect.never : Effect.void))
      const fiber = yield* Effect.fork(world.drive([world.step("a", refused, undo)]))
      yield* TestClock.adjust("6 minutes")
      assert.deepStrictEqual(yield* Fiber.join(fiber), {
        _tag: "Failed",
        reason: refused.message,
        unreachableHost: null
      })
      assert.strictEqual(world.tries("undo a"), 2)
      assert.deepInclude(world.blocks[0], { reason: refused.message, failed: true })
    })
  )
})

describe("the whole's time limit", () => {
  const reason = "the whole operation did not end within 1 hour"

  it.effect("lets the call that is under way end, begins no other, and undoes what there is", () =>
    Effect.gen(function* () {
      const world = make()
      const slow = (name: string) => ({ ...world.step(name, Effect.sleep("25 minutes")), limit: "1 hour" as const })
      const fiber = yield* Effect.fork(world.drive([slow("a"), slow("b"), slow("c"), slow("d")]))
      yield* TestClock.adjust("74 minutes")
      assert.deepStrictEqual(world.happened, ["a", "b", "c"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Failed", reason, unreachableHost: null })
      assert.deepStrictEqual(world.happened.slice(3), ["undo c", "undo b", "undo a", "failed"])
    })
  )

  it.effect("ends at once what can be interrupted", () =>
    Effect.gen(function* () {
      const world = make()
      const image = { ...world.step("a", Effect.never), cancellable: true as const, limit: Saga.limits.copy }
      const fiber = yield* Effect.fork(world.drive([image]))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Failed", reason, unreachableHost: null })
    })
  )

  it.effect("counts from when it was begun, whoever drives it", () =>
    Effect.gen(function* () {
      const world = make()
      const first = yield* Effect.fork(world.drive([world.step("a"), world.step("b", Effect.never)]))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(world.row.state, "running", "nothing is undone because of a stop")
      world.happened.length = 0
      const outcome = yield* world.drive([world.step("a"), world.step("b"), world.step("c")])
      assert.deepStrictEqual(outcome, { _tag: "Failed", reason, unreachableHost: null })
      assert.deepStrictEqual(world.happened, ["undo b", "undo a", "failed"])
    })
  )

  it.effect("does not undo what is done to the last step", () =>
    Effect.gen(function* () {
      const world = make()
      world.row.state = "running"
      // as versions before 0.15 may have left it
      world.rows.push({ phase: "do", name: "a", state: "done", tries: 1 })
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual(yield* world.drive([world.step("a")]), { _tag: "Succeeded" })
    })
  )

  it.effect("only tells those who wait for what has no other way", () =>
    Effect.gen(function* () {
      const world = make()
      const slow = { ...world.step("a", Effect.sleep("90 minutes")), limit: "2 hours" as const }
      const fiber = yield* Effect.fork(world.drive([slow, world.step("b")], "wait"))
      yield* TestClock.adjust("59 minutes")
      assert.deepStrictEqual(world.blocks, [])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(world.blocks, [{ reason, failed: false, waitsFor: "host", host: null }])
      yield* TestClock.adjust("30 minutes")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Succeeded" })
      assert.deepStrictEqual(world.row.state, "done")
    })
  )
})

describe("the budget of tries", () => {
  /** Fails so many times, then does it. */
  const after = (failures: number, error: Saga.StepError) => {
    let left = failures
    return Effect.suspend((): Effect.Effect<void, Saga.StepError> => (left-- > 0 ? error : Effect.void))
  }

  it.effect("is for the whole operation, and is told when it is used up", () =>
    Effect.gen(function* () {
      for (const error of [silent, silentStorage]) {
        const world = make({ alwaysUp: true })
        const names = ["a", "b", "c", "d", "e", "f", "g", "h"]
        const fiber = yield* Effect.fork(world.drive(names.map((name) => world.step(name, after(4, error)))))
        yield* TestClock.adjust("5 minutes")
        const outcome = yield* Fiber.join(fiber)
        assert.deepInclude(outcome, {
          _tag: "Failed",
          reason: `${error.message}; it is given up after 24 tries that failed`
        })
        const tries = names.reduce((sum, name) => sum + world.tries(name), 0)
        // five steps went well in the end
        assert.strictEqual(tries, Retry.budget + 5)
        assert.strictEqual(world.happened.at(-1), "failed")
      }
    })
  )

  it.effect("is not used by what waits for as long as it takes", () =>
    Effect.gen(function* () {
      const world = make({ alwaysUp: true })
      const fiber = yield* Effect.fork(world.drive([world.step("a", after(60, silentStorage))], "wait"))
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Succeeded" })
    })
  )

  it.effect("counts what earlier processes have begun in vain", () =>
    Effect.gen(function* () {
      const world = make({ alwaysUp: true })
      world.row.state = "running"
      world.rows.push({ phase: "do", name: "a", state: "started", tries: Retry.budget })
      const fiber = yield* Effect.fork(world.drive([world.step("a", after(2, silent))]))
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "Failed" })
      assert.strictEqual(world.tries("a"), 1)
      // but one that has no time to lose still gets its try
      const lucky = make()
      lucky.row.state = "running"
      lucky.rows.push({ phase: "do", name: "a", state: "started", tries: 100 })
      assert.deepStrictEqual(yield* lucky.drive([lucky.step("a")]), { _tag: "Succeeded" })
    })
  )
})

describe("the journal", () => {
  it.effect(
    "is written once between two effects: six times for five steps, the last time with what the inventory is told",
    () =>
      Effect.gen(function* () {
        const world = make()
        const names = ["a", "b", "c", "d", "e"]
        const seen: Array<number> = []
        const counting = Effect.sync(() => void seen.push(world.entries.length))
        yield* world.drive(
          names.map((name) => world.step(name, counting)),
          "undo",
          {
            succeeded: counting
          }
        )
        // of what is written together, it is written first
        assert.deepStrictEqual(seen, [1, 2, 3, 4, 5, 5])
        const step = (name: string) => ({ phase: "do", name }) as const
        const done = (name: string) => ({ ...step(name), state: "done" }) as const
        assert.deepStrictEqual(world.entries, [
          { state: { to: "running" }, started: step("a") },
          { ended: done("a"), started: step("b") },
          { ended: done("b"), started: step("c") },
          { ended: done("c"), started: step("d") },
          { ended: done("d"), started: step("e") },
          { ended: done("e"), state: { to: "done" } }
        ])
      })
  )

  it.effect("has with one record what failed, that it is undone for that, and the first undo", () =>
    Effect.gen(function* () {
      const world = make()
      yield* world.drive([world.step("a"), world.step("b", refused)])
      const error = refused.message
      assert.deepStrictEqual(world.entries.slice(2), [
        {
          ended: { phase: "do", name: "b", state: "failed", error },
          state: { to: "undoing", error },
          started: { phase: "undo", name: "b" }
        },
        { ended: { phase: "undo", name: "b", state: "done" }, started: { phase: "undo", name: "a" } },
        { ended: { phase: "undo", name: "a", state: "done" }, state: { to: "failed" } }
      ])
    })
  )

  it.effect("keeps what was done when a cancel comes between two steps", () =>
    Effect.gen(function* () {
      const world = make()
      yield* world.drive([{ name: "a", description: "A test.", act: Effect.asVoid(world.cancel) }, world.step("b")])
      assert.deepStrictEqual(world.entries.slice(1), [
        { ended: { phase: "do", name: "a", state: "done" }, state: { to: "undoing", error: "it was cancelled" } },
        { state: { to: "failed" } }
      ])
    })
  )
})

describe("progress", () => {
  it.effect("tells the step, the tries, what is waited for, and how far the step is", () =>
    Effect.gen(function* () {
      const world = make()
      const percent = Effect.flatMap(StepProgress, ({ tell }) => Effect.zipRight(tell(40), tell(80)))
      let answers = false
      const act = Effect.suspend(() => (answers ? Effect.void : silentStorage))
      const fiber = yield* Effect.fork(world.drive([world.step("image", percent), world.step("disk", act)]))
      yield* TestClock.adjust("10 millis")
      const image = {
        phase: "do",
        step: "image",
        description: "Do image.",
        number: 1,
        of: 2,
        percent: null,
        tries: 1,
        waiting: null
      } as const
      const disk = { ...image, step: "disk", description: "Do disk.", number: 2 }
      const waiting = "Ceph pool vms does not answer: no monitor answers"
      assert.deepStrictEqual(world.progress, [
        { ...image, tries: 0 },
        image,
        { ...image, percent: 40 },
        { ...image, percent: 80 },
        { ...disk, tries: 0 },
        disk,
        { ...disk, waiting }
      ])
      answers = true
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(world.progress.at(-1), { ...disk, tries: 2 })
    })
  )

  it.effect("of an undo counts what is to be undone", () =>
    Effect.gen(function* () {
      const world = make()
      const steps = [
        world.step("a"),
        { name: "b", description: "A test.", act: Effect.void },
        world.step("c", refused),
        world.step("d")
      ]
      yield* world.goDown(hostId, "no route")
      yield* world.hostComesBack()
      yield* world.drive(steps)
      const undone = world.progress.filter(({ phase, tries }) => phase === "undo" && tries === 1)
      assert.deepStrictEqual(
        undone.map(({ number, of, step }) => [step, number, of]),
        [
          ["c", 1, 2],
          ["a", 2, 2]
        ]
      )
    })
  )

  it.effect("of a step that has ended is not told any more, whatever goes on of it for others", () =>
    Effect.gen(function* () {
      const world = make()
      let late: Effect.Effect<void> = Effect.void
      const act = Effect.flatMap(StepProgress, ({ tell }) => Effect.sync(() => void (late = tell(90))))
      yield* world.drive([
        world.step("a", act),
        world.step(
          "b",
          Effect.suspend(() => late)
        )
      ])
      assert.isTrue(world.progress.every(({ percent }) => percent === null))
    })
  )
})

describe("a duration in words", () => {
  it("is in the largest unit that fits", () => {
    const words = ["1 hour", "8 hours", "90 minutes", "1 minute", "1 second", "90 seconds"] as const
    assert.deepStrictEqual(
      words.map((text) => Retry.inWords(text)),
      [...words]
    )
  })
})
