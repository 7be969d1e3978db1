/**
 * What else would fit, and whether what is there would fit without a host.
 *
 * Of rules only what instance types require of hosts is looked at: what rules about groups allow depends on how their members come to lie.
 *
 * @since 0.7.0
 */
import * as Either from "effect/Either"
import type { HostId, VmId } from "../domain/Ids.ts"
import type { InstanceType } from "../domain/InstanceType.ts"
import * as Network from "../domain/Network.ts"
import * as Placement from "../domain/Placement.ts"
import * as Resources from "../domain/Resources.ts"
import type { Candidate } from "../services/Scheduler.ts"
import * as Refusals from "./Refusals.ts"

/**
 * How many `more` of a type fit if nothing else were placed, on so many `hosts`. `limit`: what is used up first on most of them; null: there is no
 * host for it.
 *
 * @since 0.7.0 @category models
 */
export interface Fit {
  readonly type: InstanceType
  readonly more: number
  readonly hosts: number
  readonly limit: Resources.Name | null
}

/** A VM as it would have to be placed anew. @since 0.7.0 @category models */
export interface Guest {
  readonly id: VmId
  readonly name: string
  readonly hostId: HostId
  readonly resources: Resources.Resources
  readonly networks: ReadonlyArray<Network.Wish>
  readonly placement: Placement.Placement | null
}

/** A host without which some of its `guests` would have no place: `homeless`, for which none was found. @since 0.7.0 @category models */
export interface Loss {
  readonly hostId: HostId
  readonly host: string
  readonly guests: number
  readonly homeless: ReadonlyArray<Guest>
}

/** Whether it takes new VMs. @since 0.7.0 @category predicates */
export const isOpen = ({ host, status }: Candidate): boolean =>
  host.capacity !== null && Refusals.closed(host, status) === null

/** What hosts that take new VMs have left. */
const freeOf = (candidate: Candidate): Resources.Resources | null => {
  const { host, promised } = candidate
  return isOpen(candidate) ? Resources.map((name) => Math.max(0, (host.capacity?.[name] ?? 0) - promised[name])) : null
}

/** Whether it has what a type requires. */
const meets = ({ host }: Candidate, required: ReadonlyArray<Placement.Rule & { readonly kind: "on" | "notOn" }>) =>
  required.every((rule) => Placement.showUnmet(rule, host.label(rule.label)) === null)

/** `size`: what a VM of the type takes of its host. @since 0.7.0 @category getters */
export const types = (
  candidates: ReadonlyArray<Candidate>,
  all: ReadonlyArray<InstanceType>,
  size: (type: InstanceType) => Resources.Resources
): ReadonlyArray<Fit> => {
  const free = candidates.flatMap((candidate) => {
    const left = freeOf(candidate)
    return left === null ? [] : [{ candidate, left }]
  })
  return all.map((type) => {
    const wants = size(type)
    const required = Placement.required(type.tid, type.requires)
    const limits = { cpu: 0, ram: 0, disk: 0 }
    let more = 0
    let hosts = 0
    for (const { candidate, left } of free) {
      if (!meets(candidate, required)) continue
      let times = Number.POSITIVE_INFINITY
      let limit: Resources.Name = "cpu"
      for (const name of Resources.names) {
        // of two that give out at the same VM, the one of which less of it is there
        const its = wants[name] === 0 ? Number.POSITIVE_INFINITY : left[name] / wants[name]
        if (its >= times) continue
        times = its
        limit = name
      }
      if (times === Number.POSITIVE_INFINITY) continue
      const fit = Math.floor(times)
      limits[limit]++
      more += fit
      if (fit > 0) hosts++
    }
    const [first] = Resources.names.toSorted((a, b) => limits[b] - limits[a])
    return { type, more, hosts, limit: first === undefined || limits[first] === 0 ? null : first }
  })
}

/** What is kept free on hosts that take new VMs. @since 0.8.0 @category getters */
export const reserved = (candidates: ReadonlyArray<Candidate>): Resources.Resources => {
  const open = candidates.filter(isOpen)
  return Resources.map((name) => open.reduce((sum, { host }) => sum + host.reserved[name], 0))
}

const shareOf = ({ resources }: Guest, total: Resources.Resources): number =>
  Math.max(...Resources.names.map((name) => (total[name] === 0 ? 0 : resources[name] / total[name])))

/**
 * Tells of one host after the other whether its guests would fit on the others: undefined, if they would. Two ways of placing them are tried, the
 * largest first: where most is left, and where least is left. That it says they do not fit means that neither found room; that it says they do is
 * certain.
 *
 * @since 0.7.0 @category getters
 */
export const losses = (
  candidates: ReadonlyArray<Candidate>,
  guests: ReadonlyArray<Guest>
): ((candidate: Candidate) => Loss | undefined) => {
  const hosts = candidates.flatMap((candidate) => {
    const free = freeOf(candidate)
    return free === null ? [] : [{ candidate, free }]
  })
  // where most memory is left first: what fits anywhere mostly fits there
  hosts.sort((a, b) => b.free.ram - a.free.ram || a.candidate.host.id - b.candidate.host.id)
  const at = new Map(hosts.map(({ candidate }, i) => [candidate.host.id, i]))
  const amounts = (name: Resources.Name) => Float64Array.from(hosts, ({ free }) => free[name])
  const free = { cpu: amounts("cpu"), ram: amounts("ram"), disk: amounts("disk") }
  const sum = (name: Resources.Name) => free[name].reduce((all, one) => all + one, 0)
  const total = Resources.map(sum)

  const byHost = new Map<HostId, Array<Guest>>()
  for (const guest of guests) {
    const there = byHost.get(guest.hostId)
    if (there === undefined) byHost.set(guest.hostId, [guest])
    else there.push(guest)
  }

  const plugs = new Map<string, Uint8Array>()
  /** By host: 1, if all can be plugged in and it has what the type requires; null: every host does. */
  const allowing = ({ networks: wishes, placement }: Guest): Uint8Array | null => {
    const required = (placement?.rules ?? []).flatMap((rule) =>
      "label" in rule && Placement.isOfType(rule) ? [rule] : []
    )
    if (wishes.length === 0 && required.length === 0) return null
    const key = JSON.stringify([wishes.map(({ network, vlan }) => [network, vlan]), required])
    const known = plugs.get(key)
    if (known !== undefined) return known
    const made = Uint8Array.from(hosts, ({ candidate }) => {
      const { facts } = candidate.host
      if (!meets(candidate, required)) return 0
      return facts === null || wishes.every((wish) => Either.isRight(Network.connect(facts, wish))) ? 1 : 0
    })
    plugs.set(key, made)
    return made
  }

  const fits = (host: number, { cpu, disk, ram }: Resources.Resources): boolean =>
    ram <= (free.ram[host] ?? 0) && cpu <= (free.cpu[host] ?? 0) && disk <= (free.disk[host] ?? 0)

  const take = (host: number, resources: Resources.Resources, by: 1 | -1): void => {
    for (const name of Resources.names) free[name][host] = (free[name][host] ?? 0) - by * resources[name]
  }

  /** Those for which there is no room, and all is as it was. `tight`: where least is left, else where most was at first. */
  const homelessOf = (all: ReadonlyArray<Guest>, without: number, tight: boolean): ReadonlyArray<Guest> => {
    const taken: Array<readonly [host: number, Resources.Resources]> = []
    const homeless = all.filter((guest) => {
      const { resources } = guest
      const allowed = allowing(guest)
      let chosen = -1
      for (let step = 0; step < hosts.length; step++) {
        // those with least left are the last ones
        const host = tight ? hosts.length - 1 - step : step
        if (host === without || (allowed !== null && allowed[host] !== 1) || !fits(host, resources)) continue
        chosen = host
        break
      }
      if (chosen < 0) return true
      take(chosen, resources, 1)
      taken.push([chosen, resources])
      return false
    })
    for (const [host, resources] of taken) take(host, resources, -1)
    return homeless
  }

  return ({ host }) => {
    const there = byHost.get(host.id)
    if (there === undefined) return undefined
    const without = at.get(host.id) ?? -1
    const all = there.toSorted((a, b) => shareOf(b, total) - shareOf(a, total) || a.id - b.id)
    let homeless = homelessOf(all, without, false)
    if (homeless.length > 0) {
      const others = homelessOf(all, without, true)
      if (others.length < homeless.length) homeless = others
    }
    return homeless.length === 0 ? undefined : { hostId: host.id, host: host.name, guests: there.length, homeless }
  }
}
