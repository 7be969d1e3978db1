/**
 * Images, root disks and volumes in a Ceph pool (driver `rbd`). In the pool there are, all named by us alone:
 *
 * - `image-<sha256>`: an image's disk, named by its file's content, with the protected snapshot `base`.
 * - `vm-<vmid>-root`: a VM's root disk, a copy-on-write clone of its image.
 * - `vm-<vmid>-seed`: what cloud-init reads in the VM.
 * - `volume-<volumeid>`: a volume; its snapshots are `snapshot-<snapshotid>`, protected.
 * - `publish-<operationid>`: a snapshot of a root disk or a volume that is being published as an image.
 * - any of these with `.new-…` at its end: what is being made, or is left of a try that did not end. It gets its own name last, so
 *   whatever has one is whole.
 *
 * Whose a disk or volume is, its metadata says (key `vmfabric`).
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { ImageRefused, StorageError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { type OperationId, VmId } from "../src/domain/Ids.ts"
import type { Image, ImageContent } from "../src/domain/Image.ts"
import * as Uuid from "../src/domain/Uuid.ts"
import * as Trail from "../src/observability/Trail.ts"
import { Ceph, CephError } from "../src/services/Ceph.ts"
import { ImageLibrary } from "../src/services/ImageLibrary.ts"
import { Libvirt } from "../src/services/Libvirt.ts"
import type { RootRequest, StorageDriver } from "../src/services/Storage.ts"
import * as SingleFlight from "./SingleFlight.ts"
import { makeCopies, type Options, rootCapacity, rootSerial, withoutRoot, withProgress } from "./StorageDriver.ts"
import * as StorageRbdDisks from "./StorageRbdDisks.ts"
import * as StorageRbdPool from "./StorageRbdPool.ts"
import * as StorageRbdSeeds from "./StorageRbdSeeds.ts"
import * as StorageRbdVolumes from "./StorageRbdVolumes.ts"

const base = "base"
const imageName = ({ sha256 }: Pick<ImageContent, "sha256">): string => `image-${sha256}`
const rootName = (vmId: VmId): string => `vm-${vmId}-root`
const partOfImage = /^image-[0-9a-f]{64}\.new-/
const imagePattern = /^image-([0-9a-f]{64})$/
const rootPattern = /^vm-([1-9][0-9]{0,15})-root$/

/** For what nobody waits for. */
const untilGone = Schedule.exponential("1 second", 2).pipe(Schedule.union(Schedule.spaced("1 minute")))

/** Imports that are under way end with the scope. @since 0.2.0 @category constructors */
export const make: (
  options: Options
) => Effect.Effect<StorageDriver, never, Ceph | Libvirt | ImageLibrary | Scope.Scope> = Effect.fn("StorageRbd.make")(
  function* (options: Options) {
    const ceph = yield* Ceph
    const images = yield* ImageLibrary
    const scope = yield* Effect.scope
    const importing = SingleFlight.make<void, StorageError | ImageRefused>(scope)

    const copies = makeCopies()

    const pool = StorageRbdPool.make(ceph, yield* Libvirt, options)
    const { access, accessLater, ask, failure, fromCeph, look, made, refuseForeign, remove, runsWith, unlessRefused } =
      pool

    // ----------------------------------------------------------------------------------------------------------------- images

    /** Whether the image is there. One that somebody has taken the snapshot from gets it again. */
    const isPresent = Effect.fnUntraced(function* (action: string, content: ImageContent) {
      const name = imageName(content)
      const found = yield* look(action, name)
      if (Option.isNone(found)) return false
      if (found.value.size !== content.virtualSize) {
        return yield* failure(
          action,
          `image ${name} has ${found.value.size} bytes instead of ${content.virtualSize}, so it is not what its name says: remove it`
        )
      }
      const snapshot = found.value.snapshots.find((one) => one.name === base)
      if (snapshot?.protected !== true) yield* protectBase(action, name)
      return true
    })

    const protectBase = (action: string, image: string) =>
      Effect.zipRight(
        unlessRefused(action, ceph.createSnapshot(image, base), "EEXIST"),
        ask(action, ceph.protectSnapshot(image, base))
      )

    const discardOnce = (image: string): Effect.Effect<void, CephError> =>
      Effect.zipRight(
        Effect.catchIf(
          ceph.removeSnapshot(image, base),
          (error) => error.refusedWith("ENOENT"),
          () => Effect.void
        ),
        ceph.remove(image)
      ).pipe(
        Effect.catchIf(
          (error) => error.refusedWith("ENOENT"),
          () => Effect.void
        )
      )

    /** parts that are being removed in the background, each once however often that is asked for */
    const leaving = new Set<string>()

    /** In the background, until it is gone. */
    const discardLater = (image: string): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (leaving.has(image)) return Effect.void
        leaving.add(image)
        return discardOnce(image).pipe(
          Effect.retry(untilGone),
          Effect.catchAll((error) => Effect.logWarning(error.message)),
          Effect.ensuring(Effect.sync(() => leaving.delete(image))),
          Effect.forkIn(scope),
          Effect.asVoid
        )
      })

    // What remains is without its name: never used.
    const discard = (image: string): Effect.Effect<void> =>
      Effect.catchAll(discardOnce(image), (error) =>
        Effect.logWarning("part of an image remains in the pool for now").pipe(
          Effect.annotateLogs({ pool: ceph.pool, image, reason: error.message }),
          Effect.zipRight(discardLater(image))
        )
      )

    /** parts that this process makes */
    const making = new Set<string>()

    // what lives before this one left, also when nobody needs the image again
    yield* ceph.list.pipe(
      Effect.retry(untilGone),
      Effect.flatMap((all) =>
        Effect.forEach(
          all.filter((one) => partOfImage.test(one) && !making.has(one)),
          discard,
          { discard: true }
        )
      ),
      Effect.catchAll((error) => Effect.logWarning(error.message)),
      Effect.forkIn(scope)
    )

    const send = Effect.fnUntraced(function* (image: Image, content: ImageContent) {
      const action = `receive image ${image.config.name}`
      if (yield* isPresent(action, content)) return
      const name = imageName(content)
      const left = (yield* ask(action, ceph.list)).filter((one) => one.startsWith(`${name}.new-`))
      yield* Effect.forEach(left, discard, { discard: true })
      const started = yield* Clock.currentTimeMillis
      const part = `${name}.new-${yield* Uuid.make}`
      making.add(part)
      yield* ceph
        .importImage(part, {
          format: content.format,
          size: content.virtualSize,
          bytes: withProgress({ pool: ceph.pool }, image, content, images.read(image, content))
        })
        .pipe(
          Effect.mapError((error) => (error._tag === "CephError" ? fromCeph(action)(error) : error)),
          Effect.zipRight(protectBase(action, part)),
          Effect.zipRight(
            Effect.catchIf(
              ceph.rename(part, name),
              // another controller was quicker with the same
              (error) => error.refusedWith("EEXIST"),
              () => discard(part)
            ).pipe(Effect.mapError(fromCeph(action)))
          ),
          Effect.tapError((error) => (error._tag === "StorageUnreachable" ? discardLater(part) : discard(part))),
          Effect.ensuring(Effect.sync(() => making.delete(part)))
        )
      yield* Effect.logInfo("image sent").pipe(
        Effect.annotateLogs({
          pool: ceph.pool,
          image: image.config.name,
          bytes: content.fileSize,
          milliseconds: (yield* Clock.currentTimeMillis) - started
        })
      )
    })

    const ensureContent = (image: Image, content: ImageContent): Effect.Effect<void, StorageError | ImageRefused> =>
      importing(content.sha256, copies.using(content.sha256)(send(image, content)))

    const ensureImage = Trail.traced("Storage.ensureImage")(
      Effect.fnUntraced(function* (_host: Host, image: Image) {
        yield* ensureContent(image, yield* images.resolve(image))
      })
    )

    const listImages = Effect.fn("Storage.listImages")(function* (_host: Host) {
      const all = yield* ask("list its copies of images", ceph.list)
      return all.flatMap((name) => imagePattern.exec(name)?.[1] ?? [])
    })

    const removeImage = Effect.fn("Storage.removeImage")(function* (_host: Host, sha256: string) {
      const removed = discardOnce(imageName({ sha256 })).pipe(
        Effect.as(true),
        // disks are clones of it, or somebody reads it
        Effect.catchIf(
          (error) => error.refusedWith("EBUSY"),
          () => Effect.succeed(false)
        ),
        Effect.mapError(fromCeph(`remove its copy of image ${sha256}`))
      )
      return yield* copies.unlessUsed(sha256)(removed)
    })

    // ------------------------------------------------------------------------------------------------------------- root disks

    /** Refused because the image, or its protected snapshot, is not there. */
    const lacksBase = (error: StorageError): boolean =>
      error.cause instanceof CephError && error.cause.refusedAfter(1, "ENOENT", "EINVAL")

    /** Whether the disk is there as wanted. Another one goes when this operation has made it, and is left alone when not. */
    const isKept = Effect.fnUntraced(function* (
      action: string,
      root: RootRequest,
      wanted: { readonly size: number; readonly image: string }
    ) {
      const name = rootName(root.vmId)
      const found = yield* look(action, name)
      if (Option.isNone(found)) return false
      if (!StorageRbdPool.isMadeBy(found.value, root.operationId)) {
        return yield* refuseForeign(action, `image ${name}`)
      }
      const { parent, size } = found.value
      if (size === wanted.size && parent?.image === wanted.image && parent.snapshot === base) return true
      const users = StorageRbdPool.usersOf(found.value)
      if (users.length > 0) {
        return yield* failure(
          action,
          `image ${name} is there already with another size or image, and is open on ${users.join(", ")}`
        )
      }
      yield* remove(action, name)
      return false
    })

    const createRoot = Trail.traced("Storage.createRoot")(
      Effect.fnUntraced(function* (host: Host, root: RootRequest) {
        const { image, operationId, vmId } = root
        const action = `create the root disk of vm-${vmId}`
        const name = rootName(vmId)
        const content = yield* images.resolve(image)
        const disk = yield* access(host, action)
        const wanted = { size: rootCapacity(root.size, content.virtualSize), image: imageName(content) }
        const over = made(action, name, { vm: vmId, operation: operationId }, (part) => [
          { do: "clone", args: { parent: wanted.image, snapshot: base, image: part } },
          { do: "grow", args: { image: part, size: wanted.size } }
        ])
        // it was there when the step before looked
        const make = Effect.catchIf(over, lacksBase, () => Effect.zipRight(ensureContent(image, content), over))
        yield* Effect.gen(function* () {
          if ((yield* make) || (yield* isKept(action, root, wanted)) || (yield* make)) return
          return yield* refuseForeign(action, `image ${name}`)
        }).pipe(copies.using(content.sha256))
        return disk(name, rootSerial(vmId))
      })
    )

    const openRoot = Effect.fn("Storage.openRoot")(function* (host: Host, vmId: VmId) {
      const action = `open the root disk of vm-${vmId}`
      const name = rootName(vmId)
      const found = yield* look(action, name)
      if (Option.isNone(found)) {
        return yield* failure(action, `there is no image ${name} in ${ceph.pool}: ${withoutRoot}`)
      }
      const users = StorageRbdPool.usersOf(found.value)
      if (users.length > 0) return yield* failure(action, `${name} is open on ${users.join(", ")}: stop it there first`)
      const disk = yield* access(host, action)
      return disk(name, rootSerial(vmId))
    })

    const deleteRoot = Effect.fn("Storage.deleteRoot")(function* (host: Host, vmId: VmId, madeBy?: OperationId) {
      const action = `delete the root disk of vm-${vmId}`
      const name = rootName(vmId)
      const found = yield* look(action, name)
      const left =
        madeBy === undefined
          ? (yield* ask(action, ceph.list)).filter((one) => one.startsWith(`${name}.new-`))
          : [`${name}.new-${madeBy}`]
      yield* Effect.forEach(left, (one) => remove(action, one), { discard: true })
      if (Option.isNone(found)) return
      if (madeBy !== undefined && !StorageRbdPool.isMadeBy(found.value, madeBy)) return
      if (found.value.watchers.length > 0) {
        const runs = yield* Effect.catchTag(runsWith(host, action, `vm-${vmId}`, name), "HostUnreachable", () =>
          // then it is Ceph alone that can tell whether somebody has it
          Effect.succeed(false)
        )
        if (runs) return yield* failure(action, `vm-${vmId} runs from it on ${host.name}`)
      }
      yield* remove(action, name)
    })

    const listRoots = Effect.fn("Storage.listRoots")(function* (_host: Host) {
      const all = yield* ask("list its root disks", ceph.list)
      return all.flatMap((name): ReadonlyArray<VmId> => {
        const id = Number(rootPattern.exec(name)?.[1])
        return Number.isSafeInteger(id) ? [VmId.make(id)] : []
      })
    })

    return {
      name: "rbd",
      pool: ceph.pool,
      usage: Effect.map(ask("tell how full it is", ceph.usage), (usage) => Option.some({ name: ceph.pool, ...usage })),
      ensureImage,
      listImages,
      removeImage,
      createRoot,
      describeRoot: (_host, vmId) =>
        Effect.map(accessLater(`describe the root disk of vm-${vmId}`), (disk) =>
          disk(rootName(vmId), rootSerial(vmId))
        ),
      openRoot,
      deleteRoot,
      listRoots,
      ...StorageRbdSeeds.make(ceph, pool),
      ...StorageRbdVolumes.make(ceph, pool, options),
      ...StorageRbdDisks.make(ceph, pool)
    }
  }
)
