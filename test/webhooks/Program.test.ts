/** Webhooks of the whole program, as their receiver meets them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import * as World from "../fabric/World.ts"
import * as Contract from "../http/v1/Contract.ts"
import { temporaryFolder } from "../inventory/Fleet.ts"
import * as Program from "../program/Program.ts"

/** Counts what comes, takes a while for each, and refuses when it is told to. */
const receiver = Effect.acquireRelease(
  Effect.async<{
    readonly url: string
    readonly ids: Array<number>
    readonly messages: Array<string>
    refuses: boolean
    readonly close: () => void
  }>((resume) => {
    const ids: Array<number> = []
    const messages: Array<string> = []
    const server = createServer((request, response) => {
      let body = ""
      request.on("data", (chunk: Buffer) => (body += chunk.toString()))
      request.on("end", () => {
        if (!state.refuses) {
          ids.push(Number(Contract.members(JSON.parse(body)).id))
          messages.push(String(request.headers["webhook-id"]))
        }
        setTimeout(() => response.writeHead(state.refuses ? 503 : 204).end(), 3)
      })
    })
    const state = {
      url: "",
      ids,
      messages,
      refuses: false,
      close: () => {
        server.closeAllConnections()
        server.close()
      }
    }
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      if (address !== null && typeof address === "object") state.url = `http://127.0.0.1:${address.port}/hooks`
      resume(Effect.succeed(state))
    })
  }),
  ({ close }) => Effect.sync(close)
)

const ask = (program: Program.Program, method: string, path: string, body?: object) =>
  Effect.promise(async () => {
    const response = await fetch(`${program.url}/api/v1${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } })
    })
    return { status: response.status, json: Contract.members(await response.json()) }
  })

const batch = (program: Program.Program, count: number) =>
  ask(program, "POST", "/vms/batch", { name: "web", instanceType: 1, count })

describe("webhooks of the program", () => {
  it.scopedLive(
    "miss nothing over kill -9, and get nothing twice but what was under way; their secret is told once",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const received = yield* receiver
        const database = join(folder, "db.sqlite")
        const start = Program.start(["--database", database, "--webhook-allow", "127.0.0.1", "--log-level", "debug"])
        const outputs: Array<string> = []
        let program = yield* start
        const newest = Effect.suspend(() => ask(program, "GET", "/events?limit=1000")).pipe(
          Effect.map(({ json }) => Number(json.next))
        )
        const earliest = (yield* newest) + 1
        const created = yield* ask(program, "POST", "/webhooks", { url: received.url })
        assert.strictEqual(created.status, 201)
        const secret = String(created.json.secret)
        assert.match(secret, /^whsec_/)
        // hosts may come up meanwhile: it begins at some event of those around its own creation
        const latest = (yield* newest) + 1
        const kills = 4
        for (let killed = 0; killed < kills; killed++) {
          const before = received.ids.length
          yield* batch(program, 5)
          yield* World.eventually(Effect.sync(() => assert.isAbove(received.ids.length, before + 4)))
          yield* program.kill("SIGKILL")
          yield* program.exited
          outputs.push(yield* program.output)
          program = yield* start
        }
        // and one that fails for a while
        received.refuses = true
        yield* batch(program, 3)
        yield* World.eventually(
          Effect.map(ask(program, "GET", "/webhooks/1"), ({ json }) =>
            assert.deepInclude(json, { status: "retrying", lastFailure: "127.0.0.1 answers 503" })
          )
        )
        received.refuses = false
        assert.deepInclude((yield* ask(program, "POST", "/webhooks/1/ping")).json, { delivered: true, status: 204 })
        yield* World.eventually(
          Effect.map(ask(program, "GET", "/webhooks/1"), ({ json }) =>
            assert.deepInclude(json, { status: "delivering", behind: 0 })
          )
        )
        // whatever happens from here on is not looked at
        const last = yield* newest
        yield* World.eventually(Effect.sync(() => assert.include(received.ids, last)))
        const events = received.ids.filter((id) => id <= last)
        const [first = 0] = events
        assert.isAtLeast(first, earliest)
        assert.isAtMost(first, latest)
        assert.isAbove(last, first + 50)
        // in order, and what comes again comes right behind itself
        const distinct = events.filter((id, index) => id !== events[index - 1])
        assert.deepStrictEqual(
          distinct,
          Array.from({ length: last - first + 1 }, (_, index) => first + index)
        )
        assert.isAtMost(events.length - distinct.length, kills)
        assert.strictEqual(new Set(received.messages).size, distinct.length + 1)

        // where nobody but the owner can read it, and nowhere else
        for (const name of readdirSync(folder)) assert.strictEqual(statSync(join(folder, name)).mode & 0o077, 0, name)
        assert.isTrue(readdirSync(folder).some((name) => readFileSync(join(folder, name)).includes(secret)))
        outputs.push(yield* program.output)
        const metrics = yield* Effect.promise(() => fetch(`${program.url}/metrics`).then((response) => response.text()))
        assert.match(metrics, /vmfabric_webhook_deliveries_total\{result="delivered"\} [1-9]/)
        assert.match(metrics, /vmfabric_webhook_events_behind 0/)
        const told = [
          ...outputs,
          metrics,
          ...(yield* Effect.forEach(["/webhooks", "/webhooks/1", "/audit", "/events?limit=1000"], (path) =>
            Effect.map(ask(program, "GET", path), ({ json }) => JSON.stringify(json))
          ))
        ]
        for (const text of told) assert.notInclude(text, secret.slice(6))
        assert.include(told.join("\n"), "/api/v1/webhooks")
      }),
    120_000
  )
})
