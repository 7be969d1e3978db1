/**
 * Events: what happened, in the order in which it did.
 *
 * @since 0.4.0
 */
import * as Schema from "effect/Schema"
import * as Ids from "./Ids.ts"

/** Rises with each event; one that was given out never comes back. @since 0.4.0 @category ids */
export const EventId = Schema.Int.pipe(
  Schema.between(0, Number.MAX_SAFE_INTEGER),
  Schema.brand("EventId"),
  Schema.annotations({ identifier: "EventId" })
)
/** @since 0.4.0 @category ids */
export type EventId = typeof EventId.Type

/**
 * What an event is about, and what became of it:
 *
 * - `vm.created`, `vm.changed`: what is wanted of a VM (its state, name, host); the last one of a VM has state `destroyed` or `failed`
 * - `vm.seen`: what a host says a VM is (`power`, `reason`)
 * - `vm.drift`: how many of its fields differ from what they should be (`count`), and which (`fields`, with commas between them)
 * - `volume.created`, `volume.changed`, `snapshot.created`, `snapshot.changed`
 * - `operation.created`, `operation.changed`: its state, and why it failed
 * - `image.created`, `image.changed`: of an image that is not the image file's, its state and why it is refused; the last one of an image has state
 *   `deleted`
 * - `host.added`, `host.removed`: of a host that is not the machine file's
 * - `host.changed`: its status (`up`, `suspect`, `down`, `lost`), with a reason, or its maintenance, or that its settings are others (its `name`)
 *
 * @since 0.4.0 @category models
 */
export const EventType = Schema.Literal(
  "vm.created",
  "vm.changed",
  "vm.seen",
  "vm.drift",
  "volume.created",
  "volume.changed",
  "snapshot.created",
  "snapshot.changed",
  "operation.created",
  "operation.changed",
  "image.created",
  "image.changed",
  "host.added",
  "host.changed",
  "host.removed"
)
/** @since 0.4.0 @category models */
export type EventType = typeof EventType.Type

/** `data`: what it is now, as far as the type says; the resource itself tells the rest. @since 0.4.0 @category models */
export class Event extends Schema.Class<Event>("Event")({
  id: EventId,
  /** milliseconds since 1970 */
  time: Schema.Int,
  type: EventType,
  vmId: Schema.NullOr(Ids.VmId),
  volumeId: Schema.NullOr(Ids.VolumeId),
  snapshotId: Schema.NullOr(Ids.SnapshotId),
  hostId: Schema.NullOr(Ids.HostId),
  imageId: Schema.NullOr(Ids.ImageId),
  operationId: Schema.NullOr(Ids.OperationId),
  data: Schema.Record({
    key: Schema.String,
    value: Schema.Union(Schema.String, Schema.Number, Schema.Boolean, Schema.Null)
  })
}) {}

/** Which events: of these types only, or about this one only. Nothing said: all. @since 0.4.0 @category models */
export interface EventFilter {
  readonly types?: ReadonlyArray<EventType>
  readonly vmId?: Ids.VmId
  readonly volumeId?: Ids.VolumeId
  readonly hostId?: Ids.HostId
  readonly imageId?: Ids.ImageId
  readonly operationId?: Ids.OperationId
}
