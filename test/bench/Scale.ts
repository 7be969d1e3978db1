/**
 * The controller over a thousand SIMULATED hosts, which are in another process and reached by SSH: what it adds itself, since the hosts take no
 * time but what is left of two cores.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Figure, simulated } from "./Figure.ts"
import { BenchError, run } from "./Process.ts"
import * as Program from "./Program.ts"
import * as Starting from "./Starting.ts"

const section = "scale"

const Creating = Schema.parseJson(
  Schema.Struct({
    failed: Schema.Number,
    unfinished: Schema.Number,
    perSecond: Schema.Number,
    cpuOfOne: Schema.Number,
    hostsCpuOfOne: Schema.Number,
    p50: Schema.Number,
    p99: Schema.Number,
    others: Schema.Struct({ creates: Schema.Number, p50: Schema.Number, p99: Schema.Number }),
    mebibytes: Schema.Number,
    /** the same many by hand */
    raw: Schema.optional(
      Schema.Struct({ perSecond: Schema.Number, cpuOfOne: Schema.Number, hostsCpuOfOne: Schema.Number })
    )
  })
)
const Standing = Schema.parseJson(
  Schema.Struct({ ready: Schema.Number, seen: Schema.Number, mebibytes: Schema.Number })
)

/** Seconds: far more than all of it takes. Cut off earlier, what was spent on those that had not ended yet would count as spent on those that had. */
const within = 300

/** As users have it: without what reads TypeScript, which would count as memory of the controller's. */
const build = Program.bundle("scaleProgram", "hostsProgram")

const program = <A, I>(schema: Schema.Schema<A, I>, ...args: ReadonlyArray<string>) =>
  run([process.execPath, "--max-semi-space-size=8", `${Program.output}/scaleProgram.js`, ...args], {
    seconds: within + 60
  }).pipe(
    Effect.map((output) => output.trim().split("\n").at(-1) ?? ""),
    Effect.flatMap(Schema.decodeUnknown(schema)),
    Effect.mapError((cause) => new BenchError({ message: `scale: ${cause.message}`, cause }))
  )

/** Creates arrive whether or not earlier ones have ended, and count from when they were due. */
const creating = (creates: number, hung: number, raw = 0) =>
  program(
    Creating,
    "--hosts",
    "1000",
    "--creates",
    `${creates}`,
    "--rate",
    "150",
    "--hung",
    `${hung}`,
    "--raw",
    `${raw}`,
    "--within",
    `${within}`
  )

const few = 3000

/** What the same calls and commits cost without all else, by `Raw.ts`, right after it and on the same hosts. */
const byHand = ({ cpuOfOne, raw }: typeof Creating.Type): ReadonlyArray<Figure> => {
  if (raw === undefined) return []
  const figure = simulated(section)
  return [
    figure("the same by hand, 64 at once", "VMs/s", raw.perSecond),
    figure("CPU of one by hand", "ms", raw.cpuOfOne),
    figure("CPU of one by hand, in the hosts' process", "ms", raw.hostsCpuOfOne),
    {
      ...figure(`CPU of one of ${few}`, "ms", cpuOfOne),
      against: { peer: "by hand", ratio: cpuOfOne / raw.cpuOfOne, difference: cpuOfOne - raw.cpuOfOne }
    }
  ]
}

export const measure = Effect.gen(function* () {
  yield* build
  yield* Program.build
  const well = yield* creating(10_000, 0)
  // the same many, with and without
  const calm = yield* creating(few, 0, few)
  const hung = yield* creating(few, 100)
  const standing = yield* program(Standing, "--hosts", "1000", "--standing", "20000", "--within", "40")
  const figure = simulated(section)
  return [
    figure("10,000 VMs on 1,000 hosts, 150 arriving a second, until the last one runs", "VMs/s", well.perSecond, {
      kind: "at least",
      // the last one arrives when the time is up, and takes a moment
      value: 149
    }),
    figure("one of them, p50", "ms", well.p50),
    figure("one of them, p99", "ms", well.p99, { kind: "at most", value: 50 }),
    figure("CPU of one of them", "ms", well.cpuOfOne),
    figure("CPU of one of them, in the hosts' process", "ms", well.hostsCpuOfOne),
    ...byHand(calm),
    figure(`refused, or not there after ${within} s`, "VMs", well.failed + well.unfinished, {
      kind: "at most",
      value: 0
    }),
    figure("the process then", "MiB", well.mebibytes),
    figure(`${few} VMs with 100 of the hosts hanging`, "VMs/s", hung.perSecond),
    figure("one of them, p99", "ms", hung.p99),
    figure(`${few} VMs with none hanging, p99`, "ms", calm.p99),
    {
      ...figure(`of ${hung.others.creates} that a hanging host had no part in, p99`, "ms", hung.others.p99),
      against: {
        peer: "none hanging",
        ratio: hung.others.p99 / calm.p99,
        difference: hung.others.p99 - calm.p99
      },
      target: { of: "ratio", kind: "at most", value: 1.1 }
    } satisfies Figure,
    figure("start with 20,000 VMs that run", "ms", standing.ready, { kind: "at most", value: 2000 }),
    figure("until all of them have been seen", "ms", standing.seen, { kind: "at most", value: 10_000 }),
    figure("the process then", "MiB", standing.mebibytes, { kind: "at most", value: 300 }),
    ...(yield* Starting.measure(section))
  ]
})
