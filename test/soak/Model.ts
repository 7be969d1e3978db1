/**
 * What a soak's clients know: what they were promised, and what they cannot know because an answer did not come or two of them asked at once.
 */
import type { ImageId, VmId, VolumeId } from "../../src/domain/Ids.ts"
import { type Image, isPublished } from "../../src/domain/Image.ts"
import { isSettled, type Vm, type WantedPower } from "../../src/domain/Vm.ts"
import type { Volume } from "../../src/domain/Volume.ts"

/** `unsure`: either is right. */
export type Fate = "here" | "gone" | "unsure"

/** Null when a guest may still let go of one that it was asked for: that is finished by itself, whenever it does. */
export const nicsOf = ({ nics }: Vm): KnownVm["nics"] =>
  nics.every(({ releaseAsked, state }) => state === "attached" && !releaseAsked) ? nics.map(({ id }) => id) : null

/** What there is on the hosts. */
export interface Hosts {
  /** undefined: there is none */
  readonly power: (vm: Vm) => WantedPower | undefined
  /** what cloud-init would read at the next boot */
  readonly hostname: (vm: Vm) => string
}

interface Known {
  /** how many ask for something of it at this moment */
  users: number
  /** whether some of them do at the same time, so that the order in which they are heard is anybody's guess */
  clashed: boolean
}

export interface KnownVm extends Known {
  readonly id: VmId
  fate: Fate
  /** what is wanted of its power */
  power: WantedPower | "unsure"
  /** null: unsure */
  name: string | null
  /** the numbers of its NICs; null: unsure */
  nics: ReadonlyArray<number> | null
  /** what it does on its host, since it was said to be done; `unsure` also when something else than an operation may have changed that */
  does: WantedPower | "unsure"
  /** how often something else than an operation may have changed what it does */
  disturbed: number
  /** what cloud-init calls it, of those that were told so; null: unsure */
  hostname: string | null
  /** vCPUs; null: unsure */
  cpu: number | null
  /** the link of one of its NICs that was set; null: unsure */
  link: { readonly nic: number; readonly link: string } | null
}

export interface KnownVolume extends Known {
  readonly id: VolumeId
  /** `gone`: in the trash, or beyond it */
  fate: Fate
  /** GiB; null: unsure */
  size: number | null
  /** `unsure`: attached or not, who knows to which */
  vm: VmId | null | "unsure"
}

/** An image that was published of a VM's disk. */
export interface KnownImage extends Known {
  readonly id: ImageId
  fate: Fate
}

/** What the fabric has. */
export interface Fabric {
  readonly vms: ReadonlyArray<Vm>
  readonly volumes: ReadonlyArray<Volume>
  /** also those that were deleted */
  readonly images: ReadonlyArray<Image>
}

export class Model {
  readonly vms = new Map<VmId, KnownVm>()
  readonly volumes = new Map<VolumeId, KnownVolume>()
  readonly images = new Map<ImageId, KnownImage>()
  /** names, never given twice, of images that were said not to be published */
  readonly unpublished = new Set<string>()
  /** how often something else than an operation may have changed what any do */
  disturbances = 0

  vm(vm: Vm): KnownVm {
    const { id, name } = vm
    const known = this.vms.get(id)
    if (known !== undefined) return known
    const made: KnownVm = {
      id,
      fate: "here",
      power: "running",
      name,
      nics: nicsOf(vm),
      does: "unsure",
      disturbed: 0,
      hostname: null,
      cpu: vm.resources.cpu,
      link: null,
      users: 0,
      clashed: false
    }
    this.vms.set(id, made)
    return made
  }

  volume(id: VolumeId, size: number): KnownVolume {
    const known = this.volumes.get(id)
    if (known !== undefined) return known
    const made: KnownVolume = { id, fate: "here", size, vm: null, users: 0, clashed: false }
    this.volumes.set(id, made)
    return made
  }

  image(id: ImageId): void {
    if (!this.images.has(id)) this.images.set(id, { id, fate: "here", users: 0, clashed: false })
  }

  /** Something else than an operation may have changed what these do; each is the name of a domain. */
  disturb(domains: ReadonlyArray<string>): void {
    this.disturbances++
    for (const vm of this.vms.values()) {
      if (!domains.includes(`vm-${vm.id}`)) continue
      vm.does = "unsure"
      vm.disturbed++
    }
  }

  /** A VM that goes takes itself out of its volumes. */
  release(id: VmId): void {
    for (const volume of this.volumes.values()) if (volume.vm === id || volume.vm === "unsure") volume.vm = "unsure"
  }

  /** What the fabric has, held against what was promised; afterwards nothing is unsure. Gives one line for each broken promise. */
  settle({ images, vms, volumes }: Fabric, hosts: Hosts): ReadonlyArray<string> {
    const broken = [...this.settleImages(images)]
    const byId = new Map(vms.map((vm) => [vm.id, vm]))
    for (const { cpu, does, fate, hostname, id, link, name, nics, power } of this.vms.values()) {
      if (fate === "here" && !byId.has(id)) broken.push(`VM ${id} was promised and is not there`)
      if (fate === "gone" && byId.has(id)) broken.push(`VM ${id} was destroyed and is there`)
      const vm = byId.get(id)
      if (vm === undefined || fate !== "here") continue
      if (power !== "unsure" && vm.state !== power) broken.push(`VM ${id} is ${vm.state}, not ${power}`)
      if (does !== "unsure" && hosts.power(vm) !== does) {
        broken.push(`VM ${id} is ${hosts.power(vm) ?? "gone"} on its host, not ${does}`)
      }
      if (hostname !== null && hosts.hostname(vm) !== hostname) {
        broken.push(`VM ${id} reads that it is ${hosts.hostname(vm)}, not ${hostname}`)
      }
      if (cpu !== null && vm.resources.cpu !== cpu) {
        broken.push(`VM ${id} has ${vm.resources.cpu} vCPUs, not ${cpu}`)
      }
      const linked = vm.nics.find((nic) => nic.id === link?.nic)
      if (link !== null && linked !== undefined && linked.link !== link.link) {
        broken.push(`NIC ${link.nic} of VM ${id} is ${linked.link}, not ${link.link}`)
      }
      if (name !== null && vm.name !== name) broken.push(`VM ${id} is called ${vm.name}, not ${name}`)
      const now = vm.nics.map((nic) => nic.id)
      if (nics !== null && String(now) !== String(nics)) {
        broken.push(`VM ${id} has the NICs ${String(now)}, not ${String(nics)}`)
      }
    }
    for (const { id, state, vmId } of volumes) {
      if (vmId !== null && !byId.has(vmId)) broken.push(`volume ${id} is with VM ${vmId}, which is not there`)
      if ((vmId !== null) !== (state === "attached")) broken.push(`volume ${id} is ${state}, with VM ${String(vmId)}`)
    }
    const live = new Map(volumes.filter(({ state }) => state !== "deleted").map((volume) => [volume.id, volume]))
    const trashed = new Set(volumes.filter(({ state }) => state === "deleted").map(({ id }) => id))
    for (const { fate, id, size, vm } of this.volumes.values()) {
      const found = live.get(id)
      if (fate === "here" && found === undefined) broken.push(`volume ${id} was promised and is not there`)
      if (fate === "gone" && found !== undefined) broken.push(`volume ${id} was destroyed and is there`)
      if (found === undefined) {
        // one in the trash may be had back
        if (!trashed.has(id)) this.volumes.delete(id)
        continue
      }
      if (size !== null && found.size !== size) broken.push(`volume ${id} has ${found.size} GiB, not ${size}`)
      if (vm !== "unsure" && fate === "here" && found.vmId !== vm) {
        broken.push(`volume ${id} is with VM ${String(found.vmId)}, not ${String(vm)}`)
      }
    }
    this.vms.clear()
    for (const vm of vms) {
      const known = this.vm(vm)
      known.power = isSettled(vm.state) ? vm.state : "unsure"
      known.does = hosts.power(vm) === known.power ? known.power : "unsure"
    }
    for (const { id, size, vmId } of live.values()) {
      this.volumes.set(id, { id, fate: "here", size, vm: vmId, users: 0, clashed: false })
    }
    for (const id of trashed) {
      this.volumes.set(id, { id, fate: "gone", size: null, vm: null, users: 0, clashed: false })
    }
    return broken
  }

  private settleImages(images: ReadonlyArray<Image>): ReadonlyArray<string> {
    const published = images.filter(({ origin, state }) => isPublished(origin) && state !== "deleted")
    const there = new Set(published.map(({ id }) => id))
    const refused = published.filter(({ config }) => this.unpublished.has(config.name))
    const known = [...this.images.values()].flatMap(({ fate, id }) => {
      if (fate === "here" && !there.has(id)) return [`image ${id} was published and is not there`]
      return fate === "gone" && there.has(id) ? [`image ${id} was deleted and is there`] : []
    })
    this.images.clear()
    this.unpublished.clear()
    for (const id of there) this.image(id)
    return [...known, ...refused.map(({ id }) => `image ${id} was said not to be published and is there`)]
  }
}
