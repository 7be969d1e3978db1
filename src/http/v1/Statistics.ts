/**
 * What VMs use, by HTTP.
 *
 * @since 0.6.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { api } from "../../api/Api.ts"
import { VmConflict } from "../../domain/Errors.ts"
import type { VmId } from "../../domain/Ids.ts"
import { finest, type HostSample, type Sample, type VmSample } from "../../domain/Statistics.ts"
import { Inspections } from "../../fabric/Inspections.ts"
import { told } from "./Problems.ts"

const time = DateTime.unsafeMake

const ofVm = (vmId: VmId, { at, counters, rates }: Sample) => ({
  vmId,
  at: time(at),
  vcpus: counters.vcpus,
  cpuSeconds: counters.cpuTime / 1e9,
  memoryAssigned: counters.memory.assigned,
  memoryUsed: counters.memory.used,
  memoryResident: counters.memory.resident,
  disks: counters.disks,
  nics: counters.nics,
  rates
})

const ofHost = ({ at, domains, hostId, rates: { cpu, ...rates } }: HostSample) => ({
  hostId,
  at: at === null ? null : time(at),
  domains,
  busyVcpus: cpu,
  ...rates
})

const ofTop = ({ hostId, name, sample, vmId }: VmSample & { readonly name: string }) => ({
  vmId,
  name,
  hostId,
  at: time(sample.at),
  vcpus: sample.counters.vcpus,
  memoryAssigned: sample.counters.memory.assigned,
  rates: sample.rates
})

const hour = 3600

const usually = 100

/** @since 0.6.0 @category layers */
export const layer = HttpApiBuilder.group(api, "statistics", (handlers) =>
  Effect.map(Inspections, (inspections) =>
    handlers
      .handle("getVmStatistics", ({ path: { id } }) =>
        told(
          Effect.flatMap(
            inspections.usage(id),
            Option.match({
              onNone: () =>
                new VmConflict({
                  vmId: id,
                  reason: "was not running when its host was last asked: start it, or ask again in a minute"
                }),
              onSome: (sample) => Effect.succeed(ofVm(id, sample))
            })
          )
        )
      )
      .handle("getVmHistory", ({ path: { id }, urlParams: { seconds = hour, step } }) =>
        told(
          Effect.gen(function* () {
            const back = seconds * 1000
            const since = (yield* Clock.currentTimeMillis) - back
            const history = yield* inspections.history(id, step ?? finest(back), since)
            return { vmId: id, ...history, from: time(history.from) }
          })
        )
      )
      .handle("getHostStatistics", ({ path: { id } }) => told(Effect.map(inspections.hostUsage(id), ofHost)))
      .handle("listTopVms", ({ urlParams: { host, limit = usually, sort = "cpu" } }) =>
        told(Effect.map(inspections.top(sort, host, limit), (all) => ({ items: all.map(ofTop) })))
      )
  )
)
