/**
 * Where a VM on its host is not what it should be: what the inventory wants, beside what the host says.
 *
 * @since 0.3.0
 */
import * as Either from "effect/Either"
import type { DriftField, DriftKind, DriftPolicies } from "../domain/Drift.ts"
import { connect, formatSource, type Offer } from "../domain/Network.ts"
import { type Power, rootSerial, seedSerial, type Vm } from "../domain/Vm.ts"
import type { Volume } from "../domain/Volume.ts"
import { seedTarget } from "../libvirt/DomainXml.ts"
import type { DomainDetail, DomainDisk, DomainShape, ShapeNic } from "../services/Hypervisor.ts"

/** What a VM should be. @since 0.3.0 @category models */
export interface Wanted {
  readonly vm: Vm
  /** those that have the VM, whatever their state */
  readonly volumes: ReadonlyArray<Volume>
  /** where a disk of that name is kept: a path, or `pool/image`; `ending` is a file's, absent: `qcow2` */
  readonly sourceOf: (disk: Pick<Volume, "driver">, name: string, ending?: string) => string
  /** what its host has for NICs; null: that is not known */
  readonly networks: Offer | null
}

/** What was found of it. `detail` null: there is no such domain. @since 0.3.0 @category models */
export interface Found {
  readonly power: Power
  readonly detail: DomainDetail | null
}

interface OwnDisk {
  readonly field: string
  readonly disk: DomainDisk
  /** what happens to it is not over: it may be there or not */
  readonly settled: boolean
}

const ownDisks = ({ sourceOf, vm, volumes }: Wanted, disks: ReadonlyArray<DomainDisk>): ReadonlyArray<OwnDisk> => [
  {
    field: "root disk",
    disk: { target: "vda", source: sourceOf(vm, `${vm.domainName}-root`), serial: rootSerial(vm.id) },
    settled: true
  },
  // a VM that was made before there were seeds has none
  ...(disks.some(({ serial }) => serial === seedSerial(vm.id))
    ? [
        {
          field: "seed",
          disk: { target: seedTarget, source: sourceOf(vm, `${vm.domainName}-seed`, "iso"), serial: seedSerial(vm.id) },
          settled: true
        }
      ]
    : []),
  ...volumes.map((volume) => ({
    field: `volume-${volume.id}`,
    disk: {
      target: volume.target ?? "",
      source: sourceOf(volume, `volume-${volume.id}`),
      serial: volume.serial
    },
    // one that the guest was asked to let go of may be out already
    settled: volume.state === "attached" && !volume.releaseAsked
  }))
]

const told = ({ serial, source, target }: DomainDisk, wanted?: DomainDisk): string =>
  `${source ?? "an empty drive"} at ${target}${serial === wanted?.serial ? "" : `, ${serial === null ? "without a serial" : `serial ${serial}`}`}`

const card = ({ link, mac, source }: ShapeNic): string => `${mac} on ${source}${link === "up" ? "" : ", link down"}`

/** Each disk of ours with what it is taken for; the rest is not ours. */
const match = (own: ReadonlyArray<OwnDisk>, disks: ReadonlyArray<DomainDisk>) => {
  const left = new Set(disks)
  const found = new Map<OwnDisk, DomainDisk>()
  const alike: ReadonlyArray<(wanted: DomainDisk, disk: DomainDisk) => boolean> = [
    (wanted, disk) => disk.source === wanted.source,
    (wanted, disk) => disk.serial === wanted.serial,
    (wanted, disk) => disk.target === wanted.target
  ]
  for (const same of alike) {
    for (const one of own) {
      if (found.has(one)) continue
      const disk = [...left].find((disk) => same(one.disk, disk))
      if (disk === undefined) continue
      found.set(one, disk)
      left.delete(disk)
    }
  }
  return { found, left }
}

/** `of`: what belongs to a field's name, as ` (running)`. */
const compareShape = (wanted: Wanted, shape: DomainShape, of: string): ReadonlyArray<DriftField> => {
  const { networks, vm } = wanted
  const fields: Array<DriftField> = []
  const differ = (kind: DriftKind, field: string, values: Omit<DriftField, "kind" | "field">): void => {
    fields.push({ kind, field: `${field}${of}`, ...values })
  }
  const compare = (field: string, wanted: string, applied: string | null, seen: string | null): void => {
    if (seen !== wanted) differ("definition", field, { wanted, applied, seen })
  }
  const memory = (ram: number) => `${ram} MiB`
  const { applied } = vm
  compare("title", vm.name, applied?.name ?? null, shape.title)
  compare("vcpus", String(vm.resources.cpu), applied === null ? null : String(applied.cpu), String(shape.cpu))
  compare("memory", memory(vm.resources.ram), applied === null ? null : memory(applied.ram), memory(shape.ram))

  const own = ownDisks(wanted, shape.disks)
  const { found, left } = match(own, shape.disks)
  for (const one of own) {
    if (!one.settled) continue
    const { disk, field } = one
    const seen = found.get(one)
    const same = seen?.source === disk.source && seen.target === disk.target && seen.serial === disk.serial
    if (same) continue
    const should = told(disk, disk)
    differ("disks", field, { wanted: should, applied: should, seen: seen === undefined ? null : told(seen, disk) })
  }
  for (const disk of left) {
    differ("disks", `disk ${disk.target}`, { wanted: null, applied: null, seen: told(disk) })
  }

  const extra = new Map(shape.nics.map((nic) => [nic.mac, nic]))
  for (const { id, link, mac, state, ...wish } of vm.nics) {
    const seen = extra.get(mac)
    extra.delete(mac)
    if (state !== "attached") continue
    const connected = networks === null ? null : connect(networks, wish)
    // where it should be cannot be said: then it is enough that it is there
    const source =
      connected === null || Either.isLeft(connected)
        ? (seen?.source ?? "a network")
        : connected.right === null
          ? null
          : formatSource(connected.right)
    // it is on the default network, of which there is none
    if (source === null && seen === undefined) continue
    const should = source === null ? null : card({ mac, source, link })
    const is = seen === undefined ? null : card(seen)
    if (is !== should) differ("network", `nic-${id}`, { wanted: should, applied: should, seen: is })
  }
  for (const nic of extra.values()) {
    differ("network", `nic ${nic.mac}`, { wanted: null, applied: null, seen: card(nic) })
  }
  return fields
}

/** Whether it does what is wanted of it. One that should be stopped may have come to that in any way. */
const hasPower = ({ state }: Vm, power: Power): boolean =>
  state === "stopped" ? power === "stopped" || power === "crashed" || power === "absent" : power === state

/**
 * Everything that differs. A VM with an unfinished operation is not for this: what it is about to become is in flight.
 *
 * @since 0.3.0 @category comparison
 */
export const compare = (wanted: Wanted, { detail, power }: Found): ReadonlyArray<DriftField> => {
  const { vm } = wanted
  const running = hasPower(vm, power) ? [] : [field("power", "power", vm.state, power)]
  if (detail === null) return [...running, field("definition", "domain", "defined", null)]
  const owner = detail.owner === null ? null : `vm-${detail.owner.vmId}`
  return [
    ...running,
    ...(owner === vm.domainName ? [] : [field("definition", "owner", vm.domainName, owner)]),
    ...(detail.defined === null
      ? [field("definition", "domain", "defined", "transient")]
      : compareShape(wanted, detail.defined, "")),
    ...(detail.defined === null || detail.autostart === vm.startsWithHost
      ? []
      : [field("definition", "autostart", onOff(vm.startsWithHost), onOff(detail.autostart))]),
    ...(detail.live === null ? [] : compareShape(wanted, detail.live, runningSuffix))
  ]
}

const onOff = (on: boolean): string => (on ? "on" : "off")

const runningSuffix = " (running)"

const field = (kind: DriftKind, field: string, wanted: string, seen: string | null): DriftField => ({
  kind,
  field,
  wanted,
  applied: wanted,
  seen
})

/** What is told of it. @since 0.3.0 @category policies */
export const reported = (fields: ReadonlyArray<DriftField>, policies: DriftPolicies): ReadonlyArray<DriftField> =>
  fields.filter(({ kind }) => policies[kind] !== "ignore")

/**
 * The kinds that a repair is to mend, as far as one can: nothing is taken away, nothing that runs is changed but for disks that it misses, one that
 * should run is started, and what is not there, or not ours, is left to a person.
 *
 * @since 0.3.0 @category policies
 */
export const mendable = (fields: ReadonlyArray<DriftField>, policies: DriftPolicies): ReadonlyArray<DriftKind> => {
  const hopeless = fields.some(({ field, seen }) => field === "owner" || (field === "domain" && seen === null))
  if (hopeless) return []
  const kinds = fields.flatMap(({ field, kind, seen, wanted }) => {
    if (policies[kind] !== "repair") return []
    switch (kind) {
      case "power":
        return wanted === "running" ? [kind] : []
      case "definition":
        return field.endsWith(runningSuffix) ? [] : [kind]
      case "disks":
        return field.startsWith("volume-") && seen === null ? [kind] : []
      case "network":
        return []
    }
  })
  return [...new Set(kinds)]
}
