/**
 * Something that is filled in by its name.
 *
 * @since 0.12.0
 */

interface Called {
  readonly id: number
  readonly name: string
}

/** As many as are offered while somebody types. @since 0.12.0 @category constants */
export const mostOffered = 50

/** By its name, or as `id:7`. @since 0.12.0 @category predicates */
export const isMeant =
  (text: string) =>
  ({ id, name }: Called): boolean =>
    name === text || `id:${id}` === text

/** The only one that is; a name that several have is none's. @since 0.12.0 @category accessors */
export const meant = <A extends Called>(text: string, all: ReadonlyArray<A>): A | null => {
  const found = all.filter(isMeant(text))
  return found.length === 1 ? (found[0] ?? null) : null
}
