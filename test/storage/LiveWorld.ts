/** The storage contract's world on any hosts that speak libvirt: simulated or real. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as StorageLive from "../../layers/StorageLive.ts"
import type { Host } from "../../src/domain/Host.ts"
import * as HostErrors from "../../src/libvirt/HostErrors.ts"
import * as StorageXml from "../../src/libvirt/StorageXml.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import * as Either from "effect/Either"
import { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import { Libvirt } from "../../src/services/Libvirt.ts"
import { Ssh } from "../../src/services/Ssh.ts"
import { StorageWorld } from "../contracts/StorageContract.ts"
import { imageNamed } from "./Given.ts"

/** How many uploads have begun. */
export class Uploads extends Context.Tag("test/Uploads")<Uploads, Ref.Ref<number>>() {}

/** The same `Libvirt`, its uploads counted. */
export const counted = <E, R>(libvirt: Layer.Layer<Libvirt, E, R>) =>
  Layer.effect(
    Libvirt,
    Effect.gen(function* () {
      const inner = yield* Libvirt
      const uploads = yield* Uploads
      return Libvirt.of({
        ...inner,
        upload: (...args) =>
          Effect.zipRight(
            Ref.update(uploads, (n) => n + 1),
            inner.upload(...args)
          )
      })
    })
  ).pipe(Layer.provide(libvirt), Layer.provideMerge(Layer.effect(Uploads, Ref.make(0))))

/** Takes our pool away with everything in it. */
export const clear = Effect.fn(function* (host: Host) {
  const libvirt = yield* Libvirt
  const address = host.config.address
  const found = yield* Effect.option(
    libvirt.call(address, "STORAGE_POOL_LOOKUP_BY_NAME", { name: StorageLive.poolName })
  )
  if (found._tag === "None") return
  const { pool } = found.value
  const { active } = yield* libvirt.call(address, "STORAGE_POOL_IS_ACTIVE", { pool })
  if (active === 1) {
    yield* libvirt.call(address, "STORAGE_POOL_REFRESH", { pool, flags: 0 })
    const { vols } = yield* libvirt.call(address, "STORAGE_POOL_LIST_ALL_VOLUMES", { pool, need_results: 1, flags: 0 })
    for (const vol of vols) yield* libvirt.call(address, "STORAGE_VOL_DELETE", { vol, flags: 0 })
    yield* libvirt.call(address, "STORAGE_POOL_DESTROY", { pool })
    yield* libvirt.call(address, "STORAGE_POOL_DELETE", { pool, flags: 0 })
  }
  yield* libvirt.call(address, "STORAGE_POOL_UNDEFINE", { pool })
})

export const layer = (options: { readonly host: Host; readonly unreachable: Host }) =>
  Layer.scoped(
    StorageWorld,
    Effect.gen(function* () {
      const libvirt = yield* Libvirt
      const ssh = yield* Ssh
      const images = yield* ImageLibrary
      const uploads = yield* Uploads
      const { host } = options
      const address = host.config.address
      yield* Effect.acquireRelease(clear(host), () => Effect.orDie(clear(host)))
      return {
        ...options,
        image: imageNamed("small"),
        other: imageNamed("other"),
        large: imageNamed("large"),
        sendings: Ref.get(uploads),
        loseImage: (image) =>
          Effect.gen(function* () {
            const { format, sha256 } = yield* images.resolve(image)
            yield* ssh.exec(address, ["rm", `${host.config.path}/image-${sha256}.${format}`])
          }).pipe(Effect.asVoid, Effect.orDie),
        capacityOf: (vmId) =>
          Effect.gen(function* () {
            const { pool } = yield* libvirt.call(address, "STORAGE_POOL_LOOKUP_BY_NAME", { name: StorageLive.poolName })
            yield* libvirt.call(address, "STORAGE_POOL_REFRESH", { pool, flags: 0 })
            const found = yield* Effect.either(
              libvirt.call(address, "STORAGE_VOL_LOOKUP_BY_NAME", { pool, name: `vm-${vmId}-root.qcow2` })
            )
            if (Either.isLeft(found)) {
              return found.left.refusedWith(HostErrors.code.noVolume) ? undefined : yield* found.left
            }
            const { xml } = yield* libvirt.call(address, "STORAGE_VOL_GET_XML_DESC", { vol: found.right.vol, flags: 0 })
            return StorageXml.readVolume(yield* Xml.parse(xml))?.capacity
          }).pipe(Effect.orDie)
      }
    })
  )
