/**
 * VMs that come and go, as a trace tells of them.
 *
 * @since 0.7.0
 */
import type * as Resources from "./Resources.ts"

/**
 * A VM that is wanted from `at` on, until before `until` (seconds; null: it stays). Of `resources` `cpu` is in thousandths of a vCPU, for
 * traces have parts of one; `ram` is in MiB and `disk` in GiB, as everywhere.
 *
 * @since 0.7.0 @category models
 */
export interface Arrival {
  readonly at: number
  readonly until: number | null
  readonly resources: Resources.Resources
}

/** In the order of `at`. @since 0.7.0 @category models */
export type Trace = ReadonlyArray<Arrival>
