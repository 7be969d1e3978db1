/** What is kept of the past, and how exactly. */
import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Statistics from "../../src/domain/Statistics.ts"
import * as Rings from "../../src/observe/Rings.ts"

const minute = 60_000
const hour = 60 * minute

/** What uses so much of everything. */
const using = (value: number): Statistics.Rates => ({ ...Statistics.idle, cpu: value, netSent: value * 1000 })

const filled = (rings: Rings.Rings, from: number, until: number, value: (at: number) => number) => {
  for (let at = from; at <= until; at += 20_000) rings.add(at, using(value(at)))
}

describe("a number of two bytes", () => {
  it("is true to a tenth of a percent, from very little to very much", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 4e15, noNaN: true }), (value) => {
        const back = Rings.expand(Rings.compact(value))
        assert.isNotNull(back)
        assert.isAtMost(Math.abs((back ?? 0) - value) / value, 0.001)
      })
    )
  })

  it("knows nothing, and none", () => {
    assert.strictEqual(Rings.expand(Rings.compact(0)), 0)
    assert.isNull(Rings.expand(Rings.compact(Number.NaN)))
    assert.isAbove(Rings.expand(Rings.compact(Number.POSITIVE_INFINITY)) ?? 0, 4e15)
    for (const exact of [1, 2, 1024, 100, 2 ** 40]) assert.strictEqual(Rings.expand(Rings.compact(exact)), exact)
  })
})

describe("a VM's past", () => {
  const start = 1_700_000_400_000 // a whole number of each step

  it("is kept in three steps, each a mean of what it covers", () => {
    const rings = new Rings.Rings()
    filled(rings, start, start + 2 * hour, (at) => (Math.floor((at - start) / minute) % 2 === 0 ? 40 : 60))
    const now = start + 2 * hour
    const fine = rings.history(20, now - 2 * minute, now)
    assert.deepStrictEqual(fine.series.cpu, [40, 40, 40, 60, 60, 60, 40])
    assert.strictEqual(fine.from, now - 2 * minute)
    const middle = rings.history(120, now - 10 * minute, now - 1)
    assert.deepStrictEqual(middle.series.cpu, [50, 50, 50, 50, 50])
    const coarse = rings.history(600, start, now - 1)
    assert.lengthOf(coarse.series.cpu, 12)
    assert.isTrue(coarse.series.cpu.every((value) => value === 50))
    assert.isTrue(coarse.series.netSent.every((value) => Math.abs((value ?? 0) - 50_000) < 50))
    // of the finest step an hour is kept
    assert.lengthOf(rings.history(20, start, now).series.cpu, 180)
  })

  it("has gaps where nothing was sampled, also after more than a round", () => {
    const rings = new Rings.Rings()
    filled(rings, start, start + 5 * minute, () => 10)
    filled(rings, start + 8 * minute, start + 9 * minute, () => 20)
    const gap = rings.history(120, start, start + 10 * minute - 1)
    assert.deepStrictEqual(gap.series.cpu, [10, 10, 10, null, 20])
    const later = start + 30 * hour
    assert.isTrue(rings.history(600, later - 24 * hour, later).series.cpu.every((value) => value === null))
    filled(rings, later, later + minute, () => 30)
    const round = rings.history(20, later - hour, later + minute)
    assert.deepStrictEqual(
      round.series.cpu.filter((value) => value !== null),
      [30, 30, 30, 30]
    )
  })

  it("takes what its documentation says, and no more however long it goes on", () => {
    assert.isBelow(Rings.Rings.size, 10_500)
    assert.strictEqual(Statistics.finest(hour), 20)
    assert.strictEqual(Statistics.finest(hour + 1), 120)
    assert.strictEqual(Statistics.finest(24 * hour), 600)
  })
})

describe("rates", () => {
  const counters = (cpuTime: number, written: number): Statistics.Counters => ({
    uuid: "u",
    name: "vm-7",
    vcpus: 2,
    cpuTime,
    memory: { assigned: 100, used: null, resident: 60 },
    disks: [{ target: "vda", readBytes: 0, readRequests: 0, writtenBytes: written, writtenRequests: written / 10 }],
    nics: []
  })

  it("are of the time between two looks, and of all vCPUs", () => {
    const rates = Statistics.ratesBetween(counters(0, 0), counters(10e9, 5000), 10)
    assert.deepInclude(rates, { cpu: 50, diskWritten: 500, diskWrittenRequests: 50, memory: 60 })
  })

  it("are none when it was started anew in between, and never below nothing", () => {
    assert.isNull(Statistics.ratesBetween(counters(10e9, 0), counters(1e9, 0), 10))
    // its disk was taken away and another one put there
    assert.deepInclude(Statistics.ratesBetween(counters(0, 5000), counters(1, 100), 10), { diskWritten: 0 })
  })
})
