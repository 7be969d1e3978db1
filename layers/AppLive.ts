/**
 * The controller put together, in named groups. Each layer is built once.
 *
 * @since 0.1.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { defaultPolicies, type DriftPolicies } from "../src/domain/Drift.ts"
import type { FleetConflict, PersistenceError } from "../src/domain/Errors.ts"
import type { HostAddress } from "../src/domain/Host.ts"
import type { ImageConfig } from "../src/domain/Image.ts"
import * as Addresses from "../src/fabric/Addresses.ts"
import * as Doctor from "../src/fabric/Doctor.ts"
import * as Fleet from "../src/fabric/Fleet.ts"
import * as Hosts from "../src/fabric/Hosts.ts"
import * as ImageCopies from "../src/fabric/ImageCopies.ts"
import * as ImageIntake from "../src/fabric/ImageIntake.ts"
import * as ImagePublishing from "../src/fabric/ImagePublishing.ts"
import * as Images from "../src/fabric/Images.ts"
import * as InstanceTypes from "../src/fabric/InstanceTypes.ts"
import * as Inspections from "../src/fabric/Inspections.ts"
import * as Networks from "../src/fabric/Networks.ts"
import * as Nics from "../src/fabric/Nics.ts"
import * as Placements from "../src/fabric/Placements.ts"
import * as Plans from "../src/fabric/Plans.ts"
import * as Pools from "../src/fabric/Pools.ts"
import * as Power from "../src/fabric/Power.ts"
import * as Reach from "../src/fabric/Reach.ts"
import * as Reality from "../src/fabric/Reality.ts"
import * as Vms from "../src/fabric/Vms.ts"
import * as Releases from "../src/fabric/Releases.ts"
import * as Requests from "../src/fabric/Requests.ts"
import * as Retries from "../src/fabric/Retries.ts"
import * as VolumeKeeper from "../src/fabric/VolumeKeeper.ts"
import * as Volumes from "../src/fabric/Volumes.ts"
import * as HostEvents from "../src/observe/HostEvents.ts"
import type { Backup } from "../src/services/Backup.ts"
import type { Consoles } from "../src/services/Consoles.ts"
import type { Doctor as DoctorPort } from "../src/services/Doctor.ts"
import type { EventLog } from "../src/services/EventLog.ts"
import type { HostMonitor } from "../src/services/HostMonitor.ts"
import type { Hypervisor } from "../src/services/Hypervisor.ts"
import type { Identity } from "../src/services/Identity.ts"
import type { ImageLibrary } from "../src/services/ImageLibrary.ts"
import * as ImageStore from "../src/services/ImageStore.ts"
import type { Inspector } from "../src/services/Inspector.ts"
import { type FleetConfig, Inventory } from "../src/services/Inventory.ts"
import type { Journal } from "../src/services/Journal.ts"
import type { Observer } from "../src/services/Observer.ts"
import { Operations } from "../src/services/Operations.ts"
import type { Scheduler } from "../src/services/Scheduler.ts"
import type { Ssh } from "../src/services/Ssh.ts"
import { Storage } from "../src/services/Storage.ts"
import type { Webhooks } from "../src/services/Webhooks.ts"
import * as BackupLive from "./BackupLive.ts"
import * as CephLive from "./CephLive.ts"
import * as ConsolesLive from "./ConsolesLive.ts"
import * as Database from "./Database.ts"
import * as DoctorLive from "./DoctorLive.ts"
import * as EventLogLive from "./EventLogLive.ts"
import * as HostMonitorLive from "./HostMonitorLive.ts"
import * as HypervisorLive from "./HypervisorLive.ts"
import * as IdentityLive from "./IdentityLive.ts"
import * as ImageLibraryLive from "./ImageLibraryLive.ts"
import * as ImageStoreLive from "./ImageStoreLive.ts"
import * as InventoryLive from "./InventoryLive.ts"
import * as InspectorLive from "./InspectorLive.ts"
import * as JournalLive from "./JournalLive.ts"
import * as LibvirtLive from "./LibvirtLive.ts"
import * as LostHosts from "./LostHosts.ts"
import * as ObserverLive from "./ObserverLive.ts"
import * as OperationsLive from "./OperationsLive.ts"
import * as SchedulerLive from "./SchedulerLive.ts"
import * as StatisticsLive from "./StatisticsLive.ts"
import * as StorageLive from "./StorageLive.ts"
import type * as WebhookSender from "./WebhookSender.ts"
import * as WebhooksLive from "./WebhooksLive.ts"

/** The use cases, and what they stand on. @since 0.1.0 @category models */
export type App =
  | Vms.Vms
  | Volumes.Volumes
  | Pools.Pools
  | Placements.Placements
  | Plans.Plans
  | Requests.Requests
  | Retries.Retries
  | Power.Power
  | Hosts.Hosts
  | Doctor.Examinations
  | Images.Images
  | ImageIntake.ImageIntake
  | ImagePublishing.ImagePublishing
  | InstanceTypes.InstanceTypes
  | Reality.Reality
  | Nics.Nics
  | Networks.Networks
  | Inspections.Inspections
  | Reach.Reach
  | Backup
  | Inventory
  | EventLog
  | Identity
  | Webhooks
  | Operations
  | HostMonitor
  | Observer

/** What is left unfinished by an earlier process is taken up as soon as everything is there. */
const resume = Layer.effectDiscard(Effect.flatMap(Operations, (operations) => operations.resume))

/** Refuses to go on with another pool than the one in use. */
const pool = Layer.effectDiscard(
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const { preferred } = yield* Storage
    yield* inventory.usePool(preferred.pool === null ? null : { driver: preferred.name, pool: preferred.pool })
  })
)

/** What is kept in the database. @since 0.5.0 @category models */
export type Persistence = Backup | Inventory | Journal | EventLog | Identity | Webhooks

/** How volumes are dealt with. @since 0.2.0 @category models */
export interface VolumePolicy {
  /** for how long a destroyed volume can be had back; default: 24 hours */
  readonly undoWindow?: Duration.DurationInput
  /** how many times a pool's capacity may be promised; default: once */
  readonly poolOvercommit?: number
}

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
  readonly persistence: Layer.Layer<Persistence, FleetConflict | PersistenceError>
  /** may use the inventory */
  readonly drivers: Layer.Layer<Hypervisor | Inspector | Consoles | DoctorPort | Storage | ImageLibrary | A, E, R>
  readonly scheduler?: Layer.Layer<Scheduler>
  /** where images are kept that are added by requests; default: none are */
  readonly images?: Layer.Layer<ImageStore.ImageStore, never, NoInfer<A>> | undefined
  readonly volumes?: VolumePolicy | undefined
  /** what is done about differences; default: they are reported */
  readonly drift?: Partial<DriftPolicies> | undefined
  /** how often it is sampled what VMs use, and of how many it is kept */
  readonly statistics?: Partial<StatisticsLive.Options> | undefined
  /** how often is looked, and how much is begun without anybody asking */
  readonly observer?: Partial<Omit<ObserverLive.Options, "policies">> | undefined
}): Layer.Layer<App | A, FleetConflict | PersistenceError | E, Exclude<R, Persistence>> => {
  const fleet = Layer.effectDiscard(Fleet.apply(parts.fleet, parts.origin))
  const engine = OperationsLive.layer.pipe(
    Layer.provideMerge(HostMonitorLive.layer),
    Layer.provideMerge(parts.scheduler ?? SchedulerLive.layer)
  )
  const { poolOvercommit = 1, undoWindow = "24 hours" } = parts.volumes ?? {}
  const volumes = Volumes.layer({ undoWindow: Math.floor(Duration.toSeconds(undoWindow)) })
  const fabric = Layer.mergeAll(VolumeKeeper.layer, Releases.layer, Requests.layer, Retries.layer).pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        Vms.layer,
        Power.layer,
        volumes,
        Hosts.layer,
        Doctor.layer,
        Images.layer,
        ImageIntake.layer,
        ImagePublishing.layer,
        InstanceTypes.layer,
        Reality.layer,
        Inspections.layer,
        Reach.layer,
        Plans.layer,
        Placements.layer,
        Nics.layer,
        Networks.layer,
        HostEvents.layer,
        ImageCopies.layer
      )
    ),
    Layer.provideMerge(Addresses.layer),
    Layer.provideMerge(StatisticsLive.layerWith(parts.statistics)),
    Layer.provideMerge(Pools.layer({ overcommit: poolOvercommit })),
    Layer.provideMerge(ObserverLive.layerWith({ ...parts.observer, policies: { ...defaultPolicies, ...parts.drift } }))
  )
  return Layer.mergeAll(fabric, resume).pipe(
    Layer.provideMerge(engine),
    Layer.provideMerge(Layer.merge(fleet, pool)),
    Layer.provideMerge(LostHosts.layer),
    Layer.provide(parts.images ?? ImageStore.layerNone),
    Layer.provideMerge(parts.drivers),
    Layer.provideMerge(parts.persistence)
  )
}

/** Inventory, journal, event log, users and webhooks in an SQLite file, or `:memory:`. @since 0.1.0 @category layers */
export const persistence = (
  database: string,
  webhooks: WebhookSender.Options = { allow: [] }
): Layer.Layer<Persistence, PersistenceError> =>
  Layer.mergeAll(
    BackupLive.layer,
    InventoryLive.layer,
    JournalLive.layer,
    IdentityLive.layer,
    WebhooksLive.layerWith(webhooks)
  ).pipe(Layer.provideMerge(EventLogLive.layer), Layer.provide(Database.layer({ filename: database })))

/** Users, tokens and sessions alone, of that database. @since 0.4.0 @category layers */
export const identity = (database: string): Layer.Layer<Identity, PersistenceError> =>
  IdentityLive.layer.pipe(Layer.provide(Database.layer({ filename: database })))

/** Where a Ceph pool is and who uses it. `host` null: Ceph's commands run on this machine. @since 0.2.0 @category models */
export interface CephSettings {
  readonly pool: string
  /** without the `client.` before it */
  readonly client: string
  /** path of ceph.conf on that machine */
  readonly conf: string
  readonly host: HostAddress | null
}

const overLibvirt = <E, R, E2, R2>(storage: Layer.Layer<Storage, E, R>, doctor: Layer.Layer<DoctorPort, E2, R2>) =>
  Layer.mergeAll(HypervisorLive.layer, InspectorLive.layer, ConsolesLive.layer, doctor).pipe(
    Layer.provideMerge(storage),
    Layer.provideMerge(ImageLibraryLive.layer),
    Layer.provide(LibvirtLive.layer)
  )

/**
 * libvirt over a given `Ssh`, with disks in folders on the hosts, or in a Ceph pool.
 *
 * @since 0.1.0 @category layers
 */
export const drivers = (
  ceph: CephSettings | null
): Layer.Layer<
  Hypervisor | Inspector | Consoles | DoctorPort | Storage | ImageLibrary,
  never,
  Ssh | Inventory | FileSystem.FileSystem
> =>
  ceph === null
    ? overLibvirt(StorageLive.layerDir, DoctorLive.layer)
    : overLibvirt(StorageLive.layerRbd, DoctorLive.layerRbd).pipe(Layer.provide(CephLive.layer(ceph)))

/**
 * The controller over a given `Ssh`: real, or of a simulated fleet. `database`: the path of an SQLite file, or `:memory:`.
 *
 * @since 0.1.0 @category layers
 */
export const layer = (options: {
  readonly fleet: FleetConfig
  readonly origin?: (image: ImageConfig) => string
  readonly database: string
  readonly ceph?: CephSettings | null
  readonly volumes?: VolumePolicy
  readonly drift?: Partial<DriftPolicies>
  /** where webhooks may lead; default: to public addresses only */
  readonly webhooks?: WebhookSender.Options
  /** where images are kept that are added by requests, and where they may come from; default: none are */
  readonly images?: ImageStoreLive.Options
}): Layer.Layer<App, FleetConflict | PersistenceError, Ssh | FileSystem.FileSystem> =>
  layerOver({
    fleet: options.fleet,
    origin: options.origin,
    persistence: persistence(options.database, options.webhooks),
    drivers: drivers(options.ceph ?? null),
    images: options.images === undefined ? undefined : ImageStoreLive.layer(options.images),
    volumes: options.volumes,
    drift: options.drift
  })
