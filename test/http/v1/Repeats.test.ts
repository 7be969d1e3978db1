/** Requests that are sent again with their key: whatever they begin, it is begun once. */
import * as HttpApi from "@effect/platform/HttpApi"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as AST from "effect/SchemaAST"
import { api } from "../../../src/api/Api.ts"
import * as App from "./App.ts"

/** POSTs of which each one is as good as the first: they look, they say whom one is, or what they make can be there once. */
const withoutKey = new Set([
  // another ticket, which ends by itself
  "createConsoleTicket",
  "signIn",
  "lookAtHost",
  "examineHosts",
  "pingWebhook",
  "cancelOperation",
  // refused the second time, in words that name what is there: an address, an id, a name or a source is one thing's
  "addHost",
  "createInstanceType",
  "createUser",
  "createImage",
  // a secret is shown once, and is nowhere kept as it is
  "createToken",
  "createWebhook",
  "rotateWebhookSecret"
])

const key = (value: string) => ({ "idempotency-key": value, prefer: "wait=20" })

const made = Effect.gen(function* () {
  const app = yield* App.make(App.fleet(1, 10))
  yield* app.done("POST", "/vms", { name: "web", instanceType: 1 })
  const count = Effect.map(app.get("/operations"), (answer) => App.items(answer).length)
  return { ...app, count }
})

describe("Idempotency-Key", () => {
  it("is taken by every POST that another one would do again", () => {
    const without: Array<string> = []
    HttpApi.reflect(api, {
      onGroup: () => undefined,
      onEndpoint: ({ endpoint }) => {
        if (endpoint.method !== "POST") return
        const taken = Option.exists(endpoint.headersSchema, ({ ast }) =>
          AST.getPropertySignatures(ast).some(({ name }) => name === "idempotency-key")
        )
        if (!taken) without.push(endpoint.name)
      }
    })
    assert.deepStrictEqual(new Set(without), withoutKey)
  })

  it.scopedLive("of a reboot leads to that reboot, one after the other and at once", () =>
    Effect.gen(function* () {
      const { ask, count } = yield* made
      const before = yield* count
      const [first, ...others] = yield* Effect.replicateEffect(
        ask("POST", "/vms/1/reboot", { force: true }, key("again")),
        20,
        { concurrency: "unbounded" }
      )
      assert.deepInclude(first?.json, { kind: "RebootVm", state: "done" })
      for (const { json } of others) assert.strictEqual(json.id, first?.json.id)
      assert.strictEqual((yield* ask("POST", "/vms/1/reboot", { force: true }, key("again"))).json.id, first?.json.id)
      assert.strictEqual(yield* count, before + 1)
      // without it, or with another, it is another reboot
      assert.notStrictEqual((yield* ask("POST", "/vms/1/reboot", { force: true }, key("b"))).json.id, first?.json.id)
      assert.strictEqual(yield* count, before + 2)
    })
  )

  it.scopedLive("is one request's: another one with it is refused, whether by its path or by what it says", () =>
    Effect.gen(function* () {
      const { ask, count } = yield* made
      yield* ask("POST", "/vms/1/power-off", undefined, key("one"))
      const before = yield* count
      for (const [path, body] of [
        ["/vms/1/start", undefined],
        ["/vms/1/reboot", { force: true }],
        ["/vms", { name: "other", instanceType: 1 }]
      ] as const) {
        const { json } = yield* ask("POST", path, body, key("one"))
        assert.deepInclude(json, { status: 409, code: "key_reused" }, path)
      }
      const { json } = yield* ask("POST", "/vms/1/start", undefined, { "idempotency-key": "a b" })
      assert.deepInclude(json, { status: 400, field: "Idempotency-Key" })
      assert.strictEqual(yield* count, before)
    })
  )

  it.scopedLive("keeps no refusal", () =>
    Effect.gen(function* () {
      const { ask } = yield* made
      yield* ask("POST", "/instance-types", { cpu: 2, ram: 2048, disk: 10, id: 9 })
      const resize = ask("POST", "/vms/1/resize", { instanceType: 9 }, key("resize"))
      // it runs
      assert.strictEqual((yield* resize).status, 409)
      yield* ask("POST", "/vms/1/power-off", undefined, key("off"))
      const done = yield* resize
      assert.deepInclude(done.json, { kind: "ResizeVm", state: "done" })
      assert.strictEqual((yield* resize).json.id, done.json.id)
    })
  )

  it.scopedLive("is none of a plan's, and is the applied plan's", () =>
    Effect.gen(function* () {
      const { ask, count } = yield* made
      const planned = yield* ask("POST", "/vms/1/power-off?plan=true", undefined, key("plan"))
      assert.strictEqual(planned.status, 200, JSON.stringify(planned.body))
      const before = yield* count
      const apply = ask("POST", `/vms/1/power-off?plan_id=${String(planned.json.id)}`, undefined, key("plan"))
      const applied = yield* apply
      assert.deepInclude(applied.json, { kind: "PowerOffVm", state: "done" })
      assert.strictEqual((yield* apply).json.id, applied.json.id)
      assert.strictEqual(yield* count, before + 1)
    })
  )
})
