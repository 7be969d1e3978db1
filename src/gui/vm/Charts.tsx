/**
 * What a VM uses, over time. Loaded when its page is.
 *
 * @since 0.8.0
 */
import { Atom, Result, useAtom } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import { type ReactNode, useEffect, useRef, useState } from "react"
import uPlot from "uplot"
import "uplot/dist/uPlot.min.css"
import type { History } from "../../api/Statistics.ts"
import type { Vm } from "../../api/Vms.ts"
import type { VmId } from "../../domain/Ids.ts"
import { Failure, useSnapshot } from "../parts/Parts.tsx"
import { count, isOff, moment, vmSince, vmState } from "../parts/Words.ts"
import { calls, runtime, wordsOfCause } from "../state/Api.ts"
import { latest, moments } from "./Measured.ts"

/** Seconds: what the API keeps every 20 seconds, every 2 minutes and every 10 minutes. */
const spans = [
  { name: "Hour", seconds: 3600 },
  { name: "6 hours", seconds: 21_600 },
  { name: "Day", seconds: 86_400 }
] as const

/** Hosts are asked so often: sooner there is nothing new, in milliseconds. */
const every = 20_000

const historyAtom = Atom.family((id: VmId) =>
  runtime.fn((seconds: number) =>
    Effect.flatMap(calls, ({ statistics }) => statistics.getVmHistory({ path: { id }, urlParams: { seconds } }))
  )
)

type Series = keyof History["series"]

const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const

/** Bytes, as `1.5 MiB`. */
const bytes = (value: number): string => {
  const power = Math.min(units.length - 1, value < 1024 ? 0 : Math.floor(Math.log2(value) / 10))
  return `${count(value / 1024 ** power)} ${units[power] ?? "B"}`
}
const percent = (value: number): string => `${count(value)} %`
const rate = (value: number): string => `${bytes(value)}/s`

interface Chart {
  readonly title: string
  readonly shown: (value: number) => string
  readonly lines: ReadonlyArray<{ readonly name: string; readonly of: Series }>
  /** what it goes up to at least */
  readonly least: number
}

const charts: ReadonlyArray<Chart> = [
  { title: "CPU", shown: percent, least: 10, lines: [{ name: "used", of: "cpu" }] },
  { title: "Memory", shown: bytes, least: 64 * 1024 * 1024, lines: [{ name: "used", of: "memory" }] },
  {
    title: "Disks",
    shown: rate,
    least: 64 * 1024,
    lines: [
      { name: "read", of: "diskRead" },
      { name: "written", of: "diskWritten" }
    ]
  },
  {
    title: "Network",
    shown: rate,
    least: 64 * 1024,
    lines: [
      { name: "received", of: "netReceived" },
      { name: "sent", of: "netSent" }
    ]
  }
]

const dataOf = ({ from, series, step }: History, { lines }: Chart): uPlot.AlignedData => {
  const times = series.cpu.map((_, at) => from.epochMillis / 1000 + at * step)
  return [times, ...lines.map(({ of }) => [...series[of]])]
}

const height = 144

/** Between two lines of a grid of bytes. */
const powersOfTwo = Array.from({ length: 50 }, (_, power) => 2 ** power)

/** A colour as the page has it now: a canvas knows none of the style sheet, and of one for light and dark only an element says which it is. */
const colour = (of: HTMLElement, name: string): string => {
  of.style.color = `var(${name})`
  const { color } = getComputedStyle(of)
  of.style.color = ""
  return color
}

/** A line of one point is none: those are shown themselves. */
const isSparse = (of: uPlot, index: number): boolean =>
  [...(of.data[index] ?? [])].filter((value) => typeof value === "number").length < 3

const optionsOf = ({ lines, least, shown, title }: Chart, at: HTMLElement): uPlot.Options => {
  const axis = {
    stroke: colour(at, "--quiet"),
    grid: { stroke: colour(at, "--line"), width: 1 },
    ticks: { show: false }
  }
  return {
    width: Math.max(1, at.clientWidth),
    height,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 6 }, sync: { key: "vm" } },
    scales: { y: { range: (_, _low, high) => [0, Math.max(least, high * 1.1)] } },
    series: [
      {},
      ...lines.map(({ name }, index) => ({
        label: `${title} ${name}`,
        stroke: colour(at, index === 0 ? "--accent" : "--ok-dot"),
        width: 2,
        points: { size: 4, show: isSparse },
        ...(lines.length === 1 ? { fill: colour(at, "--accent-soft") } : {})
      }))
    ],
    axes: [
      // the lowest value's words reach below the line
      { ...axis, size: 44, gap: 9, values: (_, splits) => [...moments(splits)] },
      {
        ...axis,
        size: 72,
        values: (_, values) => values.map(shown),
        ...(shown === percent ? {} : { incrs: powersOfTwo })
      }
    ]
  }
}

/** Redrawn when the theme is another. */
const useTheme = (): number => {
  const [changes, setChanges] = useState(0)
  useEffect(() => {
    const changed = () => setChanges((now) => now + 1)
    const dark = matchMedia("(prefers-color-scheme: dark)")
    const observer = new MutationObserver(changed)
    observer.observe(document.documentElement, { attributeFilter: ["data-theme"] })
    dark.addEventListener("change", changed)
    return () => {
      observer.disconnect()
      dark.removeEventListener("change", changed)
    }
  }, [])
  return changes
}

const Plot = ({ chart, history }: { readonly chart: Chart; readonly history: History }) => {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(null)
  const theme = useTheme()
  const data = useRef(dataOf(history, chart))
  useEffect(() => {
    const at = box.current
    if (at === null) return
    const made = new uPlot(optionsOf(chart, at), data.current, at)
    plot.current = made
    const observer = new ResizeObserver(() => made.setSize({ width: Math.max(1, at.clientWidth), height }))
    observer.observe(at)
    return () => {
      observer.disconnect()
      made.destroy()
      plot.current = null
    }
  }, [chart, theme])
  useEffect(() => {
    data.current = dataOf(history, chart)
    plot.current?.setData(data.current)
  }, [chart, history])
  return (
    <figure className="chart">
      <figcaption>
        <strong>{chart.title}</strong>
        {chart.lines.map(({ name, of }) => {
          const value = latest(history.series[of], history.step)
          return (
            <span key={of} className={`small quiet line-${of === chart.lines[0]?.of ? "one" : "two"}`}>
              {name} {value === null ? "not known" : chart.shown(value)}
            </span>
          )
        })}
      </figcaption>
      <div ref={box} className="plot" aria-hidden="true" />
    </figure>
  )
}

/** As large as the charts that come into its place, so that nothing below them jumps. */
const Blank = ({ children }: { readonly children?: ReactNode }) => (
  <div className="charts">
    {charts.map(({ title }, index) => (
      <figure key={title} className="chart">
        <figcaption>
          <strong>{title}</strong>
          <span className="small quiet">&nbsp;</span>
        </figcaption>
        <div className="plot">{index === 0 ? children : null}</div>
      </figure>
    ))}
  </div>
)

/** @since 0.8.0 @category components */
export const Charts = ({ vm }: { readonly vm: Vm }) => {
  const [read, ask] = useAtom(historyAtom(vm.id))
  const [span, setSpan] = useState<(typeof spans)[number]>(spans[0])
  const host = useSnapshot().hosts.get(vm.hostId)
  const { is } = vmState(vm)
  const since = vmSince(vm, host)
  useEffect(() => {
    const look = () => {
      if (document.visibilityState === "visible") ask(span.seconds)
    }
    look()
    const timer = setInterval(look, every)
    document.addEventListener("visibilitychange", look)
    return () => {
      clearInterval(timer)
      document.removeEventListener("visibilitychange", look)
    }
  }, [ask, span])
  return (
    <section className="card" aria-labelledby="usage">
      <header>
        <h2 id="usage">What it uses</h2>
        <div className="segments" role="group" aria-label="How far back">
          {spans.map((one) => (
            <button key={one.name} type="button" aria-pressed={one === span} onClick={() => setSpan(one)}>
              {one.name}
            </button>
          ))}
        </div>
      </header>
      {Result.builder(read)
        .onInitial(() =>
          // that it was measured before is rare, and what is below would jump otherwise
          isOff(is) ? (
            <p role="status" aria-label="Loading">
              &nbsp;
            </p>
          ) : (
            <div role="status" aria-label="Loading">
              <Blank />
            </div>
          )
        )
        .onFailure((cause) => <Failure words={wordsOfCause(cause)} />)
        .onSuccess((history) =>
          history.series.cpu.some((value) => value !== null) ? (
            <div className="charts">
              {charts.map((chart) => (
                <Plot key={chart.title} chart={chart} history={history} />
              ))}
            </div>
          ) : isOff(is) ? (
            <p className="quiet">
              {since === null ? `It is ${is}` : `It has been ${is} since ${moment(since)}`}: nothing was measured in
              this time.
            </p>
          ) : (
            <Blank>
              <p className="quiet">
                Nothing was measured yet: hosts are asked every 20 seconds what their running VMs use.
              </p>
            </Blank>
          )
        )
        .render()}
    </section>
  )
}
