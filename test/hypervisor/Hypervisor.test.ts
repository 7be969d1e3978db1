import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as HypervisorTest from "../../layers/HypervisorTest.ts"
import { DomainUuid, OperationId, VmId } from "../../src/domain/Ids.ts"
import { type DomainNic, Hypervisor } from "../../src/services/Hypervisor.ts"
import { type Attachable, hypervisorContract } from "../contracts/HypervisorContract.ts"
import { host, world } from "./TestWorld.ts"

hypervisorContract("in memory", world.pipe(Layer.provideMerge(HypervisorTest.layer)))

const here = host("a")
const vm = { uuid: DomainUuid.make("7b2f6e0a-6a5e-4a53-9d0c-3f1d2b7c9a07"), domainName: "vm-7" }
const nic: DomainNic = {
  alias: "ua-nic-1",
  mac: "52:54:00:12:34:07",
  source: { kind: "libvirt", name: "default" },
  model: "virtio",
  link: "up"
}

const defined = Effect.gen(function* () {
  const hypervisor = yield* Hypervisor
  const state = yield* HypervisorTest.HypervisorTestState
  yield* hypervisor.define(here, {
    ...vm,
    vmId: VmId.make(7),
    title: "web",
    resources: { cpu: 1, ram: 128, disk: 1 },
    nics: [nic],
    root: { _tag: "File", path: "/vm-7-root.qcow2", format: "qcow2", serial: "vm-7-root" },
    operationId: OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b")
  })
  return { hypervisor, state }
})

describe("a guest in memory", () => {
  it.effect("that does not let go keeps its disk, until it does", () =>
    Effect.gen(function* () {
      const { hypervisor, state } = yield* defined
      const told = yield* Queue.unbounded<string>()
      yield* hypervisor.changes(here).pipe(
        Stream.runForEach(({ change, device }) => Queue.offer(told, `${change} ${device}`)),
        Effect.forkScoped
      )
      yield* hypervisor
        .start(here, vm)
        .pipe(
          Effect.zipRight(hypervisor.powerOff(here, vm)),
          Effect.zipRight(Effect.yieldNow()),
          Effect.repeat({ until: () => Effect.map(Queue.size(told), (waiting) => waiting > 0) })
        )
      yield* hypervisor.start(here, vm)
      const disk: Attachable = {
        alias: "ua-volume-1",
        target: "vdb",
        source: { _tag: "File", path: "/volume-1.qcow2", format: "qcow2", serial: "volume-1" }
      }
      const presence = Effect.map(hypervisor.diskPresence(here, vm, disk), Option.getOrThrow)
      yield* hypervisor.attachDisk(here, vm, disk)
      yield* state.setHolding(here, vm.uuid, true)
      const error = yield* Effect.flip(hypervisor.detachDisk(here, vm, disk))
      assert.strictEqual(error._tag, "GuestHoldsDevice")
      assert.match(error.message, /^the guest of vm-7 does not let go of volume-1: it was asked for 20 seconds: let /)
      assert.deepStrictEqual(yield* presence, { live: true, persistent: true })
      yield* state.setHolding(here, vm.uuid, false)
      assert.deepStrictEqual(yield* presence, { live: false, persistent: true })
      yield* Effect.repeat(Queue.take(told), { until: (change) => change === "device-removed ua-volume-1" })
      yield* hypervisor.detachDisk(here, vm, disk)
      assert.deepStrictEqual(yield* presence, { live: false, persistent: false })
      yield* hypervisor.attachDisk(here, vm, disk)
      yield* hypervisor.detachDisk(here, vm, disk)
      assert.deepStrictEqual(yield* presence, { live: false, persistent: false })
    }).pipe(Effect.scoped, Effect.provide(HypervisorTest.layer))
  )

  it.effect("that has shut itself down holds nothing", () =>
    Effect.gen(function* () {
      const { hypervisor, state } = yield* defined
      yield* hypervisor.start(here, vm)
      yield* state.setHolding(here, vm.uuid, true)
      assert.strictEqual((yield* Effect.flip(hypervisor.detachNic(here, vm, nic)))._tag, "GuestHoldsDevice")
      yield* hypervisor.shutDown(here, vm, "1 second")
      yield* hypervisor.detachNic(here, vm, nic)
      const presence = yield* hypervisor.nicPresence(here, vm, nic)
      assert.deepStrictEqual(presence, Option.some({ live: null, persistent: false }))
    }).pipe(Effect.provide(HypervisorTest.layer))
  )
})
