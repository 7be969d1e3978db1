/**
 * `npm run soak -- --seed 7 --operations 100000`: a long soak, or many short ones (`--seeds 20`), each told in one line. A violation is told with its
 * seed and the end of its log, and ends it with status 1; the same seed and settings bring it about again. In each soak it is sampled at rest what the
 * process holds (`--sample-every N` settlements; 0: never), which must not grow.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { closeSync, openSync, readdirSync, writeSync } from "node:fs"
import { parseArgs } from "node:util"
import * as Flat from "./Flat.ts"
import * as Soak from "./Soak.ts"

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Soak.defaults.seed) },
    seeds: { type: "string", default: "1" },
    operations: { type: "string", default: String(Soak.defaults.operations) },
    hosts: { type: "string", default: String(Soak.defaults.hosts) },
    rate: { type: "string", default: String(Soak.defaults.perSecond) },
    "fault-every": { type: "string", default: String(Soak.defaults.faultEvery) },
    "kill-every": { type: "string", default: String(Soak.defaults.killEvery) },
    "settle-every": { type: "string", default: String(Soak.defaults.settleEvery) },
    things: { type: "string", default: String(Soak.defaults.things) },
    "sample-every": { type: "string", default: "1" },
    pace: { type: "string", default: String(Soak.defaults.pace) },
    folders: { type: "boolean", default: false },
    "folders-every": { type: "string", default: "0" },
    log: { type: "string" }
  }
})

/** `--kill-every 8,40`: by turns, seed after seed */
const turn = (name: "kill-every", seed: number): number => {
  const all = values[name].split(",").map(Number)
  return all[seed % all.length] ?? 0
}

const number = (name: keyof typeof values): number => {
  const value = Number(values[name])
  if (!Number.isFinite(value) || value < 0)
    throw new Error(`--${name} ${String(values[name])}: expected a number from 0 on`)
  return value
}

const say = (line: string) => process.stdout.write(`${line}\n`)
const mebibytes = () => Math.round(process.memoryUsage().rss / 1024 ** 2)
/** seconds of a processor that this process has had, of all its threads */
const processor = () => {
  const { system, user } = process.cpuUsage()
  return (user + system) / 1_000_000
}
const descriptors = () => readdirSync("/proc/self/fd").length

/** lines that are told after a violation */
const tail = 40

const one = (seed: number) =>
  Effect.gen(function* () {
    const every = number("folders-every")
    const file = values.log === undefined ? null : openSync(values.log, "w")
    const last: Array<string> = []
    let settled = 0
    const began = performance.now()
    const worked = processor()
    const log = (line: string) => {
      if (file !== null) writeSync(file, `${line}\n`)
      last.push(line)
      if (last.length > tail) last.shift()
      if (!line.includes("SETTLED") || ++settled % 100 !== 0) return
      const seconds = Math.round((performance.now() - began) / 1000)
      const cpu = Math.round(processor() - worked)
      say(`  ${line}; ${seconds} s, ${cpu} s of a processor, ${mebibytes()} MiB, ${descriptors()} descriptors`)
    }
    const settings: Soak.Settings = {
      seed,
      hosts: number("hosts"),
      ceph: !values.folders && (every === 0 || seed % every !== 0),
      operations: number("operations"),
      perSecond: number("rate"),
      faultEvery: number("fault-every"),
      killEvery: turn("kill-every", seed),
      settleEvery: number("settle-every"),
      things: number("things"),
      sampleEvery: number("sample-every"),
      pace: number("pace")
    }
    const report = yield* Soak.virtually(settings, log).pipe(
      Effect.tapError(({ message }) => Effect.sync(() => [...last, message].forEach((line) => say(line)))),
      Effect.ensuring(Effect.sync(() => file !== null && closeSync(file)))
    )
    const seconds = (performance.now() - began) / 1000
    const cpu = processor() - worked
    if (report.samples.length >= Flat.fewest) {
      say(`  held at rest, over ${report.samples.length} samples: ${Flat.course(report.samples)}`)
    }
    say(
      `seed ${seed}: ${report.requests} requests (${report.succeeded} done, ${report.refused} refused, ${report.cutOff} cut off), ` +
        `${report.faults} faults, ${report.lives} lives of the controller, ${report.settlements} times all ${report.checks} promises were true; ` +
        `${Math.round(report.virtual)} s of simulated time in ${seconds.toFixed(1)} s, ${cpu.toFixed(1)} s of a processor, ${(report.requests / cpu).toFixed(1)} requests for each of those, ` +
        `${mebibytes()} MiB, ${descriptors()} descriptors`
    )
  })

const first = number("seed")
NodeRuntime.runMain(
  Effect.forEach(
    Array.from({ length: number("seeds") }, (_, i) => first + i),
    one,
    { discard: true }
  ),
  { disablePrettyLogger: true }
)
