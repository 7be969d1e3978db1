/** What is wrong with what was filled in, by the names that the form has. */
import { assert, describe, it } from "@effect/vitest"
import { inLabels } from "../../src/gui/parts/InLabels.ts"

const words = (detail: string, field: string | null) => ({
  title: "The body cannot be used",
  detail,
  field,
  refusal: null
})

describe("what the controller says of a field", () => {
  it("is said by its label, where the form has it", () => {
    const labels = { url: "Address", "quota.ram": "Memory in MiB" }
    assert.deepStrictEqual(inLabels(words("url: expected https", "url"), labels), {
      title: "Address cannot be used",
      detail: "Address: expected https",
      field: "url",
      refusal: null
    })
    assert.strictEqual(
      inLabels(words("quota.ram is too small", "quota.ram"), labels).detail,
      "Memory in MiB is too small"
    )
    for (const other of [
      words("types.0: expected one of them", "types.0"),
      words("the body cannot be used", null),
      words("somebody has that url already", "url")
    ]) {
      assert.strictEqual(inLabels(other, labels), other)
    }
  })
})
