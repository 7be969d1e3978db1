/**
 * Hosts' storage in memory, and the pool that all hosts share: what there is, and how it is reached.
 *
 * @since 0.15.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import {
  type HostError,
  HostFailure,
  HostUnreachable,
  type StorageError,
  StorageFailure,
  StorageUnreachable
} from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import type { OperationId, SnapshotId, VmId, VolumeId } from "../src/domain/Ids.ts"
import type { DiskSource } from "../src/services/Hypervisor.ts"
import type { DriverError, VolumeRequest } from "../src/services/Storage.ts"
import { gibibyte, seedSerial } from "./StorageDriver.ts"

/** A root disk: `capacity` in bytes, `image` the SHA-256 of what it lies over. @since 0.1.0 @category models */
export interface TestRoot {
  readonly capacity: number
  readonly image: string
  readonly operationId: OperationId
}

/** @since 0.6.0 @category models */
export interface TestSeed {
  readonly operationId: OperationId
  readonly content: Uint8Array
}

/** `size` in bytes; `content` stands for what a guest reads, zeros when it is empty. @since 0.2.0 @category models */
export interface TestContent {
  readonly size: number
  readonly content: string
}

/** @since 0.2.0 @category models */
export interface TestVolume extends TestContent {
  readonly name: string
  readonly operationId: OperationId
  readonly snapshots: ReadonlyMap<SnapshotId, TestContent>
  readonly source: VolumeRequest["source"]
  /** destroyed and not purged */
  readonly deleted: boolean
}

/** A host's storage, or the pool that all hosts share. @since 0.1.0 @category models */
export interface TestStore {
  /** the folder; null until it was prepared */
  readonly path: string | null
  /** bytes */
  readonly capacity: number
  /** SHA-256 of those that are whole */
  readonly images: ReadonlySet<string>
  readonly roots: ReadonlyMap<VmId, TestRoot>
  readonly seeds: ReadonlyMap<VmId, TestSeed>
  readonly volumes: ReadonlyMap<VolumeId, TestVolume>
  /** by `vm-7-root` or `volume-7`, the domain that has it open */
  readonly open: ReadonlyMap<string, string>
  /** what is held of disks, by the operation that publishes them */
  readonly held: ReadonlyMap<OperationId, TestContent>
  /** how many sendings of images have begun */
  readonly sendings: number
  /** why it cannot be reached; null: it can */
  readonly unreachable: string | null
  /** why it refuses everything that changes something, as `No space left on device`; null: it does not */
  readonly refuses: string | null
}

/** What the storage is at the moment, to look at and to change from outside. @since 0.1.0 @category services */
export class StorageTestState extends Context.Tag("vmfabric/StorageTestState")<
  StorageTestState,
  {
    /** A host's storage comes into being when it is first asked for: 500 GiB, not prepared. `null`: the pool, in the shared variant. */
    readonly store: (host: Host | null) => Effect.Effect<TestStore>
    readonly update: (host: Host | null, change: (store: TestStore) => TestStore) => Effect.Effect<void>
  }
>() {}

const empty: TestStore = {
  path: null,
  capacity: 500 * gibibyte,
  images: new Set(),
  roots: new Map(),
  seeds: new Map(),
  volumes: new Map(),
  open: new Map(),
  held: new Map(),
  sendings: 0,
  unreachable: null,
  refuses: null
}

/** @since 0.15.0 @category constants */
export const poolName = "test"
const storageName = `Ceph pool ${poolName}`

/** @since 0.15.0 @category combinators */
export const set = <K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> => new Map(map).set(key, value)
/** @since 0.15.0 @category combinators */
export const without = <K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> =>
  new Map([...map].filter(([one]) => one !== key))

/** Where a driver keeps what it has, which is what the two differ in. @since 0.15.0 @category models */
export interface Place {
  readonly isShared: boolean
  /** where a thing is that is asked for at `host` */
  readonly at: (host: Host | null) => Host | null
  readonly reach: (host: Host | null) => Effect.Effect<TestStore, DriverError>
  readonly fail: (host: Host | null, action: string, reason: string) => HostFailure | StorageFailure
  readonly disk: (host: Host, name: string, serial: string) => DiskSource
  readonly seed: (host: Host, vmId: VmId) => DiskSource
}

/** What a host's storage is kept under, or the pool's. @since 0.15.0 @category conversions */
export const keyOf = (host: Host | null): string => host?.name ?? ""

/** @since 0.15.0 @category constructors */
export const make = Effect.gen(function* () {
  const kept = yield* Ref.make<ReadonlyMap<string, TestStore>>(new Map())

  const look = (host: Host | null) => Effect.map(Ref.get(kept), (all) => all.get(keyOf(host)) ?? empty)
  const update = (host: Host | null, change: (store: TestStore) => TestStore) =>
    Ref.update(kept, (all) => set(all, keyOf(host), change(all.get(keyOf(host)) ?? empty)))

  /** The host's own storage, prepared. */
  const prepare = (host: Host): Effect.Effect<TestStore, HostError> =>
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

  const reachPool: Effect.Effect<TestStore, StorageError> = Effect.flatMap(look(null), (store) =>
    store.unreachable === null
      ? Effect.succeed(store)
      : new StorageUnreachable({ storage: storageName, reason: store.unreachable })
  )

  const folders: Place = {
    isShared: false,
    at: (host) => host,
    reach: (host) => (host === null ? Effect.dieMessage("driver dir needs a host") : prepare(host)),
    fail: (host, action, reason) => new HostFailure({ host: host?.name ?? "", action, reason }),
    disk: (host, name, serial) => ({
      _tag: "File",
      path: `${host.config.path}/${name}.qcow2`,
      format: "qcow2",
      serial
    }),
    seed: (host, vmId) => ({
      _tag: "File",
      path: `${host.config.path}/vm-${vmId}-seed.iso`,
      format: "raw",
      serial: seedSerial(vmId)
    })
  }

  const rbd = (image: string, serial: string): DiskSource => ({
    _tag: "Rbd",
    pool: poolName,
    image,
    monitors: [{ host: "192.0.2.1", port: 6789 }],
    client: "test",
    secret: "5b6f7d2e-8a4c-5f3b-8d1e-2c9a7b6e5f40",
    serial
  })

  const pool: Place = {
    isShared: true,
    at: () => null,
    reach: () => reachPool,
    fail: (_host, action, reason) => new StorageFailure({ storage: storageName, action, reason }),
    disk: (_host, name, serial) => rbd(name, serial),
    seed: (_host, vmId) => rbd(`vm-${vmId}-seed`, seedSerial(vmId))
  }

  return { look, update, prepare, reachPool, folders, pool }
})

/** @since 0.15.0 @category models */
export type Stores = Effect.Effect.Success<typeof make>

/** How a driver works on what is at its place. @since 0.15.0 @category constructors */
export const handling = (stores: Stores, place: Place) => {
  const change = (host: Host | null, apply: (store: TestStore) => TestStore) => stores.update(place.at(host), apply)

  /** The store, for something that changes it. */
  const begin = (host: Host | null, action: string): Effect.Effect<TestStore, DriverError> =>
    Effect.flatMap(place.reach(host), (store): Effect.Effect<TestStore, DriverError> =>
      store.refuses === null ? Effect.succeed(store) : place.fail(host, action, store.refuses)
    )

  const refuseOpen = (
    host: Host | null,
    action: string,
    store: TestStore,
    name: string,
    except?: string
  ): Effect.Effect<void, DriverError> => {
    const user = store.open.get(name)
    return user === undefined || user === except
      ? Effect.void
      : place.fail(host, action, `${user} has it open: detach it or stop the VM first`)
  }

  return { change, begin, refuseOpen }
}
