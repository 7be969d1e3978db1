/**
 * An image that is sent over the API, of which a real host boots a VM, and an image of that VM's disk: on disk files of hosts, and in Ceph.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import * as Shown from "../images/Shown.ts"
import {
  allHostsUp,
  create,
  database,
  destroy,
  fleet,
  guestReady,
  hostOf,
  inGuest,
  type Program,
  start,
  wipe
} from "./Client.ts"
import * as Lab from "./Lab.ts"

const ask = (
  program: Program,
  method: string,
  path: string,
  type: string,
  body: string | Uint8Array,
  more: object = {}
) =>
  Effect.promise(async () => {
    const headers = { "content-type": type, prefer: "wait=120", ...more }
    const answer = await fetch(`${program.url}/api/v1${path}`, { method, headers, body })
    const image: unknown = await answer.json()
    return Shown.decode(image)
  })

/** Sent in parts, as slow lines do. */
const sent = Effect.fnUntraced(function* (program: Program, file: string, format: string) {
  const bytes = Uint8Array.from(readFileSync(file))
  const sha256 = createHash("sha256").update(bytes).digest("hex")
  const wanted = JSON.stringify({ name: `sent-${format}`, size: bytes.length, format, sha256 })
  let image = yield* ask(program, "POST", "/images", "application/json", wanted)
  const part = Math.ceil(bytes.length / 3)
  while (image.state === "uploading") {
    const from = image.received ?? 0
    image = yield* ask(
      program,
      "PATCH",
      `/images/${image.id}/content`,
      "application/octet-stream",
      bytes.slice(from, from + part),
      { "upload-offset": String(from) }
    )
  }
  assert.deepInclude(image, { state: "available", reason: null, sha256 })
  return image
})

const deleted = (program: Program, id: number) =>
  Effect.promise(async () => {
    const { status } = await fetch(`${program.url}/api/v1/images/${id}`, { method: "DELETE" })
    assert.strictEqual(status, 204)
  })

const Published = Schema.Struct({ state: Schema.String, error: Schema.NullOr(Schema.String), imageId: Schema.Int })

const Refused = Schema.Struct({ status: Schema.Int, detail: Schema.String })

const posted = (program: Program, path: string, body: object = {}) =>
  Effect.promise(async () => {
    const headers = { "content-type": "application/json", prefer: "wait=280" }
    const answer = await fetch(`${program.url}/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) })
    const json: unknown = await answer.json()
    return json
  })

const checked = (file: string) =>
  Effect.promise(() => promisify(execFile)("qemu-img", ["check", "--output=json", "-f", "qcow2", file]))

/** What the guest's disk is given besides its image: a file, and a pattern far behind it. */
const words = "what was written in the first guest"
const told = (vmid: number) =>
  `mkdir -p /run/t; echo '${words}' > /run/t/note; tar -cf - -C /run/t note | dd of=/dev/vda bs=1M seek=100 conv=notrunc,fsync status=none; ` +
  `pattern write vm-${vmid}-root 7 2 200`
const toldNow = (vmid: number) =>
  `dd if=/dev/vda bs=1M skip=100 count=1 status=none | tar -xOf - note; pattern check vm-${vmid}-root 7 2 200`

/** The disk of a VM as an image, of which another VM is made that has all of it. */
const published = Effect.fnUntraced(function* (
  program: Program,
  { inCeph, kept }: { readonly inCeph: boolean; readonly kept: string },
  vmid: number,
  host: string
) {
  assert.strictEqual(yield* inGuest(host, vmid, told(vmid)), "OK")
  const wanted = { name: "golden", vm: vmid }
  if (!inCeph) {
    // of a file nothing can be read that is of one moment
    const refused = Schema.decodeUnknownSync(Refused)(yield* posted(program, "/images/publish", wanted))
    assert.strictEqual(refused.status, 409)
    assert.include(refused.detail, "shut it down first")
    yield* posted(program, `/vms/${vmid}/shut-down`)
  }
  const operation = Schema.decodeUnknownSync(Published)(yield* posted(program, "/images/publish", wanted))
  assert.deepInclude(operation, { state: "done", error: null })
  const id = operation.imageId
  const image = yield* Effect.promise(async () => {
    const answer = await fetch(`${program.url}/api/v1/images/${id}`)
    const json: unknown = await answer.json()
    return json
  })
  assert.deepInclude(image, { state: "available", origin: "vm", source: `vm ${vmid}`, format: "qcow2" })

  // QEMU finds nothing wrong with it, and nothing is left where the disk is
  const files = readdirSync(`${kept}.images`).map((name) => join(`${kept}.images`, name))
  const made = files.filter((file) => readFileSync(file).subarray(0, 3).toString("latin1") === "QFI")
  assert.isAbove(made.length, 0)
  for (const file of made) yield* checked(file)
  assert.strictEqual((yield* Lab.onHost(host, "find", "/var/lib/vmfabric", "-name", "publish-*")).trim(), "")
  if (inCeph) {
    assert.strictEqual((yield* Lab.lab("rbd", "-p", fleet.pool, "snap", "ls", `vm-${vmid}-root`)).trim(), "")
  }

  const second = yield* create(program, "second", `instance_type=1&image_id=${id}`)
  assert.isAbove(second.vmid, 0, second.error)
  const there = yield* hostOf(program, second.vmid)
  yield* guestReady(there, second.vmid)
  assert.deepStrictEqual((yield* inGuest(there, second.vmid, toldNow(second.vmid))).split("\n"), [words, "OK"])
  assert.deepStrictEqual(yield* destroy(program, second.vmid), { status: 1 })
  yield* deleted(program, id)
})

describe("an image that is sent", () => {
  it.scopedLive(
    "is on the hosts that need it, and its guests run, and what one wrote is in an image of its disk: raw and qcow2, in files and in Ceph",
    () =>
      Effect.gen(function* () {
        yield* wipe(fleet)
        const folder = `${Lab.status.dir}/images`
        for (const [file, format, flags] of [
          [`${folder}/guest.img`, "raw", []],
          [`${folder}/guest-qcow2.qcow2`, "qcow2", Lab.cephFlags(fleet.pool)]
        ] as const) {
          yield* Effect.gen(function* () {
            const kept = yield* database
            const program = yield* start(kept, flags)
            yield* allHostsUp(program)
            const { id, sha256 } = yield* sent(program, file, format)
            assert(sha256 !== null)
            const { error, vmid } = yield* create(program, "web", `instance_type=1&image_id=${id}`)
            assert.isAbove(vmid, 0, error)
            yield* guestReady(yield* hostOf(program, vmid), vmid)
            const host = yield* hostOf(program, vmid)
            yield* published(program, { kept, inCeph: flags.length > 0 }, vmid, host)
            assert.deepStrictEqual(yield* destroy(program, vmid), { status: 1 })

            // its copies go with it
            const copies =
              flags.length === 0
                ? Lab.onHost(host, "find", "/var/lib/vmfabric", "-name", `image-${sha256}*`)
                : Effect.map(Lab.lab("rbd", "-p", fleet.pool, "ls"), (text) =>
                    text
                      .split("\n")
                      .filter((name) => name.startsWith(`image-${sha256}`))
                      .join("\n")
                  )
            assert.include(yield* copies, sha256)
            yield* deleted(program, id)
            yield* Lab.eventually("the copies of a deleted image are removed", copies, (text) => text.trim() === "")
          }).pipe(Effect.scoped)
        }
      })
  )
})
