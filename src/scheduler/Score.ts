/**
 * How good a host is for a VM, in whole points, so that sums are exact and the same everywhere. Each term is from 0 to 1 before its weight.
 *
 * - `spread`: what stays free of the scarcest resource (dominant share: Ghodsi et al., "Dominant Resource Fairness", NSDI 2011).
 * - `pack`: what is taken of it, best fit; Protean (Hadary et al., OSDI 2020) packs so that whole servers stay free.
 * - `align`: the cosine of what is asked for and what is free, of which the dot product of Panigrahy et al. ("Heuristics for Vector Bin
 *   Packing", 2011) is the part that does not depend on sizes: who wants memory goes where memory is over.
 * - `fragmentation`: how little more is stranded for the usual types afterwards, after FGD (Weng et al., "Beware of Fragmentation", USENIX
 *   ATC 2023), with all resources in place of GPUs, and each type counted by what it wants in all (`byDemand`).
 *
 * @since 0.7.0
 */
import * as Resources from "../domain/Resources.ts"
import type { UsualSize } from "../services/Scheduler.ts"

/** What a term of 1 with the weight 1 is worth. @since 0.7.0 @category constants */
export const points = 1_000_000

/** @since 0.7.0 @category constants */
export const names = ["spread", "pack", "align", "fragmentation"] as const
/** @since 0.7.0 @category models */
export type Name = (typeof names)[number]

/** From 0 (does not count) up. @since 0.7.0 @category models */
export type Weights = Readonly<Record<Name, number>>

/** @since 0.7.0 @category models */
export type Policy = "spread" | "pack" | "balance"

/**
 * The weights of a policy. `spread`: load and failures hit as little as possible. `pack`: whole hosts stay free. `balance`: as much as
 * possible fits in the end, and load is spread where that costs nothing.
 *
 * Stranding changes by little with one VM, so the other terms need small weights beside it, or they drown it. Those of `pack` were chosen by
 * how full the fleets of `npm run bench packing` are at the first refusal, on 20 seeds that are not the bench's: more of best fit or of alignment strands
 * memory and vCPUs where hosts differ in how much they have of each. Less of them is safe only because types count by what they want: were
 * it by how often they come, small VMs would take the few large hosts of a fleet of several kinds, and the large ones, which are rare, would be refused
 * early. The weights of best fit and alignment from 0.02 to 0.05 do about equally well; these are in the middle.
 * Without usual types `pack` is best fit and alignment, four parts to three, and `balance` is `spread`.
 *
 * @since 0.7.0 @category constants
 */
export const policies: Readonly<Record<Policy, Weights>> = {
  spread: { spread: 1, pack: 0, align: 0, fragmentation: 0 },
  pack: { spread: 0, pack: 0.04, align: 0.03, fragmentation: 1 },
  balance: { spread: 0.05, pack: 0, align: 0, fragmentation: 1 }
}

/** @since 0.7.0 @category models */
export type Usual = UsualSize

/** Shares that add up to 1. @since 0.7.0 @category constructors */
export const normalize = (usual: ReadonlyArray<Usual>): ReadonlyArray<Usual> => {
  const all = usual.reduce((sum, { share }) => sum + share, 0)
  return all > 0 ? usual.map(({ resources, share }) => ({ resources, share: share / all })) : []
}

/**
 * The same sizes with their shares of all that they want together, in the mean over the resources that any of them wants, in place of their
 * shares of all VMs: a large one that seldom comes may want as much as many small ones, and it is the one that is refused first.
 *
 * @since 0.11.0 @category constructors
 */
export const byDemand = (usual: ReadonlyArray<Usual>): ReadonlyArray<Usual> => {
  const sizes = normalize(usual)
  const all = Resources.map((name) => sizes.reduce((sum, { resources, share }) => sum + share * resources[name], 0))
  const wanted = Resources.names.filter((name) => all[name] > 0)
  return normalize(
    sizes.map(({ resources, share }) => ({
      resources,
      share: wanted.reduce((sum, name) => sum + (share * resources[name]) / all[name], 0)
    }))
  )
}

/**
 * The sizes among these with their shares, the most frequent ones first, `most` at most: those that want most in all (`byDemand`), lest a large
 * one that seldom comes is left out for many small ones.
 *
 * @since 0.8.0 @category constructors
 */
export const usualOf = (sizes: Iterable<Resources.Resources>, most = 16): ReadonlyArray<Usual> => {
  const found = new Map<string, { readonly resources: Resources.Resources; share: number }>()
  for (const size of sizes) {
    const key = Resources.names.map((name) => size[name]).join(" ")
    const known = found.get(key)
    if (known === undefined) found.set(key, { resources: Resources.map((name) => size[name]), share: 1 })
    else known.share++
  }
  const all = [...found.values()].toSorted((a, b) => b.share - a.share)
  const demand = byDemand(all).map(({ share }) => share)
  const wanted = new Set(
    [...all.keys()].toSorted((a, b) => (demand[b] ?? 0) - (demand[a] ?? 0)).slice(0, Math.max(0, most))
  )
  return normalize(all.filter((_, i) => wanted.has(i)))
}

/**
 * After how many placements it is worth to count again what is usual among so many VMs: by then about an eighth of them may be others. A
 * ranking is made anew when the engine is told, and so it is not told more often.
 *
 * @since 0.8.0 @category getters
 */
export const recountAfter = (vms: number): number => Math.max(32, Math.ceil(vms / 8))

/** What of one resource a host may promise in all, what of it is free, and what is wanted. */
interface Amount {
  capacity: number
  free: number
  wanted: number
}

/** Filled by the caller, over and over: nothing is allocated for a score. @since 0.7.0 @category models */
export interface Amounts {
  readonly cpu: Amount
  readonly ram: Amount
  readonly disk: Amount
}

/** @since 0.7.0 @category constructors */
export const amounts = (): Amounts => ({
  cpu: { capacity: 0, free: 0, wanted: 0 },
  ram: { capacity: 0, free: 0, wanted: 0 },
  disk: { capacity: 0, free: 0, wanted: 0 }
})

/** The share of the scarcest wanted resource that is promised once the VM is there. */
const dominant = ({ cpu, disk, ram }: Amounts): number => {
  let most = 0
  if (cpu.wanted > 0) most = Math.max(most, 1 - (cpu.free - cpu.wanted) / cpu.capacity)
  if (ram.wanted > 0) most = Math.max(most, 1 - (ram.free - ram.wanted) / ram.capacity)
  if (disk.wanted > 0) most = Math.max(most, 1 - (disk.free - disk.wanted) / disk.capacity)
  return most
}

const part = (amount: number, { capacity }: Amount): number => (capacity > 0 ? Math.max(0, amount) / capacity : 0)

const alignment = ({ cpu, disk, ram }: Amounts): number => {
  const [w1, w2, w3] = [part(cpu.wanted, cpu), part(ram.wanted, ram), part(disk.wanted, disk)]
  const [f1, f2, f3] = [part(cpu.free, cpu), part(ram.free, ram), part(disk.free, disk)]
  const lengths = Math.sqrt((w1 * w1 + w2 * w2 + w3 * w3) * (f1 * f1 + f2 * f2 + f3 * f3))
  return lengths === 0 ? 0 : Math.min(1, (w1 * f1 + w2 * f2 + w3 * f3) / lengths)
}

const times = (free: number, each: number): number => (each > 0 ? Math.floor(free / each) : Number.POSITIVE_INFINITY)

/** The share of the host that is free but of no use to the usual types, each filling it up alone: the mean by their shares. */
const stranded = (usual: ReadonlyArray<Usual>, { cpu, disk, ram }: Amounts, taken: 0 | 1): number => {
  const c = Math.max(0, cpu.free - taken * cpu.wanted)
  const r = Math.max(0, ram.free - taken * ram.wanted)
  const d = Math.max(0, disk.free - taken * disk.wanted)
  let sum = 0
  for (const { resources, share } of usual) {
    const fit = Math.min(times(c, resources.cpu), times(r, resources.ram), times(d, resources.disk))
    if (fit === Number.POSITIVE_INFINITY) continue
    const left =
      part(c - fit * resources.cpu, cpu) + part(r - fit * resources.ram, ram) + part(d - fit * resources.disk, disk)
    sum += (share * left) / 3
  }
  return sum
}

const value = (name: Name, usual: ReadonlyArray<Usual>, given: Amounts): number => {
  switch (name) {
    case "spread":
      return 1 - dominant(given)
    case "pack":
      return dominant(given)
    case "align":
      return alignment(given)
    case "fragmentation":
      return (1 + stranded(usual, given, 0) - stranded(usual, given, 1)) / 2
  }
}

/**
 * The points of one term for a VM that fits; whole, from 0 to the weight's worth.
 *
 * @since 0.7.0 @category getters
 */
export const term = (name: Name, weight: number, usual: ReadonlyArray<Usual>, given: Amounts): number => {
  return weight === 0 ? 0 : Math.round(weight * points * Math.min(1, Math.max(0, value(name, usual, given))))
}
