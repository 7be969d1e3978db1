/**
 * Metrics as the text that Prometheus reads (version 0.0.4). prom-client and `@effect/opentelemetry` have it too: the one with a registry of its own
 * beside Effect's, the other by way of OpenTelemetry's SDK.
 *
 * @since 0.4.0
 */
import * as MetricState from "effect/MetricState"
import type * as MetricPair from "effect/MetricPair"
import * as Option from "effect/Option"

/** @since 0.4.0 @category models */
export type Labels = Readonly<Record<string, string>>

/** One line. `suffix`: as in `_bucket`. @since 0.4.0 @category models */
export interface Sample {
  readonly suffix?: string
  readonly labels: Labels
  readonly value: number
}

/** All that has one name. @since 0.4.0 @category models */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: "counter" | "gauge" | "histogram"
  readonly samples: ReadonlyArray<Sample>
}

/** @since 0.4.0 @category constants */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/** A family of gauges, or of counters that are kept elsewhere. @since 0.4.0 @category constructors */
export const family = (
  type: "counter" | "gauge",
  name: string,
  help: string,
  samples: number | ReadonlyArray<readonly [labels: Labels, value: number]>
): Family => ({
  name,
  help,
  type,
  samples:
    typeof samples === "number"
      ? [{ labels: {}, value: samples }]
      : samples.map(([labels, value]) => ({ labels, value }))
})

const escapeHelp = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const escapeValue = (text: string): string => escapeHelp(text).replaceAll('"', '\\"')

const number = (value: number): string =>
  value === Number.POSITIVE_INFINITY ? "+Inf" : value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value)

const line = (name: string, { labels, suffix = "", value }: Sample): string => {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeValue(text)}"`)
  return `${name}${suffix}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${number(value)}\n`
}

/** @since 0.4.0 @category rendering */
export const render = (families: ReadonlyArray<Family>): string => {
  let text = ""
  for (const { help, name, samples, type } of families) {
    text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`
    for (const sample of samples) text += line(name, sample)
  }
  return text
}

const validName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/

const samplesOf = (labels: Labels, state: MetricState.MetricState.Untyped): Omit<Family, "name" | "help"> | null => {
  if (MetricState.isCounterState(state)) return { type: "counter", samples: [{ labels, value: Number(state.count) }] }
  if (MetricState.isGaugeState(state)) return { type: "gauge", samples: [{ labels, value: Number(state.value) }] }
  if (!MetricState.isHistogramState(state)) return null
  return {
    type: "histogram",
    samples: [
      ...state.buckets.map(([boundary, count]) => ({
        suffix: "_bucket",
        labels: { ...labels, le: number(boundary) },
        value: count
      })),
      { suffix: "_sum", labels, value: state.sum },
      { suffix: "_count", labels, value: state.count }
    ]
  }
}

/**
 * What Effect's registry has, as far as Prometheus knows its kind. `declared` are families that are told also while there is nothing of them.
 *
 * @since 0.4.0 @category conversions
 */
export const fromMetrics = (
  snapshot: Iterable<MetricPair.MetricPair.Untyped>,
  declared: ReadonlyArray<Pick<Family, "name" | "help" | "type">>
): ReadonlyArray<Family> => {
  const families = new Map<string, Omit<Family, "samples"> & { readonly samples: Array<Sample> }>(
    declared.map((one) => [one.name, { ...one, samples: [] }])
  )
  for (const { metricKey, metricState } of snapshot) {
    const { description, name, tags } = metricKey
    const found = samplesOf(Object.fromEntries(tags.map(({ key, value }) => [key, value])), metricState)
    if (found === null || !validName.test(name)) continue
    const known = families.get(name) ?? {
      name,
      help: Option.getOrElse(description, () => name),
      type: found.type,
      samples: []
    }
    families.set(name, known)
    if (known.type === found.type) known.samples.push(...found.samples)
  }
  return [...families.values()]
}
