/**
 * Frames of libvirt's RPC protocol (virnetprotocol.x): a length, six header words, a payload.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Either from "effect/Either"

/** @since 0.1.0 @category constants */
export const programs = { remote: 0x20008086, qemu: 0x20008087, keepalive: 0x6b656570 } as const

/** @since 0.1.0 @category constants */
export const types = { call: 0, reply: 1, message: 2, stream: 3, callWithFds: 4, replyWithFds: 5, hole: 6 } as const

/** @since 0.1.0 @category constants */
export const statuses = { ok: 0, error: 1, continue: 2 } as const

/** Procedures of the keepalive program. @since 0.1.0 @category constants */
export const keepalive = { ping: 1, pong: 2 } as const

/** VIR_NET_MESSAGE_MAX: the largest message, its length word not counted. @since 0.1.0 @category constants */
export const maxMessage = 33_554_432

/** The largest payload. @since 0.1.0 @category constants */
export const maxPayload = maxMessage - 24

/** What libvirt's own client puts into one stream packet at most. @since 0.1.0 @category constants */
export const streamChunk = 262_120

const headerLength = 28

/** @since 0.1.0 @category models */
export interface Header {
  readonly program: number
  readonly procedure: number
  readonly type: number
  readonly serial: number
  readonly status: number
  /** absent: 1, the only one there is */
  readonly version?: number
}

/** @since 0.1.0 @category models */
export interface Packet extends Header {
  readonly version: number
  readonly payload: Uint8Array
}

/** Bytes that cannot be a frame: the connection is of no more use. @since 0.1.0 @category errors */
export class FrameError extends Data.TaggedError("FrameError")<{
  readonly reason: string
  /** frames that were complete before those bytes */
  readonly before: ReadonlyArray<Packet>
}> {
  override get message(): string {
    return this.reason
  }
}

const empty = new Uint8Array(0)

/** One frame. @since 0.1.0 @category coding */
export const encode = (header: Header, payload: Uint8Array = empty): Uint8Array => {
  const bytes = new Uint8Array(headerLength + payload.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length)
  view.setUint32(4, header.program)
  view.setUint32(8, header.version ?? 1)
  view.setInt32(12, header.procedure)
  view.setInt32(16, header.type)
  view.setUint32(20, header.serial)
  view.setInt32(24, header.status)
  bytes.set(payload, headerLength)
  return bytes
}

/** A keepalive frame. @since 0.1.0 @category coding */
export const encodeKeepalive = (procedure: (typeof keepalive)[keyof typeof keepalive]): Uint8Array =>
  encode({ program: programs.keepalive, procedure, type: types.message, serial: 0, status: statuses.ok })

/**
 * Cuts a byte stream into frames, however it was fragmented. What waits for the rest of a frame is bounded by the frame's announced
 * length, and that by the protocol's limit; memory is taken as bytes arrive, not as they are announced. It is copied together, for a byte
 * that is kept as the view it came in costs a hundred times its size. Payloads are views on what was pushed or collected.
 *
 * @since 0.1.0 @category reading
 */
export class FrameReader {
  /** the beginning of a frame; what follows `filled` is room */
  private buffer = empty
  private filled = 0
  /** length of the frame that is being collected; 0 while its length word is not complete */
  private wanted = 0
  private broken: FrameError | undefined

  /** Frames that are complete now. After an error the reader gives nothing but that error. */
  push(chunk: Uint8Array): Either.Either<ReadonlyArray<Packet>, FrameError> {
    if (this.broken !== undefined) return Either.left(this.broken)
    const packets: Array<Packet> = []
    let at = 0
    while (true) {
      if (this.wanted === 0) {
        // the length word may be in the chunk, or begin in what waits
        let length: number
        if (this.filled === 0 && chunk.length - at >= 4) length = readU32(chunk, at)
        else {
          at = this.collect(chunk, at, 4)
          if (this.filled < 4) break
          length = readU32(this.buffer, 0)
        }
        if (length < headerLength || length > maxMessage + 4) return this.refuse(length, packets)
        this.wanted = length
      }
      if (this.filled === 0 && chunk.length - at >= this.wanted) {
        packets.push(parse(chunk.subarray(at, at + this.wanted)))
        at += this.wanted
      } else {
        at = this.collect(chunk, at, this.wanted)
        if (this.filled < this.wanted) break
        packets.push(parse(this.buffer.subarray(0, this.wanted)))
        this.buffer = empty
        this.filled = 0
      }
      this.wanted = 0
    }
    return Either.right(packets)
  }

  /** bytes held back for a frame that is not complete */
  get pending(): number {
    return this.filled
  }

  /** bytes of memory taken for them */
  get capacity(): number {
    return this.buffer.length
  }

  private refuse(length: number, before: ReadonlyArray<Packet>): Either.Either<never, FrameError> {
    const reason = `a frame of ${length} bytes was announced, allowed are ${headerLength} to ${maxMessage + 4}`
    this.broken = new FrameError({ reason, before: [] })
    this.buffer = empty
    this.filled = 0
    return Either.left(new FrameError({ reason, before }))
  }

  /** Copies what is missing up to `total` bytes, as far as the chunk has it; gives where the chunk goes on. */
  private collect(chunk: Uint8Array, at: number, total: number): number {
    const count = Math.min(total - this.filled, chunk.length - at)
    if (this.filled + count > this.buffer.length) {
      const room = Math.max(this.filled + count, Math.min(this.buffer.length * 2, total))
      const grown = new Uint8Array(room)
      grown.set(this.buffer.subarray(0, this.filled))
      this.buffer = grown
    }
    this.buffer.set(chunk.subarray(at, at + count), this.filled)
    this.filled += count
    return at + count
  }
}

const readU32 = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at)

const parse = (bytes: Uint8Array): Packet => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    program: view.getUint32(4),
    version: view.getUint32(8),
    procedure: view.getInt32(12),
    type: view.getInt32(16),
    serial: view.getUint32(20),
    status: view.getInt32(24),
    payload: bytes.subarray(headerLength)
  }
}
