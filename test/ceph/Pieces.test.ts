import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Pieces from "../../src/ceph/Pieces.ts"
import { LineReader, pieceBytes } from "../../src/ceph/Protocol.ts"
import { randomFrom } from "../../src/simulator/HostState.ts"

const kibibyte = 1024
const zeros = Buffer.alloc(pieceBytes)

/** Of random length, here and there with something in it, in chunks of random length. */
const fileOf = (seed: number) => {
  const random = randomFrom(seed)
  const file = Buffer.alloc(Math.floor(random() * 3 * pieceBytes))
  for (let at = 0; at < file.length; at += Math.floor(random() * 512 * kibibyte) + 1) {
    file.subarray(at, at + Math.floor(random() * 200 * kibibyte)).fill(1 + Math.floor(random() * 255))
    at += 200 * kibibyte
  }
  const chunks: Array<Uint8Array> = []
  for (let at = 0; at < file.length;) {
    const length = Math.floor(random() ** 4 * 2 * pieceBytes) + 1
    chunks.push(file.subarray(at, at + length))
    at += length
  }
  return { file, chunks }
}

describe("a file in pieces", () => {
  const seeds = Array.from({ length: 30 }, (_, seed) => seed + 1)

  it.effect.each(seeds)("is the same again, without its holes (%i)", (seed) =>
    Effect.gen(function* () {
      const { chunks, file } = fileOf(seed)
      const pieces = yield* Stream.runCollect(Pieces.sparse(Stream.fromIterable(chunks)))
      const again = Buffer.alloc(file.length)
      let last = 0
      for (const { bytes, offset } of pieces) {
        assert.isAtLeast(offset, last)
        assert.isAbove(bytes.length, 0)
        assert.strictEqual(Math.floor(offset / pieceBytes), Math.floor((offset + bytes.length - 1) / pieceBytes))
        assert.notStrictEqual(zeros.compare(bytes, 0, bytes.length, 0, bytes.length), 0)
        again.set(bytes, offset)
        last = offset + bytes.length
      }
      assert.isTrue(again.equals(file))
    })
  )

  it.effect("is nothing when it is all zeros", () =>
    Effect.gen(function* () {
      const holes = Stream.repeatValue(new Uint8Array(pieceBytes)).pipe(Stream.take(20))
      assert.strictEqual(Chunk.size(yield* Stream.runCollect(Pieces.sparse(holes))), 0)
      assert.strictEqual(Chunk.size(yield* Stream.runCollect(Pieces.sparse(Stream.empty))), 0)
    })
  )

  it.effect("is whole when it is to be", () =>
    Effect.gen(function* () {
      const { chunks, file } = fileOf(3)
      const pieces = yield* Stream.runCollect(Pieces.whole(Stream.fromIterable(chunks)))
      for (const { bytes } of pieces) assert.isAtMost(bytes.length, pieceBytes)
      assert.isTrue(Buffer.concat(Chunk.toReadonlyArray(pieces).map(({ bytes }) => bytes)).equals(file))
      let at = 0
      for (const { bytes, offset } of pieces) {
        assert.strictEqual(offset, at)
        at += bytes.length
      }
    })
  )
})

describe("lines", () => {
  it("are whole whatever pieces they come in", () => {
    const text = Buffer.from("one\n\nzwölf €\n")
    for (let length = 1; length <= text.length; length++) {
      const reader = new LineReader(100)
      const lines: Array<string> = []
      for (let at = 0; at < text.length; at += length) {
        const got = reader.push(text.subarray(at, at + length))
        if (got._tag === "Right") lines.push(...got.right)
      }
      assert.deepStrictEqual(lines, ["one", "", "zwölf €"])
    }
  })

  it("that are too long are told before their end", () => {
    const reader = new LineReader(5)
    assert.strictEqual(reader.push(Buffer.from("12345\n123"))._tag, "Right")
    assert.strictEqual(reader.push(Buffer.from("456"))._tag, "Left")
    assert.strictEqual(new LineReader(5).push(Buffer.from("123456\n"))._tag, "Left")
  })
})
