/** The client as programs on Effect use it. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Client, Ids } from "../../src/client/index.ts"
import type { EventId } from "../../src/domain/Event.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { WebhookId } from "../../src/domain/Webhook.ts"
import * as Served from "./Served.ts"

const clientOf = (options: Client.Options) => Effect.provide(Client.make(options), FetchHttpClient.layer)

const small = { name: "web", instanceType: Ids.InstanceTypeId.make(1) }

const whoAmI = { user: "ada", role: "viewer", via: "token", tokenId: 1 }

const operation = {
  id: "11111111-2222-4333-8444-555555555555",
  kind: "CreateVm",
  vmId: 1,
  volumeId: null,
  snapshotId: null,
  state: "pending",
  error: null,
  cancelAsked: false,
  createdAt: "2026-01-02T03:04:05.006Z",
  endedAt: null,
  imageId: null,
  replacedBy: null,
  retryOf: null,
  retriedBy: null,
  outcome: null,
  progress: null
}

describe("calls", () => {
  it.scopedLive("create, wait and read, in values of their own types", () =>
    Effect.gen(function* () {
      const { url } = yield* Served.make
      const program = Effect.gen(function* () {
        const client = yield* Client.Client
        const { kind, vmId } = yield* Effect.flatMap(client.vms.createVm({ payload: small }), client.wait)
        assert.strictEqual(kind, "CreateVm")
        const [vm, response] = yield* client.vms.getVm({
          path: { id: Ids.VmId.make(vmId ?? 0) },
          withResponse: true
        })
        assert.deepInclude(vm, { name: "web", state: "running" })
        const etag = response.headers.etag ?? ""
        const { items, total } = yield* client.vms.listVms({ urlParams: { name: "we" } })
        assert.deepStrictEqual([items.map(({ id }) => id), total], [[vm.id], 1])
        assert.strictEqual((yield* client.hosts.listHosts()).items.length, 3)
        const path = { id: vm.id }
        const stale = yield* client.vms
          .changeVm({ path, payload: { onCrash: "restart" }, headers: { "if-match": '"another"' } })
          .pipe(Effect.catchTag("PreconditionFailed", Effect.succeed))
        assert.propertyVal(stale, "status", 412)
        yield* client.vms.changeVm({ path, payload: { onCrash: "restart" }, headers: { "if-match": etag } })
        const plan = yield* client.vms.destroyVm({ path, urlParams: { plan: true } })
        assert.deepStrictEqual(
          plan.changes.map(({ action, target }) => `${action} ${target.split(" on ")[0]}`),
          ["remove domain vm-1", "remove seed of vm-1", "remove root disk of vm-1", "remove VM 1 (web)"]
        )
        yield* client.vms.changeVm({ path, payload: { onCrash: "leave" } })
        const outdated = yield* client.vms
          .destroyVm({ path, urlParams: { plan_id: plan.id } })
          .pipe(Effect.catchTag("Conflict", Effect.succeed))
        assert.deepInclude(outdated, {
          code: "plan_outdated",
          moved: [{ what: "VM 1: after a crash", planned: "restart", now: "leave" }]
        })
        yield* Effect.flatMap(client.vms.destroyVm({ path }), client.wait)
        // there is nothing left to do, and to wait for
        assert.isUndefined(yield* Effect.flatMap(client.vms.destroyVm({ path }), client.wait))
      })
      yield* Effect.provide(program, Client.layer({ url: `${url}/` }))
    })
  )

  it.scopedLive("fail with the API's problems by their tags, also before anything is sent", () =>
    Effect.gen(function* () {
      const { url } = yield* Served.make
      const client = yield* clientOf({ url })
      const missing = yield* client.vms
        .getVm({ path: { id: Ids.VmId.make(99) } })
        .pipe(Effect.catchTag("NotFound", Effect.succeed))
      assert.propertyVal(missing, "code", "vm_not_found")
      const refused = yield* Effect.flip(client.vms.createVm({ payload: { ...small, name: " web" } }))
      assert.deepInclude(refused, { _tag: "InvalidRequest", code: "invalid_body", field: "name" })
      assert.match(refused.message, /^name: expected 1 to 255 characters/)
    })
  )

  it.scopedLive("carry the token", () =>
    Effect.gen(function* () {
      const { asked, url } = yield* Served.scripted(Served.json(200, whoAmI))
      const client = yield* clientOf({ url, token: Redacted.make("vmf_secret") })
      yield* client.session.whoAmI()
      assert.strictEqual(asked[0]?.headers.authorization, "Bearer vmf_secret")
    })
  )
})

describe("what fails on the way", () => {
  it.scopedLive("a create is sent again with the same key, a test of a webhook is not", () =>
    Effect.gen(function* () {
      const { asked, url } = yield* Served.scripted(
        Served.cut,
        Served.problem(503, "database", "Unavailable"),
        Served.text(502, "text/html", "<h1>Bad Gateway</h1>"),
        Served.text(503, "text/html", "<h1>Service Unavailable</h1>"),
        Served.json(202, operation),
        Served.json(202, operation),
        Served.cut
      )
      const client = yield* clientOf({ url })
      yield* client.vms.createVm({ payload: small })
      const [key] = asked.map(({ headers }) => headers["idempotency-key"])
      assert.match(String(key), /^[0-9a-f]{32}$/)
      assert.deepStrictEqual(
        asked.map(({ headers }) => headers["idempotency-key"]),
        [key, key, key, key, key]
      )
      yield* client.vms.createVm({ payload: small, headers: { "idempotency-key": "mine" } })
      assert.strictEqual(asked[5]?.headers["idempotency-key"], "mine")
      const lost = yield* Effect.flip(client.webhooks.pingWebhook({ path: { id: WebhookId.make(1) } }))
      assert.strictEqual(lost._tag, "Unreachable")
      assert.strictEqual(asked.length, 7)
    })
  )

  it.scopedLive("the time that an answer names is waited for", () =>
    Effect.gen(function* () {
      const { asked, url } = yield* Served.scripted(
        Served.problem(429, "rate_limited", "TooManyRequests", { retryAfter: 1 }),
        Served.json(200, whoAmI)
      )
      const client = yield* clientOf({ url })
      const [took] = yield* Effect.timed(client.session.whoAmI())
      assert.isAtLeast(Duration.toMillis(took), 990)
      assert.strictEqual(asked.length, 2)
    })
  )

  it.scopedLive("patience has an end, and is not begun when a longer one is asked for", () =>
    Effect.gen(function* () {
      const { asked, url } = yield* Served.scripted(Served.problem(503, "database", "Unavailable"))
      const hasty = yield* clientOf({ url, patience: "1 second" })
      assert.strictEqual((yield* Effect.flip(hasty.session.whoAmI()))._tag, "Unavailable")
      assert.isAtLeast(asked.length, 2)
      const limited = yield* Served.scripted(Served.problem(429, "rate_limited", "TooManyRequests", { retryAfter: 60 }))
      const client = yield* clientOf({ url: limited.url })
      assert.strictEqual((yield* Effect.flip(client.session.whoAmI()))._tag, "TooManyRequests")
      assert.strictEqual(limited.asked.length, 1)
    })
  )

  it.scopedLive("a controller that is not there, and an answer that is none of its own, are told in a sentence", () =>
    Effect.gen(function* () {
      const gone = yield* Served.scripted(Served.cut)
      gone.close()
      const client = yield* clientOf({ url: gone.url, patience: 0 })
      const unreachable = yield* Effect.flip(client.session.whoAmI())
      assert.strictEqual(unreachable._tag, "Unreachable")
      assert.match(unreachable.message, /^the controller cannot be reached: connect ECONNREFUSED 127\.0\.0\.1/)
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(client.events())))._tag, "Unreachable")
      const page = yield* Served.scripted(Served.text(200, "text/html", "<h1>Hello</h1>"))
      const other = yield* clientOf({ url: page.url })
      const unexpected = yield* Effect.flip(other.session.whoAmI())
      assert.strictEqual(unexpected.message, "the answer is none of vmfabric's API: status 200 with text/html")
      const stream = yield* Effect.flip(Stream.runDrain(other.events()))
      assert.deepInclude(stream, { _tag: "UnexpectedAnswer", status: 200 })
      const nonsense = yield* clientOf({ url: "nonsense" })
      assert.deepInclude(yield* Effect.flip(nonsense.session.whoAmI()), { _tag: "InvalidRequest", field: "url" })
    })
  )
})

describe("waiting", () => {
  it.scopedLive("ends with the operation, though the controller is restarted meanwhile", () =>
    Effect.gen(function* () {
      const { gate, seen, start, stop, url } = yield* Served.make
      const client = yield* clientOf({ url })
      yield* gate.close
      const waiting = yield* client.volumes
        .createVolume({ payload: { name: "data", size: 1 } })
        .pipe(Effect.flatMap(client.wait), Effect.fork)
      // it has looked, so it follows the stream
      yield* Effect.sync(() => seen.some((path) => path.startsWith("/api/v1/operations/"))).pipe(
        Effect.delay("20 millis"),
        Effect.repeat({ until: (looked) => looked })
      )
      yield* stop
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      yield* gate.open
      yield* start
      assert.deepInclude(yield* Fiber.join(waiting), { kind: "CreateVolume", state: "done" })
    }).pipe(Effect.timeout("18 seconds"))
  )

  it.scopedLive("fails with why the operation has failed, and when there is none", () =>
    Effect.gen(function* () {
      const { refuse, url } = yield* Served.make
      const client = yield* clientOf({ url })
      yield* refuse
      const failed = yield* Effect.flatMap(client.vms.createVm({ payload: small }), client.wait).pipe(
        Effect.catchTag("OperationFailed", Effect.succeed)
      )
      assert.match("message" in failed ? failed.message : "", /^operation [0-9a-f-]+ \(CreateVm\) failed: .*it is full/)
      const none = yield* Effect.flip(client.wait({ id: Ids.OperationId.make("11111111-2222-4333-8444-555555555555") }))
      assert.strictEqual(none._tag, "NotFound")
    }).pipe(Effect.timeout("18 seconds"))
  )
})

describe("waiting for what was left", () => {
  it.scopedLive("goes on with what does the same on another host", () =>
    Effect.gen(function* () {
      const other = "22222222-2222-4333-8444-555555555555"
      const ended = { ...operation, endedAt: operation.createdAt }
      const stream = Served.text(200, "text/event-stream", "retry: 1000\nid: 5\n\n")
      const { asked, url } = yield* Served.scripted(
        stream,
        Served.json(200, { ...ended, state: "failed", error: "its host fell silent", replacedBy: other }),
        stream,
        Served.json(200, { ...ended, id: other, vmId: 2, state: "done" })
      )
      const client = yield* clientOf({ url })
      const done = yield* client.wait({ id: Ids.OperationId.make(operation.id) })
      assert.deepStrictEqual([String(done.id), Number(done.vmId), done.state], [other, 2, "done"])
      assert.strictEqual(asked[2]?.url, `/api/v1/events?operation=${other}`)
    })
  )
})

describe("events", () => {
  it.scopedLive("come once each and in order, though the controller is restarted meanwhile", () =>
    Effect.gen(function* () {
      const served = yield* Served.make
      const client = yield* clientOf({ url: served.url })
      const create = Effect.flatMap(Vms, (vms) => vms.create(small)).pipe(Effect.provide(served.context))
      yield* create
      const begun = yield* Deferred.make<void>()
      const following = yield* client
        .events({ after: (yield* client.events.listEvents({ urlParams: { limit: 1 } })).next })
        .pipe(
          Stream.tap(() => Deferred.succeed(begun, undefined)),
          Stream.takeUntil(({ type, vmId }) => type === "vm.changed" && vmId === 3),
          Stream.runCollect,
          Effect.fork
        )
      yield* Deferred.await(begun)
      yield* served.stop
      yield* create
      yield* served.start
      yield* create
      const ids = Chunk.toReadonlyArray(yield* Fiber.join(following)).map(({ id }) => Number(id))
      assert.deepStrictEqual(
        ids,
        ids.map((_, index) => index + 2)
      )
    }).pipe(Effect.timeout("18 seconds"))
  )

  it.scopedLive("begin with now, and are of some types only", () =>
    Effect.gen(function* () {
      const event = (id: number, type: string) =>
        `id: ${id}\r\nevent: ${type}\r\ndata: ${JSON.stringify({
          id,
          time: "2026-01-02T03:04:05.006Z",
          type,
          vmId: 7,
          volumeId: null,
          snapshotId: null,
          hostId: null,
          imageId: null,
          operationId: null,
          data: { state: "running" }
        })}\r\n\r\n`
      // one of a later version, and cut off in the middle of one
      const first = `retry: 1000\nid: 5\n\n: a comment\n\n${event(6, "vm.exploded")}${event(7, "vm.changed").slice(0, 60)}`
      // and with a sign of life that tells how far it was looked
      const second = `id: 6\n\n${event(7, "vm.changed")}: nothing happened for a while\nid: 4711\n\n`
      const third = `event: lost\ndata: ${JSON.stringify({
        _tag: "Gone",
        status: 410,
        code: "events_lost",
        title: "Lost",
        detail: "events after 7 are no longer kept"
      })}\n\n`
      const { asked, url } = yield* Served.scripted(
        ...[first, second, third].map((body) => Served.text(200, "text/event-stream", body))
      )
      const client = yield* clientOf({ url })
      const seen: Array<number> = []
      const told: Array<number> = []
      const passed = (cursor: EventId) => Effect.sync(() => void told.push(cursor))
      const end = yield* client.events({ types: ["vm.changed", "vm.created"], vm: Ids.VmId.make(7), passed }).pipe(
        Stream.runForEach(({ id }) => Effect.sync(() => seen.push(id))),
        Effect.flip
      )
      assert.deepStrictEqual(seen, [7])
      assert.deepInclude(end, { _tag: "Gone", code: "events_lost" })
      assert.deepStrictEqual(
        asked.map(({ url }) => new URL(url, "http://x").searchParams.get("after")),
        [null, "6", "4711"]
      )
      assert.deepStrictEqual(told, [5, 6, 4711])
      assert.deepStrictEqual(new URL(asked[0]?.url ?? "", "http://x").searchParams.getAll("type"), [
        "vm.changed",
        "vm.created"
      ])
    }).pipe(Effect.timeout("15 seconds"))
  )
})
