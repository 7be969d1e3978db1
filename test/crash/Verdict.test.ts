import { assert, describe, it } from "@effect/vitest"
import * as Verdict from "./Verdict.ts"

const passed = [
  "admit: after",
  "record running, do definition started: before",
  "record running, do definition started: after",
  "record do definition done, done: before",
  "record do definition done, done: after"
]
const dead =
  "host root@sim-1 cannot be used: connect: the connection was lost; it is given up after 6 tries that failed"
const at = (point: string) => ({ kind: "ResizeVm", passed, point }) as const

describe("an operation that was under way when its controller was killed", () => {
  it("may be done, wherever it was", () => {
    for (const point of passed) assert.isTrue(Verdict.isRight(at(point), "done", null), point)
  })

  it("may be undone for a host that was taken for dead, as long as that was still needed", () => {
    assert.deepStrictEqual(
      passed.map((point) => Verdict.isRight(at(point), "failed", dead)),
      [true, true, true, true, false]
    )
  })

  it("is not undone for anything else, nor left unfinished", () => {
    assert.isFalse(Verdict.isRight(at("admit: after"), "failed", null))
    assert.isFalse(Verdict.isRight(at("admit: after"), "failed", "Ceph pool vms cannot be used: no answer"))
    assert.isFalse(Verdict.isRight(at("admit: after"), "undoing", dead))
  })

  it("is never undone when it only goes forward", () => {
    const point = "record running, do power off started: after"
    assert.isFalse(Verdict.isRight({ kind: "DestroyVm", passed: [point], point }, "failed", dead))
  })
})
