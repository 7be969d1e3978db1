/** What is shown of things, as text that is kept. */
import { assert, describe, it } from "@effect/vitest"
import type { VmReport } from "../../../src/fabric/Reality.ts"
import * as Views from "../../../src/http/v1/Views.ts"
import * as Vm from "../../domain/Vm.ts"

const base: VmReport = {
  vm: Vm.named("web"),
  seen: null,
  host: { _tag: "Up" },
  drift: [],
  addresses: null,
  violations: []
}

const drift = {
  vmId: base.vm.id,
  hostId: base.vm.hostId,
  kind: "power",
  field: "power",
  wanted: "running",
  applied: null,
  seen: "stopped",
  since: 0
} as const

const rule = { kind: "apart", group: "db", over: "host", strength: "must" } as const

describe("the text of a VM", () => {
  it("is what is shown of it, whatever is another than when it was told before", () => {
    const others: ReadonlyArray<Partial<VmReport>> = [
      { seen: { power: "stopped", reason: "shutdown", since: 1 } },
      { seen: { power: "running", reason: null, since: 2 } },
      { host: { _tag: "Connecting" } },
      { drift: [drift] },
      { drift: [drift, drift] },
      { addresses: [] },
      { addresses: [{ mac: "52:54:00:00:00:01", address: "192.0.2.7", prefix: 24, source: "agent" }] },
      { violations: [{ rule, reason: "it has 1 of db" }] },
      { violations: [{ rule, reason: "it has 2 of db" }] },
      { vm: Vm.named("db") }
    ]
    const shown = (report: VmReport) => JSON.stringify(Views.vm(report))
    const told = new Set<string>()
    for (const other of others) {
      for (const report of [base, { ...base, ...other }, base, { ...base, ...other }]) {
        assert.strictEqual(Views.vmText(report), shown(report))
        told.add(shown(report))
      }
    }
    assert.strictEqual(told.size, others.length + 1)
  })
})
