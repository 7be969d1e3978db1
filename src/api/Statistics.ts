/**
 * What VMs use.
 *
 * @since 0.6.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import * as Ids from "../domain/Ids.ts"
import * as Domain from "../domain/Statistics.ts"
import { documented, field, id, listOf, oneOf, optional, strict, Time, within } from "./Common.ts"
import * as Problem from "./Problem.ts"

const number = (description: string) => field(Schema.Number, description)

const meanings = {
  cpu: "percent of its vCPUs: 100 is all of them",
  memory: "bytes that its guest uses, or its QEMU when the guest does not say",
  diskRead: "bytes a second",
  diskWritten: "bytes a second",
  diskReadRequests: "requests a second",
  diskWrittenRequests: "requests a second",
  netReceived: "bytes a second that came to it",
  netSent: "bytes a second",
  netReceivedPackets: "packets a second that came to it",
  netSentPackets: "packets a second"
} as const satisfies Record<keyof Domain.Rates, string>

const rates = {
  diskRead: number(meanings.diskRead),
  diskWritten: number(meanings.diskWritten),
  diskReadRequests: number(meanings.diskReadRequests),
  diskWrittenRequests: number(meanings.diskWrittenRequests),
  netReceived: number(meanings.netReceived),
  netSent: number(meanings.netSent),
  netReceivedPackets: number(meanings.netReceivedPackets),
  netSentPackets: number(meanings.netSentPackets)
}

/** @since 0.6.0 @category schemas */
export const Rates = Schema.Struct({
  cpu: number(meanings.cpu),
  memory: number(meanings.memory),
  ...rates
}).annotations({
  identifier: "Rates",
  description: "What a VM uses, in sum over its devices, since the sample before."
})

/** @since 0.6.0 @category schemas */
export const DiskCounters = Schema.Struct({
  target: field(Schema.String, "as `vda`"),
  readBytes: number("since it was started"),
  readRequests: number("since it was started"),
  writtenBytes: number("since it was started"),
  writtenRequests: number("since it was started")
}).annotations({ identifier: "DiskCounters", description: "What went through a disk." })

/** @since 0.6.0 @category schemas */
export const NicCounters = Schema.Struct({
  name: field(Schema.String, "its host's name of its other end"),
  receivedBytes: number("since it was started"),
  receivedPackets: number("since it was started"),
  sentBytes: number("since it was started"),
  sentPackets: number("since it was started")
}).annotations({ identifier: "NicCounters", description: "What went through a NIC, as the guest sees it." })

/** @since 0.6.0 @category schemas */
export const VmStatistics = Schema.Struct({
  vmId: Ids.VmId,
  at: field(Time, "when its host was asked"),
  vcpus: number("how many it has"),
  cpuSeconds: number("that its vCPUs have run since it was started"),
  memoryAssigned: number("bytes that its guest has"),
  memoryUsed: field(
    Schema.NullOr(Schema.Number),
    "bytes that its guest says it uses; null: it does not say, for it has no balloon driver, or was defined before 0.6"
  ),
  memoryResident: field(
    Schema.NullOr(Schema.Number),
    "bytes that its QEMU takes of its host's memory; null: not known"
  ),
  disks: Schema.Array(DiskCounters),
  nics: Schema.Array(NicCounters),
  rates: field(Schema.NullOr(Rates), "null: it was sampled once only since it was started")
}).annotations({ identifier: "VmStatistics", description: "What a VM uses, as its host said when it was last asked." })
/** @since 0.6.0 @category schemas */
export type VmStatistics = typeof VmStatistics.Type

const values = (description: string) => field(Schema.Array(Schema.NullOr(Schema.Number)), description)

/** @since 0.6.0 @category schemas */
export const History = Schema.Struct({
  vmId: Ids.VmId,
  step: number("seconds between two values"),
  from: field(Time, "of the first value"),
  series: field(
    Schema.Struct({
      cpu: values(meanings.cpu),
      memory: values(meanings.memory),
      diskRead: values(meanings.diskRead),
      diskWritten: values(meanings.diskWritten),
      diskReadRequests: values(meanings.diskReadRequests),
      diskWrittenRequests: values(meanings.diskWrittenRequests),
      netReceived: values(meanings.netReceived),
      netSent: values(meanings.netSent),
      netReceivedPackets: values(meanings.netReceivedPackets),
      netSentPackets: values(meanings.netSentPackets)
    }),
    "means over each step, the oldest first; null: it did not run, or its host was not asked"
  )
}).annotations({ identifier: "StatisticsHistory", description: "What a VM used over time." })
/** @since 0.6.0 @category schemas */
export type History = typeof History.Type

/** @since 0.6.0 @category schemas */
export const HostStatistics = Schema.Struct({
  hostId: Ids.HostId,
  at: field(Schema.NullOr(Time), "when it was last asked; null: it never was"),
  domains: number("that run there, also those that are not VMs of this controller"),
  busyVcpus: number("how many of their vCPUs were busy"),
  memory: number("bytes that they use"),
  ...rates
}).annotations({ identifier: "HostStatistics", description: "What a host's running VMs use in sum." })
/** @since 0.6.0 @category schemas */
export type HostStatistics = typeof HostStatistics.Type

/** @since 0.6.0 @category schemas */
export const TopVm = Schema.Struct({
  vmId: Ids.VmId,
  name: field(Schema.String, "of the VM"),
  hostId: Ids.HostId,
  at: field(Time, "when its host was asked"),
  vcpus: number("how many it has"),
  memoryAssigned: number("bytes that its guest has"),
  rates: field(Schema.NullOr(Rates), "null: it was sampled once only since it was started")
}).annotations({ identifier: "TopVm", description: "A running VM, and what it uses." })
/** @since 0.6.0 @category schemas */
export type TopVm = typeof TopVm.Type

/** @since 0.6.0 @category schemas */
export const TopVms = listOf(TopVm, "TopVms", [
  {
    vmId: Ids.VmId.make(7),
    name: "web-1",
    hostId: Ids.HostId.make(2),
    at: DateTime.unsafeMake("2026-01-02T03:04:05.006Z"),
    vcpus: 2,
    memoryAssigned: 4_294_967_296,
    rates: { ...Domain.idle, cpu: 97.5, memory: 1_200_000_000 }
  }
])

const Step = Schema.transform(
  oneOf(["20", "120", "600"], "Step"),
  Schema.Literal(...Domain.steps.map(({ seconds }) => seconds)),
  {
    strict: true,
    decode: (text) => (text === "20" ? 20 : text === "120" ? 120 : 600),
    encode: (step) => (step === 20 ? "20" : step === 120 ? "120" : "600")
  }
).annotations({ jsonSchema: { type: "integer", enum: [20, 120, 600] } })

/** Seconds in a day. */
const day = 86_400

const ofVm = Schema.Struct({ id: id(Ids.VmId) })

const usually = 100

/** @since 0.6.0 @category groups */
export const group = HttpApiGroup.make("statistics")
  .add(
    HttpApiEndpoint.get("getVmStatistics", "/vms/:id/statistics")
      .setPath(ofVm)
      .addSuccess(VmStatistics)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .annotateContext(
        documented(
          "viewer",
          "Get what a VM uses",
          `From memory: hosts are asked every ${Domain.finestStep} seconds. 409 \`vm_conflict\` when it did not run then, or its host could not be asked.`
        )
      )
  )
  .add(
    HttpApiEndpoint.get("getVmHistory", "/vms/:id/statistics/history")
      .setPath(ofVm)
      .setUrlParams(
        Schema.Struct({
          seconds: optional(within(1, day), "how far back; 3600 unless it is said"),
          step: optional(Step, "seconds between two values; the finest that is kept for so long unless it is said")
        }).annotations(strict)
      )
      .addSuccess(History)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "viewer",
          "Get what a VM used",
          "Every 20 seconds for the last hour, every 2 minutes for six hours, every 10 minutes for a day. It is kept in memory: a controller that is started anew " +
            "begins anew."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("getHostStatistics", "/hosts/:id/statistics")
      .setPath(Schema.Struct({ id: id(Ids.HostId) }))
      .addSuccess(HostStatistics)
      .addError(Problem.NotFound)
      .annotateContext(
        documented("viewer", "Get what a host's VMs use", "In sum, as the host said when it was last asked.")
      )
  )
  .add(
    HttpApiEndpoint.get("listTopVms", "/statistics")
      .setUrlParams(
        Schema.Struct({
          sort: optional(oneOf(Domain.series, "Series"), "what most of is used first; `cpu` unless it is said"),
          host: optional(id(Ids.HostId), "only those on this host"),
          limit: optional(within(1, 1000), `how many at most; ${usually} unless it is said`)
        }).annotations(strict)
      )
      .addSuccess(TopVms)
      .annotateContext(
        documented(
          "viewer",
          "List what VMs use",
          "Those that run and use most first, as their hosts said when they were last asked."
        )
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Statistics")
  .annotate(OpenApi.Description, "What VMs use of their vCPUs, memory, disks and networks.")
