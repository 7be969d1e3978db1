/**
 * A libvirt client of a few lines, for speaking to a daemon without anything of ours but the codec in between: to the simulated one and to
 * a real one alike.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Duplex } from "node:stream"
import * as Packet from "../../src/libvirt/Packet.ts"
import * as Procedures from "../../src/libvirt/Procedures.ts"
import * as Structs from "../../src/libvirt/Structs.ts"
import * as Xdr from "../../src/libvirt/Xdr.ts"

export type RemoteError = Structs.RemoteError
export type Vol = Structs.Vol

export interface RawClient {
  readonly call: <P extends Procedures.ProcedureName>(
    procedure: P,
    args: Procedures.Args<P>
  ) => Effect.Effect<Procedures.Reply<P>, RemoteError>
  /** the bytes of a call that is not in the table */
  readonly raw: (procedure: number, payload?: Uint8Array) => Effect.Effect<Uint8Array, RemoteError>
  readonly open: Effect.Effect<void, RemoteError>
  /** every frame that was no reply, in order */
  readonly pushed: Array<Packet.Packet>
  /** resolves with the frame that `wanted` accepts, also one that came before */
  readonly await: (wanted: (packet: Packet.Packet) => boolean) => Effect.Effect<Packet.Packet>
  readonly send: (header: Packet.Header, payload?: Uint8Array) => void
  /** what to do with the reply to a call that `send` sent */
  readonly onReply: (serial: number, handle: (packet: Packet.Packet) => void) => void
  /** the serial of the last call */
  readonly serial: () => number
  readonly closed: Effect.Effect<void>
  readonly stream: Duplex
}

export const make = (stream: Duplex): RawClient => {
  const reader = new Packet.FrameReader()
  const replies = new Map<number, (packet: Packet.Packet) => void>()
  const pushed: Array<Packet.Packet> = []
  const waiting = new Set<(packet: Packet.Packet) => void>()
  let last = 0
  stream.on("error", () => {})
  stream.on("data", (bytes: Uint8Array) => {
    for (const packet of Either.getOrThrow(reader.push(bytes))) {
      if (packet.type === Packet.types.reply) replies.get(packet.serial)?.(packet)
      else {
        pushed.push(packet)
        for (const notify of waiting) notify(packet)
      }
    }
  })
  const send: RawClient["send"] = (header, payload) => void stream.write(Packet.encode(header, payload))
  const raw: RawClient["raw"] = (procedure, payload = new Uint8Array(0)) =>
    Effect.async<Packet.Packet>((resume) => {
      const serial = ++last
      replies.set(serial, (packet) => {
        replies.delete(serial)
        resume(Effect.succeed(packet))
      })
      send(
        { program: Packet.programs.remote, procedure, type: Packet.types.call, serial, status: Packet.statuses.ok },
        payload
      )
    }).pipe(
      Effect.flatMap((packet) =>
        packet.status === Packet.statuses.ok
          ? Effect.succeed(packet.payload)
          : Effect.flatMap(Effect.orDie(Xdr.decode(Structs.RemoteError, packet.payload)), (error) => Effect.fail(error))
      )
    )
  const call: RawClient["call"] = <P extends Procedures.ProcedureName>(procedure: P, args: Procedures.Args<P>) => {
    return Effect.orDie(Xdr.encode(Procedures.argsOf(procedure), args)).pipe(
      Effect.flatMap((payload) => raw(Procedures.procedures[procedure].number, payload)),
      Effect.flatMap((payload) => Effect.orDie(Xdr.decode(Procedures.replyOf(procedure), payload)))
    )
  }
  return {
    call,
    raw,
    open: Effect.zipRight(call("AUTH_LIST", undefined), call("CONNECT_OPEN", { name: "qemu:///system", flags: 0 })),
    pushed,
    await: (wanted) =>
      Effect.async((resume) => {
        const before = pushed.find(wanted)
        if (before !== undefined) return resume(Effect.succeed(before))
        const notify = (packet: Packet.Packet) => {
          if (!wanted(packet)) return
          waiting.delete(notify)
          resume(Effect.succeed(packet))
        }
        waiting.add(notify)
        return Effect.sync(() => waiting.delete(notify))
      }),
    send,
    onReply: (serial, handle) => void replies.set(serial, handle),
    serial: () => last,
    closed: Effect.async((resume) => {
      if (stream.readableEnded || stream.destroyed) return resume(Effect.void)
      stream.once("close", () => resume(Effect.void))
      stream.once("end", () => resume(Effect.void))
    }),
    stream
  }
}
