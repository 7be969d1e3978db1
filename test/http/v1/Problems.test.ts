/** What goes wrong, and what is told of it. */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { request } from "node:http"
import * as AppTest from "../../../layers/AppTest.ts"
import { api, prefix } from "../../../src/api/Api.ts"
import * as Problem from "../../../src/api/Problem.ts"
import * as Errors from "../../../src/domain/Errors.ts"
import * as Ids from "../../../src/domain/Ids.ts"
import { Hosts } from "../../../src/fabric/Hosts.ts"
import * as Server from "../../../src/http/Server.ts"
import * as Api from "../../../src/http/v1/Api.ts"
import * as Problems from "../../../src/http/v1/Problems.ts"
import * as App from "./App.ts"
import * as Contract from "./Contract.ts"

const operationId = Ids.OperationId.make("11111111-2222-4333-8444-555555555555")
const vmId = Ids.VmId.make(7)
const volumeId = Ids.VolumeId.make(7)
const busy = { operationId, doing: "it is growing" }

/** Every error that can be told, with the problem that it is. */
const table: Readonly<Record<Problems.Known["_tag"], readonly [Problems.Known, status: number, code: string]>> = {
  InvalidArgument: [
    new Errors.InvalidArgument({ field: "size", problem: "is 0", expected: "1" }),
    400,
    "invalid_argument"
  ],
  VmNotFound: [new Errors.VmNotFound({ vmId }), 404, "vm_not_found"],
  VolumeNotFound: [new Errors.VolumeNotFound({ volumeId }), 404, "volume_not_found"],
  SnapshotNotFound: [new Errors.SnapshotNotFound({ snapshotId: 7 }), 404, "snapshot_not_found"],
  HostNotFound: [new Errors.HostNotFound({ hostId: 7 }), 404, "host_not_found"],
  ImageNotFound: [new Errors.ImageNotFound({ imageId: 7, known: [] }), 404, "image_not_found"],
  InstanceTypeNotFound: [new Errors.InstanceTypeNotFound({ tid: 7, known: [] }), 404, "instance_type_not_found"],
  ImageConflict: [new Errors.ImageConflict({ image: "100", reason: "is being sent" }), 409, "image_conflict"],
  InstanceTypeConflict: [
    new Errors.InstanceTypeConflict({ tid: Ids.InstanceTypeId.make(3), reason: "is there already" }),
    409,
    "instance_type_conflict"
  ],
  OperationNotFound: [new Errors.OperationNotFound({ operationId: "x" }), 404, "operation_not_found"],
  UserNotFound: [new Errors.UserNotFound({ name: "ada" }), 404, "user_not_found"],
  TokenNotFound: [new Errors.TokenNotFound({ tokenId: 7 }), 404, "token_not_found"],
  WebhookNotFound: [new Errors.WebhookNotFound({ webhookId: 7 }), 404, "webhook_not_found"],
  PlanNotFound: [new Errors.PlanNotFound({ planId: "x" }), 404, "plan_not_found"],
  NicNotFound: [new Errors.NicNotFound({ vmId, nic: 2 }), 404, "nic_not_found"],
  NetworkNotFound: [new Errors.NetworkNotFound({ network: "lan", known: [] }), 404, "network_not_found"],
  NicConflict: [new Errors.NicConflict({ vmId, reason: "has 8 NICs" }), 409, "nic_conflict"],
  MacTaken: [new Errors.MacTaken({ mac: "52:54:00:00:00:01", vmId }), 409, "mac_taken"],
  ConsoleBusy: [new Errors.ConsoleBusy({ vmId, holder: "ada" }), 409, "console_busy"],
  TicketRefused: [new Errors.TicketRefused({ reason: "it was used before" }), 403, "ticket_refused"],
  PlanOutdated: [new Errors.PlanOutdated({ planId: "x", moved: [] }), 409, "plan_outdated"],
  PlanMismatch: [new Errors.PlanMismatch({ planId: "x", planned: "DELETE /api/v1/vms/7" }), 409, "plan_mismatch"],
  VmBusy: [new Errors.VmBusy({ vmId, ...busy }), 409, "vm_busy"],
  VmConflict: [new Errors.VmConflict({ vmId, reason: "is stopped: start it" }), 409, "vm_conflict"],
  HostConflict: [new Errors.HostConflict({ host: "root@h1", reason: "has VM 1 (web)" }), 409, "host_conflict"],
  VmProtected: [new Errors.VmProtected({ vmId }), 409, "vm_protected"],
  VolumeBusy: [new Errors.VolumeBusy({ volumeId, ...busy }), 409, "volume_busy"],
  VolumeConflict: [new Errors.VolumeConflict({ volumeId, reason: "is deleted" }), 409, "volume_conflict"],
  NoFeasibleHost: [new Errors.NoFeasibleHost({ refusals: [] }), 409, "no_feasible_host"],
  PoolFull: [new Errors.PoolFull({ pool: "vms", wanted: 1, promised: 1, limit: 1, available: 1 }), 409, "pool_full"],
  QuotaExceeded: [
    new Errors.QuotaExceeded({ user: "ada", short: [{ resource: "vms", has: 20, used: 20, asked: 1 }] }),
    409,
    "quota_exceeded"
  ],
  KeyReused: [new Errors.KeyReused({ key: "k" }), 409, "key_reused"],
  KeySpent: [new Errors.KeySpent({ key: "k", made: "user ada" }), 409, "key_spent"],
  SecretNotKept: [
    new Errors.SecretNotKept({ key: "k", made: "token 7 (nightly) of ada", instead: "remove it and make another" }),
    409,
    "secret_not_kept"
  ],
  NotRetryable: [
    new Errors.NotRetryable({ operationId, reason: "it has not ended: wait for its end", by: null }),
    409,
    "not_retryable"
  ],
  NotCancellable: [new Errors.NotCancellable({ operationId, reason: "it has ended" }), 409, "not_cancellable"],
  ImageRefused: [new Errors.ImageRefused({ image: "a", reason: "it is empty" }), 409, "image_refused"],
  UserConflict: [new Errors.UserConflict({ name: "ada", reason: "exists" }), 409, "user_conflict"],
  OperationFailed: [
    new Errors.OperationFailed({ operationId, reason: "no", undone: false, unreachableHost: null }),
    409,
    "operation_failed"
  ],
  HasChanged: [new Errors.HasChanged({ what: "VM 7" }), 412, "has_changed"],
  EventsLost: [new Errors.EventsLost({ cursor: 1, oldest: 7, latest: 9 }), 410, "events_lost"],
  NotAllowed: [new Errors.NotAllowed({ reason: "no" }), 403, "not_allowed"],
  HostUnreachable: [new Errors.HostUnreachable({ host: "h", reason: "no answer" }), 503, "host_unreachable"],
  HostFailure: [new Errors.HostFailure({ host: "h", action: "look", reason: "no" }), 503, "host_failed"],
  StorageUnreachable: [
    new Errors.StorageUnreachable({ storage: "s", reason: "no answer" }),
    503,
    "storage_unreachable"
  ],
  StorageFailure: [new Errors.StorageFailure({ storage: "s", action: "look", reason: "no" }), 503, "storage_failed"],
  PersistenceError: [new Errors.PersistenceError({ action: "read", cause: new Error("full") }), 503, "database"]
}

describe("a database that fails", () => {
  it("is worth another try, but where somebody has to do something first", () => {
    const failed = { action: "read", cause: new Error("full") }
    assert.propertyVal(Problems.of(new Errors.PersistenceError(failed)), "retryAfter", 5)
    const lasting = Problems.of(new Errors.PersistenceError({ ...failed, lasting: true }))
    assert.deepInclude(lasting, { status: 503, code: "database" })
    assert.notProperty(lasting, "retryAfter")
  })

  it.scopedLive("says in its head what it says in its body", () =>
    Effect.gen(function* () {
      const failed = { action: "read", cause: new Error("full") }
      for (const [error, told] of [
        [new Errors.PersistenceError(failed), "5"],
        [new Errors.PersistenceError({ ...failed, lasting: true }), null]
      ] as const) {
        const { port } = yield* served(Effect.fail(error))
        const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/api/v1/hosts`))
        assert.strictEqual(response.status, 503)
        assert.strictEqual(response.headers.get("retry-after"), told)
      }
    })
  )

  it.scopedLive("names that come once in each object, and again in another, are no names that come twice", () =>
    Effect.gen(function* () {
      const { ask } = yield* App.make()
      const nics = [{ network: 'a"b' }, { network: 'a"b' }]
      const { json } = yield* ask("POST", "/vms", { name: "name", instanceType: 1, labels: { name: "a" }, nics })
      assert.notInclude(String(json.detail), "twice")
    })
  )
})

describe("what is refused", () => {
  it.scopedLive("is not said: it may be a password, or user data, of the wrong type", () =>
    Effect.gen(function* () {
      const { ask } = yield* App.make()
      const canary = "hunter2hunter2"
      for (const [method, path, body] of [
        ["POST", "/users", { name: "eve", role: "admin", password: [canary] }],
        ["PUT", "/users/eve/password", { password: { [canary]: canary } }],
        ["PUT", "/users/eve/password", canary],
        ["POST", "/session", { name: "eve", password: { word: canary } }],
        ["POST", "/vms", { name: "a", instanceType: 1, userData: [canary] }],
        ["POST", "/vms", { name: "a", instanceType: canary }]
      ] as const) {
        const answer = yield* ask(method, path, Object(body))
        assert.strictEqual(answer.status, 400, path)
        assert.notInclude(JSON.stringify(answer.body), canary)
      }
    })
  )
})

/** Every payload of the API that is JSON, as its own examples have it. */
const payloads: ReadonlyArray<{
  readonly name: string
  readonly method: string
  readonly path: string
  readonly body: unknown
}> = (() => {
  const found: Array<(typeof payloads)[number]> = []
  HttpApi.reflect(api, {
    onGroup: () => undefined,
    onEndpoint: ({ endpoint, payloads }) => {
      for (const { ast, encoding } of payloads.values()) {
        if (encoding.kind !== "Json") continue
        const { method, name } = endpoint
        const path = endpoint.path
          .slice(prefix.length)
          .replace(/:(name|nic|id)/g, (_, part) => (part === "name" ? "ada" : "1"))
        const examples = Option.getOrElse(AST.getExamplesAnnotation(ast), (): ReadonlyArray<unknown> => [])
        for (const example of examples) {
          found.push({
            name,
            method,
            path,
            body: Schema.encodeUnknownSync(Schema.make<unknown, unknown, never>(ast))(example)
          })
        }
        if (examples.length === 0) found.push({ name, method, path, body: {} })
      }
    }
  })
  return found
})()

describe("a field that is not known", () => {
  it("is looked for in every payload", () => {
    const names = new Set(payloads.map(({ name }) => name))
    assert.includeMembers(
      [...names],
      ["createVm", "createVms", "createToken", "createUser", "setPassword", "signIn", "createConsoleTicket", "rebootVm"]
    )
    assert.isAbove(names.size, 22)
  })

  it.scopedLive("is refused, and named", () =>
    Effect.gen(function* () {
      const { ask } = yield* App.make()
      const taken: Array<string> = []
      for (const { body, method, name, path } of payloads) {
        const { json } = yield* ask(method, path, { ...Contract.members(body), mispelt: 1 })
        if (json.code !== "invalid_body" || json.field !== "mispelt") {
          taken.push(`${name} ${JSON.stringify(body)}: ${JSON.stringify(json)}`)
        }
      }
      assert.deepStrictEqual(taken, [])
    })
  )
})

describe("an error of the domain", () => {
  it("is a problem with a code of its own and its sentence", () => {
    for (const [error, status, code] of Object.values(table)) {
      const problem = Problems.of(error)
      assert.strictEqual(problem.status, status)
      assert.strictEqual(problem.code, code)
      assert.strictEqual(problem.detail, error.message)
      const response = Problems.respond(problem)
      assert.strictEqual(response.status, status)
      assert.strictEqual(response.headers["content-type"], Problem.contentType)
      assert.strictEqual(response.headers["retry-after"], status === 503 ? "5" : undefined)
    }
    const codes = Object.values(table).map(([, , code]) => code)
    assert.lengthOf(new Set(codes), codes.length)
    assert.strictEqual(Problems.of(table.VmBusy[0]).operation, operationId)
    assert.strictEqual(Problems.of(table.InvalidArgument[0]).field, "size")
  })
})

const json = { "content-type": "application/json" }

/** As somebody's editor saves it. */
const utf16 = (text: string, mark = "") => Buffer.from(mark + text, "utf16le")

const nested = (depth: number) => `{"name":${"[".repeat(depth)}${"]".repeat(depth)}}`

/** What is asked, and what is told of it. */
const refusals: ReadonlyArray<
  readonly [
    method: string,
    path: string,
    init: RequestInit,
    status: number,
    code: string,
    detail: string,
    field?: string
  ]
> = [
  ["GET", "/vms/0", {}, 400, "invalid_argument", "id: expected a whole number from 1 on", "id"],
  ["GET", "/vms/1e3", {}, 400, "invalid_argument", "id: expected a whole number from 1 on", "id"],
  ["GET", "/vms/9007199254740993", {}, 400, "invalid_argument", "id: expected a whole number from 1 on", "id"],
  ["GET", "/operations/x", {}, 400, "invalid_argument", "id: expected a UUID", "id"],
  ["GET", "/vms?limit=1001", {}, 400, "invalid_argument", "limit: expected a whole number from 1 to 1000", "limit"],
  [
    "GET",
    "/vms?state=on",
    {},
    400,
    "invalid_argument",
    "state: expected creating or running or stopped or paused or destroying",
    "state"
  ],
  ["GET", "/vms?stat=running", {}, 400, "invalid_argument", "stat is not known here", "stat"],
  ["GET", "/operations?ended=1", {}, 400, "invalid_argument", "ended: expected true or false", "ended"],
  ["POST", "/vms", { body: "{", headers: json }, 400, "invalid_body", "the body is not JSON"],
  ["POST", "/vms", { headers: json }, 400, "invalid_body", "the body"],
  ...["", "\ufeff"].map((mark) => {
    const init = { body: utf16('{"name":"a","instanceType":1}', mark), headers: json }
    return ["POST", "/vms", init, 400, "invalid_body", "the body is not in UTF-8 (it seems to be UTF-16)"] as const
  }),
  // what would be read as if U+FFFD were meant: an é of Latin-1, half an emoji behind what is U+FFFD, half a surrogate pair,
  // and U+FFFD cut off
  ...(
    [
      [Buffer.from('{"name":"é","instanceType":1}', "latin1"), 9, "e9"],
      [Buffer.concat([Buffer.from('{"name":"ü\ufffd'), Buffer.from([0xf0, 0x9f, 0x98]), Buffer.from('"}')]), 14, "f0"],
      [Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]), 9, "ed"],
      [Buffer.concat([Buffer.from('{"name":"a"}'), Buffer.from([0xef, 0xbf])]), 12, "ef"]
    ] as const
  ).map(
    ([body, at, byte]) =>
      [
        "POST",
        "/vms",
        { body, headers: json },
        400,
        "invalid_body",
        `the body is not in UTF-8 at byte offset ${at} (0x${byte}): send it in UTF-8`
      ] as const
  ),
  // who means U+FFFD may have it
  ["PATCH", "/vms/9", { body: '{"name":"\ufffd"}', headers: json }, 404, "vm_not_found", "VM 9 does not exist"],
  [
    "POST",
    "/vms",
    { body: '{"name":"a","instanceType":1,"\\u006eame":"b"}', headers: json },
    400,
    "invalid_body",
    'the body has "name" twice in one object, of which only the last would be taken: give it once',
    "name"
  ],
  [
    "POST",
    "/vms",
    { body: '{"name":"a, {","nics":[{},{"network":"x","vlan":3,"network":"y"}],"instanceType":1}', headers: json },
    400,
    "invalid_body",
    'the body has "network" twice',
    "nics.1.network"
  ],
  [
    "POST",
    "/vms",
    { body: "[]", headers: json },
    400,
    "invalid_body",
    "the body cannot be used: expected a JSON object"
  ],
  [
    "POST",
    "/vms",
    { body: "7", headers: json },
    400,
    "invalid_body",
    "the body cannot be used: expected a JSON object"
  ],
  ["PATCH", "/vms/2", { body: '{"id":5}', headers: json }, 400, "invalid_body", "id is not known here", "id"],
  ["PATCH", "/vms/2", { body: '{"plan":true}', headers: json }, 400, "invalid_body", "plan is not known here", "plan"],
  [
    "PATCH",
    "/vms/2",
    { body: '{"state":"running"}', headers: json },
    400,
    "invalid_body",
    "state is not known",
    "state"
  ],
  [
    "POST",
    "/hosts",
    { body: '{"address":"root@h4.invalid"}', headers: json },
    400,
    "invalid_body",
    "address: expected an object with user, host, port",
    "address"
  ],
  ["GET", "/audit?before=abc", {}, 400, "invalid_argument", "before: expected a", "before"],
  [
    "POST",
    "/vms",
    { body: '{"name":"a"}', headers: json },
    400,
    "invalid_body",
    "instanceType is missing",
    "instanceType"
  ],
  [
    "POST",
    "/vms",
    { body: '{"name":"a","instanceType":"1"}', headers: json },
    400,
    "invalid_body",
    "instanceType: expected a whole number from 1 on",
    "instanceType"
  ],
  [
    "POST",
    "/vms",
    { body: '{"name":" a","instanceType":1}', headers: json },
    400,
    "invalid_body",
    "name: expected 1 to 255 characters",
    "name"
  ],
  [
    "POST",
    "/vms",
    { body: '{"name":"a","instanceType":1,"imag":1}', headers: json },
    400,
    "invalid_body",
    "imag is not known here",
    "imag"
  ],
  [
    "POST",
    "/vms/batch",
    { body: '{"name":"a","instanceType":1,"count":0}', headers: json },
    400,
    "invalid_body",
    "count: expected a whole number from 1 to 1000",
    "count"
  ],
  ["PATCH", "/volumes/1", { body: "{}", headers: json }, 400, "invalid_body", "expected name, size or both"],
  [
    "POST",
    "/vms",
    { body: '{"name":"a","instanceType":1}', headers: { "content-type": "text/plain" } },
    400,
    "invalid_header",
    "Content-Type: expected application/json",
    "Content-Type"
  ],
  [
    "POST",
    "/vms",
    { body: '{"name":"a","instanceType":1}', headers: { ...json, "idempotency-key": "a b" } },
    400,
    "invalid_header",
    "Idempotency-Key has blanks",
    "Idempotency-Key"
  ],
  ["POST", "/volumes", { body: '{"name":"a"}', headers: json }, 400, "invalid_argument", "size is missing", "size"],
  [
    "POST",
    "/vms",
    { body: '{"name":"a","instanceType":9}', headers: json },
    404,
    "instance_type_not_found",
    "instance type 9 does not exist"
  ],
  [
    "POST",
    "/vms",
    { body: '{"name":"a","instanceType":1,"image":9}', headers: json },
    404,
    "image_not_found",
    "image 9 does not exist"
  ],
  ["GET", "/vms/9", {}, 404, "vm_not_found", "VM 9 does not exist"],
  ["DELETE", "/vms/9", {}, 404, "vm_not_found", "VM 9 does not exist"],
  ["POST", "/vms/9/repair", {}, 404, "vm_not_found", "VM 9 does not exist"],
  ["GET", "/volumes/9", {}, 404, "volume_not_found", "volume 9 does not exist"],
  ["POST", "/volumes/9/detach", {}, 404, "volume_not_found", "volume 9 does not exist"],
  [
    "POST",
    "/volumes",
    { body: '{"name":"a","snapshot":9}', headers: json },
    404,
    "snapshot_not_found",
    "snapshot 9 does not exist"
  ],
  ["GET", "/hosts/9", {}, 404, "host_not_found", "host 9 does not exist"],
  ["GET", `/operations/${operationId}`, {}, 404, "operation_not_found", `operation ${operationId} does not exist`],
  ["GET", "/nothing", {}, 404, "route_not_found", "there is no route GET /api/v1/nothing"],
  ["POST", "/vms", { body: nested(100_000), headers: json }, 400, "invalid_body", "more than 64 of them"],
  ["POST", "/vms", { body: nested(60), headers: json }, 400, "invalid_body", "name: expected", "name"],
  [
    "POST",
    "/users",
    { body: '{"name":"eve","role":"god"}', headers: json },
    400,
    "invalid_body",
    'role: expected "viewer", "operator" or "admin"',
    "role"
  ],
  [
    "POST",
    "/vms",
    { body: '{"name":"a","instanceType":1,"protected":"x"}', headers: json },
    400,
    "invalid_body",
    "protected: expected true or false",
    "protected"
  ],
  [
    "POST",
    "/vms",
    { body: '{"name":"a","instanceType":1,"labels":[]}', headers: json },
    400,
    "invalid_body",
    "labels: expected an object",
    "labels"
  ],
  [
    "POST",
    "/vms",
    { body: '{"name":"a","instanceType":1,"labels":{"__proto__":"x"}}', headers: json },
    400,
    "invalid_body",
    "__proto__, which nothing may have"
  ],
  [
    "POST",
    "/tokens",
    { body: '{"name":"a","expiresAt":"x"}', headers: json },
    400,
    "invalid_body",
    "expiresAt: expected a time, such as 2026-",
    "expiresAt"
  ],
  [
    "POST",
    "/webhooks",
    { body: '{"url":"https://a.b","types":["x"]}', headers: json },
    400,
    "invalid_body",
    "types.0",
    "types.0"
  ],
  ["POST", "/vms/1/start", { body: '{"x":1}', headers: json }, 400, "invalid_body", "this request takes no body"],
  ["GET", "/images?x=1", {}, 400, "invalid_argument", "x is not known here", "x"],
  ["DELETE", "/hosts", {}, 405, "method_not_allowed", "there is no route DELETE /api/v1/hosts: it has GET, HEAD, POST"],
  ["GET", `/vms/${"7".repeat(3000)}`, {}, 400, "invalid_argument", "id: expected a whole number from 1 on", "id"],
  ["GET", "", {}, 404, "route_not_found", "there is no route GET /api/v1"]
]

describe("a request that cannot be answered", () => {
  it.scopedLive("is told what to mend, in one sentence", () =>
    Effect.gen(function* () {
      const { send } = yield* App.make()
      for (const [method, path, init, status, code, detail, field] of refusals) {
        const what = `${method} ${path} ${JSON.stringify(init)}`
        const { headers, json } = yield* send(`/api/v1${path}`, { ...init, method })
        assert.deepInclude(json, { status, code }, `${what}: ${JSON.stringify(json)}`)
        assert.strictEqual(json.field, field, what)
        assert.include(String(json.detail), detail, what)
        assert.notInclude(String(json.detail), "\n", what)
        assert.isBelow(String(json.detail).length, 300, what)
        assert.strictEqual(headers.get("content-type"), "application/problem+json", what)
        assert.strictEqual(headers.get("retry-after"), status === 503 ? "5" : null, what)
        assert.strictEqual(headers.get("allow"), status === 405 ? "GET, HEAD, POST" : null, what)
      }
    })
  )
})

/** Each that reads, with something in place of what its path names. */
const reads: Array<string> = []
HttpApi.reflect(api, {
  onGroup: () => undefined,
  onEndpoint: ({ endpoint: { method, path } }) => {
    if (method === "GET") reads.push(path.replace(/:operationId|:id/g, "1").replace(/:[a-zA-Z]+/g, "x"))
  }
})

describe("a name in the query that an endpoint does not have", () => {
  it.scopedLive("is told, and does not pass for one that was not given: of each that reads", () =>
    Effect.gen(function* () {
      const { send } = yield* App.make()
      assert.isAbove(reads.length, 30)
      for (const path of reads) {
        // what a path names is looked at first
        const known = path.startsWith(`${prefix}/operations/`) ? path.replace("/1", `/${operationId}`) : path
        const { json } = yield* send(`${known}?bogus=1`)
        assert.deepInclude(json, { status: 400, field: "bogus", detail: "bogus is not known here" }, known)
      }
    })
  )
})

/** A server on loopback, of which one use case has a defect. `list`: what another one comes to. */
const served = Effect.fn("served")(function* (list: Hosts["Type"]["list"] = Effect.die(new Error("secret insides"))) {
  const lines: Array<string> = []
  const logger = Logger.replace(
    Logger.defaultLogger,
    Logger.make((line) => void lines.push(Logger.logfmtLogger.log(line)))
  )
  const app = AppTest.layer.pipe(Layer.provideMerge(Layer.empty), Layer.provide(Logger.remove(Logger.defaultLogger)))
  const broken = Layer.succeed(
    Hosts,
    Hosts.of({
      list,
      get: () => Effect.die("secret insides"),
      setMaintenance: () => Effect.die("secret insides"),
      add: () => Effect.die("secret insides"),
      change: () => Effect.die("secret insides"),
      remove: () => Effect.die("secret insides")
    })
  )
  const context = yield* Layer.build(
    HttpLayerRouter.serve(Api.layer, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provide(broken),
      Layer.provide(app),
      Layer.provideMerge(Server.layer({ host: "127.0.0.1", port: 0 })),
      Layer.provide(logger)
    )
  )
  const { address } = yield* Effect.provide(HttpServer.HttpServer, context)
  assert(address._tag === "TcpAddress")
  return { lines, port: address.port }
})

describe("what nobody foresaw", () => {
  it.scopedLive("is logged, and told without its insides", () =>
    Effect.gen(function* () {
      const { lines, port } = yield* served()
      const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/api/v1/hosts`))
      assert.strictEqual(response.status, 500)
      assert.strictEqual(response.headers.get("content-type"), "application/problem+json")
      const text = yield* Effect.promise(() => response.text())
      assert.include(text, '"code":"internal"')
      assert.notInclude(text, "secret")
      assert.isTrue(lines.some((line) => line.includes("secret insides") && line.includes("/api/v1/hosts")))
    })
  )
})

describe("a body of more than 1 MiB", () => {
  it.scopedLive("is refused, whether its length is announced or not", () =>
    Effect.gen(function* () {
      const { port } = yield* served()
      const url = `http://127.0.0.1:${port}/api/v1/vms`
      const body = JSON.stringify({ name: "a".repeat(1024 * 1024), instanceType: 1 })
      const announced = yield* Effect.promise(() => fetch(url, { method: "POST", body, headers: json }))
      assert.strictEqual(announced.status, 413)
      assert.include(yield* Effect.promise(() => announced.text()), '"code":"body_too_large"')
      const status = yield* Effect.async<number | string>((resume) => {
        const asked = request(
          url,
          { method: "POST", headers: { ...json, "transfer-encoding": "chunked" } },
          (response) => resume(Effect.succeed(response.statusCode ?? 0))
        )
        // one that is cut off while it sends may not get to read why
        asked.on("error", (error) => resume(Effect.succeed(error.message)))
        asked.end(body)
      })
      assert.include([413, "socket hang up", "read ECONNRESET", "write EPIPE"], status)
      assert.strictEqual((yield* Effect.promise(() => fetch(url))).status, 200)
    })
  )
})

describe("a body that comes in pieces", () => {
  it.scopedLive("is read as a whole: a character may be in two of them, and what is none is told where it is", () =>
    Effect.gen(function* () {
      const { port } = yield* served()
      const url = `http://127.0.0.1:${port}/api/v1/vms`
      const told = (...pieces: ReadonlyArray<Buffer>) =>
        Effect.async<string>((resume) => {
          const asked = request(url, { method: "POST", headers: json }, (response) => {
            let text = ""
            response.setEncoding("utf8")
            response.on("data", (data) => (text += String(data)))
            response.on("end", () => resume(Effect.succeed(text)))
          })
          for (const piece of pieces) asked.write(piece)
          asked.end()
        })
      const body = Buffer.from('{"name":"é"}')
      assert.include(yield* told(body.subarray(0, 10), body.subarray(10)), "instanceType is missing")
      const cut = yield* told(body.subarray(0, 10), body.subarray(11))
      assert.include(cut, "the body is not in UTF-8 at byte offset 9 (0xc3): send it in UTF-8")
    })
  )
})
