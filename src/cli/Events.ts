/**
 * `vmfabric event` and `vmfabric audit`: what happened, and who asked for it.
 *
 * @since 0.5.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { AuditLine } from "../api/Audit.ts"
import { Event } from "../api/Events.ts"
import { EventId, EventType } from "../domain/Event.ts"
import { Refused } from "./Failure.ts"
import { answered, following, list, note, table, time, type View } from "./Output.ts"
import * as Resolve from "./Resolve.ts"
import { Screen } from "./Screen.ts"
import { Session } from "./Session.ts"
import * as Verb from "./Verb.ts"
import * as Watch from "./Watch.ts"

const about = ({ hostId, imageId, operationId, snapshotId, vmId, volumeId }: Event): string =>
  [
    ["vm", vmId],
    ["volume", volumeId],
    ["snapshot", snapshotId],
    ["host", hostId],
    ["image", imageId],
    ["operation", operationId]
  ]
    .flatMap(([what, id]) => (id === null ? [] : [`${what} ${id}`]))
    .join(", ")

const view: View<Event> = {
  name: ({ id }) => id,
  columns: [
    { title: "ID", of: ({ id }) => id },
    { title: "TIME", of: (event) => time(event.time) },
    { title: "TYPE", of: ({ type }) => type.padEnd(17) },
    {
      title: "IS NOW",
      of: ({ data }) =>
        Object.entries(data)
          .filter(([key, value]) => value !== null && key !== "hostId")
          .map(([key, value]) => `${key}=${value}`)
          .join(" ")
    },
    { title: "ABOUT", of: about }
  ]
}

const filters = {
  after: Options.optional(Verb.number("after", "ID", "Only events after this one.")),
  types: Options.repeated(Verb.choice("type", EventType.literals, "Only of this type; may be given several times.")),
  vm: Options.optional(Verb.text("vm", "VM", "Only events about this VM.")),
  volume: Options.optional(Verb.text("volume", "VOLUME", "Only events about this volume.")),
  host: Options.optional(Verb.text("host", "HOST", "Only events about this host and what is on it.")),
  image: Options.optional(Verb.text("image", "IMAGE", "Only events about this image.")),
  operation: Options.optional(Verb.text("operation", "ID", "Only events about this operation."))
}

const decodeCursor = Schema.decodeOption(EventId)

const cursor = (id: number) =>
  Option.match(decodeCursor(id), {
    onNone: () =>
      new Refused({ why: "usage", message: `${id} is no event: expected its id, 0 or more`, field: "after" }),
    onSome: Effect.succeed
  })

interface Filters {
  readonly vm: Option.Option<string>
  readonly volume: Option.Option<string>
  readonly host: Option.Option<string>
  readonly image: Option.Option<string>
  readonly operation: Option.Option<string>
}

const filterOf = Effect.fnUntraced(function* ({ host, image, operation, vm, volume }: Filters) {
  return {
    ...(yield* Resolve.maybe("vm", vm, Resolve.vm)),
    ...(yield* Resolve.maybe("volume", volume, Resolve.volume)),
    ...(yield* Resolve.maybe("host", host, Resolve.host)),
    ...(yield* Resolve.maybe("image", image, Resolve.image)),
    ...(yield* Resolve.maybe("operation", operation, Resolve.operation))
  }
})

const encode = Schema.encodeSync(Event)

/** @since 0.5.0 @category nouns */
export const noun: Verb.Noun = {
  name: "event",
  about: "what happened",
  verbs: [
    Verb.make({
      name: "list",
      about: "List events, the oldest first.",
      endpoints: ["listEvents"],
      options: Options.all({
        ...filters,
        limit: Options.optional(Verb.number("limit", "N", "At most so many, 1 to 1000; 100 unless it is said."))
      }),
      args: Args.none,
      run: ({ after, limit, types, ...given }) =>
        Effect.gen(function* () {
          const { client, mode } = yield* Session
          const { events } = yield* client
          const urlParams = {
            ...(yield* filterOf(given)),
            ...(types.length === 0 ? {} : { type: types }),
            ...Verb.given("limit", limit),
            ...(Option.isNone(after) ? {} : { after: yield* cursor(after.value) })
          }
          const { body, value } = yield* answered(events.listEvents({ urlParams, withResponse: true }))
          yield* list(view, value.items, body, "there are no such events")
          if (mode === "table" || mode === "wide") yield* note(`what follows: --after ${value.next}`)
        })
    }),
    Verb.make({
      name: "watch",
      about: "Print events as they happen, until Ctrl-C.",
      endpoints: ["listEvents"],
      options: Options.all(filters),
      args: Args.none,
      run: ({ after, types, ...given }) =>
        Effect.gen(function* () {
          const { mode, patient } = yield* Session
          const client = yield* patient
          const { colour, err, out } = yield* Screen
          const filter = { ...(yield* filterOf(given)), ...(types.length === 0 ? {} : { types }) }
          let last = Option.isSome(after) ? yield* cursor(after.value) : yield* Watch.newest()
          const rows = table(view, [], mode, colour)
          if (mode === "table" || mode === "wide") yield* out(`${rows.head}\n`)
          const passed = (cursor: EventId) => Effect.sync(() => void (last = cursor))
          yield* client.events({ ...filter, after: last, passed }).pipe(
            Stream.runForEach((event) => {
              last = event.id
              return following(view, rows, event, encode(event))
            }),
            Effect.onInterrupt(() => err(`vmfabric event watch --after ${last} goes on from here\n`))
          )
        })
    })
  ]
}

const auditView: View<AuditLine> = {
  name: ({ id }) => id,
  columns: [
    { title: "ID", of: ({ id }) => id },
    { title: "TIME", of: (line) => time(line.time) },
    { title: "USER", of: ({ user }) => user },
    { title: "METHOD", of: ({ method }) => method },
    { title: "PATH", of: ({ path }) => path },
    { title: "STATUS", of: ({ status }) => status },
    { title: "FAILED", of: ({ failed }) => failed },
    { title: "VIA", of: ({ via }) => via, wide: true },
    { title: "TOKEN", of: ({ tokenId }) => tokenId, wide: true },
    { title: "FROM", of: ({ from }) => from, wide: true }
  ]
}

/** @since 0.5.0 @category nouns */
export const audit: Verb.Noun = {
  name: "audit",
  about: "who asked for what",
  verbs: [
    Verb.make({
      name: "list",
      about: "List requests that asked for a change, the newest first.",
      endpoints: ["listAudit"],
      options: Options.all({
        before: Options.optional(Verb.number("before", "ID", "Only lines before this one.")),
        limit: Options.optional(Verb.number("limit", "N", "At most so many, 1 to 1000; 100 unless it is said."))
      }),
      args: Args.none,
      run: ({ before, limit }) =>
        Effect.gen(function* () {
          const { client, mode } = yield* Session
          const { audit } = yield* client
          const urlParams = { ...Verb.given("before", before), ...Verb.given("limit", limit) }
          const { body, value } = yield* answered(audit.listAudit({ urlParams, withResponse: true }))
          yield* list(auditView, value.items, body, "nothing was asked for yet")
          if (value.next !== null && (mode === "table" || mode === "wide"))
            yield* note(`there are more: --before ${value.next}`)
        })
    })
  ]
}
