/**
 * Compares hosts with the inventory: what is, beside what should be.
 *
 * @since 0.3.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { HostError, PersistenceError, StorageError } from "../domain/Errors.ts"
import type { Foreign } from "../domain/Drift.ts"
import type { HostId } from "../domain/Ids.ts"

/** @since 0.3.0 @category services */
export class Observer extends Context.Tag("vmfabric/Observer")<
  Observer,
  {
    /** What is on the hosts that can be reached, and in the pool, and not in the inventory. By host, then name. */
    readonly foreign: Effect.Effect<ReadonlyArray<Foreign>>
    /** Looks at everything on the host now, closely. */
    readonly look: (id: HostId) => Effect.Effect<void, HostError | StorageError | PersistenceError>
  }
>() {}
