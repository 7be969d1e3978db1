/**
 * A VM that gets another size on a real host, as its guest sees it from inside.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { HostId, InstanceTypeId } from "../../src/domain/Ids.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { guestReady, inGuest, wipeHost } from "./Client.ts"
import { app, host } from "./FirstHost.ts"
import * as Lab from "./Lab.ts"

/** How many processors the guest has, and MiB of memory that its kernel manages. */
const sizeInside = (id: number) =>
  Effect.map(inGuest(host, id, "grep -c ^processor /proc/cpuinfo; grep MemTotal /proc/meminfo"), (text) => [
    Number.parseInt(text, 10),
    Number(/MemTotal: +([0-9]+) kB/.exec(text)?.[1]) / 1024
  ])

describe("another size on a real host", () => {
  it.live("is what the guest has after its next start, and is refused while it runs", () =>
    Effect.gen(function* () {
      yield* wipeHost(host)
      yield* Effect.gen(function* () {
        yield* (yield* HostMonitor).awaitUp(HostId.make(1)).pipe(Effect.timeout("300 seconds"))
        const vms = yield* Vms
        const { id } = yield* Effect.acquireRelease(
          vms.create({ name: "web", instanceType: InstanceTypeId.make(1) }),
          ({ id }) => Effect.orDie(vms.destroy(id))
        )
        yield* guestReady(host, id)
        const [, before = 0] = yield* sizeInside(id)
        const refused = yield* Effect.flip(vms.resize(id, InstanceTypeId.make(3)))
        assert.strictEqual(refused.message, `VM ${id} (web) is running: shut it down, and resize it then`)
        const power = yield* Power
        yield* power.shutDown(id, { within: 120 })
        yield* vms.resize(id, InstanceTypeId.make(3))
        const { applied, resources } = yield* vms.get(id)
        assert.deepStrictEqual(resources, { cpu: 2, ram: 512, disk: 1 })
        assert.deepStrictEqual(applied, { name: "web", cpu: 2, ram: 512 })
        yield* power.start(id)
        const reality = yield* Reality
        yield* Lab.eventually(
          "it runs, and nothing differs",
          Effect.map(reality.vm(id), ({ drift, seen }) => [seen?.power, ...drift.map(({ field }) => field)]),
          (now) => now.length === 1 && now[0] === "running",
          "60 seconds"
        )
        const [cpus, memory = 0] = yield* sizeInside(id)
        assert.strictEqual(cpus, 2)
        // the kernel keeps some of it for itself
        assert.isAbove(memory, before + 256)
        assert.isAtMost(memory, 512)
      }).pipe(Effect.scoped, Effect.provide(app))
    })
  )
})
