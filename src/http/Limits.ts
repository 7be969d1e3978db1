/**
 * How often somebody may do something: token buckets.
 *
 * @since 0.4.0
 */

import { isIPv6 } from "node:net"

interface Bucket {
  left: number
  at: number
}

/** More would only be strangers' addresses; those that are full again are forgotten first, then the oldest. */
const most = 10_000

/** So many are forgotten at once: looking through all of them for each stranger would cost more than what is limited. */
const batch = 1000

/**
 * The key by which whoever asks from an address is counted. Whoever has one IPv6 address has 2^64 of them: the network that they share, however its
 * addresses are shortened.
 *
 * @since 0.15.0 @category conversions
 */
export const sourceOf = (address: string): string => {
  if (!isIPv6(address)) return `@${address}`
  const [front = [], back = []] = address.split("::").map((half) => half.split(":").filter((part) => part !== ""))
  const left = address.includes("::") ? 8 - front.length - back.length : 0
  return `@${[...front, ...Array.from({ length: left }, () => "0"), ...back].slice(0, 4).join(":")}`
}

/** @since 0.4.0 @category models */
export class Limits {
  private readonly buckets = new Map<string, Bucket>()
  private readonly perMilli: number
  private readonly burst: number

  /** So many a second in the long run, and `burst` of them at once. */
  constructor(perSecond: number, burst: number) {
    this.perMilli = perSecond / 1000
    this.burst = burst
  }

  /** 0: it may; else how many seconds to wait. */
  take(key: string, now: number): number {
    const bucket = this.filled(key, now)
    if (bucket.left >= 1) {
      bucket.left -= 1
      return 0
    }
    return Math.max(1, Math.ceil((1 - bucket.left) / this.perMilli / 1000))
  }

  /** What was taken does not count. */
  giveBack(key: string): void {
    const bucket = this.buckets.get(key)
    if (bucket !== undefined) bucket.left = Math.min(this.burst, bucket.left + 1)
  }

  private filled(key: string, now: number): Bucket {
    const known = this.buckets.get(key)
    if (known !== undefined) {
      known.left = Math.min(this.burst, known.left + Math.max(0, now - known.at) * this.perMilli)
      known.at = now
      return known
    }
    if (this.buckets.size >= most) this.forget(now)
    const bucket = { left: this.burst, at: now }
    this.buckets.set(key, bucket)
    return bucket
  }

  private forget(now: number): void {
    for (const [key, { at, left }] of this.buckets) {
      if (left + (now - at) * this.perMilli >= this.burst) this.buckets.delete(key)
    }
    for (const key of this.buckets.keys()) {
      if (this.buckets.size <= most - batch) break
      this.buckets.delete(key)
    }
  }
}
