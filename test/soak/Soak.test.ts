/** Short soaks; long ones are `npm run soak`. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { bugs } from "./bugs.ts"
import * as Soak from "./Soak.ts"

const rough = { ...Soak.defaults, operations: 80, settleEvery: 40, perSecond: 10, faultEvery: 1, killEvery: 15 }

describe("a soak", () => {
  for (const [seed, ceph] of [
    [9, true],
    [2, false],
    [3, true]
  ] as const) {
    it.live(
      `keeps every promise with disks ${ceph ? "in a pool" : "on the hosts"}, seed ${seed}`,
      () =>
        Effect.gen(function* () {
          const report = yield* Soak.virtually({ ...rough, seed, ceph }, () => {})
          assert.strictEqual(report.requests, rough.operations)
          assert.isAbove(report.succeeded, rough.operations / 4)
          assert.isAbove(report.faults, 0)
          assert.strictEqual(report.settlements, 2)
        }),
      120_000
    )
  }

  it.live(
    "is the same again with the same seed, byte for byte, and another with another",
    () =>
      Effect.gen(function* () {
        const log = (seed: number) =>
          Effect.gen(function* () {
            const lines: Array<string> = []
            yield* Soak.virtually({ ...rough, operations: 40, seed }, (line) => void lines.push(line))
            return lines.join("\n")
          })
        const first = yield* log(9)
        assert.strictEqual(yield* log(9), first)
        assert.notStrictEqual(yield* log(8), first)
      }),
    120_000
  )

  it("has forty-two bugs to find, and each still has its place", () => {
    assert.lengthOf(bugs, 42)
    for (const { file, find, name } of bugs) {
      const text = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8")
      assert.lengthOf(text.split(find), 2, `${name}: ${file}`)
    }
  })
})
