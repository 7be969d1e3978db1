/**
 * Whose turn it is on a VM or volume.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as Errors from "../../src/domain/Errors.ts"
import * as Ids from "../../src/domain/Ids.ts"
import * as Queue from "../../src/fabric/Queue.ts"
import { Operations } from "../../src/services/Operations.ts"

const vmId = Ids.VmId.make(7)
const volumeId = Ids.VolumeId.make(3)
const operationId = Ids.OperationId.make("6f1f3a52-2a0c-4b0e-9d7a-111111111111")
const settle = TestClock.adjust(0)

/** One thing that is busy until it is ended, and those who want to begin something with it, in the order in which they do. */
const make = () => {
  const began: Array<string> = []
  let busy = true
  let ended = Deferred.unsafeMake<void, Errors.OperationFailed>(FiberId.none)
  const layer = Queue.layer.pipe(
    Layer.provide(Layer.mock(Operations, { await: () => Effect.suspend(() => Deferred.await(ended)) }))
  )
  const begin = (name: string, error: Errors.VmBusy | Errors.VolumeBusy) =>
    Effect.suspend((): Effect.Effect<string, Errors.VmBusy | Errors.VolumeBusy> => {
      if (busy) return error
      began.push(name)
      // what was begun lasts
      busy = true
      ended = Deferred.unsafeMake(FiberId.none)
      return Effect.succeed(name)
    })
  return {
    began,
    layer,
    ofVm: (name: string) =>
      Effect.flatMap(Queue.Queue, (queue) =>
        queue.whenFree({ vmId }, begin(name, new Errors.VmBusy({ vmId, operationId, doing: "something" })))
      ),
    ofVolume: (name: string, vm: Ids.VmId | null = null) =>
      Effect.flatMap(Queue.Queue, (queue) =>
        queue.whenFree(
          { volumeId, vmId: vm },
          begin(name, new Errors.VolumeBusy({ volumeId, operationId, doing: "something" }))
        )
      ),
    free: Effect.suspend(() => {
      busy = false
      return Deferred.succeed(ended, undefined)
    }),
    fail: (failure: Errors.OperationFailed) => Effect.suspend(() => Deferred.fail(ended, failure)),
    /** It is free, and whoever waits for its end has not been told. */
    quietly: Effect.sync(() => void (busy = false))
  }
}

const failure = (undone: boolean) =>
  new Errors.OperationFailed({ operationId, reason: "no memory", undone, unreachableHost: null })

describe("those who wait for a VM or volume", () => {
  it.effect("get their turn in the order in which they came", () =>
    Effect.gen(function* () {
      const world = make()
      const names = Array.from({ length: 20 }, (_, index) => `n${index}`)
      yield* Effect.gen(function* () {
        const waiting: Array<Fiber.RuntimeFiber<string, unknown>> = []
        for (const [index, name] of names.entries()) {
          waiting.push(yield* Effect.fork(index % 2 === 0 ? world.ofVolume(name) : world.ofVolume(name, vmId)))
          yield* settle
        }
        assert.deepStrictEqual(world.began, [])
        for (const [index] of names.entries()) {
          yield* world.free
          yield* settle
          assert.deepStrictEqual(world.began, names.slice(0, index + 1))
        }
        assert.deepStrictEqual(yield* Fiber.join(Fiber.all(waiting)), names)
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.effect("are not overtaken by one who comes in the moment when it gets free", () =>
    Effect.gen(function* () {
      const world = make()
      yield* Effect.gen(function* () {
        const first = yield* Effect.fork(world.ofVm("first"))
        yield* settle
        yield* world.quietly
        const second = yield* Effect.fork(world.ofVm("second"))
        yield* settle
        assert.deepStrictEqual(world.began, [])
        yield* world.free
        yield* Fiber.join(first)
        yield* world.free
        yield* Fiber.join(second)
        assert.deepStrictEqual(world.began, ["first", "second"])
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.effect("can give up, wherever they stand, and the others move up", () =>
    Effect.gen(function* () {
      for (const leaves of [0, 1, 2]) {
        const world = make()
        yield* Effect.gen(function* () {
          const names = ["a", "b", "c"]
          const waiting = yield* Effect.forEach(names, (name) => Effect.fork(world.ofVm(name)))
          yield* settle
          yield* Fiber.interrupt(waiting[leaves]!)
          for (const _ of [1, 2]) {
            yield* world.free
            yield* settle
          }
          assert.deepStrictEqual(
            world.began,
            names.filter((_, index) => index !== leaves)
          )
          // nobody is left in the line
          yield* world.free
          assert.strictEqual(yield* world.ofVm("d"), "d")
        }).pipe(Effect.provide(world.layer))
      }
    })
  )

  it.effect("do not mind that what they waited for failed, but that it cannot end for now fails them too", () =>
    Effect.gen(function* () {
      const world = make()
      yield* Effect.gen(function* () {
        const first = yield* Effect.fork(world.ofVm("first"))
        const second = yield* Effect.fork(Effect.flip(world.ofVm("second")))
        yield* settle
        yield* world.quietly
        yield* world.fail(failure(true))
        assert.strictEqual(yield* Fiber.join(first), "first")
        yield* world.fail(failure(false))
        assert.deepStrictEqual(yield* Fiber.join(second), failure(false))
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.effect("do not wait for each other's VMs and volumes", () =>
    Effect.gen(function* () {
      const world = make()
      yield* Effect.gen(function* () {
        const queue = yield* Queue.Queue
        const stuck = yield* Effect.fork(world.ofVm("stuck"))
        yield* settle
        const other = { vmId: Ids.VmId.make(8), volumeId }
        assert.strictEqual(yield* queue.whenFree(other, Effect.succeed("other")), "other")
        assert.strictEqual(yield* queue.whenFree({}, Effect.succeed("none")), "none")
        yield* Fiber.interrupt(stuck)
      }).pipe(Effect.provide(world.layer))
    })
  )
})
