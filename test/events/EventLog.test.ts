import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as path from "node:path"
import * as Database from "../../layers/Database.ts"
import * as EventLogLive from "../../layers/EventLogLive.ts"
import * as EventLogTest from "../../layers/EventLogTest.ts"
import * as InventoryLive from "../../layers/InventoryLive.ts"
import * as JournalLive from "../../layers/JournalLive.ts"
import { EventId } from "../../src/domain/Event.ts"
import { HostId } from "../../src/domain/Ids.ts"
import { EventLog } from "../../src/services/EventLog.ts"
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
})
