/** What was told once, and how long it can be told again. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Told from "../../src/fabric/Told.ts"

describe("what is told once", () => {
  it.effect("is told again for ten minutes, to whoever has the key", () =>
    Effect.gen(function* () {
      const told = Told.make<string>()
      yield* told.remember("a", "secret a")
      yield* TestClock.adjust(Duration.subtract(Told.patience, Duration.millis(1)))
      assert.strictEqual(yield* told.recall("a"), "secret a")
      assert.isNull(yield* told.recall("b"))
      yield* TestClock.adjust("1 millis")
      assert.isNull(yield* told.recall("a"))
    })
  )

  it.effect("is no more than a thousand: the oldest go", () =>
    Effect.gen(function* () {
      const told = Told.make<number>()
      for (let number = 0; number <= 1000; number++) yield* told.remember(`key ${number}`, number)
      assert.isNull(yield* told.recall("key 0"))
      assert.strictEqual(yield* told.recall("key 1"), 1)
      assert.strictEqual(yield* told.recall("key 1000"), 1000)
    })
  )
})
