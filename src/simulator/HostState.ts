/**
 * What a simulated host is at one moment. It outlives its daemon and every connection; running guests too.
 *
 * @since 0.1.0
 */
import type * as Either from "effect/Either"
import type * as Xml from "../libvirt/Xml.ts"
import { type HostFile, HostFiles } from "./HostFiles.ts"

/** How the machine is built. @since 0.1.0 @category models */
export interface Machine {
  readonly hostname: string
  /** the machine's, lower case with dashes */
  readonly uuid: string
  /** IPv4: where its QEMUs reach a Ceph cluster from */
  readonly address: string
  /** logical CPUs */
  readonly cpus: number
  /** as libvirt names it */
  readonly cpuModel: string
  /** bytes */
  readonly memory: number
  /** bytes */
  readonly disk: number
  /** as CONNECT_GET_LIB_VERSION gives it: 9.0.0 is 9000000 */
  readonly libvirtVersion: number
  /** whether the processor can run guests itself */
  readonly kvm: boolean
}

/** virDomainState. @since 0.1.0 @category models */
export const state = { running: 1, paused: 3, shutdown: 4, shutoff: 5, crashed: 6 } as const

/** What QEMU asks of a Ceph cluster. `Left` is an errno's name, as `ENOENT`. @since 0.2.0 @category models */
export interface CephCluster {
  readonly pool: string
  /** without the `client.` before it */
  readonly client: string
  /** the client's, base64 as in a keyring */
  readonly key: string
  readonly openForWriting: (image: string, address: string) => Either.Either<CephImage, string>
}

/** An image that is open for writing. @since 0.2.0 @category models */
export interface CephImage {
  /** bytes */
  readonly size: () => number
  readonly grow: (bytes: number) => Either.Either<void, string>
  readonly close: () => void
}

/** A disk that a QEMU has open. It knows of no change of its size that it has not made itself. @since 0.2.0 @category models */
export interface OpenDisk {
  /** `vda` */
  readonly target: string
  readonly serial: string
  /** where it stands on the guest's bus */
  readonly slot: number
  /** the file it writes, which nobody else may use meanwhile; null: none */
  readonly file: HostFile | null
  /** those it only reads, which nobody may write meanwhile */
  readonly below: ReadonlyArray<HostFile>
  /** bytes */
  size: number
  /** `Left`: QEMU's words */
  readonly resize: (bytes: number) => Either.Either<void, string>
  readonly close: () => void
}

/** A NIC that a QEMU has. @since 0.6.0 @category models */
export interface OpenNic {
  readonly alias: string
  /** lower case */
  readonly mac: string
  /** where it stands on the guest's bus */
  readonly slot: number
}

/** What a guest can be asked to let go of. @since 0.6.0 @category models */
export type Device = OpenDisk | OpenNic

/** A disk as the guest's kernel saw it when it last looked. @since 0.2.0 @category models */
export interface SeenDisk {
  /** the kernel's own, the first that was free */
  readonly name: string
  readonly size: number
  readonly serial: string
}

/** A device that the guest was asked to let go of. @since 0.2.0 @category models */
export interface Removal {
  /** whether the guest was up; otherwise only its next reset does it */
  heard: boolean
  /** whether it is about to */
  acting: boolean
  /** told whether it was let go of */
  readonly waiting: Set<(gone: boolean) => void>
}

/** What goes on inside a guest. @since 0.2.0 @category models */
export interface GuestState {
  /** `due`: its system would be up if it were not paused */
  phase: "booting" | "due" | "up"
  /** how many times it was reset */
  boots: number
  /** what its power button was pressed for while it was paused: it hears it when it goes on; null: it was not */
  pressed: "off" | "anew" | null
  readonly seen: Map<OpenDisk, SeenDisk>
  /** NICs as its kernel saw them when it last looked, with its own names for them */
  readonly cards: Map<OpenNic, string>
  readonly removals: Map<Device, Removal>
}

/** A domain while it runs. @since 0.1.0 @category models */
export interface LiveDomain {
  readonly id: number
  definition: Xml.Element
  /** what the guest has printed on its serial port */
  readonly serial: Array<string>
  /** milliseconds since 1970 */
  readonly started: number
  /** by target */
  readonly disks: Map<string, OpenDisk>
  readonly nics: Set<OpenNic>
  /** the number that the next image QEMU opens gets */
  nextNode: number
  /** whether its clock goes: it was resumed, or never paused */
  clocked: boolean
  readonly guest: GuestState
}

/** @since 0.1.0 @category models */
export interface SimulatedDomain {
  name: string
  readonly uuid: string
  /** null: transient */
  persistent: Xml.Element | null
  live: LiveDomain | null
  state: number
  reason: number
  autostart: boolean
}

/** @since 0.1.0 @category models */
export interface SimulatedPool {
  readonly name: string
  readonly uuid: string
  readonly path: string
  active: boolean
  autostart: boolean
  persistent: boolean
  /** the files it knows of, by name: those there at the last refresh, and those made through it since */
  volumes: Map<string, KnownVolume>
}

/** What a pool remembers of a file. @since 0.1.0 @category models */
export interface KnownVolume {
  /** as it was made, or as its header said at the last refresh */
  readonly format: "raw" | "qcow2"
  /** whether its header was looked at since it was made */
  readonly probed: boolean
}

/** @since 0.1.0 @category models */
export interface SimulatedNetwork {
  readonly name: string
  readonly uuid: string
  readonly bridge: string
  active: boolean
  autostart: boolean
}

/** @since 0.2.0 @category models */
export interface SimulatedSecret {
  readonly uuid: string
  /** virSecretUsageType */
  readonly usageType: number
  readonly usageID: string
  readonly description: string | null
  /** not kept beyond the daemon's life */
  readonly ephemeral: boolean
  readonly private: boolean
  readonly value: Uint8Array | null
}

/** What the daemon tells those who registered. @since 0.1.0 @category models */
export type HostEvent =
  | {
      readonly _tag: "DomainLifecycle"
      readonly domain: { readonly name: string; readonly uuid: string; readonly id: number }
      readonly event: number
      readonly detail: number
    }
  | {
      readonly _tag: "DomainReboot"
      readonly domain: { readonly name: string; readonly uuid: string; readonly id: number }
    }
  | {
      readonly _tag: "DeviceAdded" | "DeviceRemoved" | "DeviceRemovalFailed"
      readonly domain: { readonly name: string; readonly uuid: string; readonly id: number }
      readonly alias: string
    }
  | {
      readonly _tag: "PoolLifecycle"
      readonly pool: { readonly name: string; readonly uuid: string }
      readonly event: number
    }
  | {
      readonly _tag: "DomainMetadata"
      readonly domain: { readonly name: string; readonly uuid: string; readonly id: number }
      readonly type: number
      readonly uri: string | null
    }
  | { readonly _tag: "PoolRefresh"; readonly pool: { readonly name: string; readonly uuid: string } }

/** @since 0.1.0 @category models */
export interface HostState {
  readonly machine: Machine
  readonly files: HostFiles
  readonly domains: Map<string, SimulatedDomain>
  readonly pools: Map<string, SimulatedPool>
  readonly networks: Map<string, SimulatedNetwork>
  /** those that are its own, none of libvirt's */
  readonly bridges: Set<string>
  /** bytes that a frame of a bridge may have, where that is not 1500 */
  readonly mtus: Map<string, number>
  /** milliseconds by which its clock is ahead */
  clockAhead: number
  /** guests that run by kvm do nothing */
  kvmHangs: boolean
  readonly secrets: Map<string, SimulatedSecret>
  /** undefined: it has no way to one */
  readonly ceph: CephCluster | undefined
  /** the id the next domain gets */
  nextId: number
  /** where events go; set by the daemon while it runs */
  emit: (event: HostEvent) => void
  /** what becomes of a disk whose QEMU had no time to close it */
  abandon: (disk: OpenDisk) => void
  /** milliseconds since 1970 */
  readonly now: () => number
  /** numbers that look random and are the same for the same seed */
  readonly random: () => number
}

/** A UUID (version 4) from the host's own random numbers. @since 0.1.0 @category constructors */
export const newUuid = (random: () => number): string => {
  const bytes = Buffer.from(Array.from({ length: 16 }, () => Math.floor(random() * 256)))
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString("hex")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** mulberry32: small, fast, and the same on every machine. @since 0.1.0 @category constructors */
export const randomFrom = (seed: number): (() => number) => {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), a | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** @since 0.1.0 @category constructors */
export const make = (options: {
  readonly machine: Machine
  readonly networks: ReadonlyArray<{ readonly name: string; readonly active: boolean }>
  readonly bridges: ReadonlyArray<string>
  readonly ceph?: CephCluster | undefined
  readonly seed: number
  readonly now: () => number
}): HostState => {
  const random = randomFrom(options.seed)
  const files = new HostFiles(options.machine.disk, Math.floor(options.machine.disk * 0.02))
  for (const folder of ["/var/lib/libvirt/images", "/var/lib", "/tmp", "/root", "/images"]) files.makeFolder(folder)
  return {
    machine: options.machine,
    files,
    domains: new Map(),
    pools: new Map(),
    networks: new Map(
      options.networks.map(({ active, name }, index) => {
        const uuid = newUuid(random)
        return [uuid, { name, uuid, bridge: `virbr${index}`, active, autostart: active }]
      })
    ),
    bridges: new Set(options.bridges),
    mtus: new Map(),
    clockAhead: 0,
    kvmHangs: false,
    secrets: new Map(),
    ceph: options.ceph,
    nextId: 1,
    emit: () => {},
    abandon: (disk) => disk.close(),
    now: options.now,
    random
  }
}
