/**
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Errors from "../domain/Errors.ts"
import type { Snapshot } from "../domain/Volume.ts"
import { limits, type Saga } from "./Saga.ts"
import * as VolumeSaga from "./VolumeSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["stopped", "revert"] as const

/** nobody runs with it → the snapshot's content and size. @since 0.2.0 @category operations */
export const saga = (subject: VolumeSaga.Subject, snapshot: Snapshot): Saga<(typeof steps)[number]> => {
  const { driver, hypervisor, operation, user, volume } = subject
  return {
    hosts: VolumeSaga.hostsOf(subject),
    unreachable: "wait",
    limit: limits.sagaWithCopy,
    steps: [
      {
        name: "stopped",
        description: `See that no guest runs with ${volume.serial}.`,
        act: Effect.gen(function* () {
          if (user === null) return
          const { host, vm } = user
          const domain = { uuid: vm.uuid, domainName: vm.domainName }
          const presence = yield* hypervisor.diskPresence(host, domain, VolumeSaga.diskOf(volume))
          if (Option.exists(presence, ({ live }) => live !== null)) {
            return yield* new Errors.VolumeConflict({
              volumeId: volume.id,
              called: volume.name,
              reason: `cannot be reverted while VM ${vm.id} (${vm.name}) runs with it: stop the VM or detach the volume first`
            })
          }
        }),
        once: true
      },
      {
        name: "revert",
        description: `Give ${volume.serial} the content and the size of snapshot ${snapshot.id} (${snapshot.name}).`,
        act: driver.revertVolume(VolumeSaga.place(subject), snapshot.id),
        // all of the content may be copied
        limit: limits.copy
      }
    ],
    succeeded: VolumeSaga.settle(subject, { size: snapshot.size }),
    failed: VolumeSaga.settle(subject, { size: operation.detail.formerSize ?? volume.size })
  }
}
