/**
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Ids from "./Ids.ts"
import { Required } from "./Placement.ts"

/**
 * A VM's size as a user chooses it: `cpu` in vCPUs (1 to 1,024), `ram` in MiB (16 to 64 TiB), `disk` in GiB (1 to 1 PiB). `requires`: what a host
 * has to have, by its labels; absent: nothing.
 *
 * @since 0.1.0 @category models
 */
export const InstanceType = Schema.Struct({
  tid: Ids.InstanceTypeId,
  cpu: Schema.Int.pipe(Schema.between(1, 1024)),
  ram: Schema.Int.pipe(Schema.between(16, 64 * 1024 * 1024)),
  disk: Schema.Int.pipe(Schema.between(1, 1024 * 1024)),
  requires: Schema.optionalWith(Required, { exact: true })
}).annotations({ identifier: "InstanceType" })
/** @since 0.1.0 @category models */
export type InstanceType = typeof InstanceType.Type

/** Who gave a type: the types file, or somebody by the API. @since 0.7.0 @category models */
export const TypeOrigin = Schema.Literal("file", "api")
/** @since 0.7.0 @category models */
export type TypeOrigin = typeof TypeOrigin.Type

/** A type with where it comes from. `retired`: new VMs cannot have it; those that do keep what they were made with. @since 0.7.0 @category models */
export const KnownType = Schema.Struct({
  ...InstanceType.fields,
  origin: TypeOrigin,
  retired: Schema.Boolean
}).annotations({ identifier: "KnownType" })
/** @since 0.7.0 @category models */
export type KnownType = typeof KnownType.Type
