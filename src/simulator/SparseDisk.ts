/**
 * Content of a disk in memory, its holes left out. Blocks are never changed, only replaced: copies cost nothing until they differ.
 *
 * @since 0.2.0
 */

/** @since 0.7.0 @category constants */
export const blockBytes = 64 * 1024

/** @since 0.2.0 @category models */
export type Blocks = Map<number, Uint8Array>

const zeros = Buffer.alloc(blockBytes)
const isZero = (bytes: Uint8Array): boolean => zeros.subarray(0, bytes.length).equals(bytes)

/** `below`: what is read where there is no block. @since 0.2.0 @category combinators */
export const read = (
  blocks: Blocks,
  offset: number,
  length: number,
  below: (offset: number, length: number) => Uint8Array = (_, count) => new Uint8Array(count)
): Uint8Array => {
  const out = new Uint8Array(length)
  for (let at = offset; at < offset + length;) {
    const inBlock = at % blockBytes
    const count = Math.min(blockBytes - inBlock, offset + length - at)
    const block = blocks.get((at - inBlock) / blockBytes)
    out.set(block === undefined ? below(at, count) : block.subarray(inBlock, inBlock + count), at - offset)
    at += count
  }
  return out
}

/** @since 0.2.0 @category combinators */
export const write = (
  blocks: Blocks,
  offset: number,
  bytes: Uint8Array,
  below: (offset: number, length: number) => Uint8Array = (_, count) => new Uint8Array(count)
): void => {
  for (let at = 0; at < bytes.length;) {
    const inBlock = (offset + at) % blockBytes
    const start = offset + at - inBlock
    const part = bytes.subarray(at, at + blockBytes - inBlock)
    at += part.length
    const there = blocks.get(start / blockBytes) ?? below(start, blockBytes)
    // zeros over zeros make no block
    if (!blocks.has(start / blockBytes) && isZero(part) && isZero(there)) continue
    const block = Uint8Array.from(there)
    block.set(part, inBlock)
    blocks.set(start / blockBytes, block)
  }
}

/** Bytes of all the blocks that so many bytes from there on are in. @since 0.14.0 @category getters */
export const spanOf = (offset: number, length: number): number =>
  length === 0 ? 0 : (Math.floor((offset + length - 1) / blockBytes) - Math.floor(offset / blockBytes) + 1) * blockBytes

/** Bytes that several have together, counted once. @since 0.2.0 @category getters */
export const bytesOf = (disks: Iterable<Blocks>): number => {
  const distinct = new Set<Uint8Array>()
  for (const blocks of disks) for (const block of blocks.values()) distinct.add(block)
  return distinct.size * blockBytes
}
