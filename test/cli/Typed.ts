/** Commands as somebody types them, in a folder of their own, with what is seen on the screen. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Screen } from "../../src/cli/Screen.ts"
import { Network } from "../../src/cli/Session.ts"
import * as Tree from "../../src/cli/Tree.ts"

export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-cli-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const network = Layer.effect(
  Network,
  Effect.map(HttpClient.HttpClient, (client) => ({ clientFor: () => Effect.succeed(client) }))
).pipe(Layer.provide(FetchHttpClient.layer))

/** A shell. `typed`: what is answered to questions. */
export const make = Effect.fn("Typed.make")(function* (
  env: Readonly<Record<string, string>>,
  {
    attended = false,
    colour = false,
    columns = 80,
    live = false,
    typed = ""
  }: { attended?: boolean; colour?: boolean; columns?: number; live?: boolean; typed?: string } = {}
) {
  const config = yield* folder
  const keys = yield* Queue.unbounded<Uint8Array>()
  const shown = yield* Queue.unbounded<string>()
  let handedOn = 0
  const provider = ConfigProvider.fromMap(new Map(Object.entries({ XDG_CONFIG_HOME: config, ...env })))
  const run = (...args: ReadonlyArray<string>) =>
    Effect.suspend(() => {
      let out = ""
      let err = ""
      const screen = Screen.of({
        colour,
        live,
        columns: Effect.succeed(columns),
        attended,
        out: (text) => {
          out += text
          return Queue.offer(shown, text)
        },
        raw: (bytes) => {
          const text = Buffer.from(bytes).toString("latin1")
          out += text
          return Queue.offer(shown, text)
        },
        err: (text) => {
          err += text
          // whoever reads it may act before the program takes its next step
          return Effect.zipLeft(Queue.offer(shown, text), Effect.repeatN(Effect.yieldNow(), 20))
        },
        keyboard: Effect.as(
          Effect.acquireRelease(
            Effect.sync(() => void handedOn++),
            () => Effect.sync(() => void handedOn--)
          ),
          Stream.fromQueue(keys)
        ),
        ask: (question) => {
          err += question
          return Effect.succeed(typed)
        },
        askSecret: () => Effect.succeed(Redacted.make(typed))
      })
      return Tree.run(args).pipe(
        Effect.map((status) => ({ status, out, err, all: out + err })),
        Effect.provideService(Screen, screen),
        Effect.provide([network, NodeContext.layer]),
        Effect.withConfigProvider(provider)
      )
    })
  /** Waits until something is shown that matches. */
  const sees = (pattern: RegExp): Effect.Effect<string> =>
    Effect.flatMap(Queue.take(shown), (text) => (pattern.test(text) ? Effect.succeed(text) : sees(pattern))).pipe(
      Effect.timeout("10 seconds"),
      Effect.orDie
    )
  /** Somebody types, into what has to hand on each key by now: a terminal would else take Ctrl-C for itself. */
  const press = (text: string) =>
    Effect.suspend(() =>
      handedOn > 0 ? Queue.offer(keys, Buffer.from(text)) : Effect.dieMessage("the terminal has the keys still")
    )
  return { config, run, sees, press }
})
