/**
 * Queues of bits, thousands of them, in pages that they share: a queue takes a page when its last one is full and gives its first one back when that has been
 * read, so that none of them has to be copied to grow, and what one no longer needs is another's.
 *
 * @since 0.15.0
 */

/** Bytes; a queue that is not empty leaves one page's worth unused on average. */
const pageSize = 64
const pageBits = pageSize * 8
const pagesOfSlab = 1024

const none = 0

/** @since 0.15.0 @category models */
export class Pages {
  private readonly slabs: Array<Uint8Array> = []
  /** by page, the one that follows it in its queue, or among those that are free */
  private readonly followers: Array<Uint32Array> = []
  /** pages are counted from 1 on */
  private free = none
  private used = 0

  /** Bytes that are taken from the system, used or not. */
  get size(): number {
    return this.slabs.length * pagesOfSlab * (pageSize + 4)
  }

  /** Pages that queues have. */
  get taken(): number {
    return this.used
  }

  slab(page: number): Uint8Array {
    // a page is only ever one that was taken
    return this.slabs[Math.floor((page - 1) / pagesOfSlab)] ?? nowhere
  }

  start(page: number): number {
    return ((page - 1) % pagesOfSlab) * pageSize
  }

  after(page: number): number {
    return this.followers[Math.floor((page - 1) / pagesOfSlab)]?.[(page - 1) % pagesOfSlab] ?? none
  }

  private follow(page: number, by: number): void {
    const all = this.followers[Math.floor((page - 1) / pagesOfSlab)]
    if (all !== undefined) all[(page - 1) % pagesOfSlab] = by
  }

  /** An empty page, behind another one unless that is none. */
  take(behind: number): number {
    if (this.free === none) this.extend()
    const page = this.free
    this.free = this.after(page)
    this.follow(page, none)
    if (behind !== none) this.follow(behind, page)
    this.used++
    return page
  }

  /** Gives a page back, and says which one followed it. */
  give(page: number): number {
    const next = this.after(page)
    this.follow(page, this.free)
    this.free = page
    this.used--
    return next
  }

  private extend(): void {
    const first = this.slabs.length * pagesOfSlab + 1
    this.slabs.push(new Uint8Array(pagesOfSlab * pageSize))
    // each is followed by the next, and the last by none
    this.followers.push(
      Uint32Array.from({ length: pagesOfSlab }, (_, at) => (at + 1 < pagesOfSlab ? first + at + 1 : none))
    )
    this.free = first
  }
}

const nowhere = new Uint8Array(0)

/** A place in a queue, from which on it is read. @since 0.15.0 @category models */
export interface Place {
  page: number
  bit: number
}

/** @since 0.15.0 @category models */
export class BitQueue {
  private readonly pages: Pages
  /** 0 as long as nothing was written */
  private head = none
  private tail = none
  private first = 0
  private end = pageBits

  constructor(pages: Pages) {
    this.pages = pages
  }

  /** So many low bits of a number at the end, at most 16. */
  write(value: number, count: number): void {
    let left = count
    while (left > 0) {
      if (this.end === pageBits) {
        this.tail = this.pages.take(this.tail)
        if (this.head === none) this.head = this.tail
        this.end = 0
      }
      const room = 8 - (this.end & 7)
      const some = Math.min(room, left)
      const shift = room - some
      const slab = this.pages.slab(this.tail)
      const at = this.pages.start(this.tail) + (this.end >> 3)
      const above = room === 8 ? 0 : (slab[at] ?? 0)
      slab[at] = above | (((value >> (left - some)) & ((1 << some) - 1)) << shift)
      this.end += some
      left -= some
    }
  }

  /** Where the oldest bit is. */
  oldest(place: Place): void {
    place.page = this.head
    place.bit = this.first
  }

  /** The next bits of a place, as many as were written together; it goes on behind them. */
  read(place: Place, count: number): number {
    let value = 0
    let left = count
    while (left > 0) {
      if (place.bit === pageBits) {
        place.page = this.pages.after(place.page)
        place.bit = 0
      }
      const room = 8 - (place.bit & 7)
      const some = Math.min(room, left)
      const byte = this.pages.slab(place.page)[this.pages.start(place.page) + (place.bit >> 3)] ?? 0
      value = (value << some) | ((byte >> (room - some)) & ((1 << some) - 1))
      place.bit += some
      left -= some
    }
    return value
  }

  /** Forgets all that is before a place. */
  drop(place: Place): void {
    while (this.head !== place.page) this.head = this.pages.give(this.head)
    this.first = place.bit
  }

  /** Forgets everything, and needs no page any more. */
  clear(): void {
    while (this.head !== none) this.head = this.pages.give(this.head)
    this.tail = none
    this.first = 0
    this.end = pageBits
  }
}
