/**
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { limits, type Saga } from "./Saga.ts"
import * as VmSaga from "./VmSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["power off", "undefine", "root disk"] as const

/**
 * power off → undefine → root disk. Only forward: a VM half destroyed cannot be given back, so an unreachable host is waited for, and
 * after a refusal the VM stays `destroying` with its reservation, to be destroyed again. Its volumes stay, and are available again.
 *
 * @since 0.1.0 @category operations
 */
export const saga = (subject: VmSaga.Subject): Saga<(typeof steps)[number]> => {
  const { driver, host, hypervisor, inventory, vm } = subject
  const domain = { uuid: vm.uuid, domainName: vm.domainName }
  return {
    hosts: [host],
    unreachable: "wait",
    limit: limits.sagaWithCopy,
    steps: [
      { name: "power off", act: hypervisor.powerOff(host, domain) },
      { name: "undefine", act: VmSaga.undefine(subject, domain) },
      // a pool removes it piece by piece
      { name: "root disk", act: driver.deleteRoot(host, vm.id), limit: limits.copy }
    ],
    succeeded: inventory.setVmState(vm.id, "destroyed"),
    failed: Effect.void
  }
}
