/**
 * Amounts, times and states as people say them.
 *
 * @since 0.7.0
 */
import type * as DateTime from "effect/DateTime"
import type { Host } from "../../api/Hosts.ts"
import type { Image } from "../../api/Images.ts"
import type { Operation, Step } from "../../api/Operations.ts"
import type { Vm } from "../../api/Vms.ts"
import type { VmId } from "../../domain/Ids.ts"

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

/** Numbers as they are shown: to ask for each of a list's takes a browser as long as the rest of its row. */
const counts = new Map<number, string>()
const mostCounts = 1000

/** @since 0.7.0 @category formatting */
export const count = (value: number): string => {
  const known = counts.get(value)
  if (known !== undefined) return known
  const text = number.format(value)
  if (counts.size >= mostCounts) counts.clear()
  counts.set(value, text)
  return text
}

/** How many a list has: `there` when all that are here are shown. @since 0.14.0 @category formatting */
export const shownOf = (shown: number, here: number, there: number = here): string =>
  shown === here ? count(there) : `${count(shown)} of ${count(there)}`

/** `1 VM`, `2 VMs`. @since 0.7.0 @category formatting */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

/** GiB of which a tenth of a TiB is exact enough. */
const much = 10 * 1024

/** Whether GiB are told in TiB: 1025 GiB are not 1 TiB. */
const isInTebibytes = (value: number): boolean => value >= much || (value >= 1024 && value % 512 === 0)

/** GiB, as `20 GiB`, `1,025 GiB` or `1.5 TiB`, in the unit of an amount that is told beside it. @since 0.7.0 @category formatting */
export const gibibytes = (value: number, beside = 0): string =>
  isInTebibytes(value) && (value >= much || beside === 0 || isInTebibytes(beside))
    ? `${count(value / 1024)} TiB`
    : `${count(value)} GiB`

/** MiB, as `512 MiB` or `4 GiB`; `beside` as of GiB. @since 0.7.0 @category formatting */
export const mebibytes = (value: number, beside = 0): string =>
  value >= 1024 ? gibibytes(value / 1024, beside / 1024) : `${count(value)} MiB`

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

/** What it is about, in words: what it waits for, or what its step does. @since 0.13.0 @category formatting */
export const stepOf = ({ description, phase, step, waiting }: NonNullable<Operation["progress"]>): string =>
  waiting !== null ? `It waits: ${waiting}` : `${phase === "undo" ? "Undoing: " : ""}${description ?? step}`

/** Whether it came to nothing because somebody asked for that, which is no failure. @since 0.12.0 @category predicates */
export const isCancelled = ({
  cancelAsked,
  error,
  state
}: Pick<Operation, "cancelAsked" | "error" | "state">): boolean =>
  state === "failed" && cancelAsked && saysCancelled(error)

/** Of an error: one that somebody asked to be cancelled may have failed of something else before. @since 0.12.0 @category predicates */
export const saysCancelled = (error: string | null): boolean => error !== null && /^it was cancelled\b/.test(error)

/** What the word that is shown says already, and what else there is. */
const besides = (error: string | null): string | null => error?.replace(/^it was cancelled(; )?/, "") || null

/** @since 0.7.0 @category formatting */
export const operationState = (operation: Pick<Operation, "cancelAsked" | "error" | "state">): Shown => {
  const { cancelAsked, error, state } = operation
  switch (state) {
    case "done":
      return { tone: "ok", word: "done", why: null }
    case "failed":
      return isCancelled(operation)
        ? { tone: "off", word: "cancelled", why: besides(error) }
        : { tone: "bad", word: "failed", why: error }
    case "undoing":
      return cancelAsked && saysCancelled(error)
        ? { tone: "busy", word: "being cancelled", why: besides(error) }
        : { tone: "warn", word: "undoing", why: error }
    default:
      return { tone: "busy", word: cancelAsked ? "being cancelled" : state, why: null }
  }
}

/** How one ended, with what became of what it had made. @since 0.12.0 @category formatting */
export const endOf = (
  operation: Pick<Operation, "cancelAsked" | "error" | "state">,
  steps: ReadonlyArray<Pick<Step, "phase">>
): string => {
  if (operation.state === "done") return "All that was to be done has been."
  const it = isCancelled(operation) ? "It was cancelled" : "It failed"
  if (steps.length === 0) return `${it} before it had begun anything.`
  return steps.some(({ phase }) => phase === "undo") ? `${it}, and what it had made was undone.` : `${it}.`
}

/** What a VM is shown as, counted as and found by, the usual first; `unknown`: its host does not answer. @since 0.12.0 @category constants */
export const vmWords = [
  "running",
  "stopped",
  "paused",
  "suspended",
  "crashed",
  "absent",
  "unknown",
  "creating",
  "destroying",
  "failed",
  "destroyed"
] as const satisfies ReadonlyArray<Vm["state"] | NonNullable<Vm["seen"]>["power"] | "unknown">

/** @since 0.12.0 @category models */
export type VmWord = (typeof vmWords)[number]

/** @since 0.12.0 @category models */
export interface VmShown extends Shown {
  /** what `word` begins with */
  readonly is: VmWord
}

/** Whether what was seen of it is from before, for its host does not answer. @since 0.12.0 @category predicates */
export const isUnseen = ({ hostStatus }: Pick<Vm, "hostStatus">): boolean =>
  hostStatus === "down" || hostStatus === "suspect" || hostStatus === "lost"

/** What is wanted of it and what is seen of it, as one. @since 0.7.0 @category formatting */
export const vmState = (vm: Pick<Vm, "hostReason" | "hostStatus" | "seen" | "state">): VmShown => {
  const { hostReason, hostStatus, seen, state } = vm
  if (state === "creating" || state === "destroying") return { is: state, tone: "busy", word: state, why: null }
  if (state === "failed" || state === "destroyed") return { is: state, tone: "off", word: state, why: null }
  if (isUnseen(vm)) {
    const tone = hostStatus === "suspect" ? "warn" : "bad"
    return { is: "unknown", tone, word: `unknown, host ${hostStatus}`, why: hostReason }
  }
  if (seen === null || seen.power === state) {
    return { is: state, tone: state === "running" ? "ok" : "off", word: state, why: seen?.reason ?? null }
  }
  return { is: seen.power, tone: "bad", word: `${seen.power}, not ${state}`, why: seen.reason }
}

/** Whether its guest does not run, so that there is nothing to measure. @since 0.14.0 @category predicates */
export const isOff = (is: VmWord): boolean => is === "stopped" || is === "crashed" || is === "absent"

/** Since when `why` of its state is so: what is told of its host is the host's. null: not known. @since 0.12.0 @category getters */
export const vmSince = (vm: Pick<Vm, "hostStatus" | "seen">, host: Pick<Host, "since"> | undefined) =>
  isUnseen(vm) ? (host?.since ?? null) : (vm.seen?.since ?? null)

/** Whether somebody should look at it. @since 0.12.0 @category predicates */
export const needsAttention = (
  vm: Pick<Vm, "drift" | "hostReason" | "hostStatus" | "seen" | "state" | "violations">
): boolean => {
  const { tone } = vmState(vm)
  return tone === "bad" || tone === "warn" || vm.drift > 0 || vm.violations.length > 0
}

/** Names need not be unique, but whoever gives one twice had better know; `own`: whose it is. null: no other VM is called that. @since 0.12.0 @category formatting */
export const alsoCalled = (name: string, vms: Iterable<Pick<Vm, "id" | "name">>, own: VmId | null): string | null => {
  if (name === "") return null
  const ids: Array<VmId> = []
  for (const vm of vms) if (vm.name === name && vm.id !== own) ids.push(vm.id)
  const [first] = ids
  if (first === undefined) return null
  return ids.length === 1
    ? `VM ${first} is called that, too; it may be, and they are told apart by their ids.`
    : `${count(ids.length)} VMs are called that, too; they may be, and are told apart by their ids.`
}

/** The same of images, of which a command line takes the name. null: no other image is called that. @since 0.13.0 @category formatting */
export const imageAlsoCalled = (name: string, images: Iterable<Pick<Image, "id" | "name">>): string | null => {
  if (name === "") return null
  const ids = [...images].filter((image) => image.name === name).map(({ id }) => id)
  const [first] = ids
  if (first === undefined) return null
  return ids.length === 1
    ? `Image ${first} is called that, too; it may be, and they are told apart by their ids.`
    : `${count(ids.length)} images are called that, too; they may be, and are told apart by their ids.`
}

/** How many there are of each, as in `5 running, 1 crashed, 3 unknown`: those that run, and those of which that was not wanted. @since 0.12.0 @category formatting */
export const vmCounts = (vms: Iterable<Pick<Vm, "hostReason" | "hostStatus" | "seen" | "state">>): string => {
  const counts = new Map<VmWord, number>()
  for (const vm of vms) {
    const { is, tone } = vmState(vm)
    if (is === "running" || tone === "bad" || tone === "warn") counts.set(is, (counts.get(is) ?? 0) + 1)
  }
  return vmWords
    .flatMap((word) => {
      const there = counts.get(word) ?? 0
      return there > 0 || word === "running" ? [`${count(there)} ${word}`] : []
    })
    .join(", ")
}

/** From 0 to 1, and beyond where more was promised than there is: how much of what is scarcest on a host is promised. @since 0.13.0 @category getters */
export const fullness = ({ capacity, promised }: Pick<Host, "capacity" | "promised">): number =>
  Math.max(
    ...(["cpu", "ram", "disk"] as const).map((name) =>
      capacity[name] === 0 ? (promised[name] === 0 ? 0 : 1) : promised[name] / capacity[name]
    )
  )

/** @since 0.7.0 @category formatting */
export const hostState = ({ maintenance, reason, status }: Host): Shown => {
  if (status === "down" || status === "lost") return { tone: "bad", word: status, why: reason }
  if (status === "suspect") return { tone: "warn", word: "suspect", why: reason }
  if (status === "connecting") return { tone: "busy", word: "connecting", why: reason }
  return maintenance
    ? { tone: "warn", word: "maintenance", why: "nothing new is placed here" }
    : { tone: "ok", word: "up", why: null }
}

/** As many as are called by their names. */
const mostNamed = 10

/** Which they are, those of a screenful by their names, and with their ids those that are called the same. @since 0.13.0 @category formatting */
export const namesOf = (vms: ReadonlyArray<Pick<Vm, "id" | "name">>): string => {
  const times = new Map<string, number>()
  for (const { name } of vms) times.set(name, (times.get(name) ?? 0) + 1)
  const named = vms
    .slice(0, mostNamed)
    .map(({ id, name }) => (times.get(name) === 1 ? name : `${name} (id:${id})`))
    .join(", ")
  return vms.length > mostNamed ? `${named} and ${count(vms.length - mostNamed)} more` : named
}
