import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as Locally from "../../src/observability/Locally.ts"
import { StepProgress } from "../../src/services/StepProgress.ts"

const tell = () => Effect.void

const found = Effect.gen(function* () {
  const { tell } = yield* StepProgress
  const annotations = yield* FiberRef.get(FiberRef.currentLogAnnotations)
  const traced = yield* FiberRef.get(FiberRef.currentTracerEnabled)
  return { tell, traced, annotations: Object.fromEntries(HashMap.toEntries(annotations)) }
})

const settings = Locally.within(
  Locally.annotations({ step: "define", phase: "do" }),
  Locally.service(StepProgress, { tell }),
  Locally.untraced
)

it.effect("holds for the effect and what it forks, and for nothing after it, however that ends", () =>
  Effect.gen(function* () {
    const before = yield* found
    const within = { tell, traced: false, annotations: { host: "a", step: "define", phase: "do" } }
    assert.deepStrictEqual(yield* settings(found), within)
    assert.deepStrictEqual(
      yield* settings(Effect.flatMap(Effect.fork(found), (fiber) => fiber.await)),
      Exit.succeed(within)
    )
    assert.deepStrictEqual(yield* found, before)
    for (const ends of [Effect.fail("no"), Effect.die("no"), Effect.interrupt]) {
      const exit = yield* Effect.uninterruptible(Effect.exit(settings(Effect.interruptible(ends))))
      assert.deepStrictEqual(exit, yield* Effect.exit(ends))
      assert.deepStrictEqual(yield* found, before)
    }
  }).pipe(Effect.annotateLogs({ host: "a", step: "image" }))
)
