/** The storage contract's world over any Ceph pool and any hosts that use it: simulated or real. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type { Host } from "../../src/domain/Host.ts"
import { Ceph } from "../../src/services/Ceph.ts"
import { Hypervisor } from "../../src/services/Hypervisor.ts"
import { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import { Storage, type StorageDriver, type VolumeAt } from "../../src/services/Storage.ts"
import { remove } from "../contracts/CephContract.ts"
import { StorageWorld } from "../contracts/StorageContract.ts"
import { imageNamed } from "./Given.ts"
import * as Holder from "./Holder.ts"
import type { Bytes } from "./LiveWorld.ts"

/** How many imports have begun. */
export class Imports extends Context.Tag("test/Imports")<Imports, Ref.Ref<number>>() {}

/** The same `Ceph`, its imports counted. */
export const counted = <E, R>(ceph: Layer.Layer<Ceph, E, R>) =>
  Layer.effect(
    Ceph,
    Effect.gen(function* () {
      const inner = yield* Ceph
      const imports = yield* Imports
      return Ceph.of({
        ...inner,
        importImage: (...args) =>
          Effect.zipRight(
            Ref.update(imports, (n) => n + 1),
            inner.importImage(...args)
          )
      })
    })
  ).pipe(Layer.provide(ceph), Layer.provideMerge(Layer.effect(Imports, Ref.make(0))))

/** Empties the pool of the images with such names. */
export const clear = (ceph: Ceph["Type"], which: (name: string) => boolean = () => true) =>
  Effect.gen(function* () {
    // under names that no image has, so that they can be removed as those are
    for (const { id, name } of yield* ceph.trash) if (which(name)) yield* ceph.restore(id, `${name}.trashed-${id}`)
    for (const image of yield* ceph.list) if (which(image)) yield* remove(ceph, image)
  })

export const layer = <R, R2>(options: {
  readonly host: Host
  readonly elsewhere: Host
  readonly unreachable: Host
  /** over a Ceph that does not answer */
  readonly silent: Effect.Effect<StorageDriver, never, R>
  /** by the image's name */
  readonly bytes: Effect.Effect<Bytes, never, R2>
}) =>
  Layer.scoped(
    StorageWorld,
    Effect.gen(function* () {
      const hypervisor = yield* Hypervisor
      const ceph = yield* Ceph
      const images = yield* ImageLibrary
      const imports = yield* Imports
      const driver = (yield* Storage).driver("rbd")
      const bytes = yield* options.bytes
      const { elsewhere, host, unreachable } = options
      const imageOf = ({ id }: VolumeAt) => `volume-${id}`
      yield* Effect.acquireRelease(clear(ceph), () => Effect.orDie(clear(ceph)))
      return {
        host,
        elsewhere,
        unreachable,
        silent: yield* options.silent,
        image: imageNamed("small"),
        other: imageNamed("other"),
        large: imageNamed("large"),
        sendings: Ref.get(imports),
        loseImage: (image) =>
          images.resolve(image).pipe(
            Effect.flatMap(({ sha256 }) => remove(ceph, `image-${sha256}`)),
            Effect.orDie
          ),
        capacityOf: (vmId) =>
          ceph
            .look(`vm-${vmId}-root`)
            .pipe(Effect.map(Option.match({ onNone: () => undefined, onSome: ({ size }) => size })), Effect.orDie),
        seedOf: (vmId) => bytes.start(`vm-${vmId}-seed`),
        write: (volume, byte) => bytes.write(imageOf(volume), byte),
        read: (volume) => bytes.read(imageOf(volume)),
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
