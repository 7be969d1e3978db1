/**
 * What is said of VMs, and what of it their domains are told, on a simulated fleet.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import type * as AppLive from "../../layers/AppLive.ts"
import * as Ids from "../../src/domain/Ids.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import * as Domains from "../../src/simulator/Domains.ts"
import * as World from "./World.ts"

vi.setConfig({ testTimeout: 60_000 })

const vmId = Ids.VmId.make(1)

const test = <E>(title: string, body: (world: World.Whole) => Effect.Effect<void, E, AppLive.App>) =>
  it.scopedLive(title, () =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 1 })
      yield* body(world).pipe(Effect.zipRight(World.eventually(World.agree(world))), Effect.provide(world.life))
    })
  )

const vms = <A, E>(use: (vms: Vms["Type"]) => Effect.Effect<A, E>) => Effect.flatMap(Vms, use)
const create = (more: object = {}) =>
  vms((it) => it.create({ name: "web", instanceType: Ids.InstanceTypeId.make(1), ...more }))
const domain = (world: World.Whole) => [...world.hosts[0]!.state.domains.values()][0]!
const titles = (world: World.Whole) =>
  [0, 2].map((flags) => /<title>(.*)<\/title>/.exec(Domains.xmlOf(domain(world), flags))?.[1])

/** What differs in the end. */
const drift = (...expected: ReadonlyArray<string>) =>
  Effect.flatMap(Reality, (reality) =>
    World.eventually(
      Effect.map(reality.vm(vmId), ({ drift }) =>
        assert.deepStrictEqual(
          drift.map(({ field, seen, wanted }) => `${field}: ${wanted} → ${seen}`),
          expected
        )
      )
    )
  )

describe("what is said of a VM", () => {
  test("a new name is its domain's title at once, also while it runs", (world) =>
    Effect.gen(function* () {
      yield* create()
      const after = yield* vms((it) => it.change(vmId, { name: "front <1>" }))
      assert.strictEqual(after.name, "front <1>")
      assert.deepStrictEqual(titles(world), ["front &lt;1&gt;", "front &lt;1&gt;"])
      yield* Effect.flatMap(Reality, (reality) => reality.look(Ids.HostId.make(1)))
      yield* drift()
      // a stopped one has it from its next start on
      yield* Effect.flatMap(Power, (power) => power.powerOff(vmId))
      yield* vms((it) => it.change(vmId, { name: "back" }))
      assert.deepStrictEqual(titles(world), ["back", "back"])
    }))

  test("a host that boots starts what is to start with it, and not what was stopped on purpose", (world) =>
    Effect.gen(function* () {
      const host = world.hosts[0]!
      const reality = yield* Reality
      const reboot = Effect.zipRight(host.faults.losePower, host.faults.bootAgain)
      const seen = (power: string) =>
        World.eventually(Effect.map(reality.vm(vmId), (report) => assert.strictEqual(report.seen?.power, power)))
      yield* create({ autostart: true })
      yield* reboot
      assert.lengthOf(host.guests(), 1)
      yield* seen("running")
      yield* Effect.flatMap(Power, (power) => power.shutDown(vmId))
      yield* reboot
      assert.lengthOf(host.guests(), 0)
      yield* World.eventually(Effect.flatMap(Power, (power) => power.start(vmId)))
      assert.isTrue(domain(world).autostart)
      yield* drift()
      // by hand it is a difference, which a repair mends
      domain(world).autostart = false
      yield* reality.look(Ids.HostId.make(1))
      yield* drift("autostart: on → off")
      yield* reality.repair(vmId)
      assert.isTrue(domain(world).autostart)
    }))

  test("a protected VM is not destroyed until that is lifted", () =>
    Effect.gen(function* () {
      yield* create({ protected: true })
      const error = yield* Effect.flip(vms((it) => it.destroy(vmId)))
      assert.strictEqual(
        error.message,
        'VM 1 (web) is protected against destruction: lift that first (PATCH /api/v1/vms/1 with {"protected":false}, or vmfabric vm set 1 --unprotect)'
      )
      assert.strictEqual((yield* vms((it) => it.get(vmId))).state, "running")
      yield* vms((it) => it.change(vmId, { protected: false }))
      yield* vms((it) => it.destroy(vmId))
    }))

  test("words have limits, and what goes beyond them is refused with the limit", () =>
    Effect.gen(function* () {
      yield* create({ labels: Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`k${index}`, "v"])) })
      const changes = [
        [{ tags: ["Web"] }, /tags has "Web": expected each to be 1 to 63 of a-z/],
        [{ tags: ["a", "a"] }, /tags has one twice/],
        [{ tags: Array.from({ length: 33 }, (_, index) => `t${index}`) }, /tags has 33: expected at most 32/],
        [{ labels: { one: "more" } }, /labels would be 65 with those that are there: expected at most 64/],
        [{ labels: { "a b": "" } }, /labels has the key "a b"/],
        [{ description: "x".repeat(4097) }, /description has 4097 characters: expected at most 4096/]
      ] as const
      for (const [change, message] of changes) {
        const error = yield* Effect.flip(vms((it) => it.change(vmId, change)))
        assert.strictEqual(error._tag, "InvalidArgument")
        assert.match(error.message, message)
      }
      const { labels } = yield* vms((it) => it.change(vmId, { labels: { k0: null, "vmfabric.org/team": "a=b" } }))
      assert.deepStrictEqual([labels["k0"], labels["vmfabric.org/team"]], [undefined, "a=b"])
    }))
})
