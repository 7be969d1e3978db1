/** Who is let in where: every route that the router is given, as it is given them, so that none can be forgotten here. */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Access from "../../src/api/Access.ts"
import { api } from "../../src/api/Api.ts"
import * as Needs from "../../src/http/Needs.ts"
import * as Guarded from "./Guarded.ts"

const roles = ["viewer", "operator", "admin"] as const
type Least = "nobody" | (typeof roles)[number]

const rank = { nobody: -1, viewer: 0, operator: 1, admin: 2 }

/** What the guard says, and nobody behind it. */
const refusals = [401, 403, 421, 429]

/** Of the original's routes and those in its manner: what changes something, by GET, too. */
const operators = [
  "/vm/create",
  "/vm/destroy",
  "/vm/repair",
  "/volume/create",
  "/volume/destroy",
  "/volume/attach",
  "/volume/detach",
  "/volume/grow",
  "/volume/rename",
  "/volume/restore",
  "/volume/purge",
  "/volume/clone",
  "/volume/revert",
  "/snapshot/create",
  "/snapshot/destroy",
  "/pm/look",
  "/operation/cancel"
]

/** All that strangers are answered. */
const open = [
  "GET /",
  "GET /healthz",
  "GET /readyz",
  "GET /openapi.json",
  "GET /docs",
  "GET /ui",
  "GET /ui/*",
  "POST /api/v1/session",
  "DELETE /api/v1/session"
]

/** Where looking or changing needs more, or less, than it usually does. */
const others: ReadonlyArray<readonly [route: RegExp, role: Least]> = [
  // what is inside a guest, and ways into it
  [/^GET \/api\/v1\/vms\/:id\/(cloud-init|console-log|screenshot|console|vnc)$/, "operator"],
  [/^\w+ \/api\/v1\/(webhooks|audit|backup)(\/|$)/, "admin"],
  // each their own
  [/^PUT \/api\/v1\/users\/:name\/password$/, "viewer"],
  [/^\w+ \/api\/v1\/tokens(\/|$)/, "viewer"],
  [/^\w+ \/api\/v1\/users(\/|$)/, "admin"],
  // what hosts and sizes there are
  [/^POST \/api\/v1\/hosts\/:id\/look$/, "operator"],
  [/^(POST|PATCH|DELETE) \/api\/v1\/(hosts|instance-types)(\/|$)/, "admin"],
  [/^\w+ \/pm\/maintenance$/, "admin"]
]

/** What somebody would say it needs who has only heard what it is. */
const least = (method: string, path: string): Least => {
  const route = `${method} ${path}`
  if (open.includes(route)) return "nobody"
  const other = others.find(([form]) => form.test(route))
  if (other !== undefined) return other[1]
  if (operators.includes(path)) return "operator"
  // the rest in the original's manner only shows
  return method === "GET" || !path.startsWith("/api/") ? "viewer" : "operator"
}

/** Those say that there is nothing. */
const nothing = ["/*", "/api/v1", "/api/v1/*"]

interface Route {
  readonly method: string
  readonly path: string
}

/** Those of whatever router is made meanwhile. */
const given = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const routes: Array<Route> = []
    const anything: Array<Route> = []
    const prototype: HttpLayerRouter.FindMyWay.Router<unknown> = Object.getPrototypeOf(
      HttpLayerRouter.FindMyWay.make<unknown>()
    )
    const { on } = prototype
    const spy = vi.spyOn(prototype, "on").mockImplementation(function (this: typeof prototype, methods, path, handler) {
      for (const method of typeof methods === "string" ? [methods] : methods) {
        const route = { method, path }
        if (nothing.includes(path)) anything.push(route)
        else routes.push(route)
      }
      return on.call(this, methods, path, handler)
    })
    return effect.pipe(
      Effect.map((made) => ({ made, routes, anything })),
      Effect.ensuring(Effect.sync(() => spy.mockRestore()))
    )
  })

const values: Readonly<Record<string, string>> = { id: "7", nic: "52:54:00:00:00:01", name: "ada" }

const filled = (path: string) =>
  path
    .replace(/:(\w+)/g, (_, name: string) => {
      assert.property(values, name, "a value that could be this parameter")
      return values[name] ?? ""
    })
    .replace("*", "nothing")

/** What a path without parameters has not, which one with a parameter would take: it is no such thing, and says so. */
const beside: ReadonlyArray<Route> = [
  { method: "DELETE", path: "/api/v1/images/publish" },
  { method: "GET", path: "/api/v1/images/publish" },
  { method: "DELETE", path: "/api/v1/vms/batch" },
  { method: "GET", path: "/api/v1/vms/batch" },
  { method: "PATCH", path: "/api/v1/vms/batch" }
]

describe("every route", () => {
  it("of the API says what it needs, which is what one would think", () => {
    const said: Array<string> = []
    const thought: Array<string> = []
    HttpApi.reflect(api, {
      onGroup: () => undefined,
      onEndpoint: ({ endpoint: { method, path }, mergedAnnotations }) => {
        const isSaid = mergedAnnotations.unsafeMap.has(Access.Needs.key)
        said.push(`${method} ${path}: ${isSaid ? Context.get(mergedAnnotations, Access.Needs) : "not said"}`)
        thought.push(`${method} ${path}: ${least(method, path)}`)
      }
    })
    assert.isAbove(said.length, 80)
    assert.deepStrictEqual(said, thought)
  })

  it.scopedLive("lets through who has the role, and nobody else, nothing foreign and no other name", () =>
    Effect.gen(function* () {
      const { anything, made, routes } = yield* given(Guarded.make())
      const { admins, ask, forward, now, someone } = made
      const admin = yield* admins
      const headers = { admin, viewer: yield* someone("viewer"), operator: yield* someone("operator") }
      const expired = yield* someone("admin", (yield* now) + 1000)
      forward(1001)

      const needed = [...Needs.plain, ...Needs.ofApi(api)]
      const known = Needs.make(needed)
      const names = (all: ReadonlyArray<Route>) => all.map(({ method, path }) => `${method} ${path}`).toSorted()
      assert.deepStrictEqual(
        names(routes),
        names([...needed, ...beside]),
        "what is on the router is what is known to need something"
      )
      const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
      assert.sameMembers(
        names(anything),
        nothing.flatMap((path) => methods.map((method) => `${method} ${path}`))
      )
      const table = [...routes, { method: "GET", path: "/nothing" }, { method: "GET", path: "/api/v1/nothing" }]
      assert.isAbove(table.length, 160)

      const got: Array<string> = []
      const want: Array<string> = []
      for (const { method, path } of table) {
        const route = `${method} ${path}`
        const role = least(method, path)
        assert.strictEqual(known(method, filled(path)).role, role, route)
        // wrong credentials are refused again and again, but only so often a minute
        forward(10_000)
        const asked = (more: Record<string, string> = {}) => ask(method, filled(path), { headers: more })
        const stranger = role === "nobody" ? "through" : "401"
        const cases = [
          ["nobody", stranger, asked()],
          ["nobody, for a WebSocket", stranger, asked({ connection: "Upgrade", upgrade: "websocket" })],
          ["expired", stranger, asked({ authorization: expired.authorization })],
          ...roles.map((has) => [has, rank[has] >= rank[role] ? "through" : "403", asked(headers[has])] as const),
          ["foreign Origin", "403", asked({ ...admin, origin: "http://evil.example" })],
          ["cross-site", "403", asked({ ...admin, "sec-fetch-site": "cross-site" })],
          ["foreign Host", "421", asked({ ...admin, host: "evil.example" })]
        ] as const
        const answers = yield* Effect.all(
          cases.map(([, , answer]) => answer),
          { concurrency: "unbounded" }
        )
        cases.forEach(([what, expected], index) => {
          const status = answers[index]?.status ?? 0
          got.push(`${route}, ${what}: ${refusals.includes(status) ? status : "through"}`)
          want.push(`${route}, ${what}: ${expected}`)
        })
      }
      assert.deepStrictEqual(got, want)
    })
  )
})
