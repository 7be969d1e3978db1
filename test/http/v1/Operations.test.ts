/** How operations are begun, waited for and repeated. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { HypervisorTestState } from "../../../layers/HypervisorTest.ts"
import { StorageTestState } from "../../../layers/StorageTest.ts"
import { type Principal, TokenId, UserName } from "../../../src/domain/Identity.ts"
import { HostId } from "../../../src/domain/Ids.ts"
import { waitOf } from "../../../src/http/v1/Answers.ts"
import { HostMonitor } from "../../../src/services/HostMonitor.ts"
import { Inventory } from "../../../src/services/Inventory.ts"
import * as App from "./App.ts"
import * as Contract from "./Contract.ts"

const web = { name: "web", instanceType: 1 }

/** Until `check` holds, half a minute at most. */
const eventually = <A, E, R>(check: Effect.Effect<A, E, R>) =>
  Effect.sandbox(check).pipe(
    Effect.retry(Schedule.spaced("20 millis").pipe(Schedule.upTo("30 seconds"))),
    Effect.unsandbox
  )

describe("Prefer", () => {
  it("asks to wait, within what is allowed", () => {
    assert.deepStrictEqual(
      [undefined, "", "respond-async", "wait", "wait=7", "respond-async, wait=7", 'WAIT="7"; x=1', "wait=0"].map(
        waitOf
      ),
      [undefined, undefined, undefined, 30, 7, 7, 7, 0]
    )
    assert.deepStrictEqual(["wait=301", "wait=999999999", "wait=-1", "wait=x", "awaiting=3"].map(waitOf), [
      300,
      300,
      undefined,
      undefined,
      undefined
    ])
  })
})

describe("an operation", () => {
  it.scopedLive("is answered as soon as it was begun, with where it can be followed", () =>
    Effect.gen(function* () {
      const { ask, get, send } = yield* App.make()
      const begun = yield* ask("POST", "/vms", web)
      assert.strictEqual(begun.status, 202)
      assert.deepInclude(begun.json, { kind: "CreateVm", vmId: 1, state: "pending" })
      assert.isNull(begun.headers.get("preference-applied"))
      const location = begun.headers.get("location") ?? ""
      assert.strictEqual(location, `/api/v1/operations/${String(begun.json.id)}`)
      yield* eventually(Effect.map(send(location), ({ json }) => assert.strictEqual(json.state, "done")))
      assert.strictEqual((yield* get("/vms/1")).json.state, "running")
    })
  )

  it.scopedLive("is waited for as long as it was asked for, whether it ends well, badly or not at all", () =>
    Effect.gen(function* () {
      const { ask, context } = yield* App.make(App.fleet(1, 10))
      const waited = yield* ask("POST", "/vms", web, { prefer: "wait=20" })
      assert.strictEqual(waited.status, 200)
      assert.strictEqual(waited.headers.get("preference-applied"), "wait=20")
      assert.deepInclude(waited.json, { state: "done", error: null })

      // the host goes away without anybody having noticed yet
      const { host } = yield* Context.get(context, Inventory).host(HostId.make(1))
      yield* Context.get(context, HypervisorTestState).setUnreachable(host, "the cable is cut")
      const stuck = yield* ask("DELETE", "/vms/1", undefined, { prefer: "wait=1" })
      assert.strictEqual(stuck.status, 202)
      assert.strictEqual(stuck.headers.get("preference-applied"), "wait=1")
      assert.isNull(stuck.json.endedAt)
      yield* Context.get(context, HypervisorTestState).setUnreachable(host, null)
      yield* eventually(
        Effect.map(ask("GET", `/operations/${String(stuck.json.id)}`), ({ json }) =>
          assert.strictEqual(json.state, "done")
        )
      )
    })
  )

  it.scopedLive(
    "that was done anew on another host says so",
    () =>
      Effect.gen(function* () {
        const { ask, context, get } = yield* App.make(App.fleet(2, 10))
        const { host } = yield* Context.get(context, Inventory).host(HostId.make(1))
        yield* Context.get(context, HostMonitor).settled
        // its storage alone: nobody notices before it is needed
        yield* Context.get(context, StorageTestState).update(host, (store) => ({ ...store, unreachable: "no answer" }))
        const first = yield* ask("POST", "/vms", web, { "idempotency-key": "once" })
        assert.strictEqual(first.status, 202)
        const replaced = yield* eventually(
          Effect.map(get(`/operations/${String(first.json.id)}`), ({ json }) => {
            assert.isString(json.replacedBy)
            return String(json.replacedBy)
          })
        )
        const second = yield* eventually(
          Effect.map(get(`/operations/${replaced}`), ({ json }) => {
            assert.strictEqual(json.state, "done")
            return json
          })
        )
        assert.deepInclude(second, { kind: "CreateVm", vmId: 2, replacedBy: null, user: "local" })
        assert.match(String(second.cause), /^it could not be made where it was: .*no answer/)
        assert.deepInclude((yield* get("/vms/2")).json, { hostId: 2, state: "running" })
        // whoever repeats the request is led to it, too
        const again = yield* ask("POST", "/vms", web, { "idempotency-key": "once", prefer: "wait=20" })
        assert.deepInclude(again.json, { id: replaced, vmId: 2 })
      }),
    60_000
  )

  it.scopedLive("says who asked for it and with which token, whatever it is, and is listed by that", () =>
    Effect.gen(function* () {
      const user = UserName.make("ada")
      const session: Principal = { user, role: "operator", via: "session", tokenId: null }
      const token: Principal = { ...session, via: "token", tokenId: TokenId.make(7), tokenName: "nightly" }
      let who = App.admin
      const { ask, done, get } = yield* App.make(App.fleet(1, 10), () => who)
      yield* done("POST", "/vms", web)
      who = session
      yield* done("POST", "/vms", { ...web, name: "hers" })
      yield* done("POST", "/volumes", { name: "data", size: 1 })
      yield* done("POST", "/volumes/1/snapshots", { name: "monday" })
      yield* done("POST", "/volumes/1/attach", { vm: 1 })
      who = token
      yield* done("POST", "/vms/1/nics", {})
      yield* done("POST", "/vms/1/shut-down", { force: true, within: 1 })
      yield* done("PATCH", "/vms/1", { name: "other" })
      yield* done("PATCH", "/vms/1/cloud-init", { hostname: "other" })
      yield* done("POST", "/vms/1/resize", { instanceType: 2 })
      yield* done("POST", "/vms/1/repair", {})
      yield* done("DELETE", "/vms/1")
      // what an admin does with what is hers is the admin's
      who = App.admin
      yield* done("DELETE", "/vms/2")
      const all = App.items(yield* get("/operations"))
      assert.deepStrictEqual(
        all.map(({ kind, token, user }) => [kind, user, token]),
        [
          ["DestroyVm", "local", null],
          ["DestroyVm", "ada", "nightly"],
          ["RepairVm", "ada", "nightly"],
          ["ResizeVm", "ada", "nightly"],
          ["SetCloudInit", "ada", "nightly"],
          ["ConfigureVm", "ada", "nightly"],
          ["ShutDownVm", "ada", "nightly"],
          ["AttachNic", "ada", "nightly"],
          ["AttachVolume", "ada", null],
          ["CreateSnapshot", "ada", null],
          ["CreateVolume", "ada", null],
          ["CreateVm", "ada", null],
          ["CreateVm", "local", null]
        ]
      )
      for (const { cause } of all) assert.isNull(cause)
      const hers = App.items(yield* get("/operations?user=ada&limit=2"))
      assert.deepStrictEqual(
        hers.map(({ id }) => id),
        all.slice(1, 3).map(({ id }) => id)
      )
      assert.lengthOf(App.items(yield* get("/operations?user=ada")), 11)
      assert.lengthOf(App.items(yield* get("/operations?user=bob")), 0)
      assert.deepInclude((yield* ask("GET", "/operations?user=Ada%20L")).json, { status: 400, field: "user" })
      const two = [all[0], all[11]].map((one) => one?.id)
      const some = App.items(yield* get(`/operations?ids=${two.toReversed().join(",")},${crypto.randomUUID()}`))
      assert.deepStrictEqual(
        some.map(({ id }) => id),
        two
      )
      assert.deepInclude((yield* ask("GET", "/operations?ids=7")).json, { status: 400, field: "ids" })
    })
  )

  it.scopedLive("goes on without the client that began it, and is not begun without the client that wanted it", () =>
    Effect.gen(function* () {
      const { ask, context, get } = yield* App.make(App.fleet(1, 10))
      const inventory = Context.get(context, Inventory)
      // begun, and the client goes away while it waits
      const waiting = yield* Effect.fork(ask("POST", "/vms", web, { prefer: "wait=300" }))
      yield* eventually(Effect.map(inventory.vms(), (vms) => assert.lengthOf(vms, 1)))
      yield* Fiber.interrupt(waiting)
      yield* eventually(Effect.map(get("/vms/1"), ({ json }) => assert.strictEqual(json.state, "running")))

      // an operation that cannot end keeps the VM busy, and who wants to repair it waits for their turn
      const { host } = yield* inventory.host(HostId.make(1))
      const state = Context.get(context, HypervisorTestState)
      yield* state.setUnreachable(host, "the cable is cut")
      yield* ask("POST", "/vms/1/repair")
      const queued = yield* Effect.fork(ask("DELETE", "/vms/1"))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(queued)
      yield* state.setUnreachable(host, null)
      yield* eventually(Effect.map(get("/operations?ended=false"), (answer) => assert.lengthOf(App.items(answer), 0)))
      assert.deepStrictEqual(
        App.items(yield* get("/operations")).map(({ kind }) => kind),
        ["RepairVm", "CreateVm"]
      )
      assert.strictEqual((yield* get("/vms/1")).json.state, "running")
    })
  )
})

describe("Idempotency-Key", () => {
  it.scopedLive("makes 50 requests at the same time one VM, one volume and one snapshot", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      const fifty = (path: string, body: object, key: string) =>
        Effect.map(
          Effect.forEach(
            Array.from({ length: 50 }),
            () => ask("POST", path, body, { "idempotency-key": key, prefer: "wait=20" }),
            { concurrency: "unbounded" }
          ),
          (answers) => {
            assert.isTrue(answers.every(({ status }) => status === 200))
            return new Set(answers.map(({ json }) => json.id)).size
          }
        )
      assert.strictEqual(yield* fifty("/vms", web, "a"), 1)
      assert.strictEqual((yield* get("/vms")).json.total, 1)
      assert.strictEqual(yield* fifty("/volumes", { name: "data", size: 1 }, "b"), 1)
      assert.strictEqual((yield* get("/volumes")).json.total, 1)
      assert.strictEqual(yield* fifty("/volumes/1/snapshots", { name: "monday" }, "c"), 1)
      assert.lengthOf(App.items(yield* get("/volumes/1/snapshots")), 1)

      // another request with the same key is another request
      yield* done("POST", "/volumes", { name: "other", size: 1 })
      const others = [
        ["/vms", { ...web, name: "other" }, "a"],
        ["/volumes", { name: "data", size: 1 }, "a"],
        ["/volumes/2/snapshots", { name: "monday" }, "c"]
      ] as const
      for (const [path, body, key] of others) {
        assert.deepInclude((yield* ask("POST", path, body, { "idempotency-key": key })).json, { code: "key_reused" })
      }
    })
  )
})

describe("a batch", () => {
  it.scopedLive(
    "of 1,000 where there is room for 100 gives 100, and says why not more",
    () =>
      Effect.gen(function* () {
        const { ask, get } = yield* App.make(App.fleet(4, 25))
        const answer = yield* ask("POST", "/vms/batch", { ...web, count: 1000 }, { prefer: "wait=60" })
        assert.strictEqual(answer.status, 200, JSON.stringify(answer.body).slice(0, 300))
        const operations = Array.isArray(answer.json.operations) ? answer.json.operations.map(Contract.members) : []
        assert.lengthOf(operations, 100)
        assert.isTrue(operations.every(({ state }) => state === "done"))
        assert.lengthOf(new Set(operations.map(({ vmId }) => vmId)), 100)
        const refused = Contract.members(answer.json.refused)
        assert.strictEqual(refused.count, 900)
        assert.deepInclude(Contract.members(refused.problem), { status: 409, code: "no_feasible_host" })
        assert.strictEqual((yield* get("/vms?state=running")).json.total, 100)
        const hosts = App.items(yield* get("/hosts"))
        assert.deepStrictEqual(
          hosts.map(({ vms }) => vms),
          [25, 25, 25, 25]
        )
        // there is room for none
        const none = yield* ask("POST", "/vms/batch", { ...web, count: 2 })
        assert.deepInclude(none.json, { status: 409, code: "no_feasible_host" })
      }),
    60_000
  )

  it.scopedLive("with a key is begun once, and what was refused is tried again", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make(App.fleet(1, 10))
      yield* ask("POST", "/vms/batch", { name: "old", instanceType: 1, count: 7 }, { prefer: "wait=20" })
      const again = () =>
        Effect.map(
          ask("POST", "/vms/batch", { ...web, count: 5 }, { "idempotency-key": "k", prefer: "wait=20" }),
          ({ json }) => [Array.isArray(json.operations) && json.operations.length, Contract.members(json.refused).count]
        )
      assert.deepStrictEqual(yield* again(), [3, 2])
      assert.deepStrictEqual(yield* again(), [3, 2])
      yield* done("DELETE", "/vms/1")
      assert.deepStrictEqual(yield* again(), [4, 1])
      assert.strictEqual((yield* get("/vms?name=web")).json.total, 4)
      const other = yield* ask("POST", "/vms/batch", { ...web, count: 6 }, { "idempotency-key": "k" })
      assert.strictEqual(other.json.code, "key_reused")
    })
  )
})
