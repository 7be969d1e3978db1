/** Values of labels in the words of a rule. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Either from "effect/Either"
import { InstanceTypeId } from "../../src/domain/Ids.ts"
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

describe("what an instance type requires", () => {
  const type = InstanceTypeId.make(3)
  const labels = { rack: ["a", "b,c"], "host.virt": ["kvm"] }
  const required = Placement.required(type, labels)

  it("is passed over where somebody asks for it with what was read of a VM, however much that is", () => {
    const mine = { strength: "must", kind: "apart", group: "web", over: "host" } as const
    assert.deepStrictEqual(
      Placement.make({ group: "web", rules: [...required, mine] }),
      Either.right({ group: "web", rules: [mine] })
    )
    assert.deepStrictEqual(Placement.make({ rules: required }), Either.right(null))
    const many = Array.from({ length: Placement.most.rules }, () => mine)
    assert.isTrue(Either.isRight(Placement.make({ group: "web", rules: [...many, ...required] })))
    const wrong = Placement.make({ group: "web", rules: [...required, ...many, mine] })
    assert.include(Either.isLeft(wrong) ? wrong.left.message : "", `has ${Placement.most.rules + 1} rules`)
  })

  it("is something that a host can have", () => {
    const problem = (label: string, ...values: ReadonlyArray<string>) =>
      Placement.wrongRequirement(label, values)?.problem ?? null
    const good: ReadonlyArray<readonly [string, ...ReadonlyArray<string>]> = [
      ["rack", "a", "b"],
      ["team/zone.1", "a b"],
      ["host.virt", "kvm"],
      ["host.cpu.model", "EPYC-Rome", "EPYC-Milan"],
      ["host.cpu.feature.avx512f", "yes"]
    ]
    for (const [label, ...values] of good) assert.isNull(problem(label, ...values), label)
    for (const label of ["host.vrit", "host.cpu.feature.", "host.", '"zone', "__proto__", "-a"]) {
      assert.strictEqual(problem(label, "x"), `has ${JSON.stringify(label)}, which no host can have as a label`)
    }
    assert.strictEqual(problem("zone", "a", "b", "a"), 'has zone="a" twice')
    assert.strictEqual(problem("zone", "a", " "), 'has zone=" ", which is blank')
    assert.strictEqual(problem("host.cpu.feature.avx", "no"), 'has host.cpu.feature.avx="no"')
  })

  it("is told with values in quotes where they have commas, and so is what a host has instead", () => {
    assert.strictEqual(Placement.showAllRequired(labels), 'rack=a,"b,c", host.virt=kvm')
    const [rack] = required
    assert(rack !== undefined)
    assert.strictEqual(
      Placement.showUnmet(rack, "d,e"),
      'has rack="d,e", not rack=a,"b,c", which instance type 3 requires'
    )
  })
})
