/** An operation as the API shows one, for what needs no controller. */
import * as DateTime from "effect/DateTime"
import type { Operation } from "../../src/api/Operations.ts"
import { OperationId, VmId } from "../../src/domain/Ids.ts"

export const anyOperation: Operation = {
  id: OperationId.make("11111111-2222-4333-8444-555555555555"),
  kind: "CreateVm",
  vmId: VmId.make(7),
  volumeId: null,
  snapshotId: null,
  imageId: null,
  state: "running",
  error: null,
  cancelAsked: false,
  createdAt: DateTime.unsafeMake(0),
  endedAt: null,
  outcome: null,
  replacedBy: null,
  retryOf: null,
  retriedBy: null,
  progress: null
}
