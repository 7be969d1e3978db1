/**
 * A scheduler of one's own: VMs go to the host with the highest name that has room, whatever else runs there.
 *
 * Everything else is the real controller, over hosts in memory; on real machines, give `AppLive.layerOver` its `drivers` and its `persistence`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Errors, Hosts, Ids, Scheduler, Vms } from "vmfabric"
import { AppLive, AppTest, HypervisorTest, ImageLibraryTest, StorageTest } from "vmfabric/layers"

const room = 4

const highestFirst = Layer.succeed(Scheduler.Scheduler, {
  place: ({ exclude }, candidates) =>
    Effect.suspend(() => {
      const whyNot = ({ host, status, vms }: Scheduler.Candidate) => {
        if (status._tag !== "Up") return "it does not answer"
        if (host.maintenance) return "it is in maintenance"
        return vms < room ? exclude.get(host.id) : `it has ${room} VMs already`
      }
      const [best] = candidates
        .filter((candidate) => whyNot(candidate) === undefined)
        .sort((one, other) => (one.host.name < other.host.name ? 1 : -1))
      return best === undefined
        ? new Errors.NoFeasibleHost({
            refusals: candidates.map((one) => ({
              hostId: one.host.id,
              host: one.host.name,
              reason: whyNot(one) ?? "it has room"
            }))
          })
        : Effect.succeed(best.host.id)
    })
})

const app = AppLive.layerOver({
  fleet: AppTest.fleet,
  persistence: AppTest.persistence,
  drivers: Layer.merge(HypervisorTest.layer, StorageTest.layer).pipe(
    Layer.provideMerge(ImageLibraryTest.layer({ "/images/test.raw": new Uint8Array(8192) }))
  ),
  scheduler: highestFirst
})

const program = Effect.gen(function* () {
  const vms = yield* Vms.Vms
  const hosts = yield* Hosts.Hosts
  for (let number = 1; number <= room + 1; number += 1) {
    const vm = yield* vms.create({ name: `vm-${number}`, instanceType: Ids.InstanceTypeId.make(1) })
    const { host } = yield* hosts.get(vm.hostId)
    yield* Console.log(`${vm.name} is on ${host.name}`)
  }
})

program.pipe(Effect.provide(app), NodeRuntime.runMain)
