/**
 * The controller for a program's own quick tests: hosts and their storage are values in memory, everything above them is the real thing.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import type { FleetConflict, PersistenceError } from "../src/domain/Errors.ts"
import { defaultConfig } from "../src/domain/Host.ts"
import * as Ids from "../src/domain/Ids.ts"
import type { FleetConfig } from "../src/services/Inventory.ts"
import * as AppLive from "./AppLive.ts"
import * as BackupLive from "./BackupLive.ts"
import * as Database from "./Database.ts"
import * as DoctorTest from "./DoctorTest.ts"
import * as EventLogLive from "./EventLogLive.ts"
import * as HypervisorTest from "./HypervisorTest.ts"
import * as IdentityLive from "./IdentityLive.ts"
import * as ImageLibraryTest from "./ImageLibraryTest.ts"
import * as ImageStoreTest from "./ImageStoreTest.ts"
import * as InventoryLive from "./InventoryLive.ts"
import * as JournalLive from "./JournalLive.ts"
import * as InspectorTest from "./InspectorTest.ts"
import type * as StatisticsLive from "./StatisticsLive.ts"
import * as StorageTest from "./StorageTest.ts"
import * as WebhooksTest from "./WebhooksTest.ts"

/** Three hosts (8 vCPUs, 32 GiB, 500 GiB each), one image, one type of 1 vCPU, 1 GiB, 10 GiB. @since 0.1.0 @category fleets */
export const fleet: FleetConfig = {
  hosts: ["test-1", "test-2", "test-3"].map((host) => defaultConfig({ user: "root", host, port: 22 })),
  images: [{ name: "test", source: { host: null, path: "/images/test.raw" } }],
  types: [{ tid: Ids.InstanceTypeId.make(1), cpu: 1, ram: 1024, disk: 10 }]
}

/** Use cases, and the states of the test doubles to look into and to change. @since 0.1.0 @category models */
export type AppTest =
  | AppLive.App
  | HypervisorTest.HypervisorTestState
  | InspectorTest.InspectorTestState
  | DoctorTest.DoctorTestState
  | StorageTest.StorageTestState
  | ImageLibraryTest.ImageFiles
  | WebhooksTest.WebhookReceivers

/** Everything that is kept, in memory, and nothing is sent to anybody. @since 0.5.0 @category layers */
export const persistence: Layer.Layer<AppLive.Persistence | WebhooksTest.WebhookReceivers, PersistenceError> =
  Layer.merge(IdentityLive.layer, WebhooksTest.layerOn).pipe(
    Layer.provideMerge(Layer.mergeAll(BackupLive.layer, EventLogLive.layer, InventoryLive.layer, JournalLive.layer)),
    // one for all of it: what a request makes is written with the request's key
    Layer.provide(Database.layer({ filename: ":memory:" }))
  )

/** Each build has a world of its own. Images are those of `files`, by path. @since 0.1.0 @category layers */
export const layerFleet = (
  given: FleetConfig,
  files: Readonly<Record<string, Uint8Array>>,
  options: {
    /** how often it is sampled what VMs use, every 20 seconds unless it is said */
    readonly statistics?: Partial<StatisticsLive.Options>
  } = {}
): Layer.Layer<AppTest, FleetConflict | PersistenceError> =>
  AppLive.layerOver({
    fleet: given,
    persistence,
    statistics: options.statistics,
    images: ImageStoreTest.layer,
    drivers: Layer.merge(HypervisorTest.layer, StorageTest.layer).pipe(
      Layer.provideMerge(ImageLibraryTest.layer(files))
    )
  }).pipe(Layer.merge(persistence))

/** `layerFleet` of `fleet`. @since 0.1.0 @category layers */
export const layer: Layer.Layer<AppTest, FleetConflict | PersistenceError> = layerFleet(fleet, {
  "/images/test.raw": new Uint8Array(1024 * 1024)
})
