/**
 * Drift: where a VM on its host is not what it should be.
 *
 * @since 0.3.0
 */
import * as Schema from "effect/Schema"
import * as Ids from "./Ids.ts"

/**
 * What a difference is about:
 *
 * - `power`: whether the VM runs
 * - `definition`: its domain itself, title, vCPUs, memory
 * - `disks`: its root disk and volumes
 * - `network`: its NICs
 *
 * @since 0.3.0 @category models
 */
export const DriftKind = Schema.Literal("power", "definition", "disks", "network")
/** @since 0.3.0 @category models */
export type DriftKind = typeof DriftKind.Type

/**
 * What is done about a difference. `ignore`: it is not even told. `report`: it is told, and left alone. `repair`: it is told, and mended as far as
 * that can be done without taking anything from a running guest.
 *
 * @since 0.3.0 @category models
 */
export const DriftPolicy = Schema.Literal("ignore", "report", "repair")
/** @since 0.3.0 @category models */
export type DriftPolicy = typeof DriftPolicy.Type

/** @since 0.3.0 @category models */
export type DriftPolicies = Readonly<Record<DriftKind, DriftPolicy>>

/** Nobody's work on a host is fought unless that was asked for. @since 0.3.0 @category constants */
export const defaultPolicies: DriftPolicies = {
  power: "report",
  definition: "report",
  disks: "report",
  network: "report"
}

/**
 * One field that differs. Values are as a person reads them; `null`: nothing. `applied`: what our last operation made it, which tells a change by
 * hand from a change of mind.
 *
 * @since 0.3.0 @category models
 */
export const DriftField = Schema.Struct({
  kind: DriftKind,
  /** as in `vcpus`, `vcpus (running)`, `volume-7`, `disk vdq` */
  field: Schema.String,
  wanted: Schema.NullOr(Schema.String),
  applied: Schema.NullOr(Schema.String),
  seen: Schema.NullOr(Schema.String)
})
/** @since 0.3.0 @category models */
export type DriftField = typeof DriftField.Type

/** @since 0.3.0 @category models */
export class Drift extends Schema.Class<Drift>("Drift")({
  vmId: Ids.VmId,
  ...DriftField.fields,
  /** milliseconds since 1970: when it was first seen to differ */
  since: Schema.Int
}) {}

/**
 * Something on a host, or in the pool, that is not in the inventory. It is listed, and never touched.
 *
 * @since 0.3.0 @category models
 */
export interface Foreign {
  /** null: in the pool that all hosts share */
  readonly hostId: Ids.HostId | null
  readonly what: "domain" | "root disk" | "volume"
  /** as in `vm-7`, `web-old`, `volume-3` */
  readonly name: string
  /** a domain's */
  readonly uuid: string | null
  /** why it is taken for foreign, in words */
  readonly reason: string
}
