import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Host } from "../../src/domain/Host.ts"
import { HostId, InstanceTypeId } from "../../src/domain/Ids.ts"
import * as Resources from "../../src/domain/Resources.ts"
import * as Engine from "../../src/scheduler/Engine.ts"
import * as Explain from "../../src/scheduler/Explain.ts"
import type { Request, Rule, Topology } from "../../src/scheduler/Rules.ts"
import * as Score from "../../src/scheduler/Score.ts"
import { candidate } from "../contracts/SchedulerContract.ts"

/** What the engine is told, kept as plainly as can be. */
interface Member {
  readonly host: number
  readonly resources: Resources.Resources
  readonly groups: ReadonlyArray<string>
}
interface World {
  readonly hosts: Map<number, Engine.EngineHost>
  readonly members: Array<Member>
}

const has = { cpu: 8, ram: 8192, disk: 80 }

const engineHost = (id: number, more: Partial<Omit<Engine.EngineHost, "id">> = {}): Engine.EngineHost => ({
  id: HostId.make(id),
  name: `node${id}`,
  capacity: has,
  headroom: Resources.zero,
  closed: null,
  labels: {},
  offer: null,
  ...more
})

const left = (world: World, host: Engine.EngineHost): Resources.Resources =>
  Resources.map(
    (name) =>
      (host.capacity?.[name] ?? 0) -
      host.headroom[name] -
      world.members.filter((one) => one.host === host.id).reduce((sum, one) => sum + one.resources[name], 0)
  )

const placeOf = (host: Engine.EngineHost, over: Topology): string | undefined =>
  over === "host" ? String(host.id) : host.labels[over.label]

/** Which networks the hosts of these tests have. */
const plugs = (host: Engine.EngineHost, request: Request): boolean =>
  (request.networks ?? []).every(({ network }) => host.offer === null || host.offer.network === network)

const selected = (host: Engine.EngineHost, rules: ReadonlyArray<Rule>): boolean =>
  rules.every((rule) => {
    if (rule.kind !== "hosts" || rule.strength !== "must") return true
    const value = host.labels[rule.label]
    return (value !== undefined && rule.values.includes(value)) === (rule.is === "in")
  })

/** Whether a must-rule holds for a VM that comes to the host: written once more, from what the rules promise. */
const holds = (world: World, request: Request, host: Engine.EngineHost, rule: Rule): boolean => {
  if (rule.strength !== "must") return true
  if (rule.kind === "hosts") return selected(host, [rule])
  const over = rule.kind === "notWith" ? "host" : rule.over
  const where = placeOf(host, over)
  if (where === undefined) return false
  const at = (place: string) =>
    world.members
      .filter(({ groups }) => groups.includes(rule.group))
      .filter((one) => {
        const on = world.hosts.get(one.host)
        return on !== undefined && placeOf(on, over) === place
      }).length
  switch (rule.kind) {
    case "near":
      return at(where) > 0 || !world.members.some(({ groups }) => groups.includes(rule.group))
    case "apart":
    case "notWith":
      return at(where) === 0
    case "evenly": {
      const places = [...world.hosts.values()]
        .filter((one) => one.closed === null && one.capacity !== null && plugs(one, request))
        .filter((one) => selected(one, request.rules ?? []))
        .flatMap((one) => placeOf(one, over) ?? [])
      return at(where) + 1 - Math.min(...places.map(at)) <= rule.skew
    }
  }
}

/** The things that keep a request off a host, in the tags of the engine's blocks. */
const obstacles = (world: World, request: Request, host: Engine.EngineHost): ReadonlyArray<string> => {
  const free = left(world, host)
  const wanted = request.resources
  return [
    ...(request.exclude?.has(host.id) === true ? ["Excluded"] : []),
    ...(host.closed === null ? [] : ["Closed"]),
    ...(host.capacity === null ? ["Unknown"] : []),
    ...(plugs(host, request) ? [] : ["Network"]),
    ...(request.rules ?? []).flatMap((rule) =>
      holds(world, request, host, rule) ? [] : [`Rule ${JSON.stringify(rule)}`]
    ),
    ...(host.capacity === null
      ? []
      : Resources.names.flatMap((name) =>
          wanted[name] > 0 && wanted[name] > free[name] ? [`Short ${name} ${wanted[name] - free[name]}`] : []
        ))
  ]
}

const told = (block: Engine.Block): string => {
  switch (block._tag) {
    case "Rule":
      return `Rule ${JSON.stringify(block.rule)}`
    case "Short":
      return `Short ${block.resource} ${block.by}`
    default:
      return block._tag
  }
}

const among = <A>(...values: ReadonlyArray<A>) => FastCheck.constantFrom(...values)
const groupNames = among("web", "web", "db")
const topology: FastCheck.Arbitrary<Topology> = among<Topology>("host", { label: "rack" }, { label: "zone" })
const strength = FastCheck.oneof(
  FastCheck.constant({ strength: "must" as const }),
  FastCheck.record({ strength: FastCheck.constant("should" as const), weight: among(undefined, 0.1, 0.25, 2) })
)
const arbitraryRule: FastCheck.Arbitrary<Rule> = FastCheck.tuple(
  strength,
  FastCheck.oneof(
    FastCheck.record({
      kind: FastCheck.constant("hosts" as const),
      label: among("rack", "disk"),
      is: among("in" as const, "not in" as const),
      values: FastCheck.subarray(["a", "b", "ssd"], { minLength: 1 })
    }),
    FastCheck.record({
      kind: among("near" as const, "near" as const, "apart" as const),
      group: groupNames,
      over: topology
    }),
    FastCheck.record({ kind: FastCheck.constant("notWith" as const), group: groupNames }),
    FastCheck.record({
      kind: FastCheck.constant("evenly" as const),
      group: groupNames,
      over: topology,
      skew: among(1, 2)
    })
  )
).map(([how, what]) => ({ ...how, ...what }))

// few different sizes, so that shapes are asked for again and points are often equal
const sizes = [
  { cpu: 1, ram: 1024, disk: 10 },
  { cpu: 4, ram: 1024, disk: 0 },
  { cpu: 2, ram: 6144, disk: 10 },
  { cpu: 0, ram: 0, disk: 40 }
]
const types = sizes.slice(0, 3).map((resources, i) => ({ name: `type${i}`, resources }))

const arbitraryRequest: FastCheck.Arbitrary<Request> = FastCheck.record({
  resources: among(...sizes),
  rules: FastCheck.array(arbitraryRule, { maxLength: 3 }),
  networks: among([], [], [{ network: "lan", vlan: null }]),
  exclude: FastCheck.subarray([1, 2, 3], { maxLength: 1 }).map(
    (ids) => new Map(ids.map((id) => [HostId.make(id), "it said no"]))
  )
})

const arbitraryHost = FastCheck.record({
  id: FastCheck.integer({ min: 1, max: 24 }),
  capacity: among<Resources.Resources | null>(has, has, has, { cpu: 16, ram: 4096, disk: 40 }, null),
  headroom: among(Resources.zero, Resources.zero, { cpu: 1, ram: 512, disk: 0 }),
  closed: among(null, null, null, null, "it is in maintenance"),
  labels: FastCheck.record(
    { rack: among("a", "b", "c"), zone: among("x", "y"), disk: among("ssd", "hdd") },
    { requiredKeys: [] }
  ).map((labels): Readonly<Record<string, string>> => ({ ...labels })),
  offer: among(null, { network: "lan" }, { network: "san" })
}).map(({ id, ...more }) => engineHost(id, more))

type Step =
  | { readonly do: "set"; readonly host: Engine.EngineHost }
  | { readonly do: "remove" | "release"; readonly which: number }
  | { readonly do: "place"; readonly request: Request; readonly groups: ReadonlyArray<string> }

const set = arbitraryHost.map((host): Step => ({ do: "set", host }))
const arbitrarySteps = FastCheck.tuple(
  FastCheck.array(set, { minLength: 1, maxLength: 12 }),
  FastCheck.array(arbitraryRequest, { minLength: 1, maxLength: 4 }).chain((requests) =>
    FastCheck.array(
      FastCheck.oneof(
        { weight: 1, arbitrary: set },
        {
          weight: 1,
          arbitrary: FastCheck.record({ do: among("remove" as const, "release" as const), which: FastCheck.nat(99) })
        },
        {
          weight: 6,
          arbitrary: FastCheck.record({
            do: FastCheck.constant("place" as const),
            request: among(...requests),
            groups: among(["web"], ["web"], ["db"], ["web", "db"], [])
          })
        }
      ),
      { minLength: 5, maxLength: 40 }
    )
  )
).map(([first, then]): ReadonlyArray<Step> => [...first, ...then])

/** What is the same of hosts that a survey counts together. */
const kindOf = (block: Engine.Block): string => {
  switch (block._tag) {
    case "Short":
      return `short ${block.resource}`
    case "Rule":
      return JSON.stringify(block.rule)
    case "Unknown":
      return "unknown"
    case "Excluded":
    case "Closed":
    case "Network":
      return block.reason
  }
}

/** The survey says what judging each host says: the best of them, and how many others for what, by how much at least. */
const checkSurvey = (
  engine: Engine.Engine,
  request: Request,
  verdicts: ReadonlyArray<Engine.Verdict>,
  ranked: ReadonlyArray<Engine.Verdict>
): void => {
  const last = ranked.at(-1)
  const { barred, best, candidates, hosts } = engine.survey(request, 3, last?.hostId)
  assert.strictEqual(hosts, verdicts.length)
  assert.strictEqual(candidates, ranked.length)
  assert.deepStrictEqual(best, [...ranked.slice(0, 3), ...(last === undefined || ranked.length <= 3 ? [] : [last])])
  const kinds = new Map<string, Array<Engine.Verdict>>()
  for (const verdict of verdicts) {
    if (verdict.blocks.length === 0) continue
    const key = verdict.blocks.map(kindOf).join("\n")
    kinds.set(key, [...(kinds.get(key) ?? []), verdict])
  }
  const shortages = (alike: ReadonlyArray<Engine.Verdict>, resource: Resources.Name) =>
    alike.flatMap(({ blocks }) =>
      blocks.flatMap((block) => (block._tag === "Short" && block.resource === resource ? [block.by] : []))
    )
  assert.deepStrictEqual(
    barred.map(({ blocks, count, host, more }) => ({
      kinds: blocks.map(kindOf).join("\n"),
      count,
      host,
      least: blocks.flatMap((block) => (block._tag === "Short" ? [block.by] : [])),
      more: [...more]
    })),
    [...kinds]
      .toSorted(([, a], [, b]) => b.length - a.length || (a[0]?.hostId ?? 0) - (b[0]?.hostId ?? 0))
      .map(([key, alike]) => ({
        kinds: key,
        count: alike.length,
        host: alike[0]?.host,
        least: Resources.names.flatMap((name) => {
          const all = shortages(alike, name)
          return all.length === 0 ? [] : [Math.min(...all)]
        }),
        more: Resources.names.filter((name) => new Set(shortages(alike, name)).size > 1)
      }))
  )
}

/** Everything that must be true of one decision. */
const checkDecision = (engine: Engine.Engine, world: World, request: Request): Engine.Choice | null => {
  const choice = engine.place(request)
  const verdicts = engine.judge(request)
  const expected = [...world.hosts.values()].toSorted((a, b) => a.id - b.id)
  assert.deepStrictEqual(
    verdicts.map(({ blocks, hostId }) => [hostId, blocks.map(told).toSorted()]),
    expected.map((host) => [host.id, [...obstacles(world, request, host)].toSorted()]),
    "what keeps it off each host"
  )
  const possible = verdicts.filter(({ blocks }) => blocks.length === 0)
  for (const { score, terms } of possible) {
    assert.strictEqual(
      score,
      terms.reduce((sum, { points }) => sum + points, 0)
    )
  }
  const ranked = possible.toSorted((a, b) => b.score - a.score || a.hostId - b.hostId)
  const [best] = ranked
  checkSurvey(engine, request, verdicts, ranked)
  assert.deepStrictEqual(
    choice,
    best === undefined ? null : { hostId: best.hostId, score: best.score },
    "the choice of a full scan"
  )
  return choice
}

/** What is told of a refusal, each word of it tried out. */
const checkRefusal = (engine: Engine.Engine, world: World, request: Request): void => {
  const { groups, hosts, repairs } = Explain.refusal(engine, request, types)
  assert.strictEqual(hosts, world.hosts.size)
  assert.deepStrictEqual(
    groups.flatMap((group) => group.hosts).toSorted(),
    [...world.hosts.values()].map(({ name }) => name).toSorted()
  )
  const rules = request.rules ?? []
  const isPossible = (changed: Request, at?: string): boolean =>
    [...world.hosts.values()].some(
      (host) => (at === undefined || host.name === at) && obstacles(world, changed, host).length === 0
    )
  const without = (which: ReadonlyArray<Rule>): Request => ({
    ...request,
    rules: rules.map((rule) => (which.includes(rule) ? { ...rule, strength: "should" } : rule))
  })
  for (const repair of repairs) {
    switch (repair._tag) {
      case "Relax":
        assert.isTrue(isPossible(without(repair.rules), repair.host), Explain.showRepair(repair))
        break
      case "Type": {
        const type = types.find(({ name }) => name === repair.type)
        assert.isTrue(
          type !== undefined && isPossible({ ...request, resources: type.resources }, repair.host),
          Explain.showRepair(repair)
        )
        break
      }
      case "Unplug":
        assert.isTrue(
          isPossible(
            {
              ...request,
              networks: (request.networks ?? []).filter(
                (one) => !repair.wishes.some(({ network, vlan }) => network === one.network && vlan === one.vlan)
              )
            },
            repair.host
          ),
          Explain.showRepair(repair)
        )
        break
      case "Open": {
        const host = [...world.hosts.values()].find(({ id }) => id === repair.hostId)
        assert.isTrue(host !== undefined && host.closed === repair.reason)
        assert.deepStrictEqual(
          host === undefined ? [] : obstacles(world, request, { ...host, closed: null }),
          [],
          Explain.showRepair(repair)
        )
        break
      }
      case "Room": {
        const smaller = Resources.map((name) => request.resources[name] - repair.short[name])
        // of a host that is over-promised more is short than the VM wants
        if (Resources.names.every((name) => smaller[name] >= 0)) {
          assert.isTrue(isPossible({ ...request, resources: smaller }, repair.host), Explain.showRepair(repair))
        }
      }
    }
  }
  // a single rule that is to blame is found
  const alone = rules.filter((rule) => rule.strength === "must" && rule.kind !== "hosts" && isPossible(without([rule])))
  if (alone.length > 0) {
    assert.isTrue(repairs.some((repair) => repair._tag === "Relax" && repair.rules.length === 1))
  }
  if (types.some(({ resources }) => isPossible({ ...request, resources }))) {
    assert.isTrue(repairs.some(({ _tag }) => _tag === "Type"))
  }
}

describe("Engine", () => {
  it(
    "chooses what a full scan would, breaks nothing, refuses only when there is no host, and says why truly",
    { timeout: 240_000 },
    () => {
      FastCheck.assert(
        FastCheck.property(
          among<Score.Policy>("spread", "pack", "balance"),
          among(1, 3, 64),
          arbitrarySteps,
          (policy, shapes, steps) => {
            const engine = Engine.make({
              weights: Score.policies[policy],
              usual: types.map(({ resources }) => ({ resources, share: 1 })),
              shapes
            })
            const world: World = { hosts: new Map(), members: [] }
            for (const step of steps) {
              switch (step.do) {
                case "set":
                  engine.set(step.host)
                  world.hosts.set(step.host.id, step.host)
                  break
                case "remove": {
                  const id = HostId.make((step.which % 24) + 1)
                  assert.strictEqual(engine.remove(id), world.hosts.delete(id))
                  const stay = world.members.filter(({ host }) => host !== id)
                  world.members.splice(0, world.members.length, ...stay)
                  break
                }
                case "release":
                  for (const one of world.members.splice(step.which % (world.members.length + 1), 1)) {
                    assert.isTrue(engine.release(HostId.make(one.host), one.resources, one.groups))
                  }
                  break
                case "place": {
                  const choice = checkDecision(engine, world, step.request)
                  if (choice === null) {
                    checkRefusal(engine, world, step.request)
                    break
                  }
                  assert.isTrue(engine.reserve(choice.hostId, step.request.resources, step.groups))
                  world.members.push({ host: choice.hostId, resources: step.request.resources, groups: step.groups })
                  const host = world.hosts.get(choice.hostId)
                  if (host !== undefined) assert.deepStrictEqual(engine.free(choice.hostId), left(world, host))
                }
              }
            }
            assert.strictEqual(engine.size(), world.hosts.size)
            for (const { more, type } of Explain.whatFits(engine, types)) {
              const resources = types.find(({ name }) => name === type)?.resources ?? Resources.zero
              let fit = 0
              for (;;) {
                const choice = engine.place({ resources })
                if (choice === null) break
                engine.reserve(choice.hostId, resources)
                fit++
                world.members.push({ host: choice.hostId, resources, groups: [] })
              }
              assert.strictEqual(more, fit, `as many more of ${type}`)
              for (const { host } of world.members.splice(-fit, fit)) engine.release(HostId.make(host), resources)
            }
          }
        ),
        { numRuns: 2000 }
      )
    }
  )

  it(
    "chooses what a full scan would on a fleet so large that the best hosts are kept together",
    { timeout: 240_000 },
    () => {
      const engine = Engine.make({ shapes: 8 })
      const hosts = Array.from({ length: 4500 }, (_, i) =>
        engineHost(i + 1, {
          labels: { rack: `r${Math.floor(i / 20)}`, disk: i % 3 === 0 ? "ssd" : "hdd" },
          closed: i % 11 === 0 ? "it is in maintenance" : null
        })
      )
      for (const [i, host] of hosts.entries()) {
        engine.set(host)
        // most are full or nearly so
        for (let vms = (i * 7919) % 8; vms > 0; vms--) engine.reserve(host.id, { cpu: 1, ram: 1024, disk: 10 })
      }
      const requests = [1, 2, 3].flatMap((cpu): ReadonlyArray<Request> => {
        const resources = { cpu, ram: 1024, disk: 10 }
        return [
          { resources },
          { resources, rules: [{ strength: "must", kind: "hosts", label: "disk", is: "in", values: ["ssd"] }] },
          { resources, rules: [{ strength: "should", kind: "apart", group: "web", over: { label: "rack" } }] }
        ]
      })
      const there: Array<() => void> = []
      for (let turn = 0; turn < 120; turn++) {
        const request = requests[turn % (turn < 60 ? 6 : requests.length)] ?? { resources: has }
        const choice = engine.place(request)
        const best = engine
          .judge(request)
          .filter(({ blocks }) => blocks.length === 0)
          .reduce((first, one) => (one.score > first.score ? one : first))
        assert.deepStrictEqual(choice, { hostId: best.hostId, score: best.score })
        engine.reserve(best.hostId, request.resources, ["web"])
        there.push(() => void engine.release(best.hostId, request.resources, ["web"]))
        if (turn % 3 === 0) there[turn / 3]?.()
        // one that was the best is closed, and another one is open now
        const [last, other] = [hosts[best.hostId - 1], hosts[11 * turn]]
        if (turn % 5 === 0 && last !== undefined && other !== undefined) {
          engine.set({ ...last, closed: "it is in maintenance" })
          engine.set({ ...other, closed: null })
        }
      }
    }
  )

  it(
    "chooses what a full scan would on 400 hosts in 40 racks that fill up, by every policy",
    { timeout: 240_000 },
    () => {
      for (const policy of ["spread", "pack", "balance"] as const) {
        const usual = types.map(({ resources }) => ({ resources, share: 1 }))
        const engine = Engine.make({ weights: Score.policies[policy], usual })
        for (let i = 0; i < 400; i++) {
          const labels = { rack: `r${Math.floor(i / 10)}`, zone: `z${i % 3}` }
          engine.set(engineHost(i + 1, { labels, capacity: i % 7 === 0 ? { cpu: 16, ram: 4096, disk: 40 } : has }))
        }
        let refused = 0
        for (let turn = 0; turn < 600; turn++) {
          const group = `group${Math.floor(turn / 60)}`
          const over = (["host", { label: "rack" }, { label: "zone" }] as const)[turn % 3] ?? "host"
          const kind = (["apart", "near", "evenly"] as const)[turn % 5 === 0 ? 1 : turn % 2 === 0 ? 0 : 2] ?? "apart"
          const what = kind === "evenly" ? { kind, group, over, skew: 1 } : { kind, group, over }
          const rule: Rule =
            turn % 4 === 0 ? { strength: "must", ...what } : { strength: "should", weight: 0.3, ...what }
          const request = { resources: sizes[turn % 3] ?? has, rules: [rule] }
          const choice = engine.place(request)
          const best = engine
            .judge(request)
            .filter(({ blocks }) => blocks.length === 0)
            .reduce<Engine.Verdict | undefined>(
              (first, one) => (first === undefined || one.score > first.score ? one : first),
              undefined
            )
          assert.deepStrictEqual(choice, best === undefined ? null : { hostId: best.hostId, score: best.score })
          if (choice === null) refused++
          else engine.reserve(choice.hostId, request.resources, [group])
        }
        assert.isBelow(refused, 300, "most of them were choices")
      }
    }
  )

  it(
    "fills a fleet further than best fit, worst fit and alignment do, packing with hosts left empty",
    { timeout: 60_000 },
    () => {
      const mix = [
        [1, 1024, 10, 0.35],
        [2, 4096, 40, 0.25],
        [4, 8192, 40, 0.15],
        [2, 16_384, 80, 0.1],
        [8, 8192, 20, 0.08],
        [8, 32_768, 200, 0.07]
      ] as const
      const usual = mix.map(([cpu, ram, disk, share]) => ({ resources: { cpu, ram, disk }, share }))
      const capacities = [
        { cpu: 64, ram: 131_072, disk: 2000 },
        { cpu: 96, ram: 196_608, disk: 1500 },
        { cpu: 32, ram: 131_072, disk: 2000 }
      ]
      const capacityOf = (i: number) => capacities[i % 3] ?? has
      /** The share of memory promised at the first refusal, and how many hosts were empty at half of it: means of some seeds. */
      const filled = (weights: Score.Weights): { readonly full: number; readonly empty: number } => {
        const seeds = [1, 2, 3, 4]
        let full = 0
        let empty = 0
        for (const seed of seeds) {
          let state = seed * 7919
          const random = () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648
          const engine = Engine.make({ weights, usual })
          let memory = 0
          for (let i = 0; i < 60; i++) {
            engine.set(engineHost(i + 1, { capacity: capacityOf(i) }))
            memory += capacityOf(i).ram
          }
          const live: Array<readonly [HostId, Resources.Resources]> = []
          let used = 0
          let isHalf = false
          for (;;) {
            if (random() < 0.3) {
              for (const [host, resources] of live.splice(Math.floor(random() * live.length), 1)) {
                engine.release(host, resources)
                used -= resources.ram
              }
            }
            let left = random()
            const chosen = usual.find(({ share }) => (left -= share) < 0) ?? usual[0]
            const resources = chosen?.resources ?? has
            const choice = engine.place({ resources })
            if (choice === null) break
            engine.reserve(choice.hostId, resources)
            live.push([choice.hostId, resources])
            used += resources.ram
            if (!isHalf && used > memory / 2) {
              isHalf = true
              for (let i = 0; i < 60; i++) {
                if (engine.free(HostId.make(i + 1))?.ram === capacityOf(i).ram) empty += 1 / seeds.length
              }
            }
          }
          full += used / memory / seeds.length
        }
        return { full, empty }
      }
      const only = (name: Score.Name): Score.Weights => ({ spread: 0, pack: 0, align: 0, fragmentation: 0, [name]: 1 })
      const others = [filled(only("spread")), filled(only("pack")), filled(only("align"))]
      const best = Math.max(...others.map(({ full }) => full))
      const pack = filled(Score.policies.pack)
      assert.isAbove(pack.full, best)
      assert.isAbove(pack.empty, Math.max(...others.map(({ empty }) => empty)))
      assert.isAbove(filled(Score.policies.balance).full, best)
    }
  )

  it("leaves the last host that a large size fits on to it when it packs, be that size as rare as it may", () => {
    const small = { cpu: 4, ram: 16, disk: 0 }
    const large = { cpu: 48, ram: 192, disk: 0 }
    const sizes = [
      { resources: small, share: 49 },
      { resources: large, share: 1 }
    ]
    // of vCPUs and memory alike small ones want 196 of 244
    assert.deepStrictEqual(
      Score.byDemand(sizes).map(({ resources, share }) => [resources, Math.round(share * 244)]),
      [
        [small, 196],
        [large, 48]
      ]
    )
    assert.deepStrictEqual(Score.byDemand([{ resources: Resources.zero, share: 1 }]), [])
    // a resource that only one size wants counts as much as another: a third of 2 / 3, 1 / 5 and 0
    const uneven = [
      { resources: { cpu: 2, ram: 1, disk: 0 }, share: 1 },
      { resources: { cpu: 1, ram: 4, disk: 9 }, share: 1 }
    ]
    assert.approximately(Score.byDemand(uneven)[0]?.share ?? 0, (2 / 3 + 1 / 5) / 3, 1e-12)

    const expected = Engine.make({ weights: Score.policies.pack })
    expected.expect(sizes)
    for (const engine of [Engine.make({ weights: Score.policies.pack, usual: sizes }), expected]) {
      engine.set(engineHost(1, { capacity: { cpu: 96, ram: 384, disk: 0 } }))
      engine.set(engineHost(2, { capacity: { cpu: 32, ram: 128, disk: 0 } }))
      engine.reserve(HostId.make(1), { cpu: 46, ram: 184, disk: 0 })
      // the first is the fuller one, and has room for one that is large and no more
      assert.strictEqual(engine.place({ resources: small })?.hostId, 2)
      engine.reserve(HostId.make(1), small)
      assert.strictEqual(engine.place({ resources: small })?.hostId, 1)
    }
  })

  it("tells the same of a host of the inventory as the scan does, and takes back no more than was promised", () => {
    const { host: plain, status } = candidate(7, has, { maintenance: true })
    const host = Host.make({ ...plain, config: { ...plain.config, reserved: { cpu: 1 } } })
    const engine = Engine.make()
    engine.set(Engine.fromHost(host, status))
    const verdicts = engine.judge({ resources: { cpu: 1, ram: 1, disk: 1 } })
    assert.deepStrictEqual(
      verdicts.flatMap(({ blocks }) => blocks),
      [{ _tag: "Closed", reason: "it is in maintenance" }]
    )
    const capacity = plain.capacity ?? Resources.zero
    assert.deepStrictEqual(host.capacity, { ...capacity, cpu: capacity.cpu - 1 })
    assert.deepStrictEqual(engine.free(host.id), { ...capacity, cpu: capacity.cpu - 1 })

    const one = { cpu: 1, ram: 1, disk: 1 }
    assert.isTrue(engine.reserve(host.id, one, ["web"]))
    assert.isFalse(engine.release(host.id, { ...one, ram: 2 }, ["web"]))
    assert.isFalse(engine.release(host.id, one, ["web", "web"]))
    assert.isFalse(engine.release(HostId.make(8), one))
    assert.isFalse(engine.reserve(HostId.make(8), one))
    assert.isTrue(engine.release(host.id, one, ["web"]))
    assert.deepStrictEqual(engine.free(host.id), { ...capacity, cpu: capacity.cpu - 1 })
  })

  it("does not say what a host lacks of which nothing is known yet, but for the labels that it was given", () => {
    const engine = Engine.make()
    engine.set(engineHost(1, { capacity: null, labels: { rack: "b" } }))
    const kvm: Rule = { strength: "must", kind: "hosts", label: "host.virt", is: "in", values: ["kvm"] }
    const inA: Rule = { strength: "must", kind: "hosts", label: "rack", is: "in", values: ["a"] }
    const { groups } = Explain.refusal(engine, { resources: { cpu: 1, ram: 1, disk: 1 }, rules: [kvm, inA] })
    assert.deepStrictEqual(groups.map(Explain.showRefused), [
      "node1: what it has is not known yet; it must be on a host with rack in a, and its rack is b"
    ])
  })

  it("tells large amounts in large units, and in groups of digits", () => {
    const type = { tid: InstanceTypeId.make(4), cpu: 20_000, ram: 1_073_741_824, disk: 1_048_577 }
    assert.strictEqual(
      Explain.showType(type),
      "instance type 4 (20,000 vCPUs, 1,024 TiB of memory, 1,024.1 TiB of disk)"
    )
    assert.strictEqual(
      Explain.showType({ ...type, cpu: 4, ram: 2560, disk: 4096 }),
      "instance type 4 (4 vCPUs, 2560 MiB of memory, 4096 GiB of disk)"
    )
  })

  it("explains a placement and a refusal in words that say what to do", () => {
    const engine = Engine.make()
    const racks = ["a", "a", "b", "b", "b"]
    for (const [i, rack] of racks.entries()) engine.set(engineHost(i + 1, { labels: { rack } }))
    engine.set(engineHost(6, { closed: "it is in maintenance" }))
    engine.reserve(HostId.make(1), { cpu: 4, ram: 1024, disk: 0 }, ["web"])
    const small = { cpu: 1, ram: 1024, disk: 10 }

    const explained = Explain.placement(engine, {
      resources: small,
      rules: [{ strength: "should", kind: "apart", group: "web", over: { label: "rack" } }]
    })
    assert.strictEqual(explained.candidates, 5)
    assert.deepStrictEqual(
      explained.best.map(({ host }) => host),
      ["node3", "node4", "node5"]
    )
    assert.strictEqual(explained.decided, "node3 and node4 are equally good, and node3 has the lower number")

    const near: Rule = { strength: "must", kind: "near", group: "web", over: { label: "rack" } }
    assert.strictEqual(
      Explain.placement(engine, { resources: small, rules: [near] }).decided,
      "node2 is better than node1 by 0.5, most of all by what stays free (0.5)"
    )

    for (const id of [2, 3, 4, 5]) engine.reserve(HostId.make(id), { cpu: 1, ram: id === 5 ? 4096 : 2048, disk: 0 })
    const big = Explain.refusal(engine, { resources: { cpu: 1, ram: 12_288, disk: 10 } }, types)
    assert.deepStrictEqual(big.groups.map(Explain.showRefused), [
      "5 hosts: memory short by 5 GiB or more (8 GiB in all)",
      "node6: it is in maintenance; memory short by 4 GiB (8 GiB in all)"
    ])
    assert.deepStrictEqual(
      big.repairs.map((repair) => Explain.showRepair(repair)),
      ["node2 could take it as a type0", "node1 could take it as a type2", "node2 could take it as a type1"]
    )

    // what is kept of a placement that was planned before, and what is told of a refusal
    const kept = Explain.toldPlacement(Explain.placement(engine, { resources: small }, 1, HostId.make(1)))
    assert.deepStrictEqual(kept, {
      hosts: 6,
      candidates: 5,
      best: [
        { hostId: HostId.make(2), host: "node2", score: 0.625, terms: [{ of: "spread", points: 0.625 }] },
        { hostId: HostId.make(1), host: "node1", score: 0.375, terms: [{ of: "spread", points: 0.375 }] }
      ],
      decided:
        "it was to be on node1; of all that can take it node2 is better than node1 by 0.25, most of all by what stays free (0.25)",
      barred: [{ count: 1, host: "node6", reasons: ["it is in maintenance"] }],
      unnamed: 0
    })
    const type = { tid: InstanceTypeId.make(7), cpu: 2, ram: 2560, disk: 10 }
    const full = Explain.refusal(engine, { resources: { cpu: 1, ram: 7680, disk: 10 } }, Explain.named([type]))
    assert.deepStrictEqual(
      Explain.toldRefusal(full, [type]).repairs.map(({ kind, text }) => [kind, text]),
      [
        ["host", "node6 has room for it, and is in maintenance: take it out of maintenance"],
        ["type", "node2 could take it as instance type 7 (2 vCPUs, 2560 MiB of memory, 10 GiB of disk)"],
        ["room", "node1 lacks only 512 MiB of memory"]
      ]
    )

    const apart: Rule = { strength: "must", kind: "apart", group: "web", over: { label: "rack" } }
    const inA: Rule = { strength: "must", kind: "hosts", label: "rack", is: "in", values: ["a"] }
    const caught = Explain.refusal(engine, { resources: small, rules: [inA, apart] })
    assert.deepStrictEqual(caught.groups.map(Explain.showRefused), [
      "3 hosts: it must be on a host with rack in a, and its rack is b",
      "2 hosts: it must be apart from web over rack, and its rack has 1 of web",
      "node6: it is in maintenance; it must be on a host with rack in a, and it has no label rack; it must be apart from web over rack, and it has no label rack"
    ])
    assert.deepStrictEqual(caught.repairs.map((repair) => Explain.showRepair(repair)).toSorted(), [
      "node2 could take it if this need not hold: it must be apart from web over rack",
      "node3 could take it if this need not hold: it must be on a host with rack in a"
    ])
  })
})
