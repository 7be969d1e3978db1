/** What charts tell in words. */
import { assert, describe, it } from "@effect/vitest"
import * as Measured from "../../src/gui/vm/Measured.ts"

describe("what a VM uses now", () => {
  it("is what was measured last, also where one time was missed", () => {
    assert.strictEqual(Measured.latest([1, 2, 3], 20), 3)
    assert.strictEqual(Measured.latest([1, 2, 3, null], 20), 3)
    assert.strictEqual(Measured.latest([1, 2, null], 600), 2)
  })

  it("is not known where nothing was measured for a while, as of a host that is dead", () => {
    assert.isNull(Measured.latest([1, 2, 3, null, null, null], 20))
    assert.isNull(Measured.latest([1, null, null], 600))
    assert.isNull(Measured.latest([], 20))
  })
})

describe("times below a chart", () => {
  it("are written as the viewer writes them, each day once", () => {
    const noon = new Date(2026, 10, 30, 12, 0).getTime() / 1000
    assert.deepStrictEqual(Measured.moments([noon, noon + 3600, noon + 86_400], "de-DE"), [
      "12:00\n30. Nov.",
      "13:00",
      "12:00\n1. Dez."
    ])
    assert.match(Measured.moments([noon], "en-US")[0] ?? "", /^12:00.PM\nNov 30$/)
  })
})
