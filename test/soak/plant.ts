/**
 * `npm run soak:bugs [n…]`: plants each bug in a copy of the sources and soaks that, seed after seed, until it is found. The checkout stays as it is.
 * What finds one may not find anything where there is none: the same seed is soaked without it too. Tells in a table what found each; ends with status 1 when one was not found.
 */
import { build } from "esbuild"
import { spawn } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bugs, type Bug } from "./bugs.ts"
import * as Finding from "./Finding.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Short soaks in rough weather: a controller that is killed again and again, or has to go on for long; every third with disks on the hosts. */
const seeds = 60
const weather =
  `--operations 300 --settle-every 75 --rate 3 --fault-every 1 --kill-every 8,60 --folders-every 3 --sample-every 0`.split(
    " "
  )

/** All of them have to be over by then, on a processor that is busy otherwise too. */
const minutes = 20

const plant = (from: string, to: string, { file, find, name, replace }: Bug): void => {
  cpSync(from, to, { recursive: true, verbatimSymlinks: true })
  const path = join(to, file)
  const text = readFileSync(path, "utf8")
  if (text.split(find).length !== 2) throw new Error(`${name}: ${file} does not have its place exactly once`)
  writeFileSync(
    path,
    text.replace(find, () => replace)
  )
}

/** One file is read in a second; a thousand that are to be compiled first, in many. */
const bundle = async (cwd: string): Promise<string> => {
  const outfile = join(cwd, "soak.mjs")
  await build({
    absWorkingDir: cwd,
    entryPoints: ["test/soak/run.ts"],
    outfile,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    conditions: ["vmfabric-source"],
    logLevel: "warning"
  })
  return outfile
}

const soak = (cwd: string, program: string, first: string, seeds: number): Promise<Finding.Finding> =>
  new Promise((resolve, reject) => {
    const these = ["--seed", first, "--seeds", String(seeds), ...weather]
    const run = spawn(process.execPath, ["--max-semi-space-size=64", program, ...these], {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: minutes * 60_000,
      killSignal: "SIGKILL"
    })
    let said = ""
    const began = performance.now()
    for (const stream of [run.stdout, run.stderr]) {
      stream.setEncoding("utf8")
      stream.on("data", (part: string) => (said += part))
    }
    run.on("error", reject)
    run.on("close", (code, signal) => {
      const late = performance.now() - began >= minutes * 60_000
      resolve(Finding.read(said, seeds, late ? { minutes } : { code, signal }))
    })
  })

const folder = mkdtempSync(join(tmpdir(), "vmfabric-bugs-"))
/** One copy of all, so that nothing changes under the soaks. */
const sound = join(folder, "sound")
const chosen = process.argv.slice(2).map(Number)
const todo = [...bugs.entries()].filter(([index]) => chosen.length === 0 || chosen.includes(index + 1))
const rows: Array<ReadonlyArray<string>> = []
let missed = 0

/** `program`: the soak without a bug. */
const next = async (program: string): Promise<void> => {
  for (let one = todo.shift(); one !== undefined; one = todo.shift()) {
    const [index, bug] = one
    const copy = join(folder, String(index + 1))
    const began = performance.now()
    plant(sound, copy, bug)
    const { invariant, requests, seed, told } = await soak(copy, await bundle(copy), "1", seeds)
    rmSync(copy, { recursive: true })
    const without = invariant === null ? "" : (await soak(sound, program, seed, 1)).told
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    const isFound = invariant !== null && without === Finding.allGreen
    if (!isFound) missed++
    const found = !isFound
      ? `NOT FOUND${without === "" ? "" : `, for without it seed ${seed} tells "${without}"`}`
      : `found by seed ${seed}${requests === "" ? "" : ` after ${requests} requests`}, in ${seconds} s`
    process.stdout.write(`${index + 1}. ${bug.name}: ${found}: ${told.slice(0, 160)}\n`)
    rows[index] = [String(index + 1), bug.name, bug.file, isFound ? invariant : "NOT FOUND", seed, requests, seconds]
  }
}

try {
  mkdirSync(sound)
  for (const part of ["src", "layers", "test", "package.json", "tsconfig.json"]) {
    cpSync(join(root, part), join(sound, part), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(sound, "node_modules"))
  const program = await bundle(sound)
  await Promise.all(Array.from({ length: availableParallelism() }, () => next(program)))
} finally {
  rmSync(folder, { recursive: true })
}

const table = [
  ["", "bug", "in", "found with", "seed", "requests", "seconds"],
  ...rows.filter((row) => row !== undefined)
]
const widths = table.reduce<ReadonlyArray<number>>(
  (all, row) => row.map((cell, i) => Math.max(all[i] ?? 0, cell.length)),
  []
)
for (const row of table)
  process.stdout.write(
    `${row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd()}\n`
  )
process.stdout.write(missed === 0 ? "all found\n" : `${missed} not found\n`)
process.exitCode = missed === 0 ? 0 : 1
