/**
 * A million mutated frames through the RPC decoder: nothing but typed errors may come out.
 */
import * as Effect from "effect/Effect"
import type { Figure } from "./Figure.ts"
import { fuzz } from "./FuzzRpc.ts"
import { BenchError } from "./Process.ts"

const section = "fuzz"
const cases = 1_000_000

export const measure = Effect.gen(function* () {
  const report = yield* Effect.try({
    try: () => fuzz(cases, 1),
    catch: (cause) => new BenchError({ message: `the fuzzer itself: ${String(cause)}`, cause })
  })
  const figure = (what: string, unit: string, value: number, target?: Figure["target"]): Figure => ({
    section,
    what: `RPC decoder: ${what}`,
    unit,
    values: [value],
    ...(target === undefined ? {} : { target })
  })
  if (report.crashCount > 0) {
    const [first] = report.crashes
    return yield* new BenchError({
      message: `${report.crashCount} of ${report.cases} cases threw, first ${first?.error ?? ""} by ${first?.bytes ?? ""}`
    })
  }
  return [
    figure("mutated frames", "cases", report.cases, { of: "median", kind: "at least", value: cases }),
    figure("untyped failures", "cases", report.crashCount, { of: "median", kind: "at most", value: 0 }),
    figure("speed", "cases/s", report.casesPerSecond),
    figure("memory growth at the worst moment", "MiB", report.heapGrowth),
    figure("slowest case", "ms", report.slowestMilliseconds)
  ]
})
