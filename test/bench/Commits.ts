/**
 * Decisions of parallel committers, each a thread with an engine of its own, against one ledger: none may break a limit or a must-rule, and a
 * refusal must be one by the ledger too.
 */
import * as Effect from "effect/Effect"
import { Worker } from "node:worker_threads"
import * as Shared from "./CommitsShared.ts"
import type { Figure } from "./Figure.ts"
import { BenchError } from "./Process.ts"
import * as Program from "./Program.ts"

const section = "commits"

const committer = (workerData: Parameters<typeof Shared.decodeGiven>[0], control: Int32Array) =>
  Effect.async<unknown, BenchError>((resume) => {
    const worker = new Worker(`${Program.output}/commitsProgram.js`, { workerData })
    worker.on("message", (outcome: unknown) => resume(Effect.succeed(outcome)))
    worker.on("error", (cause) => {
      Atomics.store(control, Shared.at.ended, 1)
      resume(new BenchError({ message: String(cause), cause }))
    })
    return Effect.promise(() => worker.terminate())
  }).pipe(
    Effect.flatMap((outcome) =>
      Effect.mapError(
        Shared.decodeOutcome(outcome),
        (cause) => new BenchError({ message: `a committer ended with ${JSON.stringify(outcome)}`, cause })
      )
    )
  )

export const measure = ({ committers, decisions }: { readonly committers: number; readonly decisions: number }) =>
  Effect.gen(function* () {
    yield* Program.bundle("commitsProgram")
    const memory = new SharedArrayBuffer(Shared.bytes)
    const { control } = Shared.view(memory)
    const started = performance.now()
    const outcomes = yield* Effect.forEach(
      Array.from({ length: committers }, (_, number) => number),
      (number) => committer({ number, committers, decisions, memory }, control),
      { concurrency: "unbounded" }
    )
    const seconds = (performance.now() - started) / 1000
    const sum = (value: (outcome: (typeof outcomes)[number]) => number) =>
      outcomes.reduce((all, outcome) => all + value(outcome), 0)
    const [made, refused, again] = [sum((one) => one.made), sum((one) => one.refused), sum((one) => one.again)]
    if (made + refused !== decisions) {
      return yield* new BenchError({ message: `${made} made and ${refused} refused, of ${decisions}` })
    }
    const by = `${committers} committers`
    const figure = (what: string, unit: string, value: number): Figure => ({
      section,
      what: `${what}, ${by}`,
      unit,
      values: [value]
    })
    return [
      figure(
        `${decisions.toLocaleString("en")} decisions, no limit and no must-rule broken`,
        "decisions/s",
        decisions / seconds
      ),
      figure("refused, rightly", "decisions", refused),
      figure("decided again, for another had been faster", "decisions", again)
    ]
  })
