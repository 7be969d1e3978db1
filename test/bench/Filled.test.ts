import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { filled, opened } from "./Filled.ts"

/** The tables change, and what writes them by hand would be wrong unnoticed until somebody wants a figure. */
describe("a database that is filled for a measurement", () => {
  it.scoped("is one as a controller at work leaves it", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-filled-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const filename = join(folder, "vmfabric.sqlite")
      yield* filled(filename, { hosts: 3, vms: 10, unfinished: 4 })
      const { inventory, journal } = yield* opened(filename)
      const vms = yield* inventory.vms()
      assert.deepStrictEqual(
        vms.map(({ name, state, nics }) => [name, state, nics.length]),
        Array.from({ length: 10 }, (_, i) => [`vm-${i + 1}`, "running", 1])
      )
      assert.strictEqual(new Set(vms.flatMap(({ nics }) => nics.map(({ mac }) => mac))).size, 10)
      const unfinished = yield* journal.unfinished
      assert.deepStrictEqual(
        unfinished.map(({ kind, vmId }) => ({ kind, vmId })),
        vms.slice(0, 4).map(({ id }) => ({ kind: "RepairVm" as const, vmId: id }))
      )
      // those that are left alone can be worked with
      const last = vms[9]?.id
      if (last === undefined) return assert.fail("there is none")
      const begun = yield* inventory.beginOnVm(last, "RepairVm")
      assert.strictEqual(begun.state, "pending")
    })
  )
})
