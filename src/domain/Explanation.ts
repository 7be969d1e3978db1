/**
 * Why something is where it is, why it can be nowhere, and what would help: as it is kept, and as it is told.
 *
 * @since 0.7.0
 */
import * as Schema from "effect/Schema"
import * as Ids from "./Ids.ts"
import * as Resources from "./Resources.ts"

const Count = Schema.Int.pipe(Schema.between(0, Number.MAX_SAFE_INTEGER))

/**
 * What a host got points for: a term of the policy, or a rule in words; `points` 1 is a term of weight 1 that could not be better.
 *
 * @since 0.7.0 @category models
 */
export const Term = Schema.Struct({ of: Schema.String, points: Schema.Number })
/** @since 0.7.0 @category models */
export type Term = typeof Term.Type

/** A host that could take it, with its points and what they are for. @since 0.7.0 @category models */
export const Ranked = Schema.Struct({
  hostId: Ids.HostId,
  host: Schema.String,
  score: Schema.Number,
  terms: Schema.Array(Term)
})
/** @since 0.7.0 @category models */
export type Ranked = typeof Ranked.Type

/**
 * Hosts that cannot take it, all for the same: `reasons` are clauses that are true of each (a rule is told by its name), `host` is one of the
 * `count`.
 *
 * @since 0.7.0 @category models
 */
export const Barred = Schema.Struct({ count: Count, host: Schema.String, reasons: Schema.Array(Schema.String) })
/** @since 0.7.0 @category models */
export type Barred = typeof Barred.Type

/** Of how many groups of hosts is told. @since 0.7.0 @category constants */
export const mostGroups = 10

/** The groups that are told, and how many hosts are in the others. @since 0.7.0 @category conversions */
export const firstGroups = (
  groups: ReadonlyArray<Barred>
): { readonly barred: ReadonlyArray<Barred>; readonly unnamed: number } => ({
  barred: groups.slice(0, mostGroups),
  unnamed: groups.slice(mostGroups).reduce((sum, { count }) => sum + count, 0)
})

/**
 * Why a host was chosen, as it was then.
 *
 * - `hosts` in all, `candidates` of them could take it.
 * - `best`: the chosen one and those that came nearest to it, the best first.
 * - `decided`: what decided, one sentence.
 * - `barred`: the others by what barred them, the largest groups first, at most `mostGroups`; `unnamed` hosts are in further ones.
 *
 * @since 0.7.0 @category models
 */
export const Explanation = Schema.Struct({
  hosts: Count,
  candidates: Count,
  best: Schema.Array(Ranked),
  decided: Schema.String,
  barred: Schema.Array(Barred),
  unnamed: Count
}).annotations({ identifier: "Explanation" })
/** @since 0.7.0 @category models */
export type Explanation = typeof Explanation.Type

/** An explanation with when it was written, in milliseconds since 1970. @since 0.7.0 @category models */
export interface Explained {
  readonly at: number
  readonly explanation: Explanation
}

/**
 * What would let it be placed, on that host, each found by trying it out. `text` says it in one clause.
 *
 * - `rule`: without having to keep to these `rules`.
 * - `network`: without NICs on these `networks`.
 * - `host`: when the host takes new ones again (`maintenance`: that is for somebody to decide).
 * - `type`: as an instance type of this size.
 * - `move`: with these VMs on other hosts that can take them.
 * - `room`: with so much less promised there (`lacks`), for it lacks nothing else.
 *
 * @since 0.7.0 @category models
 */
export const Repair = Schema.Struct({
  kind: Schema.Literal("rule", "network", "host", "type", "move", "room"),
  text: Schema.String,
  hostId: Ids.HostId,
  host: Schema.String,
  rules: Schema.optionalWith(Schema.Array(Schema.String), { exact: true }),
  networks: Schema.optionalWith(Schema.Array(Schema.String), { exact: true }),
  maintenance: Schema.optionalWith(Schema.Boolean, { exact: true }),
  type: Schema.optionalWith(Ids.InstanceTypeId, { exact: true }),
  moves: Schema.optionalWith(
    Schema.Array(Schema.Struct({ vmId: Ids.VmId, name: Schema.String, toHostId: Ids.HostId, toHost: Schema.String })),
    { exact: true }
  ),
  lacks: Schema.optionalWith(Resources.Resources, { exact: true })
})
/** @since 0.7.0 @category models */
export type Repair = typeof Repair.Type

/**
 * Why no host can take it: `barred` has all `hosts` by what bars them, the largest groups first, at most `mostGroups` (`unnamed` are in
 * further ones); `repairs` are the smallest that were found, those that are easiest to do first.
 *
 * @since 0.7.0 @category models
 */
export const Refusal = Schema.Struct({
  hosts: Count,
  barred: Schema.Array(Barred),
  unnamed: Count,
  repairs: Schema.Array(Repair)
}).annotations({ identifier: "PlacementRefusal" })
/** @since 0.7.0 @category models */
export type Refusal = typeof Refusal.Type

/** As in `412 hosts: memory short by 6 GiB or more`; a single host by its name. @since 0.7.0 @category formatting */
export const showBarred = ({ count, host, reasons }: Barred): string =>
  `${count === 1 ? host : `${count} hosts`}: ${reasons.join("; ")}`
