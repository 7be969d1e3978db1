/** Which hosts are listed, and in what order. */
import { assert, describe, it } from "@effect/vitest"
import { HostId } from "../../src/domain/Ids.ts"
import type { Host } from "../../src/api/Hosts.ts"
import { type HostSearch, hostsShown, hostWords } from "../../src/gui/parts/HostList.ts"
import { hostState } from "../../src/gui/parts/Words.ts"
import { anyHost } from "./Hosts.ts"

const host = (id: number, change: Partial<Host>): Host => ({ ...anyHost, id: HostId.make(id), ...change })

const all = [
  host(1, { name: "root@h10", labels: { rack: "a" } }),
  host(2, { name: "root@h2", status: "down", labels: { rack: "b" } }),
  host(3, { name: "root@h1", maintenance: true, promised: { cpu: 2, ram: 4096, disk: 1999 } }),
  host(12, { name: "root@h3", status: "connecting", promised: { cpu: 60, ram: 4096, disk: 20 } })
]

const shown = (search: HostSearch) => hostsShown(all, search).map(({ name }) => name.slice(5))

describe("hosts", () => {
  it("are found by name, label and number", () => {
    assert.deepStrictEqual(shown({}), ["h10", "h2", "h1", "h3"])
    assert.deepStrictEqual(shown({ q: "H1" }), ["h10", "h1"])
    assert.deepStrictEqual(shown({ q: "rack=b" }), ["h2"])
    assert.deepStrictEqual(shown({ q: "id:1" }), ["h10"])
  })

  it("are narrowed to a state by the word that is shown", () => {
    assert.deepStrictEqual(shown({ state: "down" }), ["h2"])
    assert.deepStrictEqual(shown({ state: "up" }), ["h10"])
    assert.sameMembers(
      [...hostWords],
      [...all, host(5, { status: "suspect" }), host(6, { status: "lost" })].map((one) => hostState(one).word)
    )
  })

  it("are put into an order", () => {
    assert.deepStrictEqual(shown({ sort: "name" }), ["h1", "h2", "h3", "h10"])
    // of what is scarcest, be it the disk
    assert.deepStrictEqual(shown({ sort: "full" }), ["h1", "h3", "h10", "h2"])
    assert.deepStrictEqual(shown({ sort: "state" }), ["h2", "h1", "h3", "h10"])
    assert.deepStrictEqual(shown({ sort: "bogus" }), shown({}))
  })
})
