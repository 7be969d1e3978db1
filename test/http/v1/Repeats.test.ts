/** Requests that are sent again with their key: whatever they begin, it is begun once. */
import * as HttpApi from "@effect/platform/HttpApi"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as AST from "effect/SchemaAST"
import { api } from "../../../src/api/Api.ts"
import { type Principal, UserName } from "../../../src/domain/Identity.ts"
import { OperationId } from "../../../src/domain/Ids.ts"
import { Inventory } from "../../../src/services/Inventory.ts"
import { Operations } from "../../../src/services/Operations.ts"
import * as App from "./App.ts"

/** POSTs of which each one is as good as the first, and why. */
const withoutKey: Readonly<Record<string, string>> = {
  createConsoleTicket: "another ticket, which ends by itself",
  signIn: "another session, of whoever has the password",
  lookAtHost: "a look",
  examineHosts: "a look",
  pingWebhook: "a test, that is to be sent each time"
}

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
    assert.sameMembers(without, Object.keys(withoutKey))
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

  it.scopedLive("is the same request's however that is written", () =>
    Effect.gen(function* () {
      const { ask, count, send } = yield* made
      const more = { labels: { a: "1", b: "2" }, tags: ["x"] }
      const first = yield* ask("POST", "/vms", { name: "lo", instanceType: 1, ...more }, key("lab"))
      assert.deepInclude(first.json, { state: "done" })
      const usual = {
        onCrash: "leave",
        autostart: false,
        description: "",
        placement: null,
        protected: false,
        nics: [{}]
      }
      const plain = yield* ask("POST", "/vms", { name: "pl", instanceType: 1 }, key("plain"))
      const before = yield* count
      for (const body of [
        { tags: ["x"], labels: { b: "2", a: "1" }, instanceType: 1, name: "lo" },
        { name: "lo", instanceType: 1, ...usual, ...more }
      ]) {
        const { json } = yield* ask("POST", "/vms", body, key("lab"))
        assert.strictEqual(json.id, first.json.id, JSON.stringify(json))
      }
      const said = yield* ask(
        "POST",
        "/vms",
        { name: "pl", instanceType: 1, ...usual, tags: [], labels: {} },
        key("plain")
      )
      assert.strictEqual(said.json.id, plain.json.id, JSON.stringify(said.json))
      for (const other of [
        { labels: { a: "2", b: "1" } },
        { tags: ["y"] },
        { protected: true },
        { onCrash: "restart" }
      ]) {
        const { json } = yield* ask("POST", "/vms", { name: "lo", instanceType: 1, ...more, ...other }, key("lab"))
        assert.deepInclude(json, { code: "key_reused" }, JSON.stringify(other))
      }
      assert.strictEqual(yield* count, before)
      const off = yield* ask("POST", "/vms/1/power-off", undefined, key("off"))
      for (const url of ["//api/v1/vms/1/power-off", "//api/v1//vms/1/power-off/", "//api/v1/vms/1/power%2Doff"]) {
        const { json, status } = yield* send(url, { method: "POST", headers: key("off") })
        assert.deepStrictEqual([status, json.id], [200, off.json.id], url)
      }
    })
  )

  it.scopedLive("is a batch's as a whole: with another request, or as another one's, none of it is made", () =>
    Effect.gen(function* () {
      const { ask, count, get } = yield* made
      const batch = { name: "zz", instanceType: 1, count: 2 }
      const long = "k".repeat(255)
      for (const name of ["batch", long]) {
        const first = yield* ask("POST", "/vms/batch", batch, key(name))
        assert.strictEqual(first.status, 200, JSON.stringify(first.json))
        assert.deepStrictEqual((yield* ask("POST", "/vms/batch", batch, key(name))).json, first.json)
      }
      yield* ask("POST", "/vms", { name: "one", instanceType: 1 }, key("single"))
      const before = yield* count
      const { total } = (yield* get("/vms")).json
      for (const [path, body, name] of [
        ["/vms/batch", { ...batch, count: 3 }, "batch"],
        ["/vms/batch", { ...batch, count: 1 }, "batch"],
        ["/vms/batch", { ...batch, count: 4, name: "xx" }, "batch"],
        ["/vms/batch", { ...batch, instanceType: 2 }, "batch"],
        ["/vms", { name: "zz-1", instanceType: 1 }, "batch"],
        ["/vms/1/power-off", undefined, "batch"],
        ["/vms/batch", batch, "single"],
        ["/vms/batch", { ...batch, placement: { group: "g", rules: [{ kind: "apart", over: "host" }] } }, "single"]
      ] as const) {
        const { json } = yield* ask("POST", path, body, key(name))
        assert.deepInclude(json, { status: 409, code: "key_reused" }, `${path} ${JSON.stringify(body)}`)
        assert.include(json.detail, `Idempotency-Key ${name} was used`)
      }
      assert.strictEqual((yield* get("/vms")).json.total, total)
      assert.strictEqual(yield* count, before)
      // what one of a batch might be called is another key
      const { json } = yield* ask("POST", "/vms", { name: "other", instanceType: 1 }, key("batch/1"))
      assert.deepInclude(json, { kind: "CreateVm", state: "done" })
    })
  )

  it.scopedLive("of two batches at once is one's, and the other makes none", () =>
    Effect.gen(function* () {
      const { ask, get } = yield* made
      const answers = yield* Effect.forEach(
        [2, 3],
        (count) => ask("POST", "/vms/batch", { name: "web", instanceType: 1, count }, key("both")),
        { concurrency: "unbounded" }
      )
      assert.sameMembers(
        answers.map(({ status }) => status),
        [200, 409]
      )
      const { json } = answers.find(({ status }) => status === 200) ?? assert.fail("neither was begun")
      assert.strictEqual(json.refused, null)
      assert(Array.isArray(json.operations))
      assert.strictEqual((yield* get("/vms")).json.total, 1 + json.operations.length)
    })
  )

  it.scopedLive("is each user's own, whatever is asked for with it", () =>
    Effect.gen(function* () {
      const user = (name: string): Principal => ({
        user: UserName.make(name),
        role: "admin",
        via: "session",
        tokenId: null
      })
      let who = App.admin
      const { ask } = yield* App.make(App.fleet(2, 40), () => who)
      const as = (name: string) => {
        who = user(name)
      }
      for (const name of ["root", "bob", "ada"]) yield* ask("POST", "/users", { name, role: "admin" })
      for (const [number, [path, body]] of (
        [
          ["/vms", { name: "web", instanceType: 1 }],
          ["/vms/batch", { name: "many", instanceType: 1, count: 2 }],
          ["/volumes", { name: "data", size: 1 }],
          ["/volumes/1/snapshots", { name: "then" }],
          ["/vms/1/nics", {}],
          ["/vms/1/reboot", { force: true }],
          ["/tokens", { name: "ci" }],
          ["/webhooks", { url: "https://receiver.example/" }],
          ["/instance-types", { cpu: 3, ram: 1024, disk: 1 }]
        ] as const
      ).entries()) {
        const asked = ask("POST", path, body, key(`mine-${number}`))
        as("bob")
        const his = yield* asked
        assert.oneOf(his.status, [200, 201], `${path} ${JSON.stringify(his.json)}`)
        as("ada")
        const hers = yield* asked
        assert.strictEqual(hers.status, his.status, `${path} ${JSON.stringify(hers.json)}`)
        assert.notDeepEqual(hers.json, his.json, path)
        assert.deepStrictEqual((yield* asked).json, hers.json, path)
        as("bob")
        assert.deepStrictEqual((yield* asked).json, his.json, path)
      }
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

/** What is made without an operation, what else the same key could be tried for, and where all of its kind are. */
const makers: ReadonlyArray<{
  readonly path: string
  readonly body: object
  readonly other: object
  readonly list: string
  readonly status?: number
  /** its name in paths */
  readonly id?: string
}> = [
  {
    path: "/users",
    body: { name: "ada", role: "admin", password: "the first admin of all" },
    other: { name: "bob", role: "viewer" },
    list: "/users",
    id: "name"
  },
  {
    path: "/users",
    body: { name: "eve", role: "viewer", password: "a canary in a coal mine" },
    other: { name: "eve", role: "viewer", password: "another canary there" },
    list: "/users",
    id: "name"
  },
  { path: "/tokens", body: { name: "ci", owner: "ada" }, other: { name: "cd", owner: "ada" }, list: "/tokens" },
  {
    path: "/webhooks",
    body: { url: "https://receiver.example/" },
    other: { url: "https://other.example/" },
    list: "/webhooks"
  },
  {
    path: "/hosts",
    body: { address: { user: "root", host: "h9" } },
    other: { address: { user: "root", host: "h8" } },
    list: "/hosts"
  },
  {
    path: "/instance-types",
    body: { cpu: 3, ram: 1024, disk: 1 },
    other: { cpu: 4, ram: 1024, disk: 1 },
    list: "/instance-types"
  },
  { path: "/images", body: { name: "debian", size: 4096 }, other: { name: "debian", size: 8192 }, list: "/images" }
]

describe("Idempotency-Key of what begins no operation", () => {
  it.scopedLive(
    "makes one, however often and at once; another request with it is refused; what is gone is not made anew",
    () =>
      Effect.gen(function* () {
        const { ask, get } = yield* App.make()
        const all = (list: string) => Effect.map(get(list), (answer) => App.items(answer).length)
        for (const [number, { body, id = "id", list, other, path }] of makers.entries()) {
          const headers = key(`make-${number}`)
          const before = yield* all(list)
          const many = yield* Effect.replicateEffect(ask("POST", path, body, headers), 50, { concurrency: "unbounded" })
          const first = many[0] ?? assert.fail("nothing was answered")
          assert.strictEqual(first.status, 201, JSON.stringify(first.json))
          // secrets among it
          for (const { json, status } of many)
            assert.deepStrictEqual({ json, status }, { json: first.json, status: 201 })
          assert.deepInclude((yield* ask("POST", path, body, headers)).json, { [id]: first.json[id] })
          assert.strictEqual(yield* all(list), before + 1, path)
          for (const [path2, body2] of [
            [path, other],
            ["/vms", { name: "web", instanceType: 1 }]
          ] as const) {
            const { json } = yield* ask("POST", path2, body2, headers)
            assert.deepInclude(json, { status: 409, code: "key_reused" }, `${path} ${path2}`)
          }
          assert.strictEqual(yield* all(list), before + 1, path)
        }
        for (const [number, { body, id = "id", path }] of [...makers.entries()].toReversed()) {
          const made = yield* ask("POST", path, body, key(`make-${number}`))
          if (path === "/instance-types") continue
          // the last admin stays
          if (made.json.name === "ada") continue
          yield* ask("DELETE", `${path}/${String(made.json[id])}`)
          const { json } = yield* ask("POST", path, body, key(`make-${number}`))
          assert.deepInclude(json, { status: 409, code: "key_spent" }, path)
          assert.include(json.detail, String(made.json[id]))
        }
      })
  )

  it.scopedLive("of a user's password keeps nothing of that password", () =>
    Effect.gen(function* () {
      const { ask, context } = yield* App.make()
      const password = "a canary in a coal mine"
      yield* ask("POST", "/users", { name: "ada", role: "admin", password }, key("canary"))
      const led = yield* Context.get(context, Inventory).keyed({
        key: "canary",
        asker: App.admin.user,
        fingerprint: JSON.stringify([
          "local",
          "admin",
          "POST",
          "/api/v1/users",
          JSON.stringify({ name: "ada", role: "admin", password: "<redacted>" })
        ])
      })
      assert.deepStrictEqual(led, { _tag: "Thing", thing: "user", id: "ada" })
    })
  )

  it.scopedLive("of a user who was removed is spent, also when another one has the name by now", () =>
    Effect.gen(function* () {
      const { ask } = yield* App.make()
      yield* ask("POST", "/users", { name: "root", role: "admin", password: "the first admin of all" })
      const create = ask("POST", "/users", { name: "cy", role: "operator", quota: { vms: 2 } }, key("u2"))
      assert.deepInclude((yield* create).json, { name: "cy", role: "operator" })
      assert.strictEqual((yield* create).status, 201)
      yield* ask("DELETE", "/users/cy")
      const another = yield* ask("POST", "/users", { name: "cy", role: "viewer" })
      assert.deepInclude(another.json, { name: "cy", role: "viewer" })
      const { json } = yield* create
      assert.deepInclude(json, { status: 409, code: "key_spent" })
      assert.include(json.detail, "user cy, who was removed")
      // and of one who was removed twice
      yield* ask("DELETE", "/users/cy")
      assert.deepInclude((yield* create).json, { status: 409, code: "key_spent" })
    })
  )

  it.scopedLive("of a user who was removed is not that of the next one of the name, nor are secrets", () =>
    Effect.gen(function* () {
      let who: Principal = App.admin
      const { ask, get } = yield* App.make(App.fleet(1, 10), () => who)
      const asAda = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.suspend(() => {
          who = { user: UserName.make("ada"), role: "operator", via: "session", tokenId: null }
          return Effect.ensuring(
            effect,
            Effect.sync(() => {
              who = App.admin
            })
          )
        })
      yield* ask("POST", "/users", { name: "root", role: "admin", password: "the first admin of all" })
      const ada = ask("POST", "/users", { name: "ada", role: "operator" })
      const vm = asAda(ask("POST", "/vms", { name: "web", instanceType: 1 }, key("k1")))
      const reboot = asAda(ask("POST", "/vms/1/reboot", { force: true }, key("k2")))
      const token = asAda(ask("POST", "/tokens", { name: "ci" }, key("k3")))
      yield* ada
      const hers = yield* Effect.all([vm, reboot, token])
      assert.deepStrictEqual(
        (yield* Effect.all([vm, reboot, token])).map(({ json }) => json),
        hers.map(({ json }) => json)
      )
      yield* ask("DELETE", "/users/ada")
      yield* ada
      for (const [index, again] of (yield* Effect.all([vm, reboot, token])).entries()) {
        assert.oneOf(again.status, [200, 201], JSON.stringify(again.json))
        assert.notStrictEqual(again.json.id, hers[index]?.json.id)
      }
      assert.strictEqual((yield* get("/vms")).json.total, 2)
      assert.notStrictEqual((yield* token).json.secret, hers[2].json.secret)
    })
  )

  it.scopedLive("of a token tells its secret to nobody with another role or name", () =>
    Effect.gen(function* () {
      let who: Principal = App.admin
      const { ask } = yield* App.make(undefined, () => who)
      yield* ask("POST", "/users", { name: "ada", role: "admin", password: "the first admin of all" })
      who = { user: UserName.make("ada"), role: "admin", via: "session", tokenId: null }
      const create = ask("POST", "/tokens", { name: "ci" }, key("mine"))
      const made = yield* create
      assert.deepInclude(made.json, { owner: "ada", role: "admin" })
      yield* ask("POST", "/users", { name: "bob", role: "admin" })
      const me = who
      who = { ...me, role: "viewer" }
      const { json } = yield* create
      assert.deepInclude(json, { status: 409, code: "key_reused" })
      assert.notProperty(json, "secret")
      // his own key, and his own token
      who = { ...me, user: UserName.make("bob") }
      const his = yield* create
      assert.deepInclude(his.json, { owner: "bob", role: "admin" })
      assert.notStrictEqual(his.json.secret, made.json.secret)
      assert.strictEqual((yield* create).json.secret, his.json.secret)
      who = me
      assert.strictEqual((yield* create).json.secret, made.json.secret)
    })
  )

  it.scopedLive("of a new secret for a webhook gives it one", () =>
    Effect.gen(function* () {
      const { ask } = yield* App.make()
      const { json: created } = yield* ask("POST", "/webhooks", { url: "https://receiver.example/" })
      const rotate = ask("POST", "/webhooks/1/secret", undefined, key("rotate"))
      const first = yield* rotate
      assert.notStrictEqual(first.json.secret, created.secret)
      assert.strictEqual((yield* rotate).json.secret, first.json.secret)
      const { json } = yield* ask("POST", "/webhooks/1/secret", undefined, key("again"))
      assert.notStrictEqual(json.secret, first.json.secret)
    })
  )

  it.scopedLive("of a cancellation shows the operation also when it has ended", () =>
    Effect.gen(function* () {
      const { ask, context } = yield* App.make(App.fleet(1, 10))
      const { json: operation } = yield* ask("POST", "/vms", { name: "web", instanceType: 1 })
      const cancel = ask("POST", `/operations/${String(operation.id)}/cancel`, undefined, key("stop"))
      const asked = yield* cancel
      assert.strictEqual(asked.json.id, operation.id, JSON.stringify(asked.json))
      yield* Effect.ignore(Context.get(context, Operations).await(OperationId.make(String(operation.id))))
      const again = yield* cancel
      assert.strictEqual(again.status, 200, JSON.stringify(again.json))
      assert.deepInclude(again.json, { id: operation.id, cancelAsked: true })
      const { json } = yield* ask("POST", `/operations/${String(operation.id)}/cancel`)
      assert.deepInclude(json, { status: 409, code: "not_cancellable" })
    })
  )
})
