/**
 * Files that are being sent from here. They go on whatever page is looked at.
 *
 * @since 0.8.0
 */
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { Atom } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { prefix } from "../../api/Api.ts"
import { Image } from "../../api/Images.ts"
import * as Problem from "../../api/Problem.ts"
import { lost, unexpected } from "../../client/EventStream.ts"
import type { ImageId } from "../../domain/Ids.ts"
import { calls, Here, runtime, type Words, wordsOf } from "./Api.ts"

/** `waiting`: the last part did not arrive, and is tried again; `stopped`: by whoever looks, or because it was refused. @since 0.8.0 @category models */
export interface Upload {
  /** which of several goes at it sends it: one that was stopped has nothing to say any more */
  readonly run: number
  readonly file: File
  readonly sent: number
  readonly state: "sending" | "waiting" | "stopped"
  /** why it waits or was stopped; null: it was asked for */
  readonly words: Words | null
}

/** By the image that each becomes. @since 0.8.0 @category atoms */
export const uploadsAtom = Atom.keepAlive(Atom.make<ReadonlyMap<ImageId, Upload>>(new Map()))

/** Bytes of one request: what is lost at most when the page is left. */
const part = 4 * 1024 * 1024

/** How often a part is sent again that did not arrive, each time from where the controller says. */
const patience = 20

const passes: ReadonlyArray<unknown> = ["Unreachable", "UnexpectedAnswer", "Unavailable", "Conflict"]

const octets = "application/octet-stream"

const decodeImage = Schema.decodeUnknown(Image)
const decodeRefusal = Schema.decodeUnknown(
  Schema.Union(
    Problem.InvalidRequest,
    Problem.Unauthenticated,
    Problem.Forbidden,
    Problem.NotFound,
    Problem.Conflict,
    Problem.TooManyRequests,
    Problem.Internal,
    Problem.Unavailable
  )
)

interface Part {
  readonly id: ImageId
  readonly offset: number
  readonly part: Blob
}

/** As `sendImage` of the client does, whose bytes are in memory: those of a file the browser reads and sends by itself, while the page goes on. */
const sendPart = ({ id, offset, part }: Part) =>
  Effect.gen(function* () {
    const http = yield* Here
    const request = HttpClientRequest.patch(`${prefix}/images/${id}/content`, {
      headers: { "upload-offset": String(offset) },
      body: HttpBody.raw(part, { contentType: octets })
    })
    const response = yield* Effect.mapError(http.execute(request), lost)
    const body = yield* Effect.mapError(response.json, () => unexpected(response))
    if (response.status === 200) return yield* Effect.mapError(decodeImage(body), () => unexpected(response))
    return yield* Effect.flatMap(
      Effect.mapError(decodeRefusal(body), () => unexpected(response)),
      Effect.fail
    )
  })

let runs = 0

const mayLeave = (uploads: ReadonlyMap<ImageId, Upload>) =>
  [...uploads.values()].every(({ state }) => state === "stopped")

const ask = (event: BeforeUnloadEvent) => event.preventDefault()

/** Sends what is missing of an image's file. @since 0.8.0 @category atoms */
export const sendAtom = Atom.keepAlive(
  runtime.fn<{ readonly file: File; readonly image: Image }>()(
    ({ file, image }, get) =>
      Effect.gen(function* () {
        const { images } = yield* calls
        const { id } = image
        const set = (change: (uploads: Map<ImageId, Upload>) => void) =>
          Effect.sync(() => {
            const uploads = new Map(get.registry.get(uploadsAtom))
            change(uploads)
            get.registry.set(uploadsAtom, uploads)
            if (mayLeave(uploads)) window.removeEventListener("beforeunload", ask)
            else window.addEventListener("beforeunload", ask)
          })
        const run = ++runs
        const put = (upload: Omit<Upload, "file" | "run">) =>
          set((uploads) => uploads.set(id, { file, run, ...upload }))
        const isStopped = () => {
          const upload = get.registry.get(uploadsAtom).get(id)
          return upload === undefined || upload.run !== run || upload.state === "stopped"
        }
        let now = image
        let failures = 0
        yield* put({ sent: now.received ?? 0, state: "sending", words: null })
        while (now.state === "uploading") {
          if (isStopped()) return
          const offset = now.received ?? 0
          const answer = yield* Effect.either(sendPart({ id, offset, part: file.slice(offset, offset + part, octets) }))
          if (isStopped()) return
          if (answer._tag === "Right") {
            now = answer.right
            failures = 0
            yield* put({ sent: now.received ?? file.size, state: "sending", words: null })
            continue
          }
          const words = wordsOf(answer.left)
          if (!passes.includes(answer.left._tag) || ++failures > patience) {
            yield* put({ sent: offset, state: "stopped", words })
            return
          }
          yield* put({ sent: offset, state: "waiting", words })
          yield* Effect.sleep("1 second")
          // cut off, or still being written: the controller knows what has come
          now = yield* Effect.orElseSucceed(images.getImage({ path: { id } }), () => now)
        }
        yield* set((uploads) => uploads.delete(id))
      }),
    { concurrent: true }
  )
)

/** Sends no further part. @since 0.8.0 @category atoms */
export const stopAtom = Atom.fnSync((id: ImageId, get) => {
  const uploads = new Map(get(uploadsAtom))
  const upload = uploads.get(id)
  if (upload === undefined) return
  uploads.set(id, { ...upload, state: "stopped", words: null })
  get.set(uploadsAtom, uploads)
  if (mayLeave(uploads)) window.removeEventListener("beforeunload", ask)
})
