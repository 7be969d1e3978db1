/** What every Storage must do, whatever it is made of. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Host } from "../../src/domain/Host.ts"
import { VmId } from "../../src/domain/Ids.ts"
import type { Image } from "../../src/domain/Image.ts"
import { Storage } from "../../src/services/Storage.ts"
import { ScriptedImages } from "../storage/ScriptedImages.ts"

/** A host to work on, and what can be done and seen there by hand. */
export class StorageWorld extends Context.Tag("test/StorageWorld")<
  StorageWorld,
  {
    readonly host: Host
    /** nothing answers there */
    readonly unreachable: Host
    /** raw, of some pieces, less than 1 GiB */
    readonly image: Image
    /** another content */
    readonly other: Image
    /** of 3 GiB as a guest sees it */
    readonly large: Image
    /** how many sendings have begun since the layer was built */
    readonly sendings: Effect.Effect<number>
    /** removes the image's file behind the storage's back */
    readonly loseImage: (image: Image) => Effect.Effect<void>
    /** the disk as it is: bytes a guest sees; undefined: there is none */
    readonly capacityOf: (vmId: VmId) => Effect.Effect<number | undefined>
  }
>() {}

const quiet = Logger.withMinimumLogLevel(LogLevel.Warning)
const gibibyte = 1024 ** 3
const vm = (id: number) => VmId.make(id)
const withPath = (host: Host, path: string) => new Host({ ...host, config: { ...host.config, path } })

export const storageContract = <E>(name: string, layer: Layer.Layer<Storage | StorageWorld | ScriptedImages, E>) =>
  describe(`Storage: ${name}`, () => {
    const world = Effect.all({ storage: Storage, world: StorageWorld, images: ScriptedImages })

    it.live("prepare gives the whole size, again and again", () =>
      Effect.gen(function* () {
        const {
          storage,
          world: { host }
        } = yield* world
        const first = yield* storage.prepare(host)
        assert.isAbove(first.capacity, gibibyte)
        const more = yield* Effect.all(
          Array.from({ length: 5 }, () => storage.prepare(host)),
          { concurrency: "unbounded" }
        )
        for (const again of more) assert.strictEqual(again.capacity, first.capacity)
      }).pipe(quiet, Effect.provide(layer))
    )

    it.live("prepare refuses another folder than the one in use, naming both", () =>
      Effect.gen(function* () {
        const {
          storage,
          world: { host }
        } = yield* world
        yield* storage.prepare(host)
        const error = yield* Effect.flip(storage.prepare(withPath(host, "/srv/elsewhere")))
        assert.strictEqual(error._tag, "HostFailure")
        assert.include(error.message, host.config.path)
        assert.include(error.message, "/srv/elsewhere")
      }).pipe(quiet, Effect.provide(layer))
    )

    it.live("an image is sent once, also when ten ask at the same time", () =>
      Effect.gen(function* () {
        const {
          storage,
          world: { host, image, sendings }
        } = yield* world
        yield* Effect.all(
          Array.from({ length: 10 }, () => storage.ensureImage(host, image)),
          { concurrency: "unbounded" }
        )
        yield* storage.ensureImage(host, image)
        assert.strictEqual(yield* sendings, 1)
      }).pipe(quiet, Effect.provide(layer))
    )

    it.live("whoever waits for an image gets it, even when the one who asked first goes away", () =>
      Effect.gen(function* () {
        const {
          images,
          storage,
          world: { host, image, sendings }
        } = yield* world
        yield* images.hold
        const first = yield* Effect.fork(storage.ensureImage(host, image))
        yield* images.reading
        const second = yield* Effect.fork(storage.ensureImage(host, image))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(first)
        yield* images.release
        yield* Fiber.join(second)
        assert.strictEqual(yield* sendings, 1)
      }).pipe(quiet, Effect.provide(layer))
    )

    it.live("a sending that broke off fails for all who wait, and is done again by the next", () =>
      Effect.gen(function* () {
        const {
          images,
          storage,
          world: { host, image, sendings }
        } = yield* world
        yield* images.breakNext
        const both = yield* Effect.all(
          [1, 2].map(() => Effect.either(storage.ensureImage(host, image))),
          {
            concurrency: "unbounded"
          }
        )
        for (const one of both) assert.strictEqual(Either.isLeft(one) ? one.left._tag : "sent", "ImageRefused")
        yield* storage.ensureImage(host, image)
        yield* storage.ensureImage(host, image)
        assert.strictEqual(yield* sendings, 2)
      }).pipe(quiet, Effect.provide(layer))
    )

    it.live("a root disk has the type's size", () =>
      Effect.gen(function* () {
        const {
          storage,
          world: { capacityOf, host, image }
        } = yield* world
        const disk = yield* storage.createRoot(host, { vmId: vm(7), image, size: 2 })
        assert.deepStrictEqual(disk, {
          path: `${host.config.path}/vm-7-root.qcow2`,
          format: "qcow2",
          serial: "vm-7-root"
        })
        assert.strictEqual(yield* capacityOf(vm(7)), 2 * gibibyte)
      }).pipe(quiet, Effect.provide(layer))
    )

    it.live("a root disk is never smaller than its image", () =>
      Effect.gen(function* () {
        const {
          storage,
          world: { capacityOf, host, large }
        } = yield* world
        yield* storage.createRoot(host, { vmId: vm(7), image: large, size: 1 })
        assert.strictEqual(yield* capacityOf(vm(7)), 3 * gibibyte)
      }).pipe(quiet, Effect.provide(layer))
    )

    it.live("the serial of the largest id fits the 20 characters there are", () =>
      Effect.gen(function* () {
        const {
          storage,
          world: { host, image }
        } = yield* world
        const disk = yield* storage.createRoot(host, { vmId: vm(Number.MAX_SAFE_INTEGER), image, size: 1 })
        assert.isAtMost(disk.serial.length, 20)
        assert.include(disk.serial, String(Number.MAX_SAFE_INTEGER))
        yield* storage.deleteRoot(host, vm(Number.MAX_SAFE_INTEGER))
      }).pipe(quiet, Effect.provide(layer))
    )

    it.live("a root disk that is there is kept, one that is not as wanted is made anew", () =>
      Effect.gen(function* () {
        const {
          storage,
          world: { capacityOf, host, image, other }
        } = yield* world
        const first = yield* storage.createRoot(host, { vmId: vm(7), image, size: 2 })
        assert.deepStrictEqual(yield* storage.createRoot(host, { vmId: vm(7), image, size: 2 }), first)
        assert.strictEqual(yield* capacityOf(vm(7)), 2 * gibibyte)
        yield* storage.createRoot(host, { vmId: vm(7), image, size: 3 })
        assert.strictEqual(yield* capacityOf(vm(7)), 3 * gibibyte)
        yield* storage.createRoot(host, { vmId: vm(7), image: other, size: 3 })
        assert.strictEqual(yield* capacityOf(vm(7)), 3 * gibibyte)
        assert.deepStrictEqual(yield* storage.listRoots(host), [vm(7)])
      }).pipe(quiet, Effect.provide(layer))
    )

    it.live("root disks are listed and deleted; deleting what is not there is fine", () =>
      Effect.gen(function* () {
        const {
          storage,
          world: { capacityOf, host, image }
        } = yield* world
        assert.deepStrictEqual(yield* storage.listRoots(host), [])
        yield* storage.deleteRoot(host, vm(7))
        yield* Effect.all(
          [7, 8, 21].map((id) => storage.createRoot(host, { vmId: vm(id), image, size: 1 })),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          [...(yield* storage.listRoots(host))].sort((a, b) => a - b),
          [7, 8, 21].map(vm)
        )
        yield* storage.deleteRoot(host, vm(8))
        yield* storage.deleteRoot(host, vm(8))
        assert.strictEqual(yield* capacityOf(vm(8)), undefined)
        assert.deepStrictEqual(
          [...(yield* storage.listRoots(host))].sort((a, b) => a - b),
          [7, 21].map(vm)
        )
      }).pipe(quiet, Effect.provide(layer))
    )

    it.live("an image that was removed by hand is sent again when a disk needs it", () =>
      Effect.gen(function* () {
        const {
          storage,
          world: { capacityOf, host, image, loseImage, sendings }
        } = yield* world
        yield* storage.ensureImage(host, image)
        yield* loseImage(image)
        yield* storage.createRoot(host, { vmId: vm(7), image, size: 1 })
        assert.strictEqual(yield* capacityOf(vm(7)), gibibyte)
        assert.strictEqual(yield* sendings, 2)
      }).pipe(quiet, Effect.provide(layer))
    )

    it.live("a host that does not answer is unreachable, and says why", () =>
      Effect.gen(function* () {
        const {
          storage,
          world: { image, unreachable }
        } = yield* world
        const errors = yield* Effect.all([
          Effect.flip(storage.prepare(unreachable)),
          Effect.flip(storage.ensureImage(unreachable, image)),
          Effect.flip(storage.createRoot(unreachable, { vmId: vm(7), image, size: 1 })),
          Effect.flip(storage.deleteRoot(unreachable, vm(7))),
          Effect.flip(storage.listRoots(unreachable))
        ])
        for (const error of errors) {
          assert.strictEqual(error._tag, "HostUnreachable")
          assert.match(error.message, /^host \S+ cannot be used: \S/)
        }
      }).pipe(quiet, Effect.provide(layer))
    )
  })
