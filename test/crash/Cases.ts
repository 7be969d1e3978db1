/**
 * Every scenario, at every one of its points.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { afterAll, inject, vi } from "vitest"
import { OperationKind } from "../../src/domain/Operation.ts"
import * as Harness from "./Harness.ts"
import { settingsOf } from "./Scenarios.ts"
import * as Table from "./Table.ts"

vi.setConfig({ testTimeout: 300_000 })

/** The tests of one file. `name` is the file's own. */
export const define = (name: string, disturbances: ReadonlyArray<Harness.Disturbance>): void => {
  const cells: Array<Table.Cell> = []
  afterAll(() => Table.write(inject("crashParts"), name, cells))
  for (const kind of OperationKind.literals) {
    for (const setting of settingsOf(kind)) {
      const scenario = `${setting.scenario.name}, ${setting.ceph ? "in a pool" : "on the hosts"}`
      it.live(`${scenario}: ${disturbances.map((disturbance) => disturbance.name).join("; ")}`, () =>
        Effect.gen(function* () {
          const points = yield* Harness.pointsOf(setting)
          for (const disturbance of disturbances) {
            const passed = yield* Harness.atEveryPoint(setting, points, disturbance)
            cells.push({ kind, scenario, what: disturbance.name, passed })
          }
          assert.isAbove(points.length, 0)
        })
      )
    }
  }
}
