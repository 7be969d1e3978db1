/** What is sent to whom, in which order, how often and with which signature: time is the test's, and receivers are values. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { createHmac } from "node:crypto"
import * as path from "node:path"
import * as Database from "../../layers/Database.ts"
import * as EventLogLive from "../../layers/EventLogLive.ts"
import * as InventoryLive from "../../layers/InventoryLive.ts"
import * as JournalLive from "../../layers/JournalLive.ts"
import * as Sender from "../../layers/WebhookSender.ts"
import * as WebhooksLive from "../../layers/WebhooksLive.ts"
import { HasChanged } from "../../src/domain/Errors.ts"
import { EventId } from "../../src/domain/Event.ts"
import { HostId } from "../../src/domain/Ids.ts"
import { WebhookId } from "../../src/domain/Webhook.ts"
import * as Meters from "../../src/observability/Meters.ts"
import { EventLog, type NewEvent } from "../../src/services/EventLog.ts"
import { Webhooks } from "../../src/services/Webhooks.ts"
import { temporaryFolder } from "../inventory/Fleet.ts"
import * as Contract from "../http/v1/Contract.ts"

const url = "https://receiver.example/hooks?key=in-the-url"

/** The turn of everybody else: what is not ready after so many never will be. */
const turn = Effect.promise(() => new Promise<void>((resume) => setImmediate(resume)))

const eventually = (holds: Effect.Effect<boolean>, what: string) =>
  Effect.gen(function* () {
    for (let turns = 0; turns < 5000; turns++) {
      if (yield* holds) return
      yield* turn
    }
    assert.fail(`never: ${what}`)
  })

/** Time for anything that would happen to happen. */
const settle = Effect.repeatN(turn, 50)

/** One life of it on a database; ended by `end`, or with the scope. */
const live = Effect.fnUntraced(function* (filename: string, options: Partial<EventLogLive.Options> = {}) {
  const received: Array<Sender.Message> = []
  const log: Array<string> = []
  const receiver: { answer: Sender.Send } = { answer: () => Effect.succeed(200) }
  const send: Sender.Send = (message) =>
    Effect.suspend(() => {
      received.push(message)
      return receiver.answer(message)
    })
  const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
  const context = yield* Layer.buildWithScope(
    WebhooksLive.layerOver(Effect.succeed(send), { allow: [] }).pipe(
      Layer.provideMerge(EventLogLive.layerWith(options)),
      Layer.provideMerge(Layer.merge(InventoryLive.layer, JournalLive.layer)),
      Layer.provide(Database.layer({ filename })),
      Layer.provide(
        Logger.replace(
          Logger.defaultLogger,
          Logger.make((line) => void log.push(Logger.logfmtLogger.log(line)))
        )
      )
    ),
    scope
  )
  const webhooks = Context.get(context, Webhooks)
  const events = Context.get(context, EventLog)
  const append = (...types: ReadonlyArray<NewEvent["type"]>) =>
    events.append(...types.map((type): NewEvent => ({ type, hostId: HostId.make(1), data: { status: "up" } })))
  return {
    webhooks,
    events,
    append,
    received,
    log,
    receiver,
    end: Scope.close(scope, Exit.void),
    /** the events' ids, in the order in which they were sent */
    ids: () => received.map(({ body }) => Contract.members(JSON.parse(body)).id),
    get: webhooks.get(WebhookId.make(1)),
    arrived: (count: number) =>
      eventually(
        Effect.sync(() => received.length >= count),
        `${count} deliveries, there are ${received.length}`
      )
  }
})

const inFile = Effect.map(temporaryFolder, (folder) => path.join(folder, "vmfabric.sqlite"))

const refusal = (status: number, retryAfter: number | null = null) =>
  new Sender.DeliveryFailed({ kind: "status", reason: `receiver.example answers ${status}`, status, retryAfter })

const signature = (secret: Redacted.Redacted, { body, headers }: Sender.Message): string =>
  `v1,${createHmac("sha256", Buffer.from(Redacted.value(secret).replace("whsec_", ""), "base64"))
    .update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`)
    .digest("base64")}`

describe("webhooks", () => {
  it.scoped(
    "get each event once and in order, as the events API has it, signed, and nothing of before they were made",
    () =>
      Effect.gen(function* () {
        const { append, arrived, events, get, ids, received, webhooks } = yield* live(yield* inFile)
        yield* TestClock.adjust("1000 seconds")
        yield* append("host.changed", "host.changed")
        const { report, secret } = yield* webhooks.create({ url, types: null })
        assert.match(Redacted.value(secret), /^whsec_[A-Za-z0-9+/]{43}=$/)
        assert.deepInclude(report, { status: "delivering", behind: 0, lastSuccessAt: null, lastFailure: null })
        yield* append("vm.created")
        yield* append("vm.changed", "host.changed")
        yield* arrived(3)
        assert.deepStrictEqual(ids(), [3, 4, 5])
        const [event] = yield* events.after(EventId.make(2), 1)
        assert(event !== undefined)
        const [first, second] = received
        assert(first !== undefined && second !== undefined)
        assert.deepStrictEqual(JSON.parse(first.body), { ...event, time: new Date(event.time).toISOString() })
        assert.strictEqual(first.url, url)
        assert.strictEqual(first.headers["webhook-timestamp"], "1000")
        assert.strictEqual(first.headers["content-type"], "application/json")
        assert.strictEqual(first.headers["webhook-signature"], signature(secret, first))
        assert.notStrictEqual(first.headers["webhook-id"], second.headers["webhook-id"])
        yield* eventually(
          Effect.map(Effect.orDie(get), ({ behind, lastSuccessAt }) => behind === 0 && lastSuccessAt === 1_000_000),
          "nothing is behind"
        )
      })
  )

  it.scoped("get what they asked for only, and by a change what they ask for from then on", () =>
    Effect.gen(function* () {
      const { append, arrived, get, ids, webhooks } = yield* live(yield* inFile)
      const { report } = yield* webhooks.create({ url, types: ["vm.created"] })
      yield* append("host.changed", "vm.created", "host.changed", "vm.created")
      yield* arrived(2)
      assert.deepStrictEqual(ids(), [2, 4])
      yield* append("host.changed")
      yield* eventually(
        Effect.map(Effect.orDie(get), ({ behind }) => behind === 0),
        "nothing is behind"
      )
      yield* webhooks.change(report.webhook.id, { types: ["host.changed"] })
      yield* append("vm.created", "host.changed")
      yield* arrived(3)
      assert.deepStrictEqual(ids().slice(0, 2), [2, 4])
      assert.strictEqual(ids().at(-1), 7)
      assert.deepStrictEqual((yield* webhooks.change(report.webhook.id, { types: null })).webhook.types, null)
    })
  )

  it.scoped("are tried again after longer and longer times, then seldom, and go on where they were", () =>
    Effect.gen(function* () {
      const { append, arrived, get, ids, log, receiver, received, webhooks } = yield* live(yield* inFile)
      yield* webhooks.create({ url, types: null })
      receiver.answer = () => refusal(503)
      yield* append("vm.created", "vm.changed")
      for (let tries = 1; tries <= 8; tries++) {
        yield* arrived(tries)
        yield* eventually(
          Effect.map(Effect.orDie(get), ({ nextTryAt }) => nextTryAt !== null),
          "it waits"
        )
        const { behind, lastFailure, nextTryAt, status } = yield* get
        assert.deepInclude(
          { behind, lastFailure, status },
          {
            behind: 2,
            lastFailure: "receiver.example answers 503",
            status: "retrying"
          }
        )
        const pause = Number(nextTryAt) - (yield* TestClock.currentTimeMillis)
        assert.isAtLeast(pause, 500 * 2 ** (tries - 1))
        assert.isAtMost(pause, 1500 * 2 ** (tries - 1))
        yield* TestClock.adjust(pause - 1)
        yield* settle
        assert.lengthOf(received, tries)
        yield* TestClock.adjust(1)
      }
      // the same one each time, with a signature of its own
      yield* arrived(9)
      assert.deepStrictEqual(
        ids(),
        Array.from({ length: 9 }, () => 1)
      )
      assert.strictEqual(new Set(received.map(({ headers }) => headers["webhook-id"])).size, 1)
      assert.isAbove(new Set(received.map(({ headers }) => headers["webhook-signature"])).size, 5)

      yield* TestClock.adjust("23 hours")
      yield* settle
      assert.strictEqual((yield* get).status, "retrying")
      yield* TestClock.adjust("3 hours")
      yield* settle
      const { nextTryAt, status } = yield* get
      assert.strictEqual(status, "failing")
      const pause = Number(nextTryAt) - (yield* TestClock.currentTimeMillis)
      assert.isAbove(pause, 0)
      const before = received.length
      receiver.answer = () => Effect.succeed(200)
      yield* TestClock.adjust("9 hours")
      yield* arrived(before + 2)
      assert.deepStrictEqual(ids().slice(-2), [1, 2])
      yield* eventually(
        Effect.map(Effect.orDie(get), ({ behind }) => behind === 0),
        "nothing is behind"
      )
      assert.deepInclude(yield* get, { status: "delivering", nextTryAt: null })
      // told when it becomes another, not at each try, and without what is in the URL
      const lines = log.filter((line) => line.includes("webhook 1"))
      assert.lengthOf(lines, 3)
      assert.notInclude(log.join("\n"), "in-the-url")
    })
  )

  it.scoped("have their last 100 tries kept over a restart, without what was sent or is secret", () =>
    Effect.gen(function* () {
      const filename = yield* inFile
      const first = yield* live(filename)
      const { report, secret } = yield* first.webhooks.create({ url, types: null })
      const { id } = report.webhook
      assert.deepStrictEqual(yield* first.webhooks.deliveries(id), [])
      first.receiver.answer = () => refusal(503)
      yield* first.append("vm.created")
      yield* eventually(
        Effect.map(Effect.orDie(first.get), ({ nextTryAt }) => nextTryAt !== null),
        "it waits"
      )
      const { nextTryAt } = yield* first.get
      const [only, ...none] = yield* first.webhooks.deliveries(id)
      assert.deepStrictEqual(none, [])
      assert.deepStrictEqual(only, {
        id: 1,
        message: String(first.received[0]?.headers["webhook-id"]),
        type: "vm.created",
        cursor: EventId.make(1),
        try: 1,
        at: 0,
        milliseconds: 0,
        status: 503,
        reason: "receiver.example answers 503",
        nextTryAt
      })
      yield* first.webhooks.ping(id)
      const [test] = yield* first.webhooks.deliveries(id)
      assert.deepInclude(test, { type: "ping", cursor: null, try: 1, status: 503, nextTryAt: null })
      yield* first.end

      // tried at once, and it is still the second time
      const second = yield* live(filename)
      yield* second.arrived(1)
      yield* eventually(
        Effect.map(Effect.orDie(second.webhooks.deliveries(id)), ([last]) => last?.try === 2 && last.reason === null),
        "its second try has arrived"
      )
      const [again] = yield* second.webhooks.deliveries(id)
      assert.deepInclude(again, { status: 200, nextTryAt: null })
      assert.strictEqual(again?.message, only?.message)
      for (let more = 0; more < 100; more++) yield* second.append("host.changed")
      yield* second.arrived(101)
      yield* eventually(
        Effect.map(Effect.orDie(second.webhooks.deliveries(id)), ([last]) => last?.cursor === 101),
        "the last one is kept"
      )
      const kept = yield* second.webhooks.deliveries(id)
      assert.deepStrictEqual(
        kept.map(({ cursor, try: tries }) => [cursor, tries]),
        Array.from({ length: 100 }, (_, index) => [101 - index, 1])
      )
      const text = JSON.stringify(kept)
      for (const word of [Redacted.value(secret), "in-the-url", "status\\"]) assert.notInclude(text, word)
      yield* second.webhooks.remove(id)
      assert.strictEqual((yield* Effect.flip(second.webhooks.deliveries(id)))._tag, "WebhookNotFound")
    })
  )

  it.scoped("wait at least as long as the receiver asks for", () =>
    Effect.gen(function* () {
      const { append, arrived, get, receiver, webhooks } = yield* live(yield* inFile)
      yield* webhooks.create({ url, types: null })
      receiver.answer = () => refusal(429, 120)
      yield* append("vm.created")
      yield* arrived(1)
      yield* eventually(
        Effect.map(Effect.orDie(get), ({ nextTryAt }) => nextTryAt !== null),
        "it waits"
      )
      assert.isAtLeast(Number((yield* get).nextTryAt), 120_000)
    })
  )

  it.scoped("hold up nobody else while one of them hangs", () =>
    Effect.gen(function* () {
      const { append, received, receiver, webhooks } = yield* live(yield* inFile)
      receiver.answer = ({ url }) => (url.includes("hangs") ? Effect.never : Effect.succeed(200))
      yield* webhooks.create({ url: "https://hangs.example/", types: null })
      yield* webhooks.create({ url, types: null })
      yield* append(...Array.from({ length: 20 }, () => "vm.changed" as const))
      yield* eventually(
        Effect.sync(() => received.filter((one) => one.url === url).length === 20),
        "all of them arrive at the other"
      )
      assert.lengthOf(
        received.filter((one) => one.url !== url),
        1
      )
      const [slow, quick] = yield* webhooks.list
      assert.strictEqual(slow?.behind, 20)
      assert.strictEqual(quick?.webhook.id, 2)
    })
  )

  it.scoped("are told what was dropped before it could be sent, and go on behind it", () =>
    Effect.gen(function* () {
      const options = { keep: 5, pruning: "1 millis" } as const
      const { append, arrived, events, get, receiver, received, webhooks } = yield* live(yield* inFile, options)
      yield* webhooks.create({ url, types: ["vm.changed"] })
      receiver.answer = () => refusal(500)
      yield* append(...Array.from({ length: 20 }, () => "vm.changed" as const))
      yield* arrived(1)
      const dropped = Effect.gen(function* () {
        yield* TestClock.adjust("1 millis")
        return (yield* Effect.either(events.after(EventId.make(14), 1)))._tag === "Left"
      })
      yield* eventually(Effect.orDie(dropped), "15 are dropped")
      receiver.answer = () => Effect.succeed(200)
      const before = received.length
      yield* TestClock.adjust("1 minute")
      yield* arrived(before + 6)
      const sent = received.slice(before).map(({ body }) => Contract.members(JSON.parse(body)))
      assert.deepInclude(sent[0], { type: "gap", after: 0, next: 16 })
      assert.deepStrictEqual(
        sent.slice(1).map(({ id }) => id),
        [16, 17, 18, 19, 20]
      )
      assert.strictEqual((yield* get).status, "delivering")
    })
  )

  it.scoped("go on after a restart, also those that were far behind with events of other types", () =>
    Effect.gen(function* () {
      const filename = yield* inFile
      const first = yield* live(filename)
      yield* first.webhooks.create({ url, types: ["vm.created"] })
      yield* first.append("vm.created")
      yield* first.arrived(1)
      const others = Array.from({ length: 1500 }, () => "host.changed" as const)
      yield* first.append(...others)
      yield* TestClock.adjust("1 minute")
      yield* settle
      yield* first.end

      const options = { keep: 600, pruning: "1 millis" } as const
      const second = yield* live(filename, options)
      const dropped = Effect.gen(function* () {
        yield* TestClock.adjust("1 millis")
        return (yield* Effect.either(second.events.after(EventId.make(800), 1)))._tag === "Left"
      })
      yield* eventually(Effect.orDie(dropped), "the oldest are dropped")
      yield* second.append("vm.created")
      yield* second.arrived(1)
      assert.deepStrictEqual(second.ids(), [1502], "no gap: it was known that they were of other types")
      yield* eventually(
        Effect.map(Effect.orDie(second.get), ({ lastSuccessAt }) => Number(lastSuccessAt) > 0),
        "it is stored"
      )
      yield* second.end

      const third = yield* live(filename)
      yield* third.append("vm.created")
      yield* third.arrived(1)
      assert.deepStrictEqual(third.ids(), [1503])
      const { webhook } = yield* third.get
      yield* third.webhooks.remove(webhook.id)
      yield* third.append("vm.created")
      yield* settle
      assert.deepStrictEqual(third.ids(), [1503])
      assert.deepStrictEqual(yield* third.webhooks.list, [])
    })
  )

  it.scoped("have two signatures for a day when their secret is changed", () =>
    Effect.gen(function* () {
      const { append, arrived, received, receiver, webhooks } = yield* live(yield* inFile)
      const { report, secret: old } = yield* webhooks.create({ url, types: null })
      const { secret } = yield* webhooks.rotate(report.webhook.id)
      assert.notStrictEqual(Redacted.value(secret), Redacted.value(old))
      yield* append("vm.created")
      yield* arrived(1)
      const [first] = received
      assert(first !== undefined)
      assert.strictEqual(first.headers["webhook-signature"], `${signature(secret, first)} ${signature(old, first)}`)
      // while it is tried again: one that has nothing to do looks for work each minute of the day
      receiver.answer = () => refusal(503)
      yield* append("vm.created")
      yield* arrived(2)
      yield* TestClock.adjust("24 hours")
      yield* settle
      receiver.answer = () => Effect.succeed(200)
      yield* webhooks.ping(report.webhook.id)
      const later = received.at(-1)
      assert(later !== undefined)
      assert.strictEqual(later.headers["webhook-signature"], signature(secret, later))
    })
  )

  it.scoped("can be tested, and one that arrives again is not left waiting", () =>
    Effect.gen(function* () {
      const { append, arrived, get, received, receiver, webhooks } = yield* live(yield* inFile)
      const { report, secret } = yield* webhooks.create({ url, types: ["vm.created"] })
      receiver.answer = () => refusal(404)
      assert.deepInclude(yield* webhooks.ping(report.webhook.id), {
        delivered: false,
        status: 404,
        reason: "receiver.example answers 404"
      })
      assert.isNull((yield* get).lastFailure, "a test is no delivery")
      yield* append("vm.created")
      yield* arrived(2)
      yield* eventually(
        Effect.map(Effect.orDie(get), ({ nextTryAt }) => nextTryAt !== null),
        "it waits"
      )
      receiver.answer = () => Effect.succeed(200)
      assert.deepInclude(yield* webhooks.ping(report.webhook.id), { delivered: true, status: 200, reason: null })
      // without any time going by
      yield* arrived(4)
      const [ping] = received
      assert(ping !== undefined)
      assert.deepInclude(JSON.parse(ping.body), { type: "ping", webhookId: 1 })
      assert.strictEqual(ping.headers["webhook-signature"], signature(secret, ping))
    })
  )

  it.scoped("are changed and removed only as they are expected to be", () =>
    Effect.gen(function* () {
      const { get, webhooks } = yield* live(yield* inFile)
      const { report } = yield* webhooks.create({ url, types: null })
      const { id } = report.webhook
      const no = () => new HasChanged({ what: "webhook 1" })
      assert.strictEqual((yield* Effect.flip(webhooks.change(id, { types: ["vm.created"] }, no)))._tag, "HasChanged")
      assert.strictEqual((yield* Effect.flip(webhooks.remove(id, no)))._tag, "HasChanged")
      assert.deepStrictEqual((yield* get).webhook, report.webhook)
      const unknown = WebhookId.make(9)
      for (const asked of [
        webhooks.get(unknown),
        webhooks.change(unknown, {}),
        webhooks.remove(unknown),
        webhooks.rotate(unknown),
        webhooks.ping(unknown)
      ]) {
        assert.strictEqual((yield* Effect.flip(asked)).message, "webhook 9 does not exist")
      }
    })
  )

  it.scoped("lead nowhere they may not, and are a hundred at most", () =>
    Effect.gen(function* () {
      const { webhooks } = yield* live(yield* inFile)
      for (const [wrong, words] of [
        ["", "is no URL"],
        ["receiver.example", "is no URL"],
        ["ftp://receiver.example", "is none of https"],
        ["http://receiver.example", "is without TLS"],
        ["https://ada:secret@receiver.example", "has a user name or a password"],
        ["https://receiver.example/#a", "has a fragment"],
        ["https://receiver.example:0/", "has the port 0"],
        ["https://127.0.0.1/", "which is no public address"],
        ["https://2130706433/", "which is no public address"],
        ["https://0x7f.1/", "which is no public address"],
        ["https://[::ffff:127.0.0.1]/", "which is no public address"],
        ["https://169.254.169.254/latest", "which is no public address"],
        ["https://localhost/", "which is no public address"],
        ["https://a.localhost./", "which is no public address"],
        ["http://127.0.0.1/", "use https"],
        [`https://receiver.example/${"a".repeat(2000)}`, "2000 at most"]
      ] as const) {
        const error = yield* Effect.flip(webhooks.create({ url: wrong, types: null }))
        assert.strictEqual(error._tag, "InvalidArgument", wrong)
        assert.include(error.message, words, wrong)
        assert.notInclude(error.message, "secret")
      }
      for (let made = 0; made < 100; made++) yield* webhooks.create({ url, types: null })
      const error = yield* Effect.flip(webhooks.create({ url, types: null }))
      assert.strictEqual(error.message, "there are 100 webhooks: remove one first")
    })
  )

  it("are counted by what came of their deliveries", () =>
    assert.isTrue(Meters.families.some(({ name }) => name === "vmfabric_webhook_deliveries_total")))
})
