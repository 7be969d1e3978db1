/** Traces: what files say, what is told of files that say nothing, and the synthetic one. */
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as SyntheticTrace from "../../src/simulator/SyntheticTrace.ts"
import * as Trace from "../../src/simulator/Trace.ts"

const size = (cpu: number, ram: number) => ({ cpu, ram, disk: 0 })

const problems = (text: string): ReadonlyArray<string> =>
  Either.match(Trace.parse(text, "t.csv"), {
    onLeft: ({ message }) => message.split("\n"),
    onRight: () => []
  })

describe("a trace file", () => {
  it("has VMs by the header's names, in any order of lines and columns", () => {
    const text =
      "\uFEFFname,memory_mib, vcpus ,departure,arrival\r\nb,2048,0.5,90.5,60\r\n\r\na, 1024 ,2,,10\r\nc,512,1.125,60,60\r\n"
    assert.deepStrictEqual(
      Trace.parse(text, "t.csv"),
      Either.right([
        { at: 10, until: null, resources: size(2000, 1024) },
        { at: 60, until: 90.5, resources: size(500, 2048) },
        { at: 60, until: 60, resources: size(1125, 512) }
      ])
    )
    assert.deepStrictEqual(
      Trace.parse("arrival,vcpus,memory_mib\n1,1,0", "t.csv"),
      Either.right([{ at: 1, until: null, resources: size(1000, 0) }])
    )
  })

  it("may be a pod list of openb as it is published, GPUs left out", () => {
    const text = [
      "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time",
      "made-up-2,7500,20480,1,500,V100M16|V100M32,LS,Running,120,4000,121",
      "made-up-1,250,700,0,0,,BE,Pending,0,60,",
      ""
    ].join("\n")
    assert.deepStrictEqual(
      Trace.parse(text, "t.csv"),
      Either.right([
        { at: 0, until: 60, resources: size(250, 700) },
        { at: 120, until: 4000, resources: size(7500, 20_480) }
      ])
    )
  })

  it("is refused with file, line, column and what was expected, all of it at once", () => {
    assert.deepStrictEqual(
      problems("arrival,departure,vcpus,memory_mib\nsoon,5,1,1024\n0,5, 0,1.5\n9,8,1,1024\n1,2,3\n1,2,3,4,5\n"),
      [
        't.csv:2:1: arrival is "soon": expected seconds from 0 up, as in 3600 or 0.5',
        't.csv:3:6: vcpus is "0": expected vCPUs from 0.001 to 1000000, with three decimals at most',
        't.csv:3:8: memory_mib is "1.5": expected a whole number of MiB from 0 to 1000000000',
        "t.csv:4:3: departure is 8: expected arrival, 9, or later",
        "t.csv:5:5: there are 3 values: expected 4, as the header has",
        "t.csv:6:9: there are 5 values: expected 4, as the header has"
      ]
    )
    assert.deepStrictEqual(problems("cpu_milli,memory_mib,creation_time,deletion_time\n1.5,1,0,1\n"), [
      't.csv:2:1: cpu_milli is "1.5": expected a whole number of thousandths of a vCPU from 1 to 1000000000'
    ])
    assert.deepStrictEqual(problems("\n\n"), [
      "t.csv: it is empty: expected a header as in arrival,departure,vcpus,memory_mib"
    ])
    assert.deepStrictEqual(problems("arrival,vcpus,memory_mib\n\n"), [
      "t.csv: it has no VMs: expected at least one line after the header"
    ])
    assert.deepStrictEqual(problems("arrival,vcpus,vcpus\n1,2,3\n"), [
      't.csv:1:15: the column "vcpus" is there twice: expected each column once',
      "t.csv:1:1: there is no column memory_mib: expected a header as in arrival,departure,vcpus,memory_mib"
    ])
    assert.deepStrictEqual(problems("cpu_milli,memory_mib,creation_time\n"), [
      "t.csv:1:1: there is no column deletion_time: expected openb's columns cpu_milli, memory_mib, creation_time and deletion_time"
    ])
  })

  it("is as high as what is there at once, and fills hosts with sizes that they can have", () => {
    const trace = [
      { at: 0, until: 10, resources: size(1000, 4096) },
      { at: 5, until: null, resources: size(3000, 1024) },
      { at: 10, until: 20, resources: size(2000, 2048) },
      { at: 10, until: 20, resources: size(90_000, 1) }
    ]
    assert.deepStrictEqual(Trace.height(trace.slice(0, 3)), size(5000, 5120))
    const fleet = [size(8000, 16_384)]
    const filled = Trace.filling(trace, fleet, 7)
    const sum = (of: (one: (typeof filled)[number]) => number) => filled.reduce((all, one) => all + of(one), 0)
    assert.isTrue(sum(({ resources }) => resources.cpu) > 8000 || sum(({ resources }) => resources.ram) > 16_384)
    assert.isTrue(filled.every(({ resources, until }) => until === null && resources.cpu <= 8000))
    assert.deepStrictEqual(Trace.filling(trace, fleet, 7), filled)
    assert.notDeepEqual(Trace.filling(trace, fleet, 8), filled)
    assert.deepStrictEqual(Trace.filling(trace.slice(3), fleet, 7), [])
  })
})

describe("the synthetic trace", () => {
  const vcpus = 2000
  const trace = SyntheticTrace.make({ seed: 5, vcpus })
  const day = 24 * 3600
  const life = ({ at, until }: (typeof trace)[number]) => (until ?? Number.POSITIVE_INFINITY) - at
  const share = (is: (one: (typeof trace)[number]) => boolean) => trace.filter(is).length / trace.length

  it("is the same for the same seed, byte for byte, and another for another", () => {
    assert.strictEqual(JSON.stringify(SyntheticTrace.make({ seed: 5, vcpus })), JSON.stringify(trace))
    assert.notStrictEqual(JSON.stringify(SyntheticTrace.make({ seed: 6, vcpus })), JSON.stringify(trace))
  })

  it("has many small VMs that are soon gone, a few that stay for long and want most, and more by day than by night", () => {
    assert.isAbove(trace.length, 1000)
    assert.isTrue(trace.every(({ at }, i) => at >= (trace[i - 1]?.at ?? 0) && at < 14 * day))
    assert.isAbove(
      share(({ resources }) => resources.cpu <= 2000),
      0.5
    )
    assert.isAbove(
      share((one) => life(one) < day),
      0.85
    )
    const hours = (is: (one: (typeof trace)[number]) => boolean) =>
      trace.reduce((sum, one) => sum + (is(one) ? life(one) * one.resources.cpu : 0), 0)
    assert.isAbove(hours((one) => life(one) >= day) / hours(() => true), 0.9)
    const byDay = ({ at }: (typeof trace)[number]) => at % day >= 6 * 3600 && at % day < 18 * 3600
    assert.isAbove(share(byDay), 0.6)
    const weekend = share(({ at }) => Math.floor(at / day) % 7 >= 5)
    assert.isBelow(weekend, 2 / 7)
  })

  it("comes to want as many vCPUs as was said", () => {
    const last = trace.filter(({ until }) => (until ?? 0) > 14 * day)
    const wanted = last.reduce((sum, { resources }) => sum + resources.cpu, 0)
    assert.isAtLeast(wanted, vcpus * 1000)
    assert.isAtMost(wanted, vcpus * 1000 + 32_000)
  })
})
