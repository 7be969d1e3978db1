import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as Exposition from "../../src/observability/Exposition.ts"
import * as Parse from "./Parse.ts"

describe("the text that Prometheus reads", () => {
  it("carries any text in labels and help", () => {
    const labels = { a: 'quote " backslash \\ newline \n end\\', b: "", c: "Ünïcödé {x=1} \\n" }
    const text = Exposition.render([
      Exposition.family("gauge", "odd", 'help with \\ and\nnewline and "quotes"', [[labels, -1.5e-7]])
    ])
    const odd = Parse.parse(text).get("odd")
    assert.strictEqual(odd?.help, 'help with \\ and\nnewline and "quotes"')
    assert.deepStrictEqual(odd?.samples, [{ name: "odd", labels, value: -1.5e-7 }])
  })

  it("writes numbers as Prometheus reads them", () => {
    const values = [0, 1e21, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1 / 3, Number.MAX_SAFE_INTEGER]
    const text = Exposition.render(values.map((value, index) => Exposition.family("gauge", `n${index}`, "x", value)))
    assert.deepStrictEqual(
      text.split("\n").flatMap((line) => (line.startsWith("#") || line === "" ? [] : [line.split(" ")[1]])),
      ["0", "1e+21", "+Inf", "-Inf", "0.3333333333333333", "9007199254740991"]
    )
  })

  it.effect("has Effect's counters, gauges and histograms, and what is declared before it was counted", () =>
    Effect.gen(function* () {
      const counter = Metric.counter("exposition_test_total", { description: "Tests." })
      const histogram = Metric.histogram("exposition_test_seconds", MetricBoundaries.fromIterable([1, 5]), "Times.")
      yield* Metric.incrementBy(Metric.tagged(counter, "way", "a"), 2)
      yield* Metric.incrementBy(Metric.tagged(counter, "way", "b"), 3)
      yield* Metric.set(Metric.gauge("exposition_test_level"), 7)
      for (const value of [0.5, 1, 3, 100]) yield* Metric.update(histogram, value)
      const declared = [{ name: "exposition_test_none", help: "Nothing yet.", type: "counter" as const }]
      const found = Parse.parse(Exposition.render(Exposition.fromMetrics(yield* Metric.snapshot, declared)))
      assert.deepStrictEqual(
        found.get("exposition_test_total")?.samples.map(({ labels, value }) => [labels, value]),
        [
          [{ way: "a" }, 2],
          [{ way: "b" }, 3]
        ]
      )
      assert.strictEqual(found.get("exposition_test_level")?.samples[0]?.value, 7)
      assert.deepStrictEqual(
        found.get("exposition_test_seconds")?.samples.map(({ labels, value }) => [labels["le"], value]),
        [
          ["1", 2],
          ["5", 3],
          ["+Inf", 4],
          [undefined, 104.5],
          [undefined, 4]
        ]
      )
      assert.deepStrictEqual(found.get("exposition_test_none"), { help: "Nothing yet.", type: "counter", samples: [] })
    })
  )
})
