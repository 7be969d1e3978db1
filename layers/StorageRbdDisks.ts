/**
 * What disks in a Ceph pool hold: read from a snapshot, which is taken of whatever is not one.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Qcow2 from "../src/ceph/Qcow2.ts"
import type { StorageError } from "../src/domain/Errors.ts"
import type { OperationId } from "../src/domain/Ids.ts"
import type { Ceph, Image } from "../src/services/Ceph.ts"
import type { DiskAt } from "../src/services/Storage.ts"
import { type DiskPart, withPercent } from "./StorageDriver.ts"
import type { RbdPool } from "./StorageRbdPool.ts"

/** The image, and the snapshot of it that holds the disk. */
const namesOf = (disk: DiskAt, operationId: OperationId) => {
  switch (disk._tag) {
    case "Root":
      return { image: `vm-${disk.vmId}-root`, snapshot: `publish-${operationId}` }
    case "Volume":
      return { image: `volume-${disk.volume.id}`, snapshot: `publish-${operationId}` }
    case "Snapshot":
      return { image: `volume-${disk.volume.id}`, snapshot: `snapshot-${disk.snapshotId}` }
  }
}

/** The part of the driver that is about what disks hold. @since 0.7.0 @category constructors */
export const make = (ceph: Ceph["Type"], pool: RbdPool): DiskPart => {
  const { ask, failure, fromCeph, look, unlessRefused } = pool

  const snapshotOf = (image: Option.Option<Image>, name: string) =>
    Option.flatMap(image, ({ snapshots }) => Option.fromNullable(snapshots.find((one) => one.name === name)))

  /** The snapshot that has to be there. */
  const find = Effect.fnUntraced(function* (action: string, image: string, snapshot: string) {
    const found = snapshotOf(yield* look(action, image), snapshot)
    return Option.isSome(found) ? found.value : yield* failure(action, `there is no ${image}@${snapshot}`)
  })

  const holdDisk = Effect.fn("Storage.holdDisk")(function* (disk: DiskAt, operationId: OperationId) {
    const { image, snapshot } = namesOf(disk, operationId)
    const action = `hold what ${image} holds`
    if (disk._tag !== "Snapshot") yield* unlessRefused(action, ceph.createSnapshot(image, snapshot), "EEXIST")
    yield* find(action, image, snapshot)
  })

  const readDisk = Effect.fn("Storage.readDisk")(function* (disk: DiskAt, operationId: OperationId) {
    const { image, snapshot } = namesOf(disk, operationId)
    const action = `read ${image}`
    const { name, size } = yield* find(action, image, snapshot)
    const pieces = Stream.mapError(ceph.exportSnapshot(image, { name, size }), fromCeph(action))
    // told of the disk, and not of the file, which ends sooner
    return Qcow2.fromDisk(size, withPercent(size, pieces))
  })

  const releaseDisk = Effect.fn("Storage.releaseDisk")(function* (disk: DiskAt, operationId: OperationId) {
    if (disk._tag === "Snapshot") return
    const { image, snapshot } = namesOf(disk, operationId)
    const action = `let go of what ${image} held`
    const removed = unlessRefused(action, ceph.removeSnapshot(image, snapshot), "ENOENT")
    yield* Effect.catchTag(removed, "StorageFailure", (refused): Effect.Effect<void, StorageError> =>
      // refused after it was removed, it is removed
      Effect.flatMap(ask(action, ceph.look(image)), (found) =>
        Option.isNone(snapshotOf(found, snapshot)) ? Effect.void : Effect.fail(refused)
      )
    )
  })

  return { holdDisk, readDisk, releaseDisk }
}
