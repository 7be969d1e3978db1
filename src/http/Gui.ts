/**
 * The web interface: the files that `npm run build` makes of `src/gui`, under `/ui/`. It is a client of the API like any other, so its files are open to
 * everybody: what they show is not.
 *
 * @since 0.7.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { readdir, readFile } from "node:fs/promises"
import { extname, join, relative, sep } from "node:path"
import { promisify } from "node:util"
import { gzip } from "node:zlib"
import * as Secrets from "./Secrets.ts"
import * as Revisions from "./v1/Revisions.ts"

/** Where it begins. @since 0.7.0 @category constants */
export const prefix = "/ui"

/**
 * What browsers hold it to: nothing of another site, and no script or style that is not a file of ours. Pictures may be `data:`, which is what noVNC makes
 * of a guest's mouse pointer and of the JPEGs of its screen: they ask nobody, and run nothing.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'"
].join("; ")

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".json": "application/json",
  ".woff2": "font/woff2"
}

const safe = {
  "content-security-policy": policy,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin"
}

interface File {
  readonly bytes: Uint8Array
  readonly zipped: Uint8Array
  readonly type: string
  readonly etag: string
}

type Files = ReadonlyMap<string, File>

class Unreadable extends Data.TaggedError("Unreadable")<{ readonly cause: unknown }> {}

/** Beside the built controller, and where the sources are run as they are, in what was built of them. */
const folders = ["../../gui/", "../../dist/gui/"].map((path) => new URL(path, import.meta.url).pathname)

const read = async (folder: string): Promise<Files> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const all = await Promise.all(
    files.map(async (file) => {
      const bytes = await readFile(file)
      const found: File = {
        bytes,
        zipped: await promisify(gzip)(bytes, { level: 9 }),
        type: types[extname(file)] ?? "application/octet-stream",
        etag: `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`
      }
      return [relative(folder, file).split(sep).join("/"), found] as const
    })
  )
  return new Map(all)
}

const answer = ({ headers }: HttpServerRequest.HttpServerRequest, file: File, cache: string) => {
  const common = { ...safe, "cache-control": cache, etag: file.etag, vary: "accept-encoding" }
  if (Revisions.names(headers["if-none-match"] ?? "", file.etag)) {
    return HttpServerResponse.empty({ status: 304, headers: common })
  }
  const zips = /\bgzip\b/.test(headers["accept-encoding"] ?? "")
  return HttpServerResponse.uint8Array(zips ? file.zipped : file.bytes, {
    contentType: file.type,
    headers: zips ? { ...common, "content-encoding": "gzip" } : common
  })
}

const missing = (words: string) =>
  HttpServerResponse.text(`${words}\n`, {
    status: 404,
    headers: { ...safe, "cache-control": "no-cache" }
  })

/**
 * What is asked for, or for a path of one of its pages the page that all of them are.
 *
 * @since 0.7.0 @category handlers
 */
export const handlerOf = (folder: string | undefined) =>
  Effect.map(
    // not `Effect.cached`: that would stay interrupted for all when whoever asks first goes away
    Effect.cachedInvalidateWithTTL(
      folder === undefined
        ? Effect.succeed<Files>(new Map())
        : Effect.tryPromise({ try: () => read(folder), catch: (cause) => new Unreadable({ cause }) }),
      Duration.infinity
    ),
    ([files, forget]) =>
      (request: HttpServerRequest.HttpServerRequest) =>
        Effect.match(
          Effect.tapError(files, () => forget),
          {
            onFailure: ({ cause }) => missing(`the files of the web interface cannot be read: ${String(cause)}`),
            onSuccess: (all) => {
              const name = Secrets.pathOf(request.url).replace(/^\/+ui\/*/i, "")
              const file = all.get(name)
              if (file !== undefined && name !== "index.html") {
                return answer(
                  request,
                  file,
                  name.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache"
                )
              }
              const page = all.get("index.html")
              if (page === undefined) return missing("the web interface is not built: npm run build makes it")
              if (name.startsWith("assets/")) return missing(`the web interface has no file ${name}`)
              return answer(request, page, "no-cache")
            }
          }
        )
  )

/** Whether a person's browser asks, which wants something to look at. */
const isBrowser = ({ headers, method }: HttpServerRequest.HttpServerRequest): boolean =>
  (method === "GET" || method === "HEAD") && (headers["accept"] ?? "").includes("text/html")

/** Where a browser that has only the controller's address is led; null: it is no browser. @since 0.7.0 @category handlers */
export const fromRoot = (request: HttpServerRequest.HttpServerRequest): HttpServerResponse.HttpServerResponse | null =>
  isBrowser(request) ? HttpServerResponse.redirect(`${prefix}/`, { headers: { vary: "accept" } }) : null

/** @since 0.7.0 @category layers */
export const layer = HttpLayerRouter.addAll(
  Effect.map(handlerOf(folders.find((folder) => existsSync(join(folder, "index.html")))), (handler) => [
    HttpLayerRouter.route("GET", prefix, handler),
    HttpLayerRouter.route("GET", `${prefix}/*`, handler)
  ])
)
