import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { Vms } from "../../src/fabric/Vms.ts"
import { InstanceTypeId } from "../../src/domain/Ids.ts"
import * as Served from "../client/Served.ts"

const root = new URL("../..", import.meta.url).pathname

const run = async (example: string, args: ReadonlyArray<string> = [], env: Record<string, string> = {}) => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--conditions=vmfabric-source", "--import", "tsx", `test/examples/${example}.ts`, ...args],
    { cwd: root, env: { ...process.env, ...env } }
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

  it.scopedLive("create-and-wait", () =>
    Effect.gen(function* () {
      const { url } = yield* Served.make
      const printed = yield* Effect.promise(() => run("create-and-wait", [], { VMFABRIC_URL: url }))
      assert.match(printed, /^hello is running on host [123]$/m)
    })
  )

  it.scopedLive("react-to-events", () =>
    Effect.gen(function* () {
      const { context, url } = yield* Served.make
      const { create } = yield* Effect.provide(Vms, context)
      yield* create({ name: "before", instanceType: InstanceTypeId.make(1) })
      yield* create({ name: "too", instanceType: InstanceTypeId.make(1) })
      const printed = yield* Effect.promise(() => run("react-to-events", ["2"], { VMFABRIC_URL: url }))
      assert.strictEqual(printed, "VM 1 has a volume now\nVM 2 has a volume now\n")
    })
  )

  it("own-scheduler", async () => {
    const printed = await run("own-scheduler")
    assert.match(printed, /^vm-4 is on root@test-3$/m)
    assert.match(printed, /^vm-5 is on root@test-2$/m)
  })

  it("own-storage", async () => {
    const printed = await run("own-storage")
    assert.match(printed, /^data is kept with the driver listed$/m)
    assert.match(printed, /^it has made volume 1 of 10 GiB$/m)
  })

  it("own-tests", async () => {
    assert.match(await run("own-tests"), /^(#|ℹ) pass 2$/m)
  })
})
