/**
 * Rows of numbers of two bytes in as few bits as they need, without losing any.
 *
 * A number is written as its difference from the one above it, in about as many bits as the last ones took. Most of what is measured of a guest is
 * nothing at all, which takes one bit, and a row that is as the one before takes one in all.
 *
 * @since 0.15.0
 */
import type { BitQueue, Place } from "./BitQueue.ts"

/** What is added to a mean of what comes is its distance from that, halved so often. */
const inertia = 3

/** A difference that takes more is written as it is: so many ones, and then so many bits. */
const escape = { ones: 12, bits: 16 }

/** Of a difference, as a number from 0 on: small ones are small, whatever their sign. */
const folded = (difference: number): number => {
  const signed = (difference << 16) >> 16
  return ((signed << 1) ^ (signed >> 31)) & 0xffff
}

const unfolded = (code: number): number => (code >>> 1) ^ -(code & 1)

/** One that is out of the ordinary is not taken for the rule. */
const followed = (mean: number, code: number): number => {
  const usual = Math.min(code, 4 * mean + 16)
  return mean + ((usual - mean + (usual > mean ? (1 << inertia) - 1 : 0)) >> inertia)
}

/** How many low bits of numbers about as large as `mean` are written as they are. */
const lowBits = (mean: number): number => 31 - Math.clz32(((mean * 3) >> 2) | 1)

const write = (queue: BitQueue, code: number, low: number): void => {
  const high = code >> low
  if (high >= escape.ones) {
    queue.write(-1, escape.ones)
    return queue.write(code, escape.bits)
  }
  queue.write(-2, high + 1)
  queue.write(code, low)
}

const read = (queue: BitQueue, place: Place, low: number): number => {
  let high = 0
  while (queue.read(place, 1) === 1) if (++high === escape.ones) return queue.read(place, escape.bits)
  return (high << low) | queue.read(place, low)
}

/**
 * Writes rows and reads them. What has to be known of the rows before stands in somebody's `words`, from `at` on: of each column the last number that
 * was not 0, and how much it changes; which of them are 0; whether the last row had numbers. All of them 0: there was none.
 *
 * @since 0.15.0 @category models
 */
export class Rows {
  private readonly width: number
  /** So many words are needed. */
  readonly words: number

  /** `width`: numbers in a row, at most 16. */
  constructor(width: number) {
    this.width = width
    this.words = 2 * width + 2
  }

  /** `row` null: it was missed. */
  write(queue: BitQueue, words: Uint16Array, at: number, row: Uint16Array | null): void {
    const { width } = this
    const zeros = at + 2 * width
    const kind = zeros + 1
    if (row === null) {
      if (words[kind] === 0) return queue.write(0, 1)
      words[kind] = 0
      return queue.write(3, 2)
    }
    if (words[kind] === 1 && this.isSame(words, at, row)) return queue.write(0, 1)
    words[kind] = 1
    queue.write(2, 2)
    let mask = words[zeros] ?? 0
    for (let column = 0; column < width; column++) {
      const number = row[column] ?? 0
      const isZero = number === 0 ? 1 : 0
      const isOther = ((mask >> column) & 1) ^ isZero
      queue.write(isOther, 1)
      mask ^= isOther << column
      if (isZero === 1) continue
      const mean = words[at + width + column] ?? 0
      const code = folded(number - (words[at + column] ?? 0))
      write(queue, code, lowBits(mean))
      words[at + column] = number
      words[at + width + column] = followed(mean, code)
    }
    words[zeros] = mask
  }

  /** Into `row`, unless it was missed: whether it was not. */
  read(queue: BitQueue, place: Place, words: Uint16Array, at: number, row: Uint16Array): boolean {
    const { width } = this
    const zeros = at + 2 * width
    const kind = zeros + 1
    if (queue.read(place, 1) === 0) {
      if (words[kind] === 0) return false
      for (let column = 0; column < width; column++) row[column] = this.last(column, words, at)
      return true
    }
    if (queue.read(place, 1) === 1) {
      words[kind] = 0
      return false
    }
    words[kind] = 1
    let mask = words[zeros] ?? 0
    for (let column = 0; column < width; column++) {
      mask ^= queue.read(place, 1) << column
      row[column] = 0
      if (((mask >> column) & 1) === 1) continue
      const mean = words[at + width + column] ?? 0
      const code = read(queue, place, lowBits(mean))
      const number = ((words[at + column] ?? 0) + unfolded(code)) & 0xffff
      row[column] = number
      words[at + column] = number
      words[at + width + column] = followed(mean, code)
    }
    words[zeros] = mask
    return true
  }

  private last(column: number, words: Uint16Array, at: number): number {
    return (((words[at + 2 * this.width] ?? 0) >> column) & 1) === 1 ? 0 : (words[at + column] ?? 0)
  }

  private isSame(words: Uint16Array, at: number, row: Uint16Array): boolean {
    for (let column = 0; column < this.width; column++) {
      if (this.last(column, words, at) !== row[column]) return false
    }
    return true
  }
}
