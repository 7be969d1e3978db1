/** qcow2 files with content, written byte by byte. */
import { deflateRawSync } from "node:zlib"

const bits = 16
export const clusterBytes = 2 ** bits

/** Clusters by their number; each is `clusterBytes` long. */
export const qcow2File = (options: {
  readonly size: number
  readonly clusters: ReadonlyMap<number, Uint8Array>
  readonly compressed?: boolean
}): Uint8Array => {
  const { clusters, compressed = false, size } = options
  const perTable = clusterBytes / 8
  const tables = Math.ceil(size / clusterBytes / perTable)
  const parts: Array<Buffer> = []
  let used = (4 + tables) * clusterBytes
  const l2 = Array.from({ length: tables }, () => Buffer.alloc(clusterBytes))
  for (const [index, bytes] of clusters) {
    const data = compressed ? deflateRawSync(bytes, { windowBits: 12 }) : Buffer.from(bytes)
    const entry = compressed
      ? (1n << 62n) | (BigInt(Math.ceil(data.length / 512) - 1) << 54n) | BigInt(used)
      : (1n << 63n) | BigInt(used)
    l2[Math.floor(index / perTable)]!.writeBigUInt64BE(entry, (index % perTable) * 8)
    const padded = Buffer.alloc(Math.ceil(data.length / clusterBytes) * clusterBytes)
    data.copy(padded)
    parts.push(padded)
    used += padded.length
  }
  const head = Buffer.alloc(4 * clusterBytes)
  head.write("QFI\xfb", 0, "latin1")
  head.writeUInt32BE(3, 4)
  head.writeUInt32BE(bits, 20)
  head.writeBigUInt64BE(BigInt(size), 24)
  head.writeUInt32BE(tables, 36)
  head.writeBigUInt64BE(BigInt(3 * clusterBytes), 40)
  head.writeBigUInt64BE(BigInt(clusterBytes), 48)
  head.writeUInt32BE(1, 56)
  head.writeUInt32BE(4, 96)
  head.writeUInt32BE(104, 100)
  head.writeBigUInt64BE(BigInt(2 * clusterBytes), clusterBytes)
  for (let at = 0; at < used / clusterBytes; at++) head.writeUInt16BE(1, 2 * clusterBytes + 2 * at)
  for (let at = 0; at < tables; at++) {
    head.writeBigUInt64BE((1n << 63n) | BigInt((4 + at) * clusterBytes), 3 * clusterBytes + 8 * at)
  }
  return Buffer.concat([head, ...l2, ...parts])
}
