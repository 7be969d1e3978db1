/** What more fits where all hosts share a pool. */
import { assert, describe, it } from "@effect/vitest"
import { InstanceTypeId } from "../../src/domain/Ids.ts"
import { inPool } from "../../src/fabric/Placements.ts"

describe("what more fits in a pool", () => {
  const type = { tid: InstanceTypeId.make(1), cpu: 1, ram: 512, disk: 20 }
  const fit = { type, more: 30, hosts: 10, limit: "ram" } as const

  it("is no more than the pool has room for, and on no host when it is full", () => {
    assert.deepStrictEqual(inPool(fit, null), fit)
    assert.deepStrictEqual(inPool(fit, 600), fit)
    assert.deepStrictEqual(inPool(fit, 59), { ...fit, more: 2, limit: "pool" })
    assert.deepStrictEqual(inPool(fit, 19), { ...fit, more: 0, hosts: 0, limit: "pool" })
  })
})
