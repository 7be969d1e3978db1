/**
 * Files on a host, by SFTP.
 *
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import ssh2, { type SFTPWrapper } from "ssh2"
import { type FileRange, type FileRead, type SshError, SshFileRefused } from "../../src/services/Ssh.ts"
import { openChannel } from "./Channels.ts"
import { type Connection, failure, lostError } from "./Connection.ts"

const { STATUS_CODE } = ssh2.utils.sftp

/** What is read of a file at one time, at most (bytes). @since 0.6.0 @category constants */
export const mostRead = 4 * 1024 * 1024

type Answer<A> = (error: (Error & { readonly code?: unknown }) | undefined, value: A) => void

/** SSH_FX_EOF and so on; undefined: it was no answer of the server's. */
const codeOf = (error: SshError): unknown =>
  error.cause instanceof Error && "code" in error.cause ? error.cause.code : undefined

/** One request; ssh2 leaves those unanswered that the end of the connection overtakes. */
const request = <A>(
  connection: Connection,
  action: string,
  send: (answer: Answer<A>) => void
): Effect.Effect<A, SshError> =>
  Effect.async<A, SshError>((resume) => {
    const stop = connection.onLost((lost) => resume(Effect.fail(lostError(connection, action, lost))))
    send((error, value) => {
      stop()
      if (error === undefined || error === null) return resume(Effect.succeed(value))
      const forbidden = error.code === STATUS_CODE.PERMISSION_DENIED
      const reason = new SshFileRefused({ reason: error.message, kind: forbidden ? "forbidden" : "failed" })
      resume(Effect.fail(failure(connection.host, action, reason, error)))
    })
    return Effect.sync(stop)
  })

const sessionOf = (connection: Connection, action: string): Effect.Effect<SFTPWrapper, SshError, Scope.Scope> =>
  openChannel<SFTPWrapper>(
    connection,
    connection.sessions,
    action,
    (client, done) => client.sftp(done),
    (sftp) => sftp.end()
  ).pipe(
    Effect.mapError((error) =>
      error.reason._tag === "SshChannelRefused" && /subsystem/i.test(error.reason.reason)
        ? failure(
            connection.host,
            action,
            new SshFileRefused({ reason: "its sshd has no sftp subsystem", kind: "unserved" }),
            error
          )
        : error
    )
  )

/** SSH_FX_NO_SUCH_FILE is no error. */
const unlessAbsent = <A>(asked: Effect.Effect<A, SshError>): Effect.Effect<Option.Option<A>, SshError> =>
  Effect.catchIf(
    Effect.asSome(asked),
    (error) => codeOf(error) === STATUS_CODE.NO_SUCH_FILE,
    () => Effect.succeedNone
  )

/** Removes files; absent is fine. @since 0.8.0 @category running */
export const remove = (
  connection: Connection,
  action: string,
  paths: ReadonlyArray<string>
): Effect.Effect<void, SshError, Scope.Scope> =>
  Effect.flatMap(sessionOf(connection, action), (sftp) =>
    Effect.forEach(
      paths,
      (path) =>
        unlessAbsent(
          request<void>(connection, action, (answer) => sftp.unlink(path, (error) => answer(error ?? undefined)))
        ),
      { concurrency: "unbounded", discard: true }
    )
  )

/** Parts of a file. None: there is no such file. @since 0.6.0 @category running */
export const read = (
  connection: Connection,
  action: string,
  path: string,
  pieces: ReadonlyArray<FileRange>
): Effect.Effect<Option.Option<FileRead>, SshError, Scope.Scope> =>
  Effect.gen(function* () {
    const sftp = yield* sessionOf(connection, action)
    const opened = yield* unlessAbsent(request<Buffer>(connection, action, (answer) => sftp.open(path, "r", answer)))
    if (Option.isNone(opened)) return Option.none()
    const handle = opened.value
    const { mtime, size } = yield* request<{ readonly size: number; readonly mtime: number }>(
      connection,
      action,
      (answer) => sftp.fstat(handle, answer)
    )
    let left = mostRead
    const read: Array<Uint8Array> = []
    for (const { from, length } of pieces) {
      const start = from < 0 ? Math.max(0, size + from) : from
      const wanted = Math.max(0, Math.min(length, size - start, left))
      left -= wanted
      const bytes = Buffer.alloc(wanted)
      let filled = 0
      while (filled < wanted) {
        const at = filled
        const count = yield* request<number>(connection, action, (answer) =>
          sftp.read(handle, bytes, at, wanted - at, start + at, (error, count) => answer(error, count))
        ).pipe(
          Effect.catchIf(
            (error) => codeOf(error) === STATUS_CODE.EOF,
            () => Effect.succeed(0)
          )
        )
        if (count === 0) break
        filled += count
      }
      read.push(bytes.subarray(0, filled))
    }
    // the handle goes with its session
    return Option.some({ size, modified: mtime, pieces: read })
  })
