/**
 * The image files where the operator put them: read, checked, hashed.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { ImageRefused, PersistenceError } from "../domain/Errors.ts"
import type { Image, ImageConfig, ImageContent } from "../domain/Image.ts"

/** @since 0.1.0 @category services */
export class ImageLibrary extends Context.Tag("vmfabric/ImageLibrary")<
  ImageLibrary,
  {
    /**
     * Reads the header only, and refuses what is not a plain raw or qcow2 image (backing file, data file, encryption, other
     * formats, a format other than declared).
     */
    readonly check: (config: ImageConfig) => Effect.Effect<void, ImageRefused>
    /** The image's content: hashed at most once for each version of the file, then kept in the inventory. */
    readonly resolve: (image: Image) => Effect.Effect<ImageContent, ImageRefused | PersistenceError>
    /** The file's bytes; fails at the end at the latest when they are not `content` (the file changed meanwhile). */
    readonly read: (image: Image, content: ImageContent) => Stream.Stream<Uint8Array, ImageRefused>
  }
>() {}
