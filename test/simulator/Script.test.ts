/** Fault scripts: what is understood, what is said of what is not, and what they do. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { readFileSync } from "node:fs"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import * as Layer from "effect/Layer"
import { Libvirt } from "../../src/services/Libvirt.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as Script from "../../src/simulator/Script.ts"
import * as Virtual from "../../src/simulator/Virtual.ts"

const parse = (text: string, hosts = 10) => Either.getOrThrow(Script.parse(text, { hosts }))

describe("what is understood", () => {
  it("every form there is", () => {
    const lines = parse(`# a comment
at 10s: host 7 dies

at 30s:   host 7 boots   # another
at 5s: libvirtd of host 3 hangs
at 20s for 1.5m: network of host 2 is cut
from 0s: 3 % of calls take 2s
from 500ms for 1h: 0.5% of calls fail
every 10s: a random host loses its connections
every 30s: a random guest crashes
at 1m: guest vm-7 of host 2 crashes
at 1d for 1s: the pool stops
at 1s: a random host refuses connections`)
    assert.deepStrictEqual(
      lines.map(({ fault }) => fault),
      [
        { _tag: "Power", host: 7, on: false },
        { _tag: "Power", host: 7, on: true },
        { _tag: "Libvirtd", host: 3, what: "hangs" },
        { _tag: "Network", host: 2, cut: true },
        { _tag: "Calls", share: 0.03, delay: Duration.seconds(2) },
        { _tag: "Calls", share: 0.005, delay: undefined },
        { _tag: "Connections", host: "random" },
        { _tag: "Crash", name: undefined, host: undefined },
        { _tag: "Crash", name: "vm-7", host: 2 },
        { _tag: "Pool", on: false },
        { _tag: "Refuse", host: "random", on: true }
      ]
    )
    assert.deepStrictEqual(lines.map(({ number, time, when }) => [number, when, Duration.toMillis(time)]).slice(0, 4), [
      [2, "once", 10_000],
      [4, "once", 30_000],
      [5, "once", 5000],
      [6, "once", 20_000]
    ])
    assert.deepStrictEqual(lines[3]?.lasts, Duration.seconds(90))
  })

  it("the example", () => {
    const text = readFileSync(new URL("../../fixtures/fleet/faults.txt", import.meta.url), "utf8")
    assert.isAbove(parse(text, 20).length, 5)
  })
})

describe("what is not understood is shown where it stands, with what would be right", () => {
  for (const [line, column, problem, expected] of [
    ["on 10s: host 1 dies", 1, '"on" is not understood', "at, from or every"],
    ["at ten: host 1 dies", 4, '"ten" is not understood', "a time as in 500ms, 10s or 1.5m"],
    ["at 10s host 1 dies", 8, '"host" is not understood', "a colon, or for TIME"],
    ["at 10s: host one dies", 14, '"one" is not understood', "a host's number, from 1"],
    ["at 10s: host 1 explodes", 16, '"explodes" is not understood', "dies, boots, loses its connections"],
    ["at 10s: host 1", 15, "the line ends here", "dies, boots"],
    ["at 10s: host 11 dies", 14, "there is no host 11", "a number from 1 to 10"],
    ["at 10s: host 1 dies at once", 21, '"at" is not understood', "the end of the line"],
    ["from 0s: 300 % of calls fail", 10, '"300" is not understood', "a number from 0 to 100 and %"],
    ["every 0s: a random guest crashes", 9, '":" is not understood', "a time longer than 0"],
    ["at 1s for 2s: a random guest crashes", 37, "the line ends here", "no for TIME: that cannot be taken back"],
    ["at 1s: libvirtd of host 1 goes off", 27, '"goes" is not understood', "stops, starts, hangs or goes on"]
  ] as const) {
    it(`${line}`, () => {
      const refused = Either.flip(Script.parse(`\n${line}`, { file: "f.txt", hosts: 10 }))
      const [first, ...others] = Either.getOrThrow(refused).problems
      assert.deepStrictEqual(others, [])
      assert.deepInclude(first, { file: "f.txt", line: 2, column, problem })
      assert.include(first.expected, expected)
    })
  }

  it("all of it at once", () => {
    const refused = Either.getOrThrow(Either.flip(Script.parse("at 1s: x\nat 1s: host 1 dies\nwhat", { file: "f" })))
    assert.deepStrictEqual(
      refused.message.split("\n").map((line) => line.split(": ")[0]),
      ["f:1:8", "f:3:1"]
    )
  })
})

const address = (host: string) => ({ user: "root", host, port: 22 })

/** What a ping of a host comes to at these seconds while a script runs. */
const seen = (text: string, host: string, seconds: ReadonlyArray<number>, seed = 1) =>
  Effect.gen(function* () {
    const fleet = yield* Fleet.sized({ hosts: 3, seed })
    return yield* Effect.gen(function* () {
      const libvirt = yield* Libvirt
      yield* Effect.fork(Script.run(parse(text), { ...fleet, seed }))
      return yield* Effect.forEach(
        seconds,
        (second) =>
          Effect.delay(
            Effect.match(Effect.timeout(libvirt.ping(address(host)), "900 millis"), {
              onFailure: () => false,
              onSuccess: () => true
            }),
            Duration.seconds(second)
          ),
        { concurrency: "unbounded" }
      )
    }).pipe(Effect.provide(LibvirtLive.layer.pipe(Layer.provide(SimulatedFleet.layerMemory(fleet)))))
  }).pipe(Effect.scoped, Effect.provide(Virtual.recording(() => {})), (effect) => Virtual.run(seed, effect))

describe("what a script does", () => {
  for (const [text, ...answers] of [
    ["at 10s: host 2 dies\nat 60s: host 2 boots", true, false, false, true],
    ["at 10s for 40s: libvirtd of host 2 stops", true, false, false, true],
    ["at 10s for 40s: libvirtd of host 2 hangs", true, false, false, true],
    ["at 10s for 12s: network of host 2 is cut", true, false, true, true],
    ["from 0s: 100 % of calls take 2s", false, false, false, false],
    ["from 10s for 40s: 100 % of calls fail", true, false, false, true],
    ["at 10s: host 1 dies", true, true, true, true]
  ] as const) {
    it.live(text.replaceAll("\n", "; "), () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* seen(text, "sim-2", [1, 20, 40, 100]), answers)
      })
    )
  }

  it.live("chance is the seed's", () =>
    Effect.gen(function* () {
      const log = (seed: number) =>
        Effect.gen(function* () {
          const lines: Array<string> = []
          yield* Effect.gen(function* () {
            const fleet = yield* Fleet.sized({ hosts: 10, seed })
            yield* Effect.timeoutOption(
              Script.run(parse("every 1s: a random host loses its connections"), { ...fleet, seed }),
              "20500 millis"
            )
          }).pipe(Effect.scoped, Effect.provide(Virtual.recording((line) => lines.push(line))), (effect) =>
            Virtual.run(seed, effect)
          )
          return lines
        })
      const first = yield* log(1)
      assert.strictEqual(first.length, 20)
      assert.match(first[0] ?? "", /^\+1\.000s WARN SIMULATED: a random host loses its connections \(sim-\d+\) line=1$/)
      assert.deepStrictEqual(yield* log(1), first)
      assert.notDeepEqual(yield* log(2), first)
    })
  )
})
