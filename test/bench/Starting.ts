/**
 * The start of the whole program, as `npm start` runs it once it is built: until it answers a request. On a database that a controller at work has left, against one that knows the same hosts and has no VMs.
 */
import * as Effect from "effect/Effect"
import { copyFileSync, mkdtempSync, rmSync } from "node:fs"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { compare, type Figure, interleave } from "./Figure.ts"
import { filled, writeFiles } from "./Filled.ts"
import { BenchError, start } from "./Process.ts"
import * as Program from "./Program.ts"

const rounds = 5
const hosts = 1000
const vms = 20_000
const unfinished = 1000

const listening = /listening on (http:[^\s"]+)/

/** Status of the answer; null: there is none. */
const statusOf = (url: string) =>
  Effect.promise(async (signal) => {
    try {
      const response = await fetch(url, { signal })
      await response.arrayBuffer()
      return response.status
    } catch {
      // it ends, or has not begun to listen
      return null
    }
  })

/** Milliseconds from the start of the process, on a copy of that database, until it answers. */
const once = (work: string, files: ReadonlyArray<string>, database: string) =>
  Effect.gen(function* () {
    const copy = join(work, "copy.sqlite")
    for (const end of ["", "-wal", "-shm"]) rmSync(copy + end, { force: true })
    copyFileSync(database, copy)
    const [node, entry = ""] = Program.fromBuild
    const began = performance.now()
    const { found } = yield* start(
      [node, "--max-semi-space-size=8", entry, "--database", copy, "--listen", "127.0.0.1:0", ...files],
      listening,
      180
    )
    return yield* Effect.repeat(statusOf(`${found}/vm/types`), { until: (status) => status === 200 }).pipe(
      Effect.timeoutFail({
        duration: "60 seconds",
        onTimeout: () => new BenchError({ message: "it listens, and does not answer within a minute" })
      }),
      Effect.map(() => performance.now() - began)
    )
  }).pipe(Effect.scoped)

/** Of the program that was built. `section`: whose figures they are. */
export const measure = (section: string) =>
  Effect.gen(function* () {
    const work = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-bench-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    )
    // machines at addresses where nothing listens: what is measured is what the program does before it needs any
    const files = writeFiles(work, hosts)
    const databases = { full: join(work, "full.sqlite"), empty: join(work, "empty.sqlite") }
    yield* filled(databases.full, { hosts, vms, unfinished })
    yield* filled(databases.empty, { hosts, vms: 0, unfinished: 0 })
    const round = (name: keyof typeof databases) => once(work, files, databases[name])
    // whatever is read from disk has been read then
    yield* Effect.zipRight(round("full"), round("empty"))
    const answers = yield* interleave(rounds, [
      { name: "full", round: round("full") },
      { name: "empty", round: round("empty") }
    ])
    const load = loadavg()[0]?.toFixed(1) ?? "?"
    const figure = (what: string, values: ReadonlyArray<number>): Figure => ({ section, what, unit: "ms", values })
    const what = `${vms.toLocaleString("en")} VMs and ${unfinished.toLocaleString("en")} unfinished operations`
    const peer = "no VMs"
    return [
      figure(`the whole program with ${hosts} hosts and no VMs, until it answers (load ${load})`, answers("empty")),
      {
        ...figure(`the whole program with ${what}, until it answers`, answers("full")),
        against: compare(peer, answers("full"), answers("empty")),
        target: { of: "median", kind: "at most", value: 2000 }
      } satisfies Figure
    ]
  })
