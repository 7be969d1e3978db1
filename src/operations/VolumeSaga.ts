/**
 * What the operations on volumes have in common.
 *
 * @since 0.2.0
 */
import type { Host } from "../domain/Host.ts"
import type { Operation } from "../domain/Operation.ts"
import type { Vm } from "../domain/Vm.ts"
import type { Snapshot, Volume } from "../domain/Volume.ts"
import type { Hypervisor, VolumeDisk } from "../services/Hypervisor.ts"
import type { Inventory, VolumeChange } from "../services/Inventory.ts"
import type { StorageDriver, VolumeAt } from "../services/Storage.ts"
import type { Saga } from "./Saga.ts"

/** What an operation on a volume works with, as the inventory has it when it is taken up. @since 0.2.0 @category models */
export interface Subject {
  readonly inventory: Inventory["Type"]
  readonly hypervisor: Hypervisor["Type"]
  /** of the volume */
  readonly driver: StorageDriver
  readonly operation: Operation
  readonly volume: Volume
  /** the host that has the volume; null for one in a pool */
  readonly host: Host | null
  /** the host that had it before, when it goes along with its VM */
  readonly formerHost: Host | null
  /** the VM that it is attached to, or about to be, with its host */
  readonly user: { readonly vm: Vm; readonly host: Host } | null
  /** the snapshot it is about, or that the volume is made from */
  readonly snapshot: Snapshot | null
}

/** Where the driver finds the volume. @since 0.2.0 @category getters */
export const place = ({ host, volume }: Subject): VolumeAt => ({ id: volume.id, host })

/** How the volume's disk is found in its VM's domain. @since 0.2.0 @category getters */
export const diskOf = ({ serial, target }: Volume): VolumeDisk => ({ alias: `ua-${serial}`, target: target ?? "" })

/** The hosts that a subject's steps may work on. @since 0.2.0 @category getters */
export const hostsOf = ({ formerHost, host, user }: Subject): Saga["hosts"] =>
  [host, user?.host ?? null, formerHost].filter((host) => host !== null)

/** The volume's end of the saga. @since 0.2.0 @category getters */
export const settle = ({ inventory, volume }: Subject, change: VolumeChange) =>
  inventory.settleVolume(volume.id, change)
