/**
 * Brings up a lab of its own for the suites, beside any lab a developer has, and takes it down whatever happened.
 */
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { TestProject } from "vitest/node"

const script = fileURLToPath(new URL("../../fixtures/lab/lab.sh", import.meta.url))
// others can be named, so that two can run the suites on one machine
const [name = "test", subnet = "10.79.0"] = process.env["VMFABRIC_TEST_LAB"]?.split(" ") ?? []
const options = ["--name", name, "--subnet", subnet]
const lab = (...args: ReadonlyArray<string>) =>
  execFileSync("bash", [script, ...options, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })

declare module "vitest" {
  export interface ProvidedContext {
    /** what `lab.sh status --json` prints */
    readonly lab: string
    /** the script and the options that select this lab */
    readonly labCommand: ReadonlyArray<string>
  }
}

export default (project: TestProject) => {
  lab("down")
  lab("up", "3")
  project.provide("lab", lab("status", "--json"))
  project.provide("labCommand", [script, ...options])
  return () => {
    lab("down")
  }
}
