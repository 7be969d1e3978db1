/**
 * What happened: read in pages, or followed as a stream of server-sent events.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import * as Domain from "../domain/Event.ts"
import * as Ids from "../domain/Ids.ts"
import { documented, field, id, oneOf, optional, paging, strict, Time } from "./Common.ts"
import * as Problem from "./Problem.ts"

const OperationId = Ids.OperationId.annotations({ message: () => ({ message: "expected a UUID", override: true }) })

/** @since 0.4.0 @category schemas */
export const Event = Schema.Struct({
  id: field(Domain.EventId, "rises with each event"),
  time: field(Time, "when it was written"),
  type: field(Domain.EventType, "what it is about, and what became of it"),
  vmId: field(Schema.NullOr(Ids.VmId), "the VM it is about; null: none"),
  volumeId: field(Schema.NullOr(Ids.VolumeId), "the volume it is about; null: none"),
  snapshotId: field(Schema.NullOr(Ids.SnapshotId), "the snapshot it is about; null: none"),
  hostId: field(Schema.NullOr(Ids.HostId), "the host it is about, or where the VM or the volume is; null: none"),
  imageId: field(Schema.NullOr(Ids.ImageId), "the image it is about; null: none"),
  operationId: field(Schema.NullOr(OperationId), "the operation it is about; null: none"),
  data: field(
    Domain.Event.fields.data,
    "what it is now: of a VM `name`, `state`, `hostId`; of what is seen of one `power`, `reason`, and of its drift `count` and `fields`, the names with commas between them; of a volume or a " +
      "snapshot `name`, `size` (GiB), `state`; of an operation `kind`, `state`, `error`, `cancelAsked`, `user`, `cause`; of an image `name`, `state`, `reason`; of a host `status`, `reason`, or " +
      "`maintenance`, or `name` when it is added, removed, or its settings are others"
  )
}).annotations({ identifier: "Event", description: "Something that happened." })
/** @since 0.4.0 @category schemas */
export type Event = typeof Event.Type

const example: Event = {
  id: Domain.EventId.make(4711),
  time: DateTime.unsafeMake("2026-01-02T03:04:05.006Z"),
  type: "vm.changed",
  vmId: Ids.VmId.make(7),
  volumeId: null,
  snapshotId: null,
  hostId: Ids.HostId.make(2),
  imageId: null,
  operationId: null,
  data: { name: "web", state: "running", hostId: 2 }
}

/** @since 0.4.0 @category schemas */
export const EventPage = Schema.Struct({
  items: field(Schema.Array(Event), "the oldest first"),
  next: field(Domain.EventId, "what to give as `after` for the events that follow")
}).annotations({
  identifier: "EventPage",
  description: "A page of the event log.",
  examples: [{ items: [example], next: example.id }]
})
/** @since 0.4.0 @category schemas */
export type EventPage = typeof EventPage.Type

/** As text. @since 0.4.0 @category schemas */
export const Cursor = Schema.transform(Schema.String.pipe(Schema.pattern(/^[0-9]{1,16}$/)), Domain.EventId, {
  strict: true,
  decode: Number,
  encode: String
}).annotations({
  message: () => ({ message: "expected the id of an event, in decimal digits", override: true }),
  jsonSchema: { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER }
})

/** @since 0.4.0 @category schemas */
export const Parameters = Schema.Struct({
  after: optional(
    Cursor,
    "only events with a higher id; absent: from the oldest that is kept, or with a stream from now on"
  ),
  limit: paging.limit,
  type: optional(
    Schema.Array(oneOf(Domain.EventType.literals)),
    "only events of this type; may be given several times"
  ),
  vm: optional(id(Ids.VmId), "only events about this VM"),
  volume: optional(id(Ids.VolumeId), "only events about this volume"),
  host: optional(id(Ids.HostId), "only events about this host, and about VMs and volumes on it"),
  image: optional(id(Ids.ImageId), "only events about this image"),
  operation: optional(OperationId, "only events about this operation")
}).annotations(strict)
/** @since 0.4.0 @category schemas */
export type Parameters = typeof Parameters.Type

/** The media type of a stream. @since 0.4.0 @category constants */
export const streamType = "text/event-stream"

const streamExample = `retry: 1000
id: 4710

id: 4711
event: vm.changed
data: ${JSON.stringify(Schema.encodeSync(Event)(example))}

: nothing happened for a while
id: 4719

`

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("events")
  .add(
    HttpApiEndpoint.get("listEvents", "/events")
      .setUrlParams(Parameters)
      .addSuccess(EventPage)
      .addError(Problem.Gone)
      .annotateContext(
        documented(
          "viewer",
          "Read or follow what happened",
          "The newest 100,000 events are kept, each written together with the change it tells. With `Accept: text/event-stream` the answer is a stream " +
            "(server-sent events) that does not end: `id` is the event's number, `event` its type, `data` the event as JSON, and every 15 seconds comes a " +
            "comment, with an `id` and without `data`, which is no event: up to that number nothing else is of the filter. A client that was cut off goes on " +
            "after the last `id` it was told, of an event or not, with `Last-Event-ID`, as browsers do by themselves; nothing is missed and nothing " +
            "comes twice. When some of what follows the cursor is no longer kept, or the cursor is ahead of the newest (the database was put back " +
            "to an earlier state), the answer is 410 `events_lost`, or the stream ends with an event " +
            "`lost` whose data is that problem: list what you follow anew, then go on from the newest event. It also ends, " +
            "within a second, when the token or the session it was asked for with does."
        )
      )
      .annotate(OpenApi.Transform, (operation) => ({
        ...operation,
        parameters: [
          ...operation.parameters,
          {
            name: "Last-Event-ID",
            in: "header",
            required: false,
            schema: { type: "string", pattern: "^[0-9]{1,16}$" },
            description: "of a stream that goes on: the last `id` that came; it counts for more than `after`"
          }
        ],
        responses: {
          ...operation.responses,
          200: {
            ...operation.responses[200],
            content: {
              ...operation.responses[200].content,
              [streamType]: { schema: { type: "string" }, example: streamExample }
            }
          }
        }
      }))
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Events")
  .annotate(OpenApi.Description, "What happened, in the order in which it did.")
