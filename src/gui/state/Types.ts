/**
 * Instance types as they are now: no event tells of them.
 *
 * @since 0.8.0
 */
import { type Atom, Result, useAtomValue } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import type { InstanceType, InstanceTypeList } from "../../api/InstanceTypes.ts"
import { calls, runtime } from "./Api.ts"
import { snapshotAtom } from "./Live.ts"
import { useRead } from "./Read.ts"

/** Those that are retired, too. @since 0.8.0 @category atoms */
export const typesAtom: Atom.Atom<Result.Result<typeof InstanceTypeList.Type, unknown>> = runtime.atom(
  Effect.flatMap(calls, ({ instanceTypes }) => instanceTypes.listInstanceTypes({ urlParams: { retired: true } }))
)

/** Those on offer, read again whenever a page that shows them is opened. @since 0.8.0 @category hooks */
export const useTypes = (): ReadonlyArray<InstanceType> => {
  const { types } = useAtomValue(snapshotAtom)
  const read = useRead(typesAtom, [])
  return (Result.isSuccess(read) ? read.value.items : types).filter(({ retired }) => !retired)
}
