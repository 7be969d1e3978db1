/**
 * What the operations on VMs have in common.
 *
 * @since 0.3.0
 */
import * as Effect from "effect/Effect"
import type { Host } from "../domain/Host.ts"
import type { Operation } from "../domain/Operation.ts"
import type { Vm } from "../domain/Vm.ts"
import type { DomainRef, Hypervisor } from "../services/Hypervisor.ts"
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

/**
 * Removes the definition of one that was powered off. It may run again: by a start that was given up and took effect after all, by its
 * `on_crash`, or by somebody's hand. Then the power is taken from it once more.
 *
 * @since 0.5.0 @category steps
 */
export const undefine = ({ host, hypervisor }: Pick<Subject, "host" | "hypervisor">, domain: DomainRef) =>
  Effect.catchTag(hypervisor.undefine(host, domain), "HostFailure", () =>
    Effect.zipRight(hypervisor.powerOff(host, domain), hypervisor.undefine(host, domain))
  )
