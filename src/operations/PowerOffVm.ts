/**
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import { byOperation } from "../domain/Vm.ts"
import type { Saga } from "./Saga.ts"
import * as VmSaga from "./VmSaga.ts"

/** @since 0.6.0 @category constants */
export const steps = ["power off"] as const

/** The power is taken without asking the guest. @since 0.6.0 @category operations */
export const saga = (subject: VmSaga.Subject): Saga<(typeof steps)[number]> => {
  const { host, hypervisor, inventory, vm } = subject
  let seen: VmSaga.Sight | undefined
  return {
    hosts: [host],
    unreachable: "undo",
    steps: [
      {
        name: "power off",
        description: `Take the power from ${vm.domainName}.`,
        act: Effect.gen(function* () {
          const found = yield* VmSaga.lookAt(subject)
          const { power, reason } = found
          const isOff = VmSaga.isOff(power)
          // first: one that keeps its power goes on to be started by its host
          if (!isOff) yield* hypervisor.powerOff(host, { uuid: vm.uuid, domainName: vm.domainName })
          if (power !== "absent") yield* VmSaga.stayOff(subject)
          seen = isOff ? found : { power: "stopped", reason: byOperation.stopped }
          if (isOff) yield* VmSaga.tell(subject, `it was off already${reason === null ? "" : `: ${reason}`}`)
        }),
        ...VmSaga.undoAutostart(subject)
      }
    ],
    succeeded: Effect.suspend(() => inventory.setVmPower(vm.id, "stopped", seen)),
    failed: Effect.void
  }
}
