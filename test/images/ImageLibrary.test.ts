import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { execFile, execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as ImageLibraryLive from "../../layers/ImageLibraryLive.ts"
import * as ImageLibraryTest from "../../layers/ImageLibraryTest.ts"
import { ImageNotFound } from "../../src/domain/Errors.ts"
import { ImageId } from "../../src/domain/Ids.ts"
import { Image, ImageConfig, type ImageContent, type ImageFormat } from "../../src/domain/Image.ts"
import { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Ssh, SshCommandFailed, SshError, SshUnreachable } from "../../src/services/Ssh.ts"
import { build, plain } from "./Qcow2.ts"

/** where the suite's image files are, and how they are named in an image file */
class Files extends Context.Tag("test/Files")<
  Files,
  {
    readonly put: (name: string, bytes: Uint8Array) => Effect.Effect<void>
    readonly remove: (name: string) => Effect.Effect<void>
    readonly config: (name: string, format?: ImageFormat) => ImageConfig
  }
>() {}

/** the inventory's images, and how often content was written */
class Offered extends Context.Tag("test/Offered")<
  Offered,
  {
    readonly offer: (config: ImageConfig) => Effect.Effect<Image>
    readonly writes: Effect.Effect<number>
  }
>() {}

const quiet = Logger.minimumLogLevel(LogLevel.Warning)

const inventory: Layer.Layer<Inventory | Offered> = Layer.unwrapEffect(
  Effect.sync(() => {
    const images = new Map<ImageId, Image>()
    let writes = 0
    const find = (id: ImageId) =>
      Effect.suspend(() => {
        const image = images.get(id)
        return image === undefined
          ? Effect.fail(new ImageNotFound({ imageId: id, known: Array.from(images.keys()) }))
          : Effect.succeed(image)
      })
    return Layer.mergeAll(
      quiet,
      Layer.mock(Inventory, {
        image: find,
        setImageContent: (id, content) =>
          Effect.map(Effect.orDie(find(id)), (image) => {
            writes++
            images.set(id, new Image({ id, config: image.config, content }))
          })
      }),
      Layer.succeed(Offered, {
        offer: (config) =>
          Effect.sync(() => {
            const known = Array.from(images.values()).find((image) => image.config.name === config.name)
            const id = known?.id ?? ImageId.make(100 + images.size)
            const image = new Image({ id, config, content: known?.content ?? null })
            images.set(id, image)
            return image
          }),
        writes: Effect.sync(() => writes)
      })
    )
  })
)

const decodeConfig = Schema.decodeSync(ImageConfig)
const configOf = (host: string | null, path: string, format?: ImageFormat) =>
  decodeConfig({
    source: { host: host === null ? null : { user: "root", host, port: 22 }, path },
    name: path.slice(path.lastIndexOf("/") + 1),
    ...(format !== undefined && { format })
  })

const diskFiles = (host: string | null): Layer.Layer<Files, never, FileSystem.FileSystem> =>
  Layer.scoped(
    Files,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* Effect.orDie(fs.makeTempDirectoryScoped())
      let seconds = 1_700_000_000
      return {
        put: (name, bytes) =>
          Effect.gen(function* () {
            yield* fs.writeFile(`${folder}/${name}`, bytes)
            // each writing has a time of its own, also where a clock ticks slowly
            seconds++
            yield* fs.utimes(`${folder}/${name}`, seconds, seconds)
          }).pipe(Effect.orDie),
        remove: (name) => Effect.orDie(fs.remove(`${folder}/${name}`)),
        config: (name, format) => configOf(host, `${folder}/${name}`, format)
      }
    })
  )

/** what a host does with our programs, by those of this machine: argv as it is, no shell */
const sshOfThisMachine: Layer.Layer<Ssh, never, FileSystem.FileSystem> = Layer.effect(
  Ssh,
  Effect.map(FileSystem.FileSystem, (fs) => {
    const failed = (argv: ReadonlyArray<string>, exitCode: number, stderr: string) =>
      new SshError({
        host: "root@other",
        action: `exec ${argv[0]}`,
        reason: new SshCommandFailed({ exitCode, signal: null, stderr })
      })
    return Ssh.of({
      connect: () => Effect.void,
      exec: (_address, argv, options) =>
        Effect.async((resume) => {
          const [program, ...args] = argv
          const child = execFile(
            program,
            args,
            { encoding: "buffer", maxBuffer: options?.maxOutput ?? 1024 * 1024 },
            (error, stdout, stderr) =>
              resume(
                error === null
                  ? Effect.succeed({ stdout, stderr: stderr.toString() })
                  : Effect.fail(failed(argv, typeof error.code === "number" ? error.code : 255, stderr.toString()))
              )
          )
          return Effect.sync(() => child.kill())
        }),
      readFile: () => Effect.dieMessage("no files here"),
      removeFiles: () => Effect.dieMessage("no files here"),
      stream: (_address, argv) => {
        assert.deepStrictEqual(argv.slice(0, 2), ["cat", "--"])
        return fs.stream(argv[2] ?? "", { chunkSize: 32768 }).pipe(Stream.mapError((e) => failed(argv, 1, e.message)))
      },
      openSocket: () => Effect.dieMessage("not used"),
      openTcp: () => Effect.dieMessage("not used"),
      openProgram: () => Effect.dieMessage("not used"),
      close: () => Effect.void
    })
  })
)

const memoryFiles = Layer.effect(
  Files,
  Effect.map(ImageLibraryTest.ImageFiles, (files) => ({
    put: (name, bytes) => files.put(`/srv/${name}`, bytes),
    remove: (name) => files.remove(`/srv/${name}`),
    config: (name, format) => configOf(null, `/srv/${name}`, format)
  }))
)

const live = (host: string | null) =>
  ImageLibraryLive.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(inventory, sshOfThisMachine, diskFiles(host))),
    Layer.provideMerge(NodeFileSystem.layer)
  )

const layers: Readonly<Record<string, Layer.Layer<ImageLibrary | Files | Offered>>> = {
  "files of this machine": live(null),
  "files of another machine": live("other"),
  "files in memory": memoryFiles.pipe(Layer.provideMerge(ImageLibraryTest.layer()), Layer.provideMerge(inventory))
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

/** of any length, and nowhere the same as before */
const noise = (length: number, seed = 1): Uint8Array => {
  const bytes = new Uint8Array(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

const ascii = (text: string, length: number): Uint8Array => Buffer.from(text.padEnd(length, "\0"), "latin1")

const collect = <E>(stream: Stream.Stream<Uint8Array, E>) =>
  Effect.map(Stream.runCollect(stream), (chunks) => Buffer.concat(Chunk.toReadonlyArray(chunks)))

for (const [where, layer] of Object.entries(layers)) {
  describe(`${where}`, () => {
    // the library has few methods: one world for each test
    const test = <E>(
      name: string,
      body: (world: {
        readonly files: Context.Tag.Service<Files>
        readonly offered: Context.Tag.Service<Offered>
        readonly library: Context.Tag.Service<ImageLibrary>
      }) => Effect.Effect<void, E>
    ) =>
      it.live(`${name}`, () =>
        Effect.all({ files: Files, offered: Offered, library: ImageLibrary }).pipe(
          Effect.flatMap(body),
          Effect.provide(layer)
        )
      )

    test("check accepts what stands alone, and refuses the rest", ({ files, library }) =>
      Effect.gen(function* () {
        yield* files.put("a.raw", noise(5000))
        yield* files.put("b.qcow2", build())
        yield* files.put("c.qcow2", build({ extensions: [[0x44415441, "/etc/shadow"]] }))
        yield* files.put(
          "d.vhd",
          Buffer.concat([new Uint8Array(2 ** 21), Buffer.from("conectix"), new Uint8Array(504)])
        )
        yield* files.put("e", new Uint8Array())
        yield* library.check(files.config("a.raw"))
        yield* library.check(files.config("a.raw", "raw"))
        yield* library.check(files.config("b.qcow2", "qcow2"))
        for (const [config, reason] of [
          [files.config("a.raw", "qcow2"), /declared qcow2/],
          [files.config("b.qcow2", "raw"), /declared raw/],
          [files.config("c.qcow2"), /keeps its data in another file/],
          [files.config("d.vhd"), /VHD image/],
          [files.config("e"), /is empty/],
          [files.config("none"), /^there is no such file/]
        ] as const) {
          const error = yield* Effect.flip(library.check(config))
          assert.match(error.reason, reason)
          assert.include(error.message, `${config.source.path} cannot be used: `)
        }
      }))

    test("resolve tells the content, and hashes each version once", ({ files, library, offered }) =>
      Effect.gen(function* () {
        for (const [name, bytes, format, virtualSize] of [
          ["a.raw", noise(3_000_001), "raw", 3_000_320],
          ["b.qcow2", build(), "qcow2", Number(plain.size)]
        ] as const) {
          yield* files.put(name, bytes)
          const image = yield* offered.offer(files.config(name))
          const before = yield* offered.writes
          const { modified, ...content } = yield* library.resolve(image)
          assert.isAbove(modified, 0)
          assert.deepStrictEqual<Omit<ImageContent, "modified">>(content, {
            format,
            virtualSize,
            fileSize: bytes.length,
            sha256: sha256(bytes)
          })
          // also for a caller with an old copy
          yield* library.resolve(image)
          assert.strictEqual(yield* offered.writes, before + 1)
          const changed = noise(bytes.length, 7)
          yield* files.put(name, changed)
          assert.strictEqual((yield* library.resolve(image)).sha256, sha256(changed))
          assert.strictEqual(yield* offered.writes, before + 2)
        }
      }))

    test("resolve refuses what check refuses, and another format than is declared now", ({ files, library, offered }) =>
      Effect.gen(function* () {
        yield* files.put("a", build({ backingFileOffset: 512n, backingFileSize: 11 }))
        const error = yield* Effect.flip(library.resolve(yield* offered.offer(files.config("a"))))
        assert.match(error.message, /has a backing file/)
        yield* files.put("b", build())
        yield* library.resolve(yield* offered.offer(files.config("b")))
        const declared = yield* Effect.flip(library.resolve(yield* offered.offer(files.config("b", "raw"))))
        assert.match(declared.message, /declared raw/)
        yield* files.remove("b")
        const gone = yield* Effect.flip(library.resolve(yield* offered.offer(files.config("b"))))
        assert.match(gone.message, /there is no such file/)
        assert.strictEqual(yield* offered.writes, 1)
      }))

    test("many ask at once: one reading", ({ files, library, offered }) =>
      Effect.gen(function* () {
        yield* files.put("a", noise(2_000_000))
        const image = yield* offered.offer(files.config("a"))
        const first = yield* Effect.fork(library.resolve(image))
        const others = yield* Effect.fork(
          Effect.all(
            Array.from({ length: 20 }, () => library.resolve(image)),
            { concurrency: "unbounded" }
          )
        )
        // the one that began it need not stay
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(first)
        const contents = yield* Fiber.join(others)
        assert.strictEqual(new Set(contents).size, 1)
        assert.strictEqual(yield* offered.writes, 1)
      }))

    test("read gives the bytes of any length", ({ files, library, offered }) =>
      Effect.gen(function* () {
        for (const length of [7, 511, 512, 262_144, 1_048_575, 1_048_576, 1_048_577, 3_000_001]) {
          const bytes = noise(length, length)
          yield* files.put(`${length}`, bytes)
          // what is less than a sector is a disk only because that is said
          const image = yield* offered.offer({ ...files.config(`${length}`), format: "raw" })
          const content = yield* library.resolve(image)
          const read = yield* collect(library.read(image, content))
          assert.isTrue(read.equals(bytes), `${length} bytes`)
        }
      }))

    test("read fails when the bytes are others; then the image is hashed again", ({ files, library, offered }) =>
      Effect.gen(function* () {
        const bytes = noise(2_000_000)
        yield* files.put("a", bytes)
        const image = yield* offered.offer(files.config("a"))
        const content = yield* library.resolve(image)
        // one byte, at the end
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
        yield* files.put("a", bytes)
        for (const put of [bytes, bytes.subarray(1), Buffer.concat([bytes, bytes])]) {
          yield* files.put("a", put)
          const error = yield* Effect.flip(collect(library.read(image, content)))
          assert.match(error.message, /it changed while it was read: try again/)
        }
        yield* files.put("a", bytes)
        const writes = yield* offered.writes
        assert.strictEqual((yield* library.resolve(image)).sha256, sha256(bytes))
        assert.strictEqual(yield* offered.writes, writes + 1)
        yield* library.resolve(image)
        assert.strictEqual(yield* offered.writes, writes + 1)
      }))

    // CVE-2024-45219 and the like: judged at one time, used at another
    test("read hands out nothing of a file that was given a hostile header", ({ files, library, offered }) =>
      Effect.gen(function* () {
        const size = { l1Offset: 0x300000n, fileSize: 0x310000 }
        yield* files.put("a", build(size))
        const image = yield* offered.offer(files.config("a"))
        const content = yield* library.resolve(image)
        let passed = 0
        const drain = library.read(image, content).pipe(
          Stream.tap((bytes) => Effect.sync(() => (passed += bytes.length))),
          Stream.runDrain
        )
        yield* drain
        assert.strictEqual(passed, size.fileSize)
        passed = 0
        for (const [hostile, reason] of [
          [build({ ...size, backingFileOffset: 512n, backingFileSize: 11 }), /has a backing file/],
          [
            build({ ...size, incompatible: 4n, extensions: [[0x44415441, "/etc/shadow"]] }),
            /keeps its data in another/
          ],
          [build({ ...size, size: 1n << 29n }), /changed while it was read/],
          [noise(size.fileSize), /declared qcow2/]
        ] as const) {
          yield* files.put("a", hostile)
          assert.match((yield* Effect.flip(drain)).reason, reason)
          assert.strictEqual(passed, 0)
        }
      }))

    test("an image the inventory does not have", ({ files, library }) =>
      Effect.gen(function* () {
        const image = new Image({ id: ImageId.make(7), config: files.config("a"), content: null })
        assert.match(
          (yield* Effect.flip(library.resolve(image))).message,
          /image 7 cannot be used: the inventory does not have it/
        )
      }))
  })
}

describe("what is no regular file", () => {
  for (const [where, host] of [
    ["on this machine", null],
    ["on another", "other"]
  ] as const) {
    it.scopedLive(where, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const library = yield* ImageLibrary
        const folder = yield* fs.makeTempDirectoryScoped()
        execFileSync("mkfifo", [`${folder}/pipe`])
        yield* fs.symlink("/dev/zero", `${folder}/zero`)
        yield* fs.symlink(`${folder}/nowhere`, `${folder}/broken`)
        yield* fs.writeFile(`${folder}/-a \\image;$(x)'.raw`, noise(1000))
        yield* fs.symlink(`${folder}/-a \\image;$(x)'.raw`, `${folder}/link`)
        for (const [path, reason] of [
          [folder, host === null ? /^it is a folder: name a regular file/ : /name a regular file/],
          [`${folder}/pipe`, host === null ? /^it is a named pipe/ : /name a regular file/],
          [`${folder}/zero`, host === null ? /^it is a character device/ : /name a regular file/],
          ["/dev/zero", /name a regular file/],
          [`${folder}/broken`, /^there is no such file/]
        ] as const) {
          assert.match((yield* Effect.flip(library.check(configOf(host, path)))).reason, reason)
        }
        // a link is followed; a name is only a name
        const offered = yield* Offered
        for (const name of ["link", "-a \\image;$(x)'.raw"]) {
          const image = yield* offered.offer(configOf(host, `${folder}/${name}`))
          const content = yield* library.resolve(image)
          assert.strictEqual(content.sha256, sha256(noise(1000)))
          assert.strictEqual((yield* collect(library.read(image, content))).length, 1000)
        }
      }).pipe(Effect.provide(live(host)))
    )
  }
})

describe("a file that is written to meanwhile", () => {
  it.scopedLive("is refused by resolve", () =>
    Effect.gen(function* () {
      const offered = yield* Offered
      const image = yield* offered.offer(configOf(null, "/a"))
      const ends = { head: noise(1000), tail: noise(1000).subarray(-512), fileSize: 1000 }
      for (const { bytes = noise(1000), later = { fileSize: 1000, modified: 1 } } of [
        { bytes: noise(999) },
        { bytes: noise(1001) },
        { bytes: ascii("KDMV", 1000) },
        { later: { fileSize: 1000, modified: 2 } },
        { later: { fileSize: 1001, modified: 1 } }
      ]) {
        let asked = 0
        const library = yield* ImageLibraryLive.make(() =>
          Effect.succeed({
            version: Effect.sync(() => (asked++ === 0 ? { fileSize: 1000, modified: 1 } : later)),
            ends: () => Effect.succeed(ends),
            bytes: Stream.make(bytes)
          })
        )
        const error = yield* Effect.flip(library.resolve(image))
        assert.match(error.message, /changed while it was read|a VMDK image/)
      }
      assert.strictEqual(yield* offered.writes, 0)
    }).pipe(Effect.provide(inventory))
  )

  it.scopedLive("is refused by read, and what is opened is read to its end", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const files = yield* Files
      const offered = yield* Offered
      const library = yield* ImageLibrary
      yield* files.put("a", noise(4_000_000))
      const image = yield* offered.offer(files.config("a"))
      const { path } = image.config.source
      const content = yield* library.resolve(image)
      let chunks = 0
      const error = yield* library.read(image, content).pipe(
        Stream.tap(() => (++chunks === 1 ? fs.writeFile(path, new Uint8Array(10), { flag: "a" }) : Effect.void)),
        Stream.runDrain,
        Effect.flip
      )
      assert.match(error.message, /changed while it was read/)
      // given to another file by its name: what was opened is read to its end
      yield* files.put("a", noise(4_000_000))
      chunks = 0
      yield* library.read(image, content).pipe(
        Stream.tap(() =>
          ++chunks === 1 ? Effect.zipRight(fs.remove(path), fs.writeFile(path, noise(10))) : Effect.void
        ),
        Stream.runDrain
      )
    }).pipe(Effect.provide(live(null)))
  )
})

it.scopedLive("a reading that nobody waits for any more is given up", () =>
  Effect.gen(function* () {
    const started = yield* Deferred.make<void>()
    const ended = yield* Deferred.make<void>()
    const library = yield* ImageLibraryLive.make(() =>
      Effect.succeed({
        version: Effect.succeed({ fileSize: 1000, modified: 1 }),
        ends: () => Effect.succeed({ head: noise(1000), tail: noise(512), fileSize: 1000 }),
        bytes: Stream.execute(Effect.zipRight(Deferred.succeed(started, undefined), Effect.never)).pipe(
          Stream.ensuring(Deferred.succeed(ended, undefined))
        )
      })
    )
    const offered = yield* Offered
    const image = yield* offered.offer(configOf(null, "/a"))
    const fibers = yield* Effect.forEach([1, 2], () => Effect.fork(library.resolve(image)))
    yield* Deferred.await(started)
    const [first, second] = fibers
    if (first !== undefined) yield* Fiber.interrupt(first)
    assert.isFalse(yield* Deferred.isDone(ended))
    if (second !== undefined) yield* Fiber.interrupt(second)
    yield* Deferred.await(ended)
  }).pipe(Effect.provide(inventory))
)

describe("a host that does not answer, or answers nonsense", () => {
  const address = "/srv/a.raw"
  const check = (exec: Context.Tag.Service<Ssh>["exec"]) =>
    Effect.flatMap(ImageLibrary, (library) => Effect.flip(library.check(configOf("other", address)))).pipe(
      Effect.provide(
        ImageLibraryLive.layer.pipe(
          Layer.provide(Layer.mergeAll(inventory, NodeFileSystem.layer, Layer.mock(Ssh, { exec })))
        )
      )
    )
  it.effect("says so in one sentence", () =>
    Effect.gen(function* () {
      const reason = new SshUnreachable({ reason: "connection refused" })
      const error = yield* check(() => Effect.fail(new SshError({ host: "root@other", action: "connect", reason })))
      assert.strictEqual(
        error.message,
        "image root@other:/srv/a.raw cannot be used: root@other: connect: connection refused"
      )
      assert.instanceOf(error.cause, SshError)
    })
  )
  for (const answer of [
    "",
    "12",
    "12 34 81a4 56",
    "-1 34 81a4",
    "1e9 34 81a4",
    "99999999999999999999 1 81a4",
    "\u001b[2J"
  ]) {
    it.effect(`stat: ${JSON.stringify(answer)}`, () =>
      Effect.gen(function* () {
        const error = yield* check(() => Effect.succeed({ stdout: Buffer.from(answer), stderr: "" }))
        assert.match(error.message, /stat answered "/)
        assert.notInclude(error.message, "\u001b")
      })
    )
  }
})
