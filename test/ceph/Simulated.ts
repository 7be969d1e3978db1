/** A simulated cluster, a simulated host that has Ceph's commands, and everything Live that reaches it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CephLive from "../../layers/CephLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import * as Cluster from "../../src/simulator/Cluster.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import type { SimulatedHost } from "../../src/simulator/SimulatedHost.ts"
import { CephWorld } from "../contracts/CephContract.ts"

export class Simulated extends Context.Tag("test/SimulatedCeph")<
  Simulated,
  { readonly fleet: Fleet.Fleet; readonly host: SimulatedHost; readonly cluster: Cluster.Cluster }
>() {}

export const simulated = (options: Cluster.Options = {}) =>
  Layer.scoped(
    Simulated,
    Effect.gen(function* () {
      const cluster = yield* Cluster.make(options)
      const fleet = yield* Fleet.make({
        hosts: [{ hostname: "sim-1", ceph: cluster, cephCommands: cluster }, { hostname: "sim-2" }]
      })
      const [host] = fleet.hosts
      if (host === undefined) return yield* Effect.dieMessage("a fleet without hosts")
      return { fleet, host, cluster }
    })
  )

export const ssh = Layer.unwrapEffect(Effect.map(Simulated, ({ fleet }) => SimulatedFleet.layerSsh(fleet)))

export const options: CephLive.Options = {
  pool: "vms",
  client: "libvirt",
  conf: "/etc/ceph/ceph.conf",
  host: { user: "root", host: "sim-1", port: 22 }
}

/** `Ceph | Ssh | Simulated` */
export const cephWith = (change: Partial<CephLive.Options> = {}, settings: Partial<CephLive.Settings> = {}) =>
  CephLive.layer({ ...options, ...change }, settings).pipe(Layer.provideMerge(ssh), Layer.provideMerge(simulated()))

export const ceph = cephWith()

/** For the contract: what a guest would do with an image. */
export const world = Layer.effect(
  CephWorld,
  Effect.gen(function* () {
    const { cluster } = yield* Simulated
    const opened = (image: string) =>
      Effect.acquireRelease(
        Effect.suspend(() => cluster.openForWriting(image, "192.0.2.9:0/17")),
        (open) => Effect.sync(open.close)
      )
    return {
      read: (image, offset, length) => Effect.orDie(Effect.suspend(() => cluster.read(image, offset, length))),
      write: (image, offset, bytes) =>
        opened(image).pipe(
          Effect.flatMap((open) => open.write(offset, bytes)),
          Effect.scoped,
          Effect.orDie
        ),
      hold: (image) => Effect.orDie(Effect.asVoid(opened(image)))
    }
  })
)
