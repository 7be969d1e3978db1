import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { promisify } from "node:util"

const root = new URL("../..", import.meta.url).pathname

const run = async (example: string) => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--conditions=vmfabric-source", "--import", "tsx", `test/examples/${example}.ts`],
    { cwd: root }
  )
  return stdout
}

describe("the examples run as they stand", () => {
  it("create-vm", async () => {
    assert.match(await run("create-vm"), /^hello is running on root@test-[123], which has 31744 MiB left$/m)
  })

  it("attach-volume", async () => {
    const printed = await run("attach-volume")
    assert.match(printed, /^data is attached to hello, which finds it as virtio-volume-1$/m)
    assert.match(printed, /^copy has 10 GiB and is available$/m)
  })
})
