/**
 * The table of the crash tests, at the end of a run that had any.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import * as Table from "./Table.ts"

declare module "vitest" {
  export interface ProvidedContext {
    /** the folder for this run's parts of the table, and what else goes with the run */
    readonly crashParts: string
  }
}

export default (project: TestProject) => {
  const parts = mkdtempSync(join(tmpdir(), "vmfabric-crash-parts-"))
  project.provide("crashParts", parts)
  return () => {
    const table = Table.render(parts)
    rmSync(parts, { recursive: true })
    if (table !== null) process.stdout.write(`\n${table}\n`)
  }
}
