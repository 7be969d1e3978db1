/**
 * Whether a process that is soaked stays as large as it is.
 */
import { readdirSync } from "node:fs"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** What a process holds when all is at rest. */
export interface Sample {
  /** bytes that are alive after a collection, of V8's heap and of what it keeps outside of that */
  readonly heap: number
  /** open files and sockets */
  readonly descriptors: number
}

/** How much more may be held in the later half than in the beginning. */
export const bounds: Sample = { heap: 24 * 1024 ** 2, descriptors: 8 }

/** So many at least are needed to tell anything. */
export const fewest = 12

const collector = (): (() => void) => {
  setFlagsFromString("--expose-gc")
  const collect: unknown = runInNewContext("gc")
  if (typeof collect !== "function") throw new Error("this Node.js has no collector that can be called")
  return () => void collect()
}
let collect: (() => void) | undefined

/** Of this process, at this moment. */
export const measure = (): Sample => {
  collect ??= collector()
  // what a first one has found to be dead may have held something by a weak reference
  collect()
  collect()
  const { external, heapUsed } = process.memoryUsage()
  return { heap: heapUsed + external, descriptors: readdirSync("/proc/self/fd").length }
}

const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const kinds = [
  { of: "heap", what: "the live heap", shown: (bytes: number) => `${(bytes / 1024 ** 2).toFixed(1)} MiB` },
  { of: "descriptors", what: "the number of open descriptors", shown: (count: number) => `${count}` }
] as const

/**
 * A sentence on what grew, and from what to what; null: nothing did, or there are too few samples to tell. After the first tenth, in which caches fill
 * and code is compiled, the median of the later half is held against that of the first quarter.
 */
export const grown = (samples: ReadonlyArray<Sample>, most: Sample = bounds): string | null => {
  if (samples.length < fewest) return null
  const warm = samples.slice(Math.ceil(samples.length / 10))
  const first = warm.slice(0, Math.ceil(warm.length / 4))
  const later = warm.slice(Math.floor(warm.length / 2))
  const told = kinds.flatMap(({ of, shown, what }) => {
    const before = median(first.map((sample) => sample[of]))
    const now = median(later.map((sample) => sample[of]))
    return now - before > most[of]
      ? [`${what} grew from ${shown(before)} to ${shown(now)}, which is more than the ${shown(most[of])} that it may`]
      : []
  })
  return told.length === 0 ? null : `over ${samples.length} samples ${told.join(", and ")}`
}

/** As in `live heap 112 … 114 … 113 MiB, descriptors 26 … 26 … 26`: medians of the ten tenths. */
export const course = (samples: ReadonlyArray<Sample>): string => {
  const tenths = Array.from({ length: 10 }, (_, i) =>
    samples.slice(Math.floor((samples.length * i) / 10), Math.floor((samples.length * (i + 1)) / 10))
  )
  const of = (value: (sample: Sample) => number) =>
    tenths.map((some) => Math.round(median(some.map(value)))).join(" … ")
  return `live heap ${of(({ heap }) => heap / 1024 ** 2)} MiB, descriptors ${of(({ descriptors }) => descriptors)}`
}
