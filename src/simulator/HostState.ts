/**
 * What a simulated host is at one moment. It outlives its daemon and every connection; running guests too.
 *
 * @since 0.1.0
 */
import type * as Xml from "../libvirt/Xml.ts"
import { HostFiles } from "./HostFiles.ts"

/** How the machine is built. @since 0.1.0 @category models */
export interface Machine {
  readonly hostname: string
  /** the machine's, lower case with dashes */
  readonly uuid: string
  /** logical CPUs */
  readonly cpus: number
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

/** A domain while it runs. @since 0.1.0 @category models */
export interface LiveDomain {
  readonly id: number
  readonly definition: Xml.Element
  /** what the guest has printed on its serial port */
  readonly serial: Array<string>
  /** milliseconds since 1970 */
  readonly started: number
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
      readonly _tag: "PoolLifecycle"
      readonly pool: { readonly name: string; readonly uuid: string }
      readonly event: number
    }
  | { readonly _tag: "PoolRefresh"; readonly pool: { readonly name: string; readonly uuid: string } }

/** @since 0.1.0 @category models */
export interface HostState {
  readonly machine: Machine
  readonly files: HostFiles
  readonly domains: Map<string, SimulatedDomain>
  readonly pools: Map<string, SimulatedPool>
  readonly networks: Map<string, SimulatedNetwork>
  /** the id the next domain gets */
  nextId: number
  /** where events go; set by the daemon while it runs */
  emit: (event: HostEvent) => void
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
    nextId: 1,
    emit: () => {},
    now: options.now,
    random
  }
}
