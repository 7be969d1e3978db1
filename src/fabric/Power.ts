/**
 * Turning VMs on and off.
 *
 * @since 0.6.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Errors from "../domain/Errors.ts"
import type { VmId } from "../domain/Ids.ts"
import type { OperationDetail } from "../domain/Operation.ts"
import { isSettled, type Vm, type WantedPower } from "../domain/Vm.ts"
import { Inventory, type PowerKind, type VmBegun } from "../services/Inventory.ts"
import { Operations } from "../services/Operations.ts"
import * as Begun from "./Begun.ts"
import * as Facts from "./Facts.ts"
import * as Intent from "./Intent.ts"
import * as Queue from "./Queue.ts"
import * as Revision from "./Revision.ts"

/**
 * How long a guest has for what it is asked, in seconds (absent: 90), and whether it is done without the guest when that is over (absent: yes).
 *
 * @since 0.6.0 @category models
 */
export interface Patience {
  readonly within?: number
  readonly force?: boolean
}

/** Most seconds that a guest can be given. @since 0.6.0 @category constants */
export const longestPatience = 3600

/** @since 0.6.0 @category errors */
export type PowerError =
  Errors.VmNotFound | Errors.VmConflict | Errors.HasChanged | Errors.OperationFailed | Errors.PersistenceError

/**
 * Each begins when what else is being done with the VM has ended, and waits for its own end. What is wanted of the VM's power is kept from then
 * on. `VmConflict`: it makes no sense in the state the VM is in, and what does is said. `HasChanged`: the VM's revision is not the expected one.
 *
 * @since 0.6.0 @category services
 */
export class Power extends Context.Tag("vmfabric/Power")<
  Power,
  {
    /** One that runs is left running; one that is paused goes on. */
    readonly start: (id: VmId, expect?: Revision.Expect) => Effect.Effect<void, PowerError>
    /** The guest is asked to; the operation's `outcome` says whether it has, or its power was taken. */
    readonly shutDown: (
      id: VmId,
      patience?: Patience,
      expect?: Revision.Expect
    ) => Effect.Effect<void, PowerError | Errors.InvalidArgument>
    /** The power is taken without asking the guest. */
    readonly powerOff: (id: VmId, expect?: Revision.Expect) => Effect.Effect<void, PowerError>
    /** The guest is asked to start anew; the operation's `outcome` says whether it has, or was reset. */
    readonly reboot: (
      id: VmId,
      patience?: Patience,
      expect?: Revision.Expect
    ) => Effect.Effect<void, PowerError | Errors.InvalidArgument>
    /** The guest begins anew without being asked; a paused one stays paused. */
    readonly reset: (id: VmId, expect?: Revision.Expect) => Effect.Effect<void, PowerError>
    /** The guest stands still and keeps its memory. */
    readonly pause: (id: VmId, expect?: Revision.Expect) => Effect.Effect<void, PowerError>
    readonly resume: (id: VmId, expect?: Revision.Expect) => Effect.Effect<void, PowerError>
  }
>() {}

/** What makes no sense, and what does; by what is wanted of the VM. */
const senseless: Readonly<Record<PowerKind, Partial<Record<WantedPower, string>>>> = {
  StartVm: {},
  ShutDownVm: { paused: "is paused, so its guest hears nothing: resume it first, or power it off" },
  PowerOffVm: {},
  RebootVm: {
    stopped: "is stopped: start it",
    paused: "is paused, so its guest hears nothing: resume it first, or reset it"
  },
  ResetVm: { stopped: "is stopped: start it" },
  PauseVm: { stopped: "is stopped, and there is nothing to pause: start it first" },
  ResumeVm: { stopped: "is stopped: start it" }
}

const checkPatience = ({ within }: Patience) =>
  within === undefined || (Number.isSafeInteger(within) && within >= 1 && within <= longestPatience)
    ? Effect.void
    : new Errors.InvalidArgument({
        field: "within",
        problem: `is ${within}`,
        expected: `a whole number of seconds from 1 to ${longestPatience}`
      })

/** @since 0.6.0 @category layers */
export const layer = Layer.effect(
  Power,
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const operations = yield* Operations
    const queue = yield* Queue.Queue

    const run = Effect.fnUntraced(function* (
      id: VmId,
      kind: PowerKind,
      expect?: Revision.Expect,
      detail: OperationDetail = {}
    ) {
      const intent = yield* Intent.Intent
      const expected = Revision.checkVm(expect)
      const check = (vm: Vm): Effect.Effect<void, Errors.VmConflict | Errors.HasChanged> => {
        const reason = isSettled(vm.state) ? senseless[kind][vm.state] : `is ${vm.state}: it can only be destroyed`
        return reason === undefined
          ? (expected?.(vm) ?? Effect.void)
          : new Errors.VmConflict({ vmId: id, called: vm.name, reason })
      }
      const confirm = ({ operation, vm }: VmBegun) =>
        Effect.zipRight(
          intent.depends(() => Facts.ofVm(vm)),
          intent.confirm(() => ({ operation, vm: { before: vm, after: vm } }))
        )
      const operation = yield* queue.whenFree(
        { vmId: id },
        inventory.beginOnVm(id, kind, detail, confirm, check).pipe(
          Effect.tap((operation) => Begun.start(operations, operation)),
          Effect.uninterruptible
        )
      )
      yield* operations.await(operation.id)
    })

    const asking =
      (kind: "ShutDownVm" | "RebootVm") =>
      (id: VmId, patience: Patience = {}, expect?: Revision.Expect) =>
        Effect.zipRight(checkPatience(patience), run(id, kind, expect, patience))

    return Power.of({
      start: Effect.fn("Power.start")((id, expect) => run(id, "StartVm", expect)),
      shutDown: Effect.fn("Power.shutDown")(asking("ShutDownVm")),
      powerOff: Effect.fn("Power.powerOff")((id, expect) => run(id, "PowerOffVm", expect)),
      reboot: Effect.fn("Power.reboot")(asking("RebootVm")),
      reset: Effect.fn("Power.reset")((id, expect) => run(id, "ResetVm", expect)),
      pause: Effect.fn("Power.pause")((id, expect) => run(id, "PauseVm", expect)),
      resume: Effect.fn("Power.resume")((id, expect) => run(id, "ResumeVm", expect))
    })
  })
).pipe(Layer.provide(Queue.layer))
