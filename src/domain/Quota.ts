/**
 * How much a user may have: VMs and volumes count for whoever had them made.
 *
 * @since 0.9.0
 */
import * as Schema from "effect/Schema"

/**
 * What is counted: VMs, their vCPUs, their memory in MiB, volumes, those in the trash too, and the GiB of all of these together.
 *
 * @since 0.9.0 @category models
 */
export const names = ["vms", "cpu", "ram", "volumes", "volumeSize"] as const
/** @since 0.9.0 @category models */
export type Name = (typeof names)[number]

/** How much of something a user may have. @since 0.9.0 @category models */
export const Limit = Schema.Int.pipe(Schema.between(0, Number.MAX_SAFE_INTEGER))

const limit = Schema.NullOr(Limit)

/** How much of each; null: as much as there is. @since 0.9.0 @category models */
export const Quota = Schema.Struct({ vms: limit, cpu: limit, ram: limit, volumes: limit, volumeSize: limit })
/** @since 0.9.0 @category models */
export type Quota = typeof Quota.Type

/** How much there is of each. @since 0.9.0 @category models */
export type Use = Readonly<Record<Name, number>>

/** What is to be different; what is absent stays. @since 0.9.0 @category models */
export type Change = { readonly [name in Name]?: number | null }

/** @since 0.9.0 @category constructors */
export const unlimited: Quota = { vms: null, cpu: null, ram: null, volumes: null, volumeSize: null }

/** @since 0.9.0 @category constructors */
export const nothing: Use = { vms: 0, cpu: 0, ram: 0, volumes: 0, volumeSize: 0 }

/** What so many VMs of a size count as. @since 0.9.0 @category constructors */
export const ofVms = ({ cpu, ram }: { readonly cpu: number; readonly ram: number }, count = 1): Use => ({
  ...nothing,
  vms: count,
  cpu: count * cpu,
  ram: count * ram
})

/** What a volume counts as; `size` in GiB. @since 0.9.0 @category constructors */
export const ofVolume = (size: number): Use => ({ ...nothing, volumes: 1, volumeSize: size })

/** @since 0.9.0 @category combinators */
export const plus = (a: Use, b: Use): Use => ({
  vms: a.vms + b.vms,
  cpu: a.cpu + b.cpu,
  ram: a.ram + b.ram,
  volumes: a.volumes + b.volumes,
  volumeSize: a.volumeSize + b.volumeSize
})

/** @since 0.9.0 @category predicates */
export const isUnlimited = (quota: Quota): boolean => names.every((name) => quota[name] === null)

/** @since 0.9.0 @category combinators */
export const changed = (quota: Quota, change: Change): Quota => ({ ...quota, ...change })

/** Too little of one thing: of `has`, `used` are taken, and `asked` more are asked for. @since 0.9.0 @category models */
export const Shortage = Schema.Struct({
  resource: Schema.Literal(...names),
  has: Schema.Int,
  used: Schema.Int,
  asked: Schema.Int
})
/** @since 0.9.0 @category models */
export type Shortage = typeof Shortage.Type

/** What there is too little of; of what no more is asked for there is enough, however much is used. @since 0.9.0 @category predicates */
export const shortages = (quota: Quota, used: Use, asked: Use): ReadonlyArray<Shortage> =>
  names.flatMap((resource) => {
    const has = quota[resource]
    return has === null || asked[resource] <= 0 || used[resource] + asked[resource] <= has
      ? []
      : [{ resource, has, used: used[resource], asked: asked[resource] }]
  })

/** What more is used of than the quota has, which may have been larger. @since 0.9.0 @category predicates */
export const exceeded = (quota: Quota, used: Use): ReadonlyArray<Name> =>
  names.filter((name) => used[name] > (quota[name] ?? Number.MAX_SAFE_INTEGER))

const nouns: Readonly<Record<Name, readonly [one: string, many: string]>> = {
  vms: ["VM", "VMs"],
  cpu: ["vCPU", "vCPUs"],
  ram: ["of memory", "of memory"],
  volumes: ["volume", "volumes"],
  volumeSize: ["of volumes", "of volumes"]
}

/** As in `20` of VMs and `4 GiB` of memory. @since 0.9.0 @category formatting */
export const quantity = (name: Name, amount: number): string => {
  if (name === "volumeSize") return `${amount} GiB`
  if (name !== "ram") return String(amount)
  return amount % 1024 === 0 ? `${amount / 1024} GiB` : `${amount} MiB`
}

/** As in `20 VMs` and `4 GiB of memory`. @since 0.9.0 @category formatting */
export const show = (name: Name, amount: number): string =>
  `${quantity(name, amount)} ${nouns[name][amount === 1 ? 0 : 1]}`

/** As in `20 VMs, 4 GiB of memory`. @since 0.9.0 @category formatting */
export const showAll = (quota: Quota): string => {
  const limits = names.flatMap((name) => {
    const has = quota[name]
    return has === null ? [] : [show(name, has)]
  })
  return limits.length === 0 ? "none" : limits.join(", ")
}

/** Of what is more than the quota has, one sentence; null: nothing is. @since 0.9.0 @category formatting */
export const showExceeded = (owner: string, quota: Quota, used: Use): string | null => {
  const more = exceeded(quota, used)
  if (more.length === 0) return null
  const each = more.map((name) => `${show(name, used[name])}, and may have ${quantity(name, quota[name] ?? 0)}`)
  return `${owner} has ${each.join("; ")}: all of it stays, and there can be no more of that until there is less`
}
