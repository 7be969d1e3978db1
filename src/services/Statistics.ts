/**
 * What VMs use, sampled all the time.
 *
 * @since 0.6.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { DomainUuid, HostId } from "../domain/Ids.ts"
import type { History, HostSample, Sample, Step, VmSample } from "../domain/Statistics.ts"

/** Everything is from memory: no host is asked, and what it does not answer is as old as the last sample. @since 0.6.0 @category services */
export class Statistics extends Context.Tag("vmfabric/Statistics")<
  Statistics,
  {
    /** None: it did not run when its host was last sampled, or that was never, or not for a while. */
    readonly now: (uuid: DomainUuid) => Effect.Effect<Option.Option<Sample>>
    /** From a moment on (milliseconds since 1970) until now, as far as that step is kept: 20 s for an hour, 2 min for six, 10 min for a day. */
    readonly history: (uuid: DomainUuid, step: Step, since: number) => Effect.Effect<History>
    /** Of all domains that run on a host, anybody's. */
    readonly ofHost: (id: HostId) => Effect.Effect<HostSample>
    /** The same of every host that was sampled. */
    readonly hosts: Effect.Effect<ReadonlyArray<HostSample>>
    /** Every VM of ours that ran when its host was last sampled. */
    readonly running: Effect.Effect<ReadonlyArray<VmSample>>
  }
>() {}
