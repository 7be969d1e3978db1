/**
 * `npm run fuzz -- --calls 100000 --seed 7`: requests made from the OpenAPI document, of a controller whose hosts are in memory. Ends with status 1 at the
 * first that is answered with a 500, or with what the document does not have, and tells it; the same seed makes the same requests.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { parseArgs } from "node:util"
import * as Fuzz from "./Fuzz.ts"

const { values } = parseArgs({
  options: { calls: { type: "string", default: "100000" }, seed: { type: "string", default: "7" } }
})

const number = (name: keyof typeof values): number => {
  const value = Number(values[name])
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${name} ${values[name]}: expected a whole number from 1 on`)
  return value
}

const say = (line: string) => process.stdout.write(`${line}\n`)

/** A line after so many. */
const every = 5000

const program = Effect.gen(function* () {
  const began = performance.now()
  const seconds = () => ((performance.now() - began) / 1000).toFixed(0)
  const byStatus = ({ statuses }: Fuzz.Report) =>
    [...statuses]
      .toSorted(([a], [b]) => a - b)
      .map(([status, times]) => `${status}: ${times}`)
      .join(", ")
  const report = yield* Fuzz.run(number("calls"), number("seed"), (report) => {
    if (report.calls % every === 0) say(`${report.calls} calls in ${seconds()} s`)
  })
  const { succeeded } = report
  say(`${report.calls} calls in ${seconds()} s, none answered with a 500 or with what the document does not have`)
  say(`answers by status: ${byStatus(report)}`)
  say(`endpoints that were answered with success: ${succeeded.size} of ${Fuzz.endpoints}`)
})

NodeRuntime.runMain(program)
