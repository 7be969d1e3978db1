/**
 * Durable operations: begun once, driven to an end whatever happens to this process in between.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { OperationFailed, PersistenceError } from "../domain/Errors.ts"
import type { OperationId } from "../domain/Ids.ts"
import type { Operation } from "../domain/Operation.ts"

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
    /** Takes up every operation an earlier process left unfinished, oldest first; gives their number. */
    readonly resume: Effect.Effect<number, PersistenceError>
  }
>() {}
