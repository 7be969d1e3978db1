import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Paced from "../../src/observability/Paced.ts"

describe("Paced", () => {
  it.live("lets in what arrives in the event loop, and gives the result", () =>
    Effect.gen(function* () {
      const event = { isHeard: false }
      setImmediate(() => {
        event.isHeard = true
      })
      const result = yield* Paced.run(function* () {
        // as many as no machine does before others are let in
        for (let i = 0; i < 1e9 && !event.isHeard; i++) yield
        return event.isHeard ? "heard" : "not heard"
      })
      assert.strictEqual(result, "heard")
    })
  )

  it.live("ends when it is interrupted", () =>
    Effect.gen(function* () {
      const work = { isStarted: false }
      const fiber = yield* Effect.fork(
        Paced.run(function* () {
          for (;;) {
            work.isStarted = true
            yield
          }
        })
      )
      while (!work.isStarted) yield* Paced.others
      const exit = yield* Fiber.interrupt(fiber)
      assert.isTrue(exit._tag === "Failure")
    })
  )
})
