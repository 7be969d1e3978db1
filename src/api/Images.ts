/**
 * Images: the disks VMs start from.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import * as Ids from "../domain/Ids.ts"
import { ImageFormat } from "../domain/Image.ts"
import { documented, field, id, Int, listOf } from "./Common.ts"
import * as Problem from "./Problem.ts"

/** @since 0.4.0 @category schemas */
export const Image = Schema.Struct({
  id: Ids.ImageId,
  name: Schema.String,
  source: field(Schema.String, "where its file is: a path on the controller's machine, or `user@host:path`"),
  format: field(Schema.NullOr(ImageFormat), "null: whatever its header says, which was not read yet"),
  virtualSize: field(Schema.NullOr(Int), "bytes of the disk a guest sees; null: it was not read yet"),
  fileSize: field(Schema.NullOr(Int), "bytes of its file; null: it was not read yet"),
  sha256: field(Schema.NullOr(Schema.String), "of its file, in hex; null: it was not read yet")
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
    sha256: null
  }
])

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("images")
  .add(
    HttpApiEndpoint.get("listImages", "/images")
      .addSuccess(ImageList)
      .annotateContext(documented("viewer", "List images", "Those on offer, by id: as the image file has them."))
  )
  .add(
    HttpApiEndpoint.get("getImage", "/images/:id")
      .setPath(Schema.Struct({ id: id(Ids.ImageId) }))
      .addSuccess(Image)
      .addError(Problem.NotFound)
      .annotateContext(documented("viewer", "Get an image", "Also one that is no longer on offer."))
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Images")
  .annotate(OpenApi.Description, "What VMs start from; they are given in the image file.")
