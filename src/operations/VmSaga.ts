/**
 * What the operations on VMs have in common.
 *
 * @since 0.3.0
 */
import type { Host } from "../domain/Host.ts"
import type { Operation } from "../domain/Operation.ts"
import type { Vm } from "../domain/Vm.ts"
import type { Hypervisor } from "../services/Hypervisor.ts"
import type { Inventory } from "../services/Inventory.ts"
import type { StorageDriver } from "../services/Storage.ts"

/** What an operation on a VM works with, as the inventory has it when it is taken up. @since 0.3.0 @category models */
export interface Subject {
  readonly inventory: Inventory["Type"]
  readonly hypervisor: Hypervisor["Type"]
  /** of the VM's root disk */
  readonly driver: StorageDriver
  readonly operation: Operation
  readonly vm: Vm
  readonly host: Host
}
