/** Compiled code that is kept from one start of the client to the next. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { build } from "esbuild"
import { execFile } from "node:child_process"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, vi } from "vitest"
import * as CodeCache from "../../src/bin/CodeCache.ts"

const root = new URL("../..", import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), "vmfabric-code-cache-"))
const launcher = join(folder, "launcher.mjs")

beforeAll(() =>
  build({
    stdin: {
      contents: `
        import { pathToFileURL } from "node:url"
        import * as CodeCache from "./src/bin/CodeCache.ts"
        const [script, directory] = process.argv.slice(2)
        console.log("cached", CodeCache.run(pathToFileURL(script), directory))`,
      resolveDir: root,
      loader: "ts"
    },
    bundle: true,
    platform: "node",
    format: "esm",
    outfile: launcher,
    logLevel: "error"
  })
)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A script and a place for its code, and what a process says that runs it. */
const make = (source: string) => {
  const own = mkdtempSync(join(folder, "one-"))
  const script = join(own, "script.cjs")
  const cache = join(own, "cache")
  writeFileSync(script, source)
  return {
    script,
    cache,
    file: () => join(cache, readdirSync(cache)[0] ?? "none"),
    run: (...flags: ReadonlyArray<string>) =>
      Effect.async<string>((resume) => {
        execFile(process.execPath, [...flags, launcher, script, cache], (error, out, err) =>
          resume(error === null ? Effect.succeed(out + err) : Effect.die(error))
        )
      })
  }
}

const says = (word: string) =>
  `console.log(require("node:path").basename(__filename), "${word}", typeof module.exports)\n`
const said = (word: string, cached: boolean) => `script.cjs ${word} object\ncached ${cached}\n`

describe("code that is kept", () => {
  it("is below XDG_CACHE_HOME unless that is relative, or in a home that there is", () => {
    const at = (value: string, home = folder) => {
      vi.stubEnv("XDG_CACHE_HOME", value)
      vi.stubEnv("HOME", home)
      const found = CodeCache.directory()
      vi.unstubAllEnvs()
      return found
    }
    assert.strictEqual(at("/var/cache/ada"), "/var/cache/ada/vmfabric")
    for (const value of ["", "relative", "./cache"]) assert.strictEqual(at(value), join(folder, ".cache/vmfabric"))
    // services run as users without one
    assert.isNull(at("", join(folder, "nowhere")))
  })

  it.live("is used by the next process, for whom alone it can be read", () =>
    Effect.gen(function* () {
      const { cache, file, run } = make(says("one"))
      assert.strictEqual(yield* run(), said("one", false))
      assert.deepStrictEqual(readdirSync(cache).length, 1)
      assert.strictEqual(yield* run(), said("one", true))
      // other flags of V8 make other code
      assert.strictEqual(yield* run("--max-semi-space-size=8"), said("one", false))
      assert.strictEqual(yield* run("--max-semi-space-size=8"), said("one", true))
      assert.strictEqual(yield* run(), said("one", true))
      assert.strictEqual(readdirSync(cache).length, 2)
      assert.isTrue(existsSync(file()))
    })
  )

  it.live("is not that of another script, not even of one as long", () =>
    Effect.gen(function* () {
      const { cache, run, script } = make(says("one"))
      yield* run()
      writeFileSync(script, says("two"))
      assert.strictEqual(yield* run(), said("two", false))
      assert.strictEqual(yield* run(), said("two", true))
      assert.strictEqual(readdirSync(cache).length, 1)
    })
  )

  it.live("is made anew when it is damaged, or cut off", () =>
    Effect.gen(function* () {
      const { file, run } = make(says("one"))
      yield* run()
      const whole = readFileSync(file())
      for (const damaged of [
        Buffer.alloc(0),
        whole.subarray(0, 20),
        whole.subarray(0, whole.length - 1),
        Buffer.concat([whole.subarray(0, -1), Buffer.from([(whole.at(-1) ?? 0) ^ 1])])
      ]) {
        writeFileSync(file(), damaged)
        assert.strictEqual(yield* run(), said("one", false))
        assert.strictEqual(yield* run(), said("one", true))
      }
    })
  )

  it.live("is not taken from a file that others can write", () =>
    Effect.gen(function* () {
      const { file, run } = make(says("one"))
      yield* run()
      chmodSync(file(), 0o666)
      assert.strictEqual(yield* run(), said("one", false))
      // and is one's own from then on
      assert.strictEqual(yield* run(), said("one", true))
    })
  )

  it.live("is not needed: where it cannot be written the script runs all the same", () =>
    Effect.gen(function* () {
      const { cache, run } = make(says("one"))
      writeFileSync(cache, "a file where the folder would be")
      assert.strictEqual(yield* run(), said("one", false))
      assert.strictEqual(yield* run(), said("one", false))
      rmSync(cache)
      mkdirSync(join(cache, "sub"), { recursive: true })
      assert.strictEqual(yield* run(), said("one", false))
    })
  )
})
