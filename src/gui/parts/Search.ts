/**
 * What somebody looks for, in lists and from the keyboard.
 *
 * @since 0.13.0
 */

/** All of them have to be found. @since 0.13.0 @category conversions */
export const wordsOf = (text: string): ReadonlyArray<string> => text.toLowerCase().split(/\s+/).filter(Boolean)

/** Whether it is what is looked for: `id:7` by its number alone, any other word where its text has it. @since 0.13.0 @category predicates */
export const isFound = (words: ReadonlyArray<string>, id: number | null, text: () => string): boolean => {
  if (words.length === 0) return true
  const rest = words.filter((word) => !/^id:\d+$/.test(word))
  if (words.some((word) => !rest.includes(word) && word !== `id:${id}`)) return false
  if (rest.length === 0) return true
  const all = text().toLowerCase()
  return rest.every((word) => all.includes(word))
}

/** How well a name is what was written: 0 is just that. @since 0.13.0 @category getters */
export const rank = (written: string, name: string): 0 | 1 | 2 | 3 => {
  const [said, all] = [written.trim().toLowerCase(), name.toLowerCase()]
  if (all === said) return 0
  if (all.startsWith(said)) return 1
  return wordsOf(said).every((word) => all.includes(word)) ? 2 : 3
}

/** The best first, those that are as good in the order in which they came; and how many more there are than `most`. @since 0.13.0 @category models */
export const best = <A extends { readonly name: string }>(written: string, most: number) => {
  const ranks: ReadonlyArray<Array<A>> = [[], [], [], []]
  let count = 0
  return {
    add: (one: A) => {
      count++
      const rows = ranks[rank(written, one.name)]
      if (rows !== undefined && rows.length < most) rows.push(one)
    },
    found: (): { readonly items: ReadonlyArray<A>; readonly more: number } => ({
      items: ranks.flat().slice(0, most),
      more: Math.max(0, count - most)
    })
  }
}
