/**
 * Adds up what the test runs just reported and closes with one line, `N passed, N failed, N skipped`. Before it stand `flaky: NAME` for each
 * test that passed on its second try only, `failed: NAME` for each that did not pass, and `skipped: NAME` for each that was left out, which in CI
 * is a failure, too: thousands of lines further up is where nobody looks.
 */
import { existsSync, readFileSync } from "node:fs"
import * as Schema from "effect/Schema"

/** What a first try failed with stays in the report of a test that then passed. */
const Test = Schema.Struct({
  fullName: Schema.String,
  status: Schema.String,
  failureMessages: Schema.NullishOr(Schema.Array(Schema.String))
})
const File = Schema.Struct({
  name: Schema.String,
  status: Schema.String,
  /** what a file ended with that could not be loaded, or whose hooks failed */
  message: Schema.String,
  assertionResults: Schema.Array(Test)
})
const Report = Schema.parseJson(
  Schema.Struct({
    numPassedTests: Schema.Int,
    numFailedTests: Schema.Int,
    numPendingTests: Schema.Int,
    testResults: Schema.Array(File)
  })
)

const say = (line: string) => void process.stdout.write(`${line}\n`)
/** of a message, what a line has room for */
const head = (text: string) => text.trim().split("\n", 3).join(" | ").slice(0, 500)

const path = (name: string) => new URL(`../../dist/test/${name}.json`, import.meta.url)
const names = ["unit", "lab"]
const missing = names.filter((name) => !existsSync(path(name)))
const reports = names
  .filter((name) => !missing.includes(name))
  .map((name) => Schema.decodeUnknownSync(Report)(readFileSync(path(name), "utf8")))
const files = reports.flatMap(({ testResults }) => testResults)

for (const { assertionResults } of files) {
  for (const { failureMessages, fullName, status } of assertionResults) {
    const [first] = failureMessages ?? []
    if (first !== undefined && status === "passed") say(`flaky: ${fullName}: ${head(first)}`)
  }
}
for (const { assertionResults, message, name, status } of files) {
  const failed = assertionResults.filter((test) => test.status === "failed")
  for (const { failureMessages, fullName } of failed) say(`failed: ${fullName}: ${head(failureMessages?.at(-1) ?? "")}`)
  if (status === "failed" && failed.length === 0) say(`failed: ${name}: ${head(message)}`)
}
// what is left out where a program is missing would be missed by nobody where changes are judged
const skipped = files
  .flatMap(({ assertionResults }) => assertionResults)
  .filter(({ status }) => status !== "passed" && status !== "failed")
for (const { fullName } of skipped) say(`skipped: ${fullName}`)
for (const name of missing) say(`failed: the ${name} tests ended without a report`)

const sum = (count: (report: (typeof reports)[number]) => number) => reports.reduce((all, r) => all + count(r), 0)
const failed = sum((r) => r.numFailedTests)
say(`${sum((r) => r.numPassedTests)} passed, ${failed} failed, ${sum((r) => r.numPendingTests)} skipped`)
const isWhole = process.env["CI"] === undefined || skipped.length === 0
const arePassed = failed === 0 && missing.length === 0 && files.every(({ status }) => status === "passed")
process.exitCode = arePassed && isWhole ? 0 : 1
