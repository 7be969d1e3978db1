/**
 * Lists by who had their things made.
 *
 * @since 0.9.0
 */
import { type ReactNode, useRef } from "react"
import { Layered } from "../state/Layered.ts"
import { Filter } from "./Field.tsx"

interface Owned {
  readonly owner?: string | null
}

/** Whose things there are, or were since it is looked; the same array while nobody comes. @since 0.15.0 @category hooks */
export const useOwners = <A extends Owned>(all: ReadonlyMap<number, A>): ReadonlyArray<string> => {
  const owners = useRef<ReadonlyArray<string>>([])
  const looked = useRef<ReadonlyMap<number, A>>(null)
  if (looked.current === all) return owners.current
  const found = new Set(owners.current)
  for (const { owner = null } of Layered.newer(all, looked.current)) if (owner !== null) found.add(owner)
  looked.current = all
  if (found.size > owners.current.length) owners.current = [...found].toSorted()
  return owners.current
}

/** Shown when there is something to choose, or something was: `value` is whose are shown; undefined: all. @since 0.9.0 @category components */
export const OwnerFilter = ({
  onChange,
  owners,
  value
}: {
  readonly owners: ReadonlyArray<string>
  readonly onChange: (value: string) => void
  readonly value: string | undefined
}): ReactNode => {
  const all = value === undefined || owners.includes(value) ? owners : [...owners, value].toSorted()
  return value === undefined && all.length < 2 ? null : (
    <Filter
      label="Owner"
      all="Any owner"
      value={value}
      onChange={onChange}
      options={all.map((owner) => [owner, owner])}
    />
  )
}
