/**
 * The simulated host's file system: only what is needed of each file is kept, so that 200 hosts with disks of many GiB fit in memory.
 *
 * @since 0.1.0
 */
import { createHash, type Hash } from "node:crypto"
import { deflateRawSync, inflateRawSync } from "node:zlib"

const headerBytes = 64 * 1024
/** what is longer is kept packed: seeds are mostly zeros, and every VM has one */
const packedFrom = 16 * 1024
const zeros = new Uint8Array(1024 * 1024)

/**
 * A file. Its first 64 KiB are kept, of the rest length and SHA-256; `bytes` keeps a whole small file (an image source).
 *
 * @since 0.1.0 @category models
 */
export class HostFile {
  /** bytes */
  size = 0
  /** bytes it takes on the disk */
  allocation = 0
  /** milliseconds since 1970 */
  modified: number
  private kept: Buffer = Buffer.alloc(0)
  private packed = false
  private whole: Uint8Array | undefined
  private hash: Hash | undefined
  /** how far the hash has come */
  private hashed = 0
  /** where bytes end that were there before the file was written again from its start */
  private stale = 0
  private scrambled = false
  /** where the first piece ends, as long as it is all there is: most files are one short piece, which nobody hashes */
  private unhashed = 0

  constructor(modified: number, bytes?: Uint8Array) {
    this.modified = modified
    if (bytes !== undefined) {
      this.whole = bytes
      this.size = bytes.length
      this.allocation = bytes.length
    }
  }

  private get head(): Buffer {
    return this.packed ? inflateRawSync(this.kept) : this.kept
  }
  private set head(bytes: Buffer) {
    this.packed = bytes.length > packedFrom
    this.kept = this.packed ? deflateRawSync(bytes, { level: 1 }) : bytes
  }

  /** Bytes that are not kept read as zero. */
  read(offset: number, length: number): Uint8Array {
    const end = Math.max(offset, Math.min(this.size, offset + length))
    if (this.whole !== undefined) return this.whole.subarray(offset, end)
    const out = new Uint8Array(end - offset)
    const { head } = this
    if (offset < head.length) out.set(head.subarray(offset, Math.min(end, head.length)))
    return out
  }

  write(offset: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.forgetWhole()
    this.hashFirst()
    const end = offset + bytes.length
    if (offset < headerBytes) {
      // a header is short, and zeros behind it need not be kept
      let to = Math.min(end, headerBytes)
      let { head } = this
      while (to > offset && to > head.length && bytes[to - offset - 1] === 0) to--
      if (head.length < to) head = Buffer.concat([head, Buffer.alloc(to - head.length)])
      if (to > offset) {
        head.set(bytes.subarray(0, to - offset), offset)
        this.head = head
      }
    }
    if (offset === 0 && this.hashed > 0) {
      this.stale = Math.max(this.stale, this.hashed)
      this.hash = undefined
      this.hashed = 0
      this.scrambled = false
    }
    if (offset === 0 && this.hashed === 0 && end <= headerBytes) {
      this.unhashed = end
      this.hashed = end
    } else if (offset < this.hashed) this.scrambled = true
    else {
      this.hash ??= createHash("sha256")
      feedZeros(this.hash, offset - this.hashed)
      this.hash.update(bytes)
      this.hashed = end
    }
    this.size = Math.max(this.size, end)
    this.allocation = Math.max(this.allocation, Math.min(end, this.allocation + bytes.length))
  }

  /** New bytes at the end are zero; nothing is cut off but the count of what there is. */
  resize(size: number): void {
    this.forgetWhole()
    this.hashFirst()
    this.size = size
    if (size < this.hashed) this.scrambled = true
    const { head } = this
    if (size < head.length) this.head = head.subarray(0, size)
  }

  private hashFirst(): void {
    if (this.unhashed === 0) return
    this.hash = createHash("sha256").update(this.read(0, this.unhashed))
    this.unhashed = 0
  }

  /** From now on only its beginning is kept. */
  private forgetWhole(): void {
    if (this.whole === undefined) return
    this.head = Buffer.from(this.whole.subarray(0, headerBytes))
    this.whole = undefined
  }

  /** Of the whole file, lower-case hex. What was written twice in pieces has a hash of its own, like no file's. */
  sha256(): string {
    if (this.whole !== undefined) return createHash("sha256").update(this.whole).digest("hex")
    this.hashFirst()
    const hash = this.hash === undefined ? createHash("sha256") : this.hash.copy()
    if (this.scrambled || this.stale > this.hashed) hash.update("scrambled")
    feedZeros(hash, Math.max(0, this.size - this.hashed))
    return hash.digest("hex")
  }
}

const feedZeros = (hash: Hash, length: number): void => {
  for (let left = length; left > 0; left -= zeros.length) hash.update(zeros.subarray(0, Math.min(left, zeros.length)))
}

/** What a disk image says of itself. @since 0.1.0 @category models */
export interface ImageHeader {
  readonly format: "raw" | "qcow2"
  /** bytes a guest sees */
  readonly virtualSize: number
  readonly compat: "0.10" | "1.1" | undefined
  readonly backing: { readonly path: string; readonly format: string | undefined } | undefined
}

/** Reads a qcow2 header; anything else is raw. @since 0.1.0 @category decoding */
export const readHeader = (file: HostFile): ImageHeader => {
  const head = Buffer.from(file.read(0, headerBytes))
  if (head.length < 72 || head.readUInt32BE(0) !== 0x514649fb) {
    return { format: "raw", virtualSize: file.size, compat: undefined, backing: undefined }
  }
  const version = head.readUInt32BE(4)
  const nameAt = Number(head.readBigUInt64BE(8))
  const nameLength = head.readUInt32BE(16)
  let format: string | undefined
  for (let at = version >= 3 ? head.readUInt32BE(100) : 72; at + 8 <= head.length;) {
    const type = head.readUInt32BE(at)
    const length = head.readUInt32BE(at + 4)
    if (type === 0) break
    if (type === 0xe2792aca) format = head.toString("utf8", at + 8, at + 8 + length)
    at += 8 + Math.ceil(length / 8) * 8
  }
  return {
    format: "qcow2",
    virtualSize: Number(head.readBigUInt64BE(24)),
    compat: version >= 3 ? "1.1" : "0.10",
    backing: nameAt === 0 ? undefined : { path: head.toString("utf8", nameAt, nameAt + nameLength), format }
  }
}

/** Where the first table begins that says where a qcow2's content is, and what one entry of it stands for. */
const tableAt = 0x30000
const perEntry = 512 * 1024 ** 2
const tableEntries = (virtualSize: number): number => Math.max(1, Math.ceil(virtualSize / perEntry))

/** Bytes of an empty qcow2 file. @since 0.7.0 @category encoding */
export const qcow2Bytes = (virtualSize: number): number => tableAt + tableEntries(virtualSize) * 8

/** Makes a qcow2 file's disk larger, with the table that it needs. @since 0.7.0 @category combinators */
export const growQcow2 = (file: HostFile, virtualSize: number): void => {
  const field = Buffer.alloc(8)
  field.writeBigUInt64BE(BigInt(virtualSize))
  file.write(24, field)
  const entries = Math.max(tableEntries(virtualSize), Buffer.from(file.read(36, 4)).readUInt32BE())
  const count = Buffer.alloc(4)
  count.writeUInt32BE(entries)
  file.write(36, count)
  if (file.size < tableAt + entries * 8) file.resize(tableAt + entries * 8)
}

/** An empty qcow2 as `qemu-img create` makes it: header, extensions and name of the backing file. @since 0.1.0 @category encoding */
export const qcow2Header = (options: {
  readonly virtualSize: number
  readonly compat: "0.10" | "1.1"
  readonly backing?: { readonly path: string; readonly format: string | undefined } | undefined
}): Uint8Array => {
  const head = Buffer.alloc(4096)
  head.writeUInt32BE(0x514649fb, 0)
  head.writeUInt32BE(options.compat === "1.1" ? 3 : 2, 4)
  head.writeUInt32BE(16, 20)
  head.writeBigUInt64BE(BigInt(options.virtualSize), 24)
  head.writeUInt32BE(tableEntries(options.virtualSize), 36)
  head.writeBigUInt64BE(BigInt(tableAt), 40)
  head.writeBigUInt64BE(0x10000n, 48)
  head.writeUInt32BE(1, 56)
  let at = 72
  if (options.compat === "1.1") {
    head.writeUInt32BE(4, 96)
    head.writeUInt32BE(104, 100)
    at = 104
  }
  if (options.backing?.format !== undefined) {
    const name = Buffer.from(options.backing.format)
    head.writeUInt32BE(0xe2792aca, at)
    head.writeUInt32BE(name.length, at + 4)
    head.set(name, at + 8)
    at += 8 + Math.ceil(name.length / 8) * 8
  }
  at += 8
  if (options.backing !== undefined) {
    const name = Buffer.from(options.backing.path)
    head.writeBigUInt64BE(BigInt(at), 8)
    head.writeUInt32BE(name.length, 16)
    head.set(name.subarray(0, 1023), at)
  }
  return head
}

/** Files and folders by absolute path, on one disk of limited size. @since 0.1.0 @category models */
export class HostFiles {
  readonly files = new Map<string, HostFile>()
  readonly folders = new Set<string>(["/"])
  /** paths that whoever logs in may not read */
  readonly forbidden = new Set<string>()
  readonly capacity: number
  /** bytes taken by what the simulation does not show */
  other: number
  /** how many files there can be, and how many of them the simulation does not show */
  readonly inodes = 32_768_000
  otherInodes = 0

  constructor(capacity: number, other: number) {
    this.capacity = capacity
    this.other = other
  }

  get used(): number {
    let sum = this.other
    for (const file of this.files.values()) sum += file.allocation
    return Math.min(this.capacity, sum)
  }

  get free(): number {
    return this.capacity - this.used
  }

  makeFolder(path: string): void {
    const parts = path.split("/").filter((part) => part !== "")
    parts.reduce((parent, part) => {
      const folder = `${parent}/${part}`
      this.folders.add(folder)
      return folder
    }, "")
  }

  /** The files directly in a folder, by name. */
  inFolder(path: string): ReadonlyArray<readonly [name: string, file: HostFile]> {
    const prefix = path === "/" ? "/" : `${path}/`
    return [...this.files].flatMap(([path, file]) => {
      const name = path.startsWith(prefix) ? path.slice(prefix.length) : ""
      return name === "" || name.includes("/") ? [] : [[name, file] as const]
    })
  }
}
