/**
 * Runs operations in the background of the process, one fiber each.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Errors from "../domain/Errors.ts"
import type { OperationId } from "../domain/Ids.ts"
import type { Operation, OperationReport, Progress } from "../domain/Operation.ts"
import * as Meters from "../observability/Meters.ts"
import * as Paced from "../observability/Paced.ts"
import { Readiness } from "../observability/Readiness.ts"
import * as Trail from "../observability/Trail.ts"
import { HostMonitor } from "../services/HostMonitor.ts"
import { Hypervisor } from "../services/Hypervisor.ts"
import { ImageLibrary } from "../services/ImageLibrary.ts"
import { ImageStore } from "../services/ImageStore.ts"
import { Inventory } from "../services/Inventory.ts"
import { Journal } from "../services/Journal.ts"
import { Operations } from "../services/Operations.ts"
import { Storage } from "../services/Storage.ts"
import * as Kinds from "./Kinds.ts"
import * as Places from "./Places.ts"
import * as Retry from "./Retry.ts"
import * as Saga from "./Saga.ts"
import * as Watchdog from "./Watchdog.ts"

type Status =
  | { readonly _tag: "Running" }
  | ({ readonly _tag: "Blocked" } & Saga.Blocked)
  | { readonly _tag: "Ended"; readonly outcome: Saga.Outcome }
  /** by a defect: its journal stays as it is until the next start */
  | { readonly _tag: "Stopped" }

/** What those who wait for an operation are told. */
type Settled = Exclude<Status, { readonly _tag: "Running" }>

/** An operation that has a fiber. */
interface Driven {
  status: Status
  /** who waits until it is no longer just running */
  readonly waiting: Set<(status: Settled) => void>
  readonly cancel: Deferred.Deferred<void>
  /** completed when it has its turn, or has ended */
  readonly takenUp: Deferred.Deferred<void>
  progress: Progress | null
}

const setStatus = (driven: Driven, status: Status): Effect.Effect<void> =>
  Effect.sync(() => {
    driven.status = status
    if (status._tag === "Running") return
    for (const tell of driven.waiting) tell(status)
    driven.waiting.clear()
  })

const settled = (driven: Driven): Effect.Effect<Settled> =>
  Effect.async((resume) => {
    const { status, waiting } = driven
    if (status._tag !== "Running") return resume(Effect.succeed(status))
    const tell = (status: Settled) => resume(Effect.succeed(status))
    waiting.add(tell)
    return Effect.sync(() => void waiting.delete(tell))
  })

/** With a second on its host for each, so many are begun a second; on one processor they are all a few seconds old then. */
const places: Places.Options = { count: 256, patience: "4 seconds" }

const waits = {
  host: "when the host answers again, or is declared lost",
  storage: "when the storage answers again"
} as const

/** Unfinished operations that are begun with at once at a start, before others are let in. */
const takenUpAtOnce = 16

/** Interrupted with its scope: what runs then is left as its journal says and taken up by the next `resume`. @since 0.1.0 @category constructors */
export const make = Effect.gen(function* () {
  const inventory = yield* Inventory
  const journal = yield* Journal
  const monitor = yield* HostMonitor
  const ports: Kinds.Ports = {
    inventory,
    hypervisor: yield* Hypervisor,
    storage: yield* Storage,
    store: yield* ImageStore,
    library: yield* ImageLibrary
  }
  const scope = yield* Effect.scope
  const watchdog = Watchdog.make(scope)
  const fibers = yield* FiberMap.make<OperationId>()
  const all = new Map<OperationId, Driven>()
  const { enter, leave, skip } = yield* Places.make(places)
  const taken = yield* (yield* Readiness).pending("operations", "unfinished operations are being taken up")

  const follower = (id: OperationId, driven: Driven): Saga.Follower => ({
    cancel: driven.cancel,
    onBlocked: (blocked) => setStatus(driven, blocked === null ? { _tag: "Running" } : { _tag: "Blocked", ...blocked }),
    onProgress: (progress) =>
      Effect.suspend(() => {
        driven.progress = progress
        if (progress.waiting !== null) return leave(id)
        // a step, or a try of it, begins; one that is under way is not held up
        return progress.percent === null ? enter(id, true) : Effect.void
      })
  })

  const outcomeOf = ({ error, state }: Operation): Saga.Outcome =>
    state === "done" ? { _tag: "Succeeded" } : { _tag: "Failed", reason: error ?? "failed", unreachableHost: null }

  const run = (operation: Operation, driven: Driven) =>
    Effect.gen(function* () {
      yield* enter(operation.id, false)
      yield* Deferred.succeed(driven.takenUp, undefined)
      const current = yield* inventory.operation(operation.id)
      if (current._tag === "None") return yield* Effect.dieMessage(`operation ${operation.id} has no row`)
      if (current.value.ended) return outcomeOf(current.value)
      const saga = yield* Kinds.kinds[operation.kind].saga(ports, current.value).pipe(
        // the inventory refuses to drop what an unfinished operation needs
        Effect.catchTag("VmNotFound", "HostNotFound", "ImageNotFound", "VolumeNotFound", "SnapshotNotFound", (error) =>
          Effect.die(error)
        )
      )
      return yield* Saga.drive(
        { journal, monitor, watchdog },
        current.value,
        saga,
        follower(operation.id, driven)
      ).pipe(
        Effect.tap(({ _tag }) => Meters.operationEnded(operation, _tag)),
        Effect.annotateLogs(saga.hosts.length === 0 ? {} : { host: saga.hosts.map(({ name }) => name).join(" ") })
      )
    }).pipe(
      Effect.tapError((error) =>
        Effect.zipRight(
          Effect.logError(`operation paused: ${error.message}`),
          Effect.sync(() => {
            if (driven.progress !== null) driven.progress = { ...driven.progress, waiting: error.message }
          })
        )
      ),
      Effect.retry(Retry.databaseRetry),
      Effect.tap((outcome) =>
        Effect.log(outcome._tag === "Succeeded" ? "operation done" : `operation failed: ${outcome.reason}`)
      ),
      Effect.flatMap((outcome) => setStatus(driven, { _tag: "Ended", outcome })),
      Effect.tapDefect((defect) =>
        Effect.zipRight(
          Effect.logError("operation stopped by a defect; it is taken up at the next start", defect),
          setStatus(driven, { _tag: "Stopped" })
        )
      ),
      Effect.ensuring(
        Effect.suspend(() => {
          all.delete(operation.id)
          return Effect.zipRight(leave(operation.id), Deferred.succeed(driven.takenUp, undefined))
        })
      ),
      Effect.annotateLogs({
        operation: operation.id,
        kind: operation.kind,
        ...(operation.vmId === null ? {} : { vmid: operation.vmId }),
        ...(operation.volumeId === null ? {} : { volumeid: operation.volumeId })
      })
    )

  const start = Effect.fnUntraced(function* (operation: Operation) {
    const known = all.get(operation.id)
    if (known !== undefined) return known
    const driven: Driven = {
      status: { _tag: "Running" },
      waiting: new Set(),
      cancel: yield* Deferred.make<void>(),
      takenUp: yield* Deferred.make<void>(),
      progress: null
    }
    all.set(operation.id, driven)
    yield* FiberMap.run(fibers, operation.id, run(operation, driven))
    return driven
  }, Effect.uninterruptible)

  const failure = (
    id: OperationId,
    reason: string,
    undone: boolean,
    unreachableHost: Errors.OperationFailed["unreachableHost"]
  ) => new Errors.OperationFailed({ operationId: id, reason, undone, unreachableHost })

  /** As its row says it is, driven unless it has ended. */
  const byRow = Effect.fnUntraced(function* (id: OperationId) {
    const row = yield* inventory.operation(id)
    if (row._tag === "None") return yield* Effect.dieMessage(`operation ${id} does not exist`)
    return row.value.ended
      ? ({ _tag: "Ended", outcome: outcomeOf(row.value) } satisfies Settled)
      : yield* Effect.flatMap(start(row.value), settled)
  })

  const awaitEnd = Effect.fnUntraced(function* (id: OperationId) {
    const driven = all.get(id)
    const status = yield* driven === undefined ? byRow(id) : settled(driven)
    if (status._tag === "Blocked") {
      const { failed, host, reason, waitsFor } = status
      const later = failed ? "what it began is removed" : "it goes on"
      const when = waitsFor === null ? "as soon as that is allowed" : waits[waitsFor]
      return yield* failure(id, `${reason}; ${later} ${when}`, false, host)
    }
    if (status._tag === "Stopped") {
      const reason = "internal error: the controller's log says more; the operation is taken up at the next start"
      return yield* failure(id, reason, false, null)
    }
    const { outcome } = status
    if (outcome._tag === "Failed") return yield* failure(id, outcome.reason, true, outcome.unreachableHost)
  })

  const report = (operation: Operation): OperationReport => ({
    operation,
    progress: operation.ended ? null : (all.get(operation.id)?.progress ?? null)
  })

  /** Why it cannot be cancelled (any more); null: it can. */
  const refusal = ({ cancelAsked, ended, kind, state }: Operation): string | null => {
    if (ended) return "it has ended"
    if (Kinds.kinds[kind].goes === "forward") {
      return `a ${kind} only goes forward, for what it has begun cannot be taken back`
    }
    return state === "undoing" && !cancelAsked ? "it has failed and is being undone already" : null
  }

  return Operations.of({
    start: (operation) => (operation.ended ? Effect.void : Effect.asVoid(start(operation))),
    await: Trail.traced("Operations.await")(awaitEnd),
    resume: Effect.gen(function* () {
      const unfinished = yield* journal.unfinished
      const takeAll = Effect.gen(function* () {
        const turns: Array<Effect.Effect<void>> = []
        for (const [index, operation] of unfinished.entries()) {
          // requests are answered meanwhile, however many there are
          if (index > 0 && index % takenUpAtOnce === 0) yield* Paced.others
          if (all.has(operation.id)) continue
          const { takenUp } = yield* start(operation)
          turns.push(Deferred.await(takenUp))
        }
        yield* Effect.all(turns, { discard: true })
      })
      yield* Effect.forkIn(Effect.zipRight(takeAll, taken), scope)
      if (unfinished.length > 0) yield* Effect.log(`resuming ${unfinished.length} unfinished operations`)
      return unfinished.length
    }),
    cancel: Effect.fn("Operations.cancel")(function* (id, confirm) {
      const found = yield* inventory.operation(id)
      if (found._tag === "None") return yield* new Errors.OperationNotFound({ operationId: id })
      const early = refusal(found.value)
      if (early !== null) return yield* new Errors.NotCancellable({ operationId: id, reason: early })
      const asked = yield* journal.askCancel(id, (operation) =>
        confirm === undefined || refusal(operation) !== null ? Effect.void : confirm(operation)
      )
      if (asked._tag === "None") return yield* new Errors.OperationNotFound({ operationId: id })
      // it may have come to its end in between
      const late = refusal(asked.value)
      if (late !== null) return yield* new Errors.NotCancellable({ operationId: id, reason: late })
      const { cancel } = yield* start(asked.value)
      yield* Deferred.succeed(cancel, undefined)
      // it does not wait for others to end
      yield* skip(id)
      return asked.value
    }, Effect.uninterruptible),
    report: Effect.fn("Operations.report")(function* (id) {
      const found = yield* inventory.operation(id)
      if (found._tag === "None") return yield* new Errors.OperationNotFound({ operationId: id })
      return report(found.value)
    }),
    steps: Effect.fn("Operations.steps")(function* (id) {
      const found = yield* inventory.operation(id)
      if (found._tag === "None") return yield* new Errors.OperationNotFound({ operationId: id })
      return yield* journal.history(id)
    }),
    list: Effect.fn("Operations.list")((filter) => Effect.map(journal.list(filter), (rows) => rows.map(report)))
  })
})
