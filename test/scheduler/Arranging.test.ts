/** Several VMs that come together, all or none: they are refused only if trying everything finds no arrangement of them either. */
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { HostId } from "../../src/domain/Ids.ts"
import * as Placement from "../../src/domain/Placement.ts"
import type { Vm } from "../../src/domain/Vm.ts"
import * as Engine from "../../src/scheduler/Engine.ts"
import * as Arranging from "../../src/scheduler/Arranging.ts"
import * as Kept from "../../src/scheduler/Kept.ts"
import * as Violations from "../../src/scheduler/Violations.ts"
import type { Candidate } from "../../src/services/Scheduler.ts"
import { request } from "../contracts/SchedulerContract.ts"
import { after, fleetOf, type Place, size, vmOf } from "./Fleet.ts"

const placementOf = (asked: Placement.Asked): Placement.Placement | null => Either.getOrThrow(Placement.make(asked))

const wanted = (placement: Placement.Placement | null, following?: number) => ({
  ...request(size),
  ...(placement === null ? {} : { placement }),
  ...(following === undefined ? {} : { following })
})

/** As a transaction does it: one after the other, each seeing those before it. Null: one of them is refused. */
const together = (
  kept: Kept.Kept,
  candidates: ReadonlyArray<Candidate>,
  placement: Placement.Placement,
  count: number
): ReadonlyArray<HostId> | null => {
  const hosts: Array<HostId> = []
  let now = candidates
  for (let i = 0; i < count; i++) {
    const placed = kept.place(wanted(placement, count - 1 - i), now)
    if (placed._tag === "Refused") {
      assert.isNull(placed.cut)
      return null
    }
    hosts.push(placed.hostId)
    now = after(now, placed.hostId, placement)
  }
  return hosts
}

/** Must-rules that do not hold, as they are told of VMs that are there. */
const violated = (vms: ReadonlyArray<Vm>, candidates: ReadonlyArray<Candidate>): number =>
  [...Violations.of(vms, vms, candidates).values()].flat().filter(({ rule }) => rule.strength === "must").length

/** Whether any sequence of hosts is one in which each could be placed after the others. */
const isPossible = (candidates: ReadonlyArray<Candidate>, placement: Placement.Placement, left: number): boolean =>
  left === 0 ||
  candidates.some(
    ({ host }) =>
      !Kept.reasons(wanted(placement), candidates).has(host.id) &&
      isPossible(after(candidates, host.id, placement), placement, left - 1)
  )

/** Those that must be near each other are not so in pairs: the second joins the first, and the third both. */
const areTogether = (
  list: ReadonlyArray<HostId>,
  { rules }: Placement.Placement,
  candidates: ReadonlyArray<Candidate>
): boolean => {
  const hosts = new Map(candidates.map(({ host }) => [host.id, host]))
  return rules.every(
    (rule) =>
      rule.kind !== "near" ||
      rule.strength === "should" ||
      new Set(list.map((id) => (rule.over === "host" ? id : hosts.get(id)?.label(rule.over)))).size === 1
  )
}

/** Every list of so many hosts. */
const lists = (ids: ReadonlyArray<HostId>, length: number): ReadonlyArray<ReadonlyArray<HostId>> =>
  length === 0 ? [[]] : lists(ids, length - 1).flatMap((list) => ids.map((id) => [...list, id]))

const place: FastCheck.Arbitrary<Place> = FastCheck.record({
  room: FastCheck.integer({ min: 0, max: 3 }),
  labels: FastCheck.record(
    { rack: FastCheck.constantFrom("a", "b"), power: FastCheck.constantFrom("x", "y", "z") },
    { requiredKeys: ["rack"], noNullPrototype: true }
  )
})
const over = FastCheck.constantFrom("host", "rack", "power")
const strength = FastCheck.constantFrom("must" as const, "must" as const, "must" as const, "should" as const)
const ofGroup = (group: FastCheck.Arbitrary<string>): FastCheck.Arbitrary<Placement.AskedRule> =>
  FastCheck.oneof(
    FastCheck.record({ strength, kind: FastCheck.constantFrom("near" as const, "apart" as const), group, over }),
    FastCheck.record({
      strength,
      kind: FastCheck.constant("evenly" as const),
      group,
      over,
      skew: FastCheck.constantFrom(1, 2)
    })
  )
const fleets = FastCheck.array(place, { minLength: 2, maxLength: 4 })
const counts = FastCheck.integer({ min: 1, max: 4 })

describe("VMs that come together", () => {
  it("are refused only if no sequence of hosts would do, among others and their rules", () => {
    const group = FastCheck.constantFrom("w", "v")
    const asked = FastCheck.record({ group, rules: FastCheck.array(ofGroup(group), { maxLength: 2 }) })
    const seen = { placed: 0, refused: 0 }
    FastCheck.assert(
      FastCheck.property(
        fleets,
        FastCheck.array(asked, { maxLength: 3 }),
        FastCheck.record({ group, rules: FastCheck.array(ofGroup(group), { minLength: 1, maxLength: 3 }) }),
        counts,
        (places, before, come, count) => {
          const kept = Kept.make()
          const vms: Array<Vm> = []
          let candidates = fleetOf(places)
          const put = (hostId: HostId, placement: Placement.Placement | null) => {
            vms.push(vmOf(vms.length + 1, hostId, placement))
            candidates = after(candidates, hostId, placement)
          }
          for (const one of before) {
            const placement = placementOf(one)
            const placed = kept.place(wanted(placement), candidates)
            if (placed._tag === "Placed") put(placed.hostId, placement)
          }
          const placement = placementOf(come)
          assert(placement !== null)
          const start = candidates
          const hosts = together(kept, start, placement, count)
          assert.strictEqual(hosts !== null, isPossible(start, placement, count), JSON.stringify({ hosts }))
          // nothing of the search is left behind
          assert.deepStrictEqual(together(kept, start, placement, count), hosts)
          if (hosts === null) {
            seen.refused++
            return
          }
          for (const id of hosts) put(id, placement)
          for (const { host, promised } of candidates) assert.isAtMost(promised.cpu, host.capacity?.cpu ?? 0)
          assert.strictEqual(violated(vms, candidates), 0)
          seen.placed++
        }
      ),
      { numRuns: 600 }
    )
    assert.isAbove(seen.placed, 100)
    assert.isAbove(seen.refused, 30)
  })

  it("are refused only if in every arrangement one of their rules does not hold, or a host is full", () => {
    const asked = FastCheck.array(ofGroup(FastCheck.constant("w")), { minLength: 1, maxLength: 3 })
    FastCheck.assert(
      FastCheck.property(fleets, asked, counts, (places, rules, count) => {
        const candidates = fleetOf(places)
        const placement = placementOf({ group: "w", rules })
        assert(placement !== null)
        const hosts = together(Kept.make(), candidates, placement, count)
        const isSomewhere = lists(
          candidates.map(({ host }) => host.id),
          count
        ).some((list) => {
          const full = list.reduce((now, id) => after(now, id, placement), candidates)
          return (
            full.every(({ host, promised }) => promised.cpu <= (host.capacity?.cpu ?? 0)) &&
            areTogether(list, placement, candidates) &&
            violated(
              list.map((id, i) => vmOf(i + 1, id, placement)),
              full
            ) === 0
          )
        })
        assert.strictEqual(hosts !== null, isSomewhere)
      }),
      { numRuns: 500 }
    )
  })

  it("go where all of them can be, though another place is better for the first", () => {
    const labels = (rack: string) => ({ rack })
    const places = [
      { room: 9, labels: labels("a") },
      ...Array.from({ length: 4 }, () => ({ room: 3, labels: labels("b") }))
    ]
    const rules = [
      { kind: "near" as const, over: "rack" },
      { kind: "apart" as const, over: "host" }
    ]
    const placement = placementOf({ group: "w", rules })
    assert(placement !== null)
    const hosts = together(Kept.make(), fleetOf(places), placement, 4)
    assert.deepStrictEqual(
      hosts?.toSorted((a, b) => a - b),
      [2, 3, 4, 5].map((id) => HostId.make(id))
    )
  })

  it("are looked for in so many steps and no more, which is said", () => {
    // racks and power cross, so that a place for all is a matching
    const many = Array.from({ length: 60 }, (_, i) => ({
      room: 1 + (i % 3),
      labels: { rack: `r${i % 12}`, power: `p${(i * i) % 11}` }
    }))
    const candidates = fleetOf(many)
    const placement = placementOf({
      group: "w",
      rules: [
        { kind: "apart", over: "rack" },
        { kind: "apart", over: "power" }
      ]
    })
    assert(placement !== null)
    const engine = Engine.make()
    for (const { host, status } of candidates) engine.set(Engine.fromHost(host, status))
    const names = Placement.countedIn(placement)
    const found = Arranging.find({
      engine,
      request: wanted(placement),
      placement,
      candidates,
      count: 12,
      claims: () => [],
      total: () => 0,
      rules: () => [
        { strength: "must", kind: "apart", group: "w", over: { label: "rack" } },
        { strength: "must", kind: "apart", group: "w", over: { label: "power" } }
      ],
      take: (id, by) => void (by > 0 ? engine.reserve(id, size, names) : engine.release(id, size, names)),
      steps: 100
    })
    assert.deepStrictEqual(found, { hosts: null, cut: 100 })
  })
})
