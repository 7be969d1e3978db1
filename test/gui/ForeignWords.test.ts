/** What is said of what others made on a host. */
import { assert, describe, it } from "@effect/vitest"
import { HostId } from "../../src/domain/Ids.ts"
import { type Found, ofHost, remedyOf } from "../../src/gui/parts/ForeignWords.ts"

const found = (what: Found["what"], name: string, host: number | null): Found => ({
  hostId: host === null ? null : HostId.make(host),
  what,
  name,
  uuid: null,
  reason: "it is no VM of this fabric"
})

describe("what is foreign", () => {
  it("is told at its host, and what is in the pool at all of them", () => {
    const all = [found("domain", "old", 1), found("domain", "other", 2), found("volume", "volume-9", null)]
    const names = (id: number) => ofHost(all, HostId.make(id)).map(({ name }) => name)
    assert.deepStrictEqual([names(1), names(2), names(3)], [["old", "volume-9"], ["other", "volume-9"], ["volume-9"]])
  })

  it("is told with what a person can do, by what it is and where", () => {
    assert.match(remedyOf(found("domain", "old", 1)), /virsh undefine old on the host/)
    assert.match(remedyOf(found("volume", "volume-9", null)), /rbd rm volume-9/)
    assert.match(remedyOf(found("root disk", "vm-9-root", 1)), /remove its file on the host/)
  })
})
