/**
 * Pools: storage that all hosts share.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"

/** What a disk or volume is kept with: `dir` (a folder on its host), `rbd` (a Ceph pool), or a driver of one's own. @since 0.2.0 @category models */
export const DriverName = Schema.String.pipe(
  Schema.pattern(/^[a-z][a-z0-9-]{0,31}$/),
  Schema.annotations({ identifier: "DriverName" })
)
/** @since 0.2.0 @category models */
export type DriverName = typeof DriverName.Type

/**
 * A pool as it was when it was last looked at, in bytes without replicas: `capacity` is what it could hold in all, `used` what has
 * been written, `available` what can still be written.
 *
 * @since 0.2.0 @category models
 */
export const Pool = Schema.Struct({
  name: Schema.String,
  driver: DriverName,
  capacity: Schema.Number,
  used: Schema.Number,
  available: Schema.Number,
  /** how many times the capacity may be promised */
  overcommit: Schema.Number
}).annotations({ identifier: "Pool" })
/** @since 0.2.0 @category models */
export type Pool = typeof Pool.Type

/** GiB that may be promised of it in all. @since 0.7.0 @category getters */
export const limitOf = ({ capacity, overcommit }: Pool): number => Math.floor((capacity * overcommit) / 1024 ** 3)
