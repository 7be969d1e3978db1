/**
 * Lists by who had their things made.
 *
 * @since 0.9.0
 */
import { type ReactNode, useMemo } from "react"
import { Filter } from "./Field.tsx"
import { useEvery } from "./Parts.tsx"

/** Shown when there is something to choose, or something was: `value` is whose are shown; undefined: all. @since 0.9.0 @category components */
export const OwnerFilter = ({
  all,
  onChange,
  value
}: {
  readonly all: ReadonlyMap<number, { readonly owner?: string | null }>
  readonly onChange: (value: string) => void
  readonly value: string | undefined
}): ReactNode => {
  // whose things are is not what changes a thousand times a second
  const seen = useEvery(all, 500)
  const owners = useMemo(() => {
    const found = new Set(value === undefined ? [] : [value])
    for (const { owner = null } of seen.values()) if (owner !== null) found.add(owner)
    return [...found].toSorted()
  }, [seen, value])
  return value === undefined && owners.length < 2 ? null : (
    <Filter
      label="Owner"
      all="Any owner"
      value={value}
      onChange={onChange}
      options={owners.map((owner) => [owner, owner])}
    />
  )
}
