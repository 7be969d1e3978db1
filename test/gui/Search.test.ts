/** What is found by what somebody writes, in lists and from the keyboard. */
import { assert, describe, it } from "@effect/vitest"
import * as Search from "../../src/gui/parts/Search.ts"

const things = [
  { id: 1, name: "db-data-0" },
  { id: 10, name: "customer-portal-web" },
  { id: 100, name: "old db" },
  { id: 7, name: "DB" }
]

const found = (written: string) =>
  things.filter(({ id, name }) => Search.seeking(written)(id, () => name)).map(({ name }) => name)

const first = (written: string, most = 9) => {
  const best = Search.best<(typeof things)[number]>(written, most)
  for (const one of things) if (Search.seeking(written)(one.id, () => one.name)) best.add(one)
  const { items, more } = best.found()
  return [items.map(({ name }) => name), more]
}

describe("what is looked for", () => {
  it("has each word somewhere, in any order", () => {
    assert.deepStrictEqual(found("portal Customer"), ["customer-portal-web"])
    assert.deepStrictEqual(
      found(""),
      things.map(({ name }) => name)
    )
    assert.deepStrictEqual(found("portal db"), [])
  })

  it("is one alone by its number, and not those whose numbers begin with it", () => {
    assert.deepStrictEqual(found("id:1"), ["db-data-0"])
    assert.deepStrictEqual(found("id:1 db"), ["db-data-0"])
    assert.deepStrictEqual(found("id:1 portal"), [])
    assert.deepStrictEqual(found("id:1 id:10"), [])
  })

  it("begins with what is called just that, then with what begins so", () => {
    assert.deepStrictEqual(first("db"), [["DB", "db-data-0", "old db"], 0])
    assert.deepStrictEqual(first("db", 1), [["DB"], 2])
  })
})
