/**
 * Which hosts can be used at this moment.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { HostStatus } from "../domain/Host.ts"
import type { HostId } from "../domain/Ids.ts"

/** @since 0.1.0 @category services */
export class HostMonitor extends Context.Tag("vmfabric/HostMonitor")<
  HostMonitor,
  {
    /** Hosts not in the map are not watched (they were dropped). */
    readonly statuses: Effect.Effect<ReadonlyMap<HostId, HostStatus>>
    /** Completes when every host has been tried once: at once, but for the first seconds of a process. */
    readonly settled: Effect.Effect<void>
    /** Completes when the host is up: at once when it is. */
    readonly awaitUp: (id: HostId) => Effect.Effect<void>
    /** Somebody could not reach the host: it counts as down until it has answered again, which is tried at once. */
    readonly suspect: (id: HostId, reason: string) => Effect.Effect<void>
  }
>() {}
