/**
 * Lists that go on: what there is, then what changes, by the log of events.
 *
 * @since 0.5.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Event } from "../api/Events.ts"
import type { EventOptions } from "../client/Client.ts"
import { OperationId } from "../domain/Ids.ts"
import { type Answer, following, list, note, table, type View } from "./Output.ts"
import { Screen } from "./Screen.ts"
import { patient, Session } from "./Session.ts"

/** What happens together is looked at together. */
const together = "200 millis"

/** The number of the newest event: a page of an operation that nobody has, which is read to the end of the log. @since 0.5.0 @category constructors */
export const newest = Effect.fn("Watch.newest")(function* () {
  const { events } = yield* patient
  const operation = OperationId.make(crypto.randomUUID())
  return (yield* events.listEvents({ urlParams: { operation, limit: 1 } })).next
})

/** Things that were there and are not any more. */
const gone = <A>(
  before: ReadonlyMap<string | number, string>,
  now: ReadonlyArray<A>,
  key: (item: A) => string | number
) => {
  const left = new Set(now.map(key))
  return [...before.keys()].filter((id) => !left.has(id))
}

/**
 * Prints the list, then each line that is new or another. `bodies` are the items as JSON, in the same order.
 *
 * @since 0.5.0 @category programs
 */
export const lists = Effect.fn("Watch.lists")(function* <A, E, R>(
  view: View<A>,
  types: EventOptions,
  look: Effect.Effect<Answer<ReadonlyArray<A>>, E, R>,
  none: string
) {
  const { mode, patient } = yield* Session
  const client = yield* patient
  const { colour } = yield* Screen
  let seen = new Map<string | number, string>()
  const bodiesOf = (body: unknown): ReadonlyArray<unknown> => (Array.isArray(body) ? body : [])
  let rows = table(view, [], mode, colour)
  const first = Effect.gen(function* () {
    const { body, value } = yield* look
    const bodies = bodiesOf(body)
    rows = table(view, value, mode, colour)
    if (mode === "table" || mode === "wide") yield* list(view, value, body, none)
    else yield* Effect.forEach(value, (item, index) => following(view, rows, item, bodies[index]), { discard: true })
    seen = new Map(value.map((item, index) => [view.name(item), JSON.stringify(bodies[index])]))
  })
  const again = Effect.gen(function* () {
    const { body, value } = yield* look
    const bodies = bodiesOf(body)
    const now = new Map(value.map((item, index) => [view.name(item), JSON.stringify(bodies[index])]))
    for (const [index, item] of value.entries()) {
      const name = view.name(item)
      if (seen.get(name) !== now.get(name)) yield* following(view, rows, item, bodies[index])
    }
    for (const id of gone(seen, value, view.name)) yield* note(`${id} is no longer listed`)
    seen = now
  })
  /** What is lost is what the log forgot: the list is looked at anew, and what follows is followed. */
  const follow: Effect.Effect<
    void,
    E | Stream.Stream.Error<ReturnType<typeof client.events>> | Effect.Effect.Error<ReturnType<typeof newest>>,
    R | Session | Screen
  > = Effect.gen(function* () {
    const after = yield* newest()
    yield* seen.size === 0 ? first : again
    yield* client.events({ ...types, after }).pipe(
      Stream.groupedWithin(1000, together),
      Stream.filter((events: Chunk.Chunk<Event>) => Chunk.isNonEmpty(events)),
      Stream.runForEach(() => again)
    )
  })
  yield* Effect.retry(follow, {
    schedule: Schedule.spaced("1 second"),
    while: (error) => typeof error === "object" && error !== null && "_tag" in error && error._tag === "Gone"
  })
})
