/**
 * `Ssh` to simulated hosts without SSH's cryptography: cheap, and deterministic under a virtual clock. What goes wrong with the hosts goes wrong
 * here as it does by way of SSH: refused and cut connections, lost ones, hosts without power, daemons that were stopped.
 *
 * @since 0.3.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Duplex, PassThrough } from "node:stream"
import { formatAddress, type HostAddress } from "../src/domain/Host.ts"
import * as Places from "../src/domain/Places.ts"
import {
  Ssh,
  SshChannelRefused,
  SshCommandFailed,
  SshError,
  SshFileRefused,
  SshTimeout,
  SshUnreachable
} from "../src/services/Ssh.ts"
import type { Fleet } from "../src/simulator/Fleet.ts"
import type { Ending, Running, Session, SessionError, SessionLost } from "../src/simulator/MemorySession.ts"
import { ChannelDuplex } from "../src/ssh/ChannelDuplex.ts"
import * as RemoteProgram from "../src/ssh/RemoteProgram.ts"
import * as SingleFlight from "./SingleFlight.ts"

/** The limits of SshLive that show from outside. @since 0.3.0 @category models */
export interface Settings {
  /** for a channel to be opened or refused */
  readonly channelOpen: Duration.DurationInput
  /** programs at once on one connection */
  readonly sessions: number
  /** sockets at once on one connection */
  readonly sockets: number
  /** waits between failed attempts to connect: doubled from the first to the longest */
  readonly backoff: { readonly first: Duration.DurationInput; readonly longest: Duration.DurationInput }
}

const defaults: Settings = {
  channelOpen: "15 seconds",
  sessions: 5,
  sockets: 64,
  backoff: { first: "250 millis", longest: "500 millis" }
}

interface Connection {
  readonly host: string
  readonly session: Session
  readonly sessions: Places.Places
  readonly sockets: Places.Places
}

interface Entry {
  /** holds the connection, or makes it */
  keeper: Fiber.RuntimeFiber<unknown> | undefined
  connection: Connection | undefined
  failures: number
  refused: { readonly error: SshError; readonly until: number } | undefined
}

const failure = (host: string, action: string, reason: SshError["reason"], cause?: unknown): SshError =>
  new SshError({ host, action, reason, ...(cause === undefined ? {} : { cause }) })

const forbidden = new SshFileRefused({ reason: "Permission denied", kind: "forbidden" })

const lostError =
  (host: string, action: string) =>
  (lost: SessionLost): SshError =>
    failure(host, action, new SshUnreachable({ reason: `the connection was lost: ${lost.reason}` }), lost)

const channelError =
  (host: string, action: string) =>
  (error: SessionError): SshError =>
    error._tag === "SessionLost"
      ? lostError(host, action)(error)
      : failure(host, action, new SshChannelRefused({ code: error.code, reason: error.reason }), error)

const within =
  (host: string, action: string, limit: Duration.DurationInput) =>
  <A, R>(self: Effect.Effect<A, SshError, R>): Effect.Effect<A, SshError, R> =>
    Effect.timeoutFail(self, {
      duration: limit,
      onTimeout: () => failure(host, action, new SshTimeout({ after: Duration.format(limit) }))
    })

/** What the end of a program means; undefined for success. */
const exitFailure = (host: string, action: string, ending: Ending | undefined): SshError | undefined =>
  ending?.exitCode === 0
    ? undefined
    : failure(
        host,
        action,
        new SshCommandFailed({ exitCode: ending?.exitCode ?? null, signal: null, stderr: ending?.stderr ?? "" })
      )

const checkWords = (host: string, action: string, argv: RemoteProgram.Argv): Effect.Effect<void, SshError> =>
  Either.match(RemoteProgram.commandLine({ argv, stdin: "channel" }), {
    onLeft: (word) => Effect.fail(failure(host, action, RemoteProgram.notStarted(word))),
    onRight: () => Effect.void
  })

/** A program as a Duplex that ends, or fails with what became of the program, once all it wrote has been read. */
const asDuplex = (host: string, action: string, running: Running): ChannelDuplex => {
  const channel = Object.assign(running.stream, { stderr: new PassThrough(), close: running.kill })
  const duplex = new ChannelDuplex(channel, true)
  channel.once("end", () => duplex.finish(exitFailure(host, action, running.ending())))
  channel.once("close", () => duplex.closedByHost())
  channel.on("error", (error) => duplex.destroy(error))
  return duplex
}

const make = (fleet: Fleet, settings: Settings) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const entries = new Map<string, Entry>()
    const single = SingleFlight.make<Connection, SshError>(scope)

    const backOff = (entry: Entry, error: SshError) =>
      Effect.gen(function* () {
        const { first, longest } = settings.backoff
        const doubled = Duration.toMillis(first) * 2 ** Math.min(entry.failures, 30)
        const jitter = yield* Random.nextRange(0.8, 1.2)
        entry.failures += 1
        entry.refused = {
          error,
          until: (yield* Clock.currentTimeMillis) + Math.min(doubled, Duration.toMillis(longest)) * jitter
        }
      })

    /** Makes the connection and holds it open until it is lost or the layer's scope closes. */
    const keep = (address: HostAddress, host: string, entry: Entry, opened: Deferred.Deferred<Connection, SshError>) =>
      Effect.gen(function* () {
        const session = yield* fleet.connect(address, lostError(host, "connect")).pipe(
          Effect.tapError((error) => backOff(entry, error)),
          Effect.tapErrorCause((cause) => Deferred.failCause(opened, cause))
        )
        const connection: Connection = {
          host,
          session,
          sessions: Places.unsafeMake(settings.sessions),
          sockets: Places.unsafeMake(settings.sockets)
        }
        entry.failures = 0
        entry.refused = undefined
        entry.connection = connection
        yield* Deferred.succeed(opened, connection)
        const lost = yield* Effect.async<SessionLost>((resume) => {
          const stop = session.onLost((lost) => resume(Effect.succeed(lost)))
          return Effect.sync(stop)
        })
        if (entry.connection === connection) entry.connection = undefined
        yield* Effect.logInfo(`the connection was lost: ${lost.reason}`).pipe(Effect.annotateLogs({ host }))
      }).pipe(Effect.scoped)

    const open = (address: HostAddress, host: string, entry: Entry) =>
      Effect.gen(function* () {
        if (entry.connection !== undefined && entry.connection.session.lost() === undefined) return entry.connection
        if (entry.refused !== undefined && (yield* Clock.currentTimeMillis) < entry.refused.until) {
          return yield* Effect.fail(entry.refused.error)
        }
        const opened = yield* Deferred.make<Connection, SshError>()
        // its failure is told to those who wait for the connection
        entry.keeper = yield* keep(address, host, entry, opened).pipe(
          // those who wait are told
          Effect.onInterrupt(() => Deferred.interrupt(opened)),
          Effect.ignore,
          Effect.forkIn(scope)
        )
        return yield* Deferred.await(opened)
      })

    const connectionTo = (address: HostAddress): Effect.Effect<Connection, SshError> =>
      Effect.suspend(() => {
        const host = formatAddress(address)
        const entry = entries.get(host) ?? { keeper: undefined, connection: undefined, failures: 0, refused: undefined }
        entries.set(host, entry)
        if (entry.connection !== undefined && entry.connection.session.lost() === undefined) {
          return Effect.succeed(entry.connection)
        }
        return single(host, open(address, host, entry)).pipe(
          // ours would not be seen here: it is the opening that was interrupted, by the end of the layer
          Effect.catchAllCause((cause) =>
            Cause.isInterruptedOnly(cause)
              ? Effect.fail(failure(host, "connect", new SshUnreachable({ reason: "SSH is shutting down" })))
              : Effect.failCause(cause)
          )
        )
      })

    /** A channel that holds one of the connection's places; both end with the scope. */
    const channel = <A>(
      address: HostAddress,
      action: string,
      places: "sessions" | "sockets",
      start: (session: Session) => Effect.Effect<A, SessionError>,
      close: (opened: A) => void
    ): Effect.Effect<A, SshError, Scope.Scope> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const connection = yield* restore(connectionTo(address))
          yield* connection[places].enter(restore)
          yield* Effect.addFinalizer(() => connection[places].leave)
          const opened = yield* restore(
            start(connection.session).pipe(
              Effect.mapError(channelError(connection.host, action)),
              within(connection.host, action, settings.channelOpen)
            )
          )
          yield* Effect.addFinalizer(() => Effect.sync(() => close(opened)))
          return opened
        })
      )

    /** What a program writes, piece by piece, and then how it ended. */
    const output = (address: HostAddress, action: string, argv: RemoteProgram.Argv) =>
      Effect.gen(function* () {
        const host = formatAddress(address)
        yield* checkWords(host, action, argv)
        const running = yield* channel(
          address,
          action,
          "sessions",
          (session) => session.output(argv),
          () => {}
        )
        return {
          next: Effect.mapError(running.next, lostError(host, action)),
          failed: exitFailure(host, action, running.ending),
          stderr: running.ending.stderr
        }
      })

    const destroy = (stream: Duplex) => void stream.destroy()

    return Ssh.of({
      connect: (address) => Effect.asVoid(connectionTo(address)),

      exec: (address, argv, options) => {
        const action = `exec ${argv[0]}`
        const host = formatAddress(address)
        const maxOutput = options?.maxOutput ?? 1024 * 1024
        return Effect.gen(function* () {
          const { failed, next, stderr } = yield* output(address, action, argv)
          const pieces: Array<Uint8Array> = []
          for (let size = 0; ;) {
            const piece = yield* next
            if (piece === undefined) break
            size += piece.length
            pieces.push(piece)
            if (size <= maxOutput) continue
            const reason = new SshCommandFailed({
              exitCode: null,
              signal: null,
              stderr: `it wrote more than ${maxOutput} bytes and was ended`
            })
            return yield* Effect.fail(failure(host, action, reason))
          }
          return failed === undefined ? { stdout: Buffer.concat(pieces), stderr } : yield* Effect.fail(failed)
        }).pipe(Effect.scoped, within(host, action, options?.timeout ?? "30 seconds"))
      },

      stream: (address, argv) =>
        Stream.unwrapScoped(
          Effect.map(output(address, `exec ${argv[0]}`, argv), ({ failed, next }) =>
            Stream.repeatEffectOption(
              Effect.flatMap(Effect.mapError(next, Option.some), (piece) =>
                piece !== undefined
                  ? Effect.succeed(piece)
                  : Effect.fail(failed === undefined ? Option.none() : Option.some(failed))
              )
            )
          )
        ),

      openSocket: (address, path) =>
        channel(address, `open ${path}`, "sockets", (session) => session.openSocket(path), destroy),

      openTcp: (address, target) =>
        channel(
          address,
          `open ${target.host}:${target.port}`,
          "sockets",
          (session) => session.openTcp(target),
          destroy
        ),

      readFile: (address, path, pieces) => {
        const action = `read ${path}`
        const host = formatAddress(address)
        return Effect.gen(function* () {
          const file = yield* channel(
            address,
            action,
            "sessions",
            (session) => session.file(path),
            () => {}
          )
          if (file === "missing") return Option.none()
          if (file === "forbidden") return yield* Effect.fail(failure(host, action, forbidden))
          return Option.some({
            size: file.size,
            modified: Math.floor(file.modified / 1000),
            pieces: pieces.map(({ from, length }) => file.read(from < 0 ? Math.max(0, file.size + from) : from, length))
          })
        }).pipe(Effect.scoped, within(host, action, settings.channelOpen))
      },

      removeFiles: (address, paths) => {
        const action = `remove ${paths[0] ?? "nothing"}`
        const host = formatAddress(address)
        return Effect.gen(function* () {
          const removed = yield* channel(
            address,
            action,
            "sessions",
            (session) => session.remove(paths),
            () => {}
          )
          if (removed.includes("forbidden")) return yield* Effect.fail(failure(host, action, forbidden))
        }).pipe(Effect.scoped, within(host, action, settings.channelOpen))
      },

      close: (address) =>
        Effect.suspend(() => {
          const host = formatAddress(address)
          const keeper = entries.get(host)?.keeper
          entries.delete(host)
          return keeper === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(keeper))
        }),

      openProgram: (address, argv) => {
        const action = `exec ${argv[0]}`
        const host = formatAddress(address)
        return Effect.gen(function* () {
          yield* checkWords(host, action, argv)
          const running = yield* channel(
            address,
            action,
            "sessions",
            (session) => session.start(argv),
            ({ kill }) => kill()
          )
          return yield* Effect.acquireRelease(
            Effect.sync(() => asDuplex(host, action, running)),
            (duplex) => Effect.sync(() => duplex.destroy())
          )
        })
      }
    })
  })

/**
 * `Ssh` to a fleet's hosts and to no others.
 *
 * @since 0.3.0 @category layers
 */
export const layer = (fleet: Fleet, settings: Partial<Settings> = {}): Layer.Layer<Ssh> =>
  Layer.scoped(Ssh, make(fleet, { ...defaults, ...settings }))
