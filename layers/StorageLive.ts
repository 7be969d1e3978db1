/**
 * The storage: a folder on each host (driver `dir`), and where there is one a Ceph pool that all hosts share (driver `rbd`).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { StorageUnreachable } from "../src/domain/Errors.ts"
import type { DriverName } from "../src/domain/Pool.ts"
import type { Ceph } from "../src/services/Ceph.ts"
import type { ImageLibrary } from "../src/services/ImageLibrary.ts"
import type { Libvirt } from "../src/services/Libvirt.ts"
import { Storage, type StorageDriver } from "../src/services/Storage.ts"
import * as StorageDir from "./StorageDir.ts"
import { defaults, type Options } from "./StorageDriver.ts"
import * as StorageRbd from "./StorageRbd.ts"

/** Takes the place of a driver that is not set up. */
const missing = (name: DriverName, known: ReadonlyArray<StorageDriver>): StorageDriver => {
  const fail = new StorageUnreachable({
    storage: `storage driver ${name}`,
    reason:
      name === "rbd"
        ? "no Ceph pool is set up: start with --ceph-pool POOL to use what is kept there"
        : `it is not set up, only ${known.map((driver) => driver.name).join(" and ")}: start with a Storage layer that has it`
  })
  const failing = () => fail
  return {
    name,
    pool: null,
    usage: fail,
    ensureImage: failing,
    listImages: failing,
    removeImage: failing,
    createRoot: failing,
    describeRoot: failing,
    openRoot: failing,
    deleteRoot: failing,
    listRoots: failing,
    writeSeed: failing,
    deleteSeed: failing,
    describeSeed: failing,
    createVolume: failing,
    discardVolume: failing,
    listVolumes: failing,
    volumeSize: failing,
    openVolume: failing,
    describeVolume: failing,
    awaitReleased: failing,
    growVolume: failing,
    renameVolume: failing,
    createSnapshot: failing,
    deleteSnapshot: failing,
    revertVolume: failing,
    listSnapshots: failing,
    trashVolume: failing,
    restoreVolume: failing,
    purgeVolume: failing,
    holdDisk: failing,
    readDisk: failing,
    releaseDisk: failing
  }
}

/** The service of these drivers: the first is what new disks and volumes are kept with. @since 0.2.0 @category constructors */
export const make = (
  prepare: Storage["Type"]["prepare"],
  drivers: readonly [StorageDriver, ...ReadonlyArray<StorageDriver>]
): Storage["Type"] =>
  Storage.of({
    prepare,
    preferred: drivers[0],
    driver: (name) => drivers.find((driver) => driver.name === name) ?? missing(name, drivers)
  })

/** @since 0.2.0 @category layers */
export const layerDirWith = (options: Partial<Options>): Layer.Layer<Storage, never, Libvirt | ImageLibrary> =>
  Layer.scoped(
    Storage,
    Effect.map(StorageDir.make({ ...defaults, ...options }), ({ driver, prepare }) => make(prepare, [driver]))
  )

/** Storage in a folder on each host. Copies that are under way end with the layer. @since 0.1.0 @category layers */
export const layerDir: Layer.Layer<Storage, never, Libvirt | ImageLibrary> = layerDirWith({})

/** @since 0.2.0 @category layers */
export const layerRbdWith = (options: Partial<Options>): Layer.Layer<Storage, never, Libvirt | ImageLibrary | Ceph> =>
  Layer.scoped(
    Storage,
    Effect.zipWith(
      StorageRbd.make({ ...defaults, ...options }),
      StorageDir.make({ ...defaults, ...options }),
      (rbd, dir) => make(dir.prepare, [rbd, dir.driver])
    )
  )

/** Storage in a Ceph pool; what is in the hosts' folders stays of use. @since 0.2.0 @category layers */
export const layerRbd: Layer.Layer<Storage, never, Libvirt | ImageLibrary | Ceph> = layerRbdWith({})
