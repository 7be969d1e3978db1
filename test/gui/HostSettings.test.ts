/** What is filled in of a host, as requests and the command line have it. */
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { HostChange, NewHost } from "../../src/api/Hosts.ts"
import { parseMachineWords } from "../../src/config/InputFiles.ts"
import { defaultConfig } from "../../src/domain/Host.ts"
import * as HostSettings from "../../src/gui/parts/HostSettings.ts"
import { rebased } from "../../src/gui/parts/Rebased.ts"

const address = { user: "root", host: "h4.example", port: 2222 }

const before = HostSettings.formOf({
  ...defaultConfig(address),
  limit: { cpu: 8 },
  network: "lan",
  reserved: { cpu: 0, ram: 4096, disk: 0 },
  labels: { rack: "7", room: "north wing" }
})

describe("a host that is to be added", () => {
  it("is its address, and what differs from what it would be", () => {
    const form = { ...HostSettings.unsaidHost, host: " h4.example " }
    assert.deepStrictEqual(HostSettings.newHostOf(form), { address: { user: "root", host: "h4.example" } })
    assert.deepStrictEqual(HostSettings.newHostWords(form), ["root@h4.example"])
  })

  it("has the settings that are said, as the API and the machine file have them", () => {
    const form = {
      ...HostSettings.unsaidHost,
      host: "fe80::1",
      port: "2222",
      labels: "rack=7\nroom = north wing\n",
      "overcommit.cpu": "8",
      "limit.ram": "64",
      "reserved.disk": "10",
      network: "lan"
    }
    const body = HostSettings.newHostOf(form)
    assert.deepStrictEqual(body, {
      address: { user: "root", host: "fe80::1", port: 2222 },
      network: "lan",
      labels: { rack: "7", room: "north wing" },
      overcommit: { cpu: 8, ram: 1, disk: 1 },
      limit: { ram: 65536 },
      reserved: { disk: 10 }
    })
    assert.isTrue(Either.isRight(Schema.decodeUnknownEither(NewHost)(body)))
    const [first = "", ...words] = HostSettings.newHostWords(form)
    assert.strictEqual(first, "root@[fe80::1]:2222")
    const parsed = Either.getOrThrow(parseMachineWords([first, ...words], "host"))
    assert.deepInclude(parsed, {
      overcommit: { cpu: 8, ram: 1, disk: 1 },
      limit: { ram: 65536 },
      network: "lan",
      labels: { rack: "7", room: "north wing" }
    })
  })
})

describe("a host's settings", () => {
  it("are a change only where they differ, and those that are replaced as a whole are sent whole", () => {
    assert.deepStrictEqual(HostSettings.changeOf(before, before), {})
    assert.deepStrictEqual(HostSettings.changeWords(before, before), [])
    const form = {
      ...before,
      user: "admin",
      labels: "rack=8",
      "limit.cpu": "",
      "overcommit.ram": "1.5",
      // a GiB has 1024 MiB, and half of one is as good
      "reserved.ram": "0.5",
      network: ""
    }
    const body = HostSettings.changeOf(before, form)
    assert.deepStrictEqual(body, {
      user: "admin",
      network: null,
      labels: { rack: "8" },
      overcommit: { cpu: 4, ram: 1.5, disk: 1 },
      limit: {},
      reserved: { ram: 512 }
    })
    assert.isTrue(Either.isRight(Schema.decodeUnknownEither(HostChange)(body)))
    assert.deepStrictEqual(HostSettings.changeWords(before, form), [
      "--user",
      "admin",
      "--remove",
      "cpu",
      "--remove",
      "network",
      "--remove",
      "label.room",
      "overcommit.ram=1.5",
      "reserved.ram=512",
      "label.rack=8"
    ])
  })

  it("of an address that some resolvers would take for another one are told, too", () => {
    const wrong = (host: string) => HostSettings.wrongIn({ ...HostSettings.unsaidHost, host }).host
    for (const host of ["256.1.1.1", "10.0.0", "010.0.0.1", "1::2::3", "a..b", "0x7f"])
      assert.isString(wrong(host), host)
    for (const host of ["10.0.0.5", "h4", "h4.example", "fe80::1", "2001:db8::7", "1a.2b"])
      assert.isUndefined(wrong(host), host)
  })

  it("that cannot be are told at their fields, in the API's words", () => {
    assert.deepStrictEqual(HostSettings.wrongIn(before), {})
    // nothing was typed yet
    assert.deepStrictEqual(HostSettings.wrongIn(HostSettings.unsaidHost), {})
    const wrong = HostSettings.wrongIn({
      ...before,
      user: "-x",
      host: "no host",
      port: "99999",
      labels: "rack",
      path: "var/lib",
      network: "a b",
      "overcommit.cpu": "",
      "limit.ram": "lots",
      "reserved.disk": "-1"
    })
    assert.deepStrictEqual(Object.keys(wrong).toSorted(), [
      "host",
      "labels",
      "limit.ram",
      "network",
      "overcommit.cpu",
      "path",
      "port",
      "reserved.disk",
      "user"
    ])
    assert.include(wrong.port, "expected a port from 1 to 65535")
    assert.include(wrong["limit.ram"], "expected a number of GiB")
  })
})

describe("what is filled in while others change the same", () => {
  it("stays where it was typed, and is what it is by now elsewhere", () => {
    const typed = { ...before, labels: "rack=9" }
    const now = { ...before, labels: "rack=1", path: "/srv/vms" }
    assert.deepStrictEqual(rebased(typed, before, now), { ...now, labels: "rack=9" })
    assert.deepStrictEqual(rebased(before, before, now), now)
  })
})
