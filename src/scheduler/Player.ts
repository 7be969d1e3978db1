/**
 * Arrivals and departures played on a fleet, to see how full it becomes under a policy of the engine's or under a baseline.
 *
 * The baselines are the usual ones, each a plain scan over all hosts; amounts are shares of what the host has, of equals the host with the
 * lowest number is taken:
 *
 * - `first-fit`: the first host with room.
 * - `best-fit`: the one with the smallest sum of free shares afterwards; `worst-fit`: with the largest.
 * - `dot-product`: the largest product of the vectors of what is wanted and what is free (Panigrahy et al., "Heuristics for Vector Bin
 *   Packing", 2011).
 * - `fgd`: fragmentation gradient descent (Weng et al., "Beware of Fragmentation", USENIX ATC 2023): the host whose fragmentation grows
 *   least. There, of a host and a usual size, the fragment is the GPUs that are free and of no use to it; here it is the free share of
 *   vCPUs and memory, all of it where the size does not fit and none where it does, in the mean over the usual sizes by their shares.
 *
 * @since 0.7.0
 */
import { HostId } from "../domain/Ids.ts"
import * as Resources from "../domain/Resources.ts"
import type { Trace } from "../domain/Trace.ts"
import * as Engine from "./Engine.ts"
import * as Score from "./Score.ts"

/** @since 0.7.0 @category constants */
export const baselines = ["first-fit", "best-fit", "worst-fit", "dot-product", "fgd"] as const
/** @since 0.7.0 @category models */
export type Baseline = (typeof baselines)[number]

/** @since 0.7.0 @category constants */
export const policies = ["spread", "pack", "balance"] as const satisfies ReadonlyArray<Score.Policy>
/** @since 0.7.0 @category models */
export type Strategy = Score.Policy | Baseline

/** Something that has happened: `arrival` by its place in the trace, `host` by its place in the fleet. @since 0.7.0 @category models */
export interface Happening {
  readonly what: "placed" | "refused" | "left"
  readonly arrival: number
  /** -1: refused */
  readonly host: number
}

/** @since 0.7.0 @category models */
export interface Options {
  /** the sizes that are usual, for `fgd` and the fragmentation term; absent: `usualOf` the trace */
  readonly usual?: ReadonlyArray<Score.Usual>
  /**
   * whence the engine knows the sizes: `ahead`, those of `usual` with their shares; `counted`, as a controller does: those of `usual` as if there
   * were one VM of each, and what runs, counted again after `Score.recountAfter` placements. Absent: `ahead`
   */
  readonly told?: "ahead" | "counted"
  /** weights of the engine's in place of a strategy's */
  readonly weights?: Score.Weights
  /** milliseconds, as `performance.now`; absent: decisions are not timed */
  readonly clock?: () => number
  /** ends with the first refusal */
  readonly once?: boolean
  /** hears of all that happens */
  readonly follow?: (happening: Happening) => void
}

/**
 * The fleet at one time. `used` and `stranded` are shares of what the fleet has in all, by resource; `dominant` is the largest of `used`.
 * Stranded is what is free and yet of no use: what stays on each host once it is filled up with one usual size, in the mean over those by
 * their shares.
 *
 * @since 0.7.0 @category models
 */
export interface Moment {
  readonly at: number
  readonly vms: number
  readonly emptyHosts: number
  readonly used: Resources.Resources
  readonly dominant: number
  readonly stranded: Resources.Resources
}

/** @since 0.7.0 @category models */
export interface Report {
  readonly hosts: number
  /** how many VMs there was a decision about */
  readonly arrivals: number
  readonly refused: number
  /** those of the refused that are too large for every host, were it empty: no placement could have helped, and so none is the first */
  readonly tooLarge: number
  /** just before the first VM that was refused; null: none was */
  readonly firstRefusal: Moment | null
  /** when most was promised of the dominant resource */
  readonly peak: Moment
  /** after the last departure */
  readonly end: Moment
  /** hosts without a VM, in the mean over the decisions up to the first refusal */
  readonly emptyHosts: number
  /** null: not timed */
  readonly decisionsPerSecond: number | null
}

/**
 * The sizes of a trace with their shares, the most frequent ones first, `most` at most: those that want most in all.
 *
 * @since 0.7.0 @category constructors
 */
export const usualOf = (trace: Trace, most = 16): ReadonlyArray<Score.Usual> =>
  Score.usualOf(
    trace.map(({ resources }) => resources),
    most
  )

/** Who decides, and is told what became of it. */
interface Decider {
  /** -1: nobody can take it */
  readonly choose: (wanted: Resources.Resources) => number
  readonly taken: (host: number, resources: Resources.Resources) => void
  readonly freed: (host: number, resources: Resources.Resources) => void
  readonly expect: (usual: ReadonlyArray<Score.Usual>) => void
}

type Fleet = ReadonlyArray<Resources.Resources>
type Free = Record<Resources.Name, Float64Array>

const share = (amount: number, of: number): number => (of > 0 ? amount / of : 0)

const fits = (free: Free, host: number, wanted: Resources.Resources): boolean =>
  Resources.names.every((name) => wanted[name] === 0 || wanted[name] <= (free[name][host] ?? 0))

const engineDecider = (fleet: Fleet, weights: Score.Weights, usual: ReadonlyArray<Score.Usual>): Decider => {
  const engine = Engine.make({ weights, usual, shapes: 1024 })
  const ids = fleet.map((_, host) => HostId.make(host + 1))
  for (const [host, id] of ids.entries()) {
    engine.set({
      id,
      name: `host-${host + 1}`,
      capacity: fleet[host] ?? Resources.zero,
      headroom: Resources.zero,
      closed: null,
      labels: {},
      offer: null
    })
  }
  const withId = (host: number, use: (id: HostId) => boolean): void => {
    const id = ids[host]
    if (id !== undefined) use(id)
  }
  return {
    choose: (resources) => (engine.place({ resources })?.hostId ?? 0) - 1,
    taken: (host, resources) => withId(host, (id) => engine.reserve(id, resources)),
    freed: (host, resources) => withId(host, (id) => engine.release(id, resources)),
    expect: engine.expect
  }
}

/** Shares of vCPUs and memory that are free and of no use to the usual sizes, after so much was taken. */
const fragmentation = (
  usual: ReadonlyArray<Score.Usual>,
  capacity: Resources.Resources,
  cpu: number,
  ram: number
): number => {
  let sum = 0
  for (const { resources, share: weight } of usual) {
    if (resources.cpu > cpu || resources.ram > ram)
      sum += weight * (share(cpu, capacity.cpu) + share(ram, capacity.ram))
  }
  return sum
}

/** The higher the better; of a host with room. */
const merit = (
  baseline: Baseline,
  fleet: Fleet,
  free: Free,
  usual: ReadonlyArray<Score.Usual>
): ((host: number, wanted: Resources.Resources) => number) => {
  const sum = (host: number, of: (name: Resources.Name, capacity: number, left: number) => number): number => {
    let all = 0
    for (const name of Resources.names) all += of(name, fleet[host]?.[name] ?? 0, free[name][host] ?? 0)
    return all
  }
  switch (baseline) {
    case "first-fit":
      return () => 0
    case "best-fit":
      return (host, wanted) => -sum(host, (name, capacity, left) => share(left - wanted[name], capacity))
    case "worst-fit":
      return (host, wanted) => sum(host, (name, capacity, left) => share(left - wanted[name], capacity))
    case "dot-product":
      return (host, wanted) =>
        sum(host, (name, capacity, left) => share(left, capacity) * share(wanted[name], capacity))
    case "fgd":
      return (host, wanted) => {
        const capacity = fleet[host] ?? Resources.zero
        const [cpu, ram] = [free.cpu[host] ?? 0, free.ram[host] ?? 0]
        return (
          fragmentation(usual, capacity, cpu, ram) - fragmentation(usual, capacity, cpu - wanted.cpu, ram - wanted.ram)
        )
      }
  }
}

const scanDecider = (baseline: Baseline, fleet: Fleet, free: Free, usual: ReadonlyArray<Score.Usual>): Decider => {
  const of = merit(baseline, fleet, free, usual)
  return {
    choose: (wanted) => {
      let best = -1
      let most = Number.NEGATIVE_INFINITY
      for (let host = 0; host < fleet.length; host++) {
        if (!fits(free, host, wanted)) continue
        const points = of(host, wanted)
        if (points <= most) continue
        best = host
        most = points
        if (baseline === "first-fit") break
      }
      return best
    },
    // it looks at what the player keeps
    taken: () => {},
    freed: () => {},
    expect: () => {}
  }
}

const isPolicy = (strategy: Strategy): strategy is Score.Policy => policies.some((policy) => policy === strategy)

/**
 * Plays a trace on a fleet: who leaves at a time leaves before who comes then, who is refused does not come again.
 *
 * @since 0.7.0 @category programs
 */
export const play = (
  trace: Trace,
  fleet: ReadonlyArray<Resources.Resources>,
  strategy: Strategy,
  { clock, follow, once = false, told = "ahead", usual = usualOf(trace), weights }: Options = {}
): Report => {
  const sizes = Score.normalize(usual)
  const free: Free = {
    cpu: Float64Array.from(fleet, ({ cpu }) => cpu),
    ram: Float64Array.from(fleet, ({ ram }) => ram),
    disk: Float64Array.from(fleet, ({ disk }) => disk)
  }
  const all = Resources.map((name) => fleet.reduce((sum, capacity) => sum + capacity[name], 0))
  const used = { ...Resources.zero }
  const guests = new Int32Array(fleet.length)
  let empty = fleet.length
  let vms = 0
  const decider =
    weights === undefined && !isPolicy(strategy)
      ? scanDecider(strategy, fleet, free, sizes)
      : engineDecider(fleet, weights ?? (isPolicy(strategy) ? Score.policies[strategy] : Score.policies.pack), sizes)

  const move = (host: number, resources: Resources.Resources, by: 1 | -1): void => {
    for (const name of Resources.names) {
      free[name][host] = (free[name][host] ?? 0) - by * resources[name]
      used[name] += by * resources[name]
    }
    const before = guests[host] ?? 0
    guests[host] = before + by
    if (before === 0) empty--
    if (before + by === 0) empty++
    vms += by
  }

  const hostOf = new Int32Array(trace.length).fill(-1)
  let arrivals = 0
  let left = 0
  const count = (): void => {
    if (--left > 0) return
    const running = trace.slice(0, arrivals).flatMap(({ resources }, i) => ((hostOf[i] ?? -1) >= 0 ? [resources] : []))
    left = Score.recountAfter(running.length)
    decider.expect(Score.usualOf([...sizes.map(({ resources }) => resources), ...running]))
  }

  const isTooLarge = (resources: Resources.Resources): boolean =>
    !fleet.some((capacity) => Resources.names.every((name) => resources[name] <= capacity[name]))

  const dominant = (): number => Math.max(...Resources.names.map((name) => share(used[name], all[name])))

  const stranded = (): Resources.Resources => {
    const lost = { ...Resources.zero }
    for (let host = 0; host < fleet.length; host++) {
      for (const { resources, share: weight } of sizes) {
        let times = Number.POSITIVE_INFINITY
        for (const name of Resources.names) {
          if (resources[name] > 0) times = Math.min(times, Math.floor((free[name][host] ?? 0) / resources[name]))
        }
        if (times === Number.POSITIVE_INFINITY) continue
        for (const name of Resources.names) lost[name] += weight * ((free[name][host] ?? 0) - times * resources[name])
      }
    }
    return Resources.map((name) => share(lost[name], all[name]))
  }

  const momentAt = (at: number): Moment => ({
    at,
    vms,
    emptyHosts: empty,
    used: Resources.map((name) => share(used[name], all[name])),
    dominant: dominant(),
    stranded: stranded()
  })

  const departures = trace
    .flatMap(({ until }, arrival) => (until === null ? [] : [{ until, arrival }]))
    .toSorted((a, b) => a.until - b.until || a.arrival - b.arrival)
  let gone = 0
  /** Those that leave at a time, or before it, and came before an arrival. */
  const leave = (at: number, before: number): void => {
    for (let next = departures[gone]; next !== undefined; next = departures[++gone]) {
      if (next.until > at || (next.until === at && next.arrival >= before)) return
      const host = hostOf[next.arrival] ?? -1
      const resources = trace[next.arrival]?.resources
      if (host < 0 || resources === undefined) continue
      move(host, resources, -1)
      hostOf[next.arrival] = -1
      decider.freed(host, resources)
      follow?.({ what: "left", arrival: next.arrival, host })
    }
  }

  let refused = 0
  let tooLarge = 0
  let firstRefusal: Moment | null = null
  let emptySum = 0
  let early = 0
  let milliseconds = 0
  let peak = momentAt(trace[0]?.at ?? 0)
  /** of the last peak only what is cheap to know; the moment itself is told when the load goes down again */
  let isPeak = false
  let last = peak.at
  const tellPeak = (): void => {
    if (isPeak) peak = momentAt(last)
    isPeak = false
  }
  for (const [arrival, { at, resources }] of trace.entries()) {
    const mark = departures[gone]
    if (mark !== undefined && mark.until <= at) tellPeak()
    leave(at, arrival)
    if (told === "counted") count()
    const begun = clock?.() ?? 0
    const host = decider.choose(resources)
    if (host >= 0) decider.taken(host, resources)
    milliseconds += (clock?.() ?? 0) - begun
    arrivals++
    last = at
    if (host >= 0) {
      move(host, resources, 1)
      hostOf[arrival] = host
      if (dominant() > peak.dominant) isPeak = true
      follow?.({ what: "placed", arrival, host })
    } else {
      refused++
      if (isTooLarge(resources)) tooLarge++
      else firstRefusal ??= momentAt(at)
      follow?.({ what: "refused", arrival, host })
    }
    if (firstRefusal === null) {
      emptySum += empty
      early++
    } else if (once) break
  }
  tellPeak()
  const final = once && firstRefusal !== null ? last : Math.max(last, departures.at(-1)?.until ?? last)
  if (!once || firstRefusal === null) leave(final, trace.length)
  return {
    hosts: fleet.length,
    arrivals,
    refused,
    tooLarge,
    firstRefusal,
    peak,
    end: momentAt(final),
    emptyHosts: early === 0 ? fleet.length : emptySum / early,
    decisionsPerSecond: clock === undefined || milliseconds === 0 ? null : (arrivals / milliseconds) * 1000
  }
}
