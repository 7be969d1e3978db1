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
export class FrameError extends Data.TaggedError("FrameError")<{ readonly reason: string }> {
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
 * length, and that by the protocol's limit; memory is taken as bytes arrive, not as they are announced.
 *
 * @since 0.1.0 @category reading
 */
export class FrameReader {
  private chunks: Array<Uint8Array> = []
  private waiting = 0
  /** length of the frame that is being collected; 0 while its length word is not complete */
  private wanted = 0
  private broken: FrameError | undefined

  /** Frames that are complete now. After an error the reader gives nothing but that error. */
  push(chunk: Uint8Array): Either.Either<ReadonlyArray<Packet>, FrameError> {
    if (this.broken !== undefined) return Either.left(this.broken)
    if (chunk.length > 0) {
      this.chunks.push(chunk)
      this.waiting += chunk.length
    }
    const packets: Array<Packet> = []
    while (true) {
      if (this.wanted === 0) {
        if (this.waiting < 4) break
        const length = this.peekLength()
        if (length < headerLength || length > maxMessage + 4) {
          this.broken = new FrameError({
            reason: `a frame of ${length} bytes was announced, allowed are ${headerLength} to ${maxMessage + 4}`
          })
          this.chunks = []
          return Either.left(this.broken)
        }
        this.wanted = length
      }
      if (this.waiting < this.wanted) break
      packets.push(parse(this.take(this.wanted)))
      this.wanted = 0
    }
    return Either.right(packets)
  }

  /** bytes held back for a frame that is not complete */
  get pending(): number {
    return this.waiting
  }

  private peekLength(): number {
    const first = this.chunks[0]
    if (first !== undefined && first.length >= 4) return readU32(first)
    // four bytes that came in pieces: join them once
    this.chunks = [concat(this.chunks, this.waiting)]
    return readU32(this.chunks[0] ?? empty)
  }

  private take(length: number): Uint8Array {
    const first = this.chunks[0]
    const joined = first !== undefined && first.length >= length ? first : concat(this.chunks, this.waiting)
    const rest = joined.subarray(length)
    if (joined === first) {
      if (rest.length > 0) this.chunks[0] = rest
      else this.chunks.shift()
    } else this.chunks = rest.length > 0 ? [rest] : []
    this.waiting -= length
    return joined.subarray(0, length)
  }
}

const readU32 = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0)

const concat = (chunks: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const all = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}

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
