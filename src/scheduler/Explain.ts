/**
 * Why a VM goes where it goes, why it can go nowhere, and what would help. Looks at every host, so it is for those who ask, not for every
 * decision.
 *
 * @since 0.7.0
 */
import type { HostId } from "../domain/Ids.ts"
import * as Resources from "../domain/Resources.ts"
import type { Block, Engine, Term, Verdict } from "./Engine.ts"
import * as Rules from "./Rules.ts"
import * as Score from "./Score.ts"

/**
 * Why a host was chosen: `hosts` in all, `candidates` of them that could take it, the best few with their terms, and in a sentence what
 * decided between the first two.
 *
 * @since 0.7.0 @category models
 */
export interface Explanation {
  readonly hosts: number
  readonly candidates: number
  readonly best: ReadonlyArray<Verdict>
  readonly decided: string
}

/** Hosts that cannot take a request for the same reasons. @since 0.7.0 @category models */
export interface Refused {
  readonly hosts: ReadonlyArray<string>
  /** one clause each, all of them true of every host */
  readonly reasons: ReadonlyArray<string>
}

/**
 * Something that would let the request be placed; each was tried out.
 *
 * - `Relax`: with these rules as should-rules.
 * - `Type`: as a VM of this type.
 * - `Room`: with this much less promised on the host, which lacks nothing else.
 *
 * @since 0.7.0 @category models
 */
export type Repair =
  | { readonly _tag: "Relax"; readonly rules: ReadonlyArray<Rules.Rule>; readonly host: string }
  | { readonly _tag: "Type"; readonly type: string; readonly host: string }
  | { readonly _tag: "Room"; readonly short: Resources.Resources; readonly host: string }

/** @since 0.7.0 @category models */
export interface Refusal {
  readonly hosts: number
  /** the largest first */
  readonly groups: ReadonlyArray<Refused>
  readonly repairs: ReadonlyArray<Repair>
}

/** A size of VM with the name people know it by. @since 0.7.0 @category models */
export interface NamedType {
  readonly name: string
  readonly resources: Resources.Resources
}

const shownAs: Record<Resources.Name, string> = { cpu: "vCPUs", ram: "memory", disk: "disk" }

const amount = (resource: Resources.Name, value: number): string => {
  switch (resource) {
    case "cpu":
      return String(value)
    case "ram":
      return value % 1024 === 0 ? `${value / 1024} GiB` : `${value} MiB`
    case "disk":
      return `${value} GiB`
  }
}

/** What blocks have in common that stand in one group. */
const keyOf = (block: Block): string => {
  switch (block._tag) {
    case "Short":
      return `short ${block.resource}`
    case "Rule":
      return `rule ${JSON.stringify(block.rule)}`
    case "Unknown":
      return "unknown"
    case "Excluded":
    case "Closed":
    case "Network":
      return `${block._tag} ${block.reason}`
  }
}

/** One clause that is true of all: blocks of different hosts with the same key. */
const clause = (block: Block, blocks: ReadonlyArray<Block>): string => {
  switch (block._tag) {
    case "Short": {
      const amounts = blocks.flatMap((one) => (one._tag === "Short" ? [one.by] : []))
      const least = Math.min(...amounts)
      const more = amounts.some((by) => by !== least) ? " or more" : ""
      return `${shownAs[block.resource]} short by ${amount(block.resource, least)}${more}`
    }
    case "Rule": {
      const same = blocks.every((one) => one._tag === "Rule" && one.reason === block.reason)
      return `it ${Rules.show(block.rule)}${same ? `, and ${block.reason}` : ""}`
    }
    case "Unknown":
      return "what it has is not known yet"
    case "Excluded":
    case "Closed":
    case "Network":
      return block.reason
  }
}

const grouped = (verdicts: ReadonlyArray<Verdict>): ReadonlyArray<Refused> => {
  const groups = new Map<string, Array<Verdict>>()
  for (const verdict of verdicts) {
    if (verdict.blocks.length === 0) continue
    const key = verdict.blocks.map(keyOf).join("\n")
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [verdict])
    else group.push(verdict)
  }
  return [...groups.values()]
    .toSorted((a, b) => b.length - a.length)
    .map((group) => ({
      hosts: group.map(({ host }) => host),
      reasons: (group[0]?.blocks ?? []).map((block, i) =>
        clause(
          block,
          group.flatMap(({ blocks }) => blocks.slice(i, i + 1))
        )
      )
    }))
}

const nameOf = (of: Term["of"]): string => (typeof of === "string" ? of : `the rule that it ${Rules.show(of)}`)

const shown = (points: number): string => String(points / Score.points)

const decision = ([first, second]: ReadonlyArray<Verdict>): string => {
  if (first === undefined) return "no host can take it"
  if (second === undefined) return `${first.host} is the only host that can take it`
  if (first.score === second.score) {
    return `${first.host} and ${second.host} are equally good, and ${first.host} has the lower number`
  }
  const gains = first.terms.map(({ of, points }, i) => ({ of, gain: points - (second.terms[i]?.points ?? 0) }))
  const [most] = gains.toSorted((a, b) => b.gain - a.gain)
  const mostly = most === undefined ? "" : `, most of all by ${nameOf(most.of)} (${shown(most.gain)})`
  return `${first.host} is better than ${second.host} by ${shown(first.score - second.score)}${mostly}`
}

const byScore = (verdicts: ReadonlyArray<Verdict>): ReadonlyArray<Verdict> =>
  verdicts.filter(({ blocks }) => blocks.length === 0).toSorted((a, b) => b.score - a.score || a.hostId - b.hostId)

/**
 * Why `place` chooses what it chooses now; `few` is how many of the best are told.
 *
 * @since 0.7.0 @category explaining
 */
export const placement = (engine: Engine, request: Rules.Request, few = 3): Explanation => {
  const verdicts = engine.judge(request)
  const candidates = byScore(verdicts)
  return {
    hosts: verdicts.length,
    candidates: candidates.length,
    best: candidates.slice(0, few),
    decided: decision(candidates)
  }
}

const demoted = (rules: ReadonlyArray<Rules.Rule>, which: ReadonlySet<Rules.Rule>): ReadonlyArray<Rules.Rule> =>
  rules.map((rule) => (which.has(rule) ? { ...rule, strength: "should" } : rule))

/** How unlike two sizes are, from 0 to 1. */
const distance = (a: Resources.Resources, b: Resources.Resources): number =>
  Resources.names.reduce((sum, name) => sum + Math.abs(a[name] - b[name]) / Math.max(a[name], b[name], 1), 0) / 3

/**
 * Why no host can take a request, and the smallest changes found that would help, at most `few` of a kind. `types` are those that could be
 * asked for instead.
 *
 * @since 0.7.0 @category explaining
 */
export const refusal = (
  engine: Engine,
  request: Rules.Request,
  types: ReadonlyArray<NamedType> = [],
  few = 3
): Refusal => {
  const verdicts = engine.judge(request)
  const names = new Map(verdicts.map(({ host, hostId }): [HostId, string] => [hostId, host]))
  const rules = request.rules ?? []
  const placed = (changed: Rules.Request): string | undefined => {
    const choice = engine.place(changed)
    return choice === null ? undefined : names.get(choice.hostId)
  }

  // nothing less than all rules that keep a host away would open it
  const sets = new Map<string, ReadonlySet<Rules.Rule>>()
  for (const { blocks } of verdicts) {
    const broken = blocks.flatMap((block) => (block._tag === "Rule" ? [block.rule] : []))
    if (broken.length === 0 || broken.length < blocks.length) continue
    sets.set(rules.flatMap((rule, i) => (broken.includes(rule) ? [i] : [])).join(" "), new Set(broken))
  }
  const smallest = [...sets.values()].toSorted((a, b) => a.size - b.size)
  const relax: Array<Repair> = []
  for (const set of smallest) {
    if (relax.length === few) break
    const host = placed({ ...request, rules: demoted(rules, set) })
    if (host !== undefined) relax.push({ _tag: "Relax", rules: [...set], host })
  }

  const like: Array<Repair> = []
  const nearest = types.toSorted(
    (a, b) => distance(a.resources, request.resources) - distance(b.resources, request.resources)
  )
  for (const { name, resources } of nearest) {
    if (like.length === few) break
    const host = placed({ ...request, resources })
    if (host !== undefined) like.push({ _tag: "Type", type: name, host })
  }

  const lacking = verdicts.flatMap(({ blocks, host }) => {
    const short = { ...Resources.zero }
    for (const block of blocks) {
      if (block._tag !== "Short") return []
      short[block.resource] = block.by
    }
    const size = Math.max(...Resources.names.map((name) => short[name] / Math.max(1, request.resources[name])))
    return size > 0 ? [{ short, size, host }] : []
  })
  const closest = lacking.toSorted((a, b) => a.size - b.size).slice(0, 1)
  return {
    hosts: verdicts.length,
    groups: grouped(verdicts),
    repairs: [...relax, ...like, ...closest.map(({ host, short }): Repair => ({ _tag: "Room", short, host }))]
  }
}

/** As in `412 hosts: memory short by 6 GiB or more`; a single host by its name. @since 0.7.0 @category formatting */
export const showRefused = ({ hosts, reasons }: Refused): string =>
  `${hosts.length === 1 ? hosts[0] : `${hosts.length} hosts`}: ${reasons.join("; ")}`

/** One clause. @since 0.7.0 @category formatting */
export const showRepair = (repair: Repair): string => {
  switch (repair._tag) {
    case "Relax":
      return `${repair.host} could take it if it need not keep to: ${repair.rules.map((rule) => `it ${Rules.show(rule)}`).join("; ")}`
    case "Type":
      return `${repair.host} could take it as a ${repair.type}`
    case "Room": {
      const lacks = Resources.names
        .filter((name) => repair.short[name] > 0)
        .map((name) => `${amount(name, repair.short[name])} of ${shownAs[name]}`)
      return `${repair.host} lacks only ${lacks.join(" and ")}`
    }
  }
}

/**
 * For each type how many more of it fit, if nothing else were placed. Of rules, only must-rules about hosts count: what a group may have
 * depends on how its members come to lie.
 *
 * @since 0.7.0 @category explaining
 */
export const whatFits = (
  engine: Engine,
  types: ReadonlyArray<NamedType>,
  { exclude, networks, rules = [] }: Omit<Rules.Request, "resources"> = {}
): ReadonlyArray<{ readonly type: string; readonly more: number }> => {
  const open = engine.judge({
    resources: Resources.zero,
    rules: rules.filter(({ kind }) => kind === "hosts"),
    ...(networks === undefined ? {} : { networks }),
    ...(exclude === undefined ? {} : { exclude })
  })
  const free = open.flatMap(({ blocks, hostId }) => {
    const left = blocks.length === 0 ? engine.free(hostId) : undefined
    return left === undefined ? [] : [left]
  })
  return types.map(({ name, resources }) => {
    const wanted = Resources.names.filter((resource) => resources[resource] > 0)
    const fit = (left: Resources.Resources): number =>
      wanted.length === 0
        ? 0
        : Math.max(0, Math.min(...wanted.map((resource) => Math.floor(left[resource] / resources[resource]))))
    return { type: name, more: free.reduce((sum, left) => sum + fit(left), 0) }
  })
}
