/**
 * One SSH connection, from its handshake to the first sign of its end.
 *
 * @since 0.5.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import ssh2, { type Client, type ServerHostKeyAlgorithm } from "ssh2"
import { formatAddress, type HostAddress } from "../../src/domain/Host.ts"
import * as Places from "../../src/domain/Places.ts"
import * as Unstacked from "../../src/domain/Unstacked.ts"
import {
  SshAuthenticationFailed,
  SshChannelRefused,
  SshError,
  SshHostKeyRefused,
  SshTimeout,
  SshUnreachable
} from "../../src/services/Ssh.ts"
import * as KnownHosts from "../../src/ssh/KnownHosts.ts"
import type { Identities, Trust } from "./Credentials.ts"

/** Limits that tests shorten. @since 0.1.0 @category models */
export interface Settings {
  /** from the first byte to being logged in */
  readonly handshake: Duration.DurationInput
  /** for a channel to be opened or refused */
  readonly channelOpen: Duration.DurationInput
  /** a connection is lost when three of these pass without a sign of life; real time, whatever the Clock */
  readonly keepalive: Duration.DurationInput
  /** programs at once on one connection; sshd's MaxSessions is 10 by default */
  readonly sessions: number
  /** forwarded sockets at once on one connection */
  readonly sockets: number
  /** TCP connections at once by way of one host; more are refused, since one to a dead machine keeps its place for minutes */
  readonly tunnels: number
  /**
   * Waits between failed attempts to connect: doubled from the first to the longest. That is for a host that turns us away; one that does not
   * answer may be back at any moment, and is tried again after half a second.
   */
  readonly backoff: { readonly first: Duration.DurationInput; readonly longest: Duration.DurationInput }
}

/** @since 0.1.0 @category models */
export const defaultSettings: Settings = {
  handshake: "15 seconds",
  channelOpen: "15 seconds",
  keepalive: "5 seconds",
  sessions: 5,
  sockets: 64,
  tunnels: 16,
  backoff: { first: "250 millis", longest: "15 seconds" }
}

/** How a connection came to its end. @since 0.5.0 @category models */
export interface Lost {
  readonly reason: string
  readonly cause?: unknown
}

/** Refuses when there is none left, instead of having one wait. @since 0.7.0 @category models */
export interface Tunnels extends Pick<Places.Places, "leave"> {
  readonly enter: () => Effect.Effect<void, SshError>
}

/** What the server has only so many of. @since 0.5.0 @category models */
export type Limited = Pick<Places.Places, "enter" | "leave"> | Tunnels

const makeTunnels = (host: string, limit: number): Tunnels => {
  let taken = 0
  return {
    enter: () =>
      Effect.suspend(() => {
        if (taken >= limit) {
          const reason = `${limit} TCP connections by way of it are being opened or open, and no more are allowed`
          return Effect.fail(failure(host, "open a TCP connection", new SshChannelRefused({ reason, code: 4 })))
        }
        taken++
        return Effect.void
      }),
    leave: Effect.sync(() => void taken--)
  }
}

/** One that is logged in. @since 0.5.0 @category models */
export interface Connection {
  readonly host: string
  readonly client: Client
  readonly scope: Scope.Scope
  readonly sessions: Places.Places
  readonly sockets: Places.Places
  readonly tunnels: Tunnels
  /** set once, at the first sign of the end; nothing new is started on it from then on */
  lost: Lost | undefined
  readonly lose: (lost: Lost) => void
  /** Calls the listener when the connection is lost, at once if it is; gives what takes the listener away. */
  readonly onLost: (listener: (lost: Lost) => void) => () => void
}

const makeConnection = (host: string, client: Client, scope: Scope.Scope, settings: Settings): Connection => {
  const listeners = new Set<(lost: Lost) => void>()
  const connection: Connection = {
    host,
    client,
    scope,
    sessions: Places.unsafeMake(settings.sessions),
    sockets: Places.unsafeMake(settings.sockets),
    tunnels: makeTunnels(host, settings.tunnels),
    lost: undefined,
    lose: (lost) => {
      if (connection.lost !== undefined) return
      connection.lost = lost
      for (const listener of listeners) listener(lost)
      listeners.clear()
    },
    onLost: (listener) => {
      if (connection.lost !== undefined) {
        listener(connection.lost)
        return () => {}
      }
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
  return connection
}

/** What failed at a host, while what was done. @since 0.5.0 @category constructors */
export const failure = (host: string, action: string, reason: SshError["reason"], cause?: unknown): SshError =>
  Unstacked.make(
    () => new SshError({ host, action, reason, ...(cause === undefined ? {} : { cause }) }, { disableValidation: true })
  )

/** What whoever uses a connection is told when it is lost. @since 0.5.0 @category constructors */
export const lostError = (connection: Connection, action: string, lost: Lost): SshError =>
  failure(
    connection.host,
    action,
    new SshUnreachable({ reason: `the connection was lost: ${lost.reason}` }),
    lost.cause
  )

/** Fails with `SshTimeout` after `limit`. @since 0.5.0 @category combinators */
export const within =
  (host: string, action: string, limit: Duration.DurationInput) =>
  <A, R>(self: Effect.Effect<A, SshError, R>): Effect.Effect<A, SshError, R> =>
    Effect.timeoutFail(self, {
      duration: limit,
      onTimeout: () => failure(host, action, new SshTimeout({ after: Duration.format(limit) }))
    })

// ssh-rsa, which signs with SHA-1, is left out
const hostKeyAlgorithms: ReadonlyArray<ServerHostKeyAlgorithm> = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256"
]

/**
 * The types the host is known by come first, as OpenSSH asks for them, so that a host with several keys shows one that is known. The
 * others stay: a host that has lost its known keys is then refused with the fingerprint of what it shows.
 */
const preferred = (types: ReadonlyArray<string>): Array<ServerHostKeyAlgorithm> => {
  const known = (algorithm: ServerHostKeyAlgorithm) =>
    types.includes(algorithm.startsWith("rsa-sha2-") ? "ssh-rsa" : algorithm)
  return [...hostKeyAlgorithms.filter(known), ...hostKeyAlgorithms.filter((algorithm) => !known(algorithm))]
}

/** Logs in on `sock`; the connection is closed with the scope. @since 0.5.0 @category constructors */
export const handshake = (
  address: HostAddress,
  sock: Duplex,
  trust: Trust,
  identities: Identities,
  settings: Settings
): Effect.Effect<Connection, SshError, Scope.Scope> =>
  Effect.gen(function* () {
    const host = formatAddress(address)
    const scope = yield* Effect.scope
    const connection = yield* Effect.acquireRelease(
      Effect.sync(() => makeConnection(host, new ssh2.Client(), scope, settings)),
      (connection) =>
        Effect.sync(() => {
          if (connection.lost === undefined) connection.client.end()
          connection.lose({ reason: "it was closed on this side" })
          connection.client.destroy()
        })
    )
    const { client } = connection
    const keepalive = Duration.toMillis(settings.keepalive)
    const methods = [...identities.methods]
    const notes = [...identities.notes]
    let refusal: Option.Option<KnownHosts.Refusal> = Option.none()
    let exhausted = false

    // ssh2 takes every answer but `false` for a yes, and a throw must never be one
    const hostVerifier = (key: Buffer): boolean => {
      try {
        const verdict = KnownHosts.verify(trust.known, address.host, address.port, key)
        refusal = KnownHosts.refusal(verdict, {
          host: address.host,
          port: address.port,
          key,
          file: trust.file,
          ...(trust.problem === undefined ? {} : { problem: trust.problem })
        })
        return Option.isNone(refusal)
      } catch (cause) {
        connection.lose({ reason: "its host key could not be checked", cause })
        return false
      }
    }

    const rejected = (lost: Lost): SshError => {
      if (Option.isSome(refusal)) return failure(host, "connect", new SshHostKeyRefused(refusal.value), lost.cause)
      return exhausted || /authentication failures/i.test(lost.reason)
        ? failure(
            host,
            "connect",
            new SshAuthenticationFailed({ reason: `no key was accepted for ${address.user}: ${notes.join("; ")}` }),
            lost.cause
          )
        : failure(host, "connect", new SshUnreachable({ reason: lost.reason }), lost.cause)
    }

    yield* Effect.async<void, SshError>((resume) => {
      client.on("error", (cause) => {
        // the agent, or one key of it, failed: ssh2 goes on with the next way in
        if (cause.level === "agent" || (cause.level === "client-authentication" && !exhausted)) {
          notes.push(cause.message)
        } else connection.lose({ reason: cause.message, cause })
      })
      client.on("end", () => connection.lose({ reason: "the host closed it" }))
      client.on("close", () => connection.lose({ reason: "the host closed it" }))
      client.once("ready", () => resume(Effect.void))
      connection.onLost((lost) => resume(Effect.fail(rejected(lost))))
      try {
        client.connect({
          sock,
          username: address.user,
          hostVerifier,
          authHandler: () => {
            const next = methods.shift()
            if (next !== undefined) return next(address.user)
            exhausted = true
            return false
          },
          algorithms: {
            serverHostKey: preferred(KnownHosts.keyTypes(trust.known, address.host, address.port)),
            compress: ["none"]
          },
          keepaliveInterval: keepalive,
          keepaliveCountMax: 3,
          // ours, on the Clock
          readyTimeout: 0,
          // forwarding to Unix sockets is also spoken by servers that are not called OpenSSH
          strictVendor: false
        })
      } catch (cause) {
        connection.lose({ reason: "the connection could not be begun", cause })
      }
    }).pipe(within(host, "connect", settings.handshake))
    return connection
  })
