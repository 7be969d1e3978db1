/** Who an operation is by, as it is said. */
import { assert, describe, it } from "@effect/vitest"
import { UserName } from "../../src/domain/Identity.ts"
import { byWhom, byWhomAndWhy } from "../../src/domain/Operation.ts"

const ada = UserName.make("ada")

describe("who an operation is by", () => {
  it("is a user, with the token, or the controller and why, or nobody that is known", () => {
    const cause = "its time in the trash is over"
    const all = [
      { user: ada, token: null, cause: null },
      { user: ada, token: "nightly", cause: null },
      { user: null, token: null, cause },
      { user: ada, token: null, cause: "no answer" },
      { user: null, token: null, cause: null },
      {}
    ]
    assert.deepStrictEqual(all.map(byWhom), ["ada", "ada", "controller", "ada", null, null])
    assert.deepStrictEqual(all.map(byWhomAndWhy), [
      "ada",
      "ada, with the token nightly",
      "the controller by itself: its time in the trash is over",
      "ada; the controller began it anew: no answer",
      null,
      null
    ])
  })
})
