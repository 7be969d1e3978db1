/**
 * Where several VMs alike can be that come together, all or none. Each on the host that is best for it, if that leads to an end; otherwise hosts are tried
 * by kinds, depth first: two hosts are of one kind when nothing that the rules ask about tells them apart, so that one of each is enough. What is
 * certain not to lead to an end is not tried, and the search is given up after a number of steps.
 *
 * @since 0.8.0
 */
import type { HostId } from "../domain/Ids.ts"
import * as Placements from "../domain/Placement.ts"
import * as Resources from "../domain/Resources.ts"
import type { Candidate, PlacementRequest } from "../services/Scheduler.ts"
import type { Engine } from "./Engine.ts"
import type { Rule } from "./Rules.ts"

/** How often a host is asked at most; some 100 ns to 1 µs each. @since 0.8.0 @category constants */
export const budget = 200_000

/**
 * - `engine`: as it is now, which it is again afterwards.
 * - `claims`: what rules of VMs that are there ask of a group; `total`: how many there are in it.
 * - `rules`: those that bind the next of them at this moment.
 * - `take`: counts one of them on a host, or no more.
 *
 * @since 0.8.0 @category models
 */
export interface Task {
  readonly engine: Engine
  readonly request: PlacementRequest
  readonly placement: Placements.Placement
  readonly candidates: ReadonlyArray<Candidate>
  readonly count: number
  readonly claims: (group: string) => ReadonlyArray<Placements.Claim>
  readonly total: (group: string) => number
  readonly rules: () => ReadonlyArray<Rule>
  readonly take: (id: HostId, by: 1 | -1) => void
  /** absent: `budget` */
  readonly steps?: number
}

/** `hosts`: in the order in which they are to be taken; null: there is no arrangement, or with `cut` none was found in so many steps. @since 0.8.0 @category models */
export interface Found {
  readonly hosts: ReadonlyArray<HostId> | null
  readonly cut: number | null
}

/** Hosts that nothing tells apart. Those that are taken come first. */
interface Kind {
  readonly hosts: ReadonlyArray<HostId>
  /** for how many of them each has room */
  readonly room: number
  /** by label */
  readonly values: ReadonlyMap<string, string | undefined>
  /** how many of them each of the taken ones has */
  readonly taken: Array<number>
}

/** Each where it is best by itself; null: that leads to no end. */
const greedy = ({ count, engine, request, rules, take }: Task): ReadonlyArray<HostId> | null => {
  const hosts: Array<HostId> = []
  for (let i = 0; i < count; i++) {
    const choice = engine.place({ ...request, rules: rules() })
    if (choice === null) break
    hosts.push(choice.hostId)
    take(choice.hostId, 1)
  }
  for (const id of hosts.toReversed()) take(id, -1)
  return hosts.length === count ? hosts : null
}

const isMust = ({ strength }: Placements.Rule): boolean => strength === "must"

/** All groups that its must-rules and it itself have to do with. */
const groupsOf = ({ group, rules }: Placements.Placement): ReadonlySet<string> =>
  new Set([
    ...(group === null ? [] : [group]),
    ...rules.filter(isMust).flatMap((rule) => ("group" in rule ? [rule.group] : []))
  ])

const kindsOf = ({ candidates, claims, count, engine, placement, request, rules }: Task): ReadonlyArray<Kind> => {
  const groups = groupsOf(placement)
  const labels = new Set<string>()
  for (const rule of placement.rules) if (isMust(rule) && "over" in rule && rule.over !== "host") labels.add(rule.over)
  for (const group of groups) for (const { over } of claims(group)) if (over !== "host") labels.add(over)
  const guests = new Set(
    placement.rules.flatMap((rule) =>
      rule.kind === "notWith" ? rule.vms.flatMap((vm) => request.others?.get(vm) ?? []) : []
    )
  )
  const isRelevant = (name: string) => groups.has(name) || groups.has(Placements.claimOf(name)?.group ?? "")
  const allows = engine.allowing({ ...request, rules: rules() })
  const wanted = Resources.names.filter((name) => request.resources[name] > 0)
  const kinds = new Map<string, Kind & { readonly hosts: Array<HostId> }>()
  for (const { groups: names = [], host } of candidates) {
    if (allows(host.id) === "never") continue
    const free = engine.free(host.id)
    const room = wanted.reduce(
      (least, name) => Math.min(least, Math.floor((free?.[name] ?? 0) / request.resources[name])),
      count
    )
    const values = new Map([...labels].map((label) => [label, host.label(label)]))
    const key = JSON.stringify([
      room,
      [...values.values()].map((value) => value ?? null),
      names.filter(isRelevant).toSorted(),
      guests.has(host.id)
    ])
    const known = kinds.get(key)
    if (known === undefined) kinds.set(key, { hosts: [host.id], room, values, taken: [] })
    else known.hosts.push(host.id)
  }
  return [...kinds.values()]
}

/** @since 0.8.0 @category constructors */
export const find = (task: Task): Found => {
  const easily = greedy(task)
  if (easily !== null || task.count < 2) return { hosts: easily, cut: null }
  const { count, engine, placement, request, rules, steps = budget, take, total } = task
  const own = placement.rules.filter(isMust)
  const ofOwn = (kind: Placements.Rule["kind"]): ReadonlyArray<string> =>
    own.flatMap((rule) => ("over" in rule && rule.kind === kind && rule.group === placement.group ? [rule.over] : []))
  const apart = ofOwn("apart")
  const most = (room: number) => (apart.includes("host") ? Math.min(1, room) : room)

  let kinds = kindsOf(task)
  // where the first of them goes all others have to go
  if (placement.group !== null && total(placement.group) === 0) {
    for (const over of ofOwn("near")) {
      const sums = new Map<string | undefined, number>()
      if (over === "host") kinds = kinds.filter(({ room }) => most(room) >= count)
      else {
        for (const { hosts, room, values } of kinds) {
          const value = values.get(over)
          sums.set(value, (sums.get(value) ?? 0) + hosts.length * most(room))
        }
        kinds = kinds.filter(({ values }) => {
          const value = values.get(over)
          return value !== undefined && (sums.get(value) ?? 0) >= count
        })
      }
    }
  }
  const byHost = new Map(kinds.flatMap((kind) => kind.hosts.map((id): [HostId, Kind] => [id, kind])))
  // only what cannot come to hold again later
  const lasting = lastingOf(rules(), placement)
  let asked = task.candidates.length
  const dead = new Set<string>()
  const path: Array<HostId> = []

  const keyNow = (): string =>
    kinds
      .flatMap(({ taken }, i) => (taken.length === 0 ? [] : [`${i}:${taken.toSorted((a, b) => a - b).join(",")}`]))
      .join(" ")

  /** One host of each kind, those that are taken told apart by how many they have. */
  const choices = (): ReadonlyArray<readonly [kind: Kind, at: number]> =>
    kinds.flatMap((kind) => {
      const seen = new Set<number>()
      const some = kind.taken.flatMap((members, at): ReadonlyArray<readonly [Kind, number]> => {
        if (members >= kind.room || seen.has(members)) return []
        seen.add(members)
        return [[kind, at]]
      })
      return kind.taken.length < kind.hosts.length ? [...some, [kind, kind.taken.length] as const] : some
    })

  /** Whether so many can still be placed at most, without a look at how they come to lie. */
  const isHopeless = (left: number): boolean => {
    const allows = engine.allowing({ ...request, rules: lasting })
    let room = 0
    const places = apart.map(() => new Set<string | undefined>())
    for (const kind of kinds) {
      for (const [at, id] of kind.hosts.entries()) {
        // those that are not taken are all alike
        const others = at < kind.taken.length ? 1 : kind.hosts.length - kind.taken.length
        asked++
        if (allows(id) === "yes") {
          room += others * most(kind.room - (kind.taken[at] ?? 0))
          for (const [i, over] of apart.entries()) if (over !== "host") places[i]?.add(kind.values.get(over))
        }
        if (at >= kind.taken.length) break
      }
    }
    return room < left || apart.some((over, i) => over !== "host" && (places[i]?.size ?? 0) < left)
  }

  const put = (kind: Kind, at: number, by: 1 | -1): void => {
    const id = kind.hosts[at]
    if (id === undefined) return
    const members = (kind.taken[at] ?? 0) + by
    if (members === 0) kind.taken.pop()
    else kind.taken[at] = members
    take(id, by)
  }

  const search = (left: number): boolean => {
    if (left === 0) return true
    if (asked >= steps) return false
    const key = keyNow()
    if (dead.has(key)) return false
    const now = { ...request, rules: rules() }
    const goOn = (kind: Kind, at: number): boolean => {
      const id = kind.hosts[at]
      if (id === undefined) return false
      path.push(id)
      put(kind, at, 1)
      const isFound = search(left - 1)
      put(kind, at, -1)
      if (!isFound) path.pop()
      return isFound
    }
    // the best one first: what it costs to look at all others is spent only when that leads to no end
    const best = engine.place(now)?.hostId
    asked++
    const kind = best === undefined ? undefined : byHost.get(best)
    const members = kind === undefined || best === undefined ? 0 : (kind.taken[kind.hosts.indexOf(best)] ?? 0)
    const open = choices()
    const isBest = ([other, at]: readonly [Kind, number]) => other === kind && (other.taken[at] ?? 0) === members
    for (const [kind, at] of open.filter(isBest)) if (goOn(kind, at)) return true
    if (best !== undefined && !isHopeless(left)) {
      const allows = engine.allowing(now)
      const others = open.filter((one) => {
        if (isBest(one)) return false
        asked++
        const id = one[0].hosts[one[1]]
        return id !== undefined && allows(id) === "yes"
      })
      for (const [kind, at] of others) if (goOn(kind, at)) return true
    }
    if (asked < steps) dead.add(key)
    return false
  }

  const isFound = search(count)
  return { hosts: isFound ? [...path] : null, cut: !isFound && asked >= steps ? steps : null }
}

/** Of the rules of the first of them those that, once they bar a host, bar it for all that come after. */
const lastingOf = (rules: ReadonlyArray<Rule>, { rules: own }: Placements.Placement): ReadonlyArray<Rule> =>
  rules.filter(
    (rule, i) =>
      i < own.length &&
      (rule.kind === "near" || rule.kind === "apart" || rule.kind === "hosts" || rule.kind === "notWith")
  )
