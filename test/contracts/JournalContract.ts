/** What every Journal must do. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { HostId, ImageId, OperationId } from "../../src/domain/Ids.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import { fleet, type } from "../inventory/Fleet.ts"

const started = Effect.gen(function* () {
  const inventory = yield* Inventory
  const journal = yield* Journal
  yield* inventory.applyFleet(fleet)
  const begin = Effect.map(
    inventory.admit({ name: "web", instanceType: type(1), imageId: ImageId.make(100) }, () =>
      Effect.succeed(HostId.make(1))
    ),
    ({ operation }) => operation
  )
  return { inventory, journal, begin }
})

const unknown = OperationId.make("6f1b8b52-5df1-4a43-9a3c-0d1b6f0d3a11")

export const journalContract = <E>(name: string, layer: Layer.Layer<Inventory | Journal, E>) =>
  describe(`Journal: ${name}`, () => {
    it.effect("tells the steps in the order they were first started, with their tries", () =>
      Effect.gen(function* () {
        const { begin, journal } = yield* started
        const { id } = yield* begin
        const other = yield* begin
        assert.deepStrictEqual(yield* journal.steps(id), [])
        yield* journal.stepStarted(id, "do", "root disk")
        yield* journal.stepStarted(other.id, "do", "image")
        yield* journal.stepDone(id, "do", "root disk")
        yield* journal.stepStarted(id, "do", "define")
        yield* journal.stepFailed(id, "do", "define", "refused")
        yield* journal.stepStarted(id, "do", "define")
        yield* journal.stepStarted(id, "undo", "define")
        // started again after a restart: its place does not change
        yield* journal.stepStarted(id, "do", "root disk")
        yield* journal.stepDone(id, "do", "root disk")
        yield* journal.stepFailed(id, "undo", "define", "busy")
        assert.deepStrictEqual(yield* journal.steps(id), [
          { phase: "do", name: "root disk", state: "done", tries: 2 },
          { phase: "do", name: "define", state: "started", tries: 2 },
          { phase: "undo", name: "define", state: "failed", tries: 1 }
        ])
        assert.strictEqual((yield* journal.steps(other.id)).length, 1)
      }).pipe(Effect.provide(layer))
    )

    it.effect("tells what has not ended, oldest first", () =>
      Effect.gen(function* () {
        const { begin, journal } = yield* started
        const operations = yield* Effect.all(Array.from({ length: 5 }, () => begin))
        const [first, second, third, fourth] = operations
        if (!first || !second || !third || !fourth) return assert.fail("five were begun")
        yield* journal.setState(fourth.id, "running")
        yield* journal.setState(second.id, "undoing", "the host is full")
        yield* journal.setState(first.id, "done")
        yield* journal.setState(third.id, "failed", "no")
        const unfinished = yield* journal.unfinished
        assert.deepStrictEqual(
          unfinished.map(({ error, state, vmId }) => [vmId, state, error]),
          [
            [second.vmId, "undoing", "the host is full"],
            [fourth.vmId, "running", null],
            [operations[4]?.vmId, "pending", null]
          ]
        )
      }).pipe(Effect.provide(layer))
    )

    it.effect("keeps the first error", () =>
      Effect.gen(function* () {
        const { begin, inventory, journal } = yield* started
        const { id } = yield* begin
        yield* journal.setState(id, "undoing", "the first")
        yield* journal.setState(id, "failed", "the second")
        const operation = Option.getOrThrow(yield* inventory.operation(id))
        assert.deepStrictEqual([operation.state, operation.error], ["failed", "the first"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("lets what has ended stay ended", () =>
      Effect.gen(function* () {
        const { begin, inventory, journal } = yield* started
        const { id } = yield* begin
        yield* journal.setState(id, "done")
        yield* journal.setState(id, "done")
        for (const state of ["pending", "running", "undoing", "failed"] as const) {
          assert.isTrue(Exit.isFailure(yield* Effect.exit(journal.setState(id, state))), state)
        }
        assert.strictEqual(Option.getOrThrow(yield* inventory.operation(id)).state, "done")
      }).pipe(Effect.provide(layer))
    )

    it.effect("records nothing of an operation or a step that was not begun", () =>
      Effect.gen(function* () {
        const { begin, journal } = yield* started
        const { id } = yield* begin
        yield* journal.stepStarted(id, "do", "image")
        const wrong = [
          journal.setState(unknown, "running"),
          journal.stepStarted(unknown, "do", "image"),
          journal.stepDone(unknown, "do", "image"),
          journal.stepDone(id, "undo", "image"),
          journal.stepFailed(id, "do", "define", "no")
        ]
        for (const effect of wrong) assert.isTrue(Exit.isFailure(yield* Effect.exit(effect)))
        assert.deepStrictEqual(yield* journal.steps(unknown), [])
        assert.deepStrictEqual(yield* journal.steps(id), [{ phase: "do", name: "image", state: "started", tries: 1 }])
      }).pipe(Effect.provide(layer))
    )

    it.effect("keeps the steps of many operations apart that are written at once", () =>
      Effect.gen(function* () {
        const { begin, journal } = yield* started
        const operations = yield* Effect.all(Array.from({ length: 40 }, () => begin))
        const names = ["image", "root disk", "define", "start"]
        yield* Effect.forEach(
          operations,
          ({ id }) =>
            Effect.forEach(names, (step) =>
              Effect.zipRight(journal.stepStarted(id, "do", step), journal.stepDone(id, "do", step))
            ),
          { concurrency: "unbounded" }
        )
        for (const { id } of operations) {
          assert.deepStrictEqual(
            yield* journal.steps(id),
            names.map((step) => ({ phase: "do", name: step, state: "done", tries: 1 }) as const)
          )
        }
      }).pipe(Effect.provide(layer))
    )
  })
