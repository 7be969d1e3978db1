/**
 * What each route needs its sender to be.
 *
 * @since 0.4.0
 */
import * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as HttpMethod from "@effect/platform/HttpMethod"
import * as Context from "effect/Context"
import { ComparesPassword, Needs, Recorded } from "../api/Access.ts"
import type { Role } from "../domain/Identity.ts"
import * as Failures from "./Failures.ts"

/** @since 0.4.0 @category models */
export interface Need {
  readonly role: Role | "nobody"
  /** whether something may be different afterwards: such requests are recorded */
  readonly changes: boolean
  readonly comparesPassword: boolean
  /** whether its handler may ask who it is; those that only show what the original shows do not */
  readonly asksWho: boolean
  /** what its answer has beside `error` when it is refused */
  readonly failed: object
}

/** @since 0.4.0 @category models */
export interface Entry {
  readonly method: HttpMethod.HttpMethod
  readonly path: HttpLayerRouter.PathInput
  readonly need: Need
}

/** A route that is missing here does not compile. */
const original: Readonly<Record<Failures.Path, Role>> = {
  "/vm/create": "operator",
  "/vm/query": "viewer",
  "/vm/destroy": "operator",
  "/vm/types": "viewer",
  "/image/list": "viewer",
  "/pm/list": "viewer",
  "/pm/query": "viewer",
  "/pm/listvms": "viewer",
  "/volume/create": "operator",
  "/volume/query": "viewer",
  "/volume/destroy": "operator",
  "/volume/attach": "operator",
  "/volume/detach": "operator",
  "/volume/list": "viewer",
  "/volume/grow": "operator",
  "/volume/rename": "operator",
  "/volume/restore": "operator",
  "/volume/purge": "operator",
  "/volume/clone": "operator",
  "/volume/revert": "operator",
  "/snapshot/create": "operator",
  "/snapshot/list": "viewer",
  "/snapshot/destroy": "operator",
  "/pool/list": "viewer",
  "/vm/list": "viewer",
  "/vm/status": "viewer",
  "/vm/repair": "operator",
  "/drift/list": "viewer",
  "/foreign/list": "viewer",
  "/pm/status": "viewer",
  "/pm/maintenance": "admin",
  "/pm/look": "operator",
  "/operation/list": "viewer",
  "/operation/query": "viewer",
  "/operation/cancel": "operator"
}

/** What tells a supervisor or a load balancer how the process does and nothing else, what the API is, and the files of the web interface: no secrets. */
const open: ReadonlyArray<HttpLayerRouter.PathInput> = [
  "/healthz",
  "/readyz",
  "/openapi.json",
  "/docs",
  "/",
  "/ui",
  "/ui/*"
]

const entry = (
  method: HttpMethod.HttpMethod,
  path: HttpLayerRouter.PathInput,
  need: Partial<Need> & Pick<Need, "role">
): Entry => ({
  method,
  path,
  need: { changes: false, comparesPassword: false, asksWho: need.changes === true, failed: {}, ...need }
})

const isOriginal = (path: string): path is Failures.Path => path in original

/** The original's routes and those in its manner, which change things by GET, too; the figures; and the open ones. @since 0.4.0 @category constants */
export const plain: ReadonlyArray<Entry> = [
  ...Object.entries(original).flatMap(([path, role]) =>
    isOriginal(path)
      ? (["GET", "POST"] as const).map((method) =>
          entry(method, path, { role, changes: role !== "viewer", failed: Failures.shapes[path] })
        )
      : []
  ),
  entry("GET", "/metrics", { role: "viewer" }),
  ...open.map((path) => entry("GET", path, { role: "nobody" }))
]

/** The endpoints of an API, by their annotation `Needs`. @since 0.4.0 @category conversions */
export const ofApi = <Id extends string, Groups extends HttpApiGroup.HttpApiGroup.Any, E, R>(
  api: HttpApi.HttpApi<Id, Groups, E, R>
): ReadonlyArray<Entry> => {
  const entries: Array<Entry> = []
  HttpApi.reflect(api, {
    onGroup: () => undefined,
    onEndpoint: ({ endpoint: { method, path }, mergedAnnotations }) => {
      const need = {
        role: Context.get(mergedAnnotations, Needs),
        changes:
          (method !== "GET" && method !== "HEAD" && method !== "OPTIONS") || Context.get(mergedAnnotations, Recorded),
        comparesPassword: Context.get(mergedAnnotations, ComparesPassword),
        asksWho: true,
        failed: {}
      }
      entries.push({ method, path, need })
    }
  })
  return entries
}

const mostFound = 1000

/** Who is known sees that there is no such route. */
const unknownRoute: Need = { role: "viewer", changes: false, comparesPassword: false, asksWho: true, failed: {} }

/**
 * What a request needs. It is found the way the router finds the route, by the router's own code: letter case, doubled and trailing
 * slashes, escapes and whole URLs mean to both the same.
 *
 * @since 0.4.0 @category constructors
 */
export const make = (entries: ReadonlyArray<Entry>): ((method: string, url: string) => Need) => {
  // however long a parameter may be for the router: what it finds has to be found here, too
  const router = HttpLayerRouter.FindMyWay.make<Need>({ maxParamLength: Number.MAX_SAFE_INTEGER })
  for (const { method, need, path } of entries) router.on(method, path, need)
  const find = (method: string, path: string): Need =>
    (router.find(method, path) ?? (method === "HEAD" ? router.find("GET", path) : undefined))?.handler ?? unknownRoute
  // most requests are for few paths
  const found = new Map<string, Need>()
  return (method, url) => {
    // without the query, but where it may be something else
    const end = url.startsWith("/") ? url.indexOf("?") : -1
    const path = end === -1 ? url : url.slice(0, end)
    const key = `${method} ${path}`
    const known = found.get(key)
    if (known !== undefined) return known
    const need = find(method, path)
    if (found.size >= mostFound) found.clear()
    found.set(key, need)
    return need
  }
}
