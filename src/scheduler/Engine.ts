/**
 * Placement whose cost follows what has changed, not how many hosts there are. The hosts are kept in typed arrays; for each shape of
 * request (resources, networks, rules about hosts, labels that its other rules ask about) there is a ranking of the hosts that can take it,
 * brought up to date from the log of changed hosts when it is asked for. Rules about groups are judged on the way down the ranking, which
 * ends after about as many hosts as the group has members: the choice is the one that scoring every host anew would make.
 *
 * The first decision of a shape scores every host once. Synchronous, and changed by its methods: one owner at a time.
 *
 * @since 0.7.0
 */
import * as Either from "effect/Either"
import { featureLabel, featureOf, type Host, type HostStatus, ownLabels } from "../domain/Host.ts"
import type { HostId } from "../domain/Ids.ts"
import * as Network from "../domain/Network.ts"
import * as Resources from "../domain/Resources.ts"
import * as Pieces from "./Pieces.ts"
import * as Ranking from "./Ranking.ts"
import * as Refusals from "./Refusals.ts"
import type { Request, Rule, Topology } from "./Rules.ts"
import * as Score from "./Score.ts"

/**
 * A host as the engine is told of it.
 *
 * - `capacity`: what may be promised in all, overcommit included (vCPUs, MiB, GiB); null: not known yet.
 * - `headroom`: what of it is never given out.
 * - `closed`: why nothing new may go there, one clause; null: it may.
 * - `offer`: its networks; null: not known yet, and then nobody is refused for them.
 *
 * @since 0.7.0 @category models
 */
export interface EngineHost {
  readonly id: HostId
  readonly name: string
  readonly capacity: Resources.Resources | null
  readonly headroom: Resources.Resources
  readonly closed: string | null
  readonly labels: Readonly<Record<string, string>>
  /** of the processor that guests get there: labels as `featureOf` has them, but too many to be kept as such; absent: none is known */
  readonly features?: ReadonlyArray<string>
  readonly offer: Network.Offer | null
}

/** A host of the inventory's as the engine wants it. @since 0.7.0 @category constructors */
export const fromHost = (host: Host, status: HostStatus): EngineHost => ({
  id: host.id,
  name: host.name,
  capacity: host.total,
  headroom: host.reserved,
  closed: Refusals.closed(host, status),
  labels: { ...host.config.labels, ...host.traits },
  features: host.facts?.features ?? none,
  offer: host.facts
})

const none: ReadonlyArray<string> = []

/** Of both kinds; undefined: it has none of that key. */
const labelOf = ({ features = none, labels }: EngineHost, key: string): string | undefined =>
  featureOf(features, key) ?? (Object.hasOwn(labels, key) ? labels[key] : undefined)

/** The host chosen, and its points. @since 0.7.0 @category models */
export interface Choice {
  readonly hostId: HostId
  readonly score: number
}

/**
 * Why a host cannot take a request, and for `short` by how much (vCPUs, MiB or GiB): `free` is what it has left of its
 * `capacity`, below zero when more is promised than it may be, and `reserved` is what it keeps free besides.
 *
 * @since 0.7.0 @category models
 */
export type Block =
  | { readonly _tag: "Excluded" | "Closed" | "Network"; readonly reason: string }
  | { readonly _tag: "Unknown" }
  | { readonly _tag: "Rule"; readonly rule: Rule; readonly reason: string }
  | {
      readonly _tag: "Short"
      readonly resource: Resources.Name
      readonly by: number
      readonly free: number
      readonly capacity: number
      readonly reserved: number
    }

/** Points by what they are for: a term of the policy's, or a should-rule. @since 0.7.0 @category models */
export interface Term {
  readonly of: Score.Name | Rule
  readonly points: number
}

/** All that can be said of one host and one request; `score` counts only without `blocks`. @since 0.7.0 @category models */
export interface Verdict {
  readonly hostId: HostId
  readonly host: string
  readonly blocks: ReadonlyArray<Block>
  readonly terms: ReadonlyArray<Term>
  readonly score: number
}

/** Hosts that cannot take a request for blocks of the same kinds. @since 0.7.0 @category models */
export interface BarredHosts {
  readonly count: number
  /** the one of them with the lowest id */
  readonly hostId: HostId
  readonly host: string
  /** of that host; what is short is short by the least of all of them */
  readonly blocks: ReadonlyArray<Block>
  /** what is short on others by more */
  readonly more: ReadonlySet<Resources.Name>
  /** of the rules about hosts those for which all of them have the same value, or all none */
  readonly alike: ReadonlySet<Rule>
}

/** What can be said of a request without a word for each host. @since 0.7.0 @category models */
export interface Survey {
  readonly hosts: number
  readonly candidates: number
  /** those with most points, as `place` would choose them one after the other; the one that was asked for is among them if it can take it */
  readonly best: ReadonlyArray<Verdict>
  /** the largest first */
  readonly barred: ReadonlyArray<BarredHosts>
}

/**
 * `never`: it is closed, has no room, or lacks a network or label that must be there; `not now`: a must-rule about a group is broken there.
 *
 * @since 0.8.0 @category models
 */
export type Allowed = "yes" | "not now" | "never"

/** @since 0.7.0 @category models */
export interface Options {
  readonly weights?: Score.Weights
  /** sizes that are usual, by how often they come, for the fragmentation term; absent: it says the same of every host */
  readonly usual?: ReadonlyArray<Score.Usual>
  /** how many shapes have a ranking (about 40 bytes a host each); the one asked for longest ago makes room. Absent: 64 */
  readonly shapes?: number
}

/** @since 0.7.0 @category models */
export interface Engine {
  /** Takes a host in, or changes what is known of it; what is promised there stays. */
  readonly set: (host: EngineHost) => void
  /** Takes a host out with all that was promised there. False: there was none. */
  readonly remove: (id: HostId) => boolean
  /** Promises resources on a host, whether or not they fit, and counts a member in each group. False: no such host, nothing done. */
  readonly reserve: (id: HostId, resources: Resources.Resources, groups?: ReadonlyArray<string>) => boolean
  /** Takes back what `reserve` promised. False: no such host, or so much was never promised there; nothing done. */
  readonly release: (id: HostId, resources: Resources.Resources, groups?: ReadonlyArray<string>) => boolean
  /** The host with most points, of equals the one with the lowest id; null: none can take it. Reserves nothing. */
  readonly place: (request: Request) => Choice | null
  /** Whether a host could take it, asked of one after the other. To be used before anything changes. */
  readonly allowing: (request: Request) => (id: HostId) => Allowed
  /** Every host judged by itself, without the rankings, in the order of their ids. */
  readonly judge: (request: Request) => ReadonlyArray<Verdict>
  /** The same in pieces. Nothing may change meanwhile. */
  readonly judging: (request: Request) => Pieces.Pieces<ReadonlyArray<Verdict>>
  /** The best hosts (so many, and `also`), and the others counted by what bars them: numbers are compared for each, and nothing is written. */
  readonly survey: (request: Request, few: number, also?: HostId) => Survey
  /** Which sizes are usual from now on. Rankings that mind them are made anew, each when it is asked for. */
  readonly expect: (usual: ReadonlyArray<Score.Usual>) => void
  /** What a host has left to promise; undefined: no such host. */
  readonly free: (id: HostId) => Resources.Resources | undefined
  readonly size: () => number
}

/** The values of one label. */
interface Column {
  readonly ids: Map<string, number>
  /** by slot; -1: the host has no such label */
  at: Int32Array
}

interface Wish {
  readonly wish: Network.Wish
  /** by slot; 0: not asked yet, 1: it can be plugged in, 2: it cannot */
  at: Uint8Array
}

interface Group {
  total: number
  readonly bySlot: Map<number, number>
  /** by label, made when it is first asked for */
  readonly byColumn: Map<Column, Map<number, number>>
}

interface Selector {
  readonly rule: Rule
  readonly column: Column
  readonly isIn: boolean
  readonly values: ReadonlySet<number>
  /** of a should-rule; null: must */
  readonly points: number | null
}

interface Shape {
  readonly wanted: Resources.Resources
  readonly selectors: ReadonlyArray<Selector>
  readonly wishes: ReadonlyArray<Wish>
  /** the labels that rules about groups ask about */
  readonly columns: ReadonlyArray<Column>
}

/** Hosts in the same place by all labels of a shape. */
interface Partition {
  readonly values: ReadonlyArray<number>
  /** its number among the rankings of the index */
  readonly ranking: number
  /** its place in the ranking of the partitions; -1: nobody in it can take the shape */
  place: number
}

/** Hosts that are barred from a shape by the same. */
interface Bar {
  /** what is said in words, and a bit for each of all else */
  readonly said: string | undefined
  readonly bars: number
  count: number
  /** the slot of the one with the lowest id */
  first: number
  /** what is short, by so much */
  readonly least: Record<Resources.Name, number>
  readonly most: Record<Resources.Name, number>
  /** some have left: `first`, `least` and `most` may have been theirs */
  isStale: boolean
}

/** What bars which hosts from a shape. */
interface Tally {
  readonly groups: Map<string | undefined, Map<number, Bar>>
  /** by slot */
  readonly of: Array<Bar | "candidate" | undefined>
  candidates: number
  /** how much of the log it knows */
  seen: number
}

interface Index {
  readonly shape: Shape
  readonly partitions: Array<Partition>
  readonly byValues: Map<string, number>
  /** by column: which partitions have the value */
  readonly having: ReadonlyArray<Map<number, Array<number>>>
  /** by column: how many admitted hosts have the value */
  readonly admittedBy: ReadonlyArray<Map<number, number>>
  readonly rankings: Ranking.Rankings
  /** the number of the ranking of the partitions */
  readonly outer: number
  admitted: number
  /** which of the indices it is, for `where` */
  readonly number: number
  /** how much of the log it knows */
  seen: number
  readonly tally: Tally
}

/** A rule about a group, with what counts for one decision. */
interface GroupRule {
  readonly rule: Rule
  readonly kind: "near" | "apart" | "evenly"
  readonly skew: number
  /** of a should-rule; null: must */
  readonly points: number | null
  /** null: places are hosts */
  readonly column: Column | null
  readonly counts: ReadonlyMap<number, number>
  readonly total: number
  /** the fewest members in a place, for `evenly` */
  readonly least: number
}

/** From so many hosts on it is memory that decisions wait for. */
const large = 4096

/** Hosts of which all is told before others may be let in. */
const judgedAtOnce = 256

const emptyTally = (): Tally => ({ groups: new Map(), of: [], candidates: 0, seen: -1 })

const broken = Number.NEGATIVE_INFINITY
const nobody: ReadonlyMap<number, number> = new Map()

const pointsOf = (rule: Rule): number | null =>
  rule.strength === "must" ? null : Math.round(Math.max(0, rule.weight ?? 1) * Score.points)

const topologyOf = (rule: Rule): Topology =>
  rule.kind === "near" || rule.kind === "apart" || rule.kind === "evenly" ? rule.over : "host"

const isEnough = ({ free, wanted }: Score.Amounts[Resources.Name]): boolean => wanted === 0 || wanted <= free

/** A wished-for distance is missed the more, the more members are there. */
const penalty = (points: number, members: number): number => -Math.round(points * (1 - 1 / (1 + members)))

/** The points of a rule at a place (-1: none), or `broken`. */
const pointsAt = ({ counts, kind, least, points, skew, total }: GroupRule, place: number): number => {
  const members = counts.get(place) ?? 0
  switch (kind) {
    case "near":
      if (points === null) return place < 0 || (total > 0 && members === 0) ? broken : 0
      return members > 0 && place >= 0 ? points : 0
    case "apart":
      if (points === null) return place < 0 || members > 0 ? broken : 0
      return place < 0 ? -points : penalty(points, members)
    case "evenly": {
      const more = Math.max(0, members - least)
      if (points === null) return place < 0 || more + 1 > skew ? broken : 0
      return place < 0 ? -points : penalty(points, more)
    }
  }
}

/** Why a must-rule is broken at a place, one clause. */
const broke = ({ counts, kind, least, rule }: GroupRule, place: number): string => {
  const over = topologyOf(rule)
  const where = over === "host" ? "it" : `its ${over.label}`
  const group = rule.kind === "hosts" ? "" : rule.group
  if (place < 0) return `it has no label ${over === "host" ? "host" : over.label}`
  const members = counts.get(place) ?? 0
  switch (kind) {
    case "near":
      return `${where} has nobody of ${group}`
    case "apart":
      return `${where} has ${members} of ${group}`
    case "evenly":
      return `${where} has ${members} of ${group} while another has ${least}`
  }
}

const floats = (size: number, from?: Float64Array): Float64Array => {
  const to = new Float64Array(size)
  if (from !== undefined) to.set(from)
  return to
}

const integers = (size: number, from?: Int32Array): Int32Array => {
  const to = new Int32Array(size).fill(-1)
  if (from !== undefined) to.set(from)
  return to
}

const bytes = (size: number, from?: Uint8Array): Uint8Array => {
  const to = new Uint8Array(size)
  if (from !== undefined) to.set(from)
  return to
}

/** Adds to a count, and keeps no zeros. */
const count = <K>(counts: Map<K, number>, key: K, by: number): void => {
  const now = (counts.get(key) ?? 0) + by
  if (now === 0) counts.delete(key)
  else counts.set(key, now)
}

/** Whether each name is there as often as it is among these. */
const hasAll = (there: ReadonlyMap<string, number> | undefined, names: ReadonlyArray<string>): boolean => {
  const left = new Map<string, number>()
  for (const name of names) {
    const now = left.get(name) ?? there?.get(name) ?? 0
    if (now === 0) return false
    left.set(name, now - 1)
  }
  return true
}

const isSame = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean => {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key])
}

/** The fewest members in a place that counts; those without any are known by how many there are. Infinity: no place counts. */
const fewest = (counts: ReadonlyMap<number, number>, isCounted: (place: number) => boolean, places: number): number => {
  let occupied = 0
  let least = Number.POSITIVE_INFINITY
  for (const [place, members] of counts) {
    if (!isCounted(place)) continue
    occupied++
    least = Math.min(least, members)
  }
  return occupied < places ? 0 : least
}

/** What `fewest` needs to know of the places by hosts (null) or by a label. */
interface Places {
  readonly has: (column: Column | null, place: number) => boolean
  readonly size: (column: Column | null) => number
}

/** @since 0.7.0 @category constructors */
export const make = ({ shapes = 64, usual = [], weights = Score.policies.spread }: Options = {}): Engine => {
  let usualSizes = Score.byDemand(usual)
  const slots = new Map<number, number>()
  const vacant: Array<number> = []
  const hosts: Array<EngineHost | undefined> = []
  /** the groups with members on a slot, and how many */
  const groupsOf: Array<Map<string, number>> = []
  const columns = new Map<string, Column>()
  /** those of features that some rule asked for */
  const featured: Array<{ readonly label: string; readonly column: Column }> = []
  const wishes = new Map<string, Wish>()
  const groups = new Map<string, Group>()
  const indices = new Map<string, Index>()
  const given = Score.amounts()
  const weighted = Score.names.flatMap((name) => (weights[name] === 0 ? [] : [{ name, weight: weights[name] }]))

  let room = 4
  let ids = floats(room)
  /** 1: something new may go there */
  let open = bytes(room)
  // capacity is less the headroom
  let capacity = { cpu: floats(room), ram: floats(room), disk: floats(room) }
  let promised = { cpu: floats(room), ram: floats(room), disk: floats(room) }

  /**
   * two by slot and index, in this order, since a slot that has changed is looked up in one index after the other: its partition, -1 when it is not
   * admitted, and its place in that one's ranking, -1 when it has no room
   */
  let width = 8
  let where = integers(width * room)

  /** the slots that changed last, in a ring; who knows less than `forgotten` changes, or lags by more than the ring, scores all anew */
  let log = integers(room)
  let changes = 0
  let forgotten = 0

  /** when each slot changed last, by the log: the changes before it need not be looked at */
  let latest = floats(room)

  /** when each slot was told of last, and any of them: later changes are of what is promised there, and of no more */
  let told = floats(room)
  let lastTold = 0

  /** A slot of which all may be otherwise. */
  const renewed = (slot: number): void => {
    told[slot] = lastTold = changes
    changed(slot)
  }

  const changed = (slot: number): void => {
    log[changes % room] = slot
    latest[slot] = changes
    changes++
  }

  const grow = (): void => {
    room *= 2
    ids = floats(room, ids)
    open = bytes(room, open)
    capacity = { cpu: floats(room, capacity.cpu), ram: floats(room, capacity.ram), disk: floats(room, capacity.disk) }
    promised = { cpu: floats(room, promised.cpu), ram: floats(room, promised.ram), disk: floats(room, promised.disk) }
    for (const column of columns.values()) column.at = integers(room, column.at)
    for (const wish of wishes.values()) wish.at = bytes(room, wish.at)
    where = integers(width * room, where)
    log = integers(room)
    latest = floats(room)
    told = floats(room)
    forgotten = changes
  }

  const columnOf = (label: string): Column => {
    const known = columns.get(label)
    if (known !== undefined) return known
    const column: Column = { ids: new Map(), at: integers(room) }
    columns.set(label, column)
    // a feature is looked for when the first rule asks for it, and from then on
    if (label.startsWith(featureLabel)) {
      featured.push({ label, column })
      for (const [slot, host] of hosts.entries()) if (host !== undefined) fill(label, column, slot, host)
    }
    return column
  }

  const fill = (label: string, column: Column, slot: number, { features = none }: EngineHost): void => {
    const value = featureOf(features, label)
    column.at[slot] = value === undefined ? -1 : valueOf(column, value)
  }

  const valueOf = (column: Column, value: string): number => {
    const known = column.ids.get(value)
    if (known !== undefined) return known
    column.ids.set(value, column.ids.size)
    return column.ids.size - 1
  }

  const wishOf = (wish: Network.Wish): Wish => {
    const key = JSON.stringify([wish.network, wish.vlan])
    const known = wishes.get(key)
    if (known !== undefined) return known
    const made: Wish = { wish, at: bytes(room) }
    wishes.set(key, made)
    return made
  }

  const unconnected = (wish: Network.Wish, slot: number): string | null => {
    const offer = hosts[slot]?.offer ?? null
    if (offer === null) return null
    const connected = Network.connect(offer, wish)
    return Either.isLeft(connected) ? connected.left : null
  }

  const canPlug = (wish: Wish, slot: number): boolean => {
    if (wish.at[slot] === 0) wish.at[slot] = unconnected(wish.wish, slot) === null ? 1 : 2
    return wish.at[slot] === 1
  }

  const matches = ({ column, isIn, values }: Selector, slot: number): boolean =>
    values.has(column.at[slot] ?? -1) === isIn

  /** Whether new VMs may go there and all must-rules about hosts hold, room or not. */
  const admits = ({ selectors, wishes }: Shape, slot: number): boolean => {
    if (open[slot] !== 1) return false
    for (const selector of selectors) if (selector.points === null && !matches(selector, slot)) return false
    for (const wish of wishes) if (!canPlug(wish, slot)) return false
    return true
  }

  const shortBy = (resource: Resources.Name, wanted: Resources.Resources, slot: number): number =>
    wanted[resource] === 0
      ? 0
      : Math.max(0, (promised[resource][slot] ?? 0) + wanted[resource] - (capacity[resource][slot] ?? 0))

  const look = (resource: Resources.Name, wanted: Resources.Resources, slot: number): void => {
    const amount = given[resource]
    amount.capacity = capacity[resource][slot] ?? 0
    amount.free = amount.capacity - (promised[resource][slot] ?? 0)
    amount.wanted = wanted[resource]
  }

  const lookAt = (wanted: Resources.Resources, slot: number): void => {
    look("cpu", wanted, slot)
    look("ram", wanted, slot)
    look("disk", wanted, slot)
  }

  /** All points that do not depend on groups of the host that was looked at; `tell` hears of each. */
  const scoreOf = ({ selectors }: Shape, slot: number, tell?: (of: Term["of"], points: number) => void): number => {
    let sum = 0
    for (const { name, weight } of weighted) {
      const points = Score.term(name, weight, usualSizes, given)
      sum += points
      tell?.(name, points)
    }
    for (const selector of selectors) {
      if (selector.points === null) continue
      const points = matches(selector, slot) ? selector.points : 0
      sum += points
      tell?.(selector.rule, points)
    }
    return sum
  }

  /** The same; `broken`: it has no room. */
  const scoreAt = (shape: Shape, slot: number): number => {
    lookAt(shape.wanted, slot)
    const { cpu, disk, ram } = given
    const hasRoom = isEnough(cpu) && isEnough(ram) && isEnough(disk)
    return hasRoom ? scoreOf(shape, slot) : broken
  }

  const shapeOf = ({ networks = [], resources, rules = [] }: Request): Shape => {
    const labels = new Set<string>()
    for (const rule of rules) {
      const over = topologyOf(rule)
      if (over !== "host") labels.add(over.label)
    }
    return {
      wanted: resources,
      selectors: rules.flatMap((rule): ReadonlyArray<Selector> => {
        if (rule.kind !== "hosts") return []
        const column = columnOf(rule.label)
        const values = new Set(rule.values.map((value) => valueOf(column, value)))
        return [{ rule, column, isIn: rule.is === "in", values, points: pointsOf(rule) }]
      }),
      wishes: networks.map(wishOf),
      columns: [...labels].toSorted().map(columnOf)
    }
  }

  /** The same for requests that have the same shape. */
  const keyOf = ({ networks, resources, rules }: Request): string => {
    const { cpu, disk, ram } = resources
    const key = `${cpu} ${ram} ${disk}`
    if (rules === undefined && networks === undefined) return key
    const parts: Array<unknown> = []
    const labels = new Set<string>()
    for (const rule of rules ?? []) {
      const over = topologyOf(rule)
      if (rule.kind === "hosts") parts.push([rule.label, rule.is, rule.values, pointsOf(rule)])
      else if (over !== "host") labels.add(over.label)
    }
    const plugs = (networks ?? []).map(({ network, vlan }) => [network, vlan])
    if (parts.length === 0 && labels.size === 0 && plugs.length === 0) return key
    return `${key} ${JSON.stringify([parts, [...labels].toSorted(), plugs])}`
  }

  const isIn = (index: Index, partition: number, slot: number): boolean => {
    const values = index.partitions[partition]?.values
    if (values === undefined) return false
    for (const [i, { at }] of index.shape.columns.entries()) if (at[slot] !== values[i]) return false
    return true
  }

  const partitionAt = (index: Index, slot: number): number => {
    const values = index.shape.columns.map(({ at }) => at[slot] ?? -1)
    const key = values.join(" ")
    const known = index.byValues.get(key)
    if (known !== undefined) return known
    const number = index.partitions.length
    const expected = index.shape.columns.length === 0 ? hosts.length : 0
    index.partitions.push({ values, ranking: index.rankings.make(expected), place: -1 })
    index.byValues.set(key, number)
    for (const [i, value] of values.entries()) {
      const having = index.having[i]
      const others = having?.get(value)
      if (others === undefined) having?.set(value, [number])
      else others.push(number)
    }
    return number
  }

  const admit = (index: Index, number: number, by: 1 | -1): void => {
    index.admitted += by
    for (const [i, value] of (index.partitions[number]?.values ?? []).entries()) {
      const counts = index.admittedBy[i]
      if (counts !== undefined && value >= 0) count(counts, value, by)
    }
  }

  /** Ranks a partition anew among the others, by its best host. */
  const settle = ({ outer, partitions, rankings }: Index, number: number): void => {
    const partition = partitions[number]
    if (partition === undefined) return
    const { place, ranking } = partition
    const first = rankings.first(ranking)
    if (first < 0) {
      if (place >= 0) rankings.remove(outer, place)
      partition.place = -1
      return
    }
    const [id, score] = [rankings.id(ranking, first), rankings.score(ranking, first)]
    if (place >= 0) rankings.change(outer, place, id, score)
    else partition.place = rankings.add(outer, number, id, score)
  }

  /** `isTold`: all may be otherwise than it was, and not only what is promised there; `known`: its points if that is known, `broken`: it has no room. */
  const rescore = (index: Index, slot: number, isTold: boolean, known?: number): void => {
    const { partitions, rankings, shape } = index
    const at = width * slot + 2 * index.number
    const from = where[at] ?? -1
    if (from < 0 && !isTold) return
    const was = where[at + 1] ?? -1
    const isAdmitted = !isTold || admits(shape, slot)
    if (from < 0 && !isAdmitted) return
    const to = !isTold ? from : !isAdmitted ? -1 : isIn(index, from, slot) ? from : partitionAt(index, slot)
    if (from !== to && from >= 0) admit(index, from, -1)
    if (from !== to && to >= 0) admit(index, to, 1)
    const score = isAdmitted ? (known ?? scoreAt(shape, slot)) : broken
    if (was >= 0 && score !== broken && from === to) {
      if (rankings.change(partitions[to]?.ranking ?? -1, was, ids[slot] ?? 0, score)) settle(index, to)
      return
    }
    let place = -1
    if (was >= 0 && rankings.remove(partitions[from]?.ranking ?? -1, was)) settle(index, from)
    if (score !== broken) {
      place = rankings.add(partitions[to]?.ranking ?? -1, slot, ids[slot] ?? 0, score)
      settle(index, to)
    }
    where[at] = to
    where[at + 1] = place
  }

  /** A number of its own for one more index, with nobody in it. */
  const numberOf = (): number => {
    const used = new Set([...indices.values()].map(({ number }) => number))
    let number = 0
    while (used.has(number)) number++
    if (2 * number >= width) {
      const [old, narrow] = [where, width]
      width *= 2
      where = integers(width * room)
      for (let slot = 0; slot < hosts.length; slot++) {
        for (let i = 0; i < narrow; i++) where[width * slot + i] = old[narrow * slot + i] ?? -1
      }
    }
    for (let at = 2 * number; at < where.length; at += width) where[at] = where[at + 1] = -1
    return number
  }

  const partitionOf = ({ number }: Index, slot: number): number => where[width * slot + 2 * number] ?? -1
  const placeOf = ({ number }: Index, slot: number): number => where[width * slot + 2 * number + 1] ?? -1

  const indexOf = (request: Request): Index => {
    const key = keyOf(request)
    const known = indices.get(key)
    if (known !== undefined) {
      // the last one of the map is the one used last
      indices.delete(key)
      indices.set(key, known)
      return known
    }
    if (indices.size >= shapes) for (const oldest of [...indices.keys()].slice(0, 1)) indices.delete(oldest)
    const shape = shapeOf(request)
    const rankings = Ranking.make()
    const made: Index = {
      shape,
      partitions: [],
      byValues: new Map(),
      having: shape.columns.map(() => new Map<number, Array<number>>()),
      admittedBy: shape.columns.map(() => new Map<number, number>()),
      rankings,
      outer: rankings.make(),
      admitted: 0,
      number: numberOf(),
      seen: -1,
      tally: emptyTally()
    }
    indices.set(key, made)
    return made
  }

  /**
   * Scores every host, the best sixteenth first, roughly. Who comes into a ranking together lies together there, and those that decisions are about are
   * mostly among the best, before and after: so what decisions touch of a large ranking is little memory.
   */
  const rescoreAll = (index: Index): void => {
    if (hosts.length < large) {
      for (let slot = 0; slot < hosts.length; slot++) rescore(index, slot, true)
      return
    }
    const scores = floats(hosts.length)
    let least = Number.POSITIVE_INFINITY
    let most = broken
    for (let slot = 0; slot < hosts.length; slot++) {
      const score = open[slot] === 1 ? scoreAt(index.shape, slot) : broken
      scores[slot] = score
      if (score === broken) continue
      if (score < least) least = score
      if (score > most) most = score
    }
    const steps = 256
    const scale = most > least ? (steps - 1) / (most - least) : 0
    const counts = new Int32Array(steps)
    for (const score of scores) {
      if (score === broken) continue
      const step = Math.floor((most - score) * scale)
      counts[step] = (counts[step] ?? 0) + 1
    }
    let step = 0
    for (let sum = counts[0] ?? 0; sum < hosts.length / 16 && step < steps - 1; sum += counts[step] ?? 0) step++
    const isBest = (slot: number): boolean => Math.floor((most - (scores[slot] ?? broken)) * scale) <= step
    for (let slot = 0; slot < hosts.length; slot++) if (isBest(slot)) rescore(index, slot, true, scores[slot])
    for (let slot = 0; slot < hosts.length; slot++) if (!isBest(slot)) rescore(index, slot, true, scores[slot])
  }

  const upToDate = (request: Request): Index => {
    const index = indexOf(request)
    if (index.seen < forgotten || changes - index.seen > room) {
      rescoreAll(index)
    } else {
      const { seen } = index
      const isAnyTold = lastTold >= seen
      for (let i = seen; i < changes; i++) {
        const slot = log[i % room] ?? -1
        if (latest[slot] === i) rescore(index, slot, isAnyTold && (told[slot] ?? 0) >= seen)
      }
    }
    index.seen = changes
    return index
  }

  const countsOf = (group: Group | undefined, column: Column | null): ReadonlyMap<number, number> => {
    if (group === undefined) return nobody
    if (column === null) return group.bySlot
    const known = group.byColumn.get(column)
    if (known !== undefined) return known
    const counts = new Map<number, number>()
    for (const [slot, members] of group.bySlot) {
      const value = column.at[slot] ?? -1
      if (value >= 0) count(counts, value, members)
    }
    group.byColumn.set(column, counts)
    return counts
  }

  const groupRules = (rules: ReadonlyArray<Rule>, places: Places): ReadonlyArray<GroupRule> =>
    rules.flatMap((rule): ReadonlyArray<GroupRule> => {
      if (rule.kind === "hosts") return []
      const over = topologyOf(rule)
      const column = over === "host" ? null : columnOf(over.label)
      const group = groups.get(rule.group)
      const counts = countsOf(group, column)
      return [
        {
          rule,
          kind: rule.kind === "notWith" ? "apart" : rule.kind,
          skew: rule.kind === "evenly" ? rule.skew : 0,
          points: pointsOf(rule),
          column,
          counts,
          total: group?.total ?? 0,
          least: rule.kind === "evenly" ? fewest(counts, (place) => places.has(column, place), places.size(column)) : 0
        }
      ]
    })

  const slotsOf = (exclude: Request["exclude"]): ReadonlySet<number> => {
    const excluded = new Set<number>()
    for (const id of exclude?.keys() ?? []) {
      const slot = slots.get(id)
      if (slot !== undefined) excluded.add(slot)
    }
    return excluded
  }

  const chosen = (slot: number, score: number): Choice | null => {
    const host = hosts[slot]
    return host === undefined ? null : { hostId: host.id, score }
  }

  /** The rules about groups, as they are with an index that is up to date. */
  const groupRulesAt = (index: Index, rules: ReadonlyArray<Rule> = []): ReadonlyArray<GroupRule> => {
    const { admittedBy, shape } = index
    const admitted = (column: Column | null) =>
      column === null ? undefined : admittedBy[shape.columns.indexOf(column)]
    return groupRules(rules, {
      has: (column, at) => (column === null ? partitionOf(index, at) >= 0 : admitted(column)?.has(at) === true),
      size: (column) => (column === null ? index.admitted : (admitted(column)?.size ?? 0))
    })
  }

  const place = (request: Request): Choice | null => {
    const index = upToDate(request)
    const { having, outer, partitions, rankings, shape } = index
    const rules = groupRulesAt(index, request.rules)
    const excluded = slotsOf(request.exclude)
    if (rules.length === 0 && excluded.size === 0) {
      const best = rankings.first(outer)
      const ranking = best < 0 ? undefined : partitions[rankings.item(outer, best)]?.ranking
      if (ranking === undefined) return null
      const first = rankings.first(ranking)
      return chosen(rankings.item(ranking, first), rankings.score(ranking, first))
    }

    let best = -1
    let bestScore = broken
    let bestId = 0
    const consider = (slot: number, id: number, score: number): void => {
      if (score === broken || excluded.has(slot)) return
      if (best >= 0 && (score < bestScore || (score === bestScore && id >= bestId))) return
      best = slot
      bestScore = score
      bestId = id
    }
    /** Whether nobody with at most these points, and at equal points no lower id, can be chosen any more. */
    const isSettled = (score: number, id: number): boolean =>
      best >= 0 && (bestScore > score || (bestScore === score && bestId <= id))

    const byHost = rules.filter(({ column }) => column === null)
    const byLabel = rules.flatMap((rule) =>
      rule.column === null ? [] : [{ rule, at: shape.columns.indexOf(rule.column) }]
    )
    const ofHost = (slot: number): number => {
      let sum = 0
      for (const rule of byHost) sum += pointsAt(rule, slot)
      return sum
    }
    const ofPartition = ({ values }: Partition): number => {
      let sum = 0
      for (const { at, rule } of byLabel) sum += pointsAt(rule, values[at] ?? -1)
      return sum
    }
    const visitHost = (slot: number): void => {
      const partition = partitions[partitionOf(index, slot)]
      const at = placeOf(index, slot)
      if (partition === undefined || at < 0) return
      const score = rankings.score(partition.ranking, at)
      consider(slot, ids[slot] ?? 0, score + ofPartition(partition) + ofHost(slot))
    }
    const visitPartition = (number: number): void => {
      const partition = partitions[number]
      if (partition === undefined) return
      const points = ofPartition(partition)
      if (points === broken) return
      rankings.walk(partition.ranking, (slot, id, score) => {
        if (isSettled(score + points, id)) return false
        consider(slot, id, score + points + ofHost(slot))
        return true
      })
    }
    const visitPlacesOf = ({ column, counts }: GroupRule): void => {
      const numbers = column === null ? undefined : having[shape.columns.indexOf(column)]
      for (const at of counts.keys()) {
        if (column === null) visitHost(at)
        else for (const number of numbers?.get(at) ?? []) visitPartition(number)
      }
    }

    const near = rules.filter(({ kind, total }) => kind === "near" && total > 0)
    const [bound] = near.filter(({ points }) => points === null).toSorted((a, b) => a.counts.size - b.counts.size)
    // whoever gains by a rule about a group is where it has members; on all others such rules can only cost points
    for (const rule of near) if (rule !== bound) visitPlacesOf(rule)
    if (bound !== undefined) visitPlacesOf(bound)
    else {
      rankings.walk(outer, (number, id, score) => {
        if (isSettled(score, id)) return false
        visitPartition(number)
        return true
      })
    }
    return chosen(best, bestScore)
  }

  const allowing = (request: Request): ((id: HostId) => Allowed) => {
    const index = upToDate(request)
    const rules = groupRulesAt(index, request.rules).filter(({ points }) => points === null)
    return (id) => {
      const slot = slots.get(id)
      if (slot === undefined || placeOf(index, slot) < 0 || request.exclude?.has(id) === true) return "never"
      const isBroken = rules.some(
        (rule) => pointsAt(rule, rule.column === null ? slot : (rule.column.at[slot] ?? -1)) === broken
      )
      return isBroken ? "not now" : "yes"
    }
  }

  const inOrder = (): ReadonlyArray<number> => [...slots].toSorted(([a], [b]) => a - b).map(([, slot]) => slot)

  const judging = function* (request: Request): Pieces.Pieces<ReadonlyArray<Verdict>> {
    const shape = shapeOf(request)
    const order = inOrder()
    const admitted = order.filter((slot) => admits(shape, slot))
    const valuesOf = (column: Column | null): ReadonlySet<number> =>
      new Set(column === null ? admitted : admitted.map((slot) => column.at[slot] ?? -1).filter((value) => value >= 0))
    const counted = new Map<Column | null, ReadonlySet<number>>(
      [null, ...shape.columns].map((column) => [column, valuesOf(column)])
    )
    const rules = groupRules(request.rules ?? [], {
      has: (column, at) => counted.get(column)?.has(at) === true,
      size: (column) => counted.get(column)?.size ?? 0
    })
    const verdicts: Array<Verdict> = []
    yield* Pieces.each(order, judgedAtOnce, (slot) => verdicts.push(...verdictOf(request, shape, rules, slot)))
    return verdicts
  }

  const verdictOf = (
    request: Request,
    shape: Shape,
    rules: ReadonlyArray<GroupRule>,
    slot: number
  ): ReadonlyArray<Verdict> => {
    const host = hosts[slot]
    if (host === undefined) return []
    const blocks: Array<Block> = []
    const excluded = request.exclude?.get(host.id)
    if (excluded !== undefined) blocks.push({ _tag: "Excluded", reason: excluded })
    if (host.closed !== null) blocks.push({ _tag: "Closed", reason: host.closed })
    if (host.capacity === null) blocks.push({ _tag: "Unknown" })
    for (const { wish } of shape.wishes) {
      const reason = unconnected(wish, slot)
      if (reason !== null) blocks.push({ _tag: "Network", reason })
    }
    for (const selector of shape.selectors) {
      const { rule } = selector
      if (rule.kind !== "hosts" || selector.points !== null || matches(selector, slot)) continue
      // what it has by itself is not known yet, which is said already
      if (host.capacity === null && rule.label.startsWith(ownLabels)) continue
      const value = labelOf(host, rule.label)
      const reason = value === undefined ? `it has no label ${rule.label}` : `its ${rule.label} is ${value}`
      blocks.push({ _tag: "Rule", rule, reason })
    }
    let score = 0
    const terms: Array<Term> = []
    for (const rule of rules) {
      const at = rule.column === null ? slot : (rule.column.at[slot] ?? -1)
      const points = pointsAt(rule, at)
      if (points === broken) blocks.push({ _tag: "Rule", rule: rule.rule, reason: broke(rule, at) })
      else if (rule.points !== null) {
        terms.push({ of: rule.rule, points })
        score += points
      }
    }
    for (const resource of host.capacity === null ? [] : Resources.names) {
      const by = shortBy(resource, request.resources, slot)
      const left = (capacity[resource][slot] ?? 0) - (promised[resource][slot] ?? 0)
      if (by > 0) {
        const [all, reserved] = [capacity[resource][slot] ?? 0, host.headroom[resource]]
        blocks.push({ _tag: "Short", resource, by, free: left, capacity: all, reserved })
      }
    }
    if (blocks.length > 0) return [{ hostId: host.id, host: host.name, blocks, terms: [], score: 0 }]
    lookAt(shape.wanted, slot)
    score += scoreOf(shape, slot, (of, points) => terms.push({ of, points }))
    return [{ hostId: host.id, host: host.name, blocks, terms, score }]
  }

  /** What bars a host, in words as far as they are its own; undefined: there are none. */
  const saidOf = (request: Request, shape: Shape, slot: number): string | undefined => {
    let said: string | undefined
    const host = hosts[slot]
    if (host === undefined) return said
    const say = (reason: string) => {
      said = said === undefined ? reason : `${said}\n${reason}`
    }
    const excluded = request.exclude?.get(host.id)
    if (excluded !== undefined) say(excluded)
    if (host.closed !== null) say(host.closed)
    for (const wish of shape.wishes) if (!canPlug(wish, slot)) say(unconnected(wish.wish, slot) ?? "")
    return said
  }

  /** Which of all that can bar a host do, but for what is said in words: a bit for each. */
  const barsOf = (request: Request, { selectors }: Shape, rules: ReadonlyArray<GroupRule>, slot: number): number => {
    let bars = 0
    if (hosts[slot]?.capacity === null) bars = 8
    else {
      for (const resource of Resources.names) bars = 2 * bars + (shortBy(resource, request.resources, slot) > 0 ? 1 : 0)
    }
    for (const selector of selectors) {
      if (selector.points === null) bars = 2 * bars + (matches(selector, slot) ? 0 : 1)
    }
    for (const rule of rules) {
      const at = rule.column === null ? slot : (rule.column.at[slot] ?? -1)
      bars = 2 * bars + (pointsAt(rule, at) === broken ? 1 : 0)
    }
    return bars
  }

  /** Counts a host anew. `rules` null: it has none about groups. */
  const tell = (
    tally: Tally,
    request: Request,
    index: Index,
    rules: ReadonlyArray<GroupRule> | null,
    slot: number
  ): void => {
    const { groups, of } = tally
    const before = of[slot]
    if (before === "candidate") tally.candidates--
    else if (before !== undefined) {
      before.count--
      before.isStale = true
      const others = groups.get(before.said)
      if (before.count === 0) others?.delete(before.bars)
      if (others?.size === 0) groups.delete(before.said)
    }
    of[slot] = undefined
    if (hosts[slot] === undefined) return
    // one that has a place in the ranking is open, has room, and keeps to all rules about hosts
    const isRanked = placeOf(index, slot) >= 0
    const bars = isRanked && rules === null ? 0 : barsOf(request, index.shape, rules ?? [], slot)
    const said = saidOf(request, index.shape, slot)
    if (bars === 0 && said === undefined) {
      of[slot] = "candidate"
      tally.candidates++
      return
    }
    const alike = groups.get(said) ?? new Map<number, Bar>()
    if (alike.size === 0) groups.set(said, alike)
    const known = alike.get(bars)
    const group = known ?? {
      said,
      bars,
      count: 0,
      first: slot,
      least: { ...Resources.zero },
      most: { ...Resources.zero },
      isStale: false
    }
    if (known === undefined) alike.set(bars, group)
    of[slot] = group
    group.count++
    include(group, request.resources, slot)
  }

  /** One more host of a group. */
  const include = (group: Bar, wanted: Resources.Resources, slot: number): void => {
    if ((ids[slot] ?? 0) < (ids[group.first] ?? 0)) group.first = slot
    if (hosts[slot]?.capacity === null) return
    for (const resource of Resources.names) {
      const by = shortBy(resource, wanted, slot)
      group.least[resource] = group.count === 1 ? by : Math.min(group.least[resource], by)
      group.most[resource] = group.count === 1 ? by : Math.max(group.most[resource], by)
    }
  }

  /** Some have left the group: what is the least and the most is looked for among those that stayed. */
  const freshen = ({ of }: Tally, group: Bar, wanted: Resources.Resources): void => {
    group.isStale = false
    group.count = 0
    for (const slot of of.keys()) {
      if (of[slot] !== group) continue
      if (group.count === 0) group.first = slot
      group.count++
      include(group, wanted, slot)
    }
  }

  /** Of a request without rules about groups, and without hosts that are excluded: only what has changed is counted again. */
  const tallyOf = (request: Request, index: Index): Tally => {
    const { tally } = index
    if (tally.seen < forgotten || changes - tally.seen > room) {
      for (let slot = 0; slot < hosts.length; slot++) tell(tally, request, index, null, slot)
    } else {
      for (let i = tally.seen; i < changes; i++) {
        const slot = log[i % room] ?? -1
        if (latest[slot] === i) tell(tally, request, index, null, slot)
      }
    }
    tally.seen = changes
    return tally
  }

  /** So many slots with most points, the best first; `rules` cost or give points. */
  const bestOf = (
    index: Index,
    tally: Tally,
    rules: ReadonlyArray<GroupRule> | null,
    few: number
  ): ReadonlyArray<number> => {
    const { outer, partitions, rankings } = index
    const best: Array<{ readonly slot: number; readonly id: number; readonly score: number }> = []
    /** Whether it, and whatever comes after it, is not among the best. */
    const isBehind = (score: number, id: number): boolean => {
      const last = best.length < few ? undefined : best.at(-1)
      return last !== undefined && (score < last.score || (score === last.score && id > last.id))
    }
    const consider = (slot: number, id: number, score: number): void => {
      if (isBehind(score, id)) return
      const at = best.findIndex((other) => other.score < score || (other.score === score && other.id > id))
      best.splice(at < 0 ? best.length : at, 0, { slot, id, score })
      if (best.length > few) best.pop()
    }
    if (rules === null) {
      rankings.walk(outer, (number, id, score) => {
        if (isBehind(score, id)) return false
        rankings.walk(partitions[number]?.ranking ?? -1, (slot, id, score) => {
          if (isBehind(score, id)) return false
          consider(slot, id, score)
          return true
        })
        return true
      })
    } else {
      for (const slot of tally.of.keys()) {
        if (tally.of[slot] !== "candidate") continue
        let score = rankings.score(partitions[partitionOf(index, slot)]?.ranking ?? -1, placeOf(index, slot))
        for (const rule of rules) score += pointsAt(rule, rule.column === null ? slot : (rule.column.at[slot] ?? -1))
        consider(slot, ids[slot] ?? 0, score)
      }
    }
    return best.map(({ slot }) => slot)
  }

  /** The must-rules about hosts for which hosts of a group have different values. */
  const unlikeOf = ({ of }: Tally, { selectors }: Shape): ReadonlyMap<Bar, ReadonlySet<Selector>> => {
    const unlike = new Map<Bar, Set<Selector>>()
    for (const selector of selectors) {
      if (selector.points !== null) continue
      const { at } = selector.column
      for (const [slot, group] of of.entries()) {
        if (group === undefined || group === "candidate" || at[slot] === at[group.first]) continue
        const others = unlike.get(group)
        if (others === undefined) unlike.set(group, new Set([selector]))
        else others.add(selector)
      }
    }
    return unlike
  }

  const survey = (request: Request, few: number, also?: HostId): Survey => {
    const index = upToDate(request)
    // that of the index has the rules of whoever asked first for the like, of another type or in other words
    const shape = shapeOf(request)
    const rules = groupRulesAt(index, request.rules)
    const isPlain = rules.length === 0 && (request.exclude?.size ?? 0) === 0
    const tally = isPlain ? tallyOf(request, index) : emptyTally()
    if (!isPlain) for (const slot of slots.values()) tell(tally, request, index, rules, slot)
    const told = [...bestOf(index, tally, isPlain ? null : rules, few)]
    const asked = also === undefined ? undefined : slots.get(also)
    if (asked !== undefined && tally.of[asked] === "candidate" && !told.includes(asked)) told.push(asked)
    const bars = [...tally.groups.values()].flatMap((alike) => [...alike.values()])
    for (const group of bars) if (group.isStale) freshen(tally, group, request.resources)
    const unlike = unlikeOf(tally, shape)
    return {
      hosts: slots.size,
      candidates: tally.candidates,
      best: told.flatMap((slot) => verdictOf(request, shape, rules, slot)),
      barred: bars
        .toSorted((a, b) => b.count - a.count || (ids[a.first] ?? 0) - (ids[b.first] ?? 0))
        .flatMap((group) => {
          const { count, first, least, most } = group
          return verdictOf(request, shape, rules, first).map(({ blocks, host, hostId }) => ({
            count,
            hostId,
            host,
            alike: new Set(
              shape.selectors.flatMap((selector) => (unlike.get(group)?.has(selector) === true ? [] : [selector.rule]))
            ),
            blocks: blocks.map((block) => (block._tag === "Short" ? { ...block, by: least[block.resource] } : block)),
            more: new Set(Resources.names.filter((resource) => most[resource] > least[resource]))
          }))
        })
    }
  }

  const join = (name: string, slot: number, by: 1 | -1): void => {
    const group = groups.get(name) ?? { total: 0, bySlot: new Map(), byColumn: new Map() }
    group.total += by
    count(group.bySlot, slot, by)
    for (const [column, counts] of group.byColumn) {
      const value = column.at[slot] ?? -1
      if (value >= 0) count(counts, value, by)
    }
    if (group.total === 0) groups.delete(name)
    else groups.set(name, group)
    const there = groupsOf[slot]
    if (there !== undefined) count(there, name, by)
  }

  const promise = (slot: number, resources: Resources.Resources, by: 1 | -1): void => {
    for (const resource of Resources.names) {
      promised[resource][slot] = (promised[resource][slot] ?? 0) + by * resources[resource]
    }
  }

  return {
    set: (host) => {
      const known = slots.get(host.id)
      const slot = known ?? vacant.pop() ?? hosts.length
      if (slot >= room) grow()
      const { features: before = none, labels = {} } = hosts[slot] ?? {}
      if (known === undefined) {
        slots.set(host.id, slot)
        groupsOf[slot] = new Map()
      }
      hosts[slot] = host
      ids[slot] = host.id
      open[slot] = host.closed === null && host.capacity !== null ? 1 : 0
      for (const resource of Resources.names) {
        capacity[resource][slot] = (host.capacity?.[resource] ?? 0) - host.headroom[resource]
      }
      if (!isSame(labels, host.labels)) {
        for (const label of Object.keys(labels)) columnOf(label).at[slot] = -1
        for (const [label, value] of Object.entries(host.labels)) {
          const column = columnOf(label)
          column.at[slot] = valueOf(column, value)
        }
        // they are counted again by the new labels when somebody asks
        for (const name of groupsOf[slot]?.keys() ?? []) groups.get(name)?.byColumn.clear()
      }
      if (featured.length > 0 && (known === undefined || before !== host.features)) {
        for (const { column, label } of featured) fill(label, column, slot, host)
        for (const name of groupsOf[slot]?.keys() ?? []) groups.get(name)?.byColumn.clear()
      }
      for (const wish of wishes.values()) wish.at[slot] = 0
      renewed(slot)
    },
    remove: (id) => {
      const slot = slots.get(id)
      if (slot === undefined) return false
      for (const [name, members] of groupsOf[slot] ?? []) for (let i = 0; i < members; i++) join(name, slot, -1)
      for (const label of Object.keys(hosts[slot]?.labels ?? {})) columnOf(label).at[slot] = -1
      for (const { column } of featured) column.at[slot] = -1
      for (const resource of Resources.names) promised[resource][slot] = 0
      open[slot] = 0
      hosts[slot] = undefined
      slots.delete(id)
      vacant.push(slot)
      renewed(slot)
      return true
    },
    reserve: (id, resources, names = []) => {
      const slot = slots.get(id)
      if (slot === undefined) return false
      promise(slot, resources, 1)
      for (const name of names) join(name, slot, 1)
      changed(slot)
      return true
    },
    release: (id, resources, names = []) => {
      const slot = slots.get(id)
      if (slot === undefined) return false
      const there = groupsOf[slot]
      if (Resources.names.some((resource) => (promised[resource][slot] ?? 0) < resources[resource])) return false
      if (!hasAll(there, names)) return false
      promise(slot, resources, -1)
      for (const name of names) join(name, slot, -1)
      changed(slot)
      return true
    },
    place,
    allowing,
    judge: (request) => Pieces.whole(judging(request)),
    judging,
    survey,
    expect: (usual) => {
      usualSizes = Score.byDemand(usual)
      // a change of no host, before which nobody knows anything
      if (weights.fragmentation > 0) forgotten = ++changes
    },
    free: (id) => {
      const slot = slots.get(id)
      if (slot === undefined) return undefined
      return Resources.map((resource) => (capacity[resource][slot] ?? 0) - (promised[resource][slot] ?? 0))
    },
    size: () => slots.size
  }
}
