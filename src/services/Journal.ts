/**
 * The durable record of operations and their steps, in the inventory's database. Every write is durable when its effect ends.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { PersistenceError } from "../domain/Errors.ts"
import type { UserName } from "../domain/Identity.ts"
import type { OperationId, VmId, VolumeId } from "../domain/Ids.ts"
import type { Operation, OperationKind, OperationState, StepReport } from "../domain/Operation.ts"
import type { Confirm } from "./Inventory.ts"

/** @since 0.1.0 @category models */
export type Phase = "do" | "undo"

/** One step's row. `started` without an end means: it may have taken effect, probe before doing it again. @since 0.1.0 @category models */
export interface StepRecord {
  readonly phase: Phase
  readonly name: string
  readonly state: "started" | "done" | "failed"
  readonly tries: number
}

/**
 * What happened to an operation between two of its effects, written as one: what ended, what it is now, and what begins.
 *
 * @since 0.3.0 @category models
 */
export interface Entry {
  /** a step that was started */
  readonly ended?: {
    readonly phase: Phase
    readonly name: string
    readonly state: "done" | "failed"
    readonly error?: string
  }
  /** `error` is kept once set: the first reason is the one that is told. What has ended stays ended. */
  readonly state?: { readonly to: OperationState; readonly error?: string }
  /** written before its effect: the step is `started` (again), its `tries` one more */
  readonly started?: { readonly phase: Phase; readonly name: string }
}

/** @since 0.3.0 @category models */
export interface OperationFilter {
  /** only of these */
  readonly ids?: ReadonlyArray<OperationId>
  readonly vmId?: VmId
  readonly volumeId?: VolumeId
  /** only those that have not ended, or only those that have */
  readonly ended?: boolean
  readonly kind?: OperationKind
  readonly state?: OperationState
  /** only those that this one asked for */
  readonly user?: UserName
  /** only those that are older than this one */
  readonly before?: OperationId
  readonly limit: number
}

/** @since 0.1.0 @category services */
export class Journal extends Context.Tag("vmfabric/Journal")<
  Journal,
  {
    /** Operations that have not ended, oldest first. */
    readonly unfinished: Effect.Effect<ReadonlyArray<Operation>, PersistenceError>
    /** Those of the VMs with an operation that has not ended, on them or on a volume with them. @since 0.10.0 */
    readonly busy: (vms: ReadonlyArray<VmId>) => Effect.Effect<ReadonlySet<VmId>, PersistenceError>
    /** The operation's steps in the order they were first started. */
    readonly steps: (id: OperationId) => Effect.Effect<ReadonlyArray<StepRecord>, PersistenceError>
    /** The same, with when each was, and why it failed. */
    readonly history: (id: OperationId) => Effect.Effect<ReadonlyArray<StepReport>, PersistenceError>
    /** Everything in it, or nothing. `also`: what the inventory has written for the same, before it and in the same transaction. */
    readonly record: (
      id: OperationId,
      entry: Entry,
      also?: Effect.Effect<void, PersistenceError>
    ) => Effect.Effect<void, PersistenceError>
    /**
     * Sets the flag, and gives the operation as it then is. None: there is no such operation. One that has ended or is undone is left as it
     * is: nothing remains to be cancelled.
     */
    readonly askCancel: (
      id: OperationId,
      /** of the operation as it then is */
      confirm?: Confirm<Operation>
    ) => Effect.Effect<Option.Option<Operation>, PersistenceError>
    /** The newest first, at most `limit` of them. */
    readonly list: (filter: OperationFilter) => Effect.Effect<ReadonlyArray<Operation>, PersistenceError>
  }
>() {}
