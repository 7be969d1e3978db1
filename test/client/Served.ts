/** A controller whose hosts are values in memory, on a real socket, which can be taken away and come back. */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import type { AddressInfo } from "node:net"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import * as AppLive from "../../layers/AppLive.ts"
import * as AppTest from "../../layers/AppTest.ts"
import * as HypervisorTest from "../../layers/HypervisorTest.ts"
import * as ImageLibraryTest from "../../layers/ImageLibraryTest.ts"
import * as ImageStoreTest from "../../layers/ImageStoreTest.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import * as StorageTest from "../../layers/StorageTest.ts"
import { CurrentPrincipal } from "../../src/api/Access.ts"
import { UserName } from "../../src/domain/Identity.ts"
import { Asker } from "../../src/fabric/Asker.ts"
import * as Server from "../../src/http/Server.ts"
import * as Api from "../../src/http/v1/Api.ts"
import { type FleetConfig, Inventory } from "../../src/services/Inventory.ts"
import { Storage } from "../../src/services/Storage.ts"

const admin = { user: UserName.make("local"), role: "admin", via: "loopback", tokenId: null } as const

/** Whoever asks is an administrator; what is asked for is in `seen`, and what they say of themselves in `tokens`. */
const asAdmin = (seen: Array<string>, tokens: Set<string | undefined>) =>
  HttpLayerRouter.middleware((endpoint) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, url }) => {
      seen.push(url)
      tokens.add(headers["authorization"])
      return Effect.provide(endpoint, Context.make(CurrentPrincipal, admin).pipe(Context.add(Asker, admin.user)))
    })
  ).layer

const quiet = Logger.remove(Logger.defaultLogger)

/** Storage that makes volumes while the gate is open. */
const gated = (gate: Effect.Latch) =>
  Layer.effect(
    Storage,
    Effect.map(Storage, ({ prepare, preferred }) =>
      StorageLive.make(prepare, [
        { ...preferred, createVolume: (...given) => gate.whenOpen(preferred.createVolume(...given)) }
      ])
    )
  ).pipe(Layer.provideMerge(StorageTest.layer))

const app = (gate: Effect.Latch, fleet: FleetConfig) =>
  AppLive.layerOver({
    fleet,
    persistence: AppTest.persistence,
    statistics: { interval: 200 },
    images: ImageStoreTest.layer,
    drivers: Layer.merge(HypervisorTest.layer, gated(gate)).pipe(
      Layer.provideMerge(ImageLibraryTest.layer({ "/images/test.raw": new Uint8Array(8192) }))
    )
  })

/** Of that fleet; gone with the scope. */
export const of = Effect.fn("Served.of")(function* (fleet: FleetConfig) {
  const gate = yield* Effect.makeLatch(true)
  const seen: Array<string> = []
  const tokens = new Set<string | undefined>()
  const context = yield* Layer.build(app(gate, fleet).pipe(Layer.provide(quiet)))
  const { update } = Context.get(context, StorageTest.StorageTestState)
  const refusing = (refuses: string | null) =>
    Effect.flatMap(
      Context.get(context, Inventory).hosts,
      Effect.forEach(({ host }) => update(host, (store) => ({ ...store, refuses })))
    )
  /** From now on no host's storage takes anything. */
  const refuse = refusing("it is full")
  /** Until it does again. */
  const mend = refusing(null)
  const outer = yield* Effect.scope
  const listen = (port: number) =>
    Effect.gen(function* () {
      const scope = yield* Scope.fork(outer, ExecutionStrategy.sequential)
      const server = HttpLayerRouter.serve(
        Api.layer.pipe(Layer.provide(asAdmin(seen, tokens)), Layer.provide(Layer.succeedContext(context))),
        { disableLogger: true, disableListenLog: true }
      ).pipe(
        HttpMiddleware.withTracerDisabledWhen(() => true),
        Layer.provideMerge(Server.layer({ host: "127.0.0.1", port })),
        Layer.provide(quiet)
      )
      const { address } = Context.get(yield* Layer.buildWithScope(server, scope), HttpServer.HttpServer)
      return { port: address._tag === "TcpAddress" ? address.port : 0, stop: Scope.close(scope, Exit.void) }
    })
  const first = yield* listen(0)
  return {
    context,
    gate,
    refuse,
    mend,
    seen,
    tokens,
    url: `http://127.0.0.1:${first.port}`,
    stop: first.stop,
    start: listen(first.port)
  }
})

/** Of three hosts with one type. */
export const make = of(AppTest.fleet)

/** What was asked of a scripted server. */
export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage["headers"]
}

/** Answers one request after the other as the script says, and all that follow as its last line. */
export const scripted = (...script: ReadonlyArray<(response: ServerResponse) => void>) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly asked: Array<Asked>; readonly close: () => void }>((resume) => {
      const asked: Array<Asked> = []
      const server = createServer((request, response) => {
        const answer = script[Math.min(asked.length, script.length - 1)]
        asked.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers })
        request.resume().on("end", () => answer?.(response))
      }).listen(0, "127.0.0.1", () => {
        const address: AddressInfo | string | null = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const close = () => {
          server.closeAllConnections()
          server.close()
        }
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, asked, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

export const json =
  (status: number, body: object, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body))

export const problem = (status: number, code: string, tag: string, more: object = {}) =>
  json(
    status,
    { _tag: tag, status, code, title: "It is like this", detail: `it is ${code}`, ...more },
    { "content-type": "application/problem+json" }
  )

/** The connection is gone before anything was answered. */
export const cut = (response: ServerResponse) => response.destroy()

export const text = (status: number, type: string, body: string) => (response: ServerResponse) =>
  response.writeHead(status, { "content-type": type }).end(body)
