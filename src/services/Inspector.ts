/**
 * What a VM shows of itself on its host: its console's log, its screen, its definition, and what its guest's agent says.
 *
 * @since 0.6.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { ConsoleCursor, ConsolePart } from "../domain/Console.ts"
import type { HostError } from "../domain/Errors.ts"
import type { GuestReading } from "../domain/Guest.ts"
import type { Host } from "../domain/Host.ts"
import type { Counters } from "../domain/Statistics.ts"
import type { DomainRef } from "./Hypervisor.ts"

/** A domain's XML as libvirt writes it, without its secrets. `live` null: it does not run. `defined` null: it is transient. @since 0.6.0 @category models */
export interface DomainXmls {
  readonly live: string | null
  readonly defined: string | null
}

/**
 * All methods only look, and fail with `HostUnreachable` (nothing is known) or `HostFailure` (the host said no).
 *
 * @since 0.6.0 @category services
 */
export class Inspector extends Context.Tag("vmfabric/Inspector")<
  Inspector,
  {
    /** None: no such domain. */
    readonly xml: (host: Host, domain: DomainRef) => Effect.Effect<Option.Option<DomainXmls>, HostError>
    /** What all domains that run there have used since their start, anybody's, in one call that waits for no domain that is busy. */
    readonly counters: (host: Host) => Effect.Effect<ReadonlyArray<Counters>, HostError>
    /** Its first screen as a PNG file. None: it does not run, or is not there. */
    readonly screenshot: (host: Host, domain: DomainRef) => Effect.Effect<Option.Option<Uint8Array>, HostError>
    /** What its guest says of itself. An agent that is there and does not answer takes some seconds. */
    readonly guest: (host: Host, domain: DomainRef) => Effect.Effect<GuestReading, HostError>
    /** The end of what was printed on its first serial port: at most `bytes`. Of one that never printed anything it is empty. */
    readonly consoleTail: (host: Host, domain: DomainRef, bytes: number) => Effect.Effect<ConsolePart, HostError>
    /** What was printed after what a cursor stands for: at most `bytes`, and none when there is nothing yet. */
    readonly consoleAfter: (
      host: Host,
      domain: DomainRef,
      cursor: ConsoleCursor,
      bytes: number
    ) => Effect.Effect<ConsolePart, HostError>
  }
>() {}
