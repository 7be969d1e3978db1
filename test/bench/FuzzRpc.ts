/**
 * What a hostile or broken host could send: recorded frames, mutated, through the frame reader and every decoder.
 *
 *     node --import tsx test/bench/FuzzRpc.ts [cases] [seed]
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { fileURLToPath } from "node:url"
import * as Events from "../../src/libvirt/Events.ts"
import * as Packet from "../../src/libvirt/Packet.ts"
import * as Procedures from "../../src/libvirt/Procedures.ts"
import { RemoteError } from "../../src/libvirt/Structs.ts"
import * as Xdr from "../../src/libvirt/Xdr.ts"
import { codecOf, recorded } from "../libvirt/Frames.ts"

export interface Report {
  readonly cases: number
  readonly seed: number
  readonly casesPerSecond: number
  /** calls of a decoder, and how many of them gave a value */
  readonly decoded: number
  readonly values: number
  /** everything thrown that is not the typed error, each with the bytes that did it */
  readonly crashes: ReadonlyArray<{ readonly error: string; readonly bytes: string }>
  readonly crashCount: number
  /** MiB of heap and buffers above those at the beginning, at the worst moment */
  readonly heapGrowth: number
  /** of the slowest case with all its decoders, the best of three repetitions: other work on the machine does not count */
  readonly slowestMilliseconds: number
}

/** xorshift32: the same cases for the same seed, on every machine */
const random = (seed: number) => {
  let state = seed | 0 || 1
  return (below: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const corpus = recorded.map(({ bytes }) => bytes)

/** every decoder that bytes from a host, or from a client to the simulated host, may meet */
const decoders: ReadonlyArray<Xdr.Codec<unknown>> = [
  ...Object.values(Procedures.procedures).flatMap(({ args, reply }): ReadonlyArray<Xdr.Codec<unknown>> => [
    args,
    reply
  ]),
  ...Object.values(Events.messages).map(({ payload }): Xdr.Codec<unknown> => payload),
  RemoteError
]

/** numbers at which lengths, counts and signs change their meaning */
const edges = [
  0, 1, 2, 3, 4, 27, 28, 29, 255, 256, 2048, 16_384, 16_385, 65_536, 262_144, 4_194_304, 4_194_305, 33_554_408,
  33_554_436, 33_554_437, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff
]

const writeU32 = (bytes: Uint8Array, at: number, value: number): void => {
  if (at >= 0 && at + 4 <= bytes.length) new DataView(bytes.buffer, bytes.byteOffset).setUint32(at, value)
}

const mutate = (below: (limit: number) => number): Uint8Array => {
  const pick = () => corpus[below(corpus.length)] ?? new Uint8Array(0)
  let bytes = pick().slice()
  for (let times = 1 + below(3); times > 0; times--) {
    switch (below(7)) {
      case 0:
        // flipped bits
        for (let flips = 1 + below(8); flips > 0 && bytes.length > 0; flips--) {
          const at = below(bytes.length)
          bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8))
        }
        break
      case 1:
        bytes = bytes.slice(0, below(bytes.length + 1))
        break
      case 2: {
        // a length or count that lies
        const words = bytes.length >> 2
        if (words > 0) writeU32(bytes, below(words) * 4, edges[below(edges.length)] ?? 0)
        break
      }
      case 3: {
        // the beginning of one, the end of another
        const other = pick()
        const head = bytes.subarray(0, below(bytes.length + 1))
        const tail = other.subarray(below(other.length + 1))
        bytes = new Uint8Array(head.length + tail.length)
        bytes.set(head)
        bytes.set(tail, head.length)
        break
      }
      case 4: {
        // noise behind or in between
        const noise = Uint8Array.from({ length: 1 + below(64) }, () => below(256))
        const at = below(bytes.length + 1)
        const longer = new Uint8Array(bytes.length + noise.length)
        longer.set(bytes.subarray(0, at))
        longer.set(noise, at)
        longer.set(bytes.subarray(at), at + noise.length)
        bytes = longer
        break
      }
      case 5: {
        // a part repeated
        const from = below(bytes.length + 1)
        const part = bytes.subarray(from, from + below(64))
        const longer = new Uint8Array(bytes.length + part.length)
        longer.set(bytes)
        longer.set(part, bytes.length)
        bytes = longer
        break
      }
      default:
        // another procedure's payload
        writeU32(bytes, 12, below(460))
        writeU32(bytes, 16, below(7))
        writeU32(bytes, 24, below(4))
    }
  }
  // mostly with a length that gets it through to the decoders
  if (below(4) > 0) writeU32(bytes, 0, bytes.length)
  return bytes
}

/** The same report for the same count and seed, but for time and memory. */
export const fuzz = (count: number, seed = 1): Report => {
  const below = random(seed)
  const crashes: Array<{ readonly error: string; readonly bytes: string }> = []
  let crashCount = 0
  let decoded = 0
  let values = 0
  let slowest: { readonly milliseconds: number; readonly turn: number; readonly bytes: Uint8Array } = {
    milliseconds: 0,
    turn: 0,
    bytes: new Uint8Array(0)
  }
  const used = () => {
    const { arrayBuffers, heapUsed } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const before = used()
  let most = before

  const decode = (codec: Xdr.Codec<unknown>, payload: Uint8Array) => {
    decoded++
    const value = Xdr.decode(codec, payload)
    if (Either.isLeft(value)) {
      if (!(value.left instanceof Xdr.XdrError)) throw new TypeError("a failure that is not typed")
      return
    }
    values++
    // what was read can be written, or refused in order
    Xdr.encode(codec, value.right)
  }

  const one = (bytes: Uint8Array, turn: number) => {
    const reader = new Packet.FrameReader()
    const middle = below(bytes.length + 1)
    for (const piece of [bytes.subarray(0, middle), bytes.subarray(middle)]) {
      const packets = reader.push(piece)
      if (reader.capacity > 2 * bytes.length + 64) throw new RangeError(`${reader.capacity} bytes taken`)
      for (const packet of Either.isLeft(packets) ? packets.left.before : packets.right) {
        const codec = codecOf(packet)
        if (codec !== undefined) decode(codec, packet.payload)
        Events.decode(packet.procedure, packet.payload)
      }
    }
    // also to those it is not for: a reply's number is the call's, its payload the host's
    for (let n = 0; n < 3; n++) {
      const codec = decoders[(turn * 3 + n) % decoders.length]
      if (codec !== undefined) decode(codec, bytes.subarray(Math.min(28, bytes.length)))
    }
  }

  const started = performance.now()
  for (let turn = 0; turn < count; turn++) {
    const bytes = mutate(below)
    const begun = performance.now()
    try {
      one(bytes, turn)
    } catch (error) {
      crashCount++
      if (crashes.length < 10) crashes.push({ error: String(error), bytes: Buffer.from(bytes).toString("hex") })
    }
    const milliseconds = performance.now() - begun
    if (milliseconds > slowest.milliseconds) slowest = { milliseconds, turn, bytes }
    if (turn % 256 === 0) most = Math.max(most, used())
  }
  const seconds = (performance.now() - started) / 1000
  const repeated = [1, 2, 3].map(() => {
    const begun = performance.now()
    // one that crashed has been counted
    Either.try(() => one(slowest.bytes, slowest.turn))
    return performance.now() - begun
  })
  return {
    cases: count,
    seed,
    casesPerSecond: Math.round(count / seconds),
    decoded,
    values,
    crashes,
    crashCount,
    heapGrowth: Math.round(((most - before) / 1024 / 1024) * 10) / 10,
    slowestMilliseconds: Math.round(Math.min(...repeated) * 100) / 100
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [count = "1000000", seed = "1"] = process.argv.slice(2)
  Effect.suspend(() => {
    const report = fuzz(Number(count), Number(seed))
    return Effect.zipRight(
      Console.log(JSON.stringify(report, null, 2)),
      report.crashCount === 0 ? Effect.void : Effect.fail(`${report.crashCount} crashes`)
    )
  }).pipe(NodeRuntime.runMain)
}
