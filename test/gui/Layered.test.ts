/** Maps that lie over each other hold what a map would, and tell what is different. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Layered } from "../../src/gui/state/Layered.ts"

interface Thing {
  readonly is: number
}

const sorted = (entries: Iterable<readonly [number, Thing]>) => [...entries].toSorted(([a], [b]) => a - b)

/** Numbers of things, null of what goes; more of them than lie over what is shared. */
const changes = fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }), fc.option(fc.integer(), { nil: null })), {
  maxLength: 90
})

describe("layered maps", () => {
  it("after any changes hold what a map would, and none that was made before is changed", () => {
    fc.assert(
      fc.property(changes, fc.array(changes, { maxLength: 12 }), (first, rounds) => {
        let map: ReadonlyMap<number, Thing> = new Map(
          first.flatMap(([key, is]) => (is === null ? [] : [[key, { is }] as const]))
        )
        let layered = Layered.of(map)
        const before: Array<readonly [Layered<number, Thing>, ReadonlyMap<number, Thing>]> = [[layered, map]]
        for (const round of rounds) {
          const next = new Map(map)
          const changed = round.map(([key, is]) => [key, is === null ? null : { is }] as const)
          for (const [key, thing] of changed) {
            if (thing === null) next.delete(key)
            else next.set(key, thing)
          }
          map = next
          layered = layered.with(changed)
          before.push([layered, map])
        }
        for (const [layered, map] of before) {
          assert.strictEqual(layered.size, map.size)
          assert.deepStrictEqual(sorted(layered), sorted(map))
          assert.deepStrictEqual([...layered.keys()].length, map.size)
          for (let key = 0; key <= 401; key++) {
            assert.strictEqual(layered.get(key), map.get(key))
            assert.strictEqual(layered.has(key), map.has(key))
          }
        }
      })
    )
  })

  it("tell which are not the same as before, forwards and backwards, or that all may be", () => {
    fc.assert(
      fc.property(fc.array(changes, { minLength: 1, maxLength: 8 }), (rounds) => {
        const all = [Layered.of(Array.from({ length: 300 }, (_, key): [number, Thing] => [key, { is: key }]))]
        for (const round of rounds) {
          const last = all.at(-1) ?? assert.fail()
          all.push(last.with(round.map(([key, is]) => [key, is === null ? null : { is }] as const)))
        }
        for (const before of all) {
          for (const after of all) {
            const told = after.changedSince(before)
            if (told === null) continue
            const keys = Array.from({ length: 402 }, (_, key) => key)
            const changed = keys.filter((key) => after.get(key) !== before.get(key))
            assert.deepStrictEqual(
              told.toSorted((a, b) => a - b),
              changed
            )
          }
        }
      })
    )
  })

  it("share what is not changed while that is most of it", () => {
    const many = Layered.of(Array.from({ length: 10_000 }, (_, key): [number, Thing] => [key, { is: key }]))
    const changed = many.with([
      [7, { is: 8 }],
      [9, null]
    ])
    assert.deepStrictEqual(changed.changedSince(many), [7, 9])
    assert.isNull(changed.changedSince(Layered.of(many)))
  })
})
