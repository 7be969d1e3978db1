/** Traces as a collector gets them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createServer, type IncomingHttpHeaders } from "node:http"
import * as World from "../fabric/World.ts"
import * as Contract from "../http/v1/Contract.ts"
import * as Program from "../program/Program.ts"

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** What has come so far; `status`: what it answers. */
const collector = (status = 200) =>
  Effect.acquireRelease(
    Effect.async<{
      readonly url: string
      readonly bodies: Array<string>
      readonly asked: Array<{ readonly url: string; readonly headers: IncomingHttpHeaders }>
      readonly close: () => void
    }>((resume) => {
      const bodies: Array<string> = []
      const asked: Array<{ readonly url: string; readonly headers: IncomingHttpHeaders }> = []
      const server = createServer((request, response) => {
        let body = ""
        request.on("data", (chunk: Buffer) => (body += chunk.toString()))
        request.on("end", () => {
          bodies.push(body)
          asked.push({ url: request.url ?? "", headers: request.headers })
          response.writeHead(status, { "content-type": "application/json" }).end("{}")
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = address !== null && typeof address === "object" ? address.port : 0
        const close = () => {
          server.closeAllConnections()
          server.close()
        }
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, bodies, asked, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

interface Span {
  readonly name: string
  readonly trace: string
  readonly id: string
  readonly parent: string
  readonly attributes: Readonly<Record<string, unknown>>
}

const spansOf = (bodies: ReadonlyArray<string>): ReadonlyArray<Span> =>
  bodies
    .flatMap((body) => list(Contract.members(JSON.parse(body)).resourceSpans))
    .flatMap((resource) => list(Contract.members(resource).scopeSpans))
    .flatMap((scope) => list(Contract.members(scope).spans))
    .map(Contract.members)
    .map(({ attributes, name, parentSpanId, spanId, traceId }) => ({
      name: String(name),
      trace: String(traceId),
      id: String(spanId),
      parent: String(parentSpanId ?? ""),
      attributes: Object.fromEntries(
        list(attributes)
          .map(Contract.members)
          .map(({ key, value }) => [String(key), Object.values(Contract.members(value))[0]])
      )
    }))

const ask = (program: Program.Program, method: string, path: string, body?: object, headers = {}) =>
  Effect.promise(async () => {
    const response = await fetch(`${program.url}${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    return { status: response.status, json: Contract.members(await response.json()) }
  })

const create = (program: Program.Program, headers = {}) =>
  ask(program, "POST", "/api/v1/vms", { name: "web", instanceType: 1 }, { prefer: "wait=30", ...headers })

describe("traces for a collector", () => {
  it.scopedLive(
    "have each creation as one tree, from HTTP to the calls of libvirt, and no secret",
    () =>
      Effect.gen(function* () {
        const { asked, bodies, url } = yield* collector()
        const program = yield* Program.start(["--otlp-endpoint", url], {
          env: { OTEL_EXPORTER_OTLP_HEADERS: "x-key=opens%20it", OTEL_SERVICE_NAME: "fabric-1" }
        })
        yield* World.eventually(
          Effect.map(ask(program, "GET", "/readyz"), ({ status }) => assert.strictEqual(status, 200))
        )
        assert.deepInclude((yield* create(program)).json, { state: "done" })
        yield* World.eventually(
          Effect.sync(() => {
            const spans = spansOf(bodies)
            const root = spans.find(({ name }) => name === "http.server POST")
            assert(root !== undefined, "the request has come")
            assert.deepInclude(root.attributes, {
              "http.request.method": "POST",
              "url.path": "/api/v1/vms",
              "http.response.status_code": 200
            })
            assert.strictEqual(root.parent, "")
            const tree = spans.filter(({ trace }) => trace === root.trace)
            const byId = new Map(tree.map((span) => [span.id, span]))
            for (const { name, parent } of tree)
              assert.isTrue(parent === "" || byId.has(parent), `${name} hangs on something`)
            assert.deepStrictEqual(
              tree.filter(({ parent }) => parent === "").map(({ name }) => name),
              ["http.server POST"]
            )
            const names = new Set(tree.map(({ name }) => name))
            for (const name of [
              "Vms.create",
              "Saga.drive",
              "step define",
              "step start",
              "libvirt DOMAIN_CREATE_WITH_FLAGS"
            ]) {
              assert.isTrue(names.has(name), name)
            }
          })
        )
        // all are of requests: what goes on by itself is not sent
        assert.isTrue(spansOf(bodies).every(({ name, parent }) => parent !== "" || name.startsWith("http.server ")))
        assert.isTrue(asked.every((one) => one.url === "/v1/traces" && one.headers["x-key"] === "opens it"))
        assert.include(bodies.join(""), "fabric-1")

        // a part of somebody else's trace
        const above = { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` }
        yield* create(program, above)
        yield* World.eventually(
          Effect.sync(() => {
            const theirs = spansOf(bodies).filter(({ trace }) => trace === "a".repeat(32))
            assert.deepStrictEqual(
              theirs.filter(({ parent }) => parent === "b".repeat(16)).map(({ name }) => name),
              ["http.server POST"]
            )
            assert.isAbove(theirs.length, 10)
          })
        )

        const canary = "canary-password-4711"
        const hook = yield* ask(program, "POST", "/api/v1/webhooks", { url: `https://receiver.example/?${canary}` })
        assert.strictEqual(hook.status, 201)
        yield* ask(program, "POST", "/api/v1/users", { name: "ada", role: "admin", password: canary })
        yield* ask(program, "POST", "/api/v1/session", { name: "ada", password: canary })
        yield* ask(program, "GET", `/vm/create?name=a&instance_type=7&token=${canary}`, undefined, {
          authorization: `Bearer ${canary}`,
          cookie: `vmfabric=${canary}`,
          "x-secret": canary
        })
        const before = bodies.length
        yield* ask(program, "GET", "/api/v1/vms")
        yield* World.eventually(Effect.sync(() => assert.isAbove(bodies.length, before)))
        yield* program.kill("SIGTERM")
        assert.strictEqual(yield* program.exited, 0)
        assert.isTrue(spansOf(bodies).some(({ attributes }) => attributes["url.path"] === "/vm/create"))
        assert.notInclude(bodies.join("\n"), canary)
        assert.notInclude(bodies.join("\n"), String(hook.json.secret).slice(6))
        assert.notInclude(yield* program.output, "opens it")
      }),
    60_000
  )

  it.scopedLive(
    "cost a warning where nobody takes them",
    () =>
      Effect.gen(function* () {
        for (const endpoint of ["http://127.0.0.1:1", (yield* collector(500)).url]) {
          const program = yield* Program.start(["--otlp-endpoint", endpoint])
          for (let made = 0; made < 3; made++) assert.deepInclude((yield* create(program)).json, { state: "done" })
          yield* World.eventually(
            Effect.map(program.output, (output) => {
              const warnings = output.split("\n").filter((line) => line.includes("traces cannot be sent"))
              assert.lengthOf(warnings, 1)
              assert.include(warnings[0], endpoint)
              assert.include(warnings[0], "WARN")
            })
          )
          const began = performance.now()
          yield* program.kill("SIGTERM")
          yield* program.exited
          assert.isBelow(performance.now() - began, 5000)
        }
      }),
    60_000
  )
})
