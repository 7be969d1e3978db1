/** What is put into requests comes out of no answer's head, and changes nothing of where they go. */
import * as HttpServer from "@effect/platform/HttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { connect } from "node:net"
import * as AppTest from "../../layers/AppTest.ts"
import * as Router from "../../src/http/Router.ts"
import * as Server from "../../src/http/Server.ts"
import * as Guarded from "./Guarded.ts"

/** Lines of a head that somebody would slip in, however they are written down; some become control characters where 16 bits are cut to 8. */
const breaks = [
  "\r\n",
  "\n",
  "\r",
  "\u0000",
  "\u000b",
  "\u007f",
  "\u0085",
  "\u2028",
  "\u010d\u010a",
  "%0d%0a",
  "\\r\\n"
]
const evil = fc
  .tuple(
    fc.string({ unit: "grapheme", maxLength: 6 }),
    fc.constantFrom(...breaks),
    fc.constantFrom(...breaks, ""),
    fc.constantFrom("X-Injected: yes", "Set-Cookie: a=b", "Content-Length: 0", "HTTP/1.1 200 OK", '"; x="', "é")
  )
  .map(([start, first, second, line]) => `${start}${first}${line}${second}x`)
  // a lone half of a character is none in a URL
  .filter((text) => !/\p{Cs}/u.test(text))

const json = (value: unknown) => ["content-type: application/json", JSON.stringify(value)] as const

type Sent = readonly [method: string, target: string, header?: string, body?: string]

/** Wherever a text of the client's goes in. */
const requests = (text: string): ReadonlyArray<Sent> => {
  const path = encodeURIComponent(text)
  const named = json({ name: text, instanceType: 1 })
  return [
    ["POST", "/api/v1/vms", ...named],
    ["POST", `/api/v1/vms?plan=${path}`, ...json({ name: "web", instanceType: 1 })],
    ["POST", "/api/v1/volumes", ...json({ name: text, size: 1 })],
    ["PATCH", "/api/v1/volumes/1", ...json({ name: text })],
    ["POST", "/api/v1/volumes/1/snapshots", ...json({ name: text })],
    ["POST", "/api/v1/images", ...json({ name: text, url: `https://images.example/${path}` })],
    ["POST", "/api/v1/images", ...json({ name: "i", url: text })],
    ["POST", "/api/v1/users", ...json({ name: text, role: "viewer" })],
    ["POST", "/api/v1/webhooks", ...json({ url: text })],
    ["POST", "/api/v1/session", ...json({ name: text, password: text })],
    ["GET", "/api/v1/volumes/1"],
    ["GET", `/api/v1/users/${path}`],
    ["GET", `/api/v1/networks/${path}`],
    ["GET", `/api/v1/vms/${path}`],
    ["GET", `/api/v1/vms?name=${path}&sort=${path}`],
    ["GET", `/api/v1/vms/1/console-log?from=${path}&cursor=${path}`],
    ["GET", `/api/v1/${path}`],
    ["GET", `/vm/create?name=${path}&instance_type=1`],
    ["GET", `/ui/${path}`],
    ["GET", `/ui?${path}`],
    ["GET", `/?${path}`],
    ["GET", `/${path}`]
  ]
}

/** Headers that are read, some of which are answered to. */
const read = [
  "prefer",
  "idempotency-key",
  "if-match",
  "if-none-match",
  "accept",
  "cookie",
  "range",
  "x-request-id",
  "traceparent"
]

/** As bytes on the wire: what is no Latin-1 is sent as UTF-8, as it is. */
const wire = (port: number, [method, target, header, body = ""]: Sent) =>
  Buffer.concat([
    Buffer.from(
      `${method} ${target} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: close\r\naccept: text/html\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\n${header === undefined ? "" : `${header}\r\n`}\r\n`
    ),
    Buffer.from(body)
  ])

/** All that comes back until the server hangs up. */
const exchange = (port: number, bytes: Buffer) =>
  Effect.async<string>((resume) => {
    const chunks: Array<Buffer> = []
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes))
    socket.on("data", (chunk: Buffer) => chunks.push(chunk))
    socket.on("error", () => undefined)
    socket.on("close", () => resume(Effect.sync(() => Buffer.concat(chunks).toString("latin1"))))
    return Effect.sync(() => socket.destroy())
  })

/** One answer, whole and nothing beside: every line of its head is one that could be meant. */
const check = (answer: string, what: string) => {
  const end = answer.indexOf("\r\n\r\n")
  assert.isAbove(end, 0, what)
  const [status = "", ...lines] = answer.slice(0, end).split("\r\n")
  const code = Number(/^HTTP\/1\.1 ([1-5]\d\d) /.exec(status)?.[1])
  assert.isAtLeast(code, 200, what)
  assert.notStrictEqual(code, 500, what)
  const headers = new Map<string, string>()
  for (const line of lines) {
    // nothing below a space, nor what some take for the end of a line
    assert.match(line, /^[A-Za-z0-9-]+: [\x20-\x7e]*$/, what)
    const at = line.indexOf(": ")
    const name = line.slice(0, at).toLowerCase()
    assert.isFalse(headers.has(name), `${name} is there once: ${what}`)
    assert.notInclude(["x-injected", "set-cookie"], name, what)
    headers.set(name, line.slice(at + 2))
  }
  const body = answer.slice(end + 4)
  const length = headers.get("content-length")
  if (length !== undefined) assert.strictEqual(body.length, Number(length), what)
  else if (headers.get("transfer-encoding") === "chunked") {
    let at = 0
    for (;;) {
      const size = Number.parseInt(body.slice(at, body.indexOf("\r\n", at)), 16)
      at = body.indexOf("\r\n", at) + 2 + size + 2
      if (size === 0) break
    }
    assert.strictEqual(at, body.length, what)
  } else assert.strictEqual(body, "", what)
  return { code, headers }
}

const served = Effect.gen(function* () {
  const quiet = Logger.remove(Logger.defaultLogger)
  const context = yield* Layer.build(
    Router.layerWith({ loopback: true, publicNames: [], rateLimit: 1000 }).pipe(
      Layer.provide(AppTest.layer),
      Layer.provideMerge(Server.layer({ host: "127.0.0.1", port: 0 })),
      Layer.provide(quiet)
    )
  )
  const { address } = Context.get(context, HttpServer.HttpServer)
  assert(address._tag === "TcpAddress")
  return address.port
})

describe("what a client says", () => {
  it.scopedLive(
    "splits no answer and is never a failure of the server's, wherever it is said",
    () =>
      Effect.gen(function* () {
        const port = yield* served
        const codes = new Map<number, number>()
        const names = new Set<string>()
        const send = (sent: Sent) =>
          Effect.map(exchange(port, wire(port, sent)), (answer) => {
            const { code, headers } = check(answer, JSON.stringify([sent, answer.slice(0, 500)]))
            codes.set(code, (codes.get(code) ?? 0) + 1)
            for (const name of headers.keys()) names.add(name)
          })
        yield* send(["POST", "/api/v1/volumes", ...json({ name: "data", size: 1 })])
        for (const text of fc.sample(evil, { numRuns: 25, seed: 7 })) {
          yield* Effect.forEach(requests(text), send, { concurrency: 8, discard: true })
          // in a header it is what the server's own parser takes, which ends the connection else
          const line = text.replaceAll(/\r\n|\n/g, " ")
          yield* Effect.forEach(read, (name) => send(["GET", "/api/v1/vms", `${name}: ${line}`]), {
            concurrency: 8,
            discard: true
          })
          for (const name of ["prefer", "idempotency-key"]) {
            const [header, body] = json({ name: "data", size: 1 })
            yield* send(["POST", "/api/v1/volumes", `${name}: ${line}\r\n${header}`, body])
            yield* send(["POST", "/api/v1/volumes", `${name}: wait=0; ${line}\r\n${header}`, body])
          }
        }
        // it did get somewhere, and into the heads that are about something
        for (const code of [200, 202, 302, 400, 404])
          assert.isTrue(codes.has(code), `${code} of ${[...codes.keys()].join()}`)
        for (const name of ["location", "etag", "preference-applied"]) assert.include([...names], name)
      }),
    120_000
  )
})

describe("headers by which others route", () => {
  const viewerOnly = ["x-original-url", "x-rewrite-url", "x-forwarded-uri", "x-forwarded-path", "x-forwarded-prefix"]
  const methods = ["x-http-method-override", "x-http-method", "x-method-override", "x-forwarded-method"]
  const places = [
    "x-forwarded-host",
    "x-forwarded-server",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-for",
    "x-real-ip",
    "forwarded"
  ]

  it.scopedLive("lead a request nowhere else, and let nobody in", () =>
    Effect.gen(function* () {
      const { admins, ask, fabric, forward, someone } = yield* Guarded.make()
      const admin = yield* admins
      const viewer = yield* someone("viewer")
      const shown = (answer: Guarded.Answer) => ({ status: answer.status, text: answer.text })
      const headers: ReadonlyArray<Record<string, string>> = [
        ...viewerOnly.flatMap((name) =>
          ["/healthz", "/volume/destroy?volumeid=7", "/api/v1/users", "//evil.example/"].map((to) => ({ [name]: to }))
        ),
        ...methods.flatMap((name) => ["GET", "DELETE", "OPTIONS"].map((method) => ({ [name]: method }))),
        ...places.map((name) => ({
          [name]: name === "forwarded" ? "for=127.0.0.1;host=localhost;proto=https" : "127.0.0.1"
        }))
      ]
      const asked = [
        ["GET", "/vm/types", viewer],
        ["GET", "/healthz", {}],
        ["GET", "/vm/types", {}],
        ["GET", "/volume/destroy?volumeid=7", viewer],
        ["DELETE", "/api/v1/users/ada", viewer],
        ["POST", "/api/v1/users", viewer],
        ["GET", "/api/v1/users", admin],
        ["DELETE", "/api/v1/users/nobody", admin]
      ] as const
      for (const [method, path, who] of asked) {
        const plain = shown(yield* ask(method, path, { headers: who }))
        for (const more of headers) {
          forward(1000)
          const what = `${method} ${path} ${JSON.stringify(more)}`
          const answer = yield* ask(method, path, { headers: { ...who, ...more } })
          assert.deepStrictEqual(shown(answer), plain, what)
          for (const value of Object.values(answer.headers)) assert.notInclude(String(value), "evil.example", what)
        }
      }
      assert.deepStrictEqual(fabric.calls, [])
      // nor does it count for somebody else that the credentials were wrong
      const wrong = (by: number) =>
        ask("GET", "/vm/types", { headers: { authorization: "Bearer vmf_wrong", "x-forwarded-for": `192.0.2.${by}` } })
      const statuses = yield* Effect.forEach(
        Array.from({ length: 12 }, (_, index) => index),
        (by) => Effect.map(wrong(by), ({ status }) => status)
      )
      assert.deepStrictEqual(statuses.slice(-2), [429, 429])
    })
  )
})
