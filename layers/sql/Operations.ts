/**
 * Operations' rows, written in the caller's transaction.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { OperationId } from "../../src/domain/Ids.ts"
import { Operation } from "../../src/domain/Operation.ts"
import * as Uuid from "../../src/domain/Uuid.ts"
import { authorship } from "../../src/fabric/Asker.ts"
import type { Authorship } from "../../src/services/Author.ts"
import type { Database } from "../Database.ts"
import * as Rows from "./Rows.ts"

/** @since 0.2.0 @category models */
export interface NewOperation extends Pick<Operation, "kind" | "vmId"> {
  readonly volumeId?: Operation["volumeId"]
  readonly snapshotId?: Operation["snapshotId"]
  readonly detail?: Operation["detail"]
}

const first = (rows: ReadonlyArray<Rows.Row>): Effect.Effect<Operation | null> =>
  rows[0] === undefined ? Effect.succeed(null) : Rows.operations.one(rows[0])

/** What an operation has of whoever begins it. @since 0.13.0 @category models */
export interface Identified extends Authorship {
  readonly id: OperationId
}

/** Made by whoever begins it: where the writer itself runs a body, it knows nothing of who asks. @since 0.13.0 @category constructors */
export const identified: Effect.Effect<Identified> = Effect.zipWith(Uuid.make, authorship, (uuid, author) => ({
  id: OperationId.make(uuid),
  ...author
}))

/** @since 0.3.0 @category constructors */
export const make = (statement: Database["Type"]["statement"]) => {
  const insertRow = statement(`insert into operations
    (id, kind, vm_id, volume_id, snapshot_id, detail, user, token, cause, state, created_at)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?)`)

  const insertAs = Effect.fnUntraced(function* (
    { id, user, token, cause }: Identified,
    operation: NewOperation,
    now: number
  ) {
    const { detail = {}, kind, snapshotId = null, vmId, volumeId = null } = operation
    const text = Rows.encodeOperationDetail(detail)
    yield* insertRow(id, kind, vmId, volumeId, snapshotId, text, user, token, cause, now)
    return new Operation(
      {
        id,
        kind,
        vmId,
        volumeId,
        snapshotId,
        detail,
        state: "pending",
        error: null,
        cancelAsked: false,
        createdAt: now,
        finishedAt: null,
        outcome: null,
        replacedBy: null,
        retryOf: null,
        retriedBy: null,
        user,
        token,
        cause
      },
      { disableValidation: true }
    )
  })

  const insert = (operation: NewOperation, now: number) =>
    Effect.flatMap(identified, (made) => insertAs(made, operation, now))

  const setOutcome = statement("update operations set outcome = ? where id = ?")
  const setReplaced = statement("update operations set replaced_by = ? where id = ?")

  const setRetried = statement("update operations set retried_by = ? where id = ? and retried_by is null returning id")
  const setRetryOf = statement("update operations set retry_of = ? where id = ?")
  const selectRetried = statement("select id, retried_by from operations where id = ?")

  const unfinished = (condition: string) => {
    const select = statement(`select ${Rows.operationColumns} from operations
      where ${condition} and state not in ('done', 'failed') order by seq limit 1`)
    return (id: number) => Effect.flatMap(select(id), first)
  }

  const selectById = statement(`select ${Rows.operationColumns} from operations where id = ?`)

  return {
    byId: (id: OperationId) => Effect.map(Effect.flatMap(selectById(id), first), Option.fromNullable),
    /** A pending operation, in a body that its caller runs. `now` in milliseconds since 1970. */
    insert,
    /** The same in any body, with what was made before. */
    insertAs,
    /** `by` does anew what `id` could not do. */
    replace: (id: OperationId, by: OperationId) => setReplaced(by, id),
    /** `by` is the retry of `of`; gives the one that is it already, and then writes nothing, or null. */
    retry: Effect.fnUntraced(function* (of: OperationId, by: OperationId) {
      const rows = yield* setRetried(by, of)
      if (rows.length > 0) {
        yield* setRetryOf(of, by)
        return null
      }
      const { retried_by } = yield* Rows.retried.one(
        yield* Rows.only(yield* selectRetried(of), `operation ${of} does not exist`)
      )
      return retried_by
    }),
    setOutcome: (id: OperationId, outcome: string) => setOutcome(outcome, id),
    /** The one on the VM itself that has not ended. */
    ofVmItself: unfinished("vm_id = ? and volume_id is null"),
    /** The oldest operation on a volume with the VM that has not ended. */
    ofVmsVolumes: unfinished("vm_id = ? and volume_id is not null"),
    /** The one that makes the image and has not ended. */
    ofImage: unfinished("detail ->> '$.image' = ?"),
    /** The one on the volume that has not ended. */
    ofVolume: unfinished("volume_id = ? and volume_id is not null")
  }
}

/** @since 0.3.0 @category models */
export type Operations = ReturnType<typeof make>

/** What an unfinished operation is doing, as in `it is being attached`. @since 0.2.0 @category formatting */
export const doing: Record<Operation["kind"], string> = {
  CreateVm: "it is still being created",
  DestroyVm: "it is being destroyed",
  StartVm: "it is being started",
  ShutDownVm: "it is being shut down",
  PowerOffVm: "it is being powered off",
  RebootVm: "it is being rebooted",
  ResetVm: "it is being reset",
  PauseVm: "it is being paused",
  ResumeVm: "it is being resumed",
  ConfigureVm: "its domain is being changed",
  ResizeVm: "it is being resized",
  RepairVm: "it is being repaired",
  CleanVm: "what was left of it is being removed",
  AttachNic: "a NIC is being attached",
  DetachNic: "a NIC is being detached",
  SetNicLink: "the link of a NIC is being changed",
  SetCloudInit: "what its guest is told is being changed",
  CreateVolume: "it is still being created",
  DestroyVolume: "it is being destroyed",
  RestoreVolume: "it is being restored",
  PurgeVolume: "it is being purged",
  AttachVolume: "it is being attached",
  DetachVolume: "it is being detached",
  GrowVolume: "it is growing",
  RenameVolume: "it is being renamed",
  RevertVolume: "it is being reverted to a snapshot",
  CreateSnapshot: "a snapshot is being made",
  DestroySnapshot: "a snapshot is being destroyed",
  PublishVm: "its root disk is being published as an image",
  PublishVolume: "it is being published as an image"
}

/**
 * What of its VM's definition it writes. `whole`: all of it, from what it read before, or all disks that are missing in it; `disks`: one disk comes or
 * goes, which must not happen in between. `else`: neither.
 *
 * @since 0.8.0 @category constants
 */
export const definition: Record<Operation["kind"], "whole" | "disks" | "else"> = {
  CreateVm: "else",
  DestroyVm: "else",
  StartVm: "else",
  ShutDownVm: "else",
  PowerOffVm: "else",
  RebootVm: "else",
  ResetVm: "else",
  PauseVm: "else",
  ResumeVm: "else",
  ConfigureVm: "else",
  ResizeVm: "whole",
  RepairVm: "whole",
  CleanVm: "else",
  AttachNic: "else",
  DetachNic: "else",
  SetNicLink: "else",
  SetCloudInit: "whole",
  CreateVolume: "else",
  DestroyVolume: "else",
  RestoreVolume: "else",
  PurgeVolume: "else",
  AttachVolume: "disks",
  DetachVolume: "disks",
  GrowVolume: "else",
  RenameVolume: "else",
  RevertVolume: "else",
  CreateSnapshot: "else",
  DestroySnapshot: "else",
  PublishVm: "else",
  PublishVolume: "else"
}
