/**
 * `npm run soak:bugs`: plants each bug in a copy of the sources and soaks that, seed after seed, until it is found. Ends with status 1 when one
 * is not.
 */
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bugs, type Bug } from "./bugs.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Rough weather in short soaks; every third one with disks on the hosts. */
const soaks = Array.from({ length: 12 }, (_, index) => [
  [
    "--seed",
    String(index + 1),
    "--operations",
    "300",
    "--settle-every",
    "100",
    "--fault-every",
    "1",
    "--kill-every",
    "8"
  ],
  index % 3 === 2 ? ["--folders"] : []
])

const copy = (bug: Bug): string => {
  const folder = mkdtempSync(join(tmpdir(), "vmfabric-bug-"))
  for (const part of ["src", "layers", "test", "package.json", "tsconfig.json"]) {
    cpSync(join(root, part), join(folder, part), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
  const file = join(folder, bug.file)
  const text = readFileSync(file, "utf8")
  if (text.split(bug.find).length !== 2)
    throw new Error(`${bug.name}: ${bug.file} does not have its place exactly once`)
  writeFileSync(
    file,
    text.replace(bug.find, () => bug.replace)
  )
  return folder
}

/** What a soak said of it; null: nothing. */
const soak = (folder: string, args: ReadonlyArray<string>): string | null => {
  const run = spawnSync(
    process.execPath,
    ["--conditions=vmfabric-source", "--import", "tsx", "test/soak/run.ts", ...args],
    { cwd: folder, encoding: "utf8", timeout: 300_000, maxBuffer: 64 * 1024 ** 2 }
  )
  if (run.status === 0) return null
  const said = `${run.stdout}\n${run.stderr}`
  // one that cannot even begin has found nothing
  const found =
    /seed [0-9]+, after [0-9]+ requests: [^\n]*|waits at \+[0-9.]+s for something that will never come/.exec(said)
  if (found !== null) return found[0].slice(0, 200)
  if (run.error !== undefined) return `hangs: ${run.error.message}`
  throw new Error(`the soak itself failed: ${said.slice(-2000)}`)
}

const chosen = process.argv.slice(2)
let missed = 0
for (const [index, bug] of bugs.entries()) {
  if (chosen.length > 0 && !chosen.includes(String(index + 1))) continue
  const folder = copy(bug)
  const began = performance.now()
  let found: string | null = null
  for (const args of soaks) {
    found = soak(folder, args.flat())
    if (found !== null) break
  }
  rmSync(folder, { recursive: true })
  const seconds = Math.round((performance.now() - began) / 1000)
  if (found === null) missed++
  process.stdout.write(
    `${index + 1}. ${bug.name}: ${found === null ? "NOT FOUND" : `found: ${found}`} (${seconds} s)\n`
  )
}
process.stdout.write(missed === 0 ? "all found\n" : `${missed} not found\n`)
process.exitCode = missed === 0 ? 0 : 1
