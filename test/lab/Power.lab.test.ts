/**
 * VMs turned on and off on a real host, as their guests see it: what they print on their console, and what their clocks say.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { HostId, InstanceTypeId, type VmId } from "../../src/domain/Ids.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Operations } from "../../src/services/Operations.ts"
import { guestReady, inGuest, wipeHost } from "./Client.ts"
import { app, host } from "./FirstHost.ts"
import * as Lab from "./Lab.ts"

/** A VM whose guest is up; gone in the end. */
const vm = Effect.gen(function* () {
  yield* (yield* HostMonitor).awaitUp(HostId.make(1)).pipe(Effect.timeout("300 seconds"))
  const vms = yield* Vms
  const made = yield* Effect.acquireRelease(
    vms.create({ name: "web", instanceType: InstanceTypeId.make(1) }),
    ({ id }) => Effect.orDie(vms.destroy(id))
  )
  yield* guestReady(host, made.id)
  return made
})

const consoleOf = (id: VmId) => Lab.lab("guest-log", host, `vm-${id}`)
const count = (text: string, line: string) => text.split(line).length - 1
const ready = (id: VmId, times: number) =>
  Lab.eventually("the guest is up", consoleOf(id), (text) => count(text, "GUEST READY") >= times, "180 seconds")

const outcome = Effect.flatMap(Operations, (operations) =>
  Effect.map(operations.list({ limit: 1 }), ([report]) => report?.operation.outcome)
)

const told = (id: VmId, power: string) =>
  Effect.flatMap(Reality, (reality) =>
    Lab.eventually(
      `it is seen ${power}, and nothing differs`,
      Effect.map(reality.vm(id), ({ drift, seen }) => [seen?.power, ...drift.map(({ field }) => field)]),
      (now) => now.length === 1 && now[0] === power,
      "60 seconds"
    )
  )

describe("the power of a VM on a real host", () => {
  it.live("guests obey their power button, are reset and powered off, and each start is seen in their console", () =>
    Effect.gen(function* () {
      yield* wipeHost(host)
      yield* Effect.gen(function* () {
        const { id } = yield* vm
        const power = yield* Power
        yield* power.reboot(id, { within: 120 })
        assert.strictEqual(yield* outcome, "its guest started anew when it was asked to")
        yield* ready(id, 2)
        assert.strictEqual(count(yield* consoleOf(id), "GUEST POWEROFF"), 1)
        yield* power.reset(id)
        yield* ready(id, 3)
        yield* power.shutDown(id, { within: 120 })
        assert.strictEqual(yield* outcome, "the guest shut itself down")
        assert.strictEqual(count(yield* consoleOf(id), "GUEST POWEROFF"), 2)
        yield* told(id, "stopped")
        yield* power.start(id)
        yield* ready(id, 4)
        yield* told(id, "running")
        // just begun anew it hears nothing: its power is taken
        yield* power.reset(id)
        yield* power.shutDown(id, { within: 1 })
        assert.strictEqual(yield* outcome, "its guest had not shut down within 1 second, so its power was taken")
        assert.strictEqual(count(yield* consoleOf(id), "GUEST POWEROFF"), 2)
        yield* told(id, "stopped")
        yield* power.start(id)
        yield* power.powerOff(id)
        yield* told(id, "stopped")
      }).pipe(Effect.scoped, Effect.provide(app))
    })
  )

  it.live("a host that boots starts what is to start with it, with nobody there, and a new name is seen by virsh", () =>
    Effect.gen(function* () {
      yield* wipeHost(host)
      yield* Effect.gen(function* () {
        const { id } = yield* vm
        const vms = yield* Vms
        yield* vms.change(id, { name: "front <1>", autostart: true })
        const title = Lab.onHost(host, "virsh", "-q", "desc", "--title", `vm-${id}`)
        assert.strictEqual((yield* title).trim(), "front <1>")
        yield* Lab.lab("power-off", host)
        yield* Lab.lab("power-on", host)
        yield* ready(id, 2)
        assert.strictEqual((yield* title).trim(), "front <1>")
        yield* told(id, "running")
        // one that was stopped on purpose stays off
        yield* (yield* Power).shutDown(id, { within: 120 })
        yield* Lab.lab("power-off", host)
        yield* Lab.lab("power-on", host)
        yield* Lab.eventually(
          "its libvirt answers",
          Lab.onHost(host, "virsh", "-q", "list", "--all", "--name").pipe(Effect.orElseSucceed(() => "")),
          (text) => text.includes(`vm-${id}`)
        )
        assert.notInclude(yield* Lab.onHost(host, "virsh", "-q", "list", "--name"), `vm-${id}`)
        yield* told(id, "stopped")
      }).pipe(Effect.scoped, Effect.provide(app))
    })
  )

  it.live("the clock of a paused guest stands, and goes on when it is resumed", () =>
    Effect.gen(function* () {
      yield* wipeHost(host)
      yield* Effect.gen(function* () {
        const { id } = yield* vm
        const power = yield* Power
        const uptime = Effect.map(inGuest(host, id, "cut -d. -f1 /proc/uptime"), Number)
        const before = yield* uptime
        yield* power.pause(id)
        yield* told(id, "paused")
        // it is time itself that is to pass for everybody else
        yield* Effect.sleep("12 seconds")
        yield* power.resume(id)
        yield* told(id, "running")
        const after = yield* uptime
        assert.isAtLeast(after, before)
        assert.isBelow(after, before + 10)
        assert.strictEqual(count(yield* consoleOf(id), "GUEST READY"), 1)
      }).pipe(Effect.scoped, Effect.provide(app))
    })
  )
})
