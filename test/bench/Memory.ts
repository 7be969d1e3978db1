/**
 * What the controller holds when it has nothing to do.
 */
import * as Effect from "effect/Effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compare, type Figure } from "./Figure.ts"
import type { Lab } from "./Lab.ts"
import { type Argv, family, start } from "./Process.ts"
import * as Program from "./Program.ts"

const section = "memory"
const rounds = 3

/** MiB */
const residentOf = (pid: number): number =>
  Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

/** Of the process that serves, 10 s after it was ready; `npm` and the shell between are left out. */
const idle = (pid: number) =>
  Effect.delay(
    Effect.sync(() => Math.max(...family(pid).map(residentOf))),
    "10 seconds"
  )

const bareNode: Argv = [process.execPath, "-e", "process.stdout.write('ready\\n'); setInterval(() => {}, 1000)"]

export const measure = (lab: Lab | null) =>
  Effect.gen(function* () {
    yield* Program.build
    const served = (command: Argv, args: ReadonlyArray<string>) =>
      Effect.scoped(Effect.flatMap(Program.serve(command, args), ({ pid }) => idle(pid)))
    const npmStart: Argv = ["npm", "start", "--"]
    const database = Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-bench-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true }))
    )
    const real = (command: Argv, { imageFile, machineFile, sshArgs, typesFile }: Lab) =>
      Effect.scoped(
        Effect.flatMap(database, (folder) =>
          served(command, [
            "--database",
            join(folder, "vmfabric.sqlite"),
            ...sshArgs,
            machineFile,
            imageFile,
            typesFile
          ])
        )
      )
    const ways = [
      {
        what: "node, doing nothing",
        round: Effect.scoped(Effect.flatMap(start(bareNode, /(ready)/), ({ pid }) => idle(pid)))
      },
      { what: "simulated fleet, built", round: served(Program.fromBuild, []) },
      { what: "simulated fleet, npm start", round: served(npmStart, []) },
      ...(lab === null
        ? []
        : [
            { what: "real files, built", round: real(Program.fromBuild, lab), target: 120 },
            { what: "real files, npm start", round: real(npmStart, lab), target: 120 }
          ])
    ]
    // side by side: memory is not shared with neighbours as processors are
    const all = yield* Effect.replicateEffect(
      Effect.forEach(ways, ({ round }) => round, { concurrency: "unbounded" }),
      rounds
    )
    const values = (index: number) => all.map((round) => round[index] ?? Number.NaN)
    return ways.map((way, i): Figure => ({
      section,
      what: `idle RSS: ${way.what}`,
      unit: "MiB",
      values: values(i),
      ...(i === 0 ? {} : { against: compare("node, doing nothing", values(i), values(0)) }),
      ...("target" in way ? { target: { of: "median", kind: "at most", value: way.target } } : {})
    }))
  })
