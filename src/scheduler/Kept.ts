/**
 * An engine that is kept in step with the candidates it is shown: what has not changed is the same value as before, and costs a comparison.
 *
 * @since 0.7.0
 */
import type { HostRefusal } from "../domain/Errors.ts"
import type { Explanation, Refusal } from "../domain/Explanation.ts"
import type { HostId, InstanceTypeId } from "../domain/Ids.ts"
import type { InstanceType } from "../domain/InstanceType.ts"
import * as Placements from "../domain/Placement.ts"
import * as Resources from "../domain/Resources.ts"
import type { Candidate, PlacementRequest } from "../services/Scheduler.ts"
import * as Engine from "./Engine.ts"
import * as Arranging from "./Arranging.ts"
import * as Explain from "./Explain.ts"
import * as Pieces from "./Pieces.ts"
import * as Refusals from "./Refusals.ts"
import type { Rule, Topology } from "./Rules.ts"
import * as Score from "./Score.ts"

/** The host chosen, or why none, of every host. @since 0.7.0 @category models */
export type Placement =
  | { readonly _tag: "Placed"; readonly hostId: HostId }
  | {
      readonly _tag: "Refused"
      readonly refusals: ReadonlyArray<HostRefusal>
      /** after how many steps it was given up to look for another arrangement of those that come together; null: none was left */
      readonly cut: number | null
    }

/** @since 0.7.0 @category models */
export interface Kept {
  /**
   * Decides among exactly these candidates, whichever it was shown before, and by the usual sizes that it was told of last. Of equals the one
   * with the lowest id. Of several that come together the first that is placed is placed so that all can be, if that can be found in bounded time.
   */
  readonly place: (request: PlacementRequest, candidates: ReadonlyArray<Candidate>) => Placement
  /** Why the host that was chosen among these is the one. */
  readonly explain: (request: PlacementRequest, candidates: ReadonlyArray<Candidate>, chosen: HostId) => Explanation
  /** Why none of these will do, and what would help; `types` can be asked for instead. */
  readonly refuse: (
    request: PlacementRequest,
    candidates: ReadonlyArray<Candidate>,
    types: ReadonlyArray<InstanceType>
  ) => Refusal
  /** Which sizes are usual; null: the policy does not mind. */
  readonly expect: ((usual: ReadonlyArray<Score.Usual>) => void) | null
  /** As `refuse`, in pieces. It must be asked nothing else meanwhile. */
  readonly refusing: (
    request: PlacementRequest,
    candidates: ReadonlyArray<Candidate>,
    types: ReadonlyArray<InstanceType>
  ) => Pieces.Pieces<Refusal>
  /** Why each of those that cannot take it cannot, one clause. */
  readonly reasons: (request: PlacementRequest, candidates: ReadonlyArray<Candidate>) => ReadonlyMap<HostId, string>
  /** As `reasons`, in pieces. It must be asked nothing else meanwhile. */
  readonly reasoning: (
    request: PlacementRequest,
    candidates: ReadonlyArray<Candidate>
  ) => Pieces.Pieces<ReadonlyMap<HostId, string>>
}

/** A rule as the engine knows it. */
interface Known {
  readonly rule: Rule
  /** whether another VM's rule asks for it */
  readonly isClaim: boolean
  /** one clause */
  readonly said: string
  /** why a host breaks it, one clause, of what the engine says of it */
  readonly tell: (reason: string, candidate: Candidate) => string
}

const topology = (over: string): Topology => (over === "host" ? "host" : { label: over })

const must = { strength: "must" } as const

const given = ({
  strength,
  weight
}: Placements.Rule): Pick<Rule & { readonly strength: "should" }, "weight"> & {
  readonly strength: Placements.Strength
} => (weight === undefined ? { strength } : { strength, weight })

/** No group has such a name. */
const together = (vms: ReadonlyArray<number>): string => `VMs ${vms.join(", ")}`

const asKnown = (rule: Placements.Rule): Known => {
  const said = `it ${Placements.show(rule)}`
  const tell: Known["tell"] = (reason) => `${said}, and ${rule.kind === "notWith" ? "one of them is there" : reason}`
  const strength = given(rule)
  const known = (rule: Rule): Known => ({ rule, isClaim: false, said, tell })
  switch (rule.kind) {
    case "on":
      return rule.type === undefined
        ? known({ ...strength, kind: "hosts", label: rule.label, is: "in", values: rule.values })
        : asRequired(rule, rule.type)
    case "notOn":
      return known({ ...strength, kind: "hosts", label: rule.label, is: "not in", values: rule.values })
    case "near":
    case "apart":
      return known({ ...strength, kind: rule.kind, group: rule.group, over: topology(rule.over) })
    case "notWith":
      return known({ ...strength, kind: "notWith", group: together(rule.vms) })
    case "evenly":
      return known({ ...strength, kind: "evenly", group: rule.group, over: topology(rule.over), skew: rule.skew })
  }
}

const asRequired = (asked: Placements.Rule & { readonly kind: "on" | "notOn" }, type: InstanceTypeId): Known => {
  const { label, values } = asked
  const said = Placements.showUnmet(asked, undefined) ?? ""
  return {
    rule: { ...must, kind: "hosts", label, is: "in", values, type },
    isClaim: false,
    said,
    tell: (_, { host }) => Placements.showUnmet(asked, host.label(label)) ?? said
  }
}

/** What another VM's rule asks of those of its group. */
const asClaim = (name: string, { group, kind, over, skew }: Placements.Claim): Known => {
  const place = over === "host" ? "it" : `its ${over}`
  const asked: Placements.Rule =
    kind === "evenly"
      ? { ...must, kind, group, over, skew }
      : { ...must, kind: kind === "apart" ? kind : "near", group, over }
  const at = topology(over)
  const rule: Rule =
    kind === "evenly"
      ? { ...must, kind, group, over: at, skew }
      : { ...must, kind: kind === "apart" ? kind : "near", group: kind === "nearOwn" ? group : name, over: at }
  const here = kind === "apart" ? `${place} has that one` : `${place} does not have that one`
  const said = `another VM ${Placements.show(asked)}`
  const tell: Known["tell"] = (reason, { host }) => {
    const isNowhere = over !== "host" && host.label(over) === undefined
    return `${said}, and ${isNowhere || kind === "evenly" ? reason : here}`
  }
  return { rule, isClaim: true, said, tell }
}

/**
 * What is to be taken away and what is to be added so that one list has what the other has. A host has a name for each of its VMs and one of them has come or
 * gone since: the others are passed over at both ends.
 */
const differing = (
  before: ReadonlyArray<string>,
  after: ReadonlyArray<string>
): readonly [gone: ReadonlyArray<string>, come: ReadonlyArray<string>] => {
  if (before === after) return [[], []]
  const most = Math.min(before.length, after.length)
  let head = 0
  while (head < most && before[head] === after[head]) head++
  let tail = 0
  while (tail < most - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++
  return [before.slice(head, before.length - tail), after.slice(head, after.length - tail)]
}

/** Hosts that are learnt of, or told of, before others may be let in. */
const learntAtOnce = 256

/** How many of the best hosts are told. */
const few = 3

/** @since 0.7.0 @category constructors */
export const make = (policy: Score.Policy = "spread"): Kept => {
  const weights = Score.policies[policy]
  const engine = Engine.make({ weights })
  const known = new Map<HostId, Candidate>()
  let shown: ReadonlyArray<Candidate> = []
  /** how often each name is counted, on all hosts */
  const counted = new Map<string, number>()
  /** what is claimed of a group, by the names under which it is counted */
  const claims = new Map<string, Map<string, Placements.Claim>>()

  const tally = (names: ReadonlyArray<string>, by: 1 | -1): void => {
    for (const name of names) {
      const now = (counted.get(name) ?? 0) + by
      if (now > 0) counted.set(name, now)
      else counted.delete(name)
      if (now > 1) continue
      const claim = Placements.claimOf(name)
      if (claim === null) continue
      const others = claims.get(claim.group) ?? new Map<string, Placements.Claim>()
      if (now > 0) others.set(name, claim)
      else others.delete(name)
      if (others.size === 0) claims.delete(claim.group)
      else claims.set(claim.group, others)
    }
  }

  const learn = (candidate: Candidate): void => {
    const { groups, host, promised, status } = candidate
    const before = known.get(host.id)
    if (before === candidate) return
    known.set(host.id, candidate)
    if (before?.host !== host || before.status !== status) engine.set(Engine.fromHost(host, status))
    if (before?.promised === promised && before.groups === groups) return
    const [gone, come] = differing(before?.groups ?? [], groups ?? [])
    if (before !== undefined) engine.release(host.id, before.promised, gone)
    tally(gone, -1)
    engine.reserve(host.id, promised, come)
    tally(come, 1)
  }

  const follow = (candidates: ReadonlyArray<Candidate>): void => {
    if (candidates === shown) return
    let isOther = candidates.length !== shown.length
    for (const [i, candidate] of candidates.entries()) {
      const before = shown[i]
      if (before === candidate) continue
      if (before?.host.id !== candidate.host.id) isOther = true
      learn(candidate)
    }
    shown = candidates
    if (!isOther) return
    const present = new Set(candidates.map(({ host }) => host.id))
    for (const [id, { groups }] of known) {
      if (present.has(id)) continue
      tally(groups ?? [], -1)
      known.delete(id)
      engine.remove(id)
    }
  }

  /** An engine that knows nobody yet learns of some hosts at a time. */
  const following = function* (candidates: ReadonlyArray<Candidate>): Pieces.Pieces<void> {
    if (known.size === 0) yield* Pieces.each(candidates, learntAtOnce, learn)
    follow(candidates)
  }

  const total = (name: string): number => counted.get(name) ?? 0

  /** Its rules, and those that rules of VMs that are there ask of it. */
  const rulesOf = ({ group, rules }: Placements.Placement): ReadonlyArray<Known> => {
    const all = rules.map(asKnown)
    for (const rule of rules) {
      if (rule.kind !== "near" || rule.strength !== "must" || total(rule.group) > 0) continue
      // nobody of the group is there yet: those that wait for it have to be in one place, or it can come to one of them alone
      for (const [name, claim] of claims.get(rule.group) ?? []) {
        if (claim.kind === "near" && claim.over === rule.over) all.push(asClaim(name, claim))
      }
    }
    if (group === null) return all
    for (const [name, claim] of claims.get(group) ?? []) {
      const isAsked =
        claim.kind === "apart" ||
        claim.kind === "evenly" ||
        (claim.kind === "near" && total(group) === 0) ||
        // nobody of the group is there but those that want company
        (claim.kind === "nearOwn" && total(group) === total(name))
      if (isAsked) all.push(asClaim(name, claim))
    }
    return all
  }

  /** With the VMs that its rules name counted where they are. */
  const withOthers = <A>(request: PlacementRequest, use: () => A): A => {
    const guests = countOthers(request)
    const result = use()
    uncount(guests)
    return result
  }

  type Counted = ReadonlyArray<{ readonly host: HostId; readonly names: ReadonlyArray<string> }>

  const countOthers = ({ others, placement }: PlacementRequest): Counted => {
    const guests = (placement?.rules ?? []).flatMap((rule) =>
      rule.kind === "notWith"
        ? rule.vms.flatMap((vm) => {
            const host = others?.get(vm)
            return host === undefined ? [] : [{ host, names: [together(rule.vms)] }]
          })
        : []
    )
    for (const { host, names } of guests) engine.reserve(host, Resources.zero, names)
    return guests
  }

  const uncount = (guests: Counted): void => {
    for (const { host, names } of guests) engine.release(host, Resources.zero, names)
  }

  const withOthersIn = function* <A>(request: PlacementRequest, use: () => Pieces.Pieces<A>): Pieces.Pieces<A> {
    const guests = countOthers(request)
    const result = yield* use()
    uncount(guests)
    return result
  }

  /** What the engine is asked, what is known of each rule, and how it is told. */
  const ruled = ({
    placement
  }: PlacementRequest): {
    readonly rules: ReadonlyArray<Rule>
    readonly byRule: ReadonlyMap<Rule, Known>
    readonly words: Explain.Words
  } => {
    const all = placement === undefined ? [] : rulesOf(placement)
    const byRule = new Map(all.map((one): [Rule, Known] => [one.rule, one]))
    return {
      rules: all.map(({ rule }) => rule),
      byRule,
      words: {
        isOthers: (rule) => byRule.get(rule)?.isClaim === true,
        rule: (rule) => byRule.get(rule)?.said ?? Explain.plainly.rule(rule),
        broken: (rule, reason, hostId) => {
          const candidate = known.get(hostId)
          const told = candidate === undefined ? undefined : byRule.get(rule)?.tell(reason, candidate)
          return told ?? Explain.plainly.broken(rule, reason, hostId)
        }
      }
    }
  }

  /** Where those that come together are to be, found with the first of them; `hosts` null: there is no such arrangement, or it was given up. */
  let arranged: {
    readonly key: string
    readonly following: number
    readonly hosts: ReadonlyArray<HostId> | null
    readonly cut: number | null
  } | null = null

  const keyOf = ({ exclude, networks, others, placement, resources }: PlacementRequest): string =>
    JSON.stringify([resources, networks ?? [], placement ?? null, [...exclude.keys()], [...(others ?? [])]])

  /** Where the first of those that come together is to be; null: as if it came alone. */
  const first = (
    request: PlacementRequest,
    following: number,
    placement: Placements.Placement,
    candidates: ReadonlyArray<Candidate>
  ): HostId | null => {
    const key = keyOf(request)
    const rules = () => rulesOf(placement).map(({ rule }) => rule)
    if (arranged?.key === key && arranged.following === following + 1) {
      if (arranged.hosts === null) {
        arranged = { ...arranged, following }
        return null
      }
      const [next, ...hosts] = arranged.hosts
      // whoever came between takes it that all is found anew
      if (next !== undefined && engine.allowing({ ...request, rules: rules() })(next) === "yes") {
        arranged = { ...arranged, following, hosts }
        return next
      }
    }
    const names = Placements.countedIn(placement)
    const found = Arranging.find({
      engine,
      request,
      candidates,
      count: following + 1,
      placement,
      claims: (group) => [...(claims.get(group)?.values() ?? [])],
      total,
      rules,
      take: (id, by) => {
        if (by > 0) engine.reserve(id, request.resources, names)
        else engine.release(id, request.resources, names)
        tally(names, by)
      }
    })
    const [chosen, ...hosts] = found.hosts ?? []
    arranged = { key, following, hosts: found.hosts === null ? null : hosts, cut: found.cut }
    return chosen ?? null
  }

  const reasons: Kept["reasons"] = (request, candidates) => Pieces.whole(reasoning(request, candidates))

  const reasoning = function* (
    request: PlacementRequest,
    candidates: ReadonlyArray<Candidate>
  ): Pieces.Pieces<ReadonlyMap<HostId, string>> {
    if (request.placement !== undefined) yield* following(candidates)
    const told = new Map<HostId, string>()
    const { byRule, rules } = ruled(request)
    const verdicts =
      rules.length === 0
        ? new Map<HostId, Engine.Verdict>()
        : new Map(
            (yield* withOthersIn(request, () => engine.judging({ ...request, rules }))).map(
              (verdict): [HostId, Engine.Verdict] => [verdict.hostId, verdict]
            )
          )
    yield* Pieces.each(candidates, learntAtOnce, (candidate) => {
      const reason = Refusals.of(request, candidate)
      const blocks = verdicts.get(candidate.host.id)?.blocks ?? []
      // one that is closed to all is no better for other rules
      const isOpen = blocks.every(({ _tag }) => _tag === "Short" || _tag === "Rule")
      const broken = blocks.flatMap((block) => {
        const known = block._tag === "Rule" ? byRule.get(block.rule) : undefined
        return known === undefined || block._tag !== "Rule" ? [] : [{ ...known, reason: block.reason }]
      })
      const own = broken.filter(({ isClaim }) => !isClaim)
      const binding = isOpen ? (own.length > 0 ? own : broken) : []
      const all = [
        ...(reason === null ? [] : [reason]),
        ...new Set(binding.map(({ reason, tell }) => tell(reason, candidate)))
      ]
      if (all.length > 0) told.set(candidate.host.id, all.join(", "))
    })
    return told
  }

  const refusing = function* (
    request: PlacementRequest,
    candidates: ReadonlyArray<Candidate>,
    types: ReadonlyArray<InstanceType>
  ): Pieces.Pieces<Refusal> {
    yield* following(candidates)
    const { rules, words } = ruled(request)
    const refusal = yield* withOthersIn(request, () =>
      Explain.refusing(engine, { ...request, rules }, Explain.named(types), few, words)
    )
    return Explain.toldRefusal(refusal, types, words)
  }

  return {
    place: (request, candidates) => {
      follow(candidates)
      const { following, placement } = request
      const choice =
        placement === undefined
          ? engine.place(request)
          : withOthers(request, () => {
              const hostId = following === undefined ? null : first(request, following, placement, candidates)
              return hostId === null
                ? engine.place({ ...request, rules: rulesOf(placement).map(({ rule }) => rule) })
                : { hostId }
            })
      if (choice !== null) return { _tag: "Placed", hostId: choice.hostId }
      const cut = following === undefined ? null : (arranged?.cut ?? null)
      const why = reasons(request, candidates)
      const refusals = candidates.flatMap(({ host }): ReadonlyArray<HostRefusal> => {
        const reason = why.get(host.id)
        return reason === undefined ? [] : [{ hostId: host.id, host: host.name, reason }]
      })
      return { _tag: "Refused", refusals, cut }
    },
    explain: (request, candidates, chosen) => {
      follow(candidates)
      const { rules, words } = ruled(request)
      const explanation = withOthers(request, () =>
        Explain.placement(engine, { ...request, rules }, few, chosen, words)
      )
      return Explain.toldPlacement(explanation, words)
    },
    refuse: (request, candidates, types) => Pieces.whole(refusing(request, candidates, types)),
    refusing,
    reasoning,
    expect: weights.fragmentation > 0 ? engine.expect : null,
    reasons
  }
}

/** As a scheduler that knows only this would tell it. @since 0.7.0 @category filters */
export const reasons: Kept["reasons"] = (request, candidates) => make().reasons(request, candidates)
