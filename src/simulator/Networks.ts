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
