/**
 * Why a host cannot take something, in a user's words. The engine asks the same of all hosts without the words.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import type { Host, HostStatus } from "../domain/Host.ts"
import * as Network from "../domain/Network.ts"
import * as Resources from "../domain/Resources.ts"
import type { Candidate, PlacementRequest } from "../services/Scheduler.ts"

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
  capacity: Resources.Resources,
  reserved: Resources.Resources
): ReadonlyArray<string> =>
  Resources.names.flatMap((resource) => {
    const short = promised[resource] + wanted[resource] - capacity[resource]
    if (short <= 0 || wanted[resource] === 0) return []
    const { name, unit } = shownAs[resource]
    const free = capacity[resource] - promised[resource]
    const left =
      free >= 0 ? `${free} of ${capacity[resource]} free` : `${-free} more than its ${capacity[resource]} promised`
    const kept = reserved[resource] === 0 ? "" : `, ${reserved[resource]} reserved`
    return [`${name} short by ${short}${unit} (needs ${wanted[resource]}, ${left}${kept})`]
  })

/** Of a host that somebody has put there. @since 0.7.0 @category constants */
export const inMaintenance = "it is in maintenance"

/** What keeps anything new from a host, whatever that is, one clause; null: nothing. @since 0.7.0 @category filters */
export const closed = (host: Host, status: HostStatus): string | null => {
  if (host.maintenance) return inMaintenance
  switch (status._tag) {
    case "Up":
      return null
    case "Connecting":
      return "has not been reached yet"
    case "Suspect":
    case "Down":
    case "Lost":
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
export const of = (request: PlacementRequest, candidate: Candidate): string | null => {
  const reason = request.exclude.get(candidate.host.id) ?? closed(candidate.host, candidate.status)
  if (reason !== null) return reason
  const capacity = candidate.host.capacity
  if (capacity === null) return "what it has is not known yet"
  const unconnected = lacking(request, candidate.host)
  if (unconnected !== null) return unconnected
  const short = shortages(request.resources, candidate.promised, capacity, candidate.host.reserved)
  return short.length === 0 ? null : short.join(", ")
}
