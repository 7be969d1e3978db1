/** What two fill in about one thing at the same time. */
import { assert, describe, it } from "@effect/vitest"
import { vi } from "vitest"
import type { Vm } from "../../../src/api/Vms.ts"
import * as Quota from "../../../src/domain/Quota.ts"
import * as Edited from "../../../src/gui/parts/Edited.ts"
import { areLimits, changeOf, limitNewsOf, limitsOf, limitsOnto } from "../../../src/gui/parts/QuotaFields.tsx"
import { saidOf } from "../../../src/gui/parts/VmFields.tsx"
import { VmName } from "../../../src/domain/Vm.ts"
import { anyVm } from "../Vms.ts"

// before what is imported asks where it is
vi.hoisted(() => vi.stubGlobal("location", { origin: "http://127.0.0.1" }))

const before: Vm = {
  ...anyVm,
  autostart: true,
  onCrash: "restart",
  tags: ["old", "kept"],
  labels: { team: "shop", stage: "test" }
}
const now: Vm = {
  ...before,
  name: VmName.make("web-2"),
  tags: ["kept", "theirs"],
  labels: { team: "bakery", stage: "test", rack: "7" }
}

describe("a VM that somebody else has changed", () => {
  it("is as they have it where nothing was filled in here", () => {
    const said = { ...saidOf(before), description: "the shop's back" }
    const next = Edited.onto(now, before, said)
    assert.deepStrictEqual(next, { ...saidOf(now), description: "the shop's back" })
    assert.deepStrictEqual(Edited.changeOf(now, next).body, { description: "the shop's back" })
  })

  it("keeps what they put in and took out of a list that was changed here, too", () => {
    const said = { ...saidOf(before), name: "mine", tags: "old kept new", labels: "team=mine\nstage=test" }
    const next = Edited.onto(now, before, said)
    assert.strictEqual(next.tags, "kept theirs new")
    assert.deepStrictEqual(Edited.changeOf(now, next), {
      body: { name: "mine", tags: ["kept", "theirs", "new"], labels: { team: "mine" } },
      flags: ["--rename", "mine", "--tag", "new", "--label", "team=mine"]
    })
  })

  it("loses what was taken out here, and nothing else", () => {
    const next = Edited.onto(now, before, { ...saidOf(before), tags: "old", labels: "team=shop" })
    assert.deepStrictEqual([next.tags, next.labels], ["theirs", "team=bakery\nrack=7"])
  })

  it("is told by what it is by now, and only that", () => {
    assert.strictEqual(Edited.newsOf(before, before), "")
    assert.strictEqual(
      Edited.newsOf(before, now),
      "By now the name is web-2; the tags are kept, theirs; the labels are team=bakery, stage=test, rack=7."
    )
    assert.strictEqual(
      Edited.newsOf(before, { ...before, tags: [], labels: {}, onCrash: "leave", autostart: false, protected: true }),
      "By now the tags are none; the labels are none; it is not started again when it crashes; " +
        "it is not started when its host boots; it is protected from being destroyed."
    )
  })
})

describe("a quota that somebody else has changed", () => {
  const held: Quota.Quota = { ...Quota.unlimited, vms: 2, ram: 4096 }
  const changed: Quota.Quota = { ...held, vms: 5, ram: null }

  it("is as they have it where nothing was filled in here", () => {
    assert.deepStrictEqual(limitsOnto(changed, held, { ...limitsOf(held), cpu: "8" }), {
      ...limitsOf(changed),
      cpu: "8"
    })
    assert.strictEqual(limitsOnto(changed, held, { ...limitsOf(held), vms: "3" }).vms, "3")
  })

  it("has memory in GiB where it is filled in, and to the MiB what it was when that is not touched", () => {
    assert.strictEqual(limitsOf(held).ram, "4")
    const uneven = { ...held, ram: 1001 }
    assert.deepStrictEqual(changeOf(limitsOf(uneven), uneven), {})
    assert.deepStrictEqual(changeOf({ ...limitsOf(held), ram: "0.5" }, held), { ram: 512 })
    assert.isFalse(areLimits({ ...limitsOf(held), ram: "a lot" }))
    assert.isFalse(areLimits({ ...limitsOf(held), vms: "0.5" }))
  })

  it("is told by what it is by now, and only that", () => {
    assert.strictEqual(limitNewsOf(held, held), "")
    assert.strictEqual(limitNewsOf(held, changed), "By now it is 5 VMs, as many GiB of memory as there are.")
  })
})
