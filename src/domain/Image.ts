/**
 * Images: the disks VMs start from.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { formatAddress, HostAddress } from "./Host.ts"
import * as Ids from "./Ids.ts"

/** The formats that are accepted; each is recognised by our own header parser. @since 0.1.0 @category models */
export const ImageFormat = Schema.Literal("raw", "qcow2")
/** @since 0.1.0 @category models */
export type ImageFormat = typeof ImageFormat.Type

/** Where an image's file is: `host` null means the machine the controller runs on. @since 0.1.0 @category models */
export const ImageSource = Schema.Struct({
  host: Schema.NullOr(HostAddress),
  path: Schema.String.pipe(Schema.pattern(/^\/[^\0\r\n]{1,4095}$/))
}).annotations({ identifier: "ImageSource" })
/** @since 0.1.0 @category models */
export type ImageSource = typeof ImageSource.Type

/** As it stands in the image file. @since 0.1.0 @category formatting */
export const formatSource = (source: ImageSource): string =>
  source.host === null ? source.path : `${formatAddress(source.host)}:${source.path}`

/** One line of the image file. `format` absent: whatever the header says. @since 0.1.0 @category models */
export const ImageConfig = Schema.Struct({
  source: ImageSource,
  name: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(255)),
  format: Schema.optionalWith(ImageFormat, { exact: true })
}).annotations({ identifier: "ImageConfig" })
/** @since 0.1.0 @category models */
export type ImageConfig = typeof ImageConfig.Type

/**
 * What reading the file once found out. `virtualSize` (bytes) is the disk a guest sees, `fileSize` (bytes) what is sent to hosts.
 * `modified` (milliseconds since 1970) and `fileSize` together tell whether the file has changed since.
 *
 * @since 0.1.0 @category models
 */
export const ImageContent = Schema.Struct({
  format: ImageFormat,
  virtualSize: Schema.Int,
  fileSize: Schema.Int,
  modified: Schema.Number,
  /** lower-case hex */
  sha256: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/))
}).annotations({ identifier: "ImageContent" })
/** @since 0.1.0 @category models */
export type ImageContent = typeof ImageContent.Type

/**
 * Where an image comes from: the image file; a request that named a file of the controller's machine, named a URL, or sent the bytes; or the root disk of a VM,
 * a volume, or a snapshot of one, of which it was published.
 *
 * @since 0.7.0 @category models
 */
export const ImageOrigin = Schema.Literal("file", "path", "url", "upload", "vm", "volume", "snapshot")
/** @since 0.7.0 @category models */
export type ImageOrigin = typeof ImageOrigin.Type

/** What an image can be published of. @since 0.7.0 @category models */
export type DiskOrigin = Extract<ImageOrigin, "vm" | "volume" | "snapshot">

/** Whether an operation makes the image, of a disk. @since 0.7.0 @category predicates */
export const isPublished = (origin: ImageOrigin): origin is DiskOrigin =>
  origin === "vm" || origin === "volume" || origin === "snapshot"

/** Whether the controller keeps the image's file itself, so that it goes with the image. @since 0.7.0 @category predicates */
export const isKept = (origin: ImageOrigin): boolean => origin !== "file" && origin !== "path"

/** Bytes of a file at their place, at least one; what no piece covers is zero. @since 0.7.0 @category models */
export interface Piece {
  readonly offset: number
  readonly bytes: Uint8Array
}

/**
 * `uploading`: its bytes are being sent; `quarantine`: it is being fetched or checked, and nobody can use it yet; `available`; `refused`: it cannot be
 * used, and never can be; `withdrawn`: the image file does not have it any more; `deleted`: its VMs are gone, and so is it. Those of the image file are
 * `available`.
 *
 * @since 0.7.0 @category models
 */
export const ImageState = Schema.Literal("uploading", "quarantine", "available", "refused", "withdrawn", "deleted")
/** @since 0.7.0 @category models */
export type ImageState = typeof ImageState.Type

/** SHA-256 in lower-case hex. @since 0.7.0 @category models */
export const Sha256 = Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/))

/** What was said of an image before its bytes were there: `size` in bytes, `of` the id of what it is published of. @since 0.7.0 @category models */
export const ImageWanted = Schema.Struct({
  of: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { exact: true }),
  size: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { exact: true }),
  sha256: Schema.optionalWith(Sha256, { exact: true }),
  url: Schema.optionalWith(Schema.String, { exact: true })
})
/** @since 0.7.0 @category models */
export type ImageWanted = typeof ImageWanted.Type

const usually = <A, I>(schema: Schema.Schema<A, I>, value: NoInfer<A>) =>
  schema.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault((): A => value)
  )

/** @since 0.1.0 @category models */
export class Image extends Schema.Class<Image>("Image")({
  id: Ids.ImageId,
  config: ImageConfig,
  /** null until the file has been read */
  content: Schema.NullOr(ImageContent),
  origin: usually(ImageOrigin, "file"),
  state: usually(ImageState, "available"),
  /** why it is refused or withdrawn, one clause; null: it is neither */
  reason: usually(Schema.NullOr(Schema.String), null),
  wanted: usually(ImageWanted, {}),
  /** milliseconds since 1970; of those of the image file 0 */
  createdAt: usually(Schema.Int, 0)
}) {}

/** Why no VM can be made of it, or not yet, and what to do about that, as goes on from its name; null: VMs can. @since 0.9.0 @category getters */
export const hindrance = ({ reason, state }: Pick<Image, "reason" | "state">): string | null => {
  switch (state) {
    case "available":
      return null
    case "uploading":
      return "is being sent: send the rest of it first"
    case "quarantine":
      return "is being fetched, published or checked: wait until it is available"
    case "refused":
      return `is refused: ${reason ?? "it cannot be used"}`
    case "withdrawn":
      return "is not in the image file any more: take another one, or put its line back there and start the controller again"
    case "deleted":
      return "was deleted: take another one"
  }
}
