/**
 * Volumes and their snapshots.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { UserName } from "../domain/Identity.ts"
import * as Ids from "../domain/Ids.ts"
import * as Domain from "../domain/Volume.ts"
import {
  amountInBody,
  acting,
  changing,
  creating,
  documented,
  field,
  id,
  idInBody,
  ids,
  Name,
  oneOf,
  optional,
  pageOf,
  paging,
  strict,
  Time
} from "./Common.ts"
import { begun, planning } from "./Plans.ts"
import * as Problem from "./Problem.ts"
import { ownedBy, ownerMeans } from "./Quotas.ts"
import { NewSnapshot, SnapshotList } from "./Snapshots.ts"

const State = oneOf(Domain.VolumeState.literals, "VolumeState")
const ListedState = oneOf(Domain.ListedVolumeState.literals, "ListedVolumeState")
const Size = amountInBody(Domain.VolumeSize, "a whole number of GiB from 1 to 65536")

/** @since 0.4.0 @category schemas */
export const Volume = Schema.Struct({
  id: Ids.VolumeId,
  name: Name,
  size: field(Domain.VolumeSize, "GiB a guest sees"),
  state: field(State, "`deleted`: in the trash, from where it can be had back until `purgeAt`"),
  driver: field(Schema.String, "what it is kept with: `dir`, `rbd`, or a driver of one's own"),
  hostId: field(Schema.NullOr(Ids.HostId), "the host that has it; null: it is in a pool that all hosts share"),
  vmId: field(Schema.NullOr(Ids.VmId), "the VM that has it; null: none"),
  target: field(Schema.NullOr(Schema.String), "its place in that VM, as in `vdb`"),
  serial: field(Schema.String, "what a guest finds it by"),
  snapshotId: field(Schema.NullOr(Ids.SnapshotId), "the snapshot it was made from; null: none"),
  purgeAt: field(Schema.NullOr(Time), "when it is purged from the trash; null: it is not there"),
  owner: optional(Schema.NullOr(UserName), ownerMeans)
}).annotations({ identifier: "Volume", description: "A block device that exists apart from VMs." })
/** @since 0.4.0 @category schemas */
export type Volume = typeof Volume.Type

const example: Volume = {
  id: Ids.VolumeId.make(3),
  name: "data",
  size: 100,
  state: "deleted",
  driver: "rbd",
  hostId: null,
  vmId: null,
  target: null,
  serial: "volume-3",
  snapshotId: null,
  purgeAt: DateTime.unsafeMake("2026-01-02T03:04:05.006Z"),
  owner: UserName.make("ada")
}

/** @since 0.4.0 @category schemas */
export const VolumePage = pageOf(Volume, "VolumePage", example)

/** @since 0.4.0 @category schemas */
export const NewVolume = Schema.Struct({
  name: Name,
  size: optional(Size, "GiB; may be absent with a snapshot: as large as that"),
  snapshot: optional(idInBody(Ids.SnapshotId), "id of a snapshot whose content it has from the beginning")
}).annotations({
  identifier: "NewVolume",
  description: "A volume to be created: empty and of a size, or with a snapshot's content.",
  examples: [
    { name: "data", size: 100 },
    { name: "copy", snapshot: Ids.SnapshotId.make(5) }
  ],
  ...strict
})

/** @since 0.4.0 @category schemas */
export const VolumeChange = Schema.Struct({
  name: optional(Name, "its new name"),
  size: optional(Size, "GiB; never less than it has")
})
  .pipe(
    Schema.filter(({ name, size }) => name !== undefined || size !== undefined, {
      message: () => "expected name, size or both"
    })
  )
  .annotations({
    identifier: "VolumeChange",
    description: "What is to be different.",
    jsonSchema: { minProperties: 1 },
    examples: [{ size: 200 }, { name: "archive" }],
    ...strict
  })

/** @since 0.4.0 @category schemas */
export const Attachment = Schema.Struct({
  vm: field(idInBody(Ids.VmId), "id of the VM that is to have it")
}).annotations({ identifier: "Attachment", examples: [{ vm: Ids.VmId.make(7) }], ...strict })

const byId = Schema.Struct({ id: id(Ids.VolumeId) })

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("volumes")
  .add(
    HttpApiEndpoint.get("listVolumes", "/volumes")
      .setUrlParams(
        Schema.Struct({
          ...paging,
          ids: optional(ids(id(Ids.VolumeId)), "only these of them: what is not there, or not any more, is left out"),
          name: optional(Schema.String.pipe(Schema.maxLength(255)), "only those whose name begins like this"),
          state: optional(ListedState, "only those in this state"),
          vm: optional(id(Ids.VmId), "only those that this VM has"),
          owner: optional(ownedBy, "only those that this user had made"),
          sort: optional(
            oneOf(["id", "-id", "name", "-name", "size", "-size", "owner", "-owner"], "VolumeSort"),
            "by what; `-`: descending. `id` unless it is said, which is by when they were made; names are compared by code point, and those that are " +
              "nobody's are the least by owner"
          )
        }).annotations(strict)
      )
      .addSuccess(VolumePage)
      .annotateContext(documented("viewer", "List volumes", "A page at a time; those in the trash too."))
  )
  .add(
    HttpApiEndpoint.post("createVolume", "/volumes")
      .setUrlParams(planning)
      .setHeaders(creating)
      .setPayload(NewVolume)
      .pipe(begun)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Create a volume",
          "Room for it is promised at once. The operation's `volumeId` is its id."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("getVolume", "/volumes/:id")
      .setPath(byId)
      .addSuccess(Volume)
      .addError(Problem.NotFound)
      .annotateContext(
        documented("viewer", "Get a volume", "One that was purged is told too, as long as its id is known.")
      )
  )
  .add(
    HttpApiEndpoint.patch("changeVolume", "/volumes/:id")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(changing)
      .setPayload(VolumeChange)
      .pipe(begun)
      .addSuccess(Schema.Void, { status: 204 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Rename or grow a volume",
          "With both it is grown first, then renamed, by an operation each: the answer is the first of them, or the last when it was waited " +
            "for. A guest that has it sees the new size. 204: it is like that already."
        )
      )
  )
  .add(
    HttpApiEndpoint.del("destroyVolume", "/volumes/:id")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(changing)
      .pipe(begun)
      .addSuccess(Schema.Void, { status: 204 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotateContext(
        documented(
          "operator",
          "Destroy a volume",
          "Into the trash, from where it can be had back until `purgeAt`. Refused while a VM has it, or while volumes are clones of its " +
            "snapshots. 204: it is there already, or purged."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("attachVolume", "/volumes/:id/attach")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(acting)
      .setPayload(Attachment)
      .pipe(begun)
      .addSuccess(Schema.Void, { status: 204 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Attach a volume",
          "To a VM, whose guest finds it by its serial. 204: that VM has it already. Refused when another has it, or when it is kept on " +
            "another host and was used there."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("detachVolume", "/volumes/:id/detach")
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
          "Detach a volume",
          "Waits until the guest lets go; when it does not in time, the volume stays attached, and the operation says so."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("restoreVolume", "/volumes/:id/restore")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(acting)
      .pipe(begun)
      .addSuccess(Schema.Void, { status: 204 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotateContext(documented("operator", "Restore a volume", "Back from the trash. 204: it is not there."))
  )
  .add(
    HttpApiEndpoint.post("purgeVolume", "/volumes/:id/purge")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(acting)
      .pipe(begun)
      .addSuccess(Schema.Void, { status: 204 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotateContext(
        documented(
          "operator",
          "Purge a volume",
          "Out of the trash for good, without waiting for `purgeAt`. 204: it is purged already."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("listSnapshots", "/volumes/:id/snapshots")
      .setPath(byId)
      .addSuccess(SnapshotList)
      .addError(Problem.NotFound)
      .annotateContext(documented("viewer", "List a volume's snapshots", "All of them, by id."))
  )
  .add(
    HttpApiEndpoint.post("createSnapshot", "/volumes/:id/snapshots")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(acting)
      .setPayload(NewSnapshot)
      .pipe(begun)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Take a snapshot",
          "The content at this moment: as after a power cut where a guest is writing. Of a volume that is a file (without Ceph) it is a copy, " +
            "and refused while a VM that is not stopped has the volume. The operation's `snapshotId` is its id."
        )
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Volumes")
  .annotate(OpenApi.Description, "Block devices that exist apart from VMs.")
