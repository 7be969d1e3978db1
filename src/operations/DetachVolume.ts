/**
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type { Host } from "../domain/Host.ts"
import type { Vm } from "../domain/Vm.ts"
import type { Saga } from "./Saga.ts"
import * as VolumeSaga from "./VolumeSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["detach", "released"] as const

/**
 * Out of the domain, once the guest has let go → nobody has it open any more. A guest that does not let go leaves the volume attached,
 * and that it was asked is remembered: should it let go later, the detach is finished then.
 *
 * @since 0.2.0 @category operations
 */
export const saga = (
  subject: VolumeSaga.Subject,
  user: { readonly vm: Vm; readonly host: Host }
): Saga<(typeof steps)[number]> => {
  const { driver, hypervisor, volume } = subject
  const { host, vm } = user
  const domain = { uuid: vm.uuid, domainName: vm.domainName }
  return {
    hosts: VolumeSaga.hostsOf(subject),
    unreachable: "wait",
    steps: [
      {
        name: "detach",
        description: `Take ${volume.serial} out of ${vm.domainName}, once the guest lets go of it.`,
        act: hypervisor.detachDisk(host, domain, VolumeSaga.diskOf(volume))
      },
      {
        name: "released",
        description: `Wait until nobody has ${volume.serial} open any more.`,
        // Out of the domain it is detached whatever else holds it; an attach elsewhere looks again, and refuses.
        act: driver
          .awaitReleased(VolumeSaga.place(subject))
          .pipe(
            Effect.catchTag("HostFailure", "StorageFailure", (error) =>
              Effect.logWarning(`${volume.serial} is out of ${vm.domainName}: ${error.message}`)
            )
          )
      }
    ],
    succeeded: VolumeSaga.settle(subject, { state: "available", attachment: null, releaseAsked: false }),
    failed: VolumeSaga.settle(subject, { state: "attached", releaseAsked: true })
  }
}
