/** Requests made from the OpenAPI document: whatever comes, it is answered as the document says. `npm run fuzz` makes as many as one likes. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fuzz from "./Fuzz.ts"

describe("requests made from the document", () => {
  it.scopedLive(
    "are never answered with a 500, nor with what the document does not have",
    () =>
      Effect.gen(function* () {
        const { statuses, succeeded } = yield* Fuzz.run(300, 7)
        // it did get somewhere
        assert.isAbove(succeeded.size, Fuzz.endpoints / 3, JSON.stringify([...statuses]))
        assert.isTrue(
          [200, 400, 404].every((status) => statuses.has(status)),
          JSON.stringify([...statuses])
        )
      }),
    120_000
  )
})
