/**
 * The controller put together, in named groups. Each layer is built once.
 *
 * @since 0.1.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { FleetConflict, PersistenceError } from "../src/domain/Errors.ts"
import type { ImageConfig } from "../src/domain/Image.ts"
import * as Fleet from "../src/fabric/Fleet.ts"
import * as Hosts from "../src/fabric/Hosts.ts"
import * as Images from "../src/fabric/Images.ts"
import * as Vms from "../src/fabric/Vms.ts"
import type { HostMonitor } from "../src/services/HostMonitor.ts"
import type { Hypervisor } from "../src/services/Hypervisor.ts"
import type { ImageLibrary } from "../src/services/ImageLibrary.ts"
import type { FleetConfig, Inventory } from "../src/services/Inventory.ts"
import type { Journal } from "../src/services/Journal.ts"
import { Operations } from "../src/services/Operations.ts"
import type { Scheduler } from "../src/services/Scheduler.ts"
import type { Ssh } from "../src/services/Ssh.ts"
import type { Storage } from "../src/services/Storage.ts"
import * as Database from "./Database.ts"
import * as HostMonitorLive from "./HostMonitorLive.ts"
import * as HypervisorLive from "./HypervisorLive.ts"
import * as ImageLibraryLive from "./ImageLibraryLive.ts"
import * as InventoryLive from "./InventoryLive.ts"
import * as JournalLive from "./JournalLive.ts"
import * as LibvirtLive from "./LibvirtLive.ts"
import * as OperationsLive from "./OperationsLive.ts"
import * as SchedulerLive from "./SchedulerLive.ts"
import * as StorageLive from "./StorageLive.ts"

/** The use cases, and what they stand on. @since 0.1.0 @category models */
export type App = Vms.Vms | Hosts.Hosts | Images.Images | Inventory | Operations | HostMonitor

/** What is left unfinished by an earlier process is taken up as soon as everything is there. */
const resume = Layer.effectDiscard(Effect.flatMap(Operations, (operations) => operations.resume))

/**
 * The controller over a program's own parts. The fleet is applied to the inventory, hosts are watched, and unfinished operations go on from the moment the
 * layer is built; when its scope closes everything stops where it is.
 *
 * @since 0.1.0 @category layers
 */
export const layerOver = <A, E, R>(parts: {
  readonly fleet: FleetConfig
  /** where an image's line stands, for messages about its file */
  readonly origin?: ((image: ImageConfig) => string) | undefined
  readonly persistence: Layer.Layer<Inventory | Journal, PersistenceError>
  /** may use the inventory */
  readonly drivers: Layer.Layer<Hypervisor | Storage | ImageLibrary | A, E, R>
  readonly scheduler?: Layer.Layer<Scheduler>
}): Layer.Layer<App | A, FleetConflict | PersistenceError | E, Exclude<R, Inventory | Journal>> => {
  const fleet = Layer.effectDiscard(Fleet.apply(parts.fleet, parts.origin))
  const engine = OperationsLive.layer.pipe(
    Layer.provideMerge(HostMonitorLive.layer),
    Layer.provideMerge(parts.scheduler ?? SchedulerLive.layer)
  )
  const fabric = Layer.mergeAll(Vms.layer, Hosts.layer, Images.layer)
  return Layer.mergeAll(fabric, resume).pipe(
    Layer.provideMerge(engine),
    Layer.provideMerge(fleet),
    Layer.provideMerge(parts.drivers),
    Layer.provideMerge(parts.persistence)
  )
}

/** Inventory and journal in an SQLite file, or `:memory:`. @since 0.1.0 @category layers */
export const persistence = (database: string): Layer.Layer<Inventory | Journal, PersistenceError> =>
  Layer.merge(InventoryLive.layer, JournalLive.layer).pipe(Layer.provide(Database.layer({ filename: database })))

/** libvirt and host-local disks over a given `Ssh`. @since 0.1.0 @category layers */
export const drivers: Layer.Layer<Hypervisor | Storage | ImageLibrary, never, Ssh | Inventory | FileSystem.FileSystem> =
  HypervisorLive.layer.pipe(
    Layer.provideMerge(StorageLive.layerDir),
    Layer.provideMerge(ImageLibraryLive.layer),
    Layer.provide(LibvirtLive.layer)
  )

/**
 * The controller over a given `Ssh`: real, or of a simulated fleet. `database`: the path of an SQLite file, or `:memory:`.
 *
 * @since 0.1.0 @category layers
 */
export const layer = (options: {
  readonly fleet: FleetConfig
  readonly origin?: (image: ImageConfig) => string
  readonly database: string
}): Layer.Layer<App, FleetConflict | PersistenceError, Ssh | FileSystem.FileSystem> =>
  layerOver({
    fleet: options.fleet,
    origin: options.origin,
    persistence: persistence(options.database),
    drivers
  })
