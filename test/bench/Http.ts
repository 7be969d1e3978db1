/**
 * `/vm/query` against servers that answer the same bytes with less to do.
 */
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compare, type Figure, interleave, type Target } from "./Figure.ts"
import { type Argv, BenchError, get, root, run, start } from "./Process.ts"
import * as Program from "./Program.ts"

const section = "http"
const rounds = 5
const seconds = 5
const serverCore = "0"
const clientCore = "1"

const pinned = (...argv: Argv): Argv => ["taskset", "-c", serverCore, ...argv]

/** Requests a second that were answered in time and with status 200. */
const load = (url: string, duration: number) =>
  Effect.flatMap(
    run(["taskset", "-c", clientCore, "wrk", "-t1", "-c32", `-d${duration}`, url], { seconds: duration + 20 }),
    (text) => {
      const rate = Number(/Requests\/sec:\s+([0-9.]+)/.exec(text)?.[1])
      return Number.isFinite(rate) && !/Non-2xx|Socket errors/.test(text)
        ? Effect.succeed(rate)
        : new BenchError({ message: `wrk ${url}: ${text}` })
    }
  )

const listening = /listening on (http:\S+)/

export const measure = (profile: string | null) =>
  Effect.gen(function* () {
    yield* Program.build
    const [node, ...entry] = Program.fromBuild
    const profiling = profile === null ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`]
    const ours = yield* Program.serve(pinned(node, ...profiling, ...entry), [])
    yield* ours.get("/vm/create?name=test_vm&instance_type=1")
    const path = "/vm/query?vmid=1"
    const answer = yield* ours.get(path)
    if (!answer.startsWith('{"vmid":1,')) return yield* new BenchError({ message: `the VM was not created: ${answer}` })

    const work = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-bench-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    )
    const body = join(work, "body")
    writeFileSync(body, answer)
    const folder = `${root}test/bench`
    const raw = yield* start(pinned(process.execPath, `${folder}/raw.mjs`, body), listening)
    const flask = (kind: "memory" | "sqlite") =>
      start(pinned("python3", `${folder}/flask_server.py`, kind, body, join(work, "flask.sqlite")), listening)
    const memory = yield* flask("memory")
    const sqlite = yield* flask("sqlite")

    const servers = [
      { name: "ours", url: ours.url },
      { name: "raw", url: raw.found },
      { name: "memory", url: memory.found },
      { name: "sqlite", url: sqlite.found }
    ] as const
    for (const { name, url } of servers) {
      const theirs = yield* get(url + path)
      if (JSON.stringify(JSON.parse(theirs)) !== answer) {
        return yield* new BenchError({ message: `${name} answers ${theirs} instead of ${answer}` })
      }
      yield* load(url + path, 3)
    }
    const rates = yield* interleave(
      rounds,
      servers.map(({ name, url }) => ({ name, round: load(url + path, seconds) }))
    )
    const figure = (what: string, values: ReadonlyArray<number>): Figure => ({
      section,
      what: `/vm/query: ${what}`,
      unit: "requests/s",
      values
    })
    const versus = (peer: string, others: ReadonlyArray<number>, value: number): Figure => {
      const target: Target = { of: "ratio", kind: "at least", value }
      return { ...figure("ours", rates("ours")), against: compare(peer, rates("ours"), others), target }
    }
    return [
      figure("Flask's server, SQLite", rates("sqlite")),
      figure("Flask's server, memory", rates("memory")),
      figure("node:http, memory", rates("raw")),
      versus("Flask's server, SQLite", rates("sqlite"), 6),
      versus("Flask's server, memory", rates("memory"), 6),
      versus("node:http, memory", rates("raw"), 0.25)
    ]
  })
