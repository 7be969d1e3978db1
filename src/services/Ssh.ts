/**
 * SSH to the hosts: one shared, verified, kept-alive connection per address.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import type { HostAddress } from "../domain/Host.ts"

/** Nothing answered at the address, or the connection broke. @since 0.1.0 @category errors */
export class SshUnreachable extends Schema.TaggedClass<SshUnreachable>()("SshUnreachable", { reason: Schema.String }) {}

/**
 * The host's key is not the one in known_hosts (`expected` non-empty) or is not there at all. `accept` is the command that would
 * accept it, once the fingerprint has been compared with the machine's own.
 *
 * @since 0.1.0 @category errors
 */
export class SshHostKeyRefused extends Schema.TaggedClass<SshHostKeyRefused>()("SshHostKeyRefused", {
  reason: Schema.String,
  /** `SHA256:…` as ssh-keygen prints it */
  fingerprint: Schema.String,
  accept: Schema.String
}) {}

/** None of our keys was accepted. @since 0.1.0 @category errors */
export class SshAuthenticationFailed extends Schema.TaggedClass<SshAuthenticationFailed>()("SshAuthenticationFailed", {
  reason: Schema.String
}) {}

/**
 * The controller has no key of its own to log in with: no host was asked. `none`: there is no key at all; else there are some that cannot be used.
 *
 * @since 0.10.0 @category errors
 */
export class SshNoKey extends Schema.TaggedClass<SshNoKey>()("SshNoKey", {
  reason: Schema.String,
  none: Schema.Boolean
}) {}

/** The server refused a channel: forwarding not allowed (code 1), nothing listens there (2), too many (4). @since 0.1.0 @category errors */
export class SshChannelRefused extends Schema.TaggedClass<SshChannelRefused>()("SshChannelRefused", {
  reason: Schema.String,
  code: Schema.Number
}) {}

/** A remote command ended with another status than 0. @since 0.1.0 @category errors */
export class SshCommandFailed extends Schema.TaggedClass<SshCommandFailed>()("SshCommandFailed", {
  exitCode: Schema.NullOr(Schema.Number),
  signal: Schema.NullOr(Schema.String),
  /** the end of what it wrote there, at most 4 KiB */
  stderr: Schema.String
}) {}

/** @since 0.1.0 @category errors */
export class SshTimeout extends Schema.TaggedClass<SshTimeout>()("SshTimeout", { after: Schema.String }) {}

/** A file that is there and cannot be read or removed, or a server that serves no files (SFTP). @since 0.6.0 @category errors */
export class SshFileRefused extends Schema.TaggedClass<SshFileRefused>()("SshFileRefused", {
  reason: Schema.String,
  /** `forbidden`: the account may not; `unserved`: sshd has no sftp subsystem */
  kind: Schema.Literal("forbidden", "unserved", "failed")
}) {}

/** @since 0.1.0 @category errors */
export const SshErrorReason = Schema.Union(
  SshUnreachable,
  SshHostKeyRefused,
  SshAuthenticationFailed,
  SshNoKey,
  SshChannelRefused,
  SshCommandFailed,
  SshFileRefused,
  SshTimeout
)

/** @since 0.1.0 @category errors */
export class SshError extends Schema.TaggedError<SshError>()("SshError", {
  /** `user@host[:port]` */
  host: Schema.String,
  /** what was being done: `connect`, `exec cat`, `open /run/libvirt/libvirt-sock` */
  action: Schema.String,
  reason: SshErrorReason,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    const reason = this.reason
    switch (reason._tag) {
      case "SshHostKeyRefused":
        return `${this.host}: ${reason.reason} (${reason.fingerprint}); if that is right, accept it with: ${reason.accept}`
      case "SshCommandFailed":
        return `${this.host}: ${this.action} ended with ${reason.signal ?? `status ${reason.exitCode ?? "unknown"}`}: ${reason.stderr.trim()}`
      case "SshTimeout":
        return `${this.host}: ${this.action} did not end within ${reason.after}`
      default:
        return `${this.host}: ${this.action}: ${reason.reason}`
    }
  }
}

/** @since 0.1.0 @category models */
export interface ExecResult {
  readonly stdout: Uint8Array
  readonly stderr: string
}

/** A part of a file. `from` below 0: counted from its end, as far as it reaches back. Bytes. @since 0.6.0 @category models */
export interface FileRange {
  readonly from: number
  readonly length: number
}

/**
 * A file as it was at one moment: its size, when it was last written to (whole seconds since 1970), and the parts that were asked for, each as far as the
 * file has it.
 *
 * @since 0.6.0 @category models
 */
export interface FileRead {
  readonly size: number
  readonly modified: number
  readonly pieces: ReadonlyArray<Uint8Array>
}

/** @since 0.1.0 @category services */
export class Ssh extends Context.Tag("vmfabric/Ssh")<
  Ssh,
  {
    /**
     * Runs a program and gives what it wrote. `argv` is quoted word by word: no word is ever seen by a shell as more than itself.
     * Another exit status than 0 fails with `SshCommandFailed`. Interruption ends the remote program. stdout beyond `maxOutput`
     * bytes (default 1 MiB) fails; `timeout` defaults to 30 seconds.
     */
    readonly exec: (
      address: HostAddress,
      argv: readonly [string, ...Array<string>],
      options?: { readonly timeout?: Duration.DurationInput; readonly maxOutput?: number }
    ) => Effect.Effect<ExecResult, SshError>

    /**
     * The connection and nothing more: at once when it is there, else it is made. Whether there is any point in asking the host for something.
     *
     * @since 0.10.0
     */
    readonly connect: (address: HostAddress) => Effect.Effect<void, SshError>

    /** Runs a program and streams its stdout with backpressure; fails at the end when it exits with another status than 0. */
    readonly stream: (
      address: HostAddress,
      argv: readonly [string, ...Array<string>]
    ) => Stream.Stream<Uint8Array, SshError>

    /**
     * A byte stream to a Unix socket on the host (`direct-streamlocal@openssh.com`), closed with the scope. The Duplex ends or errors
     * when the connection is lost.
     */
    readonly openSocket: (address: HostAddress, path: string) => Effect.Effect<Duplex, SshError, Scope.Scope>

    /**
     * A TCP connection from the host to `target`, as the host sees it (`direct-tcpip`), closed with the scope. Refused with code 1 where the
     * server forbids it, with code 2 when nothing answers there.
     */
    readonly openTcp: (
      address: HostAddress,
      target: { readonly host: string; readonly port: number }
    ) => Effect.Effect<Duplex, SshError, Scope.Scope>

    /**
     * Parts of a file, by SFTP: without a shell and without a program. None: there is no such file. `SshFileRefused` when it cannot be read. At most
     * 4 MiB in all.
     */
    readonly readFile: (
      address: HostAddress,
      path: string,
      pieces: ReadonlyArray<FileRange>
    ) => Effect.Effect<Option.Option<FileRead>, SshError>

    /** Removes files, by SFTP, too. Those that are not there are fine. `SshFileRefused` when one cannot be removed. @since 0.8.0 */
    readonly removeFiles: (address: HostAddress, paths: ReadonlyArray<string>) => Effect.Effect<void, SshError>

    /**
     * Ends the connection to a host that is not wanted any more, and all that goes over it; nothing is kept of the host. Whoever asks for it again is
     * connected anew.
     */
    readonly close: (address: HostAddress) => Effect.Effect<void>

    /** A program whose stdin and stdout are the Duplex, closed with the scope; counts as a session on the server. */
    readonly openProgram: (
      address: HostAddress,
      argv: readonly [string, ...Array<string>]
    ) => Effect.Effect<Duplex, SshError, Scope.Scope>
  }
>() {}
