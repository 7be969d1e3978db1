/**
 * Child processes of the benches: each bounded in time, and ended by its own id.
 */
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export class BenchError extends Data.TaggedError("BenchError")<{
  readonly message: string
  readonly cause?: unknown
}> {}

/** Whatever fails in a section says why. */
export interface Failed {
  readonly message: string
}

export const root = fileURLToPath(new URL("../..", import.meta.url))

export type Argv = readonly [string, ...ReadonlyArray<string>]

/** Runs to its end and gives its stdout; another status than 0 fails. */
export const run = (
  [file, ...args]: Argv,
  options: { readonly seconds?: number; readonly input?: string } = {}
): Effect.Effect<string, BenchError> =>
  Effect.async<string, BenchError>((resume) => {
    const child = execFile(
      file,
      args,
      { cwd: root, timeout: (options.seconds ?? 60) * 1000, maxBuffer: 64 * 1024 * 1024, killSignal: "SIGKILL" },
      (error, stdout, stderr) =>
        resume(
          error === null
            ? Effect.succeed(stdout)
            : Effect.fail(
                new BenchError({
                  message: `${file} ${args.slice(0, 6).join(" ")} …: ${stderr.trim() || stdout.trim() || error.message}`,
                  cause: error
                })
              )
        )
    )
    // it may end without having read all of it
    child.stdin?.on("error", () => undefined)
    child.stdin?.end(options.input ?? "")
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

export interface Running {
  readonly pid: number
  /** the first group of `ready` */
  readonly found: string
  readonly output: () => string
}

/** Starts, waits until the output matches `ready`, and ends it with the scope (SIGTERM first, so that it can end its own children). */
export const start = (
  [file, ...args]: Argv,
  ready: RegExp,
  seconds = 60
): Effect.Effect<Running, BenchError, Scope.Scope> =>
  Effect.gen(function* () {
    const matched = yield* Deferred.make<string, BenchError>()
    const exited = yield* Deferred.make<void>()
    let output = ""
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(file, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] })),
      (process) => end(process, exited)
    )
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      const found = ready.exec(output)
      if (found !== null) Deferred.unsafeDone(matched, Effect.succeed(found[1] ?? ""))
    }
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    const failed = (why: string) =>
      Deferred.unsafeDone(matched, Effect.fail(new BenchError({ message: `${file} ${args.join(" ")}: ${why}` })))
    child.on("error", (error) => {
      failed(error.message)
      Deferred.unsafeDone(exited, Effect.void)
    })
    child.on("close", () => {
      failed(`ended before it was ready:\n${output}`)
      Deferred.unsafeDone(exited, Effect.void)
    })
    const found = yield* Effect.timeoutFail(Deferred.await(matched), {
      duration: `${seconds} seconds`,
      onTimeout: () =>
        new BenchError({ message: `${file} ${args.join(" ")}: not ready after ${seconds} s:\n${output}` })
    })
    return { pid: child.pid ?? 0, found, output: () => output }
  })

const childrenOf = (pid: number): ReadonlyArray<number> =>
  existsSync(`/proc/${pid}/task/${pid}/children`)
    ? readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number)
    : []

/** The process and those it started, and they. */
export const family = (pid: number): ReadonlyArray<number> => [pid, ...childrenOf(pid).flatMap(family)]

const end = (child: ChildProcess, exited: Deferred.Deferred<void>) =>
  Effect.gen(function* () {
    // npm and shells do not pass a signal on; whoever is last in the line is what was meant
    const all = child.pid === undefined ? [] : family(child.pid)
    for (const pid of all.toReversed()) signal(pid, "SIGTERM")
    const ended = yield* Effect.timeoutOption(Deferred.await(exited), "8 seconds")
    if (ended._tag === "Some") return
    for (const pid of all) signal(pid, "SIGKILL")
    yield* Deferred.await(exited)
  })

const signal = (pid: number, name: NodeJS.Signals) => {
  try {
    process.kill(pid, name)
  } catch (error) {
    // it has ended by itself
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error
  }
}

/** GET, as text. */
export const get = (url: string): Effect.Effect<string, BenchError> =>
  Effect.tryPromise({
    try: async (signal) => (await fetch(url, { signal })).text(),
    catch: (cause) => new BenchError({ message: `GET ${url}: ${String(cause)}`, cause })
  })
