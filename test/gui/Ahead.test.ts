/** What is asked for before the page's code is here: the code waits until that has been done, but not for long. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { afterEach, beforeEach, vi } from "vitest"

// of a browser, whose types the other tests do not have
const ahead = new URL("../../src/gui/state/Ahead.ts", import.meta.url).pathname

const lists = ["/vms", "/hosts", "/operations", "/volumes", "/images", "/instance-types"].map(
  (list) => `/api/v1${list}`
)

const asked: Array<string> = []
let answerStream: (response: Response) => void = () => {}
let streamAsked: Promise<void> = Promise.resolve()
let isStreamAsked: () => void = () => {}
let code: Promise<void> = Promise.resolve()
let isBegun = false

const lastAsked = () => asked.map((path) => path.split("?")[0])

beforeEach(() => {
  vi.useFakeTimers()
  vi.resetModules()
  asked.length = 0
  isBegun = false
  vi.stubGlobal("location", { pathname: "/ui/vms", href: "https://fabric.test/ui/vms" })
  vi.stubGlobal("document", { querySelectorAll: () => [] })
  vi.stubGlobal("fetch", (path: string) => {
    asked.push(path)
    if (path !== "/api/v1/events") return new Promise<Response>(() => {})
    isStreamAsked()
    return new Promise<Response>((resolve) => (answerStream = resolve))
  })
  streamAsked = new Promise((resolve) => (isStreamAsked = resolve))
  const load = async () => {
    await import(ahead)
    isBegun = true
  }
  code = load()
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe("what is asked for ahead", () => {
  it("the page's code begins when its lists have been asked for, so that they come beside it", async () => {
    await streamAsked
    await vi.advanceTimersByTimeAsync(250)
    assert.isFalse(isBegun)
    assert.deepStrictEqual(lastAsked(), ["/api/v1/session", "/api/v1/events"])
    answerStream(new Response())
    await code
    assert.deepStrictEqual(lastAsked().slice(2), lists)
  })

  it("a stream that is not answered keeps the code for no longer than 300 ms", async () => {
    await streamAsked
    await vi.advanceTimersByTimeAsync(300)
    await code
    assert.deepStrictEqual(lastAsked(), ["/api/v1/session", "/api/v1/events"])
  })

  it("who may not look is told so by the stream, and the code begins at once", async () => {
    await streamAsked
    answerStream(new Response(null, { status: 401 }))
    await code
    assert.deepStrictEqual(lastAsked(), ["/api/v1/session", "/api/v1/events"])
  })
})

const snapshots = new URL("../../src/gui/state/Live.ts", import.meta.url).pathname

// React's types would have every test know elements of which nothing is known
const atoms: string = "@effect-atom/atom-react"

const decodeSnapshot = Schema.decodeUnknownSync(
  Schema.Struct({
    connection: Schema.Struct({ _tag: Schema.String }),
    recent: Schema.Struct({ after: Schema.Unknown })
  })
)

describe("what there is", () => {
  it("is shown as soon as it is here, and does not wait for what may happen first", async () => {
    const json = { "content-type": "application/json" }
    vi.stubGlobal("location", { pathname: "/ui/", href: "https://fabric.test/ui/", origin: "https://fabric.test" })
    vi.stubGlobal("fetch", async (input: string | URL) => {
      if (!String(input).includes("/events"))
        return Response.json({ items: [], next: null, total: 0 }, { headers: json })
      const stream = new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode("retry: 1000\nid: 7\n\n"))
      })
      return new Response(stream, { headers: { "content-type": "text/event-stream" } })
    })
    const { Registry } = await import(atoms)
    const { snapshotAtom } = await import(snapshots)
    const registry = Registry.make()
    registry.mount(snapshotAtom)
    // less than what happens together is told together in
    for (let ms = 0; ms < 40; ms++) await vi.advanceTimersByTimeAsync(1)
    const { connection, recent } = decodeSnapshot(registry.get(snapshotAtom))
    registry.dispose()
    assert.strictEqual(connection._tag, "live")
    assert.strictEqual(recent.after, 7)
  })
})
