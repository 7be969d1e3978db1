/**
 * CONNECT_GET_ALL_DOMAIN_STATS as counters of domains.
 *
 * It is the largest reply there is, and the one that is asked for all the time: some thirty parameters of each domain, each with its name. So its
 * parameters are put where they belong as they are read, and nothing is made of them in between.
 *
 * @since 0.6.0
 */
import type { Counters } from "../domain/Statistics.ts"
import * as Structs from "./Structs.ts"
import * as Xdr from "./Xdr.ts"

/** virDomainStatsTypes: CPU_TOTAL, BALLOON, VCPU, INTERFACE, BLOCK. @since 0.6.0 @category constants */
export const groups = 0x2 | 0x4 | 0x8 | 0x10 | 0x20

/** virConnectGetAllDomainStatsFlags: ACTIVE @since 0.6.0 @category constants */
export const active = 0x1

/** What a domain has of a kind of device at most, whatever the host says. */
const mostDevices = 256

const mostVcpus = 1024

const longestName = 64

const kibibyte = 1024

/** What is told of a domain, by where it is put; what is not told is -1. */
const single = [
  "cpu.time",
  "balloon.current",
  "balloon.available",
  "balloon.usable",
  "balloon.unused",
  "balloon.rss",
  "vcpu.current",
  "vcpu.maximum",
  "block.count",
  "net.count"
] as const
const ofDisk = ["rd.bytes", "rd.reqs", "wr.bytes", "wr.reqs"]
const ofNic = ["rx.bytes", "rx.pkts", "tx.bytes", "tx.pkts"]
const perDevice = 4
const cells = {
  vcpus: single.length,
  disks: single.length + mostVcpus,
  nics: single.length + mostVcpus + mostDevices * perDevice,
  end: single.length + mostVcpus + 2 * mostDevices * perDevice
}

/** Where a parameter of that name is put; null: nowhere. A name of a device's own is among those of its kind. */
type Where = { readonly cell: number } | { readonly names: "disks" | "nics"; readonly device: number } | null

const whereOf = (field: string): Where => {
  const alone = single.findIndex((name) => name === field)
  if (alone !== -1) return { cell: alone }
  const [, kind, digits = "", rest = ""] = /^(vcpu|block|net)\.(0|[1-9][0-9]{0,3})\.(.+)$/.exec(field) ?? []
  const index = Number(digits)
  if (kind === "vcpu") return rest === "time" && index < mostVcpus ? { cell: cells.vcpus + index } : null
  if (kind === undefined || index >= mostDevices) return null
  const kinds = kind === "block" ? "disks" : "nics"
  if (rest === "name") return { names: kinds, device: index }
  const which = (kind === "block" ? ofDisk : ofNic).indexOf(rest)
  return which === -1 ? null : { cell: cells[kinds] + index * perDevice + which }
}

const places = new Xdr.Symbols(whereOf)

const none = -1

/** A number's value by its type on the wire; -1: it is none, or below 0. */
const numberOf = (r: Xdr.Reader, type: number): number => {
  switch (type) {
    case 1:
      return r.i32()
    case 2:
      return r.u32()
    case 3:
      return r.i64AsNumber()
    case 4:
      return r.u64AsNumber()
    case 5:
      return r.f64()
    case 6:
      r.i32()
      return none
    case 7:
      r.skip(Structs.longest)
      return none
    default:
      return Xdr.refuse(`${type} is not a type of a typed parameter`)
  }
}

const text = 7

/** What one domain after the other is read into. */
class Told {
  private readonly values = new Float64Array(cells.end).fill(none)
  /** those that are to be -1 again for the next */
  private readonly set: Array<number> = []
  private readonly names: Record<"disks" | "nics", Array<string>> = { disks: [], nics: [] }

  read(r: Xdr.Reader): void {
    for (const cell of this.set) this.values[cell] = none
    this.set.length = 0
    this.names.disks.length = 0
    this.names.nics.length = 0
    for (let left = Xdr.countOf(r, Structs.mostStats.parameters); left > 0; left--) {
      const where = r.symbol(Structs.longest, places)
      const type = r.i32()
      if (where !== null && "names" in where && type === text) {
        this.names[where.names][where.device] = Structs.str.read(r).slice(0, longestName)
        continue
      }
      const value = numberOf(r, type)
      if (where === null || "names" in where) continue
      this.set.push(where.cell)
      this.values[where.cell] = value >= 0 ? value : none
    }
  }

  /** null: it is not told. */
  number(cell: number): number | null {
    const value = this.values[cell] ?? none
    return value === none ? null : value
  }

  name(kind: "disks" | "nics", device: number): string {
    return this.names[kind][device] ?? ""
  }
}

const told = new Told()

const number = (name: (typeof single)[number]): number | null => told.number(single.indexOf(name))
const bytes = (name: (typeof single)[number]): number | null => {
  const value = number(name)
  return value === null ? null : value * kibibyte
}
const count = (name: (typeof single)[number], most: number) => Math.floor(Math.min(number(name) ?? 0, most))

const devices = <D>(
  kind: "disks" | "nics",
  most: number,
  of: (name: string, value: (which: number) => number) => D
) => {
  const found: Array<D> = []
  for (let device = 0; device < most; device++) {
    const first = cells[kind] + device * perDevice
    found.push(of(told.name(kind, device), (which) => told.number(first + which) ?? 0))
  }
  return found
}

/** None when it does not run. */
const countersOf = (r: Xdr.Reader): Counters | undefined => {
  const { id, name, uuid } = Structs.Dom.read(r)
  told.read(r)
  if (id === -1) return undefined
  const vcpus = Math.max(1, count("vcpu.current", mostVcpus))
  // of vCPUs alone where each has a thread; those may have gaps in their numbers
  let running: number | null = null
  for (let index = 0; index < Math.max(count("vcpu.maximum", mostVcpus), vcpus); index++) {
    const time = told.number(cells.vcpus + index)
    if (time !== null) running = (running ?? 0) + time
  }
  const available = bytes("balloon.available")
  // `usable` counts what the guest could take back from its caches, `unused` does not
  const free = bytes("balloon.usable") ?? bytes("balloon.unused")
  return {
    uuid,
    name,
    vcpus,
    cpuTime: running ?? number("cpu.time") ?? 0,
    memory: {
      assigned: bytes("balloon.current") ?? 0,
      used: available === null || free === null ? null : Math.max(0, available - free),
      resident: bytes("balloon.rss")
    },
    disks: devices("disks", count("block.count", mostDevices), (target, value) => ({
      target,
      readBytes: value(0),
      readRequests: value(1),
      writtenBytes: value(2),
      writtenRequests: value(3)
    })),
    nics: devices("nics", count("net.count", mostDevices), (name, value) => ({
      name,
      receivedBytes: value(0),
      receivedPackets: value(1),
      sentBytes: value(2),
      sentPackets: value(3)
    }))
  }
}

/** Of the domains that run. @since 0.15.0 @category decoding */
export const counters: Xdr.Decoder<ReadonlyArray<Counters>> = {
  read: (r) => {
    const found: Array<Counters> = []
    for (let left = Xdr.countOf(r, Structs.mostStats.domains); left > 0; left--) {
      const one = countersOf(r)
      if (one !== undefined) found.push(one)
    }
    return found
  }
}
