/** A storage driver where nothing can be done but what a test gives. */
import * as Effect from "effect/Effect"
import type { StorageDriver } from "../../src/services/Storage.ts"

const unused = (name: string) => () => Effect.dieMessage(`${name} is not to be called here`)

export const driverWith = (given: Partial<StorageDriver>): StorageDriver => ({
  name: "dir",
  pool: null,
  usage: Effect.succeedNone,
  ensureImage: unused("ensureImage"),
  listImages: unused("listImages"),
  removeImage: unused("removeImage"),
  createRoot: unused("createRoot"),
  describeRoot: unused("describeRoot"),
  openRoot: unused("openRoot"),
  deleteRoot: unused("deleteRoot"),
  listRoots: unused("listRoots"),
  writeSeed: unused("writeSeed"),
  deleteSeed: unused("deleteSeed"),
  describeSeed: unused("describeSeed"),
  createVolume: unused("createVolume"),
  discardVolume: unused("discardVolume"),
  listVolumes: unused("listVolumes"),
  volumeSize: unused("volumeSize"),
  openVolume: unused("openVolume"),
  describeVolume: unused("describeVolume"),
  awaitReleased: unused("awaitReleased"),
  growVolume: unused("growVolume"),
  renameVolume: unused("renameVolume"),
  createSnapshot: unused("createSnapshot"),
  deleteSnapshot: unused("deleteSnapshot"),
  revertVolume: unused("revertVolume"),
  listSnapshots: unused("listSnapshots"),
  trashVolume: unused("trashVolume"),
  restoreVolume: unused("restoreVolume"),
  purgeVolume: unused("purgeVolume"),
  holdDisk: unused("holdDisk"),
  readDisk: unused("readDisk"),
  releaseDisk: unused("releaseDisk"),
  ...given
})
