/**
 * Operations beyond those that are at hand.
 *
 * @since 0.12.0
 */
import { useAtomSet } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { useEffect, useState } from "react"
import type { Operation } from "../../api/Operations.ts"
import type { OperationId } from "../../domain/Ids.ts"
import { type Asked, filterOf, isAsked } from "../parts/Asked.ts"
import { calls, runtime, type Words, wordsOfCause } from "./Api.ts"
import { inOrder, type Snapshot } from "./Live.ts"

/** So many are read at once, and so often before somebody has to ask again. */
const page = 250
const most = 20

interface Wanted {
  readonly asked: Asked
  /** null: from the newest on */
  readonly cursor: string | null
  readonly known: ReadonlySet<OperationId>
}

/** Pages until there is something new on one. */
const read = ({ asked, cursor, known }: Wanted) =>
  Effect.gen(function* () {
    const { operations } = yield* calls
    const filter = filterOf(asked)
    if (filter === null) return { items: [], next: null }
    const found: Array<Operation> = []
    let next = cursor
    for (let looked = 0; looked < most; looked++) {
      const urlParams = { ...filter, limit: page, ...(next === null ? {} : { cursor: next }) }
      const answer = yield* operations.listOperations({ urlParams })
      found.push(...answer.items)
      next = answer.next
      if (next === null || answer.items.some((one) => isAsked(asked)(one) && !known.has(one.id))) break
    }
    return { items: found, next }
  })

const readAtom = runtime.fn<Wanted>()(read, { concurrent: true })

interface Older {
  /** of which question */
  readonly of: string
  readonly items: ReadonlyArray<Operation>
  /** null: these are all */
  readonly next: string | null
}

/**
 * Those that are asked for, the newest first: of those at hand, and, unless all are asked for, of older ones at once. `more` reads further ones;
 * `isAll`: there are none; `hasMore`: it is known that there are.
 *
 * @since 0.12.0 @category hooks
 */
export const useOperations = (asked: Asked, { connection, hasOlder, operations }: Snapshot) => {
  const ask = useAtomSet(readAtom, { mode: "promiseExit" })
  const [older, setOlder] = useState<Older | null>(null)
  const [words, setWords] = useState<Words | null>(null)
  const [asking, setAsking] = useState(false)
  const of = JSON.stringify([asked.kind, asked.state, asked.vm, asked.user])
  const known = older?.of === of ? older : null
  // what is at hand is as it is now
  const all = new Map([...(known?.items ?? []), ...operations].map((one) => [one.id, one]))
  const shown = inOrder([...all.values()].filter(isAsked(asked)))
  const narrowed = [asked.kind, asked.state, asked.vm, asked.user].some((one) => one !== undefined)
  const isAll = hasOlder === false || (known !== null && known.next === null) || filterOf(asked) === null
  const more = async () => {
    setAsking(true)
    const exit = await ask({ asked, cursor: known?.next ?? null, known: new Set(all.keys()) })
    setAsking(false)
    if (Exit.isFailure(exit)) {
      setWords(wordsOfCause(exit.cause))
      return
    }
    setWords(null)
    setOlder({ of, items: [...(known?.items ?? []), ...exit.value.items], next: exit.value.next })
  }
  const missing = narrowed && known === null && !isAll && connection._tag === "live"
  useEffect(() => {
    if (missing) void more()
    // what it reads with is of this very moment
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [missing, of])
  const hasMore = !isAll && (hasOlder === true || known !== null)
  return { shown, more, asking, words, isAll, hasMore, isLoaded: !missing }
}
