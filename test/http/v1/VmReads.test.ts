/** One VM and a page of them, which are answered where the request comes in, and by their endpoints when they are asked for in another way. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Guarded from "../Guarded.ts"

const one = "/api/v1/vms/7"
const list = "/api/v1/vms?limit=2"
const cursor = Buffer.from('["id",7,7]').toString("base64url")

/** By the endpoint: the same to the router, and to nobody else. */
const alike: ReadonlyArray<readonly [short: string, long: string]> = [
  [one, `${one}?`],
  ["/api/v1/vms", "/api/v1/vms?"],
  [list, `${list}&`],
  [`${list}&cursor=${cursor}`, `/api/v1/vms?cursor=${cursor}&limit=2`],
  [`${list}&cursor=none`, "/api/v1/vms?cursor=none&limit=2"],
  ["/api/v1/vms/8", "/api/v1/vms/8?"]
]

describe("a VM and a page of them", () => {
  it.scopedLive("are told in the same words, under the same head, whichever way they take", () =>
    Effect.gen(function* () {
      const { admins, ask, fabric, someone } = yield* Guarded.make()
      yield* admins
      const viewer = yield* someone("viewer")
      for (const ways of alike) {
        fabric.calls.length = 0
        const answers = yield* Effect.forEach(ways, (way) => ask("GET", way, { headers: viewer }))
        const [short, long] = answers.map(({ headers, ...answer }) => ({
          ...answer,
          headers: { ...headers, date: "" }
        }))
        assert.deepStrictEqual(short, long)
        // the same was asked for; what fails is asked for once more
        assert.strictEqual(new Set(fabric.calls).size, short?.text.includes("cursor") ? 0 : 1)
      }
    })
  )

  it.scopedLive("are not sent again to whom has them, whichever way the first one took", () =>
    Effect.gen(function* () {
      const { admins, ask, someone } = yield* Guarded.make()
      yield* admins
      const viewer = yield* someone("viewer")
      for (const way of [one, `${one}?`]) {
        const etag = String((yield* ask("GET", one, { headers: viewer })).headers.etag)
        const again = yield* ask("GET", way, { headers: { ...viewer, "if-none-match": etag } })
        assert.deepStrictEqual([again.status, again.text, again.headers.etag], [304, "", etag])
        const other = yield* ask("GET", way, { headers: { ...viewer, "if-none-match": '"x"' } })
        assert.strictEqual(other.status, 200)
        // who may not see it is not told that it is the same
        assert.strictEqual((yield* ask("GET", way, { headers: { "if-none-match": etag } })).status, 401)
      }
    })
  )

  it.scopedLive("are what was asked for", () =>
    Effect.gen(function* () {
      const { admins, ask, fabric, someone } = yield* Guarded.make()
      yield* admins
      const headers = yield* someone("viewer")
      const told = yield* ask("GET", one, { headers })
      assert.deepStrictEqual([told.status, fabric.calls], [200, ["read 7"]])
      assert.include(told.text, '"id":7')
      const page = yield* ask("GET", `${list}&cursor=${cursor}`, { headers })
      assert.deepStrictEqual([page.status, fabric.calls[1]], [200, "page of 2 after 7"])
      assert.match(page.text, /^\{"items":\[\{"id":7,.*\},\{"id":7,.*\}\],"next":"[A-Za-z0-9_-]+","total":3\}$/)
    })
  )

  it.scopedLive("are refused to whom their endpoints are refused, in the same words", () =>
    Effect.gen(function* () {
      const { admins, ask, fabric, forward, someone } = yield* Guarded.make()
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
        for (const ways of alike) {
          // what is counted are wrong tries
          forward(60_000)
          const answers = yield* Effect.forEach(ways, (way) => ask("GET", way, { headers }))
          assert.deepStrictEqual(
            answers.map((answer) => answer.status),
            [status, status]
          )
          assert.strictEqual(answers[0]?.text, answers[1]?.text)
        }
      }
      assert.deepStrictEqual(fabric.calls, [])
    })
  )

  it.scopedLive("count among the requests that somebody may make", () =>
    Effect.gen(function* () {
      const { admins, ask, forward, someone } = yield* Guarded.make({ rateLimit: 2 })
      yield* admins
      const headers = yield* someone("viewer")
      const statuses = (count: number) =>
        Effect.map(
          Effect.forEach(Array.from({ length: count }), () => ask("GET", one, { headers })),
          (all) => all.map(({ status }) => status)
        )
      assert.deepStrictEqual(yield* statuses(6), [200, 200, 200, 200, 429, 429])
      forward(1000)
      assert.deepStrictEqual(yield* statuses(3), [200, 200, 429])
    })
  )

  it.scopedLive("are not told to a token that has expired", () =>
    Effect.gen(function* () {
      const { admins, ask, forward, now, someone } = yield* Guarded.make()
      yield* admins
      const headers = yield* someone("viewer", (yield* now) + 1000)
      assert.strictEqual((yield* ask("GET", one, { headers })).status, 200)
      forward(1000)
      assert.strictEqual((yield* ask("GET", one, { headers })).status, 401)
    })
  )
})
