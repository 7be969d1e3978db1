/**
 * The scenarios are what they say: each does an operation of its kind, and together those of a kind pass every step and every undo.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import { OperationKind } from "../../src/domain/Operation.ts"
import * as Kinds from "../../src/operations/Kinds.ts"
import * as Harness from "./Harness.ts"
import { settingsOf } from "./Scenarios.ts"

vi.setConfig({ testTimeout: 60_000 })

const distinct = (names: ReadonlyArray<string>) => [...new Set(names)].toSorted()

describe.each(OperationKind.literals)("%s", (kind) => {
  const { goes, steps } = Kinds.kinds[kind]

  it.live("every step is passed, and points before and after every effect and every record", () =>
    Effect.gen(function* () {
      const found = yield* Effect.forEach(settingsOf(kind), Harness.undisturbed)
      for (const { operations, points } of found) {
        assert.deepStrictEqual(
          operations.map((operation) => operation.kind),
          [kind]
        )
        assert.isTrue(points.some(({ what }) => what._tag === "Write"))
      }
      // renaming a file's volume asks no host for anything
      assert.isTrue(found.some(({ points }) => points.some(({ what }) => what._tag !== "Write")))
      assert.deepStrictEqual(distinct(found.flatMap(({ done }) => done)), distinct(steps))
    })
  )

  it.live(
    goes === "forward"
      ? "when the last step fails nothing is undone, and it can be asked for again"
      : "when the last step fails everything is undone",
    () =>
      Effect.gen(function* () {
        const found = yield* Effect.forEach(settingsOf(kind), Harness.lastStepFails)
        for (const { operation, undoable, undone } of found) {
          if (goes === "both ways") assert.strictEqual(operation.state, "failed")
          assert.deepStrictEqual(undone, undoable)
        }
      })
  )
})
