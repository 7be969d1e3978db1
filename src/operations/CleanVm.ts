/**
 * @since 0.3.0
 */
import * as Effect from "effect/Effect"
import * as DestroyVm from "./DestroyVm.ts"
import type { Saga } from "./Saga.ts"
import type { Subject } from "./VmSaga.ts"

/** @since 0.3.0 @category constants */
export const steps = DestroyVm.steps

/** Removes what is found of a VM that should be gone. The VM itself stays as it is: destroyed, or failed. @since 0.3.0 @category operations */
export const saga = (subject: Subject): Saga<(typeof steps)[number]> => ({
  ...DestroyVm.saga(subject),
  succeeded: Effect.void
})
