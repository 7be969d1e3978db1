/**
 * What can be done with the NICs of a VM that is there.
 *
 * @since 0.12.0
 */
import * as Effect from "effect/Effect"
import type { Vm } from "../../api/Vms.ts"
import { show } from "../../domain/Nic.ts"
import { calls } from "../state/Api.ts"
import type { Commanded } from "./Commands.ts"

/** As it is listed with its VM. @since 0.12.0 @category models */
export type VmNic = Vm["nics"][number]

/** Its cable, out where it is in, and in where it is out. @since 0.12.0 @category constructors */
export const plugNic = ({ id, name }: Vm, nic: VmNic): Commanded => {
  const body = { link: nic.link === "up" ? "down" : "up" } as const
  return {
    label: nic.link === "up" ? `Unplug ${show(nic)} of ${name}` : `Plug in ${show(nic)} of ${name}`,
    method: "PATCH",
    path: `/vms/${id}/nics/${nic.id}`,
    body,
    words: ["nic", "link", `id:${id}`, String(nic.id), body.link],
    run: Effect.flatMap(calls, ({ nics }) => nics.changeNic({ path: { id, nic: nic.id }, payload: body }))
  }
}

/** @since 0.12.0 @category constructors */
export const removeNic = ({ id, name }: Vm, nic: VmNic): Commanded => ({
  label: `Remove ${show(nic)} from ${name}`,
  method: "DELETE",
  path: `/vms/${id}/nics/${nic.id}`,
  words: ["nic", "remove", `id:${id}`, String(nic.id)],
  run: Effect.flatMap(calls, ({ nics }) => nics.removeNic({ path: { id, nic: nic.id } }))
})
