/**
 * Why VMs are where they are.
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
import type { Vm } from "../domain/Vm.ts"
import { Inventory } from "../services/Inventory.ts"

/** A VM, its host, and why it was placed there; `explained` null: nobody has said so. @since 0.7.0 @category models */
export interface PlacementReport {
  readonly vm: Vm
  readonly host: Host
  readonly explained: Explained | null
}

/** @since 0.7.0 @category services */
export class Placements extends Context.Tag("vmfabric/Placements")<
  Placements,
  {
    readonly why: (id: VmId) => Effect.Effect<PlacementReport, Errors.VmNotFound | Errors.PersistenceError>
  }
>() {}

/** @since 0.7.0 @category layers */
export const layer = Layer.effect(
  Placements,
  Effect.map(Inventory, (inventory) =>
    Placements.of({
      why: Effect.fn("Placements.why")(function* (id) {
        const vm = yield* inventory.vm(id)
        // a host with VMs on it cannot be removed
        const { host } = yield* Effect.catchTag(inventory.host(vm.hostId), "HostNotFound", Effect.die)
        return { vm, host, explained: yield* inventory.explained(id) }
      })
    })
  )
)
