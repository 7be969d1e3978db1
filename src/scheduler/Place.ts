/**
 * Placement: filters with the reason of every refusal, then a weight, then the choice. Pure, and the same input always gives the same host.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import type { HostRefusal } from "../domain/Errors.ts"
import type { Host, HostStatus } from "../domain/Host.ts"
import type { HostId } from "../domain/Ids.ts"
import * as Network from "../domain/Network.ts"
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

/** What keeps anything new from a host, whatever that is, one clause; null: nothing. @since 0.7.0 @category filters */
export const closed = (host: Host, status: HostStatus): string | null => {
  if (host.maintenance) return "it is in maintenance"
  switch (status._tag) {
    case "Up":
      return null
    case "Connecting":
      return "has not been reached yet"
    case "Suspect":
    case "Down":
      return status.reason
  }
}

/** Why a NIC cannot be plugged in there, one clause; null: all can. */
const lacking = ({ networks = [] }: PlacementRequest, { facts }: Host): string | null => {
  if (facts === null) return null
  for (const wish of networks) {
    const connected = Network.connect(facts, wish)
    if (Either.isLeft(connected)) return connected.left
  }
  return null
}

/**
 * Why the host cannot take the VM, one clause; null: it can.
 *
 * @since 0.1.0 @category filters
 */
export const refusal = (request: PlacementRequest, candidate: Candidate): string | null => {
  const reason = request.exclude.get(candidate.host.id) ?? closed(candidate.host, candidate.status)
  if (reason !== null) return reason
  const capacity = candidate.host.capacity
  if (capacity === null) return "what it has is not known yet"
  const unconnected = lacking(request, candidate.host)
  if (unconnected !== null) return unconnected
  const short = shortages(request.resources, candidate.promised, capacity)
  return short.length === 0 ? null : short.join(", ")
}

/** What may be promised on a host changes only with the host's own value. */
const capacities = new WeakMap<Host, Resources.Resources | null>()

const capacityOf = (host: Host): Resources.Resources | null => {
  const known = capacities.get(host)
  if (known !== undefined) return known
  const { capacity } = host
  capacities.set(host, capacity)
  return capacity
}

/** Whether it can have anything: `closed` and `exclude` without the words. */
const isOpen = ({ exclude }: PlacementRequest, { host, status }: Candidate): boolean =>
  status._tag === "Up" && !host.maintenance && !(exclude.size > 0 && exclude.has(host.id))

// both written out, since they are asked of every host for every VM

/** The same as no shortages, without the words, which take most of the time. */
const hasRoom = (wanted: Resources.Resources, promised: Resources.Resources, capacity: Resources.Resources): boolean =>
  (wanted.cpu === 0 || promised.cpu + wanted.cpu <= capacity.cpu) &&
  (wanted.ram === 0 || promised.ram + wanted.ram <= capacity.ram) &&
  (wanted.disk === 0 || promised.disk + wanted.disk <= capacity.disk)

/**
 * The share of its scarcest resource that is promised once the VM is there (dominant share): 1 is full. Only what is wanted counts: for a
 * volume, how much memory is taken says nothing.
 */
const share = (wanted: Resources.Resources, promised: Resources.Resources, capacity: Resources.Resources): number => {
  let most = 0
  if (wanted.cpu > 0) most = Math.max(most, (promised.cpu + wanted.cpu) / capacity.cpu)
  if (wanted.ram > 0) most = Math.max(most, (promised.ram + wanted.ram) / capacity.ram)
  if (wanted.disk > 0) most = Math.max(most, (promised.disk + wanted.disk) / capacity.disk)
  return most
}

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
  const wanted = request.resources
  const sign = policy === "spread" ? 1 : -1
  let best: { readonly candidate: Candidate; readonly share: number } | null = null
  for (const candidate of candidates) {
    if (!isOpen(request, candidate)) continue
    const capacity = capacityOf(candidate.host)
    if (capacity === null || !hasRoom(wanted, candidate.promised, capacity)) continue
    if (lacking(request, candidate.host) !== null) continue
    const filled = share(wanted, candidate.promised, capacity)
    const better =
      best === null
        ? -1
        : sign * (filled - best.share) ||
          sign * (candidate.vms - best.candidate.vms) ||
          candidate.host.id - best.candidate.host.id
    if (better < 0) best = { candidate, share: filled }
  }
  if (best !== null) return { _tag: "Placed", hostId: best.candidate.host.id }
  const refusals = candidates.flatMap((candidate): ReadonlyArray<HostRefusal> => {
    const reason = refusal(request, candidate)
    return reason === null ? [] : [{ hostId: candidate.host.id, host: candidate.host.name, reason }]
  })
  return { _tag: "Refused", refusals }
}
