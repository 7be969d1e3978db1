/** Values of labels in the words of a rule. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Placement from "../../src/domain/Placement.ts"

describe("values of a label in words", () => {
  it.prop("are read as they were written, whatever is in them", { values: Placement.Values }, ({ values }) => {
    assert.deepStrictEqual(Placement.readValues(Placement.showValues(values)), values)
  })

  const special = Schema.Array(Schema.Array(Schema.Literal(...',"\\ ab')).pipe(Schema.minItems(1)))
  it.prop("also those of commas, quotes and blanks", { parts: special }, ({ parts }) => {
    const values = ["x", ...parts.map((part) => part.join(""))]
    assert.deepStrictEqual(Placement.readValues(Placement.showValues(values)), values)
  })

  it("stand in quotes only where they have to, and people may put blanks between them", () => {
    assert.strictEqual(
      Placement.showValues(["r1", "Xeon E5", "a,b", 'say "x"', " c"]),
      'r1,Xeon E5,"a,b","say \\"x\\""," c"'
    )
    assert.deepStrictEqual(Placement.readValues('r1 , "a, b" ,Xeon E5, 5" disk'), ["r1", "a, b", "Xeon E5", '5" disk'])
    for (const text of ['"a', 'r1,"a" b', '"a\\"']) assert.isNull(Placement.readValues(text), text)
  })
})
