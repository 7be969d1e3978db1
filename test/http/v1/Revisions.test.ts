/** ETags, and changes that depend on them. */
import * as HttpApi from "@effect/platform/HttpApi"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as AST from "effect/SchemaAST"
import { api, prefix } from "../../../src/api/Api.ts"
import { VmId } from "../../../src/domain/Ids.ts"
import { Inventory } from "../../../src/services/Inventory.ts"
import * as App from "./App.ts"
import * as Contract from "./Contract.ts"

type Asked = Effect.Effect.Success<ReturnType<typeof App.make>>

const tagOf = (answer: App.Answer): string => {
  const etag = answer.headers.get("etag") ?? ""
  assert.match(etag, /^"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{22}"$/)
  return etag
}

/** Of what is wanted alone, as before 0.10. */
const etagOf = (answer: App.Answer): string => `${tagOf(answer).slice(0, 23)}"`

/** What each resource can be changed by, and what makes its ETag another. */
const resources: ReadonlyArray<{
  readonly path: string
  readonly change: (asked: Asked) => Effect.Effect<unknown>
  readonly attempts: ReadonlyArray<readonly [method: string, body?: object]>
}> = [
  {
    path: "/vms/1",
    change: ({ ask }) => ask("PATCH", "/vms/1", { onCrash: "restart" }),
    attempts: [["PATCH", { onCrash: "leave" }], ["DELETE"]]
  },
  {
    path: "/volumes/1",
    change: ({ done }) => done("PATCH", "/volumes/1", { name: "b" }),
    attempts: [["PATCH", { name: "c" }], ["PATCH", { size: 7 }], ["PATCH", { name: "c", size: 7 }], ["DELETE"]]
  },
  {
    path: "/hosts/2",
    change: ({ ask }) => ask("PATCH", "/hosts/2", { maintenance: true }),
    attempts: [["PATCH", { maintenance: false }]]
  },
  {
    path: "/webhooks/1",
    change: ({ ask }) => ask("PATCH", "/webhooks/1", { types: ["vm.created"] }),
    attempts: [
      ["PATCH", { url: "https://other.example/" }],
      ["PATCH", { types: null }]
    ]
  },
  {
    path: "/users/bob",
    change: ({ ask }) => ask("PATCH", "/users/bob", { role: "viewer" }),
    attempts: [
      ["PATCH", { role: "operator" }],
      ["PATCH", { disabled: true }]
    ]
  }
]

/** What is done to a part of one, or ends it. */
const others: ReadonlyArray<readonly [resource: string, method: string, path: string, body?: object]> = [
  ["/users/bob", "PUT", "/users/bob/password", { password: "correct horse battery staple" }],
  ["/tokens/1", "DELETE", "/tokens/1"],
  ["/users/bob", "DELETE", "/users/bob"]
]

/** What is done to something that has a revision, each possible when those before it are done. */
const actions: ReadonlyArray<readonly [resource: string, path: string, body?: object]> = [
  ["/vms/1", "/vms/1/nics", {}],
  ["/vms/1", "/vms/1/pause"],
  ["/vms/1", "/vms/1/resume"],
  ["/vms/1", "/vms/1/reset"],
  ["/vms/1", "/vms/1/reboot", { force: true }],
  ["/vms/1", "/vms/1/repair"],
  ["/vms/1", "/vms/1/shut-down", {}],
  ["/vms/1", "/vms/1/start"],
  ["/vms/1", "/vms/1/power-off"],
  ["/vms/1", "/vms/1/resize", { instanceType: 2 }],
  ["/volumes/1", "/volumes/1/snapshots", { name: "monday" }],
  ["/snapshots/1", "/snapshots/1/revert"],
  ["/volumes/1", "/volumes/1/attach", { vm: 1 }],
  ["/volumes/1", "/volumes/1/detach"],
  ["/volumes/2", "/volumes/2/restore"],
  ["/volumes/3", "/volumes/3/purge"]
]

/** Whether a request can say which revision it is about. */
const compares = ({ headersSchema }: { readonly headersSchema: Option.Option<{ readonly ast: AST.AST }> }) =>
  Option.exists(headersSchema, ({ ast }) => AST.getPropertySignatures(ast).some(({ name }) => name === "if-match"))

/** Changes and removals that no ETag guards, and why. */
const unguarded: Readonly<Record<string, string>> = {
  sendImage: "`Upload-Offset` says where it goes on",
  signOut: "it ends what asks"
}

describe("If-Match", () => {
  it("is taken by every change and every removal", () => {
    const without: Array<string> = []
    HttpApi.reflect(api, {
      onGroup: () => undefined,
      onEndpoint: ({ endpoint }) => {
        if (endpoint.method === "GET" || endpoint.method === "POST") return
        if (!compares(endpoint)) without.push(endpoint.name)
      }
    })
    assert.sameMembers(without, Object.keys(unguarded))
  })

  it.scopedLive("refuses what is done to another than was read, and is refused where it is not compared", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make(App.fleet(1, 10))
      yield* done("POST", "/vms", { name: "web", instanceType: 1 })
      for (const name of ["a", "b", "c"]) yield* done("POST", "/volumes", { name, size: 1 })
      for (const id of [2, 3]) yield* done("DELETE", `/volumes/${id}`)
      for (const [resource, path, body] of actions) {
        const etag = etagOf(yield* get(resource))
        const operations = (yield* get("/operations")).json.items
        for (const planned of ["", "?plan=true"]) {
          const refused = yield* ask("POST", path + planned, body, { "if-match": '"x"' })
          assert.deepInclude(refused.json, { status: 412, code: "has_changed" }, path)
        }
        const unclear = yield* ask("POST", path, body, { "if-match": "x" })
        assert.deepInclude(unclear.json, { status: 400, code: "invalid_header", field: "If-Match" }, path)
        assert.deepStrictEqual((yield* get("/operations")).json.items, operations, path)
        assert.strictEqual(etagOf(yield* get(resource)), etag, path)
        const answer = yield* ask("POST", path, body, { "if-match": etag, prefer: "wait=20" })
        assert.deepInclude(answer.json, { state: "done" }, `${path} ${JSON.stringify(answer.json)}`)
      }

      const others: Array<{ readonly method: string; readonly path: string }> = []
      const known = new Set<string>()
      HttpApi.reflect(api, {
        onGroup: () => undefined,
        onEndpoint: ({ endpoint }) => {
          const path = endpoint.path.slice(prefix.length)
          if (endpoint.method === "GET") return
          if (!compares(endpoint)) others.push({ method: endpoint.method, path })
          else if (endpoint.method === "POST") known.add(path)
        }
      })
      assert.sameMembers([...known], [...new Set(actions.map(([, path]) => path.replace(/[0-9]+/, ":id")))])
      const silent: Array<string> = []
      for (const { method, path } of others) {
        const body = method === "POST" ? { name: "web", instanceType: 1, count: 1 } : undefined
        const at = path.replace(/:[a-z]+/g, "1")
        const { json } = yield* ask(method, at, body, { "if-match": '"x"' })
        if (json.status !== 400 || json.field !== "If-Match") silent.push(`${method} ${path}: ${JSON.stringify(json)}`)
      }
      assert.deepStrictEqual(silent, [])
      assert.strictEqual((yield* get("/vms")).json.total, 1)
    })
  )

  it.scopedLive("refuses what was decided on an older state, and changes nothing then", () =>
    Effect.gen(function* () {
      const asked = yield* App.make()
      const { ask, done, get } = asked
      yield* done("POST", "/vms", { name: "web", instanceType: 1 })
      yield* done("POST", "/volumes", { name: "a", size: 1 })
      yield* ask("POST", "/webhooks", { url: "https://receiver.example/hooks" })
      yield* ask("POST", "/users", { name: "ada", role: "admin", password: "the first admin of all" })
      yield* ask("POST", "/users", { name: "bob", role: "operator" })
      yield* ask("POST", "/tokens", { name: "ci", owner: "bob" })
      for (const { attempts, change, path } of resources) {
        const before = etagOf(yield* get(path))
        assert.strictEqual(etagOf(yield* get(path)), before)
        yield* change(asked)
        const after = yield* get(path)
        assert.notStrictEqual(etagOf(after), before)
        for (const [method, body] of attempts) {
          for (const tag of [before, `W/${etagOf(after)}`, '"x", "y"']) {
            const refused = yield* ask(method, path, body, { "if-match": tag })
            assert.deepInclude(refused.json, { status: 412, code: "has_changed" }, `${method} ${path} ${tag}`)
          }
          const unclear = yield* ask(method, path, body, { "if-match": "x" })
          assert.deepInclude(unclear.json, { status: 400, code: "invalid_header", field: "If-Match" })
        }
        assert.strictEqual(etagOf(yield* get(path)), etagOf(after))
        const [[method, body] = ["GET"]] = attempts
        const headers = { "if-match": `"x", ${tagOf(after)}`, prefer: "wait=20" }
        assert.strictEqual((yield* ask(method, path, body, headers)).status, 200)
        assert.notStrictEqual(etagOf(yield* get(path)), etagOf(after))
        const [last, given] = attempts.at(-1) ?? ["GET"]
        assert.strictEqual((yield* ask(last, path, given, { "if-match": "*", prefer: "wait=20" })).status, 200)
      }
      for (const [resource, method, path, body] of others) {
        const etag = etagOf(yield* get(resource))
        const refused = yield* ask(method, path, body, { "if-match": '"x"' })
        assert.deepInclude(refused.json, { status: 412, code: "has_changed" }, `${method} ${path}`)
        assert.strictEqual(etagOf(yield* get(resource)), etag)
        assert.strictEqual((yield* ask(method, path, body, { "if-match": etag })).status, 204, `${method} ${path}`)
      }
      // there is nothing to be done any more, so there is nothing to expect
      assert.strictEqual((yield* ask("DELETE", "/vms/1", undefined, { "if-match": '"x"' })).status, 204)
    })
  )

  it.scopedLive("is of a snapshot where one is destroyed, and of what is wanted, not of what is seen", () =>
    Effect.gen(function* () {
      const { ask, context, done, get } = yield* App.make()
      yield* done("POST", "/volumes", { name: "a", size: 1 })
      yield* done("POST", "/volumes/1/snapshots", { name: "monday" })
      const snapshot = etagOf(yield* get("/snapshots/1"))
      const refused = yield* ask("DELETE", "/snapshots/1", undefined, { "if-match": '"x"' })
      assert.strictEqual(refused.json.code, "has_changed")
      yield* done("PATCH", "/volumes/1", { name: "b" })
      yield* done("DELETE", "/snapshots/1", undefined, { "if-match": snapshot })

      yield* done("POST", "/vms", { name: "web", instanceType: 1 })
      const wanted = yield* get("/vms/1")
      assert.strictEqual(Contract.members(wanted.json.seen).power, "running")
      const stopped = { power: "stopped", reason: "shutdown" } as const
      const now = yield* Clock.currentTimeMillis
      yield* Context.get(context, Inventory).observe([{ vmId: VmId.make(1), seen: stopped, drift: null }], now)
      const seen = yield* get("/vms/1")
      assert.strictEqual(Contract.members(seen.json.seen).power, "stopped")
      assert.strictEqual(etagOf(seen), etagOf(wanted))
      assert.notStrictEqual(tagOf(seen), tagOf(wanted))
      const known = yield* get("/images/100")
      etagOf(known)
      etagOf(yield* get("/instance-types/1"))
    })
  )

  it.scopedLive("lets one of many that decided on the same state through", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      yield* done("POST", "/volumes", { name: "a", size: 1 })
      const etag = etagOf(yield* get("/volumes/1"))
      const answers = yield* Effect.forEach(
        Array.from({ length: 10 }, (_, index) => index),
        (index) => ask("PATCH", "/volumes/1", { name: `b${index}` }, { "if-match": etag, prefer: "wait=20" }),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers.map(({ status }) => status).toSorted((a, b) => a - b),
        [200, ...Array.from({ length: 9 }, () => 412)]
      )
    })
  )
})

describe("If-None-Match", () => {
  it.scopedLive("of what is at hand already is answered with 304, until anything of it is another", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      const { json: operation } = yield* done("POST", "/vms", { name: "web", instanceType: 1 })
      yield* done("POST", "/volumes", { name: "a", size: 1 })
      yield* done("POST", "/volumes/1/snapshots", { name: "monday" })
      yield* ask("POST", "/webhooks", { url: "https://receiver.example/hooks" })
      yield* ask("POST", "/users", { name: "ada", role: "admin", password: "the first admin of all" })
      yield* ask("POST", "/tokens", { name: "ci", owner: "ada" })
      const paths = [
        "/vms/1",
        "/vms/1/cloud-init",
        "/volumes/1",
        "/snapshots/1",
        "/hosts/2",
        "/images/100",
        "/instance-types/1",
        `/operations/${String(operation.id)}`,
        "/webhooks/1",
        "/users/ada",
        "/tokens/1"
      ]
      const nouns = (all: ReadonlyArray<string>) => all.map((path) => path.split("/")[1])
      const documented = Contract.operations(App.document).flatMap(({ method, path, spec }) =>
        method === "GET" && "304" in Contract.members(spec.responses) ? [path.slice(prefix.length)] : []
      )
      assert.sameMembers(nouns(documented), nouns(paths))
      for (const path of paths) {
        const first = yield* get(path)
        const tag = tagOf(first)
        for (const known of [tag, `W/${tag}`, `"x", ${tag}`, "*"]) {
          const answer = yield* ask("GET", path, undefined, { "if-none-match": known })
          assert.deepStrictEqual([answer.status, answer.body], [304, ""], `${path} ${known}`)
          assert.strictEqual(answer.headers.get("etag"), tag)
          const head = yield* ask("HEAD", path, undefined, { "if-none-match": known })
          assert.deepStrictEqual([head.status, head.headers.get("etag")], [304, tag], `HEAD ${path} ${known}`)
        }
        // what is wanted alone is not all that is shown
        for (const other of ['"x"', etagOf(first), tag.slice(1, -1)]) {
          const answer = yield* ask("GET", path, undefined, { "if-none-match": other })
          assert.deepStrictEqual([answer.status, answer.body], [200, first.body], `${path} ${other}`)
        }
      }
      // what is promised of a host is none of its settings, and is shown
      const host = `/hosts/${String((yield* get("/vms/1")).json.hostId)}`
      const before = yield* get(host)
      yield* done("DELETE", "/vms/1")
      const after = yield* ask("GET", host, undefined, { "if-none-match": tagOf(before) })
      assert.strictEqual(after.status, 200)
      assert.strictEqual(etagOf(after), etagOf(before))
      assert.notDeepEqual(after.body, before.body)
      // a change is done, whoever knows what
      const now = { "if-none-match": tagOf(after) }
      assert.strictEqual((yield* ask("PATCH", host, { maintenance: true }, now)).status, 200)
      assert.strictEqual((yield* ask("GET", "/vms/99", undefined, now)).status, 404)
    })
  )
})
