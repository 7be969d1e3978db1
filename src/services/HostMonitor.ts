/**
 * Which hosts can be used at this moment.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { HostError, PersistenceError } from "../domain/Errors.ts"
import type { HostStatus } from "../domain/Host.ts"
import type { HostId } from "../domain/Ids.ts"
import type { DomainChange } from "./Hypervisor.ts"

/** What was noticed of a host: it can be used (again), or something changed on it. @since 0.2.0 @category models */
export type HostEvent =
  | { readonly _tag: "Up"; readonly hostId: HostId }
  | { readonly _tag: "Changed"; readonly hostId: HostId; readonly change: DomainChange }

/** A host has become up, suspect or down. @since 0.4.0 @category models */
export interface HostStatusChange {
  readonly hostId: HostId
  readonly status: HostStatus
}

const connecting: HostStatus = { _tag: "Connecting" }

/** Of one that is not watched: as of one that nobody has tried to reach yet. @since 0.5.0 @category getters */
export const statusOf = (statuses: ReadonlyMap<HostId, HostStatus>, id: HostId): HostStatus =>
  statuses.get(id) ?? connecting

/** @since 0.1.0 @category services */
export class HostMonitor extends Context.Tag("vmfabric/HostMonitor")<
  HostMonitor,
  {
    /** Hosts not in the map are not watched (they were dropped). */
    readonly statuses: Effect.Effect<ReadonlyMap<HostId, HostStatus>>
    /** Completes when every host has been tried once: at once, but for the first seconds of a process. */
    readonly settled: Effect.Effect<void>
    /** Completes when the host is up, or declared lost, so that there is nothing to wait for any more: at once when it is. */
    readonly awaitUp: (id: HostId) => Effect.Effect<void>
    /**
     * What is noticed from the moment the effect ends, until the scope is closed. What happens on a host while it cannot be reached is never told:
     * after `Up`, look.
     */
    readonly events: Effect.Effect<Stream.Stream<HostEvent>, never, Scope.Scope>
    /** Every change from one kind of status to another, in order, from the moment the effect ends, until the scope is closed. */
    readonly changes: Effect.Effect<Stream.Stream<HostStatusChange>, never, Scope.Scope>
    /**
     * Fails at once, without asking the host, when it is not up: what is not begun need not be waited for. A host that has not been tried yet
     * passes. `HostFailure`: it is declared lost, and nothing is waited for.
     */
    readonly check: (id: HostId) => Effect.Effect<void, HostError>
    /**
     * Watches the hosts that the inventory has at this moment: what is new is watched from now on, what is no more or declared lost is not, and nothing
     * connects to it any more; what has other settings is asked what it is.
     */
    readonly refresh: Effect.Effect<void, PersistenceError>
    /** Somebody could not reach the host: it is suspect until it has answered again, or more signs say that it is down; both are tried at once. */
    readonly suspect: (id: HostId, reason: string) => Effect.Effect<void>
  }
>() {}
