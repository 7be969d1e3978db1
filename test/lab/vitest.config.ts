import { defineConfig } from "vitest/config"

// suites on real hosts, one after another: they share three hosts and two cores
export default defineConfig({
  resolve: { conditions: ["vmfabric-source", "node"] },
  ssr: { resolve: { conditions: ["vmfabric-source", "node"] } },
  test: {
    include: ["test/lab/**/*.lab.test.ts"],
    globalSetup: ["test/lab/globalSetup.ts"],
    reporters: ["default", ["json", { outputFile: "dist/test/lab.json" }]],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000
  }
})
