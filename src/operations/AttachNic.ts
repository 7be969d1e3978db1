/**
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Errors from "../domain/Errors.ts"
import * as NicSaga from "./NicSaga.ts"
import type { Saga } from "./Saga.ts"
import * as VmSaga from "./VmSaga.ts"

/** @since 0.6.0 @category constants */
export const steps = ["attach", "seen"] as const

/**
 * in the domain → seen there. When it is undone and the guest does not let go any more, the NIC stays attached, and that it was
 * asked is remembered.
 *
 * @since 0.6.0 @category operations
 */
export const saga = (subject: VmSaga.Subject): Saga<(typeof steps)[number]> => {
  const { host, hypervisor, inventory, vm } = subject
  const domain = { uuid: vm.uuid, domainName: vm.domainName }
  const nic = NicSaga.nicOf(subject)
  const shown = NicSaga.shown(subject, nic)
  const settle = (outcome: Parameters<typeof inventory.settleNic>[2]) =>
    nic === null ? Effect.void : inventory.settleNic(vm.id, nic.id, outcome)
  return {
    hosts: [host],
    unreachable: "undo",
    steps: [
      {
        name: "attach",
        description: `Put ${shown} into ${vm.domainName}, into the running guest, too.`,
        act:
          nic === null
            ? Effect.void
            : Effect.flatMap(NicSaga.allOnHost(hypervisor, host, [nic], `attach ${shown} to ${vm.domainName}`), (all) =>
                Effect.forEach(all, (one) => hypervisor.attachNic(host, domain, one), { discard: true })
              ),
        undo: nic === null ? Effect.void : hypervisor.detachNic(host, domain, NicSaga.refOf(nic))
      },
      {
        name: "seen",
        description: `See that ${vm.domainName} has ${shown}.`,
        act:
          nic === null
            ? Effect.void
            : Effect.flatMap(hypervisor.nicPresence(host, domain, NicSaga.refOf(nic)), (found) =>
                Option.isSome(found) && found.value.persistent && found.value.live !== false
                  ? Effect.void
                  : new Errors.HostFailure({
                      host: host.name,
                      action: `keep ${shown} in ${vm.domainName}`,
                      reason: Option.isNone(found)
                        ? "the domain is gone"
                        : "the NIC is gone again right after it was attached"
                    })
              )
      }
    ],
    succeeded: settle({ state: "attached" }),
    kept: ({ message }) =>
      Effect.zipRight(
        VmSaga.tell(subject, `the NIC stays attached: ${message}`),
        settle({ state: "attached", releaseAsked: true })
      ),
    failed: settle(null)
  }
}
