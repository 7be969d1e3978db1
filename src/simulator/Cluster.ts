/**
 * A simulated Ceph cluster of one pool, in memory: shared by the simulated hosts whose guests use it and by those that manage it.
 *
 * It refuses what Ceph 16.2.15 refuses, with the same errno.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { type Args, type Description, type Look, type Operation, pieceBytes, type Reply } from "../ceph/Protocol.ts"
import type { Monitor } from "../services/Ceph.ts"
import * as ClusterFaults from "./ClusterFaults.ts"
import { newUuid, randomFrom } from "./HostState.ts"
import * as SparseDisk from "./SparseDisk.ts"

/** @since 0.2.0 @category models */
export interface Options {
  /** the pool's name, `vms` unless given */
  readonly pool?: string
  /** without the `client.` before it, `libvirt` unless given */
  readonly client?: string
  /** bytes without replicas, 1 TiB unless given */
  readonly capacity?: number
  /** two unless given */
  readonly monitors?: ReadonlyArray<Monitor>
  /** decides everything random about it */
  readonly seed?: number
}

/** An image that a client, a simulated QEMU, has open for writing: it is among the image's watchers until it is closed. @since 0.2.0 @category models */
export interface OpenImage {
  /** bytes */
  readonly size: () => number
  /** Never makes it smaller: `EINVAL`. */
  readonly grow: (bytes: number) => Either.Either<void, string>
  readonly read: (offset: number, length: number) => Uint8Array
  readonly write: (offset: number, bytes: Uint8Array) => Either.Either<void, string>
  /** Again is fine. */
  readonly close: () => void
}

/** What sessions can ask for beside opening and importing, one at a time. @since 0.2.0 @category models */
export type Call = Exclude<Operation, "open" | "importImage" | "inOrder">

/** An import that has begun. @since 0.2.0 @category models */
export interface Import {
  readonly write: (offset: number, bytes: Uint8Array) => Either.Either<void, ClusterFaults.Refusal>
  readonly close: () => void
}

/** @since 0.2.0 @category models */
export interface Cluster {
  readonly pool: string
  /** without the `client.` before it */
  readonly client: string
  /** the client's, base64 as in a keyring */
  readonly key: string
  readonly monitors: ReadonlyArray<Monitor>
  readonly faults: ClusterFaults.ClusterFaults
  /** What QEMU does at an image's name; `address` is its own, as in `10.0.0.1:0/17`. Left: the errno's name, as `ENOENT`. */
  readonly openForWriting: (image: string, address: string) => Either.Either<OpenImage, string>
  /** What is in an image, at once and without being noticed. */
  readonly read: (image: string, offset: number, length: number) => Either.Either<Uint8Array, string>
  /** For sessions, without the faults. */
  readonly calls: { readonly [C in Call]: (args: Args<C>) => Either.Either<Reply<C>, ClusterFaults.Refusal> }
  readonly beginImport: (args: Args<"importImage">) => Either.Either<Import, ClusterFaults.Refusal>
  readonly gate: ClusterFaults.Gate
}

interface Content {
  size: number
  blocks: SparseDisk.Blocks
  /** what it is a clone of, and how much of that shows through */
  parent: { readonly image: StoredImage; readonly snapshot: StoredSnapshot; readonly overlap: number } | null
}

interface StoredSnapshot extends Content {
  readonly name: string
  protected: boolean
}

interface StoredImage extends Content {
  readonly id: string
  name: string
  readonly metadata: Map<string, string>
  readonly snapshots: Map<string, StoredSnapshot>
  /** addresses of those who have it open */
  readonly watchers: Map<OpenImage, string>
}

/** As librbd's binding words them. */
const words: Readonly<Record<string, string>> = {
  ENOENT: "RBD image not found",
  EEXIST: "RBD image already exists",
  EBUSY: "RBD image is busy",
  ENOTEMPTY: "RBD image has snapshots",
  EINVAL: "RBD invalid argument",
  ENOSPC: "RBD insufficient space available"
}

const refuse = (errno: string, doing: string): Either.Either<never, ClusterFaults.Refusal> =>
  Either.left({ errno, detail: `${words[errno] ?? errno} (error ${doing})` })

const done: Either.Either<null> = Either.right(null)

/** What a clone shows where it has not been written. */
const belowOf =
  ({ parent }: Content) =>
  (offset: number, length: number): Uint8Array => {
    const out = new Uint8Array(length)
    if (parent !== null && offset < parent.overlap) {
      out.set(contentOf(parent.snapshot, offset, Math.min(length, parent.overlap - offset)))
    }
    return out
  }

const contentOf = (content: Content, offset: number, length: number): Uint8Array =>
  SparseDisk.read(content.blocks, offset, length, belowOf(content))

/** Where what was written begins, block by block, also of what shows through. */
const blocksOf = (content: Content): ReadonlyArray<number> => [
  ...[...content.blocks.keys()].map((block) => block * SparseDisk.blockBytes),
  ...(content.parent === null ? [] : blocksOf(content.parent.snapshot))
]

/** What an object holds of `content` from `offset` on, without the blocks at its end that are all zeros. */
const heldBy = (content: Content, offset: number, end: number, blocks: ReadonlyArray<number>): Uint8Array => {
  const written = blocks.filter((at) => at >= offset && at < end).map((at) => at + SparseDisk.blockBytes)
  const bytes = contentOf(content, offset, Math.min(end, Math.max(offset, ...written)) - offset)
  const used = bytes.findLastIndex((byte) => byte !== 0) + 1
  return bytes.subarray(0, Math.ceil(used / SparseDisk.blockBytes) * SparseDisk.blockBytes)
}

const copyOf = ({ blocks, parent, size }: Content): Content => ({ size, parent, blocks: new Map(blocks) })

/** @since 0.2.0 @category constructors */
export const make = (options: Options = {}): Effect.Effect<Cluster> =>
  Effect.map(ClusterFaults.make, (gate) => {
    const random = randomFrom((options.seed ?? 1) ^ 0xcef)
    const pool = options.pool ?? "vms"
    const client = options.client ?? "libvirt"
    const capacity = options.capacity ?? 1024 ** 4
    const fsid = newUuid(random)
    // type 1, the time of its making, 16 bytes of key
    const secret = Buffer.from(Array.from({ length: 28 }, (_, at) => (at < 12 ? 0 : Math.floor(random() * 256))))
    secret.writeUInt16LE(1, 0)
    secret.writeUInt16LE(16, 10)
    const key = secret.toString("base64")
    const monitors = options.monitors ?? [
      { host: "192.0.2.2", port: 6789 },
      { host: "192.0.2.3", port: 6789 }
    ]
    const images = new Map<string, StoredImage>()
    const trash = new Map<string, StoredImage>()
    let lastId = 0

    const everything = (): ReadonlyArray<StoredImage> => [...images.values(), ...trash.values()]
    const stored = (): number =>
      SparseDisk.bytesOf(
        everything().flatMap((image) => [image.blocks, ...[...image.snapshots.values()].map(({ blocks }) => blocks)])
      )
    const used = (): number => stored() + gate.filled()
    /** What was stored when that was counted last, and all that was written since: no less than what is stored, and known without counting. */
    let atMost = 0
    const isFull = (): boolean => {
      if (atMost + gate.filled() < capacity) return false
      atMost = stored()
      return atMost + gate.filled() >= capacity
    }

    const childrenOf = (snapshot: StoredSnapshot): ReadonlyArray<StoredImage> =>
      everything().filter(
        (image) =>
          image.parent?.snapshot === snapshot ||
          [...image.snapshots.values()].some(({ parent }) => parent?.snapshot === snapshot)
      )

    const add = (name: string, content: Content): StoredImage => {
      lastId++
      const id = `${(0x1000 + lastId).toString(16)}${Math.floor(random() * 2 ** 32)
        .toString(16)
        .padStart(8, "0")}`
      const image = { id, name, ...content, metadata: new Map(), snapshots: new Map(), watchers: new Map() }
      images.set(name, image)
      return image
    }

    const found = (image: string): Either.Either<StoredImage, ClusterFaults.Refusal> => {
      const stored = images.get(image)
      return stored === undefined
        ? refuse("ENOENT", `opening image b'${image}' at snapshot None`)
        : Either.right(stored)
    }

    const snapshotOf = (
      image: string,
      name: string,
      doing: string
    ): Either.Either<{ readonly image: StoredImage; readonly snapshot: StoredSnapshot }, ClusterFaults.Refusal> =>
      Either.flatMap(found(image), (stored) => {
        const snapshot = stored.snapshots.get(name)
        return snapshot === undefined
          ? refuse("ENOENT", `${doing} b'${image}'@b'${name}'`)
          : Either.right({ image: stored, snapshot })
      })

    const withoutSnapshot = (
      image: StoredImage,
      snapshot: StoredSnapshot
    ): Either.Either<null, ClusterFaults.Refusal> => {
      if (childrenOf(snapshot).length > 0) {
        return refuse("EBUSY", `unprotecting snapshot b'${image.name}'@b'${snapshot.name}'`)
      }
      image.snapshots.delete(snapshot.name)
      return done
    }

    const busy = (image: StoredImage): Either.Either<null, ClusterFaults.Refusal> =>
      image.watchers.size === 0
        ? done
        : Either.left({ errno: "EBUSY", detail: `it is open at ${[...image.watchers.values()].join(", ")}` })

    const create: Cluster["calls"]["create"] = ({ image, size }) => {
      if (images.has(image)) return refuse("EEXIST", "creating image")
      if (image === "") return refuse("EINVAL", "creating image")
      if (isFull()) return refuse("ENOSPC", "creating image")
      add(image, { size, blocks: new Map(), parent: null })
      return done
    }

    const resize = (image: StoredImage, size: number): Either.Either<null, ClusterFaults.Refusal> => {
      if (size < image.size) return Either.left({ errno: "EINVAL", detail: `it has ${image.size} bytes` })
      image.size = size
      return done
    }

    const writeTo = (
      image: StoredImage,
      offset: number,
      bytes: Uint8Array
    ): Either.Either<null, ClusterFaults.Refusal> => {
      if (offset + bytes.length > image.size) return refuse("EINVAL", `writing to b'${image.name}'`)
      if (isFull()) return refuse("ENOSPC", `writing to b'${image.name}'`)
      SparseDisk.write(image.blocks, offset, bytes, belowOf(image))
      atMost += SparseDisk.spanOf(offset, bytes.length)
      return done
    }

    const calls: Cluster["calls"] = {
      cluster: () => {
        const description: Description = {
          fsid,
          key: Redacted.make(key),
          version: "ceph version 16.2.15 (618f440892089921c3e944a991122ddc44e60516) pacific (stable)",
          monitors: monitors.map(({ host, port }) => [
            { type: "v2", addr: `${host}:3300` },
            { type: "v1", addr: `${host}:${port}` }
          ])
        }
        return Either.right(description)
      },
      usage: () => {
        const taken = Math.min(capacity, used())
        return Either.right({ stored: taken, available: capacity - taken, quota: 0 })
      },
      list: () => Either.right([...images.keys()].sort()),
      look: ({ image }) =>
        Either.map(found(image), (stored): Look => ({
          id: stored.id,
          size: stored.size,
          metadata: Object.fromEntries(stored.metadata),
          parent:
            stored.parent === null
              ? null
              : { pool, image: stored.parent.image.name, snapshot: stored.parent.snapshot.name },
          snapshots: [...stored.snapshots.values()].map((one) => ({
            name: one.name,
            size: one.size,
            protected: one.protected
          })),
          watchers: [...stored.watchers.values()],
          lockers: []
        })),
      children: ({ image, snapshot }) =>
        Either.map(snapshotOf(image, snapshot, "setting image to snapshot"), (it) =>
          childrenOf(it.snapshot).map(({ name }) => ({ pool, image: name }))
        ),
      trash: () => Either.right([...trash.values()].map(({ id, name }) => ({ id, name }))),
      readSnapshot: ({ from, image, snapshot }) =>
        Either.map(snapshotOf(image, snapshot, "opening image"), (it) => {
          const { size } = it.snapshot
          const blocks = blocksOf(it.snapshot)
          const objects = new Set(blocks.map((at) => at - (at % pieceBytes)))
          for (const at of [...objects].toSorted((a, b) => a - b)) {
            const offset = Math.max(from, at)
            const end = Math.min(at + pieceBytes, size)
            if (end <= offset) continue
            const bytes = Buffer.from(heldBy(it.snapshot, offset, end, blocks))
            if (bytes.length > 0) return { piece: { offset, content: bytes.toString("base64") }, next: end }
          }
          return { piece: null, next: size }
        }),
      absent: ({ image }) =>
        images.has(image) ? Either.left({ errno: "EEXIST", detail: "it is there already" }) : done,
      create,
      clone: ({ image, parent, snapshot }) =>
        Either.flatMap(snapshotOf(parent, snapshot, "creating clone of"), (from) => {
          if (!from.snapshot.protected) return refuse("EINVAL", "creating clone")
          if (images.has(image)) return refuse("EEXIST", "creating clone")
          if (isFull()) return refuse("ENOSPC", "creating clone")
          const { size } = from.snapshot
          const made = add(image, { size, blocks: new Map(), parent: { ...from, overlap: size } })
          for (const [name, value] of from.image.metadata) made.metadata.set(name, value)
          return done
        }),
      grow: ({ image, size }) => Either.flatMap(found(image), (stored) => resize(stored, size)),
      write: ({ content, image }) =>
        Either.flatMap(found(image), (stored) =>
          content.length > stored.size
            ? Either.left({ errno: "EINVAL", detail: `it has ${stored.size} bytes` })
            : writeTo(stored, 0, content)
        ),
      setMetadata: ({ image, key: name, value }) =>
        value === ""
          ? Either.left({ errno: "EINVAL", detail: "a value that is empty cannot be read back" })
          : Either.map(found(image), (stored) => {
              stored.metadata.set(name, value)
              return null
            }),
      rename: ({ image, name }) =>
        Either.flatMap(found(image), (stored) => {
          if (images.has(name)) return refuse("EEXIST", "renaming image")
          images.delete(image)
          stored.name = name
          images.set(name, stored)
          return done
        }),
      remove: ({ image }) =>
        Either.flatMap(found(image), (stored) => {
          if (stored.snapshots.size > 0) return refuse("ENOTEMPTY", "removing image")
          if (stored.watchers.size > 0) return refuse("EBUSY", "removing image")
          images.delete(image)
          return done
        }),
      createSnapshot: ({ image, snapshot }) =>
        Either.flatMap(found(image), (stored) => {
          if (stored.snapshots.has(snapshot)) {
            return refuse("EEXIST", `creating snapshot b'${snapshot}' from b'${image}'`)
          }
          stored.snapshots.set(snapshot, { ...copyOf(stored), name: snapshot, protected: false })
          return done
        }),
      protectSnapshot: ({ image, snapshot }) =>
        Either.map(snapshotOf(image, snapshot, "checking if snapshot is protected"), (it) => {
          it.snapshot.protected = true
          return null
        }),
      removeSnapshot: ({ image, snapshot }) =>
        Either.flatMap(snapshotOf(image, snapshot, "checking if snapshot is protected"), (it) =>
          withoutSnapshot(it.image, it.snapshot)
        ),
      rollback: ({ image, snapshot }) =>
        Either.flatMap(snapshotOf(image, snapshot, "rolling back image to snapshot"), (it) =>
          Either.map(busy(it.image), () => {
            Object.assign(it.image, copyOf(it.snapshot))
            return null
          })
        ),
      moveToTrash: ({ image }) =>
        Either.flatMap(found(image), (stored) =>
          Either.map(busy(stored), () => {
            images.delete(image)
            trash.set(stored.id, stored)
            return null
          })
        ),
      restore: ({ id, image }) => {
        const stored = trash.get(id)
        if (stored === undefined) return refuse("ENOENT", "restoring image from trash")
        if (images.has(image)) return refuse("EEXIST", "restoring image from trash")
        trash.delete(id)
        stored.name = image
        images.set(image, stored)
        return done
      },
      purge: ({ id }) => {
        const stored = trash.get(id)
        if (stored === undefined) return refuse("ENOENT", "retrieving image from trash")
        for (const snapshot of stored.snapshots.values()) {
          const removed = withoutSnapshot(stored, snapshot)
          if (Either.isLeft(removed)) return removed
        }
        if (stored.watchers.size > 0) return refuse("EBUSY", "deleting image from trash")
        trash.delete(id)
        return done
      }
    }

    /** Opened as long as the given one is among the watchers. */
    const open = (stored: StoredImage, address: string): OpenImage => {
      const it: OpenImage = {
        size: () => stored.size,
        grow: (bytes) =>
          Either.mapBoth(resize(stored, bytes), { onLeft: ({ errno }) => errno, onRight: () => undefined }),
        read: (offset, length) => contentOf(stored, offset, Math.max(0, Math.min(length, stored.size - offset))),
        write: (offset, bytes) =>
          Either.mapBoth(writeTo(stored, offset, bytes), { onLeft: ({ errno }) => errno, onRight: () => undefined }),
        close: () => {
          stored.watchers.delete(it)
        }
      }
      stored.watchers.set(it, address)
      return it
    }

    return {
      monitors,
      pool,
      client,
      key,
      faults: gate.faults,
      gate,
      calls,
      openForWriting: (image, address) => {
        if (gate.osdsAreDead()) return Either.left("ETIMEDOUT")
        return Either.mapBoth(found(image), {
          onLeft: ({ errno }) => errno,
          onRight: (stored) => open(stored, address)
        })
      },
      read: (image, offset, length) =>
        Either.mapBoth(found(image), {
          onLeft: ({ errno }) => errno,
          onRight: (stored) => contentOf(stored, offset, Math.max(0, Math.min(length, stored.size - offset)))
        }),
      beginImport: (args) =>
        Either.flatMap(create(args), () =>
          Either.map(found(args.image), (stored): Import => {
            const it = open(stored, `192.0.2.1:0/${Math.floor(random() * 2 ** 32)}`)
            return {
              write: (offset, bytes) => Either.map(writeTo(stored, offset, bytes), () => undefined),
              close: it.close
            }
          })
        )
    }
  })
