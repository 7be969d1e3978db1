/**
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import type { Saga } from "./Saga.ts"
import type * as VmSaga from "./VmSaga.ts"

/** @since 0.6.0 @category constants */
export const steps = ["title", "autostart"] as const

/**
 * What is said of the VM is told its domain. Only forward: it is wanted already, so a host that does not answer is waited for.
 *
 * @since 0.6.0 @category operations
 */
export const saga = ({ host, hypervisor, inventory, vm }: VmSaga.Subject): Saga<(typeof steps)[number]> => {
  const domain = { uuid: vm.uuid, domainName: vm.domainName }
  const autostart = vm.startsWithHost
  return {
    hosts: [host],
    unreachable: "wait",
    steps: [
      {
        name: "title",
        description: `Give ${vm.domainName} its title, also while it runs.`,
        act: hypervisor.rename(host, domain, vm.name)
      },
      {
        name: "autostart",
        description: `See that ${vm.domainName} ${autostart ? "is" : "is not"} started when its host boots.`,
        act: hypervisor.setAutostart(host, domain, autostart)
      }
    ],
    succeeded: inventory.setVmState(vm.id, vm.state),
    failed: Effect.void
  }
}
