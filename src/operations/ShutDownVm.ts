/**
 * @since 0.6.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { byOperation } from "../domain/Vm.ts"
import * as Retry from "./Retry.ts"
import { limits, type Saga } from "./Saga.ts"
import * as VmSaga from "./VmSaga.ts"

/** @since 0.6.0 @category constants */
export const steps = ["shut down", "power off"] as const

/**
 * The guest is asked → with `force` the power is taken from one that has not shut down in time. Cancelled while the guest is waited for it may
 * still shut down: what it was asked cannot be taken back.
 *
 * @since 0.6.0 @category operations
 */
export const saga = (subject: VmSaga.Subject): Saga<(typeof steps)[number]> => {
  const { host, hypervisor, inventory, operation, vm } = subject
  const { force, within } = VmSaga.patienceOf(operation)
  const domain = { uuid: vm.uuid, domainName: vm.domainName }
  const time = Retry.inWords(within)
  let seen: VmSaga.Sight | undefined
  const tellHow = Effect.gen(function* () {
    const found = yield* VmSaga.lookAt(subject)
    const { power, reason } = found
    if (!VmSaga.isOff(power)) return
    seen = found
    if (power !== "absent") yield* VmSaga.stayOff(subject)
    yield* VmSaga.tell(subject, reason ?? "it did not run")
  })
  const asked = hypervisor.shutDown(host, domain, within)
  return {
    hosts: [host],
    unreachable: "undo",
    limit: Duration.sum(within, limits.saga),
    steps: [
      {
        name: "shut down",
        description: `Ask the guest of ${vm.domainName} to shut down, and wait for that, at most ${time}.`,
        act: Effect.zipRight(force ? Effect.catchTag(asked, "GuestIgnores", () => Effect.void) : asked, tellHow),
        cancellable: true,
        limit: Duration.sum(within, limits.step),
        ...VmSaga.undoAutostart(subject)
      },
      ...(force
        ? [
            {
              name: "power off",
              description: `Take the power from ${vm.domainName} if it still runs.`,
              act: Effect.gen(function* () {
                const { power } = yield* VmSaga.lookAt(subject)
                const isOff = VmSaga.isOff(power)
                if (!isOff) yield* hypervisor.powerOff(host, domain)
                // also when the process ended in between
                if (power !== "absent") yield* VmSaga.stayOff(subject)
                if (!isOff) {
                  seen = { power: "stopped", reason: byOperation.stopped }
                  yield* VmSaga.tell(subject, `its guest had not shut down within ${time}, so its power was taken`)
                }
              }),
              ...VmSaga.undoAutostart(subject)
            } as const
          ]
        : [])
    ],
    succeeded: Effect.suspend(() => inventory.setVmPower(vm.id, "stopped", seen)),
    failed: Effect.void
  }
}
