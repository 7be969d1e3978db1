/**
 * What exists, in memory and by id: one of it, and those that follow an id, without a statement.
 *
 * @since 0.10.0
 */

/** Iterates by id. @since 0.10.0 @category models */
export class ById<Id extends number, A extends { readonly id: Id }> implements Iterable<A> {
  /** ascending: new ids are the highest, as a rule, so that little is ever moved */
  readonly #all: Array<A> = []

  get size(): number {
    return this.#all.length
  }

  get(id: Id): A | undefined {
    const one = this.#all[this.#firstFrom(id)]
    return one?.id === id ? one : undefined
  }

  set(one: A): void {
    const at = this.#firstFrom(one.id)
    this.#all.splice(at, this.#all[at]?.id === one.id ? 1 : 0, one)
  }

  delete(id: Id): void {
    const at = this.#firstFrom(id)
    if (this.#all[at]?.id === id) this.#all.splice(at, 1)
  }

  [Symbol.iterator](): ArrayIterator<A> {
    return this.#all[Symbol.iterator]()
  }

  /** Of what is here those with one of the ids. @since 0.14.0 */
  among(ids: Iterable<Id>): ById<Id, A> {
    const some = new ById<Id, A>()
    for (const id of ids) {
      const one = this.get(id)
      if (one !== undefined) some.set(one)
    }
    return some
  }

  /** At most `limit` of those with a higher id, or with a lower one when it is `descending`; `after` null: from the first. */
  following(after: number | null, descending: boolean, limit: number, isIn: (one: A) => boolean): Array<A> {
    const all = this.#all
    const found: Array<A> = []
    if (descending) {
      const from = after === null ? all.length : this.#firstFrom(after)
      for (let at = from - 1; at >= 0 && found.length < limit; at -= 1) {
        const one = all[at]
        if (one !== undefined && isIn(one)) found.push(one)
      }
      return found
    }
    for (let at = after === null ? 0 : this.#firstFrom(after + 1); at < all.length && found.length < limit; at += 1) {
      const one = all[at]
      if (one !== undefined && isIn(one)) found.push(one)
    }
    return found
  }

  /** Where the first is whose id is not lower. */
  #firstFrom(id: number): number {
    const all = this.#all
    let low = 0
    let high = all.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((all[middle]?.id ?? id) < id) low = middle + 1
      else high = middle
    }
    return low
  }
}
