/**
 * `vmfabric vm stats`, `vm top` and `host stats`: what VMs use.
 *
 * @since 0.6.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { History, HostStatistics, TopVm, VmStatistics } from "../api/Statistics.ts"
import { series } from "../domain/Statistics.ts"
import { answered, ask, list, time, type View } from "./Output.ts"
import * as Resolve from "./Resolve.ts"
import { client } from "./Session.ts"
import * as Verb from "./Verb.ts"

const scales = ["B", "KiB", "MiB", "GiB", "TiB"]

/** Bytes with three figures. @since 0.6.0 @category formatting */
export const amount = (bytes: number | null | undefined): string | null => {
  if (bytes === null || bytes === undefined) return null
  const scale = Math.max(0, Math.min(scales.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  const value = bytes / 1024 ** scale
  return `${value >= 100 || scale === 0 ? Math.round(value) : value.toPrecision(3)} ${scales[scale] ?? ""}`
}

const perSecond = (bytes: number | null | undefined): string | null => {
  const text = amount(bytes)
  return text === null ? null : `${text}/s`
}

const rounded = (value: number | null | undefined): string | null =>
  value === null || value === undefined ? null : value >= 100 ? String(Math.round(value)) : value.toFixed(1)

const percent = (value: number | null | undefined): string | null => {
  const text = rounded(value)
  return text === null ? null : `${text} %`
}

/** Each device in a few words. */
const devices = <D>(all: ReadonlyArray<D>, of: (device: D) => readonly [name: string, to: number, from: number]) =>
  all
    .map(of)
    .map(([name, to, from]) => `${name} ${amount(to) ?? ""} in, ${amount(from) ?? ""} out`)
    .join("; ")

const ofVm: View<VmStatistics> = {
  name: ({ vmId }) => vmId,
  columns: [
    { title: "VM", of: ({ vmId }) => vmId },
    { title: "AT", of: ({ at }) => time(at) },
    { title: "CPU", of: ({ rates }) => percent(rates?.cpu) },
    { title: "VCPUS", of: ({ vcpus }) => vcpus },
    { title: "CPU SECONDS", of: ({ cpuSeconds }) => rounded(cpuSeconds) },
    { title: "MEMORY USED", of: ({ memoryUsed }) => amount(memoryUsed) },
    { title: "OF", of: ({ memoryAssigned }) => amount(memoryAssigned) },
    { title: "ON ITS HOST", of: ({ memoryResident }) => amount(memoryResident) },
    { title: "DISK READ", of: ({ rates }) => perSecond(rates?.diskRead) },
    { title: "DISK WRITTEN", of: ({ rates }) => perSecond(rates?.diskWritten) },
    { title: "READS A SECOND", of: ({ rates }) => rounded(rates?.diskReadRequests) },
    { title: "WRITES A SECOND", of: ({ rates }) => rounded(rates?.diskWrittenRequests) },
    { title: "NET RECEIVED", of: ({ rates }) => perSecond(rates?.netReceived) },
    { title: "NET SENT", of: ({ rates }) => perSecond(rates?.netSent) },
    {
      title: "DISKS",
      of: ({ disks }) => devices(disks, ({ readBytes, target, writtenBytes }) => [target, writtenBytes, readBytes])
    },
    {
      title: "NICS",
      of: ({ nics }) => devices(nics, ({ name, receivedBytes, sentBytes }) => [name, receivedBytes, sentBytes])
    }
  ]
}

const ofHost: View<HostStatistics> = {
  name: ({ hostId }) => hostId,
  columns: [
    { title: "HOST", of: ({ hostId }) => hostId },
    { title: "AT", of: ({ at }) => time(at) },
    { title: "DOMAINS", of: ({ domains }) => domains },
    { title: "BUSY VCPUS", of: ({ busyVcpus }) => rounded(busyVcpus) },
    { title: "MEMORY", of: ({ memory }) => amount(memory) },
    { title: "DISK READ", of: ({ diskRead }) => perSecond(diskRead) },
    { title: "DISK WRITTEN", of: ({ diskWritten }) => perSecond(diskWritten) },
    { title: "NET RECEIVED", of: ({ netReceived }) => perSecond(netReceived) },
    { title: "NET SENT", of: ({ netSent }) => perSecond(netSent) }
  ]
}

const ofTop: View<TopVm> = {
  name: ({ vmId }) => vmId,
  columns: [
    { title: "ID", of: ({ vmId }) => vmId },
    { title: "NAME", of: ({ name }) => name },
    { title: "HOST", of: ({ hostId }) => hostId },
    { title: "CPU", of: ({ rates }) => percent(rates?.cpu) },
    { title: "VCPUS", of: ({ vcpus }) => vcpus },
    { title: "MEMORY", of: ({ rates }) => amount(rates?.memory) },
    { title: "OF", of: ({ memoryAssigned }) => amount(memoryAssigned) },
    { title: "READ", of: ({ rates }) => perSecond(rates?.diskRead) },
    { title: "WRITTEN", of: ({ rates }) => perSecond(rates?.diskWritten) },
    { title: "RECEIVED", of: ({ rates }) => perSecond(rates?.netReceived) },
    { title: "SENT", of: ({ rates }) => perSecond(rates?.netSent) },
    { title: "AT", of: ({ at }) => time(at), wide: true }
  ]
}

/** One moment of a history. */
interface Moment {
  readonly at: number
  readonly index: number
  readonly history: History
}

const past: View<Moment> = {
  name: ({ at }) => at,
  columns: [
    { title: "AT", of: ({ at }) => `${new Date(at).toISOString().slice(0, 19).replace("T", " ")}Z` },
    { title: "CPU", of: ({ history: { series }, index }) => percent(series.cpu[index]) },
    { title: "MEMORY", of: ({ history: { series }, index }) => amount(series.memory[index]) },
    { title: "READ", of: ({ history: { series }, index }) => perSecond(series.diskRead[index]) },
    { title: "WRITTEN", of: ({ history: { series }, index }) => perSecond(series.diskWritten[index]) },
    { title: "RECEIVED", of: ({ history: { series }, index }) => perSecond(series.netReceived[index]) },
    { title: "SENT", of: ({ history: { series }, index }) => perSecond(series.netSent[index]) }
  ]
}

/** @since 0.6.0 @category verbs */
export const verbs: ReadonlyArray<Verb.Verb> = [
  Verb.make({
    name: "stats",
    about: "Show what a VM uses, or used.",
    endpoints: ["getVmStatistics", "getVmHistory"],
    options: Options.all({
      last: Options.optional(Verb.number("last", "SECONDS", "Instead what it used over so many seconds, up to a day.")),
      step: Options.optional(Verb.choice("step", ["20", "120", "600"], "With --last: seconds from line to line."))
    }),
    args: Verb.word("vm", "Id or name of the VM."),
    run: ({ last, step }, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.vm(text)
        const { statistics } = yield* client
        if (Option.isNone(last) && Option.isNone(step)) {
          return yield* ask(ofVm, statistics.getVmStatistics({ path: { id }, withResponse: true }))
        }
        const urlParams = {
          ...Verb.given("seconds", last),
          ...Verb.given(
            "step",
            Option.map(step, (text) => (text === "20" ? 20 : text === "120" ? 120 : 600))
          )
        }
        const { body, value } = yield* answered(
          statistics.getVmHistory({ path: { id }, urlParams, withResponse: true })
        )
        const moments = value.series.cpu.map((_, index) => ({
          at: value.from.epochMillis + index * value.step * 1000,
          index,
          history: value
        }))
        yield* list(past, moments, body, "nothing of that time is kept")
      })
  }),
  Verb.make({
    name: "top",
    about: "List running VMs, those that use most first.",
    endpoints: ["listTopVms"],
    options: Options.all({
      sort: Options.optional(Verb.choice("sort", series, "Most of what; cpu unless it is said.")),
      host: Options.optional(Verb.text("host", "HOST", "Only those on this host.")),
      limit: Options.optional(Verb.number("limit", "N", "At most so many, 1 to 1000; 100 unless it is said."))
    }),
    args: Args.none,
    run: ({ host, limit, sort }) =>
      Effect.gen(function* () {
        const { statistics } = yield* client
        const urlParams = {
          ...(yield* Resolve.maybe("host", host, Resolve.host)),
          ...Verb.given("sort", sort),
          ...Verb.given("limit", limit)
        }
        const { body, value } = yield* answered(statistics.listTopVms({ urlParams, withResponse: true }))
        yield* list(ofTop, value.items, body, "no VM has been seen running yet")
      })
  })
]

/** @since 0.6.0 @category verbs */
export const hostVerbs: ReadonlyArray<Verb.Verb> = [
  Verb.make({
    name: "stats",
    about: "Show what a host's VMs use in sum.",
    endpoints: ["getHostStatistics"],
    options: Verb.noOptions,
    args: Verb.word("host", "Id, name or address of the host."),
    run: (_, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.host(text)
        const { statistics } = yield* client
        yield* ask(ofHost, statistics.getHostStatistics({ path: { id }, withResponse: true }))
      })
  })
]
