/**
 * Guests' screens by VNC, as far as a viewer gets before there is a picture: QEMU's greeting (RFB 3.8), no password, and a screen that stays as it is.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import type { Duplex } from "node:stream"
import * as Xml from "../libvirt/Xml.ts"
import type { HostState, LiveDomain } from "./HostState.ts"
import * as SerialLine from "./SerialLine.ts"

/** Where libvirt has QEMU serve the screen of the domain with that id. @since 0.7.0 @category getters */
export const socketOf = (id: number, name: string): string =>
  `/var/lib/libvirt/qemu/domain-${id}-${name.slice(0, 20)}/vnc.sock`

const isSocket = (graphics: Xml.Element): boolean =>
  Xml.attribute(graphics, "type") === "vnc" && Xml.attribute(Xml.child(graphics, "listen"), "type") === "socket"

/** A device as it is once the domain runs: a screen that is served at a socket has one. @since 0.7.0 @category combinators */
export const started = (device: Xml.Element, socket: string): Xml.Element =>
  device.name !== "graphics" || !isSocket(device)
    ? device
    : {
        ...device,
        attributes: { ...device.attributes, socket },
        children: device.children.map((node) =>
          typeof node !== "string" && node.name === "listen"
            ? { ...node, attributes: { ...node.attributes, socket } }
            : node
        )
      }

/** Pixels: width and height, as its picture has them, and 32 bits for each with 8 of red, green and blue. */
const serverInit = (name: string): Uint8Array => {
  const title = Buffer.from(`QEMU (${name})`)
  const head = Buffer.from([0, 72, 0, 40, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(title.length)
  return Buffer.concat([head, length, title])
}

/** What is said when so many bytes were heard. */
const answers = (name: string): ReadonlyArray<readonly [heard: number, answer: Uint8Array]> => [
  // the client's version: the ways in, which is one without a password
  [12, Uint8Array.of(1, 1)],
  // it takes that one: it may
  [13, Uint8Array.of(0, 0, 0, 0)],
  // whether it shares the screen
  [14, serverInit(name)]
]

const serve =
  (live: LiveDomain, name: string) =>
  (stream: Duplex): Effect.Effect<void> =>
    Effect.async<void>((resume) => {
      let heard = 0
      const waiting = [...answers(name)]
      const forget = SerialLine.onStop(live, () => stream.end())
      stream.on("data", (bytes: Uint8Array) => {
        heard += bytes.length
        for (let next = waiting[0]; next !== undefined && heard >= next[0]; next = waiting[0]) {
          waiting.shift()
          stream.write(next[1])
        }
      })
      stream.on("error", () => {})
      stream.once("close", () => {
        forget()
        resume(Effect.void)
      })
      stream.once("end", () => stream.end())
      stream.write("RFB 003.008\n")
    })

/** What listens at a path; undefined: no screen. @since 0.7.0 @category getters */
export const at = (host: HostState, path: string): ((stream: Duplex) => Effect.Effect<void>) | undefined => {
  if (!path.endsWith("/vnc.sock")) return undefined
  for (const { live, name } of host.domains.values()) {
    if (live === null || socketOf(live.id, name) !== path) continue
    const devices = Xml.child(live.definition, "devices")
    if (devices !== undefined && Xml.children(devices, "graphics").some(isSocket)) return serve(live, name)
  }
  return undefined
}
