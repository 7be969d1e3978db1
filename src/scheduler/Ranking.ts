/**
 * Who is best of many whose scores change one at a time: a tournament tree in typed arrays. A change costs the height of the tree, the best
 * nothing, and the next best after it the height again.
 *
 * @since 0.7.0
 */

/**
 * A ranking of items (whole numbers), higher scores first, then lower ids. Scores are finite; ids differ.
 *
 * @since 0.7.0 @category models
 */
export interface Ranking {
  /** Takes an item in and gives its place, by which it is changed and removed. */
  readonly add: (item: number, id: number, score: number) => number
  /** Gives the item at a place a score, and the id by which equal scores are told apart. */
  readonly change: (place: number, id: number, score: number) => void
  readonly remove: (place: number) => void
  /** The best one's place, -1 when there is none. */
  readonly first: () => number
  readonly item: (place: number) => number
  readonly id: (place: number) => number
  readonly score: (place: number) => number
  /** From the best downwards, until `visit` returns false. The ranking must not change meanwhile. */
  readonly walk: (visit: (item: number, id: number, score: number) => boolean) => void
}

/** @since 0.7.0 @category constructors */
export const make = (): Ranking => {
  let size = 4
  let used = 0
  let items = new Int32Array(size)
  // by place a score and an id, side by side since they are read together
  let keys = new Float64Array(2 * size)
  // node 1 is the root, the leaves are the last half; each has the place of its best, -1: nobody
  let winners = new Int32Array(2 * size).fill(-1)
  const vacant: Array<number> = []

  const isBefore = (a: number, b: number): boolean => {
    const difference = (keys[2 * a] ?? 0) - (keys[2 * b] ?? 0)
    return difference > 0 || (difference === 0 && (keys[2 * a + 1] ?? 0) < (keys[2 * b + 1] ?? 0))
  }

  const better = (a: number, b: number): number => (a < 0 ? b : b < 0 ? a : isBefore(a, b) ? a : b)

  /** On large rankings it is the memory that takes time, and so nothing is looked at that cannot be otherwise than it was. */
  const settle = (place: number, isBetter: boolean): void => {
    for (let node = (place + size) >> 1; node >= 1; node >>= 1) {
      const before = winners[node] ?? -1
      if (before !== place) {
        // whoever beat it before still does, and nothing changes further up
        if (!isBetter || (before >= 0 && !isBefore(place, before))) return
        winners[node] = place
      } else if (!isBetter) winners[node] = better(winners[2 * node] ?? -1, winners[2 * node + 1] ?? -1)
    }
  }

  const grow = (): void => {
    const [oldSize, oldWinners] = [size, winners]
    size *= 2
    const [oldItems, oldKeys] = [items, keys]
    items = new Int32Array(size)
    keys = new Float64Array(2 * size)
    items.set(oldItems)
    keys.set(oldKeys)
    winners = new Int32Array(2 * size).fill(-1)
    winners.set(oldWinners.subarray(oldSize), size)
    for (let node = size - 1; node >= 1; node--) {
      winners[node] = better(winners[2 * node] ?? -1, winners[2 * node + 1] ?? -1)
    }
  }

  const write = (place: number, id: number, score: number): void => {
    keys[2 * place] = score
    keys[2 * place + 1] = id
  }

  const change = (place: number, id: number, score: number): void => {
    const was = keys[2 * place] ?? 0
    const isBetter = score > was || (score === was && id < (keys[2 * place + 1] ?? 0))
    write(place, id, score)
    settle(place, isBetter)
  }

  return {
    add: (item, id, score) => {
      const free = vacant.pop()
      if (free === undefined && used === size) grow()
      const place = free ?? used++
      items[place] = item
      winners[size + place] = place
      write(place, id, score)
      settle(place, true)
      return place
    },
    change,
    remove: (place) => {
      winners[size + place] = -1
      vacant.push(place)
      settle(place, false)
    },
    first: () => winners[1] ?? -1,
    item: (place) => items[place] ?? -1,
    id: (place) => keys[2 * place + 1] ?? 0,
    score: (place) => keys[2 * place] ?? 0,
    walk: (visit) => {
      const winner = (node: number): number => winners[node] ?? -1
      // a heap of subtrees nobody of which has been visited, by their best
      const heap: Array<number> = []
      const push = (node: number): void => {
        let at = heap.length
        while (at > 0) {
          const parent = (at - 1) >> 1
          const above = heap[parent] ?? 0
          if (!isBefore(winner(node), winner(above))) break
          heap[at] = above
          at = parent
        }
        heap[at] = node
      }
      const pop = (): number | undefined => {
        const top = heap[0]
        const last = heap.pop()
        if (last === undefined || heap.length === 0) return top
        let at = 0
        for (;;) {
          let child = 2 * at + 1
          if (child >= heap.length) break
          if (child + 1 < heap.length && isBefore(winner(heap[child + 1] ?? 0), winner(heap[child] ?? 0))) child++
          const below = heap[child] ?? 0
          if (!isBefore(winner(below), winner(last))) break
          heap[at] = below
          at = child
        }
        heap[at] = last
        return top
      }
      if (winner(1) >= 0) push(1)
      for (let node = pop(); node !== undefined; node = pop()) {
        const place = winner(node)
        if (!visit(items[place] ?? -1, keys[2 * place + 1] ?? 0, keys[2 * place] ?? 0)) return
        for (let at = place + size; at > node; at >>= 1) if (winner(at ^ 1) >= 0) push(at ^ 1)
      }
    }
  }
}
