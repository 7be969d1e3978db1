/**
 * Who is best of many whose scores change one at a time: tournament trees, all in the same typed arrays. A change costs the height of its tree, the best
 * nothing, and the next best after it the height again.
 *
 * Of many trees most are small and seldom looked at, and of large ones it is the memory that takes time: so a tree is a piece of
 * arrays and not an object of its own, and nothing of it is looked at that cannot be otherwise than it was.
 *
 * @since 0.7.0
 */

/**
 * Rankings of items (whole numbers), each higher scores first, then lower ids. They are numbered from 0 in the order they were made, and each has
 * places of its own. Scores are finite; ids in a ranking differ.
 *
 * @since 0.12.0 @category models
 */
export interface Rankings {
  /** One more, with nobody in it; `expected`: how many may come. Gives its number. */
  readonly make: (expected?: number) => number
  /** Takes an item in and gives its place, by which it is changed and removed. */
  readonly add: (ranking: number, item: number, id: number, score: number) => number
  /** Gives the item at a place a score, and the id by which equal scores are told apart. False: the best one is who it was, as good as it was. */
  readonly change: (ranking: number, place: number, id: number, score: number) => boolean
  /** False: it was not the best one. */
  readonly remove: (ranking: number, place: number) => boolean
  /** The best one's place, -1 when there is none. */
  readonly first: (ranking: number) => number
  readonly item: (ranking: number, place: number) => number
  readonly id: (ranking: number, place: number) => number
  readonly score: (ranking: number, place: number) => number
  /** From the best downwards, until `visit` returns false. The ranking must not change meanwhile. */
  readonly walk: (ranking: number, visit: (item: number, id: number, score: number) => boolean) => void
}

/** Numbers kept of each tree, one after the other: where it begins, how many places it has, how many were used ever, and the first vacant one. */
const fields = 4
const [sizeAt, usedAt, vacantAt] = [1, 2, 3] as const
const nobody = -1
const smallest = 4

/** @since 0.12.0 @category constructors */
export const make = (): Rankings => {
  let room = 16
  let trees = new Int32Array(4 * fields)
  let count = 0
  /** how much of the arrays has been given to trees */
  let given = 0
  /** pieces that trees have grown out of, by size */
  const left = new Map<number, Array<number>>()
  // by place, from where its tree begins: the item (of a vacant one, the next vacant place), and a score and an id side by side since
  // they are read together
  let items = new Int32Array(room)
  let keys = new Float64Array(2 * room)
  // from twice where the tree begins: node 1 is the root, the leaves are the last half; each has the place of its best
  let winners = new Int32Array(2 * room)

  const read = (ranking: number, field: 0 | 1 | 2 | 3): number => trees[fields * ranking + field] ?? 0

  const isBefore = (base: number, a: number, b: number): boolean => {
    const [x, y] = [2 * (base + a), 2 * (base + b)]
    const difference = (keys[x] ?? 0) - (keys[y] ?? 0)
    return difference > 0 || (difference === 0 && (keys[x + 1] ?? 0) < (keys[y + 1] ?? 0))
  }

  const better = (base: number, a: number, b: number): number => (a < 0 ? b : b < 0 ? a : isBefore(base, a, b) ? a : b)

  /** False: it ended below the root, since nothing changes further up. */
  const settle = (base: number, size: number, place: number, isBetter: boolean): boolean => {
    for (let node = (place + size) >> 1; node >= 1; node >>= 1) {
      const at = 2 * base + node
      const before = winners[at] ?? nobody
      if (before !== place) {
        // whoever beat it before still does
        if (!isBetter || (before >= 0 && !isBefore(base, place, before))) return false
        winners[at] = place
      } else if (!isBetter) {
        const below = 2 * (base + node)
        winners[at] = better(base, winners[below] ?? nobody, winners[below + 1] ?? nobody)
      }
    }
    return true
  }

  /** Gives all up to there to trees. */
  const give = (end: number): void => {
    given = end
    if (end <= room) return
    // one large tree is all that some have
    room = Math.max(end, room + (room >> 1))
    const [oldItems, oldKeys, oldWinners] = [items, keys, winners]
    items = new Int32Array(room)
    keys = new Float64Array(2 * room)
    winners = new Int32Array(2 * room)
    items.set(oldItems)
    keys.set(oldKeys)
    winners.set(oldWinners)
  }

  /** A piece for so many places. */
  const take = (size: number): number => {
    const old = left.get(size)?.pop()
    const base = old ?? given
    if (old === undefined) give(base + size)
    return base
  }

  const leave = (base: number, size: number): void => {
    const others = left.get(size)
    if (others === undefined) left.set(size, [base])
    else others.push(base)
  }

  const grow = (ranking: number): void => {
    const [from, size] = [read(ranking, 0), read(ranking, sizeAt)]
    // the last piece has room behind it
    const base = from + size === given ? from : take(2 * size)
    if (base === from) give(from + 2 * size)
    else {
      items.copyWithin(base, from, from + size)
      keys.copyWithin(2 * base, 2 * from, 2 * (from + size))
      leave(from, size)
    }
    const leaves = 2 * (base + size)
    winners.copyWithin(leaves, 2 * from + size, 2 * (from + size))
    winners.fill(nobody, leaves + size, leaves + 2 * size)
    for (let node = 2 * size - 1; node >= 1; node--) {
      const below = 2 * (base + node)
      winners[2 * base + node] = better(base, winners[below] ?? nobody, winners[below + 1] ?? nobody)
    }
    trees[fields * ranking] = base
    trees[fields * ranking + sizeAt] = 2 * size
  }

  const write = (base: number, place: number, id: number, score: number): void => {
    keys[2 * (base + place)] = score
    keys[2 * (base + place) + 1] = id
  }

  return {
    make: (expected = 0) => {
      const number = count++
      if (fields * count > trees.length) {
        const old = trees
        trees = new Int32Array(2 * old.length)
        trees.set(old)
      }
      let size = smallest
      while (size < expected) size *= 2
      const base = take(size)
      winners.fill(nobody, 2 * base, 2 * (base + size))
      trees.set([base, size, 0, nobody], fields * number)
      return number
    },
    add: (ranking, item, id, score) => {
      const free = read(ranking, vacantAt)
      let place = free
      if (free < 0) {
        place = read(ranking, usedAt)
        if (place === read(ranking, sizeAt)) grow(ranking)
        trees[fields * ranking + usedAt] = place + 1
      }
      const [base, size] = [read(ranking, 0), read(ranking, sizeAt)]
      if (free >= 0) trees[fields * ranking + vacantAt] = items[base + free] ?? nobody
      items[base + place] = item
      winners[2 * base + size + place] = place
      write(base, place, id, score)
      settle(base, size, place, true)
      return place
    },
    change: (ranking, place, id, score) => {
      const base = read(ranking, 0)
      const at = 2 * (base + place)
      const was = keys[at] ?? 0
      const isBetter = score > was || (score === was && id < (keys[at + 1] ?? 0))
      write(base, place, id, score)
      return settle(base, read(ranking, sizeAt), place, isBetter)
    },
    remove: (ranking, place) => {
      const [base, size] = [read(ranking, 0), read(ranking, sizeAt)]
      winners[2 * base + size + place] = nobody
      items[base + place] = read(ranking, vacantAt)
      trees[fields * ranking + vacantAt] = place
      return settle(base, size, place, false)
    },
    first: (ranking) => winners[2 * read(ranking, 0) + 1] ?? nobody,
    item: (ranking, place) => items[read(ranking, 0) + place] ?? nobody,
    id: (ranking, place) => keys[2 * (read(ranking, 0) + place) + 1] ?? 0,
    score: (ranking, place) => keys[2 * (read(ranking, 0) + place)] ?? 0,
    walk: (ranking, visit) => {
      const [base, size] = [read(ranking, 0), read(ranking, sizeAt)]
      const winner = (node: number): number => winners[2 * base + node] ?? nobody
      const isAhead = (a: number, b: number): boolean => isBefore(base, winner(a), winner(b))
      // a heap of subtrees nobody of which has been visited, by their best
      const heap: Array<number> = []
      const push = (node: number): void => {
        let at = heap.length
        while (at > 0) {
          const parent = (at - 1) >> 1
          const above = heap[parent] ?? 0
          if (!isAhead(node, above)) break
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
          if (child + 1 < heap.length && isAhead(heap[child + 1] ?? 0, heap[child] ?? 0)) child++
          const below = heap[child] ?? 0
          if (!isAhead(below, last)) break
          heap[at] = below
          at = child
        }
        heap[at] = last
        return top
      }
      if (winner(1) >= 0) push(1)
      for (let node = pop(); node !== undefined; node = pop()) {
        const place = winner(node)
        const key = 2 * (base + place)
        if (!visit(items[base + place] ?? nobody, keys[key + 1] ?? 0, keys[key] ?? 0)) return
        for (let at = place + size; at > node; at >>= 1) if (winner(at ^ 1) >= 0) push(at ^ 1)
      }
    }
  }
}
