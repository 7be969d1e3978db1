/** VMs that get another size: on their host, while they are off, and with its room promised before anything is done. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as App from "./App.ts"

/** One host with memory for three VMs of type 1; two of those are there, the first of them is off. */
const made = Effect.gen(function* () {
  const app = yield* App.make(App.fleet(1, 3))
  yield* app.done("POST", "/vms", { name: "one", instanceType: 1 })
  yield* app.done("POST", "/vms", { name: "two", instanceType: 1 })
  yield* app.done("POST", "/vms/1/power-off")
  const promised = Effect.map(app.get("/hosts/1"), ({ json }) => json.promised)
  return { ...app, promised }
})

const size = { 1: 333_333, 2: 666_666 } as const

describe("a VM of another size", () => {
  it.scopedLive(
    "has the vCPUs and the memory of the type, keeps its disk, and what it gives back others can have",
    () =>
      Effect.gen(function* () {
        const { ask, done, get, promised } = yield* made
        const larger = yield* done("POST", "/vms/1/resize", { instanceType: 2 })
        assert.deepInclude(larger.json, { kind: "ResizeVm", vmId: 1, state: "done", error: null })
        assert.deepInclude((yield* get("/vms/1")).json, {
          instanceType: 2,
          resources: { cpu: 1, ram: size[2], disk: 1 },
          state: "stopped",
          drift: 0
        })
        assert.deepStrictEqual(yield* promised, { cpu: 2, ram: size[1] + size[2], disk: 2 })
        assert.deepInclude((yield* done("POST", "/vms/1/start")).json, { state: "done" })
        // the host is full now
        assert.deepInclude((yield* ask("POST", "/vms", { name: "three", instanceType: 1 })).json, { status: 409 })
        yield* done("POST", "/vms/1/power-off")
        yield* done("POST", "/vms/1/resize", { instanceType: 1 })
        assert.deepStrictEqual(yield* promised, { cpu: 2, ram: 2 * size[1], disk: 2 })
        assert.deepInclude((yield* done("POST", "/vms", { name: "three", instanceType: 1 })).json, { state: "done" })
      })
  )

  it.scopedLive(
    "is refused where it runs, where there is no room, and where it is not what was looked at; then nothing is different",
    () =>
      Effect.gen(function* () {
        const { ask, done, get, promised } = yield* made
        const runs = yield* ask("POST", "/vms/2/resize", { instanceType: 2 })
        assert.deepInclude(runs.json, {
          status: 409,
          code: "vm_conflict",
          detail: "VM 2 (two) is running: shut it down, and resize it then"
        })
        yield* done("POST", "/vms", { name: "three", instanceType: 1 })
        const before = yield* promised
        const full = yield* ask("POST", "/vms/1/resize", { instanceType: 2 })
        assert.deepInclude(full.json, { status: 409, code: "vm_conflict" })
        assert.match(String(full.json.detail), /^VM 1 \(\w+\) has no room for that on its host root@test-1: .*memory/)
        const stale = yield* ask("POST", "/vms/1/resize", { instanceType: 1 }, { "if-match": '"old"' })
        assert.strictEqual(stale.status, 412)
        assert.deepInclude((yield* ask("POST", "/vms/1/resize", { instanceType: 9 })).json, { status: 404 })
        assert.strictEqual((yield* ask("POST", "/vms/99/resize", { instanceType: 1 })).status, 404)
        assert.strictEqual((yield* ask("POST", "/vms/1/resize", {})).status, 400)
        assert.deepStrictEqual(yield* promised, before)
        assert.deepInclude((yield* get("/vms/1")).json, { instanceType: 1 })
      })
  )

  it.scopedLive("can be planned, and its plan says what would be different", () =>
    Effect.gen(function* () {
      const { ask, done, get, promised } = yield* made
      const before = yield* promised
      const { json, status } = yield* ask("POST", "/vms/1/resize?plan=true", { instanceType: 2 })
      assert.strictEqual(status, 200)
      const text = JSON.stringify(json)
      assert.include(text, "size of domain vm-1 on root@test-1")
      assert.include(text, `Give vm-1 1 vCPUs and ${size[2]} MiB of memory from its next start on.`)
      assert.deepStrictEqual(yield* promised, before)
      const applied = yield* done("POST", `/vms/1/resize?plan_id=${String(json.id)}`, { instanceType: 2 })
      assert.deepInclude(applied.json, { kind: "ResizeVm", state: "done" })
      assert.deepInclude((yield* get("/vms/1")).json, { instanceType: 2 })
    })
  )
})
