/**
 * Where a VM is to be, as people say it.
 *
 * @since 0.7.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { InvalidArgument } from "./InvalidArgument.ts"
import { InstanceTypeId, VmId } from "./Ids.ts"
import { featureLabel, labelPattern, traitNames } from "./Host.ts"

/** Most rules that are said of a VM, most values and VMs of one, most labels that a type requires, and the highest numbers in one. @since 0.7.0 @category constants */
export const most = { rules: 16, values: 64, vms: 64, required: 16, skew: 1000, weight: 100 } as const

/** The name of a group of VMs: 1 to 63 of a-z, 0-9, `.`, `_` and `-`, a letter or digit at its ends. @since 0.7.0 @category models */
export const GroupName = Schema.String.pipe(Schema.pattern(/^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/))

/** The key of a label of hosts: 1 to 63 characters, no blanks, no control characters, no `=`. @since 0.7.0 @category models */
export const HostLabel = Schema.String.pipe(Schema.pattern(/^[^\s=\p{Cc}\p{Cs}]{1,63}$/u))

/** The value of a label of hosts: 1 to 255 characters, no control characters. @since 0.7.0 @category models */
export const HostLabelValue = Schema.String.pipe(Schema.pattern(/^[^\p{Cc}\p{Cs}]{1,255}$/u))

/** `must` is never broken by where a VM is put; `should` costs or gives points. @since 0.7.0 @category models */
export const Strength = Schema.Literal("must", "should")
/** @since 0.7.0 @category models */
export type Strength = typeof Strength.Type

/** Of a should-rule: what it is worth beside the policy's own terms, which are worth 1 and less. @since 0.7.0 @category models */
export const Weight = Schema.Number.pipe(Schema.finite(), Schema.between(0, most.weight))

/** @since 0.7.0 @category models */
export const Skew = Schema.Int.pipe(Schema.between(1, most.skew))

/** @since 0.7.0 @category models */
export const Values = Schema.Array(HostLabelValue).pipe(Schema.minItems(1), Schema.maxItems(most.values))

/** @since 0.7.0 @category models */
export const Others = Schema.Array(VmId).pipe(Schema.minItems(1), Schema.maxItems(most.vms))

const common = { strength: Strength, weight: Schema.optionalWith(Weight, { exact: true }) }

/**
 * - `on`, `notOn`: on hosts whose label has, or has not, one of the values; a host without the label has none of them.
 * - `near`: in a place where the group has somebody already; the first may go anywhere.
 * - `apart`: in a place where the group has nobody.
 * - `notWith`: on no host that has one of the VMs.
 * - `evenly`: in a place where the group then has at most `skew` more than in the place where it has fewest, of all places with a host
 *   that is in use and that the VM's networks and must-rules about hosts allow.
 *
 * `type`: the VM's instance type requires it, of which only another type can rid it.
 *
 * A place is a host (`over` is `host`), or all hosts with the same value of the label that `over` names; a host without that label is in no
 * place, and a must-rule keeps off it.
 *
 * @since 0.7.0 @category models
 */
export const Rule = Schema.Union(
  Schema.Struct({
    ...common,
    kind: Schema.Literal("on", "notOn"),
    label: HostLabel,
    values: Values,
    type: Schema.optionalWith(InstanceTypeId, { exact: true })
  }),
  Schema.Struct({ ...common, kind: Schema.Literal("near", "apart"), group: GroupName, over: HostLabel }),
  Schema.Struct({ ...common, kind: Schema.Literal("notWith"), vms: Others }),
  Schema.Struct({ ...common, kind: Schema.Literal("evenly"), group: GroupName, over: HostLabel, skew: Skew })
)
/** @since 0.7.0 @category models */
export type Rule = typeof Rule.Type

/** `group` null: it is in none. @since 0.7.0 @category models */
export const Placement = Schema.Struct({
  group: Schema.NullOr(GroupName),
  rules: Schema.Array(Rule).pipe(Schema.maxItems(most.rules + most.required))
})
/** @since 0.7.0 @category models */
export type Placement = typeof Placement.Type

/** What an instance type requires of a host: of each of these labels one of the values. @since 0.9.0 @category models */
export const Required = Schema.Record({ key: HostLabel, value: Values }).pipe(
  Schema.filter((labels) => Object.keys(labels).length <= most.required)
)
/** @since 0.9.0 @category models */
export type Required = typeof Required.Type

const isLabelOfSome = (label: string): boolean =>
  label.startsWith(featureLabel)
    ? label.length > featureLabel.length
    : labelPattern.test(label) || traitNames.some((trait) => trait === label)

/**
 * What is wrong with what is to be required, and what is expected, for an error's `problem` and `expected`; null: nothing. What no host can ever have would make
 * a type that fits nowhere.
 *
 * @since 0.11.0 @category predicates
 */
export const wrongRequirement = (
  label: string,
  values: ReadonlyArray<string>
): { readonly problem: string; readonly expected: string } | null => {
  if (!isLabelOfSome(label)) {
    return {
      problem: `has ${JSON.stringify(label)}, which no host can have as a label`,
      expected: `a label of letters, digits, and . _ / - between them, or of those that begin with host. one of ${traitNames.join(", ")}, ${featureLabel}NAME`
    }
  }
  const blank = values.find((value) => value.trim() === "")
  if (blank !== undefined) {
    return { problem: `has ${label}=${JSON.stringify(blank)}, which is blank`, expected: "a value that can be seen" }
  }
  const not = label.startsWith(featureLabel) ? values.find((value) => value !== "yes") : undefined
  if (not !== undefined) {
    return { problem: `has ${label}=${JSON.stringify(not)}`, expected: "yes, which is the only value of a feature" }
  }
  const twice = values.find((value, index) => values.indexOf(value) < index)
  return twice === undefined
    ? null
    : { problem: `has ${label}=${JSON.stringify(twice)} twice`, expected: "each value once" }
}

/** The must-rules that VMs of a type have. @since 0.9.0 @category conversions */
export const required = (type: InstanceTypeId, labels: Required = {}): ReadonlyArray<Rule & { readonly kind: "on" }> =>
  Object.entries(labels).map(([label, values]) => ({ strength: "must", kind: "on", label, values, type }))

/** Whether a VM has it by its type. @since 0.9.0 @category predicates */
export const isOfType = (rule: Rule | AskedRule): boolean => "type" in rule && rule.type !== undefined

const orNull = (group: string | null, rules: ReadonlyArray<Rule>): Placement | null =>
  group === null && rules.length === 0 ? null : { group, rules }

/** What is said of a VM itself, without what its type requires. @since 0.9.0 @category conversions */
export const own = (placement: Placement | null): Placement | null =>
  placement === null
    ? null
    : orNull(
        placement.group,
        placement.rules.filter((rule) => !isOfType(rule))
      )

/** The same of a VM of that type. @since 0.9.0 @category conversions */
export const ofType = (placement: Placement | null, type: InstanceTypeId, labels?: Required): Placement | null =>
  orNull(placement?.group ?? null, [...(own(placement)?.rules ?? []), ...required(type, labels)])

/** What is said of it from now on, with what its type has required of it all along. @since 0.9.0 @category conversions */
export const changed = (before: Placement | null, said: Placement | null): Placement | null =>
  orNull(said?.group ?? null, [...(own(said)?.rules ?? []), ...(before?.rules ?? []).filter(isOfType)])

/**
 * A rule as it is asked for: without a strength it is a must-rule, without a group it is about the VM's own, without `over` about hosts, and
 * without `skew` that is 1. One with a `type` was read of a VM and is its type's: nothing is asked for with it.
 *
 * @since 0.7.0 @category models
 */
export type AskedRule = { readonly strength?: Strength; readonly weight?: number } & (
  | {
      readonly kind: "on" | "notOn"
      readonly label: string
      readonly values: ReadonlyArray<string>
      readonly type?: InstanceTypeId
    }
  | { readonly kind: "near" | "apart"; readonly group?: string; readonly over?: string }
  | { readonly kind: "notWith"; readonly vms: ReadonlyArray<VmId> }
  | { readonly kind: "evenly"; readonly group?: string; readonly over: string; readonly skew?: number }
)

/** @since 0.7.0 @category models */
export interface Asked {
  readonly group?: string | null
  readonly rules?: ReadonlyArray<AskedRule>
}

const isGroup = Schema.is(GroupName)
const isLabel = Schema.is(HostLabel)
const isWeight = Schema.is(Weight)
const isSkew = Schema.is(Skew)
const areValues = Schema.is(Values)
const areOthers = Schema.is(Others)

/** @since 0.7.0 @category formatting */
export const words = {
  group: "1 to 63 of a-z, 0-9, ., _ and -, with a letter or digit at its ends",
  label: "the key of a label of hosts: 1 to 63 characters without blanks and =",
  over: "host, or the key of a label of hosts, as in rack",
  values: `1 to ${most.values} values of 1 to 255 characters each, none of them a control character`
} as const

/**
 * What was asked for with all that was not said, but for what a type requires; null when that is nothing. Left: what is wrong with it.
 *
 * @since 0.7.0 @category conversions
 */
export const make = ({ group = null, rules = [] }: Asked): Either.Either<Placement | null, InvalidArgument> => {
  const wrong = (field: string, problem: string, expected: string) =>
    Either.left(new InvalidArgument({ field: `placement.${field}`, problem, expected }))
  if (group !== null && !isGroup(group)) return wrong("group", `is ${JSON.stringify(group)}`, words.group)
  const said = rules.filter((rule) => !isOfType(rule)).length
  if (said > most.rules) return wrong("rules", `has ${said} rules`, `at most ${most.rules}`)
  const made: Array<Rule> = []
  for (const [i, rule] of rules.entries()) {
    if (isOfType(rule)) continue
    const at = `rules.${i}`
    const { strength = "must", weight } = rule
    if (weight !== undefined && strength === "must") {
      return wrong(`${at}.weight`, "is given to a must-rule", "a weight only with strength should")
    }
    if (weight !== undefined && !isWeight(weight)) {
      return wrong(`${at}.weight`, `is ${weight}`, `a number from 0 to ${most.weight}`)
    }
    const said = weight === undefined ? { strength } : { strength, weight }
    if ("label" in rule) {
      if (!isLabel(rule.label)) return wrong(`${at}.label`, `is ${JSON.stringify(rule.label)}`, words.label)
      if (!areValues(rule.values)) {
        return wrong(`${at}.values`, "cannot be values of a label", words.values)
      }
      made.push({ ...said, kind: rule.kind, label: rule.label, values: rule.values })
    } else if ("vms" in rule) {
      const { length } = rule.vms
      if (!areOthers(rule.vms)) return wrong(`${at}.vms`, `has ${length} of them`, `1 to ${most.vms} ids of VMs`)
      made.push({ ...said, kind: rule.kind, vms: rule.vms })
    } else {
      const of = rule.group ?? group
      if (of === null) {
        const expected = "the group that the rule is about, or the VM's own in placement.group"
        return wrong(`${at}.group`, "is not said, and the VM is in no group", expected)
      }
      if (!isGroup(of)) return wrong(`${at}.group`, `is ${JSON.stringify(of)}`, words.group)
      const over = rule.over ?? "host"
      if (!isLabel(over)) return wrong(`${at}.over`, `is ${JSON.stringify(over)}`, words.over)
      if (rule.kind === "evenly") {
        const { skew = 1 } = rule
        if (!isSkew(skew)) return wrong(`${at}.skew`, `is ${skew}`, `a whole number from 1 to ${most.skew}`)
        made.push({ ...said, kind: rule.kind, group: of, over, skew })
      } else made.push({ ...said, kind: rule.kind, group: of, over })
    }
  }
  return Either.right(group === null && made.length === 0 ? null : { group, rules: made })
}

/** As in `must be apart from web over rack`. @since 0.7.0 @category formatting */
export const show = (rule: Rule): string => {
  const worth = rule.weight === undefined ? "" : ` (weight ${rule.weight})`
  const of = "type" in rule && rule.type !== undefined ? ` (instance type ${rule.type} requires it)` : ""
  return `${rule.strength} be ${what(rule)}${worth}${of}`
}

/** As in `CPU feature avx512f` and `host.virt=kvm`. @since 0.9.0 @category formatting */
export const showRequired = (label: string, values: ReadonlyArray<string>): string =>
  label.startsWith(featureLabel) && values.length === 1 && values[0] === "yes"
    ? `CPU feature ${label.slice(featureLabel.length)}`
    : `${label}=${showValues(values)}`

/** As in `host.virt=kvm, CPU feature avx512f`; null: it requires nothing. @since 0.9.0 @category formatting */
export const showAllRequired = (labels: Required = {}): string | null => {
  const all = Object.entries(labels)
  return all.length === 0 ? null : all.map(([label, values]) => showRequired(label, values)).join(", ")
}

/**
 * Why a host is none for VMs of a type, one clause, of one label that it requires; `value` undefined: the host has no such label. null: it has what
 * is required.
 *
 * @since 0.9.0 @category formatting
 */
export const showUnmet = (
  { label, type, values }: Rule & { readonly kind: "on" | "notOn" },
  value: string | undefined
): string | null => {
  if (value !== undefined && values.includes(value)) return null
  const requires = `which instance type ${type ?? ""} requires`
  const shown = showRequired(label, values)
  return value === undefined
    ? `lacks ${shown}, ${requires}`
    : `has ${label}=${showValues([value])}, not ${shown}, ${requires}`
}

/** The value of a label as it stands in a list of such: in double quotes where it would be read as something else. */
const quoted = (value: string): string =>
  /[",]|^\s|\s$|\s{2}|\sweight\s/.test(value) ? `"${value.replace(/["\\]/g, "\\$&")}"` : value

/** Values of a label as people write them: `r1,"r2, left"`. @since 0.9.0 @category formatting */
export const showValues = (values: ReadonlyArray<string>): string => values.map(quoted).join(",")

/**
 * What `showValues` has written, or a person: in double quotes a value may have commas and blanks at its ends, and `\"` and `\\` stand for `"` and `\` there.
 * null: a quote is not ended, or more comes after it.
 *
 * @since 0.9.0 @category conversions
 */
export const readValues = (text: string): ReadonlyArray<string> | null => {
  const values: Array<string> = []
  const next = /\s*(?:"((?:[^"\\]|\\.)*)"\s*|([^",][^,]*|))(,|$)/y
  for (;;) {
    const found = next.exec(text)
    if (found === null) return null
    const [, inQuotes, plain = "", end] = found
    values.push(inQuotes === undefined ? plain.trim() : inQuotes.replace(/\\(.)/g, "$1"))
    if (end === "") return values
  }
}

const what = (rule: Rule): string => {
  switch (rule.kind) {
    case "on":
      return `on ${rule.label}=${showValues(rule.values)}`
    case "notOn":
      return `not on ${rule.label}=${showValues(rule.values)}`
    case "near":
      return `near ${rule.group} over ${rule.over}`
    case "apart":
      return `apart from ${rule.group} over ${rule.over}`
    case "notWith":
      return `not with ${rule.vms.length === 1 ? "VM" : "VMs"} ${rule.vms.join(", ")}`
    case "evenly":
      return `spread evenly with ${rule.group} over ${rule.over}${rule.skew === 1 ? "" : `, by ${rule.skew} at most`}`
  }
}

/** As in `group web; must be apart from web over host`; null: nothing is said. @since 0.7.0 @category formatting */
export const showAll = (placement: Placement | null): string | null => {
  if (placement === null) return null
  const { group, rules } = placement
  return [...(group === null ? [] : [`group ${group}`]), ...rules.map(show)].join("; ")
}

/**
 * A must-rule about a group, as those of the group have to know of it: a must-rule holds for both sides, whoever comes first.
 *
 * @since 0.7.0 @category models
 */
export interface Claim {
  /** `nearOwn`: of one that is in the group itself */
  readonly kind: "apart" | "near" | "nearOwn" | "evenly"
  readonly group: string
  readonly over: string
  /** 0 where it is no spreading */
  readonly skew: number
}

// groups and labels have no blanks, so no group has such a name
const nameOf = ({ group, kind, over, skew }: Claim): string => `${kind} ${group} ${over} ${skew}`

/** What a name of `countedIn` claims; null: it is the name of a group. @since 0.7.0 @category conversions */
export const claimOf = (name: string): Claim | null => {
  const [kind, group, over, skew] = name.split(" ")
  if (group === undefined || over === undefined) return null
  if (kind !== "apart" && kind !== "near" && kind !== "nearOwn" && kind !== "evenly") return null
  return { kind, group, over, skew: Number(skew) }
}

/**
 * The names under which a VM is counted where it is, each once: its group, and what its must-rules claim of other groups.
 *
 * @since 0.7.0 @category conversions
 */
export const countedIn = (placement: Placement | null): ReadonlyArray<string> => {
  if (placement === null) return []
  const { group, rules } = placement
  const names = new Set<string>(group === null ? [] : [group])
  for (const rule of rules) {
    if (rule.strength !== "must" || !("group" in rule)) continue
    const kind = rule.kind === "near" && rule.group === group ? "nearOwn" : rule.kind
    const { over } = rule
    names.add(nameOf({ kind, group: rule.group, over, skew: rule.kind === "evenly" ? rule.skew : 0 }))
  }
  return [...names]
}
