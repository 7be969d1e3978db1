/**
 * CONNECT_GET_ALL_DOMAIN_STATS of one domain, as counters.
 *
 * @since 0.6.0
 */
import type { Counters } from "../domain/Statistics.ts"
import type { Dom, TypedParameter } from "./Structs.ts"

/** virDomainStatsTypes: CPU_TOTAL, BALLOON, VCPU, INTERFACE, BLOCK. @since 0.6.0 @category constants */
export const groups = 0x2 | 0x4 | 0x8 | 0x10 | 0x20

/** virConnectGetAllDomainStatsFlags: ACTIVE @since 0.6.0 @category constants */
export const active = 0x1

/** What a domain has of a kind of device at most, whatever the host says. */
const mostDevices = 256

const mostVcpus = 1024

const kibibyte = 1024

/** None when it does not run. @since 0.6.0 @category decoding */
export const counters = ({
  dom,
  params
}: {
  readonly dom: Dom
  readonly params: ReadonlyArray<TypedParameter>
}): Counters | undefined => {
  if (dom.id === -1) return undefined
  const values = new Map(params.map(({ field, value }) => [field, value.value]))
  const number = (field: string): number | null => {
    const value = values.get(field)
    const found = typeof value === "bigint" ? Number(value) : value
    return typeof found === "number" && found >= 0 ? found : null
  }
  const count = (field: string, most: number) => Math.min(number(field) ?? 0, most)
  const indexes = (field: string) => Array.from({ length: count(field, mostDevices) }, (_, index) => index)
  const name = (field: string): string => {
    const value = values.get(field)
    return typeof value === "string" ? value.slice(0, 64) : ""
  }
  const bytes = (field: string): number | null => {
    const value = number(field)
    return value === null ? null : value * kibibyte
  }
  const vcpus = Math.max(1, count("vcpu.current", mostVcpus))
  // of vCPUs alone where each has a thread; those may have gaps in their numbers
  let running: number | null = null
  for (let index = 0; index < Math.max(count("vcpu.maximum", mostVcpus), vcpus); index++) {
    const time = number(`vcpu.${index}.time`)
    if (time !== null) running = (running ?? 0) + time
  }
  const available = bytes("balloon.available")
  // `usable` counts what the guest could take back from its caches, `unused` does not
  const free = bytes("balloon.usable") ?? bytes("balloon.unused")
  return {
    uuid: dom.uuid,
    name: dom.name,
    vcpus,
    cpuTime: running ?? number("cpu.time") ?? 0,
    memory: {
      assigned: bytes("balloon.current") ?? 0,
      used: available === null || free === null ? null : Math.max(0, available - free),
      resident: bytes("balloon.rss")
    },
    disks: indexes("block.count").map((index) => ({
      target: name(`block.${index}.name`),
      readBytes: number(`block.${index}.rd.bytes`) ?? 0,
      readRequests: number(`block.${index}.rd.reqs`) ?? 0,
      writtenBytes: number(`block.${index}.wr.bytes`) ?? 0,
      writtenRequests: number(`block.${index}.wr.reqs`) ?? 0
    })),
    nics: indexes("net.count").map((index) => ({
      name: name(`net.${index}.name`),
      receivedBytes: number(`net.${index}.rx.bytes`) ?? 0,
      receivedPackets: number(`net.${index}.rx.pkts`) ?? 0,
      sentBytes: number(`net.${index}.tx.bytes`) ?? 0,
      sentPackets: number(`net.${index}.tx.pkts`) ?? 0
    }))
  }
}
