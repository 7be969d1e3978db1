/**
 * Brings up a lab of its own for the suites, beside any lab a developer has, and takes it down whatever happened; and builds the program.
 */
import * as Schema from "effect/Schema"
import { execFileSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { TestProject } from "vitest/node"
import * as Built from "../program/Built.ts"

const script = fileURLToPath(new URL("../../fixtures/lab/lab.sh", import.meta.url))
// others can be named, so that two can run the suites on one machine
const [name = "test", subnet = "10.79.0"] = process.env["VMFABRIC_TEST_LAB"]?.split(" ") ?? []
// its own folder, too, whatever VMFABRIC_LAB_DIR says: that one may be another lab's
const options = ["--name", name, "--subnet", subnet, "--dir="]
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

const Folder = Schema.parseJson(Schema.Struct({ dir: Schema.String }))

export default async (project: TestProject) => {
  await Built.built()
  lab("down")
  lab("up", "6")
  const status = lab("status", "--json")
  const { dir } = Schema.decodeUnknownSync(Folder)(status)
  // two fleets, each with a pool of its own, so that tests with one can run beside tests with the other
  const machines = readFileSync(`${dir}/physicalMachine_file`, "utf8").split("\n")
  writeFileSync(`${dir}/first_machines`, machines.slice(0, 3).join("\n"))
  writeFileSync(`${dir}/rest_machines`, machines.slice(3).join("\n"))
  const pools = "profile rbd pool=vms, profile rbd pool=other"
  lab("ceph", "osd", "pool", "create", "other", "8")
  lab("ceph", "osd", "pool", "application", "enable", "other", "rbd")
  lab("ceph", "auth", "caps", "client.libvirt", "mon", "profile rbd", "osd", pools, "mgr", pools)
  project.provide("lab", status)
  project.provide("labCommand", [script, ...options])
  return () => {
    lab("down")
  }
}
