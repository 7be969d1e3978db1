/**
 * The whole program as a child process, as a user starts it: for tests that kill it, or that have no other way to see what a user sees.
 */
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { spawn } from "node:child_process"

export class ProgramError extends Data.TaggedError("ProgramError")<{ readonly message: string }> {}

const Answer = Schema.Record({ key: Schema.String, value: Schema.Unknown })
const decodeAnswer = Schema.decodeUnknown(Answer)

export interface Program {
  readonly url: string
  readonly pid: number
  /** GET, decoded as a JSON object */
  readonly get: (path: string) => Effect.Effect<Record<string, unknown>, ProgramError>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** completes with the exit status, or null after a signal */
  readonly exited: Effect.Effect<number | null>
  /** everything it has printed so far */
  readonly output: Effect.Effect<string>
}

const root = new URL("../..", import.meta.url).pathname

/** Another program than the one users start, built when it ends in `.js`, and what it finds in its environment. */
export interface Options {
  readonly entry?: string
  readonly env?: Readonly<Record<string, string>>
  /** a file that gets a line for each file that the program opens, by strace */
  readonly opened?: string
}

/** With strace as a grandchild: the child is the program all the same. */
const traced = (file: string) => ["-D", "-f", "-qq", "--seccomp-bpf", "-e", "trace=open,openat,openat2", "-o", file]

/** What Node needs to run a file of the sources. */
export const fromSource = ["--conditions=vmfabric-source", "--import", "tsx"]

const run = (args: ReadonlyArray<string>, { entry = "src/bin/vmfabric.ts", env = {}, opened }: Options = {}) =>
  Effect.gen(function* () {
    const exited = yield* Deferred.make<number | null>()
    const listening = yield* Deferred.make<string, ProgramError>()
    let output = ""
    const words = [...(entry.endsWith(".js") ? [] : fromSource), entry, ...args]
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(
          opened === undefined ? process.execPath : "strace",
          opened === undefined ? words : [...traced(opened), process.execPath, ...words],
          {
            cwd: root,
            stdio: ["ignore", "pipe", "pipe"],
            env: { ...process.env, ...env, NO_COLOR: "1" }
          }
        )
      ),
      (process) =>
        Effect.zipRight(
          Effect.sync(() => process.kill("SIGKILL")),
          Deferred.await(exited)
        )
    )
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      const url = /listening on (http:\/\/[^\s"]+)/.exec(output)?.[1]
      if (url !== undefined) Deferred.unsafeDone(listening, Effect.succeed(url))
    }
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    child.on("close", (code) => {
      Deferred.unsafeDone(listening, Effect.fail(new ProgramError({ message: `ended before it listened:\n${output}` })))
      Deferred.unsafeDone(exited, Effect.succeed(code))
    })
    return { child, exited, listening, output: () => output }
  })

/** Starts the program and waits until it listens; ended by SIGKILL with the scope. */
export const start = Effect.fn("Program.start")(function* (args: ReadonlyArray<string>, options: Options = {}) {
  const { child, exited, listening, output } = yield* run(["--listen", "127.0.0.1:0", ...args], options)
  const url = yield* Effect.timeoutFail(Deferred.await(listening), {
    duration: "120 seconds",
    onTimeout: () => new ProgramError({ message: `does not listen after 30 s:\n${output()}` })
  })
  const program: Program = {
    url,
    pid: child.pid ?? 0,
    get: (path) =>
      Effect.tryPromise({
        try: async (signal) => {
          const response = await fetch(url + path, { signal })
          const body: unknown = await response.json()
          return body
        },
        catch: (cause) => new ProgramError({ message: `GET ${path}: ${String(cause)}` })
      }).pipe(
        Effect.flatMap(decodeAnswer),
        Effect.catchTag("ParseError", (error) => new ProgramError({ message: `GET ${path}: ${error.message}` }))
      ),
    kill: (signal) => Effect.sync(() => void child.kill(signal)),
    exited: Deferred.await(exited),
    output: Effect.sync(output)
  }
  return program
})

/** Runs the program to its end, which is expected to come by itself. */
export const toEnd = Effect.fn("Program.toEnd")(function* (args: ReadonlyArray<string>, options: Options = {}) {
  const { exited, output } = yield* run(args, options)
  const status = yield* Effect.timeoutFail(Deferred.await(exited), {
    duration: "120 seconds",
    onTimeout: () => new ProgramError({ message: `does not end:\n${output()}` })
  })
  return { status, output: output() }
}, Effect.scoped)
