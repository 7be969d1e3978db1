/** Where images may come from, and what becomes of what does not come whole. */
import { assert, describe, it, vi } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { open } from "node:fs/promises"
import { createServer, type RequestListener } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import packageJson from "../../package.json" with { type: "json" }
import * as ImageStoreLive from "../../layers/ImageStoreLive.ts"
import { parseRanges } from "../../src/config/Addresses.ts"
import { ImageStore } from "../../src/services/ImageStore.ts"

const ranges = (text: string) => Either.getOrThrow(parseRanges("image-allow")(text))

const here = ranges("127.0.0.1")

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const store = Effect.fnUntraced(function* (options: Partial<ImageStoreLive.Options> = {}) {
  const at = yield* folder
  const context = yield* Layer.build(
    ImageStoreLive.layer({ folder: join(at, "kept"), paths: [join(at, "offered")], allow: here, ...options })
  )
  return { at, store: Context.get(context, ImageStore) }
})

/** A server on 127.0.0.1, and how many connections it has had. */
const serving = (listener: RequestListener) =>
  Effect.acquireRelease(
    Effect.async<{
      readonly url: string
      readonly port: number
      readonly connections: () => number
      readonly close: () => void
    }>((resume) => {
      let connections = 0
      const server = createServer(listener).on("connection", () => (connections += 1))
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(
          Effect.succeed({
            url: `http://127.0.0.1:${port}`,
            port,
            connections: () => connections,
            close: () => {
              server.close()
              server.closeAllConnections()
            }
          })
        )
      })
    }),
    ({ close }) => Effect.sync(close)
  )

describe("a file that is written in pieces", () => {
  it.scopedLive("has them where they belong and holes elsewhere, is written anew each time", () =>
    Effect.gen(function* () {
      const { store: images } = yield* store()
      const source = yield* images.place("tiny", 0)
      const mebibyte = 1024 ** 2
      const end = 16 * mebibyte
      yield* images.write(source, Stream.make({ offset: 0, bytes: Buffer.alloc(2 * end, 1) }))
      const piece = Buffer.alloc(mebibyte)
      piece.write("words", 200_000)
      const pieces = [
        { offset: end - mebibyte, bytes: Buffer.alloc(mebibyte, 7) },
        { offset: 0, bytes: piece }
      ]
      yield* images.write(source, Stream.fromIterable(pieces))
      const file = readFileSync(source.path)
      const wanted = Buffer.alloc(end)
      for (const { bytes, offset } of pieces) wanted.set(bytes, offset)
      assert.isTrue(file.equals(wanted))
      assert.isBelow(statSync(source.path).blocks * 512, 4 * mebibyte)
      // what ends in zeros is as long as that
      yield* images.write(source, Stream.make({ offset: 0, bytes: Buffer.alloc(mebibyte) }))
      assert.strictEqual(statSync(source.path).size, mebibyte)
      assert.strictEqual(yield* Effect.flip(images.write(source, Stream.fail("cut off"))), "cut off")
      yield* images.remove(source)
      assert.isFalse(existsSync(source.path))
    })
  )
})

describe("a URL", () => {
  it.scopedLive("may be none of a place that is not public, however it is written", () =>
    Effect.gen(function* () {
      const { store: images } = yield* store({ allow: [] })
      for (const url of [
        "file:///etc/passwd",
        "ftp://images.example/a",
        "data:,x",
        "gopher://127.0.0.1/",
        "http://127.0.0.1/a",
        "http://127.1/a",
        "http://0x7f000001/a",
        "http://2130706433/a",
        "http://017700000001/a",
        "http://localhost/a",
        "http://a.localhost./a",
        "http://0.0.0.0/a",
        "http://10.1.2.3/a",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/a",
        "http://[::ffff:127.0.0.1]/a",
        "http://[fd00::1]/a",
        "http://[fe80::1]/a",
        "https://user:secret@images.example/a",
        "//images.example/a",
        ""
      ]) {
        const { _tag, message } = yield* Effect.flip(images.fetchable(url))
        assert.strictEqual(_tag, "InvalidArgument", url)
        assert.match(message, /^url .*: expected /, url)
      }
      assert.strictEqual(yield* images.fetchable("http://images.example/a b"), "http://images.example/a%20b")
    })
  )

  it.scopedLive("leads nowhere by its name's addresses or by a redirect where it may not lead itself", () =>
    Effect.gen(function* () {
      const inner = yield* serving((_, response) => response.end("secret"))
      const names: Record<string, ReadonlyArray<string>> = {
        "inner.example": ["127.0.0.1"],
        "mapped.example": ["::ffff:127.0.0.1"],
        "metadata.example": ["169.254.169.254"]
      }
      const guarded = yield* store({ allow: [], resolve: (name) => Promise.resolve(names[name] ?? []) })
      const source = yield* guarded.store.place("tiny", 0)
      for (const name of Object.keys(names)) {
        const { reason } = yield* Effect.flip(guarded.store.fetch(source, `http://${name}:${inner.port}/`))
        assert.match(reason, /nothing is fetched from .*, which is no public address/, name)
      }
      assert.strictEqual(inner.connections(), 0)

      // the first address may be reached, and those it leads to may not
      const other = yield* serving((_, response) => response.end("secret"))
      const targets = [
        `http://127.0.0.2:${other.port}/`,
        `http://other.example:${other.port}/`,
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://user:secret@127.0.0.1/"
      ]
      const leading = yield* serving((request, response) => {
        const target = targets[Number((request.url ?? "").slice(1))]
        if (target === undefined) response.writeHead(302, { location: request.url }).end()
        else response.writeHead(307, { location: target }).end()
      })
      const led = yield* store({ resolve: () => Promise.resolve(["127.0.0.2"]) })
      const place = yield* led.store.place("tiny", 0)
      for (const [index, target] of targets.entries()) {
        const { reason } = yield* Effect.flip(led.store.fetch(place, `${leading.url}/${index}`))
        assert.match(reason, /no public address|none of http or https|user name or a password/, target)
      }
      assert.strictEqual(other.connections(), 0)
      const circle = yield* Effect.flip(led.store.fetch(place, `${leading.url}/circle`))
      assert.include(circle.reason, "leads on more than 5 times")
      assert.isFalse(existsSync(place.path))
    })
  )

  it.scopedLive(
    "gets nothing of ours to see who is there: no word of who we are, nor what another server gave us",
    () =>
      Effect.gen(function* () {
        const heard: Array<string> = []
        const note: RequestListener = ({ headers, method, url }) =>
          void heard.push(`${method} ${url} ${Object.keys(headers).toSorted().join()} ${headers["user-agent"]}`)
        const other = yield* serving((request, response) => {
          note(request, response)
          response.end("x")
        })
        const leading = yield* serving((request, response) => {
          note(request, response)
          const location = request.url === "/image" ? "/again?secret=1" : `${other.url}/there`
          response
            .writeHead(302, { location, "set-cookie": "session=theirs; Path=/", "www-authenticate": "Basic" })
            .end()
        })
        const { store: images } = yield* store()
        yield* images.fetch(yield* images.place("tiny", 0), `${leading.url}/image`)
        assert.deepStrictEqual(
          heard,
          ["/image", "/again?secret=1", "/there"].map(
            (path) => `GET ${path} accept-encoding,connection,host,user-agent vmfabric/${packageJson.version}`
          )
        )
      })
  )

  it.scopedLive("is fetched whole or refused: too large, cut off, compressed, missing", () =>
    Effect.gen(function* () {
      const bytes = Buffer.alloc(300_000, 7)
      const { url } = yield* serving((request, response) => {
        switch (request.url) {
          case "/led":
            return response.writeHead(302, { location: "/whole" }).end()
          case "/whole":
            return response.end(bytes)
          case "/file":
            return response.writeHead(302, { location: "file:///etc/passwd" }).end()
          case "/announced":
            return response.writeHead(200, { "content-length": 10_000_000 }).end()
          case "/endless": {
            const more = () => void (response.destroyed || response.write(bytes, more))
            return more()
          }
          case "/cut":
            response.writeHead(200, { "content-length": bytes.length })
            return response.write(bytes.subarray(0, 1000), () => response.destroy())
          case "/compressed":
            return response.writeHead(200, { "content-encoding": "gzip" }).end(bytes)
          default:
            return response.writeHead(404).end()
        }
      })
      const { store: images } = yield* store({ largest: 1_000_000 })
      const source = yield* images.place("tiny", 0)
      yield* images.fetch(source, `${url}/led`)
      assert.deepStrictEqual(readFileSync(source.path), bytes)
      assert.strictEqual((yield* images.received(source)).size, bytes.length)
      for (const [path, reason] of [
        ["announced", /it has 9.5 MiB, and no more than 976.6 KiB are taken/],
        ["file", /^it could not be fetched: 127\.0\.0\.1 leads to file:, which is none of http or https$/],
        ["endless", /it has more, and no more than/],
        [
          "cut",
          /^it could not be fetched: the connection was cut when [\d,]+ bytes of 293 KiB had come: delete it, and add it again$/
        ],
        ["compressed", /it comes as "gzip"/],
        ["missing", /127\.0\.0\.1 answers 404/]
      ] as const) {
        assert.match((yield* Effect.flip(images.fetch(source, `${url}/${path}`))).reason, reason, path)
      }
      yield* images.remove(source)
      yield* images.remove(source)
      assert.isFalse(existsSync(source.path))
    })
  )
})

describe("an image's bytes", () => {
  it.scopedLive("are on the disk before it is said that they are there, whichever way they came", () =>
    Effect.gen(function* () {
      const { at, store: images } = yield* store()
      const { url } = yield* serving((_, response) => response.end(Buffer.alloc(1000, 7)))
      writeFileSync(join(at, "any"), "")
      const handle = yield* Effect.promise(() => open(join(at, "any")))
      const prototype: typeof handle = Object.getPrototypeOf(handle)
      yield* Effect.promise(() => handle.close())
      /** How many bytes there were each time that it was waited for the disk. */
      const synced: Array<number> = []
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          for (const name of ["datasync", "sync"] as const) {
            const own = prototype[name]
            vi.spyOn(prototype, name).mockImplementation(async function (this: typeof handle) {
              const { size } = await this.stat()
              await Reflect.apply(own, this, [])
              synced.push(size)
            })
          }
        }),
        () => Effect.sync(() => void vi.restoreAllMocks())
      )
      const source = yield* images.place("tiny", 10)
      for (const [what, size, come] of [
        ["sent", 10, images.append(source, 0, 10, Stream.make(Buffer.alloc(10, 1)))],
        ["published", 70_000, images.write(source, Stream.make({ offset: 0, bytes: Buffer.alloc(70_000, 1) }))],
        ["fetched", 1000, images.fetch(source, url)]
      ] as const) {
        synced.length = 0
        yield* come
        assert.strictEqual(synced.at(-1), size, what)
      }
    })
  )
})

describe("a path", () => {
  it.scopedLive("is offered under the folders that were named only, by its real name", () =>
    Effect.gen(function* () {
      const { at, store: images } = yield* store()
      mkdirSync(join(at, "offered", "more"), { recursive: true })
      writeFileSync(join(at, "outside"), "x")
      writeFileSync(join(at, "offered", "more", "a.raw"), "x")
      symlinkSync(join(at, "outside"), join(at, "offered", "out"))
      symlinkSync(at, join(at, "offered", "up"))
      symlinkSync(join(at, "offered", "more", "a.raw"), join(at, "offered", "b.raw"))
      assert.deepStrictEqual(yield* images.registrable(join(at, "offered", "b.raw")), {
        host: null,
        path: join(at, "offered", "more", "a.raw")
      })
      for (const path of [
        join(at, "outside"),
        `${at}/offered/../outside`,
        `${at}/offered/out`,
        `${at}/offered/up/outside`,
        `${at}/offered-not/a`,
        "a.raw",
        "/etc/passwd"
      ]) {
        assert.strictEqual((yield* Effect.flip(images.registrable(path))).field, "path", path)
      }
      // what is outside is told apart in no way from what is not there
      const messages = yield* Effect.forEach(["/etc/passwd", "/etc/none"], (path) =>
        Effect.flip(images.registrable(path))
      )
      assert.strictEqual(messages[0]?.message, messages[1]?.message)
    })
  )
})

describe("what is sent", () => {
  it.scopedLive("stays as far as it came, goes on there, and comes from one at a time", () =>
    Effect.gen(function* () {
      const { store: images } = yield* store()
      const source = yield* images.place("tiny", 100)
      const part = (length: number, fill: number) => new Uint8Array(length).fill(fill)
      const broken = Stream.concat(Stream.make(part(10, 1), part(20, 2)), Stream.fail("cut off"))
      assert.strictEqual(yield* Effect.flip(images.append(source, 0, 100, broken)), "cut off")
      assert.strictEqual((yield* images.received(source)).size, 30)

      const begun = yield* Deferred.make<void>()
      const hanging = Stream.concat(
        Stream.make(part(5, 3)),
        Stream.execute(Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never))
      )
      const sender = yield* Effect.fork(images.append(source, 30, 100, hanging))
      yield* Deferred.await(begun)
      const second = yield* Effect.flip(images.append(source, 35, 100, Stream.make(part(1, 4))))
      assert.include(String(second), "is being sent by somebody else")
      yield* Fiber.interrupt(sender)
      assert.strictEqual(yield* images.append(source, 35, 100, Stream.make(part(5, 5))), 40)

      const other = yield* Effect.flip(images.append(source, 30, 100, Stream.make(part(5, 5))))
      assert.include(String(other), "has 40 bytes, not 30: go on from there")
      const more = yield* Effect.flip(images.append(source, 40, 100, Stream.make(part(61, 6))))
      assert.include(String(more), "would have more than the 100 bytes that were announced")
      assert.strictEqual(yield* images.append(source, 40, 100, Stream.make(part(60, 6))), 100)
      assert.deepStrictEqual(
        [...readFileSync(source.path)],
        [...part(10, 1), ...part(20, 2), ...part(5, 3), ...part(5, 5), ...part(60, 6)]
      )
      assert.strictEqual(statSync(source.path).mode & 0o777, 0o600)

      // swept away with all that nobody knows, and nothing else
      const known = yield* images.place("tiny", 1)
      yield* images.append(known, 0, 1, Stream.make(part(1, 1)))
      writeFileSync(join(known.path, "..", "README"), "mine")
      yield* images.sweep([known])
      assert.isFalse(existsSync(source.path))
      assert.isTrue(existsSync(known.path))
      assert.isTrue(existsSync(join(known.path, "..", "README")))
      const full = yield* Effect.flip(images.place("tiny", Number.MAX_SAFE_INTEGER))
      assert.match(
        full.message,
        /^image "tiny" of [0-9.,]+ (?:GiB|TiB) has no room in .*, where there is room for [0-9.,]+ [A-Za-z]+: 1 GiB of what is free there is kept for all else$/
      )
    })
  )
})
