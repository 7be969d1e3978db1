/**
 * How much a user may have, and has.
 *
 * @since 0.9.0
 */
import type { ReactNode } from "react"
import type { User } from "../../api/Users.ts"
import * as Quota from "../../domain/Quota.ts"
import { TextField } from "./Field.tsx"
import { rebased } from "./Rebased.ts"
import { count, gibibytes, mebibytes } from "./Words.ts"

/** What is filled in, of memory in GiB; empty: as much as there is. @since 0.9.0 @category models */
export type Limits = Readonly<Record<Quota.Name, string>>

/** What a view has of it. @since 0.9.0 @category models */
export type Held = Pick<User, "exceeded" | "quota" | "used">

/** @since 0.13.0 @category constants */
export const labels: Readonly<Record<Quota.Name, string>> = {
  vms: "VMs",
  cpu: "vCPUs",
  ram: "Memory in GiB",
  volumes: "Volumes",
  volumeSize: "GiB of volumes"
}

const each = <A,>(of: (name: Quota.Name) => A) => ({
  vms: of("vms"),
  cpu: of("cpu"),
  ram: of("ram"),
  volumes: of("volumes"),
  volumeSize: of("volumeSize")
})

/** Of memory a GiB, as people say it, in MiB, as the API does; all else is one in both. */
const units: Readonly<Record<Quota.Name, number>> = { vms: 1, cpu: 1, ram: 1024, volumes: 1, volumeSize: 1 }

/** @since 0.9.0 @category constructors */
export const limitsOf = (quota: Quota.Quota = Quota.unlimited): Limits =>
  each((name) => {
    const limit = quota[name]
    return limit === null ? "" : String(limit / units[name])
  })

/** As the API has it, of memory to the MiB. Null: no limit; undefined: that is none. */
const limitOf = (name: Quota.Name, text: string): number | null | undefined => {
  const said = text.trim()
  if (said === "") return null
  const isAmount = name === "ram" ? /^[0-9]{1,12}(\.[0-9]{1,10})?$/.test(said) : /^[0-9]{1,15}$/.test(said)
  return isAmount ? Math.round(Number(said) * units[name]) : undefined
}

/** Whether all that is filled in can be. @since 0.9.0 @category predicates */
export const areLimits = (limits: Limits): boolean =>
  Quota.names.every((name) => limitOf(name, limits[name]) !== undefined)

/** What becomes different. @since 0.9.0 @category conversions */
export const changeOf = (limits: Limits, before: Quota.Quota = Quota.unlimited): Quota.Change =>
  Object.fromEntries(
    Quota.names.flatMap((name) => {
      const limit = limitOf(name, limits[name])
      return limit === undefined || limit === before[name] ? [] : [[name, limit]]
    })
  )

/** What was filled in for what it was `before`, for what it is `now`: what was not touched is as it is. @since 0.12.0 @category conversions */
export const limitsOnto = (now: Quota.Quota, before: Quota.Quota, limits: Limits): Limits =>
  rebased(limits, limitsOf(before), limitsOf(now))

/** The same on the command line. @since 0.9.0 @category conversions */
export const quotaWords = (change: Quota.Change): ReadonlyArray<string> =>
  Quota.names.flatMap((name) => {
    const limit = change[name]
    return limit === undefined ? [] : ["--quota", `${name}=${limit ?? "none"}`]
  })

const quantity = (name: Quota.Name, amount: number): string =>
  name === "ram" ? mebibytes(amount) : name === "volumeSize" ? gibibytes(amount) : count(amount)

const plain: Readonly<Record<Quota.Name, string>> = {
  vms: "VMs",
  cpu: "vCPUs",
  ram: "GiB of memory",
  volumes: "volumes",
  volumeSize: "GiB of volumes"
}

const nouns: Readonly<Record<Quota.Name, string>> = {
  vms: "VMs",
  cpu: "vCPUs",
  ram: "of memory",
  volumes: "volumes",
  volumeSize: "of volumes"
}

/** What somebody else has changed, as in `By now it is 5 VMs.`; empty: nothing. @since 0.12.0 @category formatting */
export const limitNewsOf = (before: Quota.Quota, now: Quota.Quota): string => {
  const news = Quota.names.flatMap((name) => {
    const limit = now[name]
    return limit === before[name]
      ? []
      : [limit === null ? `as many ${plain[name]} as there are` : `${quantity(name, limit)} ${nouns[name]}`]
  })
  return news.length === 0 ? "" : `By now it is ${news.join(", ")}.`
}

/** How much of what is limited they have, as in `7 of 20 VMs`. @since 0.9.0 @category formatting */
export const usesOf = ({ quota = Quota.unlimited, used = Quota.nothing }: Held): string => {
  const limited = Quota.names.filter((name) => quota[name] !== null)
  return limited.length === 0
    ? "no limit"
    : limited
        .map((name) => `${quantity(name, used[name])} of ${quantity(name, quota[name] ?? 0)} ${nouns[name]}`)
        .join(", ")
}

/** In one line, and in another tone where it is more than they may. @since 0.9.0 @category components */
export const Uses = ({ of }: { readonly of: Held }): ReactNode => (
  <span className={(of.exceeded ?? []).length > 0 ? "over" : undefined}>{usesOf(of)}</span>
)

/** @since 0.9.0 @category components */
export const QuotaFields = ({
  limits,
  onChange,
  used
}: {
  readonly limits: Limits
  readonly onChange: (limits: Limits) => void
  /** what they have; undefined: nothing is said of it */
  readonly used?: Quota.Use | undefined
}): ReactNode => (
  <fieldset className="several">
    <legend>Quota</legend>
    <p className="quiet small">What is left empty is not limited. VMs and volumes count for whoever had them made.</p>
    <div className="pair">
      {Quota.names.map((name) => {
        const limit = limitOf(name, limits[name])
        const wrong =
          limit === undefined
            ? name === "ram"
              ? "A number of GiB, as in 64 or 0.5, or nothing."
              : "A whole number, or nothing."
            : limit !== null && used !== undefined && used[name] > limit
              ? "Less than they have: it stays, and there can be no more of it."
              : null
        return (
          <TextField
            key={name}
            label={labels[name]}
            {...(used === undefined ? {} : { hint: `They have ${quantity(name, used[name])}.` })}
            wrong={wrong}
            type="number"
            min={0}
            {...(name === "ram" ? { step: "any" } : {})}
            value={limits[name]}
            onChange={(value) => onChange({ ...limits, [name]: value })}
          />
        )
      })}
    </div>
  </fieldset>
)
