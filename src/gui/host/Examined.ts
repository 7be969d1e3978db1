/**
 * What was found on each host; kept while the page is open, for it takes up to a minute.
 *
 * @since 0.12.0
 */
import { Atom } from "@effect-atom/atom-react"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { HostId } from "../../domain/Ids.ts"
import { calls, runtime } from "../state/Api.ts"

/** @since 0.12.0 @category atoms */
export const examineAtom = Atom.family((id: HostId) =>
  Atom.keepAlive(
    runtime.fn<void>()(() =>
      Effect.flatMap(calls, ({ hosts }) =>
        Effect.map(hosts.examineHosts({ urlParams: { host: id } }), ({ items }) => ({
          items,
          at: DateTime.unsafeNow()
        }))
      )
    )
  )
)

/** Begins it for one that no page shows yet. @since 0.12.0 @category atoms */
export const examineNewAtom = Atom.fnSync((id: HostId, get) => {
  get.set(examineAtom(id), undefined)
})
