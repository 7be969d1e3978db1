/**
 * The event log, in the inventory's database.
 *
 * @since 0.4.0
 */
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { EventsLost, PersistenceError } from "../src/domain/Errors.ts"
import type { Event, EventFilter, EventId } from "../src/domain/Event.ts"
import { EventLog, type Followed } from "../src/services/EventLog.ts"
import { Database } from "./Database.ts"
import * as Events from "./sql/Events.ts"

/** @since 0.4.0 @category models */
export interface Options {
  /** how many events are kept */
  readonly keep: number
  /** how often it is looked whether there are more; only after something was written */
  readonly pruning: Duration.DurationInput
}

/** @since 0.4.0 @category constants */
export const defaults: Options = { keep: 100_000, pruning: "1 second" }

/** So many a follower holds in memory, and others wait while they are read. */
const pageSize = 250

/** So many are forgotten in one transaction. */
const pruned = 500

/** Events that were committed since it was last looked. */
interface News {
  readonly after: EventId
  readonly latest: EventId
  readonly types: ReadonlySet<string>
}

const make = Effect.fnUntraced(function* ({ keep, pruning }: Options) {
  const { afterCommit, read, statement, writeSimply } = yield* Database
  const events = Events.make(statement)
  const bounds = read("read which events there are", events.bounds)

  const page = (cursor: EventId, limit: number, filter?: EventFilter) =>
    Effect.flatMap(
      read("read events", events.page(cursor, Math.min(limit, pageSize), filter)),
      // the others need not wait for that
      ({ rows, ...rest }) => Effect.map(events.decode(rows), (events) => ({ ...rest, events }))
    )

  // ---------------------------------------------------------------------------------------------------------- being woken

  /** Completed when there are new events; absent: nobody waits for any. */
  let news: Deferred.Deferred<News | null> | undefined
  /** how many wait for events of some types alone */
  let choosy = 0
  /** the newest event that was looked for, and whether nothing was committed since */
  let latest: EventId | null = null
  let isLatest = false
  const unlooked = yield* Effect.makeLatch(false)
  const unpruned = yield* Effect.makeLatch(true)
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const wake = () => {
        isLatest = false
        if (news !== undefined) unlooked.unsafeOpen()
        unpruned.unsafeOpen()
      }
      afterCommit.add(wake)
      return wake
    }),
    (wake) => Effect.sync(() => afterCommit.delete(wake))
  )

  const tell = (found: News | null): void => {
    const waiting = news
    news = undefined
    if (waiting !== undefined) Deferred.unsafeDone(waiting, Effect.succeed(found))
  }

  /** Most commits bring no events, and most events are of no concern to those who wait for some types alone: so one looks for all. */
  const look = Effect.gen(function* () {
    isLatest = true
    const found = yield* bounds
    const before = latest
    if (found.latest === before) return
    const types =
      choosy > 0 && before !== null
        ? yield* read("read of which types new events are", events.types(before, found.latest))
        : null
    latest = found.latest
    tell(before === null || types === null ? null : { after: before, latest: found.latest, types })
  })
  yield* Effect.zipRight(unlooked.await, unlooked.close).pipe(
    Effect.zipRight(look),
    // those who wait look themselves, and are told the error
    Effect.catchAll(() =>
      Effect.sync(() => {
        isLatest = false
        tell(null)
      })
    ),
    Effect.forever,
    Effect.forkScoped
  )

  // ------------------------------------------------------------------------------------------------------------- reading

  const after = Effect.fn("EventLog.after")(function* (cursor: EventId, limit: number, filter?: EventFilter) {
    const found: Array<Event> = []
    let at = cursor
    while (found.length < limit) {
      const { cursor: reached, events, last } = yield* page(at, limit - found.length, filter)
      found.push(...events)
      if (last) break
      at = reached
    }
    return found
  })

  const choosing = <A>(waiting: Effect.Effect<A>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => void choosy++),
      () => waiting,
      () => Effect.sync(() => void choosy--)
    )

  /** What comes next, be it only that it was looked further. */
  const next = Effect.fnUntraced(function* (cursor: EventId, filter?: EventFilter) {
    while (true) {
      // before looking: what is committed meanwhile completes it
      news ??= Deferred.unsafeMake<News | null>(FiberId.none)
      const changed = news
      if (!isLatest || cursor !== latest) {
        const { cursor: reached, events } = yield* page(cursor, pageSize, filter)
        if (reached !== cursor) return [{ events, cursor: reached }, Option.some(reached)] as const
      }
      const found = yield* filter?.types === undefined ? Deferred.await(changed) : choosing(Deferred.await(changed))
      if (found === null || found.after !== cursor || filter?.types?.some((type) => found.types.has(type)) !== false) {
        continue
      }
      // all that is new is of other types
      return [{ events: [], cursor: found.latest }, Option.some(found.latest)] as const
    }
  })

  const followPages = (cursor: EventId, filter?: EventFilter): Stream.Stream<Followed, EventsLost | PersistenceError> =>
    Stream.paginateEffect(cursor, (at) => next(at, filter))

  const follow = (cursor: EventId, filter?: EventFilter): Stream.Stream<Event, EventsLost | PersistenceError> =>
    Stream.mapConcatChunk(followPages(cursor, filter), ({ events }) => Chunk.unsafeFromArray(events))

  // ------------------------------------------------------------------------------------------------------------- pruning

  const prune = Effect.gen(function* () {
    while (true) {
      const { latest, oldest } = yield* bounds
      const excess = latest - oldest + 1 - keep
      if (excess <= 0) return
      yield* writeSimply("forget old events", events.forget(oldest - 1 + Math.min(excess, pruned)))
    }
  })
  yield* Effect.zipRight(unpruned.await, unpruned.close).pipe(
    Effect.zipRight(prune),
    Effect.catchAll((error) => Effect.logWarning(error.message)),
    Effect.zipRight(Effect.sleep(pruning)),
    Effect.forever,
    Effect.forkScoped
  )

  return EventLog.of({
    latest: Effect.map(bounds, ({ latest }) => latest),
    after,
    follow,
    followPages,
    hostStatuses: Effect.map(
      read("read what was told of hosts", events.hostStatuses),
      (rows) => new Map(rows.map(({ hostId, status }) => [hostId, status]))
    ),
    append: (...added) => writeSimply("log what happened", Effect.forEach(added, events.append, { discard: true }))
  })
})

/** @since 0.4.0 @category layers */
export const layerWith = (options: Partial<Options> = {}): Layer.Layer<EventLog, never, Database> =>
  Layer.scoped(EventLog, make({ ...defaults, ...options }))

/** @since 0.4.0 @category layers */
export const layer: Layer.Layer<EventLog, never, Database> = layerWith()
