/**
 * What the operations on VMs have in common.
 *
 * @since 0.3.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { HostError, PersistenceError } from "../domain/Errors.ts"
import type { Host } from "../domain/Host.ts"
import type { Operation } from "../domain/Operation.ts"
import { isByHand, type Power, type Vm, type VmSeen } from "../domain/Vm.ts"
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

/** How long a guest has for what it is asked, unless somebody says: seconds. @since 0.6.0 @category constants */
export const usualPatience = 90

/** How long a guest has for what it is asked, and whether else it is done without it. @since 0.6.0 @category getters */
export const patienceOf = ({ detail }: Operation): { readonly within: Duration.Duration; readonly force: boolean } => ({
  within: Duration.seconds(detail.within ?? usualPatience),
  force: detail.force ?? true
})

/** What a VM is seen to be. @since 0.9.0 @category models */
export type Sight = Pick<VmSeen, "power" | "reason">

/** What one is seen to be that was given power, or let go on. @since 0.9.0 @category constants */
export const running: Sight = { power: "running", reason: null }

/**
 * What the host says that the VM's domain does. Its libvirt knows nothing of who took its power or paused it: where that was an operation, what
 * is remembered of it says so.
 *
 * @since 0.6.0 @category steps
 */
export const lookAt = ({ host, hypervisor, inventory, vm }: Subject): Effect.Effect<Sight, HostError> =>
  Effect.flatMap(
    hypervisor.power(host, { uuid: vm.uuid, domainName: vm.domainName }),
    Option.match({
      onNone: () => Effect.succeed({ power: "absent" as const, reason: null }),
      onSome: ({ power, reason }) => {
        const now: Sight = { power, reason }
        if (!isByHand(now)) return Effect.succeed(now)
        return Effect.map(inventory.seen, (seen): Sight => {
          const before = seen.get(vm.id)
          return { power, reason: before?.power === power ? (before.reason ?? reason) : reason }
        })
      }
    })
  )

/** Whether there is nothing that its power could be taken from. @since 0.6.0 @category predicates */
export const isOff = (power: Power): boolean => power === "stopped" || power === "crashed" || power === "absent"

/** One that is stopped on purpose is not started by its host either. @since 0.6.0 @category steps */
export const stayOff = ({ host, hypervisor, vm }: Subject): Effect.Effect<void, HostError> =>
  vm.autostart ? hypervisor.setAutostart(host, { uuid: vm.uuid, domainName: vm.domainName }, false) : Effect.void

/**
 * The undo of a step that says whether the VM's host starts it: what the host refused it may have done. One that is gone from there starts with nothing. Absent: the VM
 * is not to start with its host whatever its power is.
 *
 * @since 0.14.0 @category steps
 */
export const undoAutostart = (subject: Subject): { readonly undo?: Effect.Effect<void, HostError> } => {
  const { host, hypervisor, vm } = subject
  if (!vm.autostart) return {}
  const domain = { uuid: vm.uuid, domainName: vm.domainName }
  return {
    undo: Effect.flatMap(lookAt(subject), ({ power }) =>
      power === "absent" ? Effect.void : hypervisor.setAutostart(host, domain, vm.startsWithHost)
    )
  }
}

/** Writes down how the operation came about. @since 0.6.0 @category steps */
export const tell = (
  { inventory, operation }: Pick<Subject, "inventory" | "operation">,
  outcome: string
): Effect.Effect<void, PersistenceError> => inventory.setOutcome(operation.id, outcome)

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
