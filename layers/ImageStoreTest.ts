/**
 * Images kept in memory, beside the files of `ImageLibraryTest`: what is fetched from a URL is the file of that name there, and files under `/images`
 * may be registered.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ImageConflict, ImageRefused, InvalidArgument } from "../src/domain/Errors.ts"
import { formatSource, type ImageSource } from "../src/domain/Image.ts"
import * as Uuid from "../src/domain/Uuid.ts"
import { ImageStore } from "../src/services/ImageStore.ts"
import { ImageFiles } from "./ImageLibraryTest.ts"

/** @since 0.7.0 @category layers */
export const layer: Layer.Layer<ImageStore, never, ImageFiles> = Layer.effect(
  ImageStore,
  Effect.map(ImageFiles, (files) => {
    const bytesOf = (source: ImageSource) =>
      Effect.map(
        files.get(formatSource(source)),
        Option.getOrElse(() => new Uint8Array())
      )
    return ImageStore.of({
      place: () => Effect.map(Uuid.make, (name) => ({ host: null, path: `/kept/${name}.image` })),
      registrable: (path) =>
        Effect.flatMap(files.get(path), (found) =>
          path.startsWith("/images/") && Option.isSome(found)
            ? Effect.succeed({ host: null, path })
            : new InvalidArgument({
                field: "path",
                problem: "is none that may be offered",
                expected: "one under /images"
              })
        ),
      fetchable: (url) =>
        /^https?:\/\//.test(url)
          ? Effect.succeed(url)
          : new InvalidArgument({ field: "url", problem: "is none of http or https", expected: "a URL" }),
      received: (source) => Effect.map(bytesOf(source), ({ length }) => ({ size: length, modified: 0 })),
      append: (source, offset, size, bytes) =>
        Effect.gen(function* () {
          const before = yield* bytesOf(source)
          const conflict = (reason: string) => new ImageConflict({ image: source.path, reason })
          if (before.length !== offset)
            return yield* conflict(`has ${before.length} bytes, not ${offset}: go on from there`)
          let now = before
          yield* Stream.runForEach(bytes, (chunk) => {
            if (now.length + chunk.length > size)
              return conflict(`would have more than the ${size} bytes that were announced`)
            now = Buffer.concat([now, chunk])
            return files.put(source.path, now)
          })
          return now.length
        }),
      write: (source, pieces) =>
        Effect.gen(function* () {
          const all = yield* Stream.runCollect(pieces)
          const end = [...all].reduce((most, { bytes, offset }) => Math.max(most, offset + bytes.length), 0)
          const file = Buffer.alloc(end)
          for (const { bytes, offset } of all) file.set(bytes, offset)
          yield* files.put(source.path, file)
        }),
      fetch: (source, url) =>
        Effect.flatMap(
          files.get(url),
          Option.match({
            onNone: () => new ImageRefused({ image: source.path, reason: "it could not be fetched: there is nothing" }),
            onSome: (bytes) => files.put(source.path, bytes)
          })
        ),
      remove: (source) => files.remove(source.path),
      sweep: () => Effect.void
    })
  })
)
