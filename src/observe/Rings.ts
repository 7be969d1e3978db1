/**
 * What a VM used over the last day, in memory of a fixed size: 504 slots of ten values of two bytes each, 10 KiB. 20,000 VMs take 200 MB. It is
 * not written to the database: kept there in batches it would be 33 rows a second for 20,000 VMs, for ever, beside what the database is for; whoever
 * wants more than a day, or a day that survives a restart, has a time series database for that.
 *
 * @since 0.6.0
 */
import { type History, type Rates, series, type Step, steps } from "../domain/Statistics.ts"

const nothing = 0xffff
const mantissa = 1024
const bias = 10

/**
 * A number of two bytes, from 0.001 to 4.5e15 and true to 0.1 percent: a float without a sign, with more exponent than the usual one of that length.
 *
 * @since 0.6.0 @category conversions
 */
export const compact = (value: number): number => {
  if (Number.isNaN(value)) return nothing
  if (value < 2 ** -bias) return 0
  const exponent = Math.min(Math.floor(Math.log2(value)), 62 - bias)
  const rest = Math.round((value / 2 ** exponent - 1) * mantissa)
  // what is rounded up to the next power of two carries over by itself
  return Math.min((exponent + bias) * mantissa + rest + 1, nothing - 1)
}

/** The inverse; null for none. @since 0.6.0 @category conversions */
export const expand = (code: number): number | null => {
  if (code === nothing) return null
  if (code === 0) return 0
  const value = code - 1
  return (1 + (value % mantissa) / mantissa) * 2 ** (Math.floor(value / mantissa) - bias)
}

const width = series.length

/** Where each step's slots begin. */
const places = steps.map((step, index) => ({
  ...step,
  start: steps.slice(0, index).reduce((sum, { slots }) => sum + slots * width, 0)
}))

const total = steps.reduce((sum, { slots }) => sum + slots * width, 0)

/** Of one VM. @since 0.6.0 @category models */
export class Rings {
  private readonly values = new Uint16Array(total).fill(nothing)
  /** sums over the slot that is not full yet, and how many values are in it; for each step */
  private readonly sums = new Float64Array(steps.length * (width + 1))
  /** the number of that slot since 1970; 0: there was none */
  private readonly slots = new Float64Array(steps.length)

  /** Bytes it takes. */
  static readonly size = total * 2 + steps.length * (width + 2) * 8

  add(at: number, rates: Rates): void {
    for (const [index, place] of places.entries()) {
      const slot = Math.floor(at / 1000 / place.seconds)
      if (slot < (this.slots[index] ?? 0)) continue
      if (slot !== this.slots[index]) this.begin(index, slot)
      const sums = index * (width + 1)
      const count = (this.sums[sums + width] ?? 0) + 1
      this.sums[sums + width] = count
      for (const [which, name] of series.entries()) {
        const sum = (this.sums[sums + which] ?? 0) + rates[name]
        this.sums[sums + which] = sum
        this.values[place.start + (slot % place.slots) * width + which] = compact(sum / count)
      }
    }
  }

  /** A new slot; those that nothing came for hold what was there a round ago. */
  private begin(index: number, slot: number): void {
    const place = places[index]
    if (place === undefined) return
    const last = this.slots[index] ?? 0
    const missed = Math.min(slot - last - 1, place.slots)
    for (let back = 0; back < missed; back++) {
      const at = place.start + ((slot - 1 - back) % place.slots) * width
      this.values.fill(nothing, at, at + width)
    }
    this.slots[index] = slot
    this.sums.fill(0, index * (width + 1), (index + 1) * (width + 1))
  }

  /** From a moment on until another, as far as that step is kept. */
  history(step: Step, since: number, until: number): History {
    const index = places.findIndex(({ seconds }) => seconds === step)
    const place = places[index] ?? places[0]
    const newest = Math.floor(until / 1000 / step)
    const oldest = Math.max(Math.ceil(since / 1000 / step), newest - (place?.slots ?? 0) + 1)
    const last = this.slots[index] ?? 0
    const first = last - (place?.slots ?? 0)
    const of = (which: number): ReadonlyArray<number | null> =>
      Array.from({ length: Math.max(0, newest - oldest + 1) }, (_, at) => {
        const slot = oldest + at
        if (place === undefined || slot > last || slot <= first) return null
        const value = expand(this.values[place.start + (slot % place.slots) * width + which] ?? nothing)
        return value === null ? null : Number(value.toPrecision(4))
      })
    return {
      step,
      from: oldest * step * 1000,
      series: {
        cpu: of(0),
        memory: of(1),
        diskRead: of(2),
        diskWritten: of(3),
        diskReadRequests: of(4),
        diskWrittenRequests: of(5),
        netReceived: of(6),
        netSent: of(7),
        netReceivedPackets: of(8),
        netSentPackets: of(9)
      }
    }
  }
}
