/**
 * Programs and forwarded sockets on an SSH connection.
 *
 * @since 0.5.0
 */
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import type { Client, ClientChannel, SFTPWrapper } from "ssh2"
import {
  type ExecResult,
  SshChannelRefused,
  SshCommandFailed,
  type SshError,
  SshUnreachable
} from "../../src/services/Ssh.ts"
import { ChannelDuplex, discard } from "../../src/ssh/ChannelDuplex.ts"
import { type Connection, failure, type Limited, lostError } from "./Connection.ts"

type Done<C> = (error: (Error & { readonly reason?: unknown }) | undefined, channel: C) => void

/**
 * Opens a channel, closed with the scope. Its place among `places` is kept until the server has confirmed the end (or the connection is
 * lost), so that what we count is never below what the server counts; nobody waits for that.
 *
 * @since 0.5.0 @category constructors
 */
export const openChannel = <C extends ClientChannel | SFTPWrapper>(
  connection: Connection,
  places: Limited,
  action: string,
  start: (client: Client, done: Done<C>) => void,
  letGo: (channel: C) => void
): Effect.Effect<C, SshError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      yield* places.enter(restore)
      const gone = Deferred.unsafeMake<void>(FiberId.none)
      const isGone = () => Deferred.unsafeDone(gone, Exit.void)
      const unwatch = connection.onLost(isGone)
      yield* Deferred.await(gone).pipe(
        Effect.interruptible,
        Effect.ensuring(Effect.zipRight(Effect.sync(unwatch), places.leave)),
        Effect.forkIn(connection.scope)
      )
      const channel = yield* restore(
        Effect.async<C, SshError>((resume) => {
          let opened: C | undefined
          let cancelled = false
          const stopWatching = connection.onLost((lost) => resume(Effect.fail(lostError(connection, action, lost))))
          const failed = (reason: SshError["reason"], cause: unknown) => {
            isGone()
            stopWatching()
            resume(
              Effect.fail(
                connection.lost !== undefined
                  ? lostError(connection, action, connection.lost)
                  : failure(connection.host, action, reason, cause)
              )
            )
          }
          try {
            if (connection.lost === undefined) {
              start(connection.client, (error, channel) => {
                if (error !== undefined) {
                  const code: unknown = error.reason
                  const refused = new SshChannelRefused({
                    reason: error.message.replace("(SSH) Channel open failure: ", ""),
                    code: typeof code === "number" ? code : 0
                  })
                  return failed(refused, error)
                }
                opened = channel
                stopWatching()
                channel.once("close", isGone)
                // what fails is told by the connection; without a listener it would end the process
                channel.on("error", () => {})
                if (cancelled) letGo(channel)
                else resume(Effect.succeed(channel))
              })
            } else isGone()
          } catch (cause) {
            // between a connection's reset and the event that tells of it, ssh2 throws
            failed(new SshUnreachable({ reason: "the connection was lost" }), cause)
          }
          return Effect.sync(() => {
            cancelled = true
            stopWatching()
            if (opened !== undefined) letGo(opened)
          })
        })
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => letGo(channel)))
      return channel
    })
  )

// sshd says 2 where RFC 4254 would say 4, and frees a session a moment after the client has seen its end
const isShortage = (error: SshError): boolean =>
  error.reason._tag === "SshChannelRefused" && (error.reason.code === 2 || error.reason.code === 4)

const shortage = Schedule.intersect(Schedule.spaced("20 millis"), Schedule.recurs(25))

/** sshd gives no reason, and the same code for both, when it cannot and when it must not forward to a Unix socket. @since 0.5.0 @category errors */
export const explained =
  (path: string) =>
  (error: SshError): SshError =>
    error.reason._tag === "SshChannelRefused" && error.reason.code === 2
      ? failure(
          error.host,
          error.action,
          new SshChannelRefused({
            reason: `nothing listens at ${path}, or sshd's AllowStreamLocalForwarding forbids to forward to it`,
            code: 2
          }),
          error.cause
        )
      : error

/** A program on the host, its standard streams as the channel. @since 0.5.0 @category constructors */
export const openSession = (
  connection: Connection,
  action: string,
  command: string
): Effect.Effect<ClientChannel, SshError, Scope.Scope> =>
  openChannel<ClientChannel>(
    connection,
    connection.sessions,
    action,
    (client, done) => client.exec(command, done),
    discard
  ).pipe(Effect.retry({ while: isShortage, schedule: shortage }))

/** Keeps the end of what a program wrote to stderr. */
const makeTail = () => {
  const kept = 64 * 1024
  let bytes = Buffer.alloc(0)
  return {
    add: (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      if (bytes.length > 2 * kept) bytes = Buffer.from(bytes.subarray(-kept))
    },
    last: (count: number = kept): string => bytes.subarray(-count).toString("utf8")
  }
}

type Tail = ReturnType<typeof makeTail>

const shownStderr = 4 * 1024

/** What the end of a program means; undefined for success. */
const exitFailure = (
  connection: Connection,
  action: string,
  stderr: Tail,
  code: number | null | undefined,
  signal: string | undefined
): SshError | undefined =>
  code === 0
    ? undefined
    : failure(
        connection.host,
        action,
        new SshCommandFailed({ exitCode: code ?? null, signal: signal ?? null, stderr: stderr.last(shownStderr) })
      )

/** What a program writes until it ends; at most `maxOutput` bytes. Fails when it ends otherwise than with status 0. @since 0.5.0 @category running */
export const collect = (
  connection: Connection,
  action: string,
  channel: ClientChannel,
  maxOutput: number
): Effect.Effect<ExecResult, SshError> =>
  Effect.async<ExecResult, SshError>((resume) => {
    const chunks: Array<Buffer> = []
    const stderr = makeTail()
    let size = 0
    let stopWatching = () => {}
    const stop = () => {
      stopWatching()
      channel.off("data", onData)
      channel.off("close", onClose)
    }
    const finish = (result: Effect.Effect<ExecResult, SshError>) => {
      stop()
      resume(result)
    }
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size <= maxOutput) {
        chunks.push(chunk)
        return
      }
      const reason = new SshCommandFailed({
        exitCode: null,
        signal: null,
        stderr: `it wrote more than ${maxOutput} bytes and was ended`
      })
      finish(Effect.fail(failure(connection.host, action, reason)))
    }
    const onClose = (code: number | null | undefined, signal: string | undefined) => {
      const failed = exitFailure(connection, action, stderr, code, signal)
      finish(
        failed === undefined
          ? Effect.succeed({ stdout: Buffer.concat(chunks), stderr: stderr.last() })
          : Effect.fail(failed)
      )
    }
    // stderr first: the channel's end is told when stdout has been read, and stderr must have been by then
    channel.stderr.on("data", stderr.add)
    channel.on("data", onData)
    channel.on("close", onClose)
    stopWatching = connection.onLost((lost) => finish(Effect.fail(lostError(connection, action, lost))))
    return Effect.sync(stop)
  })

/** A channel as a Node stream, destroyed with the scope. @since 0.5.0 @category conversions */
export const asDuplex = (
  connection: Connection,
  action: string,
  channel: ClientChannel,
  kind: "socket" | "program"
): Effect.Effect<ChannelDuplex, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const stderr = makeTail()
      channel.stderr.on("data", stderr.add)
      // a socket's far end that has closed is done with; ssh2 waits for our own end before it tells of the close
      const duplex = new ChannelDuplex(channel, kind === "program")
      // a program has ended when its status is known, which comes after the end of its output
      if (kind === "socket") channel.on("end", () => duplex.finish())
      channel.on("close", (code: number | null | undefined, signal: string | undefined) => {
        duplex.closedByHost()
        duplex.finish(kind === "program" ? exitFailure(connection, action, stderr, code, signal) : undefined)
      })
      const stopWatching = connection.onLost((lost) => duplex.destroy(lostError(connection, action, lost)))
      duplex.on("close", stopWatching)
      return duplex
    }),
    (duplex) => Effect.sync(() => duplex.destroy())
  )

/** What can be read now, else waits for it; None at the end. @since 0.5.0 @category running */
export const pull = (
  duplex: Duplex,
  toError: (cause: Error) => SshError
): Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<SshError>> =>
  Effect.async((resume) => {
    const events = ["readable", "end", "error", "close"] as const
    const stop = () => {
      for (const event of events) duplex.off(event, look)
    }
    const look = () => {
      const chunk: unknown = duplex.read()
      const result =
        chunk instanceof Uint8Array
          ? Effect.succeed(Chunk.of(chunk))
          : duplex.errored !== null
            ? Effect.fail(Option.some(toError(duplex.errored)))
            : duplex.readableEnded || duplex.destroyed
              ? Effect.fail(Option.none())
              : undefined
      if (result === undefined) return
      stop()
      resume(result)
    }
    for (const event of events) duplex.on(event, look)
    look()
    return Effect.sync(stop)
  })
