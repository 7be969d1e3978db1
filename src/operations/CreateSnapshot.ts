/**
 * @since 0.2.0
 */
import type { Snapshot } from "../domain/Volume.ts"
import { limits, type Saga } from "./Saga.ts"
import * as VolumeSaga from "./VolumeSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["snapshot"] as const

/** @since 0.2.0 @category operations */
export const saga = (subject: VolumeSaga.Subject, snapshot: Snapshot): Saga<(typeof steps)[number]> => {
  const at = VolumeSaga.place(subject)
  return {
    hosts: VolumeSaga.hostsOf(subject),
    unreachable: "undo",
    limit: limits.sagaWithCopy,
    steps: [
      {
        name: "snapshot",
        description: `Take snapshot ${snapshot.id} (${snapshot.name}) of ${subject.volume.serial}.`,
        act: subject.driver.createSnapshot(at, snapshot.id),
        undo: subject.driver.deleteSnapshot(at, snapshot.id),
        // without a pool it is a copy of all of the volume
        limit: limits.copy
      }
    ],
    succeeded: VolumeSaga.settle(subject, { snapshot: { id: snapshot.id, state: "ready" } }),
    failed: VolumeSaga.settle(subject, { snapshot: { id: snapshot.id, state: "failed" } })
  }
}
