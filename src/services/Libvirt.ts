/**
 * libvirt's RPC protocol to each host's daemon.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { HostAddress } from "../domain/Host.ts"
import { asked } from "../domain/HostCalls.ts"
import type { DomainEvent } from "../libvirt/Events.ts"
import type { Args, ProcedureName, Reply, StreamProcedure, UploadProcedure } from "../libvirt/Procedures.ts"
import type { Decoder } from "../libvirt/Xdr.ts"
import { SshError } from "./Ssh.ts"

/** The daemon answered with an error; `code` and `domain` are virErrorNumber and virErrorDomain. @since 0.1.0 @category errors */
export class LibvirtRefused extends Schema.TaggedClass<LibvirtRefused>()("LibvirtRefused", {
  code: Schema.Number,
  domain: Schema.Number,
  reason: Schema.String,
  /** errno for code 38 */
  int1: Schema.Number
}) {}

/** The connection could not be made or broke; whether the call took effect is unknown. @since 0.1.0 @category errors */
export class LibvirtDisconnected extends Schema.TaggedClass<LibvirtDisconnected>()("LibvirtDisconnected", {
  reason: Schema.String,
  ssh: Schema.optional(SshError)
}) {}

/** No answer within the time limit; whether the call took effect is unknown. @since 0.1.0 @category errors */
export class LibvirtTimeout extends Schema.TaggedClass<LibvirtTimeout>()("LibvirtTimeout", { after: Schema.String }) {}

/** The daemon sent something that is not the protocol. @since 0.1.0 @category errors */
export class LibvirtProtocolError extends Schema.TaggedClass<LibvirtProtocolError>()("LibvirtProtocolError", {
  reason: Schema.String
}) {}

/** @since 0.1.0 @category errors */
export const LibvirtErrorReason = Schema.Union(
  LibvirtRefused,
  LibvirtDisconnected,
  LibvirtTimeout,
  LibvirtProtocolError
)
/** @since 0.1.0 @category errors */
export type LibvirtErrorReason = typeof LibvirtErrorReason.Type

/** @since 0.1.0 @category errors */
export class LibvirtError extends Schema.TaggedError<LibvirtError>()("LibvirtError", {
  /** `user@host[:port]` */
  host: Schema.String,
  /** the procedure's name, or `connect` */
  procedure: Schema.String,
  reason: LibvirtErrorReason,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    const reason = this.reason
    switch (reason._tag) {
      case "LibvirtTimeout":
        return `${this.host}: libvirt did not answer within ${reason.after} when asked ${asked(this.procedure)}`
      case "LibvirtDisconnected":
        return reason.ssh === undefined ? `${this.host}: ${reason.reason}` : reason.ssh.message
      default:
        return `${this.host}: libvirt ${this.procedure}: ${reason.reason}`
    }
  }

  /** whether the daemon itself refused with this virErrorNumber */
  refusedWith(code: number): boolean {
    return this.reason._tag === "LibvirtRefused" && this.reason.code === code
  }
}

/** A stream to or from a host. @since 0.1.0 @category models */
export interface LibvirtStream<R> {
  readonly reply: R
  readonly send: (bytes: Uint8Array) => Effect.Effect<void, LibvirtError>
  readonly incoming: Stream.Stream<Uint8Array, LibvirtError>
}

/** @since 0.1.0 @category services */
export class Libvirt extends Context.Tag("vmfabric/Libvirt")<
  Libvirt,
  {
    /**
     * One call, typed by the procedure table. Calls to one host share a connection, are multiplexed and queue beyond the daemon's
     * in-flight limit; those that take the daemon long have connections of their own, so that nothing waits behind them. A cancelled call is
     * forgotten: its late reply is dropped (the protocol cannot cancel).
     */
    readonly call: <P extends ProcedureName>(
      address: HostAddress,
      procedure: P,
      args: Args<P>
    ) => Effect.Effect<Reply<P>, LibvirtError>

    /** One call, its reply read by a decoder that makes no more of it than is needed. */
    readonly callFor: <P extends ProcedureName, A>(
      address: HostAddress,
      procedure: P,
      args: Args<P>,
      reply: Decoder<A>
    ) => Effect.Effect<A, LibvirtError>

    /**
     * A call that opens a stream towards the host: sends all of `source` with backpressure, finishes and awaits the daemon's
     * confirmation. Uses a connection of its own. When `source` fails or the effect is interrupted the stream is aborted.
     */
    readonly upload: <P extends UploadProcedure, E>(
      address: HostAddress,
      procedure: P,
      args: Args<P>,
      source: Stream.Stream<Uint8Array, E>
    ) => Effect.Effect<void, LibvirtError | E>

    /**
     * A call that opens a stream, for reading or both ways, on a connection of its own; closed with the scope. `incoming` ends where
     * the daemon's data ends; a slow reader holds the daemon back.
     */
    readonly open: <P extends StreamProcedure>(
      address: HostAddress,
      procedure: P,
      args: Args<P>
    ) => Effect.Effect<LibvirtStream<Reply<P>>, LibvirtError, Scope.Scope>

    /**
     * Domain events from now on. Ends with a failure when the connection is lost (events are not replayed: list, then listen
     * again). Slow consumers lose nothing up to 10,000 waiting events; beyond that the stream fails.
     */
    readonly events: (address: HostAddress) => Stream.Stream<DomainEvent, LibvirtError>

    /**
     * One call and its answer, within 10 seconds: whether libvirt on the host can be used now. The host monitor needs none, since a session
     * pings by itself and its events end when it is lost.
     */
    readonly ping: (address: HostAddress) => Effect.Effect<void, LibvirtError>
  }
>() {}
