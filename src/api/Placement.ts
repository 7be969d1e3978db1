/**
 * Where VMs are to be.
 *
 * @since 0.7.0
 */
import * as Schema from "effect/Schema"
import * as Ids from "../domain/Ids.ts"
import * as Domain from "../domain/Placement.ts"
import { amountInBody, field, idInBody, Int, means, oneOf, optional, strict, usually } from "./Common.ts"

const { most, words } = Domain

const Strength = oneOf(Domain.Strength.literals, "Strength")
const Group = amountInBody(Domain.GroupName, words.group)
const Over = amountInBody(Domain.HostLabel, words.over)
const Label = amountInBody(Domain.HostLabel, words.label)
const Weight = amountInBody(Domain.Weight, `a number from 0 to ${most.weight}`)
const Skew = amountInBody(Domain.Skew, `a whole number from 1 to ${most.skew}`)
const Values = amountInBody(Domain.Values, words.values)
const Others = amountInBody(
  Schema.Array(idInBody(Ids.VmId)).pipe(Schema.minItems(1), Schema.maxItems(most.vms)),
  `1 to ${most.vms} ids of VMs`
)

const strengthMeans =
  "`must`: never broken by where a VM is put, whoever comes first and however many are created at once; `should`: hosts gain or lose by it"
const weightMeans = "of a should-rule: what it is worth beside what makes a host good otherwise, which is 1 and less"
const onMeans = "only on hosts whose label has one of the values"
const notOnMeans = "on no host whose label has one of the values; a host without the label has none of them"
const nearMeans = "in a place where the group has somebody already; the first of all goes anywhere"
const apartMeans = "in a place where the group has nobody"
const notWithMeans = "on no host that has one of these VMs"
const overMeans =
  "what a place is: `host`, or all hosts with the same value of this label of theirs. A host without the label is in no place, and a must-rule keeps off it"
const evenlyMeans =
  "in a place where the group then has at most `skew` more than in the place where it has fewest, of those that the VM's other rules allow"

const asked = {
  strength: optional(Strength, `${strengthMeans}. Absent: \`must\``),
  weight: optional(Weight, `${weightMeans}; absent: 1`)
}
const askedGroup = optional(Group, "the group it is about; absent: the VM's own")

// one for each kind, which is how a decoder tells which is meant and what is wrong with that
const kindOf = <const Kind extends Domain.Rule["kind"]>(kind: Kind, means: string) =>
  Schema.propertySignature(Schema.Literal(kind)).annotations({ description: means })

const usualRule = { strength: "must", weight: 1 }

const askedOn = <const Kind extends "on" | "notOn">(kind: Kind, means: string) =>
  Schema.Struct({
    kind: kindOf(kind, means),
    ...asked,
    label: field(Label, "of hosts"),
    values: field(Values, "any of them"),
    type: optional(
      idInBody(Ids.InstanceTypeId),
      "as it was read of a VM: the rule is taken and passed over, for what a VM's type requires is nobody else's to say"
    )
  }).annotations({ ...usually(usualRule), ...strict })

const askedBy = <const Kind extends "near" | "apart">(kind: Kind, means: string) =>
  Schema.Struct({
    kind: kindOf(kind, means),
    ...asked,
    group: askedGroup,
    over: optional(Over, `${overMeans}. Absent: \`host\``)
  }).annotations({ ...usually({ ...usualRule, over: "host" }), ...strict })

/** @since 0.7.0 @category schemas */
export const NewRule = Schema.Union(
  askedOn("on", onMeans),
  askedOn("notOn", notOnMeans),
  askedBy("near", nearMeans),
  askedBy("apart", apartMeans),
  Schema.Struct({ kind: kindOf("notWith", notWithMeans), ...asked, vms: field(Others, "which exist") }).annotations({
    ...usually(usualRule),
    ...strict
  }),
  Schema.Struct({
    kind: kindOf("evenly", evenlyMeans),
    ...asked,
    group: askedGroup,
    over: field(Over, overMeans),
    skew: optional(Skew, "absent: 1")
  }).annotations({ ...usually({ ...usualRule, skew: 1 }), ...strict })
).annotations({ identifier: "NewPlacementRule", description: "A rule about where a VM is to be." })

/** @since 0.7.0 @category schemas */
export const NewPlacement = Schema.Struct({
  group: optional(
    Schema.NullOr(Group),
    "the group that the VM is in, by a name that needs not be known before; absent or null: none"
  ),
  rules: optional(Schema.Array(NewRule), `at most ${most.rules}, not counting those with a \`type\``)
}).annotations({
  identifier: "NewPlacement",
  description: "Where a VM is to be.",
  examples: [
    { group: "web", rules: [{ kind: "apart", over: "rack" }] },
    { rules: [{ kind: "near", strength: "should", group: "web" }] }
  ],
  ...usually({ group: null, rules: [] }),
  ...means((placement) =>
    typeof placement === "object" && placement !== null && Object.keys(placement).length === 0 ? null : placement
  ),
  ...strict
})

const shown = { strength: field(Strength, strengthMeans), weight: optional(Weight, `${weightMeans}; absent: 1`) }
const shownGroup = field(Schema.String, "the group it is about")

const shownOn = <const Kind extends "on" | "notOn">(kind: Kind, means: string) =>
  Schema.Struct({
    kind: kindOf(kind, means),
    ...shown,
    label: field(Schema.String, "of hosts"),
    values: field(Schema.Array(Schema.String), "any of them"),
    type: optional(
      Ids.InstanceTypeId,
      "the instance type that requires it: it stays whatever else is said, until the VM has another type. Absent: it was said of the VM"
    )
  })

const shownBy = <const Kind extends "near" | "apart">(kind: Kind, means: string) =>
  Schema.Struct({ kind: kindOf(kind, means), ...shown, group: shownGroup, over: field(Schema.String, overMeans) })

/** @since 0.7.0 @category schemas */
export const Rule = Schema.Union(
  shownOn("on", onMeans),
  shownOn("notOn", notOnMeans),
  shownBy("near", nearMeans),
  shownBy("apart", apartMeans),
  Schema.Struct({ kind: kindOf("notWith", notWithMeans), ...shown, vms: Schema.Array(Ids.VmId) }),
  Schema.Struct({
    kind: kindOf("evenly", evenlyMeans),
    ...shown,
    group: shownGroup,
    over: field(Schema.String, overMeans),
    skew: Int
  })
).annotations({ identifier: "PlacementRule", description: "A rule about where a VM is to be, with all that it means." })

/** @since 0.7.0 @category schemas */
export const Placement = Schema.Struct({
  group: field(Schema.NullOr(Schema.String), "the group that the VM is in; null: none"),
  rules: Schema.Array(Rule)
}).annotations({ identifier: "PlacementRules", description: "Where a VM is to be." })

/** @since 0.7.0 @category schemas */
export const Violation = Schema.Struct({
  rule: field(Schema.String, "in words, as in `must be apart from web over rack`"),
  strength: field(Strength, "of the rule"),
  reason: field(Schema.String, "why it does not hold, as in `rack r1 has VM 7 (web-1) of web, too`")
}).annotations({ identifier: "Violation", description: "A rule that does not hold where its VM is." })
