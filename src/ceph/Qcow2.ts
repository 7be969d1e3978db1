/**
 * What a disk holds as a qcow2 file: what is zero takes nothing of it, whatever the disk's size.
 *
 * Layout: QEMU's docs/interop/qcow2.txt, version 3. The clusters follow each other without gaps: the header, what the disk holds with the tables that say
 * where, the table of those, and at the end how often each is used, which is once.
 *
 * @since 0.7.0
 */
import * as Stream from "effect/Stream"
import type { Piece } from "../domain/Image.ts"

const clusterBits = 16
const clusterBytes = 2 ** clusterBits
/** what one table of offsets covers */
const entries = clusterBytes / 8
const covered = entries * clusterBytes
/** clusters that one block of reference counts, 16 bits each, covers */
const counted = clusterBytes / 2

/** That the cluster, or the table, is used just here. */
const copied = 1n << 63n

const zeros = Buffer.alloc(clusterBytes)
const isZero = (bytes: Uint8Array): boolean => zeros.subarray(0, bytes.length).equals(bytes)

const clustersOf = (bytes: number): number => Math.ceil(bytes / clusterBytes)

const header = (size: number, l1: number, refcounts: number, refcountClusters: number): Buffer => {
  const bytes = Buffer.alloc(clusterBytes)
  bytes.writeUInt32BE(0x514649fb, 0)
  bytes.writeUInt32BE(3, 4)
  bytes.writeUInt32BE(clusterBits, 20)
  bytes.writeBigUInt64BE(BigInt(size), 24)
  bytes.writeUInt32BE(Math.max(1, Math.ceil(size / covered)), 36)
  bytes.writeBigUInt64BE(BigInt(l1 * clusterBytes), 40)
  bytes.writeBigUInt64BE(BigInt(refcounts * clusterBytes), 48)
  bytes.writeUInt32BE(refcountClusters, 56)
  // reference counts of 16 bits, and the header's own length
  bytes.writeUInt32BE(4, 96)
  bytes.writeUInt32BE(104, 100)
  return bytes
}

/** The file as it grows. Keeps two tables, whatever passes. */
class File {
  private readonly size: number
  private readonly first: Buffer
  private second = Buffer.alloc(clusterBytes)
  /** which of the second tables that is; -1: none yet */
  private current = -1
  private next = 1

  constructor(size: number) {
    this.size = size
    this.first = Buffer.alloc(clustersOf(Math.max(1, Math.ceil(size / covered)) * 8) * clusterBytes)
  }

  private append(bytes: Uint8Array): Piece {
    const offset = this.next * clusterBytes
    this.next += clustersOf(bytes.length)
    return { offset, bytes }
  }

  private endTable(): ReadonlyArray<Piece> {
    if (this.current === -1) return []
    const piece = this.append(this.second)
    this.first.writeBigUInt64BE(BigInt(piece.offset) | copied, this.current * 8)
    this.second = Buffer.alloc(clusterBytes)
    return [piece]
  }

  /** `offset` is where a cluster begins. */
  add({ bytes, offset }: Piece): ReadonlyArray<Piece> {
    const pieces: Array<Piece> = []
    for (let at = 0; at < bytes.length; at += clusterBytes) {
      const cluster = bytes.subarray(at, at + clusterBytes)
      if (isZero(cluster)) continue
      const number = (offset + at) / clusterBytes
      const table = Math.floor(number / entries)
      if (table !== this.current) {
        pieces.push(...this.endTable())
        this.current = table
      }
      const piece = this.append(cluster)
      this.second.writeBigUInt64BE(BigInt(piece.offset) | copied, (number % entries) * 8)
      pieces.push(piece)
    }
    return pieces
  }

  /** The header last: before, it is no file of this kind. */
  end(): ReadonlyArray<Piece> {
    const tables = this.endTable()
    const first = this.append(this.first)
    let blocks = 1
    const tableOf = (count: number) => clustersOf(count * 8)
    while (blocks * counted < this.next + blocks + tableOf(blocks)) blocks++
    const refcounts = Buffer.alloc(tableOf(blocks) * clusterBytes)
    const used = this.next + tableOf(blocks) + blocks
    const table = this.append(refcounts)
    const counts = Array.from({ length: blocks }, (_, block) => {
      const bytes = Buffer.alloc(clusterBytes)
      for (let at = 0; at < Math.min(counted, used - block * counted); at++) bytes.writeUInt16BE(1, at * 2)
      const piece = this.append(bytes)
      refcounts.writeBigUInt64BE(BigInt(piece.offset), block * 8)
      return piece
    })
    const start = header(this.size, first.offset / clusterBytes, table.offset / clusterBytes, tableOf(blocks))
    return [...tables, first, table, ...counts, { offset: 0, bytes: start }]
  }
}

/**
 * The file's pieces, which may come before others that are earlier in it. `size`: bytes of the disk, a multiple of 512. Its pieces come in their order, each
 * at a multiple of 64 KiB, and but for the last are as long as that.
 *
 * @since 0.7.0 @category streams
 */
export const fromDisk = <E>(size: number, disk: Stream.Stream<Piece, E>): Stream.Stream<Piece, E> =>
  Stream.suspend(() => {
    const file = new File(size)
    return disk.pipe(
      Stream.mapConcat((piece) => file.add(piece)),
      Stream.concat(Stream.suspend(() => Stream.fromIterable(file.end())))
    )
  })
