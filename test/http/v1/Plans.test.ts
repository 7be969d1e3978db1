/** Plans over HTTP: asked for, applied, and refused. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as App from "./App.ts"
import * as Contract from "./Contract.ts"

const operations = Contract.operations(App.document)

const isParameter = (spec: Readonly<Record<string, unknown>>, name: string) =>
  Array.isArray(spec.parameters) && spec.parameters.some((one) => Contract.members(one).name === name)

const changing = operations.filter(({ method }) => method !== "GET")
const plannable = changing.filter(({ spec }) => isParameter(spec, "plan"))

/** Requests that change something, in an order in which each is possible; Its last: what has to be done before. */
const requests: ReadonlyArray<
  readonly [
    id: string,
    method: string,
    path: string,
    body?: object | undefined,
    before?: readonly [method: string, path: string, body?: object]
  ]
> = [
  ["vms.createVm", "POST", "/vms", { name: "web", instanceType: 1 }],
  ["vms.createVms", "POST", "/vms/batch", { name: "db", count: 2, instanceType: 1 }],
  ["vms.changeVm", "PATCH", "/vms/1", { onCrash: "restart" }],
  ["vms.repairVm", "POST", "/vms/1/repair"],
  ["nics.addNic", "POST", "/vms/1/nics", { mac: "52:54:00:00:00:77" }],
  ["nics.changeNic", "PATCH", "/vms/1/nics/2", { link: "down" }],
  ["nics.removeNic", "DELETE", "/vms/1/nics/2"],
  ["vms.changeCloudInit", "PATCH", "/vms/1/cloud-init", { userData: "#!/bin/sh\n" }],
  ["vms.rebootVm", "POST", "/vms/1/reboot", { within: 5 }],
  ["vms.resetVm", "POST", "/vms/1/reset"],
  ["vms.pauseVm", "POST", "/vms/1/pause"],
  ["vms.resumeVm", "POST", "/vms/1/resume"],
  ["vms.shutDownVm", "POST", "/vms/1/shut-down", { within: 5 }],
  ["vms.startVm", "POST", "/vms/1/start"],
  ["vms.powerOffVm", "POST", "/vms/1/power-off"],
  [
    "vms.resizeVm",
    "POST",
    "/vms/1/resize",
    { instanceType: 2 },
    ["POST", "/instance-types", { cpu: 2, ram: 2048, disk: 1 }]
  ],
  ["images.publishImage", "POST", "/images/publish", { name: "golden", vm: 1 }],
  ["volumes.createVolume", "POST", "/volumes", { name: "data", size: 1 }],
  ["volumes.changeVolume", "PATCH", "/volumes/1", { name: "archive", size: 2 }],
  ["volumes.attachVolume", "POST", "/volumes/1/attach", { vm: 1 }],
  ["volumes.createSnapshot", "POST", "/volumes/1/snapshots", { name: "monday" }, ["POST", "/volumes/1/detach"]],
  ["snapshots.revertToSnapshot", "POST", "/snapshots/1/revert"],
  ["snapshots.destroySnapshot", "DELETE", "/snapshots/1"],
  ["volumes.detachVolume", "POST", "/volumes/1/detach", undefined, ["POST", "/volumes/1/attach", { vm: 1 }]],
  ["volumes.destroyVolume", "DELETE", "/volumes/1"],
  ["volumes.restoreVolume", "POST", "/volumes/1/restore"],
  ["volumes.purgeVolume", "POST", "/volumes/1/purge", undefined, ["DELETE", "/volumes/1"]],
  ["vms.destroyVm", "DELETE", "/vms/1"],
  ["hosts.changeHost", "PATCH", "/hosts/1", { maintenance: true }],
  ["images.createImage", "POST", "/images", { name: "debian", size: 4096 }],
  ["images.deleteImage", "DELETE", "/images/101"],
  ["hosts.addHost", "POST", "/hosts", { address: { user: "root", host: "test-4" } }],
  ["hosts.removeHost", "DELETE", "/hosts/4"],
  ["instanceTypes.createInstanceType", "POST", "/instance-types", { cpu: 2, ram: 2048, disk: 20 }],
  ["instanceTypes.retireInstanceType", "DELETE", "/instance-types/1"],
  ["users.createUser", "POST", "/users", { name: "ada", role: "admin", password: "the first admin of all" }],
  [
    "users.changeUser",
    "PATCH",
    "/users/bob",
    { role: "viewer" },
    ["POST", "/users", { name: "bob", role: "operator" }]
  ],
  ["users.setPassword", "PUT", "/users/bob/password", { password: "correct horse battery staple" }],
  ["tokens.createToken", "POST", "/tokens", { name: "ci", owner: "bob" }],
  ["tokens.removeToken", "DELETE", "/tokens/1"],
  ["users.removeUser", "DELETE", "/users/bob"],
  ["webhooks.createWebhook", "POST", "/webhooks", { url: "https://receiver.example/" }],
  ["webhooks.changeWebhook", "PATCH", "/webhooks/1", { types: ["vm.created"] }],
  ["webhooks.rotateWebhookSecret", "POST", "/webhooks/1/secret"],
  ["webhooks.removeWebhook", "DELETE", "/webhooks/1"]
]

const listed = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

describe("a plan", () => {
  it.scopedLive("can be had of everything that changes the fabric, and applied", () =>
    Effect.gen(function* () {
      assert.sameMembers(
        // these need something that has failed, or has not ended: Retry.test.ts, and below
        plannable.map(({ id }) => id).filter((id) => !/^operations\.(retry|cancel)Operation$/.test(id)),
        requests.map(([id]) => id)
      )
      const { ask } = yield* App.make()
      for (const [id, method, path, body, before] of requests) {
        if (before !== undefined) yield* ask(before[0], before[1], before[2], { prefer: "wait=20" })
        const planned = yield* ask(method, `${path}?plan=true`, body)
        assert.strictEqual(planned.status, 200, `${id} ${JSON.stringify(planned.json)}`)
        const plan = planned.json
        const asked = Contract.members(plan.request)
        assert.deepInclude(asked, { method, path: `/api/v1${path}` })
        assert.isNotEmpty(asked.summary)
        const done = yield* ask(method, `${path}?plan_id=${String(plan.id)}`, body, { prefer: "wait=20" })
        assert.include([200, 201, 204], done.status, `${id} ${JSON.stringify(done.json)}`)
        if (id !== "vms.createVms" && listed(plan.steps).length > 0)
          assert.deepInclude(done.json, { state: "done" }, id)
        const again = yield* ask(method, `${path}?plan_id=${String(plan.id)}`, body)
        assert.deepInclude(
          again.json,
          {
            status: 409,
            code: "plan_applied",
            detail: `plan ${String(plan.id)} has been applied already, which is done once: make a new one`
          },
          id
        )
      }
    })
  )

  it.scopedLive("with a key that the request would be refused for is refused for it, and nothing is kept", () =>
    Effect.gen(function* () {
      const { ask } = yield* App.make()
      const header = (key: string) => ({ "idempotency-key": key, prefer: "wait=20" })
      const elsewhere = { cpu: 2, ram: 2048, disk: 1, id: 2 }
      yield* ask("POST", "/instance-types", elsewhere, header("taken"))
      const tried: Array<string> = []
      for (const [id, method, path, body, before] of requests) {
        if (before !== undefined) yield* ask(before[0], before[1], before[2], { prefer: "wait=20" })
        if (plannable.some((one) => one.id === id && isParameter(one.spec, "idempotency-key"))) {
          tried.push(id)
          for (const key of ["", "k".repeat(300), "two words", "é"]) {
            const { json } = yield* ask(method, `${path}?plan=true`, body, header(key))
            assert.deepInclude(json, { status: 400, code: "invalid_header", field: "Idempotency-Key" }, `${id} ${key}`)
          }
          const reused = yield* ask(method, `${path}?plan=true`, body, header("taken"))
          assert.deepInclude(reused.json, { status: 409, code: "key_reused" }, id)
          const planned = yield* ask(method, `${path}?plan=true`, body, header(`plan of ${id}`.replaceAll(" ", "-")))
          assert.strictEqual(planned.status, 200, `${id} ${JSON.stringify(planned.json)}`)
        }
        // the plan has kept no key: with the same one it is done, and another request with it is none of its own
        const done = yield* ask(method, path, body, header(`plan-of-${id}`))
        assert.include([200, 201, 204], done.status, `${id} ${JSON.stringify(done.json)}`)
      }
      assert.sameMembers(
        tried,
        requests.filter(([, method]) => method === "POST").map(([id]) => id)
      )
      // what the key has led to already is no other request's
      const again = yield* ask("POST", "/instance-types?plan=true", elsewhere, header("taken"))
      assert.notStrictEqual(again.json.code, "key_reused")
    })
  )

  it.scopedLive("says where a VM goes and why, its steps, and its domain", () =>
    Effect.gen(function* () {
      const { ask, get } = yield* App.make()
      yield* ask("PATCH", "/hosts/1", { maintenance: true })
      const { json } = yield* ask("POST", "/vms?plan=true", { name: "web", instanceType: 1 })
      const [placement] = listed(json.placements).map(Contract.members)
      assert.deepInclude(placement, { name: "web", hostId: 2, host: "root@test-2", total: 3 })
      assert.deepStrictEqual(
        listed(placement?.considered).map((one) => [Contract.members(one).hostId, Contract.members(one).chosen]),
        [
          [2, true],
          [1, false],
          [3, false]
        ]
      )
      assert.strictEqual(Contract.members(listed(placement?.considered)[1]).reason, "it is in maintenance")
      assert.deepStrictEqual(
        listed(json.steps).map((step) => Contract.members(step).name),
        ["image", "root disk", "seed", "define", "start", "running"]
      )
      const changes = listed(json.changes).map(Contract.members)
      const domain = changes.find(({ kind }) => kind === "domain")
      assert.deepInclude(domain, { target: "domain vm-{vmid} on root@test-2", action: "create", before: null })
      assert.include(domain?.after, "<name>vm-{vmid}</name>\n  <uuid>{uuid}</uuid>\n  <title>web</title>")
      assert.include(domain?.diff, "+  <title>web</title>")
      assert.lengthOf(App.items(yield* get("/vms")), 0)
      assert.lengthOf(App.items(yield* get("/operations")), 0)
    })
  )

  it.scopedLive("that cannot be applied any more says what has moved, and nothing is done", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      yield* done("POST", "/volumes", { name: "data", size: 1 })
      const plan = yield* ask("DELETE", "/volumes/1?plan=true")
      yield* done("PATCH", "/volumes/1", { size: 2 })
      const before = yield* get("/operations")
      const refused = yield* ask("DELETE", `/volumes/1?plan_id=${String(plan.json.id)}`)
      assert.deepInclude(refused.json, { status: 409, code: "plan_outdated" })
      assert.deepStrictEqual(refused.json.moved, [{ what: "volume 1: size", planned: "1 GiB", now: "2 GiB" }])
      assert.include(refused.json.detail, "plan again")
      assert.deepStrictEqual((yield* get("/operations")).json, before.json)
      assert.strictEqual((yield* get("/volumes/1")).json.state, "available")
    })
  )

  it.scopedLive("of what cannot be done is the problem that the request itself is", () =>
    Effect.gen(function* () {
      const { ask, done } = yield* App.make()
      yield* done("POST", "/volumes", { name: "data", size: 1 })
      const impossible: ReadonlyArray<
        readonly [method: string, path: string, body?: object | undefined, headers?: Record<string, string>]
      > = [
        ["POST", "/vms", { name: "web", instanceType: 9 }],
        ["POST", "/vms/batch", { name: "web", count: 2, instanceType: 1, image: 7 }],
        ["DELETE", "/vms/7"],
        ["POST", "/volumes", { name: "a", size: 60_000 }],
        ["POST", "/volumes/1/attach", { vm: 7 }],
        ["POST", "/volumes/1/detach"],
        ["PATCH", "/volumes/1", { size: 2 }, { "if-match": '"other"' }],
        ["DELETE", "/volumes/1", undefined, { "if-match": "x" }],
        ["DELETE", "/snapshots/3"],
        ["PATCH", "/hosts/9", { maintenance: true }]
      ]
      for (const [method, path, body, headers] of impossible) {
        const plan = yield* ask(method, `${path}?plan=true`, body, headers)
        const request = yield* ask(method, path, body, headers)
        assert.isAtLeast(plan.status, 400, path)
        assert.deepStrictEqual(plan.json, request.json)
      }
    })
  )

  it.scopedLive("is applied by its own request alone, and is known for a while", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      yield* done("POST", "/volumes", { name: "data", size: 1 })
      const id = String((yield* ask("PATCH", "/volumes/1?plan=true", { name: "b" })).json.id)
      const unknown = "0b0c6d0a-7f0e-4b63-9a53-7a3f2f1f5b11"
      const cases = [
        [`plan_id=${id}`, { name: "c" }, 409, "plan_mismatch"],
        [`plan_id=${unknown}`, { name: "b" }, 404, "plan_not_found"],
        [`plan_id=x`, { name: "b" }, 400, "invalid_argument"],
        [`plan=true&plan_id=${id}`, { name: "b" }, 400, "invalid_argument"],
        ["plan=maybe", { name: "b" }, 400, "invalid_argument"],
        ["plam=true", { name: "b" }, 400, "invalid_argument"]
      ] as const
      for (const [query, body, status, code] of cases) {
        assert.deepInclude((yield* ask("PATCH", `/volumes/1?${query}`, body)).json, { status, code }, query)
      }
      assert.deepInclude((yield* ask("DELETE", `/volumes/1?plan_id=${id}`)).json, {
        status: 409,
        code: "plan_mismatch"
      })
      assert.strictEqual((yield* get("/volumes/1")).json.name, "data")
      yield* done("PATCH", "/volumes/1?plan=false", { name: "b" })
      assert.strictEqual((yield* get("/volumes/1")).json.name, "b")
    })
  )

  it.scopedLive("with an Idempotency-Key is applied once, and its repetition answered the same", () =>
    Effect.gen(function* () {
      const { ask, get } = yield* App.make()
      const body = { name: "web", instanceType: 1 }
      const key = { "idempotency-key": "k", prefer: "wait=20" }
      const id = String((yield* ask("POST", "/vms?plan=true", body, key)).json.id)
      const first = yield* ask("POST", `/vms?plan_id=${id}`, body, key)
      assert.deepInclude(first.json, { state: "done" })
      const second = yield* ask("POST", `/vms?plan_id=${id}`, body, key)
      assert.strictEqual(second.json.id, first.json.id)
      const other = yield* ask("POST", `/vms?plan_id=${id}`, body, { "idempotency-key": "another" })
      assert.deepInclude(other.json, { status: 409, code: "plan_applied" })
      assert.lengthOf(App.items(yield* get("/vms")), 1)
    })
  )
})

/** What is behind an answer but its times. */
const accounts = ({ get }: Pick<Effect.Effect.Success<ReturnType<typeof App.make>>, "get">) =>
  Effect.map(Effect.forEach(["/users", "/tokens", "/webhooks"], get), (answers) => answers.map(({ body }) => body))

describe("a plan of users, tokens and webhooks", () => {
  it.scopedLive("says what would be different, without secrets, and touches nothing", () =>
    Effect.gen(function* () {
      const app = yield* App.make()
      const { ask } = app
      yield* ask("POST", "/users", { name: "ada", role: "admin", password: "the first admin of all" })
      yield* ask("POST", "/users", { name: "bob", role: "operator", password: "a canary in a coal mine" })
      yield* ask("POST", "/tokens", { name: "ci", owner: "bob" })
      yield* ask("POST", "/webhooks", { url: "https://receiver.example/" })
      const before = yield* accounts(app)
      const cases: ReadonlyArray<
        readonly [method: string, path: string, body: object | undefined, target: string, action: string, diff: RegExp]
      > = [
        ["POST", "/users", { name: "eve", role: "viewer" }, "user eve", "create", /^\+role: viewer$/m],
        ["PATCH", "/users/bob", { role: "viewer" }, "user bob", "change", /^-role: operator\n[^]*\+role: viewer$/m],
        ["PATCH", "/users/bob", { disabled: true }, "user bob", "change", /^-may sign in: yes\n\+may sign in: no$/m],
        [
          "PUT",
          "/users/bob/password",
          { password: "another canary there" },
          "user bob",
          "change",
          /^-password: set\n-sessions: as they are\n\+password: set anew\n\+sessions: ended$/m
        ],
        ["DELETE", "/users/bob", undefined, "user bob", "remove", /^-role: operator$/m],
        ["POST", "/tokens", { name: "cd", owner: "bob" }, "token cd", "create", /^\+owner: bob\n\+role: operator$/m],
        ["DELETE", "/tokens/1", undefined, "token 1 (ci)", "remove", /^-good until: it is removed$/m],
        ["POST", "/webhooks", { url: "https://b.example/" }, "webhook", "create", /^\+URL: https:\/\/b.example\/$/m],
        [
          "PATCH",
          "/webhooks/1",
          { types: ["vm.created"] },
          "webhook 1",
          "change",
          /^-types: all\n\+types: vm.created$/m
        ],
        [
          "POST",
          "/webhooks/1/secret",
          undefined,
          "webhook 1",
          "change",
          /^\+secret: a new one; .* for another 24 hours/m
        ],
        ["DELETE", "/webhooks/1", undefined, "webhook 1", "remove", /^-URL: https:\/\/receiver.example\/$/m]
      ]
      for (const [method, path, body, target, action, diff] of cases) {
        const { json, status } = yield* ask(method, `${path}?plan=true`, body)
        assert.strictEqual(status, 200, JSON.stringify(json))
        const [change, ...others] = listed(json.changes).map(Contract.members)
        assert.lengthOf(others, 0, `${method} ${path}`)
        assert.deepInclude(change, { target, action, kind: "record" }, `${method} ${path}`)
        assert.match(String(change?.diff), diff, `${method} ${path}`)
        assert.notMatch(JSON.stringify(json), /canary|vmf_|whsec_/)
      }
      assert.deepStrictEqual(yield* accounts(app), before)
    })
  )

  it.scopedLive("is not applied when they have become something else, and says what has moved", () =>
    Effect.gen(function* () {
      const { ask } = yield* App.make()
      yield* ask("POST", "/users", { name: "ada", role: "admin", password: "the first admin of all" })
      yield* ask("POST", "/users", { name: "bob", role: "operator" })
      yield* ask("POST", "/tokens", { name: "ci", owner: "bob" })
      yield* ask("POST", "/webhooks", { url: "https://receiver.example/" })
      const cases: ReadonlyArray<
        readonly [
          planned: readonly [method: string, path: string, body?: object],
          meanwhile: readonly [method: string, path: string, body?: object],
          moved: readonly [what: string, planned: string, now: string | RegExp]
        ]
      > = [
        [
          ["POST", "/users", { name: "eve", role: "viewer" }],
          ["POST", "/users", { name: "eve", role: "operator" }],
          ["user eve", "such that it can be done", /exists already/]
        ],
        [
          ["DELETE", "/users/bob"],
          ["PATCH", "/users/bob", { role: "viewer" }],
          ["user bob: role", "operator", "viewer"]
        ],
        [
          ["POST", "/tokens", { name: "cd", owner: "bob", role: "viewer" }],
          ["DELETE", "/users/bob"],
          ["user bob", "there", /does not exist/]
        ],
        [
          ["PATCH", "/webhooks/1", { types: ["vm.created"] }],
          ["PATCH", "/webhooks/1", { url: "https://other.example/" }],
          ["webhook 1: URL", "https://receiver.example/", "https://other.example/"]
        ],
        [
          ["POST", "/webhooks/1/secret"],
          ["DELETE", "/webhooks/1"],
          ["webhook 1", "there", /does not exist/]
        ]
      ]
      for (const [[method, path, body], meanwhile, [what, planned, now]] of cases) {
        const plan = yield* ask(method, `${path}?plan=true`, body)
        assert.strictEqual(plan.status, 200, JSON.stringify(plan.json))
        assert.isBelow((yield* ask(...meanwhile)).status, 300)
        const { json } = yield* ask(method, `${path}?plan_id=${String(plan.json.id)}`, body)
        assert.deepInclude(json, { status: 409, code: "plan_outdated" }, `${method} ${path}`)
        const [moved] = listed(json.moved).map(Contract.members)
        assert.deepInclude(moved, { what, planned }, `${method} ${path}`)
        assert.match(String(moved?.now), typeof now === "string" ? new RegExp(`^${now}$`) : now)
      }
    })
  )

  it.scopedLive("of a cancellation asks nothing to stop, and applied does", () =>
    Effect.gen(function* () {
      const { ask, get } = yield* App.make(App.fleet(1, 10))
      const { json: operation } = yield* ask("POST", "/vms", { name: "web", instanceType: 1 })
      const path = `/operations/${String(operation.id)}`
      const plan = yield* ask("POST", `${path}/cancel?plan=true`)
      assert.strictEqual(plan.status, 200, JSON.stringify(plan.json))
      const [change] = listed(plan.json.changes).map(Contract.members)
      assert.match(String(change?.diff), /^\+is to stop: yes, and what it made is undone$/m)
      assert.deepInclude((yield* get(path)).json, { cancelAsked: false })
    })
  )
})

/** What changes something and has no plan, and why. */
const withoutPlan: Readonly<Record<string, string>> = {
  "consoles.createConsoleTicket": "a ticket, which opens one console for a moment, and changes nothing",
  "hosts.lookAtHost": "a look",
  "hosts.examineHosts": "a look",
  "images.sendImage": "a stream of bytes of what is planned when it is added",
  "session.signIn": "whose password it is would be found out without signing in",
  "session.signOut": "it ends what asks",
  "webhooks.pingWebhook": "a test, which is a look at a receiver"
}

describe("what cannot be planned", () => {
  it("is what looks, opens a door or carries bytes", () => {
    assert.sameMembers(
      changing.filter((one) => !plannable.includes(one)).map(({ id }) => id),
      Object.keys(withoutPlan)
    )
  })

  it.scopedLive("is refused when it is asked to be, and not done; and the document says so", () =>
    Effect.gen(function* () {
      const { send } = yield* App.make()
      const others = changing.filter((one) => !plannable.includes(one))
      assert.isAbove(others.length, 5)
      for (const { id, method, path, spec } of others) {
        for (const query of ["plan=true", "plan_id=x", "%70lan=true"]) {
          const url = `${path.replaceAll(/\{[^}]+\}/g, "1")}?${query}`
          const { json } = yield* send(url, { method })
          assert.deepInclude(json, { status: 400, code: "invalid_argument" }, `${id} ${query}`)
          assert.match(String(json.field), /^plan(_id)?$/)
        }
        assert.match(String(spec.description), /cannot be planned/, id)
      }
      for (const { id, spec } of plannable) {
        assert.isTrue(isParameter(spec, "plan_id"), id)
        assert.notMatch(String(spec.description), /cannot be planned/, id)
      }
    })
  )
})
