import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { inspect } from "node:util"
import { Ceph, CephError } from "../../src/services/Ceph.ts"
import { SshError } from "../../src/services/Ssh.ts"
import { ceph, cephWith, Simulated } from "./Simulated.ts"

const mebibyte = 1024 ** 2
const short = { limits: { read: "300 millis", change: "400 millis", importImage: "500 millis" } } as const

const silenceOf = <A, E>(effect: Effect.Effect<A, CephError | E>) =>
  Effect.match(effect, {
    onSuccess: () => assert.fail("it succeeded"),
    onFailure: (error) => {
      if (!(error instanceof CephError)) return assert.fail(String(error))
      assert.strictEqual(error.reason._tag, "CephSilent", error.message)
      return error
    }
  })

/** Until it succeeds, within a few seconds. */
const eventually = <A, E>(effect: Effect.Effect<A, E>) =>
  effect.pipe(Effect.retry(Schedule.spaced("50 millis")), Effect.timeout("5 seconds"), Effect.orDie)

/** Done when a list has been asked for, which is not answered. */
const hangingList = ({ cluster: { faults } }: Simulated["Type"]) =>
  Effect.gen(function* () {
    const begun = yield* Deferred.make<void>()
    yield* faults.hang("list", true)
    yield* faults.onCall("list", "before", Effect.asVoid(Deferred.succeed(begun, undefined)))
    return begun
  })

const given = Effect.all({ ceph: Ceph, simulated: Simulated })
const quiet = Logger.withMinimumLogLevel(LogLevel.Warning)

describe("the session", () => {
  it.live("is opened once for all who ask at the same time, and kept", () =>
    Effect.gen(function* () {
      const { ceph, simulated } = yield* given
      const { calls } = simulated.cluster.faults
      assert.strictEqual(yield* calls("open"), 0)
      yield* Effect.all(
        Array.from({ length: 200 }, () => ceph.list),
        { concurrency: "unbounded" }
      )
      yield* ceph.usage
      assert.strictEqual(yield* calls("open"), 1)
      assert.strictEqual(yield* calls("list"), 200)
    }).pipe(quiet, Effect.provide(ceph))
  )

  it.live("is opened for those who still wait when the first has gone away", () =>
    Effect.gen(function* () {
      const { ceph, simulated } = yield* given
      const { calls, hang, onCall } = simulated.cluster.faults
      const begun = yield* Deferred.make<void>()
      yield* onCall("open", "before", Effect.asVoid(Deferred.succeed(begun, undefined)))
      yield* hang("open", true)
      const first = yield* Effect.fork(ceph.list)
      yield* Deferred.await(begun)
      const second = yield* Effect.fork(ceph.list)
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(first)
      yield* hang("open", false)
      assert.deepStrictEqual(yield* Fiber.join(second), [])
      assert.strictEqual(yield* calls("open"), 1)
    }).pipe(quiet, Effect.provide(ceph))
  )

  it.live("that is killed fails what it was doing, effect or not, and is opened again by the next", () =>
    Effect.gen(function* () {
      const { ceph, simulated } = yield* given
      const { calls, killSessions, onCall } = simulated.cluster.faults
      yield* onCall("create", "before", killSessions, { nth: 1 })
      yield* onCall("create", "after", killSessions, { nth: 1 })
      const before = yield* silenceOf(ceph.create("one", mebibyte))
      assert.match(before.message, /^Ceph pool vms cannot be used: .* on root@sim-1 ended with status 137$/)
      assert.deepStrictEqual(yield* eventually(ceph.look("one")), Option.none())
      yield* silenceOf(ceph.create("one", mebibyte))
      assert.isTrue(Option.isSome(yield* eventually(ceph.look("one"))))
      assert.strictEqual(yield* calls("open"), 3)
    }).pipe(quiet, Effect.provide(ceph))
  )

  it.live("is not tried again at once by everybody when it cannot be opened", () =>
    Effect.gen(function* () {
      const { ceph, simulated } = yield* given
      const { calls, clear, fail } = simulated.cluster.faults
      yield* fail("open", { errno: "EPERM", detail: "not today" })
      for (let count = 0; count < 30; count++) {
        assert.include((yield* silenceOf(ceph.list)).message, "not today (EPERM)")
      }
      assert.isBelow(yield* calls("open"), 5)
      yield* clear
      yield* eventually(ceph.list)
    }).pipe(quiet, Effect.provide(ceph))
  )

  it.live("ends with the connection to its host, and comes back with it", () =>
    Effect.gen(function* () {
      const { ceph, simulated } = yield* given
      const { faults } = simulated.host
      yield* ceph.list
      const begun = yield* hangingList(simulated)
      const waiting = yield* Effect.fork(silenceOf(ceph.list))
      yield* Deferred.await(begun)
      yield* faults.dropConnections
      const { cause, message } = yield* Fiber.join(waiting)
      assert.instanceOf(cause, SshError)
      assert.include(message, "root@sim-1")
      yield* simulated.cluster.faults.clear
      yield* eventually(ceph.list)
    }).pipe(quiet, Effect.provide(ceph))
  )

  for (const [what, change, expected] of [
    ["a host that there is not", { host: { user: "root", host: "nowhere", port: 22 } }, "does not resolve"],
    ["another client", { client: "admin" }, "has no key of client.admin"],
    ["another pool", { pool: "other" }, "no such pool"]
  ] as const) {
    it.live(`says what is wrong with ${what}`, () =>
      Effect.gen(function* () {
        const ceph = yield* Ceph
        const error = yield* silenceOf(ceph.list)
        assert.include(error.message, expected)
        assert.include(error.message, `Ceph pool ${ceph.pool} cannot be used: `)
        const file = { format: "raw", size: mebibyte, bytes: Stream.dieMessage("it was read") } as const
        assert.include((yield* silenceOf(ceph.importImage("one", file))).message, expected)
      }).pipe(quiet, Effect.provide(cephWith(change)))
    )
  }

  it.live("says that a host without Ceph has none", () =>
    Effect.gen(function* () {
      const error = yield* silenceOf((yield* Ceph).list)
      assert.include(error.message, "there is no /usr/bin/python3 on root@sim-2")
      assert.instanceOf(error.cause, SshError)
    }).pipe(quiet, Effect.provide(cephWith({ host: { user: "root", host: "sim-2", port: 22 } })))
  )

  it.live("fails what waits when the layer ends", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.scoped(
        Effect.gen(function* () {
          const context = yield* Layer.build(ceph)
          const { ceph: live, simulated } = yield* Effect.provide(given, context)
          const begun = yield* hangingList(simulated)
          const waiting = yield* Effect.forkDaemon(silenceOf(live.list))
          yield* Deferred.await(begun)
          return waiting
        })
      )
      assert.include((yield* Fiber.join(waiting)).message, "was closed")
    }).pipe(quiet)
  )
})

describe("calls", () => {
  it.live("that are not answered end within their limit, and the session with them", () =>
    Effect.gen(function* () {
      const { ceph, simulated } = yield* given
      const { calls, osdsDead } = simulated.cluster.faults
      yield* ceph.create("one", mebibyte)
      yield* osdsDead(true)
      const [took, errors] = yield* Effect.timed(
        Effect.all(
          [
            silenceOf(ceph.list),
            silenceOf(ceph.look("one")),
            silenceOf(ceph.create("two", mebibyte)),
            silenceOf(ceph.setMetadata("one", "a", "b")),
            silenceOf(ceph.trash)
          ],
          { concurrency: "unbounded" }
        )
      )
      assert.isBelow(Duration.toMillis(took), 2000)
      for (const { message } of errors) assert.match(message, /has not answered (list|look|trash) within 300ms/)
      // monitors are no OSDs
      yield* eventually(ceph.cluster)
      yield* osdsDead(false)
      yield* eventually(ceph.list)
      assert.isAtLeast(yield* calls("open"), 2)
      // what was not answered was not done later either
      assert.deepStrictEqual(yield* ceph.list, ["one"])
    }).pipe(quiet, Effect.provide(cephWith({}, short)))
  )

  it.live("fail as they are told to, before or after they have taken effect", () =>
    Effect.gen(function* () {
      const { ceph, simulated } = yield* given
      const { fail } = simulated.cluster.faults
      yield* fail("create", { errno: "EIO", nth: 1 })
      yield* fail("create", { errno: "EIO", nth: 2, effect: true })
      assert.isTrue((yield* Effect.flip(ceph.create("one", mebibyte))).refusedWith("EIO"))
      assert.deepStrictEqual(yield* ceph.list, [])
      assert.isTrue((yield* Effect.flip(ceph.create("one", mebibyte))).refusedWith("EIO"))
      assert.deepStrictEqual(yield* ceph.list, ["one"])
      assert.isTrue((yield* Effect.flip(ceph.create("one", mebibyte))).refusedWith("EEXIST"))
    }).pipe(quiet, Effect.provide(ceph))
  )

  it.live("that need room are refused by a full pool, those that make room are not", () =>
    Effect.gen(function* () {
      const { ceph, simulated } = yield* given
      const { faults } = simulated.cluster
      yield* ceph.create("one", mebibyte)
      yield* faults.fill(1024 ** 4)
      const full = <A, E>(effect: Effect.Effect<A, CephError | E>) =>
        Effect.match(effect, {
          onSuccess: () => assert.fail("it succeeded"),
          onFailure: (error) => assert.isTrue(error instanceof CephError && error.refusedWith("ENOSPC"), String(error))
        })
      yield* full(ceph.create("two", mebibyte))
      yield* full(ceph.importImage("two", { format: "raw", size: 1, bytes: Stream.make(Buffer.from("x")) }))
      assert.strictEqual((yield* ceph.usage).available, 0)
      yield* ceph.remove("one")
      yield* faults.fill(0)
      yield* ceph.create("two", mebibyte)
    }).pipe(quiet, Effect.provide(ceph))
  )

  it.live("of an import end when nothing goes on", () =>
    Effect.gen(function* () {
      const { ceph, simulated } = yield* given
      yield* simulated.cluster.faults.hang("importImage", true, "after")
      const bytes = Stream.make(Buffer.alloc(mebibyte, 1))
      const error = yield* silenceOf(ceph.importImage("one", { format: "raw", size: mebibyte, bytes }))
      assert.include(error.message, "has not answered importImage within 500ms")
      // others are not concerned
      assert.deepStrictEqual(yield* ceph.list, ["one"])
      assert.strictEqual(yield* simulated.cluster.faults.calls("open"), 2)
    }).pipe(quiet, Effect.provide(cephWith({}, short)))
  )

  it.live("leave the key in no log, no span and no error", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const logger = Logger.make((entry) => void seen.push(entry.message, Object.fromEntries(entry.annotations)))
      yield* Effect.gen(function* () {
        const { ceph, simulated } = yield* given
        const { fail, killSessions, onCall } = simulated.cluster.faults
        const cluster = yield* ceph.cluster
        assert.strictEqual(Redacted.value(cluster.key), simulated.cluster.key)
        seen.push(cluster, ceph, JSON.stringify(cluster))
        yield* fail("cluster", { errno: "EIO", nth: 1 })
        seen.push(yield* Effect.flip(ceph.cluster))
        yield* onCall("cluster", "after", killSessions)
        seen.push(yield* Effect.flip(ceph.cluster))
        const span = yield* Effect.either(Effect.currentSpan)
        seen.push(Either.getOrThrow(span))
        const shown = inspect(seen, { depth: 12, showHidden: true })
        assert.notInclude(shown, simulated.cluster.key)
      }).pipe(
        Effect.withSpan("all"),
        Effect.provide(ceph),
        Logger.withMinimumLogLevel(LogLevel.All),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
    })
  )
})
