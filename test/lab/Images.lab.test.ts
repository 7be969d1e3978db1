/**
 * An image that is sent over the API, of which a real host boots a VM: on disk files of hosts, and in Ceph.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import * as Shown from "../images/Shown.ts"
import {
  allHostsUp,
  create,
  database,
  destroy,
  fleet,
  guestReady,
  hostOf,
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

describe("an image that is sent", () => {
  it.scopedLive("is on the hosts that need it, and its guests run: raw and qcow2, in files and in Ceph", () =>
    Effect.gen(function* () {
      yield* wipe(fleet)
      const folder = `${Lab.status.dir}/images`
      for (const [file, format, flags] of [
        [`${folder}/guest.img`, "raw", []],
        [`${folder}/guest-qcow2.qcow2`, "qcow2", Lab.cephFlags(fleet.pool)]
      ] as const) {
        yield* Effect.gen(function* () {
          const program = yield* start(yield* database, flags)
          yield* allHostsUp(program)
          const { id, sha256 } = yield* sent(program, file, format)
          assert(sha256 !== null)
          const { error, vmid } = yield* create(program, "web", `instance_type=1&image_id=${id}`)
          assert.isAbove(vmid, 0, error)
          yield* guestReady(yield* hostOf(program, vmid), vmid)
          const host = yield* hostOf(program, vmid)
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
