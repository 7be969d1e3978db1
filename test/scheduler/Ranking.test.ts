import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Ranking from "../../src/scheduler/Ranking.ts"

interface Ranked {
  readonly place: number
  readonly item: number
  readonly id: number
  readonly score: number
}

/** What a ranking should have, the best first. */
const inOrder = (all: ReadonlyArray<Ranked>): ReadonlyArray<Ranked> =>
  all.toSorted((a, b) => b.score - a.score || a.id - b.id)

const walked = (rankings: Ranking.Rankings, ranking: number, most: number) => {
  const seen: Array<Omit<Ranked, "place">> = []
  rankings.walk(ranking, (item, id, score) => {
    seen.push({ item, id, score })
    return seen.length < most
  })
  return seen
}

const steps = FastCheck.array(
  FastCheck.record({
    do: FastCheck.constantFrom("add", "add", "change", "change", "remove", "make"),
    which: FastCheck.nat(1000),
    score: FastCheck.nat(6)
  }),
  { maxLength: 150, size: "max" }
)

describe("Rankings", () => {
  it("have the order of a sorted list, each its own, and tell when their best one may be another", () => {
    FastCheck.assert(
      FastCheck.property(steps, FastCheck.nat(40), (steps, expected) => {
        const rankings = Ranking.make()
        const lists: Array<Array<Ranked>> = []
        const make = (expected?: number) => {
          assert.strictEqual(rankings.make(expected), lists.length)
          lists.push([])
        }
        make()
        make(expected)
        let id = 0
        for (const { do: what, score, which } of steps) {
          if (what === "make" && lists.length < 4) make()
          const ranking = which % lists.length
          const list = lists[ranking] ?? []
          const before = inOrder(list)[0]
          const at = which % Math.max(1, list.length)
          const one = list[at]
          /** Whether the engine would look again. */
          let isTold = true
          if (what === "add") {
            // ids do not come in order
            const added = { item: id, id: (id * 37) % 101, score }
            id++
            list.push({ ...added, place: rankings.add(ranking, added.item, added.id, score) })
          } else if (what === "change" && one !== undefined) {
            isTold = rankings.change(ranking, one.place, one.id, score)
            list[at] = { ...one, score }
          } else if (what === "remove" && one !== undefined) {
            isTold = rankings.remove(ranking, one.place)
            list.splice(at, 1)
          }
          for (const [number, list] of lists.entries()) {
            const [first] = inOrder(list)
            const place = rankings.first(number)
            assert.strictEqual(place, first?.place ?? -1)
            if (first === undefined) continue
            assert.deepStrictEqual(
              [rankings.item(number, place), rankings.id(number, place), rankings.score(number, place)],
              [first.item, first.id, first.score]
            )
          }
          if (!isTold) assert.deepStrictEqual(inOrder(list)[0], before)
        }
        for (const [number, list] of lists.entries()) {
          const all = inOrder(list).map(({ id, item, score }) => ({ item, id, score }))
          assert.deepStrictEqual(walked(rankings, number, Number.POSITIVE_INFINITY), all)
          assert.deepStrictEqual(walked(rankings, number, 3), all.slice(0, 3))
        }
      }),
      { numRuns: 200 }
    )
  })

  it("do not tell of a change behind the best one", () => {
    const rankings = Ranking.make()
    const ranking = rankings.make()
    const places = Array.from({ length: 100 }, (_, i) => rankings.add(ranking, i, i, 100 - i))
    const told = places.slice(1).filter((place, i) => rankings.change(ranking, place, i + 1, i % 50))
    assert.deepStrictEqual(told, [])
    assert.isTrue(rankings.change(ranking, places[0] ?? -1, 0, 99))
  })
})
