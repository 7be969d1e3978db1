/**
 * Adds up what the test runs just reported and closes with one line, `N passed, N failed`; before it stands `flaky: NAME` for each test that
 * passed on its second try only.
 */
import { readFileSync } from "node:fs"
import * as Schema from "effect/Schema"

/** What a first try failed with stays in the report of a test that then passed. */
const Test = Schema.Struct({
  fullName: Schema.String,
  status: Schema.String,
  failureMessages: Schema.NullishOr(Schema.Array(Schema.String))
})
const Report = Schema.parseJson(
  Schema.Struct({
    numPassedTests: Schema.Int,
    numFailedTests: Schema.Int,
    numPendingTests: Schema.Int,
    testResults: Schema.Array(Schema.Struct({ assertionResults: Schema.Array(Test) }))
  })
)

const reports = ["dist/test/unit.json", "dist/test/lab.json"].map((file) =>
  Schema.decodeUnknownSync(Report)(readFileSync(new URL(`../../${file}`, import.meta.url), "utf8"))
)
const sum = (count: (report: (typeof reports)[number]) => number) => reports.reduce((all, r) => all + count(r), 0)
for (const { assertionResults } of reports.flatMap((report) => report.testResults)) {
  for (const { failureMessages, fullName, status } of assertionResults) {
    const [first] = failureMessages ?? []
    if (status !== "passed" || first === undefined) continue
    process.stdout.write(`flaky: ${fullName}: ${first.split("\n", 1)[0] ?? ""}\n`)
  }
}
const failed = sum((r) => r.numFailedTests)
process.stdout.write(
  `${sum((r) => r.numPassedTests)} passed, ${failed} failed, ${sum((r) => r.numPendingTests)} skipped\n`
)
process.exitCode = failed === 0 ? 0 : 1
