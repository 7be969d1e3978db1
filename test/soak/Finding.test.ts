import { assert, describe, it } from "@effect/vitest"
import * as Finding from "./Finding.ts"

const line = (seed: number) => `seed ${seed}: 300 requests (141 done, 76 refused, 6 cut off)\n`
const all = line(1) + line(2)
const ended = { code: 0, signal: null } as const

describe("what a soak with a bug has found", () => {
  it("is the promise that was broken, with the seed that shows it", () => {
    const said = `${line(1)}seed 2, after 75 requests, against "promises are kept": VM 7 is stopped, not running\n  at …`
    assert.deepStrictEqual(Finding.read(said, 2, { code: 1, signal: null }), {
      invariant: "promises are kept",
      seed: "2",
      requests: "75",
      told: "VM 7 is stopped, not running"
    })
    const stuck = "the run with seed 1 waits at +3.000s for something that will never come"
    assert.strictEqual(Finding.read(stuck, 2, { code: 1, signal: null }).invariant, "something happens")
  })

  it("is nothing when every seed is green, and only then is that said", () => {
    const told = (said: string, end: Finding.End) => {
      const { invariant, told } = Finding.read(said, 2, end)
      assert.isNull(invariant)
      return told
    }
    assert.strictEqual(told(all, ended), "every seed is green")
    assert.strictEqual(told(line(1), ended), "ended after 1 of 2 seeds")
    assert.strictEqual(told(line(1), { code: 143, signal: null }), "ended after 1 of 2 seeds")
    assert.strictEqual(told("", { code: null, signal: "SIGTERM" }), "ended by SIGTERM after 0 of 2 seeds")
    assert.strictEqual(told(line(1), { minutes: 20 }), "not over after 20 minutes, 1 of 2 seeds are green")
    assert.include(told("Error: no such module", { code: 1, signal: null }), "the soak itself failed: Error")
  })
})
