/** Failed operations that are done once more: bound to the first, once, and by what is so now. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { HypervisorTestState } from "../../../layers/HypervisorTest.ts"
import { StorageTestState } from "../../../layers/StorageTest.ts"
import { HostId, VmId } from "../../../src/domain/Ids.ts"
import { HostMonitor } from "../../../src/services/HostMonitor.ts"
import { Inventory } from "../../../src/services/Inventory.ts"
import * as App from "./App.ts"
import * as Contract from "./Contract.ts"

const web = { name: "web", instanceType: 1 }

/** One host, whose storage and domains can be made to refuse. */
const made = Effect.gen(function* () {
  const app = yield* App.make(App.fleet(1, 10))
  yield* Context.get(app.context, HostMonitor).settled
  const inventory = Context.get(app.context, Inventory)
  const { host } = yield* inventory.host(HostId.make(1))
  const storage = Context.get(app.context, StorageTestState)
  const state = Context.get(app.context, HypervisorTestState)
  const refuse = (refuses: string | null) => storage.update(host, (store) => ({ ...store, refuses }))
  const until = (id: unknown, states: ReadonlyArray<string>) =>
    app.get(`/operations/${String(id)}`).pipe(
      Effect.map(({ json }) => json),
      Effect.filterOrFail(
        ({ state }) => states.includes(String(state)),
        ({ state }) => `it is ${String(state)}`
      ),
      Effect.retry(Schedule.spaced("20 millis").pipe(Schedule.upTo("30 seconds")))
    )
  /** Asks while everything on the host refuses, and gives the operation that has failed. */
  const failed = Effect.fnUntraced(function* (method: string, path: string, body?: object) {
    const { domains } = yield* state.host(host)
    yield* refuse("it is broken")
    yield* state.update(host, (now) => ({ ...now, domains: new Map() }))
    const begun = yield* app.ask(method, path, body)
    assert.strictEqual(begun.status, 202, JSON.stringify(begun.body))
    // what is made may only be removed when that is not refused any more
    yield* until(begun.json.id, ["undoing", "failed"])
    yield* refuse(null)
    yield* state.update(host, (now) => ({ ...now, domains }))
    const ended = yield* until(begun.json.id, ["failed"])
    assert.deepInclude(ended, { retryOf: null, retriedBy: null })
    return ended
  })
  const retry = (id: unknown, headers: Record<string, string> = {}, query = "") =>
    app.ask("POST", `/operations/${String(id)}/retry${query}`, undefined, headers)
  const one = (id: unknown) => Effect.map(app.get(`/operations/${String(id)}`), ({ json }) => json)
  const count = Effect.map(app.get("/operations"), (answer) => App.items(answer).length)
  return { ...app, inventory, host, state, refuse, until, failed, retry, one, count }
})

/** A VM that is off, and a start of it that has failed. */
const unstarted = Effect.gen(function* () {
  const world = yield* made
  yield* world.done("POST", "/vms", web)
  yield* world.done("POST", "/vms/1/power-off")
  const failed = yield* world.failed("POST", "/vms/1/start")
  return { ...world, failed }
})

describe("a retry", () => {
  it.scopedLive("is a new operation that is bound to the failed one, and is answered as any other", () =>
    Effect.gen(function* () {
      const { failed, get, one, retry } = yield* unstarted
      const begun = yield* retry(failed.id)
      assert.strictEqual(begun.status, 202)
      assert.deepInclude(begun.json, { kind: "StartVm", vmId: 1, retryOf: failed.id, retriedBy: null })
      assert.notStrictEqual(begun.json.id, failed.id)
      assert.strictEqual(begun.headers.get("location"), `/api/v1/operations/${String(begun.json.id)}`)
      assert.deepInclude(yield* one(failed.id), { state: "failed", error: failed.error, retriedBy: begun.json.id })
      const events = App.items(yield* get("/events?limit=1000"))
      const told = events.filter(
        ({ data, operationId }) => operationId === failed.id && Contract.members(data).retriedBy === begun.json.id
      )
      assert.lengthOf(told, 1)
      assert.deepInclude(told[0], { type: "operation.changed", vmId: 1 })
    })
  )

  it.scopedLive("waits as long as it was asked to, and then the VM runs", () =>
    Effect.gen(function* () {
      const { failed, get, retry } = yield* unstarted
      const ended = yield* retry(failed.id, { prefer: "wait=20" })
      assert.strictEqual(ended.status, 200)
      assert.strictEqual(ended.headers.get("preference-applied"), "wait=20")
      assert.deepInclude(ended.json, { state: "done", retryOf: failed.id })
      assert.deepInclude((yield* get("/vms/1")).json, { state: "running" })
    })
  )

  it.scopedLive("is one, however many ask for it at once", () =>
    Effect.gen(function* () {
      const { count, failed, one, retry } = yield* unstarted
      const before = yield* count
      const answers = yield* Effect.all(
        Array.from({ length: 50 }, () => retry(failed.id)),
        { concurrency: "unbounded" }
      )
      const begun = answers.filter(({ status }) => status === 202)
      assert.lengthOf(begun, 1)
      const [first] = begun
      for (const { json, status } of answers.filter((answer) => answer !== first)) {
        assert.strictEqual(status, 409)
        assert.deepInclude(json, { code: "not_retryable", operation: first?.json.id })
      }
      assert.strictEqual(yield* count, before + 1)
      assert.strictEqual((yield* one(failed.id)).retriedBy, first?.json.id)
    })
  )

  it.scopedLive("with a key is the same one when it is repeated, also at once, and the key is for nothing else", () =>
    Effect.gen(function* () {
      const { ask, count, done, failed, retry } = yield* unstarted
      const before = yield* count
      const key = { "idempotency-key": "once", prefer: "wait=20" }
      const answers = yield* Effect.all([retry(failed.id, key), retry(failed.id, key)], { concurrency: "unbounded" })
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [200, 200]
      )
      assert.strictEqual(answers[0]?.json.id, answers[1]?.json.id)
      const again = yield* retry(failed.id, key)
      assert.deepInclude(again.json, { id: answers[0]?.json.id, state: "done", retryOf: failed.id })
      assert.strictEqual(yield* count, before + 1)
      yield* done("POST", "/vms/1/power-off")
      const other = yield* ask("POST", "/vms", web, key)
      assert.deepInclude(other.json, { status: 409, code: "key_reused" })
      const bad = yield* retry(failed.id, { "idempotency-key": "a b" })
      assert.deepInclude(bad.json, { status: 400, field: "Idempotency-Key" })
    })
  )

  it.scopedLive("that fails, too, can be retried itself, and only that", () =>
    Effect.gen(function* () {
      const { failed: first, host, inventory, one, retry, state } = yield* unstarted
      const { domains } = yield* state.host(host)
      yield* state.update(host, (now) => ({ ...now, domains: new Map() }))
      const second = yield* retry(first.id, { prefer: "wait=60" })
      assert.deepInclude(second.json, { state: "failed", retryOf: first.id })
      yield* state.update(host, (now) => ({ ...now, domains }))
      const refused = yield* retry(first.id)
      assert.deepInclude(refused.json, { status: 409, code: "not_retryable", operation: second.json.id })
      assert.include(
        String(refused.json.detail),
        `operation ${String(second.json.id)} is its retry already: retry that one`
      )
      const third = yield* retry(second.json.id, { prefer: "wait=20" })
      assert.deepInclude(third.json, { state: "done", retryOf: second.json.id })
      assert.strictEqual((yield* one(second.json.id)).retriedBy, third.json.id)
      assert.strictEqual((yield* inventory.vm(VmId.make(1))).state, "running")
    })
  )

  it.scopedLive("can be planned, which binds nothing, and is then done as planned", () =>
    Effect.gen(function* () {
      const { count, failed, one, retry } = yield* unstarted
      const before = yield* count
      const plan = yield* retry(failed.id, {}, "?plan=true")
      assert.strictEqual(plan.status, 200, JSON.stringify(plan.body))
      assert.isString(plan.json.expiresAt)
      assert.isNull((yield* one(failed.id)).retriedBy)
      assert.strictEqual(yield* count, before)
      const applied = yield* retry(failed.id, { prefer: "wait=20" }, `?plan_id=${String(plan.json.id)}`)
      assert.deepInclude(applied.json, { state: "done", retryOf: failed.id })
      const again = yield* retry(failed.id, {}, `?plan_id=${String(plan.json.id)}`)
      assert.deepInclude(again.json, { status: 409, code: "plan_applied" })
    })
  )

  it.scopedLive("is refused with what to do for what has not failed, is gone or never was", () =>
    Effect.gen(function* () {
      const { ask, done, failed, host, refuse, retry, state, until } = yield* unstarted
      const refusal = Effect.fnUntraced(function* (id: unknown) {
        const { json } = yield* retry(id)
        assert.deepInclude(json, { status: 409, code: "not_retryable" }, JSON.stringify(json))
        return String(json.detail)
      })
      const ended = yield* done("POST", "/vms/1/start")
      assert.include(
        yield* refusal(ended.json.id),
        "it has done what was asked: for the same once more ask for it anew"
      )
      assert.strictEqual((yield* retry("00000000-0000-4000-8000-000000000000")).status, 404)

      yield* refuse("it is broken")
      const undoing = yield* ask("POST", "/volumes", { name: "data", size: 1 })
      yield* until(undoing.json.id, ["undoing"])
      assert.include(
        yield* refusal(undoing.json.id),
        "what it made is still being removed: wait until that has ended, and retry it then"
      )
      yield* refuse(null)

      yield* state.setUnreachable(host, "the cable is cut")
      const stuck = yield* ask("POST", "/vms/1/power-off")
      assert.include(
        yield* refusal(stuck.json.id),
        "it has not ended: wait for its end, or cancel it and retry it then"
      )
      yield* state.setUnreachable(host, null)
      yield* done("DELETE", "/vms/1")
      assert.include(yield* refusal(failed.id), "VM 1 is there no more: create another one, and ask for it there")
    })
  )

  it.scopedLive("is decided by the rules of now", () =>
    Effect.gen(function* () {
      const { done, failed, retry } = yield* made
      yield* done("POST", "/vms", web)
      yield* done("POST", "/volumes", { name: "data", size: 1 })
      const attach = yield* failed("POST", "/volumes/1/attach", { vm: 1 })
      yield* done("POST", "/vms", { ...web, name: "other" })
      yield* done("POST", "/volumes/1/attach", { vm: 2 })
      const taken = yield* retry(attach.id)
      assert.deepInclude(taken.json, { status: 409, code: "volume_conflict" })
      yield* done("POST", "/volumes/1/detach")
      assert.deepInclude((yield* retry(attach.id, { prefer: "wait=20" })).json, { state: "done", vmId: 1 })
    })
  )

  it.scopedLive("where it is like that by now begins nothing, and leaves the failed one as it is", () =>
    Effect.gen(function* () {
      const { done, failed, one, retry } = yield* made
      yield* done("POST", "/vms", web)
      yield* done("POST", "/volumes", { name: "data", size: 1 })
      const attach = yield* failed("POST", "/volumes/1/attach", { vm: 1 })
      yield* done("POST", "/volumes/1/attach", { vm: 1 })
      assert.strictEqual((yield* retry(attach.id)).status, 204)
      assert.isNull((yield* one(attach.id)).retriedBy)
    })
  )
})

describe("of every kind that can be done once more", () => {
  it.scopedLive("a creation has all that was asked of it, and is placed anew", () =>
    Effect.gen(function* () {
      const { failed, get, retry } = yield* made
      const asked = {
        ...web,
        onCrash: "restart",
        protected: true,
        tags: ["blue"],
        labels: { tier: "front" },
        description: "of the shop",
        nics: [{ mac: "52:54:00:12:34:56", model: "e1000e" }]
      }
      const create = yield* failed("POST", "/vms", asked)
      assert.deepInclude(create, { kind: "CreateVm", vmId: 1 })
      const again = yield* retry(create.id, { prefer: "wait=20" })
      assert.deepInclude(again.json, { kind: "CreateVm", vmId: 2, state: "done", retryOf: create.id })
      const { json } = yield* get("/vms/2")
      const { nics: _, ...words } = asked
      assert.deepInclude(json, { ...words, state: "running" })
      assert.deepInclude(App.items(yield* get("/vms/2/nics"))[0], { mac: "52:54:00:12:34:56", model: "e1000e" })
    })
  )

  it.scopedLive("a creation that was to tell its guest something is refused, for that is not kept", () =>
    Effect.gen(function* () {
      const { failed, retry } = yield* made
      const create = yield* failed("POST", "/vms", { ...web, userData: "#cloud-config\npassword: secret\n" })
      const { json } = yield* retry(create.id)
      assert.deepInclude(json, { status: 409, code: "not_retryable", operation: create.id })
      assert.match(String(json.detail), /cloud-init .* is not kept .*: create the VM anew, with that$/)
    })
  )

  it.scopedLive(
    "NICs, volumes, snapshots, sizes and names",
    () =>
      Effect.gen(function* () {
        const { done, failed, get, retry } = yield* made
        const again = Effect.fnUntraced(function* (method: string, path: string, kind: string, body?: object) {
          const first = yield* failed(method, path, body)
          assert.strictEqual(first.kind, kind)
          const { json } = yield* retry(first.id, { prefer: "wait=20" })
          assert.deepInclude(json, { kind, state: "done", retryOf: first.id, error: null }, JSON.stringify(json))
          return json
        })
        yield* done("POST", "/vms", web)
        yield* again("POST", "/vms/1/nics", "AttachNic", { mac: "52:54:00:00:AB:77" })
        const nics = App.items(yield* get("/vms/1/nics"))
        assert.deepInclude(nics.at(-1), { mac: "52:54:00:00:ab:77" })
        const nic = String(nics.at(-1)?.id)
        yield* again("PATCH", `/vms/1/nics/${nic}`, "SetNicLink", { link: "down" })
        const volume = yield* again("POST", "/volumes", "CreateVolume", { name: "data", size: 2 })
        const id = String(volume.volumeId)
        assert.deepInclude((yield* get(`/volumes/${id}`)).json, { name: "data", size: 2 })
        yield* again("PATCH", `/volumes/${id}`, "GrowVolume", { size: 3 })
        yield* again("PATCH", `/volumes/${id}`, "RenameVolume", { name: "more" })
        assert.deepInclude((yield* get(`/volumes/${id}`)).json, { name: "more", size: 3 })
        const snapshot = yield* again("POST", `/volumes/${id}/snapshots`, "CreateSnapshot", { name: "before" })
        const kept = String(snapshot.snapshotId)
        assert.deepInclude((yield* get(`/snapshots/${kept}`)).json, { name: "before", state: "ready" })
        yield* again("POST", `/snapshots/${kept}/revert`, "RevertVolume")
        yield* again("DELETE", `/snapshots/${kept}`, "DestroySnapshot")
        yield* again("POST", "/images/publish", "PublishVolume", { name: "silver", volume: Number(id) })
        yield* again("POST", `/volumes/${id}/attach`, "AttachVolume", { vm: 1 })
        yield* done("POST", `/volumes/${id}/detach`)
        yield* again("DELETE", `/volumes/${id}`, "DestroyVolume")
        yield* again("POST", `/volumes/${id}/restore`, "RestoreVolume")
        yield* done("DELETE", `/volumes/${id}`)
        yield* again("POST", `/volumes/${id}/purge`, "PurgeVolume")
        yield* again("PATCH", "/vms/1", "ConfigureVm", { name: "shop" })
        yield* again("PATCH", "/vms/1/cloud-init", "SetCloudInit", { hostname: "shop-1" })
        assert.deepInclude((yield* get("/vms/1/cloud-init")).json, { hostname: "shop-1" })
        yield* done("POST", "/vms/1/power-off")
        yield* again("POST", "/vms/1/resize", "ResizeVm", { instanceType: 2 })
        assert.deepInclude((yield* get("/vms/1")).json, { name: "shop", instanceType: 2 })
        yield* again("POST", "/images/publish", "PublishVm", { name: "golden", vm: 1 })
        yield* again("DELETE", "/vms/1", "DestroyVm")
      }),
    120_000
  )
})
