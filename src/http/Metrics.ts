/**
 * `GET /metrics`: what was counted, and what there is at this moment, for Prometheus. No label has a value for each host, VM or volume.
 *
 * @since 0.4.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import { type Drift, DriftKind } from "../domain/Drift.ts"
import type { OperationReport } from "../domain/Operation.ts"
import * as Resources from "../domain/Resources.ts"
import { Power, VmState } from "../domain/Vm.ts"
import { type Volume, VolumeState } from "../domain/Volume.ts"
import { type WebhookReport, WebhookStatus } from "../domain/Webhook.ts"
import { type HostReport, Hosts } from "../fabric/Hosts.ts"
import { Inspections } from "../fabric/Inspections.ts"
import type { HostSample } from "../domain/Statistics.ts"
import { Pools } from "../fabric/Pools.ts"
import { Reality, type VmReport } from "../fabric/Reality.ts"
import { Volumes } from "../fabric/Volumes.ts"
import * as Exposition from "../observability/Exposition.ts"
import * as Meters from "../observability/Meters.ts"
import * as Patience from "../observability/Patience.ts"
import * as Process from "../observability/Process.ts"
import { EventLog } from "../services/EventLog.ts"
import type { PoolReport } from "../services/Inventory.ts"
import { Operations } from "../services/Operations.ts"
import { Webhooks } from "../services/Webhooks.ts"

const mebibyte = 1024 ** 2
const gibibyte = 1024 ** 3

/** What one of a resource's units is in vCPUs or bytes. */
const units: Readonly<Record<Resources.Name, number>> = { cpu: 1, ram: mebibyte, disk: gibibyte }

type Samples = Array<readonly [labels: Exposition.Labels, value: number]>

/** How many of each: those that there are none of too. */
const counted = (label: string, known: ReadonlyArray<string>, found: Iterable<string>): Samples => {
  const counts = new Map(known.map((value) => [value, 0]))
  for (const value of found) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].map(([value, count]) => [{ [label]: value }, count])
}

const gauge = (name: string, help: string, samples: number | Samples) => Exposition.family("gauge", name, help, samples)

const statuses = ["connecting", "up", "suspect", "down", "lost"]

const summed = (amounts: ReadonlyArray<Resources.Resources>): Samples =>
  Resources.names.map((name) => [
    { resource: name },
    amounts.reduce((total, amount) => total + amount[name], 0) * units[name]
  ])

const ofHosts = (hosts: ReadonlyArray<HostReport>) => [
  gauge(
    "vmfabric_hosts",
    "Hosts by status.",
    counted(
      "status",
      statuses,
      hosts.map(({ status }) => status._tag.toLowerCase())
    )
  ),
  gauge(
    "vmfabric_hosts_in_maintenance",
    "Hosts on which nothing new is placed.",
    hosts.filter(({ host }) => host.maintenance).length
  ),
  gauge(
    "vmfabric_capacity",
    "What may be promised on hosts, overcommit included: vCPUs of cpu, bytes of ram and disk.",
    summed(hosts.map(({ capacity }) => capacity))
  ),
  gauge(
    "vmfabric_promised",
    "What is promised on hosts: vCPUs of cpu, bytes of ram and disk.",
    summed(hosts.map(({ promised }) => promised))
  )
]

const ofVms = (vms: ReadonlyArray<VmReport>) => [
  gauge(
    "vmfabric_vms",
    "VMs by what is wanted of them.",
    counted(
      "state",
      VmState.literals.filter((state) => state !== "destroyed" && state !== "failed"),
      vms.map(({ vm }) => vm.state)
    )
  ),
  gauge(
    "vmfabric_vms_seen",
    "VMs by what their hosts last said they are; unknown: never seen yet.",
    counted(
      "power",
      [...Power.literals, "unknown"],
      vms.map(({ seen }) => seen?.power ?? "unknown")
    )
  ),
  gauge(
    "vmfabric_drift",
    "Fields of VMs that are not what they should be.",
    counted("kind", DriftKind.literals, ofDrift(vms))
  )
]

function* ofDrift(vms: ReadonlyArray<VmReport>): Generator<Drift["kind"]> {
  for (const { drift } of vms) for (const { kind } of drift) yield kind
}

const ofVolumes = (volumes: ReadonlyArray<Volume>) => [
  gauge(
    "vmfabric_volumes",
    "Volumes by state; deleted: in the trash.",
    counted(
      "state",
      VolumeState.literals.filter((state) => state !== "purged" && state !== "failed"),
      volumes.map(({ state }) => state)
    )
  )
]

const ofOperations = (reports: ReadonlyArray<OperationReport>) => {
  const counts = new Map<string, readonly [labels: Exposition.Labels, value: number]>()
  for (const { operation } of reports) {
    const { kind, state } = operation
    const [, before] = counts.get(`${kind} ${state}`) ?? [{}, 0]
    counts.set(`${kind} ${state}`, [{ kind, state }, before + 1])
  }
  return [
    gauge("vmfabric_operations_unfinished", "Operations that have not ended.", [...counts.values()]),
    gauge(
      "vmfabric_operations_waiting",
      "Unfinished operations that cannot go on for now: a host or a pool does not answer, or refuses.",
      reports.filter(({ progress }) => progress !== null && progress.waiting !== null).length
    ),
    gauge(
      "vmfabric_operations_queued",
      "Unfinished operations that have not been taken up yet.",
      reports.filter(({ progress }) => progress === null).length
    )
  ]
}

const ofPools = (pools: ReadonlyArray<PoolReport>) => {
  const each = (name: string, help: string, value: (report: PoolReport) => number) =>
    gauge(
      name,
      help,
      pools.map((report) => [{ pool: report.pool.name, driver: report.pool.driver }, value(report)])
    )
  return [
    each("vmfabric_pool_capacity_bytes", "What a pool could hold, without replicas.", ({ pool }) => pool.capacity),
    each("vmfabric_pool_used_bytes", "What has been written to a pool.", ({ pool }) => pool.used),
    each("vmfabric_pool_available_bytes", "What can still be written to a pool.", ({ pool }) => pool.available),
    each("vmfabric_pool_promised_bytes", "What is promised of a pool.", ({ promised }) => promised * gibibyte)
  ]
}

const ofWebhooks = (reports: ReadonlyArray<WebhookReport>) => [
  gauge(
    "vmfabric_webhooks",
    "Webhooks by how their deliveries go.",
    counted(
      "status",
      WebhookStatus.literals,
      reports.map(({ status }) => status)
    )
  ),
  gauge(
    "vmfabric_webhook_events_behind",
    "Events not looked at yet for the webhook that is furthest behind.",
    reports.reduce((most, { behind }) => Math.max(most, behind), 0)
  )
]

/** One value a host: one a VM would be more series than anybody's Prometheus bears. */
const ofUsage = (hosts: ReadonlyArray<HostSample>) => {
  const each = (name: string, help: string, value: (host: HostSample) => number) =>
    gauge(
      name,
      help,
      hosts.map((host) => [{ host: String(host.hostId) }, value(host)])
    )
  return [
    each("vmfabric_host_domains_running", "Domains that run on a host, anybody's.", ({ domains }) => domains),
    each("vmfabric_host_vcpus_busy", "vCPUs of a host's domains that were busy.", ({ rates }) => rates.cpu),
    each("vmfabric_host_guest_memory_bytes", "Memory that a host's domains use.", ({ rates }) => rates.memory),
    each("vmfabric_host_disk_read_bytes_per_second", "What a host's domains read.", ({ rates }) => rates.diskRead),
    each("vmfabric_host_disk_written_bytes_per_second", "What they write.", ({ rates }) => rates.diskWritten),
    each("vmfabric_host_net_received_bytes_per_second", "What comes to them.", ({ rates }) => rates.netReceived),
    each("vmfabric_host_net_sent_bytes_per_second", "What they send.", ({ rates }) => rates.netSent)
  ]
}

/** Prometheus gives up after ten seconds, and what could be read is worth having without the rest. */
const patience = "3 seconds"

/** Far above what there ever is at once. */
const mostOperations = 100_000

/** @since 0.4.0 @category layers */
export const layer = HttpLayerRouter.addAll(
  Effect.gen(function* () {
    const hosts = yield* Hosts
    const reality = yield* Reality
    const volumes = yield* Volumes
    const operations = yield* Operations
    const pools = yield* Pools
    const inspections = yield* Inspections
    const events = yield* Effect.serviceOption(EventLog)
    const webhooks = yield* Effect.serviceOption(Webhooks)

    const parts = yield* Effect.forEach(
      [
        Effect.map(hosts.list, ofHosts),
        Effect.map(reality.vms, ofVms),
        Effect.map(volumes.list(), ofVolumes),
        Effect.map(operations.list({ ended: false, limit: mostOperations }), ofOperations),
        Effect.map(pools.list, ofPools),
        Effect.map(inspections.hostUsages, ofUsage),
        ...Option.match(events, {
          onNone: () => [],
          onSome: ({ latest }) => [
            Effect.map(latest, (id) => [gauge("vmfabric_events_newest_id", "The id of the newest event.", id)])
          ]
        }),
        ...Option.match(webhooks, { onNone: () => [], onSome: ({ list }) => [Effect.map(list, ofWebhooks)] })
      ],
      (part) =>
        Effect.map(Patience.within(Effect.withTracerEnabled(part, false), patience), (asked) =>
          Effect.catchTag(asked, "PersistenceError", () => Effect.succeedNone)
        )
    )

    const scrape = Effect.gen(function* () {
      const found = yield* Effect.all(parts, { concurrency: "unbounded" })
      const missing = found.filter(Option.isNone).length
      const text = Exposition.render([
        ...found.flatMap(Option.getOrElse((): ReadonlyArray<Exposition.Family> => [])),
        ...Exposition.fromMetrics(Metric.unsafeSnapshot(), Meters.families),
        ...(yield* Process.figures),
        gauge("vmfabric_scrape_parts_missing", "Parts of this answer that could not be read in time.", missing)
      ])
      return HttpServerResponse.raw(text, {
        contentType: Exposition.contentType,
        contentLength: Buffer.byteLength(text)
      })
    })
    return [HttpLayerRouter.route("GET", "/metrics", scrape)] as const
  })
).pipe(Layer.merge(Process.layer))
