import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as HypervisorTest from "../../layers/HypervisorTest.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import { DomainUuid, HostId, OperationId, VmId } from "../../src/domain/Ids.ts"
import { type DomainRef, Hypervisor } from "../../src/services/Hypervisor.ts"
import {
  type Attachable,
  hypervisorContract,
  HypervisorWorld,
  type Side,
  volumeSize
} from "../contracts/HypervisorContract.ts"

const host = (name: string) =>
  new Host({ id: HostId.make(1), config: defaultConfig({ user: "root", host: name, port: 22 }), facts: null })

const world = Layer.effect(
  HypervisorWorld,
  Effect.gen(function* () {
    const state = yield* HypervisorTest.HypervisorTestState
    const here = host("a")
    const gone = host("gone")
    yield* state.setUnreachable(gone, "nothing listens there")
    const edit = (
      { uuid }: DomainRef,
      side: Side,
      change: (disks: ReadonlyArray<HypervisorTest.TestDisk>) => ReadonlyArray<HypervisorTest.TestDisk>
    ) =>
      state.update(here, (there) => {
        const domain = there.domains.get(uuid)!
        return { ...there, domains: new Map(there.domains).set(uuid, { ...domain, [side]: change(domain[side]) }) }
      })
    const become = ({ uuid }: DomainRef, now: Partial<HypervisorTest.TestDomain>, change: "suspended" | "stopped") =>
      Effect.flatMap(state.host(here), ({ domains }) => {
        const domain = domains.get(uuid)
        return domain === undefined ? Effect.void : state.put(here, uuid, { ...domain, ...now }, change)
      })
    return {
      host: here,
      unreachable: gone,
      network: "default",
      bridge: "br0",
      trunk: "br{vlan}",
      root: (vmId) =>
        Effect.succeed({
          _tag: "File",
          path: `/var/lib/vmfabric/vm-${vmId}-root.qcow2`,
          format: "qcow2",
          serial: `vm-${vmId}-root`
        }),
      seed: (vmId) =>
        Effect.succeed({
          _tag: "File",
          path: `/var/lib/vmfabric/vm-${vmId}-seed.iso`,
          format: "raw",
          serial: `vm-${vmId}-seed`
        }),
      dropSeed: () => Effect.void,
      dropRoot: () => Effect.void,
      defineForeign: ({ domainName, uuid }) =>
        state.put(here, uuid, HypervisorTest.domain({ uuid, name: domainName, spec: null }), "defined"),
      undefineForeign: ({ uuid }) => state.put(here, uuid, null, "undefined"),
      pause: (domain) => become(domain, { state: "paused", reason: "paused by somebody" }, "suspended"),
      kill: (domain) =>
        become(domain, { state: "crashed", reason: "its QEMU crashed or was killed", live: [], runs: null }, "stopped"),
      shutDown: (domain) =>
        become(domain, { state: "shutoff", reason: "the guest shut itself down", live: [], runs: null }, "stopped"),
      edit: ({ uuid }, { title, ...resources }) =>
        state.update(here, (there) => {
          const domain = there.domains.get(uuid)!
          const spec = { ...domain.spec!, title, resources: { ...domain.spec!.resources, ...resources } }
          return { ...there, domains: new Map(there.domains).set(uuid, { ...domain, spec }) }
        }),
      titleOf: ({ uuid }) => Effect.map(state.host(here), ({ domains }) => domains.get(uuid)?.spec?.title),
      booted: ({ uuid }, times = 1) =>
        Effect.map(state.host(here), ({ domains }) => assert.isAtLeast((domains.get(uuid)?.boots ?? 0) + 1, times)),
      deafen: ({ uuid }) =>
        state.update(here, (there) => {
          const domain = there.domains.get(uuid)!
          return { ...there, domains: new Map(there.domains).set(uuid, { ...domain, deaf: true }) }
        }),
      volume: (serial) =>
        Effect.succeed({ _tag: "File", path: `/var/lib/vmfabric/${serial}.qcow2`, format: "qcow2", serial }),
      dropVolume: () => Effect.void,
      plug: (domain, disk, side) => edit(domain, side, (disks) => [...disks, { ...disk, size: null }]),
      unplug: (domain, disk, side) => edit(domain, side, (disks) => disks.filter(({ alias }) => alias !== disk.alias)),
      sizeOf: ({ uuid }, disk) =>
        Effect.map(
          state.host(here),
          ({ domains }) => domains.get(uuid)?.live.find(({ alias }) => alias === disk.alias)?.size ?? volumeSize
        )
    }
  })
)

hypervisorContract("in memory", world.pipe(Layer.provideMerge(HypervisorTest.layer)))

describe("a guest in memory", () => {
  it.effect("that does not let go keeps its disk, until it does", () =>
    Effect.gen(function* () {
      const hypervisor = yield* Hypervisor
      const state = yield* HypervisorTest.HypervisorTestState
      const here = host("a")
      const vm = { uuid: DomainUuid.make("7b2f6e0a-6a5e-4a53-9d0c-3f1d2b7c9a07"), domainName: "vm-7" }
      yield* hypervisor.define(here, {
        ...vm,
        vmId: VmId.make(7),
        title: "web",
        resources: { cpu: 1, ram: 128, disk: 1 },
        nics: [
          {
            alias: "ua-nic-1",
            mac: "52:54:00:12:34:07",
            source: { kind: "libvirt", name: "default" },
            model: "virtio",
            link: "up"
          }
        ],
        root: { _tag: "File", path: "/vm-7-root.qcow2", format: "qcow2", serial: "vm-7-root" },
        operationId: OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b")
      })
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
})
