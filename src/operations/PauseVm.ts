/**
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import type { Saga } from "./Saga.ts"
import type { Subject } from "./VmSaga.ts"

/** @since 0.6.0 @category constants */
export const steps = ["pause"] as const

/** The guest stands still, with its memory where it is. @since 0.6.0 @category operations */
export const saga = ({ host, hypervisor, inventory, vm }: Subject): Saga<(typeof steps)[number]> => ({
  hosts: [host],
  unreachable: "undo",
  steps: [
    {
      name: "pause",
      description: `Pause ${vm.domainName}: its guest stands still and keeps its memory.`,
      act: hypervisor.pause(host, { uuid: vm.uuid, domainName: vm.domainName })
    }
  ],
  succeeded: inventory.setVmPower(vm.id, "paused"),
  failed: Effect.void
})
