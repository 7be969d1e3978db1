/**
 * Where a VM goes.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { NoFeasibleHost } from "../domain/Errors.ts"
import type { Explanation, Refusal } from "../domain/Explanation.ts"
import type { Host, HostStatus } from "../domain/Host.ts"
import type { HostId, VmId } from "../domain/Ids.ts"
import type { InstanceType } from "../domain/InstanceType.ts"
import type { Wish } from "../domain/Network.ts"
import type { Placement } from "../domain/Placement.ts"
import type { Resources } from "../domain/Resources.ts"

/** One host as the scheduler sees it. `promised` is the sum over all VMs that have a reservation there. @since 0.1.0 @category models */
export interface Candidate {
  readonly host: Host
  readonly status: HostStatus
  readonly promised: Resources
  readonly vms: number
  /** what the VMs there are counted in for rules about groups (`Placement.countedIn`), each as often as it is; absent: nothing */
  readonly groups?: ReadonlyArray<string>
}

/** @since 0.1.0 @category models */
export interface PlacementRequest {
  readonly resources: Resources
  /** hosts not to be used, each with the reason a user would be told */
  readonly exclude: ReadonlyMap<HostId, string>
  /** what its NICs are to be plugged into; absent: it has none */
  readonly networks?: ReadonlyArray<Wish>
  /** its group and its rules; absent: nothing is said of them */
  readonly placement?: Placement
  /** where the VMs are that its rules name; one that is not in it is no more */
  readonly others?: ReadonlyMap<VmId, HostId>
  /** how many of the same come after it, all or none of them: it is placed so that they can be. Absent: it is alone */
  readonly following?: number
}

/**
 * A size of VM that is usual, and how much of all VMs it makes up (from 0 up, only quotients count).
 *
 * @since 0.8.0 @category models
 */
export interface UsualSize {
  readonly resources: Resources
  readonly share: number
}

/** @since 0.1.0 @category services */
export class Scheduler extends Context.Tag("vmfabric/Scheduler")<
  Scheduler,
  {
    /**
     * Chooses a host. Pure and synchronous inside, because it runs in the inventory's transaction: what it chooses is reserved before
     * anything else can be. Fails with every host's reason.
     */
    readonly place: (
      request: PlacementRequest,
      candidates: ReadonlyArray<Candidate>
    ) => Effect.Effect<HostId, NoFeasibleHost>
    /**
     * Why that host was chosen, asked in the same transaction. Absent: it does not say, and nothing is kept of it.
     *
     * @since 0.7.0
     */
    readonly explain?: (
      request: PlacementRequest,
      candidates: ReadonlyArray<Candidate>,
      chosen: HostId
    ) => Effect.Effect<Explanation>
    /**
     * What it failed for, grouped, and the smallest changes that would help; `types` could be asked for instead. Absent: a user is told the
     * reasons of `place`, grouped.
     *
     * @since 0.7.0
     */
    readonly refuse?: (
      request: PlacementRequest,
      candidates: ReadonlyArray<Candidate>,
      types: ReadonlyArray<InstanceType>
    ) => Effect.Effect<Refusal>
    /**
     * Told which sizes are usual, whenever they have been counted anew, so that what stays free is of use to them. Absent: it decides without
     * them, and nobody counts.
     *
     * @since 0.8.0
     */
    readonly expect?: (sizes: ReadonlyArray<UsualSize>) => Effect.Effect<void>
  }
>() {}
