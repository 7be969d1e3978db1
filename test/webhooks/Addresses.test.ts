/** Which addresses somebody else may have the controller connect to. */
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Addresses from "../../src/config/Addresses.ts"

const foreign = ["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450:4001::1"]

/** By what they are. */
const own: Readonly<Record<string, ReadonlyArray<string>>> = {
  "this machine": ["127.0.0.1", "127.255.1.2", "::1", "0.0.0.0", "::"],
  "a network of one's own": [
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "fd12::1",
    "fc00::1",
    "fec0::1"
  ],
  "a link": ["169.254.1.1", "fe80::1", "fe80::1%eth0"],
  "a cloud's metadata": ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"],
  "a group": ["224.0.0.1", "239.255.255.255", "ff02::1", "255.255.255.255"],
  "another address in disguise": [
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "::ffff:0:127.0.0.1"
  ],
  "of no use": [
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "203.0.113.1",
    "240.0.0.1",
    "2001:db8::1",
    "100::1",
    "4000::1"
  ],
  "no address": ["", "localhost", "1", "127.1", "0x7f000001", "2130706433", "017700000001", "1.2.3.4.5", "::1::"]
}

const parse = Addresses.parseRanges("webhook-allow")

describe("addresses", () => {
  it("of anybody's machines on the Internet are public", () => {
    for (const address of foreign) assert.isTrue(Addresses.isPublic(address), address)
  })

  for (const [what, addresses] of Object.entries(own)) {
    it(`that are ${what} are not`, () => {
      for (const address of addresses) assert.isFalse(Addresses.isPublic(address), address)
    })
  }

  it("are loopback also when they are written as IPv6", () => {
    for (const address of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) {
      assert.isTrue(Addresses.isLoopback(address), address)
    }
    for (const address of ["128.0.0.1", "::2", "10.0.0.1", "localhost"]) {
      assert.isFalse(Addresses.isLoopback(address), address)
    }
  })

  it("are within a range by their first bits, and by nothing else", () => {
    const ranges = Either.getOrThrow(parse("127.0.0.1,10.1.0.0/16,fd00::/8,::1"))
    for (const address of ["127.0.0.1", "::ffff:127.0.0.1", "10.1.255.255", "fd12::1", "::1"]) {
      assert.isTrue(Addresses.isWithin(ranges, address), address)
    }
    for (const address of ["127.0.0.2", "10.2.0.0", "fe80::1", "::2", "::", "name"]) {
      assert.isFalse(Addresses.isWithin(ranges, address), address)
    }
    assert.isTrue(Addresses.isWithin(Either.getOrThrow(parse("0.0.0.0/0")), "127.0.0.1"))
    assert.isFalse(Addresses.isWithin(Either.getOrThrow(parse("0.0.0.0/0")), "::1"))
  })

  it("that are none are refused with an example of what is one", () => {
    for (const text of [
      "",
      "lan",
      "10.0.0.0/33",
      "10.0.0.0/",
      "10/8",
      "1.2.3.4/8/9",
      "::/129",
      "::ffff:1.2.3.4/96",
      ","
    ]) {
      const error = Either.getOrThrow(Either.flip(parse(text)))
      assert.include(error.message, "webhook-allow", text)
      assert.include(error.message, "as in 127.0.0.1,10.1.0.0/16,fd00::/8", text)
    }
  })
})
