/**
 * A browser with no tools attached to its pages, as people have it. For whoever has them open, and for Playwright, V8 notes where each error is made, and
 * reads whole scripts again for that: 40 ms of a start, which nobody waits for who only opens a page.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { WebSocket } from "ws"
import { BenchError, start } from "./Process.ts"

/** Chrome DevTools Protocol: https://chromedevtools.github.io/devtools-protocol/ */
const Answer = Schema.parseJson(
  Schema.Struct({
    id: Schema.optional(Schema.Int),
    result: Schema.optional(Schema.Unknown),
    error: Schema.optional(Schema.Struct({ message: Schema.String }))
  })
)
const decode = Schema.decodeUnknownSync(Answer)

type Send = (method: string, parameters?: object, sessionId?: string) => Promise<unknown>

export interface Bare {
  /**
   * Milliseconds from when a new page with nothing kept from before goes to `url` until `usable`, an expression, is true of it and has been drawn; its
   * processor is `slower` times slower.
   */
  readonly opened: (url: string, usable: string, slower: number) => Effect.Effect<number, BenchError>
}

const failed = (what: string, cause: unknown) => new BenchError({ message: `${what}: ${String(cause)}`, cause })

const connected = (url: string): Effect.Effect<Send, BenchError, Scope.Scope> =>
  Effect.gen(function* () {
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => new WebSocket(url)),
      (socket) => Effect.sync(() => socket.terminate())
    )
    yield* Effect.async<void, BenchError>((resume) => {
      socket.once("open", () => resume(Effect.void))
      socket.once("error", (error) => resume(failed(url, error)))
    })
    let last = 0
    const waiting = new Map<number, (answer: ReturnType<typeof decode>) => void>()
    socket.on("message", (data) => {
      const answer = decode(String(data))
      if (answer.id !== undefined) waiting.get(answer.id)?.(answer)
    })
    return (method, parameters = {}, sessionId) =>
      new Promise((resolve, reject) => {
        const id = ++last
        waiting.set(id, ({ error, result }) => {
          waiting.delete(id)
          if (error === undefined) resolve(result)
          else reject(new Error(`${method}: ${error.message}`))
        })
        socket.send(
          JSON.stringify({ id, method, params: parameters, ...(sessionId === undefined ? {} : { sessionId }) })
        )
      })
  })

const made = Schema.decodeUnknownSync(
  Schema.Struct({ browserContextId: Schema.optional(Schema.String), targetId: Schema.optional(Schema.String) })
)
const attached = Schema.decodeUnknownSync(Schema.Struct({ sessionId: Schema.String }))
const evaluated = Schema.decodeUnknownSync(Schema.Struct({ result: Schema.Struct({ value: Schema.Number }) }))

/** Ended with the scope. `file`: a Chromium. */
export const browser = (file: string): Effect.Effect<Bare, BenchError, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-bare-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
    )
    const quiet = [
      "--no-first-run",
      "--disable-extensions",
      "--disable-background-networking",
      "--window-size=1440,900"
    ]
    const { found } = yield* start(
      [
        file,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        ...quiet,
        "--remote-debugging-port=0",
        `--user-data-dir=${folder}`
      ],
      /(ws:\/\/127\.0\.0\.1\S+)/
    )
    const send = yield* connected(found)
    const opened = async (url: string, usable: string, slower: number): Promise<number> => {
      const { browserContextId } = made(await send("Target.createBrowserContext"))
      const { targetId } = made(await send("Target.createTarget", { url: "about:blank", browserContextId }))
      const { sessionId } = attached(await send("Target.attachToTarget", { targetId, flatten: true }))
      await send("Page.enable", {}, sessionId)
      const source = `window.usable = new Promise((resolve) => {
        const watcher = new MutationObserver(() => {
          if (!(${usable})) return
          watcher.disconnect()
          requestAnimationFrame(() => setTimeout(() => resolve(performance.now())))
        })
        watcher.observe(document, { subtree: true, childList: true, characterData: true })
      })`
      await send("Page.addScriptToEvaluateOnNewDocument", { source }, sessionId)
      if (slower !== 1) await send("Emulation.setCPUThrottlingRate", { rate: slower }, sessionId)
      await send("Page.navigate", { url }, sessionId)
      const asked = { expression: "window.usable", awaitPromise: true, returnByValue: true }
      const { result } = evaluated(await send("Runtime.evaluate", asked, sessionId))
      await send("Target.disposeBrowserContext", { browserContextId })
      return result.value
    }
    return {
      opened: (url, usable, slower) =>
        Effect.tryPromise({ try: () => opened(url, usable, slower), catch: (cause) => failed(url, cause) }).pipe(
          Effect.timeoutFail({ duration: "60 seconds", onTimeout: () => failed(url, "it is not usable after 60 s") })
        )
    }
  })
