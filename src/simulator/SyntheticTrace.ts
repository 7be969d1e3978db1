/**
 * A trace that a seed decides, like what public clouds tell of theirs.
 *
 * Its shape is that of Azure's, as it was published by Hadary et al. ("Protean: VM Allocation Service at Scale", OSDI 2020), Cortez et al.
 * ("Resource Central", SOSP 2017) and with the Azure Public Dataset (V2: VMs by buckets of 2, 4, 8, 24 and more vCPUs, and of 2, 4, 8, 32, 64
 * and more GiB):
 *
 * - most VMs are small, of one or two vCPUs, and the few large ones want most of the hosts;
 * - about nine of ten are gone within a day, many within the hour, and the others want nearly all of the vCPU hours;
 * - more come by day than by night, and fewer at weekends.
 *
 * The numbers below are rounded so as to have that shape; they are nobody's measurements.
 *
 * @since 0.7.0
 */
import type { Arrival, Trace } from "../domain/Trace.ts"
import { randomFrom } from "./HostState.ts"

/** vCPUs, GiB, and how many of a thousand VMs are of that size. */
const sizes = [
  [1, 1, 60],
  [1, 2, 126],
  [2, 4, 180],
  [2, 8, 190],
  [2, 16, 42],
  [4, 8, 82],
  [4, 16, 130],
  [4, 32, 30],
  [8, 16, 30],
  [8, 32, 60],
  [8, 64, 14],
  [16, 32, 8],
  [16, 64, 25],
  [16, 128, 6],
  [32, 64, 5],
  [32, 128, 12]
] as const

const hour = 3600
const day = 24 * hour

/** Lifetimes: the median in seconds, the deviation of its logarithm, and how many of a thousand VMs live so. */
const lifetimes = [
  [15 * 60, 1, 550],
  [4 * hour, 0.8, 350],
  [20 * day, 1, 100]
] as const

/** @since 0.7.0 @category models */
export interface Options {
  /** decides everything random about it */
  readonly seed: number
  /** how many vCPUs all of them together want at its end */
  readonly vcpus: number
  /** how long VMs come; absent: 14 */
  readonly days?: number
}

/** How many come at a time, by how many do in the mean: a day and a week that go up and down; the trace begins on a Monday at midnight. */
const pace = (at: number): number => {
  const weekend = Math.floor(at / day) % 7 >= 5 ? 0.7 : 1
  return weekend * (1 - 0.4 * Math.cos((2 * Math.PI * at) / day))
}

const most = 1.4

/**
 * The trace: VMs come for so many days, and each leaves when its time is over, the last long after. The same options make the same trace.
 *
 * @since 0.7.0 @category constructors
 */
export const make = ({ days = 14, seed, vcpus }: Options): Trace => {
  const random = randomFrom(seed)
  const pick = <A extends readonly [number, number, number]>(from: ReadonlyArray<A>): A | undefined => {
    let left = random() * 1000
    return from.find(([, , weight]) => (left -= weight) < 0) ?? from.at(-1)
  }
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const span = days * day
  const end = vcpus * 1000
  const drawn = (at: number): Arrival => {
    const [cpu, memory] = pick(sizes) ?? sizes[0]
    const [median, deviation] = pick(lifetimes) ?? lifetimes[0]
    const life = Math.max(1, Math.round(median * Math.exp(deviation * normal())))
    return { at, until: at + life, resources: { cpu: cpu * 1000, ram: memory * 1024, disk: 0 } }
  }
  // places in time are drawn until enough of them want something at the end: what came before does not depend on how many come
  const arrivals: Array<Arrival> = []
  for (let wanted = 0; wanted < end;) {
    const at = Math.floor(random() * span)
    if (random() * most > pace(at)) continue
    const arrival = drawn(at)
    arrivals.push(arrival)
    if (arrival.until !== null && arrival.until > span) wanted += arrival.resources.cpu
  }
  return arrivals.toSorted((a, b) => a.at - b.at)
}
