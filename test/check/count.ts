/**
 * Adds up what the test runs just reported and closes with one line, `N passed, N failed`.
 */
import { readFileSync } from "node:fs"
import * as Schema from "effect/Schema"

const Report = Schema.parseJson(
  Schema.Struct({ numPassedTests: Schema.Int, numFailedTests: Schema.Int, numPendingTests: Schema.Int })
)

const reports = ["dist/test/unit.json", "dist/test/lab.json"].map((file) =>
  Schema.decodeUnknownSync(Report)(readFileSync(new URL(`../../${file}`, import.meta.url), "utf8"))
)
const sum = (count: (report: (typeof reports)[number]) => number) => reports.reduce((all, r) => all + count(r), 0)
const failed = sum((r) => r.numFailedTests)
process.stdout.write(
  `${sum((r) => r.numPassedTests)} passed, ${failed} failed, ${sum((r) => r.numPendingTests)} skipped\n`
)
process.exitCode = failed === 0 ? 0 : 1
