/**
 * Images, root disks and volumes in memory, for tests of programs that use the library. Image files are really read, so a refused image
 * is refused here too.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ImageRefused } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import type { OperationId, VmId } from "../src/domain/Ids.ts"
import type { Image, ImageContent } from "../src/domain/Image.ts"
import { ImageLibrary } from "../src/services/ImageLibrary.ts"
import { qcow2Bytes, qcow2Header } from "../src/simulator/HostFiles.ts"
import {
  type DiskAt,
  type DriverError,
  type RootRequest,
  type SeedRequest,
  Storage,
  type StorageDriver
} from "../src/services/Storage.ts"
import * as SingleFlight from "./SingleFlight.ts"
import { defaults, makeCopies, type Options, rootCapacity, rootSerial, withoutRoot } from "./StorageDriver.ts"
import * as StorageLive from "./StorageLive.ts"
import * as StorageTestStores from "./StorageTestStores.ts"
import { keyOf, type Place, poolName, set, StorageTestState, type TestStore, without } from "./StorageTestStores.ts"
import * as StorageTestVolumes from "./StorageTestVolumes.ts"
import { named, present } from "./StorageTestVolumes.ts"

export {
  StorageTestState,
  type TestContent,
  type TestRoot,
  type TestSeed,
  type TestStore,
  type TestVolume
} from "./StorageTestStores.ts"

/** @since 0.2.0 @category models */
export interface TestOptions extends Options {
  /** a pool that all hosts share (driver `rbd`), beside the hosts' folders */
  readonly shared: boolean
}

const make = Effect.fnUntraced(function* ({ shared, ...options }: TestOptions) {
  const images = yield* ImageLibrary
  const scope = yield* Effect.scope
  const stores = yield* StorageTestStores.make
  const { folders, look, pool, prepare, reachPool, update } = stores

  const driverOf = (place: Place): StorageDriver => {
    const { isShared } = place
    const { begin, change, refuseOpen } = StorageTestStores.handling(stores, place)
    const sending = SingleFlight.make<void, DriverError | ImageRefused>(scope)
    const copies = makeCopies()
    const copyOf = (host: Host, sha256: string) => `${keyOf(place.at(host))} ${sha256}`

    // --------------------------------------------------------------------------------------------------- images and root disks

    const ensureContent = (host: Host, image: Image, content: ImageContent) =>
      sending(
        copyOf(host, content.sha256),
        Effect.gen(function* () {
          if ((yield* begin(host, `receive image ${image.config.name}`)).images.has(content.sha256)) return
          yield* change(host, (store) => ({ ...store, sendings: store.sendings + 1 }))
          yield* Stream.runDrain(images.read(image, content))
          yield* place.reach(host)
          yield* change(host, (store) => ({ ...store, images: new Set(store.images).add(content.sha256) }))
        }).pipe(copies.using(copyOf(host, content.sha256)))
      )

    const ensureImage = Effect.fn("Storage.ensureImage")(function* (host: Host, image: Image) {
      yield* ensureContent(host, image, yield* images.resolve(image))
    })

    const listImages = Effect.fn("Storage.listImages")((host: Host) =>
      Effect.map(place.reach(host), ({ images }) => [...images])
    )

    const removeImage = Effect.fn("Storage.removeImage")(function* (host: Host, sha256: string) {
      const removed = Effect.gen(function* () {
        const { roots } = yield* begin(host, `remove its copy of image ${sha256}`)
        if ([...roots.values()].some(({ image }) => image === sha256)) return false
        yield* change(host, (store) => ({
          ...store,
          images: new Set([...store.images].filter((one) => one !== sha256))
        }))
        return true
      })
      return yield* copies.unlessUsed(copyOf(host, sha256))(removed)
    })

    const createRoot = Effect.fn("Storage.createRoot")(function* (host: Host, root: RootRequest) {
      const action = `create the root disk of vm-${root.vmId}`
      const content = yield* images.resolve(root.image)
      yield* prepare(host)
      const using = copies.using(copyOf(host, content.sha256))
      return yield* using(rootOver(host, root, content, action))
    })

    const rootOver = Effect.fnUntraced(function* (
      host: Host,
      root: RootRequest,
      content: ImageContent,
      action: string
    ) {
      const { operationId, vmId } = root
      const name = `vm-${vmId}-root`
      yield* ensureContent(host, root.image, content)
      const store = yield* begin(host, action)
      const wanted = {
        capacity: rootCapacity(root.size, content.virtualSize),
        image: content.sha256,
        operationId
      }
      const there = store.roots.get(vmId)
      if (there !== undefined && there.operationId !== operationId) {
        return yield* place.fail(
          host,
          action,
          `${name} is there already and was not made by this operation, so it is left alone`
        )
      }
      if (there === undefined || there.capacity !== wanted.capacity || there.image !== wanted.image) {
        yield* refuseOpen(host, action, store, name)
        yield* change(host, (store) => ({ ...store, roots: set(store.roots, vmId, wanted) }))
      }
      return place.disk(host, name, rootSerial(vmId))
    })

    const openRoot = Effect.fn("Storage.openRoot")(function* (host: Host, vmId: VmId) {
      const action = `open the root disk of vm-${vmId}`
      yield* prepare(host)
      const name = `vm-${vmId}-root`
      const store = yield* place.reach(host)
      if (!store.roots.has(vmId)) return yield* place.fail(host, action, `there is no ${name}: ${withoutRoot}`)
      yield* refuseOpen(host, action, store, name)
      return place.disk(host, name, rootSerial(vmId))
    })

    const deleteRoot = Effect.fn("Storage.deleteRoot")(function* (host: Host, vmId: VmId, madeBy?: OperationId) {
      const action = `delete the root disk of vm-${vmId}`
      const store = yield* begin(host, action)
      if (madeBy !== undefined && store.roots.get(vmId)?.operationId !== madeBy) return
      yield* refuseOpen(host, action, store, `vm-${vmId}-root`)
      yield* change(host, (store) => ({ ...store, roots: without(store.roots, vmId) }))
    })

    const writeSeed = Effect.fn("Storage.writeSeed")(function* (host: Host, seed: SeedRequest) {
      const { content, operationId, replaces, vmId } = seed
      const action = `write the seed of vm-${vmId}`
      yield* prepare(host)
      const there = (yield* begin(host, action)).seeds.get(vmId)
      if (there !== undefined && there.operationId !== operationId && !replaces) {
        return yield* place.fail(
          host,
          action,
          `vm-${vmId}-seed is there already and was not made by this operation, so it is left alone`
        )
      }
      const made = { operationId: there?.operationId ?? operationId, content }
      yield* change(host, (store) => ({ ...store, seeds: set(store.seeds, vmId, made) }))
      return place.seed(host, vmId)
    })

    const deleteSeed = Effect.fn("Storage.deleteSeed")(function* (host: Host, vmId: VmId, madeBy?: OperationId) {
      const store = yield* begin(host, `delete the seed of vm-${vmId}`)
      if (madeBy !== undefined && store.seeds.get(vmId)?.operationId !== madeBy) return
      yield* change(host, (store) => ({ ...store, seeds: without(store.seeds, vmId) }))
    })

    // -------------------------------------------------------------------------------------------------------- what disks hold

    const placeOf = (disk: DiskAt): Host | null => (disk._tag === "Root" ? disk.host : disk.volume.host)

    const contentNow = Effect.fnUntraced(function* (disk: DiskAt, store: TestStore, action: string) {
      const missing = (what: string) => place.fail(placeOf(disk), action, `there is no ${what}`)
      if (disk._tag === "Root") {
        const name = `vm-${disk.vmId}-root`
        if (!isShared) yield* refuseOpen(disk.host, action, store, name)
        const root = store.roots.get(disk.vmId)
        return root === undefined
          ? yield* missing(name)
          : { size: root.capacity, content: `${name} over ${root.image}` }
      }
      const volume = present(store, disk.volume)
      if (volume === undefined) return yield* missing(named(disk.volume))
      if (disk._tag === "Volume") {
        if (!isShared) yield* refuseOpen(disk.volume.host, action, store, named(disk.volume))
        return { size: volume.size, content: volume.content }
      }
      return volume.snapshots.get(disk.snapshotId) ?? (yield* missing(`snapshot-${disk.snapshotId}`))
    })

    const holdDisk = Effect.fn("Storage.holdDisk")(function* (disk: DiskAt, operationId: OperationId) {
      const action = "hold what a disk holds"
      const store = yield* begin(placeOf(disk), action)
      if (store.held.has(operationId)) return
      const { content, size } = yield* contentNow(disk, store, action)
      yield* change(placeOf(disk), (store) => ({ ...store, held: set(store.held, operationId, { content, size }) }))
    })

    const readDisk = Effect.fn("Storage.readDisk")(function* (disk: DiskAt, operationId: OperationId) {
      const held = (yield* place.reach(placeOf(disk))).held.get(operationId)
      if (held === undefined) return yield* place.fail(placeOf(disk), "read a disk", "it is not held")
      // as a file that takes little, whatever the disk's size: its header, and what stands for its content
      const bytes = Buffer.alloc(qcow2Bytes(held.size))
      bytes.set(qcow2Header({ virtualSize: held.size, compat: "1.1" }))
      bytes.write(held.content, 65536)
      return Stream.make({ offset: 0, bytes })
    })

    const releaseDisk = Effect.fn("Storage.releaseDisk")(function* (disk: DiskAt, operationId: OperationId) {
      yield* begin(placeOf(disk), "let go of what a disk held")
      yield* change(placeOf(disk), (store) => ({ ...store, held: without(store.held, operationId) }))
    })

    return {
      name: isShared ? "rbd" : "dir",
      pool: isShared ? poolName : null,
      usage: isShared
        ? Effect.map(reachPool, ({ capacity, volumes }) => {
            const used = [...volumes.values()].reduce((sum, { size }) => sum + size, 0)
            return Option.some({ name: poolName, capacity, used, available: Math.max(0, capacity - used) })
          })
        : Effect.succeedNone,
      ensureImage,
      listImages,
      removeImage,
      createRoot,
      describeRoot: (host, vmId) => Effect.succeed(place.disk(host, `vm-${vmId}-root`, rootSerial(vmId))),
      openRoot,
      deleteRoot,
      listRoots: Effect.fn("Storage.listRoots")((host: Host) =>
        Effect.map(place.reach(host), ({ roots }) => [...roots.keys()])
      ),
      writeSeed,
      deleteSeed,
      describeSeed: (host, vmId) => Effect.succeed(place.seed(host, vmId)),
      ...StorageTestVolumes.make(stores, place, options),
      holdDisk,
      readDisk,
      releaseDisk
    }
  }

  const storage = StorageLive.make(
    Effect.fn("Storage.prepare")((host: Host) => Effect.map(prepare(host), ({ capacity }) => ({ capacity }))),
    shared ? [driverOf(pool), driverOf(folders)] : [driverOf(folders)]
  )

  return Context.make(Storage, storage).pipe(
    Context.add(StorageTestState, StorageTestState.of({ store: look, update }))
  )
})

/** @since 0.2.0 @category layers */
export const layerWith = (
  options: Partial<TestOptions>
): Layer.Layer<Storage | StorageTestState, never, ImageLibrary> =>
  Layer.scopedContext(make({ ...defaults, shared: false, ...options }))

/** Storage in the hosts' folders. @since 0.1.0 @category layers */
export const layer: Layer.Layer<Storage | StorageTestState, never, ImageLibrary> = layerWith({})
