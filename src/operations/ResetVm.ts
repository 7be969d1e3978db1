/**
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import type { Saga } from "./Saga.ts"
import type { Subject } from "./VmSaga.ts"

/** @since 0.6.0 @category constants */
export const steps = ["reset"] as const

/** The guest begins anew without being asked; a paused one stays paused. @since 0.6.0 @category operations */
export const saga = ({ host, hypervisor, vm }: Subject): Saga<(typeof steps)[number]> => ({
  hosts: [host],
  unreachable: "undo",
  steps: [
    {
      name: "reset",
      description: `Reset ${vm.domainName}: its guest begins anew without being asked.`,
      act: hypervisor.reset(host, { uuid: vm.uuid, domainName: vm.domainName })
    }
  ],
  succeeded: Effect.void,
  failed: Effect.void
})
