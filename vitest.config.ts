import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** What takes longest, the longest first. */
const longest = ["Outages", "Faults", "Ends", "Cancel", "Kill", "Ssh", "Registry"].map(
  (name) => `/crash/${name}.test.ts`
)

/** Begun last they would leave all processors but one with nothing to do. */
class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>) {
    const place = ({ moduleId }: TestSpecification) => {
      const index = longest.findIndex((name) => moduleId.endsWith(name))
      return index === -1 ? longest.length : index
    }
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b))
  }
}

// everything that needs no root; the suites on real hosts have a configuration of their own in test/lab
export default defineConfig({
  resolve: { conditions: ["vmfabric-source", "node"] },
  ssr: { resolve: { conditions: ["vmfabric-source", "node"] } },
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/lab/**", "node_modules/**"],
    globalSetup: ["test/crash/globalSetup.ts"],
    setupFiles: ["test/check/Equality.ts"],
    reporters: ["default", ["json", { outputFile: "dist/test/unit.json" }]],
    // one processor would be left to vitest itself, which has little to do
    maxWorkers: "100%",
    minWorkers: 1,
    sequence: { sequencer: LongestFirst },
    // generous: what hangs is told as well after a minute, and a machine under load is not taken for it
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // named by test/check/count.ts when it was needed: a machine that is busy otherwise decides nothing, and yet is not hidden
    retry: 1
  }
})
