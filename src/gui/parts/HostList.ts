/**
 * Which hosts are listed, and in what order.
 *
 * @since 0.13.0
 */
import type { Host } from "../../api/Hosts.ts"
import { linesOf } from "./Labels.ts"
import { seeking } from "./Search.ts"
import { fullness, hostState, type Tone } from "./Words.ts"

/** What the page's address says. @since 0.13.0 @category models */
export interface HostSearch {
  readonly q?: string | undefined
  readonly state?: string | undefined
  readonly sort?: string | undefined
}

/** Orders by the names that addresses have, as people read them. @since 0.13.0 @category constants */
export const orders = [
  ["name", "By name"],
  ["full", "Fullest first"],
  ["state", "What is wrong first"]
] as const

/** Words that a host's state is told in. @since 0.13.0 @category constants */
export const hostWords = ["up", "maintenance", "suspect", "down", "lost", "connecting"] as const

const urgency: Readonly<Record<Tone, number>> = { bad: 0, warn: 1, busy: 2, off: 3, ok: 4 }

const byName = new Intl.Collator(undefined, { numeric: true })

const textOf = ({ labels, name }: Host): string => `${name}\n${linesOf(labels)}`

/** Whatever order is not known is that in which they were added. @since 0.13.0 @category getters */
export const hostsShown = (hosts: Iterable<Host>, { q = "", sort, state }: HostSearch): ReadonlyArray<Host> => {
  const isFound = seeking(q)
  const found = [...hosts].filter(
    (host) => (state === undefined || hostState(host).word === state) && isFound(host.id, () => textOf(host))
  )
  switch (sort) {
    case "name":
      return found.toSorted((a, b) => byName.compare(a.name, b.name))
    case "full":
      return found.toSorted((a, b) => fullness(b) - fullness(a))
    case "state":
      return found.toSorted((a, b) => urgency[hostState(a).tone] - urgency[hostState(b).tone])
    default:
      return found
  }
}
