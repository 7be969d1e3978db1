/**
 * A session with the program that works on images, over any byte stream.
 *
 * Answers come in whatever order they like, matched by id. There is no way to cancel a request: an abandoned one is forgotten and its late
 * answer dropped. One that is not answered in time ends the whole session, because the program would otherwise carry it out
 * at a time when nobody expects it any more.
 *
 * @since 0.2.0
 */
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import type { Piece } from "../domain/Image.ts"
import { CephRefused, CephSilent } from "../services/Ceph.ts"
import { SshError } from "../services/Ssh.ts"
import { ProgramEnded } from "./LocalProgram.ts"
import * as Program from "./Program.ts"
import * as Protocol from "./Protocol.ts"

/** Why a request failed, and what was behind it. @since 0.2.0 @category errors */
export class SessionFailure extends Data.TaggedError("SessionFailure")<{
  readonly reason: CephRefused | CephSilent
  readonly cause?: unknown
}> {
  override get message(): string {
    return this.reason._tag === "CephSilent" ? this.reason.reason : `${this.reason.detail} (${this.reason.errno})`
  }
}

/** How long an answer, or a sign of progress, is waited for. @since 0.2.0 @category models */
export interface Limits {
  readonly read: Duration.DurationInput
  /** more than the 30 seconds that Ceph waits for an image's dead user */
  readonly change: Duration.DurationInput
  readonly importImage: Duration.DurationInput
}

/** @since 0.2.0 @category models */
export const defaultLimits: Limits = { read: "20 seconds", change: "45 seconds", importImage: "60 seconds" }

/** @since 0.2.0 @category models */
export interface Options {
  /** the machine the program runs on, as messages name it */
  readonly where: string
  readonly conf: string
  readonly client: string
  readonly pool: string
  readonly limits: Limits
}

/** @since 0.2.0 @category models */
export interface SessionClient {
  readonly call: <A, R>(request: Protocol.Request<A, R>, args: A) => Effect.Effect<R, SessionFailure>
  /** The last thing a session is used for: the frames are its end, a piece each. */
  readonly importImage: <E>(
    args: Protocol.Args<"importImage">,
    pieces: Stream.Stream<Piece, E>
  ) => Effect.Effect<void, SessionFailure | E>
  /** Fails when the session is lost, never ends otherwise. */
  readonly lost: Effect.Effect<never, SessionFailure>
  readonly isLost: () => boolean
}

const maxLine = 16 * 1024 * 1024
const slowestTick = Duration.seconds(1)

interface Call {
  readonly operation: string
  /** null: what it waits for is nothing of the program's */
  limit: number | null
  /** when it was sent, or last heard of */
  since: number
  progress: number | undefined
  readonly onProgress: () => void
  readonly answer: (reply: Protocol.ReplyLine) => void
  readonly fail: (failure: SessionFailure) => void
}

/**
 * Opens a session: sends the program, which connects to the cluster. The byte stream is the caller's to close; when it ends, breaks, or
 * carries anything that is not the protocol, everything that waits on the session fails at once.
 *
 * @since 0.2.0 @category constructors
 */
export const make = Effect.fn("Ceph.connect")(function* (
  duplex: Duplex,
  options: Options
): Effect.fn.Return<SessionClient, SessionFailure, Scope.Scope> {
  const { where } = options
  const limits = {
    read: Duration.toMillis(options.limits.read),
    change: Duration.toMillis(options.limits.change),
    importImage: Duration.toMillis(options.limits.importImage)
  }
  const clock = yield* Effect.clock
  const now = () => clock.unsafeCurrentTimeMillis()
  const reader = new Protocol.LineReader(maxLine)
  /** asked and not answered, abandoned ones too */
  const calls = new Map<number, Call>()
  const lost = yield* Deferred.make<never, SessionFailure>()
  let lostBy: SessionFailure | undefined
  const greeted = yield* Deferred.make<void, SessionFailure>()
  let lastId = 0
  let state: "starting" | "opening" | "open" = "starting"

  const silent = (reason: string, cause?: unknown) =>
    new SessionFailure({ reason: new CephSilent({ reason }), ...(cause === undefined ? {} : { cause }) })

  // ---- the end

  const close = (failure: SessionFailure) => {
    if (lostBy !== undefined) return
    lostBy = failure
    duplex.off("data", onData).off("end", onEnd).off("close", onClose)
    const waiting = [...calls.values()]
    calls.clear()
    for (const call of waiting) call.fail(failure)
    Deferred.unsafeDone(greeted, Effect.fail(failure))
    Deferred.unsafeDone(lost, Effect.fail(failure))
  }
  /** The program is ended, too. The error listener stays: a destroyed stream's late errors are of no interest. */
  const lose = (failure: SessionFailure) => {
    close(failure)
    duplex.destroy()
  }

  // ---- asking

  /** Asked for in the same moment, to go out together: each write is a packet of its own, sealed and sent. */
  let leaving: Array<Uint8Array> = []
  const leave = () => {
    const lines = leaving
    leaving = []
    if (lostBy === undefined) duplex.write(Buffer.concat(lines))
  }
  const post = (line: Uint8Array) => {
    if (leaving.push(line) === 1) queueMicrotask(leave)
  }

  /** Undefined: it was not sent. */
  const send = <A, R>(
    request: Protocol.Request<A, R>,
    args: A,
    limit: number,
    resume: (result: Effect.Effect<R, SessionFailure>) => void,
    onProgress: () => void = () => {}
  ): Call | undefined => {
    if (lostBy !== undefined) return void resume(Effect.fail(lostBy))
    const id = lastId + 1
    const line = Protocol.encodeRequest(id, request, args)
    if (Option.isNone(line)) {
      const reason = new CephRefused({ errno: "EINVAL", detail: "its arguments cannot be sent" })
      return void resume(Effect.fail(new SessionFailure({ reason })))
    }
    lastId = id
    const call: Call = {
      operation: request.operation,
      limit,
      since: now(),
      progress: undefined,
      onProgress,
      answer: (reply) => {
        if ("errno" in reply) return resume(Effect.fail(failureOf(request.operation, reply)))
        const value = "ok" in reply ? request.reply.decode(reply.ok) : Option.none()
        if (Option.isSome(value)) return resume(Effect.succeed(value.value))
        const failure = noProtocol(`its answer to ${request.operation} cannot be read`)
        resume(Effect.fail(failure))
        lose(failure)
      },
      fail: (failure) => resume(Effect.fail(failure))
    }
    calls.set(id, call)
    post(line.value)
    return call
  }

  const call: SessionClient["call"] = (request, args) =>
    Effect.async((resume) => void send(request, args, limits[request.kind], resume))

  const failureOf = (operation: string, refusal: Protocol.Refusal): SessionFailure => {
    const { at, detail, done, errno } = refusal
    if (operation === "open") return silent(notOpened(options, refusal), refusal)
    if (at === "temporary") return silent(`there is no room for the image in /var/tmp on ${where}: ${detail}`, refusal)
    if (at === "qemu-img") {
      return silent(`qemu-img is not on ${where} (${detail}): install it there (package qemu-utils)`, refusal)
    }
    if (errno === "ETIMEDOUT") {
      const who = operation === "cluster" || operation === "usage" ? "monitors" : "OSDs"
      const failure = silent(`its ${who} do not answer (${detail})`, refusal)
      // librados has been seen to go on like this after they were back; whoever asks next begins anew
      lose(failure)
      return failure
    }
    if (errno === "ESHUTDOWN" || errno === "ENOTCONN") {
      const failure = silent(`the cluster has shut the client on ${where} out (${detail})`, refusal)
      lose(failure)
      return failure
    }
    return new SessionFailure({ reason: new CephRefused({ errno, detail, ...(done === undefined ? {} : { done }) }) })
  }

  const noProtocol = (what: string) => silent(`${Program.argv[0]} on ${where} does not speak our protocol: ${what}`)

  // ---- hearing

  const onLine = (line: string) => {
    if (state === "starting") {
      // whatever else it is comes from the start files of a shell
      if (line !== Program.greeting) return
      state = "opening"
      return Deferred.unsafeDone(greeted, Effect.void)
    }
    const reply = Protocol.decodeReply(line)
    if (Option.isNone(reply)) {
      // later it might be part of a key
      const what = state === "open" ? "a line that is no answer" : JSON.stringify(line.slice(0, 80))
      return lose(noProtocol(`it sent ${what}`))
    }
    const call = calls.get(reply.value.id)
    if (call === undefined) return lose(noProtocol(`it answered request ${reply.value.id}, which it was not asked`))
    if ("progress" in reply.value) {
      if (reply.value.progress !== call.progress) call.since = now()
      call.progress = reply.value.progress
      return call.onProgress()
    }
    calls.delete(reply.value.id)
    call.answer(reply.value)
  }

  const onData = (chunk: Uint8Array) => {
    const lines = reader.push(chunk)
    if (Either.isLeft(lines)) return lose(noProtocol(`it sent a line of more than ${maxLine} bytes`))
    for (const line of lines.right) {
      if (lostBy !== undefined) return
      onLine(line)
    }
  }
  const onEnd = () => lose(silent(`${Program.argv[0]} on ${where} has ended`))
  const onClose = () => lose(silent(`the connection to ${Program.argv[0]} on ${where} was lost`))
  const onError = (error: Error) => lose(silent(endOf(where, error), error))

  yield* Effect.acquireRelease(
    Effect.sync(() => {
      duplex.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onError)
      if (duplex.errored !== null) onError(duplex.errored)
      else if (duplex.destroyed || duplex.readableEnded) onClose()
    }),
    () => Effect.sync(() => close(silent("the session was closed")))
  )

  // ---- time

  const expire = () => {
    for (const call of calls.values()) {
      if (call.limit === null || now() - call.since < call.limit) continue
      const waited = Duration.format(Duration.millis(call.limit))
      return lose(silent(`${Program.argv[0]} on ${where} has not answered ${call.operation} within ${waited}`))
    }
  }
  yield* Effect.sync(expire).pipe(
    Effect.schedule(
      Schedule.spaced(Duration.min(slowestTick, Duration.millis(Math.min(limits.read, limits.change) / 4)))
    ),
    Effect.raceFirst(Effect.exit(Deferred.await(lost))),
    Effect.forkScoped
  )

  // ---- import

  /** Completes when there is room for more; when the session is lost, whoever asked is told so otherwise. */
  const room = Effect.async<void>((resume) => {
    if (!duplex.writableNeedDrain) return resume(Effect.void)
    const wake = () => resume(Effect.void)
    duplex.once("drain", wake)
    return Effect.sync(() => duplex.off("drain", wake))
  })

  const importImage: SessionClient["importImage"] = <E>(
    args: Protocol.Args<"importImage">,
    pieces: Stream.Stream<Piece, E>
  ) =>
    Effect.gen(function* () {
      const ready = yield* Deferred.make<void>()
      const answer = yield* Deferred.make<null, SessionFailure>()
      const request = Protocol.requests.importImage
      const call = send(
        request,
        args,
        limits.importImage,
        (result) => Deferred.unsafeDone(answer, result),
        () => Deferred.unsafeDone(ready, Effect.void)
      )
      if (call === undefined) return yield* Deferred.await(answer)
      /** only what the program takes its time for counts */
      const count = (on: boolean) => {
        call.since = now()
        call.limit = on ? limits.importImage : null
      }
      const feed = Effect.gen(function* () {
        yield* Deferred.await(ready)
        count(false)
        yield* Stream.runForEach(pieces, ({ bytes, offset }) => {
          duplex.write(Protocol.frameHeader(offset, bytes.length))
          if (duplex.write(bytes)) return Effect.void
          count(true)
          return Effect.ensuring(
            room,
            Effect.sync(() => count(false))
          )
        })
        count(true)
        duplex.write(Protocol.endFrame)
        return yield* Effect.never
      })
      return yield* Effect.raceFirst(Deferred.await(answer), feed)
    }).pipe(Effect.asVoid)

  const client: SessionClient = {
    call,
    importImage,
    lost: Deferred.await(lost),
    isLost: () => lostBy !== undefined
  }

  // not sooner: what is written to a program that is not there hides why it is not
  yield* Deferred.await(greeted).pipe(
    Effect.timeoutFail({
      duration: options.limits.read,
      onTimeout: () => {
        const failure = silent(
          `${Program.argv[0]} on ${where} has not started within ${Duration.format(options.limits.read)}`
        )
        lose(failure)
        return failure
      }
    })
  )
  duplex.write(Program.text)
  yield* call(Protocol.requests.open, { conf: options.conf, client: options.client, pool: options.pool })
  state = "open"
  return client
})

/** What a shell, or the attempt to start it, says of a program that is not there. */
const notFound = 127

/** Why the program has ended. */
const endOf = (where: string, error: Error): string => {
  const ended =
    error instanceof SshError && error.reason._tag === "SshCommandFailed"
      ? error.reason
      : error instanceof ProgramEnded
        ? error
        : undefined
  if (ended === undefined) return error.message
  const [python] = Program.argv
  if (ended.exitCode === notFound || ended.stderr.includes(`spawn ${python} ENOENT`)) {
    return `there is no ${python} on ${where}: install it and python3-rbd there`
  }
  const last = ended.stderr.trim().split("\n").at(-1) ?? ""
  const how = ended.signal ?? (ended.exitCode === null ? "an unknown status" : `status ${ended.exitCode}`)
  return `${python} on ${where} ended with ${how}${last === "" ? "" : `: ${last}`}`
}

/** What to do about a session that cannot be opened. */
const notOpened = (options: Options, { at, detail, errno }: Protocol.Refusal): string => {
  const { client, conf, pool, where } = options
  switch (at) {
    case "python":
      return `python3-rbd and python3-rados are not on ${where} (${detail}): install them there`
    case "conf":
      return errno === "ENOENT" ? `there is no ${conf} on ${where}` : `${conf} on ${where} cannot be read: ${detail}`
    case "connect":
      switch (errno) {
        case "ETIMEDOUT":
          return `its monitors do not answer ${where}: see mon_host in ${conf} there`
        case "ENOENT":
          return `${conf} on ${where} names no monitors: set mon_host there`
        case "EACCES":
        case "EPERM":
          return `the cluster does not accept the key of client.${client} on ${where}: compare it with what "ceph auth get client.${client}" prints`
        default:
          return `${where} cannot connect: ${detail} (${errno})`
      }
    case "key":
      return `${where} has no key of client.${client} (${detail}): put it where ${conf} there says, or into /etc/ceph/ceph.client.${client}.keyring`
    case "pool":
      return errno === "ENOENT"
        ? `the cluster has no such pool: make it with "ceph osd pool create ${pool}" and "rbd pool init ${pool}"`
        : `client.${client} cannot open it: ${detail} (${errno})`
    default:
      return `it cannot be opened on ${where}: ${detail} (${errno})`
  }
}
