import { assert, describe, it } from "@effect/vitest"
import * as Unstacked from "../../src/domain/Unstacked.ts"

describe("an error without a stack", () => {
  it("has its name and message, and those that are made later have all they had", () => {
    const error = Unstacked.make(() => new RangeError("too far"))
    assert.strictEqual(error.stack, "RangeError: too far")
    assert.match(new Error("later").stack ?? "", /\n {4}at /)
  })

  it("leaves no trace when none can be made", () => {
    assert.throws(
      () =>
        Unstacked.make(() => {
          throw new Error("no")
        }),
      "no"
    )
    assert.match(new Error("later").stack ?? "", /\n {4}at /)
  })
})
