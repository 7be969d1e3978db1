/**
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Saga } from "./Saga.ts"
import * as VolumeSaga from "./VolumeSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = ["trash"] as const

/** Into the trash, from which it can be had back until it is purged. @since 0.2.0 @category operations */
export const saga = (subject: VolumeSaga.Subject): Saga<(typeof steps)[number]> => {
  const window = subject.operation.detail.window ?? 0
  return {
    hosts: VolumeSaga.hostsOf(subject),
    unreachable: "wait",
    steps: [
      {
        name: "trash",
        description: `Put ${subject.volume.serial} into the trash, from where it can be had back for ${window} s.`,
        act: subject.driver.trashVolume(VolumeSaga.place(subject), window)
      }
    ],
    succeeded: Effect.flatMap(Clock.currentTimeMillis, (now) =>
      VolumeSaga.settle(subject, { state: "deleted", purgeAt: now + window * 1000 })
    ),
    failed: VolumeSaga.settle(subject, { state: "available" })
  }
}
