/**
 * Placement: filters with the reason of every refusal, then a weight, then the choice. Pure, and the same input always gives the same host.
 *
 * @since 0.1.0
 */
import type { HostRefusal } from "../domain/Errors.ts"
import type { HostId } from "../domain/Ids.ts"
import * as Resources from "../domain/Resources.ts"
import type { Candidate, PlacementRequest } from "../services/Scheduler.ts"

/**
 * `spread`: where the fullest resource stays emptiest, so that load and failures hit as little as possible. `pack`: the opposite, so
 * that whole hosts stay free.
 *
 * @since 0.1.0 @category models
 */
export type Policy = "spread" | "pack"

/** @since 0.1.0 @category models */
export type Placement =
  | { readonly _tag: "Placed"; readonly hostId: HostId }
  | { readonly _tag: "Refused"; readonly refusals: ReadonlyArray<HostRefusal> }

const shownAs: Record<Resources.Name, { readonly name: string; readonly unit: string }> = {
  cpu: { name: "vCPUs", unit: "" },
  ram: { name: "memory", unit: " MiB" },
  disk: { name: "disk", unit: " GiB" }
}

/**
 * What the host lacks of each resource, in a user's words. A resource that is over-promised (overcommit was lowered) refuses only those
 * who want some of it.
 */
const shortages = (
  wanted: Resources.Resources,
  promised: Resources.Resources,
  capacity: Resources.Resources
): ReadonlyArray<string> =>
  Resources.names.flatMap((resource) => {
    const short = promised[resource] + wanted[resource] - capacity[resource]
    if (short <= 0 || wanted[resource] === 0) return []
    const { name, unit } = shownAs[resource]
    const free = capacity[resource] - promised[resource]
    const left =
      free >= 0 ? `${free} of ${capacity[resource]} free` : `${-free} more than its ${capacity[resource]} promised`
    return [`${name} short by ${short}${unit} (needs ${wanted[resource]}, ${left})`]
  })

/**
 * Why the host cannot take the VM, one clause; null: it can.
 *
 * @since 0.1.0 @category filters
 */
export const refusal = (request: PlacementRequest, { host, promised, status }: Candidate): string | null => {
  const excluded = request.exclude.get(host.id)
  if (excluded !== undefined) return excluded
  if (status._tag === "Down") return status.reason
  if (status._tag === "Connecting") return "has not been reached yet"
  const capacity = host.capacity
  if (capacity === null) return "what it has is not known yet"
  const short = shortages(request.resources, promised, capacity)
  return short.length === 0 ? null : short.join(", ")
}

/**
 * The share of its scarcest resource that is promised once the VM is there (dominant share): 1 is full.
 *
 * @since 0.1.0 @category weights
 */
export const dominantShare = (wanted: Resources.Resources, { host, promised }: Candidate): number =>
  Math.max(
    ...Resources.names.map((resource) => {
      const used = promised[resource] + wanted[resource]
      return used === 0 ? 0 : used / (host.capacity?.[resource] ?? 0)
    })
  )

/**
 * Ties go to the host with fewer VMs (`pack`: more), then to the lowest id.
 *
 * @since 0.1.0 @category placement
 */
export const place = (
  request: PlacementRequest,
  candidates: ReadonlyArray<Candidate>,
  policy: Policy = "spread"
): Placement => {
  const refusals: Array<HostRefusal> = []
  const sign = policy === "spread" ? 1 : -1
  let best: { readonly candidate: Candidate; readonly share: number } | null = null
  for (const candidate of candidates) {
    const reason = refusal(request, candidate)
    if (reason !== null) {
      refusals.push({ hostId: candidate.host.id, host: candidate.host.name, reason })
      continue
    }
    const share = dominantShare(request.resources, candidate)
    const better =
      best === null
        ? -1
        : sign * (share - best.share) ||
          sign * (candidate.vms - best.candidate.vms) ||
          candidate.host.id - best.candidate.host.id
    if (better < 0) best = { candidate, share }
  }
  return best === null ? { _tag: "Refused", refusals } : { _tag: "Placed", hostId: best.candidate.host.id }
}
