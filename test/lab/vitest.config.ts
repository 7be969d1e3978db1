import { defineConfig } from "vitest/config"

// suites on real hosts, one after another: they share three hosts and two cores
export default defineConfig({
  resolve: { conditions: ["vmfabric-source", "node"] },
  ssr: { resolve: { conditions: ["vmfabric-source", "node"] } },
  test: {
    include: ["test/lab/**/*.lab.test.ts"],
    globalSetup: ["test/lab/globalSetup.ts"],
    setupFiles: ["test/check/Equality.ts"],
    reporters: ["default", ["json", { outputFile: "dist/test/lab.json" }]],
    fileParallelism: false,
    maxConcurrency: 10,
    // what waits says itself when it has waited too long: these only end what hangs
    testTimeout: 900_000,
    hookTimeout: 300_000,
    // named by test/check/count.ts when it was needed
    retry: 1
  }
})
