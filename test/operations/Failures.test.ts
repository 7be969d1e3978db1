/**
 * Every step of a saga failing with everything that a port can fail with.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Errors from "../../src/domain/Errors.ts"
import * as Ids from "../../src/domain/Ids.ts"
import type * as Saga from "../../src/operations/Saga.ts"
import { broken, held, hostId, make, refused, refusedByStorage, silent, silentStorage } from "./SagaWorld.ts"

const names = ["a", "b", "c"]

const failures: Readonly<Record<Saga.StepError["_tag"] | "defect", Effect.Effect<never, Saga.StepError>>> = {
  HostUnreachable: silent,
  HostFailure: refused,
  StorageUnreachable: silentStorage,
  StorageFailure: refusedByStorage,
  ImageRefused: new Errors.ImageRefused({ image: "test", reason: "it is a VMDK" }),
  GuestHoldsDevice: held,
  GuestIgnores: new Errors.GuestIgnores({
    domain: "vm-7",
    asked: "shut down",
    within: "90 seconds",
    instead: "power it off"
  }),
  VolumeConflict: new Errors.VolumeConflict({ volumeId: Ids.VolumeId.make(3), reason: "is open elsewhere" }),
  OperationTimeout: new Errors.OperationTimeout({ what: "the copy", limit: "1 hour" }),
  PersistenceError: broken,
  defect: Effect.dieMessage("bug")
}

const isSilence = (tag: string) => tag === "HostUnreachable" || tag === "StorageUnreachable"

/** Fails so many times, then does it. */
const failing = (times: number, failure: Effect.Effect<never, Saga.StepError>) => {
  let left = times
  return Effect.suspend((): Effect.Effect<void, Saga.StepError> => (left-- > 0 ? failure : Effect.void))
}

const told = (failure: Effect.Effect<never, Saga.StepError>) =>
  failure.pipe(
    Effect.catchAllDefect(() => Effect.succeed({ message: "internal error: bug" })),
    Effect.catchAll((error) => Effect.succeed(error)),
    Effect.map(({ message }) => message)
  )

describe.each(Object.entries(failures))("a step that fails with %s", (tag, failure) => {
  it.effect("fails what can be undone, wherever it stands, and all of that is undone", () =>
    Effect.gen(function* () {
      const reason = yield* told(failure)
      for (const at of names) {
        const world = make()
        const fiber = yield* Effect.fork(
          Effect.either(world.drive(names.map((name) => (name === at ? world.step(name, failure) : world.step(name)))))
        )
        yield* TestClock.adjust("1 minute")
        yield* world.hostComesBack()
        yield* TestClock.adjust("1 minute")
        const outcome = yield* Fiber.join(fiber)
        const before = names.slice(0, names.indexOf(at) + 1)
        const undone = [...before.toReversed().map((name) => `undo ${name}`), "failed"]
        if (tag === "PersistenceError") {
          // what is recorded is all that is known: the runner begins again from there, and nothing is undone
          assert.isTrue(outcome._tag === "Left" && outcome.left._tag === "PersistenceError")
          assert.deepInclude(world.row, { state: "running", error: null })
          assert.deepStrictEqual(world.happened, before)
          continue
        }
        assert.deepStrictEqual(outcome._tag === "Right" && outcome.right, {
          _tag: "Failed",
          reason,
          unreachableHost: tag === "HostUnreachable" ? hostId : null
        })
        assert.deepInclude(world.row, { state: "failed", error: reason })
        const effects = world.happened.filter((one) => !/^(blocked|goes on|suspect)/.test(one))
        assert.deepStrictEqual(effects.slice(-undone.length), undone)
        assert.strictEqual(world.tries(at), tag === "StorageUnreachable" ? 5 : 1)
      }
    })
  )

  it.effect("is tried on in an undo until it succeeds, wherever that stands", () =>
    Effect.gen(function* () {
      for (const at of names) {
        const world = make()
        const undo = failing(7, failure)
        const steps = names.map((name) => world.step(name, Effect.void, name === at ? undo : Effect.void))
        const fiber = yield* Effect.fork(world.drive([...steps, { name: "d", description: "A test.", act: refused }]))
        for (let i = 0; i < 10; i++) {
          yield* TestClock.adjust("1 minute")
          yield* world.hostComesBack()
        }
        assert.deepStrictEqual(yield* Fiber.join(fiber), {
          _tag: "Failed",
          reason: refused.message,
          unreachableHost: null
        })
        assert.strictEqual(world.tries(`undo ${at}`), 8)
        assert.deepInclude(world.row, { state: "failed", error: refused.message })
        // those who wait were told why it failed, not why the undo takes its time
        const blocks = world.blocks.filter((block) => block !== null)
        assert.isNotEmpty(blocks)
        for (const block of blocks) assert.deepInclude(block, { reason: refused.message, failed: true })
      }
    })
  )

  it.effect("is waited for or refused by what only goes forward, and never undone", () =>
    Effect.gen(function* () {
      const reason = yield* told(failure)
      for (const at of names) {
        const world = make()
        const steps = names.map((name) => ({
          name,
          description: "A test.",
          act: name === at ? world.step(name, failing(30, failure)).act : world.step(name).act
        }))
        const fiber = yield* Effect.fork(Effect.either(world.drive(steps, "wait")))
        for (let i = 0; i < 40; i++) {
          yield* TestClock.adjust("30 seconds")
          yield* world.hostComesBack()
        }
        const outcome = yield* Fiber.join(fiber)
        if (isSilence(tag) || tag === "OperationTimeout") {
          assert.deepStrictEqual(outcome._tag === "Right" && outcome.right, { _tag: "Succeeded" })
          assert.strictEqual(world.tries(at), 31)
          assert.isTrue(world.blocks.some((block) => block !== null && !block.failed && block.reason === reason))
        } else if (tag === "PersistenceError") {
          assert.isTrue(outcome._tag === "Left" && outcome.left._tag === "PersistenceError")
          assert.strictEqual(world.row.state, "running")
        } else {
          // a defect is final, and so is a guest that was waited for; another refusal may pass
          assert.strictEqual(world.tries(at), tag === "defect" || tag === "GuestHoldsDevice" ? 1 : 5)
          assert.deepStrictEqual(outcome._tag === "Right" && outcome.right, {
            _tag: "Failed",
            reason,
            unreachableHost: null
          })
          assert.deepInclude(world.row, { state: "failed", error: reason })
        }
      }
    })
  )
})
