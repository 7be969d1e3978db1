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

/** All hosts are looked at for every VM, and hardly any has changed since the one before. */
const known = new WeakMap<HostUsage, Candidate>()

const one = (usage: HostUsage, status: HostStatus): Candidate => {
  const before = known.get(usage)
  if (before?.status === status) return before
  const candidate = { ...usage, status }
  known.set(usage, candidate)
  return candidate
}

/** @since 0.5.0 @category constructors */
export const make = (
  usages: ReadonlyArray<HostUsage>,
  statuses: ReadonlyMap<HostId, HostStatus>
): ReadonlyArray<Candidate> => usages.map((usage) => one(usage, statusOf(statuses, usage.host.id)))
