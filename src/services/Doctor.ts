/**
 * Examines hosts.
 *
 * @since 0.7.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Finding } from "../domain/Doctor.ts"
import type { Host } from "../domain/Host.ts"

/** @since 0.7.0 @category services */
export class Doctor extends Context.Tag("vmfabric/Doctor")<
  Doctor,
  {
    /**
     * Looks at those of `hosts` that are in `about`, at all of them at the same time; the others are what they are compared with. Nothing is changed but that a
     * tiny guest runs for a moment, and a tiny image is in the Ceph pool. Ends within about a minute, whatever hosts do: what does not answer in time is a finding.
     */
    readonly examine: (hosts: ReadonlyArray<Host>, about: ReadonlyArray<Host>) => Effect.Effect<ReadonlyArray<Finding>>
  }
>() {}
