/**
 * The saga runner: steps that are probed, done and recorded, and undone in reverse after a real failure.
 *
 * The rules, each of which a crash or a stop would otherwise break:
 * - a step is recorded as started before its effect and as done after it; a recorded step is never done again;
 * - every effect is safe to repeat, so a step that was started but not recorded as done is simply done again: it looks first;
 * - undo covers the step that was started but not done, since its effect may exist;
 * - undo begins only after a failure, never because the process stops: an interrupted runner leaves its row as it is.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type { HostError, ImageRefused, PersistenceError } from "../domain/Errors.ts"
import type { HostId } from "../domain/Ids.ts"
import type { Operation } from "../domain/Operation.ts"
import type { HostMonitor } from "../services/HostMonitor.ts"
import type { Journal, Phase } from "../services/Journal.ts"

/** What a step can fail with. @since 0.1.0 @category errors */
export type StepError = HostError | ImageRefused | PersistenceError

/** @since 0.1.0 @category models */
export interface Step {
  readonly name: string
  readonly act: Effect.Effect<void, StepError>
  /** Absent: nothing to undo. */
  readonly undo?: Effect.Effect<void, StepError>
}

/** @since 0.1.0 @category models */
export interface Saga {
  /** the host all steps work on */
  readonly hostId: HostId
  readonly steps: ReadonlyArray<Step>
  /** written to the inventory when all steps are done; safe to repeat */
  readonly succeeded: Effect.Effect<void, PersistenceError>
  /** written to the inventory when the undo has ended; safe to repeat */
  readonly failed: Effect.Effect<void, PersistenceError>
  /**
   * `undo`: an unreachable host fails the saga after a few tries. `wait`: there is no other way than forward, so the saga waits until the
   * host answers.
   */
  readonly unreachable: "undo" | "wait"
}

/** How a saga ended. @since 0.1.0 @category models */
export type Outcome =
  | { readonly _tag: "Succeeded" }
  | { readonly _tag: "Failed"; readonly reason: string; readonly unreachableHost: HostId | null }

/**
 * Told when the saga cannot go on for now. `failed`: it has failed for `reason`, and it is the undo that waits. `unreachable`: the host does
 * not answer; else it answers, and refuses.
 *
 * @since 0.1.0 @category models
 */
export interface Blocked {
  readonly reason: string
  readonly failed: boolean
  readonly unreachable: boolean
}

/** How often the host may refuse an undo before those who wait are told. */
const patience = 3

/** A few quick tries, for a daemon that is being restarted or a connection that just broke. */
const quickly = Schedule.exponential("250 millis", 2).pipe(Schedule.jittered, Schedule.intersect(Schedule.recurs(4)))

/** For an undo the host refuses: it has to succeed some time, and must not load the host meanwhile. */
const patiently = Schedule.exponential("500 millis", 2).pipe(
  Schedule.jittered,
  Schedule.union(Schedule.spaced("1 minute"))
)

const isUnreachable = (error: StepError): boolean => error._tag === "HostUnreachable"

interface Services {
  readonly journal: Journal["Type"]
  readonly monitor: HostMonitor["Type"]
}

/**
 * Drives an operation from wherever its journal says it is to its end. Interruption (the process stops) records nothing.
 *
 * @since 0.1.0 @category running
 */
export const drive = Effect.fn("Saga.drive")(function* (
  { journal, monitor }: Services,
  operation: Operation,
  saga: Saga,
  /** null: it goes on again */
  onBlocked: (blocked: Blocked | null) => Effect.Effect<void>
) {
  yield* Effect.annotateCurrentSpan({ operationId: operation.id, kind: operation.kind, vmId: operation.vmId })
  const records = yield* journal.steps(operation.id)
  const recorded = (phase: Phase, name: string) => records.find((r) => r.phase === phase && r.name === name)?.state

  const awaitHost = (error: StepError, failure: string | null) =>
    Effect.logWarning(`waiting for the host: ${error.message}`).pipe(
      Effect.zipRight(monitor.suspect(saga.hostId, reasonOf(error))),
      Effect.zipRight(onBlocked({ reason: failure ?? error.message, failed: failure !== null, unreachable: true })),
      Effect.zipRight(monitor.awaitUp(saga.hostId)),
      Effect.zipRight(onBlocked(null))
    )

  /** Tries until the host answers; what the host answers is passed on. `failure`: why the saga failed, if it has. */
  const whenReachable = (
    effect: Effect.Effect<void, StepError>,
    failure: string | null
  ): Effect.Effect<void, StepError> =>
    effect.pipe(
      Effect.retry({ while: isUnreachable, schedule: quickly }),
      Effect.catchIf(isUnreachable, (error) =>
        Effect.zipRight(
          awaitHost(error, failure),
          Effect.suspend(() => whenReachable(effect, failure))
        )
      )
    )

  const forward = (step: Step): Effect.Effect<void, StepError> =>
    saga.unreachable === "wait"
      ? // a refusal may pass (a device that is busy for a moment), and there is nothing to undo
        whenReachable(Effect.retry(step.act, { while: (e) => !isUnreachable(e), schedule: quickly }), null)
      : Effect.retry(step.act, { while: isUnreachable, schedule: quickly })

  const perform = (phase: Phase, name: string, effect: Effect.Effect<void, StepError>) =>
    Effect.gen(function* () {
      if (recorded(phase, name) === "done") return
      yield* journal.stepStarted(operation.id, phase, name)
      const exit = yield* Effect.exit(effect)
      if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
        yield* journal.stepFailed(operation.id, phase, name, describe(exit.cause))
      }
      yield* exit
      yield* journal.stepDone(operation.id, phase, name)
    }).pipe(Effect.annotateLogs({ step: name, phase }))

  /** Tries as long as it takes: what is left on a host would be lost for ever. */
  const undoStep = (name: string, effect: Effect.Effect<void, StepError>, failure: string) => {
    let refusals = 0
    return whenReachable(effect, failure).pipe(
      Effect.tapError((error) =>
        Effect.gen(function* () {
          yield* Effect.logWarning(`undo of ${name} failed and is tried again: ${error.message}`)
          if (++refusals === patience) yield* onBlocked({ reason: failure, failed: true, unreachable: false })
        })
      ),
      Effect.retry(patiently)
    )
  }

  const undo = Effect.fnUntraced(function* (failure: string) {
    const reached = yield* journal.steps(operation.id)
    const touched = new Set(reached.filter((r) => r.phase === "do").map((r) => r.name))
    for (const step of saga.steps.toReversed()) {
      if (step.undo === undefined || !touched.has(step.name)) continue
      yield* perform("undo", step.name, undoStep(step.name, step.undo, failure))
    }
    yield* saga.failed
    yield* journal.setState(operation.id, "failed")
  })

  const failedWith = (reason: string, unreachableHost: HostId | null): Outcome => ({
    _tag: "Failed",
    reason,
    unreachableHost
  })

  if (operation.state === "undoing") {
    const failure = operation.error ?? "failed before a restart"
    yield* undo(failure)
    return failedWith(failure, null)
  }

  yield* journal.setState(operation.id, "running")
  const exit = yield* Effect.exit(
    Effect.forEach(saga.steps, (step) => perform("do", step.name, forward(step)), { discard: true })
  )
  if (Exit.isSuccess(exit)) {
    yield* saga.succeeded
    yield* journal.setState(operation.id, "done")
    return { _tag: "Succeeded" } satisfies Outcome
  }
  // the process stops: nothing is undone, the next start goes on
  if (Cause.isInterruptedOnly(exit.cause)) return yield* Effect.interrupt

  const failure = Cause.failureOption(exit.cause)
  // the journal itself failed: what is recorded is all we know, so the runner is started again instead of guessing
  if (failure._tag === "Some" && failure.value._tag === "PersistenceError") return yield* failure.value
  const reason = describe(exit.cause)
  const unreachable = failure._tag === "Some" && failure.value._tag === "HostUnreachable"
  yield* Effect.logWarning(`failed and is undone: ${reason}`)
  yield* journal.setState(operation.id, "undoing", reason)
  if (unreachable) {
    yield* monitor.suspect(saga.hostId, reasonOf(failure.value))
    // who waits need not wait for the undo, which may take until the host is repaired
    yield* onBlocked({ reason, failed: true, unreachable: true })
  }
  yield* undo(reason)
  return failedWith(reason, unreachable ? saga.hostId : null)
})

/** One sentence: the failure's own message; a defect is named as such and stays whole in the log. */
const describe = (cause: Cause.Cause<StepError>): string => {
  const failure = Cause.failureOption(cause)
  if (failure._tag === "Some") return failure.value.message
  const defect = Cause.squash(cause)
  return `internal error: ${defect instanceof Error ? defect.message : String(defect)}`
}

const reasonOf = (error: StepError): string => (error._tag === "HostUnreachable" ? error.reason : error.message)

/** How long a runner waits before it is started again after the database failed. @since 0.1.0 @category running */
export const databaseRetry = Schedule.exponential("200 millis", 2).pipe(
  Schedule.jittered,
  Schedule.union(Schedule.spaced(Duration.seconds(10)))
)
