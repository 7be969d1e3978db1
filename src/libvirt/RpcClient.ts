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
import * as Mailbox from "effect/Mailbox"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import {
  LibvirtDisconnected,
  type LibvirtErrorReason,
  LibvirtProtocolError,
  LibvirtRefused,
  LibvirtTimeout
} from "../services/Libvirt.ts"
import * as Events from "./Events.ts"
import * as Packet from "./Packet.ts"
import * as Procedures from "./Procedures.ts"
import { RemoteError } from "./Structs.ts"
import * as Xdr from "./Xdr.ts"

/** @since 0.1.0 @category models */
export interface Options {
  /** what CONNECT_OPEN is given, as in `qemu:///system` or `test:///default` */
  readonly uri: string
}

/** A stream that a call opened; closing its scope before `finish` aborts it. @since 0.1.0 @category models */
export interface RpcStream<R> {
  readonly reply: R
  /** Waits while the connection cannot take more. */
  readonly send: (bytes: Uint8Array) => Effect.Effect<void, LibvirtErrorReason>
  /** Ends what is sent, and waits until the daemon has confirmed that it has it all. */
  readonly finish: Effect.Effect<void, LibvirtErrorReason>
  /** What the daemon sends, to its end. A slow reader stops the connection, not the memory. */
  readonly incoming: Stream.Stream<Uint8Array, LibvirtErrorReason>
}

/** @since 0.1.0 @category models */
export interface RpcClient {
  readonly call: <P extends Procedures.ProcedureName>(
    procedure: P,
    args: Procedures.Args<P>
  ) => Effect.Effect<Procedures.Reply<P>, LibvirtErrorReason>
  readonly open: <P extends Procedures.StreamProcedure>(
    procedure: P,
    args: Procedures.Args<P>
  ) => Effect.Effect<RpcStream<Procedures.Reply<P>>, LibvirtErrorReason, Scope.Scope>
  /** From the moment the stream is run. */
  readonly events: Stream.Stream<Events.DomainEvent, LibvirtErrorReason>
  /** Fails when the connection is lost, never ends otherwise. */
  readonly lost: Effect.Effect<never, LibvirtErrorReason>
  readonly isLost: () => boolean
  /** Calls whose reply somebody waits for, and streams that are open. */
  readonly pending: () => number
}

/** libvirtd works on five requests of a client at a time (`max_client_requests`) and stops reading beyond; one is left for what is urgent. */
const normalSlotCount = 4

/** Priority procedures have workers of their own and answer at once, or the daemon is past helping. */
const prioritySlotCount = 16

const keepaliveInterval = Duration.seconds(5)
/** PINGs without any sign of life after which the connection counts as lost */
const keepaliveMisses = 3

const maxWaitingEvents = 10_000

/** Packets that may wait for a slow reader before the connection is paused, and below which it goes on. */
const readAhead = { pause: 32, resume: 8 }

const callLimit = Duration.seconds(30)
/** Procedures that touch disks or start a process. */
const slowLimit = Duration.minutes(2)
const isSlow = (procedure: Procedures.ProcedureName) =>
  /^(STORAGE_|DOMAIN_(CREATE|DESTROY|SAVE|MANAGED|CORE))/.test(procedure)

const supportsKeepalive = 10

/** Events that are registered for as soon as somebody listens. */
const wantedEvents = ["Lifecycle", "Reboot", "DeviceRemoved", "DeviceRemovalFailed", "BlockJob"] as const

interface Call {
  readonly settle: (outcome: Either.Either<Uint8Array, LibvirtErrorReason>) => void
}

interface OpenStream {
  readonly receive: (packet: Packet.Packet) => void
  readonly fail: (reason: LibvirtErrorReason) => void
}

/**
 * Opens a session. The byte stream is the caller's to close; when it ends, breaks, or carries anything that is not the protocol, everything that waits on the
 * session fails at once.
 *
 * @since 0.1.0 @category constructors
 */
export const make = Effect.fn("RpcClient.make")(function* (duplex: Duplex, { uri }: Options) {
  const reader = new Packet.FrameReader()
  const calls = new Map<number, Call>()
  const streams = new Map<number, OpenStream>()
  const listeners = new Set<Mailbox.Mailbox<Events.DomainEvent, LibvirtErrorReason>>()
  const lost = yield* Deferred.make<never, LibvirtErrorReason>()
  const normalSlots = new Slots(normalSlotCount)
  const prioritySlots = new Slots(prioritySlotCount)
  let lostBy: LibvirtErrorReason | undefined
  let lastSerial = 0
  let heard = true

  const lose = (reason: LibvirtErrorReason) => {
    if (lostBy !== undefined) return
    lostBy = reason
    for (const call of calls.values()) call.settle(Either.left(reason))
    for (const stream of streams.values()) stream.fail(reason)
    for (const listener of listeners) listener.unsafeDone(Exit.fail(reason))
    calls.clear()
    streams.clear()
    listeners.clear()
    Deferred.unsafeDone(lost, Effect.fail(reason))
    duplex.destroy()
  }
  const violation = (reason: string) => lose(new LibvirtProtocolError({ reason }))

  const nextSerial = (): number => {
    do lastSerial = lastSerial === 0xffffffff ? 1 : lastSerial + 1
    while (calls.has(lastSerial) || streams.has(lastSerial))
    return lastSerial
  }

  const refusal = (payload: Uint8Array): LibvirtErrorReason =>
    Either.match(Xdr.decode(RemoteError, payload), {
      onLeft: (error) => new LibvirtProtocolError({ reason: `an error that cannot be read: ${error.message}` }),
      onRight: ({ code, domain, int1, message }) =>
        new LibvirtRefused({ code, domain, int1, reason: message ?? `error ${code}` })
    })

  const onReply = (packet: Packet.Packet) => {
    const call = calls.get(packet.serial)
    if (call === undefined) return // abandoned
    calls.delete(packet.serial)
    call.settle(
      packet.status === Packet.statuses.ok ? Either.right(packet.payload) : Either.left(refusal(packet.payload))
    )
  }

  const onEvent = (packet: Packet.Packet) => {
    const event = Events.decode(packet.procedure, packet.payload)
    if (event === undefined) return // of a kind that was not asked for
    if (Either.isLeft(event)) return violation(`event ${packet.procedure} cannot be read: ${event.left.message}`)
    for (const listener of listeners) {
      if (listener.unsafeOffer(event.right)) continue
      listeners.delete(listener)
      listener.unsafeDone(
        Exit.fail(new LibvirtProtocolError({ reason: `more than ${maxWaitingEvents} events wait to be read` }))
      )
    }
  }

  const onPacket = (packet: Packet.Packet) => {
    if (packet.program === Packet.programs.keepalive) {
      if (packet.procedure === Packet.keepalive.ping) duplex.write(Packet.encodeKeepalive(Packet.keepalive.pong))
      return
    }
    if (packet.program !== Packet.programs.remote) return violation(`a packet of the unknown program ${packet.program}`)
    // by type before serial: events carry the serial 1
    switch (packet.type) {
      case Packet.types.reply:
        return onReply(packet)
      case Packet.types.message:
        return onEvent(packet)
      case Packet.types.stream:
      case Packet.types.hole:
        // one that was aborted or has failed may still have packets under way
        return streams.get(packet.serial)?.receive(packet)
      default:
        return violation(`a packet of the unknown type ${packet.type}`)
    }
  }

  const onData = (chunk: Uint8Array) => {
    heard = true
    const packets = reader.push(chunk)
    if (Either.isLeft(packets)) return violation(packets.left.message)
    for (const packet of packets.right) onPacket(packet)
  }
  const onEnd = () => lose(new LibvirtDisconnected({ reason: "libvirt closed the connection" }))
  const onClose = () => lose(new LibvirtDisconnected({ reason: "the connection to libvirt was lost" }))
  const onError = (error: Error) =>
    lose(new LibvirtDisconnected({ reason: `the connection to libvirt was lost: ${error.message}` }))

  yield* Effect.acquireRelease(
    Effect.sync(() => {
      duplex.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onError)
      if (duplex.destroyed || duplex.readableEnded) onClose()
    }),
    () =>
      Effect.sync(() => {
        lose(new LibvirtDisconnected({ reason: "the session was closed" }))
        // the error listener stays: what a destroyed stream reports late is of no interest, and must not end the process
        duplex.off("data", onData).off("end", onEnd).off("close", onClose)
      })
  )

  /** Writes a call's frame and gives its reply's payload. The permit is the daemon's slot: it is kept until the daemon has answered. */
  const exchange = (
    procedure: Procedures.ProcedureName,
    serial: number,
    payload: Uint8Array,
    release: () => void
  ): Effect.Effect<Uint8Array, LibvirtErrorReason> =>
    Effect.async((resume) => {
      if (lostBy !== undefined) {
        release()
        return resume(Effect.fail(lostBy))
      }
      const { number } = Procedures.procedures[procedure]
      calls.set(serial, {
        settle: (outcome) => {
          release()
          resume(outcome)
        }
      })
      duplex.write(
        Packet.encode(
          {
            program: Packet.programs.remote,
            procedure: number,
            type: Packet.types.call,
            serial,
            status: Packet.statuses.ok
          },
          payload
        )
      )
      return Effect.sync(() => {
        if (calls.has(serial)) calls.set(serial, { settle: release })
      })
    })

  /** Has the daemon do a call that was given a serial. */
  const request = <P extends Procedures.ProcedureName>(
    procedure: P,
    args: Procedures.Args<P>,
    serial: () => number
  ): Effect.Effect<Procedures.Reply<P>, LibvirtErrorReason> => {
    const limit = isSlow(procedure) ? slowLimit : callLimit
    const slots = Procedures.procedures[procedure].priority ? prioritySlots : normalSlots
    return Effect.gen(function* () {
      const payload = yield* Either.mapLeft(
        Xdr.encode(Procedures.argsOf(procedure), args),
        (error) => new LibvirtProtocolError({ reason: `its arguments have no encoding: ${error.message}` })
      )
      const reply = yield* Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(slots.take), (release) => restore(exchange(procedure, serial(), payload, release)))
      )
      const decoded = Xdr.decode(Procedures.replyOf(procedure), reply)
      if (Either.isRight(decoded)) return decoded.right
      const reason = new LibvirtProtocolError({ reason: `its reply cannot be read: ${decoded.left.message}` })
      lose(reason)
      return yield* Effect.fail(reason)
    }).pipe(
      Effect.timeoutFail({ duration: limit, onTimeout: () => new LibvirtTimeout({ after: Duration.format(limit) }) })
    )
  }

  const call: RpcClient["call"] = (procedure, args) => request(procedure, args, nextSerial)

  const writable = Effect.suspend(() =>
    lostBy !== undefined
      ? Effect.fail(lostBy)
      : duplex.writableNeedDrain
        ? Effect.raceFirst(
            Effect.async<void>((resume) => {
              const drained = () => resume(Effect.void)
              duplex.once("drain", drained)
              return Effect.sync(() => duplex.off("drain", drained))
            }),
            Deferred.await(lost)
          )
        : Effect.void
  )

  const open: RpcClient["open"] = (procedure, args) =>
    Effect.gen(function* () {
      const serial = nextSerial()
      const incoming = yield* Mailbox.make<Uint8Array, LibvirtErrorReason>()
      const finished = yield* Deferred.make<void, LibvirtErrorReason>()
      let waiting = 0
      let state: "open" | "finishing" | "ended" = "open"
      const fail = (reason: LibvirtErrorReason) => {
        state = "ended"
        incoming.unsafeDone(Exit.fail(reason))
        Deferred.unsafeDone(finished, Effect.fail(reason))
        streams.delete(serial)
      }
      const frame = (status: number, payload?: Uint8Array) =>
        Packet.encode(
          {
            program: Packet.programs.remote,
            procedure: Procedures.procedures[procedure].number,
            type: Packet.types.stream,
            serial,
            status
          },
          payload
        )
      const receive = (packet: Packet.Packet) => {
        if (packet.status === Packet.statuses.error) return fail(refusal(packet.payload))
        if (packet.type === Packet.types.hole) {
          return fail(new LibvirtProtocolError({ reason: "it sent a hole that was not asked for" }))
        }
        if (packet.status === Packet.statuses.ok) {
          state = "ended"
          incoming.unsafeDone(Exit.void)
          Deferred.unsafeDone(finished, Effect.void)
          streams.delete(serial)
          return
        }
        // an empty packet is the end of the daemon's data; the stream stays open for ours
        if (packet.payload.length === 0) return incoming.unsafeDone(Exit.void)
        waiting++
        if (waiting > readAhead.pause) duplex.pause()
        incoming.unsafeOffer(packet.payload)
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => streams.set(serial, { receive, fail })),
        () =>
          Effect.sync(() => {
            streams.delete(serial)
            if (waiting > readAhead.pause && duplex.isPaused()) duplex.resume()
            if (state !== "ended" && lostBy === undefined) duplex.write(frame(Packet.statuses.error))
          })
      )
      const reply = yield* request(procedure, args, () => serial).pipe(
        // refused: there is no stream to abort
        Effect.tapError(() => Effect.sync(() => void (state = "ended")))
      )
      const stream: RpcStream<typeof reply> = {
        reply,
        send: (bytes) =>
          Effect.gen(function* () {
            for (let at = 0; at < bytes.length; at += Packet.streamChunk) {
              yield* writable
              // the daemon may have refused what was sent before
              if (yield* Deferred.isDone(finished)) return yield* Deferred.await(finished)
              duplex.write(frame(Packet.statuses.continue, bytes.subarray(at, at + Packet.streamChunk)))
            }
          }),
        finish: Effect.suspend(() => {
          if (state === "open") {
            state = "finishing"
            duplex.write(frame(Packet.statuses.ok))
          }
          return Deferred.await(finished)
        }).pipe(
          Effect.timeoutFail({
            duration: slowLimit,
            onTimeout: () => new LibvirtTimeout({ after: Duration.format(slowLimit) })
          })
        ),
        incoming: Mailbox.toStream(incoming).pipe(
          Stream.tap(() =>
            Effect.sync(() => {
              waiting--
              if (waiting < readAhead.resume && duplex.isPaused()) duplex.resume()
            })
          )
        )
      }
      return stream
    })

  const register = yield* Effect.cached(
    Effect.forEach(
      wantedEvents,
      (name) =>
        call("CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY", { eventID: Events.messages[name].id, dom: null }).pipe(
          // an older daemon, or a driver without devices, knows fewer events; lifecycle ones they all have
          Effect.catchIf(
            (reason) => reason._tag === "LibvirtRefused" && name !== "Lifecycle",
            (reason) => Effect.logDebug(`libvirt has no ${name} events`, reason)
          )
        ),
      { discard: true }
    )
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

  /** Any byte is a sign of life; a daemon that is silent is asked for one. */
  const keepAlive = Effect.gen(function* () {
    let misses = 0
    yield* Effect.sync(() => {
      if (lostBy !== undefined) return
      misses = heard ? 0 : misses + 1
      heard = false
      if (misses >= keepaliveMisses) {
        const silence = Duration.format(Duration.times(keepaliveInterval, keepaliveMisses))
        lose(new LibvirtDisconnected({ reason: `libvirt gave no sign of life for ${silence}` }))
      } else duplex.write(Packet.encodeKeepalive(Packet.keepalive.ping))
    }).pipe(Effect.schedule(Schedule.spaced(keepaliveInterval)))
  })

  const client: RpcClient = {
    call,
    open,
    events,
    lost: Deferred.await(lost),
    isLost: () => lostBy !== undefined,
    pending: () => calls.size + streams.size
  }

  yield* openSession(client, uri)
  yield* Effect.forkScoped(keepAlive)
  return client
})

const authNone = 0
const authPolkit = 2

const openSession = Effect.fnUntraced(function* (client: RpcClient, uri: string) {
  // also where no authentication is needed: for root on a polkit socket this very call is the authentication
  const { types } = yield* client.call("AUTH_LIST", undefined)
  if (types[0] === authPolkit) yield* client.call("AUTH_POLKIT", undefined)
  else if (types[0] !== authNone && types[0] !== undefined) {
    return yield* Effect.fail<LibvirtErrorReason>(
      new LibvirtProtocolError({
        reason: "libvirt asks for SASL authentication: set auth_unix_rw to none or polkit in libvirtd.conf"
      })
    )
  }
  // asking for it also starts the daemon's own pings, so that it drops us when we are gone
  yield* client.call("CONNECT_SUPPORTS_FEATURE", { feature: supportsKeepalive })
  yield* client.call("CONNECT_OPEN", { name: uri, flags: 0 })
})

/** The daemon's places for requests, handed out and given back without a fiber. */
class Slots {
  private free: number
  private readonly waiting = new Set<() => void>()

  constructor(count: number) {
    this.free = count
  }

  /** Waits for a place; gives what frees it, which may be called more than once. */
  readonly take: Effect.Effect<() => void> = Effect.async((resume) => {
    let granted = false
    const grant = () => {
      granted = true
      resume(Effect.succeed(this.once()))
    }
    if (this.free > 0) {
      this.free--
      grant()
      return
    }
    this.waiting.add(grant)
    return Effect.sync(() => {
      this.waiting.delete(grant)
      if (granted) this.give()
    })
  })

  private once(): () => void {
    let held = true
    return () => {
      if (!held) return
      held = false
      this.give()
    }
  }

  private give(): void {
    const [next] = this.waiting
    if (next === undefined) this.free++
    else {
      this.waiting.delete(next)
      next()
    }
  }
}
