/**
 * Maps of many, of which each differs from the one before in a few: what is different lies over what they share, so that neither making the next one nor
 * telling what it changes takes a look at all that is in them.
 *
 * @since 0.15.0
 */

/** What lies over is at most this part of what is shared: then it is made one map again. */
const most = 1 / 8
/** As many are few whatever is shared. */
const few = 64

/** Not to be changed. Those that were there keep their order; what comes is behind them. @since 0.15.0 @category models */
export class Layered<K, V extends object> implements ReadonlyMap<K, V> {
  readonly size: number
  private readonly shared: ReadonlyMap<K, V>
  /** null: it is gone */
  private readonly over: ReadonlyMap<K, V | null>

  private constructor(shared: ReadonlyMap<K, V>, over: ReadonlyMap<K, V | null>, size: number) {
    this.shared = shared
    this.over = over
    this.size = size
  }

  static of<K, V extends object>(entries: Iterable<readonly [K, V]>): Layered<K, V> {
    const shared = new Map(entries)
    return new Layered(shared, new Map<K, V | null>(), shared.size)
  }

  /** The same but for these; null: it is gone. */
  with(changes: Iterable<readonly [K, V | null]>): Layered<K, V> {
    const over = new Map(this.over)
    let { size } = this
    for (const [key, value] of changes) {
      const was = over.get(key)
      const isThere = was === undefined ? this.shared.has(key) : was !== null
      size += Number(value !== null) - Number(isThere)
      over.set(key, value)
    }
    const next = new Layered(this.shared, over, size)
    return over.size > few && over.size > this.shared.size * most ? Layered.of(next) : next
  }

  /** Keys of those that are not the same as in `before`; null: they share nothing that would tell it. */
  changedSince(before: Layered<K, V>): ReadonlyArray<K> | null {
    if (before.shared !== this.shared) return null
    const keys = new Set([...this.over.keys(), ...before.over.keys()])
    return [...keys].filter((key) => this.get(key) !== before.get(key))
  }

  /** Those that are not the same as in `before`; all, where that cannot be told. */
  static newer<K, V extends object>(all: ReadonlyMap<K, V>, before: ReadonlyMap<K, V> | null): Iterable<V> {
    const keys = all instanceof Layered && before instanceof Layered ? all.changedSince(before) : null
    return keys === null ? all.values() : keys.flatMap((key) => all.get(key) ?? [])
  }

  get(key: K): V | undefined {
    const over = this.over.get(key)
    return over === undefined ? this.shared.get(key) : (over ?? undefined)
  }

  has(key: K): boolean {
    return this.get(key) !== undefined
  }

  *entries(): Generator<[K, V], undefined> {
    for (const [key, value] of this.shared) {
      const over = this.over.get(key)
      if (over !== null) yield [key, over ?? value]
    }
    for (const [key, value] of this.over) if (value !== null && !this.shared.has(key)) yield [key, value]
  }

  *keys(): Generator<K, undefined> {
    for (const [key] of this.entries()) yield key
  }

  *values(): Generator<V, undefined> {
    for (const [, value] of this.entries()) yield value
  }

  [Symbol.iterator](): Generator<[K, V], undefined> {
    return this.entries()
  }

  forEach(use: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this.entries()) use(value, key, this)
  }
}
