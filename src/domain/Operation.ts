/**
 * Operations: durable records of work in progress and of how it ended.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { DriftKind } from "./Drift.ts"
import { UserName } from "./Identity.ts"
import * as Ids from "./Ids.ts"
import { NetworkName, Vlan } from "./Network.ts"
import { LinkState, MacAddress, NicId, NicModel } from "./Nic.ts"

/** @since 0.1.0 @category models */
export const OperationKind = Schema.Literal(
  "CreateVm",
  "DestroyVm",
  "StartVm",
  "ShutDownVm",
  "PowerOffVm",
  "RebootVm",
  "ResetVm",
  "PauseVm",
  "ResumeVm",
  "ConfigureVm",
  "ResizeVm",
  "RepairVm",
  "CleanVm",
  "AttachNic",
  "DetachNic",
  "SetNicLink",
  "SetCloudInit",
  "CreateVolume",
  "DestroyVolume",
  "RestoreVolume",
  "PurgeVolume",
  "AttachVolume",
  "DetachVolume",
  "GrowVolume",
  "RenameVolume",
  "RevertVolume",
  "CreateSnapshot",
  "DestroySnapshot",
  "PublishVm",
  "PublishVolume"
)
/** @since 0.1.0 @category models */
export type OperationKind = typeof OperationKind.Type

/**
 * `pending` → `running` → `done`, or after a failure or a cancel `undoing` → `failed`.
 *
 * @since 0.1.0 @category models
 */
export const OperationState = Schema.Literal("pending", "running", "undoing", "done", "failed")
/** @since 0.1.0 @category models */
export type OperationState = typeof OperationState.Type

/**
 * What else an operation has to know, by kind:
 *
 * - `CreateVm`: `cloudInit`, when its guest was to be told something that is not usual
 * - `ResizeVm`: `type`, the instance type that it is to have, and `cpu` and `ram` of that
 * - `GrowVolume`: `size` and `formerSize` in GiB
 * - `RevertVolume`: `formerSize`
 * - `RenameVolume`: `name` and `formerName`
 * - `DestroyVolume`: `window` in seconds
 * - `AttachVolume`: `formerHost`, when the volume goes along to another host
 * - `AttachNic`, `DetachNic`: `nic`, its number; `AttachNic`: `asked`, what was asked of it
 * - `SetNicLink`: `nic`, `link` and `formerLink`
 * - `RepairVm`: `repair`, the kinds of drift to mend
 * - `PublishVm`, `PublishVolume`: `image`, the one that is made
 * - `ShutDownVm`, `RebootVm`: `within` how many seconds the guest is to have done it, and `force`, whether else it is done without it
 *
 * @since 0.2.0 @category models
 */
export const OperationDetail = Schema.Struct({
  type: Schema.optionalWith(Ids.InstanceTypeId, { exact: true }),
  cpu: Schema.optionalWith(Schema.Int, { exact: true }),
  ram: Schema.optionalWith(Schema.Int, { exact: true }),
  size: Schema.optionalWith(Schema.Int, { exact: true }),
  formerSize: Schema.optionalWith(Schema.Int, { exact: true }),
  name: Schema.optionalWith(Schema.String, { exact: true }),
  formerName: Schema.optionalWith(Schema.String, { exact: true }),
  window: Schema.optionalWith(Schema.Int, { exact: true }),
  formerHost: Schema.optionalWith(Ids.HostId, { exact: true }),
  nic: Schema.optionalWith(NicId, { exact: true }),
  link: Schema.optionalWith(LinkState, { exact: true }),
  formerLink: Schema.optionalWith(LinkState, { exact: true }),
  repair: Schema.optionalWith(Schema.Array(DriftKind), { exact: true }),
  within: Schema.optionalWith(Schema.Int, { exact: true }),
  force: Schema.optionalWith(Schema.Boolean, { exact: true }),
  image: Schema.optionalWith(Ids.ImageId, { exact: true }),
  cloudInit: Schema.optionalWith(Schema.Boolean, { exact: true }),
  asked: Schema.optionalWith(
    Schema.Struct({
      network: Schema.optionalWith(Schema.NullOr(NetworkName), { exact: true }),
      vlan: Schema.optionalWith(Schema.NullOr(Vlan), { exact: true }),
      mac: Schema.optionalWith(MacAddress, { exact: true }),
      model: Schema.optionalWith(NicModel, { exact: true })
    }),
    { exact: true }
  )
})
/** @since 0.2.0 @category models */
export type OperationDetail = typeof OperationDetail.Type

/** `vmId`, `volumeId`, `snapshotId`: what it works on. @since 0.1.0 @category models */
export class Operation extends Schema.Class<Operation>("Operation")({
  id: Ids.OperationId,
  kind: OperationKind,
  vmId: Schema.NullOr(Ids.VmId),
  volumeId: Schema.NullOr(Ids.VolumeId),
  snapshotId: Schema.NullOr(Ids.SnapshotId),
  detail: OperationDetail,
  state: OperationState,
  /** why it failed, one sentence; null while it has not */
  error: Schema.NullOr(Schema.String),
  /** somebody asked for it to be cancelled; it may have ended otherwise before that was noticed */
  cancelAsked: Schema.Boolean,
  /** milliseconds since 1970 */
  createdAt: Schema.Int,
  /** milliseconds since 1970; null: it has not ended */
  finishedAt: Schema.NullOr(Schema.Int),
  /** how it came about, where that is not the same each time, one clause; null: there is nothing to say */
  outcome: Schema.NullOr(Schema.String).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => null)
  ),
  /** the operation that does the same anew on another host, because this one's fell silent; null: none does */
  replacedBy: Schema.NullOr(Ids.OperationId).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => null)
  ),
  /** the failed operation whose request this one is once more, because somebody asked for that; null: none */
  retryOf: Schema.NullOr(Ids.OperationId).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => null)
  ),
  /** the operation that is its retry, at most one; null: none is */
  retriedBy: Schema.NullOr(Ids.OperationId).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => null)
  ),
  /** who asked for it; null: nobody that is known, as of those from before version 0.13 */
  user: Schema.NullOr(UserName).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => null)
  ),
  /** name that the token had which that was asked with; null: it was asked without one */
  token: Schema.NullOr(Schema.String).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => null)
  ),
  /** why the controller began it by itself, one clause; null: it did not, or it is from before version 0.13 */
  cause: Schema.NullOr(Schema.String).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => null)
  )
}) {
  get ended(): boolean {
    return this.state === "done" || this.state === "failed"
  }
}

/**
 * How far an operation is: step `number` of `of`, by name, and what that does (of an undo: what is undone), one sentence. `percent` of that step, where it is known. `waiting`: what it waits for, in words; null: it
 * does not wait.
 *
 * @since 0.3.0 @category models
 */
export interface Progress {
  readonly phase: "do" | "undo"
  readonly step: string
  /** @since 0.13.0 */
  readonly description: string
  readonly number: number
  readonly of: number
  readonly percent: number | null
  /** how often the step was begun */
  readonly tries: number
  readonly waiting: string | null
}

/**
 * A step as it is remembered. `error`: why its last try failed, one sentence; null: none did.
 *
 * @since 0.8.0 @category models
 */
export interface StepReport {
  readonly phase: Progress["phase"]
  readonly name: string
  /** `started`: it is under way, or was when the controller ended */
  readonly state: "started" | "done" | "failed"
  readonly tries: number
  /** milliseconds since 1970, of the first try */
  readonly startedAt: number
  /** milliseconds since 1970; null: it has not ended */
  readonly endedAt: number | null
  readonly error: string | null
}

/** `progress` null: it has ended, or has not been taken up yet. @since 0.3.0 @category models */
export interface OperationReport {
  readonly operation: Operation
  readonly progress: Progress | null
}

/** As a client knows it: a controller before version 0.13 says nothing of it. */
type ByWhom = { readonly [Name in "user" | "token" | "cause"]?: Operation[Name] }

/** Who an operation is by, in a word: a user's name, or `controller`; null: it is not known. @since 0.13.0 @category formatting */
export const byWhom = ({ cause = null, user = null }: ByWhom): string | null =>
  user ?? (cause === null ? null : "controller")

/**
 * The same, with all that is known of it: `ada, with the token deploy`, or `the controller by itself: its onCrash is restart, and the guest crashed`.
 *
 * @since 0.13.0 @category formatting
 */
export const byWhomAndWhy = ({ cause = null, token = null, user = null }: ByWhom): string | null => {
  const asked = user === null ? null : token === null ? user : `${user}, with the token ${token}`
  if (cause === null) return asked
  return asked === null ? `the controller by itself: ${cause}` : `${asked}; the controller began it anew: ${cause}`
}
