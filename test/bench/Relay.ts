/**
 * Between browsers and a controller: what is asked is passed on as it is, but for the stream of events, which tells of as many changes a second as
 * are wanted. Made here, they cost the controller nothing, which would otherwise be measured with the page on the same processors.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createServer, request, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { BenchError } from "./Process.ts"

export interface Relay {
  readonly url: string
  /** from now on so many events a second */
  readonly pace: (perSecond: number) => void
  /** how many have been told, and how many single VMs were asked for because of them */
  readonly told: () => { readonly events: number; readonly reads: number }
}

/** As the controller commits them: some at once. */
const every = 10

const Page = Schema.Struct({
  items: Schema.Array(Schema.Struct({ id: Schema.Int, name: Schema.String, state: Schema.String, hostId: Schema.Int })),
  next: Schema.NullOr(Schema.String)
})
type Told = (typeof Page.Type)["items"][number]

const listed = (controller: string, cursor: string | null = ""): Effect.Effect<ReadonlyArray<Told>, BenchError> =>
  cursor === null
    ? Effect.succeed([])
    : Effect.flatMap(
        Effect.tryPromise({
          try: async (signal) => {
            const from = cursor === "" ? "" : `&cursor=${cursor}`
            const response = await fetch(`${controller}/api/v1/vms?limit=1000${from}`, { signal })
            const body: unknown = await response.json()
            return Schema.decodeUnknownSync(Page)(body)
          },
          catch: (cause) => new BenchError({ message: `the list of VMs: ${String(cause)}`, cause })
        }),
        ({ items, next }) => Effect.map(listed(controller, next), (rest) => [...items, ...rest])
      )

/** Nine of ten are of what a host says of its VMs, one is of a VM that was changed, and is read again. */
const eventOf = (id: number, vms: ReadonlyArray<Told>) => {
  const { hostId, id: vmId, name, state } = vms[(id * 7919) % vms.length] ?? { hostId: 1, id: 1, name: "", state: "" }
  const changed = id % 10 === 0
  const type = changed ? "vm.changed" : "vm.seen"
  const data = changed ? { name, state, hostId } : { power: id % 2 === 0 ? "running" : "paused", reason: null }
  const nothing = { volumeId: null, snapshotId: null, imageId: null, operationId: null }
  const event = { id, time: new Date().toISOString(), type, vmId, ...nothing, hostId, data }
  return `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(event)}\n\n`
}

/** Of the VMs that are there now. */
export const started = Effect.fnUntraced(function* (controller: string) {
  const vms = yield* listed(controller)
  return yield* Effect.acquireRelease(
    Effect.async<Relay & { readonly close: () => void }, BenchError>((resume) => {
      const followers = new Set<ServerResponse>()
      const to = new URL(controller)
      let rate = 0
      let events = 0
      let reads = 0
      let latest = 1_000_000
      let begun = performance.now()
      let since = 0
      const timer = setInterval(() => {
        const due = Math.floor(((performance.now() - begun) / 1000) * rate)
        if (due <= since) return
        let text = ""
        for (; since < due; since++) text += eventOf(++latest, vms)
        for (const one of followers) {
          one.write(text)
        }
        events = latest - 1_000_000
      }, every)
      const server = createServer((asked, answer) => {
        const { headers, method, url: path = "/" } = asked
        const [, ids] = /^\/api\/v1\/vms\?ids=([0-9%2C,]+)$/i.exec(path) ?? []
        if (ids !== undefined) reads += decodeURIComponent(ids).split(",").length
        if (path.startsWith("/api/v1/events") && (headers.accept ?? "").includes("text/event-stream")) {
          answer.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" })
          answer.write(`retry: 1000\nid: ${latest}\n\n`)
          followers.add(answer)
          answer.on("close", () => followers.delete(answer))
          return
        }
        const passed = request({ host: to.hostname, port: to.port, path, method, headers }, (said) => {
          answer.writeHead(said.statusCode ?? 502, said.headers)
          said.pipe(answer)
        })
        // the page tells that something was not answered
        passed.on("error", () => answer.destroy())
        answer.on("close", () => passed.destroy())
        asked.pipe(passed)
      })
      server.on("error", (cause) => resume(new BenchError({ message: cause.message, cause })))
      server.listen(0, "127.0.0.1", () => {
        const address: string | AddressInfo | null = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(
          Effect.succeed({
            url: `http://127.0.0.1:${port}`,
            pace: (perSecond) => {
              rate = perSecond
              begun = performance.now()
              since = 0
            },
            told: () => ({ events, reads }),
            close: () => {
              clearInterval(timer)
              for (const one of followers) one.destroy()
              server.closeAllConnections()
              server.close()
            }
          })
        )
      })
    }),
    ({ close }) => Effect.sync(close)
  )
})
