/**
 * In real time and by way of SSH, as the hosts outside are reached.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { afterAll, inject, vi } from "vitest"
import * as Harness from "./Harness.ts"
import { scenarios } from "./Scenarios.ts"
import * as Table from "./Table.ts"

vi.setConfig({ testTimeout: 120_000 })

const cells: Array<Table.Cell> = []
afterAll(() => Table.write(inject("crashParts"), "ssh", cells))

describe("by way of SSH, disks and volumes in a pool", () => {
  for (const disturbance of [Harness.ends, Harness.drops]) {
    it.live(`attaching: ${disturbance.name}`, () =>
      Effect.gen(function* () {
        const [scenario] = scenarios.AttachVolume
        const setting: Harness.Setting = { scenario, ceph: true, transport: "ssh" }
        const points = yield* Harness.pointsOf(setting)
        const passed = yield* Harness.atEveryPoint(setting, points, disturbance)
        assert.isAbove(passed, 1)
        const name = `${scenario.name}, in a pool, by way of SSH`
        cells.push({ kind: "AttachVolume", scenario: name, what: disturbance.name, passed })
      })
    )
  }
})
