/**
 * Images and root disks in a folder on each host (driver `dir`), through libvirt's storage pools. Nothing runs on the host but libvirt.
 *
 * In the pool's folder there are, all named by us alone:
 *
 * - `image-<sha256>.<raw|qcow2>`: an image's file, byte for byte; named by its content, so it is never written twice.
 * - `image-<sha256>.complete`: one byte, made once the daemon has confirmed the image's end. An image without it is what is left of a
 *   sending that did not end.
 * - `vm-<vmid>-root.qcow2`: a VM's root disk, an overlay over its image.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Path from "node:path"
import type { HostError, ImageRefused } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { VmId } from "../src/domain/Ids.ts"
import type { Image, ImageContent } from "../src/domain/Image.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { code, failure, fromLibvirt, parse, render } from "../src/libvirt/HostErrors.ts"
import type { Args, Reply } from "../src/libvirt/Procedures.ts"
import * as StorageXml from "../src/libvirt/StorageXml.ts"
import type * as Xml from "../src/libvirt/Xml.ts"
import type { DiskSource } from "../src/services/Hypervisor.ts"
import { ImageLibrary } from "../src/services/ImageLibrary.ts"
import { Libvirt } from "../src/services/Libvirt.ts"
import { Storage } from "../src/services/Storage.ts"
import * as HostCalls from "./HostCalls.ts"
import * as SingleFlight from "./SingleFlight.ts"

/** The pool's name, the same on every host. @since 0.1.0 @category constants */
export const poolName = "vmfabric"

type Pool = Reply<"STORAGE_POOL_LOOKUP_BY_NAME">["pool"]
type Volume = Reply<"STORAGE_VOL_LOOKUP_BY_NAME">["vol"]

interface RootRequest {
  readonly vmId: VmId
  readonly image: Image
  /** GiB */
  readonly size: number
}

const gibibyte = 1024 ** 3
/** virConnectListAllDomainsFlags ACTIVE */
const activeDomains = 0x1

const imageName = (content: ImageContent): string => `image-${content.sha256}.${content.format}`
const markerName = (content: ImageContent): string => `image-${content.sha256}.complete`
const rootName = (vmId: VmId): string => `vm-${vmId}-root.qcow2`
const rootPattern = /^vm-([1-9][0-9]{0,15})-root\.qcow2$/

/** What the guest sees as the disk's serial: virtio-blk carries 20 characters. @since 0.1.0 @category getters */
export const rootSerial = (vmId: VmId): string => {
  const full = `vm-${vmId}-root`
  return full.length <= 20 ? full : `vm-${vmId}`
}

/** Bytes of a root disk: whole KiB, which is what libvirt passes on to qemu-img. @since 0.1.0 @category getters */
export const rootCapacity = (size: number, virtualSize: number): number =>
  Math.ceil(Math.max(size * gibibyte, virtualSize) / 1024) * 1024

// as libvirt writes a folder's path: no doubled and no last slash
const cleanPath = (path: string): string => Path.posix.normalize(path).replace(/(?<=.)\/+$/, "")

const make = Effect.gen(function* () {
  const libvirt = yield* Libvirt
  const images = yield* ImageLibrary
  const scope = yield* Effect.scope
  const preparing = SingleFlight.make<{ readonly pool: Pool; readonly capacity: number }, HostError>(scope)
  const sending = SingleFlight.make<void, HostError | ImageRefused>(scope)

  const { call, raw, unless } = HostCalls.make(libvirt)

  // ---------------------------------------------------------------------------------------------------------------- the pool

  const lookupPool = (host: Host, action: string): Effect.Effect<Option.Option<Pool>, HostError> =>
    Effect.map(
      unless(host, action, "STORAGE_POOL_LOOKUP_BY_NAME", { name: poolName }, code.noPool),
      Option.map(({ pool }) => pool)
    )

  const isActive = (host: Host, action: string, pool: Pool): Effect.Effect<boolean, HostError> =>
    Effect.map(call(host, action, "STORAGE_POOL_IS_ACTIVE", { pool }), ({ active }) => active === 1)

  const definePool = Effect.fnUntraced(function* (host: Host, action: string) {
    const xml = yield* render(host, action, StorageXml.dirPool(poolName, cleanPath(host.config.path)))
    const defined = yield* Effect.either(raw(host, "STORAGE_POOL_DEFINE_XML", { xml, flags: 0 }))
    if (defined._tag === "Right") return defined.right.pool
    // somebody else may have been quicker
    const theirs = yield* lookupPool(host, action)
    return Option.isSome(theirs) ? theirs.value : yield* fromLibvirt(host, action)(defined.left)
  })

  const checkPool = Effect.fnUntraced(function* (host: Host, action: string, pool: Pool) {
    const { xml } = yield* call(host, action, "STORAGE_POOL_GET_XML_DESC", { pool, flags: 0 })
    const found = yield* parse(host, action, xml, StorageXml.readPool)
    const path = cleanPath(host.config.path)
    if (found.type === "dir" && found.path !== null && cleanPath(found.path) === path) return
    yield* failure(
      host,
      action,
      `its storage pool "${poolName}" is ${found.type === "dir" ? "the folder" : `of type ${found.type} at`} ` +
        `${found.path ?? "no path"}, but the machine file says ${path}`
    )
  })

  // BUILD makes the folder and is fine with one that is there
  const startPool = Effect.fnUntraced(function* (host: Host, action: string, pool: Pool) {
    yield* unless(host, action, "STORAGE_POOL_BUILD", { pool, flags: 0 }, code.operationInvalid)
    yield* unless(host, action, "STORAGE_POOL_CREATE", { pool, flags: 0 }, code.operationInvalid)
    yield* call(host, action, "STORAGE_POOL_SET_AUTOSTART", { pool, autostart: 1 })
  })

  // Looks at the folder again. Code 1: a volume is being written at this moment, then the list is as good as it gets. A pool whose folder
  // cannot be read is stopped by libvirt, so it is started anew.
  const refresh = (host: Host, action: string, pool: Pool): Effect.Effect<void, HostError> =>
    raw(host, "STORAGE_POOL_REFRESH", { pool, flags: 0 }).pipe(
      Effect.asVoid,
      Effect.catchIf(
        (error) => error.refusedWith(code.internal),
        () => Effect.void
      ),
      Effect.catchIf(
        (error) => error.refusedWith(code.system) || error.refusedWith(code.operationInvalid),
        () => startPool(host, action, pool)
      ),
      Effect.mapError((error) => (error._tag === "LibvirtError" ? fromLibvirt(host, action)(error) : error))
    )

  const preparePool = (host: Host) =>
    preparing(
      host.name,
      Effect.gen(function* () {
        const action = "prepare its storage"
        const found = yield* lookupPool(host, action)
        const pool = Option.isSome(found) ? found.value : yield* definePool(host, action)
        yield* checkPool(host, action, pool)
        if (yield* isActive(host, action, pool)) yield* refresh(host, action, pool)
        else yield* startPool(host, action, pool)
        const info = yield* call(host, action, "STORAGE_POOL_GET_INFO", { pool })
        return { pool, capacity: Number(info.capacity) }
      })
    )

  /** The pool, prepared when it is not (any more). */
  const ready = Effect.fnUntraced(function* (host: Host, action: string) {
    const found = yield* lookupPool(host, action)
    if (Option.isSome(found) && (yield* isActive(host, action, found.value))) return found.value
    return (yield* preparePool(host)).pool
  })

  // -------------------------------------------------------------------------------------------------------------- its volumes

  const lookup = (
    host: Host,
    action: string,
    pool: Pool,
    name: string
  ): Effect.Effect<Option.Option<Volume>, HostError> =>
    Effect.map(
      unless(host, action, "STORAGE_VOL_LOOKUP_BY_NAME", { pool, name }, code.noVolume),
      Option.map(({ vol }) => vol)
    )

  const remove = (host: Host, action: string, pool: Pool, name: string): Effect.Effect<void, HostError> =>
    Effect.flatMap(
      lookup(host, action, pool, name),
      Option.match({
        onNone: () => Effect.void,
        onSome: (vol) => Effect.asVoid(unless(host, action, "STORAGE_VOL_DELETE", { vol, flags: 0 }, code.noVolume))
      })
    )

  const create = Effect.fnUntraced(function* (host: Host, action: string, pool: Pool, volume: Xml.Element) {
    const xml = yield* render(host, action, volume)
    const { vol } = yield* call(host, action, "STORAGE_VOL_CREATE_XML", { pool, xml, flags: 0 })
    return vol
  })

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

  const withProgress = <E>(host: Host, image: Image, content: ImageContent, source: Stream.Stream<Uint8Array, E>) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const total = content.fileSize
        let sent = 0
        let toldPercent = 0
        let toldAt = yield* Clock.currentTimeMillis
        return Stream.tap(source, (bytes) =>
          Effect.gen(function* () {
            sent += bytes.length
            const percent = total === 0 ? 100 : Math.floor((sent / total) * 100)
            const now = yield* Clock.currentTimeMillis
            // every 10 percent but no second twice, and every 5 seconds
            if (now < toldAt + (percent < toldPercent + 10 ? 5000 : 1000)) return
            toldPercent = percent
            toldAt = now
            yield* Effect.logInfo("sending image").pipe(
              Effect.annotateLogs({ host: host.name, image: image.config.name, percent, bytes: sent })
            )
          })
        )
      })
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
        withProgress(host, image, content, images.read(image, content))
      )
      .pipe(
        Effect.mapError((error) => (error._tag === "LibvirtError" ? fromLibvirt(host, action)(error) : error)),
        Effect.tapError((error) =>
          error._tag === "HostUnreachable" ? Effect.void : discard(host, action, pool, content)
        )
      )
    yield* create(host, action, pool, StorageXml.rawVolume(markerName(content), 1))
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
    sending(`${host.name} ${content.sha256}`, send(host, image, content))

  const ensureImage = Effect.fn("Storage.ensureImage")(function* (host: Host, image: Image) {
    const content = yield* images.resolve(image)
    yield* ensureContent(host, image, content)
  })

  // --------------------------------------------------------------------------------------------------------------- root disks

  /** The disk's volume when it can stay as it is. None: there is none, or it is another than is wanted and may go. */
  const keepable = Effect.fnUntraced(function* (
    host: Host,
    action: string,
    pool: Pool,
    vmId: VmId,
    wanted: { readonly capacity: number; readonly backing: StorageXml.Backing }
  ) {
    const vol = yield* lookup(host, action, pool, rootName(vmId))
    if (Option.isNone(vol)) return Option.none<Volume>()
    const described = yield* unless(
      host,
      action,
      "STORAGE_VOL_GET_XML_DESC",
      { vol: vol.value, flags: 0 },
      code.noVolume,
      // its file has gone
      code.system
    )
    if (Option.isNone(described)) return Option.none<Volume>()
    const found = yield* parse(host, action, described.value.xml, StorageXml.readVolume)
    const same =
      found.format === "qcow2" &&
      found.capacity === wanted.capacity &&
      found.backing?.path === wanted.backing.path &&
      found.backing.format === wanted.backing.format
    if (same) return vol
    const user = yield* userOf(host, action, vol.value.key)
    if (Option.isNone(user)) return Option.none<Volume>()
    return yield* failure(
      host,
      action,
      `${rootName(vmId)} is there already with another size or image, and the running domain ${user.value} uses it`
    )
  })

  /** The running domain that has the file open as a disk or below one. */
  const userOf = Effect.fnUntraced(function* (host: Host, action: string, path: string) {
    const { domains } = yield* call(host, action, "CONNECT_LIST_ALL_DOMAINS", { need_results: 1, flags: activeDomains })
    for (const dom of domains) if (yield* uses(host, action, dom, path)) return Option.some(dom.name)
    return Option.none<string>()
  })

  const uses = Effect.fnUntraced(function* (
    host: Host,
    action: string,
    dom: Args<"DOMAIN_GET_XML_DESC">["dom"],
    path: string
  ) {
    const described = yield* unless(host, action, "DOMAIN_GET_XML_DESC", { dom, flags: 0 }, code.noDomain)
    if (Option.isNone(described)) return false
    const disks = yield* parse(host, action, described.value.xml, DomainXml.disks)
    return disks.some((disk) => disk.path === path || disk.backing.includes(path))
  })

  const createRoot = Effect.fn("Storage.createRoot")(function* (host: Host, { image, size, vmId }: RootRequest) {
    const action = `create the root disk of vm-${vmId}`
    const content = yield* images.resolve(image)
    const attempt = Effect.gen(function* () {
      yield* ensureContent(host, image, content)
      const pool = yield* ready(host, action)
      const below = yield* lookup(host, action, pool, imageName(content))
      if (Option.isNone(below)) {
        return yield* failure(host, action, `${imageName(content)} vanished from the pool "${poolName}"`)
      }
      const wanted = {
        capacity: rootCapacity(size, content.virtualSize),
        backing: { path: below.value.key, format: content.format }
      }
      const kept = yield* keepable(host, action, pool, vmId, wanted)
      if (Option.isSome(kept)) return kept.value
      yield* remove(host, action, pool, rootName(vmId))
      return yield* create(
        host,
        action,
        pool,
        StorageXml.overlayVolume(rootName(vmId), wanted.capacity, wanted.backing)
      )
    })
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
    const disk: DiskSource = { path: vol.key, format: "qcow2", serial: rootSerial(vmId) }
    return disk
  })

  const deleteRoot = Effect.fn("Storage.deleteRoot")(function* (host: Host, vmId: VmId) {
    const action = `delete the root disk of vm-${vmId}`
    const pool = yield* ready(host, action)
    const vol = yield* lookup(host, action, pool, rootName(vmId))
    if (Option.isNone(vol)) return
    // a guest would go on writing into a file that has no name any more, and lose it all at its end
    const owner = yield* unless(host, action, "DOMAIN_LOOKUP_BY_NAME", { name: `vm-${vmId}` }, code.noDomain)
    if (
      Option.isSome(owner) &&
      owner.value.dom.id !== -1 &&
      (yield* uses(host, action, owner.value.dom, vol.value.key))
    ) {
      return yield* failure(host, action, `vm-${vmId} runs from it`)
    }
    yield* unless(host, action, "STORAGE_VOL_DELETE", { vol: vol.value, flags: 0 }, code.noVolume)
  })

  const listRoots = Effect.fn("Storage.listRoots")(function* (host: Host) {
    const action = "list its root disks"
    const pool = yield* ready(host, action)
    const { vols } = yield* call(host, action, "STORAGE_POOL_LIST_ALL_VOLUMES", { pool, need_results: 1, flags: 0 })
    return vols.flatMap(({ name }): ReadonlyArray<VmId> => {
      const id = Number(rootPattern.exec(name)?.[1])
      return Number.isSafeInteger(id) ? [VmId.make(id)] : []
    })
  })

  return Storage.of({
    prepare: Effect.fn("Storage.prepare")((host: Host) =>
      Effect.map(preparePool(host), ({ capacity }) => ({ capacity }))
    ),
    ensureImage,
    createRoot,
    deleteRoot,
    listRoots
  })
})

/** Storage in a folder on each host. Copies that are under way end with the layer. @since 0.1.0 @category layers */
export const layerDir: Layer.Layer<Storage, never, Libvirt | ImageLibrary> = Layer.scoped(Storage, make)
