/**
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import { byHand, byOperation } from "../domain/Vm.ts"
import type { Saga } from "./Saga.ts"
import * as VmSaga from "./VmSaga.ts"

/** @since 0.6.0 @category constants */
export const steps = ["resume"] as const

/** One clause on a pause that nobody asked for; null: somebody did. */
const hint = (reason: string | null): string | null =>
  reason === null || reason === byHand.paused || reason === byOperation.paused
    ? null
    : `it was ${reason}, and will be again unless what led to that is mended`

/** The guest goes on from where it stood. @since 0.6.0 @category operations */
export const saga = (subject: VmSaga.Subject): Saga<(typeof steps)[number]> => {
  const { host, hypervisor, inventory, vm } = subject
  return {
    hosts: [host],
    unreachable: "undo",
    steps: [
      {
        name: "resume",
        description: `Let ${vm.domainName} go on.`,
        act: Effect.gen(function* () {
          const { power, reason } = yield* VmSaga.lookAt(subject)
          yield* hypervisor.resume(host, { uuid: vm.uuid, domainName: vm.domainName })
          const outcome = power === "running" ? "it ran already" : hint(reason)
          if (outcome !== null) yield* VmSaga.tell(subject, outcome)
        })
      }
    ],
    succeeded: inventory.setVmPower(vm.id, "running", VmSaga.running),
    failed: Effect.void
  }
}
