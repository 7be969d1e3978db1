/**
 * The client: commands that ask a controller. `npm run build` makes one file of it and of all that it imports, which loads in a third of the time.
 *
 * @since 0.5.0
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { createInterface } from "node:readline"
import { Writable } from "node:stream"
import { exit, Refused } from "../cli/Failure.ts"
import { Screen } from "../cli/Screen.ts"
import { Network } from "../cli/Session.ts"
import * as Tree from "../cli/Tree.ts"

// who reads no further, such as head, ends the program without a word
const lost = (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? exit.done : exit.failed)
process.stderr.on("error", lost)
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") {
    const why = error.message.replace(/^[A-Z]+: (.*?), \w+$/, "$1")
    process.stderr.write(`vmfabric: standard output cannot be written, and is not whole: ${why}\n`)
  }
  lost(error)
})

/** One line of standard input; `echo` to where what is typed is shown. */
const line = (question: string, echo: boolean): Effect.Effect<string, Refused> =>
  Effect.async((resume) => {
    const terminal = process.stdin.isTTY && process.stderr.isTTY
    if (terminal) process.stderr.write(question)
    const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
    // by its own echo the terminal would show it
    const output = echo ? process.stderr : silent
    const reader = createInterface({ input: process.stdin, output, terminal })
    let found = false
    reader.once("line", (text) => {
      found = true
      reader.close()
      if (terminal && !echo) process.stderr.write("\n")
      resume(Effect.succeed(text))
    })
    reader.once("close", () => {
      if (!found)
        resume(new Refused({ why: "usage", message: "standard input has ended, and with it what was asked for" }))
    })
    // the terminal hands it over as a character while nothing is echoed
    reader.once("SIGINT", () => resume(Effect.interrupt))
    return Effect.sync(() => reader.close())
  })

/** Signals by which the process would end without a word, and leave the terminal as it is. */
const abrupt = ["SIGHUP", "SIGQUIT"] as const

const keyboard = Effect.gen(function* () {
  const { stdin } = process
  if (!stdin.isTTY || !process.stdout.isTTY) {
    return yield* new Refused({
      why: "usage",
      message: "a console needs a terminal: vmfabric vm log --follow shows what is printed there without one"
    })
  }
  const restore = () => void stdin.setRawMode(false)
  const hangUp = () => {
    restore()
    process.exit(exit.interrupted)
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      process.on("exit", restore)
      for (const signal of abrupt) process.on(signal, hangUp)
      stdin.setRawMode(true)
    }),
    () =>
      Effect.sync(() => {
        restore()
        stdin.pause()
        // taking away who reads has Node look again, and that would keep the program from ending
        stdin.unref()
        process.off("exit", restore)
        for (const signal of abrupt) process.off(signal, hangUp)
      })
  )
  return NodeStream.fromReadable<null, Uint8Array>(
    () => stdin,
    () => null,
    { closeOnDone: false }
  ).pipe(Stream.catchAll(() => Stream.empty))
})

const screen = Layer.effect(
  Screen,
  Effect.map(Effect.orElseSucceed(Config.option(Config.nonEmptyString("NO_COLOR")), Option.none), (plain) => ({
    colour: process.stdout.isTTY && Option.isNone(plain),
    live: process.stderr.isTTY,
    // one without a size says 0
    columns: Effect.sync(() => process.stderr.columns || 80),
    attended: process.stdin.isTTY && process.stderr.isTTY,
    out: (text: string) => Effect.sync(() => void process.stdout.write(text)),
    raw: (bytes: Uint8Array) => Effect.sync(() => void process.stdout.write(bytes)),
    err: (text: string) => Effect.sync(() => void process.stderr.write(text)),
    keyboard,
    ask: (question: string) =>
      process.stdin.isTTY
        ? line(question, true)
        : new Refused({
            why: "usage",
            message: "nobody can be asked without a terminal: give --user NAME",
            field: "user"
          }),
    askSecret: (question: string) => Effect.map(line(question, false), (text) => Redacted.make(text))
  }))
)

const network = Layer.scoped(
  Network,
  Effect.map(Effect.scope, (scope) => ({
    clientFor: (authority: string | undefined) =>
      Layer.buildWithScope(
        NodeHttpClient.layerWithoutAgent.pipe(
          Layer.provide(
            NodeHttpClient.makeAgentLayer({ keepAlive: true, ...(authority === undefined ? {} : { ca: authority }) })
          )
        ),
        scope
      ).pipe(Effect.map(Context.get(HttpClient.HttpClient)))
  }))
)

const main = Tree.run(process.argv.slice(2)).pipe(
  Effect.provide([screen, network, NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer])
)

NodeRuntime.runMain(main, {
  disablePrettyLogger: true,
  disableErrorReporting: true,
  teardown: (ended, onExit) => {
    if (Exit.isSuccess(ended)) {
      const status = typeof ended.value === "number" ? ended.value : exit.done
      // all is written then, or it is told by whoever hears of errors; Node would still look after its garbage, with nobody to need it
      process.stdout.write("", (error) => (error === null || error === undefined ? process.exit(status) : undefined))
      return
    }
    if (Cause.isInterruptedOnly(ended.cause)) return onExit(exit.interrupted)
    process.stderr.write(`vmfabric: this is a mistake in vmfabric itself: ${Cause.pretty(ended.cause)}\n`)
    onExit(exit.failed)
  }
})
