/**
 * What networks a host has, through libvirt's RPC.
 *
 * libvirt's networks are there for guests, so all that are active are offered, by their names. A bridge may be anything, the host's own way to the
 * world or that of containers, so those are offered that the machine file names.
 *
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { HostError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { type HostNetwork, type NetworkSource, vlanMark } from "../src/domain/Network.ts"
import { code, failure, parse } from "../src/libvirt/HostErrors.ts"
import * as HostXml from "../src/libvirt/HostXml.ts"
import type { Libvirt } from "../src/services/Libvirt.ts"
import * as HostCalls from "./HostCalls.ts"

/** virConnectListAllNetworksFlags ACTIVE, virConnectListAllInterfacesFlags ACTIVE and INACTIVE */
const flags = { activeNetworks: 0x2, allInterfaces: 0x3 } as const

const byName = (a: HostNetwork, b: HostNetwork): number => (a.name < b.name ? -1 : 1)

/** @since 0.6.0 @category constructors */
export const make = (libvirt: Libvirt["Type"]) => {
  const { call, unless } = HostCalls.make(libvirt)

  /** The host's bridges among those that may be one. None: its libvirt cannot tell. */
  const bridgesOf = Effect.fnUntraced(function* (host: Host, action: string, maybe: (name: string) => boolean) {
    const listed = yield* unless(
      host,
      action,
      "CONNECT_LIST_ALL_INTERFACES",
      { need_results: 1, flags: flags.allInterfaces },
      // a libvirt without its interface driver
      code.noSupport
    )
    if (Option.isNone(listed)) return Option.none<ReadonlySet<string>>()
    const found = yield* Effect.forEach(
      listed.value.ifaces.filter(({ name }) => maybe(name)),
      (iface) =>
        Effect.flatMap(
          // one that goes meanwhile is not there
          unless(host, action, "INTERFACE_GET_XML_DESC", { iface, flags: 0 }, code.noInterface),
          Effect.transposeMapOption(({ xml }) => parse(host, action, xml, HostXml.readInterface))
        ),
      { concurrency: 5 }
    )
    return Option.some<ReadonlySet<string>>(
      new Set(found.flatMap((one) => (Option.isSome(one) && one.value.type === "bridge" ? [one.value.name] : [])))
    )
  })

  const bridgeNetwork = (
    name: string,
    source: NetworkSource,
    bridges: Option.Option<ReadonlySet<string>>
  ): HostNetwork => {
    const vlans = source.name.includes(vlanMark)
    if (Option.isNone(bridges)) {
      return {
        name,
        source,
        vlans: vlans ? [] : null,
        problem: vlans
          ? "its libvirt has no interface driver, and so cannot tell which bridges there are: give each its own name in the machine file"
          : // it is found out when something is plugged in
            null
      }
    }
    if (!vlans) {
      const problem = bridges.value.has(source.name) ? null : `it has no bridge ${source.name}`
      return { name, source, vlans: null, problem }
    }
    const pattern = vlanPattern(source.name)
    const numbers = [...bridges.value].flatMap((bridge) => {
      const number = Number(pattern.exec(bridge)?.[1] ?? "0")
      return number >= 1 && number <= 4094 ? [number] : []
    })
    return { name, source, vlans: numbers.toSorted((a, b) => a - b), problem: null }
  }

  /** The default's name, and all of them by name. Fails when the machine file names a default that cannot be used. */
  return Effect.fnUntraced(function* (
    host: Host,
    action: string
  ): Effect.fn.Return<{ readonly network: string | null; readonly networks: ReadonlyArray<HostNetwork> }, HostError> {
    const { network: asked, networks: named = {} } = host.config
    const sources = Object.entries(named)
    const names = sources.flatMap(([, { kind, name }]) => (kind === "bridge" ? [name] : []))
    const patterns = names.map((name) => vlanPattern(name))
    const [listed, bridges] = yield* Effect.all(
      [
        // a libvirt without its network driver has none
        unless(
          host,
          action,
          "CONNECT_LIST_ALL_NETWORKS",
          { need_results: 1, flags: flags.activeNetworks },
          code.noSupport
        ),
        names.length === 0
          ? Effect.succeed(Option.some<ReadonlySet<string>>(new Set()))
          : bridgesOf(host, action, (name) => patterns.some((pattern) => pattern.test(name)))
      ],
      { concurrency: 2 }
    )
    const active = new Set(
      Option.match(listed, { onNone: () => [], onSome: ({ nets }) => nets.map(({ name }) => name) })
    )
    const problemOf = (name: string) =>
      active.has(name) ? null : `its libvirt has no active network ${JSON.stringify(name)}`
    const own = sources.map(([name, source]): HostNetwork =>
      source.kind === "bridge"
        ? bridgeNetwork(name, source, bridges)
        : { name, source, vlans: null, problem: problemOf(source.name) }
    )
    const others = [...active].flatMap((name): ReadonlyArray<HostNetwork> =>
      name in named ? [] : [{ name, source: { kind: "libvirt", name }, vlans: null, problem: null }]
    )
    const networks = [...own, ...others].toSorted(byName)
    if (asked === undefined) {
      const usual = networks.find(
        ({ name, problem, vlans }) => name === "default" && problem === null && vlans === null
      )
      return { network: usual?.name ?? null, networks }
    }
    const chosen = networks.find(({ name }) => name === asked)
    if (chosen?.problem === null) return { network: asked, networks }
    if (chosen !== undefined) return yield* failure(host, action, chosen.problem ?? "")
    const { nets } = yield* call(host, action, "CONNECT_LIST_ALL_NETWORKS", { need_results: 1, flags: 0 })
    return yield* failure(
      host,
      action,
      nets.some(({ name }) => name === asked)
        ? `its libvirt network "${asked}" is not active`
        : `it has no libvirt network "${asked}", and the machine file names no other network so`
    )
  })
}

/** Of a name with or without the mark; with it the number is the group. */
const vlanPattern = (name: string): RegExp =>
  new RegExp(
    `^${name
      .split(vlanMark)
      .map((part) => part.replaceAll(".", "\\."))
      .join("([1-9][0-9]{0,3})")}$`
  )
