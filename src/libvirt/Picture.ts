/**
 * Screens as QEMU gives them: PNG, or the plain PPM of older ones, made PNG here. A library for one kind of picture, written and never read, would be
 * larger than this.
 *
 * @since 0.6.0
 */
import * as Either from "effect/Either"
import { deflateSync } from "node:zlib"

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value
})

const checksum = (bytes: Uint8Array): number => {
  let sum = 0xffffffff
  for (const byte of bytes) sum = (sum >>> 8) ^ (table[(sum ^ byte) & 0xff] ?? 0)
  return (sum ^ 0xffffffff) >>> 0
}

const chunk = (kind: string, content: Uint8Array): Buffer => {
  const body = Buffer.concat([Buffer.from(kind, "latin1"), content])
  const framed = Buffer.alloc(body.length + 8)
  framed.writeUInt32BE(content.length, 0)
  framed.set(body, 4)
  framed.writeUInt32BE(checksum(body), framed.length - 4)
  return framed
}

/** Three bytes a pixel, red first, from the upper left corner. @since 0.6.0 @category constructors */
export const png = (width: number, height: number, pixels: Uint8Array): Uint8Array => {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  // eight bits a sample, true colour
  header.set([8, 2, 0, 0, 0], 8)
  const row = width * 3
  // each row begins with its filter: none
  const rows = Buffer.alloc(height * (row + 1))
  for (let at = 0; at < height; at++) rows.set(pixels.subarray(at * row, (at + 1) * row), at * (row + 1) + 1)
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", new Uint8Array(0))
  ])
}

/** Width or height of any screen, at most. */
const longest = 16_384

const fromPpm = (bytes: Buffer): Either.Either<Uint8Array, string> => {
  const [header, width, height, depth] =
    /^P6\s+(?:#[^\n]*\n\s*)*(\d{1,5})\s+(\d{1,5})\s+(\d{1,5})\s/.exec(bytes.toString("latin1", 0, 256)) ?? []
  if (header === undefined || depth !== "255") return Either.left("a picture that is neither PNG nor PPM")
  const [columns, lines] = [Number(width), Number(height)]
  const pixels = bytes.subarray(header.length)
  if (columns < 1 || lines < 1 || columns > longest || lines > longest || pixels.length < columns * lines * 3) {
    return Either.left(`a picture of ${columns} by ${lines} that has ${pixels.length} bytes`)
  }
  return Either.right(png(columns, lines, pixels))
}

/** A PNG file of what a host sent; else what it is that was sent. @since 0.6.0 @category conversions */
export const toPng = (given: Uint8Array): Either.Either<Uint8Array, string> => {
  const bytes = Buffer.from(given.buffer, given.byteOffset, given.byteLength)
  return bytes.subarray(0, signature.length).equals(signature) ? Either.right(bytes) : fromPpm(bytes)
}
