/** Retries over lives of the controller: what binds them is in the database. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InstanceTypeId } from "../../src/domain/Ids.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Requests } from "../../src/fabric/Requests.ts"
import { Retries } from "../../src/fabric/Retries.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Operations } from "../../src/services/Operations.ts"
import * as World from "./World.ts"

const newest = Effect.flatMap(Operations, (operations) =>
  Effect.map(operations.list({ limit: 1 }), ([first]) => Option.getOrThrow(Option.fromNullable(first)).operation)
)

const row = Effect.fnUntraced(function* (id: Parameters<Operations["Type"]["report"]>[0]) {
  const { operation } = yield* (yield* Operations).report(id)
  return operation
})

describe("a retry", () => {
  it.scopedLive(
    "is begun by the next life of the controller, and known to the one after that, which makes no second one",
    () =>
      Effect.gen(function* () {
        const world = yield* World.make({ hosts: 1, transport: "memory" })
        const [host] = world.hosts
        if (host === undefined) return assert.fail("there is no host")
        const { domains } = host.state
        const { failed, vmId } = yield* Effect.gen(function* () {
          const power = yield* Power
          const { id } = yield* (yield* Vms).create({ name: "web", instanceType: InstanceTypeId.make(1) })
          yield* power.powerOff(id)
          // somebody takes its definition away, and puts it back
          const before = new Map(domains)
          domains.clear()
          assert.strictEqual((yield* Effect.flip(power.start(id)))._tag, "OperationFailed")
          for (const [uuid, domain] of before) domains.set(uuid, domain)
          return { failed: yield* newest, vmId: id }
        }).pipe(Effect.provide(world.life))
        assert.deepInclude(failed, { kind: "StartVm", state: "failed", retriedBy: null })

        const retried = yield* Effect.gen(function* () {
          yield* (yield* Requests).once("once", ["retry", failed.id], (yield* Retries).retry(failed.id))
          return yield* newest
        }).pipe(Effect.provide(world.life))
        assert.deepInclude(retried, { kind: "StartVm", vmId, state: "done", retryOf: failed.id })

        yield* Effect.gen(function* () {
          const retries = yield* Retries
          assert.deepInclude(yield* row(failed.id), { retriedBy: retried.id, state: "failed" })
          const again = yield* Effect.flip(retries.retry(failed.id))
          assert.deepInclude(again, { _tag: "NotRetryable", by: retried.id })
          // the request that led to it leads to it still
          yield* (yield* Requests).once("once", ["retry", failed.id], retries.retry(failed.id))
          assert.strictEqual((yield* newest).id, retried.id)
          assert.strictEqual((yield* (yield* Inventory).vm(vmId)).state, "running")
        }).pipe(Effect.provide(world.life))
      }),
    60_000
  )
})
