/** Rules about where VMs are to be, through the API: kept under any parallelism, all or none in groups, shown when they do not hold. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { FleetConfig } from "../../../src/services/Inventory.ts"
import * as App from "./App.ts"

const patience = 120_000
const racks = 12
const perRack = 5
const hosts = racks * perRack

/** Each host with memory for 20 VMs, in racks of five. */
const fleet: FleetConfig = {
  ...App.fleet(hosts, 20),
  hosts: App.fleet(hosts, 20).hosts.map((host, index) => ({
    ...host,
    labels: { rack: `r${Math.floor(index / perRack) + 1}` }
  }))
}

const rackOf = (vm: Readonly<Record<string, unknown>>): number => Math.floor((Number(vm.hostId) - 1) / perRack) + 1

const one = (name: string, placement: object) => ({ name, instanceType: 1, placement })

const apart = (group: string, over: string) => ({ group, rules: [{ kind: "apart", over }] })

const groupOf = (vm: Readonly<Record<string, unknown>>, name: string) => String(vm.name).startsWith(`${name}-`)

describe("rules through the API", () => {
  it.scopedLive(
    "hold under any parallelism, and exactly what fits is created",
    () =>
      Effect.gen(function* () {
        const app = yield* App.make(fleet)
        const asked = [
          ...Array.from({ length: 150 }, (_, i) => one(`web-${i}`, apart("web", "host"))),
          ...Array.from({ length: 60 }, (_, i) => one(`db-${i}`, apart("db", "rack"))),
          // those of a group whose rule is another VM's
          ...Array.from({ length: 40 }, (_, i) =>
            one(`mixed-${i}`, i % 2 === 0 ? apart("mixed", "rack") : { group: "mixed" })
          ),
          ...Array.from({ length: 50 }, (_, i) => one(`free-${i}`, { group: "free" }))
        ].toSorted((a, b) => (a.name.slice(-1) < b.name.slice(-1) ? -1 : 1))
        // groups of eight, which share what is left of the hosts that the others take
        const batches = Array.from({ length: 10 }, (_, i) => ({
          ...one(`batch${i}`, apart("batch", "host")),
          count: 8
        }))
        const [answers, groups] = yield* Effect.all(
          [
            Effect.forEach(asked, (body) => app.ask("POST", "/vms", body), { concurrency: "unbounded" }),
            Effect.forEach(batches, (body) => app.ask("POST", "/vms/batch", body), { concurrency: "unbounded" })
          ],
          { concurrency: "unbounded" }
        )
        const refused = answers.filter(({ status }) => status !== 202)
        for (const { json } of refused) assert.include(json, { code: "no_feasible_host" })

        const vms = App.items(yield* app.get("/vms?limit=1000"))
        const named = (name: string) => vms.filter((vm) => groupOf(vm, name))
        const distinct = (all: ReadonlyArray<unknown>) => new Set(all).size
        const web = named("web")
        assert.deepStrictEqual([web.length, distinct(web.map(({ hostId }) => hostId))], [hosts, hosts])
        const db = named("db")
        assert.deepStrictEqual([db.length, distinct(db.map(rackOf))], [racks, racks])
        assert.lengthOf(named("free"), 50)
        const inRacks = Array.from({ length: racks }, (_, i) => named("mixed").filter((vm) => rackOf(vm) === i + 1))
        for (const there of inRacks) {
          const isAlone = there.some(({ placement }) => JSON.stringify(placement).includes("apart"))
          if (isAlone) assert.lengthOf(there, 1)
        }
        // seven groups of eight are on 56 hosts of 60, and an eighth finds only four
        const whole = groups.filter(({ status }) => status === 202)
        assert.lengthOf(whole, Math.floor(hosts / 8))
        const batch = vms.filter(({ name }) => String(name).startsWith("batch"))
        assert.deepStrictEqual(
          [batch.length, distinct(batch.map(({ hostId }) => hostId))],
          [whole.length * 8, whole.length * 8]
        )
        for (const { json, status } of groups) {
          if (status === 202) continue
          assert.strictEqual(status, 409)
          assert.match(
            String(json.detail),
            /^none of the 8 VMs is created, for no host can take number 5 beside those before it: 60 hosts: it must be apart from batch over host, and it has 1 of batch; what would help: root@test-\d+ could take it if these need not hold: it must be apart from batch over host; another VM must be apart from batch over host$/
          )
        }
        assert.deepStrictEqual(
          vms.flatMap(({ violations }) => violations),
          []
        )
      }),
    patience
  )

  it.scopedLive(
    "of a group are kept where all of it can be, though the first alone had a better place, and a plan says the same",
    () =>
      Effect.gen(function* () {
        // the roomiest host is alone in its rack, and the rack of the others has room for more
        const { hosts, ...others } = App.fleet(4, 20)
        const mixed = hosts.map((host, index) =>
          index === 0 ? { ...host, labels: { rack: "a" } } : { ...host, limit: { ram: 400 }, labels: { rack: "b" } }
        )
        const app = yield* App.make({ ...others, hosts: mixed })
        const near = { group: "g", rules: [{ kind: "near", over: "rack" }] }
        const wanted = { ...one("g", near), count: 22 }
        const plan = yield* app.ask("POST", "/vms/batch?plan=true", wanted)
        assert.strictEqual(plan.status, 200, JSON.stringify(plan.json))
        assert.strictEqual((yield* app.ask("POST", "/vms/batch", wanted)).status, 202)
        const at = App.items(yield* app.get("/vms")).map(({ hostId }) => Number(hostId))
        assert.lengthOf(at, 22)
        assert.notInclude(at, 1)
        const more = yield* app.ask("POST", "/vms/batch", { ...wanted, name: "h", count: 3 })
        assert.strictEqual(more.status, 409)
        assert.match(
          String(more.json.detail),
          /^none of the 3 VMs is created, for no host can take number 3 beside those/
        )
        const planned = yield* app.ask("POST", "/vms/batch?plan=true", { ...wanted, name: "h", count: 3 })
        assert.deepStrictEqual(planned.json, more.json)
        // not what every object has
        const rules = [{ kind: "on", label: "constructor", values: ["x"] }]
        const odd = yield* app.ask("POST", "/vms", one("odd", { rules }))
        assert.include(String(odd.json.detail), "it has no label constructor")
      }),
    patience
  )

  it.scopedLive(
    "are part of plans, shown with the VM, changed later, and told when they do not hold",
    () =>
      Effect.gen(function* () {
        const app = yield* App.make({ ...fleet, hosts: fleet.hosts.slice(0, 2 * perRack) })
        const wanted = { ...one("db", apart("db", "rack")), count: 3 }
        const tooMany = yield* app.ask("POST", "/vms/batch?plan=true", wanted)
        assert.strictEqual(tooMany.status, 409)
        assert.match(String(tooMany.json.detail), /apart from db over rack, and its rack has 1 of db/)
        const two = { ...wanted, count: 2 }
        const plan = yield* app.ask("POST", "/vms/batch?plan=true", two)
        assert.include(JSON.stringify(plan.json.changes), "placement: group db; must be apart from db over rack")
        assert.include(
          JSON.stringify(plan.json.placements),
          '"reason":"it must be apart from db over rack, and its rack has 1 of db"'
        )
        const key = { "idempotency-key": "two", prefer: "wait=20" }
        const path = `/vms/batch?plan_id=${String(plan.json.id)}`
        assert.strictEqual((yield* app.ask("POST", path, two, key)).status, 200)
        // the same request again, with nothing planned: nothing is made
        assert.strictEqual((yield* app.ask("POST", "/vms/batch", two, key)).status, 200)
        const [first, second, ...none] = App.items(yield* app.get("/vms"))
        assert(first !== undefined && second !== undefined)
        assert.isEmpty(none)
        assert.notStrictEqual(rackOf(first), rackOf(second))
        assert.deepInclude(first, {
          placement: { group: "db", rules: [{ strength: "must", kind: "apart", group: "db", over: "rack" }] },
          violations: []
        })

        const third = yield* app.done(
          "POST",
          "/vms",
          one("web", { group: "web", rules: [{ kind: "near", group: "db" }] })
        )
        const id = Number(third.json.vmId)
        const web = (yield* app.get(`/vms/${id}`)).json
        assert.include([first.hostId, second.hostId], web.hostId)
        const [near, far] = web.hostId === first.hostId ? [first, second] : [second, first]
        const patch = (placement: unknown) => app.ask("PATCH", `/vms/${id}`, { placement })
        const rules = [
          { kind: "notWith", vms: [near.id] },
          { kind: "on", strength: "should", label: "rack", values: [`r${rackOf(far)}`] },
          { kind: "near", group: "db", over: "rack" }
        ]
        const changed = yield* patch({ group: "web", rules })
        const host = `root@test-${String(web.hostId)}`
        const violations = [
          {
            rule: `must be not with VM ${String(near.id)}`,
            strength: "must",
            reason: `VM ${String(near.id)} (${String(near.name)}) is on ${host}, too`
          },
          {
            rule: `should be on rack=r${rackOf(far)}`,
            strength: "should",
            reason: `rack of ${host} is r${rackOf(near)}`
          }
        ]
        assert.deepStrictEqual([changed.status, changed.json.violations], [200, violations])
        assert.deepStrictEqual((yield* app.get(`/vms/${id}`)).json.violations, violations)
        // what would repair the one that must hold: one host of the other rack that has one of db
        const { repair } = (yield* app.get(`/vms/${id}/placement`)).json
        assert.deepNestedInclude(repair, { "violations.length": 1, "violations.0": violations[0], stuck: null })
        assert.deepNestedInclude(repair, { "moves.length": 1, "moves.0.vmId": id, "moves.0.gain": 1, complete: true })
        // from now on it is counted elsewhere: its new group is kept apart from by others
        const alone = {
          rules: [
            { kind: "apart", group: "web" },
            { kind: "near", group: "db" }
          ]
        }
        const other = yield* app.done("POST", "/vms", one("alone", alone))
        assert.strictEqual((yield* app.get(`/vms/${String(other.json.vmId)}`)).json.hostId, far.hostId)
        const solo = one("solo", { rules: [{ kind: "notWith", vms: [near.id] }] })
        const asSolo = () => app.done("POST", "/vms", solo, { "idempotency-key": "solo" })
        const { vmId } = (yield* asSolo()).json
        yield* app.done("DELETE", `/vms/${String(near.id)}`)
        // also when a VM that it names is gone meanwhile
        assert.strictEqual((yield* asSolo()).json.vmId, vmId)
        assert.deepStrictEqual((yield* app.get(`/vms/${id}`)).json.violations, [
          ...violations.slice(1),
          {
            rule: "must be near db over rack",
            strength: "must",
            reason: `rack r${rackOf(near)} has nobody else of db: VM ${String(far.id)} (${String(far.name)}) is elsewhere`
          }
        ])
        assert.deepStrictEqual((yield* patch(null)).json.placement, null)

        const wrong = Effect.fnUntraced(function* (placement: object) {
          const { json, status } = yield* app.ask("POST", "/vms", one("wrong", placement))
          assert.strictEqual(status, 400)
          assert.isTrue(String(json.detail).startsWith(String(json.field)))
          return json.detail
        })
        const told = [
          yield* wrong({ rules: [{ kind: "apart" }] }),
          yield* wrong({ rules: [{ kind: "notWith", vms: [4711] }] }),
          yield* wrong({ group: "Web" }),
          yield* wrong({ rules: [{ kind: "close", group: "db" }] }),
          yield* wrong({ rules: [{ kind: "apart", group: "db", ovr: "rack" }] }),
          yield* wrong({ rules: [{ kind: "evenly", group: "db" }] })
        ]
        const name = "1 to 63 of a-z, 0-9, ., _ and -, with a letter or digit at its ends"
        assert.deepStrictEqual(told, [
          "placement.rules.0.group is not said, and the VM is in no group: expected the group that the rule is about, or the VM's own in placement.group",
          "placement.rules.0.vms has 4711, which is no VM: expected ids of VMs that exist",
          `placement.group: expected ${name}`,
          'placement.rules.0.kind: expected "on", "notOn", "near", "apart", "notWith" or "evenly"',
          "placement.rules.0.ovr is not known here",
          "placement.rules.0.over is missing"
        ])
      }),
    patience
  )

  it.scopedLive(
    "can be written back as they were read, those of the VM's type among them, which stay",
    () =>
      Effect.gen(function* () {
        const types = fleet.types.map((type) => (type.tid === 1 ? { ...type, requires: { rack: ["r1", "r2"] } } : type))
        const app = yield* App.make({ ...fleet, types })
        const made = yield* app.done("POST", "/vms", one("a", apart("web", "host")))
        const path = `/vms/${Number(made.json.vmId)}`
        const before = yield* app.get(path)
        const { placement } = before.json
        const rules = [
          { strength: "must", kind: "apart", group: "web", over: "host" },
          { strength: "must", kind: "on", label: "rack", values: ["r1", "r2"], type: 1 }
        ]
        assert.deepStrictEqual(placement, { group: "web", rules })
        const same = yield* app.ask("PATCH", path, { placement })
        assert.strictEqual(same.status, 200, JSON.stringify(same.json))
        assert.deepStrictEqual(same.json.placement, placement)
        assert.strictEqual(same.headers.get("etag"), before.headers.get("etag"))
        // only the type's are left of it, in another order, and as a rule of another type
        const other = rules.map((rule) => ("type" in rule ? { ...rule, type: 2, values: ["r9"] } : rule)).toReversed()
        const less = yield* app.ask("PATCH", path, { placement: { group: null, rules: other.slice(0, 1) } })
        assert.deepStrictEqual(less.json.placement, { group: null, rules: rules.slice(1) })

        // of another's answer
        const [apartly, required] = rules
        const like = yield* app.done("POST", "/vms", one("b", { group: "web", rules: [required, apartly] }))
        const copy = yield* app.get(`/vms/${Number(like.json.vmId)}`)
        assert.deepStrictEqual(copy.json.placement, placement)
        const plain = yield* app.done("POST", "/vms", {
          name: "c",
          instanceType: 2,
          placement: { rules: other.slice(0, 1) }
        })
        assert.isNull((yield* app.get(`/vms/${Number(plain.json.vmId)}`)).json.placement)
        const fits = yield* app.get("/fits")
        assert.deepInclude(Array.isArray(fits.json.types) ? fits.json.types[0] : null, {
          type: 1,
          requires: { rack: ["r1", "r2"] },
          hosts: 10
        })
      }),
    patience
  )
})
