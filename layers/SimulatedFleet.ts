/**
 * Simulated hosts in this process, reached by the same `Ssh` as real ones: only the byte stream under SSH is not TCP.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { FleetConfig } from "../src/services/Inventory.ts"
import type { Ssh } from "../src/services/Ssh.ts"
import { SshDialer } from "../src/services/SshDialer.ts"
import * as Fleet from "../src/simulator/Fleet.ts"
import * as SshLive from "./SshLive.ts"

/** @since 0.1.0 @category models */
export interface SimulatedFleet {
  /** its hosts, with their faults */
  readonly fleet: Fleet.Fleet
  /** what the input files would say of it */
  readonly config: FleetConfig
  /** `Ssh` to its hosts and to no others */
  readonly ssh: Layer.Layer<Ssh>
}

/** @since 0.1.0 @category layers */
export const layerDialer = (fleet: Fleet.Fleet): Layer.Layer<SshDialer> =>
  Layer.succeed(SshDialer, SshDialer.of({ dial: fleet.dial }))

/** `Ssh` to a fleet's hosts. @since 0.1.0 @category layers */
export const layerSsh = (fleet: Fleet.Fleet, settings: Partial<SshLive.Settings> = {}): Layer.Layer<Ssh> =>
  SshLive.layerWith(fleet.credentials, settings).pipe(Layer.provide(layerDialer(fleet)))

/** The fleet for trying things out; lives as long as the scope. @since 0.1.0 @category constructors */
export const make = (
  options: { readonly hosts?: number; readonly seed?: number } = {}
): Effect.Effect<SimulatedFleet, never, Scope.Scope> =>
  Effect.map(Fleet.demonstration(options), (fleet) => ({ fleet, config: fleet.config, ssh: layerSsh(fleet) }))
