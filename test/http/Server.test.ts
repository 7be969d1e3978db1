import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { readFileSync, writeFileSync } from "node:fs"
import { request } from "node:https"
import { connect } from "node:net"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import * as EventLogTest from "../../layers/EventLogTest.ts"
import * as IdentityTest from "../../layers/IdentityTest.ts"
import * as WebhooksTest from "../../layers/WebhooksTest.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Hosts } from "../../src/fabric/Hosts.ts"
import { Images } from "../../src/fabric/Images.ts"
import { ImageIntake } from "../../src/fabric/ImageIntake.ts"
import { ImagePublishing } from "../../src/fabric/ImagePublishing.ts"
import { InstanceTypes } from "../../src/fabric/InstanceTypes.ts"
import { Backup } from "../../src/services/Backup.ts"
import { Examinations } from "../../src/fabric/Doctor.ts"
import { Inspections } from "../../src/fabric/Inspections.ts"
import { Reach } from "../../src/fabric/Reach.ts"
import { Placements } from "../../src/fabric/Placements.ts"
import { Plans } from "../../src/fabric/Plans.ts"
import { Pools } from "../../src/fabric/Pools.ts"
import { Networks } from "../../src/fabric/Networks.ts"
import { Nics } from "../../src/fabric/Nics.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Requests } from "../../src/fabric/Requests.ts"
import { Retries } from "../../src/fabric/Retries.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Volumes } from "../../src/fabric/Volumes.ts"
import * as Router from "../../src/http/Router.ts"
import * as Server from "../../src/http/Server.ts"
import { Operations } from "../../src/services/Operations.ts"
import { temporaryFolder } from "../inventory/Fleet.ts"

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
  Layer.mock(InstanceTypes, {}),
  Layer.mock(ImageIntake, {}),
  Layer.mock(ImagePublishing, {}),
  Layer.mock(Requests, {}),
  Layer.mock(Retries, {}),
  Layer.mock(Volumes, {}),
  Layer.mock(Placements, {}),
  Layer.mock(Plans, {}),
  Layer.mock(Pools, {}),
  Layer.mock(Power, {}),
  Layer.mock(Reality, {}),
  Layer.mock(Nics, {}),
  Layer.mock(Networks, {}),
  Layer.mock(Inspections, {}),
  Layer.mock(Backup, {}),
  Layer.mock(Examinations, {}),
  Layer.mock(Reach, {}),
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

  it.scopedLive("answers also who asked before the routes were there", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(Server.layer(listen))
      const { address } = Context.get(context, HttpServer.HttpServer)
      assert(address._tag === "TcpAddress")
      const url = `http://127.0.0.1:${address.port}/early`
      const read = Effect.async<void>((resume) => {
        const channel = "http.server.request.start"
        const heard = () => resume(Effect.void)
        subscribe(channel, heard)
        return Effect.sync(() => void unsubscribe(channel, heard))
      })
      const asking = yield* Effect.fork(Effect.promise(() => fetch(url).then((response) => response.text())))
      yield* read
      const route = HttpLayerRouter.add("GET", "/early", HttpServerResponse.text("late but there"))
      yield* Layer.build(
        HttpLayerRouter.serve(route, { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provide(Layer.succeedContext(context))
        )
      )
      assert.strictEqual(yield* Effect.timeout(Fiber.join(asking), "5 seconds"), "late but there")
    })
  )

  it.scopedLive("answers what has a short way by that, and all else, or when it is over, by the application", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(Server.layer(listen))
      const route = HttpLayerRouter.add("GET", "/*", HttpServerResponse.text("application"))
      yield* Layer.build(
        HttpLayerRouter.serve(route, { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provide(Layer.succeedContext(context))
        )
      )
      const text = (path: string) => Effect.promise(async () => await (await fetch(`${urlOf(context)}${path}`)).text())
      const told = Effect.forEach(["/short", "/long"], text)
      const before = yield* told
      const during = yield* Effect.scoped(
        Effect.zipRight(
          Context.get(
            context,
            Server.ShortWay
          )(({ url }, response) => {
            if (url === "/short") response.end("at once")
            return url === "/short"
          }),
          told
        )
      )
      assert.deepStrictEqual(
        [before, during, yield* told],
        [
          ["application", "application"],
          ["at once", "application"],
          ["application", "application"]
        ]
      )
    })
  )

  it.scopedLive("refuses a form beyond 64 KiB in the route's own shape", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(
        Router.layer.pipe(
          Layer.provide([fabric, WebhooksTest.layer.pipe(Layer.provideMerge(EventLogTest.layer)), IdentityTest.layer]),
          Layer.provideMerge(Server.layer(listen))
        )
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

/** A certificate for localhost and its key, in files. */
const certificate = Effect.map(temporaryFolder, (folder) => {
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") }
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "1",
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost",
      "-keyout",
      files.key,
      "-out",
      files.cert
    ],
    { stdio: "ignore" }
  )
  return files
})

describe("TLS", () => {
  const serve = (files: Server.TlsFiles) =>
    Router.layer.pipe(
      Layer.provide([fabric, WebhooksTest.layer.pipe(Layer.provideMerge(EventLogTest.layer)), IdentityTest.layer]),
      Layer.provideMerge(Server.layerTls(listen, files)),
      Layer.provide(NodeContext.layer)
    )

  const portOf = (context: Context.Context<HttpServer.HttpServer>) => Number(new URL(urlOf(context)).port)

  it.scopedLive("serves who trusts the certificate, from TLS 1.2 on, and its cookie stays on TLS", () =>
    Effect.gen(function* () {
      const files = yield* certificate
      const port = portOf(yield* Layer.build(serve(files)))
      const ca = readFileSync(files.cert)
      const ask = (headers: Record<string, string>) =>
        Effect.async<{ readonly status: number; readonly cookie: string }>((resume) => {
          const options = { host: "127.0.0.1", port, servername: "localhost", ca, agent: false, method: "DELETE" }
          const sent = request({ ...options, path: "/api/v1/session", headers }, (response) => {
            const [cookie = ""] = response.headers["set-cookie"] ?? []
            response.resume()
            response.on("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, cookie })))
          })
          sent.on("error", (error) => resume(Effect.die(error)))
          sent.end()
          return Effect.sync(() => sent.destroy())
        })
      const own = yield* ask({ host: `localhost:${port}`, origin: `https://localhost:${port}` })
      assert.strictEqual(own.status, 204)
      assert.match(own.cookie, /; Secure/i)
      // a page that came without TLS may have been made by somebody on the way
      assert.strictEqual((yield* ask({ host: `localhost:${port}`, origin: `http://localhost:${port}` })).status, 403)

      const handshake = (options: object) =>
        Effect.async<string>((resume) => {
          const given = { host: "127.0.0.1", port, servername: "localhost", ca, ...options }
          const socket = connectTls(given, () => resume(Effect.succeed(socket.getProtocol() ?? "none")))
          socket.on("error", (error) => resume(Effect.succeed(error.message)))
          return Effect.sync(() => socket.destroy())
        })
      assert.strictEqual(yield* handshake({}), "TLSv1.3")
      assert.strictEqual(yield* handshake({ maxVersion: "TLSv1.2" }), "TLSv1.2")
      const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }
      assert.notMatch(yield* handshake(old), /^TLSv/)
      assert.match(yield* handshake({ ca: [] }), /self-signed certificate/)
    })
  )

  it.live("stops in bounded time, also with clients that never end their handshake", () =>
    Effect.gen(function* () {
      const files = yield* certificate
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(serve(files), scope)
      const cut = yield* Deferred.make<void>()
      yield* Effect.async<void>((resume) => {
        const socket = connect(portOf(context), "127.0.0.1", () => resume(Effect.void))
        socket.on("error", () => undefined) // cut by the server, which is the point
        socket.on("close", () => Deferred.unsafeDone(cut, Effect.void))
        return Effect.sync(() => socket.destroy())
      })
      yield* Effect.timeout(Scope.close(scope, Exit.void), "5 seconds")
      yield* Effect.timeout(Deferred.await(cut), "1 second")
    }).pipe(Effect.scoped)
  )

  it.scopedLive("says in one sentence what is wrong with certificate and key", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* certificate, yield* certificate]
      const messageOf = (files: Server.TlsFiles) =>
        Effect.map(Effect.flip(Layer.build(serve(files))), (error) => ("message" in error ? error.message : ""))
      const missing = join(yield* temporaryFolder, "none.pem")
      assert.strictEqual(
        yield* messageOf({ cert: missing, key: one.key }),
        `the TLS certificate ${missing} cannot be read`
      )
      assert.strictEqual(yield* messageOf({ cert: one.cert, key: missing }), `the TLS key ${missing} cannot be read`)
      const both = (files: Server.TlsFiles) =>
        `the TLS certificate ${files.cert} and the key ${files.key} cannot be used together: `
      const mixed = { cert: one.cert, key: other.key }
      assert.include(yield* messageOf(mixed), both(mixed))
      const garbage = { cert: one.cert, key: missing }
      writeFileSync(missing, "no key")
      assert.include(yield* messageOf(garbage), both(garbage))
    })
  )
})
