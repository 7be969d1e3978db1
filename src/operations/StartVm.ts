/**
 * @since 0.3.0
 */
import * as Effect from "effect/Effect"
import type { Power } from "../domain/Vm.ts"
import * as CreateVm from "./CreateVm.ts"
import type { Saga } from "./Saga.ts"
import * as VmSaga from "./VmSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["start", "running"] as const

const already: Partial<Record<Power, string>> = {
  running: "it ran already",
  paused: "it was paused, and goes on"
}

/** start → seen running. One that has started is left so, whatever fails afterwards. @since 0.3.0 @category operations */
export const saga = (subject: VmSaga.Subject): Saga<(typeof steps)[number]> => {
  const { host, hypervisor, inventory, vm } = subject
  return {
    hosts: [host],
    unreachable: "undo",
    steps: [
      {
        name: "start",
        description: `Start ${vm.domainName}.`,
        act: Effect.gen(function* () {
          const { power } = yield* VmSaga.lookAt(subject)
          const domain = { uuid: vm.uuid, domainName: vm.domainName }
          yield* hypervisor.start(host, domain)
          // then: one that cannot be started is not started by its host either
          if (vm.autostart) yield* hypervisor.setAutostart(host, domain, true)
          const outcome = already[power]
          if (outcome !== undefined) yield* VmSaga.tell(subject, outcome)
        }),
        ...VmSaga.undoAutostart(subject)
      },
      {
        name: "running",
        description: `See that ${vm.domainName} runs.`,
        act: Effect.asVoid(CreateVm.seenRunning(hypervisor, host, vm))
      }
    ],
    succeeded: inventory.setVmPower(vm.id, "running", VmSaga.running),
    failed: Effect.void
  }
}
