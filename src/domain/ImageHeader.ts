/**
 * What an image file's own bytes say it is. Decided here, before any program of QEMU's sees the file, because a header can name
 * other files (backing file, data file, extent) that QEMU would open and hand to the guest: CVE-2024-32498, CVE-2022-47951,
 * CVE-2024-40767, CVE-2024-45219. Only two kinds pass: a qcow2 image that stands alone, and raw bytes that are no known container.
 *
 * Layouts: QEMU's docs/interop/qcow2.txt, and the probe functions of its block drivers.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import type { ImageFormat } from "./Image.ts"

/** How many bytes of a file's start `inspect` wants: all of a file that is shorter. @since 0.1.0 @category constants */
export const headSize = 1024 * 1024

/** How many bytes of a file's end `inspect` wants: footers of VHD and DMG are there. @since 0.1.0 @category constants */
export const tailSize = 512

/** @since 0.1.0 @category models */
export interface ImageEnds {
  /** the first `headSize` bytes */
  readonly head: Uint8Array
  /** the last `tailSize` bytes; absent: footers are not looked at */
  readonly tail?: Uint8Array
  /** bytes of the whole file */
  readonly fileSize: number
}

/** `virtualSize`: bytes of the disk a guest sees, a multiple of 512. @since 0.1.0 @category models */
export interface ImageFacts {
  readonly format: ImageFormat
  readonly virtualSize: number
}

/**
 * Tells format and virtual size, or why the image is refused: one clause that says what is wrong and how to mend it. With `declared`
 * any other format than that is refused. Never throws, and looks at no more than `head` and `tail`.
 *
 * @since 0.1.0 @category parsing
 */
export const inspect = (ends: ImageEnds, declared?: ImageFormat): Either.Either<ImageFacts, string> => {
  const { fileSize, head } = ends
  if (!Number.isSafeInteger(fileSize) || fileSize < 0)
    return Either.left(`its size of ${fileSize} bytes makes no sense`)
  if (fileSize === 0) return Either.left("the file is empty: put the image there again")
  if (head.length < Math.min(fileSize, headSize)) {
    return Either.left(`only ${head.length} of its ${fileSize} bytes could be read: put the image there again`)
  }
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  if (isQcow(head)) {
    const version = head.length >= 8 ? view.getUint32(4) : 0
    if (version === 1) return Either.left(foreign("a qcow (version 1) image"))
    if (declared === "raw") {
      return Either.left("it is declared raw, but it is a qcow2 image: declare format=qcow2, or convert it to raw")
    }
    return inspectQcow2(view, fileSize)
  }
  const other = recogniseStart(head) ?? (ends.tail === undefined ? undefined : recogniseEnd(ends.tail))
  if (other !== undefined) return Either.left(other)
  if (declared === "qcow2") {
    return Either.left("it is declared qcow2, but it has no qcow2 header: declare format=raw if it is a raw disk")
  }
  if (fileSize > maximumSize) return Either.left(tooLarge(fileSize))
  if (declared === undefined && isText(head)) {
    return Either.left(
      "it is text, as an error page is that came instead of it: declare format=raw if it is a raw disk"
    )
  }
  if (declared === undefined && fileSize < sectorSize) {
    return Either.left(
      `it has ${fileSize === 1 ? "1 byte" : `${fileSize} bytes`}, and no disk is smaller than a sector of ${sectorSize}: ` +
        "put the image there again, or declare format=raw if it is a raw disk"
    )
  }
  return Either.right({ format: "raw", virtualSize: Math.ceil(fileSize / sectorSize) * sectorSize })
}

const sectorSize = 512

const maximumSize = 64 * 1024 ** 4

const tooLarge = (size: number | bigint): string =>
  `its disk of ${size} bytes is too large: at most 64 TiB are accepted`

const foreign = (what: string): string =>
  `it is ${what}: convert it with qemu-img convert -O qcow2 on a machine where you trust the file`

const compressed = (how: string): string => `it is compressed with ${how}: decompress it first`

const archive = (how: string): string => `it is a ${how} archive: take the disk image out of it first`

// --- qcow2 ----------------------------------------------------------------------------------------------------------

const isQcow = (head: Uint8Array): boolean => startsWith(head, 0, [0x51, 0x46, 0x49, 0xfb])

/** incompatible features: what a reader has to understand to read the image at all */
const Incompatible = { dirty: 0, corrupt: 1, dataFile: 2, compressionType: 3, extendedL2: 4 } as const

const Extension = {
  end: 0x00000000,
  backingFormat: 0xe2792aca,
  dataFile: 0x44415441,
  encryption: 0x0537be77,
  bitmaps: 0x23852875
} as const

// QEMU's own limits (QCOW_MAX_L1_SIZE, QCOW_MAX_REFTABLE_SIZE): what it would refuse, or spend memory on, is not sent to hosts
const maximumL1Bytes = 32n * 1024n * 1024n
const maximumRefcountTableBytes = 8n * 1024n * 1024n

// Whoever opens the image, a guest's QEMU too, has all of its bitmaps in memory, each with a bit for every 512 bytes of the disk or for more: half a gigabyte
// for each that a file of a few KiB names. Of a small disk they are counted as larger than they are, since each costs time as well.
const maximumBitmapBytes = 256n * 1024n * 1024n
const leastBitmapBytes = 256n * 1024n
const bytesOfBitmap = (size: bigint): bigint => (size / 4096n > leastBitmapBytes ? size / 4096n : leastBitmapBytes)

const inspectQcow2 = (view: DataView, fileSize: number): Either.Either<ImageFacts, string> => {
  const refuse = (reason: string) => Either.left(reason)
  const broken = (what: string) => Either.left(`its qcow2 header is broken (${what}): make the image again`)

  if (view.byteLength < 72) return broken("it ends after " + view.byteLength + " bytes")
  const version = view.getUint32(4)
  if (version !== 2 && version !== 3) {
    return refuse(`it is qcow2 of version ${version}: only versions 2 and 3 are accepted, convert it with qemu-img`)
  }
  if (version === 3 && view.byteLength < 104) return broken(`it ends after ${view.byteLength} bytes`)

  // who the image depends on comes first: it is what an attacker would want
  if (view.getBigUint64(8) !== 0n || view.getUint32(16) !== 0) return refuse(hasBackingFile)
  const crypt = view.getUint32(32)
  if (crypt !== 0) return refuse(encrypted)

  const incompatible = version === 3 ? view.getBigUint64(72) : 0n
  const autoclear = version === 3 ? view.getBigUint64(88) : 0n
  const has = (bit: number) => ((incompatible >> BigInt(bit)) & 1n) === 1n
  // the second: "raw external data", only of use with a data file
  if (has(Incompatible.dataFile) || ((autoclear >> 1n) & 1n) === 1n) return refuse(hasDataFile)
  if (has(Incompatible.corrupt)) {
    return refuse("it is marked corrupt: repair it with qemu-img check -r all, or make it again")
  }
  if (has(Incompatible.dirty)) {
    return refuse("it was not closed cleanly: repair it with qemu-img check -r all")
  }
  if (incompatible >> 5n !== 0n) {
    return refuse(
      `it uses qcow2 features that are not known here (0x${incompatible.toString(16)}): convert it with qemu-img`
    )
  }

  const headerLength = version === 3 ? view.getUint32(100) : 72
  const clusterBits = view.getUint32(20)
  if (clusterBits < 9 || clusterBits > 21) return broken(`cluster_bits ${clusterBits}`)
  const clusterSize = 1 << clusterBits
  if (headerLength % 8 !== 0 || headerLength < (version === 3 ? 104 : 72) || headerLength > clusterSize) {
    return broken(`header length ${headerLength}`)
  }
  if (headerLength > view.byteLength) return broken(`it ends after ${view.byteLength} bytes`)
  if (version === 3 && view.getUint32(96) > 6) return broken(`refcount_order ${view.getUint32(96)}`)

  // Compression type and extended L2 entries are allowed: both only say how clusters inside this file are laid out. A compressed
  // cluster unpacks to one cluster at most, whichever the method. A host's QEMU that is too old for them refuses the image itself.
  const compressionType = headerLength > 104 ? view.getUint8(104) : 0
  if (compressionType > 1)
    return refuse(`its compression type ${compressionType} is not known here: convert it with qemu-img`)
  if (has(Incompatible.compressionType) !== (compressionType !== 0))
    return broken(`compression type ${compressionType}`)
  const extendedL2 = has(Incompatible.extendedL2)
  if (extendedL2 && clusterBits < 14) return broken(`extended L2 entries with cluster_bits ${clusterBits}`)

  const size = view.getBigUint64(24)
  if (size === 0n) return refuse("its disk has a size of 0: make the image again")
  if (size % 512n !== 0n) return broken(`size ${size} is not a multiple of 512`)
  if (size > BigInt(maximumSize)) return refuse(tooLarge(size))

  // snapshots carry another state of the disk (and of a guest's memory) to whoever gets a copy, with tables of their own to check
  const snapshots = view.getUint32(60)
  if (snapshots !== 0) {
    return refuse(
      `it has ${snapshots} internal snapshots: remove them with qemu-img snapshot -d, or convert it with qemu-img`
    )
  }

  const cluster = BigInt(clusterSize)
  // the last sector counts as whole: QEMU reads what is missing of it as zeros
  const end = (BigInt(fileSize) + 511n) & ~511n
  const l1Entries = BigInt(view.getUint32(36))
  const l1Offset = view.getBigUint64(40)
  const perL1Entry = cluster * (cluster / (extendedL2 ? 16n : 8n))
  if (l1Entries * 8n > maximumL1Bytes) return broken(`L1 table of ${l1Entries} entries`)
  if (l1Entries < (size + perL1Entry - 1n) / perL1Entry)
    return broken(`L1 table of ${l1Entries} entries for ${size} bytes`)
  if (l1Offset < cluster || l1Offset % cluster !== 0n || l1Offset + l1Entries * 8n > end) {
    return broken(`L1 table at ${l1Offset}, file of ${fileSize} bytes`)
  }
  const refcountOffset = view.getBigUint64(48)
  const refcountClusters = BigInt(view.getUint32(56))
  if (refcountClusters === 0n || refcountClusters * cluster > maximumRefcountTableBytes) {
    return broken(`refcount table of ${refcountClusters} clusters`)
  }
  if (refcountOffset < cluster || refcountOffset % cluster !== 0n || refcountOffset >= end) {
    return broken(`refcount table at ${refcountOffset}, file of ${fileSize} bytes`)
  }

  const extension = inspectExtensions(view, headerLength, clusterSize, size)
  return extension === undefined ? Either.right({ format: "qcow2", virtualSize: Number(size) }) : refuse(extension)
}

const hasBackingFile =
  "it has a backing file, and would show the guest whatever that file holds: flatten it with qemu-img convert -O qcow2"
const hasDataFile =
  "it keeps its data in another file, and would show the guest whatever that file holds: convert it with qemu-img convert -O qcow2"
const encrypted = "it is encrypted: decrypt it with qemu-img convert"
const tooManyBitmaps = (count: number): string =>
  `it has ${count === 1 ? "a bitmap" : `${count} bitmaps`} of what was changed, and may take more than 256 MiB of a host's memory for that: ` +
  "remove that with qemu-img bitmap --remove, or convert it with qemu-img convert -O qcow2"

/** Walks the whole area that QEMU would walk (without a backing file it ends with the first cluster). Undefined: nothing wrong. */
const inspectExtensions = (view: DataView, start: number, clusterSize: number, size: bigint): string | undefined => {
  const end = Math.min(clusterSize, view.byteLength)
  let offset = start
  while (offset < end) {
    if (offset + 8 > end) return "its qcow2 header extensions are cut off: make the image again"
    const type = view.getUint32(offset)
    const length = view.getUint32(offset + 4)
    switch (type) {
      case Extension.end:
        return undefined
      case Extension.backingFormat:
        return hasBackingFile
      case Extension.dataFile:
        return hasDataFile
      case Extension.encryption:
        return encrypted
    }
    // others (feature names, unknown ones) are of no consequence by the specification
    if (length > end - offset - 8) return "its qcow2 header extensions are cut off: make the image again"
    if (type === Extension.bitmaps) {
      const count = length < 4 ? 0 : view.getUint32(offset + 8)
      if (BigInt(count) * bytesOfBitmap(size) > maximumBitmapBytes) return tooManyBitmaps(count)
    }
    offset += 8 + Math.ceil(length / 8) * 8
  }
  // QEMU stops here too; with clusters larger than what was read the rest is unknown, so it is not vouched for
  return end === clusterSize ? undefined : "its qcow2 header extensions do not end within 1 MiB: make the image again"
}

// --- everything else ------------------------------------------------------------------------------------------------

const startsWith = (bytes: Uint8Array, offset: number, magic: ReadonlyArray<number>): boolean =>
  bytes.length >= offset + magic.length && magic.every((byte, index) => bytes[offset + index] === byte)

const text = (magic: string): ReadonlyArray<number> => Array.from(magic, (c) => c.charCodeAt(0))

/** what stands where in files that are not raw, and what is told of them */
const signatures: ReadonlyArray<readonly [offset: number, magic: ReadonlyArray<number>, refusal: string]> = [
  [0, text("KDMV"), foreign("a VMDK image")],
  [0, text("COWD"), foreign("a VMDK image")],
  [0, [0xbe, 0xba, 0xfe, 0xca, 0, 0, 0, 0], foreign("a VMDK image")], // seSparse
  [0, text("<<< "), foreign("a VDI image")],
  [64, [0x7f, 0x10, 0xda, 0xbe], foreign("a VDI image")],
  [0, text("conectix"), foreign("a VHD image")],
  [0, text("vhdxfile"), foreign("a VHDX image")],
  [0, text("QED\0"), foreign("a QED image")],
  [0, text("WithoutFreeSpace"), foreign("a Parallels image")],
  [0, text("WithouFreSpacExt"), foreign("a Parallels image")],
  [0, text("Bochs Virtual HD Image"), foreign("a Bochs image")],
  [0, text("#!/bin/sh\n#V2.0 Format"), foreign("a cloop image")],
  [0, text("LUKS\xba\xbe"), "it is encrypted (LUKS): decrypt it first"],
  [0, text("SKUL\xba\xbe"), "it is encrypted (LUKS): decrypt it first"],
  [0, text("MSWIM\0\0\0"), foreign("a WIM image")],
  [0, [0x1f, 0x8b], compressed("gzip")],
  [0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], compressed("xz")],
  [0, [0x28, 0xb5, 0x2f, 0xfd], compressed("zstd")],
  [0, [0x04, 0x22, 0x4d, 0x18], compressed("lz4")],
  [0, text("LZIP"), compressed("lzip")],
  [0, text("PK\x03\x04"), archive("zip")],
  [0, [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c], archive("7z")],
  // an OVA file is a tar archive
  [257, text("ustar"), archive("tar")]
]

const recogniseStart = (head: Uint8Array): string | undefined => {
  const found = signatures.find(([offset, magic]) => startsWith(head, offset, magic))
  if (found !== undefined) return found[2]
  if (startsWith(head, 0, text("BZh")) && startsWith(head, 4, [0x31, 0x41, 0x59, 0x26, 0x53, 0x59])) {
    return compressed("bzip2")
  }
  return isVmdkDescriptor(head) ? foreign("a VMDK descriptor, whose disk is in other files") : undefined
}

/**
 * A descriptor is text; QEMU takes for one whatever has, after comments and blank lines only, a line `version=1` to `version=3`. Its
 * first comment is usually `# Disk DescriptorFile`, but need not be.
 */
const isVmdkDescriptor = (head: Uint8Array): boolean => {
  // latin1: every byte is one character
  const start = String.fromCharCode(...head.subarray(0, 4096))
  return /^\s*# *Disk *DescriptorFile/i.test(start) || /^(?:#[^\n]*\n|[ \t]*\r?\n)*[ \t]*version *= *[0-9]/i.test(start)
}

/** How text begins that says itself how it is written; UTF-8 needs none. */
const byteOrderMarks = [
  ["utf-16le", [0xff, 0xfe]],
  ["utf-16be", [0xfe, 0xff]]
] as const

/**
 * Whether all of its first sector is text that people write, in UTF-8, in UTF-16 with its mark, or in one of the encodings with a byte a character: no
 * disk begins so, and what a web server says of a file it has not does.
 */
const isText = (head: Uint8Array): boolean => {
  const sector = head.subarray(0, sectorSize)
  // whatever is before it: a disk that can be booted, or one with partitions
  if (startsWith(sector, 510, [0x55, 0xaa])) return false
  const marked = byteOrderMarks.find(([, mark]) => startsWith(sector, 0, mark))
  // a sector may end within a character
  const start = new TextDecoder(marked?.[0]).decode(sector, { stream: true })
  if (start !== "" && !/[^\t\n\f\r\x20-\x7e\xa0-\ufffc\u{10000}-\u{10ffff}]/u.test(start)) return true
  const control = sector.some((byte) => byte < 0x20 && !blanks.includes(byte))
  // most of a page is its markup, and not all of a disk that was erased to ones
  const plain = sector.filter((byte) => byte < 0x7f).length
  return !control && !sector.includes(0x7f) && 2 * plain > sector.length
}

const blanks: ReadonlyArray<number> = text("\t\n\f\r")

const recogniseEnd = (tail: Uint8Array): string | undefined => {
  // old versions of Virtual PC wrote 511 bytes of footer
  const footer = tail.length - 512
  if ([footer, footer + 1].some((offset) => offset >= 0 && startsWith(tail, offset, text("conectix")))) {
    return foreign("a VHD image")
  }
  for (let offset = 0; offset + 12 <= tail.length; offset++) {
    // signature, version 4, size 512
    if (startsWith(tail, offset, [0x6b, 0x6f, 0x6c, 0x79, 0, 0, 0, 4, 0, 0, 2, 0])) return foreign("a DMG image")
  }
  return undefined
}
