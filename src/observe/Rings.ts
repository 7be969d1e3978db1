/**
 * What VMs used over the last day, in memory: 504 slots of ten values each, of which as much is kept as is shown. A VM that does nothing
 * takes 3 KiB, one that does little 5, and one that is never the same in anything up to 10. It is not written to the database: kept there in
 * batches it would be 33 rows a second for 20,000 VMs, for ever, beside what the database is for; whoever wants more than a day, or a day that survives
 * a restart, has a time series database for that.
 *
 * @since 0.6.0
 */
import { type History, type Rates, series, type Step, steps } from "../domain/Statistics.ts"
import { BitQueue, Pages, type Place } from "./BitQueue.ts"
import { Rows } from "./Rows.ts"

const nothing = 0xffff

/** Numbers as they are shown, in two bytes, and back. @since 0.15.0 @category models */
export interface Scale {
  /** Of a number from 0 on. */
  readonly compact: (value: number) => number
  readonly expand: (code: number) => number
}

const bounded = (code: number): number => (code > 0 ? Math.min(code, nothing - 1) : 0)

/** Of the numbers from 100 to 999. */
const threeFigures = 900

/**
 * Bytes with three figures, as many of a unit as there are: 1.23, 12.3, 123 or 1023 KiB. Below 1 KiB they are whole. So the same is shown of one as of the
 * number that it was made of.
 *
 * @since 0.15.0 @category constants
 */
export const amounts: Scale = {
  compact: (value) => {
    const scale = Math.floor(Math.log2(Math.max(1, value)) / 10)
    if (scale === 0) return bounded(Math.round(value))
    const some = value / 1024 ** scale
    const part =
      some < 9.995
        ? Math.round(some * 100) - 100
        : some < 99.95
          ? threeFigures + Math.round(some * 10) - 100
          : 2 * threeFigures + Math.round(some) - 100
    return bounded(1024 + (scale - 1) * ofUnit + part)
  },
  expand: (code) => {
    if (code < 1024) return code
    const scale = Math.floor((code - 1024) / ofUnit) + 1
    const part = (code - 1024) % ofUnit
    const figures = (part % threeFigures) + 100
    const some =
      part < threeFigures ? figures / 100 : part < 2 * threeFigures ? figures / 10 : part - 2 * threeFigures + 100
    return Math.round(some * 1024 ** scale)
  }
}

/** 1.00 to 9.99, 10.0 to 99.9, and 100 to 1023. */
const ofUnit = 2 * threeFigures + 924

/** Percentages, requests and packets: to a tenth below 100, and with three figures from there on. @since 0.15.0 @category constants */
export const rates: Scale = {
  compact: (value) => {
    if (value < 99.95) return bounded(Math.round(value * 10))
    const exponent = Math.floor(Math.log10(value))
    return bounded(1000 + (exponent - 2) * threeFigures + Math.round(value / 10 ** (exponent - 2)) - 100)
  },
  expand: (code) => {
    if (code < 1000) return code / 10
    const exponent = Math.floor((code - 1000) / threeFigures)
    return (((code - 1000) % threeFigures) + 100) * 10 ** exponent
  }
}

/** How a number of a series is kept. @since 0.15.0 @category getters */
export const scaleOf = (name: (typeof series)[number]): Scale =>
  name === "cpu" || name.endsWith("Requests") || name.endsWith("Packets") ? rates : amounts

const scales = series.map(scaleOf)

const width = series.length
const rows = new Rows(width)

/** Of each step the sums over its newest slot, which is not full yet, how many values are in it, and its number since 1970; 0: there was none. */
const sumsOf = width + 2
const floats = steps.length * sumsOf

/** Of each step what is known before its oldest row, and after its newest. */
const words = steps.length * 2 * rows.words

/** VMs whose numbers are taken from the system together, for a small array takes more for itself than for what is in it. */
const together = 256

/** One VM's part of them. */
interface Numbers {
  readonly floats: Float64Array
  readonly words: Uint16Array
  /** which one of those that share them */
  readonly part: number
}

const row = new Uint16Array(width)
const model = new Uint16Array(rows.words)
const place: Place = { page: 0, bit: 0 }

/** Of all VMs, which share their memory: it grows with what they do, and what one that is forgotten had is others'. @since 0.15.0 @category models */
export class Past {
  readonly pages = new Pages()
  private readonly free: Array<Numbers> = []
  private vms = 0

  /** Bytes it takes. */
  get size(): number {
    return this.pages.size + this.vms * (floats * 8 + words * 2)
  }

  /** Nothing yet, of another VM. */
  begin(): Rings {
    const known = this.free.pop()
    if (known !== undefined) return new Rings(this, known)
    const shared = { floats: new Float64Array(together * floats), words: new Uint16Array(together * words) }
    for (let part = together - 1; part > 0; part--) this.free.push({ ...shared, part })
    this.vms += together
    return new Rings(this, { ...shared, part: 0 })
  }

  /** By `Rings.end`. */
  end(numbers: Numbers): void {
    numbers.floats.fill(0, numbers.part * floats, (numbers.part + 1) * floats)
    numbers.words.fill(0, numbers.part * words, (numbers.part + 1) * words)
    this.free.push(numbers)
  }
}

/** Of one VM. @since 0.6.0 @category models */
export class Rings {
  private readonly past: Past
  private readonly numbers: Numbers
  private readonly queues: ReadonlyArray<BitQueue>
  /** by step, the rows in its queue: those of the slots before the newest */
  private readonly counts: Array<number>

  constructor(past: Past, numbers: Numbers) {
    this.past = past
    this.numbers = numbers
    this.queues = steps.map(() => new BitQueue(past.pages))
    this.counts = steps.map(() => 0)
  }

  /** It is forgotten, and not to be used any more. */
  end(): void {
    for (const queue of this.queues) queue.clear()
    this.past.end(this.numbers)
  }

  add(at: number, rates: Rates): void {
    const { floats: all, part } = this.numbers
    for (let index = 0; index < steps.length; index++) {
      const slot = Math.floor(at / 1000 / (steps[index]?.seconds ?? 1))
      const sums = part * floats + index * sumsOf
      const newest = all[sums + width + 1] ?? 0
      if (slot < newest) continue
      if (slot !== newest) this.move(index, slot)
      for (let column = 0; column < width; column++) {
        all[sums + column] = (all[sums + column] ?? 0) + rates[series[column] ?? "cpu"]
      }
      all[sums + width] = (all[sums + width] ?? 0) + 1
    }
  }

  /** The means of a step's newest slot, into `row`. */
  private means(index: number): void {
    const { floats: all, part } = this.numbers
    const sums = part * floats + index * sumsOf
    const count = all[sums + width] ?? 0
    for (let column = 0; column < width; column++) {
      row[column] = scales[column]?.compact((all[sums + column] ?? 0) / count) ?? 0
    }
  }

  /** From a step's newest slot to another one. */
  private move(index: number, slot: number): void {
    const { floats: all, part, words: models } = this.numbers
    const queue = this.queues[index]
    const slots = steps[index]?.slots ?? 0
    if (queue === undefined) return
    const sums = part * floats + index * sumsOf
    const newest = all[sums + width + 1] ?? 0
    const before = part * words + index * 2 * rows.words
    const after = before + rows.words
    if (slot - newest >= slots) {
      // all that there was is older than what is kept
      queue.clear()
      this.counts[index] = 0
      models.copyWithin(before, after, after + rows.words)
    } else {
      this.means(index)
      rows.write(queue, models, after, row)
      for (let missed = newest + 1; missed < slot; missed++) rows.write(queue, models, after, null)
      let count = (this.counts[index] ?? 0) + slot - newest
      queue.oldest(place)
      for (; count >= slots; count--) rows.read(queue, place, models, before, row)
      queue.drop(place)
      this.counts[index] = count
    }
    all.fill(0, sums, sums + sumsOf)
    all[sums + width + 1] = slot
  }

  /** From a moment on until another, as far as that step is kept. */
  history(step: Step, since: number, until: number): History {
    const { floats: all, part, words: models } = this.numbers
    const index = steps.findIndex(({ seconds }) => seconds === step)
    const { found, newest, oldest } = blank(step, since, until)
    const put = (slot: number) => {
      if (slot < oldest || slot > newest) return
      for (const [column, values] of found.entries()) {
        values[slot - oldest] = scales[column]?.expand(row[column] ?? 0) ?? null
      }
    }
    const last = all[part * floats + index * sumsOf + width + 1] ?? 0
    const queue = this.queues[index]
    const count = this.counts[index] ?? 0
    if (queue !== undefined && last > 0) {
      const before = part * words + index * 2 * rows.words
      model.set(models.subarray(before, before + rows.words))
      queue.oldest(place)
      for (let back = count; back > 0; back--) if (rows.read(queue, place, model, 0, row)) put(last - back)
      this.means(index)
      put(last)
    }
    return historyOf(step, oldest, found)
  }
}

/** Of one of which nothing is known. @since 0.15.0 @category constructors */
export const unknown = (step: Step, since: number, until: number): History => {
  const { found, oldest } = blank(step, since, until)
  return historyOf(step, oldest, found)
}

/** The slots that are asked for, as far as they are kept, and no value in any. */
const blank = (step: Step, since: number, until: number) => {
  const newest = Math.floor(until / 1000 / step)
  const slots = steps.find(({ seconds }) => seconds === step)?.slots ?? 0
  const oldest = Math.max(Math.ceil(since / 1000 / step), newest - slots + 1)
  const length = Math.max(0, newest - oldest + 1)
  return { newest, oldest, found: series.map(() => Array.from({ length }, (): number | null => null)) }
}

const historyOf = (step: Step, oldest: number, found: ReadonlyArray<ReadonlyArray<number | null>>): History => {
  const of = (name: (typeof series)[number]) => found[series.indexOf(name)] ?? []
  return {
    step,
    from: oldest * step * 1000,
    series: {
      cpu: of("cpu"),
      memory: of("memory"),
      diskRead: of("diskRead"),
      diskWritten: of("diskWritten"),
      diskReadRequests: of("diskReadRequests"),
      diskWrittenRequests: of("diskWrittenRequests"),
      netReceived: of("netReceived"),
      netSent: of("netSent"),
      netReceivedPackets: of("netReceivedPackets"),
      netSentPackets: of("netSentPackets")
    }
  }
}
