/**
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as NicSaga from "./NicSaga.ts"
import type { Saga } from "./Saga.ts"
import type { Subject } from "./VmSaga.ts"

/** @since 0.6.0 @category constants */
export const steps = ["link"] as const

/** The cable is plugged in, or out, in the running guest and in the definition. @since 0.6.0 @category operations */
export const saga = (subject: Subject): Saga<(typeof steps)[number]> => {
  const { host, hypervisor, inventory, operation, vm } = subject
  const nic = NicSaga.nicOf(subject)
  const { formerLink = "up", link = "up" } = operation.detail
  const set = (to: typeof link) =>
    nic === null
      ? Effect.void
      : hypervisor.setLink(host, { uuid: vm.uuid, domainName: vm.domainName }, NicSaga.refOf(nic), to)
  return {
    hosts: [host],
    unreachable: "undo",
    steps: [
      {
        name: "link",
        description: `Set the link of ${NicSaga.shown(subject, nic)} in ${vm.domainName} ${link}.`,
        act: set(link),
        undo: set(formerLink)
      }
    ],
    succeeded: nic === null ? Effect.void : inventory.settleNic(vm.id, nic.id, { state: nic.state, link }),
    failed: Effect.void
  }
}
