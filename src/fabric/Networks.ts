/**
 * The networks of the fleet, by name.
 *
 * @since 0.6.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Errors from "../domain/Errors.ts"
import type { Host } from "../domain/Host.ts"
import type { VmId } from "../domain/Ids.ts"
import * as Network from "../domain/Network.ts"
import { Inventory } from "../services/Inventory.ts"

/** A network as one host has it. @since 0.6.0 @category models */
export interface NetworkOnHost extends Network.HostNetwork {
  readonly host: Host
  /** `unknown`: it was given to the host, which has not been looked at since; `problem` says so */
  readonly state: "usable" | "unusable" | "unknown"
  /** whether NICs that name none are on it there */
  readonly isDefault: boolean
}

/** `vms`: those with a NIC on it, by id. @since 0.6.0 @category models */
export interface NetworkReport {
  readonly name: string
  /** by host */
  readonly hosts: ReadonlyArray<NetworkOnHost>
  readonly vms: ReadonlyArray<VmId>
}

/** @since 0.6.0 @category services */
export class Networks extends Context.Tag("vmfabric/Networks")<
  Networks,
  {
    /** As the hosts were when they were last looked at, and what they were given since; by name. */
    readonly list: Effect.Effect<ReadonlyArray<NetworkReport>, Errors.PersistenceError>
    readonly get: (name: string) => Effect.Effect<NetworkReport, Errors.NetworkNotFound | Errors.PersistenceError>
  }
>() {}

/** What it has, and what it was given and has not told of yet. */
const ofHost = (host: Host): ReadonlyArray<NetworkOnHost> => {
  const { config, facts } = host
  const usual = facts === null ? (config.network ?? null) : facts.network
  const told = facts === null ? [] : Network.offered(facts)
  const awaited = Object.entries(config.networks ?? {}).filter(([name]) => !told.some((one) => one.name === name))
  return [
    ...told.map((one): NetworkOnHost => ({
      ...one,
      host,
      state: one.problem === null ? "usable" : "unusable",
      isDefault: usual === one.name
    })),
    ...awaited.map(([name, source]): NetworkOnHost => ({
      name,
      source,
      vlans: null,
      problem:
        facts === null
          ? "its host has not been reached yet, so it is not known whether it is there"
          : "its host has not been looked at since it was given it",
      host,
      state: "unknown",
      isDefault: usual === name
    }))
  ]
}

/** @since 0.6.0 @category layers */
export const layer = Layer.effect(
  Networks,
  Effect.gen(function* () {
    const inventory = yield* Inventory

    const list = Effect.gen(function* () {
      const networks = new Map<string, { readonly hosts: Array<NetworkOnHost>; readonly vms: Array<VmId> }>()
      const defaults = new Map<Host["id"], string>()
      for (const { host } of yield* inventory.hosts) {
        for (const one of ofHost(host)) {
          const known = networks.get(one.name) ?? { hosts: [], vms: [] }
          known.hosts.push(one)
          networks.set(one.name, known)
          if (one.isDefault) defaults.set(host.id, one.name)
        }
      }
      for (const { hostId, id, nics } of yield* inventory.vms()) {
        for (const name of new Set(nics.map(({ network }) => network ?? defaults.get(hostId)))) {
          if (name !== undefined) networks.get(name)?.vms.push(id)
        }
      }
      return [...networks]
        .map(([name, { hosts, vms }]): NetworkReport => ({ name, hosts, vms }))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    })

    return Networks.of({
      list,
      get: Effect.fn("Networks.get")(function* (name) {
        const all = yield* list
        const found = all.find((one) => one.name === name)
        return found ?? (yield* new Errors.NetworkNotFound({ network: name, known: all.map((one) => one.name) }))
      })
    })
  })
)
