/**
 * What can be done with a VM.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import type { Vm } from "../../api/Vms.ts"
import { calls } from "../state/Api.ts"
import type { Commanded } from "./Commands.ts"

/** @since 0.7.0 @category models */
export interface VmAction extends Commanded {
  readonly name: string
  /** whether it makes sense as the VM is; the controller decides whether it can be done */
  readonly possible: boolean
}

/** All but destroying it, the most usual first. @since 0.7.0 @category constructors */
export const powerOf = ({ id, name, seen, state }: Vm): ReadonlyArray<VmAction> => {
  const path = { id }
  const is = seen?.power ?? state
  const settled = state === "running" || state === "stopped" || state === "paused"
  const of = (
    label: string,
    verb: string,
    word: string,
    possible: boolean,
    run: VmAction["run"],
    body?: object
  ): VmAction => ({
    name: label,
    label: `${label} ${name}`,
    method: "POST",
    path: `/vms/${id}/${verb}`,
    words: ["vm", word, `id:${id}`],
    possible: settled && possible,
    run,
    ...(body === undefined ? {} : { body })
  })
  const runs = is === "running"
  const call = <A>(f: (client: Effect.Effect.Success<typeof calls>["vms"]) => A) =>
    Effect.map(calls, ({ vms }) => f(vms))
  return [
    of("Start", "start", "start", !runs && is !== "paused", Effect.flatten(call((vms) => vms.startVm({ path })))),
    of("Resume", "resume", "resume", is === "paused", Effect.flatten(call((vms) => vms.resumeVm({ path })))),
    of(
      "Shut down",
      "shut-down",
      "stop",
      runs,
      Effect.flatten(call((vms) => vms.shutDownVm({ path, payload: {} }))),
      {}
    ),
    of("Reboot", "reboot", "reboot", runs, Effect.flatten(call((vms) => vms.rebootVm({ path, payload: {} }))), {}),
    of("Pause", "pause", "pause", runs, Effect.flatten(call((vms) => vms.pauseVm({ path })))),
    of("Reset", "reset", "reset", runs, Effect.flatten(call((vms) => vms.resetVm({ path })))),
    of(
      "Power off",
      "power-off",
      "power-off",
      runs || is === "paused",
      Effect.flatten(call((vms) => vms.powerOffVm({ path })))
    )
  ]
}

/** What differs from what it should be, mended. @since 0.12.0 @category constructors */
export const repairOf = ({ drift, id, name, state }: Vm): VmAction => ({
  name: "Repair",
  label: `Repair ${name}`,
  method: "POST",
  path: `/vms/${id}/repair`,
  words: ["vm", "repair", `id:${id}`],
  possible: drift > 0 && (state === "running" || state === "stopped" || state === "paused"),
  run: Effect.flatMap(calls, ({ vms }) => vms.repairVm({ path: { id } }))
})

/** Whether it cuts guests off in the middle of what they do. @since 0.12.0 @category predicates */
export const isHard = (name: string): boolean => name === "Power off" || name === "Reset"

/** Whether one guest may lose by it what it has not written, so that it is asked before: a guest that does not reboot is reset. @since 0.13.0 @category predicates */
export const isAsked = (name: string): boolean => isHard(name) || name === "Reboot"

/** What an action comes to, for who is asked before. @since 0.12.0 @category formatting */
export const meaningOf = (name: string, who: "It" | "Each"): string => {
  switch (name) {
    case "Start":
      return `${who} is started on its host.`
    case "Shut down":
      return `${who} is asked to shut down, as by the button of a computer, and does nothing until it is started again.`
    case "Reboot":
      return `${who} is asked to start anew, and does nothing else meanwhile; one that does not is reset.`
    case "Reset":
      return `${who} begins anew at once and without being asked: what its guest has not written to its disks is lost.`
    case "Power off":
      return `${who} is cut off, as by pulling the plug: what its guest has not written to its disks is lost.`
    default:
      return ""
  }
}

/** @since 0.7.0 @category constructors */
export const destroyOf = ({ id, name, state }: Vm): VmAction => ({
  name: "Destroy",
  label: `Destroy ${name}`,
  method: "DELETE",
  path: `/vms/${id}`,
  words: ["vm", "destroy", `id:${id}`, "--yes"],
  possible: state !== "destroying" && state !== "destroyed",
  run: Effect.flatMap(calls, ({ vms }) => vms.destroyVm({ path: { id } }))
})

/** Whatever can be done with it as it is, to be copied. @since 0.13.0 @category constructors */
export const commandsOf = (vm: Vm): ReadonlyArray<VmAction> => [
  ...[...powerOf(vm), repairOf(vm)].filter(({ possible }) => possible),
  destroyOf(vm)
]
