import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Errors from "../../src/domain/Errors.ts"
import * as Ids from "../../src/domain/Ids.ts"
import type * as Saga from "../../src/operations/Saga.ts"
import {
  held,
  hostId,
  make as makeWorld,
  refused,
  refusedByStorage,
  silent,
  silentStorage,
  twoHosts
} from "./SagaWorld.ts"

describe("the saga runner", () => {
  it.effect("does its steps in order and records each", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const outcome = yield* world.drive([world.step("a"), world.step("b")])
      assert.deepStrictEqual(outcome, { _tag: "Succeeded" })
      assert.deepStrictEqual(world.happened, ["a", "b", "succeeded"])
      assert.strictEqual(world.row.state, "done")
    })
  )

  it.effect("undoes in reverse after a failure, the failed step included, and tells the first reason", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const outcome = yield* world.drive([world.step("a"), world.step("b"), world.step("c", refused), world.step("d")])
      assert.deepStrictEqual(outcome, { _tag: "Failed", reason: refused.message, unreachableHost: null })
      assert.deepStrictEqual(world.happened, ["a", "b", "c", "undo c", "undo b", "undo a", "failed"])
      assert.deepInclude(world.row, { state: "failed", error: refused.message })
    })
  )

  it.effect("undoes after a defect too", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const outcome = yield* world.drive([world.step("a"), world.step("b", Effect.dieMessage("bug"))])
      assert.deepStrictEqual(outcome, { _tag: "Failed", reason: "internal error: bug", unreachableHost: null })
      assert.deepStrictEqual(world.happened, ["a", "b", "undo b", "undo a", "failed"])
    })
  )

  it.effect("a stop at any step undoes nothing, and the next start goes on from there", () =>
    Effect.gen(function* () {
      const names = ["a", "b", "c"]
      for (const stopAt of names) {
        const world = makeWorld()
        const reached = yield* Deferred.make<void>()
        const hang = Effect.zipRight(Deferred.succeed(reached, undefined), Effect.never)
        const fiber = yield* Effect.fork(
          world.drive(names.map((name) => world.step(name, name === stopAt ? hang : Effect.void)))
        )
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
        const before = names.slice(0, names.indexOf(stopAt) + 1)
        assert.deepStrictEqual(world.happened, before)
        assert.strictEqual(world.row.state, "running")

        yield* world.drive(names.map((name) => world.step(name)))
        assert.deepStrictEqual(world.happened, [...before, ...names.slice(names.indexOf(stopAt)), "succeeded"])
      }
    })
  )

  it.effect("a stop in the middle of an undo goes on undoing, and never does a step again", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const reached = yield* Deferred.make<void>()
      const hang = Effect.zipRight(Deferred.succeed(reached, undefined), Effect.never)
      const fiber = yield* Effect.fork(
        world.drive([world.step("a"), world.step("b", Effect.void, hang), world.step("c", refused)])
      )
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(world.row.state, "undoing")

      world.happened.length = 0
      const outcome = yield* world.drive([world.step("a"), world.step("b"), world.step("c")])
      assert.deepStrictEqual(outcome, { _tag: "Failed", reason: refused.message, unreachableHost: null })
      assert.deepStrictEqual(world.happened, ["undo b", "undo a", "failed"])
    })
  )

  it.effect("a host that fell silent is not asked until it is up; the saga is undone once it is back", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      let answers = false
      const undo = Effect.suspend(() => (answers ? Effect.void : silent))
      const fiber = yield* Effect.fork(world.drive([world.step("a"), world.step("b", silent, undo)]))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(world.row.state, "undoing")
      assert.strictEqual(world.tries("b"), 1)
      assert.include(world.happened, `suspect 1: ${silent.reason}`)
      assert.include(world.happened, `blocked: ${silent.message}`)
      assert.notInclude(world.happened, "undo a")

      answers = true
      yield* world.hostComesBack()
      const outcome = yield* Fiber.join(fiber)
      assert.deepStrictEqual(outcome, { _tag: "Failed", reason: silent.message, unreachableHost: hostId })
      assert.deepStrictEqual(world.happened.slice(-2), ["undo a", "failed"])
    })
  )

  it.effect("a host that is up again within seconds costs a try, not the saga", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      let answers = false
      const act = Effect.suspend(() => (answers ? Effect.void : silent))
      const fiber = yield* Effect.fork(world.drive([world.step("a", act)]))
      yield* TestClock.adjust("4 seconds")
      answers = true
      yield* world.hostComesBack()
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Succeeded" })
      assert.strictEqual(world.tries("a"), 2)
    })
  )

  it.effect("a host that the monitor finds up is tried a few times within seconds", () =>
    Effect.gen(function* () {
      const world = makeWorld({ alwaysUp: true })
      const fiber = yield* Effect.fork(world.drive([world.step("a", silent)]))
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), {
        _tag: "Failed",
        reason: silent.message,
        unreachableHost: hostId
      })
      assert.strictEqual(world.tries("a"), 5)
    })
  )

  it.effect("a host that is down is not even asked for the first time", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      yield* world.goDown(hostId, "no route")
      const fiber = yield* Effect.fork(world.drive([world.step("a")]))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(world.row.state, "running")
      assert.strictEqual(world.progress.at(-1)?.waiting, "host root@h1 does not answer: no route (not asked)")
      yield* TestClock.adjust("2 seconds")
      assert.deepInclude(world.row, { state: "undoing", error: "host root@h1 cannot be used: no route (not asked)" })
      yield* world.hostComesBack()
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "Failed", unreachableHost: hostId })
      assert.deepStrictEqual(
        world.happened.filter((one) => !one.startsWith("blocked")),
        ["undo a", "failed"]
      )
    })
  )

  it.effect("a saga that can only go forward waits for a silent host", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      let answers = false
      const act = Effect.suspend(() => (answers ? Effect.void : silent))
      const fiber = yield* Effect.fork(world.drive([world.step("a", act), world.step("b")], "wait"))
      yield* TestClock.adjust("1 minute")
      assert.include(world.happened, `blocked: ${silent.message}`)
      assert.strictEqual(world.row.state, "running")

      answers = true
      yield* world.hostComesBack()
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Succeeded" })
      assert.deepStrictEqual(world.happened.slice(-2), ["b", "succeeded"])
    })
  )

  it.effect("an undo the host refuses is tried until it succeeds", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      let refusals = 12 // more than those who wait are kept waiting for
      const undo = Effect.suspend(() => (refusals-- > 0 ? refused : Effect.void))
      const fiber = yield* Effect.fork(world.drive([world.step("a", Effect.void, undo), world.step("b", refused)]))
      yield* TestClock.adjust("10 seconds")
      assert.include(world.happened, `blocked: ${refused.message}`)
      assert.strictEqual(world.row.state, "undoing")
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.isBelow(refusals, 0)
      assert.strictEqual(world.row.state, "failed")
    })
  )

  it.effect("a database that fails stops the runner where it is: nothing is done unrecorded, nothing is undone", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      world.failJournal(({ started }) => started?.name === "b")
      const error = yield* Effect.flip(world.drive([world.step("a"), world.step("b")]))
      assert.strictEqual(error._tag, "PersistenceError")
      assert.deepStrictEqual(world.happened, ["a"])

      world.failJournal(undefined)
      yield* world.drive([world.step("a"), world.step("b")])
      // that `a` is done was to be written with the same record
      assert.deepStrictEqual(world.happened, ["a", "a", "b", "succeeded"])
    })
  )

  describe("with several hosts", () => {
    it.effect("knows by its name which one is silent, and waits for that one only", () =>
      Effect.gen(function* () {
        for (const [at, name] of twoHosts.map((host, index) => [index, host.name] as const)) {
          const world = makeWorld()
          const id = twoHosts[at]!.id
          const error = new Errors.HostUnreachable({ host: name, reason: "no route" })
          let answers = false
          const act = Effect.suspend(() => (answers ? Effect.void : error))
          const fiber = yield* Effect.fork(world.drive([world.step("a", act)], "wait", { hosts: twoHosts }))
          yield* TestClock.adjust("1 minute")
          assert.deepStrictEqual(world.blocks, [{ reason: error.message, failed: false, waitsFor: "host", host: id }])
          assert.include(world.happened, `suspect ${id}: no route`)
          answers = true
          // not the one it waits for
          yield* world.hostComesBack(twoHosts[1 - at]!.id)
          yield* TestClock.adjust("1 minute")
          assert.strictEqual(world.row.state, "running")
          yield* world.hostComesBack(id)
          assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Succeeded" })
          assert.strictEqual(world.blocks.at(-1), null)
        }
      })
    )

    it.effect("tells who was silent when it is undone for that", () =>
      Effect.gen(function* () {
        const world = makeWorld()
        const error = new Errors.HostUnreachable({ host: "root@h2", reason: "no route" })
        const id = Ids.HostId.make(2)
        const fiber = yield* Effect.fork(
          world.drive([world.step("a"), world.step("b", error)], "undo", { hosts: twoHosts })
        )
        yield* TestClock.adjust("1 minute")
        const blocked = { reason: error.message, failed: true, waitsFor: "host", host: id } as const
        // when it failed, and when the undo had to wait
        assert.deepStrictEqual(world.blocks, [blocked, blocked])
        yield* world.hostComesBack(id)
        assert.deepStrictEqual(yield* Fiber.join(fiber), {
          _tag: "Failed",
          reason: error.message,
          unreachableHost: id
        })
        assert.include(world.happened, `suspect ${id}: no route`)
        assert.deepStrictEqual(world.happened.slice(-3), ["undo b", "undo a", "failed"])
      })
    )

    it.effect("takes a name it does not know for its first host", () =>
      Effect.gen(function* () {
        const world = makeWorld()
        const error = new Errors.HostUnreachable({ host: "root@elsewhere", reason: "no route" })
        const fiber = yield* Effect.fork(world.drive([world.step("a", error)], "undo", { hosts: twoHosts }))
        yield* TestClock.adjust("1 minute")
        yield* world.hostComesBack()
        assert.deepInclude(yield* Fiber.join(fiber), { unreachableHost: hostId })
      })
    )
  })

  describe("a step that is done once", () => {
    it.effect("is not tried again after a refusal, others are", () =>
      Effect.gen(function* () {
        for (const [error, once, tries] of [
          [held, true, 1],
          [refused, true, 1],
          [refused, false, 5],
          [refusedByStorage, true, 1],
          [refusedByStorage, false, 5]
        ] as const) {
          const world = makeWorld()
          const step = world.step("a", error)
          const fiber = yield* Effect.fork(world.drive([once ? { ...step, once } : step, world.step("b")], "wait"))
          yield* TestClock.adjust("1 minute")
          const outcome = yield* Fiber.join(fiber)
          assert.deepStrictEqual(outcome, { _tag: "Failed", reason: error.message, unreachableHost: null })
          assert.strictEqual(world.tries("a"), tries, `${error._tag} ${once}`)
          assert.deepStrictEqual(world.happened.slice(-2), ["undo a", "failed"])
          assert.deepInclude(world.row, { state: "failed", error: error.message })
          // nobody was kept waiting
          assert.deepStrictEqual(world.blocks, [])
        }
      })
    )

    it.effect("passes a refusal that goes away in time, if it is not to be done once", () =>
      Effect.gen(function* () {
        const world = makeWorld()
        let refusals = 3
        const act = Effect.suspend(() => (refusals-- > 0 ? refused : Effect.void))
        const fiber = yield* Effect.fork(world.drive([world.step("a", act)], "wait"))
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Succeeded" })
      })
    )

    it.effect("is waited for all the same while nobody answers", () =>
      Effect.gen(function* () {
        for (const error of [silent, silentStorage]) {
          const world = makeWorld({ alwaysUp: true })
          let answers = false
          const act = Effect.suspend((): Effect.Effect<void, Saga.StepError> => (answers ? Effect.void : error))
          const fiber = yield* Effect.fork(world.drive([{ ...world.step("a", act), once: true }], "wait"))
          yield* TestClock.adjust("1 minute")
          assert.strictEqual(world.row.state, "running")
          assert.isAbove(world.tries("a"), 3)
          answers = true
          yield* world.hostComesBack()
          yield* TestClock.adjust("10 seconds")
          assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Succeeded" })
        }
      })
    )
  })

  describe("storage that does not answer", () => {
    it.effect("is asked again every few seconds by a saga that can only go forward", () =>
      Effect.gen(function* () {
        const world = makeWorld()
        let answers = false
        const act = Effect.suspend(() => (answers ? Effect.void : silentStorage))
        const fiber = yield* Effect.fork(world.drive([world.step("a", act), world.step("b")], "wait", { hosts: [] }))
        // a few quick tries first
        yield* TestClock.adjust("10 seconds")
        assert.isAbove(world.tries("a"), 4)
        const blocked = { reason: silentStorage.message, failed: false, waitsFor: "storage", host: null } as const
        assert.deepStrictEqual(world.blocks[0], blocked)
        const before = world.tries("a")
        yield* TestClock.adjust("1 minute")
        // it is not loaded with tries: some five, then a pause
        assert.isAbove(world.tries("a"), before)
        assert.isBelow(world.tries("a") - before, 60)
        // blocked and going on in turns
        assert.deepStrictEqual(world.blocks.slice(0, 4), [blocked, null, blocked, null])
        // no host is to blame
        assert.isEmpty(world.happened.filter((one) => one.startsWith("suspect")))
        answers = true
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Succeeded" })
        assert.strictEqual(world.blocks.at(-1), null)
      })
    )

    it.effect("is tried a few times by one that can be undone, whose undo waits for it", () =>
      Effect.gen(function* () {
        const world = makeWorld()
        let answers = false
        const undo = Effect.suspend(() => (answers ? Effect.void : silentStorage))
        const fiber = yield* Effect.fork(world.drive([world.step("a"), world.step("b", silentStorage, undo)], "undo"))
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(world.tries("b"), 5)
        assert.deepInclude(world.row, { state: "undoing", error: silentStorage.message })
        const blocked = { reason: silentStorage.message, failed: true, waitsFor: "storage", host: null } as const
        // told once when it failed, and again whenever the undo waits
        assert.deepStrictEqual(world.blocks.slice(0, 2), [blocked, blocked])
        assert.notInclude(world.happened, "undo a")
        answers = true
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(yield* Fiber.join(fiber), {
          _tag: "Failed",
          reason: silentStorage.message,
          unreachableHost: null
        })
        assert.deepStrictEqual(world.happened.slice(-2), ["undo a", "failed"])
      })
    )

    it.effect("in an undo is told with the reason of the failure, not of the wait", () =>
      Effect.gen(function* () {
        const world = makeWorld()
        let answers = false
        const undo = Effect.suspend(() => (answers ? Effect.void : silentStorage))
        const fiber = yield* Effect.fork(world.drive([world.step("a", refused, undo)]))
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(world.blocks[0], {
          reason: refused.message,
          failed: true,
          waitsFor: "storage",
          host: null
        })
        answers = true
        yield* TestClock.adjust("10 seconds")
        assert.deepInclude(yield* Fiber.join(fiber), { reason: refused.message })
      })
    )

    it.effect("that takes long over an undo keeps nobody waiting, and is waited for", () =>
      Effect.gen(function* () {
        const world = makeWorld()
        const fiber = yield* Effect.fork(world.drive([world.step("a", refused, Effect.sleep("1 minute"))]))
        yield* TestClock.adjust("19 seconds")
        assert.isEmpty(world.blocks)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(world.blocks, [{ reason: refused.message, failed: true, waitsFor: null, host: null }])
        yield* TestClock.adjust("40 seconds")
        assert.deepInclude(yield* Fiber.join(fiber), { reason: refused.message })
        assert.strictEqual(world.tries("undo a"), 1)
      })
    )

    it.effect("that refuses an undo is tried for ever, and after three refusals those who wait are told", () =>
      Effect.gen(function* () {
        const world = makeWorld()
        let refusals = 9
        const undo = Effect.suspend(() => (refusals-- > 0 ? refusedByStorage : Effect.void))
        const fiber = yield* Effect.fork(world.drive([world.step("a", refused, undo)]))
        yield* TestClock.adjust("1 hour")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(world.blocks, [{ reason: refused.message, failed: true, waitsFor: null, host: null }])
        assert.strictEqual(world.tries("undo a"), 10)
      })
    )

    it.effect("does not keep a stop from coming, and is asked again by the next start", () =>
      Effect.gen(function* () {
        const world = makeWorld()
        const fiber = yield* Effect.fork(world.drive([world.step("a", silentStorage)], "wait", { hosts: [] }))
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(world.row.state, "running")
        yield* world.drive([world.step("a")], "wait", { hosts: [] })
        assert.strictEqual(world.row.state, "done")
      })
    )
  })
})
