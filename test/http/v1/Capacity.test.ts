/** A thousand people who want a VM at the same moment, where there is room for a hundred. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as App from "./App.ts"
import * as Contract from "./Contract.ts"

const wanted = 1000
const hosts = 10
/** of each host */
const room = 10

describe("a thousand requests for a VM at once, each by itself", () => {
  it.scopedLive(
    "into room for a hundred: a hundred are made, and nine hundred are told what is lacking",
    () =>
      Effect.gen(function* () {
        const { ask, get } = yield* App.make(App.fleet(hosts, room))
        const answers = yield* Effect.forEach(
          Array.from({ length: wanted }, (_, index) => `vm-${index}`),
          (name) => ask("POST", "/vms", { name, instanceType: 1 }, { prefer: "wait=60" }),
          { concurrency: "unbounded" }
        )
        const made = answers.filter(({ status }) => status === 200)
        const refused = answers.filter(({ status }) => status !== 200)
        assert.lengthOf(made, hosts * room)
        assert.lengthOf(refused, wanted - hosts * room)
        for (const { json } of made) assert.deepInclude(json, { kind: "CreateVm", state: "done" })
        for (const { json, status } of refused) {
          assert.strictEqual(status, 409, JSON.stringify(json))
          assert.strictEqual(json.code, "no_feasible_host")
          assert.match(
            String(json.detail),
            /^no host can take the VM: 10 hosts: memory short by 97.7 GiB; what would help: root@test-\d+ lacks only 97.7 GiB of memory$/
          )
        }

        // each another, and as many as are there
        assert.strictEqual(new Set(made.map(({ json }) => json.vmId)).size, hosts * room)
        assert.strictEqual((yield* get("/vms")).json.total, hosts * room)
        const known = App.items(yield* get("/vms?limit=1000"))
        assert.sameMembers(
          known.map(({ id }) => id),
          made.map(({ json }) => json.vmId)
        )
        for (const vm of known) assert.strictEqual(vm.state, "running")
        const fleet = App.items(yield* get("/hosts"))
        assert.lengthOf(fleet, hosts)
        for (const host of fleet) {
          const { cpu, ram } = Contract.members(host.promised)
          assert.deepStrictEqual({ cpu, ram }, { cpu: room, ram: room * Math.floor(1_000_000 / room) })
          assert.strictEqual(host.vms, room)
        }
        // nothing of a refused one is left that would be gone on with
        assert.deepStrictEqual(App.items(yield* get("/operations?ended=false")), [])
      }),
    120_000
  )
})
