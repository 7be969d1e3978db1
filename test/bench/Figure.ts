/**
 * What a bench finds out, and how it is shown. A figure is compared with another one of the same run only.
 */
import * as Effect from "effect/Effect"

/** `values`: one a round. Their unit is the same in all figures of a section that are compared. */
export interface Figure {
  readonly section: string
  readonly what: string
  readonly unit: string
  readonly values: ReadonlyArray<number>
  readonly against?: Comparison
  readonly target?: Target
}

/** The quotient of the two medians, this figure's by the peer's, and their difference. */
export interface Comparison {
  readonly peer: string
  readonly ratio: number
  readonly difference: number
}

export interface Target {
  readonly of: "ratio" | "median"
  readonly kind: "at most" | "at least"
  readonly value: number
  /** of a ratio: it is met as well when the median is at most so much more than the peer's */
  readonly orMore?: number
}

/** Figures of what runs on simulated hosts, which they say, each of one value. */
export const simulated =
  (section: string) =>
  (what: string, unit: string, value: number, target?: Pick<Target, "kind" | "value">): Figure => ({
    section,
    what: `${what} (simulated)`,
    unit,
    values: [value],
    ...(target === undefined ? {} : { target: { of: "median", ...target } })
  })

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

export const compare = (peer: string, values: ReadonlyArray<number>, others: ReadonlyArray<number>): Comparison => ({
  peer,
  ratio: median(values) / median(others),
  difference: median(values) - median(others)
})

/** Undefined: no target. */
export const met = ({ against, target, values }: Figure): boolean | undefined => {
  if (target === undefined) return undefined
  if (target.orMore !== undefined && against !== undefined && against.difference <= target.orMore) return true
  const found = target.of === "ratio" ? (against?.ratio ?? Number.NaN) : median(values)
  return target.kind === "at most" ? found <= target.value : found >= target.value
}

/** Something that is measured; one round gives one value. */
export interface Contestant<K extends string, E, R> {
  readonly name: K
  readonly round: Effect.Effect<number, E, R>
}

/** Every contestant once a round, each round begun by another one: what disturbs the machine for a while disturbs all. */
export const interleave = <K extends string, E, R>(
  rounds: number,
  contestants: ReadonlyArray<Contestant<K, E, R>>
): Effect.Effect<(name: K) => ReadonlyArray<number>, E, R> =>
  Effect.gen(function* () {
    const values = new Map<K, Array<number>>()
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < contestants.length; i++) {
        const contestant = contestants[(i + round) % contestants.length]
        if (contestant === undefined) continue
        const value = yield* contestant.round
        values.set(contestant.name, [...(values.get(contestant.name) ?? []), value])
      }
    }
    return (name: K) => values.get(name) ?? []
  })

/** Milliseconds that the effect took. */
export const milliseconds = <E, R>(effect: Effect.Effect<unknown, E, R>): Effect.Effect<number, E, R> =>
  Effect.suspend(() => {
    const started = performance.now()
    return Effect.map(effect, () => performance.now() - started)
  })

const number = (value: number): string =>
  Math.abs(value) >= 1000
    ? Math.round(value).toLocaleString("en")
    : Math.abs(value) >= 100
      ? value.toFixed(0)
      : value.toPrecision(3)

const wording = ({ kind, of, orMore, value }: Target, unit: string): string =>
  `${kind} ${value}${of === "ratio" ? "" : ` ${unit}`}${orMore === undefined ? "" : `, or ${orMore} ${unit} more`}`

/** One line a figure. */
export const table = (figures: ReadonlyArray<Figure>): string => {
  const head = ["section", "what", "median", "min", "max", "unit", "ratio", "of", "target", ""]
  const rows = figures.map((figure) => {
    const { against, section, target, unit, values, what } = figure
    const good = met(figure)
    return [
      section,
      what,
      number(median(values)),
      number(Math.min(...values)),
      number(Math.max(...values)),
      unit,
      against === undefined ? "" : number(against.ratio),
      against?.peer ?? "",
      target === undefined ? "" : wording(target, unit),
      good === undefined ? "" : good ? "met" : "MISSED"
    ]
  })
  const numeric = new Set([2, 3, 4, 6])
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>) =>
    cells
      .map((cell, i) => (numeric.has(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd()
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")
}
