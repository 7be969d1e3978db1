import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FastCheck from "effect/FastCheck"
import * as Scheduler from "effect/Scheduler"
import * as Places from "../../src/domain/Places.ts"

/** Counts what Effect has to do. */
const counting = () => {
  const tasks = { count: 0 }
  const scheduler: Scheduler.Scheduler = {
    shouldYield: (fiber) => Scheduler.defaultScheduler.shouldYield(fiber),
    scheduleTask: (task, priority, fiber) => {
      tasks.count++
      Scheduler.defaultScheduler.scheduleTask(task, priority, fiber)
    }
  }
  return { scheduler, tasks }
}

/** Whether so many can be in at the same time, without anybody having to leave first. */
const areFree = (places: Places.Places, count: number) =>
  Effect.scoped(
    Effect.forEach(Array.from({ length: count }), () => places.hold, { discard: true }).pipe(
      Effect.timeoutOption("1 second")
    )
  ).pipe(Effect.map(({ _tag }) => _tag === "Some"))

describe("places", () => {
  it.live("are given in the order in which they are asked for, and never to more than there are", () =>
    Effect.gen(function* () {
      const places = Places.unsafeMake(3)
      const order: Array<number> = []
      let inside = 0
      let most = 0
      const visit = (number: number) =>
        places.within(
          Effect.gen(function* () {
            order.push(number)
            most = Math.max(most, ++inside)
            yield* Effect.yieldNow()
            inside--
          })
        )
      yield* Effect.forEach(Array.from({ length: 100 }).keys(), visit, { concurrency: "unbounded", discard: true })
      assert.deepStrictEqual(order, [...Array.from({ length: 100 }).keys()])
      assert.strictEqual(most, 3)
    })
  )

  it.live("wake nobody but who is next, however many wait and whether they get there or give up", () =>
    Effect.gen(function* () {
      const waiting = 1000
      const { scheduler, tasks } = counting()
      const places = Places.unsafeMake(1)
      const open = yield* Deferred.make<void>()
      const visits = Effect.forEach(
        Array.from({ length: waiting }),
        () => Effect.fork(places.within(Effect.yieldNow())),
        {}
      )
      yield* Effect.gen(function* () {
        const holder = yield* Effect.fork(places.within(Deferred.await(open)))
        yield* Effect.yieldNow()
        const fibers = yield* visits
        yield* Effect.yieldNow()
        yield* Deferred.succeed(open, undefined)
        yield* Fiber.join(holder)
        yield* Effect.forEach(fibers.slice(0, waiting / 2), Fiber.join, { discard: true })
        yield* Fiber.interruptAll(fibers)
      }).pipe(Effect.withScheduler(scheduler))
      // a million and more when all are woken each time
      assert.isBelow(tasks.count, waiting * 20)
      assert.isTrue(yield* areFree(places, 1))
    })
  )

  it.live("are all free again whenever those who wait, or have just been given one, are interrupted", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.integer({ min: 1, max: 3 }),
          FastCheck.array(
            FastCheck.record({ before: FastCheck.nat(6), inside: FastCheck.nat(4), patience: FastCheck.nat(12) }),
            {
              maxLength: 12
            }
          ),
          (count, visitors) =>
            Effect.runPromise(
              Effect.gen(function* () {
                const places = Places.unsafeMake(count)
                let inside = 0
                const steps = (number: number) => Effect.repeatN(Effect.yieldNow(), number)
                yield* Effect.forEach(
                  visitors,
                  (visitor, index) =>
                    Effect.gen(function* () {
                      const stay = Effect.gen(function* () {
                        assert.isAtMost(++inside, count)
                        yield* steps(visitor.inside)
                      }).pipe(Effect.ensuring(Effect.sync(() => inside--)))
                      yield* steps(visitor.before)
                      const visit =
                        index % 2 === 0 ? places.within(stay) : Effect.scoped(Effect.zipRight(places.hold, stay))
                      const fiber = yield* Effect.fork(visit)
                      yield* steps(visitor.patience)
                      yield* Fiber.interrupt(fiber)
                    }),
                  { concurrency: "unbounded", discard: true }
                )
                assert.strictEqual(inside, 0)
                assert.isTrue(yield* areFree(places, count))
              })
            )
        ),
        { numRuns: 500 }
      )
    )
  )
})
