/**
 * @since 0.6.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Retry from "./Retry.ts"
import { limits, type Saga } from "./Saga.ts"
import * as VmSaga from "./VmSaga.ts"

/** @since 0.6.0 @category constants */
export const steps = ["reboot"] as const

/**
 * The guest is asked, and with `force` reset when it has not started anew in time. Nothing on a host tells later that a guest has: taken up by
 * another process it is asked once more.
 *
 * @since 0.6.0 @category operations
 */
export const saga = (subject: VmSaga.Subject): Saga<(typeof steps)[number]> => {
  const { host, hypervisor, inventory, operation, vm } = subject
  const { force, within } = VmSaga.patienceOf(operation)
  const domain = { uuid: vm.uuid, domainName: vm.domainName }
  const time = Retry.inWords(within)
  const asked = Effect.zipRight(
    hypervisor.reboot(host, domain, within),
    VmSaga.tell(subject, "its guest started anew when it was asked to")
  )
  const reset = Effect.zipRight(
    hypervisor.reset(host, domain),
    VmSaga.tell(subject, `its guest had not started anew within ${time}, so it was reset`)
  )
  return {
    hosts: [host],
    unreachable: "undo",
    limit: Duration.sum(within, limits.saga),
    steps: [
      {
        name: "reboot",
        description:
          `Ask the guest of ${vm.domainName} to start anew, and wait for that, at most ${time}` +
          `${force ? "; then reset it" : ""}.`,
        act: force ? Effect.catchTag(asked, "GuestIgnores", () => reset) : asked,
        cancellable: true,
        limit: Duration.sum(within, limits.step)
      }
    ],
    succeeded: inventory.setVmPower(vm.id, "running", VmSaga.running),
    failed: Effect.void
  }
}
