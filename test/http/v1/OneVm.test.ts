/** One VM, which is answered where the request comes in, and by its endpoint when it is asked for in another way. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Guarded from "../Guarded.ts"

const path = "/api/v1/vms/7"
/** The same to the router, and to nobody else. */
const byEndpoint = `${path}?`

describe("one VM", () => {
  it.scopedLive("is told in the same words, under the same head, whichever way it takes", () =>
    Effect.gen(function* () {
      const { admins, ask, someone } = yield* Guarded.make()
      yield* admins
      const viewer = yield* someone("viewer")
      const answers = yield* Effect.forEach([path, byEndpoint], (way) => ask("GET", way, { headers: viewer }))
      const [short, long] = answers.map(({ headers, ...answer }) => ({ ...answer, headers: { ...headers, date: "" } }))
      assert.deepStrictEqual(short, long)
      assert.strictEqual(short?.status, 200)
      assert.include(short?.text, '"id":7')
    })
  )

  it.scopedLive("is refused to whom the endpoint is refused, in the same words", () =>
    Effect.gen(function* () {
      const { admins, ask, someone } = yield* Guarded.make()
      yield* admins
      const viewer = yield* someone("viewer")
      const refusals: ReadonlyArray<readonly [number, Readonly<Record<string, string>>]> = [
        [401, {}],
        [401, { authorization: "Bearer vmf_wrong" }],
        [401, { authorization: "Basic dmlld2VyOnZpZXdlcg==" }],
        [421, { ...viewer, host: "evil.example" }],
        [403, { ...viewer, origin: "http://evil.example" }],
        [403, { ...viewer, "sec-fetch-site": "cross-site" }]
      ]
      for (const [status, headers] of refusals) {
        const answers = yield* Effect.forEach([path, byEndpoint], (way) => ask("GET", way, { headers }))
        assert.deepStrictEqual(
          answers.map((answer) => answer.status),
          [status, status]
        )
        assert.strictEqual(answers[0]?.text, answers[1]?.text)
      }
    })
  )

  it.scopedLive("counts among the requests that somebody may make", () =>
    Effect.gen(function* () {
      const { admins, ask, forward, someone } = yield* Guarded.make({ rateLimit: 2 })
      yield* admins
      const headers = yield* someone("viewer")
      const statuses = (count: number) =>
        Effect.map(
          Effect.forEach(Array.from({ length: count }), () => ask("GET", path, { headers })),
          (all) => all.map(({ status }) => status)
        )
      assert.deepStrictEqual(yield* statuses(6), [200, 200, 200, 200, 429, 429])
      forward(1000)
      assert.deepStrictEqual(yield* statuses(3), [200, 200, 429])
    })
  )

  it.scopedLive("is not told to a token that has expired", () =>
    Effect.gen(function* () {
      const { admins, ask, forward, now, someone } = yield* Guarded.make()
      yield* admins
      const headers = yield* someone("viewer", (yield* now) + 1000)
      assert.strictEqual((yield* ask("GET", path, { headers })).status, 200)
      forward(1000)
      assert.strictEqual((yield* ask("GET", path, { headers })).status, 401)
    })
  )
})
