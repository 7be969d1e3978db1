/**
 * Schedulers whose choice a test knows beforehand. Like the real one they never choose a host that cannot take the VM, and tell every
 * host's reason.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { NoFeasibleHost } from "../src/domain/Errors.ts"
import type { HostId } from "../src/domain/Ids.ts"
import * as Kept from "../src/scheduler/Kept.ts"
import { type Candidate, type PlacementRequest, Scheduler } from "../src/services/Scheduler.ts"

const firstOf = (
  request: PlacementRequest,
  candidates: ReadonlyArray<Candidate>
): Effect.Effect<HostId, NoFeasibleHost> => {
  const reasons = Kept.reasons(request, candidates)
  const judged = [...candidates]
    .sort((a, b) => a.host.id - b.host.id)
    .map(({ host }) => ({ host, reason: reasons.get(host.id) ?? null }))
  const first = judged.find(({ reason }) => reason === null)
  return first !== undefined
    ? Effect.succeed(first.host.id)
    : new NoFeasibleHost({
        refusals: judged.map(({ host, reason }) => ({
          hostId: host.id,
          host: host.name,
          reason: reason ?? "not chosen"
        })),
        ...(request.placement === undefined ? {} : { ruled: true })
      })
}

/** The first host, by id, that can take the VM. @since 0.1.0 @category layers */
export const layer: Layer.Layer<Scheduler> = Layer.succeed(Scheduler, { place: firstOf })

/**
 * The nth placement goes to the nth host of the script, if that can take the VM; otherwise, and when the script is through, to the first
 * that can.
 *
 * @since 0.1.0 @category layers
 */
export const layerScripted = (script: ReadonlyArray<HostId>): Layer.Layer<Scheduler> =>
  Layer.effect(
    Scheduler,
    Effect.map(Ref.make(script), (rest) => ({
      place: (request: PlacementRequest, candidates: ReadonlyArray<Candidate>) =>
        Effect.flatMap(
          Ref.modify(rest, ([next, ...others]) => [next, others]),
          (next) => {
            const scripted = candidates.find(({ host }) => host.id === next)
            return scripted !== undefined && !Kept.reasons(request, candidates).has(scripted.host.id)
              ? Effect.succeed(scripted.host.id)
              : firstOf(request, candidates)
          }
        )
    }))
  )
