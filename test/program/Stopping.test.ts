/** The bound on how long the program takes to end. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stopping from "../../src/bin/Stopping.ts"

describe("a stop", () => {
  it.scopedLive("is cut short when what is released later takes too long, and not before that", () =>
    Effect.gen(function* () {
      const late = yield* Deferred.make<string>()
      const scope = yield* Scope.make()
      // released after it: it never ends by itself
      const hanging = yield* Deferred.make<void>()
      yield* Scope.addFinalizer(scope, Deferred.await(hanging))
      const told: Array<string> = []
      yield* Scope.extend(
        Stopping.within(Duration.millis(50), Effect.asVoid(Effect.suspend(() => Deferred.succeed(late, told.join())))),
        scope
      )
      yield* Scope.addFinalizer(
        scope,
        Effect.sync(() => told.push("released first"))
      )
      assert.isFalse(yield* Deferred.isDone(late))
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      assert.strictEqual(yield* Effect.timeout(Deferred.await(late), "20 seconds"), "released first")
      yield* Deferred.succeed(hanging, undefined)
      yield* Fiber.join(closing)
    })
  )
})
