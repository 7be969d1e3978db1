/**
 * The pools that hosts share.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Errors from "../domain/Errors.ts"
import { Inventory, type PoolReport } from "../services/Inventory.ts"
import { Storage } from "../services/Storage.ts"

/** @since 0.2.0 @category services */
export class Pools extends Context.Tag("vmfabric/Pools")<
  Pools,
  {
    /**
     * Looks how full the pool for new disks is, unless that was done a moment ago; so that what is admitted next is measured by it. Nothing
     * to do without a pool.
     */
    readonly refresh: Effect.Effect<void, Errors.StorageError | Errors.PersistenceError>
    /** Looked at just now; what cannot be reached is as it was when it last could. */
    readonly list: Effect.Effect<ReadonlyArray<PoolReport>, Errors.PersistenceError>
  }
>() {}

/** How long a look at a pool is good for. */
const fresh = "2 seconds"

/** `overcommit`: how many times a pool's capacity may be promised. @since 0.2.0 @category layers */
export const layer = (options: { readonly overcommit: number }) =>
  Layer.effect(
    Pools,
    Effect.gen(function* () {
      const inventory = yield* Inventory
      const { preferred } = yield* Storage
      const refresh = yield* Effect.cachedWithTTL(
        Effect.gen(function* () {
          const usage = yield* preferred.usage
          if (usage._tag === "None") return
          yield* inventory.setPool({ ...usage.value, driver: preferred.name, overcommit: options.overcommit })
        }),
        fresh
      )
      return Pools.of({
        refresh,
        list: refresh.pipe(
          Effect.catchTag("StorageUnreachable", "StorageFailure", (error) =>
            Effect.logWarning(`the pool is told as it was: ${error.message}`)
          ),
          Effect.zipRight(inventory.pools)
        )
      })
    })
  )
