/**
 * Every scenario, on hosts and in a pool, at every one of its points.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { afterAll, inject, vi } from "vitest"
import * as Harness from "./Harness.ts"
import { scenarios } from "./Scenarios.ts"
import * as Table from "./Table.ts"

vi.setConfig({ testTimeout: 300_000 })

/** The tests of one file. `name` is the file's own. */
export const define = (name: string, disturbances: ReadonlyArray<Harness.Disturbance>): void => {
  const cells: Array<Table.Cell> = []
  afterAll(() => Table.write(inject("crashParts"), name, cells))
  for (const ceph of [true, false]) {
    const where = ceph ? "in a pool" : "on the hosts"
    describe(`disks and volumes ${where}`, () => {
      for (const [kind, all] of Object.entries(scenarios)) {
        for (const scenario of all) {
          it.live(`${scenario.name}: ${disturbances.map((disturbance) => disturbance.name).join("; ")}`, () =>
            Effect.gen(function* () {
              const setting = { scenario, ceph }
              const points = yield* Harness.pointsOf(setting)
              for (const disturbance of disturbances) {
                const passed = yield* Harness.atEveryPoint(setting, points, disturbance)
                cells.push({ kind, scenario: `${scenario.name}, ${where}`, what: disturbance.name, passed })
              }
              assert.isAbove(points.length, 0)
            })
          )
        }
      }
    })
  }
}
