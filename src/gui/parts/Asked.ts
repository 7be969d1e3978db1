/**
 * Which operations are asked for.
 *
 * @since 0.12.0
 */
import * as Schema from "effect/Schema"
import { Kind, type Operation, State } from "../../api/Operations.ts"
import { UserName } from "../../domain/Identity.ts"
import { VmId } from "../../domain/Ids.ts"
import { isCancelled } from "./Words.ts"

/** As an address says it; `cancelled` is a state here: of those that failed those of which somebody asked for that. @since 0.12.0 @category models */
export interface Asked {
  readonly kind?: string | undefined
  readonly state?: string | undefined
  readonly vm?: string | undefined
  readonly user?: string | undefined
}

/** @since 0.12.0 @category predicates */
export const isAsked =
  ({ kind, state, user, vm }: Asked) =>
  (one: Pick<Operation, "cancelAsked" | "error" | "kind" | "state" | "user" | "vmId">): boolean =>
    (kind === undefined || one.kind === kind) &&
    (state === undefined || (isCancelled(one) ? "cancelled" : one.state) === state) &&
    (user === undefined || one.user === user) &&
    (vm === undefined || String(one.vmId) === vm)

const isKind = Schema.is(Kind)
const isState = Schema.is(State)
const isVmId = Schema.is(VmId)
const isUser = Schema.is(UserName)

/** What the API is asked for; null: there can be none like that. @since 0.12.0 @category conversions */
export const filterOf = ({ kind, state, user, vm }: Asked) => {
  const wanted = state === "cancelled" ? "failed" : state
  const id = vm === undefined ? undefined : Number(vm)
  if (kind !== undefined && !isKind(kind)) return null
  if (wanted !== undefined && !isState(wanted)) return null
  if (id !== undefined && !isVmId(id)) return null
  if (user !== undefined && !isUser(user)) return null
  return {
    ...(kind === undefined ? {} : { kind }),
    ...(wanted === undefined ? {} : { state: wanted }),
    ...(user === undefined ? {} : { user }),
    ...(id === undefined ? {} : { vm: id })
  }
}
