/**
 * @since 0.2.0
 */
import { limits, type Saga } from "./Saga.ts"
import * as VolumeSaga from "./VolumeSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["volume"] as const

/** The volume, empty or with its snapshot's content. @since 0.2.0 @category operations */
export const saga = (subject: VolumeSaga.Subject): Saga<(typeof steps)[number]> => {
  const { driver, operation, snapshot, volume } = subject
  const at = VolumeSaga.place(subject)
  return {
    hosts: VolumeSaga.hostsOf(subject),
    unreachable: "undo",
    limit: limits.sagaWithCopy,
    steps: [
      {
        name: "volume",
        description:
          snapshot === null
            ? `Make ${volume.serial}, empty, ${volume.size} GiB.`
            : `Make ${volume.serial} with the content of snapshot ${snapshot.id} (${snapshot.name}), ${volume.size} GiB.`,
        act: driver.createVolume(at, {
          size: volume.size,
          name: volume.name,
          operationId: operation.id,
          source: snapshot === null ? null : { volumeId: snapshot.volumeId, snapshotId: snapshot.id }
        }),
        undo: driver.discardVolume(at, operation.id),
        // without a pool a clone is a copy of all of the snapshot
        limit: limits.copy
      }
    ],
    succeeded: VolumeSaga.settle(subject, { state: "available" }),
    failed: VolumeSaga.settle(subject, { state: "failed" })
  }
}
