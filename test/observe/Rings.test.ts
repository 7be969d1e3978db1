/** What is kept of the past, and how exactly. */
import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { amount } from "../../src/cli/Statistics.ts"
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
  const figures = (value: number) => (value < 100 ? value.toFixed(1) : value.toPrecision(3))

  it("is shown as what it was made of", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.double({ min: 0, max: 1023, noNaN: true }), fc.double({ min: 1024, max: 1e15, noNaN: true })),
        (value) => {
          assert.strictEqual(amount(Rings.amounts.expand(Rings.amounts.compact(value))), amount(value))
        }
      )
    )
    fc.assert(
      fc.property(fc.double({ min: 0, max: 99.9, noNaN: true }), (value) => {
        assert.strictEqual(figures(Rings.rates.expand(Rings.rates.compact(value))), figures(value))
      })
    )
    fc.assert(
      fc.property(fc.double({ min: 100, max: 1e12, noNaN: true }), (value) => {
        const back = Rings.rates.expand(Rings.rates.compact(value))
        assert.isAtMost(Math.abs(back - value) / value, 0.005)
        assert.strictEqual(Rings.rates.compact(back), Rings.rates.compact(value))
      })
    )
  })

  it("knows nothing, and what is more than it can tell", () => {
    for (const scale of [Rings.amounts, Rings.rates]) {
      assert.strictEqual(scale.expand(scale.compact(0)), 0)
      assert.isAbove(scale.expand(scale.compact(1e300)), 4e15)
      for (const exact of [1, 2, 100, 999]) assert.strictEqual(scale.expand(scale.compact(exact)), exact)
    }
  })
})

describe("a VM's past", () => {
  const start = 1_700_000_400_000 // a whole number of each step

  it("is kept in three steps, each a mean of what it covers", () => {
    const rings = new Rings.Past().begin()
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
    const rings = new Rings.Past().begin()
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

  it("goes back as far as is said of each step", () => {
    assert.strictEqual(Statistics.finest(hour), 20)
    assert.strictEqual(Statistics.finest(hour + 1), 120)
    assert.strictEqual(Statistics.finest(24 * hour), 600)
  })

  const rate = fc.oneof(
    fc.constant(0),
    fc.constant(7),
    fc.double({ min: 0, max: 100, noNaN: true }),
    fc.double({ min: 0, max: 4e15, noNaN: true })
  )
  const rates: fc.Arbitrary<Statistics.Rates> = fc.record({
    cpu: rate,
    memory: rate,
    diskRead: rate,
    diskWritten: rate,
    diskReadRequests: rate,
    diskWrittenRequests: rate,
    netReceived: rate,
    netSent: rate,
    netReceivedPackets: rate,
    netSentPackets: rate
  })
  const sample = fc.record({
    /** milliseconds since the one before */
    after: fc.oneof(
      { weight: 10, arbitrary: fc.integer({ min: 15_000, max: 25_000 }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 30 * hour }) }
    ),
    rates,
    /** so often the same */
    times: fc.oneof(
      { weight: 3, arbitrary: fc.constant(1) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 400 }) }
    )
  })

  it("comes out as it was put in, whatever that was, and all of it until it is too old", () => {
    const past = new Rings.Past()
    // others have pages between those of one
    const other = past.begin()
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 60 }), (samples) => {
        const rings = past.begin()
        const expected = new Map<string, { count: number; readonly sums: Map<string, number> }>()
        let at = start
        for (const { after, rates, times } of samples) {
          for (let time = 0; time < times; time++) {
            at += after
            rings.add(at, rates)
            other.add(at, rates)
            for (const { seconds } of Statistics.steps) {
              const key = `${seconds} ${Math.floor(at / 1000 / seconds)}`
              const mean = expected.get(key) ?? { count: 0, sums: new Map<string, number>() }
              expected.set(key, mean)
              mean.count++
              for (const name of Statistics.series) mean.sums.set(name, (mean.sums.get(name) ?? 0) + rates[name])
            }
          }
        }
        for (const { seconds, slots } of Statistics.steps) {
          const history = rings.history(seconds, 0, at)
          const newest = Math.floor(at / 1000 / seconds)
          assert.strictEqual(history.from, (newest - slots + 1) * seconds * 1000)
          for (const name of Statistics.series) {
            const wanted = Array.from({ length: slots }, (_, index) => {
              const mean = expected.get(`${seconds} ${newest - slots + 1 + index}`)
              if (mean === undefined) return null
              const { compact, expand } = Rings.scaleOf(name)
              return expand(compact((mean.sums.get(name) ?? 0) / mean.count))
            })
            assert.deepStrictEqual(history.series[name], wanted, `${name} of ${seconds} s`)
          }
        }
        rings.end()
      }),
      { numRuns: 60 }
    )
  })

  it("of one that is forgotten is another's, which begins with nothing", () => {
    const past = new Rings.Past()
    const used = (seed: number) => {
      const rings = past.begin()
      filled(rings, start, start + 25 * hour, (at) => ((at / 20_000) * seed) % 97)
      return rings
    }
    const all = Array.from({ length: 20 }, (_, index) => used(index + 3))
    const before = past.size
    for (const rings of all) rings.end()
    const again = Array.from({ length: 20 }, (_, index) => used(index + 3))
    assert.strictEqual(past.size, before)
    for (const rings of again) rings.end()
    const now = start + 25 * hour
    assert.isTrue(
      past
        .begin()
        .history(600, start, now)
        .series.cpu.every((value) => value === null)
    )
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
