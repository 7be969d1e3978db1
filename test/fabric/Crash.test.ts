/**
 * The controller ends at every call that changes a host, before and after the call has taken effect; the next one finishes the work.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { vi } from "vitest"
import * as Ids from "../../src/domain/Ids.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import type { ProcedureName } from "../../src/libvirt/Procedures.ts"
import * as World from "./World.ts"

vi.setConfig({ testTimeout: 60_000 })

const type = Ids.InstanceTypeId.make(1)

const moments = ["before", "after"] as const

/** Calls that change the host, and which of them. */
const creating: ReadonlyArray<readonly [ProcedureName, number]> = [
  ["STORAGE_VOL_CREATE_XML", 1],
  ["STORAGE_VOL_UPLOAD", 1],
  ["STORAGE_VOL_CREATE_XML", 2],
  ["STORAGE_VOL_CREATE_XML", 3],
  ["DOMAIN_DEFINE_XML_FLAGS", 1],
  ["DOMAIN_CREATE_WITH_FLAGS", 1]
]
const destroying: ReadonlyArray<readonly [ProcedureName, number]> = [
  ["DOMAIN_DESTROY", 1],
  ["DOMAIN_UNDEFINE_FLAGS", 1],
  ["STORAGE_VOL_DELETE", 1]
]

const cases = (calls: typeof creating) =>
  calls.flatMap(([procedure, nth]) => moments.map((moment) => ({ procedure, nth, moment })))

/** Runs `work` in a life of the controller that ends when the call is reached. */
const cutAt = Effect.fnUntraced(function* <A, E>(
  world: World.World,
  { moment, nth, procedure }: ReturnType<typeof cases>[number],
  work: Effect.Effect<A, E, Vms>
) {
  const [host] = world.hosts
  const reached = yield* Deferred.make<void>()
  yield* host!.faults.onCall(procedure, moment, Effect.zipRight(Deferred.succeed(reached, undefined), Effect.never), {
    nth
  })
  const fiber = yield* Effect.fork(Effect.provide(work, world.life))
  yield* Effect.raceFirst(
    Deferred.await(reached),
    Effect.flatMap(Fiber.await(fiber), (exit) =>
      Effect.dieMessage(`ended before the call was reached: ${String(exit)}`)
    )
  )
  yield* Fiber.interrupt(fiber)
  yield* host!.faults.clear
})

describe("a controller that ends in the middle", () => {
  it.scopedLive.each(cases(creating))("of a create, $moment $procedure ($nth)", (cut) =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 1 })
      yield* cutAt(
        world,
        cut,
        Effect.flatMap(Vms, (vms) => vms.create({ name: "cut", instanceType: type }))
      )
      yield* Effect.gen(function* () {
        // nobody asks for it again: the next controller goes on by itself
        yield* World.eventually(
          Effect.gen(function* () {
            const all = yield* Effect.flatMap(Vms, (vms) => vms.list())
            assert.deepStrictEqual(
              all.map((vm) => vm.state),
              ["running"]
            )
            yield* World.agree(world)
          })
        )
        assert.strictEqual(world.hosts[0]!.guests().length, 1)
        const vms = yield* Vms
        const [vm] = yield* vms.list()
        yield* vms.destroy(vm!.id)
        yield* World.agree(world)
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive.each(cases(destroying))("of a destroy, $moment $procedure ($nth)", (cut) =>
    Effect.gen(function* () {
      const world = yield* World.make({ hosts: 1 })
      const vm = yield* Effect.flatMap(Vms, (vms) => vms.create({ name: "cut", instanceType: type })).pipe(
        Effect.provide(world.life)
      )
      yield* cutAt(
        world,
        cut,
        Effect.flatMap(Vms, (vms) => vms.destroy(vm.id))
      )
      yield* World.eventually(
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* Effect.flatMap(Vms, (vms) => vms.list()), [])
          yield* World.agree(world)
        })
      ).pipe(
        Effect.zipRight(Effect.flatMap(Vms, (vms) => vms.destroy(vm.id))), // repeating it is fine
        Effect.provide(world.life)
      )
    })
  )
})
