/** What a host is asked, as it is said. */
import { assert, describe, it } from "@effect/vitest"
import { asked } from "../../src/domain/HostCalls.ts"
import { procedures } from "../../src/libvirt/Procedures.ts"

describe("what a host is asked", () => {
  it("is said in words, whatever it is, and never as libvirt's own name of it", () => {
    assert.strictEqual(asked("CONNECT_GET_ALL_DOMAIN_STATS"), "how its domains are")
    assert.strictEqual(asked("STORAGE_VOL_UPLOAD"), "about its storage")
    assert.strictEqual(asked("CONNECT_GET_SYSINFO"), "about itself")
    for (const name of ["connect", ...Object.keys(procedures)]) assert.notMatch(asked(name), /[A-Z]_|^$/, name)
  })
})
