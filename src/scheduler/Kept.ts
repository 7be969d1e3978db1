/**
 * An engine that is kept in step with the candidates it is shown: what has not changed is the same value as before, and costs a comparison.
 *
 * @since 0.7.0
 */
import type { HostRefusal } from "../domain/Errors.ts"
import type { Explanation, Refusal } from "../domain/Explanation.ts"
import type { HostId } from "../domain/Ids.ts"
import type { InstanceType } from "../domain/InstanceType.ts"
import type { Candidate, PlacementRequest } from "../services/Scheduler.ts"
import * as Engine from "./Engine.ts"
import * as Explain from "./Explain.ts"
import * as Refusals from "./Refusals.ts"
import * as Score from "./Score.ts"

/** The host chosen, or why none, of every host. @since 0.7.0 @category models */
export type Placement =
  | { readonly _tag: "Placed"; readonly hostId: HostId }
  | { readonly _tag: "Refused"; readonly refusals: ReadonlyArray<HostRefusal> }

/** @since 0.7.0 @category models */
export interface Kept {
  /** Decides among exactly these candidates, whichever it was shown before. Of equals the one with the lowest id. */
  readonly place: (request: PlacementRequest, candidates: ReadonlyArray<Candidate>) => Placement
  /** Why the host that was chosen among these is the one. */
  readonly explain: (request: PlacementRequest, candidates: ReadonlyArray<Candidate>, chosen: HostId) => Explanation
  /** Why none of these will do, and what would help; `types` can be asked for instead. */
  readonly refuse: (
    request: PlacementRequest,
    candidates: ReadonlyArray<Candidate>,
    types: ReadonlyArray<InstanceType>
  ) => Refusal
}

/** How many of the best hosts are told. */
const few = 3

/** @since 0.7.0 @category constructors */
export const make = (policy: Score.Policy = "spread"): Kept => {
  const engine = Engine.make({ weights: Score.policies[policy] })
  const known = new Map<HostId, Candidate>()
  let shown: ReadonlyArray<Candidate> = []

  const learn = (candidate: Candidate): void => {
    const { host, promised, status } = candidate
    const before = known.get(host.id)
    if (before === candidate) return
    known.set(host.id, candidate)
    if (before?.host !== host || before.status !== status) engine.set(Engine.fromHost(host, status))
    if (before?.promised === promised) return
    if (before !== undefined) engine.release(host.id, before.promised)
    engine.reserve(host.id, promised)
  }

  const follow = (candidates: ReadonlyArray<Candidate>): void => {
    if (candidates === shown) return
    let isOther = candidates.length !== shown.length
    for (const [i, candidate] of candidates.entries()) {
      const before = shown[i]
      if (before === candidate) continue
      if (before?.host.id !== candidate.host.id) isOther = true
      learn(candidate)
    }
    shown = candidates
    if (!isOther) return
    const present = new Set(candidates.map(({ host }) => host.id))
    for (const id of known.keys()) {
      if (present.has(id)) continue
      known.delete(id)
      engine.remove(id)
    }
  }

  return {
    place: (request, candidates) => {
      follow(candidates)
      const choice = engine.place(request)
      if (choice !== null) return { _tag: "Placed", hostId: choice.hostId }
      const refusals = candidates.flatMap((candidate): ReadonlyArray<HostRefusal> => {
        const reason = Refusals.of(request, candidate)
        return reason === null ? [] : [{ hostId: candidate.host.id, host: candidate.host.name, reason }]
      })
      return { _tag: "Refused", refusals }
    },
    explain: (request, candidates, chosen) => {
      follow(candidates)
      return Explain.toldPlacement(Explain.placement(engine, request, few, chosen))
    },
    refuse: (request, candidates, types) => {
      follow(candidates)
      return Explain.toldRefusal(Explain.refusal(engine, request, Explain.named(types), few), types)
    }
  }
}
