/**
 * Which rules of VMs do not hold where they are. A must-rule holds where a VM is put; afterwards it may be changed, hosts get other labels,
 * and others of its group go away.
 *
 * @since 0.7.0
 */
import type { HostId, VmId } from "../domain/Ids.ts"
import * as Placement from "../domain/Placement.ts"
import * as Resources from "../domain/Resources.ts"
import type { Vm } from "../domain/Vm.ts"
import type { Candidate } from "../services/Scheduler.ts"
import * as Refusals from "./Refusals.ts"

/** `reason`: why it does not hold, one clause. @since 0.7.0 @category models */
export interface Violation {
  readonly rule: Placement.Rule
  readonly reason: string
}

/** What of a VM its rules are judged by. @since 0.7.0 @category models */
export type Resident = Pick<Vm, "id" | "name" | "hostId" | "nics" | "placement">

/** How many VMs are named of those that are in the way. */
const few = 3

const named = (vms: ReadonlyArray<Resident>): string => {
  const shown = vms.slice(0, few).map(({ id, name }) => `VM ${id} (${name})`)
  return vms.length > few ? `${shown.join(", ")} and ${vms.length - few} more` : shown.join(" and ")
}

/** Of each of the VMs that has rules which do not hold, those rules; `all` are the VMs that there are. @since 0.7.0 @category models */
export type Judge = (
  vms: ReadonlyArray<Resident>,
  all: ReadonlyArray<Resident>
) => ReadonlyMap<VmId, ReadonlyArray<Violation>>

/**
 * Judges by these hosts, whatever VMs are on them. Of `all` those count that are in a group which a rule is about, or are named by one.
 *
 * @since 0.7.0 @category constructors
 */
export const among = (candidates: ReadonlyArray<Candidate>): Judge => {
  const hosts = new Map(candidates.map((candidate): [HostId, Candidate] => [candidate.host.id, candidate]))
  return (vms, all) => judged(vms, all, candidates, hosts)
}

/**
 * Of each of the VMs that has rules which do not hold, those rules. `all` are the VMs that there are, `candidates` the hosts.
 *
 * @since 0.7.0 @category getters
 */
export const of = (
  vms: ReadonlyArray<Resident>,
  all: ReadonlyArray<Resident>,
  candidates: ReadonlyArray<Candidate>
): ReadonlyMap<VmId, ReadonlyArray<Violation>> => among(candidates)(vms, all)

const judged = (
  vms: ReadonlyArray<Resident>,
  all: ReadonlyArray<Resident>,
  candidates: ReadonlyArray<Candidate>,
  hosts: ReadonlyMap<HostId, Candidate>
): ReadonlyMap<VmId, ReadonlyArray<Violation>> => {
  const asked = new Set(
    vms.flatMap(({ placement }) => (placement?.rules ?? []).flatMap((rule) => ("group" in rule ? [rule.group] : [])))
  )
  const groups = new Map<string, Array<Resident>>()
  for (const vm of all) {
    const group = vm.placement?.group ?? null
    if (group === null || !asked.has(group)) continue
    const others = groups.get(group)
    if (others === undefined) groups.set(group, [vm])
    else others.push(vm)
  }

  const labelOf = (host: HostId, label: string): string | undefined => hosts.get(host)?.host.label(label)
  /** undefined: it is in none */
  const placeOf = (host: HostId, over: string): string | number | undefined =>
    over === "host" ? host : labelOf(host, over)

  /** The fewest of a group in a place that counts for a VM. */
  const fewest = (vm: Resident, rule: Placement.Rule & { readonly kind: "evenly" }): number => {
    const networks = vm.nics.flatMap(({ network, vlan }) =>
      network === null && vlan === null ? [] : [{ network, vlan }]
    )
    const counts = new Map<string | number, number>()
    for (const candidate of candidates) {
      const { id } = candidate.host
      const place = placeOf(id, rule.over)
      if (place === undefined) continue
      if (Refusals.of({ resources: Resources.zero, exclude: new Map(), networks }, candidate) !== null) continue
      if (vm.placement?.rules.some((one) => one.strength === "must" && isOff(one, id)) === true) continue
      counts.set(place, 0)
    }
    for (const { hostId } of groups.get(rule.group) ?? []) {
      const place = placeOf(hostId, rule.over)
      const members = place === undefined ? undefined : counts.get(place)
      if (place !== undefined && members !== undefined) counts.set(place, members + 1)
    }
    return counts.size === 0 ? 0 : Math.min(...counts.values())
  }

  const isOff = (rule: Placement.Rule, host: HostId): boolean => {
    if (!("label" in rule)) return false
    const value = labelOf(host, rule.label)
    return (value !== undefined && rule.values.includes(value)) !== (rule.kind === "on")
  }

  /** null: it holds */
  const reasonOf = (vm: Resident, rule: Placement.Rule): string | null => {
    const host = hosts.get(vm.hostId)?.host.name ?? `host ${vm.hostId}`
    if ("label" in rule) {
      if (!isOff(rule, vm.hostId)) return null
      const value = labelOf(vm.hostId, rule.label)
      if (rule.type !== undefined) return `${host} ${Placement.showUnmet(rule, value) ?? ""}`
      return value === undefined ? `${host} has no label ${rule.label}` : `${rule.label} of ${host} is ${value}`
    }
    if ("vms" in rule) {
      const there = all.filter(({ hostId, id }) => hostId === vm.hostId && id !== vm.id && rule.vms.includes(id))
      return there.length === 0 ? null : `${named(there)} is on ${host}, too`
    }
    const place = placeOf(vm.hostId, rule.over)
    if (place === undefined) return `${host} has no label ${rule.over}`
    const where = rule.over === "host" ? host : `${rule.over} ${place}`
    const members = groups.get(rule.group) ?? []
    const others = members.filter(({ id }) => id !== vm.id)
    const there = others.filter(({ hostId }) => placeOf(hostId, rule.over) === place)
    switch (rule.kind) {
      case "near":
        return others.length > 0 && there.length === 0
          ? `${where} has nobody else of ${rule.group}: ${named(others)} ${others.length === 1 ? "is" : "are"} elsewhere`
          : null
      case "apart":
        return there.length > 0 ? `${where} has ${named(there)} of ${rule.group}, too` : null
      case "evenly": {
        const here = there.length + (members.length > others.length ? 1 : 0)
        const least = fewest(vm, rule)
        return here - least > rule.skew ? `${where} has ${here} of ${rule.group} while another has ${least}` : null
      }
    }
  }

  const found = new Map<VmId, ReadonlyArray<Violation>>()
  for (const vm of vms) {
    const broken = (vm.placement?.rules ?? []).flatMap((rule): ReadonlyArray<Violation> => {
      const reason = reasonOf(vm, rule)
      return reason === null ? [] : [{ rule, reason }]
    })
    if (broken.length > 0) found.set(vm.id, broken)
  }
  return found
}
