/**
 * The controller put together, in named groups. Each layer is built once.
 *
 * @since 0.1.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { FleetConflict, PersistenceError } from "../src/domain/Errors.ts"
import * as Fleet from "../src/fabric/Fleet.ts"
import * as Hosts from "../src/fabric/Hosts.ts"
import * as Images from "../src/fabric/Images.ts"
import * as Vms from "../src/fabric/Vms.ts"
import type { FleetConfig, Inventory } from "../src/services/Inventory.ts"
import { Operations } from "../src/services/Operations.ts"
import type { Ssh } from "../src/services/Ssh.ts"
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

/** `database`: the path of an SQLite file, or `:memory:`. @since 0.1.0 @category models */
export interface Options {
  readonly fleet: FleetConfig
  readonly database: string
}

/** The use cases, the inventory and the operations beneath them. @since 0.1.0 @category models */
export type App = Vms.Vms | Hosts.Hosts | Images.Images | Inventory | Operations

/** What is left unfinished by an earlier process is taken up as soon as everything is there. */
const resume = Layer.effectDiscard(Effect.flatMap(Operations, (operations) => operations.resume))

/**
 * The controller over a given `Ssh`: real, simulated, or a program's own. The fleet is applied to the database, hosts are watched, and
 * unfinished operations go on from the moment the layer is built; when its scope closes everything stops where it is.
 *
 * @since 0.1.0 @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<App, FleetConflict | PersistenceError, Ssh | FileSystem.FileSystem> => {
  const persistence = Layer.mergeAll(InventoryLive.layer, JournalLive.layer).pipe(
    Layer.provide(Database.layer({ filename: options.database }))
  )
  const fleet = Layer.effectDiscard(Fleet.apply(options.fleet)).pipe(Layer.provideMerge(ImageLibraryLive.layer))
  const drivers = HypervisorLive.layer.pipe(Layer.provideMerge(StorageLive.layerDir), Layer.provide(LibvirtLive.layer))
  const engine = OperationsLive.layer.pipe(
    Layer.provideMerge(HostMonitorLive.layer),
    Layer.provideMerge(drivers),
    Layer.provideMerge(SchedulerLive.layer)
  )
  const fabric = Layer.mergeAll(Vms.layer, Hosts.layer, Images.layer)
  return Layer.mergeAll(fabric, resume).pipe(
    Layer.provideMerge(engine),
    Layer.provideMerge(fleet),
    Layer.provideMerge(persistence)
  )
}
