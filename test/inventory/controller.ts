/**
 * A process that opens the database given as its argument, writes, says so on stdout and ends: one host's facts, or with `group` those of
 * many hosts and the steps of many operations, all at once. What is seen of it from outside is what the tests are about.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { writeSync } from "node:fs"
import { HostId, ImageId } from "../../src/domain/Ids.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import { dir, facts, fleet, layerOn, type } from "./Fleet.ts"

const say = (words: string) => Effect.sync(() => writeSync(1, `${words}\n`))

const one = Effect.gen(function* () {
  const inventory = yield* Inventory
  yield* inventory.applyFleet(fleet)
  yield* say("WRITING")
  yield* inventory.setHostFacts(HostId.make(1), facts({ cpu: 1, ram: 1, disk: 1 }))
  yield* say("ACKNOWLEDGED")
})

const group = Effect.gen(function* () {
  const inventory = yield* Inventory
  const journal = yield* Journal
  yield* inventory.applyFleet(fleet)
  const admit = inventory.admit(
    { name: "web", instanceType: type(1), imageId: ImageId.make(100), disk: dir, onCrash: "leave" },
    () => Effect.succeed(HostId.make(1))
  )
  const admitted = yield* Effect.all(Array.from({ length: 20 }, () => admit))
  const writes = admitted.flatMap(({ operation }, i) => [
    journal.record(operation.id, { state: { to: "running" }, started: { phase: "do", name: "image" } }),
    inventory.setHostFacts(HostId.make(1 + (i % 3)), facts({ cpu: i, ram: i, disk: i }))
  ])
  yield* say("WRITING")
  for (let round = 0; round < 3; round++) {
    yield* Effect.forEach(writes, (write) => Effect.zipRight(write, say("ACKNOWLEDGED")), {
      concurrency: "unbounded",
      discard: true
    })
  }
})

const [filename = "", kind] = process.argv.slice(2)

;(kind === "group" ? group : one).pipe(
  Effect.provide(layerOn(filename)),
  Effect.catchAll((error) => say(`REFUSED ${error.message}`)),
  NodeRuntime.runMain
)
