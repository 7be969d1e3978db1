/**
 * Volumes in a program of one's own: make one, give it to a VM, keep its content as a snapshot, and make another one from that.
 *
 * On doubles in memory; on real machines provide `AppLive.layer({ fleet, database, ceph })` instead.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Ids, Vms, Volumes } from "vmfabric"
import { AppTest } from "vmfabric/layers"

const program = Effect.gen(function* () {
  const vms = yield* Vms.Vms
  const volumes = yield* Volumes.Volumes
  const vm = yield* vms.create({ name: "hello", instanceType: Ids.InstanceTypeId.make(1) })
  const data = yield* volumes.create({ name: "data", size: 10 })
  const attached = yield* volumes.attach(data.id, vm.id)
  yield* Console.log(`${attached.name} is ${attached.state} to ${vm.name}, which finds it as virtio-${attached.serial}`)
  yield* volumes.detach(data.id)
  const before = yield* volumes.snapshot(data.id, "before")
  const copy = yield* volumes.create({ name: "copy", source: before.id })
  yield* Console.log(`${copy.name} has ${copy.size} GiB and is ${copy.state}`)
})

program.pipe(
  Effect.catchTag("VolumeConflict", (refusal) => Console.error(refusal.message)),
  Effect.provide(AppTest.layer),
  NodeRuntime.runMain
)
