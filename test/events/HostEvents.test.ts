/** What becomes of hosts is logged, though their statuses are in memory only. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import * as AppTest from "../../layers/AppTest.ts"
import { PersistenceError } from "../../src/domain/Errors.ts"
import { EventId } from "../../src/domain/Event.ts"
import type { HostStatus } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import * as HostEvents from "../../src/observe/HostEvents.ts"
import { EventLog, type NewEvent } from "../../src/services/EventLog.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"

const up: HostStatus = { _tag: "Up" }
const down = (reason: string): HostStatus => ({
  _tag: "Down",
  reason,
  signs: { ssh: "silent", libvirt: "unknown", peers: "silent" },
  since: 1
})
const change = (n: number, status: HostStatus) => ({ hostId: HostId.make(n), status })

describe("the log of hosts", () => {
  it.scopedLive("tells how each comes up when the controller starts, and when it is doubted", () =>
    Effect.gen(function* () {
      const log = yield* EventLog
      const monitor = yield* HostMonitor
      yield* Effect.forEach([1, 2, 3], (n) => monitor.awaitUp(HostId.make(n)))
      yield* monitor.suspect(HostId.make(2), "libvirt did not answer")
      const events = yield* log
        .follow(EventId.make(0), { types: ["host.changed"] })
        .pipe(Stream.take(5), Stream.runCollect, Effect.timeout("10 seconds"))
      const told = Array.from(events, ({ data, hostId }) => ({ hostId, data }))
      assert.sameDeepMembers(told, [
        ...[1, 2, 3, 2].map((n) => ({ hostId: HostId.make(n), data: { status: "up", reason: null } })),
        { hostId: HostId.make(2), data: { status: "suspect", reason: "libvirt did not answer" } }
      ])
    }).pipe(Effect.provide(AppTest.layer))
  )

  it.scopedLive("tells what was before anybody listened once, and goes on when something could not be logged", () =>
    Effect.gen(function* () {
      const logged: Array<readonly [number | null, NewEvent["data"]]> = []
      const lines: Array<string> = []
      const done = yield* Deferred.make<void>()
      const changes = [
        change(1, up),
        change(2, up),
        change(4, down("no answer")),
        change(1, down("sshd does not answer")),
        change(3, down("no route")),
        change(1, up)
      ]
      const monitor = Layer.mock(HostMonitor, {
        statuses: Effect.succeed(
          new Map<HostId, HostStatus>([
            [HostId.make(1), up],
            [HostId.make(2), { _tag: "Connecting" }]
          ])
        ),
        // one by one
        changes: Effect.succeed(
          Stream.rechunk(Stream.fromIterable(changes), 1).pipe(
            Stream.concat(Stream.drain(Stream.fromEffect(Deferred.succeed(done, undefined)))),
            Stream.concat(Stream.never)
          )
        )
      })
      const log = Layer.mock(EventLog, {
        // an earlier process said so of 2 and 4
        hostStatuses: Effect.succeed(
          new Map([
            [HostId.make(2), "up"],
            [HostId.make(4), "up"]
          ])
        ),
        append: (...events) =>
          events.some(({ hostId }) => hostId === 3)
            ? new PersistenceError({ action: "log what happened", cause: new Error("disk full") })
            : Effect.sync(() => {
                logged.push(...events.map(({ data, hostId }) => [hostId, data] as const))
              })
      })
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => void lines.push(String(message)))
      )
      yield* Layer.build(HostEvents.layer.pipe(Layer.provide([monitor, log, logger])))
      yield* Deferred.await(done)
      assert.deepStrictEqual(logged, [
        [1, { status: "up", reason: null }],
        [4, { status: "down", reason: "no answer" }],
        [1, { status: "down", reason: "sshd does not answer" }],
        [1, { status: "up", reason: null }]
      ])
      assert.deepStrictEqual(lines, ["the database failed to log what happened: disk full"])
    })
  )
})
