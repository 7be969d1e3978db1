/** The program as it is built: what its files load, and what a shell sees of it. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { build } from "esbuild"
import { execFile, spawn } from "node:child_process"
import { closeSync, existsSync, openSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Served from "../client/Served.ts"
import * as Built from "../program/Built.ts"
import * as Typed from "./Typed.ts"

const root = new URL("../..", import.meta.url).pathname

beforeAll(Built.built, 120_000)

/** Files of the program, with all that they import; `Serve` and `Manage` are loaded when they are needed. */
const inputs = (entry: string, external: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const { metafile } = await build({
      entryPoints: [entry],
      absWorkingDir: root,
      bundle: true,
      write: false,
      metafile: true,
      platform: "node",
      format: "esm",
      conditions: ["vmfabric-source"],
      external: [...external],
      logLevel: "error"
    })
    return Object.values(metafile.outputs).flatMap(({ inputs }) =>
      Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : []))
    )
  })

const run = (args: ReadonlyArray<string>, cwd: string = root) =>
  Effect.async<{ readonly status: unknown; readonly out: string; readonly err: string }>((resume) => {
    execFile(process.execPath, [join(root, Built.program), ...args], { cwd, timeout: 60_000 }, (error, out, err) =>
      resume(Effect.succeed({ status: error === null ? 0 : error.code, out, err }))
    )
  })

describe("the program", () => {
  it.live("loads nothing before it knows whether it is a client or the server", () =>
    Effect.gen(function* () {
      const entry = yield* inputs("src/bin/vmfabric.ts", ["./Manage.ts", "./Serve.ts"])
      assert.deepStrictEqual([...entry].sort(), ["src/bin/CodeCache.ts", "src/bin/vmfabric.ts", "src/cli/Words.ts"])
      const client = yield* inputs("src/bin/Manage.ts", [])
      assert.include(client, "src/cli/Tree.ts")
      assert.deepStrictEqual(
        client.filter((file) =>
          /^layers|^src\/(http|libvirt|ssh|ceph|simulator)\/|ssh2|better-sqlite3|undici/.test(file)
        ),
        []
      )
    })
  )

  it.scopedLive(
    "ends with the status that its help promises",
    () =>
      Effect.gen(function* () {
        const { url } = yield* Served.make
        const listed = yield* run(["type", "list", "--url", url, "-o", "name"])
        assert.deepStrictEqual(listed, { status: 0, out: "1\n", err: "" })
        const missing = yield* run(["vm", "get", "nope", "--url", url])
        assert.deepStrictEqual([missing.status, missing.out], [3, ""])
        assert.strictEqual((yield* run(["vm", "get"])).status, 2)
        assert.strictEqual((yield* run(["vm", "list", "--url", "http://127.0.0.1:1"])).status, 5)
      }),
    120_000
  )

  it.scopedLive(
    "takes the words of a client's command that is misspelt for no files, unless there is one",
    () =>
      Effect.gen(function* () {
        const words = ["vms", "get", "3"]
        assert.deepStrictEqual(yield* run([...words, "-o", "json"]), {
          status: 2,
          out: "",
          err: "vmfabric: there is no command vms, and no file of that name: did you mean vm get? (vmfabric --help)\n"
        })
        const folder = yield* Typed.folder
        writeFileSync(join(folder, "vms"), "no machine\n")
        const { err, out, status } = yield* run(words, folder)
        assert.strictEqual(status, 1)
        assert.match(out + err, /vms:1: .*machine.* is not a key=value word/s)
      }),
    120_000
  )

  it.scopedLive.skipIf(!existsSync("/dev/full"))(
    "says it when its results cannot be written",
    () =>
      Effect.gen(function* () {
        const full = yield* Effect.acquireRelease(
          Effect.sync(() => openSync("/dev/full", "w")),
          (file) => Effect.sync(() => closeSync(file))
        )
        const ended = yield* Effect.async<readonly [status: number | null, err: string]>((resume) => {
          const args = [Built.program, "--version"]
          const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", full, "pipe"] })
          let err = ""
          child.stderr?.on("data", (chunk: Buffer) => {
            err += chunk.toString()
          })
          child.on("close", (status) => resume(Effect.succeed([status, err])))
        })
        assert.deepStrictEqual(ended, [
          1,
          "vmfabric: standard output cannot be written, and is not whole: no space left on device\n"
        ])
      }),
    120_000
  )
})
