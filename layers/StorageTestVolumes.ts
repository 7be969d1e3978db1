/**
 * Volumes in memory, and their snapshots.
 *
 * @since 0.15.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Host } from "../src/domain/Host.ts"
import type { OperationId, SnapshotId } from "../src/domain/Ids.ts"
import { volumeSerial } from "../src/domain/Volume.ts"
import type { VolumeAt, VolumeRequest } from "../src/services/Storage.ts"
import { gibibyte, type Options, type VolumePart, whoRemains } from "./StorageDriver.ts"
import {
  handling,
  type Place,
  set,
  type Stores,
  type TestStore,
  type TestVolume,
  without
} from "./StorageTestStores.ts"

/** As its disk is called. @since 0.15.0 @category conversions */
export const named = (volume: VolumeAt): string => `volume-${volume.id}`

/** The volume that is there, and has not been destroyed. @since 0.15.0 @category getters */
export const present = (store: TestStore, { id }: VolumeAt): TestVolume | undefined => {
  const volume = store.volumes.get(id)
  return volume?.deleted === false ? volume : undefined
}

/** The part of the driver that is about volumes. @since 0.15.0 @category constructors */
export const make = (stores: Stores, place: Place, options: Options): VolumePart => {
  const { begin, change, refuseOpen } = handling(stores, place)

  const put = ({ host, id }: VolumeAt, volume: TestVolume) =>
    change(host, (store) => ({ ...store, volumes: set(store.volumes, id, volume) }))

  const find = Effect.fnUntraced(function* (volume: VolumeAt, action: string) {
    const store = yield* begin(volume.host, action)
    const there = present(store, volume)
    if (there === undefined) return yield* place.fail(volume.host, action, `there is no ${named(volume)}`)
    return { store, there }
  })

  const contentOf = Effect.fnUntraced(function* (volume: VolumeAt, action: string, request: VolumeRequest) {
    const size = request.size * gibibyte
    const { source } = request
    if (source === null) return { size, content: "" }
    const from = present(yield* place.reach(volume.host), { id: source.volumeId, host: volume.host })
    const snapshot = from?.snapshots.get(source.snapshotId)
    return snapshot === undefined
      ? yield* place.fail(volume.host, action, `volume-${source.volumeId} has no snapshot-${source.snapshotId}`)
      : { ...snapshot, size: Math.max(size, snapshot.size) }
  })

  const createVolume = Effect.fn("Storage.createVolume")(function* (volume: VolumeAt, request: VolumeRequest) {
    const action = `create ${named(volume)}`
    const { name, operationId, source } = request
    const store = yield* begin(volume.host, action)
    const there = store.volumes.get(volume.id)
    if (there !== undefined) {
      if (there.operationId === operationId) return
      return yield* place.fail(
        volume.host,
        action,
        `${named(volume)} is there already and was not made by this operation, so it is left alone`
      )
    }
    const content = yield* contentOf(volume, action, request)
    yield* put(volume, { ...content, name, operationId, source, snapshots: new Map(), deleted: false })
  })

  const discardVolume = Effect.fn("Storage.discardVolume")(function* (volume: VolumeAt, operationId: OperationId) {
    const action = `remove ${named(volume)}`
    const store = yield* begin(volume.host, action)
    if (store.volumes.get(volume.id)?.operationId !== operationId) return
    yield* refuseOpen(volume.host, action, store, named(volume))
    yield* change(volume.host, (store) => ({ ...store, volumes: without(store.volumes, volume.id) }))
  })

  const openVolume = Effect.fn("Storage.openVolume")(function* (
    volume: VolumeAt,
    use: { readonly host: Host; readonly domainName: string; readonly held: boolean }
  ) {
    const action = `open ${named(volume)}`
    yield* stores.prepare(use.host)
    const { store } = yield* find(volume, action)
    if (!place.isShared && volume.host?.id !== use.host.id) {
      return yield* place.fail(volume.host, action, `it is not on ${use.host.name}`)
    }
    yield* refuseOpen(volume.host, action, store, named(volume), use.held ? use.domainName : undefined)
    return place.disk(use.host, named(volume), volumeSerial(volume.id))
  })

  const awaitReleased = Effect.fn("Storage.awaitReleased")(function* (volume: VolumeAt) {
    const users = yield* whoRemains(
      Effect.map(place.reach(volume.host), ({ open }) => {
        const user = open.get(named(volume))
        return user === undefined ? [] : [user]
      }),
      options
    )
    if (users.length > 0) {
      yield* place.fail(volume.host, `see ${named(volume)} let go of`, `${users.join(", ")} still has it open`)
    }
  })

  const growVolume = Effect.fn("Storage.growVolume")(function* (volume: VolumeAt, size: number) {
    const action = `grow ${named(volume)}`
    const { store, there } = yield* find(volume, action)
    if (there.size >= size * gibibyte) return
    yield* refuseOpen(volume.host, action, store, named(volume))
    yield* put(volume, { ...there, size: size * gibibyte })
  })

  const renameVolume = Effect.fn("Storage.renameVolume")(function* (volume: VolumeAt, name: string) {
    const { there } = yield* find(volume, `rename ${named(volume)}`)
    yield* put(volume, { ...there, name })
  })

  const createSnapshot = Effect.fn("Storage.createSnapshot")(function* (volume: VolumeAt, snapshot: SnapshotId) {
    const action = `create snapshot-${snapshot} of ${named(volume)}`
    const { store, there } = yield* find(volume, action)
    if (there.snapshots.has(snapshot)) return
    if (!place.isShared) yield* refuseOpen(volume.host, action, store, named(volume))
    const { content, size } = there
    yield* put(volume, { ...there, snapshots: set(there.snapshots, snapshot, { content, size }) })
  })

  const clonesOf = (store: TestStore, { id }: VolumeAt, snapshot?: SnapshotId): ReadonlyArray<string> =>
    place.isShared
      ? [...store.volumes].flatMap(([clone, { source }]) =>
          source?.volumeId === id && (snapshot === undefined || source.snapshotId === snapshot)
            ? [`volume-${clone}`]
            : []
        )
      : []

  const deleteSnapshot = Effect.fn("Storage.deleteSnapshot")(function* (volume: VolumeAt, snapshot: SnapshotId) {
    const action = `delete snapshot-${snapshot} of ${named(volume)}`
    const store = yield* begin(volume.host, action)
    const there = present(store, volume)
    if (there?.snapshots.has(snapshot) !== true) return
    const clones = clonesOf(store, volume, snapshot)
    if (clones.length > 0) {
      return yield* place.fail(volume.host, action, `${clones.join(", ")} was made from it: purge that first`)
    }
    yield* put(volume, { ...there, snapshots: without(there.snapshots, snapshot) })
  })

  const revertVolume = Effect.fn("Storage.revertVolume")(function* (volume: VolumeAt, snapshot: SnapshotId) {
    const action = `bring ${named(volume)} back to snapshot-${snapshot}`
    const { store, there } = yield* find(volume, action)
    const content = there.snapshots.get(snapshot)
    if (content === undefined) {
      return yield* place.fail(volume.host, action, `${named(volume)} has no snapshot-${snapshot}`)
    }
    yield* refuseOpen(volume.host, action, store, named(volume))
    yield* put(volume, { ...there, ...content })
  })

  const trashVolume = Effect.fn("Storage.trashVolume")(function* (volume: VolumeAt) {
    const action = `destroy ${named(volume)}`
    const store = yield* begin(volume.host, action)
    const there = present(store, volume)
    if (there === undefined) return
    yield* refuseOpen(volume.host, action, store, named(volume))
    yield* put(volume, { ...there, deleted: true })
  })

  const restoreVolume = Effect.fn("Storage.restoreVolume")(function* (volume: VolumeAt) {
    const action = `restore ${named(volume)}`
    const there = (yield* begin(volume.host, action)).volumes.get(volume.id)
    if (there === undefined) return yield* place.fail(volume.host, action, "it is not there any more")
    yield* put(volume, { ...there, deleted: false })
  })

  const purgeVolume = Effect.fn("Storage.purgeVolume")(function* (volume: VolumeAt) {
    const action = `purge ${named(volume)}`
    const store = yield* begin(volume.host, action)
    if (store.volumes.get(volume.id)?.deleted !== true) return
    const clones = clonesOf(store, volume)
    if (clones.length > 0) {
      return yield* place.fail(
        volume.host,
        action,
        `${clones.join(", ")} was made from its snapshots: purge that first`
      )
    }
    yield* change(volume.host, (store) => ({ ...store, volumes: without(store.volumes, volume.id) }))
  })

  return {
    createVolume,
    discardVolume,
    listVolumes: Effect.fn("Storage.listVolumes")((host: Host | null) =>
      Effect.map(place.reach(host), ({ volumes }) => [...volumes].flatMap(([id, { deleted }]) => (deleted ? [] : [id])))
    ),
    volumeSize: Effect.fn("Storage.volumeSize")((volume: VolumeAt) =>
      Effect.map(place.reach(volume.host), (store) => Option.fromNullable(present(store, volume)?.size))
    ),
    openVolume,
    describeVolume: (volume, host) =>
      Effect.succeed(place.disk(volume.host ?? host, named(volume), volumeSerial(volume.id))),
    awaitReleased,
    growVolume,
    renameVolume,
    createSnapshot,
    deleteSnapshot,
    revertVolume,
    listSnapshots: Effect.fn("Storage.listSnapshots")((volume: VolumeAt) =>
      Effect.map(place.reach(volume.host), (store) => [...(present(store, volume)?.snapshots.keys() ?? [])])
    ),
    trashVolume,
    restoreVolume,
    purgeVolume
  }
}
