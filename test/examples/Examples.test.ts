import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { promisify } from "node:util"

const root = new URL("../..", import.meta.url).pathname

describe("the examples run as they stand", () => {
  it("create-vm", async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--conditions=vmfabric-source", "--import", "tsx", "test/examples/create-vm.ts"],
      { cwd: root }
    )
    assert.match(stdout, /^hello is running on root@test-[123], which has 31744 MiB left$/m)
  })
})
