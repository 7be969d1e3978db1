/** The daemon's end of a connection, played by the test frame by frame. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Duplex } from "node:stream"
import * as Events from "../../src/libvirt/Events.ts"
import * as Packet from "../../src/libvirt/Packet.ts"
import * as Procedures from "../../src/libvirt/Procedures.ts"
import { RemoteError } from "../../src/libvirt/Structs.ts"
import * as Xdr from "../../src/libvirt/Xdr.ts"

/** As a socket: what the other side does not read is not taken. */
class End extends Duplex {
  peer: End | undefined
  private unread: (() => void) | undefined

  constructor() {
    super({ highWaterMark: 64 * 1024 })
    this.on("error", () => {})
  }

  override _read(): void {
    const take = this.peer?.unread
    if (this.peer !== undefined) this.peer.unread = undefined
    take?.()
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: () => void): void {
    setImmediate(() => {
      const { peer } = this
      if (peer === undefined || peer.destroyed || peer.readableEnded || peer.push(chunk)) callback()
      else this.unread = callback
    })
  }

  override _final(callback: () => void): void {
    setImmediate(() => {
      if (this.peer?.destroyed === false) this.peer.push(null)
      callback()
    })
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const { peer } = this
    setImmediate(() => {
      if (peer?.destroyed === false && !peer.readableEnded) peer.push(null)
    })
    callback(error)
  }
}

export const duplexPair = (): readonly [Duplex, Duplex] => {
  const left = new End()
  const right = new End()
  left.peer = right
  right.peer = left
  return [left, right]
}

/** Lets everything that is under way in memory arrive. */
export const settled = Effect.async<void>((resume) => {
  let turns = 20
  const turn = () => (turns-- === 0 ? resume(Effect.void) : setImmediate(turn))
  turn()
})

export interface Peer {
  readonly duplex: Duplex
  /** the next frame that is neither keepalive nor answered by `opening` */
  readonly next: Effect.Effect<Packet.Packet>
  /** frames that have arrived and were not taken by `next` */
  readonly waiting: () => number
  /** PINGs and PONGs that have come */
  readonly keepalive: Array<"ping" | "pong">
  /** names of the calls that came, in order; those of `opening` too */
  readonly calls: Array<string>
  readonly reply: <P extends Procedures.ProcedureName>(
    to: Packet.Packet,
    procedure: P,
    value: Procedures.Reply<P>
  ) => void
  readonly refuse: (to: Packet.Packet, code: number, message: string, type?: number) => void
  readonly stream: (to: Packet.Packet, status: number, payload?: Uint8Array) => void
  readonly lifecycle: (callbackID: number, name: string) => void
  readonly send: (header: Packet.Header, payload?: Uint8Array) => void
}

export interface Opening {
  /** what AUTH_LIST answers; default none */
  readonly auth?: ReadonlyArray<number>
  /** whether PINGs are answered; default true */
  readonly pong?: boolean
  /** answers a call itself and gives true, or leaves it to the test */
  readonly answer?: (peer: Peer, call: Packet.Packet, name: Procedures.ProcedureName) => boolean
}

const { error, ok } = Packet.statuses

/** Plays the daemon up to the open session. */
export const make = (duplex: Duplex, opening: Opening = {}): Peer => {
  const reader = new Packet.FrameReader()
  const arrived: Array<Packet.Packet> = []
  const takers = new Set<(packet: Packet.Packet) => void>()
  const send: Peer["send"] = (header, payload) => void duplex.write(Packet.encode(header, payload))
  const remote = Packet.programs.remote
  const peer: Peer = {
    duplex,
    next: Effect.async((resume) => {
      const packet = arrived.shift()
      if (packet !== undefined) return resume(Effect.succeed(packet))
      const take = (packet: Packet.Packet) => resume(Effect.succeed(packet))
      takers.add(take)
      return Effect.sync(() => takers.delete(take))
    }),
    waiting: () => arrived.length,
    keepalive: [],
    calls: [],
    send,
    reply: (to, procedure, value) =>
      send(
        { program: remote, procedure: to.procedure, type: Packet.types.reply, serial: to.serial, status: ok },
        Either.getOrThrow(Xdr.encode(Procedures.replyOf(procedure), value))
      ),
    refuse: (to, code, message, type = Packet.types.reply) =>
      send(
        { program: remote, procedure: to.procedure, type, serial: to.serial, status: error },
        Either.getOrThrow(
          Xdr.encode(RemoteError, {
            code,
            domain: 10,
            message,
            level: 2,
            dom: null,
            str1: null,
            str2: null,
            str3: null,
            int1: -1,
            int2: -1,
            net: null
          })
        )
      ),
    stream: (to, status, payload) =>
      send({ program: remote, procedure: to.procedure, type: Packet.types.stream, serial: to.serial, status }, payload),
    lifecycle: (callbackID, name) => {
      const { number, payload } = Events.messages.Lifecycle
      const dom = { name, uuid: "00112233-4455-6677-8899-aabbccddeeff", id: -1 }
      send(
        { program: remote, procedure: number, type: Packet.types.message, serial: 1, status: ok },
        Either.getOrThrow(Xdr.encode(payload, { callbackID, dom, event: 5, detail: 1 }))
      )
    }
  }
  const open = (call: Packet.Packet, name: Procedures.ProcedureName): boolean => {
    if (opening.answer?.(peer, call, name) === true) return true
    switch (name) {
      case "AUTH_LIST":
        peer.reply(call, "AUTH_LIST", { types: opening.auth ?? [0] })
        return true
      case "AUTH_POLKIT":
        peer.reply(call, "AUTH_POLKIT", { complete: 1 })
        return true
      case "CONNECT_SUPPORTS_FEATURE":
        peer.reply(call, "CONNECT_SUPPORTS_FEATURE", { supported: 1 })
        return true
      case "CONNECT_OPEN":
        peer.reply(call, "CONNECT_OPEN", undefined)
        return true
      default:
        return false
    }
  }
  const receive = (packet: Packet.Packet) => {
    if (packet.program === Packet.programs.keepalive) {
      const ping = packet.procedure === Packet.keepalive.ping
      peer.keepalive.push(ping ? "ping" : "pong")
      if (ping && opening.pong !== false) duplex.write(Packet.encodeKeepalive(Packet.keepalive.pong))
      return
    }
    const name = Procedures.byNumber(packet.procedure)
    if (packet.type === Packet.types.call && name !== undefined) {
      peer.calls.push(name)
      if (open(packet, name)) return
    }
    const [take] = takers
    if (take === undefined) {
      arrived.push(packet)
      return
    }
    takers.delete(take)
    take(packet)
  }
  duplex.on("data", (chunk: Uint8Array) => Either.getOrThrow(reader.push(chunk)).forEach(receive))
  return peer
}
