/** What domains use is read straight from the bytes: the same as if every parameter had been decoded first. */
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import fc from "fast-check"
import type { Counters } from "../../src/domain/Statistics.ts"
import * as DomainStats from "../../src/libvirt/DomainStats.ts"
import * as Procedures from "../../src/libvirt/Procedures.ts"
import type { ParameterValue } from "../../src/libvirt/Structs.ts"
import * as Xdr from "../../src/libvirt/Xdr.ts"

const reply = Procedures.replyOf("CONNECT_GET_ALL_DOMAIN_STATS")

type Stats = Procedures.Reply<"CONNECT_GET_ALL_DOMAIN_STATS">["retStats"][number]

const bytesOf = (retStats: ReadonlyArray<Stats>): Uint8Array => Either.getOrThrow(Xdr.encode(reply, { retStats }))

const read = (retStats: ReadonlyArray<Stats>) => Either.getOrThrow(Xdr.decode(DomainStats.counters, bytesOf(retStats)))

const uuid = "5f3b8a52-7c1d-4e0f-9a6b-0123456789ab"
const domain = (params: Stats["params"], id = 3): Stats => ({ dom: { name: "vm-7", uuid, id }, params })
const large = (field: string, value: bigint) => ({ field, value: { type: "ullong", value } as const })
const small = (field: string, value: number) => ({ field, value: { type: "uint", value } as const })
const text = (field: string, value: string) => ({ field, value: { type: "string", value } as const })

/** By way of the parameters, field by field. */
const expected = ({ dom, params }: Stats): Counters => {
  const values = new Map(params.map(({ field, value }) => [field, value.value]))
  const told = (field: string): number | null => {
    const value = values.get(field)
    const number = typeof value === "bigint" ? Number(value) : value
    return typeof number === "number" && number >= 0 ? number : null
  }
  const number = (field: string) => told(field) ?? 0
  const kibibytes = (field: string) => {
    const value = told(field)
    return value === null ? null : value * 1024
  }
  const name = (field: string) => {
    const value = values.get(field)
    return typeof value === "string" ? value.slice(0, 64) : ""
  }
  const each = (field: string) => Array.from({ length: Math.min(256, number(field)) }, (_, index) => index)
  const vcpus = Math.max(1, number("vcpu.current"))
  const times = Array.from({ length: Math.max(vcpus, number("vcpu.maximum")) }, (_, index) =>
    told(`vcpu.${index}.time`)
  ).filter((time) => time !== null)
  const available = kibibytes("balloon.available")
  const free = kibibytes("balloon.usable") ?? kibibytes("balloon.unused")
  return {
    uuid: dom.uuid,
    name: dom.name,
    vcpus,
    cpuTime: times.length === 0 ? number("cpu.time") : times.reduce((sum, time) => sum + time, 0),
    memory: {
      assigned: kibibytes("balloon.current") ?? 0,
      used: available === null || free === null ? null : Math.max(0, available - free),
      resident: kibibytes("balloon.rss")
    },
    disks: each("block.count").map((index) => ({
      target: name(`block.${index}.name`),
      readBytes: number(`block.${index}.rd.bytes`),
      readRequests: number(`block.${index}.rd.reqs`),
      writtenBytes: number(`block.${index}.wr.bytes`),
      writtenRequests: number(`block.${index}.wr.reqs`)
    })),
    nics: each("net.count").map((index) => ({
      name: name(`net.${index}.name`),
      receivedBytes: number(`net.${index}.rx.bytes`),
      receivedPackets: number(`net.${index}.rx.pkts`),
      sentBytes: number(`net.${index}.tx.bytes`),
      sentPackets: number(`net.${index}.tx.pkts`)
    }))
  }
}

const field = fc.oneof(
  fc.constantFrom(
    "cpu.time",
    "cpu.user",
    "state.state",
    "balloon.current",
    "balloon.available",
    "balloon.usable",
    "balloon.unused",
    "balloon.rss",
    "net.01.rx.bytes",
    "block.9999.rd.bytes"
  ),
  fc
    .tuple(
      fc.constantFrom("block", "net", "vcpu"),
      fc.nat(3),
      fc.constantFrom(
        "name",
        "time",
        "rd.bytes",
        "rd.reqs",
        "wr.bytes",
        "wr.reqs",
        "rx.bytes",
        "rx.pkts",
        "tx.bytes",
        "tx.pkts"
      )
    )
    .map(([kind, index, what]) => `${kind}.${index}.${what}`),
  fc.string({ maxLength: 80 }).filter((name) => !name.includes("\0"))
)

const value: fc.Arbitrary<ParameterValue> = fc.oneof(
  fc.record({ type: fc.constant("int" as const), value: fc.integer({ min: -5, max: 2 ** 31 - 1 }) }),
  fc.record({ type: fc.constant("uint" as const), value: fc.nat(2 ** 31 - 1) }),
  fc.record({ type: fc.constant("double" as const), value: fc.double({ noNaN: true }) }),
  fc.record({ type: fc.constant("llong" as const), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
  fc.record({ type: fc.constant("ullong" as const), value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  fc.record({ type: fc.constant("boolean" as const), value: fc.boolean() }),
  fc.record({
    type: fc.constant("string" as const),
    value: fc.string({ unit: "grapheme", maxLength: 90 }).filter((one) => !one.includes("\0"))
  })
)

const counts = fc.record({ disks: fc.nat(4), nics: fc.nat(4), vcpus: fc.integer({ min: 1, max: 4 }) })

describe("what domains use", () => {
  it("is told by a reply as libvirt makes them", () => {
    const [one, ...others] = read([
      domain([small("state.state", 5)], -1),
      domain([
        large("cpu.time", 10n),
        small("vcpu.current", 2),
        small("vcpu.maximum", 4),
        large("vcpu.0.time", 2n ** 53n),
        large("vcpu.3.time", 8n),
        large("balloon.current", 1000n),
        large("balloon.available", 900n),
        large("balloon.usable", 400n),
        large("balloon.unused", 100n),
        small("net.count", 1),
        text("net.0.name", "vnet0"),
        large("net.0.rx.bytes", 7n),
        small("block.count", 1),
        text("block.0.name", "vda"),
        large("block.0.wr.bytes", 5n)
      ])
    ])
    assert.lengthOf(others, 0)
    assert.deepStrictEqual(one, {
      uuid,
      name: "vm-7",
      vcpus: 2,
      cpuTime: 2 ** 53 + 8,
      memory: { assigned: 1000 * 1024, used: 500 * 1024, resident: null },
      disks: [{ target: "vda", readBytes: 0, readRequests: 0, writtenBytes: 5, writtenRequests: 0 }],
      nics: [{ name: "vnet0", receivedBytes: 7, receivedPackets: 0, sentBytes: 0, sentPackets: 0 }]
    })
  })

  it("is the same by whatever parameters in whatever order, and nothing of one domain is taken for another's", () => {
    const one = fc
      // libvirt has each once: what the second of two would mean is not said
      .tuple(fc.uniqueArray(fc.record({ field, value }), { maxLength: 40, selector: (one) => one.field }), counts)
      .map(([params, counts]) =>
        domain([
          ...params,
          small("block.count", counts.disks),
          small("net.count", counts.nics),
          small("vcpu.current", counts.vcpus),
          small("vcpu.maximum", 4)
        ])
      )
    fc.assert(
      fc.property(fc.array(one, { maxLength: 5 }), (all) => {
        assert.deepStrictEqual(read(all), all.map(expected))
      })
    )
  })

  it("is refused where the bytes are none of a reply", () => {
    const bytes = bytesOf([domain([large("cpu.time", 10n), text("net.0.name", "vnet0"), text("other", "x")])])
    const reasonOf = (of: Uint8Array) =>
      Either.match(Xdr.decode(DomainStats.counters, of), { onLeft: ({ reason }) => reason, onRight: () => "none" })
    assert.strictEqual(reasonOf(bytes), "none")
    for (let length = 0; length < bytes.length; length++)
      assert.notStrictEqual(reasonOf(bytes.subarray(0, length)), "none")
    assert.include(reasonOf(Uint8Array.of(...bytes, 0, 0, 0, 0)), "left over")
    // the first parameter's type: after the count, the domain, the count and the field
    const changed = bytes.slice()
    changed[4 + (4 + 4) + 16 + 4 + 4 + (4 + 8) + 3] = 9
    assert.include(reasonOf(changed), "9 is not a type")
  })
})
