/**
 * NICs of domains: what libvirt 9.0.0 makes of their XML, and what it says when it plugs them in.
 *
 * @since 0.6.0
 */
import * as Either from "effect/Either"
import * as Xml from "../libvirt/Xml.ts"
import { aliasOf } from "./Disks.ts"
import type { HostState, LiveDomain, OpenNic, SimulatedDomain } from "./HostState.ts"
import * as Pci from "./Pci.ts"
import { code, errno, from, refuse, type Refusal, systemError } from "./Refusal.ts"

type Answer<A> = Either.Either<A, Refusal>

const no = (number: number, detail: string, speaker: number = from.domain) =>
  Either.left(refuse(number, speaker, detail))

// the order in which libvirt prints what stands in <interface>
const order = [
  "mac",
  "source",
  "vlan",
  "portgroup",
  "virtualport",
  "target",
  "model",
  "driver",
  "link",
  "mtu",
  "alias",
  "address"
]

const rank = (node: Xml.Element): number => {
  const at = order.indexOf(node.name)
  return at === -1 ? order.length : at
}

/** Lower case; "" while it has none. @since 0.6.0 @category getters */
export const macOf = (nic: Xml.Element): string => (Xml.attribute(Xml.child(nic, "mac"), "address") ?? "").toLowerCase()

const freshMac = (random: () => number): string =>
  [
    "52",
    "54",
    "00",
    ...[1, 2, 3].map(() =>
      Math.floor(random() * 256)
        .toString(16)
        .padStart(2, "0")
    )
  ].join(":")

/** The NIC as libvirt keeps it. @since 0.6.0 @category decoding */
export const parse = (host: Pick<HostState, "random">, nic: Xml.Element): Answer<Xml.Element> => {
  const type = Xml.attribute(nic, "type")
  const mac = Xml.attribute(Xml.child(nic, "mac"), "address")
  if (mac !== undefined && !/^([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}$/i.test(mac)) {
    return no(code.xml, `unable to parse mac address '${mac}'`)
  }
  if (mac !== undefined && (Number.parseInt(mac, 16) & 1) === 1) {
    return no(code.xml, `expected unicast mac address, found multicast '${mac}'`)
  }
  const needed = type === "bridge" || type === "network" ? type : undefined
  if (needed !== undefined && (Xml.attribute(Xml.child(nic, "source"), needed) ?? "") === "") {
    return no(code.xml, `Missing required attribute '${needed}' in element 'source'`, from.xml)
  }
  return Either.right({
    ...nic,
    children: [
      Xml.element("mac", { address: mac?.toLowerCase() ?? freshMac(host.random) }),
      ...Xml.children(nic).filter(({ name }) => name !== "mac")
    ].sort((a, b) => rank(a) - rank(b))
  })
}

/** Whether it can be plugged in now. @since 0.6.0 @category procedures */
export const plug = (host: HostState, nic: Xml.Element): Answer<void> => {
  const type = Xml.attribute(nic, "type")
  const source = Xml.child(nic, "source")
  if (type === "network") {
    const name = Xml.attribute(source, "network") ?? ""
    const network = [...host.networks.values()].find((network) => network.name === name)
    if (network === undefined) return no(code.noNetwork, `no network with matching name '${name}'`, from.network)
    if (!network.active) return no(code.operationInvalid, `network '${name}' is not active`, from.network)
  }
  if (Xml.child(nic, "vlan") !== undefined) {
    return no(code.unsupported, `interface ${macOf(nic)} - vlan tag not supported for this connection type`)
  }
  if (type === "bridge") {
    const name = Xml.attribute(source, "bridge") ?? ""
    const there =
      host.bridges.has(name) || [...host.networks.values()].some(({ active, bridge }) => active && bridge === name)
    if (!there) return Either.left(systemError(from.none, errno.ENODEV, `Cannot get interface MTU on '${name}'`))
  }
  return Either.right(undefined)
}

/** A NIC of a running domain. @since 0.6.0 @category constructors */
export const open = (nic: Xml.Element): OpenNic => ({
  alias: aliasOf(nic) ?? "",
  mac: macOf(nic),
  slot: Pci.slotOf(nic)
})

/** The first name that no NIC there has. @since 0.6.0 @category getters */
export const freeAlias = (devices: ReadonlyArray<Xml.Element>): string => {
  const taken = new Set(devices.flatMap((device) => aliasOf(device) ?? []))
  let number = 0
  while (taken.has(`net${number}`)) number++
  return `net${number}`
}

/** The one that is meant: by its address, and by its alias where one is given. @since 0.6.0 @category lookups */
export const named = (nics: ReadonlyArray<Xml.Element>, given: Xml.Element): Answer<Xml.Element> => {
  const [mac, alias] = [macOf(given), aliasOf(given)]
  const found = nics.find((nic) => macOf(nic) === mac && (alias === undefined || aliasOf(nic) === alias))
  return found === undefined
    ? no(
        code.deviceMissing,
        `no device found at address '(<null>)' matching MAC address '${mac}' and alias '${alias ?? "(<null>)"}'`
      )
    : Either.right(found)
}

/** The same NIC with the other's cable. @since 0.6.0 @category combinators */
export const linkedAs = (nic: Xml.Element, given: Xml.Element): Xml.Element => {
  const link = Xml.child(given, "link")
  const rest = Xml.children(nic).filter(({ name }) => name !== "link")
  return { ...nic, children: (link === undefined ? rest : [...rest, link]).sort((a, b) => rank(a) - rank(b)) }
}

const isUp = (nic: Xml.Element): boolean => Xml.attribute(Xml.child(nic, "link"), "state") !== "down"

/**
 * DOMAIN_INTERFACE_ADDRESSES: of guests that are up, what the DHCP server of a libvirt network gave them. No host has spoken with its guests; for their
 * agents, see `Agents`.
 *
 * @since 0.6.0 @category procedures
 */
export const addresses = (
  domain: SimulatedDomain,
  devices: (live: LiveDomain) => ReadonlyArray<Xml.Element>,
  source: number
): Answer<
  ReadonlyArray<{
    readonly name: string
    readonly hwaddr: string
    readonly addrs: ReadonlyArray<{ readonly type: number; readonly addr: string; readonly prefix: number }>
  }>
> => {
  const { live } = domain
  if (live === null) return no(code.operationInvalid, "domain is not running")
  if (source > 2) return no(code.unsupported, `Unknown IP address data source ${source}`, from.qemu)
  if (source === 2 || live.guest.phase !== "up") return Either.right([])
  return Either.right(
    devices(live)
      .filter((nic) => nic.name === "interface" && Xml.attribute(nic, "type") === "network" && isUp(nic))
      .map((nic, index) => {
        const mac = macOf(nic)
        const last = Number.parseInt(mac.slice(-2), 16)
        const addr = `192.168.122.${(last % 253) + 2}`
        return { name: `vnet${index}`, hwaddr: mac, addrs: [{ type: 0, addr, prefix: 24 }] }
      })
  )
}
