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
  const name = operation.detail.name ?? volume.name
  return {
    hosts: VolumeSaga.hostsOf(subject),
    unreachable: "wait",
    steps: [
      {
        name: "rename",
        description: `Tell the storage that ${volume.serial} is called ${JSON.stringify(name)}.`,
        act: driver.renameVolume(VolumeSaga.place(subject), name)
      }
    ],
    succeeded: VolumeSaga.settle(subject, { name }),
    failed: VolumeSaga.settle(subject, { name: operation.detail.formerName ?? volume.name })
  }
}
