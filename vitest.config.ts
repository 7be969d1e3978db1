import { defineConfig } from "vitest/config"

// everything that needs no root; the suites on real hosts have a configuration of their own in test/lab
export default defineConfig({
  resolve: { conditions: ["vmfabric-source", "node"] },
  ssr: { resolve: { conditions: ["vmfabric-source", "node"] } },
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/lab/**", "node_modules/**"],
    globalSetup: ["test/crash/globalSetup.ts"],
    reporters: ["default", ["json", { outputFile: "dist/test/unit.json" }]],
    testTimeout: 20_000,
    hookTimeout: 30_000
  }
})
