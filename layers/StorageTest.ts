/**
 * Images and root disks in memory, for tests of programs that use the library. Image files are really read, so a refused image is refused
 * here too.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { type HostError, HostFailure, HostUnreachable, type ImageRefused } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import type { VmId } from "../src/domain/Ids.ts"
import type { Image, ImageContent } from "../src/domain/Image.ts"
import { ImageLibrary } from "../src/services/ImageLibrary.ts"
import { Storage } from "../src/services/Storage.ts"
import * as SingleFlight from "./SingleFlight.ts"
import { rootCapacity, rootSerial } from "./StorageLive.ts"

/** A root disk: `capacity` in bytes, `image` the SHA-256 of what it lies over. @since 0.1.0 @category models */
export interface TestRoot {
  readonly capacity: number
  readonly image: string
}

/** @since 0.1.0 @category models */
export interface TestStore {
  /** the folder; null until it was prepared */
  readonly path: string | null
  /** bytes */
  readonly capacity: number
  /** SHA-256 of those that are whole */
  readonly images: ReadonlySet<string>
  readonly roots: ReadonlyMap<VmId, TestRoot>
  /** how many sendings of images have begun */
  readonly sendings: number
  /** why it cannot be reached; null: it can */
  readonly unreachable: string | null
}

/** What the hosts' storage is at the moment, to look at and to change from outside. @since 0.1.0 @category services */
export class StorageTestState extends Context.Tag("vmfabric/StorageTestState")<
  StorageTestState,
  {
    /** A host's storage comes into being when it is first asked for: 500 GiB, not prepared. */
    readonly store: (host: Host) => Effect.Effect<TestStore>
    readonly update: (host: Host, change: (store: TestStore) => TestStore) => Effect.Effect<void>
  }
>() {}

const empty: TestStore = {
  path: null,
  capacity: 500 * 1024 ** 3,
  images: new Set(),
  roots: new Map(),
  sendings: 0,
  unreachable: null
}

const make = Effect.gen(function* () {
  const images = yield* ImageLibrary
  const stores = yield* Ref.make<ReadonlyMap<string, TestStore>>(new Map())
  const sending = SingleFlight.make<void, HostError | ImageRefused>(yield* Effect.scope)

  const look = (host: Host) => Effect.map(Ref.get(stores), (all) => all.get(host.name) ?? empty)
  const update = (host: Host, change: (store: TestStore) => TestStore) =>
    Ref.update(stores, (all) => new Map(all).set(host.name, change(all.get(host.name) ?? empty)))

  /** The store, prepared. */
  const reach = (host: Host): Effect.Effect<TestStore, HostError> =>
    Effect.gen(function* () {
      const store = yield* look(host)
      if (store.unreachable !== null) {
        return yield* new HostUnreachable({ host: host.name, reason: store.unreachable })
      }
      const wanted = host.config.path
      if (store.path !== null && store.path !== wanted) {
        return yield* new HostFailure({
          host: host.name,
          action: "prepare its storage",
          reason: `its storage pool "vmfabric" is the folder ${store.path}, but the machine file says ${wanted}`
        })
      }
      yield* update(host, (store) => ({ ...store, path: wanted }))
      return store
    })

  const ensureContent = (host: Host, image: Image, content: ImageContent) =>
    sending(
      `${host.name} ${content.sha256}`,
      Effect.gen(function* () {
        if ((yield* reach(host)).images.has(content.sha256)) return
        yield* update(host, (store) => ({ ...store, sendings: store.sendings + 1 }))
        yield* Stream.runDrain(images.read(image, content))
        yield* reach(host)
        yield* update(host, (store) => ({ ...store, images: new Set(store.images).add(content.sha256) }))
      })
    )

  const storage = Storage.of({
    prepare: Effect.fn("Storage.prepare")((host: Host) => Effect.map(reach(host), ({ capacity }) => ({ capacity }))),
    ensureImage: Effect.fn("Storage.ensureImage")(function* (host: Host, image: Image) {
      yield* ensureContent(host, image, yield* images.resolve(image))
    }),
    createRoot: Effect.fn("Storage.createRoot")(function* (
      host: Host,
      root: { readonly vmId: VmId; readonly image: Image; readonly size: number }
    ) {
      const content = yield* images.resolve(root.image)
      yield* ensureContent(host, root.image, content)
      yield* reach(host)
      const disk = { capacity: rootCapacity(root.size, content.virtualSize), image: content.sha256 }
      yield* update(host, (store) => ({ ...store, roots: new Map(store.roots).set(root.vmId, disk) }))
      return {
        path: `${host.config.path}/vm-${root.vmId}-root.qcow2`,
        format: "qcow2" as const,
        serial: rootSerial(root.vmId)
      }
    }),
    deleteRoot: Effect.fn("Storage.deleteRoot")(function* (host: Host, vmId: VmId) {
      yield* reach(host)
      yield* update(host, (store) => ({ ...store, roots: new Map([...store.roots].filter(([id]) => id !== vmId)) }))
    }),
    listRoots: Effect.fn("Storage.listRoots")((host: Host) => Effect.map(reach(host), ({ roots }) => [...roots.keys()]))
  })

  return Context.make(Storage, storage).pipe(
    Context.add(StorageTestState, StorageTestState.of({ store: look, update }))
  )
})

/** @since 0.1.0 @category layers */
export const layer: Layer.Layer<Storage | StorageTestState, never, ImageLibrary> = Layer.scopedContext(make)
