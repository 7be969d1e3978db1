/** The client as programs with promises use it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ClientError, connect } from "../../src/client/index.ts"
import * as Served from "./Served.ts"

/** What it rejects with. */
const rejected = (promise: Promise<unknown>) =>
  Effect.promise(() =>
    promise.then(
      () => assert.fail("it was fulfilled"),
      (error: unknown) => (error instanceof ClientError ? error : assert.fail(String(error)))
    )
  )

describe("with promises", () => {
  it.scopedLive("values are what they are in JSON", () =>
    Effect.gen(function* () {
      const { url } = yield* Served.make
      yield* Effect.promise(async () => {
        const fabric = connect({ url })
        const created = await fabric.wait(await fabric.vms.createVm({ payload: { name: "web", instanceType: 1 } }))
        assert.match(created.createdAt, /^20[0-9]{2}-[0-9T:.-]*Z$/)
        const [vm, response] = await fabric.vms.getVm({ path: { id: created.vmId ?? 0 }, withResponse: true })
        assert.deepInclude(vm, { id: 1, name: "web", state: "running" })
        assert.isString(response.headers.etag)
        assert.strictEqual((await fabric.vms.listVms()).total, 1)
        const user = { name: "ada", role: "admin", password: "correct horse battery staple" } as const
        assert.strictEqual((await fabric.users.createUser({ payload: user })).name, "ada")
        assert.strictEqual(await fabric.wait(undefined), undefined)
      })
    })
  )

  it.scopedLive("a plan is had, and applied", () =>
    Effect.gen(function* () {
      const { url } = yield* Served.make
      yield* Effect.promise(async () => {
        const fabric = connect({ url })
        const payload = { name: "web", instanceType: 1 }
        const plan = await fabric.vms.createVm({ payload, urlParams: { plan: true } })
        assert.deepStrictEqual(
          plan.steps.map(({ name }) => name),
          ["image", "root disk", "seed", "define", "start", "running"]
        )
        assert.match(plan.expiresAt, /^20[0-9]{2}-/)
        const { vmId } = await fabric.vms.createVm({ payload, urlParams: { plan_id: plan.id } })
        assert.strictEqual(vmId, 1)
      })
    })
  )

  it.scopedLive("what fails is an Error that says which problem it is", () =>
    Effect.gen(function* () {
      const { url } = yield* Served.make
      const { operations, vms } = connect({ url })
      const missing = yield* rejected(vms.getVm({ path: { id: 99 } }))
      assert.deepInclude(missing, { name: "ClientError", code: "vm_not_found", status: 404, field: null })
      assert.strictEqual(missing.message, missing.detail)
      const refused = yield* rejected(vms.createVm({ payload: { name: " web", instanceType: 1 } }))
      assert.deepInclude(refused, { code: "invalid_body", status: 400, field: "name" })
      // in the controller's words, though it is not sent there
      const payload = { name: "lib", instanceType: 1, foo: 1 }
      const strange = yield* rejected(vms.createVm({ payload }))
      assert.deepInclude(strange, { code: "invalid_body", field: "foo", detail: "foo is not known here" })
      const answer = yield* Effect.promise(() =>
        fetch(`${url}/api/v1/vms`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(payload)
        })
      )
      assert.deepInclude(yield* Effect.promise(() => answer.json()), { code: strange.code, detail: strange.detail })
      const unknown = yield* rejected(operations.getOperation({ path: { id: "seven" } }))
      assert.deepInclude(unknown, { code: "invalid_argument", field: "id" })
      const nowhere = connect({ url: "http://127.0.0.1:1", patience: 0 })
      const unreachable = yield* rejected(nowhere.session.whoAmI())
      assert.deepInclude(unreachable, { code: "unreachable", status: null })
      assert.match(unreachable.detail, /^the controller cannot be reached: /)
    })
  )

  it.scopedLive("an operation that fails rejects, and a signal gives up", () =>
    Effect.gen(function* () {
      const { gate, refuse, url } = yield* Served.make
      yield* gate.close
      const fabric = connect({ url })
      const created = yield* Effect.promise(() => fabric.volumes.createVolume({ payload: { name: "data", size: 1 } }))
      const controller = new AbortController()
      const waiting = fabric.wait(created, { signal: controller.signal })
      controller.abort(new Error("enough"))
      const reason: unknown = yield* Effect.flip(Effect.tryPromise({ try: () => waiting, catch: (error) => error }))
      assert.propertyVal(reason, "message", "enough")
      yield* refuse
      const doomed = yield* Effect.promise(() => fabric.vms.createVm({ payload: { name: "web", instanceType: 1 } }))
      const failed = yield* rejected(fabric.wait(doomed))
      assert.match(failed.detail, /it is full/)
      assert.deepInclude(failed, { code: "operation_failed", status: 409 })
    }).pipe(Effect.timeout("50 seconds"))
  )

  it.scopedLive("events are iterated over until that is left, or fails", () =>
    Effect.gen(function* () {
      const { url } = yield* Served.make
      yield* Effect.promise(async () => {
        const fabric = connect({ url })
        const { next } = await fabric.events.listEvents()
        await fabric.vms.createVm({ payload: { name: "web", instanceType: 1 } })
        const seen: Array<unknown> = []
        for await (const { data, type, vmId } of fabric.events({ after: next, types: ["vm.changed"] })) {
          seen.push([type, vmId, data.state])
          break
        }
        assert.deepStrictEqual(seen, [["vm.changed", 1, "running"]])
      })
      const gone = connect({ url: "http://127.0.0.1:1", patience: 0 }).events()[Symbol.asyncIterator]()
      assert.strictEqual((yield* rejected(gone.next())).code, "unreachable")
    }).pipe(Effect.timeout("50 seconds"))
  )
})
