/**
 * The simulated libvirt daemon: libvirt's RPC protocol as libvirtd 9.0.0 serves it, over the host's state.
 *
 * @since 0.1.0
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberSet from "effect/FiberSet"
import * as Predicate from "effect/Predicate"
import * as RcMap from "effect/RcMap"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import { messages } from "../libvirt/Events.ts"
import * as Packet from "../libvirt/Packet.ts"
import * as Procedures from "../libvirt/Procedures.ts"
import * as Structs from "../libvirt/Structs.ts"
import * as Xdr from "../libvirt/Xdr.ts"
import type * as Faults from "./Faults.ts"
import * as Domains from "./Domains.ts"
import * as Guests from "./Guests.ts"
import * as Handlers from "./Handlers.ts"
import type { HostEvent, HostState, LiveDomain, SimulatedDomain } from "./HostState.ts"
import { code, from, refuse, type Refusal } from "./Refusal.ts"
import * as SerialLine from "./SerialLine.ts"
import * as Storage from "./Storage.ts"

/** @since 0.1.0 @category models */
export interface Libvirtd {
  /** Serves one connection to its socket until either side ends it. Calls that have begun go on to their end even then. */
  readonly serve: (stream: Duplex) => Effect.Effect<void>
  /** Ends every connection and everything that was being done. */
  readonly stop: Effect.Effect<void>
}

/** `max_client_requests` of libvirtd.conf */
const maxRequests = 5
/** `keepalive_interval` and `keepalive_count` */
const keepalive = { interval: Duration.seconds(5), count: 5 }
/** how long a change of a domain waits for the one before it */
const jobWait = Duration.seconds(30)

const poolEvents = {
  lifecycle: {
    number: 370,
    payload: Xdr.struct({ callbackID: Xdr.i32, pool: Structs.Pool, event: Xdr.i32, detail: Xdr.i32 })
  },
  refresh: { number: 373, payload: Xdr.struct({ callbackID: Xdr.i32, pool: Structs.Pool }) }
}

/** Under which family and id each event is registered for. */
const kinds: Readonly<Record<HostEvent["_tag"], readonly [family: Handlers.Registration["family"], id: number]>> = {
  DomainLifecycle: ["domain", messages.Lifecycle.id],
  DomainReboot: ["domain", messages.Reboot.id],
  DeviceAdded: ["domain", messages.DeviceAdded.id],
  DeviceRemoved: ["domain", messages.DeviceRemoved.id],
  DeviceRemovalFailed: ["domain", messages.DeviceRemovalFailed.id],
  DomainMetadata: ["domain", messages.MetadataChange.id],
  PoolLifecycle: ["pool", 0],
  PoolRefresh: ["pool", 1]
}

interface Upload {
  readonly target: ReturnType<typeof Storage.uploadTo>
  /** an error was sent; what still arrives is dropped */
  failed: boolean
}

interface OpenConsole {
  readonly domain: SimulatedDomain
  readonly live: LiveDomain
  readonly listener: SerialLine.Listener
}

interface Connection extends Handlers.Session {
  readonly stream: Duplex
  readonly uploads: Map<number, Upload>
  readonly downloads: Set<number>
  readonly consoles: Map<number, OpenConsole>
  readonly ended: Deferred.Deferred<void>
  heard: boolean
}

type Call = Pick<Packet.Packet, "program" | "version" | "procedure" | "serial">

/** Runs until the scope is closed or it is stopped. @since 0.1.0 @category constructors */
export const make = (options: {
  readonly state: HostState
  readonly gate: Faults.Gate
  readonly guests: Guests.GuestControl
}): Effect.Effect<Libvirtd, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { gate, guests, state } = options
    const work = yield* FiberSet.make<void>()
    const run = yield* FiberSet.runtime(work)<never>()
    const connections = new Set<Connection>()
    /** of the domains that have a job: those that are no more leave nothing */
    const turns = yield* RcMap.make({ lookup: (_uuid: string) => Effect.makeSemaphore(1) })

    const handlers = Handlers.make({
      state,
      guests,
      nextCallback: { domain: 0, pool: 0, network: 0 }
    })

    /** One job at a time on a domain, whatever holds it up. */
    const inTurn = <A>(
      procedure: Procedures.ProcedureName,
      args: unknown,
      job: Effect.Effect<A, Refusal>
    ): Effect.Effect<A, Refusal> => {
      if (!Handlers.jobs.has(procedure) || !Predicate.hasProperty(args, "dom")) return job
      const uuid = Predicate.hasProperty(args.dom, "uuid") ? String(args.dom.uuid) : ""
      return Effect.flatMap(RcMap.get(turns, uuid), (turn) =>
        Effect.acquireUseRelease(
          turn.take(1).pipe(
            Effect.interruptible,
            Effect.timeoutFail({
              duration: jobWait,
              onTimeout: () =>
                refuse(code.timeout, from.qemu, "cannot acquire state change lock (held by monitor=remoteDispatch)")
            })
          ),
          () => job,
          () => turn.release(1)
        )
      ).pipe(Effect.scoped)
    }

    // ---- writing

    const put = (connection: Connection, bytes: Uint8Array): void => {
      if (connection.stream.writable) connection.stream.write(bytes)
    }

    const send = (connection: Connection, call: Call, type: number, status: number, payload?: Uint8Array): void => {
      const { procedure, program, serial, version } = call
      const frame = Packet.encode({ program, version, procedure, type, serial, status }, payload)
      if (type === Packet.types.reply && gate.takeCorruption()) frame.fill(0xff, 28)
      put(connection, frame)
    }

    const sendError = (connection: Connection, call: Call, type: number, error: Refusal): Effect.Effect<void> =>
      Xdr.encode(Structs.RemoteError, {
        code: error.code,
        domain: error.domain,
        message: error.message,
        level: 2,
        dom: null,
        str1: error.str1,
        str2: error.str2,
        str3: null,
        int1: error.int1,
        int2: error.int1 === 0 ? 0 : -1,
        net: null
      }).pipe(
        Effect.orDie,
        Effect.map((payload) => send(connection, call, type, Packet.statuses.error, payload))
      )

    const push = <A>(
      connection: Connection,
      event: { readonly number: number; readonly payload: Xdr.Codec<A> },
      value: A
    ): void => {
      const payload = Xdr.encode(event.payload, value)
      if (Either.isLeft(payload)) return
      const call = { program: Packet.programs.remote, version: 1, procedure: event.number, serial: 1 }
      send(connection, call, Packet.types.message, Packet.statuses.ok, payload.right)
    }

    const tell = (connection: Connection, callbackID: number, event: HostEvent): void => {
      switch (event._tag) {
        case "DomainLifecycle": {
          const { detail, domain: dom, event: number } = event
          return push(connection, messages.Lifecycle, { callbackID, dom, event: number, detail })
        }
        case "DomainReboot":
          return push(connection, messages.Reboot, { callbackID, dom: event.domain })
        case "DeviceAdded":
        case "DeviceRemoved":
        case "DeviceRemovalFailed":
          return push(connection, messages[event._tag], { callbackID, dom: event.domain, devAlias: event.alias })
        case "DomainMetadata":
          return push(connection, messages.MetadataChange, {
            callbackID,
            dom: event.domain,
            type: event.type,
            nsuri: event.uri
          })
        case "PoolLifecycle":
          return push(connection, poolEvents.lifecycle, { callbackID, pool: event.pool, event: event.event, detail: 0 })
        case "PoolRefresh":
          return push(connection, poolEvents.refresh, { callbackID, pool: event.pool })
      }
    }

    const emit = (event: HostEvent): void => {
      const about = "pool" in event ? event.pool : event.domain
      const [family, wanted] = kinds[event._tag]
      for (const connection of connections) {
        for (const { callbackID, eventID, ...registered } of connection.registered.values()) {
          if (registered.family !== family || eventID !== wanted) continue
          if (registered.uuid === null || registered.uuid === about.uuid) tell(connection, callbackID, event)
        }
      }
    }
    state.emit = emit

    // ---- calls

    const invoke = <P extends Procedures.ProcedureName>(
      connection: Connection,
      procedure: P,
      payload: Uint8Array
    ): Effect.Effect<{ readonly args: Procedures.Args<P>; readonly reply: Uint8Array }, Refusal> =>
      Effect.gen(function* () {
        const handler = handlers[procedure]
        const args = yield* Xdr.decode(Procedures.argsOf(procedure), payload).pipe(
          Either.mapLeft(() => refuse(code.rpc, from.rpc, "Unable to decode message payload"))
        )
        if (handler === undefined) {
          return yield* refuse(code.noSupport, from.rpc, `${procedure} (the simulated daemon does not have it)`)
        }
        const reply = yield* gate.around(procedure, args, handler(args, connection), (job) =>
          inTurn(procedure, args, job)
        )
        return { args, reply: yield* Effect.orDie(Xdr.encode(Procedures.replyOf(procedure), reply)) }
      })

    /** What may be called before CONNECT_OPEN. */
    const early = (procedure: Procedures.ProcedureName, payload: Uint8Array): boolean =>
      procedure === "AUTH_LIST" ||
      procedure === "CONNECT_OPEN" ||
      procedure === "CONNECT_CLOSE" ||
      (procedure === "CONNECT_SUPPORTS_FEATURE" && Buffer.from(payload).readInt32BE(0) === 10)

    const call = (connection: Connection, packet: Packet.Packet): Effect.Effect<void> =>
      Effect.gen(function* () {
        if (packet.status !== Packet.statuses.ok) {
          return yield* refuse(code.rpc, from.rpc, `Unexpected message status ${packet.status}`)
        }
        const procedure = Procedures.byNumber(packet.procedure)
        if (procedure === undefined) {
          return yield* refuse(code.rpc, from.rpc, `unknown procedure: ${packet.procedure}`)
        }
        if (!connection.open && !early(procedure, packet.payload)) {
          return yield* refuse(code.internal, from.rpc, "hypervisor connection not open")
        }
        if (procedure === "STORAGE_VOL_UPLOAD" || procedure === "STORAGE_VOL_DOWNLOAD") {
          const { args, reply } = yield* invoke(connection, procedure, packet.payload)
          send(connection, packet, Packet.types.reply, Packet.statuses.ok, reply)
          return yield* openStream(connection, packet, procedure, args)
        }
        if (procedure === "DOMAIN_SCREENSHOT") {
          const { args, reply } = yield* invoke(connection, procedure, packet.payload)
          const picture = Guests.picture(yield* Domains.find(state, args.dom))
          send(connection, packet, Packet.types.reply, Packet.statuses.ok, reply)
          connection.downloads.add(packet.serial)
          send(connection, packet, Packet.types.stream, Packet.statuses.continue, picture)
          send(connection, packet, Packet.types.stream, Packet.statuses.continue)
          return
        }
        if (procedure === "DOMAIN_OPEN_CONSOLE") return yield* openConsole(connection, packet)
        const { reply } = yield* invoke(connection, procedure, packet.payload)
        send(connection, packet, Packet.types.reply, Packet.statuses.ok, reply)
        if (connection.closing) connection.stream.end()
      }).pipe(Effect.catchAll((error) => sendError(connection, packet, Packet.types.reply, error)))

    // ---- streams

    const openStream = (
      connection: Connection,
      packet: Packet.Packet,
      procedure: "STORAGE_VOL_UPLOAD" | "STORAGE_VOL_DOWNLOAD",
      args: Procedures.Args<"STORAGE_VOL_UPLOAD">
    ): Effect.Effect<void, Refusal> =>
      Effect.gen(function* () {
        const volume = yield* Storage.volumeOf(state, args.vol)
        const range = { offset: Number(args.offset), length: Number(args.length) }
        if (procedure === "STORAGE_VOL_UPLOAD") {
          connection.uploads.set(packet.serial, { target: Storage.uploadTo(state, volume, range), failed: false })
          return
        }
        connection.downloads.add(packet.serial)
        const end = range.length === 0 ? volume.file.size : Math.min(volume.file.size, range.offset + range.length)
        for (let at = range.offset; at < end && connection.downloads.has(packet.serial); at += Packet.streamChunk) {
          const bytes = volume.file.read(at, Math.min(Packet.streamChunk, end - at))
          yield* drained(connection.stream)
          send(connection, packet, Packet.types.stream, Packet.statuses.continue, bytes)
        }
        if (connection.downloads.has(packet.serial)) {
          send(connection, packet, Packet.types.stream, Packet.statuses.continue)
        }
      })

    const openConsole = (connection: Connection, packet: Packet.Packet): Effect.Effect<void, Refusal> =>
      Effect.gen(function* () {
        const { args, reply } = yield* invoke(connection, "DOMAIN_OPEN_CONSOLE", packet.payload)
        const domain = yield* Domains.find(state, args.dom)
        const { live } = domain
        if (live === null) return yield* refuse(code.operationInvalid, from.qemu, "domain is not running")
        const tell = (bytes?: Uint8Array) =>
          send(connection, packet, Packet.types.stream, Packet.statuses.continue, bytes)
        const listener: SerialLine.Listener = {
          output: tell,
          end: (why) => {
            if (why === "off") return tell()
            connection.consoles.delete(packet.serial)
            run(
              sendError(connection, packet, Packet.types.stream, refuse(code.rpc, from.rpc, "stream had I/O failure"))
            )
          }
        }
        if (!SerialLine.open(live, (args.flags & 1) === 1, listener)) {
          return yield* refuse(code.operationFailed, from.qemu, "Active console session exists for this domain")
        }
        connection.consoles.set(packet.serial, { domain, live, listener })
        send(connection, packet, Packet.types.reply, Packet.statuses.ok, reply)
      })

    // a thread of the daemon's does it, so the client is told first
    const closeUpload = (upload: Upload): void => {
      run(
        Effect.async<void>((resume) => {
          const soon = setImmediate(() => {
            upload.target.close()
            resume(Effect.void)
          })
          return Effect.sync(() => clearImmediate(soon))
        })
      )
    }

    const streamPacket = (connection: Connection, packet: Packet.Packet): Effect.Effect<void> =>
      Effect.suspend(() => {
        const console = connection.consoles.get(packet.serial)
        if (console !== undefined) {
          if (packet.status === Packet.statuses.continue) {
            if (console.domain.live === console.live) SerialLine.type(console.domain, packet.payload)
            return Effect.void
          }
          connection.consoles.delete(packet.serial)
          SerialLine.close(console.live, console.listener)
          send(connection, packet, Packet.types.stream, Packet.statuses.ok)
          return Effect.void
        }
        const upload = connection.uploads.get(packet.serial)
        if (upload === undefined) {
          // a download's finish or abort; anything else belongs to a stream that is over
          if (packet.status !== Packet.statuses.continue && connection.downloads.delete(packet.serial)) {
            send(connection, packet, Packet.types.stream, Packet.statuses.ok)
          }
          return Effect.void
        }
        if (packet.type === Packet.types.hole) {
          upload.target.skip(Number(Buffer.from(packet.payload).readBigInt64BE(0)))
          return Effect.void
        }
        if (packet.status === Packet.statuses.continue) {
          if (upload.failed) return Effect.void
          const written = upload.target.write(packet.payload)
          return Effect.zipRight(
            gate.streamed(packet.payload.length),
            Effect.suspend(() => {
              if (Either.isRight(written)) return Effect.void
              upload.failed = true
              return sendError(connection, packet, Packet.types.stream, written.left)
            })
          )
        }
        // finished or aborted: both are confirmed, also after an error
        connection.uploads.delete(packet.serial)
        send(connection, packet, Packet.types.stream, Packet.statuses.ok)
        closeUpload(upload)
        return Effect.void
      })

    // ---- connections

    const receive = (connection: Connection, slots: Effect.Semaphore, packet: Packet.Packet): Effect.Effect<void> =>
      Effect.suspend(() => {
        connection.heard = true
        if (packet.program === Packet.programs.keepalive) {
          if (packet.procedure === Packet.keepalive.ping) put(connection, Packet.encodeKeepalive(Packet.keepalive.pong))
          return Effect.void
        }
        if (packet.type === Packet.types.stream || packet.type === Packet.types.hole) {
          return streamPacket(connection, packet)
        }
        if (packet.type !== Packet.types.call) return Effect.void
        if (packet.program !== Packet.programs.remote || packet.version !== 1) {
          return sendError(
            connection,
            packet,
            Packet.types.reply,
            refuse(code.rpc, from.rpc, `Cannot find program ${packet.program} version ${packet.version}`)
          )
        }
        // it does not belong to the connection: a call goes on when its client has gone
        return Effect.map(slots.take(1), () => {
          run(Effect.ensuring(call(connection, packet), slots.release(1)))
        })
      })

    const probe = (connection: Connection): Effect.Effect<void> =>
      Effect.gen(function* () {
        for (let unanswered = 0; ;) {
          yield* Clock.sleep(keepalive.interval)
          if (connection.heard) unanswered = 0
          else if (unanswered >= keepalive.count) return
          connection.heard = false
          unanswered++
          put(connection, Packet.encodeKeepalive(Packet.keepalive.ping))
        }
      })

    const serve: Libvirtd["serve"] = (stream) =>
      Effect.gen(function* () {
        const probing = yield* Deferred.make<void>()
        const ended = yield* Deferred.make<void>()
        const slots = yield* Effect.makeSemaphore(maxRequests)
        const frames = new Packet.FrameReader()
        const connection: Connection = {
          stream,
          open: false,
          closing: false,
          registered: new Map(),
          uploads: new Map(),
          downloads: new Set(),
          consoles: new Map(),
          ended,
          heard: true,
          startKeepalive: () => Deferred.unsafeDone(probing, Effect.void)
        }
        connections.add(connection)
        const reading = NodeStream.fromReadable<unknown, Uint8Array>(
          () => stream,
          (cause) => cause
        ).pipe(
          Stream.runForEachWhile((bytes) => {
            const packets = frames.push(bytes)
            if (Either.isLeft(packets)) return Effect.succeed(false)
            return Effect.as(
              Effect.forEach(
                packets.right,
                // with as many calls as it may have in hand the daemon does not even read on
                (packet) => Effect.zipRight(slots.withPermits(1)(Effect.void), receive(connection, slots, packet)),
                { discard: true }
              ),
              true
            )
          }),
          // a connection that breaks ends like one that is closed
          Effect.catchAll(() => Effect.void)
        )
        yield* reading.pipe(
          Effect.raceFirst(Deferred.await(ended)),
          Effect.raceFirst(Effect.zipRight(Deferred.await(probing), probe(connection))),
          Effect.ensuring(
            Effect.sync(() => {
              connections.delete(connection)
              for (const upload of connection.uploads.values()) closeUpload(upload)
              connection.uploads.clear()
              connection.downloads.clear()
              for (const { listener, live } of connection.consoles.values()) SerialLine.close(live, listener)
              connection.consoles.clear()
              stream.end()
            })
          )
        )
      })

    return {
      serve,
      stop: Effect.suspend(() => {
        if (state.emit === emit) state.emit = () => {}
        for (const { ended } of connections) Deferred.unsafeDone(ended, Effect.void)
        return FiberSet.clear(work)
      })
    }
  })

/** Waits until the stream has room. */
const drained = (stream: Duplex): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (!stream.writableNeedDrain || !stream.writable) return resume(Effect.void)
    const done = () => {
      stream.off("drain", done)
      stream.off("close", done)
      resume(Effect.void)
    }
    stream.once("drain", done)
    stream.once("close", done)
    return Effect.sync(() => {
      stream.off("drain", done)
      stream.off("close", done)
    })
  })
