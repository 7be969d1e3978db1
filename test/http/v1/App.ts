/** The API over the whole controller, whose hosts and storage are values in memory. Every answer is held to the OpenAPI document. */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as AppTest from "../../../layers/AppTest.ts"
import { api } from "../../../src/api/Api.ts"
import { defaultConfig } from "../../../src/domain/Host.ts"
import { type Principal, UserName } from "../../../src/domain/Identity.ts"
import { InstanceTypeId } from "../../../src/domain/Ids.ts"
import { asking } from "../../../src/http/Guard.ts"
import * as Api from "../../../src/http/v1/Api.ts"
import type { FleetConfig } from "../../../src/services/Inventory.ts"
import { assert } from "../../check/Equality.ts"
import * as Contract from "./Contract.ts"

/** Hosts, each with memory for so many VMs of type 1; type 2 has twice of it. */
export const fleet = (hosts: number, vms: number): FleetConfig => ({
  hosts: Array.from({ length: hosts }, (_, index) => ({
    ...defaultConfig({ user: "root", host: `test-${index + 1}`, port: 22 }),
    overcommit: { cpu: 1000, ram: 1000, disk: 1000 },
    limit: { ram: 1000 }
  })),
  images: [{ name: "test", source: { host: null, path: "/images/test.raw" } }],
  types: [1, 2].map((times) => ({
    tid: InstanceTypeId.make(times),
    cpu: 1,
    ram: Math.floor((times * 1_000_000) / vms),
    disk: 1
  }))
})

export const document: unknown = JSON.parse(JSON.stringify(OpenApi.fromApi(api)))

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
  /** its body as what it has to be */
  readonly json: Readonly<Record<string, unknown>>
}

export const admin: Principal = { user: UserName.make("local"), role: "admin", via: "loopback", tokenId: null }

const as = (who: () => Principal) =>
  HttpLayerRouter.middleware((endpoint) => Effect.suspend(() => Effect.provide(endpoint, asking(who())))).layer

const quiet = Logger.remove(Logger.defaultLogger)

/** Gone with the scope. `who`: who asks; `interval`: milliseconds between two samples of statistics. */
export const make = Effect.fn("App.make")(function* (
  config: FleetConfig = AppTest.fleet,
  who: () => Principal = () => admin,
  interval = 200
) {
  const app = AppTest.layerFleet(
    config,
    { "/images/test.raw": new Uint8Array(8192) },
    { statistics: { interval } }
  ).pipe(Layer.provide(quiet))
  const context = yield* Layer.build(app)
  const { dispose, handler } = HttpLayerRouter.toWebHandler(
    Api.layer.pipe(
      Layer.provide(as(who)),
      Layer.provide(Layer.succeedContext(context)),
      Layer.provide(HttpServer.layerContext),
      Layer.provide(quiet)
    ),
    { disableLogger: true, routerConfig: Api.routerConfig }
  )
  yield* Effect.addFinalizer(() => Effect.promise(dispose))

  /** Word for word. Interruption is a client that goes away. */
  const send = (url: string, init: RequestInit = {}) =>
    Effect.promise(async (signal): Promise<Answer> => {
      const response = await handler(new Request(`http://controller${url}`, { ...init, signal }))
      const text = await response.text()
      const type = response.headers.get("content-type")
      const body: unknown = (type ?? "").includes("json") ? JSON.parse(text) : text
      if (url.startsWith("/api/v1")) {
        // what HEAD finds is what GET finds
        const method = init.method === "HEAD" ? "GET" : (init.method ?? "GET")
        Contract.check(document, method, url, { status: response.status, type, body })
      }
      return { status: response.status, headers: response.headers, body, json: Contract.members(body) }
    })

  const ask = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
    send(`/api/v1${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })

  const get = (path: string) =>
    Effect.map(ask("GET", path), (answer) => {
      assert.strictEqual(answer.status, 200, JSON.stringify(answer.body))
      return answer
    })

  /** Asks, and waits for the end; fails unless that is `done`. */
  const done = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
    Effect.map(ask(method, path, body, { prefer: "wait=20", ...headers }), (answer) => {
      assert.deepInclude(answer.json, { state: "done" }, JSON.stringify(answer.body))
      assert.strictEqual(answer.status, 200)
      return answer
    })

  return { context, send, ask, get, done }
})

/** The items of a list. */
export const items = (answer: Answer): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  Array.isArray(answer.json.items) ? answer.json.items.map(Contract.members) : []
