/**
 * Why VMs are where they are, and what else would fit.
 *
 * @since 0.7.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Errors from "../domain/Errors.ts"
import type { Explained } from "../domain/Explanation.ts"
import type { Host } from "../domain/Host.ts"
import type { VmId } from "../domain/Ids.ts"
import { limitOf } from "../domain/Pool.ts"
import { onHost } from "../domain/Resources.ts"
import type { Vm } from "../domain/Vm.ts"
import * as FitsOf from "../scheduler/Fits.ts"
import { HostMonitor } from "../services/HostMonitor.ts"
import { Inventory } from "../services/Inventory.ts"
import { Storage } from "../services/Storage.ts"
import * as Candidates from "./Candidates.ts"
import * as Nics from "./Nics.ts"

/** A VM, its host, and why it was placed there; `explained` null: nobody has said so. @since 0.7.0 @category models */
export interface PlacementReport {
  readonly vm: Vm
  readonly host: Host
  readonly explained: Explained | null
}

/** As on hosts, but that a pool may be what there is least of. @since 0.7.0 @category models */
export interface TypeFit extends Omit<FitsOf.Fit, "limit"> {
  readonly limit: FitsOf.Fit["limit"] | "pool"
}

/**
 * What more fits at this moment: of `hosts` so many are `open` to new VMs. `losses`: the hosts without which VMs would have no place, most VMs
 * first.
 *
 * @since 0.7.0 @category models
 */
export interface FitsReport {
  readonly hosts: number
  readonly open: number
  readonly types: ReadonlyArray<TypeFit>
  readonly losses: ReadonlyArray<FitsOf.Loss>
}

/** @since 0.7.0 @category services */
export class Placements extends Context.Tag("vmfabric/Placements")<
  Placements,
  {
    readonly why: (id: VmId) => Effect.Effect<PlacementReport, Errors.VmNotFound | Errors.PersistenceError>
    /** Of each type on offer how many more fit, and which single host's VMs would not fit on the others. */
    readonly fits: Effect.Effect<FitsReport, Errors.PersistenceError>
  }
>() {}

/** After how many hosts others get their turn. */
const turn = 16

/** @since 0.7.0 @category layers */
export const layer = Layer.effect(
  Placements,
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const monitor = yield* HostMonitor
    const storage = yield* Storage
    const { preferred } = storage
    const candidatesOf = Candidates.make()

    /** GiB that can be promised of the pool for new disks; null: there is none, or nobody could look at it yet. */
    const leftOfPool = Effect.map(inventory.pools, (pools) => {
      const report = pools.find(({ pool }) => pool.name === preferred.pool)
      return report === undefined ? null : Math.max(0, limitOf(report.pool) - report.promised)
    })

    return Placements.of({
      why: Effect.fn("Placements.why")(function* (id) {
        const vm = yield* inventory.vm(id)
        // a host with VMs on it cannot be removed
        const { host } = yield* Effect.catchTag(inventory.host(vm.hostId), "HostNotFound", Effect.die)
        return { vm, host, explained: yield* inventory.explained(id) }
      }),
      fits: Effect.gen(function* () {
        const candidates = candidatesOf(yield* inventory.hosts, yield* monitor.statuses)
        const left = yield* leftOfPool
        const types = FitsOf.types(candidates, yield* inventory.types, (type) => onHost(type, preferred.pool)).map(
          (fit): TypeFit => {
            const most = left === null ? fit.more : Math.floor(left / fit.type.disk)
            return most < fit.more ? { ...fit, more: most, limit: "pool" } : fit
          }
        )
        const guests = (yield* inventory.vms()).map(({ driver, hostId, id, name, nics, resources }) => ({
          id,
          name,
          hostId,
          resources: onHost(resources, storage.driver(driver).pool),
          networks: Nics.wishes(nics)
        }))
        const lossOf = FitsOf.losses(candidates, guests)
        const losses: Array<FitsOf.Loss> = []
        for (const [i, candidate] of candidates.entries()) {
          const loss = lossOf(candidate)
          if (loss !== undefined) losses.push(loss)
          if (i % turn === turn - 1) yield* Effect.yieldNow()
        }
        return {
          hosts: candidates.length,
          open: candidates.filter(FitsOf.isOpen).length,
          types,
          losses: losses.toSorted((a, b) => b.homeless.length - a.homeless.length || a.hostId - b.hostId)
        }
      }).pipe(Effect.withSpan("Placements.fits"))
    })
  })
)
