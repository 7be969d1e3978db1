/**
 * What plans depend on, in words.
 *
 * @since 0.5.0
 */
import type { CloudInit } from "../domain/CloudInit.ts"
import type { Drift } from "../domain/Drift.ts"
import type { Host } from "../domain/Host.ts"
import type { Token, User } from "../domain/Identity.ts"
import { formatSource, type Image } from "../domain/Image.ts"
import type { InstanceType, KnownType } from "../domain/InstanceType.ts"
import { showWish } from "../domain/Network.ts"
import type { Nic } from "../domain/Nic.ts"
import type { Operation } from "../domain/Operation.ts"
import { showAll, showAllRequired } from "../domain/Placement.ts"
import * as Quota from "../domain/Quota.ts"
import type { Resources } from "../domain/Resources.ts"
import type { Vm } from "../domain/Vm.ts"
import type { Snapshot, Volume } from "../domain/Volume.ts"
import type { Webhook } from "../domain/Webhook.ts"
import type { KeptWith, SnapshotUse } from "../services/Inventory.ts"
import type { Facts } from "./Intent.ts"

const listed = (all: ReadonlyArray<string>): string => (all.length === 0 ? "none" : all.join(", "))

/** @since 0.5.0 @category formatting */
export const amounts = ({ cpu, disk, ram }: Resources): string => `${cpu} vCPUs, ${ram} MiB, ${disk} GiB`

const typeText = (type: Pick<InstanceType, "cpu" | "disk" | "ram" | "requires">): string => {
  const requires = showAllRequired(type.requires)
  return `${amounts(type)}${requires === null ? "" : `, on hosts with ${requires}`}`
}

/** As in `1 (52:54:00:12:34:56) on lan`. @since 0.6.0 @category formatting */
export const nicText = (nic: Nic): string => {
  const more = [
    ...(nic.model === "virtio" ? [] : [nic.model]),
    ...(nic.link === "up" ? [] : ["link down"]),
    ...(nic.state === "attached" ? [] : [nic.state])
  ]
  return [`${nic.id} (${nic.mac}) on ${showWish(nic)}`, ...more].join(", ")
}

/** @since 0.5.0 @category getters */
export const ofVm = (vm: Vm): Facts => ({
  [`VM ${vm.id}: name`]: vm.name,
  [`VM ${vm.id}: state`]: vm.state,
  [`VM ${vm.id}: host`]: `host ${vm.hostId}`,
  [`VM ${vm.id}: shape`]: `instance type ${vm.instanceType} (${amounts(vm.resources)}), image ${vm.imageId}`,
  [`VM ${vm.id}: after a crash`]: vm.onCrash,
  [`VM ${vm.id}: NICs`]: listed(vm.nics.map(nicText)),
  [`VM ${vm.id}: protected`]: vm.protected ? "yes" : "no",
  [`VM ${vm.id}: autostart`]: vm.autostart ? "on" : "off",
  ...(vm.placement === null ? {} : { [`VM ${vm.id}: placement`]: showAll(vm.placement) ?? "anywhere" })
})

/** Which it is and nothing of what it says. @since 0.6.0 @category getters */
export const ofCloudInit = (vm: Vm, { revision }: CloudInit): Facts => ({
  [`VM ${vm.id}: cloud-init`]: `revision ${revision}`
})

/** @since 0.5.0 @category getters */
export const ofVolume = (volume: Volume): Facts => ({
  [`volume ${volume.id}: name`]: volume.name,
  [`volume ${volume.id}: size`]: `${volume.size} GiB`,
  [`volume ${volume.id}: state`]: volume.state,
  [`volume ${volume.id}: kept`]: volume.hostId === null ? `by ${volume.driver}` : `on host ${volume.hostId}`,
  [`volume ${volume.id}: VM`]: volume.vmId === null ? "none" : `VM ${volume.vmId} as ${volume.target ?? "a disk"}`
})

/** @since 0.5.0 @category getters */
export const ofSnapshots = (volume: Volume, snapshots: ReadonlyArray<SnapshotUse>): Facts => ({
  [`volume ${volume.id}: snapshots`]: listed(
    snapshots.map(({ snapshot: { id, name, size, state } }) => `${id} (${name}, ${size} GiB, ${state})`)
  ),
  [`volume ${volume.id}: clones`]: listed(
    snapshots.flatMap(({ clones }) => clones.map(({ id, state }) => `volume ${id} (${state})`))
  )
})

/** @since 0.5.0 @category getters */
export const ofSource = (snapshot: Snapshot, volume: Volume): Facts => ({
  [`snapshot ${snapshot.id}`]: `${snapshot.name}, ${snapshot.size} GiB, ${snapshot.state}`,
  [`volume ${volume.id}: state`]: volume.state
})

/** The volumes that a VM has. @since 0.5.0 @category getters */
export const ofDisks = (vm: Vm, volumes: ReadonlyArray<Volume>): Facts => ({
  [`VM ${vm.id}: volumes`]: listed(
    volumes.map(({ id, state, target }) => `volume ${id} as ${target ?? "a disk"} (${state})`)
  )
})

/** @since 0.5.0 @category getters */
export const ofDrift = (vm: Vm, drift: ReadonlyArray<Drift>): Facts => ({
  [`VM ${vm.id}: what differs`]: listed(
    drift.map(({ field, seen, wanted }) => `${field} (${seen ?? "nothing"} instead of ${wanted ?? "nothing"})`)
  )
})

/** @since 0.5.0 @category getters */
export const ofHost = (host: Host): Facts => ({
  [`host ${host.id}: maintenance`]: host.maintenance ? "on" : "off",
  [`host ${host.id}: declared lost`]: host.lostAt === null ? "no" : "yes",
  [`host ${host.id}: settings`]: JSON.stringify(host.config)
})

/** @since 0.7.0 @category getters */
export const ofImage = ({ config, id, state }: Image): Facts => ({ [`image ${id}`]: `${config.name}, ${state}` })

/** @since 0.7.0 @category getters */
export const ofType = ({ retired, tid, ...size }: KnownType): Facts => ({
  [`instance type ${tid}`]: `${typeText(size)}, ${retired ? "retired" : "on offer"}`
})

/** @since 0.8.0 @category getters */
export const ofUser = ({ disabled, hasPassword, name, quota, role }: User): Facts => ({
  [`user ${name}: role`]: role,
  [`user ${name}: may sign in`]: disabled ? "no" : "yes",
  [`user ${name}: password`]: hasPassword ? "set" : "none",
  [`user ${name}: quota`]: Quota.showAll(quota)
})

/** @since 0.8.0 @category getters */
export const ofToken = ({ id, name, owner, role }: Token): Facts => ({
  [`token ${id}`]: `${name}, of ${owner}, as ${role}`
})

/** @since 0.8.0 @category getters */
export const ofWebhook = ({ id, types, url }: Webhook): Facts => ({
  [`webhook ${id}: URL`]: url,
  [`webhook ${id}: types`]: types === null ? "all" : listed(types)
})

/** @since 0.8.0 @category getters */
export const ofOperation = ({ id, state }: Operation): Facts => ({ [`operation ${id}: state`]: state })

/** What a new VM is made of. @since 0.5.0 @category getters */
export const ofNewVm = (type: InstanceType, image: Image, disk: KeptWith): Facts => ({
  ...ofSize(type),
  image: `image ${image.id} (${image.config.name}) from ${formatSource(image.config.source)}`,
  // that it becomes known when it is looked at for the first time is no change of it
  ...(image.content === null ? {} : { "image's content": `SHA-256 ${image.content.sha256}` }),
  ...ofStorage(disk)
})

/** How large those of a type become. @since 0.8.0 @category getters */
export const ofSize = (type: InstanceType): Facts => ({ [`instance type ${type.tid}`]: typeText(type) })

/** What new disks and volumes are kept with. @since 0.5.0 @category getters */
export const ofStorage = ({ driver, pool }: KeptWith): Facts => ({
  storage: pool === null ? `${driver}, on the hosts` : `${driver}, pool ${pool}`
})
