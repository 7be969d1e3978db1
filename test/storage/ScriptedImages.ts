/** An image library whose images are given as bytes, and whose readings can be held up or broken off. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { ImageRefused } from "../../src/domain/Errors.ts"
import { ImageId } from "../../src/domain/Ids.ts"
import { Image, type ImageFormat, formatSource } from "../../src/domain/Image.ts"
import { ImageLibrary } from "../../src/services/ImageLibrary.ts"

export class ScriptedImages extends Context.Tag("test/ScriptedImages")<
  ScriptedImages,
  {
    /** the next reading of any image fails after half of it */
    readonly breakNext: Effect.Effect<void>
    /** readings wait after their first piece until released */
    readonly hold: Effect.Effect<void>
    readonly release: Effect.Effect<void>
    /** completes when a reading has given its first piece */
    readonly reading: Effect.Effect<void>
    readonly readings: Effect.Effect<number>
  }
>() {}

/** Bytes that no other seed gives. */
export const noise = (size: number, seed: number): Uint8Array => {
  const bytes = Buffer.alloc(size)
  let state = seed >>> 0
  for (let at = 0; at + 4 <= size; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes.writeUInt32LE(state, at)
  }
  return bytes
}

export interface Given {
  readonly name: string
  readonly bytes: Uint8Array
  readonly format?: ImageFormat
  /** what a guest would see; the bytes' number unless given */
  readonly virtualSize?: number
}

export const imageOf = (given: Given, id = 100): Image =>
  new Image({
    id: ImageId.make(id),
    config: { source: { host: null, path: `/images/${given.name}` }, name: given.name },
    content: null
  })

const piece = 64 * 1024

export const layer = (given: ReadonlyArray<Given>): Layer.Layer<ImageLibrary | ScriptedImages> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const files = new Map(given.map((one) => [`/images/${one.name}`, one]))
      const gate = yield* Effect.makeLatch(true)
      const begun = yield* Effect.makeLatch(false)
      let broken = false
      let readings = 0
      const find = (image: Image) => {
        const name = formatSource(image.config.source)
        const file = files.get(name)
        return file === undefined
          ? Effect.fail(new ImageRefused({ image: name, reason: "there is no such file" }))
          : Effect.succeed(file)
      }
      const library = ImageLibrary.of({
        check: () => Effect.void,
        resolve: (image) =>
          Effect.map(find(image), (file) => ({
            format: file.format ?? "raw",
            virtualSize: file.virtualSize ?? file.bytes.length,
            fileSize: file.bytes.length,
            modified: 1,
            sha256: createHash("sha256").update(file.bytes).digest("hex")
          })),
        read: (image) =>
          Stream.unwrap(
            Effect.gen(function* () {
              const { bytes } = yield* find(image)
              const fails = broken
              broken = false
              readings++
              const pieces = Math.ceil(bytes.length / piece)
              return Stream.range(0, pieces - 1).pipe(
                Stream.mapEffect((index) =>
                  fails && index >= pieces / 2
                    ? Effect.fail(new ImageRefused({ image: image.config.name, reason: "the file changed" }))
                    : index === 0
                      ? Effect.succeed(bytes.slice(0, piece))
                      : Effect.as(
                          Effect.zipRight(begun.open, gate.await),
                          bytes.slice(index * piece, (index + 1) * piece)
                        )
                )
              )
            })
          )
      })
      const script = ScriptedImages.of({
        breakNext: Effect.sync(() => {
          broken = true
        }),
        hold: Effect.zipRight(begun.close, Effect.asVoid(gate.close)),
        release: Effect.asVoid(gate.open),
        reading: begun.await,
        readings: Effect.sync(() => readings)
      })
      return Context.make(ImageLibrary, library).pipe(Context.add(ScriptedImages, script))
    })
  )
