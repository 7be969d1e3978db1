/**
 * Durable operations: begun once, driven to an end whatever happens to this process in between.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { NotCancellable, OperationFailed, OperationNotFound, PersistenceError } from "../domain/Errors.ts"
import type { OperationId } from "../domain/Ids.ts"
import type { Operation, OperationReport, StepReport } from "../domain/Operation.ts"
import type { Confirm } from "./Inventory.ts"
import type { OperationFilter } from "./Journal.ts"

/** @since 0.1.0 @category services */
export class Operations extends Context.Tag("vmfabric/Operations")<
  Operations,
  {
    /** Drives an admitted operation in the background; one that is already driven is left alone. */
    readonly start: (operation: Operation) => Effect.Effect<void>
    /**
     * Waits for the end of an operation. Fails when it failed and its undo has ended, or when it cannot go on for now because a host
     * does not answer (`undone: false`): it then goes on by itself when the host is back.
     */
    readonly await: (id: OperationId) => Effect.Effect<void, OperationFailed | PersistenceError>
    /**
     * Takes up every operation an earlier process left unfinished, oldest first and so many at a time; gives their number at once and goes on in the
     * background.
     */
    readonly resume: Effect.Effect<number, PersistenceError>
    /**
     * Asks an operation to stop; gives it as it then is. It stops after the call to a host that is under way, at once where it waits or sends
     * an image, and what it made is undone; `await` then fails with `it was cancelled`. Repeating it is fine.
     */
    readonly cancel: (
      id: OperationId,
      confirm?: Confirm<Operation>
    ) => Effect.Effect<Operation, OperationNotFound | NotCancellable | PersistenceError>
    readonly report: (id: OperationId) => Effect.Effect<OperationReport, OperationNotFound | PersistenceError>
    /** In the order they were first started; none before it was taken up. */
    readonly steps: (id: OperationId) => Effect.Effect<ReadonlyArray<StepReport>, OperationNotFound | PersistenceError>
    /** The newest first. */
    readonly list: (filter: OperationFilter) => Effect.Effect<ReadonlyArray<OperationReport>, PersistenceError>
  }
>() {}
