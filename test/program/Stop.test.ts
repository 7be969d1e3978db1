/** The program is told to end while its hosts take their time over what it has asked of them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Served from "../crash/Served.ts"
import * as World from "../fabric/World.ts"
import * as Contract from "../http/v1/Contract.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import * as Program from "./Program.ts"

const send = (program: Program.Program, method: string, path: string, body?: object, wait = 0) =>
  Effect.promise(async () => {
    const response = await fetch(`${program.url}/api/v1${path}`, {
      method,
      headers: { "content-type": "application/json", ...(wait === 0 ? {} : { prefer: `wait=${wait}` }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    return { status: response.status, json: Contract.members(await response.json()) }
  })

/** What is written down of each operation: its end, and which steps were done and undone. */
const recorded = Effect.gen(function* () {
  const journal = yield* Journal
  const operations = yield* journal.list({ limit: 100 })
  return yield* Effect.forEach(
    operations.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    ({ error, id, kind, state }) =>
      Effect.map(journal.steps(id), (steps) => ({
        id,
        kind,
        state,
        error,
        done: steps.filter(({ phase }) => phase === "do").map(({ name }) => name),
        undone: steps.filter(({ phase }) => phase !== "do").map(({ name }) => name)
      }))
  )
})

describe("a SIGTERM while operations run", () => {
  it.scopedLive(
    "ends the program in 5 seconds and undoes nothing, and the next life brings them to their end",
    () =>
      Effect.gen(function* () {
        const served = yield* Served.make
        const [host] = served.hosts
        assert(host !== undefined)
        const { faults } = host
        const first = yield* Program.start(served.arguments)
        const made = yield* send(first, "POST", "/vms", { name: "old", instanceType: 1 }, 60)
        assert.deepInclude(made.json, { state: "done" })

        const counts = Effect.all([faults.calls("DOMAIN_CREATE_WITH_FLAGS"), faults.calls("DOMAIN_DESTROY")])
        const [started, destroyed] = yield* counts
        for (const call of ["DOMAIN_CREATE_WITH_FLAGS", "DOMAIN_DESTROY"] as const) yield* faults.hang(call, true)
        const begun = yield* Effect.forEach(["a", "b", "c"], (name) =>
          send(first, "POST", "/vms", { name, instanceType: 1 })
        )
        begun.push(yield* send(first, "DELETE", `/vms/${String(made.json.vmId)}`))
        for (const { json, status } of begun) assert.strictEqual(status, 202, JSON.stringify(json))
        // and somebody who waits for the end of one
        const waiting = fetch(`${first.url}/api/v1/vms`, {
          method: "POST",
          headers: { "content-type": "application/json", prefer: "wait=60" },
          body: JSON.stringify({ name: "d", instanceType: 1 })
        }).then(
          (response) => `${response.status}`,
          () => "cut off"
        )
        yield* World.eventually(
          Effect.map(counts, (now) => assert.deepStrictEqual(now, [started + 4, destroyed + 1], "the host is at it"))
        )
        const before = yield* Served.look(served, recorded)
        const there = World.remains(served)
        assert.lengthOf(there.domains, 5)

        yield* first.kill("SIGTERM")
        const status = yield* Effect.timeoutFail(first.exited, {
          duration: "5 seconds",
          onTimeout: () => new Program.ProgramError({ message: "it has not ended after 5 seconds" })
        })
        assert.strictEqual(status, 0, yield* first.output)
        yield* Effect.promise(() => waiting)
        assert.deepStrictEqual(World.remains(served), there, "nothing was undone on the host")
        const between = yield* Served.look(served, recorded)
        assert.deepStrictEqual(between, before, "nothing more was written down")
        assert.lengthOf(
          between.filter(({ state }) => state === "running"),
          5
        )

        yield* faults.clear
        yield* Program.start(served.arguments)
        yield* Served.atRest(served)
        const after = yield* Served.look(served, recorded)
        const ends = after.map(({ error, id, state, undone }) => [id, state, error, undone.length])
        assert.deepStrictEqual(
          ends,
          before.map(({ id }) => [id, "done", null, 0])
        )
        const vms = yield* Served.look(
          served,
          Effect.flatMap(Inventory, (inventory) => inventory.vms())
        )
        assert.sameMembers(
          vms.map(({ name }) => String(name)),
          ["a", "b", "c", "d"]
        )
      }),
    120_000
  )
})
