/**
 * The same done with many VMs at once.
 *
 * @since 0.8.0
 */
import { Atom, type Registry } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import type { Operation } from "../../api/Operations.ts"
import type { OperationId, VmId } from "../../domain/Ids.ts"
import { isUnknown, runtime, type Words, wordsOf } from "./Api.ts"
import { meAtom } from "./Session.ts"
import { type Action, isOperation } from "./Tasks.ts"

/** `asking`: it has not been asked for, or not been answered; `begun`: an operation does it, or it was so already; `left`: it was not asked for any more. @since 0.8.0 @category models */
export type BulkState =
  | { readonly _tag: "asking" }
  | {
      readonly _tag: "begun"
      readonly operationId: OperationId | null
      /** as it was when it was seen to have ended, which it stays; null: it was not yet @since 0.13.0 */
      readonly ended: Operation | null
    }
  | { readonly _tag: "refused"; readonly words: Words }
  | { readonly _tag: "left" }

interface BulkVm {
  readonly name: string
  readonly state: BulkState
}

/** @since 0.8.0 @category models */
export interface Bulk {
  /** which of several it is */
  readonly key: number
  /** as in `Start` */
  readonly name: string
  /** nothing more is asked for; what was goes on */
  readonly stopped: boolean
  readonly vms: ReadonlyMap<VmId, BulkVm>
}

/** What was asked for here and was not dismissed yet, the newest last. @since 0.12.0 @category atoms */
export const bulksAtom = Atom.keepAlive(Atom.make<ReadonlyArray<Bulk>>([]))

/** How many are not answered, or not even asked for. @since 0.12.0 @category accessors */
export const askingOf = ({ vms }: Bulk): number =>
  [...vms.values()].reduce((sum, { state }) => (state._tag === "asking" ? sum + 1 : sum), 0)

/** So many requests at a time, whatever is done: a browser keeps few connections to a server, and one follows the events. */
const atOnce = 4

const turns = Effect.unsafeMakeSemaphore(atOnce)

let last = 0

const ask = (event: BeforeUnloadEvent) => event.preventDefault()

/** Whoever leaves the page leaves the rest undone, so is asked. */
const put = (registry: Registry.Registry, change: (bulks: ReadonlyArray<Bulk>) => ReadonlyArray<Bulk>) => {
  const bulks = change(registry.get(bulksAtom))
  registry.set(bulksAtom, bulks)
  if (bulks.every((one) => askingOf(one) === 0)) window.removeEventListener("beforeunload", ask)
  else window.addEventListener("beforeunload", ask)
}

/** Those that are begun one after the other go on beside each other. @since 0.8.0 @category atoms */
export const bulkBeginAtom = Atom.keepAlive(
  runtime.fn<{
    readonly name: string
    readonly actions: ReadonlyArray<{ readonly id: VmId; readonly name: string; readonly run: Action["run"] }>
  }>()(
    ({ actions, name }, { registry }) =>
      Effect.suspend(() => {
        const key = ++last
        const vms: Bulk["vms"] = new Map(actions.map((one) => [one.id, { name: one.name, state: { _tag: "asking" } }]))
        const change = (next: (bulk: Bulk) => Partial<Bulk>) =>
          put(registry, (bulks) => bulks.map((one) => (one.key === key ? { ...one, ...next(one) } : one)))
        const isStopped = () => registry.get(bulksAtom).find((one) => one.key === key)?.stopped ?? true
        put(registry, (bulks) => [...bulks, { key, name, stopped: false, vms }])
        const asked = (run: Action["run"]) =>
          Effect.match(run, {
            onFailure: (error): BulkState => {
              // without a session nothing is done: whoever looks signs in first
              if (isUnknown(error)) {
                change(() => ({ stopped: true }))
                registry.refresh(meAtom)
              }
              return { _tag: "refused", words: wordsOf(error) }
            },
            onSuccess: (answer): BulkState => ({
              _tag: "begun",
              operationId: isOperation(answer) ? answer.id : null,
              ended: null
            })
          })
        return Effect.forEach(
          actions,
          ({ id, name: vm, run }) =>
            Effect.suspend(() => (isStopped() ? Effect.succeed<BulkState>({ _tag: "left" }) : asked(run))).pipe(
              turns.withPermits(1),
              Effect.map((state) => {
                change(({ vms }) => ({ vms: new Map(vms).set(id, { name: vm, state }) }))
              })
            ),
          { concurrency: atOnce, discard: true }
        )
      }),
    { concurrent: true }
  )
)

/** Asks for no more of it; what was asked for goes on. @since 0.12.0 @category atoms */
export const bulkStopAtom = Atom.fnSync((key: number, { registry }) =>
  put(registry, (bulks) => bulks.map((one) => (one.key === key ? { ...one, stopped: true } : one)))
)

/** Keeps what has ended of those that are listed: there may be too many for all to be listed for long. @since 0.13.0 @category atoms */
export const bulkSeenAtom = Atom.fnSync((operations: ReadonlyArray<Operation>, { registry }) => {
  const ended = new Map(operations.flatMap((one) => (one.endedAt === null ? [] : [[one.id, one] as const])))
  const before = registry.get(bulksAtom)
  const bulks = before.map((bulk) => {
    let vms: Map<VmId, BulkVm> | null = null
    for (const [id, { name, state }] of bulk.vms) {
      if (state._tag !== "begun" || state.operationId === null || state.ended !== null) continue
      const operation = ended.get(state.operationId)
      if (operation === undefined) continue
      vms ??= new Map(bulk.vms)
      vms.set(id, { name, state: { ...state, ended: operation } })
    }
    return vms === null ? bulk : { ...bulk, vms }
  })
  if (bulks.some((one, i) => one !== before[i])) put(registry, () => bulks)
})

/** When what became of it was seen. @since 0.12.0 @category atoms */
export const bulkDismissAtom = Atom.fnSync((key: number, { registry }) =>
  put(registry, (bulks) => bulks.filter((one) => one.key !== key))
)
