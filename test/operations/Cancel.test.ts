/**
 * A saga that is asked to stop, at every point where that can come.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type * as Saga from "../../src/operations/Saga.ts"
import { hostId, make, refused, silent, silentStorage } from "./SagaWorld.ts"

const names = ["a", "b", "c"]
const cancelled = { _tag: "Failed", reason: "it was cancelled", unreachableHost: null } as const

const undoOf = (done: ReadonlyArray<string>) => [...done.toReversed().map((name) => `undo ${name}`), "failed"]

/** A step's effect that tells when it has begun, and ends when it is let. */
const gate = Effect.gen(function* () {
  const begun = yield* Deferred.make<void>()
  const let_ = yield* Deferred.make<void>()
  return {
    begun: Deferred.await(begun),
    open: Deferred.succeed(let_, undefined),
    effect: Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(let_))
  }
})

describe("a cancelled saga", () => {
  it.effect("that was not taken up yet does nothing at all", () =>
    Effect.gen(function* () {
      const world = make()
      world.row.cancelAsked = true
      assert.deepStrictEqual(yield* world.drive(names.map((name) => world.step(name))), cancelled)
      assert.deepStrictEqual(world.happened, ["failed"])
      assert.deepInclude(world.row, { state: "failed", error: "it was cancelled" })
    })
  )

  it.effect("stops after the step that is under way, which is not interrupted, and is undone", () =>
    Effect.gen(function* () {
      for (const at of names) {
        const world = make()
        const { begun, effect, open } = yield* gate
        let interrupted = false
        const act = Effect.onInterrupt(effect, () => Effect.sync(() => void (interrupted = true)))
        const fiber = yield* Effect.fork(
          world.drive(names.map((name) => (name === at ? world.step(name, act) : world.step(name))))
        )
        yield* begun
        yield* world.cancel
        yield* TestClock.adjust("1 minute")
        const before = names.slice(0, names.indexOf(at) + 1)
        assert.deepStrictEqual(world.happened, before, "the call goes on")
        yield* open
        const outcome = yield* Fiber.join(fiber)
        assert.isFalse(interrupted)
        if (at === "c") {
          // nothing is left to be stopped
          assert.deepStrictEqual(outcome, { _tag: "Succeeded" })
          assert.deepStrictEqual(world.happened, [...names, "succeeded"])
        } else {
          assert.deepStrictEqual(outcome, cancelled)
          assert.deepStrictEqual(world.happened, [...before, ...undoOf(before)])
        }
      }
    })
  )

  it.effect("that is taken up after a stop begins its undo, wherever it stood", () =>
    Effect.gen(function* () {
      for (const at of names) {
        const world = make()
        const { begun, effect } = yield* gate
        const fiber = yield* Effect.fork(
          world.drive(names.map((name) => (name === at ? world.step(name, effect) : world.step(name))))
        )
        yield* begun
        yield* Fiber.interrupt(fiber)
        world.happened.length = 0
        world.row.cancelAsked = true
        assert.deepStrictEqual(yield* world.drive(names.map((name) => world.step(name))), cancelled)
        // the step that had begun may have taken effect
        assert.deepStrictEqual(world.happened, undoOf(names.slice(0, names.indexOf(at) + 1)))
      }
    })
  )

  it.effect("with all its steps recorded simply succeeds", () =>
    Effect.gen(function* () {
      const world = make()
      world.row.state = "running"
      // as versions before 0.15 may have left it
      for (const name of names) world.rows.push({ phase: "do", name, state: "done", tries: 1 })
      world.row.cancelAsked = true
      assert.deepStrictEqual(yield* world.drive(names.map((name) => world.step(name))), { _tag: "Succeeded" })
      assert.deepStrictEqual(world.happened, ["succeeded"])
    })
  )

  it.effect("stops at once in a step that can be interrupted, and undoes it", () =>
    Effect.gen(function* () {
      const world = make()
      const { begun, effect } = yield* gate
      const send: Saga.Step = { ...world.step("b", effect), cancellable: true }
      const fiber = yield* Effect.fork(world.drive([world.step("a"), send, world.step("c")]))
      yield* begun
      yield* world.cancel
      assert.deepStrictEqual(yield* Fiber.join(fiber), cancelled)
      assert.deepStrictEqual(world.happened, ["a", "b", ...undoOf(["a", "b"])])
      assert.deepStrictEqual(world.rows[1], { phase: "do", name: "b", state: "failed", tries: 1 })
    })
  )

  it.effect("stops at once while it waits: for the next try, for a host, for storage", () =>
    Effect.gen(function* () {
      const cases = [
        ["a try", silent, true],
        ["a host", silent, false],
        ["storage", silentStorage, false]
      ] as const
      for (const [what, error, alwaysUp] of cases) {
        const world = make({ alwaysUp })
        const fiber = yield* Effect.fork(
          world.drive([world.step("a"), { name: "b", description: "A test.", act: error }])
        )
        // in the first pause
        yield* TestClock.adjust("10 millis")
        assert.isNotNull(world.progress.at(-1)?.waiting, what)
        yield* world.cancel
        // for its undo
        yield* world.hostComesBack()
        assert.deepStrictEqual(yield* Fiber.join(fiber), cancelled, what)
        assert.deepStrictEqual(world.happened.slice(-2), ["undo a", "failed"], what)
      }
    })
  )

  it.effect("stops at once while it waits for a host to which nothing was sent yet", () =>
    Effect.gen(function* () {
      const world = make()
      yield* world.goDown(hostId, "no route")
      const fiber = yield* Effect.fork(world.drive([{ name: "a", description: "A test.", act: Effect.void }]))
      yield* TestClock.adjust("10 millis")
      yield* world.cancel
      assert.deepStrictEqual(yield* Fiber.join(fiber), cancelled)
    })
  )

  it.effect("tells the cancel, not what failed in the same moment, and names no host to begin anew without", () =>
    Effect.gen(function* () {
      for (const error of [refused, silent]) {
        const world = make()
        const failing = Effect.suspend((): Effect.Effect<void, Saga.StepError> => error)
        const act = Effect.zipRight(world.cancel, failing)
        const fiber = yield* Effect.fork(world.drive([world.step("a", act)]))
        yield* TestClock.adjust("1 minute")
        yield* world.hostComesBack()
        assert.deepStrictEqual(yield* Fiber.join(fiber), cancelled)
        for (const block of world.blocks)
          if (block !== null) assert.deepInclude(block, { reason: "it was cancelled", host: null })
        assert.strictEqual(world.blocks.length > 0, error === silent)
      }
    })
  )

  it.effect("whose undo waits for a host says that it was cancelled, also after a restart", () =>
    Effect.gen(function* () {
      const world = make()
      world.row.cancelAsked = true
      world.row.state = "undoing"
      world.row.error = "it was cancelled"
      world.rows.push({ phase: "do", name: "a", state: "done", tries: 1 })
      yield* world.goDown(hostId, "no route")
      const fiber = yield* Effect.fork(world.drive([world.step("a")]))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(world.blocks, [{ reason: "it was cancelled", failed: true, waitsFor: "host", host: null }])
      yield* world.hostComesBack()
      assert.deepStrictEqual(yield* Fiber.join(fiber), cancelled)
    })
  )

  it.effect("that only goes forward goes on", () =>
    Effect.gen(function* () {
      const world = make()
      world.row.cancelAsked = true
      assert.deepStrictEqual(yield* world.drive([world.step("a")], "wait"), { _tag: "Succeeded" })
    })
  )

  it.effect("goes on being undone where a stop left it, and never goes forward again", () =>
    Effect.gen(function* () {
      const world = make()
      const { begun, effect } = yield* gate
      const steps = (undo: Effect.Effect<void> = Effect.void) => [
        world.step("a", Effect.void, undo),
        world.step("b", world.cancel),
        world.step("c")
      ]
      const fiber = yield* Effect.fork(world.drive(steps(effect)))
      yield* begun
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(world.happened, ["a", "b", "undo b", "undo a"])
      assert.strictEqual(world.row.state, "undoing")
      world.happened.length = 0
      assert.deepStrictEqual(yield* world.drive(steps()), cancelled)
      assert.deepStrictEqual(world.happened, ["undo a", "failed"])
    })
  )
})
