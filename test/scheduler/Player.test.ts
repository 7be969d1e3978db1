/** Traces played on fleets: what is reported, what must hold under every policy, and how well `pack` packs. */
import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Resources from "../../src/domain/Resources.ts"
import type { Trace } from "../../src/domain/Trace.ts"
import * as Player from "../../src/scheduler/Player.ts"
import * as Score from "../../src/scheduler/Score.ts"
import * as SyntheticTrace from "../../src/simulator/SyntheticTrace.ts"
import * as TraceFile from "../../src/simulator/Trace.ts"
import { fleets, noise } from "../bench/Packing.ts"

const strategies: ReadonlyArray<Player.Strategy> = [...Player.policies, ...Player.baselines]

const size = (cpu: number, ram: number): Resources.Resources => ({ cpu, ram, disk: 0 })

/** Which host each VM is on while a trace is played, kept from what the player tells alone. */
const witness = (trace: Trace, fleet: ReadonlyArray<Resources.Resources>) => {
  const used = fleet.map(() => ({ ...Resources.zero }))
  const placed: Array<number> = []
  const there = new Map<number, number>()
  const move = (host: number, arrival: number, by: 1 | -1) => {
    for (const name of Resources.names) used[host]![name] += by * trace[arrival]!.resources[name]
  }
  const hasRoom = (arrival: number): boolean =>
    fleet.some((capacity, host) =>
      Resources.names.every((name) => used[host]![name] + trace[arrival]!.resources[name] <= capacity[name])
    )
  const follow = ({ arrival, host, what }: Player.Happening): void => {
    switch (what) {
      case "placed":
        assert.isFalse(there.has(arrival))
        there.set(arrival, host)
        placed.push(host)
        move(host, arrival, 1)
        for (const name of Resources.names) assert.isAtMost(used[host]![name], fleet[host]![name])
        break
      case "left":
        assert.strictEqual(there.get(arrival), host)
        there.delete(arrival)
        move(host, arrival, -1)
        break
      case "refused":
        placed.push(-1)
        assert.isFalse(hasRoom(arrival), "it is refused only when no host has room")
    }
  }
  return { follow, placed, there, used }
}

const among = <A>(...values: ReadonlyArray<A>) => FastCheck.constantFrom(...values)
const arbitraryTrace = FastCheck.array(
  FastCheck.record({
    at: FastCheck.nat(50),
    life: FastCheck.nat(30),
    resources: among(size(1000, 1024), size(500, 4096), size(4000, 2048), size(2000, 8192), size(16_000, 1))
  }),
  { minLength: 1, maxLength: 80 }
).map((vms): Trace =>
  vms.map(({ at, life, resources }) => ({ at, until: at + life, resources })).toSorted((a, b) => a.at - b.at)
)
const arbitraryFleet = FastCheck.array(among(size(8000, 16_384), size(4000, 32_768), size(16_000, 8192)), {
  minLength: 1,
  maxLength: 6
})

describe("Player", () => {
  it("is never over a limit, refuses only what nobody has room for, and has an empty fleet when all have left", () => {
    FastCheck.assert(
      FastCheck.property(arbitraryTrace, arbitraryFleet, among(...strategies), (trace, fleet, strategy) => {
        const seen = witness(trace, fleet)
        const report = Player.play(trace, fleet, strategy, { follow: seen.follow })
        assert.strictEqual(seen.there.size, 0)
        assert.deepStrictEqual(
          seen.used,
          fleet.map(() => ({ ...Resources.zero }))
        )
        assert.strictEqual(seen.placed.length, trace.length)
        assert.deepInclude(report, {
          hosts: fleet.length,
          arrivals: trace.length,
          refused: seen.placed.filter((host) => host < 0).length
        })
        assert.deepInclude(report.end, { vms: 0, emptyHosts: fleet.length, dominant: 0, used: Resources.zero })
        assert.strictEqual(report.firstRefusal === null, report.refused === report.tooLarge)
        assert.isAtMost(report.firstRefusal?.dominant ?? 0, report.peak.dominant)
        assert.isAtMost(report.peak.dominant, 1)
      }),
      { numRuns: 500 }
    )
  })

  it("reports what a hand reckons on a tiny trace", () => {
    const small = size(1000, 1024)
    const large = size(3000, 2048)
    const trace: Trace = [
      { at: 0, until: 30, resources: small },
      { at: 1, until: null, resources: large },
      { at: 2, until: null, resources: large },
      // larger than a host
      { at: 3, until: 4, resources: size(8000, 1024) },
      // 1 vCPU is left of the one host and none of the other: it cannot come
      { at: 10, until: null, resources: size(2000, 1024) },
      // who leaves at 30 makes room for who comes then
      { at: 30, until: 40, resources: small },
      { at: 31, until: 40, resources: small }
    ]
    const fleet = [size(4000, 8192), size(4000, 8192)]
    const placed = witness(trace, fleet)
    const report = Player.play(trace, fleet, "first-fit", {
      follow: placed.follow,
      usual: [
        { resources: small, share: 3 },
        { resources: large, share: 1 }
      ]
    })
    assert.deepStrictEqual(placed.placed, [0, 0, 1, -1, -1, 0, 1])
    assert.deepInclude(report, { hosts: 2, arrivals: 7, refused: 2, tooLarge: 1, decisionsPerSecond: null })
    // 7 of 8 vCPUs, 5 of 16 GiB. Small ones would take the vCPU that is left, and 1 of 11 GiB; large ones nothing
    assert.deepStrictEqual(report.firstRefusal, {
      at: 10,
      vms: 3,
      emptyHosts: 0,
      used: { cpu: 7 / 8, ram: 5 / 16, disk: 0 },
      dominant: 7 / 8,
      stranded: { cpu: 1 / 32, ram: (3 * 10 + 11) / 64, disk: 0 }
    })
    assert.deepInclude(report.peak, { at: 31, vms: 4, dominant: 1 })
    assert.deepInclude(report.end, { at: 40, vms: 2, emptyHosts: 0, dominant: 6 / 8 })
    // 1, 1, 0 and 0 after the four decisions before the first refusal
    assert.strictEqual(report.emptyHosts, 0.5)
    const once = Player.play(trace, fleet, "first-fit", { once: true, clock: () => 0 })
    assert.deepInclude(once, { arrivals: 5, refused: 2, decisionsPerSecond: null })
    let now = 0
    assert.strictEqual(Player.play(trace, fleet, "pack", { clock: () => (now += 2) }).decisionsPerSecond, 500)
  })

  it("chooses as each baseline says", () => {
    const small = size(4000, 16_384)
    const middle = size(8000, 8192)
    const large = size(16_000, 8192)
    const wanted = size(4000, 1024)
    /** Where one of 4 vCPUs and 1 GiB goes once the largest host has 6 of 16 vCPUs and 7 of 8 GiB left. */
    const choice = (strategy: Player.Strategy, fleet: ReadonlyArray<Resources.Resources>, usual = wanted) => {
      const trace: Trace = [
        { at: 0, until: null, resources: size(10_000, 1024) },
        { at: 1, until: null, resources: wanted }
      ]
      const seen = witness(trace, fleet)
      Player.play(trace, fleet, strategy, { follow: seen.follow, usual: [{ resources: usual, share: 1 }] })
      return fleet[seen.placed[1]!]
    }
    const fleet = [small, middle, large]
    assert.strictEqual(choice("first-fit", fleet), small)
    assert.strictEqual(choice("first-fit", [large, middle, small]), large)
    // free shares afterwards: 0 + 15 / 16, 1 / 2 + 7 / 8, and 1 / 8 + 3 / 4
    assert.strictEqual(choice("best-fit", fleet), large)
    assert.strictEqual(choice("worst-fit", fleet), middle)
    // products: 1 + 1 / 16, 1 / 2 + 1 / 8, and 1 / 4 * 3 / 8 + 1 / 8 * 7 / 8
    assert.strictEqual(choice("dot-product", [large, middle, small]), small)
    // only the middle one can take another such afterwards
    assert.strictEqual(choice("fgd", fleet), middle)
    // the small one is of no use to those of 8 vCPUs in any case, and the more of it is taken the less is lost
    assert.strictEqual(choice("fgd", fleet, size(8000, 2048)), small)
  })

  it("packs fuller when the engine is told the sizes of what runs than when it is told none, and no worse than told ahead", () => {
    const means = fleets(30)
      .slice(1, 2)
      .flatMap(({ of }) => {
        const seeds = [1, 2, 3, 4]
        const mean = (options: (usual: ReadonlyArray<Score.Usual>) => Player.Options): number =>
          seeds.reduce((sum, seed) => {
            const { fleet, trace, usual } = of(seed)
            const { firstRefusal, peak } = Player.play(trace, fleet, "pack", { ...options(usual), once: true })
            return sum + (firstRefusal ?? peak).dominant / seeds.length
          }, 0)
        return [
          mean((usual) => ({ usual, told: "counted" })),
          mean(() => ({ usual: [] })),
          mean((usual) => ({ usual }))
        ]
      })
    const [counted = 0, none = 0, ahead = 0] = means
    assert.isAbove(counted, none)
    assert.isAtLeast(counted, ahead - 0.01)
  })

  it("tells the same of the same trace each time, and sizes by how often they come", () => {
    const trace = SyntheticTrace.make({ seed: 3, vcpus: 500 })
    const fleet = Array.from({ length: 4 }, () => size(96_000, 393_216))
    assert.deepStrictEqual(Player.play(trace, fleet, "pack"), Player.play(trace, fleet, "pack"))
    const sizes = [size(1, 1), size(2, 2), size(2, 2), size(3, 3)].map((resources, at) => ({
      at,
      until: null,
      resources
    }))
    assert.deepStrictEqual(Player.usualOf(sizes, 3), [
      { resources: size(2, 2), share: 2 / 4 },
      { resources: size(1, 1), share: 1 / 4 },
      { resources: size(3, 3), share: 1 / 4 }
    ])
  })

  it("leaves out the sizes that want least, and not one that seldom comes and wants much", { timeout: 240_000 }, () => {
    const few = [size(1, 1), size(1, 1), size(1, 1), size(2, 2), size(2, 2), size(9, 9)]
    assert.deepStrictEqual(Score.usualOf(few, 2), [
      { resources: size(2, 2), share: 2 / 3 },
      { resources: size(9, 9), share: 1 / 3 }
    ])
    assert.deepStrictEqual(Score.usualOf(few, 0), [])
    // 32 small sizes, more than are kept, and a few VMs that want nearly a whole host
    const quotients = [2.4, 2.8, 4.4, 4.3, 1.7, 2.6, 5.4, 1.9]
    const small = Array.from({ length: 32 }, (_, i) => {
      const vcpus = 2 + ((i * 13) % 18)
      return size(1000 * vcpus, Math.round(1024 * vcpus * (quotients[i % 8] ?? 1)))
    })
    const large = [size(60_000, 204_800), size(90_000, 307_200)]
    const sizes = [
      ...small.flatMap((one) => Array.from({ length: 8 }, () => one)),
      ...large.flatMap((one) => Array.from({ length: 6 }, () => one))
    ]
    const trace = sizes.map((resources) => ({ at: 0, until: null, resources }))
    const fleet = Array.from({ length: 30 }, () => size(96_000, 393_216))
    const full = [1, 2, 3].map((seed) => {
      const filling = TraceFile.filling(trace, fleet, seed)
      return (
        Player.play(filling, fleet, "pack", { usual: Player.usualOf(trace), once: true }).firstRefusal?.dominant ?? 0
      )
    })
    assert.isAbove(Math.min(...full), 0.9, full.join(" "))
  })
})

describe("the policy pack", () => {
  for (const { name, of } of fleets(30)) {
    it(`has hosts at least as full at the first refusal as the best baseline, ${name}`, { timeout: 240_000 }, () => {
      const seeds = [1, 2, 3, 4, 5, 6]
      const full = (strategy: Player.Strategy): number =>
        seeds.reduce((sum, seed) => {
          const { fleet, trace, usual } = of(seed)
          const { firstRefusal } = Player.play(trace, fleet, strategy, { usual, once: true })
          assert.isNotNull(firstRefusal)
          return sum + (firstRefusal?.dominant ?? 0) / seeds.length
        }, 0)
      const best = Math.max(...Player.baselines.map(full))
      assert.isAbove(best, 0.8, "the baselines are worth to be compared with")
      assert.isAtLeast(full("pack"), best - noise)
    })
  }
})

describe("the policy balance", () => {
  it("has hosts about as full at the first refusal as pack, and fewer of them empty on the way there", () => {
    for (const { name, of } of fleets(30)) {
      const seeds = [1, 2, 3]
      const played = (strategy: Player.Strategy) => {
        const reports = seeds.map((seed) => {
          const { fleet, trace, usual } = of(seed)
          return Player.play(trace, fleet, strategy, { usual, once: true })
        })
        const mean = (value: (report: Player.Report) => number): number =>
          reports.reduce((sum, report) => sum + value(report) / seeds.length, 0)
        return {
          full: mean(({ firstRefusal, peak }) => (firstRefusal ?? peak).dominant),
          empty: mean(({ emptyHosts }) => emptyHosts)
        }
      }
      const [balance, pack] = [played("balance"), played("pack")]
      assert.isAtLeast(balance.full, pack.full - 0.05, name)
      assert.isBelow(balance.empty, pack.empty / 2, name)
    }
  })
})
