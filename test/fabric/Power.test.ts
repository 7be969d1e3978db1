/**
 * VMs that are turned on and off on a simulated fleet: what is wanted of them is kept, whatever guests and hosts do.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { vi } from "vitest"
import type * as AppLive from "../../layers/AppLive.ts"
import * as Ids from "../../src/domain/Ids.ts"
import type { Operation } from "../../src/domain/Operation.ts"
import { InstanceTypes } from "../../src/fabric/InstanceTypes.ts"
import { Nics } from "../../src/fabric/Nics.ts"
import { Power, type PowerError } from "../../src/fabric/Power.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Volumes } from "../../src/fabric/Volumes.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Operations } from "../../src/services/Operations.ts"
import * as Watching from "../observe/Watching.ts"
import * as World from "./World.ts"

vi.setConfig({ testTimeout: 60_000 })

const vmId = Ids.VmId.make(1)

/** One VM whose guest is up. */
const test = <E>(title: string, body: (world: World.Whole) => Effect.Effect<void, E, AppLive.App>) =>
  it.scopedLive(title, () =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 1 })
      yield* Effect.gen(function* () {
        const vms = yield* Vms
        yield* vms.create({ name: "web", instanceType: Ids.InstanceTypeId.make(1) })
        yield* up(world, 1)
        yield* body(world)
        yield* World.eventually(World.agree(world))
      }).pipe(Effect.provide(world.life))
    })
  )

const guest = (world: World.Whole) => world.hosts[0]!.guests()[0]

/** It has come up so often since it was given power. */
const up = (world: World.Whole, times: number) =>
  World.eventually(
    Effect.sync(() => {
      const lines = guest(world)?.serial ?? []
      assert.isAtLeast(lines.filter((line) => line.startsWith("GUEST READY")).length, times)
    })
  )

const wanted = Effect.flatMap(Vms, (vms) => Effect.map(vms.get(vmId), ({ state }) => state))

/** How the newest operation ended. */
const newest = Effect.flatMap(Operations, (operations) =>
  Effect.map(operations.list({ limit: 1 }), ([report]): Pick<Operation, "kind" | "state" | "outcome"> => {
    assert(report !== undefined)
    const { kind, outcome, state } = report.operation
    return { kind, state, outcome }
  })
)

/** What is told of it in the end: its power as it was seen, and what differs. */
const told = (power: string, drift: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const reality = yield* Reality
    yield* World.eventually(
      Effect.map(reality.vm(vmId), ({ drift: found, seen }) =>
        assert.deepStrictEqual(
          [seen?.power, ...found.map(({ field, seen, wanted }) => `${field}: ${wanted} → ${seen}`)],
          [power, ...drift]
        )
      )
    )
  })

const refused = (effect: Effect.Effect<void, PowerError, Power>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.strictEqual(error._tag, "VmConflict")
    return error.message
  })

const power = <A, E>(use: (power: Power["Type"]) => Effect.Effect<A, E>) => Effect.flatMap(Power, use)

describe("the power of a VM", () => {
  test("a VM that was shut down is wanted to be stopped, and nothing is amiss with it until it is started", (world) =>
    Effect.gen(function* () {
      yield* power((it) => it.shutDown(vmId))
      assert.deepStrictEqual(yield* newest, {
        kind: "ShutDownVm",
        state: "done",
        outcome: "the guest shut itself down"
      })
      assert.isUndefined(guest(world))
      assert.strictEqual(yield* wanted, "stopped")
      yield* told("stopped")
      // what is promised to it stays promised, and it takes volumes
      const [usage] = yield* (yield* Inventory).hosts
      assert.deepInclude(usage, { vms: 1, promised: { cpu: 1, ram: 1024, disk: 1 } })
      const volumes = yield* Volumes
      const { id } = yield* volumes.create({ name: "data", size: 1 })
      yield* volumes.attach(id, vmId)
      yield* power((it) => it.shutDown(vmId))
      assert.strictEqual((yield* newest).outcome, "the guest shut itself down")
      yield* power((it) => it.start(vmId))
      assert.deepStrictEqual(yield* newest, { kind: "StartVm", state: "done", outcome: null })
      yield* up(world, 1)
      assert.deepStrictEqual(
        guest(world)?.disks.map(({ serial }) => serial),
        ["vm-1-root", "volume-1"]
      )
      assert.strictEqual(yield* wanted, "running")
      yield* told("running")
      yield* power((it) => it.start(vmId))
      assert.strictEqual((yield* newest).outcome, "it ran already")
    }))

  test("the power is taken from a guest that ignores its button, unless that is not wanted", (world) =>
    Effect.gen(function* () {
      yield* world.hosts[0]!.faults.ignorePowerButton("vm-1", true)
      const error = yield* Effect.flip(power((it) => it.shutDown(vmId, { within: 1, force: false })))
      assert.strictEqual(
        error.message,
        "the guest of vm-1 has not shut down within 1 second although it was asked to: shut it down from inside, try again, or power it off"
      )
      assert.strictEqual(yield* wanted, "running")
      yield* told("running")
      yield* power((it) => it.reboot(vmId, { within: 1 }))
      const outcome = "its guest had not started anew within 1 second, so it was reset"
      assert.deepStrictEqual(yield* newest, { kind: "RebootVm", state: "done", outcome })
      yield* up(world, 2)
      yield* power((it) => it.shutDown(vmId, { within: 1 }))
      assert.deepStrictEqual(yield* newest, {
        kind: "ShutDownVm",
        state: "done",
        outcome: "its guest had not shut down within 1 second, so its power was taken"
      })
      assert.strictEqual(yield* wanted, "stopped")
      yield* told("stopped")
    }))

  test("one whose host does not take or give power is started with its host, or not, as before", (world) =>
    Effect.gen(function* () {
      const { faults, state } = world.hosts[0]!
      const starts = () => [...state.domains.values()].map(({ autostart }) => autostart)
      const denied = Effect.fnUntraced(function* (
        procedure: "DOMAIN_DESTROY" | "DOMAIN_CREATE_WITH_FLAGS" | "DOMAIN_SET_AUTOSTART",
        use: (power: Power["Type"]) => Effect.Effect<void, { readonly message: string }>
      ) {
        const before = starts()
        // of this it is undone what was refused and has been done all the same
        const effect = procedure === "DOMAIN_SET_AUTOSTART"
        yield* faults.fail(procedure, { code: 1, message: "no more pixie dust", nth: 1, effect })
        assert.include((yield* Effect.flip(power(use))).message, "no more pixie dust")
        const asBefore = Effect.sync(() => assert.deepStrictEqual(starts(), before))
        // else at once, and not when somebody has seen that it is not so
        yield* effect ? World.eventually(asBefore) : asBefore
      })
      yield* Effect.flatMap(Vms, (vms) => Effect.orDie(vms.change(vmId, { autostart: true })))
      yield* denied("DOMAIN_DESTROY", (it) => it.powerOff(vmId))
      yield* faults.ignorePowerButton("vm-1", true)
      yield* denied("DOMAIN_DESTROY", (it) => it.shutDown(vmId, { within: 1 }))
      yield* told("running")
      yield* denied("DOMAIN_SET_AUTOSTART", (it) => it.powerOff(vmId))
      yield* power((it) => it.start(vmId))
      yield* faults.ignorePowerButton("vm-1", true)
      yield* denied("DOMAIN_SET_AUTOSTART", (it) => it.shutDown(vmId, { within: 1 }))
      yield* power((it) => it.powerOff(vmId))
      yield* denied("DOMAIN_CREATE_WITH_FLAGS", (it) => it.start(vmId))
      yield* told("stopped")
      yield* denied("DOMAIN_SET_AUTOSTART", (it) => it.start(vmId))
      yield* power((it) => it.start(vmId))
    }))

  test("a slow guest is waited for", (world) =>
    Effect.gen(function* () {
      yield* world.hosts[0]!.faults.slowToTurnOff("vm-1", "1500 millis")
      yield* power((it) => it.shutDown(vmId, { within: 20 }))
      assert.strictEqual((yield* newest).outcome, "the guest shut itself down")
    }))

  test("waiting for a guest to shut down can be cancelled, and it runs on", (world) =>
    Effect.gen(function* () {
      const operations = yield* Operations
      yield* world.hosts[0]!.faults.ignorePowerButton("vm-1", true)
      const fiber = yield* Effect.fork(power((it) => it.shutDown(vmId)))
      const asked = yield* World.eventually(
        Effect.flatMap(operations.list({ kind: "ShutDownVm", ended: false, limit: 1 }), ([report]) =>
          report?.progress?.step === "shut down" ? Effect.succeed(report.operation) : Effect.fail("not begun")
        )
      )
      yield* operations.cancel(asked.id)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(error.message, "it was cancelled")
      assert.strictEqual(yield* wanted, "running")
      assert.isFalse(guest(world)?.paused)
    }))

  test("an attach that is cancelled ends, though a paused guest cannot let go, and the VM goes on", (world) =>
    Effect.gen(function* () {
      const powers = yield* Power
      const operations = yield* Operations
      const volumes = yield* Volumes
      const nics = yield* Nics
      yield* powers.pause(vmId)
      const volume = yield* volumes.create({ name: "data", size: 1 })
      const cancelled = <A, E extends { readonly message: string }, R>(attach: Effect.Effect<A, E, R>, nth: number) =>
        Effect.gen(function* () {
          const { faults } = world.hosts[0]!
          const cancel = Effect.gen(function* () {
            const [report] = yield* operations.list({ ended: false, limit: 1 })
            yield* operations.cancel(report!.operation.id)
          })
          yield* faults.onCall("DOMAIN_ATTACH_DEVICE_FLAGS", "after", Effect.ignore(cancel), { nth })
          assert.strictEqual((yield* Effect.flip(attach)).message, "it was cancelled")
          const { outcome, state } = yield* newest
          assert.strictEqual(state, "failed")
          return outcome
        })
      assert.match(
        (yield* cancelled(volumes.attach(volume.id, vmId), 1)) ?? "",
        /^the volume stays attached: the guest of vm-1 does not let go of volume-1: it is paused/
      )
      assert.strictEqual((yield* volumes.get(volume.id)).vmId, vmId)
      assert.match((yield* cancelled(nics.attach(vmId, {}), 1)) ?? "", /^the NIC stays attached: .* it is paused/)
      assert.lengthOf(yield* Effect.map(nics.list(vmId), (all) => all.nics), 2)
      yield* World.eventually(World.agree(world))
      yield* powers.resume(vmId)
      assert.isFalse(guest(world)!.paused)
    }))

  test("a guest reboots when it is asked, and is reset and powered off without being asked", (world) =>
    Effect.gen(function* () {
      yield* power((it) => it.reboot(vmId))
      assert.strictEqual((yield* newest).outcome, "its guest started anew when it was asked to")
      yield* up(world, 2)
      assert.include(guest(world)?.serial.join("\n"), "GUEST POWEROFF")
      yield* power((it) => it.reset(vmId))
      yield* up(world, 3)
      yield* power((it) => it.powerOff(vmId))
      assert.isUndefined(guest(world))
      assert.strictEqual((yield* newest).outcome, null)
      yield* told("stopped")
      yield* power((it) => it.powerOff(vmId))
      assert.strictEqual((yield* newest).outcome, "it was off already: an operation powered it off")
      yield* power((it) => it.shutDown(vmId))
      assert.strictEqual((yield* newest).outcome, "an operation powered it off")
    }))

  test("what an operation has done is seen when it is done, and told as its own", (world) =>
    Effect.gen(function* () {
      const reality = yield* Reality
      const sight = Effect.map(reality.vm(vmId), ({ seen }) => [seen?.power, seen?.reason])
      const look = reality.look(Ids.HostId.make(1))
      for (const [ask, ...then] of [
        [(it: Power["Type"]) => it.pause(vmId), "paused", "paused by an operation"],
        [(it: Power["Type"]) => it.resume(vmId), "running", null],
        [(it: Power["Type"]) => it.powerOff(vmId), "stopped", "an operation powered it off"],
        [(it: Power["Type"]) => it.start(vmId), "running", null]
      ] as const) {
        yield* power(ask)
        assert.deepStrictEqual(yield* sight, then)
        // its host's own words do not say who it was
        yield* look
        assert.deepStrictEqual(yield* sight, then)
      }
      const [host] = world.hosts
      const vm = yield* Effect.flatMap(Vms, (vms) => vms.get(vmId))
      yield* Watching.virsh(host!, "DESTROY", vm)
      yield* told("stopped", ["power: running → stopped"])
      assert.deepStrictEqual(yield* sight, ["stopped", "somebody powered it off"])
      yield* power((it) => it.shutDown(vmId))
      assert.deepStrictEqual(yield* sight, ["stopped", "somebody powered it off"])
    }))

  test("a paused VM stays paused, and that is no difference, until it is resumed", (world) =>
    Effect.gen(function* () {
      yield* power((it) => it.pause(vmId))
      assert.isTrue(guest(world)?.paused)
      assert.strictEqual(yield* wanted, "paused")
      yield* told("paused")
      yield* power((it) => it.pause(vmId))
      const rebooted = yield* Effect.flip(power((it) => it.reboot(vmId)))
      assert.strictEqual(
        rebooted.message,
        "VM 1 (web) is paused, so its guest hears nothing: resume it first, or reset it"
      )
      const deaf = yield* Effect.flip(power((it) => it.shutDown(vmId)))
      assert.strictEqual(deaf._tag, "VmConflict")
      assert.include(deaf.message, "resume it first, or power it off")
      yield* power((it) => it.resume(vmId))
      assert.isFalse(guest(world)?.paused)
      yield* told("running")
      // a start resumes as well
      yield* power((it) => it.pause(vmId))
      yield* power((it) => it.start(vmId))
      assert.strictEqual((yield* newest).outcome, "it was paused, and goes on")
      assert.strictEqual(yield* wanted, "running")
    }))

  test("what makes no sense for a stopped VM is refused, with what does", () =>
    Effect.gen(function* () {
      yield* power((it) => it.powerOff(vmId))
      const { pause, reboot, reset, resume } = yield* Power
      for (const act of [reset(vmId), resume(vmId), pause(vmId)]) {
        assert.match(yield* refused(act), /^VM 1 \(web\) is stopped.*: start it/)
      }
      const error = yield* Effect.flip(reboot(vmId))
      assert.strictEqual(error.message, "VM 1 (web) is stopped: start it")
      const late = yield* Effect.flip(reboot(vmId, { within: 0 }))
      assert.strictEqual(late.message, "within is 0: expected a whole number of seconds from 1 to 3600")
      assert.strictEqual((yield* Effect.flip(pause(Ids.VmId.make(7))))._tag, "VmNotFound")
    }))

  test("one that was paused by an I/O error goes on when it is resumed, and that is told", (world) =>
    Effect.gen(function* () {
      yield* world.hosts[0]!.faults.ioError("vm-1")
      yield* told("paused", ["power: running → paused"])
      const error = yield* Effect.flip(power((it) => it.shutDown(vmId, { within: 5 })))
      assert.include(error.message, "failed to shut down vm-1: it is paused, so its guest hears nothing")
      yield* power((it) => it.resume(vmId))
      assert.strictEqual(
        (yield* newest).outcome,
        "it was paused by an I/O error, and will be again unless what led to that is mended"
      )
      yield* told("running")
    }))

  test("what somebody does with a stopped VM by hand is told, and not undone", (world) =>
    Effect.gen(function* () {
      const host = world.hosts[0]!
      const vm = yield* Effect.flatMap(Vms, (vms) => vms.get(vmId))
      yield* power((it) => it.powerOff(vmId))
      yield* Watching.virsh(host, "CREATE", vm)
      yield* told("running", ["power: stopped → running"])
      yield* Effect.flatMap(Reality, (reality) => reality.repair(vmId))
      assert.isDefined(guest(world))
      yield* power((it) => it.powerOff(vmId))
      yield* told("stopped")
    }))

  test("one whose domain somebody has undefined says what helps, and a repair defines it anew while there is its root disk", (world) =>
    Effect.gen(function* () {
      const { state } = world.hosts[0]!
      const reality = yield* Reality
      const lost = power((it) => it.powerOff(vmId)).pipe(
        Effect.zipRight(Effect.sync(() => state.domains.clear())),
        Effect.zipRight(reality.look(Ids.HostId.make(1)))
      )
      yield* lost
      assert.match(
        (yield* Effect.flip(power((it) => it.start(vmId)))).message,
        /failed to start vm-1: it has no such domain: repair the VM, which defines it anew$/
      )
      yield* reality.repair(vmId)
      assert.deepStrictEqual(yield* newest, {
        kind: "RepairVm",
        state: "done",
        outcome: "vm-1 was gone, and was defined anew"
      })
      // it is wanted stopped
      assert.isUndefined(guest(world))
      yield* told("stopped")
      yield* power((it) => it.start(vmId))
      yield* up(world, 1)

      yield* lost
      const [path, root] = [...state.files.files].find(([path]) => path.endsWith("/vm-1-root.qcow2"))!
      state.files.files.delete(path)
      assert.match(
        (yield* Effect.flip(reality.repair(vmId))).message,
        /failed to open the root disk of vm-1: there is no vm-1-root.qcow2 in \S+: bring it back there, or destroy the VM and create another$/
      )
      assert.strictEqual(state.domains.size, 0)
      state.files.files.set(path, root)
      yield* reality.repair(vmId)
      yield* told("stopped")
    }))

  test("a stopped VM is not started when its host comes back, nor by a repair", (world) =>
    Effect.gen(function* () {
      const host = world.hosts[0]!
      yield* power((it) => it.shutDown(vmId))
      yield* host.faults.losePower
      yield* host.faults.bootAgain
      const reality = yield* Reality
      yield* World.eventually(reality.look(Ids.HostId.make(1)))
      yield* reality.repair(vmId)
      assert.isUndefined(guest(world))
      yield* told("stopped")
    }))
})

describe("resizing", () => {
  it.scopedLive("ends, though somebody undefines the domain meanwhile", () =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 1 })
      const [host] = world.hosts
      yield* Effect.gen(function* () {
        const vms = yield* Vms
        const vm = yield* vms.create({ name: "a", instanceType: Ids.InstanceTypeId.make(1) })
        yield* Effect.flatMap(Power, (power) => power.powerOff(vm.id))
        const larger = yield* Effect.flatMap(InstanceTypes, (types) => types.create({ cpu: 2, ram: 2048, disk: 1 }))
        yield* host!.faults.onCall(
          "DOMAIN_DEFINE_XML_FLAGS",
          "before",
          Effect.sync(() => host!.state.domains.delete(vm.uuid))
        )
        yield* host!.faults.fail("DOMAIN_DEFINE_XML_FLAGS", { code: 1, message: "no" })
        assert.strictEqual((yield* Effect.flip(vms.resize(vm.id, larger.tid)))._tag, "OperationFailed")
        assert.deepStrictEqual(
          (yield* Effect.flatMap(Operations, ({ list }) => list({ ended: false, limit: 9 }))).map(
            ({ operation }) => operation.kind
          ),
          []
        )
        assert.strictEqual((yield* vms.get(vm.id)).resources.cpu, 1)
      }).pipe(Effect.provide(world.life))
    })
  )
})
