/**
 * What disks in a host's storage folder hold. A root disk lies over its image, so it is held as a copy that stands alone; volumes and snapshots do already, and
 * are read as they are.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Pieces from "../src/ceph/Pieces.ts"
import type { HostError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import type { OperationId, VmId } from "../src/domain/Ids.ts"
import { code, failure, fromLibvirt } from "../src/libvirt/HostErrors.ts"
import type { Libvirt } from "../src/services/Libvirt.ts"
import type { DiskAt } from "../src/services/Storage.ts"
import * as HostCalls from "./HostCalls.ts"
import type { FileAt, Files } from "./StorageDirVolumes.ts"
import type { File, HostPool, Pool } from "./StorageDirPool.ts"
import { type DiskPart, withPercent } from "./StorageDriver.ts"

const copyName = (operationId: OperationId): string => `publish-${operationId}.qcow2`
const copyMarker = (operationId: OperationId): string => `publish-${operationId}.complete`

const inWords = (disk: DiskAt): string => {
  switch (disk._tag) {
    case "Root":
      return `the root disk of vm-${disk.vmId}`
    case "Volume":
      return `volume-${disk.volume.id}`
    case "Snapshot":
      return `snapshot-${disk.snapshotId} of volume-${disk.volume.id}`
  }
}

/** The part of the driver that is about what disks hold. `rootName`: of a VM's root disk. @since 0.7.0 @category constructors */
export const make = (
  libvirt: Libvirt["Type"],
  folder: HostPool,
  rootName: (vmId: VmId) => string,
  files: Files
): DiskPart => {
  const { call, unless } = HostCalls.make(libvirt)
  const { copy, describe, lookup, mark, ready, refresh, remove, usersOf } = folder

  const refuseInUse = (host: Host, action: string, path: string): Effect.Effect<void, HostError> =>
    Effect.flatMap(usersOf(host, action, path), (users) =>
      users.length === 0
        ? Effect.void
        : failure(
            host,
            action,
            `${users.join(", ")} has it open, and of a file nothing can be read that is of one moment: shut the VM down first`
          )
    )

  /** The copy, once all of it is there. */
  const copyOf = Effect.fnUntraced(function* (host: Host, action: string, operationId: OperationId) {
    const pool = yield* ready(host, action)
    const marker = yield* lookup(host, action, pool, copyMarker(operationId))
    return Option.isNone(marker) ? Option.none() : yield* lookup(host, action, pool, copyName(operationId))
  })

  const sizesOf = (host: Host, action: string, vol: File) =>
    Effect.map(
      unless(host, action, "STORAGE_VOL_GET_INFO", { vol }, code.noVolume, code.system),
      Option.getOrElse(() => ({ allocation: 0n, capacity: 0n }))
    )

  /**
   * Found out before guests that run there are left without room: a copy is no larger than the disk and what it lies over. Of an image that is qcow2 that is as
   * much as it shows, and not its file: that may be compressed, or show the same clusters in many places.
   */
  const roomFor = Effect.fnUntraced(function* (host: Host, action: string, pool: Pool, root: File) {
    yield* refresh(host, action, pool)
    const { available } = yield* call(host, action, "STORAGE_POOL_GET_INFO", { pool })
    const backing = Option.getOrUndefined(yield* describe(host, action, root))?.backing ?? null
    const below =
      backing === null
        ? Option.none()
        : yield* unless(host, action, "STORAGE_VOL_LOOKUP_BY_PATH", { path: backing.path }, code.noVolume)
    let wanted = (yield* sizesOf(host, action, root)).allocation
    if (Option.isSome(below)) {
      const { allocation, capacity } = yield* sizesOf(host, action, below.value.vol)
      wanted += backing?.format === "raw" ? allocation : capacity
    }
    if (wanted <= available) return
    yield* failure(
      host,
      action,
      `the disk behind ${host.config.path} has no room for a copy of ${root.name}: make room there`
    )
  })

  const holdRoot = Effect.fnUntraced(function* (host: Host, vmId: VmId, action: string, operationId: OperationId) {
    if (Option.isSome(yield* copyOf(host, action, operationId))) return
    const pool = yield* ready(host, action)
    const root = yield* lookup(host, action, pool, rootName(vmId))
    if (Option.isNone(root)) {
      return yield* failure(host, action, `there is no ${rootName(vmId)} in ${host.config.path}`)
    }
    yield* refuseInUse(host, action, root.value.key)
    yield* remove(host, action, pool, copyName(operationId))
    yield* roomFor(host, action, pool, root.value)
    const { capacity } = yield* call(host, action, "STORAGE_VOL_GET_INFO", { vol: root.value })
    yield* copy(host, action, pool, root.value, copyName(operationId), Number(capacity))
    yield* mark(host, action, pool, copyMarker(operationId))
  })

  const holdDisk = Effect.fn("Storage.holdDisk")(function* (disk: DiskAt, operationId: OperationId) {
    const action = `hold what ${inWords(disk)} holds`
    switch (disk._tag) {
      case "Root":
        return yield* holdRoot(disk.host, disk.vmId, action, operationId)
      case "Volume": {
        const { file, host } = yield* files.volume(disk.volume, action)
        return yield* refuseInUse(host, action, file.key)
      }
      case "Snapshot":
        yield* files.snapshot(disk.volume, disk.snapshotId, action)
    }
  })

  /** The file that holds it. */
  const find = (disk: DiskAt, operationId: OperationId, action: string): Effect.Effect<FileAt, HostError> => {
    switch (disk._tag) {
      case "Root":
        return Effect.flatMap(
          copyOf(disk.host, action, operationId),
          Option.match({
            onNone: () =>
              failure(disk.host, action, `there is no whole ${copyName(operationId)} in ${disk.host.config.path}`),
            onSome: (file) => Effect.succeed({ host: disk.host, file })
          })
        )
      case "Volume":
        return files.volume(disk.volume, action)
      case "Snapshot":
        return files.snapshot(disk.volume, disk.snapshotId, action)
    }
  }

  const readDisk = Effect.fn("Storage.readDisk")(function* (disk: DiskAt, operationId: OperationId) {
    const action = `read ${inWords(disk)}`
    const { file, host } = yield* find(disk, operationId, action)
    const info = yield* unless(host, action, "STORAGE_VOL_GET_INFO", { vol: file }, code.noVolume, code.system)
    const bytes = Stream.unwrapScoped(
      Effect.map(
        libvirt.open(host.config.address, "STORAGE_VOL_DOWNLOAD", { vol: file, offset: 0n, length: 0n, flags: 0 }),
        ({ incoming }) => incoming
      )
    ).pipe(Stream.mapError(fromLibvirt(host, action)))
    // a guest that somebody has started by hand may have written meanwhile
    const unused = Stream.execute(refuseInUse(host, action, file.key))
    const total = Option.match(info, { onNone: () => 0, onSome: ({ allocation }) => Number(allocation) })
    return withPercent(total, Pieces.whole(Stream.concat(bytes, unused)))
  })

  const releaseDisk = Effect.fn("Storage.releaseDisk")(function* (disk: DiskAt, operationId: OperationId) {
    if (disk._tag !== "Root") return
    const { host } = disk
    const action = `let go of what ${inWords(disk)} held`
    const pool = yield* ready(host, action)
    // the marker first: it must never stand beside a copy that is not whole
    yield* remove(host, action, pool, copyMarker(operationId))
    yield* remove(host, action, pool, copyName(operationId))
  })

  return { holdDisk, readDisk, releaseDisk }
}
