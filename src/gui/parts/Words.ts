/**
 * Amounts, times and states as people say them.
 *
 * @since 0.7.0
 */
import type * as DateTime from "effect/DateTime"
import type { Host } from "../../api/Hosts.ts"
import type { Operation } from "../../api/Operations.ts"
import type { Vm } from "../../api/Vms.ts"

/** What a colour may mean. @since 0.7.0 @category models */
export type Tone = "ok" | "busy" | "warn" | "bad" | "off"

/** @since 0.7.0 @category models */
export interface Shown {
  readonly tone: Tone
  readonly word: string
  /** why, where there is something to say */
  readonly why: string | null
}

const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 })

/** @since 0.7.0 @category formatting */
export const count = (value: number): string => number.format(value)

/** `1 VM`, `2 VMs`. @since 0.7.0 @category formatting */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

/** GiB, as `20 GiB` or `1.5 TiB`. @since 0.7.0 @category formatting */
export const gibibytes = (value: number): string =>
  value >= 1024 ? `${count(value / 1024)} TiB` : `${count(value)} GiB`

/** MiB, as `512 MiB` or `4 GiB`. @since 0.7.0 @category formatting */
export const mebibytes = (value: number): string => (value >= 1024 ? gibibytes(value / 1024) : `${count(value)} MiB`)

const steps = ["KiB", "MiB", "GiB", "TiB"] as const

/** Bytes, as `417 MiB`. @since 0.8.0 @category formatting */
export const bytes = (value: number): string => {
  const step = Math.min(steps.length, Math.floor(Math.log2(Math.max(1, value)) / 10))
  const unit = steps[step - 1]
  return unit === undefined ? counted(value, "byte") : `${count(value / 1024 ** step)} ${unit}`
}

const formatter = (options: Intl.DateTimeFormatOptions) => {
  // a page without times does not wait for what names months
  let made: Intl.DateTimeFormat | undefined
  return (time: DateTime.Utc): string => (made ??= new Intl.DateTimeFormat(undefined, options)).format(time.epochMillis)
}
const day = formatter({ dateStyle: "medium", timeStyle: "medium" })
const hour = formatter({ timeStyle: "medium" })

/** In the viewer's zone. @since 0.7.0 @category formatting */
export const moment = (time: DateTime.Utc): string => day(time)

/** Of today the time alone. @since 0.7.0 @category formatting */
export const briefly = (time: DateTime.Utc): string =>
  (new Date(time.epochMillis).toDateString() === new Date().toDateString() ? hour : day)(time)

/** @since 0.7.0 @category formatting */
export const lasted = ({ createdAt, endedAt }: Pick<Operation, "createdAt" | "endedAt">): string => {
  if (endedAt === null) return ""
  const seconds = (endedAt.epochMillis - createdAt.epochMillis) / 1000
  return seconds < 90 ? `${count(Math.max(0, seconds))} s` : `${count(Math.round(seconds / 60))} min`
}

/** `CreateVm` is `Create VM`. @since 0.7.0 @category formatting */
export const kind = (name: Operation["kind"]): string =>
  name
    .replace(/(?<!^)([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`)
    .replace(/\bvm\b/, "VM")
    .replace(/\bnic\b/, "NIC")

/** @since 0.7.0 @category formatting */
export const operationState = ({ cancelAsked, error, state }: Operation): Shown => {
  switch (state) {
    case "done":
      return { tone: "ok", word: "done", why: null }
    case "failed":
      return { tone: "bad", word: "failed", why: error }
    case "undoing":
      return { tone: "warn", word: "undoing", why: error }
    default:
      return { tone: "busy", word: cancelAsked ? "being cancelled" : state, why: null }
  }
}

/** What is wanted of it and what is seen of it, as one. @since 0.7.0 @category formatting */
export const vmState = ({ hostReason, hostStatus, seen, state }: Vm): Shown => {
  if (state === "creating" || state === "destroying") return { tone: "busy", word: state, why: null }
  if (state === "failed" || state === "destroyed") return { tone: "off", word: state, why: null }
  if (hostStatus === "down" || hostStatus === "suspect") {
    return { tone: "warn", word: `${state}, host ${hostStatus}`, why: hostReason }
  }
  if (seen === null || seen.power === state) {
    return { tone: state === "running" ? "ok" : "off", word: state, why: seen?.reason ?? null }
  }
  return { tone: "bad", word: `${seen.power}, not ${state}`, why: seen.reason }
}

/** @since 0.7.0 @category formatting */
export const hostState = ({ maintenance, reason, status }: Host): Shown => {
  if (status === "down") return { tone: "bad", word: "down", why: reason }
  if (status === "suspect") return { tone: "warn", word: "suspect", why: reason }
  if (status === "connecting") return { tone: "busy", word: "connecting", why: reason }
  return maintenance
    ? { tone: "warn", word: "maintenance", why: "nothing new is placed here" }
    : { tone: "ok", word: "up", why: null }
}
