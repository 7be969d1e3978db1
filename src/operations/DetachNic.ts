/**
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as NicSaga from "./NicSaga.ts"
import type { Saga } from "./Saga.ts"
import type { Subject } from "./VmSaga.ts"

/** @since 0.6.0 @category constants */
export const steps = ["detach"] as const

/**
 * Out of the domain, once the guest has let go. A guest that does not leaves the NIC attached, and that it was asked is remembered: should it let go
 * later, the removal is finished then.
 *
 * @since 0.6.0 @category operations
 */
export const saga = (subject: Subject): Saga<(typeof steps)[number]> => {
  const { host, hypervisor, inventory, vm } = subject
  const nic = NicSaga.nicOf(subject)
  const settle = (outcome: Parameters<typeof inventory.settleNic>[2]) =>
    nic === null ? Effect.void : inventory.settleNic(vm.id, nic.id, outcome)
  return {
    hosts: [host],
    unreachable: "wait",
    steps: [
      {
        name: "detach",
        description: `Take ${NicSaga.shown(subject, nic)} out of ${vm.domainName}, once the guest lets go of it.`,
        act:
          nic === null
            ? Effect.void
            : hypervisor.detachNic(host, { uuid: vm.uuid, domainName: vm.domainName }, NicSaga.refOf(nic))
      }
    ],
    succeeded: settle(null),
    failed: settle({ state: "attached", releaseAsked: true })
  }
}
