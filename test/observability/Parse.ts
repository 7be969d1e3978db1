/** A strict reader of Prometheus' text format 0.0.4: what it cannot read it throws about, with the line. */
import { assert } from "../check/Equality.ts"

export interface Read {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface ReadFamily {
  readonly help: string
  readonly type: string
  readonly samples: Array<Read>
}

const sampleForm =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? (\+Inf|-Inf|NaN|-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)$/
const labelForm = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)/g

const unescape = (text: string) => text.replace(/\\([\\n"])/g, (_, code: string) => (code === "n" ? "\n" : code))

const numberOf = (text: string) => (text === "+Inf" ? Number.POSITIVE_INFINITY : Number(text))

/** By name, in the order in which they come. */
export const parse = (text: string): ReadonlyMap<string, ReadonlyFamily> => {
  assert.isTrue(text.endsWith("\n"), "the last line ends")
  const families = new Map<string, ReadFamily>()
  const seen = new Set<string>()
  let help: readonly [string, string] | null = null
  let current: readonly [string, ReadFamily] | null = null
  for (const line of text.slice(0, -1).split("\n")) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line)
    const [, word, about = "", rest = ""] = comment ?? []
    if (word === "HELP") {
      assert.isFalse(families.has(about), `one HELP for ${about}`)
      help = [about, unescape(rest)]
    } else if (word === "TYPE") {
      assert.strictEqual(help?.[0], about, "TYPE comes after its HELP")
      assert.include(["counter", "gauge", "histogram"], rest)
      current = [about, { help: help?.[1] ?? "", type: rest, samples: [] }]
      families.set(...current)
    } else {
      const match = sampleForm.exec(line)
      assert(match !== null && current !== null, `a sample: ${line}`)
      const [, name = "", pairs = "", value = ""] = match
      const [family, { samples, type }] = current
      const suffixes = type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]
      assert.include(
        suffixes.map((suffix) => family + suffix),
        name,
        "a sample of the family before it"
      )
      const labels = Object.fromEntries(
        [...pairs.matchAll(labelForm)].map(([, label = "", text = ""]) => [label, unescape(text)])
      )
      const series = `${name} ${JSON.stringify(labels)}`
      assert.isFalse(seen.has(series), `once: ${series}`)
      seen.add(series)
      samples.push({ name, labels, value: numberOf(value) })
    }
  }
  for (const [name, { samples, type }] of families) if (type === "histogram") checkHistogram(name, samples)
  return families
}

type ReadonlyFamily = Omit<ReadFamily, "samples"> & { readonly samples: ReadonlyArray<Read> }

/** Each series: buckets in order that only rise, the last of them infinite and as much as the count. */
const checkHistogram = (name: string, samples: ReadonlyArray<Read>) => {
  const series = new Map<string, Array<Read>>()
  for (const sample of samples) {
    const { le: _, ...others } = sample.labels
    const key = JSON.stringify(others)
    series.set(key, [...(series.get(key) ?? []), sample])
  }
  for (const [labels, all] of series) {
    const buckets = all.filter((sample) => sample.name === `${name}_bucket`)
    const bounds = buckets.map((sample) => numberOf(sample.labels["le"] ?? "NaN"))
    const what = `${name} ${labels}`
    assert.deepStrictEqual(
      bounds,
      bounds.toSorted((a, b) => a - b),
      `bounds of ${what}`
    )
    assert.strictEqual(bounds.at(-1), Number.POSITIVE_INFINITY, what)
    buckets.forEach(({ value }, index) => assert.isAtLeast(value, buckets[index - 1]?.value ?? 0, what))
    assert.strictEqual(all.find((sample) => sample.name === `${name}_count`)?.value, buckets.at(-1)?.value, what)
    assert.lengthOf(
      all.filter((sample) => sample.name === `${name}_sum`),
      1,
      what
    )
  }
}
