/**
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Errors from "../domain/Errors.ts"
import type { Saga } from "./Saga.ts"
import * as VolumeSaga from "./VolumeSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["grow", "seen"] as const

const gibibyte = 1024 ** 3

/** By QEMU, which tells the guest, where a domain runs with it; else by the storage. @since 0.2.0 @category operations */
export const saga = (subject: VolumeSaga.Subject): Saga<(typeof steps)[number]> => {
  const { driver, hypervisor, operation, user, volume } = subject
  const size = operation.detail.size ?? volume.size
  const at = VolumeSaga.place(subject)
  const hasGrown = Effect.map(
    driver.volumeSize(at),
    Option.exists((found) => found >= size * gibibyte)
  )
  /** What was refused after it was done is not told as not done. */
  const unlessGrown = (error: Errors.HostFailure | Errors.StorageFailure): Effect.Effect<void, typeof error> =>
    Effect.flatMap(
      Effect.orElseSucceed(hasGrown, () => false),
      (grown) => (grown ? Effect.void : Effect.fail(error))
    )
  return {
    hosts: VolumeSaga.hostsOf(subject),
    unreachable: "wait",
    steps: [
      {
        name: "grow",
        description: `Make ${volume.serial} ${size} GiB large, and tell a guest that runs with it.`,
        act: Effect.gen(function* () {
          if (user !== null) {
            const domain = { uuid: user.vm.uuid, domainName: user.vm.domainName }
            const disk = VolumeSaga.diskOf(volume)
            const presence = yield* hypervisor.diskPresence(user.host, domain, disk)
            if (Option.exists(presence, ({ live }) => live === true)) {
              return yield* hypervisor.growDisk(user.host, domain, disk, size * gibibyte)
            }
          }
          yield* driver.growVolume(at, size)
        }).pipe(Effect.catchTags({ HostFailure: unlessGrown, StorageFailure: unlessGrown }))
      },
      {
        name: "seen",
        description: `See that ${volume.serial} has its new size.`,
        act: Effect.flatMap(hasGrown, (grown) =>
          grown
            ? Effect.void
            : new Errors.VolumeConflict({
                volumeId: volume.id,
                called: volume.name,
                reason: `is not ${size} GiB large after it was made to grow: look at the storage, and grow it again`
              })
        )
      }
    ],
    succeeded: VolumeSaga.settle(subject, { size }),
    failed: VolumeSaga.settle(subject, { size: operation.detail.formerSize ?? volume.size })
  }
}
