/**
 * The program on this machine.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { Duplex } from "node:stream"
import * as Program from "./Program.ts"

/** How it ended, when that was not well. @since 0.2.0 @category errors */
export class ProgramEnded extends Error {
  /** null: it was not started, or ended by a signal */
  readonly exitCode: number | null
  readonly signal: string | null
  /** the end of what it wrote there */
  readonly stderr: string

  constructor(given: {
    readonly exitCode: number | null
    readonly signal: string | null
    readonly stderr: string
    readonly cause?: unknown
  }) {
    super(`${Program.argv[0]} ended with ${given.signal ?? `status ${given.exitCode ?? "unknown"}`}: ${given.stderr}`, {
      cause: given.cause
    })
    this.name = "ProgramEnded"
    this.exitCode = given.exitCode
    this.signal = given.signal
    this.stderr = given.stderr
  }
}

const keptStderr = 4096
/** for it to end by itself once its stdin has; it takes two seconds for itself at most */
const patience = "3 seconds"

/** A process by its stdin and stdout; destroyed, it is killed. */
class ProcessDuplex extends Duplex {
  readonly child: ChildProcessWithoutNullStreams
  private stderr = ""
  private gone = false

  constructor(child: ChildProcessWithoutNullStreams) {
    super({ allowHalfOpen: true })
    this.child = child
    this.on("error", () => {})
    child.stdout.on("data", (chunk: Buffer) => {
      if (!this.destroyed && !this.push(chunk)) child.stdout.pause()
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr = (this.stderr + text).slice(-keptStderr)
    })
    // what cannot be written any more is told by how the process ended
    child.stdin.on("error", () => {})
    child.on("error", (cause) => this.ended(null, null, cause))
    child.on("close", (code, signal) => this.ended(code, signal))
  }

  /** Completes when the process has ended. */
  readonly whenGone = Effect.async<void>((resume) => {
    if (this.gone) return resume(Effect.void)
    const done = () => resume(Effect.void)
    this.child.once("close", done).once("error", done)
    return Effect.sync(() => this.child.off("close", done).off("error", done))
  })

  private ended(exitCode: number | null, signal: string | null, cause?: Error): void {
    if (this.gone) return
    this.gone = true
    if (exitCode === 0) this.push(null)
    else this.destroy(new ProgramEnded({ exitCode, signal, stderr: cause?.message ?? this.stderr.trim(), cause }))
  }

  override _read(): void {
    this.child.stdout.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.child.stdin.write(chunk, () => callback())
  }

  override _final(callback: () => void): void {
    this.child.stdin.end(() => callback())
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.gone) this.child.kill("SIGKILL")
    callback(error)
  }
}

/**
 * Starts it. With the scope its stdin ends, so that it can finish what it does; what does not end by itself then is killed.
 *
 * @since 0.2.0 @category constructors
 */
export const open: Effect.Effect<Duplex, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const [command, ...args] = Program.argv
    return new ProcessDuplex(
      spawn(command, args, {
        // a session of its own: Ctrl-C in a terminal is for us, who then end it in good order
        detached: true,
        env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" }
      })
    )
  }),
  (duplex) =>
    Effect.suspend(() => {
      if (duplex.destroyed) return Effect.void
      duplex.end()
      return duplex.whenGone.pipe(Effect.timeoutOption(patience), Effect.zipRight(Effect.sync(() => duplex.destroy())))
    })
)
