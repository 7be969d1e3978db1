/** One delivery over real sockets: what arrives, and where nothing may be sent whoever leads there. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { createServer, type RequestListener } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { createServer as createTcpServer, type Server, type Socket } from "node:net"
import { join } from "node:path"
import * as Sender from "../../layers/WebhookSender.ts"
import { parseRanges } from "../../src/config/Addresses.ts"
import { temporaryFolder } from "../inventory/Fleet.ts"

const allow = Either.getOrThrow(parseRanges("webhook-allow")("127.0.0.1"))

/** Its port; ended, with all its connections, with the scope. */
const listening = (server: Server) =>
  Effect.acquireRelease(
    Effect.async<{ readonly port: number; readonly sockets: Set<Socket> }>((resume) => {
      const sockets = new Set<Socket>()
      server.on("connection", (socket) => sockets.add(socket))
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        if (address !== null && typeof address === "object") resume(Effect.succeed({ port: address.port, sockets }))
      })
    }),
    ({ sockets }) =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
  )

const served = (listener: RequestListener) => listening(createServer(listener))

const message = (url: string): Sender.Message => ({ url, headers: { "webhook-id": "a" }, body: '{"a":"ü"}' })

const sending = (url: string, options: Partial<Sender.Options> = {}) =>
  Effect.flatMap(Sender.make({ allow, ...options }), (send) => send(message(url)))

describe("a delivery", () => {
  it.scopedLive("arrives whole, one after the other on one connection", () =>
    Effect.gen(function* () {
      const bodies: Array<string> = []
      const { port, sockets } = yield* served((request, response) => {
        let body = ""
        request.setEncoding("utf8")
        request.on("data", (chunk: string) => (body += chunk))
        request.on("end", () => {
          bodies.push(`${request.method} ${request.url} ${request.headers["webhook-id"]} ${body}`)
          response.writeHead(202).end("thanks")
        })
      })
      const send = yield* Sender.make({ allow })
      for (let sent = 0; sent < 5; sent++) {
        assert.strictEqual(yield* send(message(`http://127.0.0.1:${port}/hooks?a=b`)), 202)
      }
      assert.deepStrictEqual(
        bodies,
        Array.from({ length: 5 }, () => 'POST /hooks?a=b a {"a":"ü"}')
      )
      assert.strictEqual(sockets.size, 1)
      // the receiver has closed it meanwhile: that is no failure of the next one
      for (const socket of sockets) socket.destroy()
      assert.strictEqual(yield* send(message(`http://localhost:${port}/`)), 202)
      assert.strictEqual(yield* send(message(`http://127.0.0.1:${port}/`)), 202)
    })
  )

  it.scopedLive("that is answered with anything but success has failed, and redirects are not followed", () =>
    Effect.gen(function* () {
      let asked = 0
      const { port } = yield* served(({ url = "" }, response) => {
        asked++
        response.writeHead(Number(url.slice(1)), { location: "/200", "retry-after": "7" }).end()
      })
      for (const status of [300, 301, 302, 307, 308, 400, 404, 410, 429, 500, 503]) {
        const error = yield* Effect.flip(sending(`http://127.0.0.1:${port}/${status}`))
        assert.deepInclude(error, { kind: "status", status, retryAfter: 7 })
        assert.include(error.reason, `127.0.0.1 answers ${status}`)
      }
      assert.strictEqual(asked, 11)
    })
  )

  it.scopedLive("whose answer has no end has arrived, and that much of it is not read", () =>
    Effect.gen(function* () {
      let written = 0
      const { port, sockets } = yield* served((_, response) => {
        response.writeHead(200)
        const more = () => {
          while (!response.destroyed && response.write("a".repeat(1024))) written++
        }
        response.on("drain", more)
        more()
      })
      assert.strictEqual(yield* sending(`http://127.0.0.1:${port}/`), 200)
      // what the sockets' buffers hold
      assert.isBelow(written, 20_000)
      assert.strictEqual(sockets.size, 1)
    })
  )

  it.scopedLive("to nobody, or to somebody who speaks another protocol, has failed in words", () =>
    Effect.gen(function* () {
      const { port } = yield* listening(createTcpServer((socket) => socket.end("220 mail\r\n")))
      const garbled = yield* Effect.flip(sending(`http://127.0.0.1:${port}/secret-path`))
      assert.strictEqual(garbled.kind, "unreachable")
      const closed = yield* listening(createTcpServer((socket) => socket.destroy()))
      const lost = yield* Effect.flip(sending(`http://127.0.0.1:${closed.port}/`))
      assert.include(lost.reason, "127.0.0.1 has closed the connection")
      const refused = yield* Effect.flip(sending("http://127.0.0.1:1/"))
      assert.include(refused.reason, "127.0.0.1 refuses the connection")
      assert.notInclude(garbled.reason, "secret-path")
      const upgraded = yield* listening(
        createTcpServer((socket) =>
          socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        )
      )
      assert.strictEqual((yield* Effect.flip(sending(`http://127.0.0.1:${upgraded.port}/`))).kind, "unreachable")
    })
  )

  it.scopedLive(
    "that is not answered in ten seconds is given up, with its connection",
    () =>
      Effect.gen(function* () {
        const silent = yield* listening(createTcpServer(() => undefined))
        const drop = yield* listening(
          createTcpServer((socket) => {
            socket.on("error", () => undefined)
            // a byte now and then is no answer
            const timer = setInterval(() => socket.write("H"), 500)
            socket.on("close", () => clearInterval(timer))
          })
        )
        const began = performance.now()
        const [one] = yield* Effect.all(
          [silent, drop].map(({ port }) => Effect.either(sending(`http://127.0.0.1:${port}/`))),
          { concurrency: 2 }
        )
        assert(one !== undefined && Either.isLeft(one))
        assert.include(one.left.reason, "127.0.0.1 did not answer within 10 seconds")
        assert.isBelow(performance.now() - began, 14_000)
        const left = Effect.async<void>((resume) => {
          const [socket] = silent.sockets
          if (socket === undefined || socket.destroyed) resume(Effect.void)
          else {
            socket.on("close", () => resume(Effect.void))
            socket.resume()
          }
        })
        yield* Effect.timeout(left, "5 seconds")
      }),
    30_000
  )

  it.scopedLive("by TLS goes to a receiver whose certificate is good for its name", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")]
      const request =
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=receiver.example"
      const name = "subjectAltName=DNS:receiver.example"
      const args = [...request.split(" "), "-keyout", key, "-out", cert, "-addext", name]
      execFileSync("openssl", args, { stdio: "ignore" })
      const pem = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") }
      const server = createTlsServer(pem, (_, response) => void response.writeHead(200).end())
      server.on("tlsClientError", () => undefined)
      const { port } = yield* listening(server)
      const resolve = () => Promise.resolve(["127.0.0.1"])
      const options = { resolve, ca: pem.cert }
      assert.strictEqual(yield* sending(`https://receiver.example:${port}/`, options), 200)
      const other = yield* Effect.flip(sending(`https://other.example:${port}/`, options))
      assert.strictEqual(other.kind, "unreachable")
      const unknown = yield* Effect.flip(sending(`https://receiver.example:${port}/`, { resolve }))
      assert.strictEqual(unknown.kind, "unreachable")
    })
  )
})

describe("nothing is sent", () => {
  it.scopedLive("to an address that is not public, whatever it was when the webhook was made", () =>
    Effect.gen(function* () {
      let asked = 0
      const { port, sockets } = yield* served((_, response) => {
        asked++
        response.end()
      })
      const none = { allow: [] }
      // a name that was public when it was looked at, and leads here now
      const addresses: Array<ReadonlyArray<string>> = [
        ["127.0.0.1"],
        ["::1", "10.0.0.1"],
        ["169.254.169.254"],
        ["::ffff:127.0.0.1"]
      ]
      for (const found of addresses) {
        const resolve = () => Promise.resolve(found)
        const name = `https://receiver.example:${port}/`
        assert.isTrue(Either.isRight(Sender.parseUrl(name, none)))
        const error = yield* Effect.flip(sending(name, { ...none, resolve }))
        assert.strictEqual(error.kind, "forbidden")
        assert.include(error.reason, `receiver.example (${found.join(", ")}), which is no public address`)
      }
      for (const host of ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "a.localhost", "2130706433"]) {
        for (const scheme of ["http", "https"]) {
          const error = yield* Effect.flip(sending(`${scheme}://${host}:${port}/`, none))
          assert.strictEqual(error.kind, "forbidden", host)
        }
      }
      // without TLS not even to what is allowed, unless it is this machine
      const all = Either.getOrThrow(parseRanges("webhook-allow")("0.0.0.0/0,::/0"))
      const plain = { allow: all, resolve: () => Promise.resolve(["10.0.0.1"]) }
      const named = yield* Effect.flip(sending(`http://receiver.example:${port}/`, plain))
      assert.include(named.reason, "use https")
      assert.strictEqual((yield* Effect.flip(sending("http://10.0.0.1/", plain))).kind, "forbidden")
      assert.strictEqual(asked, 0)
      assert.strictEqual(sockets.size, 0)
    })
  )

  it.scopedLive("to a name without an address", () =>
    Effect.gen(function* () {
      const resolve = () => Promise.reject(Object.assign(new Error("no"), { code: "ENOTFOUND" }))
      const error = yield* Effect.flip(sending("https://receiver.example/", { resolve }))
      assert.deepInclude(error, { kind: "unreachable", reason: "receiver.example is a name without an address" })
    })
  )
})
