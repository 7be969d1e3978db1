/** Plans of moves through the API, on hosts in memory. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as App from "./App.ts"
import * as Contract from "./Contract.ts"

const names = (value: unknown): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  Array.isArray(value) ? value.map(Contract.members) : []

describe("rebalancing through the API", () => {
  it.scopedLive(
    "spreads, empties a host, repairs a rule that was given later, and refuses what cannot be",
    () =>
      Effect.gen(function* () {
        const fleet = App.fleet(3, 10)
        const app = yield* App.make({
          ...fleet,
          hosts: fleet.hosts.map((host, i) => ({ ...host, labels: { rack: `r${i + 1}` } }))
        })
        const on = (...values: ReadonlyArray<string>) => ({ rules: [{ kind: "on", label: "rack", values }] })
        for (const name of ["a", "b", "c", "d"]) {
          yield* app.done("POST", "/vms", { name, instanceType: 1, placement: on("r1") })
        }
        const none = yield* app.get("/rebalancing")
        assert.deepInclude(none.json, { aim: "policy", policy: "spread", moves: [], complete: true })
        const kept = yield* app.get("/rebalancing?empty=1")
        assert.lengthOf(names(kept.json.stuck), 4)
        assert.include(JSON.stringify(kept.json.stuck), "it must be on rack=r1")

        // two that may be anywhere, one that must be elsewhere
        const vms = App.items(yield* app.get("/vms"))
        const change = (index: number, placement: object | null) =>
          Effect.map(app.ask("PATCH", `/vms/${String(vms[index]?.id)}`, { placement }), ({ status }) =>
            assert.strictEqual(status, 200)
          )
        yield* change(0, null)
        yield* change(1, null)
        yield* change(2, on("r3"))
        const repair = yield* app.get("/rebalancing?aim=repair")
        assert.deepInclude(names(repair.json.moves)[0], { name: "c", fromHostId: 1, toHostId: 3, gain: 1 })
        assert.deepInclude(repair.json, { stuck: [], further: 0 })
        const spread = yield* app.get("/rebalancing?most=1")
        assert.lengthOf(names(spread.json.moves), 1)
        assert.isBelow(
          Number(Contract.members(spread.json.after).highest),
          Number(Contract.members(spread.json.before).highest)
        )
        const empty = yield* app.get("/rebalancing?empty=1&policy=pack")
        assert.sameMembers(
          names(empty.json.moves).map(({ name }) => name),
          ["a", "b", "c"]
        )
        assert.deepEqual(
          names(empty.json.stuck).map(({ name, reason }) => [name, reason]),
          [["d", "no other host can take it"]]
        )
        assert.strictEqual((yield* app.ask("GET", "/rebalancing?empty=9")).status, 404)
        for (const query of ["empty=1&aim=repair", "most=101", "policy=best"]) {
          assert.strictEqual((yield* app.ask("GET", `/rebalancing?${query}`)).status, 400, query)
        }
        assert.deepStrictEqual(
          App.items(yield* app.get("/vms")).map(({ hostId }) => hostId),
          [1, 1, 1, 1],
          "nothing is moved"
        )
      }),
    60_000
  )
})
