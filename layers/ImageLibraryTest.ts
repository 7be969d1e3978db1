/**
 * Images in memory, for tests of programs that use the library. Everything but the files is the real thing: a refused image is refused
 * here too.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ImageRefused } from "../src/domain/Errors.ts"
import { formatSource } from "../src/domain/Image.ts"
import * as ImageHeader from "../src/domain/ImageHeader.ts"
import { ImageLibrary } from "../src/services/ImageLibrary.ts"
import type { Inventory } from "../src/services/Inventory.ts"
import { make } from "./ImageLibraryLive.ts"

/** The files, by source as it stands in an image file (`/srv/a.raw`, `user@host:/srv/a.raw`). @since 0.1.0 @category services */
export class ImageFiles extends Context.Tag("vmfabric/ImageFiles")<
  ImageFiles,
  {
    /** Writes a file anew: its version changes even when its size does not. */
    readonly put: (source: string, bytes: Uint8Array) => Effect.Effect<void>
    readonly get: (source: string) => Effect.Effect<Option.Option<Uint8Array>>
    readonly remove: (source: string) => Effect.Effect<void>
    /** How often the file was read from start to end. */
    readonly readings: (source: string) => Effect.Effect<number>
  }
>() {}

interface MemoryFile {
  readonly bytes: Uint8Array
  readonly modified: number
}

/**
 * A library of the given files, and `ImageFiles` to change them.
 *
 * @since 0.1.0 @category layers
 */
export const layer = (
  files: Readonly<Record<string, Uint8Array>> = {}
): Layer.Layer<ImageLibrary | ImageFiles, never, Inventory> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      let clock = 0
      const all = new Map<string, MemoryFile>()
      const readings = new Map<string, number>()
      const put = (source: string, bytes: Uint8Array) => {
        all.set(source, { bytes: bytes.slice(), modified: ++clock })
      }
      for (const [source, bytes] of Object.entries(files)) put(source, bytes)
      const library = yield* make((source) =>
        Effect.suspend(() => {
          const name = formatSource(source)
          const file = all.get(name)
          if (file === undefined) {
            const reason = "there is no such file: put it there, or correct the image file"
            return Effect.fail(new ImageRefused({ image: name, reason }))
          }
          const { bytes, modified } = file
          return Effect.succeed({
            version: Effect.succeed({ fileSize: bytes.length, modified }),
            ends: (fileSize) =>
              Effect.succeed({
                head: bytes.subarray(0, ImageHeader.headSize),
                tail: bytes.subarray(-ImageHeader.tailSize),
                fileSize
              }),
            bytes: Stream.suspend(() => {
              readings.set(name, (readings.get(name) ?? 0) + 1)
              return Stream.range(0, Math.max(0, Math.ceil(bytes.length / chunkSize) - 1)).pipe(
                Stream.map((index) => bytes.slice(index * chunkSize, (index + 1) * chunkSize))
              )
            })
          })
        })
      )
      return Context.make(ImageLibrary, library).pipe(
        Context.add(ImageFiles, {
          put: (source, bytes) => Effect.sync(() => put(source, bytes)),
          get: (source) => Effect.sync(() => Option.map(Option.fromNullable(all.get(source)), ({ bytes }) => bytes)),
          remove: (source) => Effect.sync(() => void all.delete(source)),
          readings: (source) => Effect.sync(() => readings.get(source) ?? 0)
        })
      )
    })
  )

const chunkSize = 256 * 1024
