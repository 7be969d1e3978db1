/**
 * Images as files: on the machine the controller runs on, or on another one by SSH.
 *
 * What counts is what is handed out. `read` judges the header of the very bytes it streams and compares their hash at the end, so
 * whatever happens to a file between `check`, `resolve` and `read` can only make `read` fail.
 *
 * @since 0.1.0
 */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Crypto from "node:crypto"
import { ImageRefused, type PersistenceError } from "../src/domain/Errors.ts"
import type { HostAddress } from "../src/domain/Host.ts"
import type { ImageId } from "../src/domain/Ids.ts"
import {
  formatSource,
  type Image,
  type ImageConfig,
  type ImageContent,
  type ImageFormat,
  type ImageSource
} from "../src/domain/Image.ts"
import * as ImageHeader from "../src/domain/ImageHeader.ts"
import * as Trail from "../src/observability/Trail.ts"
import { ImageLibrary } from "../src/services/ImageLibrary.ts"
import { Inventory } from "../src/services/Inventory.ts"
import { Ssh, type SshError } from "../src/services/Ssh.ts"

/** Tells one version of a file from the next: bytes, and milliseconds since 1970. @since 0.1.0 @category models */
export interface Version {
  readonly fileSize: number
  readonly modified: number
}

/**
 * An image's file, opened. All of it is about the same file, also when its name is given to another one meanwhile; on another
 * machine, where each method is a program of its own, `version` tells whether that held.
 *
 * @since 0.1.0 @category models
 */
export interface OpenImage {
  readonly version: Effect.Effect<Version, ImageRefused>
  readonly ends: (fileSize: number) => Effect.Effect<ImageHeader.ImageEnds, ImageRefused>
  /** from its start to its end */
  readonly bytes: Stream.Stream<Uint8Array, ImageRefused>
  /** hashes it where it is; absent: by reading `bytes` */
  readonly sha256?: (fileSize: number) => Effect.Effect<string, ImageRefused>
}

/** @since 0.1.0 @category models */
export type OpenSource = (source: ImageSource) => Effect.Effect<OpenImage, ImageRefused, Scope.Scope>

const refuse = (source: ImageSource, reason: string, cause?: unknown): ImageRefused =>
  new ImageRefused({ image: formatSource(source), reason, ...(cause !== undefined && { cause }) })

const changed = "it changed while it was read: try again when nobody writes to it"

/** The first and last bytes, the number and the hash of bytes as they pass. Keeps 1 MiB, whatever passes. */
class Meter {
  readonly #hash = Crypto.createHash("sha256")
  readonly #head: Array<Uint8Array> = []
  #tail: Uint8Array = new Uint8Array()
  #headLength = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  add(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#size += bytes.length
    if (this.#headLength < ImageHeader.headSize) {
      // copies: whoever gets the chunk next may reuse it
      const part = bytes.slice(0, ImageHeader.headSize - this.#headLength)
      this.#head.push(part)
      this.#headLength += part.length
    }
    const wanted = ImageHeader.tailSize
    this.#tail =
      bytes.length >= wanted
        ? bytes.slice(bytes.length - wanted)
        : Buffer.concat([this.#tail, bytes]).subarray(-Math.min(wanted, this.#tail.length + bytes.length))
  }

  get head(): Uint8Array {
    return Buffer.concat(this.#head)
  }

  get tail(): Uint8Array {
    return this.#tail
  }

  /** ends the hash: once only */
  sha256(): string {
    return this.#hash.digest("hex")
  }
}

/**
 * The library over any way to open files.
 *
 * @since 0.1.0 @category constructors
 */
export const make = (open: OpenSource) =>
  Effect.gen(function* () {
    const inventory = yield* Inventory
    // images whose bytes were not what is in the inventory: size and time alone are not believed any more
    const distrusted = new Set<ImageId>()

    const judge = (
      source: ImageSource,
      ends: ImageHeader.ImageEnds,
      declared: ImageFormat | undefined
    ): Effect.Effect<ImageHeader.ImageFacts, ImageRefused> =>
      Either.match(ImageHeader.inspect(ends, declared), {
        onLeft: (reason) => Effect.fail(refuse(source, reason)),
        onRight: (facts) => Effect.succeed(facts)
      })

    const check = Effect.fn("ImageLibrary.check")(function* (config: ImageConfig) {
      const file = yield* open(config.source)
      const { fileSize } = yield* file.version
      yield* judge(config.source, yield* file.ends(fileSize), config.format)
    }, Effect.scoped)

    /** Hashes what is opened; the header is judged first, so that a file that is refused anyway is not read for hours. */
    const measure = Effect.fnUntraced(function* (image: Image, file: OpenImage, version: Version) {
      const { format, source } = image.config
      const { fileSize } = version
      const facts = yield* judge(source, yield* file.ends(fileSize), format)
      yield* Effect.logInfo("hashing the image").pipe(Effect.annotateLogs({ fileSize }))
      const started = yield* Clock.currentTimeMillis
      let sha256: string
      if (file.sha256 !== undefined) {
        sha256 = yield* file.sha256(fileSize)
      } else {
        const meter = new Meter()
        let told = started
        yield* Stream.runForEach(file.bytes, (bytes) =>
          Effect.gen(function* () {
            meter.add(bytes)
            if (meter.size > fileSize) return yield* refuse(source, changed)
            const now = yield* Clock.currentTimeMillis
            if (now - told < 5000) return
            told = now
            yield* Effect.logInfo(`hashing the image: ${Math.floor((meter.size / fileSize) * 100)} %`)
          })
        )
        if (meter.size !== fileSize) return yield* refuse(source, changed)
        // the same bytes that were hashed, not the ones read before
        const hashed = yield* judge(source, { head: meter.head, tail: meter.tail, fileSize }, format)
        if (hashed.format !== facts.format || hashed.virtualSize !== facts.virtualSize) {
          return yield* refuse(source, changed)
        }
        sha256 = meter.sha256()
      }
      const after = yield* file.version
      if (after.fileSize !== fileSize || after.modified !== version.modified) return yield* refuse(source, changed)
      const took = (yield* Clock.currentTimeMillis) - started
      yield* Effect.logInfo("hashed the image").pipe(Effect.annotateLogs({ sha256, milliseconds: took }))
      return { ...facts, ...version, sha256 } satisfies ImageContent
    })

    const find = (id: ImageId): Effect.Effect<ImageContent, ImageRefused | PersistenceError, Scope.Scope> =>
      Effect.gen(function* () {
        // anew: the caller's copy may be older than what another one has found out
        const image = yield* inventory
          .image(id)
          .pipe(
            Effect.catchTag("ImageNotFound", (cause) =>
              Effect.fail(new ImageRefused({ image: `${id}`, reason: "the inventory does not have it", cause }))
            )
          )
        const { config, content } = image
        const file = yield* open(config.source)
        const version = yield* file.version
        const known =
          content !== null &&
          !distrusted.has(id) &&
          content.fileSize === version.fileSize &&
          content.modified === version.modified &&
          (config.format === undefined || config.format === content.format)
        if (known) return content
        const found = yield* measure(image, file, version).pipe(Effect.annotateLogs({ image: config.name }))
        // whoever replaces a file of the image file means it; one that was added was checked for good
        if (image.origin !== "file" && content !== null && content.sha256 !== found.sha256) {
          return yield* refuse(
            config.source,
            "its file has been changed since it was added: delete the image and add it again"
          )
        }
        yield* inventory.setImageContent(id, found)
        distrusted.delete(id)
        return found
      })

    // one reading of an image at a time: whoever asks meanwhile gets its result; when nobody waits any more it is given up
    const readings = yield* RcMap.make({ lookup: find })

    const resolve = (image: Image) =>
      Effect.scoped(RcMap.get(readings, image.id)).pipe(
        Trail.span("ImageLibrary.resolve", { attributes: { imageId: image.id } })
      )

    const read = (image: Image, content: ImageContent): Stream.Stream<Uint8Array, ImageRefused> => {
      const { source } = image.config
      const { fileSize } = content
      const distrust = Effect.sync(() => distrusted.add(image.id))
      const differs = Effect.zipRight(distrust, Effect.fail(refuse(source, changed)))
      const judged = (ends: ImageHeader.ImageEnds) =>
        judge(source, ends, content.format).pipe(
          Effect.tapError(() => distrust),
          Effect.flatMap((facts) => (facts.virtualSize === content.virtualSize ? Effect.void : differs))
        )
      return Stream.unwrapScoped(
        Effect.gen(function* () {
          const file = yield* open(source)
          if ((yield* file.version).fileSize !== fileSize) return yield* differs
          const meter = new Meter()
          const headSize = Math.min(fileSize, ImageHeader.headSize)
          // nothing is handed out before the header has been judged
          let withheld: Array<Uint8Array> | undefined = []
          const pass = (bytes: Uint8Array): Effect.Effect<ReadonlyArray<Uint8Array>, ImageRefused> =>
            Effect.suspend(() => {
              meter.add(bytes)
              if (meter.size > fileSize) return differs
              if (withheld === undefined) return Effect.succeed([bytes])
              withheld.push(bytes)
              if (meter.size < headSize) return Effect.succeed([])
              const ready = withheld
              withheld = undefined
              return Effect.as(judged({ head: meter.head, fileSize }), ready)
            })
          const end = Effect.suspend(() =>
            meter.size === fileSize && meter.sha256() === content.sha256
              ? judged({ head: meter.head, tail: meter.tail, fileSize })
              : differs
          )
          return file.bytes.pipe(Stream.mapConcatEffect(pass), Stream.concat(Stream.execute(end)))
        })
      ).pipe(Stream.withSpan("ImageLibrary.read", { attributes: { imageId: image.id } }))
    }

    return ImageLibrary.of({ check, resolve, read })
  })

// --- this machine ---------------------------------------------------------------------------------------------------

const chunkSize = 256 * 1024

const kinds: Record<Exclude<FileSystem.File.Type, "File">, string> = {
  Directory: "a folder",
  SymbolicLink: "a symbolic link",
  BlockDevice: "a block device",
  CharacterDevice: "a character device",
  FIFO: "a named pipe",
  Socket: "a socket",
  Unknown: "a special file"
}

const notRegular = (what: string): string => `it is ${what}: name a regular file`

const openLocal =
  (fs: FileSystem.FileSystem): OpenSource =>
  (source) => {
    const orRefuse = <A, R>(effect: Effect.Effect<A, PlatformError, R>): Effect.Effect<A, ImageRefused, R> =>
      Effect.mapError(effect, (error) => refuse(source, unreadable(error), error))
    const regular = (info: FileSystem.File.Info): Effect.Effect<FileSystem.File.Info, ImageRefused> =>
      info.type === "File" ? Effect.succeed(info) : Effect.fail(refuse(source, notRegular(kinds[info.type])))
    return Effect.gen(function* () {
      // looked at before it is opened, because to open a pipe or a device can block or act; and again when it is open, because
      // the name may have been given to another file between the two
      yield* Effect.flatMap(orRefuse(fs.stat(source.path)), regular)
      const file = yield* orRefuse(fs.open(source.path, { flag: "r" }))
      yield* Effect.flatMap(orRefuse(file.stat), regular)
      const part = (offset: number, length: number) =>
        Effect.gen(function* () {
          yield* file.seek(offset, "start")
          const parts: Array<Uint8Array> = []
          for (let left = length; left > 0;) {
            const bytes = yield* orRefuse(file.readAlloc(left))
            if (Option.isNone(bytes)) break
            parts.push(bytes.value)
            left -= bytes.value.length
          }
          return Buffer.concat(parts)
        })
      return {
        version: Effect.map(orRefuse(file.stat), (info) => ({
          fileSize: Number(info.size),
          modified: Option.match(info.mtime, { onNone: () => 0, onSome: (time) => time.getTime() })
        })),
        ends: (fileSize) =>
          Effect.gen(function* () {
            const head = yield* part(0, Math.min(fileSize, ImageHeader.headSize))
            const tail = yield* part(Math.max(0, fileSize - ImageHeader.tailSize), ImageHeader.tailSize)
            return { head, tail, fileSize }
          }),
        bytes: Stream.unwrap(
          Effect.as(
            file.seek(0, "start"),
            Stream.repeatEffectOption(
              Effect.flatMap(
                Effect.mapError(orRefuse(file.readAlloc(chunkSize)), Option.some),
                Option.match({ onNone: () => Effect.fail(Option.none()), onSome: Effect.succeed })
              )
            )
          )
        )
      }
    })
  }

const unreadable = (error: PlatformError): string => {
  if (error._tag === "SystemError" && error.reason === "NotFound") {
    return "there is no such file: put it there, or correct the image file"
  }
  if (error._tag === "SystemError" && error.reason === "PermissionDenied") {
    return "it may not be read: let the user who runs vmfabric read it"
  }
  return `it cannot be read (${error.message})`
}

// --- another machine ------------------------------------------------------------------------------------------------

/**
 * Hashing is done there, by sha256sum: reading a large image through SSH only to hash it would take as long as sending it. The header
 * then comes from another reading than the hash. That is not relied on: `version` before and after catches accidents, and `read`
 * judges and hashes the bytes it hands out itself.
 */
const openRemote =
  (ssh: Ssh["Type"], address: HostAddress): OpenSource =>
  (source) => {
    const { path } = source
    const orRefuse = <A>(effect: Effect.Effect<A, SshError>): Effect.Effect<A, ImageRefused> =>
      Effect.mapError(effect, (error) => refuse(source, remoteReason(error), error))
    const text = (argv: readonly [string, ...Array<string>], timeout?: Duration.DurationInput) =>
      Effect.map(orRefuse(ssh.exec(address, argv, timeout === undefined ? {} : { timeout })), ({ stdout }) =>
        new TextDecoder().decode(stdout)
      )
    // %f, the mode in hex, and not %F, whose words depend on the language set there
    const version = Effect.flatMap(text(["stat", "-L", "-c", "%s %Y %f", "--", path]), (line) => {
      const match = /^([0-9]{1,15}) (-?[0-9]{1,12}) ([0-9a-f]{1,8})\n?$/.exec(line)
      if (match === null) return Effect.fail(refuse(source, `stat answered ${JSON.stringify(line.slice(0, 80))} there`))
      const [, size, seconds, mode = ""] = match
      return (parseInt(mode, 16) & 0o170000) === 0o100000
        ? Effect.succeed({ fileSize: Number(size), modified: Number(seconds) * 1000 })
        : Effect.fail(refuse(source, notRegular("a folder, a device or another special file")))
    })
    const end = (program: "head" | "tail", bytes: number) =>
      Effect.map(
        orRefuse(ssh.exec(address, [program, "-c", `${bytes}`, "--", path], { maxOutput: bytes })),
        ({ stdout }) => stdout
      )
    return Effect.succeed({
      version,
      ends: (fileSize) =>
        Effect.all(
          {
            head: end("head", ImageHeader.headSize),
            tail: end("tail", ImageHeader.tailSize),
            fileSize: Effect.succeed(fileSize)
          },
          { concurrency: "unbounded" }
        ),
      bytes: ssh
        .stream(address, ["cat", "--", path])
        .pipe(Stream.mapError((error) => refuse(source, remoteReason(error), error))),
      // a minute, and what a slow disk of 10 MB/s would take
      sha256: (fileSize) =>
        Effect.flatMap(text(["sha256sum", "-b", "--", path], Duration.seconds(60 + fileSize / 10e6)), (line) => {
          // a leading backslash tells that the name behind the hash is escaped
          const sha256 = /^\\?([0-9a-f]{64}) /.exec(line)?.[1]
          return sha256 === undefined
            ? Effect.fail(refuse(source, `sha256sum answered ${JSON.stringify(line.slice(0, 80))} there`))
            : Effect.succeed(sha256)
        })
    })
  }

const remoteReason = (error: SshError): string => {
  const { reason } = error
  if (reason._tag !== "SshCommandFailed") return error.message
  if (reason.stderr.includes("No such file or directory")) {
    return "there is no such file: put it there, or correct the image file"
  }
  if (reason.stderr.includes("Permission denied")) return "it may not be read: let that user read it"
  return error.message
}

/**
 * Needs the file system of this machine, SSH for images on others, and the inventory, which keeps what was found out.
 *
 * @since 0.1.0 @category layers
 */
export const layer: Layer.Layer<ImageLibrary, never, FileSystem.FileSystem | Ssh | Inventory> = Layer.scoped(
  ImageLibrary,
  Effect.gen(function* () {
    const local = openLocal(yield* FileSystem.FileSystem)
    const ssh = yield* Ssh
    return yield* make((source) => (source.host === null ? local(source) : openRemote(ssh, source.host)(source)))
  })
)
