/** A disk that is written as a qcow2 file, and read back by what reads such files. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import * as Qcow2 from "../../src/ceph/Qcow2.ts"
import * as ImageHeader from "../../src/domain/ImageHeader.ts"
import type { Piece } from "../../src/domain/Image.ts"
import * as Reader from "../../src/simulator/Qcow2.ts"
import { build } from "../images/Qcow2.ts"
import { noise } from "../storage/ScriptedImages.ts"

const cluster = 64 * 1024
const mebibyte = 1024 ** 2

const fileOf = (size: number, disk: ReadonlyArray<Piece>) =>
  Effect.map(Stream.runCollect(Qcow2.fromDisk(size, Stream.fromIterable(disk))), (all) => {
    const pieces = [...all]
    const file = Buffer.alloc(Math.max(...pieces.map(({ bytes, offset }) => offset + bytes.length)))
    for (const { bytes, offset } of pieces) file.set(bytes, offset)
    return { file, last: pieces.at(-1) }
  })

describe("a disk as a qcow2 file", () => {
  it.effect("is a file of its own, though its guest has written the head of one that names another", () =>
    Effect.gen(function* () {
      const size = 1024 ** 3
      const written = build({ backingFileOffset: 1024n, backingFileSize: 11 })
      const { file } = yield* fileOf(size, [{ offset: 0, bytes: written }])
      const ends = { head: file.subarray(0, ImageHeader.headSize), fileSize: file.length }
      assert.deepStrictEqual(ImageHeader.inspect(ends, "qcow2"), Either.right({ format: "qcow2", virtualSize: size }))
      const [first] = Either.getOrThrow(Reader.clusters(file))
      assert(first !== undefined)
      assert.strictEqual(first.offset, 0)
      assert.isTrue(Buffer.from(first.bytes).equals(Buffer.from(written.subarray(0, cluster))))
    })
  )

  for (const [name, size, places] of [
    ["that is empty", 1024 ** 3, []],
    [
      "of many tables, with holes, of which the last cluster is not whole",
      5 * 1024 ** 3 + 1024,
      [0, 4, 600, 604, 5120]
    ],
    ["of one sector", 512, [0]]
  ] as const) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const disk = places.map((at, seed): Piece => {
          const offset = at * mebibyte
          const bytes = Buffer.from(noise(Math.min(4 * mebibyte, Math.ceil((size - offset) / 4) * 4), seed + 1))
          // zeros of which no cluster is made, and some within one
          if (bytes.length > 4 * cluster) bytes.fill(0, cluster, 3 * cluster + 512)
          return { offset, bytes: bytes.subarray(0, size - offset) }
        })
        const { file, last } = yield* fileOf(size, disk)
        assert.strictEqual(last?.offset, 0, "the header comes last")
        const ends = { head: file.subarray(0, ImageHeader.headSize), fileSize: file.length }
        assert.deepStrictEqual(ImageHeader.inspect(ends, "qcow2"), Either.right({ format: "qcow2", virtualSize: size }))

        const wanted = disk.flatMap(({ bytes, offset }) =>
          Array.from({ length: Math.ceil(bytes.length / cluster) }, (_, index) => ({
            offset: offset + index * cluster,
            bytes: bytes.subarray(index * cluster, (index + 1) * cluster)
          }))
        )
        const kept = wanted.filter(({ bytes }) => !bytes.every((byte) => byte === 0))
        const found = Either.getOrThrow(Reader.clusters(file))
        assert.strictEqual(found.length, kept.length)
        for (const [index, { bytes, offset }] of kept.entries()) {
          assert.strictEqual(found[index]?.offset, offset)
          assert.isTrue(Buffer.from(found[index]!.bytes).equals(bytes), `what is at ${offset}`)
        }

        // every cluster is used once, and counted so
        const counts = Array.from({ length: Math.ceil(file.length / cluster) }, (_, number) => {
          const table = Number(file.readBigUInt64BE(48))
          const block = Number(file.readBigUInt64BE(table + Math.floor(number / (cluster / 2)) * 8))
          return file.readUInt16BE(block + (number % (cluster / 2)) * 2)
        })
        assert.isTrue(counts.every((count) => count === 1))
      })
    )
  }
})
