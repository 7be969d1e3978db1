/**
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Host } from "../domain/Host.ts"
import type { Vm } from "../domain/Vm.ts"
import type { Hypervisor } from "../services/Hypervisor.ts"
import type { Inventory } from "../services/Inventory.ts"
import type { Storage } from "../services/Storage.ts"
import type { Saga } from "./Saga.ts"

interface Services {
  readonly inventory: Inventory["Type"]
  readonly hypervisor: Hypervisor["Type"]
  readonly storage: Storage["Type"]
}

/**
 * power off → undefine → root disk. Only forward: a VM half destroyed cannot be given back, so an unreachable host is waited for, and
 * after a refusal the VM stays `destroying` with its reservation, to be destroyed again.
 *
 * @since 0.1.0 @category operations
 */
export const saga = ({ hypervisor, inventory, storage }: Services, vm: Vm, host: Host): Saga => {
  const domain = { uuid: vm.uuid, domainName: vm.domainName }
  return {
    hostId: host.id,
    unreachable: "wait",
    steps: [
      { name: "power off", act: hypervisor.powerOff(host, domain) },
      { name: "undefine", act: hypervisor.undefine(host, domain) },
      { name: "root disk", act: storage.deleteRoot(host, vm.id) }
    ],
    succeeded: inventory.setVmState(vm.id, "destroyed"),
    failed: Effect.void
  }
}
