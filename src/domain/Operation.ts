/**
 * Operations: durable records of work in progress and of how it ended.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Ids from "./Ids.ts"

/** @since 0.1.0 @category models */
export const OperationKind = Schema.Literal("CreateVm", "DestroyVm")
/** @since 0.1.0 @category models */
export type OperationKind = typeof OperationKind.Type

/**
 * `pending` → `running` → `done`, or after a failure `undoing` → `failed`.
 *
 * @since 0.1.0 @category models
 */
export const OperationState = Schema.Literal("pending", "running", "undoing", "done", "failed")
/** @since 0.1.0 @category models */
export type OperationState = typeof OperationState.Type

/** @since 0.1.0 @category models */
export class Operation extends Schema.Class<Operation>("Operation")({
  id: Ids.OperationId,
  kind: OperationKind,
  vmId: Ids.VmId,
  state: OperationState,
  /** why it failed, one sentence; null while it has not */
  error: Schema.NullOr(Schema.String)
}) {}
