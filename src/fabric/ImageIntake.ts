/**
 * Images that are added while the controller runs: of a file of its machine, from a URL, or of bytes that are sent.
 *
 * An image is its row, from the first moment on, and the row is also what is left to do: one that is in quarantine is taken up when the controller
 * starts, and one that is being sent goes on where its file ends. Nobody can use it before its whole content has been read and judged.
 *
 * @since 0.7.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberMap from "effect/FiberMap"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import * as Errors from "../domain/Errors.ts"
import type { ImageId } from "../domain/Ids.ts"
import { type Image, type ImageFormat, type ImageSource, isKept, isPublished, Sha256 } from "../domain/Image.ts"
import { VmName } from "../domain/Vm.ts"
import { ImageLibrary } from "../services/ImageLibrary.ts"
import { ImageStore } from "../services/ImageStore.ts"
import { Inventory } from "../services/Inventory.ts"
import * as Facts from "./Facts.ts"
import * as Intent from "./Intent.ts"
import * as Revision from "./Revision.ts"

/**
 * One of `path`, `url` and `size`, the bytes that will be sent. `name` absent: the file's without its extension; one that is sent needs it. `format`
 * absent: whatever its header says. `sha256`: of its file; another one is refused.
 *
 * @since 0.7.0 @category models
 */
export interface AddImage {
  readonly name?: string
  readonly format?: ImageFormat
  readonly sha256?: string
  readonly path?: string
  readonly url?: string
  readonly size?: number
}

/** `received`: bytes of its file that are there so far; null: all are. @since 0.7.0 @category models */
export interface ImageReport {
  readonly image: Image
  readonly received: number | null
}

/** @since 0.7.0 @category errors */
export type AddError = Errors.InvalidArgument | Errors.ImageConflict | Errors.ImageRefused | Errors.PersistenceError

/** @since 0.7.0 @category services */
export class ImageIntake extends Context.Tag("vmfabric/ImageIntake")<
  ImageIntake,
  {
    /** All that there are, by id, also those that cannot be used (yet). */
    readonly list: Effect.Effect<ReadonlyArray<ImageReport>, Errors.PersistenceError>
    /** Also one that is no longer offered, but not one that was deleted. */
    readonly get: (id: ImageId) => Effect.Effect<ImageReport, Errors.ImageNotFound | Errors.PersistenceError>
    /**
     * Adds one, which is then sent with `send`, or fetched and checked in the background: see `checked`. A file that its header speaks against is refused at
     * once. `ImageConflict`: there is no room, or there is one of that file already.
     */
    readonly add: (image: AddImage) => Effect.Effect<Image, AddError>
    /**
     * Goes on with one that is being sent: bytes from `offset` on, where what is there has to end. What has come stays, however this ends. Once all are
     * there it is checked in the background. `announced`: how many bytes they are, where that is known before: what would be too many is not begun.
     */
    readonly send: (
      id: ImageId,
      offset: number,
      bytes: Stream.Stream<Uint8Array, Errors.InvalidArgument>,
      announced?: number
    ) => Effect.Effect<
      ImageReport,
      | Errors.InvalidArgument
      | Errors.ImageNotFound
      | Errors.ImageConflict
      | Errors.ImageRefused
      | Errors.PersistenceError
    >
    /** As it is when it is not fetched or checked any more; at once for one that is being sent. */
    readonly checked: (id: ImageId) => Effect.Effect<ImageReport, Errors.ImageNotFound | Errors.PersistenceError>
    /**
     * Deletes it, also while it is being sent, fetched or checked; a file that was registered stays where it is. Repeating it is fine. `ImageConflict`: VMs need it, which are named, an
     * operation is publishing it, or the image file has it. `HasChanged`: its revision is not the expected one.
     */
    readonly remove: (
      id: ImageId,
      expect?: Revision.Expect
    ) => Effect.Effect<void, Errors.ImageNotFound | Errors.ImageConflict | Errors.HasChanged | Errors.PersistenceError>
  }
>() {}

/** How many may be being sent at the same time. @since 0.7.0 @category constants */
export const mostUploads = 32

/** For how long one that is being sent may rest before it is given up. @since 0.7.0 @category constants */
export const uploadPatience = Duration.hours(24)

/** How often is looked for such. */
const interval = Duration.minutes(10)

/** How many are fetched or checked at the same time. */
const atOnce = 2

/** Of one image, fetched and checked. */
const longest = Duration.hours(8)

const isName: (name: string) => boolean = Schema.is(VmName)

/** Fails for what cannot be an image's name; `problem`: what is wrong with it then. @since 0.7.0 @category predicates */
export const checkName = (
  name: string,
  problem = "is empty, too long, or has characters a name cannot have"
): Effect.Effect<void, Errors.InvalidArgument> =>
  isName(name)
    ? Effect.void
    : new Errors.InvalidArgument({
        field: "name",
        problem,
        expected: "1 to 255 characters without control characters, and no blanks at the ends"
      })
const isSha256: (text: string) => boolean = Schema.is(Sha256)

/** `debian-12` of `/images/debian-12.qcow2` and of `https://images.example/debian-12.qcow2?x=1`. */
const nameOf = (place: string): string => {
  const path = URL.canParse(place) ? new URL(place).pathname : place
  const file = path.slice(path.lastIndexOf("/") + 1)
  return file.replace(/(?<=.)\.[^.]*$/, "")
}

const make = Effect.gen(function* () {
  const inventory = yield* Inventory
  const library = yield* ImageLibrary
  const store = yield* ImageStore
  const fibers = yield* FiberMap.make<ImageId>()
  const turn = yield* Effect.makeSemaphore(atOnce)

  const remains = (image: Image) =>
    isKept(image.origin)
      ? Effect.catchAll(store.remove(image.config.source), (error) =>
          Effect.logWarning(`the file of an image remains: ${error.message}`)
        )
      : Effect.void

  /** Whoever may write to the folder must not have made a link of it meanwhile. */
  const stillThere = ({ config }: Image) =>
    store.registrable(config.source.path).pipe(
      Effect.filterOrFail(
        ({ path }) => path === config.source.path,
        () => new Errors.InvalidArgument({ field: "path", problem: "has become a link", expected: "the file itself" })
      ),
      Effect.mapError(({ message }) => new Errors.ImageRefused({ image: config.name, reason: `its ${message}` }))
    )

  /** To its end, from whatever is there. */
  const work = (id: ImageId) =>
    Effect.gen(function* () {
      const image = yield* inventory.image(id)
      // what is published is its operation's
      if (image.state !== "quarantine" || isPublished(image.origin)) return
      const { config, wanted } = image
      const judged = Effect.gen(function* () {
        if (wanted.url !== undefined) yield* store.fetch(config.source, wanted.url)
        const { sha256 } = yield* library.resolve(image)
        if (image.origin === "path") yield* stillThere(image)
        if (wanted.sha256 !== undefined && wanted.sha256 !== sha256) {
          return yield* new Errors.ImageRefused({
            image: config.name,
            reason: `its SHA-256 is ${sha256}, not ${wanted.sha256}: what came is not what was meant`
          })
        }
      }).pipe(
        Effect.timeoutFail({
          duration: longest,
          onTimeout: () =>
            new Errors.ImageRefused({
              image: config.name,
              reason: `it could not be fetched and checked within ${Duration.format(longest)}`
            })
        })
      )
      yield* judged.pipe(
        Effect.zipRight(inventory.settleImage(id, "available")),
        Effect.zipRight(Effect.log("image available")),
        Effect.catchTag("ImageRefused", ({ reason }) =>
          Effect.logWarning(`image refused: ${reason}`).pipe(
            Effect.zipRight(inventory.settleImage(id, "refused", reason)),
            Effect.zipRight(remains(image))
          )
        )
      )
    }).pipe(
      turn.withPermits(1),
      Effect.tapErrorTag("PersistenceError", (error) => Effect.logError(error.message)),
      Effect.retry({ schedule: Schedule.spaced("10 seconds"), while: ({ _tag }) => _tag === "PersistenceError" }),
      // deleted meanwhile
      Effect.catchAll((error) => Effect.logDebug(error.message)),
      Effect.annotateLogs({ imageid: id })
    )

  const take = (id: ImageId) => FiberMap.run(fibers, id, work(id), { onlyIfMissing: true })

  const report = (image: Image) =>
    isKept(image.origin) && (image.state === "uploading" || image.state === "quarantine")
      ? store.received(image.config.source).pipe(
          Effect.map(({ size }): ImageReport => ({ image, received: size })),
          // whoever sends it is told then; a list is of use without
          Effect.catchAll((error) =>
            Effect.as(Effect.logWarning(`what is there of image ${image.id}: ${error.message}`), { image, received: 0 })
          )
        )
      : Effect.succeed<ImageReport>({ image, received: null })

  const present = Effect.fnUntraced(function* (id: ImageId) {
    const image = yield* inventory.image(id)
    if (image.state !== "deleted") return image
    const known = (yield* inventory.images).map((one) => one.id)
    return yield* new Errors.ImageNotFound({ imageId: id, known })
  })

  const get = (id: ImageId) => Effect.flatMap(present(id), report)

  const wrong = (field: string, problem: string, expected: string) =>
    new Errors.InvalidArgument({ field, problem, expected })

  /** Where it comes from, and what is to be done for it. */
  const sourceOf = (name: string, { path, size, url }: AddImage) =>
    Effect.gen(function* () {
      const given = [path, url, size].filter((one) => one !== undefined).length
      if (given !== 1) {
        return yield* wrong(
          "path",
          given === 0 ? "is missing, and so are url and size" : "came with url or size",
          "just one of path, url and size"
        )
      }
      if (path !== undefined) {
        return { origin: "path", state: "quarantine", source: yield* store.registrable(path), wanted: {} } as const
      }
      if (url !== undefined) {
        const href = yield* store.fetchable(url)
        return {
          origin: "url",
          state: "quarantine",
          source: yield* store.place(name, 0),
          wanted: { url: href }
        } as const
      }
      if (size === undefined || !Number.isSafeInteger(size) || size < 1) {
        return yield* wrong("size", `is ${size}`, "a whole number of bytes from 1 on")
      }
      return { origin: "upload", state: "uploading", source: yield* store.place(name, size), wanted: { size } } as const
    })

  const add = Effect.fn("ImageIntake.add")(function* (given: AddImage) {
    const { format, path, sha256, url } = given
    const name = given.name ?? nameOf(path ?? url ?? "")
    yield* checkName(name, given.name === undefined ? "is missing" : undefined)
    if (sha256 !== undefined && !isSha256(sha256)) return yield* wrong("sha256", "is none", "64 of 0-9 and a-f")
    const intent = yield* Intent.Intent
    const { origin, source, state, wanted } = yield* sourceOf(name, given)
    const config = { source, name, ...(format === undefined ? {} : { format }) }
    if (origin === "path") yield* library.check(config)
    const image = yield* inventory.addImage(
      { config, origin, state, wanted: { ...wanted, ...(sha256 === undefined ? {} : { sha256 }) } },
      (others) => {
        const sent = others.filter((one) => one.state === "uploading")
        if (origin !== "upload") return Effect.void
        if (sent.length >= mostUploads) {
          const ids = sent.slice(0, 5).map(({ id }) => id)
          return new Errors.ImageConflict({
            image: JSON.stringify(name),
            reason: `would be one of more than ${mostUploads} that are being sent: end or delete some of them (${ids.join(", ")}, …)`
          })
        }
        return Effect.void
      },
      (made) => intent.confirm(() => ({ operation: null, image: { before: null, after: made } }))
    )
    if (image.state === "quarantine") yield* take(image.id)
    return image
  })

  const send = Effect.fn("ImageIntake.send")(function* (
    id: ImageId,
    offset: number,
    bytes: Stream.Stream<Uint8Array, Errors.InvalidArgument>,
    announced = 0
  ) {
    const image = yield* present(id)
    const { config, state, wanted } = image
    const conflict = (reason: string) => new Errors.ImageConflict({ image: `${id} (${config.name})`, reason })
    if (state !== "uploading" || wanted.size === undefined) {
      return yield* conflict(`is not being sent: it is ${state === "quarantine" ? "in quarantine" : state}`)
    }
    if (offset + announced > wanted.size) {
      return yield* conflict(
        `would have more than the ${wanted.size} bytes that were announced: send ${Math.max(0, wanted.size - offset)} from ${offset} on, and no more`
      )
    }
    const now = yield* store.append(config.source, offset, wanted.size, bytes).pipe(
      // named by its file there
      Effect.catchTag("ImageConflict", ({ reason }) => Effect.fail(conflict(reason)))
    )
    if (now === wanted.size) {
      yield* inventory.settleImage(id, "quarantine")
      yield* take(id)
    }
    return yield* get(id)
  })

  const remove = Effect.fn("ImageIntake.remove")(function* (id: ImageId, expect?: Revision.Expect) {
    const intent = yield* Intent.Intent
    const image = yield* inventory.deleteImage(id, Revision.checkImage(expect), (before) =>
      Effect.zipRight(
        intent.depends(() => Facts.ofImage(before)),
        intent.confirm(() => ({ operation: null, image: { before, after: null } }))
      )
    )
    yield* FiberMap.remove(fibers, id)
    yield* remains(image)
  })

  /** What an earlier process has left: before anybody asks for anything. */
  const takeUp = Effect.gen(function* () {
    const all = yield* inventory.allImages
    yield* store.sweep(all.filter(({ origin }) => isKept(origin)).map(({ config }): ImageSource => config.source))
    for (const image of all) {
      if (image.state === "uploading") {
        const { size } = yield* store.received(image.config.source)
        if (size !== image.wanted.size) continue
        yield* inventory.settleImage(image.id, "quarantine")
      } else if (image.state !== "quarantine") continue
      yield* take(image.id)
    }
  })
  yield* Effect.catchTag(takeUp, "ImageRefused", (error) =>
    Effect.logWarning(`images that were being added are not taken up: ${error.message}`)
  )

  const giveUp = Effect.gen(function* () {
    const before = (yield* Clock.currentTimeMillis) - Duration.toMillis(uploadPatience)
    for (const { config, createdAt, id, state } of yield* inventory.allImages) {
      if (state !== "uploading" || createdAt > before) continue
      if ((yield* store.received(config.source)).modified > before) continue
      yield* Effect.logWarning(`image ${id} (${config.name}) is given up: nothing of it was sent for a day`)
      yield* remove(id)
    }
  })
  yield* giveUp.pipe(
    Effect.catchAll((error) => Effect.logWarning(`looking for images that nobody sends any more: ${error.message}`)),
    Effect.delay(interval),
    Effect.forever,
    Effect.forkScoped
  )

  return ImageIntake.of({
    list: Effect.flatMap(inventory.allImages, (all) => Effect.forEach(all, report)),
    get: Effect.fn("ImageIntake.get")(get),
    add,
    send,
    checked: Effect.fn("ImageIntake.checked")((id) =>
      Effect.zipRight(
        Effect.flatMap(
          FiberMap.get(fibers, id).pipe(Effect.option),
          Option.match({ onNone: () => Effect.void, onSome: Fiber.await })
        ),
        get(id)
      )
    ),
    remove
  })
})

/** Goes on with what an earlier process has left unfinished, and stops with its scope: what runs then is taken up by the next. @since 0.7.0 @category layers */
export const layer: Layer.Layer<ImageIntake, Errors.PersistenceError, Inventory | ImageLibrary | ImageStore> =
  Layer.scoped(ImageIntake, make)
