/**
 * The saga runner: steps that are probed, done and recorded, and undone in reverse after a real failure or a cancel.
 *
 * The rules, each of which a crash or a stop would otherwise break:
 * - a step is recorded as started before its effect and as done after it; a recorded step is never done again;
 * - between two effects there is one record: that the one is done and the next is started are written together; and that the last one is done with
 *   what the inventory is told of it, and that it has ended;
 * - every effect is safe to repeat, so a step that was started but not recorded as done is simply done again: it looks first;
 * - undo covers the step that was started but not done, since its effect may exist;
 * - undo begins only after a failure, a cancel or when the time is up, never because the process stops: an interrupted runner leaves its
 *   row as it is;
 * - a call to a host that is under way is not cut off by a cancel: it could still take effect after the undo.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type GuestHoldsDevice, OperationTimeout, type PersistenceError } from "../domain/Errors.ts"
import type { HostId } from "../domain/Ids.ts"
import type { Operation, Progress } from "../domain/Operation.ts"
import type { HostMonitor } from "../services/HostMonitor.ts"
import * as Locally from "../observability/Locally.ts"
import * as Trail from "../observability/Trail.ts"
import type { Entry, Journal, Phase } from "../services/Journal.ts"
import { StepProgress } from "../services/StepProgress.ts"
import * as Retry from "./Retry.ts"
import type { Watchdog } from "./Watchdog.ts"

/** What a step can fail with. @since 0.1.0 @category errors */
export type StepError = Retry.StepError

/** @since 0.1.0 @category models */
export interface Step<Name extends string = string> {
  readonly name: Name
  /** what it does, one sentence, for whoever is asked whether it is to be done */
  readonly description: string
  readonly act: Effect.Effect<void, StepError>
  /** Absent: nothing to undo. */
  readonly undo?: Effect.Effect<void, StepError>
  /** A refusal is final, also where the saga otherwise tries a few times: it took its time, or will not pass. */
  readonly once?: true
  /** A cancel interrupts it: that leaves nothing behind that its undo would miss. */
  readonly cancellable?: true
  /** How long one try may take, doing or undoing; absent: `limits.step`. */
  readonly limit?: Duration.DurationInput
  /** Those of the saga's hosts that it works on; absent: all of them. */
  readonly hosts?: Retry.Hosts
}

/** @since 0.1.0 @category models */
export interface Saga<Name extends string = string> {
  /** the hosts its steps work on; none: only storage that all hosts share */
  readonly hosts: Retry.Hosts
  readonly steps: ReadonlyArray<Step<Name>>
  /** Written to the inventory when all steps are done, with that: nothing but writes of the inventory's. */
  readonly succeeded: Effect.Effect<void, PersistenceError>
  /** the same when the undo has ended */
  readonly failed: Effect.Effect<void, PersistenceError>
  /**
   * Written instead of `failed` when a guest does not let go of the device that a step gave it: it may hold it for as long as it likes (a paused
   * one until it is resumed), and until then nothing else could be done with it. That step's work is made whole again and stays, as does that
   * of the steps before it. Absent: the guest is waited for.
   */
  readonly kept?: (held: GuestHoldsDevice) => Effect.Effect<void, PersistenceError>
  /**
   * `undo`: an unreachable host or storage fails the saga after a few tries. `wait`: there is no other way than forward, so the saga waits
   * until it answers, and cannot be cancelled.
   */
  readonly unreachable: "undo" | "wait"
  /**
   * How long after it was begun it may still go forward; absent: `limits.saga`. Then it is undone; one that only goes forward goes on, and those who
   * wait are told.
   */
  readonly limit?: Duration.DurationInput
}

/**
 * The last line of defence: every driver has limits of its own. `copy` and `sagaWithCopy` are for what takes as long as an image or a volume is
 * large.
 *
 * @since 0.3.0 @category constants
 */
export const limits = { step: "5 minutes", saga: "1 hour", copy: "6 hours", sagaWithCopy: "8 hours" } as const

/** How a saga ended. @since 0.1.0 @category models */
export type Outcome =
  | { readonly _tag: "Succeeded" }
  | { readonly _tag: "Failed"; readonly reason: string; readonly unreachableHost: HostId | null }

/**
 * Told when the saga cannot go on for now. `failed`: it has failed for `reason`, and it is the undo that waits. `waitsFor`: who does not
 * answer; null: it answers, and refuses. `host`: when that is a host.
 *
 * @since 0.1.0 @category models
 */
export interface Blocked extends Retry.Stuck {
  readonly failed: boolean
}

/** Who follows a saga. @since 0.3.0 @category models */
export interface Follower {
  /** null: it goes on again */
  readonly onBlocked: (blocked: Blocked | null) => Effect.Effect<void>
  readonly onProgress: (progress: Progress) => Effect.Effect<void>
  /** completed when it is to be cancelled */
  readonly cancel: Deferred.Deferred<void>
}

interface Services {
  readonly journal: Journal["Type"]
  readonly monitor: HostMonitor["Type"]
  readonly watchdog: Watchdog
}

/**
 * Drives an operation from wherever its journal says it is to its end. Interruption (the process stops) records nothing.
 *
 * @since 0.1.0 @category running
 */
export const drive = Effect.fn("Saga.drive")(function* (
  { journal, monitor, watchdog }: Services,
  operation: Operation,
  saga: Saga,
  { cancel, onBlocked, onProgress }: Follower
) {
  yield* Effect.annotateCurrentSpan({ operationId: operation.id, kind: operation.kind, vmId: operation.vmId })
  // with its first step it is running
  const records = operation.state === "pending" ? [] : yield* journal.steps(operation.id)
  const recordOf = (phase: Phase, name: string) => records.find((r) => r.phase === phase && r.name === name)
  const isDone = (phase: Phase, name: string) => recordOf(phase, name)?.state === "done"
  const touched = new Set(records.filter(({ phase }) => phase === "do").map(({ name }) => name))
  const canUndo = saga.unreachable === "undo"
  if (operation.cancelAsked) yield* Deferred.succeed(cancel, undefined)

  /** What is to be written with the next record. */
  let carried: Entry = operation.state === "pending" ? { state: { to: "running" } } : {}
  const record = (entry: Entry, also?: Effect.Effect<void, PersistenceError>) =>
    Effect.suspend(() => {
      const whole = { ...carried, ...entry }
      carried = {}
      return journal.record(operation.id, whole, also)
    })
  const recordCarried = Effect.suspend(() => (Object.keys(carried).length === 0 ? Effect.void : record({})))

  // ----------------------------------------------------------------------------------------------------------------- progress

  let progress: Progress | null = null
  /** why it failed, once it has */
  let failure: string | null = null
  let cancelled = false
  /** whether those who wait know that the undo may take */
  let toldOfUndo = false

  const tell = (change: Partial<Progress>) =>
    Effect.suspend(() => {
      if (progress === null) return Effect.void
      progress = { ...progress, ...change }
      return onProgress(progress)
    })

  const begin = (phase: Phase, { description, name: step }: Step, number: number, of: number) =>
    Effect.suspend(() => {
      const tries = recordOf(phase, step)?.tries ?? 0
      progress = { phase, step, description, number, of, percent: null, tries, waiting: null }
      return Effect.zipRight(onProgress(progress), record({ started: { phase, name: step } }))
    })

  const failedBefore = records.reduce((sum, { phase, tries }) => sum + (phase === "do" ? tries - 1 : 0), 0)
  const retry = Retry.make({ monitor, watchdog }, failedBefore, {
    onTry: Effect.suspend(() => tell({ tries: (progress?.tries ?? 0) + 1, percent: null, waiting: null })),
    onWait: (waiting) => tell({ waiting }),
    onStuck: (stuck) => {
      toldOfUndo ||= stuck !== null && failure !== null
      return onBlocked(
        stuck === null
          ? null
          : {
              ...stuck,
              reason: failure ?? stuck.reason,
              failed: failure !== null,
              // what was cancelled is not to be begun anew elsewhere
              host: cancelled ? null : stuck.host
            }
      )
    }
  })

  // ------------------------------------------------------------------------------------------------------------------ forward

  const limit = saga.limit ?? limits.saga
  const endAt = operation.createdAt + Duration.toMillis(limit)
  const timeIsUp = Effect.suspend(
    () => new OperationTimeout({ what: "the whole operation", limit: Retry.inWords(limit) })
  )
  const untilTimeIsUp = Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sleep(Math.max(0, endAt - now)))
  const halted = canUndo
    ? Effect.raceFirst(
        Effect.zipRight(
          Deferred.await(cancel),
          Effect.suspend(() => new Retry.Cancelled())
        ),
        Effect.zipRight(untilTimeIsUp, timeIsUp)
      )
    : null

  const halt = Effect.gen(function* () {
    if (!canUndo) return
    if (yield* Deferred.isDone(cancel)) return yield* new Retry.Cancelled()
    if ((yield* Clock.currentTimeMillis) >= endAt) return yield* timeIsUp
  })

  const policy = (step: Step): Retry.Policy =>
    canUndo
      ? { silence: "few", refusal: "never" }
      : // a refusal may pass (a device that is busy for a moment), and there is nothing to undo
        { silence: "always", refusal: step.once === true ? "never" : "few" }

  const work = (what: string, step: Step, effect: Effect.Effect<void, StepError>): Omit<Retry.Work, "policy"> => ({
    what,
    effect,
    hosts: distinct(step.hosts ?? saga.hosts),
    limit: step.limit ?? limits.step,
    halted: null,
    interruptible: false
  })

  /** the step that was begun and has not ended */
  let current: Step | null = null

  const forward = Effect.gen(function* () {
    for (const [index, step] of saga.steps.entries()) {
      if (isDone("do", step.name)) continue
      yield* halt
      touched.add(step.name)
      yield* begin("do", step, index + 1, saga.steps.length)
      current = step
      // what it began may go on for others after it has ended
      const tellPercent = (percent: number) =>
        Effect.suspend(() => (current === step ? tell({ percent }) : Effect.void))
      yield* retry
        .run({
          ...work(`step ${step.name}`, step, step.act),
          policy: policy(step),
          halted,
          interruptible: step.cancellable === true
        })
        .pipe(
          Locally.within(
            Locally.service(StepProgress, { tell: tellPercent }),
            Locally.annotations({ step: step.name, phase: "do" })
          ),
          Trail.span(`step ${step.name}`)
        )
      current = null
      carried = { ended: { phase: "do", name: step.name, state: "done" } }
    }
  })

  const tellWhenTimeIsUp = untilTimeIsUp.pipe(
    Effect.zipRight(Effect.flip(timeIsUp)),
    Effect.flatMap(({ message }) =>
      onBlocked({
        reason: message,
        failed: false,
        waitsFor: saga.hosts.length === 0 ? "storage" : "host",
        host: null
      })
    )
  )

  // --------------------------------------------------------------------------------------------------------------------- undo

  const { kept } = saga

  /** Gives the guest's answer when it does not let go of what the step gave it, which is then as it was given; null: it is undone. */
  const undoStep = Effect.fnUntraced(function* (step: Step, undo: Effect.Effect<void, StepError>) {
    const withdraw = retry
      .run({
        ...work(`undo of ${step.name}`, step, undo),
        policy: { silence: "always", refusal: kept === undefined ? "always" : "always unless held" }
      })
      .pipe(
        Effect.as(null),
        Effect.catchTags({
          GuestHoldsDevice: (held) => Effect.succeed(held),
          // nothing else ends it: it is not halted
          Cancelled: (error) => Effect.die(error)
        }),
        Locally.within(Locally.annotations({ step: step.name, phase: "undo" })),
        Trail.span(`undo of ${step.name}`)
      )
    // half of it may be undone already, or was never done
    const whole = Effect.as(
      retry.run({
        ...work(`step ${step.name} once more`, step, step.act),
        policy: { silence: "always", refusal: "few" }
      }),
      true
    ).pipe(
      Effect.catchIf(
        (error) => error._tag !== "PersistenceError",
        ({ message }) => Effect.as(Effect.logWarning(`step ${step.name} is undone after all: ${message}`), false)
      )
    )
    while (true) {
      const held = yield* withdraw
      if (held === null || (yield* whole)) return held
    }
  })

  /** As long as it takes: what is left on a host would be lost for ever. `onBegun` is done as soon as it is recorded. */
  const undo = Effect.fnUntraced(function* (onBegun: Effect.Effect<void>) {
    const todo = saga.steps.toReversed().flatMap((step) => {
      const { name, undo } = step
      return undo !== undefined && touched.has(name) && !isDone("undo", name) ? [{ step, undo }] : []
    })
    for (const [index, { step, undo }] of todo.entries()) {
      yield* begin("undo", step, index + 1, todo.length)
      if (index === 0) yield* onBegun
      const held = yield* undoStep(step, undo)
      if (kept !== undefined && held !== null) {
        carried = { ended: { phase: "undo", name: step.name, state: "failed", error: held.message } }
        return yield* record({ state: { to: "failed" } }, kept(held))
      }
      carried = { ended: { phase: "undo", name: step.name, state: "done" } }
    }
    // why it failed comes before that it has
    if (todo.length === 0) yield* recordCarried
    yield* record({ state: { to: "failed" } }, saga.failed)
  })

  if (operation.state === "undoing") {
    failure = operation.error ?? "failed before a restart"
    cancelled = operation.cancelAsked
    yield* undo(Effect.void)
    return { _tag: "Failed", reason: failure, unreachableHost: null } satisfies Outcome
  }

  const exit = yield* Effect.exit(
    canUndo ? forward : Effect.raceFirst(forward, Effect.zipRight(tellWhenTimeIsUp, Effect.never))
  )
  if (Exit.isSuccess(exit)) {
    yield* record({ state: { to: "done" } }, saga.succeeded)
    return { _tag: "Succeeded" } satisfies Outcome
  }
  // the process stops: nothing is undone, the next start goes on
  if (Cause.isInterruptedOnly(exit.cause)) return yield* Effect.interrupt

  const cause = Cause.failureOption(exit.cause)
  const error = cause._tag === "Some" ? cause.value : null
  // the journal itself failed: what is recorded is all we know, so the runner is started again instead of guessing
  if (error?._tag === "PersistenceError") return yield* error
  cancelled = canUndo && (yield* Deferred.isDone(cancel))
  const told = Retry.describe(exit.cause)
  const reason = cancelled ? new Retry.Cancelled().message : told + (retry.usedUp ? usedUp : "")
  failure = reason
  const ended = endOf(current, told)
  current = null
  yield* Effect.logWarning(`failed and is undone: ${reason}`)
  const silent = error !== null && error._tag !== "Cancelled" && Retry.isUnreachable(error) ? error : null
  const host = silent === null || cancelled ? null : Retry.silentHost(saga.hosts, silent)
  const waitsFor = silent?._tag === "HostUnreachable" ? "host" : "storage"
  carried = {
    ...carried,
    ...ended,
    state: { to: "undoing", error: reason }
  }
  // who waits need not wait for the undo, which may take until the host or the storage is repaired
  const tellOfUndo = (waitsFor: Blocked["waitsFor"], host: HostId | null) =>
    Effect.suspend(() => {
      if (toldOfUndo) return Effect.void
      toldOfUndo = true
      return onBlocked({ reason, failed: true, waitsFor, host })
    })
  yield* Effect.raceFirst(
    undo(silent === null ? Effect.void : tellOfUndo(waitsFor, host)),
    tellOfUndo(null, null).pipe(Effect.delay(undoPatience), Effect.zipRight(Effect.never))
  )
  return { _tag: "Failed", reason, unreachableHost: host } satisfies Outcome
})

/** How long those who wait are left to wait for an undo that nothing seems to hold up. */
const undoPatience = "20 seconds"

const usedUp = `; it is given up after ${Retry.budget} tries that failed`

const endOf = (step: Step | null, error: string): Entry =>
  step === null ? {} : { ended: { phase: "do", name: step.name, state: "failed", error } }

const distinct = (hosts: Retry.Hosts): Retry.Hosts =>
  hosts.filter(({ id }, index) => hosts.findIndex((one) => one.id === id) === index)
