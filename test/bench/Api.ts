/**
 * Reads of `/api/v1` with everything on that a user has: a token, schemas, the guard and the audit log, over 20,000 VMs; against servers that answer
 * the same bytes with nothing of it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compare, type Figure, interleave } from "./Figure.ts"
import { filled, writeFiles } from "./Filled.ts"
import { type Argv, BenchError, root, run, start } from "./Process.ts"
import * as Program from "./Program.ts"

const section = "api"
const rounds = 5
const seconds = 5
const serverCore = "0"
const clientCore = "1"
const vms = 20_000
const hosts = 100
/** requests a second, of pages */
const pace = 500

const pinned = (...argv: Argv): Argv => ["taskset", "-c", serverCore, ...argv]

const Answer = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
const Paced = Schema.parseJson(
  Schema.Struct({ count: Schema.Int, failed: Schema.Int, p50: Schema.Number, p99: Schema.Number })
)

const failed = (what: string) => (cause: unknown) => new BenchError({ message: `${what}: ${String(cause)}`, cause })

/** Text of an answer of success. */
const ask = (url: string, token: string, body?: object) =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(url, {
        signal,
        method: body === undefined ? "GET" : "POST",
        headers: {
          ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" })
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${response.status} ${text}`)
      return text
    },
    catch: failed(url)
  })

const json = (url: string, token: string, body?: object) =>
  Effect.flatMap(ask(url, token, body), (text) => Effect.mapError(Schema.decode(Answer)(text), failed(url)))

/** Requests a second that were answered in time and with success, as fast as one client gets them. */
const load = (url: string, token: string, duration: number) => {
  const header = `Authorization: Bearer ${token}`
  const client: Argv = ["taskset", "-c", clientCore, "wrk", "-t1", "-c32", `-d${duration}`, "-H", header, url]
  return Effect.flatMap(run(client, { seconds: duration + 20 }), (text) => {
    const rate = Number(/Requests\/sec:\s+([0-9.]+)/.exec(text)?.[1])
    return Number.isFinite(rate) && !/Non-2xx|Socket errors/.test(text)
      ? Effect.succeed(rate)
      : new BenchError({ message: `wrk ${url}: ${text}` })
  })
}

/** Milliseconds that 99 of 100 took at most, at a fixed rate. */
const paced = (url: string, token: string, duration: number) => {
  const client: Argv = ["taskset", "-c", clientCore, process.execPath, `${root}test/bench/pace.mjs`]
  return run([...client, url, String(pace), String(duration), token], { seconds: duration + 20 }).pipe(
    Effect.flatMap((text) => Effect.mapError(Schema.decode(Paced)(text), failed(url))),
    Effect.flatMap(({ failed, p99 }) =>
      failed === 0 ? Effect.succeed(p99) : new BenchError({ message: `${failed} requests of ${url} failed` })
    )
  )
}

const listening = /listening on (http:[^\s"]+)/

export const measure = Effect.gen(function* () {
  yield* Program.build
  const work = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-bench-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const [node, entry = ""] = Program.fromBuild
  // hosts that refuse cost next to nothing: the core is the API's alone
  const database = join(work, "vmfabric.sqlite")
  yield* filled(database, { hosts, vms, unfinished: 0 })
  const args = ["--database", database, "--rate-limit", "1000000", "--listen", "127.0.0.1:0"]
  const server = yield* start(pinned(node, entry, ...args, ...writeFiles(work, hosts)), listening)
  const url = server.found
  const api = `${url}/api/v1`
  yield* json(`${api}/users`, "", { name: "bench", role: "admin" })
  const { secret } = yield* json(`${api}/tokens`, "", { name: "bench", owner: "bench", role: "admin" })
  const token = String(secret)
  const one = `${api}/vms/${vms / 2}`
  const first = yield* json(`${api}/vms?limit=1000`, token)
  if (first["total"] !== vms) return yield* new BenchError({ message: `there are ${String(first["total"])} VMs` })
  const page = `${api}/vms?limit=100&cursor=${String(first["next"])}`
  const raw = (name: string, body: string) =>
    Effect.gen(function* () {
      const file = join(work, name)
      writeFileSync(file, body)
      const peer = yield* start(pinned(process.execPath, `${root}test/bench/raw.mjs`, file), listening)
      return peer.found
    })
  const rawOne = yield* raw("one", yield* ask(one, token))
  const rawPage = yield* raw("page", yield* ask(page, token))
  const loads = [
    { name: "one", url: one },
    { name: "raw one", url: rawOne },
    // what @effect/platform leaves of it: a route with a fixed text behind the same guard
    { name: "plain", url: `${url}/healthz` },
    { name: "page", url: page },
    { name: "raw page", url: rawPage }
  ] as const
  for (const { url } of loads) yield* load(url, token, 3)
  const rates = yield* interleave(
    rounds,
    loads.map(({ name, url }) => ({ name, round: load(url, token, seconds) }))
  )
  const waits = yield* interleave(rounds, [
    { name: "ours", round: paced(page, token, seconds) },
    { name: "raw", round: paced(rawPage, token, seconds) }
  ])
  const figure = (what: string, unit: string, values: ReadonlyArray<number>): Figure => ({
    section,
    what,
    unit,
    values
  })
  const peer = "node:http, memory"
  return [
    figure(`one VM: ${peer}`, "requests/s", rates("raw one")),
    {
      ...figure("a fixed text: ours", "requests/s", rates("plain")),
      against: compare(peer, rates("plain"), rates("raw one"))
    },
    {
      ...figure("one VM: ours", "requests/s", rates("one")),
      against: compare(peer, rates("one"), rates("raw one")),
      target: { of: "ratio", kind: "at least", value: 0.2 }
    },
    figure(`100 of ${vms} VMs: ${peer}`, "requests/s", rates("raw page")),
    {
      ...figure(`100 of ${vms} VMs: ours`, "requests/s", rates("page")),
      against: compare(peer, rates("page"), rates("raw page"))
    },
    figure(`100 of ${vms} VMs at ${pace} a second, p99: ${peer}`, "ms", waits("raw")),
    {
      ...figure(`100 of ${vms} VMs at ${pace} a second, p99: ours`, "ms", waits("ours")),
      against: compare(peer, waits("ours"), waits("raw")),
      target: { of: "median", kind: "at most", value: 10 }
    }
  ] satisfies ReadonlyArray<Figure>
})
