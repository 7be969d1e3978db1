/** Fleets from a file: what has a default, and what is said of mistakes. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { readFileSync } from "node:fs"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as FleetFile from "../../src/simulator/FleetFile.ts"

const problems = (text: string) =>
  Either.getOrThrow(Either.flip(FleetFile.parse(text, "fleet.json"))).message.split("\n")

describe("a fleet's file", () => {
  it.scoped("is a fleet", () =>
    Effect.gen(function* () {
      const text = readFileSync(new URL("../../fixtures/fleet/fleet.json", import.meta.url), "utf8")
      const file = yield* FleetFile.parse(text)
      const fleet = yield* Fleet.describe(file)
      assert.strictEqual(fleet.config.hosts.length, fleet.hosts.length)
      assert.deepStrictEqual(
        [...new Set(fleet.hosts.map(({ hostname }) => hostname.replace(/-\d+$/, "")))],
        ["rack-a", "rack-b"]
      )
      assert.strictEqual(fleet.hosts[0]?.state.machine.cpus, 64)
      assert.strictEqual(fleet.ceph?.pool, "vms")
      assert.strictEqual(fleet.host("sim-library")?.state.files.files.size, file.images.length)
    })
  )

  it("needs nothing but hosts", () => {
    const file = Either.getOrThrow(FleetFile.parse('{"hosts":[{}]}'))
    assert.deepInclude(file, { seed: 1, vms: 0, faults: [] })
    assert.deepInclude(file.hosts[0], { count: 1, name: "sim", cpus: 64 })
  })

  it("is told every mistake with its place", () => {
    assert.deepStrictEqual(
      problems(`{
  "hosts": [{ "count": 0, "cpus": "many" }, { "colour": "red", "name": "other" }],
  "vms": -1,
  "types": []
}`),
      [
        "fleet.json:2:24: hosts[0].count is 0: expected a number of machines from 1 to 10000",
        'fleet.json:2:35: hosts[0].cpus is "many": expected number',
        'fleet.json:2:57: hosts[1].colour is not a key: expected only "count" | "name" | "cpus" | "cpuModel" | "memory" | "disk" | "networks" | "kvm" | "bootTime" | "shutdownTime"',
        "fleet.json:4:12: types[0] is missing: expected it to be given",
        "fleet.json:3:10: vms is -1: expected a number of VMs from 0 to 1000000"
      ]
    )
  })

  it("has each key and each name once", () => {
    assert.deepStrictEqual(problems('{"hosts":[{}],"hosts":[{}]}'), [
      'fleet.json:1:15: "hosts" is given twice: expected each key once'
    ])
    assert.deepStrictEqual(problems('{"hosts":[{},{}]}'), [
      "fleet.json:1:14: hosts[1] is called sim as others are: expected another name"
    ])
    assert.match(problems("{").join(), /^fleet\.json:1:2: /)
  })
})
