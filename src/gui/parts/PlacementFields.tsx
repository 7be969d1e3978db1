/**
 * Where a VM is to be: its group, and rules about hosts and about other VMs.
 *
 * @since 0.8.0
 */
import { useMemo } from "react"
import type { Host } from "../../api/Hosts.ts"
import type { Vm } from "../../api/Vms.ts"
import { type Asked, type AskedRule, most, own, readValues, showValues, type Strength } from "../../domain/Placement.ts"
import type { VmId } from "../../domain/Ids.ts"
import type { Snapshot } from "../state/Live.ts"
import { ChoiceField, nextKey, TextField } from "./Field.tsx"
import { useSnapshot } from "./Parts.tsx"

type Kind = AskedRule["kind"]

/** One rule, as it is filled in. @since 0.8.0 @category models */
export interface RuleForm {
  /** in this form alone */
  readonly key: number
  readonly strength: Strength
  readonly kind: Kind
  readonly group: string
  readonly over: string
  readonly label: string
  /** with commas between them, those with commas within in double quotes */
  readonly values: string
  /** ids or names, with commas between them */
  readonly vms: string
  readonly skew: string
  readonly weight: string
  /** of a rule that is there: what it has, for as long as that is filled in as it was: VMs may be gone */
  readonly vmsWere: Exact<VmId>
}

/** What a text stands for. */
interface Exact<A> {
  readonly text: string
  readonly of: ReadonlyArray<A>
}

/** @since 0.8.0 @category models */
export interface PlacementForm {
  readonly group: string
  readonly rules: ReadonlyArray<RuleForm>
}

/** @since 0.8.0 @category constants */
export const anywhere: PlacementForm = { group: "", rules: [] }

const parts = (text: string): ReadonlyArray<string> =>
  text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "")

/** VMs by id or by name; what nothing is called is a word of `unknown`. */
const vmsOf = (text: string, vms: Snapshot["vms"]) => {
  const ids: Array<VmId> = []
  const unknown: Array<string> = []
  for (const word of parts(text)) {
    const found = [...vms.values()].find(({ id, name }) => String(id) === word || name === word)
    if (found === undefined) unknown.push(word)
    else ids.push(found.id)
  }
  return { ids, unknown }
}

/** A rule as the API and as the command line have it, or what is still to be said. */
type Made = { readonly rule: AskedRule; readonly words: string; readonly missing: null } | { readonly missing: string }

/** What was not touched is what it was. */
const exactly = <A,>(text: string, { of, text: before }: Exact<A>): ReadonlyArray<A> | null =>
  of.length > 0 && text === before ? of : null

const made = (form: RuleForm, own: string, vms: Snapshot["vms"]): Made => {
  const { kind, strength } = form
  const weighs = strength === "should" && form.weight !== ""
  const said = { strength, ...(weighs ? { weight: Number(form.weight) } : {}) }
  const group = form.group.trim()
  const over = form.over.trim()
  const done = (rule: AskedRule, ...words: ReadonlyArray<string>): Made => ({
    rule,
    words: [...words, ...(weighs ? ["weight", form.weight] : [])].join(" "),
    missing: null
  })
  const other = group === "" ? {} : { group }
  const place = over === "" ? {} : { over }
  switch (kind) {
    case "on":
    case "notOn": {
      const label = form.label.trim()
      const values = readValues(form.values)?.filter((value) => value !== "")
      if (values === undefined) return { missing: "A value in double quotes has to end with one." }
      if (label === "" || values.length === 0) return { missing: "Say the label of hosts, and its values." }
      return done(
        { ...said, kind, label, values },
        ...(kind === "on" ? [] : ["not"]),
        "on",
        `${label}=${showValues(values)}`
      )
    }
    case "notWith": {
      const were = exactly(form.vms, form.vmsWere)
      const { ids, unknown } = were === null ? vmsOf(form.vms, vms) : { ids: were, unknown: [] }
      if (unknown.length > 0) return { missing: `There is no VM ${unknown.join(", ")}.` }
      if (ids.length === 0) return { missing: "Say which VMs, by names or ids." }
      return done({ ...said, kind, vms: ids }, "not with", ids.map((id) => `id:${id}`).join(","))
    }
    default: {
      if (group === "" && own === "") return { missing: "Say which group: the VM is in none itself." }
      if (kind === "evenly") {
        if (over === "") return { missing: "Say over what: host, or a label of hosts." }
        const skew = form.skew === "" ? {} : { skew: Number(form.skew) }
        return done(
          { ...said, kind, ...other, over, ...skew },
          "evenly",
          ...(group === "" ? [] : ["with", group]),
          "over",
          over,
          ...(form.skew === "" ? [] : ["by", form.skew])
        )
      }
      return done(
        { ...said, kind, ...other, ...place },
        kind,
        ...(group === "" ? [] : kind === "apart" ? ["from", group] : [group]),
        ...(over === "" ? [] : ["over", over])
      )
    }
  }
}

const all = ({ group, rules }: PlacementForm, vms: Snapshot["vms"]) =>
  rules.map((rule) => made(rule, group.trim(), vms))

const ruleForm: Omit<RuleForm, "key"> = {
  strength: "must",
  kind: "apart",
  group: "",
  over: "",
  label: "",
  values: "",
  vms: "",
  skew: "",
  weight: "",
  vmsWere: { text: "", of: [] }
}

/** Of one that is there; what need not be said is not. @since 0.9.0 @category conversions */
export const placementForm = (placement: Vm["placement"], vms: Snapshot["vms"]): PlacementForm => {
  if (placement === null) return anywhere
  const called = (id: VmId) => {
    const name = vms.get(id)?.name ?? String(id)
    const { ids, unknown } = vmsOf(name, vms)
    // a name that is a number, or has commas, is no word for it
    return unknown.length === 0 && ids.length === 1 && ids[0] === id ? name : String(id)
  }
  // what its type requires stays by itself
  const rules = (own(placement)?.rules ?? []).map((rule, index): RuleForm => {
    const { strength, weight } = rule
    const said = { ...ruleForm, key: index + 1, strength, weight: weight === undefined ? "" : String(weight) }
    if ("label" in rule) {
      const values = rule.values.map((value) => showValues([value])).join(", ")
      return { ...said, kind: rule.kind, label: rule.label, values }
    }
    if ("vms" in rule) {
      const text = rule.vms.map(called).join(", ")
      return { ...said, kind: rule.kind, vms: text, vmsWere: { text, of: rule.vms } }
    }
    const group = rule.group === placement.group ? "" : rule.group
    if (rule.kind === "evenly") {
      return { ...said, kind: rule.kind, group, over: rule.over, skew: rule.skew === 1 ? "" : String(rule.skew) }
    }
    return { ...said, kind: rule.kind, group, over: rule.over === "host" ? "" : rule.over }
  })
  return { group: placement.group ?? "", rules }
}

/** What is not said yet is left out of it. @since 0.8.0 @category conversions */
export const askedOf = (form: PlacementForm, vms: Snapshot["vms"]): Asked => {
  const group = form.group.trim()
  const rules = all(form, vms).flatMap((one) => (one.missing === null ? [one.rule] : []))
  return { ...(group === "" ? {} : { group }), ...(rules.length === 0 ? {} : { rules }) }
}

/** The same of one that is to be made. @since 0.8.0 @category conversions */
export const placementOf = (form: PlacementForm, vms: Snapshot["vms"]) => {
  const asked = askedOf(form, vms)
  return Object.keys(asked).length === 0 ? {} : { placement: asked }
}

/** The same of the command line. @since 0.8.0 @category conversions */
export const placementWords = (form: PlacementForm, vms: Snapshot["vms"]): ReadonlyArray<string> => [
  ...(form.group.trim() === "" ? [] : ["--group", form.group.trim()]),
  ...all(form, vms).flatMap((one) => (one.missing === null ? [`--${one.rule.strength ?? "must"}`, one.words] : []))
]

/** @since 0.8.0 @category predicates */
export const isPlaceable = (form: PlacementForm, vms: Snapshot["vms"]): boolean =>
  all(form, vms).every(({ missing }) => missing === null)

const kinds: ReadonlyArray<readonly [Kind, string]> = [
  ["apart", "be apart from a group"],
  ["near", "be near a group"],
  ["evenly", "spread evenly with a group"],
  ["on", "be on hosts with a label"],
  ["notOn", "not be on hosts with a label"],
  ["notWith", "not be with certain VMs"]
]

const isKind = (value: string): value is Kind => kinds.some(([kind]) => kind === value)

const sorted = (words: Iterable<string>): ReadonlyArray<string> => [...new Set(words)].sort()

/** Free ones, and those that it has by itself. */
const allLabels = ({ labels, traits }: Host): Host["labels"] => ({ ...labels, ...traits })

/** What hosts and VMs have already, to be chosen from. @since 0.10.0 @category hooks */
export const useKnown = () => {
  const { hosts, vms } = useSnapshot()
  const groups = useMemo(
    () => sorted([...vms.values()].flatMap(({ placement }) => (placement?.group ? [placement.group] : []))),
    [vms]
  )
  const labels = useMemo(() => sorted([...hosts.values()].flatMap((host) => Object.keys(allLabels(host)))), [hosts])
  const valuesOf = (label: string) =>
    sorted(
      [...hosts.values()].flatMap((host) => {
        const labels = allLabels(host)
        return Object.hasOwn(labels, label) ? [labels[label] ?? ""] : []
      })
    )
  return { groups, labels, valuesOf }
}

const Rule = ({
  known: { groups, labels, valuesOf },
  missing,
  number,
  own,
  put,
  remove,
  rule
}: {
  readonly rule: RuleForm
  /** from 1 on */
  readonly number: number
  /** the VM's group */
  readonly own: string
  /** null: nothing */
  readonly missing: string | null
  readonly known: ReturnType<typeof useKnown>
  readonly put: (change: Partial<RuleForm>) => void
  readonly remove: () => void
}) => {
  const { kind, strength } = rule
  const ofGroup = kind === "apart" || kind === "near" || kind === "evenly"
  return (
    <fieldset className="several">
      <legend className="sr">Rule {number}</legend>
      <div className="pair">
        <ChoiceField
          label={`Rule ${number}`}
          value={strength}
          onChange={(value) => put({ strength: value === "should" ? "should" : "must" })}
          options={[
            ["must", "It must"],
            ["should", "It should"]
          ]}
        />
        <ChoiceField
          label="What"
          value={kind}
          onChange={(value) => {
            if (isKind(value)) put({ kind: value })
          }}
          options={kinds}
        />
        {ofGroup ? (
          <>
            <TextField
              label="Group"
              known={groups}
              placeholder={own === "" ? "web" : `${own}, its own`}
              value={rule.group}
              onChange={(group) => put({ group })}
            />
            <TextField
              label="Over"
              known={["host", ...labels]}
              placeholder={kind === "evenly" ? "rack" : "host"}
              value={rule.over}
              onChange={(over) => put({ over })}
            />
          </>
        ) : kind === "notWith" ? (
          <TextField label="VMs" placeholder="web-1, web-2" value={rule.vms} onChange={(vms) => put({ vms })} />
        ) : (
          <>
            <TextField
              label="Label of hosts"
              known={labels}
              placeholder="rack"
              value={rule.label}
              onChange={(label) => put({ label })}
            />
            <TextField
              label="Values"
              known={valuesOf(rule.label.trim()).map((value) => showValues([value]))}
              placeholder="r1, r2"
              value={rule.values}
              onChange={(values) => put({ values })}
            />
          </>
        )}
        {kind === "evenly" ? (
          <TextField
            label="More than where fewest are, at most"
            type="number"
            min={1}
            max={most.skew}
            placeholder="1"
            value={rule.skew}
            onChange={(skew) => put({ skew })}
          />
        ) : null}
        {strength === "should" ? (
          <TextField
            label="How much it counts"
            type="number"
            min={0}
            max={most.weight}
            placeholder="1"
            value={rule.weight}
            onChange={(weight) => put({ weight })}
          />
        ) : null}
      </div>
      <div className="row">
        {missing === null ? null : <span className="quiet small">{missing}</span>}
        <button type="button" className="button tiny end" onClick={remove}>
          Remove<span className="sr"> rule {number}</span>
        </button>
      </div>
    </fieldset>
  )
}

/** @since 0.8.0 @category components */
export const PlacementFields = ({
  placement,
  put
}: {
  readonly placement: PlacementForm
  readonly put: (placement: PlacementForm) => void
}) => {
  const { vms } = useSnapshot()
  const known = useKnown()
  const { group, rules } = placement
  const blank: RuleForm = { ...ruleForm, key: nextKey(rules) }
  return (
    <>
      <TextField
        label="Group"
        hint="VMs that rules speak of together, as in web. A name is enough; it need not be known before."
        known={known.groups}
        value={group}
        onChange={(next) => put({ ...placement, group: next })}
      />
      {rules.map((rule, index) => (
        <Rule
          key={rule.key}
          rule={rule}
          number={index + 1}
          own={group.trim()}
          known={known}
          missing={made(rule, group.trim(), vms).missing}
          put={(change) =>
            put({ group, rules: rules.map((one) => (one.key === rule.key ? { ...one, ...change } : one)) })
          }
          remove={() => put({ group, rules: rules.filter(({ key }) => key !== rule.key) })}
        />
      ))}
      <div className="row">
        <button
          type="button"
          className="button"
          disabled={rules.length >= most.rules}
          onClick={() => put({ group, rules: [...rules, blank] })}
        >
          Add rule
        </button>
      </div>
    </>
  )
}
