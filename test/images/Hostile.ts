/**
 * Images that must not get in on any way, each with what is said of it. Where one can name another file it names the canary, which nobody ever opens.
 */
import type { ImageFormat } from "../../src/domain/Image.ts"
import { build } from "./Qcow2.ts"

export interface Hostile {
  readonly name: string
  readonly bytes: Uint8Array
  readonly declared?: ImageFormat
  readonly refusal: RegExp
}

/** A qcow2 header with the name of a backing file. */
const backed = (name: string): Uint8Array => {
  const bytes = build({ backingFileOffset: 1024n, backingFileSize: name.length })
  bytes.set(new TextEncoder().encode(name.padEnd(16, "\0")), 1024)
  return bytes
}

const text = (content: string, at = 0): Uint8Array => {
  const bytes = new Uint8Array(8192)
  bytes.set(Buffer.from(content, "latin1"), at)
  return bytes
}

const backing = /has a backing file/
const data = /keeps its data in another file/
const vmdk = /VMDK/

/** @see traps: CVE-2024-32498, CVE-2022-47951, CVE-2024-40767, CVE-2015-5162 and their like */
export const all = (canary: string): ReadonlyArray<Hostile> => {
  const json = (what: object) => `json:${JSON.stringify(what)}`
  const extent = (type: string) =>
    text(
      `# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="${type}"\nRW 16 FLAT "${canary}" 0\n`
    )
  return [
    { name: "backing-file", bytes: backed(canary), refusal: backing },
    {
      name: "backing-json",
      bytes: backed(json({ driver: "raw", file: { driver: "file", filename: canary } })),
      refusal: backing
    },
    { name: "backing-url", bytes: backed("nbd://127.0.0.1/x"), refusal: backing },
    { name: "backing-format-only", bytes: build({ extensions: [[0xe2792aca, "raw"]] }), refusal: backing },
    { name: "data-file", bytes: build({ incompatible: 4n, extensions: [[0x44415441, canary]] }), refusal: data },
    {
      name: "data-file-json",
      bytes: build({ incompatible: 4n, extensions: [[0x44415441, json({ driver: "file", filename: canary })]] }),
      refusal: data
    },
    { name: "data-file-without-its-bit", bytes: build({ extensions: [[0x44415441, canary]] }), refusal: data },
    { name: "encrypted", bytes: build({ cryptMethod: 2 }), refusal: /encrypted/ },
    {
      name: "internal-snapshot",
      bytes: build({ snapshots: 1, snapshotsOffset: 0x20000n }),
      refusal: /internal snapshots/
    },
    { name: "vast", bytes: build({ size: 1n << 60n }), refusal: /too large/ },
    { name: "vast-l1", bytes: build({ l1Size: 0x7fffffff }), refusal: /L1 table/ },
    { name: "vast-refcounts", bytes: build({ refcountClusters: 0x7fffffff }), refusal: /refcount table/ },
    {
      name: "vast-bitmaps",
      bytes: build({ autoclear: 1n, extensions: [[0x23852875, "\0\0\x7f\x7f".padEnd(24, "\0")]] }),
      refusal: /32639 bitmaps/
    },
    { name: "unknown-feature", bytes: build({ incompatible: 1n << 40n }), refusal: /feature/ },
    { name: "cut-off", bytes: build().subarray(0, 90), refusal: /broken/ },
    { name: "said-to-be-raw", bytes: build(), declared: "raw", refusal: /declared raw, but it is a qcow2 image/ },
    {
      name: "said-to-be-raw-backed",
      bytes: backed(canary),
      declared: "raw",
      refusal: /declared raw, but it is a qcow2 image/
    },
    { name: "said-to-be-qcow2", bytes: text("raw"), declared: "qcow2", refusal: /no qcow2 header/ },
    ...["monolithicFlat", "twoGbMaxExtentFlat", "vmfs", "fullDevice"].map((type) => ({
      name: `vmdk-${type}`,
      bytes: extent(type),
      refusal: vmdk
    })),
    { name: "vmdk-said-to-be-raw", bytes: extent("monolithicFlat"), declared: "raw", refusal: vmdk },
    { name: "vmdk-sparse", bytes: text("KDMV\x01\0\0\0"), refusal: vmdk },
    { name: "vhd", bytes: text("conectix", 8192 - 512), refusal: /VHD/ },
    { name: "vhdx", bytes: text("vhdxfile"), refusal: /VHDX/ },
    { name: "vdi", bytes: text("\x7f\x10\xda\xbe", 64), refusal: /VDI/ },
    { name: "qed", bytes: text("QED\0"), refusal: /QED/ },
    { name: "qcow-1", bytes: build({ version: 1 }), refusal: /qcow \(version 1\)/ },
    { name: "luks", bytes: text("LUKS\xba\xbe"), refusal: /LUKS/ },
    { name: "gzip", bytes: text("\x1f\x8b\x08"), refusal: /compressed with gzip/ }
  ]
}
