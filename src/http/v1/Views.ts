/**
 * What the domain has, as the API shows it.
 *
 * @since 0.4.0
 */
import * as DateTime from "effect/DateTime"
import {
  type Fits,
  most,
  type RuleRepair,
  type PlannedMove,
  type Rebalancing,
  type StuckVm,
  type VmPlacement
} from "../../api/Placements.ts"
import type { Vm } from "../../api/Vms.ts"
import type { Drift } from "../../domain/Drift.ts"
import type { GuestReading } from "../../domain/Guest.ts"
import type { HostFacts, HostStatus } from "../../domain/Host.ts"
import type { HostId } from "../../domain/Ids.ts"
import { formatSource, type Image, isPublished } from "../../domain/Image.ts"
import type { KnownType } from "../../domain/InstanceType.ts"
import { show } from "../../domain/Placement.ts"
import type { OperationReport, StepReport } from "../../domain/Operation.ts"
import { formatSource as formatNetwork } from "../../domain/Network.ts"
import * as Redacted from "effect/Redacted"
import * as Resources from "../../domain/Resources.ts"
import type { Snapshot, Volume } from "../../domain/Volume.ts"
import type { HostReport } from "../../fabric/Hosts.ts"
import type { ImageReport } from "../../fabric/ImageIntake.ts"
import type { NetworkReport } from "../../fabric/Networks.ts"
import type { NicReport } from "../../fabric/Nics.ts"
import type { Plan, Request } from "../../fabric/Plans.ts"
import type { FitsReport, PlacementReport, RebalanceReport, RepairReport } from "../../fabric/Placements.ts"
import type { VmReport } from "../../fabric/Reality.ts"
import type { CloudInitReport } from "../../fabric/Vms.ts"
import type * as Rebalance from "../../scheduler/Rebalance.ts"
import type { Violation } from "../../scheduler/Violations.ts"
import type { PoolReport } from "../../services/Inventory.ts"
import * as Problems from "./Problems.ts"

const statuses = { Connecting: "connecting", Up: "up", Suspect: "suspect", Down: "down", Lost: "lost" } as const

const time = DateTime.unsafeMake

/** The same, encoded. */
const text = (milliseconds: number): string => new Date(milliseconds).toISOString()

const timeOrNull = (milliseconds: number | null) => (milliseconds === null ? null : time(milliseconds))

const reasonOf = (status: HostStatus) => ("reason" in status ? status.reason : null)

/** @since 0.4.0 @category views */
export const operation = ({ operation, progress }: OperationReport) => ({
  id: operation.id,
  kind: operation.kind,
  vmId: operation.vmId,
  volumeId: operation.volumeId,
  snapshotId: operation.snapshotId,
  imageId: operation.detail.image ?? null,
  state: operation.state,
  error: operation.error,
  cancelAsked: operation.cancelAsked,
  createdAt: time(operation.createdAt),
  endedAt: timeOrNull(operation.finishedAt),
  outcome: operation.outcome,
  replacedBy: operation.replacedBy,
  retryOf: operation.retryOf,
  retriedBy: operation.retriedBy,
  user: operation.user,
  token: operation.token,
  cause: operation.cause,
  progress
})

/** @since 0.8.0 @category views */
export const step = ({ endedAt, startedAt, ...step }: StepReport) => ({
  ...step,
  startedAt: time(startedAt),
  endedAt: timeOrNull(endedAt)
})

/** @since 0.13.0 @category views */
export const snapshot = ({ createdAt, id, name, size, state, volumeId }: Snapshot) => ({
  id,
  volumeId,
  name,
  size,
  state,
  createdAt: time(createdAt)
})

/** @since 0.7.0 @category views */
export const guest = (reading: GuestReading) =>
  reading._tag === "Silent"
    ? { told: null, reason: reading.reason }
    : {
        told: {
          ...reading.facts,
          users: reading.facts.users.map(({ name, since }) => ({ name, since: timeOrNull(since) }))
        },
        reason: null
      }

const violation = ({ reason, rule }: Violation) => ({ rule: show(rule), strength: rule.strength, reason })

/** Encoded already: there are a thousand on a page, and a schema takes ten times as long for each. @since 0.4.0 @category views */
export const vm = ({ addresses, drift, host, seen, violations, vm }: VmReport): typeof Vm.Encoded => ({
  id: vm.id,
  name: vm.name,
  state: vm.state,
  instanceType: vm.instanceType,
  imageId: vm.imageId,
  hostId: vm.hostId,
  resources: vm.resources,
  driver: vm.driver,
  uuid: vm.uuid,
  mac: vm.mac,
  nics: vm.nics,
  addresses,
  onCrash: vm.onCrash,
  protected: vm.protected,
  autostart: vm.autostart,
  description: vm.description,
  tags: vm.tags,
  labels: vm.labels,
  placement: vm.placement,
  violations: violations.map(violation),
  createdAt: text(vm.createdAt),
  owner: vm.owner,
  seen: seen === null ? null : { power: seen.power, reason: seen.reason, since: text(seen.since) },
  hostStatus: statuses[host._tag],
  hostReason: reasonOf(host),
  drift: drift.length
})

/** Of a VM, with what it is shown with: of a value that is another when it changes, or by the number that is shown. */
interface Shown extends Pick<VmReport, "addresses" | "host" | "seen"> {
  readonly drift: number
  readonly text: string
}

const shown = new WeakMap<VmReport["vm"], Shown>()

/**
 * The same as JSON. Lists are read again and again, and little of them changes meanwhile: the text of a VM is kept until something that it tells is
 * another. What violates rules depends on other VMs and on hosts, too, and is told anew.
 *
 * @since 0.9.0 @category views
 */
export const vmText = (report: VmReport): string => {
  const { addresses, drift, host, seen, violations } = report
  if (violations.length > 0) return JSON.stringify(vm(report))
  const kept = shown.get(report.vm)
  if (kept?.seen === seen && kept.host === host && kept.addresses === addresses && kept.drift === drift.length) {
    return kept.text
  }
  const text = JSON.stringify(vm(report))
  shown.set(report.vm, { addresses, host, seen, drift: drift.length, text })
  return text
}

/** @since 0.6.0 @category views */
export const nic = ({ addresses, nic, source }: NicReport) => ({
  ...nic,
  source: source === null ? null : formatNetwork(source),
  addresses
})

type HostNames = ReadonlyMap<HostId, string>

const nameIn = (hosts: HostNames, id: HostId): string => hosts.get(id) ?? `host ${id}`

const moveOf =
  (hosts: HostNames) =>
  ({ disk, from, gain, memory, name, to, vmId }: Rebalance.Move): PlannedMove => ({
    vmId,
    name,
    fromHostId: from,
    fromHost: nameIn(hosts, from),
    toHostId: to,
    toHost: nameIn(hosts, to),
    gain,
    memoryBytes: memory,
    diskBytes: disk
  })

const stuckOf =
  (hosts: HostNames) =>
  ({ hostId, name, reason, refusal, vmId }: Rebalance.Stuck): typeof StuckVm.Type => ({
    vmId,
    name,
    hostId,
    host: nameIn(hosts, hostId),
    reason,
    refusal: refusal === null ? null : { problem: reason, ...refusal }
  })

const repairOf = ({ hosts, plan, violations }: RepairReport): RuleRepair => ({
  violations: violations.map(violation),
  moves: plan.moves.map(moveOf(hosts)),
  further: plan.further,
  stuck: plan.stuck.map(stuckOf(hosts))[0] ?? null,
  complete: plan.isWhole
})

/** @since 0.7.0 @category views */
export const vmPlacement = ({ explained, host, repair, vm }: PlacementReport): VmPlacement => ({
  vmId: vm.id,
  name: vm.name,
  hostId: vm.hostId,
  host: host.name,
  placedAt: timeOrNull(explained?.at ?? null),
  explanation: explained?.explanation ?? null,
  repair: repair === null ? null : repairOf(repair)
})

/** @since 0.7.0 @category views */
export const fits = ({ hosts, losses, open, reserved, types }: FitsReport): Fits => ({
  hosts,
  open,
  reserved,
  types: types.map(({ hosts, limit, more, type: { cpu, disk, ram, requires = {}, tid } }) => ({
    type: tid,
    cpu,
    ram,
    disk,
    requires,
    more,
    hosts,
    limit
  })),
  losses: losses.slice(0, most.losses).map(({ guests, homeless, host, hostId }) => ({
    hostId,
    host,
    vms: guests,
    homeless: homeless.length,
    named: homeless.slice(0, most.homeless).map(({ id, name }) => ({ vmId: id, name }))
  })),
  unsurvivable: losses.length
})

/** @since 0.7.0 @category views */
export const rebalancing = ({ aim, hosts, plan, policy }: RebalanceReport): Rebalancing => {
  return {
    aim: aim.kind,
    policy,
    moves: plan.moves.map(moveOf(hosts)),
    further: plan.further,
    stuck: plan.stuck.map(stuckOf(hosts)),
    complete: plan.isWhole,
    before: plan.before,
    after: plan.after
  }
}

/** @since 0.6.0 @category views */
export const network = ({ hosts, name, vms }: NetworkReport) => {
  const [kind, ...others] = [...new Set(hosts.map(({ source }) => source.kind))]
  return {
    name,
    kind: kind === undefined || others.length > 0 ? ("mixed" as const) : kind,
    hosts: hosts.map(({ host, isDefault, problem, source, state, vlans }) => ({
      hostId: host.id,
      host: host.name,
      source: formatNetwork(source),
      vlans,
      default: isDefault,
      state,
      problem
    })),
    vms: vms.length
  }
}

/** With all that is secret of it. @since 0.6.0 @category views */
export const cloudInit = ({ cloudInit, hostname, instanceId }: CloudInitReport) => ({
  userData: cloudInit.userData === null ? null : Redacted.value(cloudInit.userData),
  sshKeys: cloudInit.sshKeys,
  hostname,
  networkConfig: cloudInit.networkConfig,
  revision: cloudInit.revision,
  instanceId
})

/** @since 0.4.0 @category views */
export const drift = (one: Drift) => ({
  vmId: one.vmId,
  kind: one.kind,
  field: one.field,
  wanted: one.wanted,
  applied: one.applied,
  seen: one.seen,
  since: time(one.since)
})

/** @since 0.4.0 @category views */
export const volume = (volume: Volume) => ({
  id: volume.id,
  name: volume.name,
  size: volume.size,
  state: volume.state,
  driver: volume.driver,
  hostId: volume.hostId,
  vmId: volume.vmId,
  target: volume.target,
  serial: volume.serial,
  snapshotId: volume.sourceId,
  purgeAt: timeOrNull(volume.purgeAt),
  owner: volume.owner
})

/** A state that nobody is shown: such an image is not found. */
const shownState = (state: Image["state"]) => (state === "deleted" ? "refused" : state)

/** @since 0.4.0 @category views */
export const image = ({ image: { config, content, id, origin, reason, state, wanted }, received }: ImageReport) => ({
  id,
  name: config.name,
  source:
    origin === "upload"
      ? "upload"
      : isPublished(origin)
        ? `${origin} ${wanted.of ?? 0}`
        : (wanted.url ?? formatSource(config.source)),
  format: content?.format ?? config.format ?? null,
  virtualSize: content?.virtualSize ?? null,
  fileSize: content?.fileSize ?? wanted.size ?? null,
  sha256: content?.sha256 ?? null,
  origin,
  state: shownState(state),
  reason,
  received
})

/** @since 0.4.0 @category views */
export const instanceType = ({ requires = {}, tid, ...type }: KnownType) => ({ id: tid, requires, ...type })

/** They are about a hundred: those who ask for all hosts do not ask for them. */
const withoutFeatures = (facts: HostFacts | null) => {
  if (facts === null) return null
  const { features: _, ...others } = facts
  return others
}

/** With all that it said of itself. @since 0.9.0 @category views */
export const wholeHost = (report: HostReport) => ({ ...host(report), facts: report.host.facts })

/** @since 0.4.0 @category views */
export const host = ({ capacity, free, host, promised, status, vms }: HostReport) => ({
  id: host.id,
  name: host.name,
  address: host.config.address,
  status: statuses[status._tag],
  reason: reasonOf(status),
  since: "since" in status ? time(status.since) : null,
  signs: "signs" in status ? status.signs : null,
  maintenance: host.maintenance,
  capacity,
  promised,
  free,
  vms,
  facts: withoutFeatures(host.facts),
  origin: host.origin,
  virt: host.config.virt,
  overcommit: host.config.overcommit,
  limit: host.config.limit,
  reserved: Resources.map((name) => host.config.reserved?.[name] ?? 0),
  network: host.config.network ?? null,
  networks: host.config.networks ?? {},
  path: host.config.path,
  labels: host.config.labels,
  traits: host.traits
})

/** @since 0.5.0 @category views */
export const plan = <E extends Problems.Known>(
  { expiresAt, refused, violations, ...plan }: Plan<E>,
  { method, path }: Pick<Request, "method" | "path">,
  summary: string
) => ({
  ...plan,
  expiresAt: time(expiresAt),
  request: { method, path, summary },
  violations: violations.map(({ name, vmId, ...broken }) => ({ vmId, name, ...violation(broken) })),
  refused: refused === null ? null : { count: refused.count, problem: Problems.of<Problems.Known>(refused.error) }
})

/** GiB to a tenth. */
const gibibytes = (bytes: number): number => Math.floor((bytes / 1024 ** 3) * 10) / 10

/** @since 0.4.0 @category views */
export const pool = ({ pool, promised }: PoolReport) => ({
  name: pool.name,
  driver: pool.driver,
  capacity: gibibytes(pool.capacity),
  used: gibibytes(pool.used),
  available: gibibytes(pool.available),
  promised,
  overcommit: pool.overcommit
})
