/**
 * What somebody looks for, in lists and from the keyboard.
 *
 * @since 0.13.0
 */

const wordsOf = (text: string): ReadonlyArray<string> => text.toLowerCase().split(/\s+/).filter(Boolean)

const isId = (word: string): boolean => /^id:\d+$/.test(word)

/** Whether something is what is looked for: `id:7` by its number alone, any other word where its text has it. All of them have to be found. @since 0.13.0 @category predicates */
export const seeking = (written: string): ((id: number | null, text: () => string) => boolean) => {
  const words = wordsOf(written)
  const ids = words.filter(isId)
  const others = words.filter((word) => !isId(word))
  return (id, text) => {
    if (ids.some((word) => word !== `id:${id}`)) return false
    if (others.length === 0) return true
    const all = text().toLowerCase()
    return others.every((word) => all.includes(word))
  }
}

/** The best first, those that are as good in the order in which they came; and how many more there are than `most`. @since 0.13.0 @category models */
export const best = <A extends { readonly name: string }>(written: string, most: number) => {
  const said = written.trim().toLowerCase()
  const words = wordsOf(written)
  /** how well a name is what was written: 0 is just that */
  const rank = (name: string): 0 | 1 | 2 | 3 => {
    const all = name.toLowerCase()
    if (all === said) return 0
    if (all.startsWith(said)) return 1
    return words.every((word) => all.includes(word)) ? 2 : 3
  }
  const ranks: ReadonlyArray<Array<A>> = [[], [], [], []]
  let count = 0
  return {
    add: (one: A) => {
      count++
      const rows = ranks[rank(one.name)]
      if (rows !== undefined && rows.length < most) rows.push(one)
    },
    found: (): { readonly items: ReadonlyArray<A>; readonly more: number } => ({
      items: ranks.flat().slice(0, most),
      more: Math.max(0, count - most)
    })
  }
}
