/**
 * `vmfabric image`: what VMs start from.
 *
 * @since 0.7.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import type { Image } from "../api/Images.ts"
import type { ImageId } from "../domain/Ids.ts"
import { ImageFormat } from "../domain/Image.ts"
import { Refused } from "./Failure.ts"
import * as Files from "./Files.ts"
import { answered, ask, note, one, toneOf, type View } from "./Output.ts"
import * as Operations from "./Operations.ts"
import * as Pages from "./Pages.ts"
import * as Resolve from "./Resolve.ts"
import { Screen } from "./Screen.ts"
import { client } from "./Session.ts"
import * as Verb from "./Verb.ts"

const gib = (bytes: number | null) => (bytes === null ? null : (bytes / 2 ** 30).toFixed(1))

const view: View<Image> = {
  name: ({ id }) => id,
  columns: [
    { title: "ID", of: ({ id }) => id },
    { title: "NAME", of: ({ name }) => name },
    { title: "STATE", of: ({ state }) => state, tone: ({ state }) => (state === "refused" ? "bad" : toneOf(state)) },
    { title: "FORMAT", of: ({ format }) => format },
    { title: "DISK GIB", of: ({ virtualSize }) => gib(virtualSize) },
    { title: "FILE GIB", of: ({ fileSize }) => gib(fileSize) },
    { title: "SOURCE", of: ({ source }) => source },
    { title: "REASON", of: ({ reason }) => reason },
    { title: "RECEIVED", of: ({ received }) => received, wide: true },
    { title: "SHA256", of: ({ sha256 }) => sha256, wide: true }
  ]
}

const types = ["image.created", "image.changed"] as const

/** How often it is asked whether an image was fetched and checked. */
const often = "500 millis"

/** As it is when it was fetched and checked; fails when it is refused then. */
const settled = (id: ImageId) =>
  Effect.gen(function* () {
    const { images } = yield* client
    const { err } = yield* Screen
    const look = answered(images.getImage({ path: { id }, withResponse: true }))
    const waiting = Effect.gen(function* () {
      let answer = yield* look
      while (answer.value.state === "quarantine") answer = yield* Effect.delay(look, often)
      return answer
    })
    const answer = yield* waiting.pipe(
      Effect.onInterrupt(() => err(`image ${id} is fetched and checked all the same\n`))
    )
    const { reason, state } = answer.value
    if (state === "refused") {
      return yield* new Refused({ why: "failed", message: `image ${id} is refused: ${reason ?? "it cannot be used"}` })
    }
    yield* one(view, answer)
  })

const unreadable = (file: string) => Files.unreadable(file, "file")

/** Bytes of one request. */
const part = 8 * 1024 * 1024

/** How often a part is sent again that did not arrive, each time from where the controller says. */
const patience = 20

const inWords = (sent: number, size: number) =>
  `${Math.floor((sent / size) * 100)} % of ${size < 2 ** 30 ? `${Math.ceil(size / 2 ** 20)} MiB` : `${gib(size) ?? ""} GiB`}`

/** How far it is, on standard error: a line that is written over on a terminal, elsewhere a new one at each tenth. */
const shower = (size: number) =>
  Effect.map(Screen, ({ err, live }) => {
    let told = -1
    return {
      show: (sent: number) =>
        Effect.suspend(() => {
          const step = Math.floor((sent / size) * (live ? 100 : 10))
          if (step === told) return Effect.void
          told = step
          return err(live ? `\r\u001b[Ksent ${inWords(sent, size)}` : `sent ${inWords(sent, size)}\n`)
        }),
      clear: live ? err("\r\u001b[K") : Effect.void
    }
  })

/** Sends what is missing of it, and goes on where the controller says whenever something did not arrive. */
const sendAll = (file: string, image: Image, size: number) =>
  Effect.gen(function* () {
    const { id } = image
    const { images } = yield* client
    const fs = yield* FileSystem.FileSystem
    const { err } = yield* Screen
    const { clear, show } = yield* shower(size)
    const opened = yield* Effect.mapError(fs.open(file, { flag: "r" }), unreadable(file))
    let now: Image = image
    let failures = 0
    const next = Effect.gen(function* () {
      const offset = now.received ?? 0
      yield* show(offset)
      yield* opened.seek(offset, "start")
      const length = Math.min(part, size - offset)
      const bytes = Option.getOrElse(
        length === 0 ? Option.none() : yield* Effect.mapError(opened.readAlloc(length), unreadable(file)),
        () => new Uint8Array()
      )
      if (bytes.length === 0 && length > 0) {
        return yield* new Refused({
          why: "failed",
          message: `${file} has become shorter while it was sent: send it again`
        })
      }
      const sent = images.sendImage({ path: { id }, headers: { "upload-offset": offset }, payload: bytes })
      const answer = yield* Effect.either(sent)
      if (Either.isRight(answer)) {
        now = answer.right
        failures = 0
        return
      }
      const { left } = answer
      // cut off, or not known to have arrived, or still being written: the controller knows
      const passes = ["Unreachable", "UnexpectedAnswer", "Unavailable", "Conflict"].includes(left._tag)
      if (!passes || ++failures > patience) return yield* Effect.fail(left)
      yield* Effect.sleep("1 second")
      now = yield* images.getImage({ path: { id } }).pipe(
        Effect.catchIf(
          ({ _tag }) => ["Unreachable", "UnexpectedAnswer", "Unavailable"].includes(_tag),
          () => Effect.succeed(now)
        )
      )
    })
    const all = Effect.gen(function* () {
      while (now.state === "uploading") yield* next
    })
    yield* all.pipe(
      Effect.ensuring(clear),
      Effect.onError(() =>
        err(
          `${now.received ?? 0} bytes of image ${id} are there; vmfabric image upload ${file} --resume ${id} goes on\n`
        )
      )
    )
    return now
  }).pipe(Effect.scoped)

const sha256Of = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const hash = createHash("sha256")
    yield* Stream.runForEach(fs.stream(file, { chunkSize: 1024 * 1024 }), (bytes) =>
      Effect.sync(() => void hash.update(bytes))
    )
    return hash.digest("hex")
  }).pipe(Effect.mapError(unreadable(file)))

const name = Options.optional(
  Verb.text("name", "NAME", "Its name; the file's without its extension unless it is said.")
)
const format = Options.optional(
  Verb.choice("format", ImageFormat.literals, "What it is; whatever its header says unless it is said.")
)
const noWait = Verb.toggle("no-wait", "Do not wait until it was fetched and checked.")

/** @since 0.5.0 @category nouns */
export const noun: Verb.Noun = {
  name: "image",
  about: "what VMs start from",
  verbs: [
    Verb.make({
      name: "list",
      about: "List images: also those that cannot be used, or not yet.",
      endpoints: ["listImages"],
      options: Options.all({ watch: Verb.watch }),
      args: Args.none,
      run: ({ watch }) =>
        Effect.gen(function* () {
          const { images } = yield* client
          yield* Pages.whole(view, watch, { types }, "there are no images", images.listImages({ withResponse: true }))
        })
    }),
    Verb.make({
      name: "get",
      about: "Show an image.",
      endpoints: ["getImage"],
      options: Options.all({ watch: Verb.watch }),
      args: Verb.word("image", "Id or name of the image."),
      run: ({ watch }, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.image(text)
          const { images } = yield* client
          yield* Pages.single(view, watch, { types, image: id }, images.getImage({ path: { id }, withResponse: true }))
        })
    }),
    Verb.make({
      name: "add",
      about: "Add an image of a file on the controller's machine, or from a URL that the controller fetches.",
      endpoints: ["createImage"],
      options: Options.all({
        path: Options.optional(
          Verb.text("path", "PATH", "A file on the controller's machine, under a folder of its --image-path.")
        ),
        from: Options.optional(Verb.text("from", "URL", "Where it is fetched from: http or https.")),
        name,
        format,
        sha256: Options.optional(Verb.text("sha256", "HEX", "The SHA-256 of its file; another one is refused.")),
        noWait
      }),
      args: Args.none,
      run: ({ format, from, name, noWait, path, sha256 }) =>
        Effect.gen(function* () {
          if (Option.isNone(path) && Option.isNone(from)) {
            return yield* new Refused({
              why: "usage",
              message:
                "where the image comes from is missing: give --path FILE of a file that the controller can read, or --from URL"
            })
          }
          const { images } = yield* client
          const payload = {
            ...Verb.given("name", name),
            ...Verb.given("format", format),
            ...Verb.given("sha256", sha256),
            ...Verb.given("path", path),
            ...Verb.given("url", from)
          }
          const answer = yield* answered(images.createImage({ payload, withResponse: true }))
          if (!("state" in answer.value)) return
          if (noWait) return yield* ask(view, images.getImage({ path: { id: answer.value.id }, withResponse: true }))
          yield* settled(answer.value.id)
        })
    }),
    Verb.make({
      name: "upload",
      about: "Send a file of this machine, which becomes an image; what is cut off goes on where it was.",
      endpoints: ["createImage", "sendImage", "getImage"],
      options: Options.all({
        name,
        format,
        resume: Options.optional(
          Verb.text("resume", "IMAGE", "Go on with one that was being sent, by its id or name.")
        ),
        noWait
      }),
      args: Verb.word("file", "The file."),
      run: ({ format, name, noWait, resume }, file) =>
        Effect.gen(function* () {
          const { images } = yield* client
          const fs = yield* FileSystem.FileSystem
          const found = yield* Effect.mapError(fs.stat(file), unreadable(file))
          // a device or a pipe may never end, and is read more than once
          if (found.type !== "File") {
            const what =
              found.type === "Directory" ? "a folder" : found.type === "FIFO" ? "a pipe" : "a device or socket"
            return yield* new Refused({ why: "usage", message: `${file} is ${what}: name a regular file` })
          }
          const size = Number(found.size)
          const begin = Effect.gen(function* () {
            const base = file.slice(file.lastIndexOf("/") + 1).replace(/(?<=.)\.[^.]*$/, "")
            const payload = {
              name: Option.getOrElse(name, () => base),
              size,
              sha256: yield* sha256Of(file),
              ...Verb.given("format", format)
            }
            return (yield* answered(images.createImage({ payload, withResponse: true }))).value
          })
          const image = yield* Option.match(resume, {
            onNone: () => begin,
            onSome: (text) => Effect.flatMap(Resolve.image(text), (id) => images.getImage({ path: { id } }))
          })
          if (!("state" in image)) return
          if (image.state === "uploading" && image.fileSize !== size) {
            return yield* new Refused({
              why: "usage",
              message: `${file} has ${size} bytes, and image ${image.id} is to have ${image.fileSize ?? 0}: it is another file`,
              field: "file"
            })
          }
          const { id } = yield* sendAll(file, image, size)
          if (noWait) return yield* ask(view, images.getImage({ path: { id }, withResponse: true }))
          yield* settled(id)
        })
    }),
    Verb.make({
      name: "publish",
      about:
        "Make an image of what a VM's root disk, a volume or a snapshot holds. Nothing of the old VM is removed from it: host keys, passwords and logs stay.",
      endpoints: ["publishImage", "getImage"],
      options: Options.all({
        vm: Options.optional(
          Verb.text("vm", "VM", "Id or name of the VM whose root disk it is; without Ceph it has to be shut down.")
        ),
        volume: Options.optional(Verb.text("volume", "VOLUME", "Id or name of the volume.")),
        snapshot: Options.optional(
          Verb.text("snapshot", "SNAPSHOT", "A snapshot instead: its id, or VOLUME/SNAPSHOT; with --volume its name.")
        ),
        noWait: Verb.noWait
      }),
      args: Verb.word("name", "The image's name."),
      run: ({ noWait, snapshot, vm, volume }, name) =>
        Effect.gen(function* () {
          const { images } = yield* client
          // of a volume that is named it is the snapshot's own name
          const whole = Option.map(snapshot, (text) =>
            Option.match(volume, {
              onNone: () => text,
              onSome: (of) => (/^(id:)?\d+$/.test(text) ? text : `${of}/${text}`)
            })
          )
          const payload = {
            name,
            ...(yield* Resolve.maybe("vm", vm, Resolve.vm)),
            ...(Option.isSome(snapshot) ? {} : yield* Resolve.maybe("volume", volume, Resolve.volume)),
            ...(yield* Resolve.maybe("snapshot", whole, Resolve.snapshot))
          }
          yield* Operations.begin(noWait, images.publishImage({ payload, withResponse: true }), (operation) =>
            operation === undefined || operation.imageId === null
              ? Operations.shown(operation)
              : ask(view, images.getImage({ path: { id: operation.imageId }, withResponse: true }))
          )
        })
    }),
    Verb.make({
      name: "delete",
      about: "Delete an image that no VM needs; a file that was registered stays.",
      endpoints: ["deleteImage"],
      options: Verb.noOptions,
      args: Verb.word("image", "Id or name of the image."),
      run: (_, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.image(text)
          const { images } = yield* client
          yield* images.deleteImage({ path: { id } })
          yield* note(`image ${id} is deleted`)
        })
    })
  ]
}
