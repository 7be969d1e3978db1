/** The event log by HTTP: pages, and streams that are cut off. */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as http from "node:http"
import type * as EventLogLive from "../../layers/EventLogLive.ts"
import * as EventLogTest from "../../layers/EventLogTest.ts"
import * as IdentityTest from "../../layers/IdentityTest.ts"
import * as Api from "../../src/api/Events.ts"
import { EventsLost, PersistenceError } from "../../src/domain/Errors.ts"
import { Event, EventId } from "../../src/domain/Event.ts"
import { HostId, ImageId } from "../../src/domain/Ids.ts"
import * as Events from "../../src/http/Events.ts"
import * as Server from "../../src/http/Server.ts"
import { EventLog } from "../../src/services/EventLog.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import { dir, fleet, type } from "../inventory/Fleet.ts"

const api = HttpApi.make("test").add(Api.group).prefix("/api/v1")

const app = HttpLayerRouter.serve(
  HttpLayerRouter.addHttpApi(api).pipe(
    Layer.provide(HttpApiBuilder.group(api, "events", (handlers) => handlers.handle("listEvents", Events.handle)))
  ),
  { disableLogger: true, disableListenLog: true }
).pipe(HttpMiddleware.withTracerDisabledWhen(() => true))

/** Gives where it listens, and what the log is over. */
const serve = <A, E>(log: Layer.Layer<EventLog | A, E>) =>
  Effect.map(
    Layer.build(
      app.pipe(
        Layer.provide(IdentityTest.layer),
        Layer.provideMerge(log),
        Layer.provideMerge(Server.layer({ host: "127.0.0.1", port: 0 }))
      )
    ),
    (context) => {
      const { address } = Context.get(context, HttpServer.HttpServer)
      return { context, url: `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}/api/v1/events` }
    }
  )

/** Nobody can sign in, so whoever is on this machine may read on. */
const asked = HttpServerRequest.fromWeb(new Request("http://controller/api/v1/events"))

const served = (options: Partial<EventLogLive.Options> = {}) => serve(EventLogTest.layerWith(options))

const append = (count: number) =>
  Effect.flatMap(EventLog, (log) =>
    log.append(
      ...Array.from({ length: count }, (_, n) => ({
        type: "host.changed" as const,
        hostId: HostId.make((n % 2) + 1),
        data: { status: "down", reason: 'sshd says "no"\nand goes' }
      }))
    )
  )

const get = (url: string, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, { headers })
    const body: unknown = await response.json()
    return { status: response.status, body }
  })

const decodePage = Schema.decodeUnknownSync(Api.EventPage)
const pageOf = (url: string) => Effect.map(get(url), ({ body }) => decodePage(body))

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

// --------------------------------------------------------------------------------------------------- a client of streams

/** What stands between two empty lines: fields by name. */
type Message = Readonly<Record<string, string>>

const messageOf = (block: string): Message =>
  Object.fromEntries(
    block.split("\n").map((line) => {
      const colon = line.indexOf(":")
      return [line.slice(0, colon), line.slice(colon + 1).trimStart()]
    })
  )

/** Until `enough`; then it is cut off as if its process had been killed, whatever else has arrived. */
const listen = (
  url: string,
  headers: Record<string, string>,
  enough: (all: ReadonlyArray<Message>) => boolean
): Effect.Effect<ReadonlyArray<Message>> =>
  Effect.async((resume) => {
    const messages: Array<Message> = []
    let rest = ""
    const end = () => {
      request.destroy()
      resume(Effect.succeed(messages))
    }
    const request = http.get(
      url,
      { headers: { accept: "text/event-stream", ...headers }, agent: false },
      (response) => {
        response.setEncoding("utf8")
        response.on("data", (text: string) => {
          const blocks = (rest + text).split("\n\n")
          rest = blocks.pop() ?? ""
          for (const block of blocks) {
            messages.push(messageOf(block))
            if (enough(messages)) return end()
          }
        })
        response.on("end", end)
      }
    )
    request.on("error", (error) => resume(Effect.die(error)))
    return Effect.sync(() => request.destroy())
  })

const isEvent = ({ data }: Message) => data !== undefined
const idsOf = (messages: ReadonlyArray<Message>) => messages.filter(isEvent).map(({ id }) => Number(id))
const upTo = (count: number) => (all: ReadonlyArray<Message>) => all.filter(isEvent).length === count

/** The text of an answer that ends, or that is cut off. */
const textOf = (response: HttpServerResponse.HttpServerResponse, pieces: number) =>
  response.body._tag === "Stream"
    ? response.body.stream.pipe(Stream.take(pieces), Stream.decodeText(), Stream.mkString, Effect.orDie)
    : Effect.dieMessage(`it is a ${response.body._tag}`)

const one = new Event({
  id: EventId.make(8),
  time: 1_700_000_000_006,
  type: "host.changed",
  vmId: null,
  volumeId: null,
  snapshotId: null,
  hostId: HostId.make(2),
  imageId: null,
  operationId: null,
  data: { status: "down", reason: "a\nb" }
})

/** Something was logged up to 7, and then there is this. */
const scripted = (followPages: EventLog["Type"]["followPages"]) =>
  Layer.mock(EventLog, { latest: Effect.succeed(EventId.make(7)), after: () => Effect.succeed([]), followPages })

describe("pages of events", () => {
  it.scopedLive("are read one after the other, and tell where to go on when there are no more", () =>
    Effect.gen(function* () {
      const { context, url } = yield* served()
      assert.deepStrictEqual((yield* get(url)).body, { items: [], next: 0 })
      yield* Effect.provide(append(250), context)
      const first = yield* pageOf(url)
      assert.deepStrictEqual(
        first.items.map(({ id }) => id),
        range(1, 100)
      )
      assert.deepStrictEqual(first.items[0]?.data, { status: "down", reason: 'sshd says "no"\nand goes' })
      const second = yield* pageOf(`${url}?after=${first.next}&limit=149`)
      assert.deepStrictEqual([second.items.length, second.next], [149, 249])
      const third = yield* pageOf(`${url}?after=${second.next}`)
      assert.deepStrictEqual([third.items.length, third.next], [1, 250])
      // looked through, and nothing found
      assert.deepStrictEqual(yield* pageOf(`${url}?type=vm.changed`), { items: [], next: EventId.make(250) })
    })
  )

  it.scopedLive("are of one thing, or of some types", () =>
    Effect.gen(function* () {
      const { context, url } = yield* served()
      const { operation, vm } = yield* Effect.gen(function* () {
        const inventory = yield* Inventory
        yield* inventory.applyFleet(fleet)
        const request = {
          name: "web",
          instanceType: type(1),
          imageId: ImageId.make(100),
          disk: dir,
          onCrash: "leave"
        } as const
        const admitted = yield* inventory.admit(request, () => Effect.succeed(HostId.make(1)))
        yield* append(2)
        yield* inventory.admitVolume({ name: "data", size: 1, disk: dir, sourceId: null }, () =>
          Effect.succeed(HostId.make(3))
        )
        return admitted
      }).pipe(Effect.provide(context))
      const found = (query: string) =>
        Effect.map(pageOf(`${url}?${query}`), ({ items }) => items.map(({ id, type }) => `${id} ${type}`))
      assert.deepStrictEqual(yield* found(`vm=${vm.id}`), ["1 vm.created", "2 operation.created"])
      assert.deepStrictEqual(yield* found(`operation=${operation.id}`), ["2 operation.created"])
      assert.deepStrictEqual(yield* found("host=1"), ["1 vm.created", "3 host.changed"])
      assert.deepStrictEqual(yield* found("volume=1"), ["5 volume.created", "6 operation.created"])
      assert.deepStrictEqual(yield* found("type=vm.created"), ["1 vm.created"])
      assert.deepStrictEqual(yield* found("type=vm.created&type=host.changed&host=1"), [
        "1 vm.created",
        "3 host.changed"
      ])
    })
  )

  it.scopedLive("begin with the oldest that is kept; a cursor before it is 410 events_lost", () =>
    Effect.gen(function* () {
      const { context, url } = yield* served({ keep: 10, pruning: "1 millis" })
      yield* Effect.provide(append(25), context)
      yield* get(`${url}?after=14`).pipe(
        Effect.delay("5 millis"),
        Effect.repeat({ until: ({ status }) => status === 410 }),
        Effect.timeout("10 seconds")
      )
      const { items, next } = yield* pageOf(url)
      assert.deepStrictEqual([items.map(({ id }) => id), next], [range(16, 25), EventId.make(25)])
      for (const headers of [{}, { accept: "text/event-stream" }]) {
        const { body, status } = yield* get(`${url}?after=14`, headers)
        assert.strictEqual(status, 410)
        assert.deepInclude(body, {
          code: "events_lost",
          detail:
            "events after 14 are no longer kept, the oldest is 16: list what you follow anew, then go on from the newest event"
        })
      }
      // a client that comes back with an older one, whatever its URL says
      const late = yield* get(`${url}?after=20`, { accept: "text/event-stream", "last-event-id": "3" })
      assert.strictEqual(late.status, 410)
    })
  )

  it.scopedLive("ahead of the newest are told to be of another log, and who begins anew is in step again", () =>
    Effect.gen(function* () {
      const { context, url } = yield* served()
      yield* Effect.provide(append(5), context)
      const ahead = {
        status: 410,
        code: "events_lost",
        title: "The cursor is of another log",
        detail:
          "events up to 99 have not happened here, the newest is 5: the database is another, or was put back to an earlier " +
          "state; list what you follow anew, then go on from the newest event"
      }
      const stream = { accept: "text/event-stream" }
      for (const [query, headers] of [
        ["?after=99", {}],
        ["?after=99", stream],
        ["", { ...stream, "last-event-id": "99" }]
      ] as const) {
        const { body, status } = yield* get(`${url}${query}`, headers)
        assert.strictEqual(status, 410)
        assert.deepInclude(body, ahead)
      }
      const { items, next } = yield* pageOf(url)
      assert.deepStrictEqual([items.map(({ id }) => id), next], [range(1, 5), EventId.make(5)])
      assert.deepStrictEqual((yield* pageOf(`${url}?after=${next}`)).items, [])
    })
  )

  it.scopedLive("are refused when what is asked for is not understood", () =>
    Effect.gen(function* () {
      const { url } = yield* served()
      for (const query of [
        "after=-1",
        "after=1e3",
        "limit=0",
        "limit=1001",
        "type=vm.exploded",
        "vm=0",
        "operation=7"
      ]) {
        assert.strictEqual((yield* get(`${url}?${query}`)).status, 400, query)
      }
      const { body, status } = yield* get(url, { accept: "text/event-stream", "last-event-id": "seven" })
      assert.strictEqual(status, 400)
      assert.deepInclude(body, { code: "invalid_header", field: "Last-Event-ID" })
    })
  )

  it("are documented together with the stream", () => {
    const operation = OpenApi.fromApi(api).paths["/api/v1/events"]?.get
    assert.hasAllKeys(operation?.responses[200]?.content, ["application/json", "text/event-stream"])
    assert.includeMembers(operation?.parameters.map(({ name }) => name) ?? [], ["after", "type", "Last-Event-ID"])
    assert.property(operation?.responses, "410")
  })
})

describe("a stream of events", () => {
  it.scopedLive("tells each as it is committed, and begins with now, or where it was cut off", () =>
    Effect.gen(function* () {
      const { context, url } = yield* served()
      yield* Effect.provide(append(3), context)
      const begun = yield* Deferred.make<void>()
      const all = yield* listen(url, {}, (all) => {
        Deferred.unsafeDone(begun, Effect.void)
        return upTo(2)(all)
      }).pipe(Effect.fork)
      yield* Deferred.await(begun)
      yield* Effect.provide(append(2), context)
      const [head, first, second] = yield* Fiber.join(all)
      assert.deepStrictEqual(head, { retry: "1000", id: "3" })
      assert.deepStrictEqual([first?.id, first?.event, second?.id], ["4", "host.changed", "5"])
      const page = yield* get(`${url}?after=3&limit=1`)
      assert.deepStrictEqual(page.body, { items: [JSON.parse(first?.data ?? "")], next: 4 })
      // what the browser sends again counts for more than its URL
      const again = yield* listen(`${url}?after=1`, { "last-event-id": "4" }, upTo(1))
      assert.deepStrictEqual(idsOf(again), [5])
      assert.deepStrictEqual(idsOf(yield* listen(`${url}?after=1&host=2&limit=1`, {}, upTo(2))), [2, 5])
    }).pipe(Effect.timeout("15 seconds"))
  )

  it.scopedLive(
    "misses nothing and tells nothing twice to a client that is killed a hundred times during 10,000 operations",
    () =>
      Effect.gen(function* () {
        const count = 10_000
        const vms = 64
        const { context, url } = yield* served()
        const inventory = Context.get(context, Inventory)
        const journal = Context.get(context, Journal)
        yield* inventory.applyFleet({ ...fleet, hosts: fleet.hosts.slice(0, 1) })
        const request = {
          name: "web",
          instanceType: type(1),
          imageId: ImageId.make(100),
          disk: dir,
          onCrash: "leave"
        } as const
        const ids = yield* Effect.forEach(range(1, vms), () =>
          Effect.gen(function* () {
            const { operation, vm } = yield* inventory.admit(request, () => Effect.succeed(HostId.make(1)))
            yield* journal.record(operation.id, { state: { to: "done" } })
            return vm.id
          })
        )
        const before = yield* Context.get(context, EventLog).latest
        let left = count
        const operate = (vm: (typeof ids)[number]) =>
          Effect.gen(function* () {
            while (left-- > 0) {
              const { id } = yield* inventory.beginOnVm(vm, "RepairVm")
              yield* journal.record(id, { state: { to: "done" } })
            }
          })
        const writing = yield* Effect.fork(Effect.forEach(ids, operate, { concurrency: "unbounded", discard: true }))

        const seen: Array<Message> = []
        const live = (events: number) =>
          Effect.gen(function* () {
            const last = seen.at(-1)?.id ?? String(before)
            const heard = yield* listen(
              `${url}?type=operation.created&type=operation.changed`,
              { "last-event-id": last },
              upTo(events)
            )
            seen.push(...heard.filter(isEvent))
          })
        for (const n of range(1, 100)) yield* live(100 + ((n * 37) % 150))
        yield* Fiber.join(writing)
        yield* live(2 * count - seen.length)

        assert.deepStrictEqual(
          seen.map(({ id }) => Number(id)),
          range(before + 1, before + 2 * count)
        )
        const states = new Map<string, string>()
        for (const { data = "" } of seen) {
          const { data: operation, operationId }: { data: { state: string }; operationId: string } = JSON.parse(data)
          states.set(operationId, `${states.get(operationId) ?? ""} ${operation.state}`)
        }
        assert.strictEqual(states.size, count)
        assert.deepStrictEqual([...new Set(states.values())], [" pending done"])
      }),
    120_000
  )

  it.scoped("sends a comment every 15 seconds in which nothing happens, with how far it was looked", () =>
    Effect.gen(function* () {
      const response = yield* Events.stream({}, asked).pipe(
        Effect.provide(
          Layer.merge(
            // others than what is asked for are committed after 20 seconds
            scripted(() =>
              Stream.fromEffect(
                Effect.delay(Effect.succeed({ events: [], cursor: EventId.make(70) }), "20 seconds")
              ).pipe(Stream.concat(Stream.never))
            ),
            IdentityTest.layer
          )
        )
      )
      assert.deepInclude(response.headers, { "content-type": "text/event-stream", "cache-control": "no-store" })
      const text = yield* Effect.fork(textOf(response, 3))
      yield* TestClock.adjust("29 seconds")
      assert.isNull(yield* Fiber.poll(text).pipe(Effect.map((exit) => (exit._tag === "None" ? null : exit.value))))
      yield* TestClock.adjust("1 seconds")
      const sign = (id: number) => `: nothing happened for a while\nid: ${id}\n\n`
      assert.strictEqual(yield* Fiber.join(text), `retry: 1000\nid: 7\n\n${sign(7)}${sign(70)}`)
    })
  )

  it.scoped(
    "is gone on with by a reader of whom nothing was for long, though what followed its last event is lost",
    () =>
      Effect.gen(function* () {
        const { context, url } = yield* served({ keep: 10, pruning: "1 millis" })
        const ofNone = `${url}?vm=99999`
        const status = (after: string) =>
          Effect.promise(async () => {
            const end = new AbortController()
            const headers = { accept: "text/event-stream", "last-event-id": after }
            const { status } = await fetch(ofNone, { headers, signal: end.signal })
            end.abort()
            return status
          })
        const begun = yield* Deferred.make<void>()
        const quiet = yield* Effect.fork(
          listen(`${ofNone}&after=0`, {}, (all) => {
            Deferred.unsafeDone(begun, Effect.void)
            return all.at(-1)?.id === "500"
          })
        )
        yield* Deferred.await(begun)
        yield* Effect.provide(append(500), context)
        // the log and the network are as quick as they are
        const later = Effect.zipRight(
          TestClock.adjust("15 seconds"),
          Effect.async<void>((resume) => void setTimeout(() => resume(Effect.void), 10))
        )
        yield* Effect.repeat(later, { until: () => Effect.map(Fiber.poll(quiet), Option.isSome) })
        const told = yield* Fiber.join(quiet)
        assert.isFalse(told.some(isEvent))
        yield* Effect.provide(append(5), context)
        yield* Effect.repeat(Effect.zipRight(later, status("0")), { until: (status) => status === 410 })
        assert.strictEqual(yield* status(told.at(-1)?.id ?? ""), 200)
      })
  )

  it.effect(
    "ends with an event `lost` when what follows is forgotten under way, and at once when the database fails",
    () =>
      Effect.gen(function* () {
        const sent = (error: EventsLost | PersistenceError) =>
          Events.stream({ after: EventId.make(7) }, asked).pipe(
            Effect.flatMap((response) => textOf(response, 100)),
            Effect.provide(
              Layer.merge(
                scripted(() => Stream.concat(Stream.make({ events: [one], cursor: one.id }), Stream.fail(error))),
                IdentityTest.layer
              )
            )
          )
        const told = `retry: 1000
id: 7

id: 8
event: host.changed
data: {"id":8,"time":"2023-11-14T22:13:20.006Z","type":"host.changed","vmId":null,"volumeId":null,"snapshotId":null,"hostId":2,"imageId":null,"operationId":null,"data":{"status":"down","reason":"a\\nb"}}

`
        const lost = yield* sent(new EventsLost({ cursor: 8, oldest: 20, latest: 30 }))
        assert.strictEqual(
          lost,
          `${told}event: lost
data: {"status":410,"code":"events_lost","title":"Events are no longer kept","detail":"events after 8 are no longer kept, the oldest is 20: list what you follow anew, then go on from the newest event","_tag":"Gone"}

`
        )
        assert.strictEqual(yield* sent(new PersistenceError({ action: "read events", cause: new Error("disk") })), told)
      })
  )

  /** One that never says anything, and whether it has been let go of. */
  const silent = Effect.gen(function* () {
    const ended = yield* Deferred.make<void>()
    const scope = yield* Scope.make()
    const { url } = yield* serve(
      scripted(() => Stream.ensuring(Stream.never, Deferred.succeed(ended, undefined)))
    ).pipe(Scope.extend(scope))
    return { ended: Deferred.await(ended), url, stop: Scope.close(scope, Exit.void) }
  })

  it.live("is let go of when its client goes away", () =>
    Effect.gen(function* () {
      const { ended, stop, url } = yield* silent
      yield* listen(url, {}, (all) => all.length === 1)
      yield* Effect.timeout(ended, "5 seconds")
      yield* stop
    })
  )

  it.live("does not keep the server from stopping", () =>
    Effect.gen(function* () {
      const { ended, stop, url } = yield* silent
      const begun = yield* Deferred.make<void>()
      const client = yield* listen(url, {}, () => {
        Deferred.unsafeDone(begun, Effect.void)
        return false
      }).pipe(Effect.exit, Effect.fork)
      yield* Deferred.await(begun)
      yield* Effect.timeout(stop, "5 seconds")
      yield* Effect.timeout(ended, "1 second")
      yield* Fiber.interrupt(client)
    })
  )
})
