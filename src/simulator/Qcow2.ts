/**
 * What qemu-img reads of a qcow2 file without a backing file: the clusters that are not zero.
 *
 * @since 0.2.0
 */
import * as Either from "effect/Either"
import { inflateRawSync } from "node:zlib"

/** A cluster as a guest sees it. @since 0.2.0 @category models */
export interface GuestCluster {
  readonly offset: number
  readonly bytes: Uint8Array
}

const offsetMask = 0x00ff_ffff_ffff_fe00n
const compressed = 1n << 62n
const sectorBytes = 512

/** Left: what qemu-img says. @since 0.2.0 @category decoding */
export const clusters = (file: Buffer): Either.Either<ReadonlyArray<GuestCluster>, string> => {
  if (file.length < 104 || file.readUInt32BE(0) !== 0x514649fb) return Either.left("Image is not in qcow2 format")
  const bits = file.readUInt32BE(20)
  const size = 2 ** bits
  const virtualSize = Number(file.readBigUInt64BE(24))
  const version = file.readUInt32BE(4)
  const found: Array<GuestCluster> = []
  const entry = (at: number): bigint => (at + 8 <= file.length ? file.readBigUInt64BE(at) : 0n)
  const table = Number(file.readBigUInt64BE(40))
  for (let one = 0; one < file.readUInt32BE(36); one++) {
    const second = Number(entry(table + one * 8) & offsetMask)
    if (second === 0) continue
    for (let two = 0; two < size / 8; two++) {
      const offset = (one * (size / 8) + two) * size
      const described = entry(second + two * 8)
      if (described === 0n || offset >= virtualSize) continue
      if ((described & compressed) === 0n) {
        const at = Number(described & offsetMask)
        if (at === 0 || (version >= 3 && (described & 1n) === 1n)) continue
        const bytes = Buffer.alloc(size)
        file.copy(bytes, 0, at, at + size)
        found.push({ offset, bytes: bytes.subarray(0, virtualSize - offset) })
      } else {
        const split = BigInt(62 - (bits - 8))
        const at = Number(described & ((1n << split) - 1n))
        const sectors = Number((described & (compressed - 1n)) >> split) + 1
        const end = (Math.floor(at / sectorBytes) + sectors) * sectorBytes
        try {
          const bytes = inflateRawSync(file.subarray(at, end), { finishFlush: 2 })
          found.push({ offset, bytes: bytes.subarray(0, Math.min(size, virtualSize - offset)) })
        } catch {
          return Either.left(`error while reading at byte ${offset}: Input/output error`)
        }
      }
    }
  }
  return Either.right(found)
}
