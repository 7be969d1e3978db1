/**
 * Guests' screens by VNC, as QEMU serves them: RFB 3.8 (RFC 6143) without a password, with raw pixels. A guest's screen is dark in its firmware and light
 * once its system is up, with what it printed as lines of blocks, and at its bottom a block for each key that was typed.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import type { Duplex } from "node:stream"
import * as Xml from "../libvirt/Xml.ts"
import { type HostState, type LiveDomain, type SimulatedDomain, state } from "./HostState.ts"
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

// ------------------------------------------------------------------------------------------------------------ pictures

const size = { width: 320, height: 200 }
const cell = { width: 4, height: 8 }
const lines = size.height / cell.height - 1
const columns = size.width / cell.width - 2

/** How many keys were typed, of which its screen shows as many as fit. */
const keys = new WeakMap<LiveDomain, number>()

/** A brightness for each pixel, line by line. */
const draw = (live: LiveDomain): Uint8Array => {
  const isUp = live.guest.phase === "up"
  const [paper, ink] = isUp ? [0xd0, 0x30] : [0x10, 0x90]
  const pixels = new Uint8Array(size.width * size.height).fill(paper)
  const block = (column: number, line: number): void => {
    for (let y = 0; y < cell.height - 3; y++) {
      const from = (line * cell.height + y + 2) * size.width + (column + 1) * cell.width
      pixels.fill(ink, from, from + cell.width - 1)
    }
  }
  const printed = live.serial.slice(-(lines - 1))
  printed.forEach((text, line) => {
    for (let column = 0; column < Math.min(text.length, columns); column++)
      if (text[column] !== " ") block(column, line)
  })
  for (let key = 0; key < Math.min(keys.get(live) ?? 0, columns); key++) block(key, lines)
  return pixels
}

// ------------------------------------------------------------------------------------------------------------ protocol

/** How a viewer wants its pixels. */
interface PixelFormat {
  /** of each */
  readonly bytes: number
  readonly bigEndian: boolean
  /** of red, green and blue: the highest value, and how far left it stands */
  readonly colours: ReadonlyArray<readonly [max: number, shift: number]>
}

const ofServer: PixelFormat = {
  bytes: 4,
  bigEndian: false,
  colours: [
    [255, 16],
    [255, 8],
    [255, 0]
  ]
}

/** Undefined: one with a palette, which is none of ours. */
const pixelFormat = (bytes: Buffer): PixelFormat | undefined => {
  const bits = bytes.readUInt8(0)
  if (bytes.readUInt8(3) === 0 || (bits !== 8 && bits !== 16 && bits !== 32)) return undefined
  return {
    bytes: bits / 8,
    bigEndian: bytes.readUInt8(2) !== 0,
    colours: [0, 1, 2].map((at) => [bytes.readUInt16BE(4 + 2 * at), bytes.readUInt8(10 + at)] as const)
  }
}

const pixel = ({ bigEndian, bytes, colours }: PixelFormat, brightness: number): Buffer => {
  const value = colours.reduce((sum, [max, shift]) => sum + Math.round((brightness * max) / 255) * 2 ** shift, 0)
  const encoded = Buffer.alloc(bytes)
  if (bigEndian) encoded.writeUIntBE(value, 0, bytes)
  else encoded.writeUIntLE(value, 0, bytes)
  return encoded
}

/** The whole screen as one rectangle of raw pixels. */
const update = (picture: Uint8Array, format: PixelFormat): Buffer => {
  const head = Buffer.alloc(16)
  head.writeUInt16BE(1, 2)
  head.writeUInt16BE(size.width, 8)
  head.writeUInt16BE(size.height, 10)
  const encoded = new Map<number, Buffer>()
  const all = Buffer.alloc(picture.length * format.bytes)
  for (const [at, brightness] of picture.entries()) {
    const known = encoded.get(brightness) ?? pixel(format, brightness)
    encoded.set(brightness, known)
    known.copy(all, at * format.bytes)
  }
  return Buffer.concat([head, all])
}

const serverInit = (name: string): Buffer => {
  const title = Buffer.from(`QEMU (${name})`)
  const head = Buffer.alloc(24)
  head.writeUInt16BE(size.width, 0)
  head.writeUInt16BE(size.height, 2)
  head.set([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0], 4)
  head.writeUInt32BE(title.length, 20)
  return Buffer.concat([head, title])
}

/** X11's keysyms. */
const keysyms = { controls: [0xffe3, 0xffe4], alts: [0xffe9, 0xffea], delete: 0xffff }

const held = (down: ReadonlySet<number>, any: ReadonlyArray<number>): boolean => any.some((key) => down.has(key))

/** How long a viewer's message is, as far as that is known from its beginning; undefined: it is none. */
const lengthOf = (waiting: Buffer): number | undefined => {
  switch (waiting[0]) {
    case 0: // SetPixelFormat
      return 20
    case 2: // SetEncodings
      return waiting.length < 4 ? 4 : 4 + 4 * waiting.readUInt16BE(2)
    case 3: // FramebufferUpdateRequest
      return 10
    case 4: // KeyEvent
      return 8
    case 5: // PointerEvent
      return 6
    case 6: // ClientCutText
      return waiting.length < 8 ? 8 : 8 + waiting.readUInt32BE(4)
    default:
      return undefined
  }
}

/** More than any message has that a viewer has reason to send. */
const longest = 1024 * 1024

/** What a viewer says, and what it is told. */
class Viewer {
  private waiting: Buffer = Buffer.alloc(0)
  private format = ofServer
  private asked = false
  private shown: Uint8Array | undefined
  private readonly down = new Set<number>()
  /** the bytes of each of its first words: its version, the way in that it takes, whether it shares the screen */
  private readonly greeting: Array<readonly [length: number, answer: Uint8Array]>

  private readonly domain: SimulatedDomain
  private readonly live: LiveDomain
  private readonly write: (bytes: Uint8Array) => void
  private readonly restart: (domain: SimulatedDomain) => void

  constructor(options: {
    readonly domain: SimulatedDomain
    readonly live: LiveDomain
    readonly write: (bytes: Uint8Array) => void
    readonly restart: (domain: SimulatedDomain) => void
  }) {
    this.domain = options.domain
    this.live = options.live
    this.write = options.write
    this.restart = options.restart
    this.greeting = [
      [12, Uint8Array.of(1, 1)],
      [1, Uint8Array.of(0, 0, 0, 0)],
      [1, serverInit(options.domain.name)]
    ]
  }

  /** Whether it goes on: it does not after what is no RFB. */
  heard(bytes: Uint8Array): boolean {
    this.waiting = Buffer.concat([this.waiting, bytes])
    for (let first = this.greeting[0]; first !== undefined; first = this.greeting[0]) {
      const [length, answer] = first
      if (this.waiting.length < length) return true
      this.waiting = this.waiting.subarray(length)
      this.greeting.shift()
      this.write(answer)
    }
    while (this.waiting.length > 0) {
      const length = lengthOf(this.waiting)
      if (length === undefined || length > longest) return false
      if (this.waiting.length < length) return true
      const message = this.waiting.subarray(0, length)
      this.waiting = this.waiting.subarray(length)
      if (!this.message(message)) return false
    }
    return true
  }

  /** Sends what it has asked for, once there is something else to see than it was sent. */
  show(): void {
    if (!this.asked) return
    const picture = draw(this.live)
    if (this.shown !== undefined && Buffer.compare(this.shown, picture) === 0) return
    this.asked = false
    this.shown = picture
    this.write(update(picture, this.format))
  }

  private message(message: Buffer): boolean {
    switch (message[0]) {
      case 0: {
        const format = pixelFormat(message.subarray(4))
        if (format === undefined) return false
        this.format = format
        return true
      }
      case 3:
        this.asked = true
        // not incremental: whatever it was sent before, it does not have it any more
        if (message[1] === 0) this.shown = undefined
        this.show()
        return true
      case 4:
        this.key(message.readUInt32BE(4), message[1] !== 0)
        return true
      default:
        return true
    }
  }

  private key(keysym: number, isDown: boolean): void {
    if (!isDown) {
      this.down.delete(keysym)
      return
    }
    this.down.add(keysym)
    // a guest that stands still, or is not up, does not see it
    if (this.live.guest.phase !== "up" || this.domain.state === state.paused) return
    if (keysym === keysyms.delete && held(this.down, keysyms.controls) && held(this.down, keysyms.alts)) {
      this.restart(this.domain)
      return
    }
    if (keysym > 0xff) return
    keys.set(this.live, (keys.get(this.live) ?? 0) + 1)
    SerialLine.changed(this.live)
  }
}

const serve =
  (domain: SimulatedDomain, live: LiveDomain, restart: (domain: SimulatedDomain) => void) =>
  (stream: Duplex): Effect.Effect<void> =>
    Effect.async<void>((resume) => {
      const viewer = new Viewer({ domain, live, write: (bytes) => stream.write(bytes), restart })
      const unwatch = SerialLine.onChange(live, () => viewer.show())
      const forget = SerialLine.onStop(live, () => stream.end())
      stream.on("data", (bytes: Uint8Array) => {
        if (!viewer.heard(bytes)) stream.end()
      })
      stream.on("error", () => {})
      stream.once("close", () => {
        unwatch()
        forget()
        resume(Effect.void)
      })
      stream.once("end", () => stream.end())
      stream.write("RFB 003.008\n")
    })

/**
 * What listens at a path; undefined: no screen. `restart`: what becomes of a guest whose viewer presses Ctrl, Alt and Del.
 *
 * @since 0.7.0 @category getters
 */
export const at = (
  host: HostState,
  path: string,
  restart: (domain: SimulatedDomain) => void
): ((stream: Duplex) => Effect.Effect<void>) | undefined => {
  if (!path.endsWith("/vnc.sock")) return undefined
  for (const domain of host.domains.values()) {
    const { live, name } = domain
    if (live === null || socketOf(live.id, name) !== path) continue
    const devices = Xml.child(live.definition, "devices")
    if (devices !== undefined && Xml.children(devices, "graphics").some(isSocket)) return serve(domain, live, restart)
  }
  return undefined
}
