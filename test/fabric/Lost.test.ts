/**
 * A host that never comes back, and is declared lost: nothing waits for it any more.
 */
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Ids from "../../src/domain/Ids.ts"
import { Hosts } from "../../src/fabric/Hosts.ts"
import { Inspections } from "../../src/fabric/Inspections.ts"
import { Nics } from "../../src/fabric/Nics.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Volumes } from "../../src/fabric/Volumes.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Operations } from "../../src/services/Operations.ts"
import { assert } from "../check/Equality.ts"
import * as World from "./World.ts"

const type = Ids.InstanceTypeId.make(1)
const first = Ids.HostId.make(1)

/** On the host that has most room: with two of them on one after the other, beginning with the first. */
const create = (name: string) => Effect.flatMap(Vms, (vms) => vms.create({ name, instanceType: type }))

const declare = (lost: boolean) => Effect.flatMap(Hosts, (hosts) => hosts.change(first, { lost }))

/** A machine whose power is gone says nothing, which is noticed after half a minute at most. */
const becomes = (tag: string) =>
  Effect.flatMap(Hosts, (hosts) =>
    Effect.map(hosts.get(first), ({ status }) => assert.strictEqual(status._tag, tag)).pipe(
      Effect.sandbox,
      Effect.retry(Schedule.upTo(Schedule.spaced("100 millis"), "5 minutes")),
      Effect.unsandbox
    )
  )

const noneLeft = Effect.gen(function* () {
  const { list } = yield* Operations
  const left = (yield* list({ ended: false, limit: 100 })).map(({ operation }) => operation.kind)
  assert.deepStrictEqual(left, [], "what is still under way")
})

describe("a host that is declared lost", () => {
  it.live("ends what waits for it: its VMs can be destroyed, and nothing is promised there any more", () =>
    World.virtually(
      Effect.gen(function* () {
        const world = yield* World.make({ hosts: 2, transport: "memory" })
        yield* Effect.gen(function* () {
          const vms = yield* Vms
          const hosts = yield* Hosts
          const volumes = yield* Volumes
          const waiting = yield* create("waiting")
          const other = yield* create("other")
          const later = yield* create("later")
          assert.deepStrictEqual([waiting.hostId, other.hostId, later.hostId], [1, 2, 1])
          const volume = yield* volumes.create({ name: "data", size: 1 })
          yield* volumes.attach(volume.id, later.id)
          yield* world.hosts[0]!.faults.losePower
          const told = yield* Effect.flip(vms.destroy(waiting.id))
          assert.match(told.message, /; it goes on when the host answers again, or is declared lost$/)
          yield* becomes("Down")

          const report = yield* declare(true)
          assert.strictEqual(report.status._tag, "Lost")
          yield* World.eventually(noneLeft)
          assert.deepStrictEqual(
            (yield* vms.list()).map(({ name }) => name),
            ["other", "later"]
          )

          const start = yield* Effect.flip(Effect.flatMap(Power, (power) => power.reset(later.id)))
          assert.match(start.message, /it is declared lost/)
          const look = yield* Effect.flip(Effect.flatMap(Inspections, (inspections) => inspections.xml(later.id)))
          assert.match(look.message, /it is declared lost/)
          assert.strictEqual((yield* create("elsewhere")).hostId, other.hostId)

          yield* volumes.detach(volume.id)
          yield* volumes.destroy(volume.id)
          yield* volumes.purge(volume.id)
          yield* vms.destroy(later.id)
          const emptied = yield* hosts.get(first)
          assert.deepStrictEqual(
            { promised: emptied.promised, vms: emptied.vms },
            { promised: { cpu: 0, ram: 0, disk: 0 }, vms: 0 }
          )
          yield* noneLeft
        }).pipe(Effect.provide(world.life))
      })
    )
  )

  it.live("is one that is down, and no other", () =>
    World.virtually(
      Effect.gen(function* () {
        const world = yield* World.make({ hosts: 1, transport: "memory" })
        yield* Effect.gen(function* () {
          yield* becomes("Up")
          const error = yield* Effect.flip(declare(true))
          assert.strictEqual(
            error.message,
            "host root@sim-1 cannot be declared lost while it is up: take its power away, and wait until it is down"
          )
          assert.isNull((yield* Effect.flatMap(Hosts, (hosts) => hosts.get(first))).host.lostAt)
        }).pipe(Effect.provide(world.life))
      })
    )
  )

  it.live(
    "is left alone, by the next controller too, until that is taken back; then what was destroyed meanwhile is removed there",
    () =>
      World.virtually(
        Effect.gen(function* () {
          const world = yield* World.make({ hosts: 1, transport: "memory" })
          const [host] = world.hosts
          const kept = yield* Effect.gen(function* () {
            const gone = yield* create("gone")
            const kept = yield* create("kept")
            yield* host!.faults.losePower
            yield* becomes("Down")
            yield* declare(true)
            yield* Effect.flatMap(Vms, (vms) => vms.destroy(gone.id))
            return kept
          }).pipe(Effect.provide(world.life))
          yield* host!.faults.bootAgain
          yield* Effect.gen(function* () {
            yield* Effect.flatMap(HostMonitor, ({ settled }) => settled)
            yield* Effect.sleep("10 minutes")
            yield* becomes("Lost")
            assert.strictEqual(host!.connections(), 0, "who is connected to it")
            assert.lengthOf(World.remains(world).domains, 2, "domains there")

            yield* declare(false)
            yield* becomes("Up")
            yield* World.eventually(
              Effect.sync(() => assert.deepStrictEqual(World.remains(world).domains, [kept.domainName]))
            )
            yield* World.eventually(noneLeft)
            yield* Effect.flatMap(Power, (power) => power.start(kept.id))
            yield* World.eventually(World.agree(world))
          }).pipe(Effect.provide(world.life))
        })
      )
  )

  it.live("that was only cut off keeps what it has open in the pool, until it is dead", () =>
    World.virtually(
      Effect.gen(function* () {
        const world = yield* World.make({ hosts: 2, ceph: true, transport: "memory" })
        const [host] = world.hosts
        yield* Effect.gen(function* () {
          const vms = yield* Vms
          const volumes = yield* Volumes
          const inventory = yield* Inventory
          const vm = yield* create("cut off")
          const other = yield* create("other")
          const volume = yield* volumes.create({ name: "data", size: 1 })
          yield* volumes.attach(volume.id, vm.id)
          yield* host!.faults.cutNetwork
          yield* becomes("Down")
          const detached = yield* Effect.fork(Effect.either(volumes.detach(volume.id)))
          yield* declare(true)
          yield* Fiber.join(detached)
          yield* World.eventually(noneLeft)
          assert.strictEqual((yield* volumes.get(volume.id)).state, "available")

          const taken = yield* Effect.flip(volumes.attach(volume.id, other.id))
          assert.match(taken.message, /is open on /)
          yield* Effect.either(vms.destroy(vm.id))
          assert.strictEqual((yield* inventory.vm(vm.id)).state, "destroying", "its guest still has its disk open")

          yield* host!.faults.losePower
          yield* volumes.attach(volume.id, other.id)
          yield* World.eventually(
            Effect.map(vms.list(), (all) =>
              assert.deepStrictEqual(
                all.map(({ name }) => name),
                ["other"]
              )
            )
          )
          yield* host!.faults.mendNetwork
          yield* host!.faults.bootAgain
          yield* declare(false)
          yield* becomes("Up")
          yield* World.eventually(noneLeft)
          yield* World.eventually(World.agree(world))
        }).pipe(Effect.provide(world.life))
      })
    )
  )

  it.live("gives NICs back that it still has to let go of", () =>
    World.virtually(
      Effect.gen(function* () {
        const world = yield* World.make({ hosts: 1, transport: "memory" })
        const [host] = world.hosts
        yield* Effect.gen(function* () {
          const nics = yield* Nics
          const vm = yield* create("a")
          const nic = yield* nics.attach(vm.id, {})
          yield* host!.faults.losePower
          yield* becomes("Down")
          yield* Effect.either(nics.detach(vm.id, nic.id))
          yield* declare(true)
          yield* World.eventually(noneLeft)
          const left = (yield* Effect.flatMap(Vms, (vms) => vms.get(vm.id))).nics
          assert.isTrue(
            left.every(({ id, state }) => id !== nic.id || state !== "attached"),
            "it is detached"
          )
        }).pipe(Effect.provide(world.life))
      })
    )
  )
})
