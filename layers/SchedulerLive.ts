/**
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { NoFeasibleHost } from "../src/domain/Errors.ts"
import * as Kept from "../src/scheduler/Kept.ts"
import type { Policy } from "../src/scheduler/Score.ts"
import { Scheduler, type UsualSize } from "../src/services/Scheduler.ts"

/**
 * The scheduler with the given policy. Each has an engine of its own. Policies that mind what is stranded (`pack`, `balance`) ask for the sizes
 * that are usual.
 *
 * @since 0.1.0 @category layers
 */
export const layerPolicy = (policy: Policy): Layer.Layer<Scheduler> =>
  Layer.sync(Scheduler, () => {
    const kept = Kept.make(policy)
    const { expect } = kept
    return {
      place: (request, candidates) =>
        Effect.suspend(() => {
          const placement = kept.place(request, candidates)
          return placement._tag === "Placed"
            ? Effect.succeed(placement.hostId)
            : new NoFeasibleHost({
                refusals: placement.refusals,
                ...(request.placement === undefined ? {} : { ruled: true }),
                ...(placement.cut === null ? {} : { cut: placement.cut })
              })
        }),
      explain: (request, candidates, chosen) => Effect.sync(() => kept.explain(request, candidates, chosen)),
      refuse: (request, candidates, types) => Effect.sync(() => kept.refuse(request, candidates, types)),
      ...(expect === null ? {} : { expect: (sizes: ReadonlyArray<UsualSize>) => Effect.sync(() => expect(sizes)) })
    }
  })

/** Spreads VMs over the hosts. @since 0.1.0 @category layers */
export const layer: Layer.Layer<Scheduler> = layerPolicy("spread")
