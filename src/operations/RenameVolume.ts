/**
 * @since 0.2.0
 */
import type { Saga } from "./Saga.ts"
import * as VolumeSaga from "./VolumeSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["rename"] as const

/** The name that the storage keeps beside the volume. @since 0.2.0 @category operations */
export const saga = (subject: VolumeSaga.Subject): Saga<(typeof steps)[number]> => {
  const { driver, operation, volume } = subject
  return {
    hosts: VolumeSaga.hostsOf(subject),
    unreachable: "wait",
    steps: [
      { name: "rename", act: driver.renameVolume(VolumeSaga.place(subject), operation.detail.name ?? volume.name) }
    ],
    succeeded: VolumeSaga.settle(subject, { name: operation.detail.name ?? volume.name }),
    failed: VolumeSaga.settle(subject, { name: operation.detail.formerName ?? volume.name })
  }
}
