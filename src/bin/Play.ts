/**
 * A trace played on hosts that nobody has: `vmfabric simulate --trace`.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Play } from "../cli/Cli.ts"
import { table, type View } from "../cli/Output.ts"
import * as InputFiles from "../config/InputFiles.ts"
import * as Player from "../scheduler/Player.ts"
import * as SyntheticTrace from "../simulator/SyntheticTrace.ts"
import * as Trace from "../simulator/Trace.ts"

interface Row extends Player.Report {
  readonly policy: string
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

const atFirst = (of: (moment: Player.Moment) => number) => (row: Row) =>
  row.firstRefusal === null ? null : percent(of(row.firstRefusal))

/** Shares are of the whole fleet. */
const view: View<Row> = {
  name: ({ policy }) => policy,
  columns: [
    { title: "POLICY", of: ({ policy }) => policy },
    { title: "FULL AT 1ST REFUSAL", of: atFirst(({ dominant }) => dominant) },
    { title: "VCPUS", of: atFirst(({ used }) => used.cpu) },
    { title: "MEMORY", of: atFirst(({ used }) => used.ram) },
    { title: "STRANDED VCPUS", of: atFirst(({ stranded }) => stranded.cpu) },
    { title: "STRANDED MEMORY", of: atFirst(({ stranded }) => stranded.ram) },
    { title: "MOST FULL", of: ({ peak }) => percent(peak.dominant) },
    { title: "EMPTY HOSTS", of: ({ emptyHosts }) => Number(emptyHosts.toFixed(1)) },
    { title: "REFUSED", of: ({ refused, tooLarge }) => refused - tooLarge },
    {
      title: "DECISIONS/S",
      of: ({ decisionsPerSecond }) => (decisionsPerSecond === null ? null : Math.round(decisionsPerSecond))
    }
  ]
}

/** vCPUs and MiB; the trace's thousandths of a vCPU are nobody else's. */
const told = ({ cpu, ram }: { readonly cpu: number; readonly ram: number }) => ({ vcpus: cpu, memory: ram })

const toldMoment = ({ at, dominant, emptyHosts, stranded, used, vms }: Player.Moment) => ({
  at,
  vms,
  emptyHosts,
  dominant,
  used: told(used),
  stranded: told(stranded)
})

const toldRow = ({
  arrivals,
  decisionsPerSecond,
  emptyHosts,
  end,
  firstRefusal,
  peak,
  policy,
  refused,
  tooLarge
}: Row) => ({
  policy,
  arrivals,
  refused,
  tooLarge,
  emptyHosts,
  decisionsPerSecond,
  firstRefusal: firstRefusal === null ? null : toldMoment(firstRefusal),
  peak: toldMoment(peak),
  end: toldMoment(end)
})

/** Plays the trace under each policy, and prints what became of it. @since 0.7.0 @category programs */
export const run = Effect.fn("simulate.trace")(function* ({
  fill,
  host,
  hosts,
  output,
  seed,
  strategies,
  trace
}: Play) {
  const capacity = { cpu: host.vcpus * 1000, ram: host.memory, disk: 0 }
  const fromFile = yield* Effect.transposeMapOption(trace, (file) => InputFiles.readFile(file, Trace.parse))
  const known = Option.getOrNull(fromFile)
  const height = known === null || fill ? null : Trace.height(known)
  const count = Option.getOrElse(hosts, () =>
    height === null
      ? 100
      : Math.min(10_000, Math.max(1, Math.floor(0.9 * Math.max(height.cpu / capacity.cpu, height.ram / capacity.ram))))
  )
  const fleet = Array.from({ length: count }, () => capacity)
  const whole = known ?? SyntheticTrace.make({ seed, vcpus: 1.2 * count * host.vcpus })
  const arrivals = fill ? Trace.filling(whole, fleet, seed) : whole
  const usual = Player.usualOf(whole)
  const rows = strategies.map((policy): Row => ({
    policy,
    ...Player.play(arrivals, fleet, policy, { usual, clock: () => performance.now() })
  }))
  const print = (text: string) => Effect.sync(() => void process.stdout.write(text))
  if (output === "json") {
    const name = Option.getOrElse(trace, () => "synthetic")
    const report = {
      trace: name,
      fill,
      seed,
      hosts: count,
      host,
      arrivals: arrivals.length,
      policies: rows.map(toldRow)
    }
    return yield* print(`${JSON.stringify(report, null, 2)}\n`)
  }
  const { head, row } = table(view, rows, "table", process.stdout.isTTY)
  const tooLarge = rows[0]?.tooLarge ?? 0
  yield* print(
    [
      `${arrivals.length} VMs on ${count} hosts of ${host.vcpus} vCPUs and ${host.memory} MiB`,
      ...(tooLarge > 0 ? [`${tooLarge} of them are larger than a host, and count in none of the columns`] : []),
      "",
      head,
      ...rows.map(row)
    ]
      .map((line) => `${line}\n`)
      .join("")
  )
})
