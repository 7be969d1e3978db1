/**
 * Volumes as files in a host's storage folder. What the files' names mean is said at `StorageDir`.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { HostError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { type OperationId, SnapshotId, VolumeId } from "../src/domain/Ids.ts"
import { volumeSerial } from "../src/domain/Volume.ts"
import { code, failure } from "../src/libvirt/HostErrors.ts"
import * as StorageXml from "../src/libvirt/StorageXml.ts"
import type { DiskSource } from "../src/services/Hypervisor.ts"
import type { Libvirt } from "../src/services/Libvirt.ts"
import type { VolumeAt, VolumeRequest } from "../src/services/Storage.ts"
import * as HostCalls from "./HostCalls.ts"
import { type File, type HostPool, pathOf, type Pool } from "./StorageDirPool.ts"
import { gibibyte, type Options, type VolumePart, whoRemains } from "./StorageDriver.ts"

const names = (id: VolumeId) => ({
  file: `volume-${id}.qcow2`,
  complete: `volume-${id}.complete`,
  deleted: `volume-${id}.deleted`,
  operation: (operationId: OperationId) => `volume-${id}.operation-${operationId}`,
  reverting: (snapshot: SnapshotId) => `volume-${id}.reverting-${snapshot}`,
  snapshot: (snapshot: SnapshotId) => `volume-${id}-snapshot-${snapshot}.qcow2`,
  snapshotComplete: (snapshot: SnapshotId) => `volume-${id}-snapshot-${snapshot}.complete`
})

const pattern =
  /^volume-([1-9][0-9]{0,15})(?:-snapshot-([1-9][0-9]{0,15}))?\.(?:(qcow2|complete|deleted)|operation-([0-9a-f-]{36})|reverting-([1-9][0-9]{0,15}))$/

interface KeptSnapshot {
  readonly file: File | undefined
  readonly complete: boolean
}

/** What the folder has of a volume. */
interface Kept {
  readonly file: File | undefined
  readonly complete: boolean
  readonly deleted: boolean
  /** the operations that have laid claim to it: one, unless somebody has put files there by hand */
  readonly operations: ReadonlyArray<string>
  readonly reverting: ReadonlyArray<SnapshotId>
  readonly snapshots: ReadonlyMap<SnapshotId, KeptSnapshot>
  /** every file's name */
  readonly all: ReadonlyArray<string>
}

const nothing: Kept = {
  file: undefined,
  complete: false,
  deleted: false,
  operations: [],
  reverting: [],
  snapshots: new Map(),
  all: []
}

const withFile = (kept: Kept, file: File, found: RegExpExecArray): Kept => {
  const [, , snapshot, mark, operation, reverting] = found
  const all = [...kept.all, file.name]
  if (snapshot !== undefined) {
    const id = SnapshotId.make(Number(snapshot))
    const known = kept.snapshots.get(id) ?? { file: undefined, complete: false }
    const now = mark === "qcow2" ? { ...known, file } : mark === "complete" ? { ...known, complete: true } : known
    return { ...kept, all, snapshots: new Map(kept.snapshots).set(id, now) }
  }
  if (operation !== undefined) return { ...kept, all, operations: [...kept.operations, operation] }
  if (reverting !== undefined) {
    return { ...kept, all, reverting: [...kept.reverting, SnapshotId.make(Number(reverting))] }
  }
  if (mark === "qcow2") return { ...kept, all, file }
  return mark === "complete" ? { ...kept, all, complete: true } : { ...kept, all, deleted: true }
}

const isId = (text: string | undefined): boolean => text === undefined || Number.isSafeInteger(Number(text))

const read = (files: ReadonlyArray<File>): ReadonlyMap<VolumeId, Kept> => {
  const volumes = new Map<VolumeId, Kept>()
  for (const file of files) {
    const found = pattern.exec(file.name)
    if (found === null || !isId(found[1]) || !isId(found[2]) || !isId(found[5])) continue
    const id = VolumeId.make(Number(found[1]))
    volumes.set(id, withFile(volumes.get(id) ?? nothing, file, found))
  }
  return volumes
}

/** Whether it is a volume that can be had: also one whose content is just being replaced. */
const isPresent = (kept: Kept): boolean =>
  kept.complete && !kept.deleted && (kept.file !== undefined || kept.reverting.length > 0)

/** The files of volumes and snapshots that are whole; for one that is not there, or is put aside, they fail. @since 0.7.0 @category models */
export interface Files {
  readonly volume: (volume: VolumeAt, action: string) => Effect.Effect<FileAt, HostError>
  readonly snapshot: (volume: VolumeAt, snapshotId: SnapshotId, action: string) => Effect.Effect<FileAt, HostError>
}

/** @since 0.7.0 @category models */
export interface FileAt {
  readonly host: Host
  readonly file: File
}

/** The part of the driver that is about volumes, and where it finds them. @since 0.2.0 @category constructors */
export const make = (
  libvirt: Libvirt["Type"],
  folder: HostPool,
  options: Options
): { readonly volumes: VolumePart; readonly files: Files } => {
  const { call, unless } = HostCalls.make(libvirt)
  const { claimed, copy, create, describe, list, mark, ready, refresh, remove, usersOf } = folder

  // whoever asks has got the host from the volume's own row
  const hostOf = (host: Host | null, action: string): Effect.Effect<Host> =>
    host === null ? Effect.dieMessage(`driver dir cannot ${action}: no host was named`) : Effect.succeed(host)

  const look = (host: Host, action: string, pool: Pool, id: VolumeId): Effect.Effect<Kept, HostError> =>
    Effect.map(list(host, action, pool), (files) => read(files).get(id) ?? nothing)

  /** As it is in the folder, also when somebody has put it there by hand. */
  const lookAgain = (host: Host, action: string, pool: Pool, id: VolumeId): Effect.Effect<Kept, HostError> =>
    Effect.zipRight(refresh(host, action, pool), look(host, action, pool, id))

  const begin = Effect.fnUntraced(function* (volume: VolumeAt, action: string) {
    const host = yield* hostOf(volume.host, action)
    const pool = yield* ready(host, action)
    return { host, pool, name: names(volume.id), kept: yield* look(host, action, pool, volume.id) }
  })

  /** The same for a volume that has to be there, whole. */
  const beginWith = Effect.fnUntraced(function* (volume: VolumeAt, action: string) {
    const at = yield* begin(volume, action)
    const { host, pool } = at
    const kept = isPresent(at.kept) ? at.kept : yield* lookAgain(host, action, pool, volume.id)
    const [unfinished] = kept.reverting
    if (kept.deleted) return yield* failure(host, action, "it has been destroyed: restore it first")
    if (kept.complete && unfinished !== undefined) {
      return yield* failure(host, action, `going back to its snapshot-${unfinished} has not ended: do that again`)
    }
    if (kept.file === undefined || !kept.complete) {
      return yield* failure(host, action, `there is no whole ${at.name.file} in ${host.config.path}`)
    }
    return { ...at, kept, file: kept.file }
  })

  const refuseInUse = (
    host: Host,
    action: string,
    file: File | undefined,
    advice: string
  ): Effect.Effect<void, HostError> =>
    file === undefined
      ? Effect.void
      : Effect.flatMap(usersOf(host, action, file.key), (users) =>
          users.length === 0 ? Effect.void : failure(host, action, `${users.join(", ")} has it open: ${advice}`)
        )

  const detachFirst = "detach it or stop the VM first"

  const capacityOf = (host: Host, action: string, vol: File): Effect.Effect<Option.Option<number>, HostError> =>
    Effect.map(
      // its file has gone
      unless(host, action, "STORAGE_VOL_GET_INFO", { vol }, code.noVolume, code.system),
      Option.map(({ capacity }) => Number(capacity))
    )

  const atLeast = Effect.fnUntraced(function* (host: Host, action: string, vol: File, capacity: number) {
    const now = yield* capacityOf(host, action, vol)
    if (Option.isNone(now)) return yield* failure(host, action, `${vol.name} vanished from ${host.config.path}`)
    if (now.value >= capacity) return
    yield* call(host, action, "STORAGE_VOL_RESIZE", { vol, capacity: BigInt(capacity), flags: 0 })
  })

  // ------------------------------------------------------------------------------------------------------------- coming and going

  const snapshotFile = Effect.fnUntraced(function* (
    host: Host,
    action: string,
    pool: Pool,
    volumeId: VolumeId,
    snapshotId: SnapshotId
  ) {
    const kept = yield* look(host, action, pool, volumeId)
    const snapshot = kept.snapshots.get(snapshotId)
    if (kept.deleted) return yield* failure(host, action, `volume-${volumeId} has been destroyed: restore it first`)
    return snapshot?.file === undefined || !snapshot.complete
      ? yield* failure(host, action, `there is no whole ${names(volumeId).snapshot(snapshotId)} in ${host.config.path}`)
      : snapshot.file
  })

  const createVolume = Effect.fn("Storage.createVolume")(function* (volume: VolumeAt, request: VolumeRequest) {
    const action = `create volume-${volume.id}`
    const { host, kept: known, name, pool } = yield* begin(volume, action)
    const { operationId, source } = request
    const capacity = request.size * gibibyte
    // what others did to the folder has to be known before a name is laid claim to
    const kept = known.operations.includes(operationId) ? known : yield* lookAgain(host, action, pool, volume.id)
    if (!kept.operations.includes(operationId)) {
      const [foreign] = kept.all
      if (foreign !== undefined) {
        return yield* failure(
          host,
          action,
          `${foreign} is in ${host.config.path} already and was not made by this operation, so it is left alone: ` +
            `move the files of volume-${volume.id} away to have the name free`
        )
      }
    } else if (kept.file !== undefined && kept.complete) return
    yield* remove(host, action, pool, name.file)
    const made =
      source === null
        ? create(host, action, pool, StorageXml.qcow2Volume(name.file, capacity))
        : Effect.flatMap(snapshotFile(host, action, pool, source.volumeId, source.snapshotId), (from) =>
            copy(host, action, pool, from, name.file, capacity)
          )
    const vol = yield* claimed(host, action, pool, { marker: name.operation(operationId), name: name.file }, made)
    yield* atLeast(host, action, vol, capacity)
    yield* mark(host, action, pool, name.complete)
  })

  const discardVolume = Effect.fn("Storage.discardVolume")(function* (volume: VolumeAt, operationId: OperationId) {
    const action = `remove volume-${volume.id}`
    const { host, kept, name, pool } = yield* begin(volume, action)
    if (!kept.operations.includes(operationId)) return
    yield* refuseInUse(host, action, kept.file, detachFirst)
    // the marker last: without it the rest would be taken for another's
    yield* remove(host, action, pool, name.complete)
    yield* remove(host, action, pool, name.file)
    yield* remove(host, action, pool, name.operation(operationId))
  })

  const listVolumes = Effect.fn("Storage.listVolumes")(function* (host: Host | null) {
    const action = "list its volumes"
    const there = yield* hostOf(host, action)
    const volumes = read(yield* list(there, action, yield* ready(there, action)))
    return [...volumes].flatMap(([id, kept]) => (isPresent(kept) ? [id] : []))
  })

  const volumeSize = Effect.fn("Storage.volumeSize")(function* (volume: VolumeAt) {
    const action = `tell the size of volume-${volume.id}`
    const { host, kept } = yield* begin(volume, action)
    if (!isPresent(kept)) return Option.none<number>()
    const [unfinished] = kept.reverting
    const file = unfinished === undefined ? kept.file : kept.snapshots.get(unfinished)?.file
    return file === undefined ? Option.none<number>() : yield* capacityOf(host, action, file)
  })

  // ------------------------------------------------------------------------------------------------------------------- use

  const openVolume = Effect.fn("Storage.openVolume")(function* (
    volume: VolumeAt,
    use: { readonly host: Host; readonly domainName: string; readonly held: boolean }
  ) {
    const action = `open volume-${volume.id}`
    const { file, host } = yield* beginWith(volume, action)
    if (host.id !== use.host.id) {
      return yield* failure(host, action, `it is in this host's folder, and ${use.domainName} runs on ${use.host.name}`)
    }
    const described = yield* describe(host, action, file)
    if (Option.isNone(described)) {
      return yield* failure(host, action, `${file.name} vanished from ${host.config.path}`)
    }
    const { backing, format } = described.value
    if (format !== "qcow2" || backing !== null) {
      return yield* failure(host, action, `${file.key} is not a qcow2 file of its own any more`)
    }
    const others = (yield* usersOf(host, action, file.key)).filter((user) => !use.held || user !== use.domainName)
    if (others.length > 0) yield* failure(host, action, `${others.join(", ")} has it open: ${detachFirst}`)
    const disk: DiskSource = { _tag: "File", path: file.key, format: "qcow2", serial: volumeSerial(volume.id) }
    return disk
  })

  const awaitReleased = Effect.fn("Storage.awaitReleased")(function* (volume: VolumeAt) {
    const action = `see volume-${volume.id} let go of`
    const { host, kept } = yield* begin(volume, action)
    if (kept.file === undefined) return
    const users = yield* whoRemains(usersOf(host, action, kept.file.key), options)
    if (users.length > 0) yield* failure(host, action, `${users.join(", ")} still has it open: ${detachFirst}`)
  })

  const growVolume = Effect.fn("Storage.growVolume")(function* (volume: VolumeAt, size: number) {
    const action = `grow volume-${volume.id}`
    const { file, host } = yield* beginWith(volume, action)
    yield* refuseInUse(host, action, file, detachFirst)
    yield* atLeast(host, action, file, size * gibibyte)
  })

  // -------------------------------------------------------------------------------------------------------------- snapshots

  const createSnapshot = Effect.fn("Storage.createSnapshot")(function* (volume: VolumeAt, snapshot: SnapshotId) {
    const action = `create snapshot-${snapshot} of volume-${volume.id}`
    const { file, host, kept, name, pool } = yield* beginWith(volume, action)
    const known = kept.snapshots.get(snapshot)
    if (known?.file !== undefined && known.complete) return
    yield* refuseInUse(host, action, file, `all of it has to be copied, so ${detachFirst}`)
    yield* remove(host, action, pool, name.snapshotComplete(snapshot))
    yield* remove(host, action, pool, name.snapshot(snapshot))
    const size = yield* capacityOf(host, action, file)
    yield* copy(
      host,
      action,
      pool,
      file,
      name.snapshot(snapshot),
      Option.getOrElse(size, () => 0)
    )
    yield* mark(host, action, pool, name.snapshotComplete(snapshot))
  })

  const deleteSnapshot = Effect.fn("Storage.deleteSnapshot")(function* (volume: VolumeAt, snapshot: SnapshotId) {
    const action = `delete snapshot-${snapshot} of volume-${volume.id}`
    const { host, kept, name, pool } = yield* begin(volume, action)
    if (kept.reverting.includes(snapshot)) {
      return yield* failure(
        host,
        action,
        "going back to it has not ended, and nothing else has its content: do that again"
      )
    }
    yield* remove(host, action, pool, name.snapshotComplete(snapshot))
    yield* remove(host, action, pool, name.snapshot(snapshot))
  })

  const roomFor = Effect.fnUntraced(function* (
    host: Host,
    action: string,
    pool: Pool,
    snapshot: File,
    present: File | undefined
  ) {
    yield* refresh(host, action, pool)
    const { available } = yield* call(host, action, "STORAGE_POOL_GET_INFO", { pool })
    const taken = yield* Effect.forEach([snapshot, present], (vol) =>
      vol === undefined
        ? Effect.succeed(0n)
        : Effect.map(
            unless(host, action, "STORAGE_VOL_GET_INFO", { vol }, code.noVolume, code.system),
            Option.match({ onNone: () => 0n, onSome: ({ allocation }) => allocation })
          )
    )
    const [wanted = 0n, freed = 0n] = taken
    if (wanted > available + freed) {
      yield* failure(
        host,
        action,
        `the disk behind ${host.config.path} has no room for another copy of ${snapshot.name}`
      )
    }
  })

  const revertVolume = Effect.fn("Storage.revertVolume")(function* (volume: VolumeAt, snapshot: SnapshotId) {
    const action = `bring volume-${volume.id} back to snapshot-${snapshot}`
    const { host, kept, name, pool } = yield* begin(volume, action)
    if (!isPresent(kept)) return yield* failure(host, action, `there is no whole ${name.file} in ${host.config.path}`)
    const from = yield* snapshotFile(host, action, pool, volume.id, snapshot)
    yield* refuseInUse(host, action, kept.file, detachFirst)
    // found out before the present content is given up
    yield* roomFor(host, action, pool, from, kept.file)
    yield* mark(host, action, pool, name.reverting(snapshot))
    // one whose end was never reached, to another snapshot
    for (const other of kept.reverting) if (other !== snapshot) yield* remove(host, action, pool, name.reverting(other))
    yield* remove(host, action, pool, name.file)
    const size = yield* capacityOf(host, action, from)
    yield* copy(
      host,
      action,
      pool,
      from,
      name.file,
      Option.getOrElse(size, () => 0)
    )
    yield* remove(host, action, pool, name.reverting(snapshot))
  })

  const listSnapshots = Effect.fn("Storage.listSnapshots")(function* (volume: VolumeAt) {
    const { kept } = yield* begin(volume, `list the snapshots of volume-${volume.id}`)
    return [...kept.snapshots].flatMap(([id, snapshot]) =>
      snapshot.file !== undefined && snapshot.complete ? [id] : []
    )
  })

  // ------------------------------------------------------------------------------------------------------------------ trash

  const trashVolume = Effect.fn("Storage.trashVolume")(function* (volume: VolumeAt) {
    const action = `destroy volume-${volume.id}`
    const { host, kept, name, pool } = yield* begin(volume, action)
    if (kept.deleted || kept.all.length === 0) return
    yield* refuseInUse(host, action, kept.file, detachFirst)
    yield* mark(host, action, pool, name.deleted)
  })

  const restoreVolume = Effect.fn("Storage.restoreVolume")(function* (volume: VolumeAt) {
    const action = `restore volume-${volume.id}`
    const { host, kept, name, pool } = yield* begin(volume, action)
    if (!isPresent({ ...kept, deleted: false })) {
      return yield* failure(host, action, `there is no whole ${name.file} in ${host.config.path} any more`)
    }
    yield* remove(host, action, pool, name.deleted)
  })

  const purgeVolume = Effect.fn("Storage.purgeVolume")(function* (volume: VolumeAt) {
    const action = `purge volume-${volume.id}`
    const { host, kept, name, pool } = yield* begin(volume, action)
    if (!kept.deleted) return
    yield* refuseInUse(host, action, kept.file, detachFirst)
    // what makes it a volume first, what says that it may go last
    const order = [
      name.complete,
      ...kept.all.filter((one) => one !== name.complete && one !== name.deleted),
      name.deleted
    ]
    for (const one of order) yield* remove(host, action, pool, one)
  })

  const volumes: VolumePart = {
    createVolume,
    discardVolume,
    listVolumes,
    volumeSize,
    openVolume,
    describeVolume: ({ id, host: at }, host) =>
      Effect.succeed({
        _tag: "File",
        path: pathOf(at ?? host, names(id).file),
        format: "qcow2",
        serial: volumeSerial(id)
      }),
    awaitReleased,
    growVolume,
    // a folder keeps no names of the user's
    renameVolume: () => Effect.void,
    createSnapshot,
    deleteSnapshot,
    revertVolume,
    listSnapshots,
    trashVolume,
    restoreVolume,
    purgeVolume
  }

  const files: Files = {
    volume: (volume, action) => Effect.map(beginWith(volume, action), ({ file, host }) => ({ host, file })),
    snapshot: (volume, snapshotId, action) =>
      Effect.gen(function* () {
        const { host, pool } = yield* begin(volume, action)
        return { host, file: yield* snapshotFile(host, action, pool, volume.id, snapshotId) }
      })
  }

  return { volumes, files }
}
