/**
 * Hosts as the scheduler sees them.
 *
 * @since 0.5.0
 */
import type { HostStatus } from "../domain/Host.ts"
import type { HostId } from "../domain/Ids.ts"
import { statusOf } from "../services/HostMonitor.ts"
import type { HostUsage } from "../services/Inventory.ts"
import type { Candidate } from "../services/Scheduler.ts"

/**
 * All hosts are looked at for every VM, and hardly any has changed since the one before: those are the same values as then.
 *
 * @since 0.7.0 @category constructors
 */
export const make = (): ((
  usages: ReadonlyArray<HostUsage>,
  statuses: ReadonlyMap<HostId, HostStatus>
) => ReadonlyArray<Candidate>) => {
  let before: {
    readonly usages: ReadonlyArray<HostUsage>
    readonly statuses: ReadonlyMap<HostId, HostStatus>
    readonly candidates: ReadonlyArray<Candidate>
  } = { usages: [], statuses: new Map(), candidates: [] }
  return (usages, statuses) => {
    if (before.usages === usages && before.statuses === statuses) return before.candidates
    const candidates = usages.map((usage, i): Candidate => {
      const known = before.usages[i] === usage ? before.candidates[i] : undefined
      // the map is another one when any status is
      if (known !== undefined && before.statuses === statuses) return known
      const status = statusOf(statuses, usage.host.id)
      return known?.status === status ? known : { ...usage, status }
    })
    before = { usages, statuses, candidates }
    return candidates
  }
}
