/**
 * `npm run soak:bugs [n…]`: plants each bug in a copy of the sources and soaks that, seed after seed, until it is found. The checkout stays as it is.
 * Tells in a table what found each; ends with status 1 when one was not found.
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
const soaks =
  `--seeds ${seeds} --operations 300 --settle-every 75 --rate 3 --fault-every 1 --kill-every 8,60 --folders-every 3 --sample-every 0`.split(
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

const soak = async (cwd: string): Promise<Finding.Finding> => {
  const program = await bundle(cwd)
  return await new Promise((resolve, reject) => {
    const run = spawn(process.execPath, ["--max-semi-space-size=64", program, ...soaks], {
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
}

const folder = mkdtempSync(join(tmpdir(), "vmfabric-bugs-"))
const chosen = process.argv.slice(2).map(Number)
const todo = [...bugs.entries()].filter(([index]) => chosen.length === 0 || chosen.includes(index + 1))
const rows: Array<ReadonlyArray<string>> = []
let missed = 0

const next = async (): Promise<void> => {
  for (let one = todo.shift(); one !== undefined; one = todo.shift()) {
    const [index, bug] = one
    const copy = join(folder, String(index + 1))
    const began = performance.now()
    plant(join(folder, "sound"), copy, bug)
    const { invariant, requests, seed, told } = await soak(copy)
    rmSync(copy, { recursive: true })
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    if (invariant === null) missed++
    const found =
      invariant === null
        ? "NOT FOUND"
        : `found by seed ${seed}${requests === "" ? "" : ` after ${requests} requests`}, in ${seconds} s`
    process.stdout.write(`${index + 1}. ${bug.name}: ${found}: ${told.slice(0, 160)}\n`)
    rows[index] = [String(index + 1), bug.name, bug.file, invariant ?? "NOT FOUND", seed, requests, seconds]
  }
}

try {
  // one copy of all, so that nothing changes under the soaks
  mkdirSync(join(folder, "sound"))
  for (const part of ["src", "layers", "test", "package.json", "tsconfig.json"]) {
    cpSync(join(root, part), join(folder, "sound", part), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(folder, "sound", "node_modules"))
  await Promise.all(Array.from({ length: availableParallelism() }, next))
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
