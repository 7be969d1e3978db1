/**
 * `Ssh` by ssh2 over whatever `SshDialer` gives.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ClientChannel } from "ssh2"
import { formatAddress, HostAddress } from "../src/domain/Host.ts"
import { Ssh, SshError, SshNoKey, SshUnreachable } from "../src/services/Ssh.ts"
import { SshDialer } from "../src/services/SshDialer.ts"
import * as Meters from "../src/observability/Meters.ts"
import * as Trail from "../src/observability/Trail.ts"
import * as RemoteProgram from "../src/ssh/RemoteProgram.ts"
import { discard } from "../src/ssh/ChannelDuplex.ts"
import { asDuplex, collect, explained, openChannel, openSession, pull } from "./ssh/Channels.ts"
import {
  type Connection,
  defaultSettings,
  failure,
  handshake,
  type Lost,
  type Settings,
  within
} from "./ssh/Connection.ts"
import * as Files from "./ssh/Files.ts"
import { type Credentials, type Options, type Source, sourceOfFiles, sourceOfText } from "./ssh/Credentials.ts"

export { defaultSettings, type Credentials, type Options, type Settings }

interface Entry {
  connection: Connection | undefined
  /** the attempt under way, shared by all who want the connection */
  attempt: Deferred.Deferred<Connection, SshError> | undefined
  /** holds the connection, or makes it */
  keeper: Fiber.RuntimeFiber<unknown> | undefined
  failures: number
  refused: { readonly error: SshError; readonly until: number } | undefined
}

const isAddress = Schema.is(HostAddress)

const make = (source: Source, settings: Settings): Effect.Effect<typeof Ssh.Service, never, SshDialer | Scope.Scope> =>
  Effect.gen(function* () {
    const dialer = yield* SshDialer
    const scope = yield* Effect.scope
    const entries = new Map<string, Entry>()

    /** whether there was a key to log in with the last time */
    let keyed = false

    const identitiesFor = (address: HostAddress) =>
      Effect.flatMap(source.identities, (identities) => {
        keyed = identities.methods.length > 0
        if (keyed) return Effect.succeed(identities)
        const reason = `the controller has no key to log in with: ${identities.notes.join("; ")}`
        const missing = new SshNoKey({ reason, none: identities.none === true })
        return Effect.fail(failure(formatAddress(address), "connect", missing))
      })

    const connect = (address: HostAddress) =>
      Effect.gen(function* () {
        // without a key nobody is dialled; with one, no file is read for a host that nothing listens on
        if (!keyed) yield* identitiesFor(address)
        const sock = yield* dialer.dial(address)
        const identities = yield* identitiesFor(address)
        const trust = yield* source.trust
        return yield* handshake(address, sock, trust, identities, settings)
      })

    const backOff = (entry: Entry, error: SshError) =>
      Effect.gen(function* () {
        const { first, longest } = settings.backoff
        const doubled = Duration.toMillis(first) * 2 ** Math.min(entry.failures, 30)
        // an operator who has just accepted a key should not have to wait, nor who waits for a host to be back
        const cap = Math.min(
          error.reason._tag === "SshAuthenticationFailed" ? Number.POSITIVE_INFINITY : 500,
          Duration.toMillis(longest)
        )
        const jitter = yield* Random.nextRange(0.8, 1.2)
        const now = yield* Clock.currentTimeMillis
        entry.failures += 1
        Meters.sshFailed(error.reason._tag)
        entry.refused = { error, until: now + Math.min(doubled, cap) * jitter }
      })

    /** Makes the connection and holds it open until it is lost or the layer's scope closes. */
    const keep = (address: HostAddress, entry: Entry, attempt: Deferred.Deferred<Connection, SshError>) =>
      Effect.gen(function* () {
        const connection = yield* connect(address).pipe(Effect.tapError((error) => backOff(entry, error)))
        entry.failures = 0
        entry.refused = undefined
        entry.attempt = undefined
        yield* Meters.sshConnection(entry.connection !== undefined)
        entry.connection = connection
        yield* Deferred.succeed(attempt, connection)
        const lost = yield* Effect.async<Lost>((resume) => {
          const stop = connection.onLost((lost) => resume(Effect.succeed(lost)))
          return Effect.sync(stop)
        })
        yield* Trail.apart(Effect.logInfo(`the SSH connection was lost: ${lost.reason}`))
      }).pipe(
        Effect.scoped,
        Effect.annotateLogs({ host: formatAddress(address) }),
        Effect.interruptible,
        Effect.onExit((exit) => {
          if (entry.attempt === attempt) entry.attempt = undefined
          // those who wait are told why; a failed attempt is their failure, not this fiber's
          if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause))
            return Deferred.failCause(attempt, exit.cause)
          const closing = new SshUnreachable({ reason: "SSH is shutting down" })
          return Deferred.fail(attempt, failure(formatAddress(address), "connect", closing))
        }),
        Effect.exit
      )

    const connectionTo = (address: HostAddress): Effect.Effect<Connection, SshError> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const host = formatAddress(address)
          // checked where it came in already; nothing else may ever reach a connector
          if (!isAddress(address)) {
            return yield* Effect.fail(
              failure(host, "connect", new SshUnreachable({ reason: "this is not the address of a host" }))
            )
          }
          const entry = entries.get(host) ?? {
            connection: undefined,
            attempt: undefined,
            keeper: undefined,
            failures: 0,
            refused: undefined
          }
          entries.set(host, entry)
          const now = yield* Clock.currentTimeMillis
          if (entry.connection !== undefined && entry.connection.lost === undefined) return entry.connection
          if (entry.attempt === undefined) {
            if (entry.refused !== undefined && now < entry.refused.until) return yield* Effect.fail(entry.refused.error)
            const attempt = Deferred.unsafeMake<Connection, SshError>(FiberId.none)
            entry.attempt = attempt
            entry.keeper = yield* Effect.forkIn(keep(address, entry, attempt), scope)
            return yield* restore(Deferred.await(attempt))
          }
          return yield* restore(Deferred.await(entry.attempt))
        })
      )

    const commandOf = (host: string, action: string, program: RemoteProgram.RemoteProgram) =>
      Either.mapLeft(RemoteProgram.commandLine(program), (word) =>
        failure(host, action, RemoteProgram.notStarted(word))
      )

    const openProgram = (address: HostAddress, program: RemoteProgram.RemoteProgram, action: string) =>
      Effect.gen(function* () {
        const host = formatAddress(address)
        const command = yield* commandOf(host, action, program)
        const connection = yield* connectionTo(address)
        const channel = yield* openSession(connection, action, command).pipe(within(host, action, settings.channelOpen))
        return yield* asDuplex(connection, action, channel, "program")
      })

    return Ssh.of({
      connect: (address) => Effect.asVoid(connectionTo(address)),

      exec: (address, argv, options) => {
        const host = formatAddress(address)
        const action = `exec ${argv[0]}`
        return Effect.gen(function* () {
          const command = yield* commandOf(host, action, { argv, stdin: "watched" })
          const connection = yield* connectionTo(address)
          const channel = yield* openSession(connection, action, command)
          return yield* collect(connection, action, channel, options?.maxOutput ?? 1024 * 1024)
        }).pipe(
          Effect.scoped,
          within(host, action, options?.timeout ?? "30 seconds"),
          Effect.withSpan("Ssh.exec", { attributes: { host, program: argv[0] } })
        )
      },

      stream: (address, argv) => {
        const action = `exec ${argv[0]}`
        const toError = (cause: Error) =>
          cause instanceof SshError
            ? cause
            : failure(formatAddress(address), action, new SshUnreachable({ reason: cause.message }), cause)
        return openProgram(address, { argv, stdin: "watched" }, action).pipe(
          Effect.map((duplex) => Stream.repeatEffectChunkOption(pull(duplex, toError))),
          Stream.unwrapScoped
        )
      },

      openSocket: (address, path) => {
        const host = formatAddress(address)
        const action = `open ${path}`
        return Effect.gen(function* () {
          const connection = yield* connectionTo(address)
          const channel = yield* openChannel<ClientChannel>(
            connection,
            connection.sockets,
            action,
            (client, done) => client.openssh_forwardOutStreamLocal(path, done),
            discard
          ).pipe(Effect.mapError(explained(path)), within(host, action, settings.channelOpen))
          return yield* asDuplex(connection, action, channel, "socket")
        }).pipe(Effect.withSpan("Ssh.openSocket", { attributes: { host, path } }))
      },

      openTcp: (address, target) => {
        const host = formatAddress(address)
        const action = `open ${target.host} port ${target.port}`
        return Effect.gen(function* () {
          const connection = yield* connectionTo(address)
          const channel = yield* openChannel<ClientChannel>(
            connection,
            connection.tunnels,
            action,
            (client, done) => client.forwardOut("127.0.0.1", 0, target.host, target.port, done),
            discard
          ).pipe(within(host, action, settings.channelOpen))
          return yield* asDuplex(connection, action, channel, "socket")
        }).pipe(Effect.withSpan("Ssh.openTcp", { attributes: { host, target: `${target.host}:${target.port}` } }))
      },

      readFile: (address, path, pieces) => {
        const host = formatAddress(address)
        const action = `read ${path}`
        return Effect.gen(function* () {
          const connection = yield* connectionTo(address)
          return yield* Files.read(connection, action, path, pieces)
        }).pipe(
          Effect.scoped,
          within(host, action, settings.channelOpen),
          Effect.withSpan("Ssh.readFile", { attributes: { host, path } })
        )
      },

      removeFiles: (address, paths) => {
        const host = formatAddress(address)
        const action = `remove ${paths[0] ?? "nothing"}`
        return Effect.gen(function* () {
          const connection = yield* connectionTo(address)
          yield* Files.remove(connection, action, paths)
        }).pipe(
          Effect.scoped,
          within(host, action, settings.channelOpen),
          Effect.withSpan("Ssh.removeFiles", { attributes: { host, paths: [...paths] } })
        )
      },

      close: (address) =>
        Effect.suspend(() => {
          const host = formatAddress(address)
          const keeper = entries.get(host)?.keeper
          entries.delete(host)
          return keeper === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(keeper))
        }),

      openProgram: (address, argv) =>
        openProgram(address, { argv, stdin: "channel" }, `exec ${argv[0]}`).pipe(
          Effect.withSpan("Ssh.openProgram", { attributes: { host: formatAddress(address), program: argv[0] } })
        )
    })
  })

/**
 * SSH with keys and known hosts from files, read anew for each connection attempt but those that begin within a tenth of a second.
 *
 * @since 0.1.0 @category layers
 */
export const layer = (
  options: Options,
  settings: Partial<Settings> = {}
): Layer.Layer<Ssh, never, SshDialer | FileSystem.FileSystem> =>
  Layer.scoped(
    Ssh,
    Effect.flatMap(FileSystem.FileSystem, (fs) => sourceOfFiles(fs, options)).pipe(
      Effect.flatMap((source) => make(source, { ...defaultSettings, ...settings }))
    )
  )

/** SSH with keys and known hosts given as text. @since 0.1.0 @category layers */
export const layerWith = (
  credentials: Credentials,
  settings: Partial<Settings> = {}
): Layer.Layer<Ssh, never, SshDialer> =>
  Layer.scoped(Ssh, make(sourceOfText(credentials), { ...defaultSettings, ...settings }))
