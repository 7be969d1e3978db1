/**
 * What the storage drivers have in common.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Image, ImageContent, Piece } from "../src/domain/Image.ts"
import type { StorageDriver } from "../src/services/Storage.ts"
import { StepProgress } from "../src/services/StepProgress.ts"

/**
 * `patience`: how long is waited for somebody to let go of a disk. A QEMU that was killed counts as there for up to 30 seconds at Ceph.
 *
 * @since 0.2.0 @category models
 */
export interface Options {
  readonly patience: Duration.DurationInput
}

/** @since 0.2.0 @category models */
export const defaults: Options = { patience: "35 seconds" }

/** The part of a driver that is about seeds. @since 0.6.0 @category models */
export type SeedPart = Pick<StorageDriver, "writeSeed" | "deleteSeed" | "describeSeed">

/** The part that is about what disks hold. @since 0.7.0 @category models */
export type DiskPart = Pick<StorageDriver, "holdDisk" | "readDisk" | "releaseDisk">

/** The part that is about volumes. @since 0.6.0 @category models */
export type VolumePart = Omit<
  StorageDriver,
  | keyof SeedPart
  | keyof DiskPart
  | "name"
  | "pool"
  | "usage"
  | "ensureImage"
  | "listImages"
  | "removeImage"
  | "createRoot"
  | "describeRoot"
  | "openRoot"
  | "deleteRoot"
  | "listRoots"
>

/** @since 0.2.0 @category constants */
export const gibibyte = 1024 ** 3

/** Bytes of every seed, whatever is in it: one that is written anew stays the disk that it is. @since 0.6.0 @category constants */
export { capacity as seedCapacity } from "../src/cloudinit/Seed.ts"

export { rootSerial, seedSerial } from "../src/domain/Vm.ts"

/** What helps when a VM has no root disk. @since 0.9.0 @category constants */
export const withoutRoot = "bring it back there, or destroy the VM and create another"

/** Bytes of a root disk: whole KiB, which is what libvirt passes on to qemu-img. @since 0.2.0 @category getters */
export const rootCapacity = (size: number, virtualSize: number): number =>
  Math.ceil(Math.max(size * gibibyte, virtualSize) / 1024) * 1024

/** An image's bytes on their way to `place`, told to the log and to the operation that has it sent. @since 0.2.0 @category conversions */
export const withProgress = <E>(
  place: Readonly<Record<string, string>>,
  image: Image,
  content: ImageContent,
  source: Stream.Stream<Uint8Array, E>
): Stream.Stream<Uint8Array, E> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const total = content.fileSize
      const { tell } = yield* StepProgress
      let sent = 0
      let percentNow = -1
      let toldPercent = 0
      let toldAt = yield* Clock.currentTimeMillis
      return Stream.tap(source, (bytes) =>
        Effect.gen(function* () {
          sent += bytes.length
          const percent = total === 0 ? 100 : Math.floor((sent / total) * 100)
          if (percent !== percentNow) yield* tell((percentNow = percent))
          const now = yield* Clock.currentTimeMillis
          // every 10 percent but no second twice, and every 5 seconds
          if (now < toldAt + (percent < toldPercent + 10 ? 5000 : 1000)) return
          toldPercent = percent
          toldAt = now
          yield* Effect.logInfo("sending image").pipe(
            Effect.annotateLogs({ ...place, image: image.config.name, percent, bytes: sent })
          )
        })
      )
    })
  )

/** Pieces of a disk on their way, told to the operation that has it read; `total` bytes is where they will end, or nearly. @since 0.7.0 @category conversions */
export const withPercent = <E>(total: number, pieces: Stream.Stream<Piece, E>): Stream.Stream<Piece, E> =>
  Stream.unwrap(
    Effect.map(StepProgress, ({ tell }) => {
      let told = -1
      return Stream.tap(pieces, ({ bytes, offset }) => {
        const percent = Math.min(100, Math.floor(((offset + bytes.length) / Math.max(total, 1)) * 100))
        if (percent === told) return Effect.void
        told = percent
        return tell(percent)
      })
    })
  )

/** More than ever work with one copy at the same time. */
const everybody = 1_000_000

/**
 * Keeps copies of images from being removed while somebody works with them: what uses the copy of that key, however many at a time, and what removes it,
 * only when nobody does (false: somebody does, or it said so itself).
 *
 * @since 0.7.0 @category constructors
 */
export const makeCopies = () => {
  const all = new Map<string, { readonly turn: Effect.Semaphore; users: number }>()
  /** Known for as long as somebody has it or waits for it: there are ever new images. */
  const withTurn = <A, E, R>(key: string, use: (turn: Effect.Semaphore) => Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const known = all.get(key) ?? { turn: Effect.unsafeMakeSemaphore(everybody), users: 0 }
        known.users++
        all.set(key, known)
        return known
      }),
      ({ turn }) => use(turn),
      (known) =>
        Effect.sync(() => {
          if (--known.users === 0) all.delete(key)
        })
    )
  return {
    using:
      (key: string) =>
      <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
        withTurn(key, (turn) => turn.withPermits(1)(effect)),
    unlessUsed:
      (key: string) =>
      <E, R>(remove: Effect.Effect<boolean, E, R>): Effect.Effect<boolean, E, R> =>
        withTurn(key, (turn) => turn.withPermitsIfAvailable(everybody)(remove)).pipe(
          Effect.map(Option.getOrElse(() => false))
        )
  }
}

/** Quickly at first, then every second, for as long as there is patience. @since 0.2.0 @category waiting */
export const patiently = ({ patience }: Options) =>
  Schedule.union(Schedule.exponential("50 millis"), Schedule.spaced("1 second")).pipe(Schedule.upTo(patience))

/** Asks until nobody is named any more, for as long as there is patience; gives who is named in the end. @since 0.2.0 @category waiting */
export const whoRemains = <E>(
  users: Effect.Effect<ReadonlyArray<string>, E>,
  options: Options
): Effect.Effect<ReadonlyArray<string>, E> =>
  Effect.repeat(users, {
    until: (found) => found.length === 0,
    schedule: Schedule.zipLeft(Schedule.identity<ReadonlyArray<string>>(), patiently(options))
  })
