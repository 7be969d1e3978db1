/** What VMs' guests are told, over the API: who sees it, and where nobody does. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as App from "./App.ts"

const secret = "hunter2-of-the-guest"
const key = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"E".repeat(43)} me@here`
const userData = `#cloud-config\npassword: ${secret}\n`

const textOf = ({ body }: App.Answer) => JSON.stringify(body)

describe("what a guest is told by cloud-init", () => {
  it.scopedLive(
    "is given with the VM, shown when it is asked for and nowhere else, changed, and gone with the VM",
    () =>
      Effect.gen(function* () {
        const { ask, done, get } = yield* App.make()
        const wanted = { name: "Büro 1", instanceType: 1, userData, sshKeys: [key] }
        const plan = yield* ask("POST", "/vms?plan=true", wanted)
        assert.strictEqual(plan.status, 200)
        assert.include(textOf(plan), `user data: ${userData.length} bytes, which are not shown`)
        yield* done("POST", "/vms", wanted)
        const first = yield* get("/vms/1/cloud-init")
        assert.deepInclude(first.json, {
          userData,
          sshKeys: [key],
          hostname: "buro-1",
          networkConfig: null,
          revision: 1
        })

        const changed = yield* ask("PATCH", "/vms/1/cloud-init?plan=true", {
          hostname: "web",
          userData: `#!/bin/sh\n# ${secret}\n`
        })
        assert.include(textOf(changed), "+hostname: web")
        const etag = first.headers.get("etag") ?? ""
        const operation = yield* done("PATCH", "/vms/1/cloud-init", { hostname: "web" }, { "if-match": etag })
        assert.strictEqual(operation.json.kind, "SetCloudInit")
        const second = yield* get("/vms/1/cloud-init")
        assert.deepInclude(second.json, { userData, hostname: "web", revision: 2 })
        assert.notStrictEqual(second.json.instanceId, first.json.instanceId)
        yield* done("PATCH", "/vms/1/cloud-init", { hostname: null, reapply: false })
        const third = yield* get("/vms/1/cloud-init")
        assert.deepInclude(third.json, { hostname: "buro-1", revision: 3, instanceId: second.json.instanceId })
        const late = yield* ask("PATCH", "/vms/1/cloud-init", { hostname: "late" }, { "if-match": etag })
        assert.strictEqual(late.status, 412)

        for (const path of ["/vms", "/vms/1", "/operations", "/drift"])
          assert.notInclude(textOf(yield* get(path)), secret)
        for (const answer of [plan, changed, operation, late]) assert.notInclude(textOf(answer), secret)
        yield* done("DELETE", "/vms/1")
        assert.strictEqual((yield* ask("GET", "/vms/1/cloud-init")).status, 404)
      })
  )

  it.scopedLive("is refused with its line when it is plainly broken, without a word of it, and nothing is begun", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      yield* done("POST", "/vms", { name: "web", instanceType: 1 })
      const broken = `#cloud-config\na: 1\nb: [${secret}\n`
      for (const [method, path, body] of [
        ["POST", "/vms", { name: "a", instanceType: 1, userData: broken }],
        ["POST", "/vms/batch", { name: "a", count: 2, instanceType: 1, userData: broken }],
        ["PATCH", "/vms/1/cloud-init", { userData: broken }]
      ] as const) {
        const refused = yield* ask(method, path, body)
        assert.strictEqual(refused.status, 400, textOf(refused))
        assert.match(textOf(refused), /userData.*is no YAML at line 4/)
        assert.notInclude(textOf(refused), secret)
      }
      assert.strictEqual((yield* ask("PATCH", "/vms/1/cloud-init", {})).status, 400)
      assert.lengthOf(App.items(yield* get("/vms")), 1)
      assert.strictEqual((yield* get("/vms/1/cloud-init")).json.revision, 1)
    })
  )

  it.scopedLive("is the same for a repeated request, and another request with another secret", () =>
    Effect.gen(function* () {
      const { ask, done } = yield* App.make()
      const once = { "idempotency-key": "once" }
      const created = yield* done("POST", "/vms", { name: "web", instanceType: 1, userData }, once)
      assert.strictEqual(
        (yield* done("POST", "/vms", { name: "web", instanceType: 1, userData }, once)).json.id,
        created.json.id
      )
      const other = yield* ask("POST", "/vms", { name: "web", instanceType: 1, userData: `${userData}x: 1\n` }, once)
      assert.strictEqual(other.status, 409)
    })
  )
})
