/**
 * Waiting for one's turn on a VM or volume.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type * as Errors from "../domain/Errors.ts"
import type { VmId, VolumeId } from "../domain/Ids.ts"
import { Operations } from "../services/Operations.ts"
import { Intent, stop } from "./Intent.ts"
import * as Turns from "./Turns.ts"

type Busy = Errors.VmBusy | Errors.VolumeBusy

const isBusy = <E>(error: E): error is Extract<E, Busy> =>
  Predicate.isTagged(error, "VmBusy") || Predicate.isTagged(error, "VolumeBusy")

/** What something is about to be begun on; null: none of that. @since 0.3.0 @category models */
export interface About {
  readonly volumeId?: VolumeId | null
  readonly vmId?: VmId | null
}

/** @since 0.3.0 @category services */
export class Queue extends Context.Tag("vmfabric/Queue")<
  Queue,
  {
    /**
     * Begins something as soon as what else is being done with the same VM or volume has ended, and those who came before have begun.
     * How that ended does not matter; that it cannot end for now does, and fails this too. Where it is only planned nothing is waited for.
     */
    readonly whenFree: <A, E, R>(
      about: About,
      begin: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, Exclude<E, Extract<E, Busy>> | Errors.OperationFailed | Errors.PersistenceError, R>
  }
>() {}

const make = Effect.gen(function* () {
  const operations = yield* Operations
  const inTurn = Turns.make()

  const whenFree = <A, E, R>(
    begin: Effect.Effect<A, E, R>
  ): Effect.Effect<A, Exclude<E, Extract<E, Busy>> | Errors.OperationFailed | Errors.PersistenceError, R> =>
    Effect.catchIf(begin, isBusy, (busy) =>
      operations.await(busy.operationId).pipe(
        Effect.catchTag("OperationFailed", (failure) => (failure.undone ? Effect.void : failure)),
        Effect.zipRight(Effect.suspend(() => whenFree(begin)))
      )
    )

  return Queue.of({
    whenFree: ({ vmId, volumeId }, begin) => {
      const waiting = () => {
        // volumes before VMs, everybody in the same order: nobody waits for one who waits for them
        const names = [
          ...(volumeId === undefined || volumeId === null ? [] : [`volume ${volumeId}`]),
          ...(vmId === undefined || vmId === null ? [] : [`VM ${vmId}`])
        ]
        return names.reduceRight((effect, name) => inTurn(name, () => effect), whenFree(begin))
      }
      return Effect.flatMap(Intent, ({ waits }) =>
        waits ? waiting() : Effect.catchIf(begin, isBusy, (busy) => stop(busy))
      )
    }
  })
})

/** @since 0.3.0 @category layers */
export const layer = Layer.effect(Queue, make)
