/**
 * Where a port tells how far it is with what takes long: to nobody, unless an operation listens.
 *
 * @since 0.3.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** `percent`: a whole number from 0 to 100. @since 0.3.0 @category services */
export class StepProgress extends Context.Reference<StepProgress>()("vmfabric/StepProgress", {
  defaultValue: (): { readonly tell: (percent: number) => Effect.Effect<void> } => ({ tell: () => Effect.void })
}) {}
