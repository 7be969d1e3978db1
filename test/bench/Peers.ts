/**
 * One placement by the engine, by one pass over the numbers, and by what others place with: `hail` and `hspace` of Ganeti's htools, and
 * OpenStack Placement, all on hosts of the same sizes that are in use alike. What is not installed is told and left out, and so are the sizes that
 * a peer does not bear.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compare, type Figure, median, milliseconds } from "./Figure.ts"
import { BenchError, root, run } from "./Process.ts"
import { fleet, onePass, promisedVms, sizes, traffic } from "./Scheduler.ts"

const section = "placement"

/** Debian's paths. */
const hail = "/usr/lib/ganeti/iallocators/hail"
const hspace = "/usr/bin/hspace"
/** the one that Debian's packages are of, whichever is first in PATH */
const python = "/usr/bin/python3"

/** A peer that takes longer for what it is asked is given up at this size and at those above. */
const patience = 90

interface Timed {
  /** decisions a second, by round */
  readonly rates: ReadonlyArray<number>
  /** ms, by round: the slowest of so many; empty: they were not timed one by one */
  readonly slowest: ReadonlyArray<number>
  readonly of: number
}

const slowestOf = (times: ReadonlyArray<number>): number =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN

const scanned = (size: number): Effect.Effect<Timed> =>
  Effect.gen(function* () {
    const scan = onePass(fleet(size))
    const rates: Array<number> = []
    const slowest: Array<number> = []
    for (let round = 0; round < 3; round++) {
      const times: Array<number> = []
      const begun = performance.now()
      for (let at = begun; at - begun < 300;) {
        scan()
        const now = performance.now()
        times.push(now - at)
        at = now
      }
      rates.push((times.length / (performance.now() - begun)) * 1000)
      slowest.push(slowestOf(times))
      yield* Effect.yieldNow()
    }
    return { rates, slowest, of: 100 }
  })

const engine = (size: number): Effect.Effect<Timed> =>
  Effect.gen(function* () {
    const { round, slowest } = traffic(size)
    const rates: Array<number> = []
    for (let i = 0; i < 3; i++) rates.push(yield* round)
    return { rates, slowest, of: 100 }
  })

/** The text backend's file: one VM a host for all that is promised there, which is less for the peer to read than each by itself. */
const textOf = (size: number): string => {
  const group = "00000000-0000-4000-8000-000000000000"
  const [ram, disk] = [131_072, 2000 * 1024]
  const nodes: Array<string> = []
  const instances: Array<string> = []
  for (let i = 0; i < size; i++) {
    const vms = promisedVms(i)
    nodes.push(`host-${i}|${ram}|0|${ram - vms * 2048}|${disk}|${disk - vms * 20_480}|128|N|${group}|1||N|0|0|1.0`)
    if (vms > 0) {
      instances.push(`vm-${i}|${vms * 2048}|${vms * 20_480}|${vms * 2}|running|Y|host-${i}||plain||1|-`)
    }
  }
  const policy = `2048,2,20480,1,1,1|128,1,1024,1,1,1;${ram},128,${disk},16,8,12|plain|1.0|32.0`
  const sections = [[`default|${group}|preferred||`], nodes, instances, [], [`|${policy}`, `default|${policy}`]]
  return `${sections.map((lines) => lines.map((line) => `${line}\n`).join("")).join("\n")}`
}

const request = JSON.stringify({
  version: 2,
  cluster_name: "bench",
  cluster_tags: [],
  enabled_hypervisors: ["kvm"],
  ipolicy: {},
  nodegroups: {},
  nodes: {},
  instances: {},
  request: {
    type: "allocate",
    name: "vm-new",
    memory: 2048,
    vcpus: 2,
    disk_space_total: 20_480,
    disks: [{ mode: "w", size: 20_480 }],
    disk_template: "plain",
    nics: [],
    os: "none",
    tags: [],
    required_nodes: 1,
    spindle_use: 1,
    hypervisor: "kvm"
  }
})

/** One process a decision, as Ganeti runs it. The check that any host could be lost is off: what it guards is no part of the others' decision. */
const byHail = (work: string, size: number): Effect.Effect<Timed, BenchError> =>
  Effect.gen(function* () {
    const [data, asked] = [join(work, `${size}.data`), join(work, "request.json")]
    writeFileSync(data, textOf(size))
    writeFileSync(asked, request)
    const answer = run([hail, "--no-capacity-checks", "-t", data, asked], { seconds: patience }).pipe(
      Effect.filterOrFail(
        (text) => text.startsWith('{"success":true'),
        (text) => new BenchError({ message: `hail: ${text.slice(0, 300)}` })
      )
    )
    const took = [yield* milliseconds(answer)]
    if (took.every((each) => each < 10_000)) for (let i = 0; i < 2; i++) took.push(yield* milliseconds(answer))
    return { rates: took.map((each) => 1000 / each), slowest: [Math.max(...took)], of: took.length }
  })

/** What three rounds cost more than one: reading the file and the first figures of the fleet are not counted. It makes both its allocations each round. */
const byHspace = (work: string, size: number): Effect.Effect<Timed, BenchError> =>
  Effect.gen(function* () {
    const data = join(work, `${size}.data`)
    writeFileSync(data, textOf(size))
    const rounds = (most: number) =>
      milliseconds(
        run(
          [
            hspace,
            "-t",
            data,
            "--no-capacity-checks",
            "--disk-template=plain",
            "--machine-readable",
            "--standard-alloc=20g,2g,2",
            "--tiered-alloc=20g,2g,2",
            "-l",
            `${most}`
          ],
          { seconds: patience }
        ).pipe(
          Effect.filterOrFail(
            (text) => text.includes("HTS_OK=1"),
            (text) => new BenchError({ message: `hspace: ${text.slice(-300)}` })
          )
        )
      )
    const one = yield* rounds(1)
    const three = yield* rounds(3)
    return { rates: [4000 / (three - one)], slowest: [], of: 0 }
  })

const byPlacement = (work: string, size: number): Effect.Effect<Timed, BenchError> =>
  Effect.gen(function* () {
    const database = join(work, `${size}.sqlite`)
    const text = yield* run([python, join(root, "test/bench/placement_api.py"), database, `${size}`, "10"], {
      seconds: patience
    })
    const times = timesIn(text)
    if (times === null) return yield* new BenchError({ message: `OpenStack Placement: ${text.slice(0, 300)}` })
    const sum = times.reduce((all, each) => all + each, 0)
    return { rates: [(times.length / sum) * 1000], slowest: [slowestOf(times)], of: Math.min(100, times.length) }
  })

/** null: it is not what the script prints. */
const timesIn = (text: string): ReadonlyArray<number> | null => {
  const found = /"times": \[([^\]]+)\]/.exec(text)?.[1]
  const times = found?.split(",").map(Number) ?? []
  return times.length > 0 && times.every(Number.isFinite) ? times : null
}

interface Peer {
  readonly name: string
  readonly package: string
  readonly version: Effect.Effect<string, BenchError>
  readonly isThere: Effect.Effect<boolean>
  readonly place: (work: string, size: number) => Effect.Effect<Timed, BenchError>
}

const htoolsVersion = Effect.map(run([hspace, "--version"]), (text) => /version (\S+)/.exec(text)?.[1] ?? "")
const distribution = "from importlib.metadata import version; print(version('openstack-placement'))"

const peers: ReadonlyArray<Peer> = [
  {
    name: "hail",
    package: "ganeti-htools",
    version: htoolsVersion,
    isThere: Effect.sync(() => existsSync(hail)),
    place: byHail
  },
  {
    name: "hspace",
    package: "ganeti-htools",
    version: htoolsVersion,
    isThere: Effect.sync(() => existsSync(hspace)),
    place: byHspace
  },
  {
    name: "OpenStack Placement",
    package: "python3-placement",
    version: Effect.map(run([python, "-c", distribution]), (text) => text.trim()),
    isThere: Effect.isSuccess(run([python, "-c", "import placement"])),
    place: byPlacement
  }
]

const place = (size: number) => `one of ${size.toLocaleString("en")} hosts`

const figuresOf = (name: string, size: number, timed: Timed, ours: Timed | null): ReadonlyArray<Figure> => [
  {
    section,
    what: `${name}: ${place(size)}`,
    unit: "placements/s",
    values: timed.rates,
    ...(ours === null ? {} : { against: compare("the engine", timed.rates, ours.rates) })
  },
  ...(timed.slowest.length === 0
    ? []
    : [{ section, what: `${name}: the slowest of ${timed.of}, ${place(size)}`, unit: "ms", values: timed.slowest }])
]

/** On fleets of so many hosts at most. */
export const measure = Effect.fnUntraced(function* (most: number) {
  const asked = sizes.filter((size) => size <= most)
  const work = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-bench-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const figures: Array<Figure> = []
  const ours = new Map<number, Timed>()
  for (const size of asked) {
    const timed = yield* engine(size)
    ours.set(size, timed)
    figures.push(...figuresOf("the engine", size, timed, null))
    figures.push(...figuresOf("one pass over the numbers", size, yield* scanned(size), timed))
  }
  for (const peer of peers) {
    if (!(yield* peer.isThere)) {
      yield* Console.log(`${section}: without ${peer.name}: not installed: apt-get install ${peer.package}`)
      continue
    }
    const name = `${peer.name} ${yield* peer.version}`
    for (const size of asked) {
      const started = performance.now()
      const outcome = yield* Effect.either(peer.place(work, size))
      if (outcome._tag === "Left") {
        const isSlow = performance.now() - started >= patience * 1000
        const why = isSlow ? `no answer in ${patience} s` : outcome.left.message
        yield* Console.log(`${section}: ${name} does not bear ${size.toLocaleString("en")} hosts and more: ${why}`)
        // the same at every size above it, only later
        break
      }
      figures.push(...figuresOf(name, size, outcome.right, ours.get(size) ?? null))
      yield* Console.log(
        `${section}: ${name}, ${place(size)}: ${median(outcome.right.rates).toPrecision(3)} placements/s`
      )
    }
  }
  return figures
})
