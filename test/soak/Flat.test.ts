/** When a soak says that its process has grown. */
import { assert, describe, it } from "@effect/vitest"
import { closeSync, openSync } from "node:fs"
import * as Flat from "./Flat.ts"

const mebibyte = 1024 ** 2
const most: Flat.Sample = { heap: 10 * mebibyte, descriptors: 4 }
const samples = (count: number, heap: (i: number) => number, descriptors: (i: number) => number = () => 20) =>
  Array.from({ length: count }, (_, i): Flat.Sample => ({ heap: heap(i) * mebibyte, descriptors: descriptors(i) }))

describe("what a process holds", () => {
  it("is flat when it goes up and down", () => {
    assert.isNull(
      Flat.grown(
        samples(
          100,
          (i) => 100 + (i % 7) * 5,
          (i) => 20 + (i % 5)
        ),
        most
      )
    )
  })

  it("is flat when it grows until it is warm, and no more then", () => {
    assert.isNull(
      Flat.grown(
        samples(100, (i) => Math.min(50 + i * 20, 200)),
        most
      )
    )
  })

  it("is flat when a few are far out", () => {
    assert.isNull(
      Flat.grown(
        samples(100, (i) => (i % 10 === 9 ? 500 : 100)),
        most
      )
    )
  })

  it("has grown when the heap climbs slowly all the time", () => {
    assert.strictEqual(
      Flat.grown(
        samples(100, (i) => 100 + i * 0.3),
        most
      ),
      "over 100 samples the live heap grew from 106.3 MiB to 123.1 MiB, which is more than the 10.0 MiB that it may"
    )
  })

  it("has grown when it is larger from the middle on", () => {
    assert.match(
      Flat.grown(
        samples(40, (i) => (i < 18 ? 100 : 120)),
        most
      ) ?? "",
      /from 100\.0 MiB to 120\.0 MiB/
    )
  })

  it("has grown when descriptors stay open", () => {
    const told = Flat.grown(
      samples(
        100,
        () => 100,
        (i) => 20 + Math.floor(i / 10)
      ),
      most
    )
    assert.strictEqual(
      told,
      "over 100 samples the number of open descriptors grew from 22 to 27, which is more than the 4 that it may"
    )
  })

  it("is told of both when both grow", () => {
    const told = Flat.grown(
      samples(
        60,
        (i) => 100 + i,
        (i) => 20 + i
      ),
      most
    )
    assert.match(told ?? "", /live heap grew .* that it may, and the number of open descriptors grew/)
  })

  it("is as much as is allowed, and not more, without being told of", () => {
    const stepped = (by: number) => samples(40, (i) => (i < 20 ? 100 : 100 + by))
    assert.isNull(Flat.grown(stepped(10), most))
    assert.isNotNull(Flat.grown(stepped(10.1), most))
  })

  it("cannot be told of by a few", () => {
    assert.isNull(
      Flat.grown(
        samples(Flat.fewest - 1, (i) => 100 * i),
        most
      )
    )
    assert.isNotNull(
      Flat.grown(
        samples(Flat.fewest, (i) => 100 * i),
        most
      )
    )
  })

  it("is measured after a collection, and what is held is in it", () => {
    const before = Flat.measure()
    let held: Array<unknown> | null = Array.from({ length: 200_000 }, (_, i) => ({ i }))
    let bytes: Buffer | null = Buffer.alloc(8 * mebibyte)
    const files = [0, 1, 2].map(() => openSync("/dev/null", "r"))
    const during = Flat.measure()
    assert.isAbove(during.heap - before.heap, bytes.length + held.length * 8)
    assert.strictEqual(during.descriptors - before.descriptors, 3)
    held = null
    bytes = null
    for (const file of files) closeSync(file)
    const after = Flat.measure()
    assert.isBelow(after.heap - before.heap, 4 * mebibyte)
    assert.strictEqual(after.descriptors, before.descriptors)
  })
})
