import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Database from "../../layers/Database.ts"
import { StorageUnreachable } from "../../src/domain/Errors.ts"
import { defaultConfig, Host, type HostStatus } from "../../src/domain/Host.ts"
import * as Ids from "../../src/domain/Ids.ts"
import * as Resources from "../../src/domain/Resources.ts"
import { Hosts } from "../../src/fabric/Hosts.ts"
import { Pools } from "../../src/fabric/Pools.ts"
import * as Health from "../../src/http/Health.ts"
import * as Readiness from "../../src/observability/Readiness.ts"

const report = (status: HostStatus) => ({
  host: Host.make({
    id: Ids.HostId.make(1),
    config: defaultConfig({ user: "root", host: "secret-name", port: 22 }),
    facts: null
  }),
  status,
  capacity: Resources.zero,
  free: Resources.zero,
  promised: Resources.zero,
  vms: 0
})

type Pool = "answers" | "silent" | "hangs"

/** The routes over a fabric that can be broken. */
const make = Effect.gen(function* () {
  const state: { hosts: ReadonlyArray<HostStatus>; pool: Pool } = { hosts: [{ _tag: "Up" }], pool: "answers" }
  const readiness = yield* Readiness.fresh
  const silent = new StorageUnreachable({ storage: "pool vms at secret-name", reason: "no answer" })
  const fabric = Layer.mergeAll(
    Layer.mock(Hosts, { list: Effect.sync(() => state.hosts.map(report)) }),
    Layer.mock(Pools, {
      refresh: Effect.suspend(() =>
        state.pool === "answers" ? Effect.void : state.pool === "silent" ? silent : Effect.never
      )
    }),
    Layer.succeed(Readiness.Readiness, readiness)
  )
  const routes = Health.layer.pipe(Layer.provide(fabric))
  const app = yield* HttpLayerRouter.toHttpEffect(routes)
  const ask = (path: string) =>
    Effect.gen(function* () {
      // what was found out before is no longer good
      yield* TestClock.adjust("1 second")
      const request = HttpServerRequest.fromWeb(new Request(`http://controller${path}`))
      const fiber = yield* Effect.fork(
        Effect.scoped(Effect.provideService(app, HttpServerRequest.HttpServerRequest, request))
      )
      yield* TestClock.adjust("2 seconds")
      const response = HttpServerResponse.toWeb(yield* Fiber.join(fiber))
      return { status: response.status, text: yield* Effect.promise(() => response.text()) }
    })
  const ready = Effect.map(ask("/readyz"), ({ status, text }) => {
    const body: unknown = JSON.parse(text)
    return { status, body }
  })
  return { state, readiness, ask, ready }
})

const fine = (name: string) => ({ name, ok: true, reason: null })
const broken = (name: string, reason: string) => ({ name, ok: false, reason })

const allFine = { status: 200, body: { ready: true, checks: [fine("hosts"), fine("pool"), fine("running")] } }

describe("whether the controller is ready", () => {
  it.scoped(
    "is told with a reason for each thing that is broken, and no names; whether it lives is another question",
    () =>
      Effect.gen(function* () {
        const { ask, ready, state } = yield* make
        assert.deepStrictEqual(yield* ready, allFine)
        state.hosts = [{ _tag: "Connecting" }]
        state.pool = "silent"
        assert.deepStrictEqual(yield* ready, {
          status: 503,
          body: {
            ready: false,
            checks: [
              broken("hosts", "1 of 1 hosts has not been tried yet"),
              broken("pool", "the pool does not answer"),
              fine("running")
            ]
          }
        })
        assert.deepStrictEqual(yield* ask("/healthz"), { status: 200, text: "ok\n" })
      })
  )

  it.scoped("is not when no host is up, and one that is up is enough", () =>
    Effect.gen(function* () {
      const { ready, state } = yield* make
      const silent = {
        reason: "x",
        signs: { ssh: "silent", libvirt: "silent", peers: "silent" },
        since: 0
      } as const
      const down = { _tag: "Down", ...silent } as const
      const suspect = { _tag: "Suspect", ...silent } as const
      const said = (reason: string) => ({
        status: 503,
        body: { ready: false, checks: [broken("hosts", reason), fine("pool"), fine("running")] }
      })
      state.hosts = [down]
      assert.deepStrictEqual(yield* ready, said("none of 1 hosts can be used: 1 is down"))
      state.hosts = [down, suspect, down]
      assert.deepStrictEqual(yield* ready, said("none of 3 hosts can be used: 2 are down, 1 is suspect"))
      state.hosts = [down, { _tag: "Connecting" }]
      assert.deepStrictEqual(yield* ready, said("1 of 2 hosts has not been tried yet"))
      state.hosts = [down, suspect, { _tag: "Up" }]
      assert.deepStrictEqual(yield* ready, allFine)
      const lost = { _tag: "Lost", reason: "x", since: 0 } as const
      state.hosts = [down, lost]
      assert.deepStrictEqual(yield* ready, said("none of 1 hosts can be used: 1 is down"), "a lost host is none")
      state.hosts = []
      assert.deepStrictEqual(yield* ready, allFine, "there are none to be used")
    })
  )

  it.scoped("is told in bounded time when something hangs, and of one that hangs only once is asked", () =>
    Effect.gen(function* () {
      const readiness = yield* Readiness.fresh
      let asked = 0
      let answers = false
      const wake = yield* Effect.makeLatch(false)
      yield* readiness.register(
        "slow",
        Effect.suspend(() => {
          asked++
          return answers ? Effect.succeed(null) : Effect.as(wake.await, null)
        })
      )
      for (let time = 0; time < 3; time++) {
        const fiber = yield* Effect.fork(readiness.report)
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(yield* Fiber.join(fiber), [broken("slow", "there was no answer within 2 seconds")])
      }
      assert.strictEqual(asked, 1)
      answers = true
      yield* wake.open
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* readiness.report, [fine("slow")])
    })
  )

  it.scoped("is found out once a second at most, however often it is asked", () =>
    Effect.gen(function* () {
      const readiness = yield* Readiness.fresh
      let asked = 0
      yield* readiness.register(
        "counted",
        Effect.sync(() => {
          asked++
          return null
        })
      )
      yield* Effect.repeatN(readiness.report, 9)
      assert.strictEqual(asked, 1)
      yield* TestClock.adjust("1 second")
      yield* readiness.report
      assert.strictEqual(asked, 2)
    })
  )

  it.scoped("is no longer so when the controller stops", () =>
    Effect.gen(function* () {
      const { readiness, ready } = yield* make
      assert.deepStrictEqual(yield* ready, allFine)
      yield* readiness.stop
      assert.deepStrictEqual(yield* ready, {
        status: 503,
        body: { ready: false, checks: [fine("hosts"), fine("pool"), broken("running", "the controller is stopping")] }
      })
    })
  )

  it.scoped("is no matter of what is gone", () =>
    Effect.gen(function* () {
      const readiness = yield* Readiness.fresh
      const scope = yield* Scope.make()
      const done = yield* Scope.extend(readiness.pending("first", "it has not begun"), scope)
      assert.deepStrictEqual(yield* readiness.report, [broken("first", "it has not begun")])
      yield* done
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* readiness.report, [fine("first")])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* readiness.report, [])
    })
  )

  it.scoped("follows whether the database can be written", () =>
    Effect.gen(function* () {
      const readiness = yield* Readiness.fresh
      const database = Layer.provide(
        Database.layer({ filename: ":memory:" }),
        Layer.succeed(Readiness.Readiness, readiness)
      )
      const { read, sql } = Context.get(yield* Layer.build(database), Database.Database)
      const found = Effect.zipRight(TestClock.adjust("1 second"), readiness.report)
      assert.deepStrictEqual(yield* found, [fine("database")])
      yield* read("forbid writing", sql`PRAGMA query_only = on`)
      assert.deepStrictEqual(yield* found, [
        broken("database", "the database failed to be written: attempt to write a readonly database")
      ])
      yield* read("allow writing", sql`PRAGMA query_only = off`)
      assert.deepStrictEqual(yield* found, [fine("database")])
    })
  )
})
