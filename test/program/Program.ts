/**
 * The whole program as a child process, as a user starts it: for tests that kill it, or that have no other way to see what a user sees.
 */
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { spawn } from "node:child_process"
import * as Tools from "../check/Tools.ts"
import * as Built from "./Built.ts"

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

/** Another program than the one users start, which is built beside it, and what it finds in its environment. */
export interface Options {
  readonly entry?: string
  readonly env?: Readonly<Record<string, string>>
  /** a file that gets a line for each file that the program opens, by strace */
  readonly opened?: string
}

/** With strace as a grandchild: the child is the program all the same. */
const traced = (file: string) => ["-D", "-f", "-qq", "--seccomp-bpf", "-e", "trace=open,openat,openat2", "-o", file]

/** It ends with the process that tests, also when that is killed. */
const dying = Tools.isThere("setpriv") ? ["setpriv", "--pdeathsig", "KILL"] : []

const run = (args: ReadonlyArray<string>, { entry = Built.program, env = {}, opened }: Options = {}) =>
  Effect.gen(function* () {
    yield* Effect.promise(Built.built)
    const exited = yield* Deferred.make<number | null>()
    const listening = yield* Deferred.make<string, ProgramError>()
    let output = ""
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      const url = /listening on (http:\/\/[^\s"]+)/.exec(output)?.[1]
      if (url !== undefined) Deferred.unsafeDone(listening, Effect.succeed(url))
    }
    const [first = "", ...words] = [
      ...dying,
      ...(opened === undefined ? [] : ["strace", ...traced(opened)]),
      process.execPath,
      entry,
      ...args
    ]
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const started = spawn(first, words, {
          cwd: root,
          stdio: ["ignore", "pipe", "pipe"],
          env: { ...process.env, ...env, NO_COLOR: "1" }
        })
        started.stdout.on("data", read)
        started.stderr.on("data", read)
        // here, since where the scope is closed already it is waited for at once
        started.on("close", (code) => {
          const early = new ProgramError({ message: `ended before it listened:\n${output}` })
          Deferred.unsafeDone(listening, Effect.fail(early))
          Deferred.unsafeDone(exited, Effect.succeed(code))
        })
        return started
      }),
      (started) =>
        Effect.zipRight(
          Effect.sync(() => started.kill("SIGKILL")),
          Deferred.await(exited)
        )
    )
    return { child, exited, listening, output: () => output }
  })

/** Starts the program and waits until it listens; ended by SIGKILL with the scope. */
export const start = Effect.fn("Program.start")(function* (args: ReadonlyArray<string>, options: Options = {}) {
  const { child, exited, listening, output } = yield* run(["--listen", "127.0.0.1:0", ...args], options)
  const url = yield* Effect.timeoutFail(Deferred.await(listening), {
    duration: "120 seconds",
    onTimeout: () => new ProgramError({ message: `does not listen after 2 minutes:\n${output()}` })
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
