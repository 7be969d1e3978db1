/**
 * The durable record of operations and their steps, in the inventory's database. Every write is durable when its effect ends.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { PersistenceError } from "../domain/Errors.ts"
import type { OperationId } from "../domain/Ids.ts"
import type { Operation, OperationState } from "../domain/Operation.ts"

/** @since 0.1.0 @category models */
export type Phase = "do" | "undo"

/** One step's row. `started` without an end means: it may have taken effect, probe before doing it again. @since 0.1.0 @category models */
export interface StepRecord {
  readonly phase: Phase
  readonly name: string
  readonly state: "started" | "done" | "failed"
  readonly tries: number
}

/** @since 0.1.0 @category services */
export class Journal extends Context.Tag("vmfabric/Journal")<
  Journal,
  {
    /** Operations that have not ended, oldest first. */
    readonly unfinished: Effect.Effect<ReadonlyArray<Operation>, PersistenceError>
    /** The operation's steps in the order they were first started. */
    readonly steps: (id: OperationId) => Effect.Effect<ReadonlyArray<StepRecord>, PersistenceError>
    /** Written before the effect: the step is `started` (again), its `tries` one more. */
    readonly stepStarted: (id: OperationId, phase: Phase, name: string) => Effect.Effect<void, PersistenceError>
    readonly stepDone: (id: OperationId, phase: Phase, name: string) => Effect.Effect<void, PersistenceError>
    readonly stepFailed: (
      id: OperationId,
      phase: Phase,
      name: string,
      error: string
    ) => Effect.Effect<void, PersistenceError>
    /** `error` is kept once set: the first reason is the one that is told. */
    readonly setState: (id: OperationId, state: OperationState, error?: string) => Effect.Effect<void, PersistenceError>
  }
>() {}
