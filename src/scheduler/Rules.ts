/**
 * Where a VM is to go, as people say it.
 *
 * @since 0.7.0
 */
import type { HostId, InstanceTypeId } from "../domain/Ids.ts"
import type { Wish } from "../domain/Network.ts"
import { showValues } from "../domain/Placement.ts"
import type { Resources } from "../domain/Resources.ts"

/**
 * What counts as one place: the host, or all hosts with the same value of a label (`{ label: "rack" }`). A host without the label is in no
 * place: a must-rule keeps off it, since nobody could say whether it is kept there.
 *
 * @since 0.7.0 @category models
 */
export type Topology = "host" | { readonly label: string }

/**
 * `must` is never broken. `should` costs or gives points, as many as a weight of the policy's terms (1 when absent, below 0 is 0).
 *
 * @since 0.7.0 @category models
 */
export type Strength =
  { readonly strength: "must" } | { readonly strength: "should"; readonly weight?: number | undefined }

/**
 * - `hosts`: on hosts whose label has (`is: "in"`) or has not (`"not in"`) one of the values; a host without the label has none of them.
 * - `near`: in a place where the group has somebody already; the first may go anywhere.
 * - `apart`: in a place where the group has nobody.
 * - `notWith`: not on a host of the group's, which is somebody else's.
 * - `evenly`: where the group then has at most `skew` (1 or more) more than in the place where it has fewest, of all places with a host
 *   that is in use and that the request's networks and must-rules about hosts allow.
 *
 * @since 0.7.0 @category models
 */
export type Rule = Strength &
  (
    | {
        readonly kind: "hosts"
        readonly label: string
        readonly is: "in" | "not in"
        readonly values: ReadonlyArray<string>
        /** whose it is: nothing but another type helps against it. Absent: nobody's in particular */
        readonly type?: InstanceTypeId
      }
    | { readonly kind: "near" | "apart"; readonly group: string; readonly over: Topology }
    | { readonly kind: "notWith"; readonly group: string }
    | { readonly kind: "evenly"; readonly group: string; readonly over: Topology; readonly skew: number }
  )

/** Whether the instance type requires it. @since 0.9.0 @category predicates */
export const isOfType = (rule: Rule): boolean => rule.kind === "hosts" && rule.type !== undefined

/** @since 0.7.0 @category models */
export interface Request {
  readonly resources: Resources
  /** what its NICs are to be plugged into; absent: it has none */
  readonly networks?: ReadonlyArray<Wish>
  readonly rules?: ReadonlyArray<Rule>
  /** hosts not to be used, each with the reason a user would be told */
  readonly exclude?: ReadonlyMap<HostId, string>
}

/** @since 0.7.0 @category formatting */
export const showTopology = (over: Topology): string => (over === "host" ? "host" : over.label)

/** As in `must be apart from the others of web over rack`. @since 0.7.0 @category formatting */
export const show = (rule: Rule): string => {
  const start = `${rule.strength} be`
  switch (rule.kind) {
    case "hosts":
      return `${start} on a host with ${rule.label} ${rule.is} ${showValues(rule.values)}`
    case "near":
      return `${start} near ${rule.group} over ${showTopology(rule.over)}`
    case "apart":
      return `${start} apart from ${rule.group} over ${showTopology(rule.over)}`
    case "notWith":
      return `${start} on no host of ${rule.group}`
    case "evenly":
      return `${start} spread evenly with ${rule.group} over ${showTopology(rule.over)}, by ${rule.skew} at most`
  }
}
