/** A world whose controller looks at it: everything is the real thing but the cables, the daemons and the guests. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Logger from "effect/Logger"
import * as AppLive from "../../layers/AppLive.ts"
import type * as ObserverLive from "../../layers/ObserverLive.ts"
import * as StatisticsLive from "../../layers/StatisticsLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import { InstanceTypeId } from "../../src/domain/Ids.ts"
import type { Power, Vm } from "../../src/domain/Vm.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import type { SimulatedHost } from "../../src/simulator/SimulatedHost.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as World from "../fabric/World.ts"
import * as RawClient from "../simulator/RawClient.ts"

/** Nothing is found but by events and after a reconnect. */
export const onlyEvents: ObserverLive.Options["round"] = { perSecond: 1, shortest: "1 hour", longest: "1 hour" }
/** Everything is looked at again and again. */
export const restless: ObserverLive.Options["round"] = { perSecond: 1000, shortest: "50 millis", longest: "50 millis" }

export const type = InstanceTypeId.make(1)

/** `life`: one of the controller's, on the database that all its lives share. */
export const make = Effect.fn("Watching.make")(function* (options: {
  readonly hosts: number
  readonly ceph?: boolean
  readonly observer?: Partial<ObserverLive.Options>
  readonly statistics?: Partial<StatisticsLive.Options>
}) {
  const { ceph = false, hosts, observer = {}, statistics } = options
  const world = yield* World.make({ hosts, ceph })
  const persistence = AppLive.persistence(world.database)
  const pool = Fleet.cephOf(world.cluster, { user: "root", host: "sim-images", port: 22 })
  const drivers = AppLive.drivers(ceph ? pool : null)
  const { policies, ...rest } = observer
  const life = AppLive.layerOver({
    fleet: world.config,
    persistence,
    drivers,
    drift: policies,
    statistics,
    observer: { round: onlyEvents, ...rest }
  }).pipe(
    // the same, to be looked into
    Layer.provideMerge(persistence),
    Layer.provide(SimulatedFleet.layerSsh(world.fleet, { keepalive: "300 millis" })),
    Layer.provide(NodeContext.layer),
    Layer.provide(Logger.minimumLogLevel(LogLevel.None))
  )
  return { ...world, life }
})

/** What was last seen of a VM, and its drift: `field: wanted → seen`. */
export const told = Effect.fn(function* ({ id }: Pick<Vm, "id">) {
  const inventory = yield* Inventory
  const seen = (yield* inventory.seen).get(id)
  const drift = yield* inventory.drift({ vms: [id] })
  return {
    power: seen?.power,
    reason: seen?.reason,
    drift: drift.map(({ field, seen, wanted }) => `${field}: ${wanted} → ${seen}`)
  }
})

/** Fails until it is so, for ten seconds at most. */
export const becomes = (
  vm: Pick<Vm, "id">,
  power: Power,
  reason: string | null,
  drift: ReadonlyArray<string> = power === "running" ? [] : [`power: running → ${power}`]
) => World.eventually(Effect.map(told(vm), (now) => assert.deepStrictEqual(now, { power, reason, drift: [...drift] })))

/** As if on the host itself. */
export const byHand = Effect.fn(function* (host: SimulatedHost) {
  const client = RawClient.make(yield* Effect.orDie(host.libvirtSocket))
  yield* client.open
  return client
})

const dom = ({ domainName, uuid }: Pick<Vm, "domainName" | "uuid">) => ({ name: domainName, uuid, id: -1 })

/** `virsh start`, and its like. */
export const virsh = (
  host: SimulatedHost,
  verb: "CREATE" | "DESTROY" | "SUSPEND" | "RESUME" | "UNDEFINE",
  vm: Pick<Vm, "domainName" | "uuid">
) => Effect.flatMap(byHand(host), (client) => client.call(`DOMAIN_${verb}`, { dom: dom(vm) })).pipe(Effect.scoped)

/** `virsh edit` */
export const edit = (host: SimulatedHost, vm: Vm, change: (xml: string) => string) =>
  Effect.gen(function* () {
    const client = yield* byHand(host)
    const { xml } = yield* client.call("DOMAIN_GET_XML_DESC", { dom: dom(vm), flags: 2 })
    const edited = change(xml)
    assert.notStrictEqual(edited, xml)
    yield* client.call("DOMAIN_DEFINE_XML_FLAGS", { xml: edited, flags: 1 })
  }).pipe(Effect.scoped)

/** A domain that nobody here has made. */
export const defineForeign = (host: SimulatedHost, name: string, uuid: string, metadata?: Xml.Element) =>
  Effect.gen(function* () {
    const client = yield* byHand(host)
    const xml = yield* Xml.render(
      Xml.element("domain", { type: "qemu" }, [
        Xml.element("name", {}, [name]),
        Xml.element("uuid", {}, [uuid]),
        metadata,
        Xml.element("memory", { unit: "MiB" }, [64]),
        Xml.element("os", {}, [Xml.element("type", { arch: "x86_64" }, ["hvm"])])
      ])
    )
    yield* client.call("DOMAIN_DEFINE_XML_FLAGS", { xml, flags: 1 })
  }).pipe(Effect.scoped)
