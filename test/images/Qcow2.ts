/** qcow2 headers written byte by byte, so that hostile ones need no tool that would refuse to make them. */

/** @see QEMU's docs/interop/qcow2.txt */
export interface Qcow2 {
  readonly magic: number
  readonly version: number
  readonly backingFileOffset: bigint
  readonly backingFileSize: number
  readonly clusterBits: number
  readonly size: bigint
  readonly cryptMethod: number
  readonly l1Size: number
  readonly l1Offset: bigint
  readonly refcountOffset: bigint
  readonly refcountClusters: number
  readonly snapshots: number
  readonly snapshotsOffset: bigint
  readonly incompatible: bigint
  readonly compatible: bigint
  readonly autoclear: bigint
  readonly refcountOrder: number
  readonly headerLength: number
  readonly compressionType: number
  readonly extensions: ReadonlyArray<readonly [type: number, data: string]>
  /** bytes of the whole file */
  readonly fileSize: number
}

/** a sound image of 1 GiB */
export const plain: Qcow2 = {
  magic: 0x514649fb,
  version: 3,
  backingFileOffset: 0n,
  backingFileSize: 0,
  clusterBits: 16,
  size: 1n << 30n,
  cryptMethod: 0,
  l1Size: 2,
  l1Offset: 0x30000n,
  refcountOffset: 0x10000n,
  refcountClusters: 1,
  snapshots: 0,
  snapshotsOffset: 0n,
  incompatible: 0n,
  compatible: 0n,
  autoclear: 0n,
  refcountOrder: 4,
  headerLength: 112,
  compressionType: 0,
  extensions: [],
  fileSize: 0x40000
}

export const build = (fields: Partial<Qcow2> = {}): Uint8Array => {
  const q = { ...plain, ...fields }
  const bytes = new Uint8Array(q.fileSize)
  // what does not fit is written and then cut off
  const whole = new Uint8Array(Math.max(q.fileSize, 4096))
  const view = new DataView(whole.buffer)
  view.setUint32(0, q.magic)
  view.setUint32(4, q.version)
  view.setBigUint64(8, q.backingFileOffset)
  view.setUint32(16, q.backingFileSize)
  view.setUint32(20, q.clusterBits)
  view.setBigUint64(24, q.size)
  view.setUint32(32, q.cryptMethod)
  view.setUint32(36, q.l1Size)
  view.setBigUint64(40, q.l1Offset)
  view.setBigUint64(48, q.refcountOffset)
  view.setUint32(56, q.refcountClusters)
  view.setUint32(60, q.snapshots)
  view.setBigUint64(64, q.snapshotsOffset)
  let offset = 72
  if (q.version >= 3) {
    view.setBigUint64(72, q.incompatible)
    view.setBigUint64(80, q.compatible)
    view.setBigUint64(88, q.autoclear)
    view.setUint32(96, q.refcountOrder)
    view.setUint32(100, q.headerLength)
    view.setUint8(104, q.compressionType)
    offset = q.headerLength
  }
  for (const [type, data] of q.extensions) {
    const content = new TextEncoder().encode(data)
    view.setUint32(offset, type)
    view.setUint32(offset + 4, content.length)
    whole.set(content, offset + 8)
    offset += 8 + Math.ceil(content.length / 8) * 8
  }
  if (q.backingFileOffset > 0n && q.backingFileOffset < 4000n) {
    whole.set(new TextEncoder().encode("/etc/shadow"), Number(q.backingFileOffset))
  }
  bytes.set(whole.subarray(0, q.fileSize))
  return bytes
}
