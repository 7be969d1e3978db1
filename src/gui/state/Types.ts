/**
 * Instance types as they are now: no event tells of them, so they are asked for again while they are looked at.
 *
 * @since 0.8.0
 */
import { type Atom, Result, useAtomValue } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { InstanceType, InstanceTypeList } from "../../api/InstanceTypes.ts"
import { calls, runtime } from "./Api.ts"
import { snapshotAtom } from "./Live.ts"
import { useReadOften } from "./Read.ts"

/** Those that are retired, too. @since 0.8.0 @category atoms */
export const typesAtom: Atom.Atom<Result.Result<typeof InstanceTypeList.Type, unknown>> = runtime.atom(
  Effect.flatMap(calls, ({ instanceTypes }) => instanceTypes.listInstanceTypes({ urlParams: { retired: true } }))
)

/** Those on offer, read again whenever a page that shows them is opened, every few seconds, and when something of `on` is another. @since 0.8.0 @category hooks */
export const useTypes = (on: ReadonlyArray<unknown> = []): ReadonlyArray<InstanceType> => {
  const { types } = useAtomValue(snapshotAtom)
  const read = useReadOften(typesAtom, on)
  const items = Option.match(Result.value(read), { onNone: () => types, onSome: ({ items }) => items })
  return items.filter(({ retired }) => !retired)
}
