/**
 * @since 0.2.0
 */
import type { Snapshot } from "../domain/Volume.ts"
import { limits, type Saga } from "./Saga.ts"
import * as VolumeSaga from "./VolumeSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["snapshot"] as const

/** @since 0.2.0 @category operations */
export const saga = (subject: VolumeSaga.Subject, snapshot: Snapshot): Saga<(typeof steps)[number]> => ({
  hosts: VolumeSaga.hostsOf(subject),
  unreachable: "wait",
  limit: limits.sagaWithCopy,
  steps: [
    {
      name: "snapshot",
      description: `Remove snapshot ${snapshot.id} (${snapshot.name}) of ${subject.volume.serial}.`,
      act: subject.driver.deleteSnapshot(VolumeSaga.place(subject), snapshot.id),
      // a pool removes it piece by piece
      limit: limits.copy
    }
  ],
  succeeded: VolumeSaga.settle(subject, { snapshot: { id: snapshot.id, state: "destroyed" } }),
  failed: VolumeSaga.settle(subject, { snapshot: { id: snapshot.id, state: "ready" } })
})
