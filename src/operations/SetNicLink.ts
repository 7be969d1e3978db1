/**
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Errors from "../domain/Errors.ts"
import { noDomain } from "../services/Hypervisor.ts"
import * as NicSaga from "./NicSaga.ts"
import type { Saga } from "./Saga.ts"
import type { Subject } from "./VmSaga.ts"

/** @since 0.6.0 @category constants */
export const steps = ["link"] as const

/**
 * The cable is plugged in, or out, in the running guest and in the definition. A guest may have let go of the NIC, or lost it by hand: then it is
 * refused, and undone where there is something to undo.
 *
 * @since 0.6.0 @category operations
 */
export const saga = (subject: Subject): Saga<(typeof steps)[number]> => {
  const { host, hypervisor, inventory, operation, vm } = subject
  const nic = NicSaga.nicOf(subject)
  const shown = NicSaga.shown(subject, nic)
  const { formerLink = "up", link = "up" } = operation.detail
  const set = (to: typeof link) =>
    nic === null
      ? Effect.succeedSome({ live: null, persistent: true })
      : hypervisor.setLink(host, { uuid: vm.uuid, domainName: vm.domainName }, NicSaga.refOf(nic), to)
  return {
    hosts: [host],
    unreachable: "undo",
    steps: [
      {
        name: "link",
        description: `Set the link of ${shown} in ${vm.domainName} ${link}.`,
        act: Effect.flatMap(set(link), (found) => {
          const reason = Option.match(found, {
            onNone: () => noDomain,
            onSome: ({ live, persistent }) =>
              live === false || !persistent
                ? `${vm.domainName} ${live === false ? "runs" : "is defined"} without it: remove it, and attach it again`
                : null
          })
          return reason === null
            ? Effect.void
            : new Errors.HostFailure({ host: host.name, action: `set the link of ${shown} ${link}`, reason })
        }),
        undo: Effect.asVoid(set(formerLink))
      }
    ],
    succeeded: nic === null ? Effect.void : inventory.settleNic(vm.id, nic.id, { state: nic.state, link }),
    failed: Effect.void
  }
}
