/**
 * What VMs use: of their vCPUs, their memory, their disks and their networks.
 *
 * @since 0.6.0
 */
import type { HostId, VmId } from "./Ids.ts"

/** What went through a device since its guest was started. @since 0.6.0 @category models */
export interface DiskCounters {
  /** `vda` */
  readonly target: string
  readonly readBytes: number
  readonly readRequests: number
  readonly writtenBytes: number
  readonly writtenRequests: number
}

/** As its guest sees it: received is what came to it. @since 0.6.0 @category models */
export interface NicCounters {
  /** the host's name of its end, as `vnet3` */
  readonly name: string
  readonly receivedBytes: number
  readonly receivedPackets: number
  readonly sentBytes: number
  readonly sentPackets: number
}

/** What a host says of one running domain at one moment. @since 0.6.0 @category models */
export interface Counters {
  readonly uuid: string
  /** of the domain, as `vm-7` */
  readonly name: string
  readonly vcpus: number
  /** nanoseconds that its vCPUs have run, since it was started */
  readonly cpuTime: number
  /** bytes */
  readonly memory: {
    /** what its guest has at the moment */
    readonly assigned: number
    /** what its guest says that it uses; null: it says nothing, for it has no balloon driver, or not yet */
    readonly used: number | null
    /** what its QEMU takes of the host's memory; null: not known */
    readonly resident: number | null
  }
  readonly disks: ReadonlyArray<DiskCounters>
  readonly nics: ReadonlyArray<NicCounters>
}

/** What is kept over time of each VM, in sum over its devices. @since 0.6.0 @category constants */
export const series = [
  "cpu",
  "memory",
  "diskRead",
  "diskWritten",
  "diskReadRequests",
  "diskWrittenRequests",
  "netReceived",
  "netSent",
  "netReceivedPackets",
  "netSentPackets"
] as const

/**
 * `cpu`: percent of its vCPUs, 100 is all of them. `memory`: bytes that its guest uses, or its QEMU when the guest does not say. All others: bytes,
 * requests or packets a second.
 *
 * @since 0.6.0 @category models
 */
export type Rates = { readonly [S in (typeof series)[number]]: number }

/** The newest of a running VM: rates since the sample before; null: there was none since its start. @since 0.6.0 @category models */
export interface Sample {
  /** milliseconds since 1970 */
  readonly at: number
  readonly counters: Counters
  readonly rates: Rates | null
}

/** The newest of each of a host's running domains, in sum. `at` null: it was never sampled. @since 0.6.0 @category models */
export interface HostSample {
  readonly hostId: HostId
  readonly at: number | null
  /** running domains, anybody's */
  readonly domains: number
  /** `cpu`: vCPUs that were busy, and no percentage */
  readonly rates: Rates
}

/** A VM with its newest sample. @since 0.6.0 @category models */
export interface VmSample {
  readonly vmId: VmId
  readonly hostId: HostId
  readonly sample: Sample
}

/** How often is sampled, in seconds: the newest step, and those of longer times. Each is kept for so many steps. @since 0.6.0 @category constants */
export const steps = [
  { seconds: 20, slots: 180 },
  { seconds: 120, slots: 180 },
  { seconds: 600, slots: 144 }
] as const

/** Seconds. @since 0.6.0 @category constants */
export const finestStep = steps[0].seconds

/** Seconds between two values of a history. @since 0.6.0 @category models */
export type Step = (typeof steps)[number]["seconds"]

/** The finest step that is kept for as long as that, in milliseconds. @since 0.6.0 @category getters */
export const finest = (back: number): Step => {
  for (const { seconds, slots } of steps) if (back <= seconds * slots * 1000) return seconds
  return 600
}

/** Values of equal distance, the oldest first; null: it did not run, or was not asked. @since 0.6.0 @category models */
export interface History {
  readonly step: Step
  /** of the first value, milliseconds since 1970 */
  readonly from: number
  readonly series: { readonly [S in (typeof series)[number]]: ReadonlyArray<number | null> }
}

/** Nothing at all. @since 0.6.0 @category constants */
export const idle: Rates = {
  cpu: 0,
  memory: 0,
  diskRead: 0,
  diskWritten: 0,
  diskReadRequests: 0,
  diskWrittenRequests: 0,
  netReceived: 0,
  netSent: 0,
  netReceivedPackets: 0,
  netSentPackets: 0
}

/** The device as it was before, at its place unless others have come or gone. */
const previous = <D>(before: ReadonlyArray<D>, index: number, isIt: (device: D) => boolean): D | undefined => {
  const usual = before[index]
  return usual !== undefined && isIt(usual) ? usual : before.find(isIt)
}

/** What went on between two looks at a domain; null: it was started anew in between. @since 0.6.0 @category constructors */
export const ratesBetween = (before: Counters, after: Counters, seconds: number): Rates | null => {
  if (seconds <= 0 || before.uuid !== after.uuid || after.cpuTime < before.cpuTime) return null
  const rates: { -readonly [S in keyof Rates]: number } = {
    ...idle,
    cpu: ((after.cpuTime - before.cpuTime) / 1e9 / seconds / Math.max(1, after.vcpus)) * 100,
    memory: after.memory.used ?? after.memory.resident ?? after.memory.assigned
  }
  // of devices that were there before, too: one that has just come has begun from nothing
  const grown = (now: number, was = 0) => Math.max(0, now - was) / seconds
  for (const [index, disk] of after.disks.entries()) {
    const was = previous(before.disks, index, ({ target }) => target === disk.target)
    rates.diskRead += grown(disk.readBytes, was?.readBytes)
    rates.diskWritten += grown(disk.writtenBytes, was?.writtenBytes)
    rates.diskReadRequests += grown(disk.readRequests, was?.readRequests)
    rates.diskWrittenRequests += grown(disk.writtenRequests, was?.writtenRequests)
  }
  for (const [index, nic] of after.nics.entries()) {
    const was = previous(before.nics, index, ({ name }) => name === nic.name)
    rates.netReceived += grown(nic.receivedBytes, was?.receivedBytes)
    rates.netSent += grown(nic.sentBytes, was?.sentBytes)
    rates.netReceivedPackets += grown(nic.receivedPackets, was?.receivedPackets)
    rates.netSentPackets += grown(nic.sentPackets, was?.sentPackets)
  }
  return rates
}
