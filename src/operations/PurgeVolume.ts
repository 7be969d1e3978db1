/**
 * @since 0.2.0
 */
import { limits, type Saga } from "./Saga.ts"
import * as VolumeSaga from "./VolumeSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["purge"] as const

/** Out of the trash, for good. @since 0.2.0 @category operations */
export const saga = (subject: VolumeSaga.Subject): Saga<(typeof steps)[number]> => ({
  hosts: VolumeSaga.hostsOf(subject),
  unreachable: "wait",
  limit: limits.sagaWithCopy,
  steps: [
    {
      name: "purge",
      description: `Remove ${subject.volume.serial} and its snapshots for good.`,
      act: subject.driver.purgeVolume(VolumeSaga.place(subject)),
      // a pool removes it piece by piece
      limit: limits.copy
    }
  ],
  succeeded: VolumeSaga.settle(subject, { state: "purged" }),
  failed: VolumeSaga.settle(subject, { state: "deleted" })
})
