/** `vmfabric backup`, as it is typed. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Served from "../client/Served.ts"
import * as Typed from "./Typed.ts"

const magic = "SQLite format 3\0"

describe("backup", () => {
  it.scopedLive("writes a copy for its owner alone, in place of the one before, and what there is is whole", () =>
    Effect.gen(function* () {
      const { url } = yield* Served.make
      const { config, run } = yield* Typed.make({ VMFABRIC_URL: url })
      const file = join(config, "backup.db")
      writeFileSync(file, "the one before", { mode: 0o644 })
      const { err, status } = yield* run("backup", file)
      assert.strictEqual(status, 0, err)
      assert.match(err, /backup\.db: \d.* [KM]iB; images that were uploaded are not in it/)
      assert.isTrue(readFileSync(file, "latin1").startsWith(magic))
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      assert.isTrue((yield* run("backup", "-")).out.startsWith(magic))

      const nowhere = yield* run("backup", join(config, "no", "such.db"))
      assert.strictEqual(nowhere.status, 1)
      assert.include(nowhere.err, "such.db cannot be written")
      assert.deepStrictEqual(
        readdirSync(config).filter((name) => name.includes(".vmfabric-")),
        []
      )
    })
  )
})
