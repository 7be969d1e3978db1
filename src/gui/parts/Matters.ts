/**
 * What needs somebody.
 *
 * @since 0.12.0
 */
import type { Host } from "../../api/Hosts.ts"
import type { Operation } from "../../api/Operations.ts"
import type { Vm } from "../../api/Vms.ts"
import type { HostId, VmId } from "../../domain/Ids.ts"
import { counted, hostState, isCancelled, isUnseen, needsAttention, type Shown, vmState } from "./Words.ts"

/** `unseen`: all those of a host of which it is not known how they are. @since 0.12.0 @category models */
export type Matter =
  | { readonly _tag: "host"; readonly host: Host; readonly state: Shown; readonly why: string | null }
  | { readonly _tag: "unseen"; readonly hostId: HostId; readonly vms: number; readonly state: Shown }
  | { readonly _tag: "vm"; readonly vm: Vm; readonly state: Shown; readonly why: string | null }
  | { readonly _tag: "operation"; readonly operation: Operation; readonly state: Shown; readonly why: string | null }

/** What there is. @since 0.12.0 @category models */
export interface There {
  readonly hosts: ReadonlyMap<HostId, Host>
  readonly vms: ReadonlyMap<VmId, Vm>
  readonly operations: ReadonlyArray<Operation>
}

/** How many things there are in it to look at. @since 0.12.0 @category getters */
export const sizeOf = (matter: Matter): number => (matter._tag === "unseen" ? matter.vms : 1)

/** Milliseconds for which one that failed is told of. */
const lately = 3_600_000

/**
 * The worst first: hosts, each followed by its VMs of which nothing is known, then VMs that are not as they should be, then what failed in the last
 * hour and was not retried. `now` in milliseconds since 1970.
 *
 * @since 0.12.0 @category getters
 */
export const matters = ({ hosts, operations, vms }: There, now: number): ReadonlyArray<Matter> => {
  const unseen = new Map<HostId, { readonly vms: number; readonly state: Shown }>()
  const wrong: Array<Matter> = []
  for (const vm of vms.values()) {
    if (!needsAttention(vm)) continue
    const state = vmState(vm)
    if (isUnseen(vm) && state.is === "unknown") {
      unseen.set(vm.hostId, { state, vms: (unseen.get(vm.hostId)?.vms ?? 0) + 1 })
      continue
    }
    const why =
      state.tone === "bad"
        ? state.why
        : vm.drift > 0
          ? `${counted(vm.drift, "field differs", "fields differ")} from what it should be`
          : (vm.violations[0]?.reason ?? null)
    wrong.push({ _tag: "vm", vm, state, why })
  }
  const ofHosts: Array<Matter> = []
  for (const host of hosts.values()) {
    const state = hostState(host)
    if (state.tone === "bad" || state.tone === "warn") ofHosts.push({ _tag: "host", host, state, why: state.why })
    const there = unseen.get(host.id)
    if (there === undefined) continue
    ofHosts.push({ _tag: "unseen", hostId: host.id, ...there })
    unseen.delete(host.id)
  }
  for (const [hostId, there] of unseen) ofHosts.push({ _tag: "unseen", hostId, ...there })
  const failed = operations.flatMap((operation): ReadonlyArray<Matter> => {
    const { endedAt, error, retriedBy, state } = operation
    if (state !== "failed" || isCancelled(operation) || retriedBy !== null) return []
    if ((endedAt?.epochMillis ?? 0) < now - lately) return []
    return [{ _tag: "operation", operation, state: { tone: "bad", word: "failed", why: null }, why: error }]
  })
  return [...ofHosts, ...wrong, ...failed]
}
