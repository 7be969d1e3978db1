/** What every EventLog must do. */
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Event, EventFilter } from "../../src/domain/Event.ts"
import { EventId } from "../../src/domain/Event.ts"
import { HostId, ImageId, VmId } from "../../src/domain/Ids.ts"
import { EventLog, type NewEvent } from "../../src/services/EventLog.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import { dir, fleet, host as hostAt, inPool, pool, type } from "../inventory/Fleet.ts"

const start = EventId.make(0)
const host = HostId.make(1)
const place = () => Effect.succeed(host)

const web = { name: "web", instanceType: type(1), imageId: ImageId.make(100), disk: dir, onCrash: "leave" as const }

/** The nth of many. */
const numbered = (n: number): NewEvent => ({ type: "host.changed", hostId: HostId.make((n % 3) + 1), data: { n } })

const append = (count: number, from = 1) =>
  Effect.flatMap(EventLog, (log) => log.append(...Array.from({ length: count }, (_, i) => numbered(from + i))))

const ids = (events: Iterable<Event>): ReadonlyArray<number> => Array.from(events, ({ id }) => id)
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** Without its id and time, and without what it is not about. */
const told = ({ data, hostId, imageId, operationId, snapshotId, type, vmId, volumeId }: Event) => [
  type,
  Object.fromEntries(
    Object.entries({ hostId, imageId, operationId, snapshotId, vmId, volumeId }).filter(([, value]) => value !== null)
  ),
  data
]

/** Not so one that is not there yet, which is refused as well. */
const isForgotten = (cursor: number) =>
  Effect.flatMap(EventLog, (log) =>
    log.after(EventId.make(cursor), 1).pipe(
      Effect.as(false),
      Effect.catchTag("EventsLost", ({ oldest }) => Effect.succeed(oldest > cursor + 1))
    )
  )

/** It is forgotten in the background. */
const awaitForgotten = (cursor: number) =>
  isForgotten(cursor).pipe(
    Effect.delay("5 millis"),
    Effect.repeat({ until: (forgotten) => forgotten }),
    Effect.timeout("10 seconds")
  )

interface Options {
  readonly keep?: number
  readonly pruning?: "1 millis"
}

export const eventLogContract = <E>(
  name: string,
  layerWith: (options: Options) => Layer.Layer<EventLog | Inventory | Journal, E>
) =>
  describe(`EventLog: ${name}`, () => {
    const world = layerWith({})

    /** What `body` brings. */
    const toldBy = <A, E, R>(body: Effect.Effect<A, E, R>) =>
      Effect.gen(function* () {
        const log = yield* EventLog
        const before = yield* log.latest
        yield* body
        return (yield* log.after(before, 1000)).map(told)
      })

    const filled = Effect.flatMap(Inventory, (inventory) =>
      Effect.zipRight(inventory.applyFleet(fleet), Effect.succeed(inventory))
    )

    it.live("tells a VM's life, and its operations', in order", () =>
      Effect.gen(function* () {
        const inventory = yield* filled
        const journal = yield* Journal
        const admitted = yield* toldBy(inventory.admit(web, place))
        const [operation] = yield* journal.unfinished
        if (operation === undefined) return assert.fail("it has an operation")
        const about = { operationId: operation.id, vmId: 1 }
        const create = { kind: "CreateVm", error: null, cancelAsked: false, user: null, cause: null }
        assert.deepStrictEqual(admitted, [
          ["vm.created", { vmId: 1, hostId: 1 }, { name: "web", state: "creating", hostId: 1 }],
          ["operation.created", about, { ...create, state: "pending" }]
        ])
        const ended = yield* toldBy(
          Effect.gen(function* () {
            yield* journal.record(operation.id, { state: { to: "running" }, started: { phase: "do", name: "image" } })
            // no news: what is told is as it was
            yield* journal.record(operation.id, { ended: { phase: "do", name: "image", state: "failed", error: "x" } })
            yield* journal.record(operation.id, { started: { phase: "do", name: "image" } })
            yield* journal.askCancel(operation.id)
            yield* journal.askCancel(operation.id)
            yield* journal.record(operation.id, { state: { to: "undoing", error: "it was cancelled" } })
            yield* inventory.setVmState(VmId.make(1), "failed")
            yield* inventory.setVmState(VmId.make(1), "failed")
            yield* journal.record(operation.id, { state: { to: "failed", error: "another" } })
            yield* journal.record(operation.id, { state: { to: "failed" } })
          })
        )
        const cancelled = { ...create, cancelAsked: true, error: "it was cancelled" }
        assert.deepStrictEqual(ended, [
          ["operation.changed", about, { ...create, state: "running" }],
          ["operation.changed", about, { ...create, state: "running", cancelAsked: true }],
          ["operation.changed", about, { ...cancelled, state: "undoing" }],
          ["vm.changed", { vmId: 1, hostId: 1 }, { name: "web", state: "failed", hostId: 1 }],
          ["operation.changed", about, { ...cancelled, state: "failed" }]
        ])
      }).pipe(Effect.provide(world))
    )

    it.live("knows what was last told of hosts, as far as that is kept", () =>
      Effect.gen(function* () {
        const log = yield* EventLog
        const of = (hostId: number, data: NewEvent["data"]): NewEvent => ({
          type: "host.changed",
          hostId: HostId.make(hostId),
          data
        })
        assert.deepStrictEqual([...(yield* log.hostStatuses)], [])
        yield* log.append(
          of(1, { status: "up", reason: null }),
          of(2, { status: "up", reason: null }),
          of(1, { status: "down", reason: "silent" }),
          of(2, { maintenance: true })
        )
        assert.deepStrictEqual(
          [...(yield* log.hostStatuses)],
          [
            [1, "down"],
            [2, "up"]
          ]
        )
      }).pipe(Effect.provide(world))
    )

    it.live("tells what is seen of a VM, and how much of it differs", () =>
      Effect.gen(function* () {
        const inventory = yield* filled
        const vmId = (yield* inventory.admit(web, place)).vm.id
        const field = (name: "vcpus" | "memory", seen: string) =>
          ({ kind: "definition", field: name, wanted: "1", applied: "1", seen }) as const
        const running = { power: "running", reason: null } as const
        const about = { vmId: 1, hostId: 1 }
        const observed = yield* toldBy(
          Effect.gen(function* () {
            yield* inventory.observe([{ vmId, seen: running, drift: [] }], 10)
            yield* inventory.observe([{ vmId, seen: running, drift: null }], 20)
            const crashed = { power: "crashed", reason: "the guest panicked" } as const
            yield* inventory.observe([{ vmId, seen: crashed, drift: [field("vcpus", "4")] }], 30)
            // the same field
            yield* inventory.observe([{ vmId, seen: crashed, drift: [field("vcpus", "8")] }], 40)
            yield* inventory.observe([{ vmId, seen: null, drift: [field("vcpus", "8"), field("memory", "2")] }], 50)
            yield* inventory.observe([{ vmId, seen: null, drift: [field("memory", "2")] }], 60)
            // twice at once: only how it is then
            const both = [field("memory", "2"), field("vcpus", "4")]
            yield* inventory.observe(
              [
                { vmId, seen: null, drift: [] },
                { vmId, seen: null, drift: both }
              ],
              70
            )
          })
        )
        assert.deepStrictEqual(observed, [
          ["vm.seen", about, { power: "running", reason: null }],
          ["vm.seen", about, { power: "crashed", reason: "the guest panicked" }],
          ["vm.drift", about, { count: 1, fields: "vcpus" }],
          ["vm.drift", about, { count: 2, fields: "memory, vcpus" }],
          ["vm.drift", about, { count: 1, fields: "memory" }],
          ["vm.drift", about, { count: 2, fields: "memory, vcpus" }]
        ])
        // what differed goes with it
        assert.deepStrictEqual(yield* toldBy(inventory.setVmState(vmId, "destroyed")), [
          ["vm.changed", about, { name: "web", state: "destroyed", hostId: 1 }]
        ])
      }).pipe(Effect.provide(world))
    )

    it.live("tells what becomes of volumes, snapshots and hosts", () =>
      Effect.gen(function* () {
        const inventory = yield* filled
        const journal = yield* Journal
        const vm = (yield* inventory.admit(web, place)).vm.id
        const made = yield* toldBy(inventory.admitVolume({ name: "data", size: 3, disk: dir, sourceId: null }, place))
        const volume = { volumeId: 1, hostId: 1 }
        assert.deepStrictEqual(made.slice(0, 1), [
          ["volume.created", volume, { name: "data", size: 3, state: "creating" }]
        ])
        const [, operation] = yield* journal.unfinished
        const id = operation?.volumeId
        if (operation === undefined || id === undefined || id === null) return assert.fail("it has an operation")
        yield* journal.record(operation.id, { state: { to: "done" } })
        const changed = yield* toldBy(
          Effect.gen(function* () {
            yield* inventory.settleVolume(id, { state: "available" })
            // nothing that is told
            yield* inventory.settleVolume(id, { pristine: false })
            yield* inventory.settleVolume(id, { state: "attached", attachment: { vmId: vm, target: "vdb" } })
            yield* inventory.changeVolume(id, null, () => Effect.succeed({ newSnapshot: { name: "monday" } }))
            const [snapshot] = yield* inventory.snapshots(id)
            if (snapshot !== undefined) {
              yield* inventory.settleVolume(id, { snapshot: { id: snapshot.id, state: "ready" } })
            }
            yield* inventory.setMaintenance(host, true)
            yield* inventory.setMaintenance(host, true)
          })
        )
        const data = { name: "data", size: 3 }
        const monday = { name: "monday", size: 3 }
        assert.deepStrictEqual(changed, [
          ["volume.changed", volume, { ...data, state: "available" }],
          ["volume.changed", { ...volume, vmId: 1 }, { ...data, state: "attached" }],
          ["snapshot.created", { volumeId: 1, snapshotId: 1 }, { ...monday, state: "creating" }],
          ["snapshot.changed", { volumeId: 1, snapshotId: 1 }, { ...monday, state: "ready" }],
          ["host.changed", { hostId: 1 }, { maintenance: true }]
        ])
      }).pipe(Effect.provide(world))
    )

    it.live("tells what becomes of images and hosts that were added, and nothing of those in the files", () =>
      Effect.gen(function* () {
        const log = yield* EventLog
        assert.deepStrictEqual(yield* toldBy(filled), [])
        const inventory = yield* Inventory
        const begin = yield* log.latest
        const config = { source: { host: null, path: "/images/own.raw" }, name: "own" }
        const own = { config, origin: "path", state: "quarantine", wanted: {} } as const
        const content = {
          format: "raw",
          virtualSize: 1024,
          fileSize: 1024,
          modified: 1,
          sha256: "0".repeat(64)
        } as const
        const [first, second] = [yield* inventory.addImage(own), yield* Effect.flip(inventory.addImage(own))]
        assert.strictEqual(second._tag, "ImageConflict")
        // no news to anybody until it can be used
        yield* inventory.setImageContent(first.id, content)
        yield* inventory.settleImage(first.id, "available")
        yield* inventory.settleImage(first.id, "available")
        yield* inventory.deleteImage(first.id)
        yield* inventory.deleteImage(first.id)
        const bad = yield* inventory.addImage(own)
        yield* inventory.settleImage(bad.id, "refused", "it is a VMDK image")
        const image = (id: number) => ({ imageId: id })
        const is = (state: string, reason: string | null = null) => ({ name: "own", state, reason })
        assert.deepStrictEqual((yield* log.after(begin, 100)).map(told), [
          ["image.created", image(first.id), is("quarantine")],
          ["image.changed", image(first.id), is("available")],
          ["image.changed", image(first.id), is("deleted")],
          ["image.created", image(bad.id), is("quarantine")],
          ["image.changed", image(bad.id), is("refused", "it is a VMDK image")]
        ])
        const about = yield* log.after(begin, 100, { imageId: bad.id, types: ["image.changed"] })
        assert.deepStrictEqual(about.map(told), [["image.changed", image(bad.id), is("refused", "it is a VMDK image")]])

        for (const [address, name] of [
          [{ user: "root", host: "Far.example", port: 22 }, "root@Far.example"],
          [{ user: "vm", host: "fd00::7", port: 2222 }, "vm@[fd00::7]:2222"]
        ] as const) {
          const settings = { ...hostAt("d"), address }
          const hosts = yield* toldBy(
            Effect.gen(function* () {
              const added = yield* inventory.addHost(settings)
              assert.strictEqual(added.name, name)
              const labelled = { config: { ...settings, labels: { rack: "7" } } }
              yield* inventory.changeHost(added.id, () => Effect.succeed(labelled))
              yield* inventory.changeHost(added.id, () => Effect.succeed(labelled))
              yield* inventory.changeHost(added.id, () => Effect.succeed({ maintenance: true }))
              yield* inventory.removeHost(added.id)
              // it comes back under its old id
              yield* inventory.addHost(settings)
            })
          )
          const hostId = hosts[0]?.[1]
          assert.deepStrictEqual(hosts, [
            ["host.added", hostId, { name }],
            ["host.changed", hostId, { name }],
            ["host.changed", hostId, { maintenance: true }],
            ["host.removed", hostId, { name }],
            ["host.added", hostId, { name }],
            ["host.changed", hostId, { maintenance: false }]
          ])
        }
        // neither a new start with the same files
        assert.deepStrictEqual(yield* toldBy(filled), [])
      }).pipe(Effect.provide(world))
    )

    it.live("tells nothing of a write that failed, and counts on as if it had not been", () =>
      Effect.gen(function* () {
        const inventory = yield* filled
        const log = yield* EventLog
        yield* append(1)
        const before = yield* log.latest
        yield* inventory.setPool(pool(2))
        // it is written before it turns out that there is no room for it
        const tooLarge = { name: "data", size: 3, disk: inPool(), sourceId: null }
        const refused = yield* Effect.flip(inventory.admitVolume(tooLarge, () => Effect.succeed(null)))
        assert.strictEqual(refused._tag, "PoolFull")
        assert.strictEqual(yield* log.latest, before)
        assert.deepStrictEqual(yield* log.after(before, 10), [])
        yield* append(1)
        assert.deepStrictEqual(ids(yield* log.after(before, 10)), [before + 1])
      }).pipe(Effect.provide(world))
    )

    it.live("gives those after a cursor, at most so many, with the time and what was said", () =>
      Effect.gen(function* () {
        const log = yield* EventLog
        assert.strictEqual(yield* log.latest, 0)
        assert.deepStrictEqual(yield* log.after(start, 10), [])
        const began = Date.now()
        yield* append(1200)
        assert.strictEqual(yield* log.latest, 1200)
        assert.deepStrictEqual(ids(yield* log.after(start, 3)), [1, 2, 3])
        assert.deepStrictEqual(ids(yield* log.after(start, 700)), range(1, 700))
        assert.deepStrictEqual(ids(yield* log.after(EventId.make(1198), 10)), [1199, 1200])
        assert.deepStrictEqual(yield* log.after(EventId.make(1200), 10), [])
        const [first] = yield* log.after(start, 1)
        assert.deepStrictEqual(first?.data, { n: 1 })
        assert.isAtLeast(first?.time ?? 0, began)
        assert.isAtMost(first?.time ?? 0, Date.now())
        // of another log
        assert.strictEqual((yield* Effect.flip(log.after(EventId.make(1201), 10)))._tag, "EventsLost")
      }).pipe(Effect.provide(world))
    )

    it.live("gives those of a filter, however far apart they are", () =>
      Effect.gen(function* () {
        const inventory = yield* filled
        const log = yield* EventLog
        const { operation, vm } = yield* inventory.admit(web, place)
        yield* append(3000)
        yield* inventory.setVmState(vm.id, "running")
        yield* inventory.admitVolume({ name: "data", size: 1, disk: dir, sourceId: null }, place)
        const found = (filter: EventFilter, limit = 10) =>
          Effect.map(log.after(start, limit, filter), (events) => events.map(({ id, type }) => [id, type]))
        const ofVm = [
          [1, "vm.created"],
          [2, "operation.created"],
          [3003, "vm.changed"]
        ]
        assert.deepStrictEqual(yield* found({ vmId: vm.id }), ofVm)
        assert.deepStrictEqual(yield* found({ vmId: vm.id }, 2), ofVm.slice(0, 2))
        assert.deepStrictEqual(yield* found({ operationId: operation.id }), [[2, "operation.created"]])
        assert.deepStrictEqual(yield* found({ types: ["vm.changed", "volume.created"] }), [
          [3003, "vm.changed"],
          [3004, "volume.created"]
        ])
        assert.deepStrictEqual(yield* found({ types: ["vm.created"], hostId: HostId.make(2) }), [])
        assert.lengthOf(yield* found({ hostId: HostId.make(2) }, 5000), 1000)
        assert.deepStrictEqual(yield* found({ types: [] }), [])
        // and waits for the next one of them
        const next = yield* Effect.fork(Stream.runHead(log.follow(EventId.make(3003), { vmId: vm.id })))
        yield* append(10)
        yield* inventory.setVmState(vm.id, "destroying")
        assert.strictEqual(Option.getOrThrow(yield* Fiber.join(next)).data["state"], "destroying")
      }).pipe(Effect.provide(world))
    )

    it.live("tells a follower of a filter how far it was looked, also where nothing is of that", () =>
      Effect.gen(function* () {
        const log = yield* EventLog
        yield* append(3000)
        const pages: Array<readonly [ids: ReadonlyArray<number>, cursor: number]> = []
        const [old, fresh] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        // nothing is of host 9
        const following = yield* log.followPages(start, { hostId: HostId.make(9) }).pipe(
          Stream.runForEach(({ cursor, events }) => {
            pages.push([ids(events), cursor])
            if (cursor === 3000) return Deferred.succeed(old, undefined)
            return cursor === 3010 ? Deferred.succeed(fresh, undefined) : Effect.void
          }),
          Effect.fork
        )
        yield* Deferred.await(old)
        yield* append(10)
        yield* Deferred.await(fresh)
        yield* Fiber.interrupt(following)
        assert.deepStrictEqual(
          pages.flatMap(([found]) => found),
          []
        )
        const cursors = pages.map(([, cursor]) => cursor)
        assert.deepStrictEqual(
          cursors,
          [...new Set(cursors)].sort((a, b) => a - b)
        )
        // an event that is of it is before whatever is told of what follows
        const all = yield* log.followPages(start).pipe(
          Stream.takeUntil(({ cursor }) => cursor === 3010),
          Stream.runCollect
        )
        for (const { cursor, events } of all) assert.strictEqual(events.at(-1)?.id, cursor)
        assert.deepStrictEqual(ids(Chunk.toReadonlyArray(all).flatMap(({ events }) => events)), range(1, 3010))
      }).pipe(Effect.timeout("10 seconds"), Effect.provide(world))
    )

    it.live("lets many follow while many write: each sees each once, in order", () =>
      Effect.gen(function* () {
        const log = yield* EventLog
        const follow = (from: number) =>
          log.follow(EventId.make(from)).pipe(Stream.take(1000 - from), Stream.runCollect, Effect.map(ids))
        yield* append(100)
        const followers = yield* Effect.fork(Effect.all([0, 50, 100].map(follow), { concurrency: "unbounded" }))
        yield* Effect.forEach(range(101, 900), (n) => append(1, n), { concurrency: 8, discard: true })
        const late = yield* Effect.fork(follow(0))
        yield* append(100, 901)
        assert.deepStrictEqual(yield* Fiber.join(followers), [range(1, 1000), range(51, 1000), range(101, 1000)])
        assert.deepStrictEqual(yield* Fiber.join(late), range(1, 1000))
      }).pipe(Effect.timeout("15 seconds"), Effect.provide(world))
    )

    it.live("holds up nobody for a reader that is slow", () =>
      Effect.gen(function* () {
        const log = yield* EventLog
        const stopped = yield* Deferred.make<void>()
        const on = yield* Deferred.make<void>()
        const slow = yield* log.follow(start).pipe(
          Stream.tap(() => Effect.zipRight(Deferred.succeed(stopped, undefined), Deferred.await(on))),
          Stream.take(600),
          Stream.runCollect,
          Effect.fork
        )
        yield* append(1)
        yield* Deferred.await(stopped)
        yield* append(599, 2)
        const quick = yield* Stream.runCollect(Stream.take(log.follow(start), 600))
        assert.deepStrictEqual(ids(quick), range(1, 600))
        yield* Deferred.succeed(on, undefined)
        assert.deepStrictEqual(ids(yield* Fiber.join(slow)), range(1, 600))
      }).pipe(Effect.timeout("10 seconds"), Effect.provide(world))
    )

    it.live("keeps so many, says when some are lost, and what is left", () =>
      Effect.gen(function* () {
        const log = yield* EventLog
        yield* append(10)
        // nothing is missing yet
        assert.deepStrictEqual(ids(yield* log.after(start, 100)), range(1, 10))
        const waiting = yield* log.follow(start).pipe(
          Stream.tap(({ id }) => (id === 10 ? awaitForgotten(1245) : Effect.void)),
          Stream.runDrain,
          Effect.flip,
          Effect.fork
        )
        yield* append(1246, 11)
        yield* awaitForgotten(1245)
        const lost = yield* Effect.flip(log.after(start, 100))
        assert.strictEqual(lost._tag, "EventsLost")
        assert.strictEqual(
          lost.message,
          "events after 0 are no longer kept, the oldest is 1247: list what you follow anew, then go on from the newest event"
        )
        assert.isTrue(yield* isForgotten(1245))
        assert.deepStrictEqual(ids(yield* log.after(EventId.make(1246), 100)), range(1247, 1256))
        assert.strictEqual(yield* log.latest, 1256)
        // one that was in the middle of it is told too, instead of being led past the gap
        assert.strictEqual((yield* Fiber.join(waiting))._tag, "EventsLost")
        const tail = yield* log.follow(EventId.make(1250)).pipe(Stream.take(6), Stream.runCollect)
        assert.deepStrictEqual(ids(Chunk.toReadonlyArray(tail)), range(1251, 1256))
      }).pipe(Effect.provide(layerWith({ keep: 10, pruning: "1 millis" })))
    )
  })
