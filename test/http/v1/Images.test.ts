/** Images that are added by requests. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { ImageFiles } from "../../../layers/ImageLibraryTest.ts"
import * as Hostile from "../../images/Hostile.ts"
import { build } from "../../images/Qcow2.ts"
import * as App from "./App.ts"

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

type Asked = Effect.Effect.Success<ReturnType<typeof App.make>>

const send = (app: Asked, id: number, offset: number, bytes: Uint8Array, headers: Record<string, string> = {}) =>
  app.send(`/api/v1/images/${id}/content`, {
    method: "PATCH",
    headers: {
      "content-type": "application/octet-stream",
      "upload-offset": String(offset),
      prefer: "wait=20",
      ...headers
    },
    body: bytes.slice()
  })

describe("an image that is sent", () => {
  it.scopedLive("comes in parts, is checked, and VMs are made of it, which it is kept for", () =>
    Effect.gen(function* () {
      const app = yield* App.make()
      const { ask, done, get } = app
      const bytes = build({ fileSize: 0x50000 })
      const wanted = { name: "debian-12", size: bytes.length, sha256: sha256(bytes), format: "qcow2" }
      const made = yield* ask("POST", "/images", wanted)
      assert.strictEqual(made.status, 201)
      assert.deepInclude(made.json, {
        id: 101,
        state: "uploading",
        origin: "upload",
        received: 0,
        fileSize: bytes.length
      })
      // not before it was checked
      const early = yield* ask("POST", "/vms", { name: "early", instanceType: 1, image: 101 })
      assert.deepInclude(early.json, {
        status: 409,
        code: "image_conflict",
        detail: "image 101 (debian-12) is being sent: send the rest of it first"
      })

      assert.deepInclude((yield* send(app, 101, 0, bytes.subarray(0, 100_000))).json, {
        received: 100_000,
        state: "uploading"
      })
      const elsewhere = yield* send(app, 101, 0, bytes)
      assert.deepInclude(elsewhere.json, {
        status: 409,
        code: "image_conflict",
        detail: "image 101 (debian-12) has 100000 bytes, not 0: go on from there"
      })
      assert.deepInclude((yield* get("/images/101")).json, { received: 100_000 })
      const tooMuch = yield* send(app, 101, 100_000, bytes)
      assert.deepInclude(tooMuch.json, { status: 409, code: "image_conflict" })
      const announced = yield* send(app, 101, 100_000, bytes, { "content-length": String(bytes.length) })
      assert.deepInclude(announced.json, { status: 409, code: "image_conflict" })
      assert.include(String(announced.json.detail), `send ${bytes.length - 100_000} from 100000 on, and no more`)
      assert.deepInclude((yield* get("/images/101")).json, { received: 100_000 })
      const whole = yield* send(app, 101, 100_000, bytes.subarray(100_000))
      assert.deepInclude(whole.json, {
        state: "available",
        format: "qcow2",
        virtualSize: 1024 ** 3,
        fileSize: bytes.length,
        sha256: wanted.sha256,
        received: null,
        reason: null
      })
      const late = yield* send(app, 101, bytes.length, bytes)
      assert.deepInclude(late.json, { detail: "image 101 (debian-12) is not being sent: it is available" })

      yield* done("POST", "/vms", { name: "web", instanceType: 1, image: 101 })
      const kept = yield* ask("DELETE", "/images/101")
      assert.deepInclude(kept.json, {
        status: 409,
        detail: "image 101 (debian-12) cannot be deleted while VM 1 (web) needs it: destroy that VM first"
      })
      yield* done("DELETE", "/vms/1")
      assert.strictEqual((yield* ask("DELETE", "/images/101")).status, 204)
      assert.strictEqual((yield* ask("DELETE", "/images/101")).status, 204)
      assert.strictEqual((yield* ask("GET", "/images/101")).status, 404)
      assert.deepStrictEqual(
        App.items(yield* get("/images")).map(({ id }) => id),
        [100]
      )
      const gone = yield* ask("POST", "/vms", { name: "late", instanceType: 1, image: 101 })
      assert.deepInclude(gone.json, { status: 404, code: "image_not_found" })
      assert.deepInclude((yield* ask("DELETE", "/images/100")).json, {
        status: 409,
        detail:
          "image 100 (test) is given in the image file: take its line out there, start the controller again, and delete it then"
      })
    })
  )

  it.scopedLive("is refused with the reason when it is another one than was said, and when it is hostile", () =>
    Effect.gen(function* () {
      const app = yield* App.make()
      const { ask } = app
      const bytes = new Uint8Array(4096).fill(1)
      yield* ask("POST", "/images", { name: "a", size: 4096, sha256: "0".repeat(64) })
      const other = yield* send(app, 101, 0, bytes)
      assert.deepInclude(other.json, { state: "refused" })
      assert.include(String(other.json.reason), `its SHA-256 is ${sha256(bytes)}, not 000`)
      const made = yield* ask("POST", "/vms", { name: "made", instanceType: 1, image: 101 })
      assert.deepInclude(made.json, {
        status: 409,
        code: "image_conflict",
        detail: `image 101 (a) is refused: ${String(other.json.reason)}`
      })
      let id = 101
      for (const { bytes, declared, name, refusal } of Hostile.all("/etc/canary")) {
        id += 1
        const format = declared === undefined ? {} : { format: declared }
        assert.strictEqual((yield* ask("POST", "/images", { name, size: bytes.length, ...format })).json.id, id)
        const { json } = yield* send(app, id, 0, bytes)
        assert.strictEqual(json.state, "refused", name)
        assert.match(String(json.reason), refusal, name)
        const used = yield* ask("POST", "/vms", { name: "x", instanceType: 1, image: id })
        assert.strictEqual(used.status, 409, name)
      }
    })
  )

  it.scopedLive("is refused before it is sent when it cannot be, and what is not understood is said", () =>
    Effect.gen(function* () {
      const app = yield* App.make()
      const { ask } = app
      for (const [body, field] of [
        [{ name: "a" }, "path"],
        [{ name: "a", size: 1, url: "https://x.example/" }, "path"],
        [{ size: 1 }, "name"],
        [{ name: "a", size: 0 }, "size"],
        [{ name: "a", size: 1, sha256: "X" }, "sha256"],
        [{ name: "a", size: 1, format: "vmdk" }, "format"],
        [{ name: "a", path: "/etc/passwd" }, "path"],
        [{ name: "a", url: "file:///etc/passwd" }, "url"],
        [{ name: "a", size: 1, nonsense: 1 }, "nonsense"]
      ] as const) {
        const { json } = yield* ask("POST", "/images", body)
        assert.deepInclude(json, { status: 400, field }, JSON.stringify(body))
      }
      yield* ask("POST", "/images", { name: "a", size: 10 })
      const typed = yield* send(app, 101, 0, new Uint8Array(10), { "content-type": "application/json" })
      assert.deepInclude(typed.json, { status: 400, code: "invalid_header", field: "Content-Type" })
      const nowhere = yield* send(app, 101, 0, new Uint8Array(10), { "upload-offset": "-1" })
      assert.deepInclude(nowhere.json, { status: 400, field: "upload-offset" })
      assert.strictEqual((yield* send(app, 999, 0, new Uint8Array(1))).status, 404)
      // as many as may be sent at the same time
      for (let index = 1; index < 32; index++) yield* ask("POST", "/images", { name: "a", size: 10 })
      assert.deepInclude((yield* ask("POST", "/images", { name: "a", size: 10 })).json, {
        status: 409,
        code: "image_conflict"
      })
    })
  )
})

describe("an image of a file or a URL", () => {
  it.scopedLive("is there after it was fetched and checked, or refused, and its file has to stay what it was", () =>
    Effect.gen(function* () {
      const { ask, context, done } = yield* App.make()
      const files = Context.get(context, ImageFiles)
      const bytes = new Uint8Array(4096).fill(7)
      yield* files.put("https://images.example/x/debian-12.raw?a=b", bytes)
      const url = { url: "https://images.example/x/debian-12.raw?a=b", sha256: sha256(bytes) }
      const fetched = yield* ask("POST", "/images", url, { prefer: "wait=20" })
      assert.deepInclude(fetched.json, { name: "debian-12", state: "available", origin: "url", source: url.url })
      const missing = yield* ask("POST", "/images", { url: "https://images.example/none" }, { prefer: "wait=20" })
      assert.deepInclude(missing.json, { state: "refused", reason: "it could not be fetched: there is nothing" })

      yield* files.put("/images/own.raw", bytes)
      const own = yield* ask("POST", "/images", { path: "/images/own.raw" }, { prefer: "wait=20" })
      assert.deepInclude(own.json, { id: 103, name: "own", state: "available", source: "/images/own.raw" })
      const twice = yield* ask("POST", "/images", { path: "/images/own.raw" })
      assert.deepInclude(twice.json, {
        status: 409,
        detail: "image /images/own.raw is image 103 (own) already: use that one, or delete it first"
      })
      yield* done("POST", "/vms", { name: "web", instanceType: 1, image: 103 })
      yield* files.put("/images/own.raw", new Uint8Array(4096).fill(8))
      const changed = yield* ask("POST", "/vms", { name: "late", instanceType: 1, image: 103 }, { prefer: "wait=20" })
      assert.include(String(changed.json.error), "its file has been changed since it was added")

      for (const { bytes, declared, name, refusal } of Hostile.all("/etc/canary")) {
        const format = declared === undefined ? {} : { format: declared }
        yield* files.put(`/images/${name}`, bytes)
        const named = yield* ask("POST", "/images", { name, path: `/images/${name}`, ...format })
        assert.deepInclude(named.json, { status: 409, code: "image_refused" }, name)
        assert.match(String(named.json.detail), refusal, name)
        yield* files.put(`http://images.example/${name}`, bytes)
        const led = { name, url: `http://images.example/${name}`, ...format }
        const { json } = yield* ask("POST", "/images", led, { prefer: "wait=20" })
        assert.strictEqual(json.state, "refused", name)
        assert.match(String(json.reason), refusal, name)
      }
    })
  )
})

describe("an image that is published", () => {
  it.scopedLive("is made of a disk that nobody writes, is as any other, and says where it is from", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      yield* done("POST", "/vms", { name: "web", instanceType: 1 })
      const wait = { prefer: "wait=20" }
      const publish = (body: object) => ask("POST", "/images/publish", body, wait)
      assert.deepInclude((yield* publish({ name: "golden", vm: 1 })).json, {
        status: 409,
        code: "vm_conflict",
        detail:
          "VM 1 (web) is running, and of a disk that is a file there is no copy of one moment then: shut it down first"
      })
      yield* done("POST", "/vms/1/power-off")
      const { json } = yield* publish({ name: "golden", vm: 1 })
      assert.deepInclude(json, { kind: "PublishVm", vmId: 1, volumeId: null, imageId: 101, state: "done", error: null })
      assert.deepInclude((yield* get("/images/101")).json, {
        name: "golden",
        source: "vm 1",
        origin: "vm",
        state: "available",
        format: "qcow2",
        virtualSize: 10 * 1024 ** 3,
        received: null
      })
      yield* done("POST", "/vms", { name: "second", instanceType: 1, image: 101 })
      assert.deepInclude((yield* ask("DELETE", "/images/101")).json, {
        detail: "image 101 (golden) cannot be deleted while VM 2 (second) needs it: destroy that VM first"
      })
      // what it was made of may go
      yield* done("DELETE", "/vms/1")
      assert.deepInclude((yield* get("/images/101")).json, { state: "available", source: "vm 1" })

      yield* done("POST", "/volumes", { name: "data", size: 1 })
      yield* done("POST", "/volumes/1/attach", { vm: 2 })
      yield* done("POST", "/volumes/1/detach")
      yield* done("POST", "/volumes/1/snapshots", { name: "monday" })
      yield* done("POST", "/volumes/1/attach", { vm: 2 })
      // neither begun nor planned
      for (const plan of ["", "?plan=true"]) {
        assert.deepInclude((yield* ask("POST", `/volumes/1/snapshots${plan}`, { name: "tuesday" })).json, {
          status: 409,
          code: "volume_conflict",
          detail:
            "volume 1 (data) is attached to VM 2 (second), which is running, and of a disk that is a file there is no copy of one " +
            "moment then: shut that VM down or detach the volume first"
        })
      }
      assert.lengthOf(App.items(yield* get("/volumes/1/snapshots")), 1)
      assert.deepInclude((yield* publish({ name: "data", volume: 1 })).json, { status: 409, code: "volume_conflict" })
      assert.deepInclude((yield* publish({ name: "monday", snapshot: 1 })).json, {
        kind: "PublishVolume",
        vmId: 2,
        volumeId: 1,
        snapshotId: 1,
        imageId: 102,
        state: "done"
      })
      yield* done("POST", "/volumes/1/detach")
      assert.deepInclude((yield* publish({ name: "data", volume: 1 })).json, { imageId: 103, state: "done" })
      assert.deepStrictEqual(
        App.items(yield* get("/images")).map(({ source }) => source),
        ["/images/test.raw", "vm 1", "snapshot 1", "volume 1"]
      )
      assert.strictEqual((yield* ask("DELETE", "/images/102")).status, 204)

      for (const [body, status, code] of [
        [{ name: "a" }, 400, "invalid_argument"],
        [{ name: "a", vm: 2, volume: 1 }, 400, "invalid_argument"],
        [{ name: "", vm: 2 }, 400, "invalid_body"],
        [{ name: "a", vm: 9 }, 404, "vm_not_found"],
        [{ name: "a", volume: 9 }, 404, "volume_not_found"],
        [{ name: "a", snapshot: 9 }, 404, "snapshot_not_found"]
      ] as const) {
        assert.deepInclude((yield* publish(body)).json, { status, code }, JSON.stringify(body))
      }
      const planned = yield* ask("POST", "/images/publish?plan=true", { name: "plan", volume: 1 })
      assert.deepStrictEqual(
        Array.isArray(planned.json.steps) ? planned.json.steps.map(({ name }: { readonly name: string }) => name) : [],
        ["hold", "read", "release", "check"]
      )
      assert.strictEqual(App.items(yield* get("/images")).length, 3)
    })
  )
})
