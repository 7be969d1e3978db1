import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "fast-check"
import * as Packet from "../../src/libvirt/Packet.ts"
import * as S from "../../src/libvirt/Structs.ts"
import * as Xdr from "../../src/libvirt/Xdr.ts"
import { codecOf, cut, frames } from "./Frames.ts"

const assertRoundTrips = <A>(codec: Xdr.Codec<A>, values: fc.Arbitrary<A>) =>
  fc.assert(
    fc.property(values, (value) => {
      const bytes = Either.getOrThrow(Xdr.encode(codec, value))
      assert.strictEqual(bytes.length % 4, 0)
      assert.deepStrictEqual(Either.getOrThrow(Xdr.decode(codec, bytes)), value)
      // one byte less is never a value, nor is one word more
      if (bytes.length > 0) assert.isTrue(Either.isLeft(Xdr.decode(codec, bytes.subarray(0, -1))))
      assert.isTrue(Either.isLeft(Xdr.decode(codec, Uint8Array.of(...bytes, 0, 0, 0, 0))))
    }),
    { numRuns: 200 }
  )

const i32 = fc.integer({ min: -0x80000000, max: 0x7fffffff })
const u32 = fc.integer({ min: 0, max: 0xffffffff })
const i64 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n })
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
// well-formed Unicode without NUL, which XDR strings of a C program cannot carry
const text = fc.string({ unit: "binary", maxLength: 40 }).filter((value) => !value.includes("\0"))
const bytes = (constraints: fc.IntArrayConstraints) => fc.uint8Array(constraints).map((value) => Uint8Array.from(value))
const uuid = fc.uuid()
const dom = fc.record({ name: text, uuid, id: i32 }, { noNullPrototype: true })
const parameter: fc.Arbitrary<S.ParameterValue> = fc.oneof(
  i32.map((value): S.ParameterValue => ({ type: "int", value })),
  u32.map((value): S.ParameterValue => ({ type: "uint", value })),
  i64.map((value): S.ParameterValue => ({ type: "llong", value })),
  u64.map((value): S.ParameterValue => ({ type: "ullong", value })),
  fc.double().map((value): S.ParameterValue => ({ type: "double", value })),
  fc.boolean().map((value): S.ParameterValue => ({ type: "boolean", value })),
  text.map((value): S.ParameterValue => ({ type: "string", value }))
)

describe("XDR", () => {
  it("what is written is what is read: numbers", () => {
    assertRoundTrips(Xdr.i32, i32)
    assertRoundTrips(Xdr.u32, u32)
    assertRoundTrips(Xdr.i64, i64)
    assertRoundTrips(Xdr.u64, u64)
    assertRoundTrips(Xdr.f64, fc.double())
  })

  it("what is written is what is read: text and bytes", () => {
    assertRoundTrips(Xdr.string(1000), text)
    assertRoundTrips(Xdr.fixedBytes(5), bytes({ minLength: 5, maxLength: 5 }))
    assertRoundTrips(Xdr.variableBytes(9), bytes({ maxLength: 9 }))
    assertRoundTrips(S.uuid, uuid)
    assertRoundTrips(S.chars(200), text)
    assertRoundTrips(
      S.fixedChars(32),
      text.filter((value) => new TextEncoder().encode(value).length <= 32)
    )
  })

  it("what is written is what is read: combinations", () => {
    assertRoundTrips(Xdr.optional(S.str), fc.option(text))
    assertRoundTrips(Xdr.array(Xdr.u64, 8), fc.array(u64, { maxLength: 8 }))
    assertRoundTrips(Xdr.fixedArray(Xdr.i32, 3), fc.array(i32, { minLength: 3, maxLength: 3 }))
    assertRoundTrips(S.Dom, dom)
    assertRoundTrips(
      S.DomainStats,
      fc.record(
        {
          dom,
          params: fc.array(fc.record({ field: text, value: parameter }, { noNullPrototype: true }), { maxLength: 9 })
        },
        { noNullPrototype: true }
      )
    )
    const nothing = Either.getOrThrow(Xdr.encode(Xdr.nothing, undefined))
    assert.lengthOf(nothing, 0)
    assert.isTrue(Either.isLeft(Xdr.decode(Xdr.nothing, new Uint8Array(4))))
  })

  it("what has no encoding is refused", () => {
    const refused = <A>(codec: Xdr.Codec<A>, value: A) =>
      assert.isTrue(Either.isLeft(Xdr.encode(codec, value)), `${String(value)}`)
    refused(Xdr.i32, 0x80000000)
    refused(Xdr.i32, 1.5)
    refused(Xdr.u32, -1)
    refused(Xdr.u32, NaN)
    refused(Xdr.i64, 1n << 63n)
    refused(Xdr.u64, -1n)
    refused(Xdr.string(3), "four")
    refused(Xdr.string(3), "äö")
    refused(Xdr.string(30), "vm-1\0vm-2")
    refused(Xdr.fixedBytes(3), new Uint8Array(2))
    refused(Xdr.variableBytes(3), new Uint8Array(4))
    refused(Xdr.array(Xdr.i32, 1), [1, 2])
    refused(Xdr.fixedArray(Xdr.i32, 1), [])
    refused(S.uuid, "00112233-4455-6677-8899-aabbccddeef")
    refused(S.fixedChars(2), "abc")
  })

  it("a count that cannot be true is refused before anything is made for it", () => {
    const lie = Uint8Array.of(0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1)
    for (const codec of [Xdr.array(Xdr.i32, 0xffffffff), Xdr.variableBytes(0xffffffff), Xdr.string(0xffffffff)]) {
      assert.isTrue(Either.isLeft(Xdr.decode<unknown>(codec, lie)))
    }
  })

  const known = frames.flatMap(({ bytes, title }) =>
    cut(bytes).flatMap((packet) => {
      const codec = codecOf(packet)
      return codec === undefined ? [] : [{ title, codec, payload: packet.payload }]
    })
  )

  it("mutated and arbitrary payloads give a value or the typed error, nothing else", () => {
    const mutated = fc.tuple(
      fc.constantFrom(...known),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
      fc.double({ min: 0, max: 1, noNaN: true })
    )
    fc.assert(
      fc.property(mutated, ([{ codec, payload }, changes, share]) => {
        const changed = payload.slice(0, share > 0.8 ? undefined : Math.ceil(payload.length * share))
        for (const [at, value] of changes) if (changed.length > 0) changed[at % changed.length] = value
        const result = Xdr.decode(codec, changed)
        if (Either.isLeft(result)) assert.instanceOf(result.left, Xdr.XdrError)
      }),
      { numRuns: 5000 }
    )
    fc.assert(
      fc.property(fc.constantFrom(...known), fc.uint8Array({ maxLength: 300 }), ({ codec }, bytes) => {
        const result = Xdr.decode(codec, bytes)
        if (Either.isLeft(result)) assert.instanceOf(result.left, Xdr.XdrError)
      }),
      { numRuns: 5000 }
    )
  })
})

describe("FrameReader", () => {
  const all = Uint8Array.from(frames.flatMap(({ bytes }) => [...bytes]))
  const packets = cut(all)

  /** everything the reader gives for the pieces, and what it failed with */
  const read = (pieces: ReadonlyArray<Uint8Array>) => {
    const reader = new Packet.FrameReader()
    const given: Array<Packet.Packet> = []
    for (const piece of pieces) {
      const result = reader.push(piece)
      if (Either.isLeft(result)) return { given: [...given, ...result.left.before], error: result.left, reader }
      given.push(...result.right)
    }
    return { given, error: undefined, reader }
  }

  const split = (bytes: Uint8Array, cuts: ReadonlyArray<number>) => {
    const at = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b)
    return [...at, bytes.length].map((end, index) => bytes.subarray(at[index - 1] ?? 0, end))
  }

  it("any fragmentation gives the same frames", () => {
    assert.lengthOf(packets, frames.length)
    fc.assert(
      fc.property(fc.array(fc.nat(all.length - 1), { maxLength: 200 }), (cuts) => {
        const { error, given, reader } = read(split(all, cuts))
        assert.isUndefined(error)
        assert.deepStrictEqual(given, packets)
        assert.strictEqual(reader.pending, 0)
      }),
      { numRuns: 100 }
    )
    assert.deepStrictEqual(read([...all].map((byte) => Uint8Array.of(byte))).given, packets)
  })

  it("frames before bytes that are none are given, in whatever pieces they come", () => {
    const broken = Uint8Array.of(...all, 0, 0, 0, 27, 1, 2, 3)
    for (const pieces of [[broken], [...broken].map((byte) => Uint8Array.of(byte)), split(broken, [3, 100, 5000])]) {
      const { error, given } = read(pieces)
      assert.deepStrictEqual(given, packets)
      assert.include(error?.message, "27 bytes")
    }
  })

  it("a length that no frame has is refused, and the reader stays so", () => {
    const announce = (length: number) => {
      const bytes = new Uint8Array(4)
      new DataView(bytes.buffer).setUint32(0, length)
      return bytes
    }
    const lengths = fc.oneof(
      fc.integer({ min: 0, max: 27 }),
      fc.integer({ min: Packet.maxMessage + 5, max: 0xffffffff })
    )
    fc.assert(
      fc.property(lengths, (length) => {
        const reader = new Packet.FrameReader()
        assert.isTrue(Either.isLeft(reader.push(announce(length))))
        const again = reader.push(all)
        if (Either.isRight(again)) return assert.fail("it went on")
        assert.lengthOf(again.left.before, 0)
        assert.strictEqual(reader.capacity, 0)
      })
    )
    for (const length of [28, Packet.maxMessage + 4]) {
      assert.isTrue(Either.isRight(new Packet.FrameReader().push(announce(length))))
    }
  })

  it("memory is taken as bytes come, not as they are announced", () => {
    const reader = new Packet.FrameReader()
    reader.push(Uint8Array.of(0x02, 0, 0, 4))
    assert.isBelow(reader.capacity, 64)
    for (let i = 0; i < 1000; i++) reader.push(new Uint8Array(10))
    assert.isBelow(reader.capacity, 2 * reader.pending + 64)
  })

  it("the largest frame in small pieces takes time in proportion to its size", () => {
    const frame = Packet.encode(
      { program: Packet.programs.remote, procedure: 1, type: 1, serial: 1, status: 0 },
      new Uint8Array(Packet.maxPayload).fill(7)
    )
    const time = (size: number) => {
      const reader = new Packet.FrameReader()
      const started = performance.now()
      let count = 0
      for (let at = 0; at < frame.length; at += size) {
        const result = reader.push(frame.subarray(at, at + size))
        count += Either.getOrThrow(result).length
        assert.isAtMost(reader.capacity, 2 * (at + size) + 64)
      }
      assert.strictEqual(count, 1)
      return performance.now() - started
    }
    // 33,000 pieces; a reader that joins them anew each time would move half a terabyte
    assert.isBelow(time(1000), 5000)
    assert.isBelow(time(65_536), 2000)
  })

  it("arbitrary and mutated bytes give frames or the typed error", () => {
    const pieces = fc.array(
      fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...frames.map(({ bytes }) => bytes))),
      { maxLength: 20 }
    )
    fc.assert(
      fc.property(pieces, (parts) => {
        const { error, given, reader } = read(parts)
        if (error !== undefined) assert.instanceOf(error, Packet.FrameError)
        const total = parts.reduce((sum, part) => sum + part.length, 0)
        assert.isAtMost(
          given.reduce((sum, packet) => sum + packet.payload.length + 28, reader.pending),
          total
        )
      }),
      { numRuns: 2000 }
    )
  })
})
