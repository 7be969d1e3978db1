/** The program that works on images, as it is sent to hosts, with a Ceph that takes everything and keeps nothing. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import * as Program from "../../src/ceph/Program.ts"
import * as Tools from "../check/Tools.ts"
import { clusterBytes, qcow2File } from "./Qcow2File.ts"

const mebibyte = 1024 ** 2

/** `room`: bytes that are free where temporary files are, beyond what is left for all else. */
const before = (room: number) => `
import contextlib, os, sys, types
class Image(contextlib.AbstractContextManager):
    def __init__(self, *_, **__): pass
    def __exit__(self, *_): pass
    def write(self, data, offset): return len(data)
    def flush(self): pass
class Pool:
    def set_pool_full_try(self): pass
class Rados:
    def __init__(self, **_): pass
    def connect(self): pass
    def open_ioctx(self, _): return Pool()
class RBD:
    def create(self, *_): pass
sys.modules["rados"] = types.SimpleNamespace(Rados=Rados, Error=OSError)
sys.modules["rbd"] = types.SimpleNamespace(RBD=RBD, Image=Image)
os.fstatvfs = lambda fd: types.SimpleNamespace(f_frsize=1, f_bavail=(1 << 30) + ${room} - 512 * os.fstat(fd).st_blocks)
i = sys.stdin.buffer
exec(compile(i.read(int(i.readline())), "vmfabric", "exec"))
`

const frame = (offset: number, bytes: Uint8Array): Buffer => {
  const head = Buffer.alloc(12)
  head.writeBigUInt64BE(BigInt(offset))
  head.writeUInt32BE(bytes.length, 8)
  return Buffer.concat([head, bytes])
}

/** What it answers to the import of a qcow2 file in the end. */
const imported = (file: Uint8Array, size: number, room: number) =>
  Effect.async<string>((resume) => {
    const child = spawn("python3", ["-I", "-u", "-c", before(room)], { stdio: ["pipe", "pipe", "inherit"] })
    const line = (id: number, work: string, args: object) => `${JSON.stringify({ id, do: work, args })}\n`
    child.stdin.write(Program.text)
    child.stdin.write(line(1, "open", { conf: "/dev/null", client: "libvirt", pool: "vms" }))
    child.stdin.write(line(2, "importImage", { image: "image-1", size, format: "qcow2" }))
    child.stdin.write(Buffer.concat([frame(0, file), frame(0, Buffer.alloc(0))]))
    createInterface({ input: child.stdout }).on("line", (answer) => {
      if (!answer.includes('"id": 2') || answer.includes("progress")) return
      resume(Effect.succeed(answer))
      child.kill()
    })
    return Effect.sync(() => child.kill())
  })

describe.skipIf(Tools.isMissing("qemu-img") || Tools.isMissing("python3"))("the program (needs qemu-img)", () => {
  it.live("imports a qcow2 file where there is room for its disk", () =>
    Effect.gen(function* () {
      const file = qcow2File({ size: 8 * mebibyte, clusters: new Map([[3, Buffer.alloc(clusterBytes, 7)]]) })
      assert.deepInclude(JSON.parse(yield* imported(file, 8 * mebibyte, 4 * mebibyte)), { id: 2, ok: null })
    })
  )

  it.live("ends what a small file becomes before it takes the room that its host needs for all else", () =>
    Effect.gen(function* () {
      const size = 512 * mebibyte
      const file = qcow2File({ size, clusters: new Map([[0, Buffer.alloc(clusterBytes, 7)]]) })
      // each place of its disk shows the same cluster
      const table = file.subarray(4 * clusterBytes, 5 * clusterBytes)
      for (let at = 8; at < table.length; at += 8) table.copyWithin(at, 0, 8)
      assert.isBelow(file.length, mebibyte)
      const answer: unknown = JSON.parse(yield* imported(file, size, 16 * mebibyte))
      assert.deepInclude(answer, { id: 2, errno: "ENOSPC", at: "temporary" })
      assert.deepInclude(answer, { detail: "less than 1 GiB would be left for all else" })
    })
  )

  it.live("takes no file for which there is no room", () =>
    Effect.gen(function* () {
      const file = qcow2File({ size: mebibyte, clusters: new Map() })
      assert.include(yield* imported(file, mebibyte, -1), "ENOSPC")
    })
  )
})
