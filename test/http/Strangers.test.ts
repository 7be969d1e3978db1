/** What strangers cost: however many requests come without credentials, nothing is kept of them. */
import * as HttpServer from "@effect/platform/HttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Logger from "effect/Logger"
import { copyFileSync, existsSync } from "node:fs"
import { Agent, request } from "node:http"
import { dirname, join } from "node:path"
import { UserName } from "../../src/domain/Identity.ts"
import { Limits, sourceOf } from "../../src/http/Limits.ts"
import * as Router from "../../src/http/Router.ts"
import * as Server from "../../src/http/Server.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Identity } from "../../src/services/Identity.ts"
import * as World from "../fabric/World.ts"
import * as Guarded from "./Guarded.ts"

/** Rows of every table, of a copy: the controller has its database for itself. */
const rows = (file: string) =>
  Effect.gen(function* () {
    const copy = `${file}.copy`
    for (const end of ["", "-wal"]) if (existsSync(file + end)) copyFileSync(file + end, copy + end)
    const sql = yield* SqliteClient.make({ filename: copy })
    const tables = yield* sql<{ readonly name: string }>`SELECT name FROM sqlite_schema WHERE type = 'table'`
    const counts = yield* Effect.forEach(tables, ({ name }) =>
      Effect.map(sql<{ readonly count: number }>`SELECT count(*) AS count FROM ${sql(name)}`, ([row]) => [
        name,
        row?.count
      ])
    )
    const found: Readonly<Record<string, number>> = Object.fromEntries(counts)
    return found
  }).pipe(Effect.scoped, Effect.provide(Reactivity.layer))

const many = 10_000

const paths = [
  ["GET", "/vm/create?name=a&instance_type=1"],
  ["POST", "/vm/destroy?vmid=1"],
  ["POST", "/api/v1/vms"],
  ["DELETE", "/api/v1/vms/1"],
  ["POST", "/api/v1/tokens"],
  ["PATCH", "/api/v1/users/ada"],
  ["GET", "/api/v1/events"],
  ["GET", "/nothing"]
] as const

describe("strangers", () => {
  it.scopedLive(
    "who ask ten thousand times leave no row in any table",
    () =>
      Effect.gen(function* () {
        const world = yield* World.make({ hosts: 1, transport: "memory" })
        const app = yield* Layer.build(world.life)
        const context = yield* Layer.build(
          Router.layerWith({ loopback: true, publicNames: [], rateLimit: 1_000_000 }).pipe(
            Layer.provide(Layer.succeedContext(app)),
            Layer.provideMerge(Server.layer({ host: "127.0.0.1", port: 0 })),
            Layer.provide(Logger.minimumLogLevel(LogLevel.None))
          )
        )
        const { address } = Context.get(context, HttpServer.HttpServer)
        assert(address._tag === "TcpAddress")
        const { port } = address
        const identity = Context.get(app, Identity)
        const owner = UserName.make("ada")
        yield* identity.createUser({ name: owner, role: "admin" })
        yield* identity.createToken({ name: "test", owner, role: "admin", expiresAt: null })
        yield* Context.get(app, HostMonitor).settled

        const agent = yield* Effect.acquireRelease(
          Effect.sync(() => new Agent({ keepAlive: true, maxSockets: 32 })),
          (made) => Effect.sync(() => made.destroy())
        )
        const ask = (method: string, path: string, body: string) =>
          Effect.async<number>((resume) => {
            const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) }
            const sent = request({ host: "127.0.0.1", port, method, path, agent, headers }, (response) => {
              response.resume()
              response.on("end", () => resume(Effect.succeed(response.statusCode ?? 0)))
            })
            sent.on("error", (error) => resume(Effect.die(error)))
            sent.end(body)
          })
        const file = join(dirname(world.imageFolder), "vmfabric.sqlite")
        // the host is up, and nothing else is to be told
        const before = yield* World.eventually(
          Effect.tap(rows(file), (now) => assert.deepInclude(now, { hosts: 1, tokens: 1, users: 1, events: 1 }))
        )
        const statuses = yield* Effect.forEach(
          Array.from({ length: many }, (_, index) => paths[index % paths.length] ?? paths[0]),
          ([method, path]) => ask(method, path, method === "GET" ? "" : '{"name":"x"}'),
          { concurrency: 32 }
        )
        assert.deepStrictEqual([...new Set(statuses)], [401])
        assert.deepStrictEqual(yield* rows(file), before)
      }),
    120_000
  )

  it.scopedLive("who guess passwords leave a line for each guess that counts, and no more", () =>
    Effect.gen(function* () {
      const { admins, identity, json } = yield* Guarded.make()
      yield* admins
      const guess = (i: number) =>
        Effect.map(json("POST", "/api/v1/session", { name: "the-admin", password: `wrong ${i}` }), (it) => it.status)
      const statuses = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, i) => i),
        guess,
        { concurrency: 16 }
      )
      assert.lengthOf(
        statuses.filter((status) => status === 401),
        10
      )
      assert.lengthOf(yield* identity.audited({ before: null, limit: 100 }), 10)
    })
  )

  it("are counted by their network where they have as many addresses of it as they like", () => {
    for (const [network, addresses] of [
      ["2001:db8:0:7", ["2001:db8:0:7::1", "2001:db8:0:7:1:2:3:4", "2001:db8:0:7::"]],
      ["2001:db8:0:0", ["2001:db8::1", "2001:db8::5:6:7:8", "2001:db8:0:0:1::", "2001:db8::"]],
      ["0:0:0:0", ["::1", "::", "::5:6:7:8"]],
      ["fe80:0:0:0", ["fe80::1", "fe80::1%eth0", "fe80::2"]],
      ["192.0.2.1", ["192.0.2.1"]],
      ["192.0.2.2", ["192.0.2.2"]],
      ["", [""]]
    ] as const) {
      for (const address of addresses) assert.strictEqual(sourceOf(address), `@${network}`, address)
    }
  })

  it("of whatever addresses they come are counted in a space that has an end", () => {
    const limits = new Limits(1, 2)
    const { size } = limits["buckets"]
    assert.strictEqual(size, 0)
    let most = 0
    for (let i = 0; i < 50_000; i++) {
      limits.take(`@10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 1000)
      most = Math.max(most, limits["buckets"].size)
    }
    assert.strictEqual(most, 10_000)
    // whoever is at it now is not forgotten for those who were before
    for (let i = 0; i < 3; i++) limits.take("@192.0.2.1", 1000)
    for (let i = 0; i < 5_000; i++) limits.take(`@11.0.${i >> 8}.${i & 255}`, 1000)
    assert.isAbove(limits.take("@192.0.2.1", 1000), 0)
  })
})
