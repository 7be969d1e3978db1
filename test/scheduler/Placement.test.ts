/** Rules about where VMs are to be, kept for both sides; what is told of those that are not kept is computed apart from the engine. */
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { VmId } from "../../src/domain/Ids.ts"
import * as Placement from "../../src/domain/Placement.ts"
import type { Vm } from "../../src/domain/Vm.ts"
import * as Kept from "../../src/scheduler/Kept.ts"
import * as Violations from "../../src/scheduler/Violations.ts"
import type { Candidate } from "../../src/services/Scheduler.ts"
import { request } from "../contracts/SchedulerContract.ts"
import { after, fleetOf, size, vmOf } from "./Fleet.ts"

/** Hosts with room for so many VMs each, in these racks; null: with no such label. */
const hostsIn = (racks: ReadonlyArray<string | null>, room: number): ReadonlyArray<Candidate> =>
  fleetOf(racks.map((rack) => ({ room, labels: rack === null ? {} : { rack } })))

/** What is there, and a scheduler that follows it. */
const makeWorld = (racks: ReadonlyArray<string | null>, room = 100) => {
  const kept = Kept.make()
  let hosts = hostsIn(racks, room)
  const vms: Array<Vm> = []
  /** The host's number, or why none of them does, each once. */
  const create = (asked: Placement.Asked): number | ReadonlyArray<string> => {
    const placement = Either.getOrThrow(Placement.make(asked))
    const others = new Map(vms.map(({ hostId, id }) => [id, hostId]))
    const wanted = { ...request(size), ...(placement === null ? {} : { placement, others }) }
    const placed = kept.place(wanted, hosts)
    if (placed._tag === "Refused") {
      assert.lengthOf(placed.refusals, hosts.length)
      return [...new Set(placed.refusals.map(({ reason }) => reason))]
    }
    assert.isFalse(Kept.reasons(wanted, hosts).has(placed.hostId))
    vms.push(vmOf(vms.length + 1, placed.hostId, placement))
    hosts = after(hosts, placed.hostId, placement)
    return placed.hostId
  }
  const violated = () =>
    [...Violations.of(vms, vms, hosts)].flatMap(([id, all]) =>
      all.map(({ reason, rule }) => `VM ${id} ${Placement.show(rule)}: ${reason}`)
    )
  return { create, violated, vms }
}

const group = FastCheck.constantFrom("x", "y")
const over = FastCheck.constantFrom("host", "rack")
const strength = FastCheck.constantFrom("must" as const, "must" as const, "should" as const)
const arbitraryRule: FastCheck.Arbitrary<Placement.AskedRule> = FastCheck.oneof(
  FastCheck.record({ strength, kind: FastCheck.constantFrom("near" as const, "apart" as const), group, over }),
  FastCheck.record({
    strength,
    kind: FastCheck.constant("evenly" as const),
    group,
    over,
    skew: FastCheck.constantFrom(1, 2)
  }),
  FastCheck.record({ strength, kind: FastCheck.constant("notWith" as const), vms: FastCheck.constant([VmId.make(1)]) })
)
const arbitraryAsked: FastCheck.Arbitrary<Placement.Asked> = FastCheck.record({
  group: FastCheck.constantFrom("x", "y", null),
  rules: FastCheck.array(arbitraryRule, { maxLength: 2 })
})

describe("rules", () => {
  it("that must hold do, whoever comes first and whoever has them", () => {
    const racks = FastCheck.array(FastCheck.constantFrom("a", "a", "b", "c", null), { minLength: 1, maxLength: 7 })
    let placed = 0
    FastCheck.assert(
      FastCheck.property(
        racks,
        FastCheck.integer({ min: 1, max: 4 }),
        FastCheck.array(arbitraryAsked, { maxLength: 14 }),
        (racks, room, all) => {
          const { create, violated } = makeWorld(racks, room)
          for (const [index, asked] of all.entries()) {
            if (typeof create(asked) === "number") placed++
            assert.deepStrictEqual(
              violated().filter((text) => text.includes(" must ")),
              [],
              `after VM ${index + 1}`
            )
          }
        }
      ),
      { numRuns: 1500 }
    )
    assert.isAbove(placed, 3000)
  })

  it("bind those that have none, and say whose they are", () => {
    const { create, violated } = makeWorld(["a", "a", "b"], 10)
    const keeper = { rules: [{ kind: "apart" as const, group: "web", over: "rack" }] }
    const [mine, other] = [create(keeper), create({ group: "web" })]
    assert.notStrictEqual(Number(mine) <= 2, Number(other) <= 2)
    const [free, taken] = Number(mine) <= 2 ? [3, "a"] : [1, "b"]
    assert.deepStrictEqual(
      create({ group: "web", rules: [{ kind: "on", label: "rack", values: [taken] }] }),
      [
        `it must be on rack=${taken}, and its rack is ${taken === "a" ? "b" : "a"}`,
        "another VM must be apart from web over rack, and its rack has that one"
      ].toSorted()
    )
    assert.oneOf(create({ group: "web" }), free === 3 ? [3] : [1, 2])
    // those who wait for somebody wait in one place, and the first comes to them
    const near = { rules: [{ kind: "near" as const, group: "db", over: "rack" }] }
    const rackOf = (host: unknown) => (host === 3 ? "b" : "a")
    const waiting = [create(near), create(near), create({ group: "db" })].map(rackOf)
    assert.lengthOf(new Set(waiting), 1)
    assert.deepStrictEqual(violated(), [])
  })

  it("name on each host what is in the way, short memory beside it", () => {
    const { create } = makeWorld(["a", "b", null], 1)
    create({ group: "web", rules: [{ kind: "on", label: "rack", values: ["a"] }] })
    assert.sameMembers([create({ group: "web", rules: [{ kind: "near", over: "rack" }] })].flat(), [
      "vCPUs short by 1 (needs 1, 0 of 1 free), memory short by 1 MiB (needs 1, 0 of 1 free), disk short by 1 GiB (needs 1, 0 of 1 free)",
      "it must be near web over rack, and its rack has nobody of web",
      "it must be near web over rack, and it has no label rack"
    ])
    const apart = create({
      group: "web",
      rules: [
        { kind: "apart" },
        { kind: "notOn", label: "rack", values: ["b"] },
        { kind: "notWith", vms: [VmId.make(1)] },
        { kind: "evenly", over: "rack" }
      ]
    })
    assert.sameMembers(
      [apart].flat().map((text) => String(text).replace(/^vCPUs.*free\), /, "")),
      [
        "it must be apart from web over host, and it has 1 of web, it must be not with VM 1, and one of them is there",
        "it must be not on rack=b, and its rack is b",
        "it must be spread evenly with web over rack, and it has no label rack"
      ]
    )
  })

  it("are told where they cannot be, each field by its name", () => {
    const wrong = (asked: Placement.Asked) =>
      Either.match(Placement.make(asked), { onLeft: ({ message }) => message, onRight: () => "" })
    assert.deepStrictEqual(
      [
        wrong({ group: "Web" }),
        wrong({ rules: [{ kind: "apart" }] }),
        wrong({ group: "web", rules: [{ kind: "near" }, { kind: "near", over: "a b" }] }),
        wrong({ rules: [{ kind: "on", label: "rack", values: [] }] }),
        wrong({ rules: [{ kind: "notWith", vms: [] }] }),
        wrong({ rules: [{ kind: "evenly", group: "web", over: "rack", skew: 0 }] }),
        wrong({ rules: [{ kind: "near", group: "web", weight: 2 }] })
      ],
      [
        `placement.group is "Web": expected ${Placement.words.group}`,
        "placement.rules.0.group is not said, and the VM is in no group: expected the group that the rule is about, or the VM's own in placement.group",
        `placement.rules.1.over is "a b": expected ${Placement.words.over}`,
        "placement.rules.0.values cannot be values of a label: expected 1 to 64 values of 1 to 255 characters each, none of them a control character",
        "placement.rules.0.vms has 0 of them: expected 1 to 64 ids of VMs",
        "placement.rules.0.skew is 0: expected a whole number from 1 to 1000",
        "placement.rules.0.weight is given to a must-rule: expected a weight only with strength should"
      ]
    )
  })
})
