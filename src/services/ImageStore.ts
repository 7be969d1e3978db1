/**
 * Image files that the controller keeps itself, and those of its machine that it may offer.
 *
 * @since 0.7.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import { ImageConflict, ImageRefused, InvalidArgument } from "../domain/Errors.ts"
import type { ImageSource, Piece } from "../domain/Image.ts"

/** What is there of a file: bytes, and when it was last written to, milliseconds since 1970. @since 0.7.0 @category models */
export interface Received {
  readonly size: number
  readonly modified: number
}

/** @since 0.7.0 @category services */
export class ImageStore extends Context.Tag("vmfabric/ImageStore")<
  ImageStore,
  {
    /** Where the file of a new image of that name will be. Nothing is made. `ImageConflict`: there is no room for `size` bytes. */
    readonly place: (name: string, size: number) => Effect.Effect<ImageSource, ImageConflict>
    /** A file that is there, under the folders from which images may be offered, by its real path. */
    readonly registrable: (path: string) => Effect.Effect<ImageSource, InvalidArgument>
    /** Whether it may be fetched from there at all; where a name leads is looked at when it is. */
    readonly fetchable: (url: string) => Effect.Effect<string, InvalidArgument>
    /** What is there; nothing: 0 bytes. */
    readonly received: (source: ImageSource) => Effect.Effect<Received, ImageRefused>
    /**
     * Writes what comes from `offset` on, which has to be the end of what is there, up to `size` bytes in all; gives how many there are then. What was
     * written stays, however it ends, and is on the disk when it has ended well. `ImageConflict`: the end is elsewhere, or somebody else writes.
     */
    readonly append: <E>(
      source: ImageSource,
      offset: number,
      size: number,
      bytes: Stream.Stream<Uint8Array, E>
    ) => Effect.Effect<number, E | ImageConflict | ImageRefused>
    /**
     * Writes all of it anew, as far as the pieces reach; what is zero takes no room where the disk can leave it out. When it has ended well it is on the
     * disk. `ImageRefused`: there is no more room, which is looked at as it is written.
     */
    readonly write: <E>(source: ImageSource, pieces: Stream.Stream<Piece, E>) => Effect.Effect<void, E | ImageRefused>
    /** Fetches all of it anew; each address it is led to is looked at when it is connected to. */
    readonly fetch: (source: ImageSource, url: string) => Effect.Effect<void, ImageRefused>
    /** Removes a file that is kept here; absent is fine. */
    readonly remove: (source: ImageSource) => Effect.Effect<void, ImageRefused>
    /** Removes what is kept here and is none of these. */
    readonly sweep: (keep: ReadonlyArray<ImageSource>) => Effect.Effect<void, ImageRefused>
  }
>() {}

const nowhere = "cannot be kept by this controller: it has no folder for images"

/** Of a controller that keeps no images. @since 0.7.0 @category layers */
export const layerNone: Layer.Layer<ImageStore> = Layer.sync(ImageStore, () => {
  const refused = new ImageRefused({ image: "(new)", reason: `it ${nowhere}` })
  const invalid = (field: string) => () =>
    new InvalidArgument({ field, problem: nowhere, expected: "an image of the image file" })
  return ImageStore.of({
    place: (name) => new ImageConflict({ image: JSON.stringify(name), reason: nowhere }),
    registrable: invalid("path"),
    fetchable: invalid("url"),
    received: () => refused,
    append: () => refused,
    write: () => refused,
    fetch: () => refused,
    remove: () => refused,
    sweep: () => Effect.void
  })
})
