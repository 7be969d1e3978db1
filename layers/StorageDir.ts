/**
 * Images, root disks and volumes in a folder on each host (driver `dir`), through libvirt's storage pools. Nothing runs on the host but
 * libvirt.
 *
 * In the pool's folder there are, all named by us alone:
 *
 * - `image-<sha256>.<raw|qcow2>`: an image's file, byte for byte; named by its content, so it is never written twice.
 * - `image-<sha256>.complete`: one byte, made once the daemon has confirmed the image's end. An image without it is what is left of a
 *   sending that did not end.
 * - `vm-<vmid>-root.qcow2`: a VM's root disk, an overlay over its image.
 * - `vm-<vmid>-seed.iso`: what cloud-init reads in the VM.
 * - `volume-<volumeid>.qcow2`: a volume, a file of its own.
 * - `volume-<volumeid>-snapshot-<snapshotid>.qcow2`: a snapshot, a copy of all of the volume.
 * - `publish-<operationid>.qcow2`: what a root disk that is being published as an image held, a copy of all of it that stands alone.
 *
 * What libvirt cannot keep beside a file, files of one byte say:
 *
 * - `vm-<vmid>-root.operation-<operationid>`, `vm-<vmid>-seed.operation-<operationid>`, `volume-<volumeid>.operation-<operationid>`: made
 *   before the disk, by the operation that makes it. A disk without it is another's.
 * - `volume-<volumeid>.complete`, `volume-<volumeid>-snapshot-<snapshotid>.complete`, `publish-<operationid>.complete`: all of it has been written.
 * - `volume-<volumeid>.reverting-<snapshotid>`: the volume's content is given up, and the snapshot's is not whole in its place yet.
 *   There until it is: libvirt can rename nothing, so the snapshot has to be the copy that nothing happens to.
 * - `volume-<volumeid>.deleted`: put aside, may be purged.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { HostError, ImageRefused } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { type OperationId, VmId } from "../src/domain/Ids.ts"
import type { Image, ImageContent } from "../src/domain/Image.ts"
import { code, failure, fromLibvirt } from "../src/libvirt/HostErrors.ts"
import * as StorageXml from "../src/libvirt/StorageXml.ts"
import type { DiskSource } from "../src/services/Hypervisor.ts"
import { ImageLibrary } from "../src/services/ImageLibrary.ts"
import { Libvirt } from "../src/services/Libvirt.ts"
import type { RootRequest, Storage, StorageDriver } from "../src/services/Storage.ts"
import * as HostCalls from "./HostCalls.ts"
import * as SingleFlight from "./SingleFlight.ts"
import * as StorageDirDisks from "./StorageDirDisks.ts"
import * as StorageDirPool from "./StorageDirPool.ts"
import * as StorageDirSeeds from "./StorageDirSeeds.ts"
import * as StorageDirVolumes from "./StorageDirVolumes.ts"
import { makeCopies, type Options, rootCapacity, rootSerial, withoutRoot, withProgress } from "./StorageDriver.ts"

type Pool = StorageDirPool.Pool
type File = StorageDirPool.File

const imageName = (content: ImageContent): string => `image-${content.sha256}.${content.format}`
const markerName = (content: ImageContent): string => `image-${content.sha256}.complete`
const copyPattern = /^image-([0-9a-f]{64})\.(?:raw|qcow2|complete)$/
const rootName = (vmId: VmId): string => `vm-${vmId}-root.qcow2`
const rootMarker = (vmId: VmId, operationId: OperationId): string => `vm-${vmId}-root.operation-${operationId}`
const rootPattern = /^vm-([1-9][0-9]{0,15})-root\.qcow2$/

/** The driver, and what makes a host's folder ready. @since 0.2.0 @category models */
export interface Dir {
  readonly prepare: Storage["Type"]["prepare"]
  readonly driver: StorageDriver
}

/** Copies that are under way end with the scope. @since 0.2.0 @category constructors */
export const make: (options: Options) => Effect.Effect<Dir, never, Libvirt | ImageLibrary | Scope.Scope> = Effect.fn(
  "StorageDir.make"
)(function* (options: Options) {
  const libvirt = yield* Libvirt
  const images = yield* ImageLibrary
  const scope = yield* Effect.scope
  const sending = SingleFlight.make<void, HostError | ImageRefused>(scope)

  const { unless } = HostCalls.make(libvirt)
  const folder = StorageDirPool.make(libvirt, scope)
  const { claimed, create, describe, list, lookup, mark, preparePool, ready, refresh, remove, uses, usersOf } = folder
  const copies = makeCopies()
  const copyOf = (host: Host, sha256: string) => `${host.name} ${sha256}`

  // ------------------------------------------------------------------------------------------------------------------- images

  const isPresent = (
    host: Host,
    action: string,
    pool: Pool,
    content: ImageContent
  ): Effect.Effect<boolean, HostError> =>
    Effect.zipWith(
      lookup(host, action, pool, markerName(content)),
      lookup(host, action, pool, imageName(content)),
      (marker, image) => Option.isSome(marker) && Option.isSome(image),
      { concurrent: true }
    )

  const send = Effect.fnUntraced(function* (host: Host, image: Image, content: ImageContent) {
    const action = `receive image ${image.config.name}`
    const pool = yield* ready(host, action)
    if (yield* isPresent(host, action, pool, content)) return
    // what others did to the folder has to be known before anything is concluded from what is not in the list
    yield* refresh(host, action, pool)
    if (yield* isPresent(host, action, pool, content)) return
    // the marker first: it must never stand beside an image that is not whole
    yield* remove(host, action, pool, markerName(content))
    yield* remove(host, action, pool, imageName(content))
    const started = yield* Clock.currentTimeMillis
    const vol = yield* create(host, action, pool, StorageXml.rawVolume(imageName(content), content.fileSize))
    yield* libvirt
      .upload(
        host.config.address,
        "STORAGE_VOL_UPLOAD",
        { vol, offset: 0n, length: BigInt(content.fileSize), flags: 0 },
        withProgress({ host: host.name }, image, content, images.read(image, content))
      )
      .pipe(
        Effect.mapError((error) => (error._tag === "LibvirtError" ? fromLibvirt(host, action)(error) : error)),
        Effect.tapError((error) =>
          error._tag === "HostUnreachable" ? Effect.void : discard(host, action, pool, content)
        )
      )
    yield* mark(host, action, pool, markerName(content))
    yield* Effect.logInfo("image sent").pipe(
      Effect.annotateLogs({
        host: host.name,
        image: image.config.name,
        bytes: content.fileSize,
        milliseconds: (yield* Clock.currentTimeMillis) - started
      })
    )
  })

  // The failure that is told is the sending's. What remains is without marker: never used, and removed by the next sending.
  const discard = (host: Host, action: string, pool: Pool, content: ImageContent): Effect.Effect<void> =>
    remove(host, action, pool, imageName(content)).pipe(
      Effect.catchAll((error) =>
        Effect.logWarning("part of an image remains on the host").pipe(
          Effect.annotateLogs({ host: host.name, volume: imageName(content), reason: error.message })
        )
      )
    )

  const ensureContent = (
    host: Host,
    image: Image,
    content: ImageContent
  ): Effect.Effect<void, HostError | ImageRefused> =>
    sending(copyOf(host, content.sha256), copies.using(copyOf(host, content.sha256))(send(host, image, content)))

  const ensureImage = Effect.fn("Storage.ensureImage")(function* (host: Host, image: Image) {
    const content = yield* images.resolve(image)
    yield* ensureContent(host, image, content)
  })

  const listImages = Effect.fn("Storage.listImages")(function* (host: Host) {
    const action = "list its copies of images"
    const files = yield* list(host, action, yield* ready(host, action))
    return [...new Set(files.flatMap(({ name }) => copyPattern.exec(name)?.[1] ?? []))]
  })

  const removeImage = Effect.fn("Storage.removeImage")(function* (host: Host, sha256: string) {
    const action = `remove its copy of image ${sha256}`
    const removed = Effect.gen(function* () {
      const pool = yield* ready(host, action)
      // a disk that somebody has put there by hand counts, too
      yield* refresh(host, action, pool)
      const files = yield* list(host, action, pool)
      const copy = files.filter(({ name }) => copyPattern.exec(name)?.[1] === sha256)
      const paths = new Set(copy.map(({ key }) => key))
      if (copy.length === 0) return true
      for (const file of files) {
        if (copyPattern.test(file.name)) continue
        const backing = Option.getOrUndefined(yield* describe(host, action, file))?.backing
        if (backing !== undefined && backing !== null && paths.has(backing.path)) return false
      }
      for (const path of paths) if ((yield* usersOf(host, action, path)).length > 0) return false
      // the marker first: it must never stand beside an image that is not whole
      const markersFirst = copy.toSorted(
        (a, b) => Number(b.name.endsWith(".complete")) - Number(a.name.endsWith(".complete"))
      )
      for (const { name } of markersFirst) yield* remove(host, action, pool, name)
      return true
    })
    return yield* copies.unlessUsed(copyOf(host, sha256))(removed)
  })

  // --------------------------------------------------------------------------------------------------------------- root disks

  /** The disk's file when it can stay as it is. None: there is none, or it is of this operation, another than is wanted, and may go. */
  const keepable = Effect.fnUntraced(function* (
    host: Host,
    action: string,
    pool: Pool,
    { operationId, vmId }: RootRequest,
    wanted: { readonly capacity: number; readonly backing: StorageXml.Backing }
  ) {
    const vol = yield* lookup(host, action, pool, rootName(vmId))
    if (Option.isNone(vol)) return Option.none<File>()
    const described = yield* describe(host, action, vol.value)
    if (Option.isNone(described)) return Option.none<File>()
    if (Option.isNone(yield* lookup(host, action, pool, rootMarker(vmId, operationId)))) {
      return yield* failure(
        host,
        action,
        `${vol.value.key} is there already and was not made by this operation, so it is left alone: move it away to have the name free`
      )
    }
    const found = described.value
    const same =
      found.format === "qcow2" &&
      found.capacity === wanted.capacity &&
      found.backing?.path === wanted.backing.path &&
      found.backing.format === wanted.backing.format
    if (same) return vol
    const [user] = yield* usersOf(host, action, vol.value.key)
    if (user === undefined) return Option.none<File>()
    return yield* failure(
      host,
      action,
      `${rootName(vmId)} is there already with another size or image, and the running domain ${user} uses it`
    )
  })

  const createRoot = Effect.fn("Storage.createRoot")(function* (host: Host, root: RootRequest) {
    const { image, operationId, size, vmId } = root
    const action = `create the root disk of vm-${vmId}`
    const content = yield* images.resolve(image)
    const attempt = Effect.gen(function* () {
      yield* ensureContent(host, image, content)
      const pool = yield* ready(host, action)
      const below = yield* lookup(host, action, pool, imageName(content))
      if (Option.isNone(below)) {
        return yield* failure(host, action, `${imageName(content)} vanished from the pool "${StorageDirPool.poolName}"`)
      }
      const wanted = {
        capacity: rootCapacity(size, content.virtualSize),
        backing: { path: below.value.key, format: content.format }
      }
      const kept = yield* keepable(host, action, pool, root, wanted)
      if (Option.isSome(kept)) return kept.value
      const overlay = StorageXml.overlayVolume(rootName(vmId), wanted.capacity, wanted.backing)
      return yield* claimed(
        host,
        action,
        pool,
        { marker: rootMarker(vmId, operationId), name: rootName(vmId) },
        Effect.zipRight(remove(host, action, pool, rootName(vmId)), create(host, action, pool, overlay))
      )
    }).pipe(copies.using(copyOf(host, content.sha256)))
    const vol = yield* attempt.pipe(
      // The list may not be what is in the folder: files may have been removed or added by hand. Looked at again, and tried once more.
      Effect.catchTag("HostFailure", (first) =>
        Effect.gen(function* () {
          const pool = yield* ready(host, action)
          yield* refresh(host, action, pool)
          yield* Effect.logDebug("trying once more with the folder as it is").pipe(
            Effect.annotateLogs({ host: host.name, vmId, reason: first.message })
          )
          return yield* attempt
        })
      )
    )
    const disk: DiskSource = { _tag: "File", path: vol.key, format: "qcow2", serial: rootSerial(vmId) }
    return disk
  })

  const describeRoot = (host: Host, vmId: VmId): Effect.Effect<DiskSource> =>
    Effect.succeed({
      _tag: "File",
      path: StorageDirPool.pathOf(host, rootName(vmId)),
      format: "qcow2",
      serial: rootSerial(vmId)
    })

  const openRoot = Effect.fn("Storage.openRoot")(function* (host: Host, vmId: VmId) {
    const action = `open the root disk of vm-${vmId}`
    const pool = yield* ready(host, action)
    // what others did to the folder counts
    yield* refresh(host, action, pool)
    const file = yield* lookup(host, action, pool, rootName(vmId))
    if (Option.isNone(file)) {
      return yield* failure(host, action, `there is no ${rootName(vmId)} in ${host.config.path}: ${withoutRoot}`)
    }
    const users = yield* usersOf(host, action, file.value.key)
    if (users.length > 0) return yield* failure(host, action, `${users.join(", ")} has it open: stop that first`)
    return yield* describeRoot(host, vmId)
  })

  const deleteRoot = Effect.fn("Storage.deleteRoot")(function* (host: Host, vmId: VmId, madeBy?: OperationId) {
    const action = `delete the root disk of vm-${vmId}`
    const pool = yield* ready(host, action)
    const files = yield* list(host, action, pool)
    const markers = files.filter(({ name }) => name.startsWith(`vm-${vmId}-root.operation-`))
    if (madeBy !== undefined && !markers.some(({ name }) => name === rootMarker(vmId, madeBy))) return
    const vol = files.find(({ name }) => name === rootName(vmId))
    if (vol !== undefined) {
      // a guest would go on writing into a file that has no name any more, and lose it all at its end
      const owner = yield* unless(host, action, "DOMAIN_LOOKUP_BY_NAME", { name: `vm-${vmId}` }, code.noDomain)
      if (Option.isSome(owner) && owner.value.dom.id !== -1 && (yield* uses(host, action, owner.value.dom, vol.key))) {
        return yield* failure(host, action, `vm-${vmId} runs from it`)
      }
      yield* remove(host, action, pool, vol.name)
    }
    // the markers last: without them the disk would be taken for another's
    for (const { name } of markers) yield* remove(host, action, pool, name)
  })

  const listRoots = Effect.fn("Storage.listRoots")(function* (host: Host) {
    const action = "list its root disks"
    const files = yield* list(host, action, yield* ready(host, action))
    return files.flatMap(({ name }): ReadonlyArray<VmId> => {
      const id = Number(rootPattern.exec(name)?.[1])
      return Number.isSafeInteger(id) ? [VmId.make(id)] : []
    })
  })

  const { files, volumes } = StorageDirVolumes.make(libvirt, folder, options)

  return {
    prepare: Effect.fn("Storage.prepare")((host: Host) =>
      Effect.map(preparePool(host), ({ capacity }) => ({ capacity }))
    ),
    driver: {
      name: "dir",
      pool: null,
      usage: Effect.succeedNone,
      ensureImage,
      listImages,
      removeImage,
      createRoot,
      describeRoot,
      openRoot,
      deleteRoot,
      listRoots,
      ...StorageDirSeeds.make(libvirt, folder),
      ...volumes,
      ...StorageDirDisks.make(libvirt, folder, rootName, files)
    }
  }
})
