/**
 * Examining hosts.
 *
 * @since 0.7.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Finding } from "../domain/Doctor.ts"
import type * as Errors from "../domain/Errors.ts"
import type { HostId } from "../domain/Ids.ts"
import { Doctor } from "../services/Doctor.ts"
import { Inventory } from "../services/Inventory.ts"

/** @since 0.7.0 @category services */
export class Examinations extends Context.Tag("vmfabric/Examinations")<
  Examinations,
  {
    /**
     * What is found on that host (null: on each), which is compared with all others. By host; of each, what is wrong and what is well. Takes up to about a
     * minute.
     */
    readonly examine: (
      id: HostId | null
    ) => Effect.Effect<ReadonlyArray<Finding>, Errors.HostNotFound | Errors.PersistenceError>
  }
>() {}

/** @since 0.7.0 @category layers */
export const layer = Layer.effect(
  Examinations,
  Effect.gen(function* () {
    const doctor = yield* Doctor
    const inventory = yield* Inventory
    return Examinations.of({
      examine: Effect.fn("Examinations.examine")(function* (id) {
        const all = (yield* inventory.hosts).map(({ host }) => host)
        const about = id === null ? all : [(yield* inventory.host(id)).host]
        return yield* doctor.examine(all, about)
      })
    })
  })
)
