/** The recorded frames of `fixtures/rpc`, and which codec of the tables each of them is for. */
import * as Either from "effect/Either"
import { readFileSync } from "node:fs"
import * as Events from "../../src/libvirt/Events.ts"
import * as Packet from "../../src/libvirt/Packet.ts"
import * as Procedures from "../../src/libvirt/Procedures.ts"
import { RemoteError } from "../../src/libvirt/Structs.ts"
import type * as Xdr from "../../src/libvirt/Xdr.ts"

export interface Recorded {
  readonly title: string
  readonly from: "client" | "server"
  readonly bytes: Uint8Array
}

const file = new URL("../../fixtures/rpc/frames.txt", import.meta.url)

/** In the order of the file. The last one is no frame but the byte that a file descriptor travelled with. */
export const recorded: ReadonlyArray<Recorded> = (() => {
  const all: Array<Recorded> = []
  let title = ""
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (line.startsWith("## ")) title = line.slice(3)
    else if (/^[CS] [0-9a-f]+$/.test(line)) {
      const bytes = Uint8Array.from(Buffer.from(line.slice(2), "hex"))
      all.push({ title, from: line.startsWith("C") ? "client" : "server", bytes })
    }
  }
  return all
})()

export const frames = recorded.filter(({ bytes }) => bytes.length >= 28)

export const cut = (bytes: Uint8Array): ReadonlyArray<Packet.Packet> =>
  Either.getOrThrow(new Packet.FrameReader().push(bytes))

const events = new Map(Object.values(Events.messages).map(({ number, payload }) => [number, payload]))

/** undefined: a payload that no table of ours knows, or raw data of a stream */
export const codecOf = (packet: Packet.Packet): Xdr.Codec<unknown> | undefined => {
  const { error } = Packet.statuses
  const { call, message, reply, stream } = Packet.types
  if ((packet.type === reply || packet.type === stream) && packet.status === error) {
    return packet.payload.length === 0 ? undefined : RemoteError
  }
  if (packet.program !== Packet.programs.remote) return undefined
  if (packet.type === message) return events.get(packet.procedure)
  const name = Procedures.byNumber(packet.procedure)
  if (name === undefined) return undefined
  const { args, reply: answer } = Procedures.procedures[name]
  return packet.type === call ? args : packet.type === reply ? answer : undefined
}
