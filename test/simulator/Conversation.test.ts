import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import * as SimulatedHost from "../../src/simulator/SimulatedHost.ts"
import { hold } from "./conversation.ts"
import * as RawClient from "./RawClient.ts"

const recorded = readFileSync(new URL("../../fixtures/libvirt/conversation-9.0.0.txt", import.meta.url), "utf8")

it.scopedLive("the simulated daemon says what a real libvirtd 9.0.0 said", () =>
  Effect.gen(function* () {
    const host = yield* SimulatedHost.make({
      hostname: "sim",
      authorizedKeys: [],
      // as that one's guests, which had nothing to boot from
      bootTime: "1 hour",
      networks: [{ name: "default", active: false }]
    })
    host.state.files.makeFolder("/var/tmp/conversation")
    const client = RawClient.make(yield* host.libvirtSocket)
    const lines = yield* hold(client, "/var/tmp/conversation/pool")
    assert.deepStrictEqual(lines, recorded.trimEnd().split("\n"))
  })
)
