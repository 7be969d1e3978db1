/**
 * Samples what VMs use: one call a host, at moments that are spread over the interval. A host that is not up is not asked; a slow one delays nobody but
 * itself, and is asked less often.
 *
 * @since 0.6.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Host } from "../domain/Host.ts"
import type { DomainUuid, HostId } from "../domain/Ids.ts"
import { VmId } from "../domain/Ids.ts"
import {
  type Counters,
  finestStep,
  type HostSample,
  idle,
  type Rates,
  ratesBetween,
  type Sample,
  series,
  type VmSample
} from "../domain/Statistics.ts"
import { HostMonitor, statusOf } from "../services/HostMonitor.ts"
import { Inspector } from "../services/Inspector.ts"
import { Inventory } from "../services/Inventory.ts"
import { Statistics } from "../services/Statistics.ts"
import * as Rings from "./Rings.ts"

/** @since 0.6.0 @category models */
export interface Options {
  /** between two samples of a host, in milliseconds */
  readonly interval: number
  /** VMs whose past is kept; of more than that, those that have not run for longest are forgotten */
  readonly most: number
}

/** @since 0.6.0 @category constants */
export const defaults: Options = { interval: finestStep * 1000, most: 25_000 }

/** So many intervals pass at most before a host that failed is asked again. */
const longestPause = 15

/** What is older counts for nothing that is now: so many intervals. */
const stale = 3

interface Entry {
  readonly vmId: VmId
  readonly rings: Rings.Rings
  hostId: HostId
  sample: Sample
}

const decodeId = Schema.decodeUnknownOption(VmId)

/** Whose a domain is by its name, which is all that a sample says of it. */
const vmOf = (name: string): Option.Option<VmId> => {
  const [, digits] = /^vm-([1-9][0-9]{0,15})$/.exec(name) ?? []
  return digits === undefined ? Option.none() : decodeId(Number(digits))
}

type Sum = { -readonly [S in keyof Rates]: number }

const add = (sum: Sum, { counters, rates }: Sample): void => {
  if (rates === null) return
  for (const name of series) sum[name] += name === "cpu" ? (rates.cpu * counters.vcpus) / 100 : rates[name]
}

/** Samples the hosts that the inventory has at this moment, and those that come later, for as long as the scope lives. @since 0.6.0 @category constructors */
export const make = Effect.fnUntraced(function* (options: Options) {
  const inventory = yield* Inventory
  const inspector = yield* Inspector
  const monitor = yield* HostMonitor
  /** by uuid, the one that has not run for longest first */
  const entries = new Map<string, Entry>()
  const past = new Rings.Past()
  const hosts = new Map<HostId, HostSample>()

  const keep = (host: Host, counters: Counters, at: number): Sample => {
    const known = entries.get(counters.uuid)
    const recent = known !== undefined && at - known.sample.at <= stale * options.interval
    const rates = recent ? ratesBetween(known.sample.counters, counters, (at - known.sample.at) / 1000) : null
    const sample = { at, counters, rates }
    const vmId = vmOf(counters.name)
    if (Option.isNone(vmId)) return sample
    const entry = known ?? { vmId: vmId.value, rings: past.begin(), hostId: host.id, sample }
    entry.hostId = host.id
    entry.sample = sample
    if (rates !== null) entry.rings.add(at, rates)
    entries.delete(counters.uuid)
    entries.set(counters.uuid, entry)
    return sample
  }

  // those of others are not kept, so that their rates are known from the sample before alone
  const foreign = new Map<HostId, ReadonlyMap<string, Sample>>()

  const sample = Effect.fnUntraced(function* (host: Host) {
    const all = yield* inspector.counters(host)
    const at = yield* Clock.currentTimeMillis
    const before = foreign.get(host.id)
    const others = new Map<string, Sample>()
    const rates: Sum = { ...idle }
    for (const counters of all) {
      const kept = keep(host, counters, at)
      if (entries.has(counters.uuid)) {
        add(rates, kept)
        continue
      }
      const last = before?.get(counters.uuid)
      const one =
        last === undefined ? kept : { ...kept, rates: ratesBetween(last.counters, counters, (at - last.at) / 1000) }
      others.set(counters.uuid, one)
      add(rates, one)
    }
    foreign.set(host.id, others)
    hosts.set(host.id, { hostId: host.id, at, domains: all.length, rates })
    for (const [uuid, { rings }] of entries) {
      if (entries.size <= options.most) break
      entries.delete(uuid)
      rings.end()
    }
  })

  const scope = yield* Effect.scope
  const followed = new Set<HostId>()

  /** As long as the inventory has the host. */
  const follow = (id: HostId, wait: number) =>
    Effect.gen(function* () {
      yield* Effect.sleep(wait)
      let failures = 0
      while (true) {
        const known = yield* inventory.host(id).pipe(
          Effect.asSome,
          Effect.catchTag("HostNotFound", () => Effect.succeedNone),
          Effect.orDie
        )
        if (Option.isNone(known)) break
        const { host } = known.value
        const status = statusOf(yield* monitor.statuses, id)
        if (status._tag === "Up") {
          const outcome = yield* Effect.either(sample(host))
          if (outcome._tag === "Left") {
            failures++
            yield* Effect.annotateLogs(
              Effect.logDebug(`it was not sampled: ${outcome.left.message}`),
              "host",
              host.name
            )
          } else failures = 0
        }
        yield* Effect.sleep(options.interval * Math.min(2 ** failures, longestPause))
      }
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          followed.delete(id)
          hosts.delete(id)
        })
      ),
      Effect.withTracerEnabled(false)
    )

  const begin = (id: HostId, wait: number) => {
    if (followed.has(id)) return Effect.void
    followed.add(id)
    return Effect.forkIn(follow(id, wait), scope)
  }

  // those that come later are followed when they are up for the first time
  const changes = yield* monitor.changes
  const watched = yield* inventory.hosts
  yield* Effect.forEach(
    watched.entries(),
    ([index, { host }]) => begin(host.id, Math.floor((options.interval * (index + 1)) / (watched.length + 1))),
    { discard: true }
  )
  yield* Effect.forkScoped(
    Stream.runForEach(changes, ({ hostId, status }) =>
      status._tag === "Up" ? begin(hostId, Math.floor(options.interval / 2)) : Effect.void
    )
  )

  const isRecent = (entry: Entry, now: number): boolean => {
    const host = hosts.get(entry.hostId)
    return host !== undefined && host.at === entry.sample.at && now - entry.sample.at <= stale * options.interval
  }

  return Statistics.of({
    now: (uuid: DomainUuid) =>
      Effect.map(Clock.currentTimeMillis, (now) =>
        Option.fromNullable(entries.get(uuid)).pipe(
          Option.filter((entry) => isRecent(entry, now)),
          Option.map(({ sample }) => sample)
        )
      ),
    history: (uuid, step, since) =>
      Effect.map(
        Clock.currentTimeMillis,
        (now) => entries.get(uuid)?.rings.history(step, since, now) ?? Rings.unknown(step, since, now)
      ),
    ofHost: (id) => Effect.sync(() => hosts.get(id) ?? { hostId: id, at: null, domains: 0, rates: idle }),
    hosts: Effect.sync(() => [...hosts.values()]),
    running: Effect.map(Clock.currentTimeMillis, (now) =>
      [...entries.values()].flatMap((entry): ReadonlyArray<VmSample> =>
        isRecent(entry, now) ? [{ vmId: entry.vmId, hostId: entry.hostId, sample: entry.sample }] : []
      )
    )
  })
})
