/**
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as Seed from "../cloudinit/Seed.ts"
import type { Saga } from "./Saga.ts"
import type { Subject } from "./VmSaga.ts"

/** @since 0.6.0 @category constants */
export const steps = ["seed", "drive"] as const

/**
 * seed → drive. Only forward: what is wanted is written down, and a seed that was begun is finished. The drive is for a VM that has none, as those that were made
 * before there were seeds.
 *
 * @since 0.6.0 @category operations
 */
export const saga = (subject: Subject): Saga<(typeof steps)[number]> => {
  const { driver, host, hypervisor, inventory, operation, vm } = subject
  const write = Effect.flatMap(inventory.cloudInit(vm.id), (cloudInit) =>
    driver.writeSeed(host, {
      vmId: vm.id,
      operationId: operation.id,
      content: Seed.build(vm, cloudInit),
      replaces: true
    })
  )
  return {
    hosts: [host],
    unreachable: "wait",
    steps: [
      {
        name: "seed",
        description: `Write anew what cloud-init in ${vm.domainName} reads at its next boot.`,
        act: Effect.asVoid(write)
      },
      {
        name: "drive",
        description: `Give ${vm.domainName} a drive with it from its next start on, unless it has one.`,
        act: Effect.flatMap(driver.describeSeed(host, vm.id), (seed) =>
          hypervisor.provideSeed(host, { uuid: vm.uuid, domainName: vm.domainName }, seed)
        )
      }
    ],
    succeeded: Effect.void,
    failed: Effect.void
  }
}
