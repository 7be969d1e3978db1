/**
 * XDR (RFC 4506) as libvirt uses it: big-endian, every item a multiple of four bytes.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Either from "effect/Either"

/** Bytes that are not what a codec expects, or a value that has no encoding. @since 0.1.0 @category errors */
export class XdrError extends Data.TaggedError("XdrError")<{ readonly reason: string }> {
  override get message(): string {
    return this.reason
  }
}

/** Makes a value of its bytes. @since 0.15.0 @category models */
export interface Decoder<A> {
  read(reader: Reader): A
}

/** @since 0.1.0 @category models */
export interface Codec<A> extends Decoder<A> {
  // methods, so that a codec of something is also a codec of unknown: `struct` writes only what its own type let in
  write(writer: Writer, value: A): void
}

/** The value a codec stands for. @since 0.1.0 @category models */
export type Type<C> = C extends Codec<infer A> ? A : never

const fail = (reason: string): never => {
  throw new XdrError({ reason })
}

const utf8 = { encoder: new TextEncoder(), decoder: new TextDecoder("utf-8", { ignoreBOM: true }) }

const padding = (length: number): number => (4 - (length % 4)) % 4

/** Grows as it is written to. Throws `XdrError`; used through `encode` only. @since 0.1.0 @category models */
export class Writer {
  private bytes = new Uint8Array(256)
  private view = new DataView(this.bytes.buffer)
  private length = 0

  private reserve(count: number): number {
    const at = this.length
    this.length += count
    if (this.length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.bytes.length * 2))
      grown.set(this.bytes.subarray(0, at))
      this.bytes = grown
      this.view = new DataView(grown.buffer)
    }
    return at
  }

  i32(value: number): void {
    if (!Number.isInteger(value) || value < -0x80000000 || value > 0x7fffffff) fail(`${value} is not a 32-bit integer`)
    const at = this.reserve(4)
    this.view.setInt32(at, value)
  }

  u32(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) fail(`${value} is not an unsigned 32-bit integer`)
    const at = this.reserve(4)
    this.view.setUint32(at, value)
  }

  i64(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) fail(`${value} is not a 64-bit integer`)
    const at = this.reserve(8)
    this.view.setBigInt64(at, value)
  }

  u64(value: bigint): void {
    if (BigInt.asUintN(64, value) !== value) fail(`${value} is not an unsigned 64-bit integer`)
    const at = this.reserve(8)
    this.view.setBigUint64(at, value)
  }

  f64(value: number): void {
    const at = this.reserve(8)
    this.view.setFloat64(at, value)
  }

  /** raw bytes and their padding; a reused buffer's old content never gets out, since `reserve` hands out zeros */
  opaque(value: Uint8Array): void {
    const at = this.reserve(value.length + padding(value.length))
    this.bytes.set(value, at)
  }

  result(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }
}

/** Reads within its bytes and nowhere else. Throws `XdrError`; used through `decode` only. @since 0.1.0 @category models */
export class Reader {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remaining(): number {
    return this.bytes.length - this.at
  }

  private take(count: number): number {
    if (count > this.remaining) fail(`${count} bytes are expected at ${this.at}, there are ${this.remaining}`)
    const at = this.at
    this.at += count
    return at
  }

  i32(): number {
    return this.view.getInt32(this.take(4))
  }

  u32(): number {
    return this.view.getUint32(this.take(4))
  }

  i64(): bigint {
    return this.view.getBigInt64(this.take(8))
  }

  u64(): bigint {
    return this.view.getBigUint64(this.take(8))
  }

  f64(): number {
    return this.view.getFloat64(this.take(8))
  }

  /** as a number, true to 53 bits */
  i64AsNumber(): number {
    const at = this.take(8)
    return this.view.getInt32(at) * 2 ** 32 + this.view.getUint32(at + 4)
  }

  /** as a number, true to 53 bits */
  u64AsNumber(): number {
    const at = this.take(8)
    return this.view.getUint32(at) * 2 ** 32 + this.view.getUint32(at + 4)
  }

  /** a view on the bytes, not a copy */
  opaque(length: number): Uint8Array {
    const at = this.take(length + padding(length))
    return this.bytes.subarray(at, at + length)
  }

  /** of a string of at most `max` bytes, what is made of it */
  symbol<A>(max: number, symbols: Symbols<A>): A {
    const length = this.lengthOf(max)
    return symbols.of(this.bytes, this.take(length + padding(length)), length)
  }

  /** passes a string of at most `max` bytes over */
  skip(max: number): void {
    const length = this.lengthOf(max)
    this.take(length + padding(length))
  }

  /** of what follows, at most `max` bytes */
  lengthOf(max: number): number {
    const length = this.u32()
    if (length > max) fail(`${length} bytes, at most ${max} are allowed`)
    return length
  }
}

/** Symbols that are kept at most: a host that sends others each time only has them made each time. */
const mostSymbols = 4096

/** Bytes of one that is kept. */
const longestSymbol = 64

interface Kept<A> {
  readonly bytes: Uint8Array
  readonly value: A
}

/** Strings that come again and again, with what was made of each: it is found by their bytes, and no string is made. @since 0.15.0 @category models */
export class Symbols<A> {
  private readonly make: (text: string) => A
  private readonly known = new Map<number, Kept<A>>()

  constructor(make: (text: string) => A) {
    this.make = make
  }

  of(bytes: Uint8Array, at: number, length: number): A {
    const hash = hashOf(bytes, at, length)
    const known = this.known.get(hash)
    if (known !== undefined && known.bytes.length === length && isAt(bytes, at, known.bytes)) return known.value
    const own = bytes.slice(at, at + length)
    const value = this.make(utf8.decoder.decode(own))
    if (length > longestSymbol) return value
    if (this.known.size >= mostSymbols) this.known.clear()
    this.known.set(hash, { bytes: own, value })
    return value
  }
}

/** FNV-1a of as much of it as is kept. */
const hashOf = (bytes: Uint8Array, at: number, length: number): number => {
  let hash = 0x811c9dc5
  const end = at + Math.min(length, longestSymbol)
  for (let i = at; i < end; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193)
  return hash
}

const isAt = (bytes: Uint8Array, at: number, expected: Uint8Array): boolean => {
  for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false
  return true
}

/** The value's bytes, or why it has none. @since 0.1.0 @category coding */
export const encode = <A>(codec: Codec<A>, value: A): Either.Either<Uint8Array, XdrError> =>
  caught(() => {
    const writer = new Writer()
    codec.write(writer, value)
    return writer.result()
  })

/** The value of all the bytes: bytes left over are an error. @since 0.1.0 @category coding */
export const decode = <A>(codec: Decoder<A>, bytes: Uint8Array): Either.Either<A, XdrError> =>
  caught(() => {
    const reader = new Reader(bytes)
    const value = codec.read(reader)
    if (reader.remaining > 0) fail(`${reader.remaining} bytes are left over`)
    return value
  })

const caught = <A>(f: () => A): Either.Either<A, XdrError> => {
  try {
    return Either.right(f())
  } catch (error) {
    if (error instanceof XdrError) return Either.left(error)
    throw error
  }
}

/** @since 0.1.0 @category codecs */
export const i32: Codec<number> = { write: (w, value) => w.i32(value), read: (r) => r.i32() }
/** @since 0.1.0 @category codecs */
export const u32: Codec<number> = { write: (w, value) => w.u32(value), read: (r) => r.u32() }
/** @since 0.1.0 @category codecs */
export const i64: Codec<bigint> = { write: (w, value) => w.i64(value), read: (r) => r.i64() }
/** @since 0.1.0 @category codecs */
export const u64: Codec<bigint> = { write: (w, value) => w.u64(value), read: (r) => r.u64() }
/** @since 0.1.0 @category codecs */
export const f64: Codec<number> = { write: (w, value) => w.f64(value), read: (r) => r.f64() }

/** `void`: no bytes. @since 0.1.0 @category codecs */
export const nothing: Codec<void> = { write: () => undefined, read: () => undefined }

/**
 * A string of at most `max` bytes of UTF-8. A NUL cannot be sent: for the daemon, written in C, the string would end there.
 *
 * @since 0.1.0 @category codecs
 */
export const string = (max: number): Codec<string> => {
  const bytes = variableBytes(max)
  return {
    write: (w, value) => {
      if (value.includes("\0")) fail("a NUL cannot be part of a string")
      bytes.write(w, utf8.encoder.encode(value))
    },
    read: (r) => utf8.decoder.decode(bytes.read(r))
  }
}

/**
 * The same, of few different ones that come again and again, as names of fields do.
 *
 * @since 0.15.0 @category codecs
 */
export const symbol = (max: number): Codec<string> => {
  const { write } = string(max)
  const symbols = new Symbols((text) => text)
  return { write, read: (r) => r.symbol(max, symbols) }
}

/** Exactly `length` bytes. @since 0.1.0 @category codecs */
export const fixedBytes = (length: number): Codec<Uint8Array> => ({
  write: (w, value) => {
    if (value.length !== length) fail(`${length} bytes are expected, there are ${value.length}`)
    w.opaque(value)
  },
  read: (r) => r.opaque(length)
})

/** At most `max` bytes. @since 0.1.0 @category codecs */
export const variableBytes = (max: number): Codec<Uint8Array> => ({
  write: (w, value) => {
    if (value.length > max) fail(`${value.length} bytes, at most ${max} are allowed`)
    w.u32(value.length)
    w.opaque(value)
  },
  read: (r) => r.opaque(r.lengthOf(max))
})

/** An optional pointer; null is none. @since 0.1.0 @category codecs */
export const optional = <A>(codec: Codec<A>): Codec<A | null> => ({
  write: (w, value) => {
    if (value === null) return w.u32(0)
    w.u32(1)
    codec.write(w, value)
  },
  read: (r) => {
    const present = r.u32()
    if (present > 1) fail(`${present} is neither 0 nor 1`)
    return present === 0 ? null : codec.read(r)
  }
})

/**
 * At most `max` items. An item takes four bytes at least, so a count that cannot be true is refused before anything is made for it.
 *
 * @since 0.1.0 @category codecs
 */
export const array = <A>(item: Codec<A>, max: number): Codec<ReadonlyArray<A>> => ({
  write: (w, values) => {
    if (values.length > max) fail(`${values.length} items, at most ${max} are allowed`)
    w.u32(values.length)
    for (const value of values) item.write(w, value)
  },
  read: (r) => {
    const count = countOf(r, max)
    const values: Array<A> = []
    for (let i = 0; i < count; i++) values.push(item.read(r))
    return values
  }
})

/** How many items an array has, at most `max`. @since 0.15.0 @category codecs */
export const countOf = (r: Reader, max: number): number => {
  const count = r.u32()
  if (count > max) fail(`${count} items, at most ${max} are allowed`)
  if (count * 4 > r.remaining) fail(`${count} items do not fit into ${r.remaining} bytes`)
  return count
}

/** Exactly `count` items. @since 0.1.0 @category codecs */
export const fixedArray = <A>(item: Codec<A>, count: number): Codec<ReadonlyArray<A>> => ({
  write: (w, values) => {
    if (values.length !== count) fail(`${count} items are expected, there are ${values.length}`)
    for (const value of values) item.write(w, value)
  },
  read: (r) => Array.from({ length: count }, () => item.read(r))
})

/** Fields in the order in which they are written down. @since 0.1.0 @category codecs */
export const struct = <A extends object>(fields: { readonly [K in keyof A]: Codec<A[K]> }): Codec<{
  readonly [K in keyof A]: A[K]
}> => {
  const codecs = Object.entries<Codec<unknown>>(fields)
  return {
    write: (w, value) => {
      for (const [key, codec] of codecs) codec.write(w, Reflect.get(value, key))
    },
    read: (r) => {
      const value: Record<string, unknown> = {}
      for (const [key, codec] of codecs) value[key] = codec.read(r)
      // each field was read by the codec its type comes from; TypeScript cannot follow that through a loop
      // oxlint-disable-next-line typescript/consistent-type-assertions
      return value as A
    }
  }
}

/** The same bytes, another value. `to` may throw by `fail` of an `XdrError`. @since 0.1.0 @category codecs */
export const map = <A, B>(codec: Codec<A>, to: (value: A) => B, from: (value: B) => A): Codec<B> => ({
  write: (w, value) => codec.write(w, from(value)),
  read: (r) => to(codec.read(r))
})

/** Refuses a value within a codec. @since 0.1.0 @category codecs */
export const refuse: (reason: string) => never = fail
