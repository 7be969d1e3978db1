/**
 * `npm run bench`: how fast the parts are, each against a named peer in the same run.
 */
import * as Args from "@effect/cli/Args"
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { accessSync, constants, mkdirSync, writeFileSync } from "node:fs"
import { cpus, release, totalmem } from "node:os"
import { delimiter, join } from "node:path"
import * as Api from "./Api.ts"
import * as Attach from "./Attach.ts"
import * as Cli from "./Cli.ts"
import * as Clone from "./Clone.ts"
import * as Commits from "./Commits.ts"
import * as Create from "./Create.ts"
import { type Figure, median, met, table } from "./Figure.ts"
import * as Fuzz from "./Fuzz.ts"
import * as Groups from "./Groups.ts"
import * as Gui from "./Gui.ts"
import * as Http from "./Http.ts"
import * as ImageSize from "./ImageSize.ts"
import * as Journal from "./Journal.ts"
import * as Lab from "./Lab.ts"
import * as Management from "./Management.ts"
import * as Memory from "./Memory.ts"
import * as Packing from "./Packing.ts"
import * as Peers from "./Peers.ts"
import type { BenchError } from "./Process.ts"
import * as Program from "./Program.ts"
import * as Rpc from "./Rpc.ts"
import * as Scale from "./Scale.ts"
import * as Scheduler from "./Scheduler.ts"
import * as Volumes from "./Volumes.ts"

/** Debian packages by the program that is looked for. */
const packages = {
  wrk: "wrk",
  chromium: "chromium",
  python3: "python3-flask",
  taskset: "util-linux",
  ssh: "openssh-client",
  virsh: "libvirt-clients",
  "qemu-img": "qemu-utils",
  nsenter: "util-linux",
  rbd: "ceph-common",
  xargs: "findutils"
} as const
type Tool = keyof typeof packages

interface Given {
  readonly lab: Effect.Effect<Lab.Lab, BenchError>
  /** a folder for CPU profiles */
  readonly profile: string | null
  /** of section gui: how long memory is watched */
  readonly soak: number
  /** of section gui: how many VMs there are */
  readonly vms: number
  /** of section commits */
  readonly committing: { readonly committers: number; readonly decisions: number }
  /** of section placement: the largest fleet */
  readonly hosts: number
}

interface Section {
  readonly name: string
  readonly about: string
  readonly tools: ReadonlyArray<Tool>
  /** `part`: what can be measured without the lab is */
  readonly lab: "all" | "part" | "none"
  readonly minutes: number
  readonly measure: (
    given: Given,
    withLab: boolean
  ) => Effect.Effect<ReadonlyArray<Figure>, { readonly message: string }, Scope.Scope>
}

const sections: ReadonlyArray<Section> = [
  {
    name: "scheduler",
    about: "placements a second of CPU time on 200 and 10,000 hosts, and by the engine on 1,000 to 100,000",
    tools: [],
    lab: "none",
    minutes: 3,
    measure: () => Scheduler.measure
  },
  {
    name: "placement",
    about:
      "one placement on 1,000 to 100,000 hosts by the engine, by one pass over the numbers, by hail and hspace of ganeti-htools, and by " +
      "OpenStack Placement on SQLite",
    tools: [],
    lab: "none",
    minutes: 20,
    measure: ({ hosts }) => Peers.measure(hosts)
  },
  {
    name: "commits",
    about: "decisions of parallel committers, each checked by counts of its own against every limit and must-rule",
    tools: [],
    lab: "none",
    minutes: 300,
    measure: ({ committing }) => Commits.measure(committing)
  },
  {
    name: "packing",
    about: "how full fleets are at the first refusal, by policies and baselines, on synthetic traces and fills",
    tools: [],
    lab: "none",
    minutes: 10,
    measure: () => Packing.measure
  },
  {
    name: "journal",
    about: "durable records and whole operations a second against single commits, and the start with 20,000 VMs",
    tools: [],
    lab: "none",
    minutes: 3,
    measure: () => Journal.measure
  },
  {
    name: "scale",
    about: "creates, start and resync on 1,000 simulated hosts",
    tools: [],
    lab: "none",
    minutes: 15,
    measure: () => Scale.measure
  },
  {
    name: "groups",
    about:
      "10,000 VMs in groups that must be apart, all asked for at once through the API of 1,000 simulated hosts, and every rule counted",
    tools: [],
    lab: "none",
    minutes: 15,
    measure: () => Groups.measure
  },
  {
    name: "fuzz",
    about: "a million mutated frames through the RPC decoder",
    tools: [],
    lab: "none",
    minutes: 10,
    measure: () => Fuzz.measure
  },
  {
    name: "http",
    about: "/vm/query against node:http and Flask",
    tools: ["wrk", "python3", "taskset"],
    lab: "none",
    minutes: 5,
    measure: ({ profile }) => Http.measure(profile)
  },
  {
    name: "api",
    about: "reads of /api/v1 over 20,000 VMs, with a token, against node:http",
    tools: ["wrk", "taskset"],
    lab: "none",
    minutes: 6,
    measure: () => Api.measure
  },
  {
    name: "gui",
    about:
      "how soon one browser shows what another does; 10,000 VMs (--vms): how soon a page is usable, also with a processor 4 times slower, its first load, the work of its thread in a " +
      "frame and frames by the clock while the whole list is scrolled with 1,000 changes a second, elements, memory; the hosts are in a process of their own",
    tools: ["chromium"],
    lab: "none",
    minutes: 60,
    measure: ({ profile, soak, vms }) => Gui.measure({ minutes: soak, profile, vms })
  },
  {
    name: "cli",
    about: "how long --help takes, against Node's own start",
    tools: [],
    lab: "none",
    minutes: 4,
    measure: () => Cli.measure
  },
  {
    name: "memory",
    about: "what the controller holds when idle",
    tools: [],
    lab: "part",
    minutes: 5,
    measure: ({ lab }, withLab) => Effect.flatMap(withLab ? lab : Effect.succeed(null), Memory.measure)
  },
  {
    name: "rpc",
    about: "one libvirt call against virsh and against the bare socket",
    tools: ["ssh", "virsh", "nsenter"],
    lab: "all",
    minutes: 5,
    measure: ({ lab }) => Effect.flatMap(lab, Rpc.measure)
  },
  {
    name: "create",
    about: "30 VMs at once against a shell script",
    tools: ["ssh", "virsh", "qemu-img", "nsenter"],
    lab: "all",
    minutes: 20,
    measure: ({ lab }) => Effect.flatMap(lab, Create.measure)
  },
  {
    name: "clone",
    about: "a VM with a root disk in Ceph against rbd and virsh on its host",
    tools: ["ssh", "virsh", "rbd", "nsenter"],
    lab: "all",
    minutes: 10,
    measure: ({ lab }) => Effect.flatMap(lab, Clone.measure)
  },
  {
    name: "attach",
    about: "a volume into a running VM against virsh on its host",
    tools: ["ssh", "virsh", "rbd", "nsenter"],
    lab: "all",
    minutes: 15,
    measure: ({ lab }) => Effect.flatMap(lab, Attach.measure)
  },
  {
    name: "volumes",
    about: "new volumes a second against the rbd command",
    tools: ["rbd", "xargs"],
    lab: "all",
    minutes: 15,
    measure: ({ lab }) => Effect.flatMap(lab, Volumes.measure)
  },
  {
    name: "image",
    about: "root disks from images of 100 MB and 10 GB",
    tools: ["rbd", "qemu-img"],
    lab: "all",
    minutes: 10,
    measure: ({ lab }) => Effect.flatMap(lab, ImageSize.measure)
  },
  {
    name: "rbd",
    about: "one call each on images in Ceph against the rbd command",
    tools: ["rbd"],
    lab: "all",
    minutes: 5,
    measure: ({ lab }) => Effect.flatMap(lab, Management.measure)
  }
]

const isInstalled = (tool: string): boolean =>
  (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK)
      return true
    } catch {
      return false // the question was whether it is there
    }
  })

const isRoot = process.getuid?.() === 0

/** Why a section cannot be run here; null: it can. */
const obstacle = ({ lab, tools }: Section): string | null => {
  const missing = [...new Set(tools.filter((tool) => !isInstalled(tool)).map((tool) => packages[tool]))]
  if (missing.length > 0) return `not installed: apt-get install ${missing.join(" ")}`
  return lab === "all" && !isRoot ? "needs root, for a lab of real hosts" : null
}

/** One section on its own: what goes wrong in it is told, and the others are run. */
const runSection = (section: Section, given: Given) =>
  Effect.gen(function* () {
    const reason = obstacle(section)
    if (reason !== null) {
      yield* Console.log(`${section.name}: skipped: ${reason}`)
      return { section: section.name, skipped: reason, figures: [] }
    }
    if (section.lab === "part" && !isRoot) {
      yield* Console.log(`${section.name}: in part: the lab of real hosts needs root`)
    }
    yield* Console.log(`${section.name}: ${section.about} …`)
    const started = performance.now()
    const outcome = yield* Effect.either(
      Effect.scoped(section.measure(given, isRoot)).pipe(
        Effect.timeoutFail({
          duration: `${section.minutes} minutes`,
          onTimeout: () => ({ message: `did not end within ${section.minutes} minutes` })
        })
      )
    )
    if (outcome._tag === "Left") {
      yield* Console.log(`${section.name}: FAILED: ${outcome.left.message}`)
      return { section: section.name, failed: outcome.left.message, figures: [] }
    }
    yield* Console.log(`${section.name}: ${Math.round((performance.now() - started) / 1000)} s`)
    return { section: section.name, figures: outcome.right }
  })

const write = (results: ReadonlyArray<{ readonly section: string; readonly figures: ReadonlyArray<Figure> }>) =>
  Effect.sync(() => {
    mkdirSync(Program.output, { recursive: true })
    const file = join(Program.output, "bench.json")
    const report = {
      at: new Date().toISOString(),
      node: process.version,
      kernel: release(),
      processors: cpus().map(({ model }) => model),
      memory: totalmem(),
      results: results.map((result) => ({
        ...result,
        figures: result.figures.map((figure) => ({ ...figure, median: median(figure.values), met: met(figure) }))
      }))
    }
    writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
    return file
  })

const names = sections.map(({ name }) => name)

const command = Command.make(
  "bench",
  {
    chosen: Args.text({ name: "SECTION" }).pipe(
      Args.withDescription(sections.map(({ about, name }) => `${name}: ${about}`).join("; ") + ". None: all of them."),
      Args.repeated,
      Args.mapEffect((chosen) => {
        const unknown = chosen.filter((name) => !names.includes(name))
        return unknown.length === 0
          ? Effect.succeed(chosen)
          : Effect.fail(HelpDoc.p(`There is no section ${unknown.join(", ")}; there are: ${names.join(", ")}`))
      })
    ),
    profile: Options.boolean("profile").pipe(
      Options.withDescription(
        "Writes a CPU profile of the server in section http and of the page in section gui, to dist/bench/profile."
      )
    ),
    soak: Options.integer("soak").pipe(
      Options.withSchema(Schema.Int.pipe(Schema.between(0, 55))),
      Options.withDefault(10),
      Options.withDescription("How many minutes section gui watches the page's memory.")
    ),
    vms: Options.integer("vms").pipe(
      Options.withSchema(Schema.Int.pipe(Schema.between(100, 100_000))),
      Options.withDefault(10_000),
      Options.withDescription("How many VMs there are in section gui.")
    ),
    decisions: Options.integer("decisions").pipe(
      Options.withSchema(Schema.Int.pipe(Schema.positive())),
      Options.withDefault(200_000),
      Options.withDescription("How many decisions section commits makes, of all committers.")
    ),
    hosts: Options.integer("hosts").pipe(
      Options.withSchema(Schema.Int.pipe(Schema.greaterThanOrEqualTo(1000))),
      Options.withDefault(100_000),
      Options.withDescription("Of how many hosts the largest fleet is in section placement, 1,000 or more.")
    ),
    committers: Options.integer("committers").pipe(
      Options.withSchema(Schema.Int.pipe(Schema.between(1, 64))),
      Options.withDefault(4),
      Options.withDescription("How many threads section commits has.")
    )
  },
  ({ chosen, committers, decisions, hosts, profile, soak, vms }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const scope = yield* Effect.scope
        const given: Given = {
          // brought up by the first who needs it
          lab: yield* Effect.cached(Effect.provideService(Lab.up, Scope.Scope, scope)),
          profile: profile ? join(Program.output, "profile") : null,
          soak,
          vms,
          committing: { committers, decisions },
          hosts
        }
        const wanted = sections.filter(({ name }) => chosen.length === 0 || chosen.includes(name))
        const results = yield* Effect.forEach(wanted, (section) => runSection(section, given))
        const figures = results.flatMap((result) => result.figures)
        if (figures.length > 0) yield* Console.log(`\n${table(figures)}\n`)
        yield* Console.log(`written to ${yield* write(results)}`)
        if (results.some((result) => "failed" in result)) yield* Effect.sync(() => void (process.exitCode = 1))
      })
    )
).pipe(
  Command.withDescription(
    "Measures speed as ratios against named peers or against the bare operation, all in one run: rounds are interleaved, the median " +
      "decides. What needs the lab of real hosts is skipped without root. Prints a table and writes dist/bench/bench.json."
  )
)

Command.run(command, { name: "bench", version: "0.1.0" })(process.argv).pipe(
  // a wrong command line has been told in a sentence
  Effect.tapErrorCause((cause) =>
    Cause.isFailType(cause) && ValidationError.isValidationError(cause.error) ? Effect.void : Effect.logError(cause)
  ),
  Effect.provide([NodeContext.layer, CliConfig.layer({ showBuiltIns: false })]),
  (main) => NodeRuntime.runMain(main, { disableErrorReporting: true })
)
