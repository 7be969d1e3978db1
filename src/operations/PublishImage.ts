/**
 * A disk as an image: held as it is at one moment, read into the controller's own folder, and checked as any other image is.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import type { Image } from "../domain/Image.ts"
import type { OperationId } from "../domain/Ids.ts"
import type { ImageLibrary } from "../services/ImageLibrary.ts"
import type { ImageStore } from "../services/ImageStore.ts"
import type { Inventory } from "../services/Inventory.ts"
import type { DiskAt, StorageDriver } from "../services/Storage.ts"
import { limits, type Saga } from "./Saga.ts"

/** @since 0.7.0 @category constants */
export const steps = ["hold", "read", "release", "check"] as const

/** What it works with. @since 0.7.0 @category models */
export interface Subject {
  readonly inventory: Inventory["Type"]
  readonly store: ImageStore["Type"]
  readonly library: ImageLibrary["Type"]
  /** of the disk */
  readonly driver: StorageDriver
  readonly operationId: OperationId
  /** in words, as in `the root disk of vm-7` */
  readonly what: string
  readonly disk: DiskAt
  /** the host that has the disk; none: it is in a pool */
  readonly hosts: Saga["hosts"]
  readonly image: Image
}

/** hold → read → release → check. @since 0.7.0 @category operations */
export const saga = (subject: Subject): Saga<(typeof steps)[number]> => {
  const { disk, driver, hosts, image, inventory, library, operationId, store, what } = subject
  const { name, source } = image.config
  const release = driver.releaseDisk(disk, operationId)
  return {
    hosts,
    unreachable: "undo",
    limit: limits.sagaWithCopy,
    steps: [
      {
        name: "hold",
        description: `Keep what ${what} holds at this moment.`,
        act: driver.holdDisk(disk, operationId),
        undo: release,
        // a root disk that is a file is copied
        limit: limits.copy
      },
      {
        name: "read",
        description: `Read ${what} into the file of image ${name}.`,
        act: Effect.flatMap(driver.readDisk(disk, operationId), (pieces) => store.write(source, pieces)),
        undo: store.remove(source),
        cancellable: true,
        limit: limits.copy
      },
      { name: "release", description: `Remove what was made to hold ${what}.`, act: release },
      {
        name: "check",
        description: `Check image ${name}, and take its SHA-256.`,
        act: Effect.asVoid(library.resolve(image)),
        cancellable: true,
        limit: limits.copy,
        hosts: []
      }
    ],
    succeeded: inventory.settleImage(image.id, "available"),
    failed: inventory.dropImage(image.id)
  }
}
