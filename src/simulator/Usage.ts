/**
 * What guests use: a little of their vCPUs all the time, and all that they are told to do.
 *
 * @since 0.6.0
 */
import type { ParameterValue } from "../libvirt/Structs.ts"
import type { HostState, LiveDomain, OpenDisk } from "./HostState.ts"

/** What a guest does; what is absent it goes on with as before. @since 0.6.0 @category models */
export interface Work {
  /** of all its vCPUs, from 0 to 1, from now on */
  readonly busy?: number
  /** bytes of its memory, from now on */
  readonly memory?: number
  /** to or from a disk, by target; bytes, once */
  readonly write?: { readonly target: string; readonly bytes: number }
  readonly read?: { readonly target: string; readonly bytes: number }
  /** by its first NIC; bytes, once */
  readonly send?: number
  readonly receive?: number
}

interface Disk {
  read: number
  reads: number
  written: number
  writes: number
}

interface Usage {
  /** of all vCPUs together, nanoseconds up to `since` */
  used: number
  busy: number
  since: number
  memory: number | null
  readonly disks: Map<OpenDisk, Disk>
  sent: number
  received: number
}

const usages = new WeakMap<LiveDomain, Usage>()

/** Of one vCPU, by a system in which nothing goes on. */
const idle = 0.01

/** What a request and a packet carry, in bytes. */
const request = 128 * 1024
const packet = 1448

const usageOf = (live: LiveDomain): Usage => {
  const known = usages.get(live)
  if (known !== undefined) return known
  const made: Usage = { used: 0, busy: 0, since: live.started, memory: null, disks: new Map(), sent: 0, received: 0 }
  usages.set(live, made)
  return made
}

const grown = ({ busy, since, used }: Usage, now: number, vcpus: number): number =>
  used + Math.max(0, now - since) * 1e6 * Math.max(idle, busy * vcpus)

/** Nanoseconds of all its vCPUs together. @since 0.6.0 @category getters */
export const cpuTime = (host: HostState, live: LiveDomain, vcpus: number): number =>
  grown(usageOf(live), host.now(), vcpus)

/** It does so. @since 0.6.0 @category combinators */
export const work = (host: HostState, live: LiveDomain, vcpus: number, given: Work): void => {
  const usage = usageOf(live)
  usage.used = grown(usage, host.now(), vcpus)
  usage.since = host.now()
  usage.busy = given.busy ?? usage.busy
  usage.memory = given.memory ?? usage.memory
  const through = (what: { readonly target: string; readonly bytes: number } | undefined): [Disk, number] => {
    const disk = what === undefined ? undefined : live.disks.get(what.target)
    if (what === undefined || disk === undefined) return [{ read: 0, reads: 0, written: 0, writes: 0 }, 0]
    const known = usage.disks.get(disk) ?? { read: 0, reads: 0, written: 0, writes: 0 }
    usage.disks.set(disk, known)
    return [known, what.bytes]
  }
  const [to, written] = through(given.write)
  to.written += written
  to.writes += Math.ceil(written / request)
  const [from, read] = through(given.read)
  from.read += read
  from.reads += Math.ceil(read / request)
  usage.sent += given.send ?? 0
  usage.received += given.receive ?? 0
}

/** What of a definition is needed for it; `memory` in bytes, `reports`: its guest is asked what it uses of it. @since 0.6.0 @category models */
export interface Size {
  readonly vcpus: number
  readonly memory: number
  readonly nics: number
  readonly reports: boolean
}

interface Parameter {
  readonly field: string
  readonly value: ParameterValue
}

const whole = (field: string, value: number): Parameter => ({
  field,
  value: { type: "ullong", value: BigInt(Math.round(value)) }
})
const count = (field: string, value: number): Parameter => ({ field, value: { type: "uint", value } })
const text = (field: string, value: string): Parameter => ({ field, value: { type: "string", value } })

/** What of a running domain is asked for beside its state, as CONNECT_GET_ALL_DOMAIN_STATS names it. @since 0.6.0 @category getters */
export const parameters = (host: HostState, live: LiveDomain, of: Size, groups: number): ReadonlyArray<Parameter> => {
  const has = (group: number) => groups === 0 || (groups & group) === group
  const usage = usages.get(live)
  const time = cpuTime(host, live, of.vcpus)
  const up = live.guest.phase === "up"
  const used = usage?.memory ?? of.memory / 4
  const out: Array<Parameter> = []
  if (has(0x2)) out.push(whole("cpu.time", time * 1.02), whole("cpu.user", time), whole("cpu.system", time * 0.02))
  if (has(0x4)) {
    out.push(whole("balloon.current", of.memory / 1024), whole("balloon.maximum", of.memory / 1024))
    // the guest's own figures, from its driver, when the definition asks for them
    if (up && of.reports) {
      const available = Math.round((of.memory * 0.94) / 1024)
      const left = Math.max(0, available - used / 1024)
      out.push(
        whole("balloon.unused", left),
        whole("balloon.available", available),
        whole("balloon.usable", left),
        whole("balloon.last-update", host.now() / 1000)
      )
    }
    out.push(whole("balloon.rss", used / 1024 + 50_000))
  }
  if (has(0x8)) {
    out.push(count("vcpu.current", of.vcpus), count("vcpu.maximum", of.vcpus))
    for (let index = 0; index < of.vcpus; index++) {
      out.push({ field: `vcpu.${index}.state`, value: { type: "int", value: 1 } })
      out.push(whole(`vcpu.${index}.time`, time / of.vcpus))
    }
  }
  if (has(0x10)) {
    out.push(count("net.count", of.nics))
    for (let index = 0; index < of.nics; index++) {
      const received = index === 0 ? (usage?.received ?? 0) : 0
      const sent = index === 0 ? (usage?.sent ?? 0) : 0
      out.push(
        text(`net.${index}.name`, `vnet${live.id * 4 + index}`),
        whole(`net.${index}.rx.bytes`, received),
        whole(`net.${index}.rx.pkts`, Math.ceil(received / packet)),
        whole(`net.${index}.tx.bytes`, sent),
        whole(`net.${index}.tx.pkts`, Math.ceil(sent / packet))
      )
    }
  }
  if (has(0x20)) {
    const disks = [...live.disks.values()]
    out.push(count("block.count", disks.length))
    for (const [index, disk] of disks.entries()) {
      const { read, reads, writes, written } = usage?.disks.get(disk) ?? { read: 0, reads: 0, written: 0, writes: 0 }
      out.push(
        text(`block.${index}.name`, disk.target),
        whole(`block.${index}.rd.reqs`, reads),
        whole(`block.${index}.rd.bytes`, read),
        whole(`block.${index}.wr.reqs`, writes),
        whole(`block.${index}.wr.bytes`, written)
      )
    }
  }
  return out
}
