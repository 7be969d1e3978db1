/**
 * Simulated hosts in this process, reached by the same `Ssh` as real ones, where only the byte stream under SSH is not TCP, or without SSH (`layerMemory`).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { InputFileError } from "../src/config/InputFiles.ts"
import type { FleetConflict, PersistenceError } from "../src/domain/Errors.ts"
import { OperationId } from "../src/domain/Ids.ts"
import * as Uuid from "../src/domain/Uuid.ts"
import { isSettled, type Vm, type WantedPower } from "../src/domain/Vm.ts"
import { type FleetConfig, Inventory } from "../src/services/Inventory.ts"
import { Journal } from "../src/services/Journal.ts"
import type { Ssh } from "../src/services/Ssh.ts"
import { SshDialer } from "../src/services/SshDialer.ts"
import * as Fleet from "../src/simulator/Fleet.ts"
import * as FleetFile from "../src/simulator/FleetFile.ts"
import * as Script from "../src/simulator/Script.ts"
import * as SshLive from "./SshLive.ts"
import * as SshMemory from "./SshMemory.ts"

/** @since 0.1.0 @category models */
export interface SimulatedFleet {
  /** its hosts, with their faults */
  readonly fleet: Fleet.Fleet
  /** what the input files would say of it */
  readonly config: FleetConfig
  /** its Ceph pool */
  readonly ceph: Fleet.Demonstration["ceph"]
  /** `Ssh` to its hosts and to no others */
  readonly ssh: Layer.Layer<Ssh>
}

/** @since 0.1.0 @category layers */
export const layerDialer = (fleet: Fleet.Fleet): Layer.Layer<SshDialer> =>
  Layer.succeed(SshDialer, SshDialer.of({ dial: fleet.dial }))

/** `Ssh` to a fleet's hosts. @since 0.1.0 @category layers */
export const layerSsh = (fleet: Fleet.Fleet, settings: Partial<SshLive.Settings> = {}): Layer.Layer<Ssh> =>
  SshLive.layerWith(fleet.credentials, settings).pipe(Layer.provide(layerDialer(fleet)))

/**
 * `Ssh` to a fleet's hosts without SSH's cryptography: for many hosts, for many operations, and the only one that runs under a virtual clock.
 * The same faults apply.
 *
 * @since 0.3.0 @category layers
 */
export const layerMemory = (fleet: Fleet.Fleet, settings: Partial<SshMemory.Settings> = {}): Layer.Layer<Ssh> =>
  SshMemory.layer(fleet, settings)

/** What `simulate` is given: texts, and where they come from. @since 0.3.0 @category models */
export interface Scenario {
  /** a fleet as JSON; else `hosts` machines of one kind */
  readonly fleet: { readonly file: string; readonly text: string } | null
  readonly hosts: number
  /** VMs that run when it begins; null: as many as the fleet's file says, else none */
  readonly vms: number | null
  /** a fault script, beside what the fleet's file has of it */
  readonly faults: { readonly file: string; readonly text: string } | null
  /** null: the one of the fleet's file, else 1 */
  readonly seed: number | null
}

/** @since 0.3.0 @category models */
export interface Simulation {
  readonly fleet: Fleet.Described
  /** `Ssh` to its hosts, without cryptography */
  readonly ssh: Layer.Layer<Ssh>
  readonly seed: number
  readonly vms: number
  /** Plays the fault scripts, from now on. */
  readonly disturb: Effect.Effect<void>
}

/** A fleet with all that befalls it; lives as long as the scope. @since 0.3.0 @category constructors */
export const simulate = (scenario: Scenario): Effect.Effect<Simulation, InputFileError, Scope.Scope> =>
  Effect.gen(function* () {
    const file =
      scenario.fleet === null
        ? FleetFile.sized({ hosts: scenario.hosts })
        : yield* FleetFile.parse(scenario.fleet.text, scenario.fleet.file)
    const seed = scenario.seed ?? file.seed
    const hosts = file.hosts.reduce((sum, { count }) => sum + count, 0)
    // checked before anything is made
    const scripts = yield* Effect.all([
      Script.parse(file.faults.join("\n"), { file: `${scenario.fleet?.file ?? "fleet"}: faults`, hosts }),
      scenario.faults === null
        ? Effect.succeed([])
        : Script.parse(scenario.faults.text, { file: scenario.faults.file, hosts })
    ])
    const fleet = yield* Fleet.describe({ ...file, seed })
    return {
      fleet,
      seed,
      ssh: layerMemory(fleet),
      vms: scenario.vms ?? file.vms,
      disturb: Script.run(scripts.flat(), fleet)
    }
  })

/** written at the same time, so that they share commits */
const together = 128

/**
 * Has so many VMs in the inventory and on the hosts, evenly, as if they had run there for long; those that the inventory has already are put
 * on their hosts again. For a fleet that nobody works with yet.
 *
 * @since 0.3.0 @category constructors
 */
export const populate = (
  fleet: Fleet.Described,
  count: number
): Effect.Effect<void, FleetConflict | PersistenceError, Inventory | Journal> =>
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const journal = yield* Journal
    yield* inventory.applyFleet(fleet.config)
    const hosts = yield* inventory.hosts
    const [image] = yield* inventory.images
    const [instanceType] = yield* inventory.types
    const known = yield* inventory.vms()
    if (image === undefined || instanceType === undefined || hosts.length === 0) return
    const machines = new Map(hosts.map(({ host }) => [host.id, fleet.host(host.config.address.host)] as const))
    const settle = (vm: Vm, operationId: OperationId, power: WantedPower) =>
      Effect.gen(function* () {
        const machine = machines.get(vm.hostId)
        if (machine === undefined || !Fleet.settle(machine, { ...placed(vm), operationId }, power)) {
          yield* Effect.logWarning("it has no room on its simulated host").pipe(Effect.annotateLogs("vmid", vm.id))
        }
      })
    yield* Effect.forEach(
      known,
      (vm) => {
        const { driver, state } = vm
        return isSettled(state) && driver === "dir"
          ? Effect.flatMap(Uuid.make, (uuid) => settle(vm, OperationId.make(uuid), state))
          : Effect.void
      },
      { discard: true }
    )
    const admit = (index: number) =>
      Effect.gen(function* () {
        const chosen = hosts[index % hosts.length]?.host.id ?? hosts[0]?.host.id
        if (chosen === undefined) return
        const { operation, vm } = yield* inventory.admit(
          {
            name: `standing-${index + 1}`,
            instanceType,
            imageId: image.id,
            onCrash: "leave",
            disk: { driver: "dir", pool: null }
          },
          () => Effect.succeed(chosen)
        )
        yield* settle(vm, operation.id, "running")
        yield* inventory.setVmState(vm.id, "running")
        yield* journal.record(operation.id, { state: { to: "done" } })
      })
    yield* Effect.forEach(
      Array.from({ length: Math.max(0, count - known.length) }, (_, index) => known.length + index),
      admit,
      {
        concurrency: together,
        discard: true
      }
    ).pipe(
      // in folders on the hosts, with new addresses and keys: none of them can be
      Effect.catchTags({
        InstanceTypeNotFound: Effect.die,
        ImageNotFound: Effect.die,
        ImageConflict: Effect.die,
        PoolFull: Effect.die,
        // they are nobody's
        QuotaExceeded: Effect.die,
        MacTaken: Effect.die,
        KeyReused: Effect.die
      })
    )
  })

const placed = ({ domainName, id, name, nics, resources, uuid }: Vm) => ({
  vmId: id,
  uuid,
  domainName,
  title: name,
  resources,
  nics
})

/** The fleet for trying things out; lives as long as the scope. @since 0.1.0 @category constructors */
export const make = (
  options: { readonly hosts?: number; readonly seed?: number } = {}
): Effect.Effect<SimulatedFleet, never, Scope.Scope> =>
  Effect.map(Fleet.demonstration(options), (fleet) => ({
    fleet,
    config: fleet.config,
    ceph: fleet.ceph,
    ssh: layerSsh(fleet)
  }))
