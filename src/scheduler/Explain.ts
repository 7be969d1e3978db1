/**
 * Why a VM goes where it goes, why it can go nowhere, and what would help. Looks at every host, so it is for those who ask, not for every
 * decision.
 *
 * @since 0.7.0
 */
import * as Domain from "../domain/Explanation.ts"
import type { HostId } from "../domain/Ids.ts"
import type { InstanceType } from "../domain/InstanceType.ts"
import * as Network from "../domain/Network.ts"
import { required } from "../domain/Placement.ts"
import * as Resources from "../domain/Resources.ts"
import type { BarredHosts, Block, Engine, Term, Verdict } from "./Engine.ts"
import * as Pieces from "./Pieces.ts"
import * as Refusals from "./Refusals.ts"
import * as Rules from "./Rules.ts"
import * as Score from "./Score.ts"

/**
 * Why a host was chosen: `hosts` in all, `candidates` of them that could take it, the best few with their terms, in a sentence what
 * decided between the first two, and the others by what bars them.
 *
 * @since 0.7.0 @category models
 */
export interface Explanation {
  readonly hosts: number
  readonly candidates: number
  readonly best: ReadonlyArray<Verdict>
  readonly decided: string
  readonly barred: ReadonlyArray<BarredHosts>
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
 * - `Open`: when it is in use again, for it has room.
 * - `Unplug`: without NICs on these networks.
 * - `Type`: as a VM of this type.
 * - `Room`: with this much less promised on the host, which lacks nothing else.
 *
 * @since 0.7.0 @category models
 */
export type Repair =
  | {
      readonly _tag: "Relax"
      readonly rules: ReadonlyArray<Rules.Rule>
      readonly hostId: HostId
      readonly host: string
    }
  | { readonly _tag: "Open"; readonly reason: string; readonly hostId: HostId; readonly host: string }
  | {
      readonly _tag: "Unplug"
      readonly wishes: ReadonlyArray<Network.Wish>
      readonly hostId: HostId
      readonly host: string
    }
  | { readonly _tag: "Type"; readonly type: string; readonly hostId: HostId; readonly host: string }
  | { readonly _tag: "Room"; readonly short: Resources.Resources; readonly hostId: HostId; readonly host: string }

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
  /** what it requires of its host; absent: nothing */
  readonly rules?: ReadonlyArray<Rules.Rule>
}

const shownAs: Record<Resources.Name, string> = { cpu: "vCPUs", ram: "memory", disk: "disk" }

const digits = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 })

/** Of five digits and more in groups, so that their size is seen. */
const figure = (value: number): string => (value < 10_000 ? String(value) : digits.format(value))

/** Of much a tenth is exact enough, and no less than it is. */
const tenths = (value: number): number => Math.ceil(value * 10) / 10

const gibibytes = (value: number): string =>
  value < 10 * 1024 ? `${figure(value)} GiB` : `${digits.format(tenths(value / 1024))} TiB`

const amount = (resource: Resources.Name, value: number): string => {
  switch (resource) {
    case "cpu":
      return figure(value)
    case "ram":
      if (value % 1024 === 0) return gibibytes(value / 1024)
      return value < 10 * 1024 ? `${figure(value)} MiB` : gibibytes(tenths(value / 1024))
    case "disk":
      return gibibytes(value)
  }
}

/**
 * How rules are told: `rule` is one as a clause, `broken` the same with why a host does not keep to it. Those that others ask for (`isOthers`) are
 * not told of a host that does not keep to its own.
 *
 * @since 0.7.0 @category models
 */
export interface Words {
  readonly rule: (rule: Rules.Rule) => string
  readonly broken: (rule: Rules.Rule, reason: string, hostId: HostId) => string
  readonly isOthers: (rule: Rules.Rule) => boolean
}

/** In the engine's own words. @since 0.7.0 @category constants */
export const plainly: Words = {
  rule: (rule) => `it ${Rules.show(rule)}`,
  broken: (rule, reason) => `it ${Rules.show(rule)}, and ${reason}`,
  isOthers: () => false
}

/** Of the blocks of a host which are told. */
const worthTelling = (blocks: ReadonlyArray<Block>, words: Words): ((block: Block) => boolean) => {
  const hasOwn = blocks.some((block) => block._tag === "Rule" && !words.isOthers(block.rule))
  return (block) => !hasOwn || block._tag !== "Rule" || !words.isOthers(block.rule)
}

/** A block of a host. */
interface Found {
  readonly block: Block
  readonly hostId: HostId
}

const vCPUs = (count: number): string => `${figure(count)} ${count === 1 ? "vCPU" : "vCPUs"}`

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

/** Also with nothing on it the host could not give as much. */
const isTooSmall = (block: Block): boolean => block._tag === "Short" && block.capacity < block.by + block.free

const inAll = (resource: Resources.Name, blocks: ReadonlyArray<Block>): string => {
  const capacities = blocks.flatMap((one) => (one._tag === "Short" ? [one.capacity + one.reserved] : []))
  const [most, least] = [Math.max(...capacities), Math.min(...capacities)]
  return `${most === least ? "" : "at most "}${amount(resource, most)} in all`
}

/** What of it is kept free, as in `4 GiB are reserved`; null: nothing. */
const keptFree = (resource: Resources.Name, blocks: ReadonlyArray<Block>): string | null => {
  const all = blocks.flatMap((one) => (one._tag === "Short" ? [one.reserved] : []))
  const [most, least] = [Math.max(0, ...all), Math.min(...all)]
  if (most === 0) return null
  const are = resource === "cpu" && most === 1 ? "is" : "are"
  return `${most === least ? "" : "up to "}${resource === "cpu" ? vCPUs(most) : amount(resource, most)} ${are} reserved`
}

/** In brackets, when there is something to say. */
const besides = (said: ReadonlyArray<string | null>): string => {
  const all = said.filter((one) => one !== null)
  return all.length === 0 ? "" : ` (${all.join(", ")})`
}

/** One clause that is true of all: blocks of different hosts with the same key. */
const clause = (block: Block, found: ReadonlyArray<Found>, words: Words): string => {
  const blocks = found.map((one) => one.block)
  switch (block._tag) {
    case "Short": {
      const amounts = blocks.flatMap((one) => (one._tag === "Short" ? [one.by] : []))
      const least = Math.min(...amounts)
      const more = amounts.some((by) => by !== least) ? " or more" : ""
      const said = `${shownAs[block.resource]} short by ${amount(block.resource, least)}${more}`
      const all = blocks.every(isTooSmall) ? inAll(block.resource, blocks) : null
      return `${said}${besides([all, keptFree(block.resource, blocks)])}`
    }
    case "Rule": {
      const told = new Set(
        found.flatMap(({ block: one, hostId }) =>
          one._tag === "Rule" ? [words.broken(block.rule, one.reason, hostId)] : []
        )
      )
      const [first] = told
      return told.size === 1 && first !== undefined ? first : words.rule(block.rule)
    }
    case "Unknown":
      return "what it has is not known yet"
    case "Excluded":
    case "Closed":
    case "Network":
      return block.reason
  }
}

/** Verdicts that are looked at before others may be let in. */
const lookedAtAtOnce = 1000

const grouped = function* (verdicts: ReadonlyArray<Verdict>, words: Words): Pieces.Pieces<ReadonlyArray<Refused>> {
  const groups = new Map<string, Array<Verdict>>()
  yield* Pieces.each(verdicts, lookedAtAtOnce, (verdict) => {
    if (verdict.blocks.length === 0) return
    const key = verdict.blocks.map(keyOf).join("\n")
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [verdict])
    else group.push(verdict)
  })
  return [...groups.values()]
    .toSorted((a, b) => b.length - a.length)
    .map((group) => ({
      hosts: group.map(({ host }) => host),
      reasons: [
        ...new Set(
          (group[0]?.blocks ?? []).flatMap((block, i, all) =>
            worthTelling(all, words)(block)
              ? clause(
                  block,
                  group.flatMap(({ blocks, hostId }) => blocks.slice(i, i + 1).map((block) => ({ block, hostId }))),
                  words
                )
              : []
          )
        )
      ]
    }))
}

const termShownAs: Record<Score.Name, string> = {
  spread: "what stays free",
  pack: "how full it becomes",
  align: "how well what is free suits what is wanted",
  fragmentation: "how little becomes useless"
}

const nameOf = (of: Term["of"], words: Words): string =>
  typeof of === "string" ? termShownAs[of] : `the rule that ${words.rule(of)}`

const shown = (points: number): string => String(points / Score.points)

const decision = ([first, second]: ReadonlyArray<Verdict>, words: Words): string => {
  if (first === undefined) return "no host can take it"
  if (second === undefined) return `${first.host} is the only host that can take it`
  if (first.score === second.score) {
    return `${first.host} and ${second.host} are equally good, and ${first.host} has the lower number`
  }
  const gains = first.terms.map(({ of, points }, i) => ({ of, gain: points - (second.terms[i]?.points ?? 0) }))
  const [most] = gains.toSorted((a, b) => b.gain - a.gain)
  const mostly = most === undefined ? "" : `, most of all by ${nameOf(most.of, words)} (${shown(most.gain)})`
  return `${first.host} is better than ${second.host} by ${shown(first.score - second.score)}${mostly}`
}

/**
 * Why `place` chooses what it chooses now; `few` is how many of the best are told. With `chosen` why it is that one, which may have been chosen
 * before.
 *
 * @since 0.7.0 @category explaining
 */
export const placement = (
  engine: Engine,
  request: Rules.Request,
  few = 3,
  chosen?: HostId,
  words: Words = plainly
): Explanation => {
  const { barred, best, candidates, hosts } = engine.survey(request, few, chosen)
  const it = best.find(({ hostId }) => hostId === chosen)
  const [first] = best
  const decided =
    it === undefined || first === undefined || it === first
      ? decision(best, words)
      : `it was to be on ${it.host}; of all that can take it ${decision([first, it], words)}`
  return { hosts, candidates, best, decided, barred }
}

/** The clauses that are true of all of them. */
const clauses = ({ alike, blocks, count, hostId, more }: BarredHosts, words: Words): ReadonlyArray<string> =>
  blocks.filter(worthTelling(blocks, words)).map((block) => {
    const alone = [{ block, hostId }]
    switch (block._tag) {
      case "Short":
        return `${shownAs[block.resource]} short by ${amount(block.resource, block.by)}${more.has(block.resource) ? " or more" : ""}${besides([count === 1 ? keptFree(block.resource, [block]) : null])}`
      case "Rule":
        return count === 1 || alike.has(block.rule) ? clause(block, alone, words) : words.rule(block.rule)
      case "Unknown":
      case "Excluded":
      case "Closed":
      case "Network":
        return clause(block, alone, words)
    }
  })

/** As it is kept. @since 0.7.0 @category conversions */
export const toldPlacement = (
  { barred, best, candidates, decided, hosts }: Explanation,
  words: Words = plainly
): Domain.Explanation => ({
  hosts,
  candidates,
  best: best.map(({ host, hostId, score, terms }) => ({
    hostId,
    host,
    score: score / Score.points,
    terms: terms.map(({ of, points }) => ({
      of: typeof of === "string" ? of : words.rule(of),
      points: points / Score.points
    }))
  })),
  decided,
  ...Domain.firstGroups(
    barred.map((group) => ({ count: group.count, host: group.host, reasons: [...new Set(clauses(group, words))] }))
  )
})

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
  few = 3,
  words: Words = plainly
): Refusal => Pieces.whole(refusing(engine, request, types, few, words))

/** The same in pieces. The engine must not change meanwhile. @since 0.8.0 @category explaining */
export const refusing = function* (
  engine: Engine,
  request: Rules.Request,
  types: ReadonlyArray<NamedType>,
  few: number,
  words: Words
): Pieces.Pieces<Refusal> {
  const verdicts = yield* engine.judging(request)
  const names = new Map(verdicts.map(({ host, hostId }): [HostId, string] => [hostId, host]))
  const rules = request.rules ?? []
  const placed = (changed: Rules.Request): { readonly hostId: HostId; readonly host: string } | undefined => {
    const hostId = engine.place(changed)?.hostId
    const host = hostId === undefined ? undefined : names.get(hostId)
    return hostId === undefined || host === undefined ? undefined : { hostId, host }
  }

  // nothing less than all rules that keep a host away would open it
  const sets = new Map<string, ReadonlySet<Rules.Rule>>()
  yield* Pieces.each(verdicts, lookedAtAtOnce, ({ blocks }) => {
    const broken = blocks.flatMap((block) => (block._tag === "Rule" ? [block.rule] : []))
    if (broken.length === 0 || broken.length < blocks.length || broken.some(Rules.isOfType)) return
    sets.set(rules.flatMap((rule, i) => (broken.includes(rule) ? [i] : [])).join(" "), new Set(broken))
  })
  const smallest = [...sets.values()].toSorted((a, b) => a.size - b.size)
  const relax: Array<Repair> = []
  for (const set of smallest) {
    if (relax.length === few) break
    yield
    const at = placed({ ...request, rules: demoted(rules, set) })
    if (at !== undefined) relax.push({ _tag: "Relax", rules: [...set], ...at })
  }

  const unplug: Array<Repair> = []
  const networks = request.networks ?? []
  const kept = new Set<string>()
  if (verdicts.some(({ blocks }) => blocks.length > 0 && blocks.every(({ _tag }) => _tag === "Network"))) {
    for (const wish of networks) {
      yield
      const at = kept.has(Network.showWish(wish))
        ? undefined
        : placed({
            ...request,
            networks: networks.filter((other) => Network.showWish(other) !== Network.showWish(wish))
          })
      kept.add(Network.showWish(wish))
      if (at !== undefined && unplug.length < few) unplug.push({ _tag: "Unplug", wishes: [wish], ...at })
    }
    const at = unplug.length === 0 && kept.size > 1 ? placed({ ...request, networks: [] }) : undefined
    if (at !== undefined) unplug.push({ _tag: "Unplug", wishes: networks, ...at })
  }

  const open = verdicts.flatMap(({ blocks: [block, ...others], host, hostId }): ReadonlyArray<Repair> =>
    block?._tag === "Closed" && others.length === 0 ? [{ _tag: "Open", reason: block.reason, hostId, host }] : []
  )

  /** What hosts have left that want nothing else. */
  const left = verdicts.flatMap(({ blocks, hostId }) => {
    // another type does not require what this one does
    const isMatterOfType = blocks.every(
      (block) => block._tag === "Short" || (block._tag === "Rule" && Rules.isOfType(block.rule))
    )
    const free = isMatterOfType ? engine.free(hostId) : undefined
    return free === undefined ? [] : [free]
  })
  const isSomewhere = (size: Resources.Resources) =>
    left.some((free) => Resources.names.every((name) => size[name] === 0 || size[name] <= free[name]))

  const like: Array<Repair> = []
  const nearest = types.toSorted(
    (a, b) => distance(a.resources, request.resources) - distance(b.resources, request.resources)
  )
  const itself = rules.filter((rule) => !Rules.isOfType(rule))
  for (const { name, resources, rules: required = [] } of nearest) {
    if (like.length === few) break
    yield
    // each size that is placed has a ranking of its own
    const at = isSomewhere(resources) ? placed({ ...request, resources, rules: [...itself, ...required] }) : undefined
    if (at !== undefined) like.push({ _tag: "Type", type: name, ...at })
  }

  yield
  const lacking = verdicts.flatMap(({ blocks, host, hostId }) => {
    const short = { ...Resources.zero }
    for (const block of blocks) {
      if (block._tag !== "Short" || isTooSmall(block)) return []
      short[block.resource] = block.by
    }
    const size = Math.max(...Resources.names.map((name) => short[name] / Math.max(1, request.resources[name])))
    return size > 0 ? [{ short, size, hostId, host }] : []
  })
  const closest = lacking.toSorted((a, b) => a.size - b.size).slice(0, 1)
  yield
  return {
    hosts: verdicts.length,
    groups: yield* grouped(verdicts, words),
    repairs: [
      ...relax,
      ...unplug,
      ...open.slice(0, few),
      ...like,
      ...closest.map(({ host, hostId, short }): Repair => ({ _tag: "Room", short, hostId, host }))
    ]
  }
}

/** As in `412 hosts: memory short by 6 GiB or more`; a single host by its name. @since 0.7.0 @category formatting */
export const showRefused = ({ hosts, reasons }: Refused): string =>
  `${hosts.length === 1 ? hosts[0] : `${hosts.length} hosts`}: ${reasons.join("; ")}`

/** One clause. @since 0.7.0 @category formatting */
export const showRepair = (repair: Repair, words: Words = plainly): string => {
  switch (repair._tag) {
    case "Relax":
      return `${repair.host} could take it if ${repair.rules.length === 1 ? "this" : "these"} need not hold: ${repair.rules.map(words.rule).join("; ")}`
    case "Open":
      return repair.reason === Refusals.inMaintenance
        ? `${repair.host} has room for it, and is in maintenance: take it out of maintenance`
        : `${repair.host} has room for it once it is up: ${repair.reason}`
    case "Unplug":
      return `${repair.host} could take it without NICs on ${[...new Set(repair.wishes.map(Network.showWish))].join(" and ")}`
    case "Type":
      return `${repair.host} could take it as a ${repair.type}`
    case "Room": {
      const lacks = Resources.names
        .filter((name) => repair.short[name] > 0)
        .map((name) =>
          name === "cpu" ? vCPUs(repair.short.cpu) : `${amount(name, repair.short[name])} of ${shownAs[name]}`
        )
      return `${repair.host} lacks only ${lacks.join(" and ")}`
    }
  }
}

/** What a type is, for those who do not know its number. @since 0.7.0 @category formatting */
export const showType = ({ cpu, disk, ram, tid }: InstanceType): string =>
  `instance type ${tid} (${vCPUs(cpu)}, ${amount("ram", ram)} of memory, ${amount("disk", disk)} of disk)`

const toldRepair = (repair: Repair, types: ReadonlyArray<InstanceType>, words: Words): Domain.Repair => {
  const { host, hostId } = repair
  const at = { text: showRepair(repair, words), hostId, host }
  switch (repair._tag) {
    case "Relax":
      return { kind: "rule", ...at, rules: repair.rules.map(words.rule) }
    case "Open":
      return { kind: "host", ...at, maintenance: repair.reason === Refusals.inMaintenance }
    case "Unplug":
      return { kind: "network", ...at, networks: [...new Set(repair.wishes.map(Network.showWish))] }
    case "Type": {
      const type = types.find(({ tid }) => String(tid) === repair.type)
      return type === undefined
        ? { kind: "type", ...at }
        : { kind: "type", ...at, text: `${host} could take it as ${showType(type)}`, type: type.tid }
    }
    case "Room":
      return { kind: "room", ...at, lacks: repair.short }
  }
}

/** The types as `refusal` wants them: by their numbers. @since 0.7.0 @category conversions */
export const named = (types: ReadonlyArray<InstanceType>): ReadonlyArray<NamedType> =>
  types.map(({ cpu, disk, ram, requires, tid }) => ({
    name: String(tid),
    resources: { cpu, ram, disk },
    ...(requires === undefined
      ? {}
      : {
          rules: required(tid, requires).map(({ label, strength, values }): Rules.Rule => ({
            strength,
            kind: "hosts",
            label,
            is: "in",
            values,
            type: tid
          }))
        })
  }))

/** As a user is told it; `types` are those that were `named`. @since 0.7.0 @category conversions */
export const toldRefusal = (
  { groups, hosts, repairs }: Refusal,
  types: ReadonlyArray<InstanceType> = [],
  words: Words = plainly
): Domain.Refusal => ({
  hosts,
  ...Domain.firstGroups(groups.map(({ hosts, reasons }) => ({ count: hosts.length, host: hosts[0] ?? "", reasons }))),
  repairs: repairs.map((repair) => toldRepair(repair, types, words))
})

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
