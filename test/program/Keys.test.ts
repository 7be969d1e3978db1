/** Idempotency keys of the API over a `kill -9` of the program: whatever was heard of the first try, there is one VM. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Served from "../crash/Served.ts"
import * as World from "../fabric/World.ts"
import * as Contract from "../http/v1/Contract.ts"
import * as Program from "./Program.ts"

/** As often as this at once. */
const often = 50

const create = (program: Program.Program, key: string, headers: Readonly<Record<string, string>> = {}) => {
  const tries = Array.from({ length: often }, async () => {
    const response = await fetch(`${program.url}/api/v1/vms`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key, ...headers },
      body: JSON.stringify({ name: key, instanceType: 1 })
    })
    return { status: response.status, json: Contract.members(await response.json()) }
  })
  // at once, since those that are cut off fail before anybody looks
  return { tries, ended: Promise.allSettled(tries) }
}

/** What was answered to those that were: the others were cut off. */
const answered = ({ ended }: ReturnType<typeof create>) =>
  Effect.map(
    Effect.promise(() => ended),
    (all) => all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []))
  )

describe("a key", () => {
  it.scopedLive(
    "used fifty times at once, and again after kill -9, is one VM",
    () =>
      Effect.gen(function* () {
        const served = yield* Served.make
        const start = Effect.gen(function* () {
          const program = yield* Program.start(served.arguments)
          yield* World.eventually(
            Effect.map(program.get("/readyz"), (answer) => assert.deepInclude(answer, { ready: true }))
          )
          return program
        })
        let program = yield* start
        const moments: Readonly<Record<string, (tries: ReturnType<typeof create>["tries"]) => Promise<unknown>>> = {
          "before any answer": () => Promise.resolve(),
          "after the first answer": (tries) => Promise.any(tries),
          "after all answers": (tries) => Promise.all(tries)
        }
        const ids: Array<unknown> = []
        for (const [moment, passed] of Object.entries(moments)) {
          const key = moment.replaceAll(" ", "-")
          const first = create(program, key)
          yield* Effect.promise(() => passed(first.tries))
          yield* program.kill("SIGKILL")
          yield* program.exited
          const before = yield* answered(first)
          program = yield* start
          const after = yield* answered(create(program, key, { prefer: "wait=60" }))
          assert.lengthOf(after, often, moment)
          for (const { json, status } of after) {
            assert.strictEqual(status, 200, JSON.stringify(json))
            assert.deepInclude(json, { kind: "CreateVm", state: "done" }, moment)
          }
          // those that were answered before the end were told of the same one
          assert.strictEqual(new Set([...before, ...after].map(({ json }) => json.id)).size, 1, moment)
          ids.push(after[0]?.json.vmId)
        }
        const list = yield* program.get("/api/v1/vms")
        assert.deepInclude(list, { total: 3 })
        assert.strictEqual(new Set(ids).size, 3)
        assert.sameMembers(
          served.hosts.flatMap((host) => [...host.state.domains.values()].map(({ name }) => name)),
          ids.map((id) => `vm-${String(id)}`)
        )
      }),
    120_000
  )

  it.scopedLive(
    "made a user and a token: after kill -9 there is one of each, and the secret, which is nowhere kept, is not told again",
    () =>
      Effect.gen(function* () {
        const served = yield* Served.make
        let program = yield* Program.start(served.arguments)
        const post = (path: string, body: object, headers: Readonly<Record<string, string>>) =>
          Effect.promise(async () => {
            const response = await fetch(`${program.url}/api/v1${path}`, {
              method: "POST",
              headers: { "content-type": "application/json", ...headers },
              body: JSON.stringify(body)
            })
            return { status: response.status, json: Contract.members(await response.json()) }
          })
        yield* post("/users", { name: "ada", role: "admin" }, {})
        const bootstrap = yield* post("/tokens", { name: "first", owner: "ada" }, {})
        const bearer = { authorization: `Bearer ${String(bootstrap.json.secret)}` }
        const user = post("/users", { name: "bob", role: "viewer" }, { ...bearer, "idempotency-key": "bob" })
        const token = post("/tokens", { name: "ci" }, { ...bearer, "idempotency-key": "ci" })
        const bob = yield* user
        const made = yield* token
        assert.deepInclude(bob, { status: 201 })
        assert.deepInclude(made, { status: 201 })
        assert.deepStrictEqual(yield* token, made)

        yield* program.kill("SIGKILL")
        yield* program.exited
        program = yield* Program.start(served.arguments)
        assert.deepStrictEqual(yield* user, bob)
        const { json } = yield* token
        assert.deepInclude(json, { status: 409, code: "secret_not_kept" })
        assert.include(json.detail, `token ${String(made.json.id)} (ci) of ada`)
        assert.include(json.detail, "remove that token and make another")
        // it does go on being one
        const mine = { authorization: `Bearer ${String(made.json.secret)}` }
        const list = yield* Effect.promise(async () => {
          const response = await fetch(`${program.url}/api/v1/tokens`, { headers: mine })
          return Contract.members(await response.json()).items
        })
        assert.lengthOf(Array.isArray(list) ? list : [], 2)
      }),
    60_000
  )
})
