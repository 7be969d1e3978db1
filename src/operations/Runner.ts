/**
 * Runs operations in the background of the process, one fiber each.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Errors from "../domain/Errors.ts"
import type { OperationId } from "../domain/Ids.ts"
import type { Operation } from "../domain/Operation.ts"
import { HostMonitor } from "../services/HostMonitor.ts"
import { Hypervisor } from "../services/Hypervisor.ts"
import { Inventory } from "../services/Inventory.ts"
import { Journal } from "../services/Journal.ts"
import { Operations } from "../services/Operations.ts"
import { Storage } from "../services/Storage.ts"
import * as CreateVm from "./CreateVm.ts"
import * as DestroyVm from "./DestroyVm.ts"
import * as Saga from "./Saga.ts"

type Progress =
  | { readonly _tag: "Running" }
  | ({ readonly _tag: "Blocked" } & Saga.Blocked)
  | { readonly _tag: "Ended"; readonly outcome: Saga.Outcome }
  /** by a defect: its journal stays as it is until the next start */
  | { readonly _tag: "Stopped" }

/** Interrupted with its scope: what runs then is left as its journal says and taken up by the next `resume`. @since 0.1.0 @category constructors */
export const make = Effect.gen(function* () {
  const inventory = yield* Inventory
  const journal = yield* Journal
  const monitor = yield* HostMonitor
  const hypervisor = yield* Hypervisor
  const storage = yield* Storage
  const services = { inventory, hypervisor, storage }
  const fibers = yield* FiberMap.make<OperationId>()
  const progress = new Map<OperationId, SubscriptionRef.SubscriptionRef<Progress>>()

  const sagaOf = Effect.fnUntraced(function* (operation: Operation) {
    const vm = yield* inventory.vmRecord(operation.vmId)
    const { host } = yield* inventory.host(vm.hostId)
    switch (operation.kind) {
      case "CreateVm": {
        const image = yield* inventory.image(vm.imageId)
        return CreateVm.saga(services, operation.id, vm, host, image)
      }
      case "DestroyVm":
        return DestroyVm.saga(services, vm, host)
    }
  })

  const run = (operation: Operation, ref: SubscriptionRef.SubscriptionRef<Progress>) =>
    Effect.gen(function* () {
      const current = yield* inventory.operation(operation.id)
      if (current._tag === "None") return yield* Effect.dieMessage(`operation ${operation.id} has no row`)
      const saga = yield* sagaOf(current.value).pipe(
        // the inventory refuses to drop what an unfinished operation needs
        Effect.catchTag("VmNotFound", "HostNotFound", "ImageNotFound", (error) => Effect.die(error))
      )
      return yield* Saga.drive({ journal, monitor }, current.value, saga, (blocked) =>
        SubscriptionRef.set(ref, blocked === null ? { _tag: "Running" } : { _tag: "Blocked", ...blocked })
      )
    }).pipe(
      Effect.tapError((error) => Effect.logError(`operation paused: ${error.message}`)),
      Effect.retry(Saga.databaseRetry),
      Effect.tap((outcome) =>
        Effect.log(outcome._tag === "Succeeded" ? "operation done" : `operation failed: ${outcome.reason}`)
      ),
      Effect.flatMap((outcome) => SubscriptionRef.set(ref, { _tag: "Ended", outcome })),
      Effect.tapDefect((defect) =>
        Effect.zipRight(
          Effect.logError("operation stopped by a defect; it is taken up at the next start", defect),
          SubscriptionRef.set(ref, { _tag: "Stopped" })
        )
      ),
      Effect.ensuring(Effect.sync(() => progress.delete(operation.id))),
      Effect.annotateLogs({ operation: operation.id, kind: operation.kind, vmid: operation.vmId })
    )

  const start = Effect.fnUntraced(function* (operation: Operation) {
    const known = progress.get(operation.id)
    if (known !== undefined) return known
    const ref = yield* SubscriptionRef.make<Progress>({ _tag: "Running" })
    progress.set(operation.id, ref)
    yield* FiberMap.run(fibers, operation.id, run(operation, ref))
    return ref
  }, Effect.uninterruptible)

  const failure = (
    id: OperationId,
    reason: string,
    undone: boolean,
    unreachableHost: Errors.OperationFailed["unreachableHost"]
  ) => new Errors.OperationFailed({ operationId: id, reason, undone, unreachableHost })

  const awaitEnd = Effect.fn("Operations.await")(function* (id: OperationId) {
    const row = yield* inventory.operation(id)
    if (row._tag === "None") return yield* Effect.dieMessage(`operation ${id} does not exist`)
    const { error, state, vmId } = row.value
    if (state === "done") return
    if (state === "failed") return yield* failure(id, error ?? "failed", true, null)
    const ref = yield* start(row.value)
    const { hostId } = yield* Effect.orDie(inventory.vmRecord(vmId))
    const settled = yield* ref.changes.pipe(
      Stream.filter((p) => p._tag !== "Running"),
      Stream.runHead
    )
    if (settled._tag === "None") return yield* Effect.interrupt
    if (settled.value._tag === "Blocked") {
      const { failed, reason, unreachable } = settled.value
      const later = failed ? "what it began is removed" : "it goes on"
      const when = unreachable ? "when the host answers again" : "when the host allows it"
      return yield* failure(id, `${reason}; ${later} ${when}`, false, unreachable ? hostId : null)
    }
    if (settled.value._tag === "Stopped") {
      const reason = "internal error: the controller's log says more; the operation is taken up at the next start"
      return yield* failure(id, reason, false, null)
    }
    const outcome = settled.value._tag === "Ended" ? settled.value.outcome : undefined
    if (outcome?._tag === "Failed") return yield* failure(id, outcome.reason, true, outcome.unreachableHost)
  })

  return Operations.of({
    start: (operation) => Effect.asVoid(start(operation)),
    await: awaitEnd,
    resume: Effect.gen(function* () {
      const unfinished = yield* journal.unfinished
      yield* Effect.forEach(unfinished, start, { discard: true })
      if (unfinished.length > 0) yield* Effect.log(`resuming ${unfinished.length} unfinished operations`)
      return unfinished.length
    })
  })
})
