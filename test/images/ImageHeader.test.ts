import { assert, beforeEach, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "fast-check"
import { spawnSync } from "node:child_process"
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import type { ImageFormat } from "../../src/domain/Image.ts"
import * as ImageHeader from "../../src/domain/ImageHeader.ts"
import * as Tools from "../check/Tools.ts"
import { build, plain, type Qcow2 } from "./Qcow2.ts"

const inspect = (bytes: Uint8Array, declared?: ImageFormat) =>
  ImageHeader.inspect(
    {
      head: bytes.subarray(0, ImageHeader.headSize),
      tail: bytes.subarray(-ImageHeader.tailSize),
      fileSize: bytes.length
    },
    declared
  )

/** why it is refused: one sentence of what is wrong and how to mend it */
const refusal = (bytes: Uint8Array, declared?: ImageFormat): string =>
  Either.match(inspect(bytes, declared), {
    onLeft: (reason) => {
      assert.match(reason, /^[^\n]{20,200}$/)
      assert.match(reason, /[:,]/)
      return reason
    },
    onRight: (facts) => assert.fail(`accepted as ${JSON.stringify(facts)}`)
  })

const facts = (format: ImageFormat, virtualSize: number) => Either.right({ format, virtualSize })

const ascii = (text: string, length = 4096, at = 0): Uint8Array => {
  const bytes = new Uint8Array(length)
  bytes.set(Buffer.from(text, "latin1"), at)
  return bytes
}

const gib = 1024 ** 3

/** What says that there are so many, and where their directory is. */
const bitmaps = (count: number): string => {
  const bytes = Buffer.alloc(24)
  bytes.writeUInt32BE(count)
  return bytes.toString("latin1")
}

describe("qcow2 that stands alone", () => {
  for (const [what, fields, size] of [
    ["version 3", {}, gib],
    ["version 2", { version: 2 }, gib],
    ["header length 104, as written before QEMU 5.1", { headerLength: 104 }, gib],
    ["a feature name table", { extensions: [[0x6803f857, "\0\0dirty bit"]] }, gib],
    ["an unknown extension", { extensions: [[0x12345678, "anything"]] }, gib],
    ["bitmaps", { extensions: [[0x23852875, bitmaps(3)]], autoclear: 1n }, gib],
    ["as many bitmaps as take 256 MiB", { extensions: [[0x23852875, bitmaps(0x400)]], autoclear: 1n }, gib],
    ["lazy refcounts, closed cleanly", { compatible: 1n }, gib],
    ["zstd", { incompatible: 1n << 3n, compressionType: 1 }, gib],
    ["extended L2 entries", { incompatible: 1n << 4n, l1Size: 4 }, gib],
    ["the smallest disk", { size: 512n, l1Size: 1 }, 512],
    [
      "clusters of 512 bytes",
      { clusterBits: 9, size: 32768n * 4n, l1Size: 4, l1Offset: 1024n, refcountOffset: 512n },
      131072
    ],
    [
      "clusters of 2 MiB",
      {
        clusterBits: 21,
        l1Size: 1,
        l1Offset: 3n << 21n,
        refcountOffset: 1n << 21n,
        fileSize: 4 << 21,
        extensions: [[0, ""]]
      },
      gib
    ],
    ["64 TiB", { size: 1n << 46n, l1Size: 131072, fileSize: 0x30000 + 131072 * 8 }, 64 * 1024 ** 4]
  ] satisfies ReadonlyArray<readonly [string, Partial<Qcow2>, number]>) {
    it(`${what}`, () => {
      assert.deepStrictEqual(inspect(build(fields)), facts("qcow2", size))
      assert.deepStrictEqual(inspect(build(fields), "qcow2"), facts("qcow2", size))
    })
  }
})

// CVE-2024-32498, CVE-2024-45219, CVE-2024-50386, CVE-2026-24708 and its kin: the header that names another file, in every way it can
describe("qcow2 that depends on another file", () => {
  const dataFile = /^it keeps its data in another file/
  const backing = /^it has a backing file/
  for (const version of [2, 3]) {
    for (const [what, fields, reason] of [
      ["a backing file", { backingFileOffset: 512n, backingFileSize: 11 }, backing],
      ["a backing file of length 0", { backingFileOffset: 512n }, backing],
      ["a backing file at offset 0", { backingFileSize: 11 }, backing],
      ["a backing file beyond the end", { backingFileOffset: 1n << 63n, backingFileSize: 1023 }, backing],
      ["a backing format only", { extensions: [[0xe2792aca, "raw"]] }, backing],
      ["a data file's name", { extensions: [[0x44415441, "/etc/shadow"]] }, dataFile],
      ["a data file's name of length 0", { extensions: [[0x44415441, ""]] }, dataFile],
      [
        "a data file's name after others",
        {
          extensions: [
            [0x6803f857, "x".repeat(47)],
            [0x11111111, ""],
            [0x44415441, "json:{}"]
          ]
        },
        dataFile
      ],
      ["an encryption header", { extensions: [[0x0537be77, "x".repeat(16)]] }, /^it is encrypted/],
      ["AES encryption", { cryptMethod: 1 }, /^it is encrypted/],
      ["LUKS encryption", { cryptMethod: 2 }, /^it is encrypted/]
    ] satisfies ReadonlyArray<readonly [string, Partial<Qcow2>, RegExp]>) {
      it(`${what}, version ${version}`, () => {
        assert.match(refusal(build({ version, ...fields })), reason)
        assert.match(refusal(build({ version, ...fields }), "qcow2"), reason)
        assert.match(refusal(build({ version, ...fields }), "raw"), /^it is declared raw, but it is a qcow2 image/)
      })
    }
  }
  it("the data file bit", () => assert.match(refusal(build({ incompatible: 1n << 2n })), dataFile))
  it("the raw data file bit", () => assert.match(refusal(build({ autoclear: 2n })), dataFile))
  it("both, and the name", () =>
    assert.match(
      refusal(build({ incompatible: 4n, autoclear: 2n, extensions: [[0x44415441, "nbd://10.0.0.1/x"]] })),
      dataFile
    ))
  it("a name after an extension that pretends to be longer than the cluster", () => {
    const bytes = build({
      extensions: [
        [0x11111111, "x"],
        [0x44415441, "/etc/shadow"]
      ]
    })
    new DataView(bytes.buffer).setUint32(116, 0xfffffff0)
    assert.match(refusal(bytes), /header extensions are cut off/)
  })
  it("extensions that go on beyond what is read", () => {
    const fields = { clusterBits: 21, l1Size: 1, l1Offset: 3n << 21n, refcountOffset: 1n << 21n, fileSize: 4 << 21 }
    const bytes = build({ ...fields, extensions: [[0x11111111, ""]] })
    const view = new DataView(bytes.buffer)
    view.setUint32(116, ImageHeader.headSize - 112 - 8)
    view.setUint32(ImageHeader.headSize, 0x44415441)
    assert.match(refusal(bytes), /do not end within 1 MiB/)
    view.setUint32(116, ImageHeader.headSize)
    assert.match(refusal(bytes), /cut off/)
  })
})

describe("qcow2 that is broken, unclean or wants too much", () => {
  for (const [what, fields, reason] of [
    ["dirty", { incompatible: 1n }, /^it was not closed cleanly/],
    ["corrupt", { incompatible: 2n }, /^it is marked corrupt/],
    ["unknown incompatible feature", { incompatible: 1n << 5n }, /features that are not known here \(0x20\)/],
    ["unknown incompatible feature 63", { incompatible: 1n << 63n }, /features that are not known here/],
    ["version 0", { version: 0 }, /^it is qcow2 of version 0/],
    ["version 4", { version: 4 }, /^it is qcow2 of version 4/],
    ["version 1", { version: 1 }, /^it is a qcow \(version 1\) image/],
    ["clusters of 256 bytes", { clusterBits: 8 }, /cluster_bits 8/],
    ["clusters of 4 MiB", { clusterBits: 22 }, /cluster_bits 22/],
    ["cluster_bits 2^32-1", { clusterBits: 0xffffffff }, /cluster_bits/],
    ["header length 96", { headerLength: 96 }, /header length 96/],
    ["header length 105", { headerLength: 105 }, /header length 105/],
    ["refcount order 7", { refcountOrder: 7 }, /refcount_order 7/],
    ["compression type without its bit", { compressionType: 1 }, /compression type 1/],
    ["compression bit without a type", { incompatible: 8n }, /compression type 0/],
    ["compression type 2", { incompatible: 8n, compressionType: 2 }, /compression type 2 is not known/],
    ["compression type in a short header", { incompatible: 8n, headerLength: 104 }, /compression type 0/],
    ["extended L2 with small clusters", { incompatible: 16n, clusterBits: 13 }, /extended L2/],
    ["size 0", { size: 0n }, /a size of 0/],
    ["size 513", { size: 513n }, /not a multiple of 512/],
    ["size of 64 TiB and a sector", { size: (1n << 46n) + 512n }, /too large/],
    ["size 2^64-512", { size: (1n << 64n) - 512n }, /too large/],
    ["snapshots", { snapshots: 2 }, /2 internal snapshots/],
    ["L1 table too short", { l1Size: 1 }, /L1 table of 1 entries/],
    ["L1 table too short for extended L2", { incompatible: 16n }, /L1 table of 2 entries/],
    ["L1 table of 32 GiB", { l1Size: 0xffffffff }, /L1 table of 4294967295 entries/],
    ["L1 table beyond the file", { l1Size: 32768 }, /L1 table at/],
    ["L1 table at 0", { l1Offset: 0n }, /L1 table at 0/],
    ["L1 table unaligned", { l1Offset: 0x30008n }, /L1 table at/],
    ["L1 table at 2^64-65536", { l1Offset: (1n << 64n) - 65536n }, /L1 table at/],
    ["refcount table of no cluster", { refcountClusters: 0 }, /refcount table of 0/],
    ["refcount table of 256 TiB", { refcountClusters: 0xffffffff }, /refcount table of/],
    ["refcount table at 0", { refcountOffset: 0n }, /refcount table at 0/],
    ["refcount table unaligned", { refcountOffset: 0x10200n }, /refcount table at/],
    ["refcount table beyond the file", { refcountOffset: 0x40000n }, /refcount table at/],
    ["a bitmap too many", { extensions: [[0x23852875, bitmaps(0x401)]] }, /1025 bitmaps .* more than 256 MiB/],
    ["a bitmap too many of a small disk", { extensions: [[0x23852875, bitmaps(0x401)]], size: 512n }, /1025 bitmaps/],
    [
      "a bitmap of a vast disk",
      { extensions: [[0x23852875, bitmaps(1)]], size: 1n << 41n, l1Size: 4096 },
      /a bitmap of what was changed/
    ],
    ["4 bytes", { fileSize: 4 }, /qcow2 header is broken \(it ends after 4 bytes\)/],
    ["71 bytes", { fileSize: 71 }, /ends after 71 bytes/],
    ["103 bytes", { fileSize: 103 }, /ends after 103 bytes/],
    ["a header only", { fileSize: 112 }, /L1 table at/]
  ] satisfies ReadonlyArray<readonly [string, Partial<Qcow2>, RegExp]>) {
    it(`${what}`, () => assert.match(refusal(build(fields)), reason))
  }
})

// CVE-2022-47951 (VMDK descriptors), CVE-2024-40767 (declared raw, really something else)
describe("declared x actual", () => {
  const footer = (text: string) => ascii(text, 4096, 4096 - 512)
  const actual: Record<string, readonly [Uint8Array, RegExp]> = {
    "qcow (version 1)": [build({ version: 1 }), /qcow \(version 1\)/],
    "VMDK sparse": [ascii("KDMV\x01\0\0\0"), /a VMDK image/],
    "VMDK COWD": [ascii("COWD"), /a VMDK image/],
    "VMDK seSparse": [ascii("\xbe\xba\xfe\xca\0\0\0\0"), /a VMDK image/],
    ...Object.fromEntries(
      [
        "monolithicSparse",
        "monolithicFlat",
        "twoGbMaxExtentSparse",
        "twoGbMaxExtentFlat",
        "streamOptimized",
        "vmfs",
        "vmfsSparse",
        "fullDevice",
        "partitionedDevice",
        "vmfsRaw",
        "vmfsRawDeviceMap",
        "vmfsPassthroughRawDeviceMap",
        "custom"
      ].map((type) => [
        `VMDK descriptor ${type}`,
        [
          ascii(
            `# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="${type}"\nRW 1 FLAT "/etc/shadow" 0\n`
          ),
          /a VMDK descriptor/
        ] as const
      ])
    ),
    "VMDK descriptor, other comment": [
      ascii('#x\n\n  \r\nversion=1\nRW 1 FLAT "/etc/shadow" 0\n'),
      /a VMDK descriptor/
    ],
    "VMDK descriptor, no comment": [ascii("version=3\n"), /a VMDK descriptor/],
    "VMDK descriptor, CRLF, lower case": [ascii("# disk descriptorfile\r\nversion = 2\r\n"), /a VMDK descriptor/],
    "VMDK descriptor, leading blanks": [ascii("\n \t# Disk DescriptorFile\n"), /a VMDK descriptor/],
    VDI: [ascii("\x7f\x10\xda\xbe", 4096, 64), /a VDI image/],
    "VDI with text": [ascii("<<< Oracle VM VirtualBox Disk Image >>>"), /a VDI image/],
    "VHD dynamic": [ascii("conectix"), /a VHD image/],
    "VHD fixed": [footer("conectix"), /a VHD image/],
    "VHD fixed, 511 bytes of footer": [ascii("conectix", 4095, 4095 - 511), /a VHD image/],
    VHDX: [ascii("vhdxfile"), /a VHDX image/],
    QED: [ascii("QED\0"), /a QED image/],
    Parallels: [ascii("WithoutFreeSpace"), /a Parallels image/],
    "Parallels extended": [ascii("WithouFreSpacExt"), /a Parallels image/],
    Bochs: [ascii("Bochs Virtual HD Image"), /a Bochs image/],
    cloop: [ascii("#!/bin/sh\n#V2.0 Format\nmodprobe cloop"), /a cloop image/],
    LUKS: [ascii("LUKS\xba\xbe\0\x02"), /encrypted \(LUKS\)/],
    DMG: [footer("koly\0\0\0\x04\0\0\x02\0"), /a DMG image/],
    WIM: [ascii("MSWIM\0\0\0"), /a WIM image/],
    gzip: [ascii("\x1f\x8b\x08"), /compressed with gzip: decompress it first/],
    xz: [ascii("\xfd7zXZ\0"), /compressed with xz: decompress it first/],
    zstd: [ascii("\x28\xb5\x2f\xfd"), /compressed with zstd/],
    bzip2: [ascii("BZh91AY&SY"), /compressed with bzip2/],
    lz4: [ascii("\x04\x22\x4d\x18"), /compressed with lz4/],
    lzip: [ascii("LZIP\x01"), /compressed with lzip/],
    zip: [ascii("PK\x03\x04"), /a zip archive/],
    "7z": [ascii("7z\xbc\xaf\x27\x1c"), /a 7z archive/],
    "tar (OVA)": [ascii("ustar\x0000", 10240, 257), /a tar archive/]
  }
  for (const [what, [bytes, reason]] of Object.entries(actual)) {
    it(`${what}: refused whatever is declared`, () => {
      for (const declared of [undefined, "raw", "qcow2"] as const) assert.match(refusal(bytes, declared), reason)
    })
  }
  it("qcow2 declared raw", () => assert.match(refusal(build(), "raw"), /^it is declared raw, but it is a qcow2 image/))
  it("raw declared qcow2", () =>
    assert.match(refusal(ascii(""), "qcow2"), /^it is declared qcow2, but it has no qcow2 header/))
})

describe("raw", () => {
  it("a boot sector", () =>
    assert.deepStrictEqual(inspect(ascii("\x55\xaa", 1024 * 1024, 510), "raw"), facts("raw", 1024 * 1024)))
  it("an ISO 9660 image", () =>
    assert.deepStrictEqual(inspect(ascii("\x01CD001\x01", 65536, 32768)), facts("raw", 65536)))
  it("zeros", () => assert.deepStrictEqual(inspect(new Uint8Array(4096)), facts("raw", 4096)))
  it("text, as of a pseudo-protocol, is only bytes", () => {
    assert.deepStrictEqual(inspect(ascii('{"driver":"qcow2","file":{"filename":"/etc/shadow"}}')), facts("raw", 4096))
    assert.deepStrictEqual(inspect(ascii("json:{}")), facts("raw", 4096))
  })
  it("a shell script that is no cloop image", () =>
    assert.deepStrictEqual(inspect(ascii("#!/bin/sh\nversion() { :; }\n")), facts("raw", 4096)))
  it("is rounded up to whole sectors", () => {
    assert.deepStrictEqual(inspect(Uint8Array.of(1), "raw"), facts("raw", 512))
    assert.deepStrictEqual(inspect(new Uint8Array(513)), facts("raw", 1024))
  })
  it("has at least a sector, but for whoever says that it is raw", () => {
    for (const bytes of [new Uint8Array(1), new Uint8Array(511), Buffer.from([0xff, 0x20]), Buffer.from("\u001b[1m")]) {
      assert.match(refusal(bytes), /^it has \d+ bytes?, and no disk is smaller than a sector of 512: /)
      assert.deepStrictEqual(inspect(bytes, "raw"), facts("raw", 512))
    }
    assert.deepStrictEqual(inspect(new Uint8Array(512)), facts("raw", 512))
  })
  it("is no text, such as what a server says of a file that it has not, but for whoever says that it is", () => {
    const page = "<!doctype html><title>Not found</title>\n"
    const umlauts = "\u00fc".repeat(2000)
    for (const said of [page, page.repeat(100), `# a list\r\n\tof images\f\n`, umlauts, `x${umlauts}`]) {
      const bytes = Buffer.from(said)
      assert.match(refusal(bytes), /^it is text, as an error page is/)
      assert.deepStrictEqual(inspect(bytes, "raw"), facts("raw", Math.ceil(bytes.length / 512) * 512))
    }
    for (const start of [`${page}\0`, "\u001b[1mbold", "\u007f"]) {
      assert.deepStrictEqual(inspect(Buffer.from(start.padEnd(512, "x"))), facts("raw", 512), start)
    }
  })
  it("is no text in other encodings than UTF-8", () => {
    const page =
      "<html><head><title>Nicht verf\u00fcgbar</title></head>\r\n<body>Die Datei ist f\u00fcr Sie gesperrt</body>\r\n"
    const marked = `\ufeff${page.repeat(20)}`
    for (const bytes of [
      Buffer.from(page, "latin1"),
      Buffer.from(page.repeat(20), "latin1"),
      // quotation marks of windows-1252
      Buffer.from(`<p>\u0093kein\u0094</p>`.repeat(100), "latin1"),
      Buffer.from(marked, "utf16le"),
      Buffer.from(marked, "utf16le").swap16(),
      Buffer.from(`\ufeff${page}\u{1f4be}`, "utf16le"),
      Buffer.from(marked),
      Buffer.from(`${page}\u{1f4be}`.repeat(20))
    ]) {
      assert.match(refusal(bytes), /^it is text, as an error page is/)
      assert.strictEqual(Either.isRight(inspect(bytes, "raw")), true)
    }
  })
  it("are disks, whatever stands in their first sector", () => {
    const sector = (...parts: ReadonlyArray<readonly [at: number, bytes: ReadonlyArray<number>]>) => {
      const disk = new Uint8Array(4096)
      for (const [at, bytes] of parts) disk.set(bytes, at)
      return disk
    }
    const code = Array.from({ length: 440 }, (_, index) => (index * 37 + 11) % 256)
    const disks = {
      "a boot record with a partition": sector([0, code], [446, [0x80, 1, 1, 0, 0x83]], [510, [0x55, 0xaa]]),
      "GPT behind its protective record": sector(
        [450, [0xee]],
        [510, [0x55, 0xaa]],
        [512, Array.from(Buffer.from("EFI PART"))]
      ),
      "ext4, which leaves its first sectors empty": sector([1024 + 56, [0x53, 0xef]]),
      XFS: sector([0, [...Buffer.from("XFSB"), 0, 0, 0x10, 0]]),
      FAT: sector([0, [0xeb, 0x3c, 0x90, ...Buffer.from("mkfs.fat")]], [510, [0x55, 0xaa]]),
      swap: sector([4086, Array.from(Buffer.from("SWAPSPACE2"))]),
      "a boot record whose code is a sentence": sector(
        [0, Array.from(Buffer.from("a disk, not an empty one. ".repeat(20)).subarray(0, 510))],
        [510, [0x55, 0xaa]]
      ),
      "erased to ones": new Uint8Array(4096).fill(0xff),
      "a mark of UTF-16 by chance": sector([0, [0xff, 0xfe, ...code]])
    }
    for (const [what, disk] of Object.entries(disks)) assert.deepStrictEqual(inspect(disk), facts("raw", 4096), what)
  })
  it("random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), fc.constantFrom(0, 1, 0x1b), (bytes, byte) => {
        // one control character in a sector is enough
        bytes[100] = byte
        const known = inspect(bytes, "raw")
        assert.deepStrictEqual(inspect(bytes), known)
      }),
      { numRuns: 2000 }
    )
  })
  it("an empty file", () => assert.match(refusal(new Uint8Array()), /^the file is empty/))
  it("longer than 64 TiB", () =>
    assert.isTrue(
      Either.isLeft(ImageHeader.inspect({ head: new Uint8Array(ImageHeader.headSize), fileSize: 64 * 1024 ** 4 + 1 }))
    ))
  it("a head that is shorter than the file allows", () =>
    assert.match(
      Either.getOrElse(Either.flip(ImageHeader.inspect({ head: new Uint8Array(100), fileSize: 4096 })), () => ""),
      /only 100 of its 4096 bytes/
    ))
  it("a size that makes no sense", () => {
    for (const fileSize of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.isTrue(Either.isLeft(ImageHeader.inspect({ head: new Uint8Array(4096), fileSize })))
    }
  })
})

describe("for any bytes", () => {
  /** read by the specification, apart from the parser: whether anything names, or could name, another file */
  const standsAlone = (bytes: Uint8Array): boolean => {
    const buffer = Buffer.from(bytes)
    const version = buffer.readUInt32BE(4)
    if (buffer.readBigUInt64BE(8) !== 0n || buffer.readUInt32BE(16) !== 0 || buffer.readUInt32BE(32) !== 0) return false
    if (version === 3 && (buffer.readBigUInt64BE(72) & ~24n) !== 0n) return false
    if (version === 3 && (buffer.readBigUInt64BE(88) & 2n) !== 0n) return false
    const cluster = 2 ** buffer.readUInt32BE(20)
    for (let at = version === 3 ? buffer.readUInt32BE(100) : 72; at + 8 <= Math.min(cluster, buffer.length);) {
      const type = buffer.readUInt32BE(at)
      if (type === 0) return true
      if ([0xe2792aca, 0x44415441, 0x0537be77].includes(type)) return false
      at += 8 + Math.ceil(buffer.readUInt32BE(at + 4) / 8) * 8
    }
    return true
  }
  // counted, because a property of what is accepted says nothing when nothing is
  let judged = 0
  let accepted = 0
  beforeEach(() => {
    judged = 0
    accepted = 0
  })
  const sound = (bytes: Uint8Array, declared?: ImageFormat) => {
    judged++
    const result = inspect(bytes, declared)
    if (Either.isLeft(result)) return assert.match(result.left, /^[^\n]{1,300}$/)
    accepted++
    const { format, virtualSize } = result.right
    assert.isTrue(Number.isSafeInteger(virtualSize) && virtualSize > 0 && virtualSize % 512 === 0)
    assert.isTrue(declared === undefined || declared === format)
    const isQcow = Buffer.from(bytes.subarray(0, 4)).equals(Buffer.from("QFI\xfb", "latin1"))
    assert.strictEqual(format === "qcow2", isQcow)
    if (format === "qcow2") assert.isTrue(standsAlone(bytes))
  }
  const declared = fc.constantFrom(undefined, "raw" as const, "qcow2" as const)

  it("arbitrary ones", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 2048 }), declared, sound), { numRuns: 5000 })
    assert.isAbove(accepted, 1000)
  })

  it("arbitrary ones after the magic", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2048 }), fc.constantFrom(2, 3), declared, (bytes, version, declared) =>
        sound(Buffer.concat([Buffer.from([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, version]), bytes]), declared)
      ),
      { numRuns: 5000 }
    )
    assert.strictEqual(judged, 5000)
  })

  const small: Partial<Qcow2> = {
    clusterBits: 12,
    l1Size: 1,
    size: 1n << 20n,
    l1Offset: 8192n,
    refcountOffset: 4096n,
    fileSize: 12288
  }
  const seeds = [
    build(small),
    build({ ...small, version: 2 }),
    build({
      ...small,
      extensions: [
        [0x6803f857, "x".repeat(48)],
        [0x23852875, bitmaps(1)]
      ]
    }),
    build({ ...small, version: 2, extensions: [[0x11111111, "x".repeat(9)]] }),
    build({ ...small, backingFileOffset: 512n, backingFileSize: 11 }),
    build({ ...small, incompatible: 4n, extensions: [[0x44415441, "/etc/shadow"]] })
  ]
  it("mutated headers: what is still accepted stands alone", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(
          fc.tuple(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 2, 4, 8, 16, 0x41, 0x44, 0x54, 0x80, 0xff)),
          {
            minLength: 1,
            maxLength: 6
          }
        ),
        declared,
        (seed, changes, declared) => {
          const bytes = seed.slice()
          for (const [at, byte] of changes) bytes[at] = byte
          sound(bytes, declared)
        }
      ),
      { numRuns: 30000 }
    )
    assert.isAbove(accepted, 300)
  })

  it("each single byte of a sound header, at every value", () => {
    const seed = build(small)
    for (let at = 0; at < 128; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const bytes = seed.slice()
        bytes[at] = byte
        sound(bytes)
      }
    }
    assert.isAbove(accepted, 128)
  })

  // CVE-2015-5162: what costs time or memory
  it("is quick and small for hostile input", () => {
    const head = new Uint8Array(ImageHeader.headSize)
    const started = performance.now()
    for (const filler of ["\n", " ", "#\n", " \n", "#", "\t \r\n", "version"]) {
      head.set(Buffer.from(filler.repeat(8192)))
      inspect(head)
    }
    // as many extensions as fit
    const extensions = build({
      clusterBits: 20,
      l1Size: 1,
      l1Offset: 2n << 20n,
      refcountOffset: 1n << 20n,
      fileSize: 3 << 20
    })
    const view = new DataView(extensions.buffer)
    for (let at = 112; at < 1 << 20; at += 8) view.setUint32(at, 0x11111111)
    assert.deepStrictEqual(inspect(extensions), facts("qcow2", Number(plain.size)))
    assert.isBelow(performance.now() - started, 1000)
  })
})

describe.skipIf(Tools.isMissing("qemu-img"))("images that qemu-img makes (needs qemu-img)", () => {
  const inFolder = (use: (path: string, qemuImg: (...args: ReadonlyArray<string>) => void) => void) => () => {
    const folder = mkdtempSync(`${tmpdir()}/vmfabric-images-`)
    try {
      use(`${folder}/image`, (...args) => {
        // its key derivation times itself, and gives up now and then on a machine whose clock of CPU time is coarse
        for (let tries = 40; ; tries--) {
          const { status, stderr } = spawnSync("/usr/bin/qemu-img", args, { cwd: folder, encoding: "utf8" })
          if (status === 0) return
          if (tries === 0 || !stderr.includes("accurate CPU usage"))
            assert.fail(`qemu-img ${args.join(" ")}: ${stderr}`)
        }
      })
    } finally {
      rmSync(folder, { recursive: true })
    }
  }
  /** the first and last bytes only, as the product does */
  const inspectFile = (path: string, declared?: ImageFormat) => {
    const fd = openSync(path, "r")
    try {
      const fileSize = fstatSync(fd).size
      const head = Buffer.alloc(Math.min(fileSize, ImageHeader.headSize))
      const tail = Buffer.alloc(Math.min(fileSize, ImageHeader.tailSize))
      readSync(fd, head, 0, head.length, 0)
      readSync(fd, tail, 0, tail.length, fileSize - tail.length)
      return ImageHeader.inspect({ head, tail, fileSize }, declared)
    } finally {
      closeSync(fd)
    }
  }
  const secret = ["--object", "secret,id=s,data=x"]

  const kinds: ReadonlyArray<readonly [options: string, size?: number]> = [
    [""],
    ["compat=0.10"],
    ["extended_l2=on"],
    ["compression_type=zstd"],
    ["lazy_refcounts=on"],
    ["preallocation=metadata", 64 * 1024 ** 2],
    ["preallocation=falloc", 64 * 1024 ** 2],
    ["preallocation=full", 1024 ** 2],
    ["cluster_size=512", 1024 ** 2],
    ["cluster_size=2M"],
    ["cluster_size=2M,extended_l2=on"],
    ["refcount_bits=1"],
    ["refcount_bits=64"],
    ["", 512],
    ["", 16 * 1024 ** 4],
    ["compat=0.10,cluster_size=2M", 512]
  ]
  for (const [options, size = 1025 * 1024 ** 2] of kinds) {
    it(
      `accepts qcow2 ${options} of ${size} bytes`,
      inFolder((path, qemuImg) => {
        qemuImg("create", "-q", "-f", "qcow2", ...(options === "" ? [] : ["-o", options]), path, `${size}`)
        for (const declared of [undefined, "qcow2"] as const) {
          assert.deepStrictEqual(inspectFile(path, declared), Either.right({ format: "qcow2", virtualSize: size }))
        }
        assert.isTrue(Either.isLeft(inspectFile(path, "raw")))
      })
    )
  }

  it(
    "accepts compressed qcow2 with data",
    inFolder((path, qemuImg) => {
      writeFileSync(`${path}.raw`, new Uint8Array(3 * 1024 ** 2).fill(7))
      for (const options of ["compression_type=zlib", "compression_type=zstd"]) {
        qemuImg("convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, `${path}.raw`, path)
        assert.deepStrictEqual(inspectFile(path), Either.right({ format: "qcow2", virtualSize: 3 * 1024 ** 2 }))
      }
    })
  )

  it(
    "accepts qcow2 with a bitmap, and with a snapshot once that is gone",
    inFolder((path, qemuImg) => {
      qemuImg("create", "-q", "-f", "qcow2", path, "1G")
      qemuImg("bitmap", "--add", "-f", "qcow2", path, "b")
      assert.isTrue(Either.isRight(inspectFile(path)))
      qemuImg("snapshot", "-c", "s", path)
      assert.match(
        Either.getOrElse(Either.flip(inspectFile(path)), () => ""),
        /1 internal snapshots/
      )
      qemuImg("snapshot", "-d", "s", path)
      assert.isTrue(Either.isRight(inspectFile(path)))
    })
  )

  it(
    "refuses backing files, data files and encryption",
    inFolder((path, qemuImg) => {
      const refuses = (reason: RegExp, ...args: ReadonlyArray<string>) => {
        qemuImg("create", "-q", "-f", "qcow2", ...args)
        const result = inspectFile(path)
        assert.match(
          Either.getOrElse(Either.flip(result), () => "accepted"),
          reason
        )
        rmSync(path)
      }
      qemuImg("create", "-q", "-f", "raw", `${path}.base`, "1M")
      refuses(/^it has a backing file/, "-b", `${path}.base`, "-F", "raw", path)
      refuses(/^it has a backing file/, "-o", "compat=0.10", "-b", `${path}.base`, "-F", "raw", path)
      refuses(/^it has a backing file/, "-u", "-b", 'json:{"driver":"raw"}', "-F", "raw", path, "1M")
      refuses(/^it has a backing file/, "-u", "-b", "nbd://10.0.0.1/x", "-F", "raw", path, "1M")
      refuses(/^it keeps its data in another file/, "-o", `data_file=${path}.data`, path, "1M")
      refuses(/^it keeps its data in another file/, "-o", `data_file=${path}.data,data_file_raw=on`, path, "1M")
      refuses(
        /^it is encrypted/,
        ...secret,
        "-o",
        "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10",
        path,
        "1M"
      )
    })
  )

  const foreign: ReadonlyArray<readonly [format: string, options: string, reason: RegExp]> = [
    ["vmdk", "subformat=monolithicSparse", /VMDK image/],
    ["vmdk", "subformat=streamOptimized", /VMDK image/],
    ["vmdk", "subformat=monolithicFlat", /VMDK descriptor/],
    ["vmdk", "subformat=twoGbMaxExtentSparse", /VMDK descriptor/],
    ["vmdk", "subformat=twoGbMaxExtentFlat", /VMDK descriptor/],
    ["vdi", "static=off", /VDI/],
    ["vdi", "static=on", /VDI/],
    ["vpc", "subformat=dynamic", /VHD image/],
    ["vpc", "subformat=fixed", /VHD image/],
    ["vhdx", "subformat=dynamic", /VHDX/],
    ["vhdx", "subformat=fixed", /VHDX/],
    ["qed", "cluster_size=65536", /QED/],
    ["parallels", "cluster_size=1M", /Parallels/],
    ["qcow", "encryption=off", /qcow \(version 1\)/],
    ["luks", "key-secret=s,iter-time=10", /LUKS/]
  ]
  for (const [format, options, reason] of foreign) {
    it(
      `refuses ${format} ${options}`,
      inFolder((path, qemuImg) => {
        qemuImg("create", "-q", ...(format === "luks" ? secret : []), "-f", format, "-o", options, path, "4M")
        for (const declared of [undefined, "raw", "qcow2"] as const) {
          assert.match(
            Either.getOrElse(Either.flip(inspectFile(path, declared)), () => "accepted"),
            reason
          )
        }
      })
    )
  }
})
