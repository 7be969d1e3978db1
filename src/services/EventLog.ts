/**
 * The one log of what happened: durable, bounded, and read by cursor.
 *
 * What the inventory and the journal keep is logged in the transaction that changes it: an event is there if and only if what it tells
 * was committed.
 *
 * @since 0.4.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { EventsLost, PersistenceError } from "../domain/Errors.ts"
import type { Event, EventFilter, EventId } from "../domain/Event.ts"
import type { HostId } from "../domain/Ids.ts"

/** What is not in the database, and so has to be told. @since 0.4.0 @category models */
export type NewEvent = Pick<Event, "type" | "hostId" | "data">

/** Of a follower's filter, and up to which one it was looked: those up to `cursor` that are not here are of other things. @since 0.11.0 @category models */
export interface Followed {
  readonly events: ReadonlyArray<Event>
  readonly cursor: EventId
}

/** @since 0.4.0 @category services */
export class EventLog extends Context.Tag("vmfabric/EventLog")<
  EventLog,
  {
    /** The newest event's id; 0: there has been none. */
    readonly latest: Effect.Effect<EventId, PersistenceError>
    /**
     * Those after `cursor`, oldest first, at most `limit`. `EventsLost`: some of them are no longer kept, or the cursor is ahead of the newest, and
     * so of another log.
     */
    readonly after: (
      cursor: EventId,
      limit: number,
      filter?: EventFilter
    ) => Effect.Effect<ReadonlyArray<Event>, EventsLost | PersistenceError>
    /** Those after `cursor`, and then each as it is committed, without end, each once and in order. A reader that is slow holds up nobody. */
    readonly follow: (cursor: EventId, filter?: EventFilter) => Stream.Stream<Event, EventsLost | PersistenceError>
    /** The same in pages, of which those without events tell how far it was looked: what is committed meanwhile may all be of other things. */
    readonly followPages: (
      cursor: EventId,
      filter?: EventFilter
    ) => Stream.Stream<Followed, EventsLost | PersistenceError>
    /** By host, the status that was last told of it (`up`, `suspect`, `down`), of those of which that is still kept. */
    readonly hostStatuses: Effect.Effect<ReadonlyMap<HostId, string>, PersistenceError>
    /** All of them in one transaction, durable when it ends. */
    readonly append: (...events: ReadonlyArray<NewEvent>) => Effect.Effect<void, PersistenceError>
  }
>() {}
