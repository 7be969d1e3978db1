/**
 * Rules about where a VM is to be, in words.
 *
 * @since 0.7.0
 */
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { VmId } from "../domain/Ids.ts"
import { type Asked, type AskedRule, own, type Placement, readValues } from "../domain/Placement.ts"
import { Refused } from "./Failure.ts"
import * as Resolve from "./Resolve.ts"
import * as Verb from "./Verb.ts"

/** What rules look like. @since 0.7.0 @category constants */
export const forms = [
  "apart [from GROUP] [over LABEL]",
  "near [GROUP] [over LABEL]",
  "evenly [with GROUP] over LABEL [by N]",
  "on LABEL=VALUE,…",
  "not on LABEL=VALUE,…",
  "not with VM,…"
] as const

const written = forms.map((form) => `"${form}"`).join(", ")

/** @since 0.7.0 @category options */
export const options = {
  group: Options.optional(Verb.text("group", "GROUP", "The group of VMs that it is in, for rules.")),
  must: Verb.text(
    "must",
    "RULE",
    `Where it has to be; may be repeated: ${written}. LABEL is a label of hosts, as in rack, and GROUP its own unless it is said. A VALUE with commas stands in double quotes, as in 'on row="1, left",2'.`
  ).pipe(Options.repeated),
  should: Verb.text(
    "should",
    "RULE",
    `Where it had better be, written as for --must, and then maybe "weight N": how much that counts, 1 unless it is said; may be repeated.`
  ).pipe(Options.repeated)
}

/** @since 0.7.0 @category models */
export interface Given {
  readonly group: Option.Option<string>
  readonly must: ReadonlyArray<string>
  readonly should: ReadonlyArray<string>
}

type Strength = "must" | "should"

const parse = Effect.fnUntraced(function* (strength: Strength, text: string) {
  const refused = (message: string) =>
    new Refused({ why: "usage", message: `--${strength} ${JSON.stringify(text)}: ${message}`, field: strength })
  const weighted = strength === "should" ? /^(.*)\s+weight\s+(\d+(?:\.\d+)?)$/s.exec(text.trim()) : null
  const whole = weighted?.[1] ?? text.trim()
  const rule = whole.replace(/\s+/g, " ")
  const weight = weighted?.[2]
  const said = { strength, ...(weight === undefined ? {} : { weight: Number(weight) }) }
  const maybe = <K extends "group" | "over">(key: K, value: string | undefined) =>
    Verb.given(key, Option.fromNullable(value))

  // blanks of a value are its own
  const on = /^(not\s+)?on\s+([^=\s]+)=(.+)$/s.exec(whole)
  const others = /^not with (.+)$/.exec(rule)
  const apart = /^apart(?: from (\S+))?(?: over (\S+))?$/.exec(rule)
  const near = /^near(?: (?!over )(\S+))?(?: over (\S+))?$/.exec(rule)
  const evenly = /^evenly(?: with (\S+))? over (\S+)(?: by (\d{1,6}))?$/.exec(rule)
  let made: AskedRule
  if (on !== null) {
    const [, not, label = "", list = ""] = on
    const values = readValues(list)
    if (values === null) {
      return yield* refused(
        'a value in double quotes has to end with one, and a comma may follow: expected as in on row="1, left",2'
      )
    }
    made = { ...said, kind: not === undefined ? "on" : "notOn", label, values }
  } else if (others !== null) {
    const vms: ReadonlyArray<VmId> = yield* Effect.forEach((others[1] ?? "").split(","), (vm) => Resolve.vm(vm.trim()))
    made = { ...said, kind: "notWith", vms }
  } else if (apart !== null) {
    made = { ...said, kind: "apart", ...maybe("group", apart[1]), ...maybe("over", apart[2]) }
  } else if (near !== null) {
    made = { ...said, kind: "near", ...maybe("group", near[1]), ...maybe("over", near[2]) }
  } else if (evenly !== null) {
    const [, group, over = "", skew] = evenly
    made = {
      ...said,
      kind: "evenly",
      ...maybe("group", group),
      over,
      ...(skew === undefined ? {} : { skew: Number(skew) })
    }
  } else return yield* refused(`it is no rule: expected one of ${written}`)
  return made
})

const rulesOf = Effect.fnUntraced(function* ({ must, should }: Given) {
  const musts = yield* Effect.forEach(must, (text) => parse("must", text))
  const shoulds = yield* Effect.forEach(should, (text) => parse("should", text))
  return [...musts, ...shoulds]
})

/** What a new VM is asked for with; nothing when nothing is said. @since 0.7.0 @category conversions */
export const given = Effect.fn("Placement.given")(function* (given: Given) {
  const rules = yield* rulesOf(given)
  const asked: Asked = {
    ...Verb.given("group", given.group),
    ...(rules.length === 0 ? {} : { rules })
  }
  return Object.keys(asked).length === 0 ? {} : { placement: asked }
})

/** What is taken from a VM that is there. @since 0.9.0 @category options */
export const taking = {
  anywhere: Verb.toggle("anywhere", "Takes its group and all its rules away."),
  noGroup: Verb.toggle("no-group", "Takes it out of its group; its rules stay."),
  noRules: Verb.toggle("no-rules", "Takes all its rules away; it stays in its group.")
}

/** @since 0.9.0 @category models */
export interface Taken {
  readonly anywhere: boolean
  readonly noGroup: boolean
  readonly noRules: boolean
}

/** What is to be instead of what is there: rules in place of all rules, the group in place of the group. @since 0.7.0 @category conversions */
export const changed = Effect.fn("Placement.changed")(function* (
  given: Given,
  { anywhere, noGroup, noRules }: Taken,
  before: Placement | null
) {
  const rules = yield* rulesOf(given)
  const both = (field: string, message: string) => new Refused({ why: "usage", message, field })
  if (anywhere && (Option.isSome(given.group) || rules.length > 0)) {
    return yield* both(
      "anywhere",
      "--anywhere takes group and rules away: give it without --group, --must and --should"
    )
  }
  if (noGroup && Option.isSome(given.group)) {
    return yield* both("no-group", "--no-group takes the group away: give it without --group")
  }
  if (noRules && rules.length > 0) {
    return yield* both("no-rules", "--no-rules takes all rules away: give it without --must and --should")
  }
  if (anywhere) return { placement: null }
  if (!noGroup && !noRules && Option.isNone(given.group) && rules.length === 0) return {}
  const asked: Asked = {
    group: noGroup ? null : Option.getOrElse(given.group, () => before?.group ?? null),
    // what its type requires stays by itself
    rules: rules.length > 0 || noRules ? rules : (own(before)?.rules ?? [])
  }
  return { placement: asked }
})

/** What a new instance type requires of hosts, `LABEL=VALUE,…` each; nothing when nothing is said. @since 0.10.0 @category conversions */
export const required = Effect.fnUntraced(function* (all: ReadonlyArray<string>) {
  const labels = new Map<string, ReadonlyArray<string>>()
  for (const text of all) {
    const refused = (message: string) =>
      new Refused({ why: "usage", message: `--requires ${JSON.stringify(text)}: ${message}`, field: "requires" })
    const [, label, list = ""] = /^([^=\s]+)=(.+)$/s.exec(text) ?? []
    if (label === undefined) return yield* refused("expected LABEL=VALUE,… as in host.virt=kvm")
    if (labels.has(label))
      return yield* refused(`${label} is said twice: give all its values at once, as in ${label}=a,b`)
    const values = readValues(list)
    if (values === null) {
      return yield* refused(
        'a value in double quotes has to end with one, and a comma may follow: expected as in row="1, left",2'
      )
    }
    labels.set(label, values)
  }
  return labels.size === 0 ? {} : { requires: Object.fromEntries(labels) }
})
