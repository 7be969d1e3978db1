/**
 * @since 0.8.0
 */
import * as Effect from "effect/Effect"
import * as Errors from "../domain/Errors.ts"
import type { Saga } from "./Saga.ts"
import * as VmSaga from "./VmSaga.ts"

/** @since 0.8.0 @category constants */
export const steps = ["definition"] as const

/**
 * The definition of one that is off gets the vCPUs and the memory of another instance type. Meanwhile the larger of both is promised to it, so that
 * either end has its room.
 *
 * @since 0.8.0 @category operations
 */
export const saga = (subject: VmSaga.Subject): Saga<(typeof steps)[number]> => {
  const { host, hypervisor, inventory, operation, vm } = subject
  const domain = { uuid: vm.uuid, domainName: vm.domainName }
  const { cpu = vm.resources.cpu, ram = vm.resources.ram, type = vm.instanceType } = operation.detail
  const define = (shape: { readonly cpu: number; readonly ram: number }) =>
    hypervisor.redefine(host, domain, { title: vm.name, cpu: shape.cpu, ram: shape.ram })
  // one that somebody has undefined meanwhile has nothing to be given back
  const giveBack = Effect.flatMap(VmSaga.lookAt(subject), ({ power }) =>
    power === "absent" ? Effect.void : define(vm.resources)
  )
  return {
    hosts: [host],
    unreachable: "undo",
    steps: [
      {
        name: "definition",
        description: `Give ${vm.domainName} ${cpu} vCPUs and ${ram} MiB of memory from its next start on.`,
        act: Effect.gen(function* () {
          // somebody may have started it by hand
          const { power } = yield* VmSaga.lookAt(subject)
          if (!VmSaga.isOff(power)) {
            return yield* new Errors.HostFailure({
              host: host.name,
              action: `resize ${vm.domainName}`,
              reason: `it is ${power} there: shut it down first`
            })
          }
          yield* define({ cpu, ram })
        }),
        undo: giveBack
      }
    ],
    succeeded: inventory.settleResize(vm.id, { instanceType: type, cpu, ram }),
    failed: inventory.settleResize(vm.id, null)
  }
}
