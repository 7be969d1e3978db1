/**
 * `test/lab/crashing.ts`, built: a life of it is as short as one of the real program.
 */
import { execFileSync } from "node:child_process"

const root = new URL("../..", import.meta.url).pathname

export const entry = "dist/crashing/test/lab/crashing.js"

/** Again is quick. */
export const build = (): void => {
  execFileSync(process.execPath, ["node_modules/typescript7/bin/tsc", "--project", "test/lab/tsconfig.json"], {
    cwd: root,
    stdio: "inherit"
  })
}
