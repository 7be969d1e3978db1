/**
 * Tests of a program of one's own, with node's test runner: `AppTest.layer` is the whole controller over hosts in memory, which can be looked at and broken
 * from outside.
 */
import * as Effect from "effect/Effect"
import assert from "node:assert/strict"
import { test } from "node:test"
import { Ids, Inventory, Vms } from "vmfabric"
import { AppTest, StorageTest } from "vmfabric/layers"

/** What is to be tested: two VMs, or none. */
const pair = Effect.gen(function* () {
  const vms = yield* Vms.Vms
  const create = (name: string) => vms.create({ name, instanceType: Ids.InstanceTypeId.make(1) })
  const first = yield* create("first")
  const second = yield* create("second").pipe(Effect.tapError(() => Effect.ignoreLogged(vms.destroy(first.id))))
  return [first, second] as const
})

test("they run on different hosts", () =>
  Effect.gen(function* () {
    const [first, second] = yield* pair
    assert.deepEqual([first.state, second.state], ["running", "running"])
    assert.notEqual(first.hostId, second.hostId)
  }).pipe(Effect.provide(AppTest.layer), Effect.runPromise))

test("when the storage is full, none is left", () =>
  Effect.gen(function* () {
    const { hosts } = yield* Inventory.Inventory
    const storage = yield* StorageTest.StorageTestState
    for (const { host } of yield* hosts) {
      yield* storage.update(host, (store) => ({ ...store, refuses: "No space left on device" }))
    }
    const failure = yield* Effect.flip(pair)
    assert.match(failure.message, /No space left on device/)
    assert.deepEqual(
      (yield* Effect.flatMap(Vms.Vms, (vms) => vms.list())).filter(({ state }) => state === "running"),
      []
    )
  }).pipe(Effect.provide(AppTest.layer), Effect.runPromise))
