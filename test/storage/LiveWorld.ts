/** The storage contract's world on any hosts that speak libvirt: simulated or real. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { poolName } from "../../layers/StorageDirPool.ts"
import type { Host } from "../../src/domain/Host.ts"
import * as HostErrors from "../../src/libvirt/HostErrors.ts"
import * as StorageXml from "../../src/libvirt/StorageXml.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import { Hypervisor } from "../../src/services/Hypervisor.ts"
import { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import { Libvirt } from "../../src/services/Libvirt.ts"
import { Ssh } from "../../src/services/Ssh.ts"
import { Storage, type VolumeAt } from "../../src/services/Storage.ts"
import { StorageWorld } from "../contracts/StorageContract.ts"
import { imageNamed } from "./Given.ts"
import * as Holder from "./Holder.ts"

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
  const found = yield* Effect.option(libvirt.call(address, "STORAGE_POOL_LOOKUP_BY_NAME", { name: poolName }))
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

/** What a guest would have written at some place of a qcow2 file. */
export interface Bytes {
  readonly write: (path: string, byte: number) => Effect.Effect<void>
  readonly read: (path: string) => Effect.Effect<number>
  /** the first 64 KiB or more of a raw one; undefined: there is none */
  readonly start: (path: string) => Effect.Effect<Uint8Array | undefined>
}

export const layer = <R>(options: {
  readonly host: Host
  readonly elsewhere: Host
  readonly unreachable: Host
  readonly bytes: Effect.Effect<Bytes, never, R>
}) =>
  Layer.scoped(
    StorageWorld,
    Effect.gen(function* () {
      const hypervisor = yield* Hypervisor
      const libvirt = yield* Libvirt
      const ssh = yield* Ssh
      const images = yield* ImageLibrary
      const uploads = yield* Uploads
      const driver = (yield* Storage).driver("dir")
      const bytes = yield* options.bytes
      const { elsewhere, host, unreachable } = options
      const address = host.config.address
      const fileOf = ({ id }: VolumeAt) => `${host.config.path}/volume-${id}.qcow2`
      yield* Effect.acquireRelease(clear(host), () => Effect.orDie(clear(host)))
      return {
        host,
        elsewhere,
        unreachable,
        silent: driver,
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
            const { pool } = yield* libvirt.call(address, "STORAGE_POOL_LOOKUP_BY_NAME", { name: poolName })
            yield* libvirt.call(address, "STORAGE_POOL_REFRESH", { pool, flags: 0 })
            const found = yield* Effect.either(
              libvirt.call(address, "STORAGE_VOL_LOOKUP_BY_NAME", { pool, name: `vm-${vmId}-root.qcow2` })
            )
            if (Either.isLeft(found)) {
              return found.left.refusedWith(HostErrors.code.noVolume) ? undefined : yield* found.left
            }
            const { xml } = yield* libvirt.call(address, "STORAGE_VOL_GET_XML_DESC", { vol: found.right.vol, flags: 0 })
            return StorageXml.readVolume(yield* Xml.parse(xml))?.capacity
          }).pipe(Effect.orDie),
        seedOf: (vmId) => bytes.start(`${host.config.path}/vm-${vmId}-seed.iso`),
        write: (volume, byte) => bytes.write(fileOf(volume), byte),
        read: (volume) => bytes.read(fileOf(volume)),
        marks: (byte) => Buffer.alloc(512, byte),
        hold: (volume) =>
          driver.openVolume(volume, { host, domainName: "vm-99", held: false }).pipe(
            Effect.flatMap((disk) => Holder.hold(host, disk)),
            Effect.orDie,
            Effect.provideService(Hypervisor, hypervisor)
          ),
        holdRoot: (vmId) =>
          driver.describeRoot(host, vmId).pipe(
            Effect.flatMap((disk) => Holder.hold(host, disk)),
            Effect.orDie,
            Effect.provideService(Hypervisor, hypervisor)
          )
      }
    })
  )
