/**
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { limits, type Saga } from "./Saga.ts"
import * as VmSaga from "./VmSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["power off", "undefine", "seed", "root disk"] as const

/**
 * power off → undefine → seed → root disk. Only forward: a VM half destroyed cannot be given back, so an unreachable host is waited for, and
 * after a refusal the VM stays `destroying` with its reservation, and the observer has it destroyed again. Its volumes stay, and are available again.
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
      {
        name: "power off",
        description: `Take the power from ${vm.domainName}.`,
        act: hypervisor.powerOff(host, domain)
      },
      {
        name: "undefine",
        description: `Remove the definition of ${vm.domainName}.`,
        act: VmSaga.undefine(subject, domain)
      },
      // before the root disk, for as long as that is there the VM is among what may have been left
      {
        name: "seed",
        description: `Remove what cloud-init in ${vm.domainName} read.`,
        act: driver.deleteSeed(host, vm.id)
      },
      {
        name: "root disk",
        description: `Remove the root disk of ${vm.domainName} for good.`,
        act: driver.deleteRoot(host, vm.id),
        // a pool removes it piece by piece
        limit: limits.copy
      }
    ],
    succeeded: inventory.setVmState(vm.id, "destroyed"),
    failed: Effect.void
  }
}
