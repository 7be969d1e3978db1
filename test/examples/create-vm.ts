/**
 * A program of one's own: choose layers, create a VM, look at it, remove it.
 *
 * It runs on doubles in memory; on real machines, provide `AppLive.layer({ fleet, database })` over `SshLive.layer(…)` instead, and nothing else changes.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Hosts, Ids, Vms } from "vmfabric"
import { AppTest } from "vmfabric/layers"

const program = Effect.gen(function* () {
  const vms = yield* Vms.Vms
  const hosts = yield* Hosts.Hosts
  const vm = yield* vms.create({ name: "hello", instanceType: Ids.InstanceTypeId.make(1) })
  const { free, host } = yield* hosts.get(vm.hostId)
  yield* Console.log(`${vm.name} is ${vm.state} on ${host.name}, which has ${free.ram} MiB left`)
  yield* vms.destroy(vm.id)
})

program.pipe(
  Effect.catchTag("NoFeasibleHost", (refusal) => Console.error(refusal.message)),
  Effect.provide(AppTest.layer),
  NodeRuntime.runMain
)
