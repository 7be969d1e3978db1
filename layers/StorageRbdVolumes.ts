/**
 * Volumes as images of a Ceph pool. What the images' names mean is said at `StorageRbd`.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { StorageError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { type OperationId, SnapshotId, VolumeId } from "../src/domain/Ids.ts"
import { volumeSerial } from "../src/domain/Volume.ts"
import type { Ceph, Change, Image, Trashed } from "../src/services/Ceph.ts"
import type { VolumeAt, VolumeRequest } from "../src/services/Storage.ts"
import { gibibyte, type Options, type VolumePart, whoRemains } from "./StorageDriver.ts"
import { isMadeBy, ownershipOf, type RbdPool, usersOf } from "./StorageRbdPool.ts"

const volumeName = (id: VolumeId): string => `volume-${id}`
const volumePattern = /^volume-([1-9][0-9]{0,15})$/
const snapshotName = (id: SnapshotId): string => `snapshot-${id}`
const snapshotPattern = /^snapshot-([1-9][0-9]{0,15})$/

const numberIn = (pattern: RegExp, name: string): ReadonlyArray<number> => {
  const id = Number(pattern.exec(name)?.[1])
  return Number.isSafeInteger(id) ? [id] : []
}

const detachFirst = "detach it or stop the VM first"

/** The part of the driver that is about volumes. @since 0.2.0 @category constructors */
export const make = (ceph: Ceph["Type"], pool: RbdPool, options: Options): VolumePart => {
  const {
    access,
    accessLater,
    ask,
    failure,
    fromCeph,
    look,
    refuseBusy,
    refuseForeign,
    remove,
    setOwnership,
    unlessRefused
  } = pool

  /** The image of a volume that has to be there. */
  const find = (action: string, { id }: VolumeAt): Effect.Effect<Image, StorageError> =>
    Effect.flatMap(
      look(action, volumeName(id)),
      Option.match({
        onNone: () => failure(action, `there is no image ${volumeName(id)}`),
        onSome: Effect.succeed
      })
    )

  const refuseInUse = (action: string, id: VolumeId, image: Image): Effect.Effect<void, StorageError> => {
    const users = usersOf(image)
    return users.length === 0
      ? Effect.void
      : failure(action, `${volumeName(id)} is open on ${users.join(", ")}: ${detachFirst}`)
  }

  /** What of the trash had the volume's name. */
  const trashed = (action: string, { id }: VolumeAt): Effect.Effect<ReadonlyArray<Trashed>, StorageError> =>
    Effect.map(ask(action, ceph.trash), (all) => all.filter(({ name }) => name === volumeName(id)))

  // Ids tell nothing of the order they came in, so which is meant cannot be found out here.
  const theOne = (
    action: string,
    found: ReadonlyArray<Trashed>
  ): Effect.Effect<Option.Option<Trashed>, StorageError> =>
    found.length > 1
      ? failure(
          action,
          `the trash has several images of that name, with the ids ${found.map(({ id }) => id).join(", ")}: remove those that are not meant (rbd trash rm)`
        )
      : Effect.succeed(Option.fromNullable(found[0]))

  /** What Ceph refused after it had done it is done: told as not done, the inventory would know another pool than there is. */
  const unlessDone =
    (isDone: Effect.Effect<boolean, StorageError>) =>
    (effect: Effect.Effect<void, StorageError>): Effect.Effect<void, StorageError> =>
      Effect.catchTag(effect, "StorageFailure", (refused) =>
        Effect.flatMap(isDone, (done) => (done ? Effect.void : Effect.fail(refused)))
      )

  // ------------------------------------------------------------------------------------------------------------- coming and going

  /** Whether this operation has made it already. Fails when it is there and another's. */
  const isMade = Effect.fnUntraced(function* (action: string, { id }: VolumeAt, { operationId }: VolumeRequest) {
    const name = volumeName(id)
    const found = yield* look(action, name)
    if (Option.isNone(found)) return false
    return isMadeBy(found.value, operationId) ? true : yield* refuseForeign(action, `image ${name}`)
  })

  /** What makes it, under the name of `part`. Left: why it cannot be made. */
  const making = Effect.fnUntraced(function* (action: string, { size: gibibytes, source }: VolumeRequest) {
    const size = gibibytes * gibibyte
    if (source === null) {
      return Either.right((part: string): ReadonlyArray<Change> => [{ do: "create", args: { image: part, size } }])
    }
    const parent = volumeName(source.volumeId)
    const snapshot = snapshotName(source.snapshotId)
    const found = Option.flatMap(yield* look(action, parent), ({ snapshots }) =>
      Option.fromNullable(snapshots.find(({ name }) => name === snapshot))
    )
    if (Option.isNone(found)) return Either.left(failure(action, `${parent} has no ${snapshot}`))
    const isSmaller = found.value.size < size
    return Either.right((part: string): ReadonlyArray<Change> => [
      { do: "clone", args: { parent, snapshot, image: part } },
      ...(isSmaller ? [{ do: "grow", args: { image: part, size } } as const] : [])
    ])
  })

  const createVolume = Effect.fn("Storage.createVolume")(function* (volume: VolumeAt, request: VolumeRequest) {
    const { id } = volume
    const { name: label, operationId } = request
    const name = volumeName(id)
    const action = `create ${name}`
    const [put] = yield* trashed(action, volume)
    const changes =
      put === undefined
        ? yield* making(action, request)
        : // a second one of that name would make it impossible to say which is to be restored or purged
          Either.left(refuseForeign(action, `image ${name} (id ${put.id}) in the trash`))
    const made = Either.isLeft(changes)
      ? Effect.succeed(false)
      : pool.made(action, name, { volume: id, operation: operationId, name: label }, changes.right)
    if ((yield* made) || (yield* isMade(action, volume, request)) || (yield* made)) return
    return yield* Either.isLeft(changes) ? changes.left : refuseForeign(action, `image ${name}`)
  })

  const discardVolume = Effect.fn("Storage.discardVolume")(function* ({ id }: VolumeAt, operationId: OperationId) {
    const name = volumeName(id)
    const action = `remove ${name}`
    yield* remove(action, `${name}.new-${operationId}`)
    const found = yield* look(action, name)
    if (Option.isSome(found) && isMadeBy(found.value, operationId)) yield* remove(action, name)
  })

  const listVolumes = Effect.fn("Storage.listVolumes")(function* () {
    const all = yield* ask("list its volumes", ceph.list)
    return all.flatMap((name) => numberIn(volumePattern, name).map((id) => VolumeId.make(id)))
  })

  const volumeSize = Effect.fn("Storage.volumeSize")(({ id }: VolumeAt) =>
    Effect.map(
      look(`tell the size of ${volumeName(id)}`, volumeName(id)),
      Option.map(({ size }) => size)
    )
  )

  // ------------------------------------------------------------------------------------------------------------------- use

  const openVolume = Effect.fn("Storage.openVolume")(function* (
    volume: VolumeAt,
    use: { readonly host: Host; readonly domainName: string; readonly held: boolean }
  ) {
    const name = volumeName(volume.id)
    const action = `open ${name}`
    // read from the OSDs: where they do not answer, it is found out here and not by a QEMU that would hang
    const image = yield* find(action, volume)
    const users = usersOf(image)
    // a domain that has it has it open once
    if (image.watchers.length > (use.held ? 1 : 0)) {
      return yield* failure(
        action,
        use.held
          ? `it is open on ${users.join(", ")}, not by ${use.domainName} on ${use.host.name} alone: ${detachFirst}`
          : `it is open on ${users.join(", ")}: ${detachFirst}`
      )
    }
    const disk = yield* access(use.host, action)
    return disk(name, volumeSerial(volume.id))
  })

  const awaitReleased = Effect.fn("Storage.awaitReleased")(function* ({ id }: VolumeAt) {
    const name = volumeName(id)
    const action = `see ${name} let go of`
    const users = yield* whoRemains(
      Effect.map(look(action, name), Option.match({ onNone: () => [], onSome: usersOf })),
      options
    )
    if (users.length > 0) yield* failure(action, `it is still open on ${users.join(", ")}: ${detachFirst}`)
  })

  const growVolume = Effect.fn("Storage.growVolume")(function* (volume: VolumeAt, size: number) {
    const name = volumeName(volume.id)
    const action = `grow ${name}`
    const image = yield* find(action, volume)
    if (image.size >= size * gibibyte) return
    yield* refuseInUse(action, volume.id, image)
    yield* refuseBusy(action, name, detachFirst, ceph.grow(name, size * gibibyte))
  })

  const renameVolume = Effect.fn("Storage.renameVolume")(function* (volume: VolumeAt, label: string) {
    const action = `rename ${volumeName(volume.id)}`
    const owner = ownershipOf(yield* find(action, volume))
    if (Option.isNone(owner)) {
      return yield* failure(
        action,
        `image ${volumeName(volume.id)} does not say that vmfabric made it, so it is left alone`
      )
    }
    yield* setOwnership(action, volumeName(volume.id), { ...owner.value, name: label })
  })

  // -------------------------------------------------------------------------------------------------------------- snapshots

  const createSnapshot = Effect.fn("Storage.createSnapshot")(function* ({ id }: VolumeAt, snapshot: SnapshotId) {
    const name = volumeName(id)
    const action = `create ${snapshotName(snapshot)} of ${name}`
    yield* unlessRefused(action, ceph.createSnapshot(name, snapshotName(snapshot)), "EEXIST")
    yield* ask(action, ceph.protectSnapshot(name, snapshotName(snapshot)))
  })

  const deleteSnapshot = Effect.fn("Storage.deleteSnapshot")(function* ({ id }: VolumeAt, snapshot: SnapshotId) {
    const name = volumeName(id)
    const action = `delete ${snapshotName(snapshot)} of ${name}`
    const isGone = Effect.map(
      look(action, name),
      Option.match({
        onNone: () => true,
        onSome: ({ snapshots }) => !snapshots.some((one) => one.name === snapshotName(snapshot))
      })
    )
    yield* ceph.removeSnapshot(name, snapshotName(snapshot)).pipe(
      Effect.catchIf(
        (error) => error.refusedWith("ENOENT"),
        () => Effect.void
      ),
      Effect.catchAll((error): Effect.Effect<void, StorageError> =>
        error.refusedWith("EBUSY")
          ? Effect.flatMap(ask(action, ceph.children(name, snapshotName(snapshot))), (clones) =>
              failure(action, `${clones.join(", ") || "a volume"} was made from it: purge that first`, error)
            )
          : Effect.fail(fromCeph(action)(error))
      ),
      unlessDone(isGone)
    )
  })

  const revertVolume = Effect.fn("Storage.revertVolume")(function* (volume: VolumeAt, snapshot: SnapshotId) {
    const name = volumeName(volume.id)
    const action = `bring ${name} back to ${snapshotName(snapshot)}`
    const image = yield* find(action, volume)
    if (!image.snapshots.some((one) => one.name === snapshotName(snapshot))) {
      return yield* failure(action, `${name} has no ${snapshotName(snapshot)}`)
    }
    yield* refuseInUse(action, volume.id, image)
    yield* refuseBusy(action, name, detachFirst, ceph.rollback(name, snapshotName(snapshot)))
  })

  const listSnapshots = Effect.fn("Storage.listSnapshots")(({ id }: VolumeAt) =>
    Effect.map(
      look(`list the snapshots of ${volumeName(id)}`, volumeName(id)),
      Option.match({
        onNone: () => [],
        onSome: ({ snapshots }) =>
          snapshots.flatMap(({ name }) => numberIn(snapshotPattern, name).map((one) => SnapshotId.make(one)))
      })
    )
  )

  // ------------------------------------------------------------------------------------------------------------------ trash

  const trashVolume = Effect.fn("Storage.trashVolume")(function* ({ id }: VolumeAt, window: number) {
    const name = volumeName(id)
    const action = `destroy ${name}`
    const found = yield* look(action, name)
    if (Option.isNone(found)) return
    yield* refuseInUse(action, id, found.value)
    yield* refuseBusy(
      action,
      name,
      detachFirst,
      Effect.catchIf(
        ceph.moveToTrash(name, window),
        (error) => error.refusedWith("ENOENT"),
        () => Effect.void
      )
    ).pipe(unlessDone(Effect.map(look(action, name), Option.isNone)))
  })

  const restoreVolume = Effect.fn("Storage.restoreVolume")(function* (volume: VolumeAt) {
    const name = volumeName(volume.id)
    const action = `restore ${name}`
    if (Option.isSome(yield* look(action, name))) return
    const one = yield* theOne(action, yield* trashed(action, volume))
    if (Option.isNone(one)) return yield* failure(action, "it is not in the trash any more")
    yield* ask(action, ceph.restore(one.value.id, name)).pipe(unlessDone(Effect.map(look(action, name), Option.isSome)))
  })

  const purgeVolume = Effect.fn("Storage.purgeVolume")(function* (volume: VolumeAt) {
    const action = `purge ${volumeName(volume.id)}`
    const one = yield* theOne(action, yield* trashed(action, volume))
    if (Option.isNone(one)) return
    yield* ceph.purge(one.value.id).pipe(
      Effect.catchIf(
        (error) => error.refusedWith("ENOENT"),
        () => Effect.void
      ),
      Effect.mapError((error) =>
        error.refusedWith("EBUSY")
          ? failure(action, "volumes were made from its snapshots: purge those first", error)
          : fromCeph(action)(error)
      ),
      unlessDone(Effect.map(trashed(action, volume), ({ length }) => length === 0))
    )
  })

  return {
    createVolume,
    discardVolume,
    listVolumes,
    volumeSize,
    openVolume,
    describeVolume: ({ id }) =>
      Effect.map(accessLater(`describe ${volumeName(id)}`), (disk) => disk(volumeName(id), volumeSerial(id))),
    awaitReleased,
    growVolume,
    renameVolume,
    createSnapshot,
    deleteSnapshot,
    revertVolume,
    listSnapshots,
    trashVolume,
    restoreVolume,
    purgeVolume
  }
}
