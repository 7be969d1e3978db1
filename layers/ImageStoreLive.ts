/**
 * Image files in a folder of the controller's machine, one to a file with a name that is never used twice.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as http from "node:http"
import * as https from "node:https"
import { isIP } from "node:net"
import { dirname, join, resolve as absolute, sep } from "node:path"
import { Transform } from "node:stream"
import { pipeline } from "node:stream/promises"
import packageJson from "../package.json" with { type: "json" }
import { type AddressRange, isPublic, isWithin } from "../src/config/Addresses.ts"
import { ImageConflict, ImageRefused, InvalidArgument } from "../src/domain/Errors.ts"
import { formatSource, type ImageSource } from "../src/domain/Image.ts"
import * as Uuid from "../src/domain/Uuid.ts"
import { ImageStore } from "../src/services/ImageStore.ts"
import * as Outbound from "./Outbound.ts"

/** @since 0.7.0 @category models */
export interface Options {
  /** where images are kept that are sent or fetched; made when the first one comes */
  readonly folder: string
  /** folders from whose files, and those of folders in them, images may be made */
  readonly paths: ReadonlyArray<string>
  /** addresses that are not public, and yet images may be fetched from there */
  readonly allow: ReadonlyArray<AddressRange>
  /** bytes that an image that is fetched may have at most; default: 256 GiB */
  readonly largest?: number
  /** authorities, PEM, in place of those that node knows */
  readonly ca?: string
  /** the addresses of a name; default: what DNS says */
  readonly resolve?: Outbound.Resolve
}

const gib = 1024 ** 3

/** What is left for all else on the disk. */
const reserve = gib

const redirects = 5

/** Nothing else in the folder is ever removed. */
const isOurs = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.image$/

/** All of it, where the system takes it in parts. */
const writeAll = async (file: fs.promises.FileHandle, bytes: Uint8Array, at: number): Promise<void> => {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done)
    done += bytesWritten
  }
}

/** After so many bytes it is looked again whether there is room for more. */
const lookEvery = 64 * 1024 * 1024

/** Blocks of a file that are not written where all of it is zero. */
const zeroBlock = Buffer.alloc(64 * 1024)

const isZero = (bytes: Uint8Array): boolean => zeroBlock.subarray(0, bytes.length).equals(bytes)

/** All of it but its zeros, which are there already where nothing was written. */
const writeSparsely = async (file: fs.promises.FileHandle, bytes: Uint8Array, at: number): Promise<void> => {
  const blockAt = (from: number) => bytes.subarray(from, from + zeroBlock.length)
  for (let from = 0; from < bytes.length;) {
    let to = from
    while (to < bytes.length && !isZero(blockAt(to))) to += zeroBlock.length
    if (to > from) await writeAll(file, bytes.subarray(from, to), at + from)
    from = to + zeroBlock.length
  }
}

/** To the head of the answer, and between any two parts of its body. */
const silence = 30_000

const refused = (source: ImageSource, reason: string, cause?: unknown): ImageRefused =>
  new ImageRefused({ image: formatSource(source), reason, ...(cause !== undefined && { cause }) })

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const isAbsent = (cause: unknown): boolean => cause instanceof Error && Outbound.codeOf(cause) === "ENOENT"

/** Something with the disk; absent files are for the caller to say. */
const disk = <A>(source: ImageSource, action: string, run: () => Promise<A>): Effect.Effect<A, ImageRefused> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => refused(source, `it cannot be ${action} (${messageOf(cause)})`, cause)
  })

const decimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 })

const units = ["bytes", "KiB", "MiB", "GiB", "TiB"]

/** In the unit that fits, as `976.6 KiB`. */
const sized = (bytes: number): string => {
  const scale = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${decimal.format(bytes / 1024 ** scale)} ${units[scale] ?? ""}`
}

const heldBack = `${sized(reserve)} of what is free there is kept for all else`

const make = (options: Options): Effect.Effect<ImageStore["Type"]> =>
  Effect.sync(() => {
    const { allow, largest = 256 * gib, paths, resolve = Outbound.byDns } = options
    const folder = absolute(options.folder)
    const writing = new Set<string>()

    /** Bytes that can still be written there. */
    const room = async (): Promise<number> => {
      // the nearest folder that is there
      let at = folder
      for (;;) {
        try {
          const { bavail, bsize } = await fs.promises.statfs(at)
          return bavail * bsize - reserve
        } catch (cause) {
          if (!isAbsent(cause) || dirname(at) === at) throw cause
          at = dirname(at)
        }
      }
    }

    const isKept = ({ host, path }: ImageSource): boolean => host === null && dirname(path) === folder

    const place = Effect.fn("ImageStore.place")(function* (name: string, size: number) {
      const file = yield* Uuid.make
      const conflict = (reason: string) => new ImageConflict({ image: JSON.stringify(name), reason })
      const left = yield* Effect.tryPromise({
        try: room,
        catch: (cause) => conflict(`cannot be kept in ${folder} (${messageOf(cause)})`)
      })
      if (size > left) {
        return yield* conflict(
          `of ${sized(size)} has no room in ${folder}, where there is room for ${sized(Math.max(0, left))}: ${heldBack}`
        )
      }
      return { host: null, path: join(folder, `${file}.image`) }
    })

    const registrable = (path: string) =>
      Effect.gen(function* () {
        const wrong = (problem: string) => new InvalidArgument({ field: "path", problem, expected })
        const where = paths.length === 0 ? "none, for it was started without --image-path" : paths.join(", ")
        const expected = `the full path of a file on the controller's machine under one of the folders it offers (${where})`
        // what is outside of them is not looked at, so that nobody learns what there is
        const under = (folders: ReadonlyArray<string>, file: string) =>
          folders.some((one) => file.startsWith(one.endsWith(sep) ? one : one + sep))
        if (!path.startsWith("/") || path.split("/").includes("..") || !under(paths, path)) {
          return yield* wrong("is none that may be offered")
        }
        const real = yield* Effect.tryPromise({
          try: async () => ({
            file: await fs.promises.realpath(path),
            folders: await Promise.all(paths.map((one) => fs.promises.realpath(one).catch(() => one)))
          }),
          catch: (cause) => wrong(isAbsent(cause) ? "is no file that is there" : "cannot be read")
        })
        if (!under(real.folders, real.file)) return yield* wrong("leads out of the folders that may be offered")
        return { host: null, path: real.file }
      }).pipe(Effect.withSpan("ImageStore.registrable"))

    const mayReach = (address: string): boolean => isPublic(address) || isWithin(allow, address)
    const notThere = (name: string, addresses: ReadonlyArray<string>): string => {
      const where = addresses.join(", ")
      const what = name === where ? where : `${name} (${where})`
      return `nothing is fetched from ${what}, which is no public address: the controller has to be started with --image-allow for it`
    }
    const lookup = Outbound.lookup(resolve, mayReach, notThere)

    /** Why nothing is fetched from there, as far as it can be told from the URL alone; null: it may be. */
    const objection = (text: string): { readonly problem: string; readonly expected: string } | null => {
      const form = "a URL as in https://images.example/debian-12.qcow2"
      if (text.length > 2000) return { problem: `has ${text.length} characters`, expected: "2000 at most" }
      if (!URL.canParse(text)) return { problem: "is no URL", expected: form }
      const url = new URL(text)
      if (url.protocol !== "https:" && url.protocol !== "http:")
        return { problem: "is none of http or https", expected: form }
      if (url.username !== "" || url.password !== "") {
        return {
          problem: "has a user name or a password",
          expected: "none in it, for all who may see images would see them"
        }
      }
      const host = Outbound.hostOf(url)
      const known = isIP(host) !== 0 ? [host] : Outbound.isLocalName(host) ? Outbound.loopback : null
      return known === null || known.some(mayReach)
        ? null
        : { problem: "leads where nothing may be fetched from", expected: `${form}; ${notThere(host, known)}` }
    }

    const fetchable = (text: string) =>
      Effect.suspend(() => {
        const wrong = objection(text)
        return wrong === null ? Effect.succeed(new URL(text).href) : new InvalidArgument({ field: "url", ...wrong })
      })

    const received = (source: ImageSource) =>
      Effect.map(
        disk(source, "looked at", () =>
          fs.promises.stat(source.path).catch((cause: unknown) => {
            if (isAbsent(cause)) return null
            throw cause
          })
        ),
        (found) => (found === null ? { size: 0, modified: 0 } : { size: found.size, modified: found.mtimeMs })
      )

    const append: ImageStore["Type"]["append"] = (source, offset, size, bytes) =>
      Effect.acquireUseRelease(
        Effect.suspend(() => {
          const conflict = (reason: string) => new ImageConflict({ image: source.path, reason })
          if (!isKept(source)) return Effect.dieMessage(`${source.path} is not kept in ${folder}`)
          if (writing.has(source.path))
            return conflict("is being sent by somebody else at this moment: try again later")
          writing.add(source.path)
          return Effect.void
        }),
        () =>
          Effect.scoped(
            Effect.gen(function* () {
              yield* disk(source, "kept", () => fs.promises.mkdir(folder, { recursive: true, mode: 0o700 }))
              const file = yield* Effect.acquireRelease(
                disk(source, "written", () =>
                  fs.promises.open(
                    source.path,
                    fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW,
                    0o600
                  )
                ),
                (file) => Effect.promise(() => file.close())
              )
              let at = (yield* disk(source, "looked at", () => file.stat())).size
              if (at !== offset) {
                return yield* new ImageConflict({
                  image: source.path,
                  reason: `has ${at} bytes, not ${offset}: go on from there`
                })
              }
              yield* Stream.runForEach(bytes, (chunk) =>
                Effect.gen(function* () {
                  if (at + chunk.length > size) {
                    return yield* new ImageConflict({
                      image: source.path,
                      reason: `would have more than the ${size} bytes that were announced: send no more than those`
                    })
                  }
                  yield* Effect.uninterruptible(disk(source, "written", () => writeAll(file, chunk, at)))
                  at += chunk.length
                })
              )
              yield* disk(source, "written", () => file.datasync())
              return at
            })
          ),
        () => Effect.sync(() => void writing.delete(source.path))
      )

    const write: ImageStore["Type"]["write"] = (source, pieces) =>
      isKept(source)
        ? Effect.gen(function* () {
            yield* disk(source, "kept", () => fs.promises.mkdir(folder, { recursive: true, mode: 0o700 }))
            const file = yield* Effect.acquireRelease(
              disk(source, "written", () => {
                const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = fs.constants
                return fs.promises.open(source.path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600)
              }),
              (file) => Effect.promise(() => file.close())
            )
            let end = 0
            let unlooked = lookEvery
            yield* Stream.runForEach(pieces, ({ bytes, offset }) =>
              Effect.gen(function* () {
                unlooked += bytes.length
                if (unlooked >= lookEvery) {
                  unlooked = 0
                  if ((yield* disk(source, "written", room)) < lookEvery) {
                    return yield* refused(source, `it has no room in ${folder}: make room there, and publish it again`)
                  }
                }
                // what is under way is ended first, so that nothing is written after the file was closed
                yield* Effect.uninterruptible(disk(source, "written", () => writeSparsely(file, bytes, offset)))
                end = Math.max(end, offset + bytes.length)
              })
            )
            yield* disk(source, "written", () => file.truncate(end))
            yield* disk(source, "written", () => file.sync())
          }).pipe(Effect.scoped, Effect.withSpan("ImageStore.write"))
        : Effect.dieMessage(`${source.path} is not kept in ${folder}`)

    /** One answer of success, wherever it is led to. */
    const open = async (source: ImageSource, first: string, signal: AbortSignal): Promise<http.IncomingMessage> => {
      let url = new URL(first)
      for (let hop = 0; hop <= redirects; hop++) {
        const wrong = objection(url.href)
        if (wrong !== null)
          throw refused(source, `its address ${url.origin} ${wrong.problem}: expected ${wrong.expected}`)
        const host = Outbound.hostOf(url)
        const secure = url.protocol === "https:"
        const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
          const request = (secure ? https : http).get(url, {
            agent: false,
            lookup,
            signal,
            timeout: silence,
            headers: { "user-agent": `vmfabric/${packageJson.version}`, "accept-encoding": "identity" },
            ...(options.ca === undefined ? {} : { ca: options.ca })
          })
          request.on("response", resolve)
          request.on("timeout", () => request.destroy(new Error(`it was silent for ${silence / 1000} seconds`)))
          request.on("error", (error) =>
            reject(refused(source, `it could not be fetched: ${Outbound.failure(host, error).reason}`, error))
          )
        })
        const { headers, statusCode: status = 0 } = response
        if (status === 200) return response
        response.destroy()
        const { location } = headers
        if (![301, 302, 303, 307, 308].includes(status) || location === undefined) {
          throw refused(source, `it could not be fetched: ${host} answers ${status}`)
        }
        if (!URL.canParse(location, url.href)) throw refused(source, `it could not be fetched: ${host} leads to no URL`)
        const next = new URL(location, url)
        if (!/^https?:$/.test(next.protocol)) {
          throw refused(
            source,
            `it could not be fetched: ${host} leads to ${next.protocol}, which is none of http or https`
          )
        }
        if (secure && next.protocol === "http:") {
          throw refused(source, `it could not be fetched: ${host} leads from https to http`)
        }
        url = next
      }
      throw refused(source, `it could not be fetched: it leads on more than ${redirects} times`)
    }

    const download = async (source: ImageSource, url: string, signal: AbortSignal): Promise<void> => {
      const response = await open(source, url, signal)
      try {
        const { headers } = response
        const left = Math.max(0, await room())
        const most = Math.min(largest, left)
        const tooLarge = (size: string) =>
          refused(
            source,
            left < largest
              ? `it has ${size}, and there is room for ${sized(left)} in ${folder}: ${heldBack}`
              : `it has ${size}, and no more than ${sized(largest)} are taken`
          )
        const encoding = headers["content-encoding"]
        if (encoding !== undefined && encoding !== "identity") {
          throw refused(
            source,
            `it comes as ${JSON.stringify(encoding.slice(0, 20))}, although it was asked for as it is`
          )
        }
        const announced = Number(headers["content-length"] ?? 0)
        if (announced > most) throw tooLarge(sized(announced))
        let size = 0
        const bounded = new Transform({
          transform: (chunk: Buffer, _, done) => {
            size += chunk.length
            if (size > most) done(tooLarge("more"))
            else done(null, chunk)
          }
        })
        await fs.promises.mkdir(folder, { recursive: true, mode: 0o700 })
        const written = fs.createWriteStream(source.path, { flags: "w", mode: 0o600 })
        await pipeline(response, bounded, written, { signal }).catch((cause: unknown) => {
          const isCut = response.errored !== null && response.errored === cause && !signal.aborted
          if (!isCut || cause instanceof ImageRefused) throw cause
          const of = announced === 0 ? "" : ` of ${sized(announced)}`
          throw refused(
            source,
            `it could not be fetched: the connection was cut when ${sized(size)}${of} had come: delete it, and add it again`,
            cause
          )
        })
        const file = await fs.promises.open(source.path, "r+")
        await file.datasync().finally(() => file.close())
      } finally {
        response.destroy()
      }
    }

    const fetch: ImageStore["Type"]["fetch"] = (source, url) =>
      isKept(source)
        ? Effect.tryPromise({
            try: (signal) => download(source, url, signal),
            catch: (cause) =>
              cause instanceof ImageRefused
                ? cause
                : refused(source, `it could not be fetched (${messageOf(cause)})`, cause)
          }).pipe(Effect.withSpan("ImageStore.fetch"))
        : Effect.dieMessage(`${source.path} is not kept in ${folder}`)

    const remove = (source: ImageSource) =>
      isKept(source)
        ? disk(source, "removed", () => fs.promises.rm(source.path, { force: true }))
        : Effect.dieMessage(`${source.path} is not kept in ${folder}`)

    const sweep = (keep: ReadonlyArray<ImageSource>) =>
      Effect.gen(function* () {
        const known = new Set(keep.map(({ path }) => path))
        const at = { host: null, path: folder }
        const names = yield* disk(at, "read", () =>
          fs.promises.readdir(folder).catch((cause: unknown): ReadonlyArray<string> => {
            if (isAbsent(cause)) return []
            throw cause
          })
        )
        const left = names.filter((name) => isOurs.test(name) && !known.has(join(folder, name)))
        yield* Effect.forEach(left, (name) => remove({ host: null, path: join(folder, name) }), { discard: true })
        if (left.length > 0) yield* Effect.log(`removed ${left.length} files of images that are no more`)
      })

    return ImageStore.of({ place, registrable, fetchable, received, append, write, fetch, remove, sweep })
  })

/** @since 0.7.0 @category layers */
export const layer = (options: Options): Layer.Layer<ImageStore> => Layer.effect(ImageStore, make(options))
