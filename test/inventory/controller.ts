/**
 * A process that opens the database given as its argument, writes one host's facts, says so on stdout and ends. What is seen of it from
 * outside is what the tests are about.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { writeSync } from "node:fs"
import { HostId } from "../../src/domain/Ids.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { facts, fleet, layerOn } from "./Fleet.ts"

const say = (words: string) => Effect.sync(() => writeSync(1, `${words}\n`))

Effect.gen(function* () {
  const inventory = yield* Inventory
  yield* inventory.applyFleet(fleet)
  yield* say("WRITING")
  yield* inventory.setHostFacts(HostId.make(1), facts({ cpu: 1, ram: 1, disk: 1 }))
  yield* say("ACKNOWLEDGED")
}).pipe(
  Effect.provide(layerOn(process.argv[2] ?? "")),
  Effect.catchAll((error) => say(`REFUSED ${error.message}`)),
  NodeRuntime.runMain
)
