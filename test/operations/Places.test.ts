/**
 * How many operations are driven at once, and whose turn it is.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { OperationId } from "../../src/domain/Ids.ts"
import * as Places from "../../src/operations/Places.ts"

const id = (n: number) => OperationId.make(`6f1f3a52-2a0c-4b0e-9d7a-${String(n).padStart(12, "0")}`)

const make = Effect.gen(function* () {
  const places = yield* Places.make({ count: 2, patience: "4 seconds" })
  const inside: Array<number> = []
  const enter = (n: number, begun = false) =>
    Effect.zipRight(
      places.enter(id(n), begun),
      Effect.sync(() => void inside.push(n))
    )
  return { ...places, enter, inside }
})

/** Whoever can go on does. */
const settle = TestClock.adjust(0)

describe("places of operations", () => {
  it.scoped("are given in the order in which they were asked for, those that have begun first", () =>
    Effect.gen(function* () {
      const { enter, inside, leave } = yield* make
      yield* enter(1)
      yield* enter(2)
      for (const n of [3, 4]) yield* Effect.fork(enter(n))
      yield* settle
      yield* Effect.fork(enter(5, true))
      yield* settle
      assert.deepStrictEqual(inside, [1, 2])
      yield* leave(id(1))
      yield* settle
      assert.deepStrictEqual(inside, [1, 2, 5])
      yield* leave(id(2))
      yield* leave(id(5))
      yield* settle
      assert.deepStrictEqual(inside, [1, 2, 5, 3, 4])
    })
  )

  it.scoped("are kept by whoever comes further, and lost by whoever does not while others wait", () =>
    Effect.gen(function* () {
      const { enter, inside } = yield* make
      yield* enter(1)
      yield* enter(2)
      yield* TestClock.adjust("1 hour")
      yield* enter(2, true)
      assert.deepStrictEqual(inside, [1, 2, 2])
      yield* Effect.fork(enter(3))
      yield* TestClock.adjust("3 seconds")
      yield* enter(2, true)
      assert.deepStrictEqual(inside, [1, 2, 2, 2])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(inside, [1, 2, 2, 2, 3], "1 has stood still")
      yield* Effect.fork(enter(4))
      yield* TestClock.adjust("2500 millis")
      assert.deepStrictEqual(inside, [1, 2, 2, 2, 3])
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(inside, [1, 2, 2, 2, 3, 4])
    })
  )

  it.scoped("are lost by nobody while it is the process that does not get on", () =>
    Effect.gen(function* () {
      let now = 0
      let late = 300
      const sleep = (duration: Duration.Duration) =>
        Effect.suspend(() => {
          now += Duration.toMillis(duration) + late
          return Effect.yieldNow()
        })
      const clock: Clock.Clock = {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis: () => now,
        unsafeCurrentTimeNanos: () => BigInt(now) * 1_000_000n,
        currentTimeMillis: Effect.sync(() => now),
        currentTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
        sleep
      }
      yield* Effect.gen(function* () {
        const { enter, inside } = yield* make
        yield* enter(1)
        yield* enter(2)
        yield* Effect.fork(enter(3))
        yield* Effect.repeat(Effect.yieldNow(), { until: () => now >= 60_000 })
        assert.deepStrictEqual(inside, [1, 2])
        late = 0
        const before = now
        yield* Effect.repeat(Effect.yieldNow(), { until: () => inside.length === 3 || now >= 120_000 })
        assert.deepStrictEqual(inside, [1, 2, 3])
        assert.isAtMost(now - before, 5000)
      }).pipe(Effect.withClock(clock))
    })
  )

  it.scoped("are not waited for by what is let go on, or has ended", () =>
    Effect.gen(function* () {
      const { enter, inside, leave, skip } = yield* make
      yield* enter(1)
      yield* enter(2)
      const gone = yield* Effect.fork(enter(3))
      yield* Effect.fork(enter(4))
      yield* Effect.fork(enter(5, true))
      yield* settle
      yield* skip(id(4))
      yield* settle
      assert.deepStrictEqual(inside, [1, 2, 4])
      yield* Fiber.interrupt(gone)
      yield* skip(id(3))
      for (const n of [1, 2]) yield* leave(id(n))
      yield* settle
      // 5 has one place, and the other is free
      assert.deepStrictEqual(inside, [1, 2, 4, 5])
      yield* enter(6)
      assert.deepStrictEqual(inside, [1, 2, 4, 5, 6])
    })
  )
})
