/**
 * One pool of a Ceph cluster, and what can be done with its images.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Piece } from "../domain/Image.ts"

/** Ceph answered with an error; `errno` is its name, as `ENOENT`. What was refused has changed nothing. @since 0.2.0 @category errors */
export class CephRefused extends Schema.TaggedClass<CephRefused>()("CephRefused", {
  errno: Schema.String,
  /** what Ceph said */
  detail: Schema.String,
  /** of changes in order: how many were done before the one that was refused. @since 0.15.0 */
  done: Schema.optionalWith(Schema.Int, { exact: true })
}) {}

/** Ceph, or the machine that its commands run on, does not answer; whether the call took effect is unknown. @since 0.2.0 @category errors */
export class CephSilent extends Schema.TaggedClass<CephSilent>()("CephSilent", { reason: Schema.String }) {}

/** @since 0.2.0 @category errors */
export class CephError extends Schema.TaggedError<CephError>()("CephError", {
  pool: Schema.String,
  /** what was being done, as in `create image volume-7` */
  action: Schema.String,
  reason: Schema.Union(CephRefused, CephSilent),
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    const { reason } = this
    return reason._tag === "CephRefused"
      ? `Ceph pool ${this.pool} failed to ${this.action}: ${reason.detail} (${reason.errno})`
      : `Ceph pool ${this.pool} cannot be used: ${reason.reason}`
  }

  /** whether Ceph itself refused with one of these errno names */
  refusedWith(...names: ReadonlyArray<string>): boolean {
    return this.reason._tag === "CephRefused" && names.includes(this.reason.errno)
  }

  /** The same of changes in order, when `done` of them were done before. @since 0.15.0 */
  refusedAfter(done: number, ...names: ReadonlyArray<string>): boolean {
    return this.refusedWith(...names) && this.reason._tag === "CephRefused" && this.reason.done === done
  }
}

/** @since 0.2.0 @category models */
export interface Monitor {
  readonly host: string
  readonly port: number
}

/** What a client (QEMU) needs to reach the pool. @since 0.2.0 @category models */
export interface Cluster {
  /** lower case with dashes */
  readonly fsid: string
  /** every monitor in the monmap, in its order */
  readonly monitors: ReadonlyArray<Monitor>
  /** without the `client.` before it */
  readonly client: string
  /** the client's cephx key, base64 as in a keyring */
  readonly key: Redacted.Redacted
  /** as in `16.2.15` */
  readonly version: string
}

/**
 * Bytes, replicas already taken out: `capacity` is what the pool could hold in all, `used` what its images have written, `available`
 * what can still be written.
 *
 * @since 0.2.0 @category models
 */
export interface Usage {
  readonly capacity: number
  readonly used: number
  readonly available: number
}

/** @since 0.2.0 @category models */
export interface Snapshot {
  readonly name: string
  /** bytes */
  readonly size: number
  readonly protected: boolean
}

/** A client that has an image open for writing. @since 0.2.0 @category models */
export interface Watcher {
  /** `address:port/nonce` */
  readonly address: string
}

/** What can be asked for together with others; each is what the call of that name does. @since 0.15.0 @category models */
export interface Changes {
  /** changes nothing: `EEXIST` when the image is there */
  readonly absent: { readonly image: string }
  readonly create: { readonly image: string; readonly size: number }
  readonly clone: { readonly parent: string; readonly snapshot: string; readonly image: string }
  readonly grow: { readonly image: string; readonly size: number }
  readonly write: { readonly image: string; readonly content: Uint8Array }
  readonly setMetadata: { readonly image: string; readonly key: string; readonly value: string }
  readonly rename: { readonly image: string; readonly name: string }
}

/** One of them. @since 0.15.0 @category models */
export type Change<C extends keyof Changes = keyof Changes> = {
  readonly [K in C]: { readonly do: K; readonly args: Changes[K] }
}[C]

/** An image as it is now. @since 0.2.0 @category models */
export interface Image {
  /** Ceph's own id: stays when the image is renamed or in the trash */
  readonly id: string
  /** bytes */
  readonly size: number
  readonly metadata: Readonly<Record<string, string>>
  /** what it is a clone of */
  readonly parent: { readonly image: string; readonly snapshot: string } | null
  readonly snapshots: ReadonlyArray<Snapshot>
  readonly watchers: ReadonlyArray<Watcher>
  /** who holds its exclusive or an advisory lock, as Ceph names them */
  readonly lockers: ReadonlyArray<string>
}

/** @since 0.2.0 @category models */
export interface Trashed {
  readonly id: string
  /** the name it had */
  readonly name: string
}

/**
 * Calls fail with reason `CephRefused` (Ceph said no: nothing changed) or `CephSilent` (no answer within the time limit, or the session
 * broke: the effect is unknown). Names are of images in the pool; none of the calls is retried here.
 *
 * @since 0.2.0 @category services
 */
export class Ceph extends Context.Tag("vmfabric/Ceph")<
  Ceph,
  {
    /** the pool's name */
    readonly pool: string
    readonly cluster: Effect.Effect<Cluster, CephError>
    readonly usage: Effect.Effect<Usage, CephError>
    /** Names of all images, those in the trash left out. */
    readonly list: Effect.Effect<ReadonlyArray<string>, CephError>
    /** None: no such image. */
    readonly look: (image: string) => Effect.Effect<Option.Option<Image>, CephError>
    /** A new empty image of `size` bytes; `EEXIST` when there is one. */
    readonly create: (image: string, size: number) => Effect.Effect<void, CephError>
    /** A copy-on-write clone of a protected snapshot; `EEXIST` when there is one. */
    readonly clone: (
      from: { readonly image: string; readonly snapshot: string },
      image: string
    ) => Effect.Effect<void, CephError>
    /** Never makes it smaller: `EINVAL`. */
    readonly grow: (image: string, size: number) => Effect.Effect<void, CephError>
    /** Writes a few KiB at the image's beginning, whoever has it open; what comes after stays. `EINVAL` when it is too small for that. */
    readonly write: (image: string, content: Uint8Array) => Effect.Effect<void, CephError>
    readonly setMetadata: (image: string, key: string, value: string) => Effect.Effect<void, CephError>
    /** `EEXIST` when the new name is taken. */
    readonly rename: (image: string, name: string) => Effect.Effect<void, CephError>
    /**
     * One after the other, up to the first that is refused: those before it are done, and `done` in the reason says how many. With reason
     * `CephSilent` any number of them may have been, in that order.
     *
     * @since 0.15.0
     */
    readonly inOrder: (changes: ReadonlyArray<Change>) => Effect.Effect<void, CephError>
    /** `EBUSY` while it is open somewhere, `ENOTEMPTY` while it has snapshots; `ENOENT` when it is not there. */
    readonly remove: (image: string) => Effect.Effect<void, CephError>

    /** `EEXIST` when there is one. */
    readonly createSnapshot: (image: string, snapshot: string) => Effect.Effect<void, CephError>
    /** Fine when it is protected already. */
    readonly protectSnapshot: (image: string, snapshot: string) => Effect.Effect<void, CephError>
    /** Unprotects and removes it; `EBUSY` while it has clones, `ENOENT` when it is not there. */
    readonly removeSnapshot: (image: string, snapshot: string) => Effect.Effect<void, CephError>
    /** The image's content and size become the snapshot's. `EBUSY` (or `EROFS`) while another client has it open. */
    readonly rollback: (image: string, snapshot: string) => Effect.Effect<void, CephError>
    /** Names of the clones of a snapshot; those in the trash with the name they had. */
    readonly children: (image: string, snapshot: string) => Effect.Effect<ReadonlyArray<string>, CephError>

    readonly trash: Effect.Effect<ReadonlyArray<Trashed>, CephError>
    /** `delay`: seconds in which Ceph itself refuses to purge it. `EBUSY` while it is open somewhere. */
    readonly moveToTrash: (image: string, delay: number) => Effect.Effect<void, CephError>
    /** Under the name it is given; `EEXIST` when that is taken. */
    readonly restore: (id: string, image: string) => Effect.Effect<void, CephError>
    /** Whatever its delay; removes its snapshots before. `EBUSY` while a snapshot has clones, `ENOENT` when it is not there. */
    readonly purge: (id: string) => Effect.Effect<void, CephError>

    /**
     * A new image with the content of a raw or qcow2 file, holes left out; `size` is the disk's in bytes. The file's header must have
     * been checked: it is read with its format named. `EEXIST` when the image is there. Interrupted or failed, a part of it may remain.
     */
    readonly importImage: <E>(
      image: string,
      file: { readonly format: "raw" | "qcow2"; readonly size: number; readonly bytes: Stream.Stream<Uint8Array, E> }
    ) => Effect.Effect<void, CephError | E>
    /**
     * What a snapshot holds, in the order of its bytes, each piece within one of the image's objects and read ahead of who takes it by a few only. What no
     * piece covers is zero. The snapshot has to stay: an image with one that is being read cannot be removed.
     */
    readonly exportSnapshot: (
      image: string,
      snapshot: Pick<Snapshot, "name" | "size">
    ) => Stream.Stream<Piece, CephError>
  }
>() {}
