/**
 * Networks as libvirt 9.0.0 keeps them; only looked at, started and stopped.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Xml from "../libvirt/Xml.ts"
import type { HostState, SimulatedNetwork } from "./HostState.ts"
import { print } from "./PrintXml.ts"
import { code, from, refuse, type Refusal } from "./Refusal.ts"

/** @since 0.1.0 @category models */
export interface NetworkRef {
  readonly name: string
  readonly uuid: string
}

type Answer<A> = Either.Either<A, Refusal>

/** @since 0.1.0 @category lookups */
export const find = (host: HostState, ref: NetworkRef): Answer<SimulatedNetwork> => {
  const network = host.networks.get(ref.uuid)
  return network === undefined
    ? Either.left(
        refuse(
          code.noNetwork,
          from.network,
          `no network with matching uuid '${ref.uuid}'${ref.name === "" ? "" : ` (${ref.name})`}`
        )
      )
    : Either.right(network)
}

/** @since 0.1.0 @category lookups */
export const byName = (host: HostState, name: string): Answer<SimulatedNetwork> => {
  const network = [...host.networks.values()].find((network) => network.name === name)
  return network === undefined
    ? Either.left(refuse(code.noNetwork, from.network, `no network with matching name '${name}'`))
    : Either.right(network)
}

/** An interface of the host. @since 0.6.0 @category models */
export interface InterfaceRef {
  readonly name: string
  readonly mac: string
}

/** CONNECT_LIST_ALL_INTERFACES: bridges, of its own and of active networks, and its cable. @since 0.6.0 @category procedures */
export const interfaces = (host: HostState): ReadonlyArray<InterfaceRef> =>
  [
    ...host.bridges,
    ...[...host.networks.values()].flatMap(({ active, bridge }) => (active ? [bridge] : [])),
    "eth0",
    "lo"
  ].map((name, index) => ({
    name,
    mac: name === "lo" ? "00:00:00:00:00:00" : `02:00:00:00:00:${(index + 1).toString(16).padStart(2, "0")}`
  }))

/** INTERFACE_GET_XML_DESC. @since 0.6.0 @category procedures */
export const interfaceXml = (host: HostState, { name }: InterfaceRef): Answer<string> => {
  const found = interfaces(host).find((one) => one.name === name)
  if (found === undefined) {
    return Either.left(refuse(code.noInterface, from.interface, `couldn't find interface named '${name}'`))
  }
  const { element } = Xml
  const isBridge = name !== "eth0" && name !== "lo"
  return Either.right(
    print(
      element("interface", { type: isBridge ? "bridge" : "ethernet", name }, [
        element("mtu", { size: 1500 }),
        isBridge ? element("bridge", { stp: "off", delay: "0" }) : element("mac", { address: found.mac })
      ])
    )
  )
}

/** NETWORK_CREATE. @since 0.1.0 @category procedures */
export const start = (network: SimulatedNetwork): Answer<void> => {
  if (network.active) return Either.left(refuse(code.operationInvalid, from.network, "network is already active"))
  network.active = true
  return Either.right(undefined)
}

/** NETWORK_DESTROY. @since 0.1.0 @category procedures */
export const stop = (network: SimulatedNetwork): Answer<void> => {
  if (!network.active) {
    return Either.left(refuse(code.operationInvalid, from.network, `network '${network.name}' is not active`))
  }
  network.active = false
  return Either.right(undefined)
}

/** @since 0.1.0 @category procedures */
export const xmlOf = (network: SimulatedNetwork): string =>
  print(
    Xml.element("network", {}, [
      Xml.element("name", {}, [network.name]),
      Xml.element("uuid", {}, [network.uuid]),
      Xml.element("forward", { mode: "nat" }),
      Xml.element("bridge", { name: network.bridge, stp: "on", delay: "0" }),
      Xml.element("ip", { address: "192.168.122.1", netmask: "255.255.255.0" })
    ])
  )

/** CONNECT_LIST_ALL_NETWORKS with its filters. @since 0.1.0 @category procedures */
export const listAll = (host: HostState, flags: number): ReadonlyArray<SimulatedNetwork> =>
  [...host.networks.values()].filter((network) =>
    [
      [0x3, network.active ? 0x2 : 0x1],
      [0xc, 0x4],
      [0x30, network.autostart ? 0x10 : 0x20]
    ].every(([mask = 0, bits = 0]) => (flags & mask) === 0 || (flags & bits) !== 0)
  )
