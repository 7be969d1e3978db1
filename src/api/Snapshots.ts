/**
 * Snapshots of volumes.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import * as Ids from "../domain/Ids.ts"
import * as Domain from "../domain/Volume.ts"
import { acting, changing, documented, field, id, listOf, Name, optional, strict, Time } from "./Common.ts"
import { begun, planning } from "./Plans.ts"
import * as Problem from "./Problem.ts"

/** @since 0.4.0 @category schemas */
export const Snapshot = Schema.Struct({
  id: Ids.SnapshotId,
  volumeId: Ids.VolumeId,
  name: Name,
  size: field(Domain.VolumeSize, "GiB the volume had"),
  state: Domain.SnapshotState,
  createdAt: optional(
    Time,
    "when it was asked for: what it holds is of the moment when its operation took it, which is later only where that had to wait"
  )
}).annotations({ identifier: "Snapshot", description: "A volume's content at one moment." })
/** @since 0.4.0 @category schemas */
export type Snapshot = typeof Snapshot.Type

/** @since 0.4.0 @category schemas */
export const SnapshotList = listOf(Snapshot, "SnapshotList", [
  {
    id: Ids.SnapshotId.make(5),
    volumeId: Ids.VolumeId.make(3),
    name: "monday",
    size: 100,
    state: "ready",
    createdAt: DateTime.unsafeMake("2026-01-02T03:04:05.006Z")
  }
])

/** @since 0.4.0 @category schemas */
export const NewSnapshot = Schema.Struct({ name: Name }).annotations({
  identifier: "NewSnapshot",
  description: "A snapshot to be taken.",
  examples: [{ name: "monday" }],
  ...strict
})

const byId = Schema.Struct({ id: id(Ids.SnapshotId) })

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("snapshots")
  .add(
    HttpApiEndpoint.get("getSnapshot", "/snapshots/:id")
      .setPath(byId)
      .addSuccess(Snapshot)
      .addError(Problem.NotFound)
      .annotateContext(documented("viewer", "Get a snapshot", "With the volume it is of."))
  )
  .add(
    HttpApiEndpoint.del("destroySnapshot", "/snapshots/:id")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(changing)
      .pipe(begun)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotateContext(documented("operator", "Destroy a snapshot", "Refused while volumes are clones of it."))
  )
  .add(
    HttpApiEndpoint.post("revertToSnapshot", "/snapshots/:id/revert")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(acting)
      .pipe(begun)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotateContext(
        documented(
          "operator",
          "Revert a volume to a snapshot",
          "The volume's content and size become the snapshot's. Refused while a running VM has the volume."
        )
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Snapshots")
  .annotate(OpenApi.Description, "What volumes held at one moment.")
