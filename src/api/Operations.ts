/**
 * Operations: what is under way, and how it ended.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { UserName } from "../domain/Identity.ts"
import * as Ids from "../domain/Ids.ts"
import { OperationKind, OperationState } from "../domain/Operation.ts"
import { documented, field, Flag, id, ids, Int, listOf, oneOf, optional, paging, strict, Time } from "./Common.ts"
import * as Problem from "./Problem.ts"

/** @since 0.4.0 @category schemas */
export const Kind = oneOf(OperationKind.literals, "OperationKind")
/** @since 0.4.0 @category schemas */
export const State = oneOf(OperationState.literals, "OperationState")

const OperationId = Ids.OperationId.annotations({ message: () => ({ message: "expected a UUID", override: true }) })

/** @since 0.4.0 @category schemas */
export const Progress = Schema.Struct({
  phase: field(Schema.Literal("do", "undo"), "`undo`: after a failure or a cancel, what it made is removed again"),
  step: field(Schema.String, "name of the step it is at"),
  description: optional(Schema.String, "what that step does, one sentence; of an undo: what is undone"),
  number: field(Int, "of that step, from 1 on"),
  of: field(Int, "how many steps there are"),
  percent: field(Schema.NullOr(Schema.Number), "of that step; null: not known"),
  tries: field(Int, "how often the step was begun"),
  waiting: field(Schema.NullOr(Schema.String), "what it waits for, in words; null: it does not wait")
}).annotations({ identifier: "Progress", description: "How far an operation is." })

/** @since 0.4.0 @category schemas */
export const Operation = Schema.Struct({
  id: OperationId,
  kind: Kind,
  vmId: field(Schema.NullOr(Ids.VmId), "the VM it is about; null: none"),
  volumeId: field(Schema.NullOr(Ids.VolumeId), "the volume it is about; null: none"),
  snapshotId: field(Schema.NullOr(Ids.SnapshotId), "the snapshot it is about; null: none"),
  imageId: field(Schema.NullOr(Ids.ImageId), "the image it makes; null: none"),
  state: field(State, "`pending` → `running` → `done`, or after a failure or a cancel `undoing` → `failed`"),
  error: field(Schema.NullOr(Schema.String), "why it failed, one sentence; null: it has not"),
  cancelAsked: field(Schema.Boolean, "whether somebody asked for it to be cancelled; it may have ended otherwise"),
  createdAt: field(Time, "when it was begun"),
  endedAt: field(Schema.NullOr(Time), "null: it has not ended"),
  outcome: field(
    Schema.NullOr(Schema.String),
    "how it came about, where that is not the same each time, as in `the guest shut itself down`; null: there is nothing to say"
  ),
  replacedBy: field(
    Schema.NullOr(OperationId),
    "the operation that does the same anew on another host, because this one's fell silent; null: none does"
  ),
  retryOf: field(
    Schema.NullOr(OperationId),
    "the failed operation whose request this one is once more; null: it is no retry"
  ),
  retriedBy: field(
    Schema.NullOr(OperationId),
    "the operation that is its retry, of which there is at most one; null: there is none"
  ),
  user: optional(
    Schema.NullOr(UserName),
    "who asked for it; null: nobody that is known, as when the controller began it by itself, and of all from before version 0.13"
  ),
  token: optional(
    Schema.NullOr(Schema.String),
    "name that the token had which it was asked for with; null: without a token"
  ),
  cause: optional(
    Schema.NullOr(Schema.String),
    "why the controller began it by itself, and by which policy, as in `its onCrash is restart, and the guest crashed`; null: it did not"
  ),
  progress: field(Schema.NullOr(Progress), "null: it has ended, or has not been taken up yet")
}).annotations({
  identifier: "Operation",
  description: "A durable record of work in progress, and of how it ended.",
  examples: [
    {
      id: Ids.OperationId.make("11111111-2222-4333-8444-555555555555"),
      kind: "CreateVm",
      vmId: Ids.VmId.make(7),
      volumeId: null,
      snapshotId: null,
      imageId: null,
      state: "running",
      error: null,
      cancelAsked: false,
      createdAt: DateTime.unsafeMake("2026-01-02T03:04:05.006Z"),
      endedAt: null,
      outcome: null,
      replacedBy: null,
      retryOf: null,
      retriedBy: null,
      user: UserName.make("ada"),
      token: null,
      cause: null,
      progress: {
        phase: "do",
        step: "image",
        description: "Send image 100 (ubuntu) to where root@h1 uses it, unless it is there.",
        number: 1,
        of: 5,
        percent: 40,
        tries: 1,
        waiting: null
      }
    }
  ]
})
/** @since 0.4.0 @category schemas */
export type Operation = typeof Operation.Type

/** @since 0.8.0 @category schemas */
export const Step = Schema.Struct({
  phase: field(Schema.Literal("do", "undo"), "`undo`: after a failure or a cancel, what it made is removed again"),
  name: field(Schema.String, "as `progress` names it"),
  state: field(Schema.Literal("started", "done", "failed"), "`started`: it is under way"),
  tries: field(Int, "how often it was begun"),
  startedAt: field(Time, "when it was begun for the first time"),
  endedAt: field(Schema.NullOr(Time), "null: it has not ended"),
  error: field(Schema.NullOr(Schema.String), "why its last failed try failed, one sentence; null: none did")
}).annotations({ identifier: "Step", description: "A step of an operation, and how it ended." })
/** @since 0.8.0 @category schemas */
export type Step = typeof Step.Type

/** @since 0.8.0 @category schemas */
export const StepList = listOf(Step, "StepList", [
  {
    phase: "do",
    name: "image",
    state: "done",
    tries: 1,
    startedAt: DateTime.unsafeMake("2026-01-02T03:04:05.006Z"),
    endedAt: DateTime.unsafeMake("2026-01-02T03:04:09.006Z"),
    error: null
  }
])

/** @since 0.4.0 @category schemas */
export const OperationPage = Schema.Struct({
  items: Schema.Array(Operation),
  next: field(Schema.NullOr(Schema.String), "cursor of the page after this one; null: there is none")
}).annotations({ identifier: "OperationPage", description: "Operations, the newest first." })

/** @since 0.8.0 @category parameters */
export const byId = Schema.Struct({ id: OperationId })

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("operations")
  .add(
    HttpApiEndpoint.get("listOperations", "/operations")
      .setUrlParams(
        Schema.Struct({
          ...paging,
          ids: optional(ids(OperationId), "only these of them: what is not there is left out"),
          vm: optional(id(Ids.VmId), "only those about this VM"),
          volume: optional(id(Ids.VolumeId), "only those about this volume"),
          kind: optional(Kind, "only those of this kind"),
          state: optional(State, "only those in this state"),
          user: optional(UserName, "only those that this user asked for"),
          ended: optional(Flag, "`true`: only those that have ended; `false`: only those that have not")
        }).annotations(strict)
      )
      .addSuccess(OperationPage)
      .annotateContext(documented("viewer", "List operations", "The newest first, a page at a time."))
  )
  .add(
    HttpApiEndpoint.get("getOperation", "/operations/:id")
      .setPath(byId)
      .addSuccess(Operation)
      .addError(Problem.NotFound)
      .annotateContext(documented("viewer", "Get an operation", "With how far it is."))
  )
  .add(
    HttpApiEndpoint.get("listOperationSteps", "/operations/:id/steps")
      .setPath(byId)
      .addSuccess(StepList)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "viewer",
          "List an operation's steps",
          "Those that were begun, in that order, with when each was and why it failed; what was undone is at the end."
        )
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Operations")
  .annotate(
    OpenApi.Description,
    "Whatever takes time is an operation: it is begun once, and driven to an end whatever happens to the controller in between."
  )
