/**
 * The same done with many VMs at once.
 *
 * @since 0.8.0
 */
import { Atom } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import type { OperationId, VmId } from "../../domain/Ids.ts"
import { runtime, type Words, wordsOf } from "./Api.ts"
import { type Action, isOperation } from "./Tasks.ts"

/** `begun`: an operation does it, or it was so already. @since 0.8.0 @category models */
export type BulkState =
  | { readonly _tag: "asking" }
  | { readonly _tag: "begun"; readonly operationId: OperationId | null }
  | { readonly _tag: "refused"; readonly words: Words }

/** @since 0.8.0 @category models */
export interface Bulk {
  /** as in `Start` */
  readonly name: string
  readonly vms: ReadonlyMap<VmId, { readonly name: string; readonly state: BulkState }>
}

/** What was asked for last; null: nothing, or it was seen. @since 0.8.0 @category atoms */
export const bulkAtom = Atom.keepAlive(Atom.make<Bulk | null>(null))

/** So many requests at a time: a browser keeps few connections to a server, and one follows the events. */
const atOnce = 4

/** @since 0.8.0 @category atoms */
export const bulkBeginAtom = Atom.keepAlive(
  runtime.fn<{
    readonly name: string
    readonly actions: ReadonlyArray<{ readonly id: VmId; readonly name: string; readonly run: Action["run"] }>
  }>()(({ actions, name }, get) =>
    Effect.gen(function* () {
      const all = new Map<VmId, { readonly name: string; readonly state: BulkState }>(
        actions.map((one) => [one.id, { name: one.name, state: { _tag: "asking" } }])
      )
      get.registry.set(bulkAtom, { name, vms: all })
      yield* Effect.forEach(
        actions,
        ({ id, name: vm, run }) =>
          Effect.match(run, {
            onFailure: (error): BulkState => ({ _tag: "refused", words: wordsOf(error) }),
            onSuccess: (answer): BulkState => ({
              _tag: "begun",
              operationId: isOperation(answer) ? answer.id : null
            })
          }).pipe(
            Effect.map((state) => {
              all.set(id, { name: vm, state })
              get.registry.set(bulkAtom, { name, vms: new Map(all) })
            })
          ),
        { concurrency: atOnce, discard: true }
      )
    })
  )
)
