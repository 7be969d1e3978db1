/**
 * A session with a libvirt daemon over any byte stream.
 *
 * Frames are handled as their bytes arrive, without a fiber for each, since the latency of a call is what everything else waits for. Calls
 * are matched by serial only; the daemon answers in whatever order it likes. There is no way to cancel a call, so an abandoned one is
 * forgotten and its late reply dropped; it keeps its place in the queue until then, because the daemon still works on it.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Mailbox from "effect/Mailbox"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import { asked } from "../domain/HostCalls.ts"
import {
  LibvirtDisconnected,
  type LibvirtErrorReason,
  LibvirtProtocolError,
  LibvirtRefused,
  LibvirtTimeout
} from "../services/Libvirt.ts"
import { SshError } from "../services/Ssh.ts"
import * as Events from "./Events.ts"
import * as Packet from "./Packet.ts"
import * as Procedures from "./Procedures.ts"
import { RemoteError } from "./Structs.ts"
import * as Xdr from "./Xdr.ts"

/** @since 0.1.0 @category models */
export interface Options {
  /** what CONNECT_OPEN is given, as in `qemu:///system` or `test:///default` */
  readonly uri: string
  /** the serial before that of the first call; default 0 */
  readonly serial?: number
}

/** A stream that a call opened; closing its scope before `finish` aborts it. @since 0.1.0 @category models */
export interface RpcStream<R> {
  readonly reply: R
  /** Waits while the connection cannot take more. */
  readonly send: (bytes: Uint8Array) => Effect.Effect<void, LibvirtErrorReason>
  /** Ends what is sent, and waits until the daemon has confirmed that it has it all. */
  readonly finish: Effect.Effect<void, LibvirtErrorReason>
  /** What the daemon sends, to its end; to be run once. A slow reader stops the connection, not the memory. */
  readonly incoming: Stream.Stream<Uint8Array, LibvirtErrorReason>
  /** Fails when the stream does, never ends otherwise. */
  readonly broken: Effect.Effect<never, LibvirtErrorReason>
}

/** @since 0.1.0 @category models */
export interface RpcClient {
  readonly call: <P extends Procedures.ProcedureName>(
    procedure: P,
    args: Procedures.Args<P>
  ) => Effect.Effect<Procedures.Reply<P>, LibvirtErrorReason>
  /** The same, its reply read by somebody's own decoder. */
  readonly callFor: <P extends Procedures.ProcedureName, A>(
    procedure: P,
    args: Procedures.Args<P>,
    reply: Xdr.Decoder<A>
  ) => Effect.Effect<A, LibvirtErrorReason>
  readonly open: <P extends Procedures.StreamProcedure>(
    procedure: P,
    args: Procedures.Args<P>
  ) => Effect.Effect<RpcStream<Procedures.Reply<P>>, LibvirtErrorReason, Scope.Scope>
  /** From the moment the stream is run. */
  readonly events: Stream.Stream<Events.DomainEvent, LibvirtErrorReason>
  /** Fails when the connection is lost, never ends otherwise. */
  readonly lost: Effect.Effect<never, LibvirtErrorReason>
  readonly isLost: () => boolean
  /** Gives the connection up: everything that waits on it fails with this reason. */
  readonly abandon: (reason: string) => Effect.Effect<void>
  /** Calls whose reply somebody waits for, and streams that are open. */
  readonly pending: () => number
}

/**
 * libvirtd works on five requests of a client at a time (`max_client_requests`) and stops reading beyond; one is left for what is urgent.
 * Priority procedures have workers of their own and answer at once, or the daemon is past helping.
 */
const places = { normal: 4, priority: 16 } as const
type Lane = keyof typeof places
const maxClientRequests = 5

const keepaliveInterval = 5000
/**
 * PINGs without any sign of life after which the connection counts as lost. A daemon that is full reads no PING, and behind a stream's data
 * one waits for the host's disk: that is a matter of patience.
 */
const keepaliveMisses = { calm: 3, busy: 12 }
/** How often is looked at calls that wait; their limits are longer than `keepaliveInterval`, after which is looked whether there are any. */
const tickInterval = 1000

/** How long calls wait behind abandoned ones that hold every place, before the connection is given up for a new one. */
const maxBlocked = 10_000

const maxWaitingEvents = 10_000

/** Bytes that may wait for a stream's slow reader before the connection is paused, and below which it goes on. */
const readAhead = { pause: 1024 * 1024, resume: 512 * 1024 }

const limits = {
  query: Duration.seconds(30),
  change: Duration.minutes(2),
  /** all of a volume is read or written, or all of a guest's memory */
  bulk: Duration.hours(1)
}
const isBulk =
  /^STORAGE_VOL_(CREATE_XML_FROM|WIPE)|^STORAGE_POOL_(BUILD|DELETE)|^DOMAIN_(SAVE|MANAGED_SAVE$|RESTORE|CORE_DUMP|MIGRATE|SNAPSHOT_CREATE|SNAPSHOT_DELETE|REVERT)/
const isQuery = /^DOMAIN_(GET|IS|LOOKUP|LIST|HAS)_|^(AUTH|CONNECT|NODE|SECRET|NETWORK)_/
const limitOf = (procedure: Procedures.ProcedureName): Duration.Duration =>
  isBulk.test(procedure) ? limits.bulk : isQuery.test(procedure) ? limits.query : limits.change

const supportsKeepalive = 10

/** Events that are registered for as soon as somebody listens. */
const wantedEvents = [
  "Lifecycle",
  "Reboot",
  "DeviceAdded",
  "DeviceRemoved",
  "DeviceRemovalFailed",
  "BlockJob",
  "MetadataChange"
] as const

interface Call {
  readonly procedure: Procedures.ProcedureName
  readonly lane: Lane
  readonly payload: Uint8Array
  readonly since: number
  readonly limit: Duration.Duration
  readonly sent: (serial: number) => void
  readonly answer: (packet: Packet.Packet) => void
  readonly fail: (reason: LibvirtErrorReason) => void
  /** nobody waits for the reply any more */
  abandoned: boolean
}

interface OpenStream {
  readonly receive: (packet: Packet.Packet) => void
  readonly fail: (reason: LibvirtErrorReason) => void
}

/**
 * Opens a session. The byte stream is the caller's to close; when it ends, breaks, or carries anything that is not the protocol,
 * everything that waits on the session fails at once.
 *
 * @since 0.1.0 @category constructors
 */
export const make = Effect.fn("RpcClient.make")(function* (duplex: Duplex, { serial: firstSerial = 0, uri }: Options) {
  const scope = yield* Effect.scope
  const clock = yield* Effect.clock
  const now = () => clock.unsafeCurrentTimeMillis()
  const reader = new Packet.FrameReader()
  /** sent and not answered, abandoned ones too: the daemon still works on those */
  const calls = new Map<number, Call>()
  const queues = { normal: new Set<Call>(), priority: new Set<Call>() }
  const free: Record<Lane, number> = { ...places }
  const streams = new Map<number, OpenStream>()
  /** serials of streams that were aborted, until the daemon confirms that */
  const aborted = new Set<number>()
  /** streams whose readers hold the connection back */
  const holders = new Set<OpenStream>()
  /** senders that wait for room */
  const senders = new Set<() => void>()
  const listeners = new Set<Mailbox.Mailbox<Events.DomainEvent, LibvirtErrorReason>>()
  const lost = yield* Deferred.make<never, LibvirtErrorReason>()
  let lostBy: LibvirtErrorReason | undefined
  let lastSerial = firstSerial
  let lastHeard = now()
  let lastPing = lastHeard
  let unanswered = 0

  // ---- writing

  const write = (
    procedure: Procedures.ProcedureName,
    type: number,
    serial: number,
    status: number,
    payload?: Uint8Array
  ) => {
    if (lostBy !== undefined) return
    const { number } = Procedures.procedures[procedure]
    duplex.write(Packet.encode({ program: Packet.programs.remote, procedure: number, type, serial, status }, payload))
  }

  const wakeSenders = () => {
    const waiting = [...senders]
    senders.clear()
    for (const wake of waiting) wake()
  }

  /** Completes when there may be room, or when there is no more need of it. */
  const room = Effect.async<void>((resume) => {
    if (lostBy !== undefined || !duplex.writableNeedDrain) return resume(Effect.void)
    const wake = () => resume(Effect.void)
    senders.add(wake)
    return Effect.sync(() => senders.delete(wake))
  })

  // ---- the end

  const heard = () => {
    lastHeard = now()
    unanswered = 0
  }

  const lose = (reason: LibvirtErrorReason) => {
    if (lostBy !== undefined) return
    lostBy = reason
    duplex.off("data", onData).off("drain", onDrain).off("end", onEnd).off("close", onClose)
    // the error listener stays: what a destroyed stream reports late is of no interest, and must not end the process
    duplex.destroy()
    const waiting = [...calls.values(), ...queues.priority, ...queues.normal]
    calls.clear()
    queues.priority.clear()
    queues.normal.clear()
    const open = [...streams.values()]
    streams.clear()
    aborted.clear()
    holders.clear()
    for (const call of waiting) call.fail(reason)
    for (const stream of open) stream.fail(reason)
    for (const listener of listeners) listener.unsafeDone(Exit.fail(reason))
    listeners.clear()
    Deferred.unsafeDone(lost, Effect.fail(reason))
    wakeSenders()
  }
  const violation = (reason: string) => lose(new LibvirtProtocolError({ reason }))

  // ---- calling

  const nextSerial = (): number => {
    do lastSerial = lastSerial >= 0xffffffff ? 1 : lastSerial + 1
    while (calls.has(lastSerial) || streams.has(lastSerial) || aborted.has(lastSerial))
    return lastSerial
  }

  /** Sends what the daemon has a place for. */
  const pump = (lane: Lane) => {
    for (const call of queues[lane]) {
      if (free[lane] === 0) return
      queues[lane].delete(call)
      free[lane]--
      const serial = nextSerial()
      calls.set(serial, call)
      call.sent(serial)
      write(call.procedure, Packet.types.call, serial, Packet.statuses.ok, call.payload)
    }
  }

  /** A call that was not sent yet never is; one that was keeps its place until the daemon has answered. */
  const abandon = (call: Call) => {
    call.abandoned = true
    queues[call.lane].delete(call)
  }

  const refusal = (payload: Uint8Array): LibvirtErrorReason => {
    const error = Xdr.decode(RemoteError, payload)
    if (Either.isRight(error)) {
      const { code, domain, int1, message, str2 } = error.right
      return new LibvirtRefused({ code, domain, int1, reason: message ?? str2 ?? `error ${code}` })
    }
    const reason = new LibvirtProtocolError({ reason: `an error that cannot be read: ${error.left.message}` })
    lose(reason)
    return reason
  }

  const onReply = (packet: Packet.Packet) => {
    const call = calls.get(packet.serial)
    if (call === undefined) return violation(`a reply with serial ${packet.serial}, which no call has`)
    if (
      packet.procedure !== Procedures.procedures[call.procedure].number ||
      (packet.status !== Packet.statuses.ok && packet.status !== Packet.statuses.error)
    ) {
      return violation(`a reply to ${call.procedure} with procedure ${packet.procedure} and status ${packet.status}`)
    }
    calls.delete(packet.serial)
    free[call.lane]++
    call.answer(packet)
    pump(call.lane)
  }

  /** Has the daemon do a call. `opening` is told its serial before anything of it can come, which the daemon may send ahead of its reply. */
  const request = <P extends Procedures.ProcedureName, A>(
    procedure: P,
    args: Procedures.Args<P>,
    decoder: Xdr.Decoder<A>,
    opening?: { readonly sent: (serial: number) => void; readonly answered: (isOpen: boolean) => void }
  ): Effect.Effect<A, LibvirtErrorReason> =>
    Effect.async((resume) => {
      if (lostBy !== undefined) return resume(Effect.fail(lostBy))
      const payload = Xdr.encode(Procedures.argsOf(procedure), args)
      const problem = Either.isLeft(payload)
        ? payload.left.message
        : payload.right.length > Packet.maxPayload
          ? `${payload.right.length} bytes are too many`
          : undefined
      if (Either.isLeft(payload) || problem !== undefined) {
        return resume(
          Effect.fail(new LibvirtProtocolError({ reason: `its arguments cannot be sent: ${problem ?? "unknown"}` }))
        )
      }
      const { priority, stream } = Procedures.procedures[procedure]
      const call: Call = {
        procedure,
        lane: priority ? "priority" : "normal",
        payload: payload.right,
        since: now(),
        limit: limitOf(procedure),
        abandoned: false,
        sent: (serial) => opening?.sent(serial),
        answer: (packet) => {
          if (packet.status === Packet.statuses.error) {
            opening?.answered(false)
            return resume(Effect.fail(refusal(packet.payload)))
          }
          const reply = Xdr.decode(decoder, packet.payload)
          if (Either.isLeft(reply)) {
            const reason = new LibvirtProtocolError({ reason: `its reply cannot be read: ${reply.left.message}` })
            lose(reason)
            return resume(Effect.fail(reason))
          }
          if (opening !== undefined && !call.abandoned) opening.answered(true)
          else if (stream !== null) abort(procedure, packet.serial) // nobody is there for it
          resume(Effect.succeed(reply.right))
        },
        fail: (reason) => resume(Effect.fail(reason))
      }
      queues[call.lane].add(call)
      pump(call.lane)
      return Effect.sync(() => abandon(call))
    })

  const call: RpcClient["call"] = (procedure, args) => request(procedure, args, Procedures.replyOf(procedure))

  // ---- streams

  const abort = (procedure: Procedures.ProcedureName, serial: number) => {
    aborted.add(serial)
    write(procedure, Packet.types.stream, serial, Packet.statuses.error)
  }

  const hold = (stream: OpenStream, on: boolean) => {
    if (on) holders.add(stream)
    else holders.delete(stream)
    if (lostBy !== undefined) return
    if (holders.size > 0) duplex.pause()
    else if (duplex.isPaused()) {
      heard()
      duplex.resume()
    }
  }

  const onStream = (packet: Packet.Packet) => {
    const stream = streams.get(packet.serial)
    if (stream !== undefined) return stream.receive(packet)
    // of one that was aborted or has failed, some may still be under way
    if (packet.status !== Packet.statuses.continue) aborted.delete(packet.serial)
  }

  const open: RpcClient["open"] = (procedure, args) =>
    Effect.gen(function* () {
      const incoming = yield* Mailbox.make<Uint8Array, LibvirtErrorReason>()
      const finished = yield* Deferred.make<void, LibvirtErrorReason>()
      let serial: number | undefined
      let unread = 0
      let state: "opening" | "open" | "finishing" | "ended" = "opening"
      let failure: LibvirtErrorReason | undefined
      const end = (exit: Exit.Exit<void, LibvirtErrorReason>) => {
        state = "ended"
        unread = 0
        if (serial !== undefined) streams.delete(serial)
        hold(stream, false)
        incoming.unsafeDone(exit)
        Deferred.unsafeDone(finished, exit)
        wakeSenders()
      }
      const stream: OpenStream = {
        fail: (reason) => {
          failure = reason
          end(Exit.fail(reason))
        },
        receive: (packet) => {
          switch (packet.status) {
            case Packet.statuses.error:
              return stream.fail(refusal(packet.payload))
            case Packet.statuses.ok:
              return end(Exit.void)
            case Packet.statuses.continue:
              if (state !== "opening" && state !== "open") return
              // an empty packet is the end of the daemon's data; the stream stays open for ours
              if (packet.payload.length === 0) return incoming.unsafeDone(Exit.void)
              unread += packet.payload.length
              incoming.unsafeOffer(packet.payload)
              if (unread > readAhead.pause) hold(stream, true)
              return
            default:
              return violation(`a stream packet with status ${packet.status}`)
          }
        }
      }
      // before the call: who is interrupted between the reply and its arrival here leaves a stream as well
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          if (serial === undefined || state === "ended") return
          streams.delete(serial)
          // of one whose reply nobody waits for any more, that ends it when it comes
          if (state !== "opening") abort(procedure, serial)
          state = "ended"
          hold(stream, false)
        })
      )
      const reply = yield* request(procedure, args, Procedures.replyOf(procedure), {
        sent: (given) => {
          serial = given
          streams.set(given, stream)
        },
        answered: (isOpen) => {
          if (!isOpen) end(Exit.void)
          else if (state === "opening") state = "open"
        }
      })
      const opened = serial ?? (yield* Effect.dieMessage("a stream's call succeeded without a stream"))
      const check = Effect.suspend(() =>
        failure !== undefined
          ? Effect.fail(failure)
          : state === "open"
            ? Effect.void
            : Effect.fail<LibvirtErrorReason>(new LibvirtDisconnected({ reason: "the stream has ended" }))
      )
      const result: RpcStream<typeof reply> = {
        reply,
        send: (bytes) =>
          Effect.gen(function* () {
            yield* check
            for (let at = 0; at < bytes.length; at += Packet.streamChunk) {
              while (duplex.writableNeedDrain) {
                yield* room
                yield* check
              }
              write(
                procedure,
                Packet.types.stream,
                opened,
                Packet.statuses.continue,
                bytes.subarray(at, at + Packet.streamChunk)
              )
            }
          }),
        finish: Effect.suspend(() => {
          if (state === "open") {
            state = "finishing"
            unread = 0
            hold(stream, false)
            write(procedure, Packet.types.stream, opened, Packet.statuses.ok)
          }
          return Deferred.await(finished)
        }).pipe(
          Effect.timeoutFail({
            duration: limits.change,
            onTimeout: () => new LibvirtTimeout({ after: Duration.format(limits.change) })
          })
        ),
        incoming: Mailbox.toStream(incoming).pipe(
          Stream.mapChunks((chunk) => {
            for (const bytes of chunk) unread -= bytes.length
            if (unread <= readAhead.resume) hold(stream, false)
            return chunk
          })
        ),
        broken: Effect.zipRight(Deferred.await(finished), Effect.never)
      }
      return result
    })

  // ---- events

  const onEvent = (packet: Packet.Packet) => {
    const event = Events.decode(packet.procedure, packet.payload)
    if (event === undefined) return // of a kind that was not asked for
    if (Either.isLeft(event)) return violation(`event ${packet.procedure} cannot be read: ${event.left.message}`)
    for (const listener of listeners) {
      if (listener.unsafeOffer(event.right)) continue
      listeners.delete(listener)
      const reason = `events came faster than they were taken, ${maxWaitingEvents} are waiting`
      listener.unsafeDone(Exit.fail(new LibvirtDisconnected({ reason })))
    }
  }

  const registered = new Set<Events.EventName>()
  let registering: Deferred.Deferred<void, LibvirtErrorReason> | undefined

  const registerFor = (name: (typeof wantedEvents)[number]) =>
    call("CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY", { eventID: Events.messages[name].id, dom: null }).pipe(
      Effect.asVoid,
      // an older daemon, or a driver without devices, knows fewer events; lifecycle ones they all have
      Effect.catchIf(
        (reason) => reason._tag === "LibvirtRefused" && name !== "Lifecycle",
        (reason) => Effect.logDebug(`libvirt has no ${name} events`, reason)
      ),
      Effect.tap(() => Effect.sync(() => registered.add(name))),
      // answered late it would be a registration that nobody knows of, and with the next each event would come twice
      Effect.tapErrorTag("LibvirtTimeout", (reason) => Effect.sync(() => lose(reason)))
    )

  /** One that fails does not interrupt the others, for the same reason. */
  const registerEach = Effect.suspend(() =>
    Effect.forEach(
      wantedEvents.filter((name) => !registered.has(name)),
      (name) => Effect.either(registerFor(name)),
      { concurrency: "unbounded" }
    )
  ).pipe(Effect.flatMap((outcomes) => Effect.all(outcomes, { discard: true })))

  /** Once for all listeners, and not in the fiber of any of them, whose interruption would leave it half done. */
  const register = Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      if (registering !== undefined) return restore(Deferred.await(registering))
      const done = Deferred.unsafeMake<void, LibvirtErrorReason>(FiberId.none)
      registering = done
      return Effect.interruptible(registerEach).pipe(
        Effect.onExit((exit) =>
          Effect.suspend(() => {
            if (Exit.isFailure(exit)) registering = undefined
            return Exit.isInterrupted(exit)
              ? Deferred.fail(done, lostBy ?? new LibvirtDisconnected({ reason: "the session was closed" }))
              : Deferred.done(done, exit)
          })
        ),
        Effect.forkIn(scope),
        Effect.zipRight(restore(Deferred.await(done)))
      )
    })
  )

  const events = Stream.unwrapScoped(
    Effect.gen(function* () {
      if (lostBy !== undefined) return Stream.fail(lostBy)
      const mailbox = yield* Mailbox.make<Events.DomainEvent, LibvirtErrorReason>(maxWaitingEvents)
      yield* Effect.acquireRelease(
        Effect.sync(() => listeners.add(mailbox)),
        () => Effect.sync(() => listeners.delete(mailbox))
      )
      yield* register
      return Mailbox.toStream(mailbox)
    })
  )

  // ---- reading

  const onPacket = (packet: Packet.Packet) => {
    if (packet.program === Packet.programs.keepalive) {
      // when nothing can be written no answer would arrive, and what waits to be written is sign of life enough
      if (packet.procedure === Packet.keepalive.ping && !duplex.writableNeedDrain) {
        duplex.write(Packet.encodeKeepalive(Packet.keepalive.pong))
      }
      return
    }
    if (packet.program !== Packet.programs.remote || packet.version !== 1) {
      return violation(`a packet of program ${packet.program}, version ${packet.version}`)
    }
    // by type before serial: events carry the serial 1
    switch (packet.type) {
      case Packet.types.reply:
        return onReply(packet)
      case Packet.types.message:
        return onEvent(packet)
      case Packet.types.stream:
        return onStream(packet)
      case Packet.types.hole:
        return violation("a hole in a stream that was to have none")
      case Packet.types.replyWithFds:
        return violation("a reply with file descriptors, which do not come through a byte stream")
      default:
        return violation(`a packet of type ${packet.type}`)
    }
  }

  const onData = (chunk: Uint8Array) => {
    heard()
    const packets = reader.push(chunk)
    for (const packet of Either.isLeft(packets) ? packets.left.before : packets.right) {
      if (lostBy !== undefined) return
      onPacket(packet)
    }
    if (Either.isLeft(packets)) violation(packets.left.message)
  }
  const onDrain = () => {
    heard()
    wakeSenders()
  }
  const onEnd = () => lose(new LibvirtDisconnected({ reason: "libvirt closed the connection" }))
  const onClose = () => lose(new LibvirtDisconnected({ reason: "the connection to libvirt was lost" }))
  const onError = (error: Error) =>
    lose(
      new LibvirtDisconnected({
        reason: `the connection to libvirt was lost: ${error.message}`,
        ...(error instanceof SshError ? { ssh: error } : {})
      })
    )

  yield* Effect.acquireRelease(
    Effect.sync(() => {
      duplex.on("data", onData).on("drain", onDrain).on("end", onEnd).on("close", onClose).on("error", onError)
      if (duplex.destroyed || duplex.readableEnded) onClose()
    }),
    () => Effect.sync(() => lose(new LibvirtDisconnected({ reason: "the session was closed" })))
  )

  // ---- time

  const expire = (at: number) => {
    if (calls.size === 0 && queues.priority.size === 0 && queues.normal.size === 0) return
    for (const call of [...calls.values(), ...queues.priority, ...queues.normal]) {
      if (call.abandoned || at - call.since < Duration.toMillis(call.limit)) continue
      abandon(call)
      call.fail(new LibvirtTimeout({ after: Duration.format(call.limit) }))
    }
    const [first] = queues.normal
    if (first === undefined || free.normal > 0 || at - first.since < maxBlocked) return
    const ahead = [...calls.values()].filter((call) => call.lane === "normal")
    if (ahead.every((call) => call.abandoned)) {
      const questions = new Set(ahead.map((call) => asked(call.procedure)))
      lose(new LibvirtDisconnected({ reason: `libvirt does not answer when asked ${[...questions].join(", ")}` }))
    }
  }

  /** Any byte is a sign of life; a daemon that is silent is asked for one. */
  const keepAlive = (at: number) => {
    // while we do not read we cannot know; the daemon is told that we are there
    if (holders.size > 0) heard()
    else if (at - lastHeard < keepaliveInterval) return
    if (at - lastPing < keepaliveInterval) return
    const misses = calls.size >= maxClientRequests || streams.size > 0 ? keepaliveMisses.busy : keepaliveMisses.calm
    if (unanswered >= misses) {
      const silence = Duration.format(Duration.millis(at - lastHeard))
      return lose(new LibvirtDisconnected({ reason: `libvirt gave no sign of life for ${silence}` }))
    }
    unanswered++
    lastPing = at
    duplex.write(Packet.encodeKeepalive(Packet.keepalive.ping))
  }

  const untilTick = () => {
    if (calls.size > 0 || queues.priority.size > 0 || queues.normal.size > 0) return tickInterval
    return Math.max(tickInterval, Math.max(lastHeard, lastPing) + keepaliveInterval - now())
  }

  // one fiber and no more, that sleeps for as long as it can: there are thousands of sessions
  yield* Effect.whileLoop({
    while: () => lostBy === undefined,
    body: () => Effect.sleep(untilTick()),
    step: () => {
      const at = now()
      expire(at)
      if (lostBy === undefined) keepAlive(at)
    }
  }).pipe(Effect.forkScoped)

  const client: RpcClient = {
    call,
    callFor: (procedure, args, reply) => request(procedure, args, reply),
    open,
    events,
    lost: Deferred.await(lost),
    isLost: () => lostBy !== undefined,
    abandon: (reason) => Effect.sync(() => lose(new LibvirtDisconnected({ reason }))),
    pending: () => {
      let waiting = queues.normal.size + queues.priority.size + streams.size
      for (const call of calls.values()) if (!call.abandoned) waiting++
      return waiting
    }
  }

  yield* openSession(client, uri)
  return client
})

const authNone = 0
const authPolkit = 2

const openSession = Effect.fnUntraced(function* (client: RpcClient, uri: string) {
  // also where no authentication is needed: for root on a polkit socket this very call is the authentication
  const { types } = yield* client.call("AUTH_LIST", undefined)
  const [type = authNone] = types
  if (type === authPolkit) yield* client.call("AUTH_POLKIT", undefined)
  else if (type !== authNone) {
    return yield* Effect.fail<LibvirtErrorReason>(
      new LibvirtDisconnected({
        reason: "libvirt asks for SASL authentication: set auth_unix_rw to none or polkit in libvirtd.conf"
      })
    )
  }
  // asking for it also starts the daemon's own pings, so that it drops us when we are gone
  yield* client.call("CONNECT_SUPPORTS_FEATURE", { feature: supportsKeepalive })
  yield* client.call("CONNECT_OPEN", { name: uri, flags: 0 })
})
