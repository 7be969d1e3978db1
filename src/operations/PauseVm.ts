/**
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import { byOperation } from "../domain/Vm.ts"
import type { Saga } from "./Saga.ts"
import * as VmSaga from "./VmSaga.ts"

/** @since 0.6.0 @category constants */
export const steps = ["pause"] as const

/** The guest stands still, with its memory where it is. @since 0.6.0 @category operations */
export const saga = (subject: VmSaga.Subject): Saga<(typeof steps)[number]> => {
  const { host, hypervisor, inventory, vm } = subject
  let seen: VmSaga.Sight | undefined
  return {
    hosts: [host],
    unreachable: "undo",
    steps: [
      {
        name: "pause",
        description: `Pause ${vm.domainName}: its guest stands still and keeps its memory.`,
        act: Effect.gen(function* () {
          const found = yield* VmSaga.lookAt(subject)
          yield* hypervisor.pause(host, { uuid: vm.uuid, domainName: vm.domainName })
          seen = found.power === "paused" ? found : { power: "paused", reason: byOperation.paused }
        })
      }
    ],
    succeeded: Effect.suspend(() => inventory.setVmPower(vm.id, "paused", seen)),
    failed: Effect.void
  }
}
