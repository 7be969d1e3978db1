/**
 * Traces from files: CSV with a header line, whose columns are found by their names. There are no quotes, spaces around a value do not count,
 * and empty lines are left out; lines may stand in any order. UTF-8; a byte order mark and CRLF line ends are accepted.
 *
 * **Ours**, with one VM a line:
 *
 * | column | value |
 * |---|---|
 * | `arrival` | when it is wanted, in seconds |
 * | `departure` | when it leaves, in seconds; empty: never. The column may be absent |
 * | `vcpus` | from 0.001 up, with three decimals at most |
 * | `memory_mib` | a whole number of MiB |
 *
 * Other columns are not read.
 *
 * **Alibaba's openb pod lists** (github.com/alibaba/clusterdata, cluster-trace-gpu-v2023/csv/openb_pod_list_*.csv, of Weng et al., "Beware
 * of Fragmentation", USENIX ATC 2023), as they are published: `cpu_milli` in thousandths of a vCPU, `memory_mib`, and `creation_time` and
 * `deletion_time` in seconds. GPUs and all else are left out. A file with a column `cpu_milli` is taken for one.
 *
 * @since 0.7.0
 */
import * as Either from "effect/Either"
import { type InputProblem, InputFileError } from "../config/InputFiles.ts"
import * as LocatedJson from "../config/LocatedJson.ts"
import * as Resources from "../domain/Resources.ts"
import type { Arrival, Trace } from "../domain/Trace.ts"
import { randomFrom } from "./HostState.ts"

/** A value that a column may have; `read` undefined: it is none. */
interface Kind {
  readonly expected: string
  readonly read: (text: string) => number | undefined
}

const within = (least: number, most: number, form: RegExp, factor: number) => (text: string) => {
  const value = form.test(text) ? Math.round(Number(text) * factor) : Number.NaN
  return value >= least && value <= most ? value : undefined
}

const whole = /^\d{1,12}$/
const decimal = /^\d{1,12}(?:\.\d{1,3})?$/

const seconds: Kind = {
  expected: "seconds from 0 up, as in 3600 or 0.5",
  read: (text) => (/^\d{1,12}(?:\.\d{1,9})?$/.test(text) ? Number(text) : undefined)
}
const vcpus: Kind = {
  expected: "vCPUs from 0.001 to 1000000, with three decimals at most",
  read: within(1, 1e9, decimal, 1000)
}
const milliCpus: Kind = {
  expected: "a whole number of thousandths of a vCPU from 1 to 1000000000",
  read: within(1, 1e9, whole, 1)
}
const mebibytes: Kind = { expected: "a whole number of MiB from 0 to 1000000000", read: within(0, 1e9, whole, 1) }

/** Names of columns, and what is in them. */
interface Format {
  readonly arrival: string
  readonly departure: string
  readonly cpu: string
  readonly cpuKind: Kind
  readonly header: string
  readonly required: ReadonlyArray<string>
}

const ours: Format = {
  arrival: "arrival",
  departure: "departure",
  cpu: "vcpus",
  cpuKind: vcpus,
  header: "a header as in arrival,departure,vcpus,memory_mib",
  required: ["arrival", "vcpus", "memory_mib"]
}
const openb: Format = {
  arrival: "creation_time",
  departure: "deletion_time",
  cpu: "cpu_milli",
  cpuKind: milliCpus,
  header: "openb's columns cpu_milli, memory_mib, creation_time and deletion_time",
  required: ["cpu_milli", "memory_mib", "creation_time", "deletion_time"]
}

/** A value, and where it begins in its line, from 1. */
interface Field {
  readonly text: string
  readonly column: number
}

const fieldsOf = (line: string): ReadonlyArray<Field> => {
  let column = 1
  return line.split(",").map((raw) => {
    const text = raw.trim()
    const at = column + (text === "" ? 0 : raw.indexOf(text))
    column += raw.length + 1
    return { text, column: at }
  })
}

const quote = (text: string): string => LocatedJson.quote(text.length > 40 ? `${text.slice(0, 39)}…` : text)

/** VMs in the order in which they are wanted; of the same time in the file's. @since 0.7.0 @category parsing */
export const parse = (text: string, file: string): Either.Either<Trace, InputFileError> => {
  const problems: Array<InputProblem> = []
  const failed = (...others: ReadonlyArray<InputProblem>) => {
    const [first = { file, problem: "it is no trace", expected: ours.header }, ...more] = [...problems, ...others]
    return Either.left(new InputFileError({ problems: [first, ...more] }))
  }
  const lines = (text.startsWith("\uFEFF") ? text.slice(1) : text).split(/\r?\n/)
  const head = lines.findIndex((line) => line.trim() !== "")
  if (head < 0) return failed({ file, problem: "it is empty", expected: ours.header })
  const header = fieldsOf(lines[head] ?? "")
  const format = header.some((field) => field.text === openb.cpu) ? openb : ours
  for (const [i, field] of header.entries()) {
    if (field.text === "" || header.findIndex((other) => other.text === field.text) === i) continue
    const problem = `the column ${quote(field.text)} is there twice`
    problems.push({ file, line: head + 1, column: field.column, problem, expected: "each column once" })
  }
  for (const name of format.required) {
    if (header.some((field) => field.text === name)) continue
    problems.push({ file, line: head + 1, column: 1, problem: `there is no column ${name}`, expected: format.header })
  }
  if (problems.length > 0) return failed()

  const places = new Map(header.map(({ text: name }, i): [string, number] => [name, i]))
  const arrivals: Array<Arrival> = []
  for (const [i, given] of lines.entries()) {
    if (i <= head || given.trim() === "") continue
    const fields = fieldsOf(given)
    const fault = (column: number, problem: string, expected: string): undefined => {
      problems.push({ file, line: i + 1, column, problem, expected })
    }
    const [most] = fields.slice(header.length)
    const last = fields.at(-1)
    if (fields.length !== header.length) {
      const problem = `there are ${fields.length} values`
      fault(most?.column ?? last?.column ?? 1, problem, `${header.length}, as the header has`)
      continue
    }
    const field = (name: string): Field | undefined => fields[places.get(name) ?? -1]
    const value = (name: string, { expected, read }: Kind): number | undefined => {
      const { column, text: said } = field(name) ?? { column: 1, text: "" }
      return read(said) ?? fault(column, `${name} is ${quote(said)}`, expected)
    }
    const at = value(format.arrival, seconds)
    const leaving = field(format.departure)
    const until = leaving === undefined || leaving.text === "" ? null : value(format.departure, seconds)
    const cpu = value(format.cpu, format.cpuKind)
    const ram = value("memory_mib", mebibytes)
    if (at === undefined || until === undefined || cpu === undefined || ram === undefined) continue
    if (until !== null && until < at) {
      fault(leaving?.column ?? 1, `${format.departure} is ${until}`, `${format.arrival}, ${at}, or later`)
      continue
    }
    arrivals.push({ at, until, resources: { cpu, ram, disk: 0 } })
  }
  if (problems.length > 0) return failed()
  if (arrivals.length === 0)
    return failed({ file, problem: "it has no VMs", expected: "at least one line after the header" })
  return Either.right(arrivals.toSorted((a, b) => a.at - b.at))
}

/** What all VMs want together when they want most of it, by resource, wherever they are. @since 0.7.0 @category getters */
export const height = (trace: Trace): Resources.Resources => {
  const changes = trace
    .flatMap(({ at, resources, until }) => [
      { at, resources, by: 1 },
      ...(until === null ? [] : [{ at: until, resources, by: -1 }])
    ])
    .toSorted((a, b) => a.at - b.at || a.by - b.by)
  const now = { ...Resources.zero }
  const most = { ...Resources.zero }
  for (const { by, resources } of changes) {
    for (const name of Resources.names) {
      now[name] += by * resources[name]
      most[name] = Math.max(most[name], now[name])
    }
  }
  return most
}

/**
 * VMs of a trace's sizes, drawn by a seed, one a second, of which none leaves: more than the hosts can hold. What is too large for all of
 * them is not drawn.
 *
 * @since 0.7.0 @category constructors
 */
export const filling = (trace: Trace, fleet: ReadonlyArray<Resources.Resources>, seed: number): Trace => {
  const random = randomFrom(seed)
  const sizes = trace.flatMap(({ resources }) =>
    fleet.some((capacity) => Resources.names.every((name) => resources[name] <= capacity[name])) ? [resources] : []
  )
  const all = Resources.map((name) => fleet.reduce((sum, capacity) => sum + capacity[name], 0))
  const wanted = { ...Resources.zero }
  const arrivals: Array<Arrival> = []
  while (Resources.names.every((name) => wanted[name] <= all[name])) {
    const resources = sizes[Math.floor(random() * sizes.length)]
    if (resources === undefined) break
    for (const name of Resources.names) wanted[name] += resources[name]
    arrivals.push({ at: arrivals.length, until: null, resources })
  }
  return arrivals
}
