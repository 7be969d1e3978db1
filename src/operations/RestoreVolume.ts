/**
 * @since 0.2.0
 */
import type { Saga } from "./Saga.ts"
import * as VolumeSaga from "./VolumeSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["restore"] as const

/** Back from the trash. @since 0.2.0 @category operations */
export const saga = (subject: VolumeSaga.Subject): Saga<(typeof steps)[number]> => ({
  hosts: VolumeSaga.hostsOf(subject),
  unreachable: "wait",
  steps: [
    {
      name: "restore",
      description: `Take ${subject.volume.serial} out of the trash.`,
      act: subject.driver.restoreVolume(VolumeSaga.place(subject))
    }
  ],
  succeeded: VolumeSaga.settle(subject, { state: "available", purgeAt: null }),
  failed: VolumeSaga.settle(subject, { state: "deleted" })
})
