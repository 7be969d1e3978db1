/** The calls that the crash tests look before and after are all that change a host: whatever the controller calls is in one of the lists. */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Procedures from "../../src/libvirt/Procedures.ts"
import * as Harness from "./Harness.ts"

const root = new URL("../..", import.meta.url).pathname

/** What plays hosts, and the table itself, name more than is called. */
const isCaller = (path: string) =>
  !/^src\/(simulator\/|libvirt\/Procedures\.ts$)|^layers\/(\w+Test|Simulated\w+)\.ts$/.test(path)

const called = [
  ...new Set(
    ["src", "layers"]
      .flatMap((folder) =>
        readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name))
      )
      .filter((path) => path.endsWith(".ts") && isCaller(path))
      .flatMap((path) => readFileSync(join(root, path), "utf8").match(/(?<=")[A-Z]+(?:_[A-Z]+)+(?=")/g) ?? [])
      .filter(Procedures.isProcedureName)
  )
].toSorted()

/** What tells something, by its name. */
const reads =
  /^AUTH_LIST$|^(CONNECT|DOMAIN|STORAGE_POOL|STORAGE_VOL|SECRET|INTERFACE|NETWORK|NODE)_(GET|LIST|LOOKUP|IS|SUPPORTS)_/

/** What leaves a host as it is, although its name does not say so. */
const harmless: ReadonlyArray<Procedures.ProcedureName> = [
  "AUTH_POLKIT",
  "CONNECT_OPEN",
  "CONNECT_BASELINE_CPU",
  "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY",
  "DOMAIN_INTERFACE_ADDRESSES",
  "DOMAIN_OPEN_CONSOLE",
  "DOMAIN_SCREENSHOT",
  "STORAGE_POOL_REFRESH",
  "STORAGE_VOL_DOWNLOAD"
]

/** What changes one, and belongs to no operation: done anew whenever it is not so, or gone with the connection. */
const beforehand: ReadonlyArray<Procedures.ProcedureName> = [
  "STORAGE_POOL_DEFINE_XML",
  "STORAGE_POOL_BUILD",
  "STORAGE_POOL_CREATE",
  "STORAGE_POOL_SET_AUTOSTART",
  // of the doctor's, with the flag by which libvirt takes it away again
  "DOMAIN_CREATE_XML"
]

describe("libvirt's procedures", () => {
  it("that are called are all known to change a host, or not to", () => {
    assert.isAbove(called.length, 50)
    const changing = called.filter(
      (name) => !reads.test(name) && !harmless.includes(name) && !beforehand.includes(name)
    )
    assert.deepStrictEqual(changing, [...Harness.procedures].toSorted())
    // no list names one that is not called any more
    for (const name of [...harmless, ...beforehand]) assert.include(called, name)
  })
})
