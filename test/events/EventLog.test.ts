import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as path from "node:path"
import * as Database from "../../layers/Database.ts"
import * as EventLogLive from "../../layers/EventLogLive.ts"
import * as EventLogTest from "../../layers/EventLogTest.ts"
import * as InventoryLive from "../../layers/InventoryLive.ts"
import * as JournalLive from "../../layers/JournalLive.ts"
import { EventId } from "../../src/domain/Event.ts"
import { HostId } from "../../src/domain/Ids.ts"
import { EventLog, type Followed } from "../../src/services/EventLog.ts"
import { eventLogContract } from "../contracts/EventLogContract.ts"
import { temporaryFolder } from "../inventory/Fleet.ts"

const layerOn = (filename: string, options: Partial<EventLogLive.Options> = {}) =>
  Layer.mergeAll(InventoryLive.layer, JournalLive.layer, EventLogLive.layerWith(options)).pipe(
    Layer.provideMerge(Database.layer({ filename }))
  )

eventLogContract("a file", (options) =>
  Layer.unwrapScoped(Effect.map(temporaryFolder, (folder) => layerOn(path.join(folder, "vmfabric.sqlite"), options)))
)
eventLogContract("EventLogTest", EventLogTest.layerWith)

const append = (count: number) =>
  Effect.flatMap(EventLog, (log) =>
    log.append(
      ...Array.from({ length: count }, () => ({
        type: "host.changed" as const,
        hostId: HostId.make(1),
        data: { status: "up", reason: null }
      }))
    )
  )

describe("the event log in a file", () => {
  it.scopedLive("is there again after a restart, and goes on counting, also when all it had was forgotten", () =>
    Effect.gen(function* () {
      const filename = path.join(yield* temporaryFolder, "vmfabric.sqlite")
      yield* Effect.provide(append(3), layerOn(filename))
      yield* Effect.gen(function* () {
        const log = yield* EventLog
        assert.strictEqual(yield* log.latest, 3)
        yield* append(2)
        const events = yield* log.after(EventId.make(0), 10)
        assert.deepStrictEqual(
          events.map(({ id }) => id),
          [1, 2, 3, 4, 5]
        )
        const { sql, write } = yield* Database.Database
        yield* write("forget all", sql`delete from events`)
      }).pipe(Effect.provide(layerOn(filename)))
      yield* Effect.gen(function* () {
        const log = yield* EventLog
        assert.strictEqual(yield* log.latest, 5)
        assert.deepStrictEqual(yield* log.after(EventId.make(5), 10), [])
        const lost = yield* Effect.flip(log.after(EventId.make(4), 10))
        assert.include(lost.message, "events after 4 are no longer kept, the oldest is 6")
        yield* append(1)
        assert.deepStrictEqual(
          (yield* log.after(EventId.make(5), 10)).map(({ id }) => id),
          [6]
        )
      }).pipe(Effect.provide(layerOn(filename)))
    })
  )

  it.scopedLive("forgets a great many in the background, in transactions of 500", () =>
    Effect.gen(function* () {
      const filename = path.join(yield* temporaryFolder, "vmfabric.sqlite")
      yield* Effect.provide(append(2750), layerOn(filename))
      yield* Effect.gen(function* () {
        const log = yield* EventLog
        const { transaction } = yield* Database.Database
        yield* Effect.either(log.after(EventId.make(2739), 1)).pipe(
          Effect.delay("2 millis"),
          Effect.repeat({ until: (found) => found._tag === "Left" }),
          Effect.timeout("10 seconds")
        )
        // 2740 of them, and what the inventory writes when it begins
        assert.isAtLeast(transaction(), 6)
        assert.lengthOf(yield* log.after(EventId.make(2740), 20), 10)
      }).pipe(Effect.provide(layerOn(filename, { keep: 10, pruning: "1 millis" })))
    })
  )

  it.scopedLive(
    "is not read again for one who follows events of other types, who is told how far it was looked all the same",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        let reads = 0
        const counted = Layer.map(Database.layer({ filename: path.join(folder, "vmfabric.sqlite") }), (context) => {
          const database = Context.get(context, Database.Database)
          return Context.add(context, Database.Database, {
            ...database,
            statement: (text) => {
              if (text.startsWith("select * from events")) reads++
              return database.statement(text)
            }
          })
        })
        yield* Effect.gen(function* () {
          const log = yield* EventLog
          const pages = yield* Queue.unbounded<Followed>()
          const first = yield* log.latest
          yield* Effect.forkScoped(
            Stream.runForEach(log.followPages(first, { types: ["image.changed"] }), (page) => Queue.offer(pages, page))
          )
          // in one after the other
          const upTo = (id: EventId) => Effect.repeat(Queue.take(pages), { until: ({ cursor }) => cursor >= id })
          yield* append(1)
          yield* upTo(yield* log.latest)
          const before = reads
          for (let n = 0; n < 20; n++) {
            yield* append(1)
            const { events } = yield* upTo(yield* log.latest)
            assert.lengthOf(events, 0)
          }
          assert.isAtMost(reads - before, 2)
          yield* log.append({ type: "image.changed", hostId: null, data: { state: "deleted" } })
          const { events } = yield* upTo(yield* log.latest)
          assert.deepStrictEqual(
            events.map(({ type }) => type),
            ["image.changed"]
          )
        }).pipe(
          Effect.provide(Layer.mergeAll(InventoryLive.layer, EventLogLive.layer).pipe(Layer.provideMerge(counted))),
          Effect.timeout("20 seconds")
        )
      })
  )
})
