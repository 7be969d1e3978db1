/**
 * What a soak's clients know: what they were promised, and what they cannot know because an answer did not come or two of them asked at once.
 */
import type { VmId, VolumeId } from "../../src/domain/Ids.ts"
import type { Vm } from "../../src/domain/Vm.ts"
import type { Volume } from "../../src/domain/Volume.ts"

/** `unsure`: either is right. */
export type Fate = "here" | "gone" | "unsure"

interface Known {
  /** how many ask for something of it at this moment */
  users: number
  /** whether some of them do at the same time, so that the order in which they are heard is anybody's guess */
  clashed: boolean
}

export interface KnownVm extends Known {
  readonly id: VmId
  fate: Fate
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

export class Model {
  readonly vms = new Map<VmId, KnownVm>()
  readonly volumes = new Map<VolumeId, KnownVolume>()

  vm(id: VmId): KnownVm {
    const known = this.vms.get(id)
    if (known !== undefined) return known
    const made: KnownVm = { id, fate: "here", users: 0, clashed: false }
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

  /** A VM that goes takes itself out of its volumes. */
  release(id: VmId): void {
    for (const volume of this.volumes.values()) if (volume.vm === id || volume.vm === "unsure") volume.vm = "unsure"
  }

  /** What the fabric has, held against what was promised; afterwards nothing is unsure. Gives one line for each broken promise. */
  settle(vms: ReadonlyArray<Vm>, volumes: ReadonlyArray<Volume>): ReadonlyArray<string> {
    const broken: Array<string> = []
    const vmIds = new Set(vms.map(({ id }) => id))
    for (const { fate, id } of this.vms.values()) {
      if (fate === "here" && !vmIds.has(id)) broken.push(`VM ${id} was promised and is not there`)
      if (fate === "gone" && vmIds.has(id)) broken.push(`VM ${id} was destroyed and is there`)
      if (!vmIds.has(id)) this.vms.delete(id)
    }
    for (const { id, state, vmId } of volumes) {
      if (vmId !== null && !vmIds.has(vmId)) broken.push(`volume ${id} is with VM ${vmId}, which is not there`)
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
    for (const { id } of vms) this.vms.set(id, { id, fate: "here", users: 0, clashed: false })
    for (const { id, size, vmId } of live.values()) {
      this.volumes.set(id, { id, fate: "here", size, vm: vmId, users: 0, clashed: false })
    }
    for (const id of trashed) {
      this.volumes.set(id, { id, fate: "gone", size: null, vm: null, users: 0, clashed: false })
    }
    return broken
  }
}
