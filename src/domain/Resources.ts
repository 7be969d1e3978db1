/**
 * Amounts of what a host has and a VM takes.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const Amount = Schema.Int.pipe(Schema.between(0, Number.MAX_SAFE_INTEGER))

/**
 * `cpu` in vCPUs, `ram` in MiB, `disk` in GiB: the original program's names and units.
 *
 * @since 0.1.0 @category models
 */
export const Resources = Schema.Struct({ cpu: Amount, ram: Amount, disk: Amount }).annotations({
  identifier: "Resources",
  description: "`cpu` in vCPUs, `ram` in MiB, `disk` in GiB"
})
/** @since 0.1.0 @category models */
export type Resources = typeof Resources.Type

/** @since 0.1.0 @category models */
export const names = ["cpu", "ram", "disk"] as const
/** @since 0.1.0 @category models */
export type Name = (typeof names)[number]

/** @since 0.1.0 @category models */
export const units: Record<Name, string> = { cpu: "vCPU", ram: "MiB of memory", disk: "GiB of disk" }

/** What something takes of its host when its disk is in that pool; null: on the host itself. A disk in a pool is none of the host's. @since 0.7.0 @category conversions */
export const onHost = (resources: Resources, pool: string | null): Resources =>
  pool === null ? resources : { ...resources, disk: 0 }

/** @since 0.1.0 @category constructors */
export const zero: Resources = { cpu: 0, ram: 0, disk: 0 }

/** @since 0.1.0 @category combinators */
export const map = (f: (name: Name) => number): Resources => ({ cpu: f("cpu"), ram: f("ram"), disk: f("disk") })
