/**
 * How full fleets are when the first VM is refused: the engine's policies and the baselines, on the same traces. What counts is shares, and so
 * nothing is timed but the decisions.
 */
import * as Effect from "effect/Effect"
import type * as Resources from "../../src/domain/Resources.ts"
import type { Trace as VmTrace } from "../../src/domain/Trace.ts"
import * as Player from "../../src/scheduler/Player.ts"
import type * as Score from "../../src/scheduler/Score.ts"
import * as SyntheticTrace from "../../src/simulator/SyntheticTrace.ts"
import * as Trace from "../../src/simulator/Trace.ts"
import { compare, type Figure, median } from "./Figure.ts"

const section = "packing"

type Fleet = ReadonlyArray<Resources.Resources>

/** Hosts in turn, of so many vCPUs and GiB. */
const fleetOf = (hosts: number, ...kinds: ReadonlyArray<readonly [vcpus: number, gib: number]>): Fleet =>
  Array.from({ length: hosts }, (_, i) => {
    const [vcpus, gib] = kinds[i % kinds.length] ?? [1, 1]
    return { cpu: vcpus * 1000, ram: gib * 1024, disk: 0 }
  })

/**
 * vCPUs, GiB, and how many of a hundred are so. Made up, and no cluster's: uneven quotients of memory to vCPUs, a few sizes that most have, and
 * a few VMs that want nearly a whole host.
 */
const oddSizes = [
  [2.5, 6, 22],
  [6, 17, 14],
  [9, 40, 16],
  [14, 60, 12],
  [7, 12, 8],
  [20, 52, 6],
  [5, 27, 8],
  [13, 25, 6],
  [28, 90, 4],
  [60, 200, 2],
  [90, 300, 2]
] as const

const odd: VmTrace = oddSizes.flatMap(([vcpus, gib, weight]) =>
  Array.from({ length: weight }, () => ({
    at: 0,
    until: null,
    resources: { cpu: vcpus * 1000, ram: gib * 1024, disk: 0 }
  }))
)

interface Played {
  readonly fleet: Fleet
  readonly trace: VmTrace
  readonly usual: ReadonlyArray<Score.Usual>
}

/** What is played, by seed, on so many hosts. */
export const fleets = (
  hosts: number
): ReadonlyArray<{ readonly name: string; readonly of: (seed: number) => Played }> => {
  const synthetic =
    (fleet: Fleet) =>
    (seed: number): Played => {
      const vcpus = fleet.reduce((sum, { cpu }) => sum + cpu / 1000, 0)
      const trace = SyntheticTrace.make({ seed, vcpus: 1.2 * vcpus })
      return { fleet, trace, usual: Player.usualOf(trace) }
    }
  const filled =
    (fleet: Fleet) =>
    (seed: number): Played => ({ fleet, trace: Trace.filling(odd, fleet, seed), usual: Player.usualOf(odd) })
  return [
    { name: "synthetic on hosts of one kind", of: synthetic(fleetOf(hosts, [96, 384])) },
    { name: "synthetic on hosts of two kinds", of: synthetic(fleetOf(hosts, [64, 512], [96, 256])) },
    { name: "a fill of odd sizes on hosts of one kind", of: filled(fleetOf(hosts, [96, 384])) },
    {
      name: "a fill of odd sizes on hosts of four kinds",
      of: filled(fleetOf(hosts, [96, 384], [32, 256], [104, 512], [32, 128]))
    }
  ]
}

/**
 * A fleet is at its first refusal when a large VM finds no host, and which one that is, is chance. So of two policies that pack equally well
 * one is ahead on some seeds, and the other on others. Measured on 100 hosts and 40 seeds that nothing was chosen by, the difference of `pack` to
 * the best baseline has a standard deviation from seed to seed of 0.0034 of the fleet (synthetic, one kind of host), 0.0096 (two kinds), 0.0023
 * and 0.0029 (fills of one kind and of four). This is two standard errors of the first for the eight seeds that are played here. It is about means:
 * on a single seed `pack` can be below the best baseline. Smaller fleets vary more, by 0.011 on 30 hosts; for them this is stricter than chance.
 */
export const noise = 0.0025

/** Those of the literature. */
const named: ReadonlySet<Player.Strategy> = new Set(["best-fit", "worst-fit", "dot-product", "fgd"])

const seeds = [1, 2, 3, 4, 5, 6, 7, 8]

/** 100 hosts each; the target is the best baseline of the same traces, but for `noise`. */
export const measure = Effect.gen(function* () {
  const figures: Array<Figure> = []
  for (const { name, of } of fleets(100)) {
    const played = seeds.map(of)
    const report = (strategy: Player.Strategy, options: (played: Played) => Player.Options) =>
      Effect.forEach(played, (one) =>
        Effect.zipRight(
          Effect.yieldNow(),
          Effect.sync(() =>
            Player.play(one.trace, one.fleet, strategy, {
              ...options(one),
              once: true,
              clock: () => performance.now()
            })
          )
        )
      )
    const rows: Array<{ readonly strategy: Player.Strategy; readonly reports: ReadonlyArray<Player.Report> }> = []
    for (const strategy of [...Player.policies, ...Player.baselines]) {
      rows.push({ strategy, reports: yield* report(strategy, ({ usual }) => ({ usual })) })
    }
    const counted = yield* report("pack", ({ usual }) => ({ usual, told: "counted" }))
    const untold = yield* report("pack", () => ({ usual: [] }))
    const mean = (values: ReadonlyArray<number>): number =>
      values.reduce((sum, value) => sum + value, 0) / values.length
    const full = (reports: ReadonlyArray<Player.Report>) =>
      reports.map(({ firstRefusal, peak }) => 100 * (firstRefusal ?? peak).dominant)
    const [best] = rows
      .filter(({ strategy }) => Player.baselines.some((baseline) => baseline === strategy))
      .toSorted((a, b) => mean(full(b.reports)) - mean(full(a.reports)))
    for (const { reports, strategy } of rows) {
      const values = full(reports)
      figures.push({
        section,
        what: `${strategy}: ${name}`,
        unit: "% at 1st refusal",
        values,
        ...(strategy === "pack" && best !== undefined
          ? {
              against: compare(best.strategy, [mean(values)], [mean(full(best.reports))]),
              target: { of: "ratio", kind: "at least", value: 1 - noise } as const
            }
          : {})
      })
    }
    const rivals = rows.filter(({ strategy }) => named.has(strategy)).map(({ reports }) => full(reports))
    const packed = full(rows.find(({ strategy }) => strategy === "pack")?.reports ?? [])
    figures.push(
      {
        section,
        what: `pack, told what runs as by the controller: ${name}`,
        unit: "% at 1st refusal",
        values: full(counted),
        against: compare("pack without usual sizes", [mean(full(counted))], [mean(full(untold))])
      },
      {
        section,
        what: `pack less the best of best-fit, worst-fit, dot-product and fgd, by seed: ${name}`,
        unit: "% of the fleet",
        values: packed.map((value, i) => value - Math.max(...rivals.map((values) => values[i] ?? 0)))
      }
    )
    const rate = (wanted: Player.Strategy): number =>
      median(
        rows.flatMap(({ reports, strategy }) =>
          strategy === wanted ? reports.map((report) => report.decisionsPerSecond ?? 0) : []
        )
      )
    figures.push({ section, what: `pack: ${name}`, unit: "decisions/s", values: [rate("pack")] })
  }
  return figures
})
