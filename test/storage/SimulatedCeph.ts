/** Simulated hosts that share a simulated Ceph, and everything Live that reaches them. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as CephLive from "../../layers/CephLive.ts"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import type { Options } from "../../layers/StorageDriver.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import * as StorageRbd from "../../layers/StorageRbd.ts"
import { Host } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import * as Cluster from "../../src/simulator/Cluster.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as Simulated from "../hypervisor/Simulated.ts"
import { given } from "./Given.ts"
import type { Bytes } from "./LiveWorld.ts"
import * as RbdWorld from "./RbdWorld.ts"
import * as ScriptedImages from "./ScriptedImages.ts"

/** The cluster itself, with its faults. */
export class SimulatedCluster extends Context.Tag("test/SimulatedCluster")<SimulatedCluster, Cluster.Cluster>() {}

/** `sim-1`, where Ceph's commands are too, and `sim-2`. */
export const { here, unreachable } = Simulated
export const elsewhere = new Host({ ...Simulated.host("sim-2"), id: HostId.make(2) })

const cluster = Layer.effect(SimulatedCluster, Cluster.make())

export const fleet = Layer.scoped(
  Simulated.Simulated,
  Effect.gen(function* () {
    const ceph = yield* SimulatedCluster
    const common = { bootTime: "20 millis", ceph } as const
    const fleet = yield* Fleet.make({
      hosts: [
        { ...common, hostname: "sim-1", cephCommands: ceph },
        { ...common, hostname: "sim-2" }
      ]
    })
    const [host] = fleet.hosts
    if (host === undefined) return yield* Effect.dieMessage("a fleet without hosts")
    return { fleet, host }
  })
).pipe(Layer.provideMerge(cluster))

const ceph = (host: Host) =>
  CephLive.layer(
    { pool: "vms", client: "libvirt", conf: "/etc/ceph/ceph.conf", host: host.config.address },
    {
      limits: { read: "1 second", change: "2 seconds", importImage: "2 seconds" },
      backoff: { first: 1, longest: 1 },
      shortLived: 0
    }
  )

/** `Storage` of both drivers on everything that is under it. */
export const drivers = (options: Partial<Options>) =>
  HypervisorLive.layer.pipe(
    Layer.provideMerge(StorageLive.layerRbdWith(options)),
    Layer.provideMerge(RbdWorld.counted(ceph(here))),
    Layer.provideMerge(LibvirtLive.layer),
    Layer.provideMerge(
      Layer.unwrapEffect(Effect.map(Simulated.Simulated, ({ fleet }) => SimulatedFleet.layerSsh(fleet)))
    ),
    Layer.provideMerge(Layer.merge(ScriptedImages.layer(given), fleet))
  )

/** The driver over a Ceph that does not answer. */
export const silent = Layer.build(ceph(unreachable)).pipe(
  Effect.flatMap((nothing) => Effect.provide(StorageRbd.make({ patience: "300 millis" }), nothing))
)

export const bytes = Effect.map(SimulatedCluster, (cluster): Bytes => {
  const open = (image: string) =>
    Effect.orDieWith(cluster.openForWriting(image, "192.0.2.9:0/1"), (errno) => new Error(errno))
  return {
    write: (image, byte) =>
      Effect.flatMap(open(image), (opened) =>
        Effect.ensuring(
          Effect.orDieWith(opened.write(0, new Uint8Array(64 * 1024).fill(byte)), (errno) => new Error(errno)),
          Effect.sync(opened.close)
        )
      ),
    read: (image) =>
      Effect.map(
        Effect.orDieWith(cluster.read(image, 0, 1), (errno) => new Error(errno)),
        (read) => read[0] ?? -1
      ),
    start: (image) => Effect.sync(() => Either.getOrUndefined(cluster.read(image, 0, 64 * 1024)))
  }
})

export const world = RbdWorld.layer({ host: here, elsewhere, unreachable, silent, bytes })
