import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Vms } from "../../src/fabric/Vms.ts"
import { Hosts } from "../../src/fabric/Hosts.ts"
import { Images } from "../../src/fabric/Images.ts"
import { Pools } from "../../src/fabric/Pools.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Volumes } from "../../src/fabric/Volumes.ts"
import * as Router from "../../src/http/Router.ts"
import * as Server from "../../src/http/Server.ts"
import { Operations } from "../../src/services/Operations.ts"

const listen = { host: "127.0.0.1", port: 0 }

const urlOf = (context: Context.Context<HttpServer.HttpServer>) => {
  const { address } = Context.get(context, HttpServer.HttpServer)
  assert(address._tag === "TcpAddress")
  return `http://127.0.0.1:${address.port}`
}

const fabric = Layer.mergeAll(
  Layer.mock(Vms, {}),
  Layer.mock(Hosts, {}),
  Layer.mock(Images, {}),
  Layer.mock(Volumes, {}),
  Layer.mock(Pools, {}),
  Layer.mock(Reality, {}),
  Layer.mock(Operations, {})
)

describe("the HTTP server", () => {
  it.live("stops in bounded time with an event stream open", () =>
    Effect.gen(function* () {
      const cut = yield* Deferred.make<void>()
      const stream = HttpLayerRouter.add(
        "GET",
        "/stream",
        HttpServerResponse.stream(
          Stream.make(new TextEncoder().encode("first\n")).pipe(
            Stream.concat(Stream.never),
            Stream.ensuring(Deferred.succeed(cut, undefined))
          )
        )
      )
      const app = HttpLayerRouter.serve(stream, { disableLogger: true, disableListenLog: true })
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Layer.provideMerge(app, Server.layer(listen)), scope)
      const response = yield* Effect.promise(() => fetch(`${urlOf(context)}/stream`))
      const reader = response.body?.getReader()
      const first = yield* Effect.promise(async () => await reader?.read())
      assert.strictEqual(new TextDecoder().decode(first?.value), "first\n")
      // the client keeps it open; the limit is the promise made for a SIGTERM
      yield* Effect.timeout(Scope.close(scope, Exit.void), "5 seconds")
      yield* Effect.timeout(Deferred.await(cut), "1 second")
    })
  )

  it.scopedLive("refuses a form beyond 64 KiB in the route's own shape", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(
        Router.layer.pipe(Layer.provide(fabric), Layer.provideMerge(Server.layer(listen)))
      )
      const body = new URLSearchParams({ name: "x".repeat(70_000) })
      const answer: unknown = yield* Effect.promise(async () => {
        const response = await fetch(`${urlOf(context)}/vm/create?instance_type=1`, { method: "POST", body })
        return await response.json()
      })
      assert.deepStrictEqual(answer, {
        vmid: 0,
        error: "body cannot be read: expected a form (application/x-www-form-urlencoded) of at most 64 KiB"
      })
    })
  )
})
