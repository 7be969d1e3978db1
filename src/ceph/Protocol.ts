/**
 * What goes to and fro between the program that works on images and us: a JSON object a line.
 *
 *     {"id":1,"do":"create","args":{"image":"volume-7","size":1073741824}}
 *     {"id":1,"ok":null}    {"id":1,"errno":"EEXIST","detail":"…"}    {"id":1,"progress":4194304}
 *
 * What belongs together is asked for as a list, which is done in its order up to the first that is refused; `done` is how many were before it:
 *
 *     {"id":2,"do":"inOrder","args":{"changes":[{"do":"absent","args":{"image":"volume-7"}},{"do":"create","args":{…}}]}}
 *     {"id":2,"errno":"ENOSPC","detail":"…","done":1}
 *
 * Any number of requests may be under way. After `importImage` the rest of the stream is the file's, in frames: offset (8 bytes) and length
 * (4 bytes), both big-endian, and that many bytes; a frame of length 0 is its end.
 *
 * @since 0.2.0
 */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** What is written down as JSON and read back. @since 0.2.0 @category models */
export interface Codec<A> {
  /** None: it is not to be sent, as a size below 0. */
  readonly encode: (value: A) => Option.Option<unknown>
  /** None: it is something else; never told what, because it may be a key. */
  readonly decode: (json: unknown) => Option.Option<A>
}

const codec = <A, I>(schema: Schema.Schema<A, I>): Codec<A> => ({
  encode: Schema.encodeOption(schema),
  decode: Schema.decodeUnknownOption(schema)
})

/** @since 0.2.0 @category models */
export interface Request<A, R> {
  readonly operation: string
  readonly args: Codec<A>
  readonly reply: Codec<R>
  /** `read`: changes nothing; `change`: may have to wait for the image's lock */
  readonly kind: "read" | "change"
}

const read = <A, AI, R, RI>(
  operation: string,
  args: Schema.Schema<A, AI>,
  reply: Schema.Schema<R, RI>
): Request<A, R> => ({ operation, args: codec(args), reply: codec(reply), kind: "read" })

const change = <A, AI>(operation: string, args: Schema.Schema<A, AI>): Request<A, null> => ({
  operation,
  args: codec(args),
  reply: codec(Schema.Null),
  kind: "change"
})

const isBase64 = (text: string) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)

/** By Node: `Schema.Uint8ArrayFromBase64` puts it together letter by letter, which for seeds was a quarter of all that was ever allocated. */
const Base64 = Schema.transform(Schema.String.pipe(Schema.filter(isBase64)), Schema.Uint8ArrayFromSelf, {
  strict: true,
  decode: (text) => Buffer.from(text, "base64"),
  encode: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")
})

const nothing = Schema.Struct({})
const image = Schema.String
const snapshot = Schema.String
const bytes = Schema.NonNegativeInt
const ofSnapshot = Schema.Struct({ image, snapshot })

/** What can be asked for together as well as alone. */
const listed = {
  absent: Schema.Struct({ image }),
  create: Schema.Struct({ image, size: bytes }),
  clone: Schema.Struct({ parent: image, snapshot, image }),
  grow: Schema.Struct({ image, size: bytes }),
  write: Schema.Struct({ image, content: Base64 }),
  setMetadata: Schema.Struct({ image, key: Schema.String, value: Schema.String }),
  rename: Schema.Struct({ image, name: image })
}

const oneOf = <O extends string, A, I>(operation: O, args: Schema.Schema<A, I>) =>
  Schema.Struct({ do: Schema.Literal(operation), args })

const Look = Schema.Struct({
  id: Schema.String,
  size: bytes,
  metadata: Schema.Record({ key: Schema.String, value: Schema.String }),
  parent: Schema.NullOr(Schema.Struct({ pool: Schema.String, image, snapshot })),
  snapshots: Schema.Array(Schema.Struct({ name: snapshot, size: bytes, protected: Schema.Boolean })),
  /** of other clients */
  watchers: Schema.Array(Schema.String),
  lockers: Schema.Array(Schema.String)
})

/** @since 0.2.0 @category models */
export type Look = typeof Look.Type

const Description = Schema.Struct({
  fsid: Schema.String,
  key: Schema.Redacted(Schema.String),
  /** as `ceph version` prints it */
  version: Schema.String,
  /** each monitor's addresses; `type`: `v1`, `v2` */
  monitors: Schema.Array(Schema.Array(Schema.Struct({ type: Schema.String, addr: Schema.String })))
})

/** @since 0.2.0 @category models */
export type Description = typeof Description.Type

/** What can be asked for. @since 0.2.0 @category table */
export const requests = {
  /** the first: nothing else is answered before */
  open: read("open", Schema.Struct({ conf: Schema.String, client: Schema.String, pool: Schema.String }), Schema.Null),
  cluster: read("cluster", nothing, Description),
  /** bytes without replicas; quota 0: there is none */
  usage: read("usage", nothing, Schema.Struct({ stored: bytes, available: bytes, quota: bytes })),
  list: read("list", nothing, Schema.Array(image)),
  look: read("look", Schema.Struct({ image }), Look),
  children: read("children", ofSnapshot, Schema.Array(Schema.Struct({ pool: Schema.String, image }))),
  trash: read("trash", nothing, Schema.Array(Schema.Struct({ id: Schema.String, name: image }))),
  /**
   * The first piece of a snapshot from `from` on that is not all zeros, of one of its objects at most and without the blocks of 64 KiB at its end that are, in
   * base64; null: there is none before `next`, where to look on
   */
  readSnapshot: read(
    "readSnapshot",
    Schema.Struct({ image, snapshot, from: bytes }),
    Schema.Struct({
      piece: Schema.NullOr(Schema.Struct({ offset: bytes, content: Schema.String })),
      next: bytes
    })
  ),
  /** refused with `EEXIST` when it is there */
  absent: read("absent", listed.absent, Schema.Null),
  create: change("create", listed.create),
  clone: change("clone", listed.clone),
  grow: change("grow", listed.grow),
  /** a few KiB from its beginning on */
  write: change("write", listed.write),
  setMetadata: change("setMetadata", listed.setMetadata),
  rename: change("rename", listed.rename),
  inOrder: change(
    "inOrder",
    Schema.Struct({
      changes: Schema.Array(
        Schema.Union(
          oneOf("absent", listed.absent),
          oneOf("create", listed.create),
          oneOf("clone", listed.clone),
          oneOf("grow", listed.grow),
          oneOf("write", listed.write),
          oneOf("setMetadata", listed.setMetadata),
          oneOf("rename", listed.rename)
        )
      )
    })
  ),
  remove: change("remove", Schema.Struct({ image })),
  createSnapshot: change("createSnapshot", ofSnapshot),
  protectSnapshot: change("protectSnapshot", ofSnapshot),
  removeSnapshot: change("removeSnapshot", ofSnapshot),
  rollback: change("rollback", ofSnapshot),
  /** seconds */
  moveToTrash: change("moveToTrash", Schema.Struct({ image, delay: Schema.NonNegativeInt })),
  restore: change("restore", Schema.Struct({ id: Schema.String, image })),
  purge: change("purge", Schema.Struct({ id: Schema.String })),
  /** its first progress says that the image is there and the file may come */
  importImage: change("importImage", Schema.Struct({ image, size: bytes, format: Schema.Literal("raw", "qcow2") }))
}

/** @since 0.2.0 @category models */
export type Operation = keyof typeof requests

/** @since 0.2.0 @category predicates */
export const isOperation = (name: string): name is Operation => Object.hasOwn(requests, name)

/** @since 0.2.0 @category models */
export type Args<O extends Operation> = (typeof requests)[O] extends Request<infer A, infer _> ? A : never

/** @since 0.2.0 @category models */
export type Reply<O extends Operation> = (typeof requests)[O] extends Request<infer _, infer R> ? R : never

// ---- lines

const RequestLine = Schema.parseJson(Schema.Struct({ id: Schema.Int, do: Schema.String, args: Schema.Unknown }))

/** A request as it is on its line. @since 0.2.0 @category models */
export type RequestLine = typeof RequestLine.Type

const Done = Schema.Struct({ id: Schema.Int, ok: Schema.Unknown })
const Progress = Schema.Struct({ id: Schema.Int, progress: Schema.Number })
const Refusal = Schema.Struct({
  id: Schema.Int,
  errno: Schema.String,
  detail: Schema.String,
  /** what it was at, when that says more: `python`, `conf`, `connect`, `key`, `pool`; `temporary`, `qemu-img`, `convert` */
  at: Schema.optional(Schema.String),
  /** how many of a list were done before it */
  done: Schema.optional(Schema.Int)
})
const ReplyLine = Schema.parseJson(Schema.Union(Refusal, Progress, Done))

/** @since 0.2.0 @category models */
export type Refusal = typeof Refusal.Type

/** An answer as it is on its line; what was asked for, in `ok`, has yet to be decoded. @since 0.2.0 @category models */
export type ReplyLine = typeof ReplyLine.Type

const line = (json: unknown): Uint8Array => Buffer.from(`${JSON.stringify(json)}\n`)

/** None: the arguments are not to be sent. @since 0.2.0 @category encoding */
export const encodeRequest = <A, R>(id: number, request: Request<A, R>, args: A): Option.Option<Uint8Array> =>
  Option.map(request.args.encode(args), (json) => line({ id, do: request.operation, args: json }))

/** @since 0.2.0 @category decoding */
export const decodeRequest = Schema.decodeUnknownOption(RequestLine)

/** @since 0.2.0 @category encoding */
export const encodeReply = (reply: ReplyLine): Uint8Array => line(reply)

/** None: it is no answer. @since 0.2.0 @category decoding */
export const decodeReply = Schema.decodeUnknownOption(ReplyLine)

/** Cuts what arrives into lines; one that does not end within `maximum` bytes is not waited for. @since 0.2.0 @category decoding */
export class LineReader {
  private parts: Array<Uint8Array> = []
  private length = 0
  private readonly maximum: number

  constructor(maximum: number) {
    this.maximum = maximum
  }

  /** The lines that are whole now, without their ends. Left: one was too long; the reader is of no use any more. */
  push(chunk: Uint8Array): Either.Either<ReadonlyArray<string>, "TooLong"> {
    const lines: Array<string> = []
    let from = 0
    for (let to = chunk.indexOf(10); to !== -1; to = chunk.indexOf(10, from)) {
      this.keep(chunk.subarray(from, to))
      if (this.length > this.maximum) return Either.left("TooLong")
      lines.push(Buffer.concat(this.parts).toString("utf8"))
      this.parts = []
      this.length = 0
      from = to + 1
    }
    this.keep(chunk.subarray(from))
    return this.length > this.maximum ? Either.left("TooLong") : Either.right(lines)
  }

  private keep(part: Uint8Array): void {
    if (part.length === 0) return
    this.parts.push(part)
    this.length += part.length
  }
}

// ---- frames

/** Bytes of an image's object: what is written together. @since 0.2.0 @category constants */
export const pieceBytes = 4 * 1024 * 1024

/** A frame without its bytes, which follow. @since 0.2.0 @category encoding */
export const frameHeader = (offset: number, length: number): Uint8Array => {
  const header = Buffer.alloc(12)
  header.writeBigUInt64BE(BigInt(offset))
  header.writeUInt32BE(length, 8)
  return header
}

/** @since 0.2.0 @category encoding */
export const endFrame: Uint8Array = frameHeader(0, 0)
