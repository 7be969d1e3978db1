/**
 * Images: the disks VMs start from.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import * as Ids from "../domain/Ids.ts"
import * as Domain from "../domain/Image.ts"
import { ImageFormat } from "../domain/Image.ts"
import {
  amountInBody,
  documented,
  field,
  id,
  idInBody,
  IfMatch,
  Int,
  listOf,
  Name,
  oneOf,
  optional,
  Prefer,
  strict,
  creating,
  within
} from "./Common.ts"
import { begun, Plan, planning } from "./Plans.ts"
import * as Problem from "./Problem.ts"

const Origin = Domain.ImageOrigin.annotations({ identifier: "ImageOrigin" })
const State = Schema.Literal("uploading", "quarantine", "available", "refused", "withdrawn").annotations({
  identifier: "ImageState"
})

/** @since 0.4.0 @category schemas */
export const Image = Schema.Struct({
  id: Ids.ImageId,
  name: Schema.String,
  source: field(
    Schema.String,
    "where its file is: a path on the controller's machine, or `user@host:path`; the URL it was fetched from; `upload` when it was sent; as in `vm 7`, `volume 3` " +
      "or `snapshot 5` what it was published of, which may have gone since"
  ),
  format: field(Schema.NullOr(ImageFormat), "null: whatever its header says, which was not read yet"),
  virtualSize: field(Schema.NullOr(Int), "bytes of the disk a guest sees; null: it was not read yet"),
  fileSize: field(
    Schema.NullOr(Int),
    "bytes of its file, of one that is being sent those that were announced; null: it was not read yet"
  ),
  sha256: field(Schema.NullOr(Schema.String), "of its file, in hex; null: it was not read yet"),
  origin: field(
    Origin,
    "`file`: the image file has it; `path`, `url`, `upload`: it was added by a request; `vm`, `volume`, `snapshot`: it was published of one"
  ),
  state: field(
    State,
    "`uploading`: its bytes are being sent; `quarantine`: it is being fetched, published or checked; `available`: VMs can be made of it; `refused`: it cannot be used; " +
      "`withdrawn`: the image file does not have it any more, VMs that were made of it go on"
  ),
  reason: field(Schema.NullOr(Schema.String), "why it is refused or withdrawn; null: it is neither"),
  received: field(
    Schema.NullOr(Int),
    "bytes of its file that are there, where sending it goes on; null: all that there will be"
  )
}).annotations({ identifier: "Image", description: "A disk that VMs start from." })
/** @since 0.4.0 @category schemas */
export type Image = typeof Image.Type

/** @since 0.4.0 @category schemas */
export const ImageList = listOf(Image, "ImageList", [
  {
    id: Ids.ImageId.make(100),
    name: "debian-12",
    source: "root@images:/images/debian-12.qcow2",
    format: "qcow2",
    virtualSize: 3_221_225_472,
    fileSize: 437_649_408,
    sha256: null,
    origin: "file",
    state: "available",
    reason: null,
    received: null
  }
])

const Sha256 = Domain.Sha256.annotations({
  message: () => ({ message: "expected 64 of 0-9 and a-f", override: true })
})

const text = (what: string, most: number) =>
  Schema.String.pipe(Schema.minLength(1), Schema.maxLength(most)).annotations({
    message: () => ({ message: `expected ${what} of 1 to ${most} characters`, override: true })
  })

/** @since 0.7.0 @category schemas */
export const NewImage = Schema.Struct({
  name: optional(Name, "absent: the file's, without its extension; one that is sent needs it"),
  format: optional(oneOf(ImageFormat.literals), "absent: whatever its header says; another one than this is refused"),
  sha256: optional(Sha256, "of its file; another one is refused"),
  path: optional(
    text("a path", 4096),
    "a file on the controller's machine, under one of the folders it offers; it stays where it is, and has to stay as it is"
  ),
  url: optional(text("a URL", 2000), "where it is fetched from: http or https, without user name and password"),
  size: optional(
    amountInBody(Schema.Int.pipe(Schema.between(1, Number.MAX_SAFE_INTEGER)), "a whole number of bytes from 1 on"),
    "bytes of its file, which are then sent to `/images/{id}/content`"
  )
}).annotations({
  identifier: "NewImage",
  description: "An image to add: just one of `path`, `url` and `size`.",
  examples: [
    { name: "debian-12", size: 437_649_408, format: "qcow2" },
    { url: "https://images.example/debian-12.qcow2", sha256: "0123456789abcdef".repeat(4) },
    { path: "/srv/images/debian-12.qcow2" }
  ],
  ...strict
})

/** @since 0.7.0 @category schemas */
export const ImageToPublish = Schema.Struct({
  name: Name,
  vm: optional(idInBody(Ids.VmId), "id of a VM, of whose root disk it is made"),
  volume: optional(idInBody(Ids.VolumeId), "id of a volume"),
  snapshot: optional(idInBody(Ids.SnapshotId), "id of a snapshot of a volume")
}).annotations({
  identifier: "ImageToPublish",
  description: "An image to be made of a disk: just one of `vm`, `volume` and `snapshot`.",
  examples: [
    { name: "golden-web", vm: Ids.VmId.make(7) },
    { name: "data-monday", snapshot: Ids.SnapshotId.make(5) }
  ],
  ...strict
})

const byId = Schema.Struct({ id: id(Ids.ImageId) })

const Bytes = Schema.Uint8ArrayFromSelf.annotations({
  identifier: "ImageBytes",
  description: "What comes next of the image's file, as it is.",
  jsonSchema: { type: "string", format: "binary" }
}).pipe(HttpApiSchema.withEncoding({ kind: "Uint8Array", contentType: "application/octet-stream" }))

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("images")
  .add(
    HttpApiEndpoint.get("listImages", "/images")
      .addSuccess(ImageList)
      .annotateContext(
        documented(
          "viewer",
          "List images",
          "All that there are, by id: also those that cannot be used, not yet, or not any more."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("createImage", "/images")
      .setUrlParams(planning)
      .setHeaders(creating)
      .setPayload(NewImage)
      .addSuccess(Image, { status: 201 })
      .addSuccess(Plan)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Add an image",
          "With `size` its bytes are then sent (`uploading`); with `path` or `url` it is checked, and fetched before, in the background (`quarantine`). It comes out " +
            "`available`, or `refused` with the reason; nobody can use it before. Only raw and qcow2 images that stand alone are taken: none with a backing or data " +
            "file, encryption, internal snapshots, bitmaps that would take much memory or another format than was said. A URL may not lead to addresses that are not public, unless the controller " +
            "was started with `--image-allow` for them."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("publishImage", "/images/publish")
      .setUrlParams(planning)
      .setHeaders(creating)
      .setPayload(ImageToPublish)
      .pipe(begun)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Publish a disk as an image",
          "What a VM's root disk, a volume or a snapshot holds is read into an image, which is checked and then as any other; the operation's `imageId` is its id. " +
            "In a Ceph pool it is what the disk holds at this moment, also of a VM that runs: crash-consistent, as after a power cut, so what a guest has not written yet is missing. Of a disk that is a " +
            "file on a host it is refused while its VM runs. Nothing of the old VM's identity is removed: host keys, passwords and logs are in the image as they were; only cloud-init gives a " +
            "new VM a new instance-id. Until it has ended nothing else is begun on the VM or the volume. Cancelled or failed it leaves nothing."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("getImage", "/images/:id")
      .setPath(byId)
      .addSuccess(Image)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "viewer",
          "Get an image",
          "Also one that is no longer on offer. `received` says where sending it goes on."
        )
      )
  )
  .add(
    HttpApiEndpoint.patch("sendImage", "/images/:id/content")
      .setPath(byId)
      .setHeaders(
        Schema.Struct({
          "upload-offset": field(
            within(0, Number.MAX_SAFE_INTEGER),
            "how many bytes came before these: what `received` of the image says"
          ),
          ...Prefer
        })
      )
      .setPayload(Bytes)
      .addSuccess(Image)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .annotateContext(
        documented(
          "operator",
          "Send bytes of an image",
          "Any number of them, in one request or in many, one after the other. What has come stays, also when the request is cut off or the controller is killed: " +
            "`received` of the image says where to go on; another offset is a conflict. With the last of them the image goes into quarantine. One of which " +
            "nothing is sent for a day is given up."
        )
      )
  )
  .add(
    HttpApiEndpoint.del("deleteImage", "/images/:id")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(Schema.Struct(IfMatch))
      .addSuccess(Plan)
      .addSuccess(Schema.Void, { status: 204 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotateContext(
        documented(
          "operator",
          "Delete an image",
          "Also one that is being sent, fetched or checked. Refused while VMs need it, while an operation publishes it, and for one of the image file: that is withdrawn when its line is taken out, and can be deleted then. A file that was registered stays; what was sent, " +
            "fetched or published is removed from the controller's machine."
        )
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Images")
  .annotate(OpenApi.Description, "What VMs start from: those of the image file, and those added by requests.")
