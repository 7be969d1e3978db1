import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { ById } from "../../layers/ById.ts"

interface One {
  readonly id: number
  readonly version: number
}

const change = fc.record({ id: fc.integer({ min: 1, max: 12 }), version: fc.integer(), gone: fc.boolean() })

/** By the plainest means. */
const following = (all: ReadonlyArray<One>, after: number | null, descending: boolean, limit: number) =>
  (descending ? all.toReversed() : all)
    .filter(({ id }) => after === null || (descending ? id < after : id > after))
    .filter(({ version }) => version % 2 === 0)
    .slice(0, limit)

describe("what exists by id", () => {
  it("is what was set last, in order, in whichever order it came and went", () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 40 }),
        fc.option(fc.integer({ min: 0, max: 13 })),
        fc.boolean(),
        fc.integer({ min: 1, max: 5 }),
        (changes, after, descending, limit) => {
          const expected = new Map<number, One>()
          const actual = new ById<number, One>()
          for (const { gone, id, version } of changes) {
            if (gone) {
              expected.delete(id)
              actual.delete(id)
            } else {
              expected.set(id, { id, version })
              actual.set({ id, version })
            }
          }
          const all = [...expected.values()].sort((a, b) => a.id - b.id)
          assert.deepStrictEqual([...actual], all)
          assert.strictEqual(actual.size, all.length)
          for (let id = 0; id <= 13; id += 1) assert.deepStrictEqual(actual.get(id), expected.get(id))
          assert.deepStrictEqual(
            actual.following(after, descending, limit, ({ version }) => version % 2 === 0),
            following(all, after, descending, limit)
          )
        }
      )
    )
  })
})
