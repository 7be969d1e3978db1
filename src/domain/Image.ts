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

/** @since 0.1.0 @category models */
export class Image extends Schema.Class<Image>("Image")({
  id: Ids.ImageId,
  config: ImageConfig,
  /** null until the file has been read */
  content: Schema.NullOr(ImageContent)
}) {}
