/**
 * @since 0.3.0
 */
import * as Effect from "effect/Effect"
import * as CreateVm from "./CreateVm.ts"
import type { Saga } from "./Saga.ts"
import type { Subject } from "./VmSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["start", "running"] as const

/** start → seen running. One that has started is left so, whatever fails afterwards. @since 0.3.0 @category operations */
export const saga = ({ host, hypervisor, vm }: Subject): Saga<(typeof steps)[number]> => ({
  hosts: [host],
  unreachable: "undo",
  steps: [
    {
      name: "start",
      description: `Start ${vm.domainName}.`,
      act: hypervisor.start(host, { uuid: vm.uuid, domainName: vm.domainName })
    },
    { name: "running", description: `See that ${vm.domainName} runs.`, act: CreateVm.seenRunning(hypervisor, host, vm) }
  ],
  succeeded: Effect.void,
  failed: Effect.void
})
