/** What a long list shows, kept up to date by what changed, is what it would be if it were made anew. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import type { Vm } from "../../src/api/Vms.ts"
import { VmId } from "../../src/domain/Ids.ts"
import { VmName } from "../../src/domain/Vm.ts"
import * as Found from "../../src/gui/state/Found.ts"
import { Layered } from "../../src/gui/state/Layered.ts"
import { anyVm } from "./Vms.ts"

const vmOf = (id: number, name: string, cpu: number): Vm => ({
  ...anyVm,
  id: VmId.make(id),
  name: VmName.make(name),
  resources: { ...anyVm.resources, cpu }
})

const byName = (descending: boolean, word = ""): Found.Query => ({
  key: `name ${descending} ${word}`,
  matches: ({ name }) => name.includes(word),
  by: ({ name }) => name,
  descending
})

const byCpu: Found.Query = { key: "cpu", matches: () => true, by: ({ resources }) => resources.cpu, descending: true }

describe("what a list shows", () => {
  it("is by what was asked, numbers in names by what they are worth, and the same array while nothing moves", () => {
    const found = Found.make()
    const vms = new Map([vmOf(1, "web-10", 4), vmOf(2, "web-9", 1), vmOf(3, "db", 2)].map((vm) => [vm.id, vm]))
    const first = found(vms, byName(false))
    assert.deepStrictEqual([...first].map(Number), [3, 2, 1])
    const changed = new Map(vms).set(VmId.make(1), vmOf(1, "web-10", 8))
    assert.strictEqual(found(changed, byName(false)), first)
    assert.deepStrictEqual([...found(changed, byCpu)].map(Number), [1, 3, 2])
    assert.deepStrictEqual([...found(changed, byName(true, "web"))].map(Number), [1, 2])
  })

  it("after any changes is what is found when all of it is looked at", () => {
    const step = fc.record({
      id: fc.integer({ min: 1, max: 12 }),
      name: fc.option(fc.constantFrom("a", "a2", "a10", "b", "web", "web-1"), { nil: null }),
      cpu: fc.integer({ min: 1, max: 3 })
    })
    const query = fc.constantFrom(byName(false), byName(true), byName(false, "a"), byCpu)
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.array(step, { maxLength: 6 }), query), { maxLength: 12 }), (rounds) => {
        const found = Found.make()
        const foundByChanges = Found.make()
        let vms: ReadonlyMap<VmId, Vm> = new Map()
        let layered = Layered.of(vms)
        for (const [steps, asked] of rounds) {
          const changed = steps.map(
            ({ cpu, id, name }) => [VmId.make(id), name === null ? null : vmOf(id, name, cpu)] as const
          )
          const next = new Map(vms)
          for (const [id, vm] of changed) {
            if (vm === null) next.delete(id)
            else next.set(id, vm)
          }
          vms = next
          layered = layered.with(changed)
          const anew = Found.make()(vms, asked)
          assert.deepStrictEqual(found(vms, asked), anew)
          assert.deepStrictEqual(foundByChanges(layered, asked), anew)
        }
      })
    )
  })
})
