/**
 * Which VMs to move where, as a plan of single moves: to bring the fleet nearer to a policy's aim, to empty a host, or to make must-rules hold
 * again. It is planned only; nothing is moved.
 *
 * Every step can be made in the order given: its VM fits on the target beside all that is there (what it takes of its source is free only
 * afterwards), the target takes new VMs and has its networks, all must-rules of the VM hold there, and no must-rule of another VM that held
 * before stops holding.
 *
 * The work is bounded by `most.work` comparisons, whatever the size of the fleet, beside a few passes over it:
 * a target costs one, and one about whose VM there are rules as many as VMs, and for `evenly` hosts, have to be looked at; to put the hosts in
 * order costs as many as there are. As much again may be spent on telling why VMs cannot move. A plan that was cut short by that says so
 * (`isWhole` false).
 *
 * To repair, VMs whose rules are broken move and those that such a rule is about; when that does not do, others make room for them: the fewest on the host
 * that needs fewest of them to leave, and where there are no more than `most.others` VMs, any of them, first one, then two, then as many as it takes.
 *
 * What the search may miss: to empty a host only the VMs there move, and none makes room elsewhere; on larger fleets nobody makes room for one that makes
 * room; no VM moves twice. Two VMs that must be near each other on one host cannot be moved one by one. Within that, all orders and targets are tried when
 * the first attempt fails, up to `most.nodes` of them, and `most.wide` with others.
 *
 * @since 0.7.0
 */
import type { Barred, Refusal } from "../domain/Explanation.ts"
import { firstGroups } from "../domain/Explanation.ts"
import type { HostId, VmId } from "../domain/Ids.ts"
import type { InstanceType } from "../domain/InstanceType.ts"
import type { Wish } from "../domain/Network.ts"
import * as Placement from "../domain/Placement.ts"
import * as Resources from "../domain/Resources.ts"
import type { Candidate, PlacementRequest } from "../services/Scheduler.ts"
import * as Fits from "./Fits.ts"
import * as Kept from "./Kept.ts"
import * as Pieces from "./Pieces.ts"
import * as Refusals from "./Refusals.ts"
import type { Policy } from "./Score.ts"
import * as Violations from "./Violations.ts"

/**
 * - `moves`: of a plan, at most; `work`: comparisons of a VM with a host; `nodes`: arrangements tried when the first attempt fails.
 * - `hosts`: of how many hosts the VMs are tried, for one move or one emptied host; `choices`: targets compared for one VM.
 * - `wide`, `others`: as `nodes`, when VMs move too that no broken rule is about, and how many VMs there may be for that; `leaving`: those that make room on
 *   one host, at most.
 * - `refusals`: for how many VMs that cannot move it is told of every host why.
 *
 * @since 0.7.0 @category constants
 */
export const most = {
  moves: 100,
  work: 400_000,
  nodes: 3000,
  wide: 20_000,
  others: 64,
  leaving: 4,
  hosts: 32,
  choices: 8,
  refusals: 8
} as const

/** A move that lowers a share by less is not worth it. @since 0.7.0 @category constants */
export const leastGain = 0.01

/**
 * A VM that is there.
 *
 * - `resources`: what it takes of its host. `disk`: GiB of that host's own disks that would have to be copied.
 * - `fixed`: why it cannot be moved, one clause; null: it can.
 *
 * @since 0.7.0 @category models
 */
export interface Guest extends Violations.Resident {
  readonly resources: Resources.Resources
  readonly networks: ReadonlyArray<Wish>
  readonly disk: number
  readonly fixed: string | null
}

/**
 * - `policy`: `spread` and `balance` lower the highest dominant shares; `pack` empties hosts.
 * - `empty`: one host; `repair`: must-rules hold again, of all VMs or of `vm`. Targets are preferred by the policy.
 *
 * @since 0.7.0 @category models
 */
export type Aim =
  | { readonly kind: "policy" }
  | { readonly kind: "empty"; readonly host: HostId }
  | { readonly kind: "repair"; readonly vm?: VmId }

/**
 * `gain`, by the aim: by how much the higher share of both hosts falls; the part of a host that it empties (the moves that empty one add up to
 * 1); how many broken must-rules hold again (0: it makes the next one possible). `memory` and `disk`: bytes to be copied, at most.
 *
 * @since 0.7.0 @category models
 */
export interface Move {
  readonly vmId: VmId
  readonly name: string
  readonly from: HostId
  readonly to: HostId
  readonly gain: number
  readonly memory: number
  readonly disk: number
}

/**
 * Of the hosts that take new VMs: `highest` and `mean` dominant share (of what may be promised, the largest quotient of a host's resources), and
 * how many are `occupied` and how many `empty`. `broken`: must-rules that do not hold, on all hosts.
 *
 * @since 0.7.0 @category models
 */
export interface Figures {
  readonly highest: number
  readonly mean: number
  readonly occupied: number
  readonly empty: number
  readonly broken: number
}

/** A VM that should move and cannot: `reason`, one clause; `refusal`: of every host, null when it is not about hosts. @since 0.7.0 @category models */
export interface Stuck {
  readonly vmId: VmId
  readonly name: string
  readonly hostId: HostId
  readonly reason: string
  readonly refusal: Refusal | null
}

/**
 * `further`: moves that come after these, and are left out. `isWhole`: all was tried that this planner tries. `before` and `after` all moves,
 * those that are left out too.
 *
 * @since 0.7.0 @category models
 */
export interface Plan {
  readonly moves: ReadonlyArray<Move>
  readonly further: number
  readonly stuck: ReadonlyArray<Stuck>
  readonly isWhole: boolean
  readonly before: Figures
  readonly after: Figures
}

/** @since 0.7.0 @category models */
export interface Options {
  readonly aim: Aim
  readonly policy: Policy
  /** from 1 to `most.moves` */
  readonly moves: number
  /** those that a VM could have instead */
  readonly types?: ReadonlyArray<InstanceType>
}

interface Place {
  readonly candidate: Candidate
  readonly isOpen: boolean
  promised: Resources.Resources
  readonly guests: Set<VmId>
}

interface Step {
  readonly vmId: VmId
  readonly from: HostId
  readonly to: HostId
  readonly gain: number
  /** how many of the must-rules hold again that are to be repaired */
  readonly aimed: number
}

/** What a move does to rules: how many must-rules hold again, of these those that are to, and how many should-rules no longer do. */
interface Effects {
  readonly repaired: number
  readonly aimed: number
  readonly spoilt: number
}

const mib = 1024 ** 2
const gib = 1024 ** 3

/** The largest part of what may be promised that is, of any resource. @since 0.7.0 @category getters */
export const share = (promised: Resources.Resources, capacity: Resources.Resources | null): number =>
  Math.max(
    ...Resources.names.map((name) =>
      promised[name] === 0 ? 0 : capacity === null || capacity[name] === 0 ? 1 : promised[name] / capacity[name]
    )
  )

const plus = (a: Resources.Resources, b: Resources.Resources, by: 1 | -1): Resources.Resources =>
  Resources.map((name) => Math.max(0, a[name] + by * b[name]))

const add = <K, V>(to: Map<K, Set<V>>, key: K, value: V): void => {
  const known = to.get(key)
  if (known === undefined) to.set(key, new Set([value]))
  else known.add(value)
}

const musts = (all: ReadonlyArray<Violations.Violation> = []) => all.filter(({ rule }) => rule.strength === "must")

/** @since 0.7.0 @category constructors */
export const plan = (candidates: ReadonlyArray<Candidate>, guests: ReadonlyArray<Guest>, options: Options): Plan => {
  return Pieces.whole(steps(candidates, guests, options))
}

type Steps<A> = Pieces.Pieces<A>

/** Hosts or VMs that are passed over before others may be let in. */
const passedAtOnce = 1000

/** VMs and hosts that are looked at for rules before others may be let in. */
const judgedAtOnce = 10_000

/**
 * The same plan in pieces, between which whoever asks may do something else. Measured at 3,000 hosts and 30,000 VMs of which 600 have rules, pieces
 * take up to about 10 ms of CPU, and nearly all of them far less; what is above that comes with the collection of garbage.
 *
 * @since 0.8.0 @category constructors
 */
export function* steps(
  candidates: ReadonlyArray<Candidate>,
  guests: ReadonlyArray<Guest>,
  options: Options
): Generator<void, Plan, void> {
  const { aim, policy } = options
  const limit = Math.max(1, Math.min(most.moves, options.moves))
  const places = new Map<HostId, Place>()
  const open: Array<Place> = []
  yield* Pieces.each(candidates, passedAtOnce, (candidate) => {
    const isOpen = Fits.isOpen(candidate)
    const place: Place = { candidate, isOpen, promised: candidate.promised, guests: new Set() }
    places.set(candidate.host.id, place)
    if (isOpen) open.push(place)
  })
  const vms = new Map<VmId, Guest>()
  const members = new Map<string, Set<VmId>>()
  /** who has a rule about a group, and about a VM */
  const ruling = new Map<string, Set<VmId>>()
  const naming = new Map<VmId, Set<VmId>>()
  yield* Pieces.each(guests, passedAtOnce, (guest) => {
    const { hostId, id, placement } = guest
    vms.set(id, guest)
    places.get(hostId)?.guests.add(id)
    if (placement === null) return
    if (placement.group !== null) add(members, placement.group, id)
    for (const rule of placement.rules) {
      if ("group" in rule) add(ruling, rule.group, id)
      if ("vms" in rule) for (const other of rule.vms) add(naming, other, id)
    }
  })
  const judge = Violations.among(candidates)
  /** Of a few VMs at a time; `evenly` passes over all hosts. */
  const judgedOf = function* (
    residents: ReadonlyArray<Guest>,
    everybody: ReadonlyArray<Guest>
  ): Steps<Map<VmId, ReadonlyArray<Violations.Violation>>> {
    const found = new Map<VmId, ReadonlyArray<Violations.Violation>>()
    let chosen: Array<Guest> = []
    let cost = 0
    for (const [i, guest] of residents.entries()) {
      chosen.push(guest)
      for (const { kind } of guest.placement?.rules ?? []) {
        cost += kind === "evenly" ? candidates.length + everybody.length : everybody.length
      }
      if (cost < judgedAtOnce && i < residents.length - 1) continue
      for (const [id, violations] of judge(chosen, everybody)) found.set(id, violations)
      chosen = []
      cost = 0
      yield
    }
    return found
  }
  const brokenOf = function* (): Steps<ReadonlyArray<{ readonly id: VmId; readonly rule: Placement.Rule }>> {
    // nobody else counts for any rule
    const asked: Array<Guest> = []
    const ruled: Array<Guest> = []
    yield* Pieces.each(vms.values(), passedAtOnce, (guest) => {
      const { id, placement } = guest
      if ((placement?.group ?? null) !== null || naming.has(id)) asked.push(guest)
      if (placement !== null && placement.rules.length > 0) ruled.push(guest)
    })
    const judged = yield* judgedOf(ruled, asked)
    return [...judged].flatMap(([id, violations]) => musts(violations).map(({ rule }) => ({ id, rule })))
  }

  let work: number = most.work
  const isSpent = () => work <= 0
  let isCut = false
  /** With its part of the work and no more: one host whose VMs have many rules leaves something for the others. */
  const within = function* <A>(use: () => Steps<A>): Steps<A> {
    const given = Math.min(work, Math.ceil(most.work / most.hosts))
    const kept = work - given
    work = given
    const result = yield* use()
    if (work <= 0) isCut = true
    work = kept + Math.max(0, work)
    return result
  }

  const shareOf = ({ candidate, promised }: Place, more?: Resources.Resources, by: 1 | -1 = 1): number =>
    share(more === undefined ? promised : plus(promised, more, by), candidate.host.capacity)

  const figures = function* (): Steps<Figures> {
    const shares: Array<number> = []
    yield* Pieces.each(open, passedAtOnce, (place) => shares.push(shareOf(place)))
    const occupied = open.filter((place) => place.guests.size > 0).length
    return {
      highest: shares.reduce((a, b) => Math.max(a, b), 0),
      mean: shares.length === 0 ? 0 : shares.reduce((a, b) => a + b, 0) / shares.length,
      occupied,
      empty: open.length - occupied,
      broken: (yield* brokenOf()).length
    }
  }

  /** one more with each move */
  let version = 0
  let ordered: { readonly version: number; readonly targets: ReadonlyArray<Place> } | undefined

  const put = (guest: Guest, to: HostId): void => {
    version++
    const [source, target] = [places.get(guest.hostId), places.get(to)]
    if (source !== undefined) {
      source.promised = plus(source.promised, guest.resources, -1)
      source.guests.delete(guest.id)
    }
    if (target !== undefined) {
      target.promised = plus(target.promised, guest.resources, 1)
      target.guests.add(guest.id)
    }
    vms.set(guest.id, { ...guest, hostId: to })
  }

  const placeOf = (host: HostId, over: string): string | number | undefined =>
    over === "host" ? host : places.get(host)?.candidate.host.label(over)

  /** Those whose rules may come to hold or not when it moves, and all that these rules look at. */
  const circle = ({ hostId, id, placement }: Guest, to: HostId) => {
    const group = placement?.group ?? null
    const concerned = new Set((placement?.rules.length ?? 0) > 0 ? [id] : [])
    for (const other of group === null ? [] : (ruling.get(group) ?? [])) {
      const vm = vms.get(other)
      const isConcerned = vm?.placement?.rules.some((rule) => {
        if (!("group" in rule) || rule.group !== group) return false
        if (rule.kind === "evenly") return true
        const at = placeOf(vm.hostId, rule.over)
        return at === placeOf(hostId, rule.over) || at === placeOf(to, rule.over)
      })
      if (isConcerned === true) concerned.add(other)
    }
    for (const other of naming.get(id) ?? []) concerned.add(other)
    const seen = new Set([id, ...concerned])
    let spreads = 0
    for (const other of concerned) {
      for (const rule of vms.get(other)?.placement?.rules ?? []) {
        if ("group" in rule) for (const member of members.get(rule.group) ?? []) seen.add(member)
        if ("vms" in rule) for (const member of rule.vms) seen.add(member)
        if (rule.kind === "evenly") spreads++
      }
    }
    const rulers = group === null ? 0 : (ruling.get(group)?.size ?? 0)
    return { concerned, seen, cost: rulers + (1 + concerned.size) * seen.size + spreads * candidates.length }
  }

  const resolve = (ids: Iterable<VmId>) => [...ids].flatMap((id) => vms.get(id) ?? [])

  /** Whether its broken rules are to be repaired. */
  const isAimedAt = (id: VmId): boolean => aim.kind !== "repair" || aim.vm === undefined || aim.vm === id

  /** What the move does to rules, and which must-rules of others would no longer hold, in words. */
  const effectsOf = function* (guest: Guest, to: HostId): Steps<Effects & { readonly against: string | null }> {
    const { concerned, cost, seen } = circle(guest, to)
    work -= cost
    if (concerned.size === 0) return { repaired: 0, aimed: 0, spoilt: 0, against: null }
    const before = yield* judgedOf(resolve(concerned), resolve(seen))
    vms.set(guest.id, { ...guest, hostId: to })
    const after = yield* judgedOf(resolve(concerned), resolve(seen))
    vms.set(guest.id, guest)
    let against: string | null = null
    let repaired = 0
    let aimed = 0
    let spoilt = 0
    for (const id of concerned) {
      const was = new Set((before.get(id) ?? []).map(({ rule }) => rule))
      const is = after.get(id) ?? []
      const again = musts(before.get(id)).length - musts(is).length
      repaired += again
      if (isAimedAt(id)) aimed += again
      for (const { rule } of is) {
        // it goes nowhere where its own do not hold, whether or not they do where it is
        if (rule.strength === "must" && id === guest.id) against ??= `it ${Placement.show(rule)}`
        if (was.has(rule)) continue
        if (rule.strength === "must") {
          against ??= `VM ${id} (${vms.get(id)?.name ?? ""}) ${Placement.show(rule)}, which would hold no longer`
        } else spoilt++
      }
    }
    return { repaired, aimed, spoilt, against }
  }

  const requestOf = (guest: Guest): PlacementRequest => ({
    resources: guest.resources,
    exclude: new Map([[guest.hostId, "it is there"]]),
    networks: guest.networks
  })

  /** null: it cannot go there. */
  const tryMove = function* (guest: Guest, target: Place): Steps<Effects | null> {
    work--
    if (!target.isOpen || target.candidate.host.id === guest.hostId || guest.fixed !== null) return null
    if (Refusals.of(requestOf(guest), { ...target.candidate, promised: target.promised }) !== null) return null
    const effects = yield* effectsOf(guest, target.candidate.host.id)
    return effects.against === null ? effects : null
  }

  const byShare = (direction: 1 | -1): ReadonlyArray<Place> => {
    work -= open.length
    return open
      .map((place) => ({ place, share: shareOf(place) }))
      .toSorted((a, b) => direction * (a.share - b.share) || a.place.candidate.host.id - b.place.candidate.host.id)
      .map(({ place }) => place)
  }

  /** The targets in the order in which the policy would have them; to pack means to leave empty hosts empty if it can be. */
  const preferred = (): ReadonlyArray<Place> => {
    if (ordered?.version === version) return ordered.targets
    const sorted = byShare(policy === "pack" ? -1 : 1)
    const targets =
      policy === "pack"
        ? [...sorted.filter(({ guests }) => guests.size > 0), ...sorted.filter(({ guests }) => guests.size === 0)]
        : sorted
    ordered = { version, targets }
    return targets
  }

  const largestFirst = (ids: Iterable<VmId>): ReadonlyArray<Guest> =>
    resolve(ids).toSorted((a, b) => b.resources.ram - a.resources.ram || a.id - b.id)

  const path: Array<Step> = []
  const moved = new Set<VmId>()
  const apply = (guest: Guest, target: Place, gain: number, aimed = 0): void => {
    path.push({ vmId: guest.id, from: guest.hostId, to: target.candidate.host.id, gain, aimed })
    moved.add(guest.id)
    put(guest, target.candidate.host.id)
  }
  const undo = (to: number): void => {
    while (path.length > to) {
      const step = path.pop()
      const guest = step === undefined ? undefined : vms.get(step.vmId)
      if (step === undefined || guest === undefined) return
      moved.delete(step.vmId)
      put(guest, step.from)
    }
  }

  /** Of the first targets that will do the one that spoils fewest wishes. */
  const choose = function* (guest: Guest, targets: ReadonlyArray<Place>): Steps<readonly [Place, Effects] | null> {
    if (guest.fixed !== null) return null
    let best: readonly [Place, Effects] | null = null
    let seen = 0
    for (const target of targets) {
      if (isSpent() || seen === most.choices) break
      yield
      const effects = yield* tryMove(guest, target)
      if (effects === null) continue
      seen++
      if (best === null || effects.spoilt < best[1].spoilt) best = [target, effects]
      if (best[1].spoilt === 0) break
    }
    return best
  }

  // ---------------------------------------------------------------------------------------------------------- aims

  /** The move off a host that lowers the higher share of both by most; false: none does by enough. */
  const relieve = function* (source: Place, targets: ReadonlyArray<Place>): Steps<boolean> {
    const was = shareOf(source)
    let best: { readonly guest: Guest; readonly target: Place; readonly gain: number } | null = null
    for (const guest of largestFirst(source.guests)) {
      if (guest.fixed !== null || moved.has(guest.id)) continue
      const left = shareOf(source, guest.resources, -1)
      let seen = 0
      for (const target of targets) {
        if (isSpent() || seen === most.choices || shareOf(target) >= was) break
        yield
        const gain = was - Math.max(left, shareOf(target, guest.resources))
        if (gain < leastGain || (best !== null && gain <= best.gain)) {
          work--
          continue
        }
        const effects = yield* tryMove(guest, target)
        if (effects === null || effects.spoilt > 0) continue
        seen++
        best = { guest, target, gain }
      }
    }
    if (best === null) return false
    apply(best.guest, best.target, best.gain)
    return true
  }

  const isMovable = ({ candidate }: Place) => candidate.status._tag === "Up"

  const spread = function* (): Steps<void> {
    while (path.length < limit && !isSpent()) {
      const targets = byShare(1)
      const sources = targets.toReversed().slice(0, most.hosts)
      let isRelieved = false
      for (const source of sources) {
        if (isRelieved || !isMovable(source)) continue
        isRelieved = yield* within(() => relieve(source, targets))
      }
      if (!isRelieved) return
    }
  }

  /** Moves all off a host that it can, again and again while that helps. */
  const drain = function* (host: HostId, targets: () => ReadonlyArray<Place>, keepsWishes: boolean): Steps<boolean> {
    const source = places.get(host)
    if (source === undefined) return false
    let isMoving = true
    const part = 1 / Math.max(1, source.guests.size)
    while (isMoving && source.guests.size > 0 && !isSpent()) {
      isMoving = false
      for (const guest of largestFirst(source.guests)) {
        const chosen = yield* choose(guest, targets())
        if (chosen === null || (keepsWishes && chosen[1].spoilt > 0)) continue
        apply(guest, chosen[0], part)
        isMoving = true
      }
    }
    return source.guests.size === 0
  }

  const pack = function* (): Steps<void> {
    const sources = byShare(1)
      .filter(({ guests }) => guests.size > 0)
      .toSorted((a, b) => a.guests.size - b.guests.size)
      .slice(0, most.hosts)
    yield
    // one that has taken others is not emptied: nothing moves twice
    const taken = new Set<Place>()
    for (const source of sources) {
      if (taken.has(source) || path.length + source.guests.size > limit || isSpent()) continue
      const before = path.length
      const used = byShare(-1).filter((place) => place !== source && place.guests.size > 0)
      yield
      if (!(yield* within(() => drain(source.candidate.host.id, () => used, true)))) undo(before)
      for (const { to } of path.slice(before)) {
        const target = places.get(to)
        if (target !== undefined) taken.add(target)
      }
    }
  }

  /** All orders and targets, each arrangement once, until `isDone`; then the path leads there. Of `others` so many may move too. */
  const search = function* (
    pool: ReadonlyArray<VmId>,
    isDone: () => boolean,
    gainOf: (effects: Effects) => number,
    others: { readonly ids: ReadonlySet<VmId>; readonly most: number } = { ids: new Set(), most: 0 }
  ): Steps<"found" | "none" | "cut"> {
    const known = new Set<string>()
    const all = [...pool, ...others.ids]
    let nodes: number = others.most > 0 ? most.wide : most.nodes
    let outside = 0
    const from = function* (): Steps<"found" | "none" | "cut"> {
      if (isDone()) return "found"
      const key = all.map((id) => vms.get(id)?.hostId).join(" ")
      if (known.has(key)) return "none"
      known.add(key)
      const targets = preferred()
      for (const guest of [...largestFirst(pool), ...largestFirst(others.ids)]) {
        if (moved.has(guest.id) || guest.fixed !== null) continue
        const isOther = others.ids.has(guest.id)
        if (isOther && outside === others.most) continue
        for (const target of targets) {
          yield
          const effects = yield* tryMove(guest, target)
          if (isSpent() || nodes-- <= 0) return "cut"
          if (effects === null) continue
          apply(guest, target, gainOf(effects), effects.aimed)
          if (isOther) outside++
          const end = yield* from()
          if (end === "found") return end
          undo(path.length - 1)
          if (isOther) outside--
          if (end === "cut") return end
        }
      }
      return "none"
    }
    return yield* from()
  }

  /** Makes the moves again that were undone. */
  const redo = (steps: ReadonlyArray<Step>): void => {
    for (const { aimed, gain, to, vmId } of steps) {
      const [guest, target] = [vms.get(vmId), places.get(to)]
      if (guest !== undefined && target !== undefined) apply(guest, target, gain, aimed)
    }
  }

  /** When the first attempt did not reach it: all others; when none does, as far as the first one came. */
  const insist = function* (
    pool: ReadonlyArray<VmId>,
    isDone: () => boolean,
    gainOf: (effects: Effects) => number,
    others: ReadonlySet<VmId> = new Set()
  ): Steps<void> {
    if (isDone()) return
    const first = [...path]
    undo(0)
    let end = yield* search(pool, isDone, gainOf)
    const limits = others.size === 0 ? [] : [1, 2, others.size].filter((most, i) => i === 0 || most > 1)
    for (const most of new Set(limits)) {
      if (end === "found") return
      undo(0)
      if (isSpent()) break
      end = yield* search(pool, isDone, gainOf, { ids: others, most })
    }
    if (end === "found") return
    if (end === "cut") isCut = true
    undo(0)
    redo(first)
  }

  const empty = function* (host: HostId): Steps<ReadonlyArray<VmId>> {
    const source = places.get(host)
    if (source === undefined) return []
    const there = [...source.guests]
    const targets = () => preferred().filter((place) => place !== source)
    yield* drain(host, targets, false)
    // where one can never leave, there is nothing to be found
    const isPossible = there.every((id) => vms.get(id)?.fixed === null)
    if (isPossible) {
      yield* insist(
        there,
        () => source.guests.size === 0,
        () => 1 / Math.max(1, there.length)
      )
    }
    return [...source.guests]
  }

  /** What a host lacks for a VM that its networks and all rules would let in; null: it lacks nothing, or they would not. */
  const lackingAt = function* (
    guest: Guest,
    target: Place
  ): Steps<{ readonly lacks: Resources.Resources; readonly effects: Effects } | null> {
    work--
    const { capacity } = target.candidate.host
    if (!target.isOpen || capacity === null || target.candidate.host.id === guest.hostId) return null
    const free = { ...target.candidate, promised: Resources.zero }
    if (Refusals.of(requestOf(guest), free) !== null) return null
    const lacks = Resources.map((name) =>
      guest.resources[name] === 0 ? 0 : Math.max(0, target.promised[name] + guest.resources[name] - capacity[name])
    )
    if (Resources.names.every((name) => lacks[name] === 0)) return null
    const effects = yield* effectsOf(guest, target.candidate.host.id)
    return effects.against === null && effects.aimed > 0 ? { lacks, effects } : null
  }

  /** How many of the largest VMs would have to leave a host, were nothing in their way: infinity, too many. */
  const fewestOff = ({ guests }: Place, lacks: Resources.Resources): number => {
    const all = resolve(guests).filter(({ fixed, id }) => fixed === null && !moved.has(id))
    const each = Resources.names.map((name) => {
      let left = lacks[name]
      if (left === 0) return 0
      const sizes = all.map(({ resources }) => resources[name]).toSorted((a, b) => b - a)
      const count = sizes.findIndex((size) => (left -= size) <= 0)
      return count < 0 ? Number.POSITIVE_INFINITY : count + 1
    })
    work -= all.length
    return Math.max(...each)
  }

  /** Moves VMs off a host until one that is to be repaired there has room, and that one onto it; false: nothing was moved. */
  const makeRoom = function* (guest: Guest, target: Place, pool: ReadonlySet<VmId>): Steps<boolean> {
    const before = path.length
    for (let left = most.leaving; left > 0 && !isSpent(); left--) {
      const found = yield* lackingAt(guest, target)
      if (found === null) break
      const { lacks } = found
      const isEnough = ({ resources }: Guest) => Resources.names.every((name) => resources[name] >= lacks[name])
      const there = resolve(target.guests).filter(({ fixed, id }) => fixed === null && !moved.has(id) && !pool.has(id))
      // the smallest that alone would do, else the largest: either leaves the fewest moves
      const bySize = there.toSorted((a, b) => a.resources.ram - b.resources.ram || a.id - b.id)
      const [enough, others] = [bySize.filter(isEnough), bySize.filter((one) => !isEnough(one)).toReversed()]
      let isMoving = false
      for (const other of [...enough, ...others].slice(0, most.choices)) {
        const targets = preferred().filter((place) => place !== target)
        const chosen = yield* choose(other, targets)
        if (chosen === null) continue
        apply(other, chosen[0], chosen[1].repaired, chosen[1].aimed)
        isMoving = true
        break
      }
      if (!isMoving) break
    }
    const effects = yield* tryMove(guest, target)
    if (effects === null || effects.aimed <= 0) {
      undo(before)
      return false
    }
    apply(guest, target, effects.repaired, effects.aimed)
    return true
  }

  /** Lets a VM in where others can make room for it, where fewest would have to. */
  const letIn = function* (guest: Guest, pool: ReadonlySet<VmId>): Steps<boolean> {
    const lacking: Array<{ readonly target: Place; readonly off: number }> = []
    for (const target of preferred()) {
      if (isSpent()) break
      yield
      const found = yield* lackingAt(guest, target)
      const off = found === null ? Number.POSITIVE_INFINITY : fewestOff(target, found.lacks)
      if (off <= most.leaving) lacking.push({ target, off })
    }
    for (const { target } of lacking.toSorted((a, b) => a.off - b.off).slice(0, most.hosts)) {
      if (isSpent()) return false
      if (yield* makeRoom(guest, target, pool)) return true
    }
    return false
  }

  const repair = function* (): Steps<ReadonlyArray<VmId>> {
    const broken = (yield* brokenOf()).filter(({ id }) => isAimedAt(id))
    const pool = new Set(broken.map(({ id }) => id))
    for (const { rule } of broken) {
      if ("group" in rule) for (const id of members.get(rule.group) ?? []) pool.add(id)
      if ("vms" in rule) for (const id of rule.vms) if (vms.has(id)) pool.add(id)
    }
    const countBroken = () => broken.length - path.reduce((sum, { aimed }) => sum + aimed, 0)
    const isMovable = (id: VmId) => vms.get(id)?.fixed === null && !moved.has(id)
    let isMoving = true
    while (isMoving && countBroken() > 0 && !isSpent()) {
      isMoving = false
      for (const id of pool) {
        const guest = vms.get(id)
        if (guest === undefined || !isMovable(id)) continue
        let best: readonly [Place, Effects] | null = null
        for (const target of preferred()) {
          if (isSpent()) break
          yield
          const effects = yield* tryMove(guest, target)
          if (effects !== null && effects.aimed > 0 && effects.repaired > (best?.[1].repaired ?? 0)) {
            best = [target, effects]
          }
        }
        if (best === null) continue
        apply(guest, best[0], best[1].repaired, best[1].aimed)
        isMoving = true
        if (countBroken() === 0) break
      }
      if (isMoving) continue
      for (const id of pool) {
        const guest = vms.get(id)
        if (countBroken() === 0 || isSpent()) break
        if (guest === undefined || !isMovable(id)) continue
        if (yield* within(() => letIn(guest, pool))) isMoving = true
      }
    }
    const others = vms.size > most.others ? [] : [...vms.keys()].filter((id) => !pool.has(id))
    yield* insist(
      [...pool],
      () => countBroken() === 0,
      ({ repaired }) => repaired,
      new Set(others)
    )
    return [...new Set((yield* brokenOf()).map(({ id }) => id))].filter(isAimedAt)
  }

  // --------------------------------------------------------------------------------------------------------- reasons

  /** The hosts after the moves, without one of their VMs. */
  const hostsWithout = (guest: Guest): ReadonlyArray<Candidate> =>
    candidates.map((candidate) => {
      const place = places.get(candidate.host.id)
      if (place === undefined) return candidate
      const isHere = place.guests.has(guest.id)
      const isSame = place.promised === candidate.promised
      if (!isHere && isSame) return candidate
      return {
        ...candidate,
        promised: isHere ? plus(place.promised, guest.resources, -1) : place.promised,
        groups: resolve(place.guests).flatMap(({ id, placement }) =>
          id === guest.id ? [] : Placement.countedIn(placement)
        )
      }
    })

  const kept = Kept.make(policy)

  /** Where the VMs are that its rules name. */
  const namedBy = ({ rules }: Placement.Placement) =>
    new Map(
      resolve(rules.flatMap((rule) => ("vms" in rule ? rule.vms : []))).map(({ hostId, id }): [VmId, HostId] => [
        id,
        hostId
      ])
    )

  const refusalOf = function* (guest: Guest): Steps<Refusal> {
    const { placement } = guest
    const request: PlacementRequest = {
      ...requestOf(guest),
      ...(placement === null ? {} : { placement, others: namedBy(placement) })
    }
    const hosts = hostsWithout(guest)
    yield
    const refusal = yield* kept.refusing(request, hosts, options.types ?? [])
    yield
    // where it could be if it came from nowhere, its leaving or its coming is against rules of others
    const told = yield* kept.reasoning(request, hosts)
    const groups = new Map<string, Barred>()
    for (const { host } of hosts) {
      if (told.has(host.id)) continue
      if (isSpent()) break
      yield
      const reason = (yield* effectsOf(guest, host.id)).against
      if (reason === null) continue
      const known = groups.get(reason)
      groups.set(reason, { count: (known?.count ?? 0) + 1, host: known?.host ?? host.name, reasons: [reason] })
    }
    return { ...refusal, ...firstGroups([...groups.values(), ...refusal.barred].toSorted((a, b) => b.count - a.count)) }
  }

  let wasSpent = false
  const stuckOf = function* (id: VmId, index: number): Steps<ReadonlyArray<Stuck>> {
    const guest = vms.get(id)
    if (guest === undefined) return []
    const told = { vmId: id, name: guest.name, hostId: guest.hostId }
    if (guest.fixed !== null) return [{ ...told, reason: guest.fixed, refusal: null }]
    const refusal = index < most.refusals ? yield* refusalOf(guest) : null
    const isBarred =
      refusal !== null && refusal.barred.reduce((sum, { count }) => sum + count, refusal.unnamed) >= candidates.length
    const reason = isBarred
      ? "no other host can take it"
      : isCut || wasSpent || isSpent()
        ? "no place was found for it before the search was cut short"
        : "no order of single moves leads there"
    return [{ ...told, reason, refusal }]
  }

  const before = yield* figures()
  yield
  let left: ReadonlyArray<VmId> = []
  if (aim.kind === "empty") left = yield* empty(aim.host)
  else if (aim.kind === "repair") left = yield* repair()
  else if (policy === "pack") yield* pack()
  else yield* spread()
  wasSpent = isSpent()
  // to tell why others stay has as much again
  work = most.work
  const stuck: Array<Stuck> = []
  for (const [index, id] of left.entries()) stuck.push(...(yield* stuckOf(id, index)))
  return {
    moves: path.slice(0, limit).flatMap(({ from, gain, to, vmId }): ReadonlyArray<Move> => {
      const guest = vms.get(vmId)
      if (guest === undefined) return []
      const { disk, name, resources } = guest
      return [{ vmId, name, from, to, gain, memory: resources.ram * mib, disk: disk * gib }]
    }),
    further: Math.max(0, path.length - limit),
    stuck,
    isWhole: !isCut && !wasSpent,
    before,
    after: yield* figures()
  }
}
