/**
 * Ways into running guests: the serial port and the screen, as streams of bytes both ways.
 *
 * @since 0.7.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { HostError } from "../domain/Errors.ts"
import type { Host } from "../domain/Host.ts"
import type { DomainRef } from "./Hypervisor.ts"

/** Bytes both ways, closed with its scope. @since 0.7.0 @category models */
export interface Line {
  /** Waits while the guest's side cannot take more. */
  readonly send: (bytes: Uint8Array) => Effect.Effect<void, HostError>
  /** To be run once; ends when the guest's side does, as when the domain stops. A slow reader holds the guest's side back, not memory. */
  readonly incoming: Stream.Stream<Uint8Array, HostError>
}

/**
 * What became of opening one. `Off`: the domain does not run, or is not there; `Absent`: it has no such device; `Busy`: the device takes one at a time,
 * and somebody has it.
 *
 * @since 0.7.0 @category models
 */
export type Opened =
  | { readonly _tag: "Open"; readonly line: Line }
  | { readonly _tag: "Off" }
  | { readonly _tag: "Absent" }
  | { readonly _tag: "Busy" }

/**
 * All methods fail with `HostUnreachable` (the host does not answer) or `HostFailure` (it said no). They use the connection to the host that there is,
 * and need nothing there but sshd and libvirt.
 *
 * @since 0.7.0 @category services
 */
export class Consoles extends Context.Tag("vmfabric/Consoles")<
  Consoles,
  {
    /** The domain's first serial port: raw terminal data. `force` takes it from whoever has it, whose line then fails. */
    readonly serial: (host: Host, domain: DomainRef, force: boolean) => Effect.Effect<Opened, HostError, Scope.Scope>
    /** Its screen and keyboard by VNC (RFB), which any number may use at a time. */
    readonly vnc: (host: Host, domain: DomainRef) => Effect.Effect<Opened, HostError, Scope.Scope>
  }
>() {}
