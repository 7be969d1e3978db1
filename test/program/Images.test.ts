/**
 * Images that are added to the program as users start it: hostile ones on every way in, and a large one that is cut off again and again.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Tools from "../check/Tools.ts"
import * as Hostile from "../images/Hostile.ts"
import * as Shown from "../images/Shown.ts"
import * as Program from "./Program.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const Refusal = Schema.Struct({ detail: Schema.String })
const decodeRefusal = Schema.decodeUnknownSync(Refusal)

const ask = (program: Program.Program, method: string, path: string, body?: object) =>
  Effect.promise(async () => {
    const response = await fetch(`${program.url}/api/v1${path}`, {
      method,
      headers: { prefer: "wait=30", ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const answer: unknown = response.status === 204 ? null : await response.json()
    return { status: response.status, answer }
  })

const patch = (program: Program.Program, id: number, offset: number, body: Uint8Array | ReadableStream<Uint8Array>) =>
  fetch(`${program.url}/api/v1/images/${id}/content`, {
    method: "PATCH",
    headers: { "content-type": "application/octet-stream", "upload-offset": String(offset), prefer: "wait=60" },
    body: body instanceof Uint8Array ? body.slice() : body,
    duplex: "half"
  } satisfies RequestInit & { readonly duplex: "half" })

/** Files by their names, on the loopback interface. */
const served = (files: ReadonlyMap<string, Uint8Array>) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly close: () => void }>((resume) => {
      const server = createServer((request, response) => {
        const bytes = files.get((request.url ?? "").slice(1))
        response.writeHead(bytes === undefined ? 404 : 200).end(bytes)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close: () => server.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

describe("hostile images", () => {
  it.scopedLive.skipIf(Tools.isMissing("strace"))(
    "are refused on every way in, and what they name is never opened (needs strace)",
    () =>
      Effect.gen(function* () {
        const at = yield* folder
        const canary = join(at, "canary")
        writeFileSync(canary, "nobody opens this")
        const images = join(at, "images")
        mkdirSync(images)
        const hostile = Hostile.all(canary)
        for (const { bytes, name } of hostile) writeFileSync(join(images, name), bytes)
        symlinkSync(canary, join(images, "link"))
        const { url } = yield* served(new Map(hostile.map(({ bytes, name }) => [name, bytes])))

        const opened = join(at, "opened")
        const kept = join(at, "kept")
        const program = yield* Program.start(
          ["--image-dir", kept, "--image-path", images, "--image-allow", "127.0.0.1"],
          { opened }
        )
        for (const { bytes, declared, name, refusal } of hostile) {
          const format = declared === undefined ? {} : { format: declared }
          const byPath = yield* ask(program, "POST", "/images", { path: join(images, name), ...format })
          assert.strictEqual(byPath.status, 409, name)
          assert.match(decodeRefusal(byPath.answer).detail, refusal, name)
          const byUrl = yield* ask(program, "POST", "/images", { url: `${url}/${name}`, ...format })
          assert.match(Shown.decode(byUrl.answer).reason ?? "", refusal, name)
          const begun = yield* ask(program, "POST", "/images", { name, size: bytes.length, ...format })
          const { id } = Shown.decode(begun.answer)
          const sent = yield* Effect.promise(() => patch(program, id, 0, bytes))
          const { reason, state } = Shown.decode(yield* Effect.promise(() => sent.json()))
          assert.strictEqual(state, "refused", name)
          assert.match(reason ?? "", refusal, name)
        }
        for (const path of [join(images, "link"), canary, `${images}/../canary`]) {
          assert.strictEqual((yield* ask(program, "POST", "/images", { path })).status, 400, path)
        }
        // nothing of them is kept
        assert.deepStrictEqual(readdirSync(kept), [])
        yield* program.kill("SIGTERM")
        yield* program.exited

        // the operator's own list of images
        writeFileSync(join(at, "machines"), "root@127.0.0.1:1\n")
        writeFileSync(join(at, "types"), '{"types":[{"tid":1,"cpu":1,"ram":512,"disk":1}]}')
        writeFileSync(
          join(at, "list"),
          hostile
            .map(
              ({ declared, name }) => `${join(images, name)}${declared === undefined ? "" : ` format=${declared}`}\n`
            )
            .join("")
        )
        const openedByFiles = join(at, "opened-by-files")
        const { output, status } = yield* Program.toEnd(
          ["--database", join(at, "db"), join(at, "machines"), join(at, "list"), join(at, "types")],
          { opened: openedByFiles }
        )
        assert.strictEqual(status, 1, output)
        for (const [line, { name, refusal }] of hostile.entries()) {
          assert.match(output, new RegExp(`list:${line + 1}: .*${refusal.source}`), name)
        }

        for (const file of [opened, openedByFiles]) {
          const lines = readFileSync(file, "utf8")
          // the trace sees what is opened: the images themselves
          assert.include(lines, join(images, "backing-file"))
          assert.notInclude(lines, canary)
        }
      }),
    600_000
  )
})

const mib = 1024 * 1024

/** Bytes of the image from `from` on, as a hole with something here and there; the same each time. */
const content = (size: number, from: number, to: number = size): ReadableStream<Uint8Array> => {
  let at = from
  return new ReadableStream({
    pull: (controller) => {
      if (at >= to) return controller.close()
      const block = Math.floor(at / mib)
      const whole = new Uint8Array(mib)
      if (block % 7 === 0) whole.fill(block + 1)
      const end = Math.min((block + 1) * mib, to)
      controller.enqueue(whole.subarray(at - block * mib, end - block * mib))
      at = end
    }
  })
}

const hashOf = async (size: number) => {
  const hash = createHash("sha256")
  for await (const part of content(size, 0)) hash.update(part)
  return hash.digest("hex")
}

/** The most memory the process ever had, and what it has, in MiB. */
const memoryOf = ({ pid }: Program.Program) => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const of = (name: string) => Number(new RegExp(`${name}:\\s+([0-9]+) kB`).exec(status)?.[1]) / 1024
  return { most: of("VmHWM"), now: of("VmRSS") }
}

describe("a large image", () => {
  it.scopedLive(
    "that is cut off three times, once by kill -9, goes on where it was, is whole, and takes no memory",
    () =>
      Effect.gen(function* () {
        const at = yield* folder
        const size = Number(process.env.VMFABRIC_TEST_IMAGE_MIB ?? "256") * mib + 4096
        const sha256 = yield* Effect.promise(() => hashOf(size))
        const args = ["--database", join(at, "db")]
        const first = yield* Program.start(args)
        const made = yield* ask(first, "POST", "/images", { name: "large", size, sha256, format: "raw" })
        const { id } = Shown.decode(made.answer)
        const received = (program: Program.Program) =>
          Effect.map(ask(program, "GET", `/images/${id}`), ({ answer }) => Shown.decode(answer).received ?? 0)
        const before = memoryOf(first)

        /** Sends from where it stands, and is cut off when it has got so far. */
        const cut = (program: Program.Program, until: number, how: Effect.Effect<void>) =>
          Effect.gen(function* () {
            const from = yield* received(program)
            const gone = new AbortController()
            // more than is sent before it is cut: it hangs then
            const stream = content(size, from, until)
            const reader = stream.getReader()
            const hanging = new ReadableStream<Uint8Array>({
              pull: async (controller) => {
                const { done, value } = await reader.read()
                if (done) return new Promise<void>(() => undefined)
                controller.enqueue(value)
              }
            })
            const request = fetch(`${program.url}/api/v1/images/${id}/content`, {
              method: "PATCH",
              headers: { "content-type": "application/octet-stream", "upload-offset": String(from) },
              body: hanging,
              signal: gone.signal,
              duplex: "half"
            } satisfies RequestInit & { readonly duplex: "half" }).then(
              () => "answered",
              () => "cut off"
            )
            yield* Effect.repeat(received(program), {
              until: (now) => now >= until,
              schedule: Schedule.spaced("50 millis")
            }).pipe(Effect.timeout("120 seconds"))
            yield* how
            gone.abort()
            assert.strictEqual(yield* Effect.promise(() => request), "cut off")
          })

        yield* cut(first, Math.floor(size / 4), Effect.void)
        assert.strictEqual(yield* received(first), Math.floor(size / 4))
        yield* cut(first, Math.floor(size / 2) + 1, Effect.void)
        assert.strictEqual(yield* received(first), Math.floor(size / 2) + 1)
        const after = memoryOf(first)
        assert.isBelow(after.most - before.now, 128, `MiB while half of ${size / mib} MiB came`)
        yield* cut(first, Math.floor((size * 3) / 4), first.kill("SIGKILL"))
        yield* first.exited

        const second = yield* Program.start(args)
        const from = yield* received(second)
        assert.strictEqual(from, Math.floor((size * 3) / 4))
        const last = yield* Effect.promise(() => patch(second, id, from, content(size, from)))
        const whole = Shown.decode(yield* Effect.promise(() => last.json()))
        assert.deepInclude(whole, { state: "available", reason: null, sha256 })
        assert.isBelow(memoryOf(second).most - before.now, 192, "MiB while the rest of it came and was checked")
        const files = readdirSync(join(at, "db.images"))
        assert.deepStrictEqual(
          files.map((name) => statSync(join(at, "db.images", name)).size),
          [size]
        )

        // one that was being fetched or checked when it ended is taken up, and what nobody knows is swept away
        const stray = join(at, "db.images", "00000000-0000-4000-8000-000000000000.image")
        writeFileSync(stray, "")
        yield* second.kill("SIGKILL")
        yield* second.exited
        const third = yield* Program.start(args)
        assert.isFalse(existsSync(stray))
        assert.deepInclude(Shown.decode((yield* ask(third, "GET", `/images/${id}`)).answer), {
          state: "available",
          sha256
        })
        const created = yield* third.get(`/vm/create?name=web&instance_type=1&image_id=${id}`)
        assert.deepStrictEqual(created, { vmid: 1 })
        const list = yield* third.get("/image/list")
        assert.deepInclude(list["images"], { id, name: "large" })
      }),
    600_000
  )
})
