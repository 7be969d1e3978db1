/** What every storage driver must do, whatever it is made of. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Iso9660 from "../../src/cloudinit/Iso9660.ts"
import * as Seed from "../../src/cloudinit/Seed.ts"
import { usual } from "../../src/domain/CloudInit.ts"
import { Host } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, SnapshotId, VmId, VolumeId } from "../../src/domain/Ids.ts"
import type { Image } from "../../src/domain/Image.ts"
import * as ImageHeader from "../../src/domain/ImageHeader.ts"
import {
  type DiskAt,
  type RootRequest,
  type SeedRequest,
  Storage,
  type StorageDriver,
  type VolumeAt
} from "../../src/services/Storage.ts"
import { ScriptedImages } from "../storage/ScriptedImages.ts"

/** Hosts to work on, and what can be done and seen there by hand. */
export class StorageWorld extends Context.Tag("test/StorageWorld")<
  StorageWorld,
  {
    readonly host: Host
    /** another one */
    readonly elsewhere: Host
    /** nothing answers there */
    readonly unreachable: Host
    /** the driver over something that does not answer */
    readonly silent: StorageDriver
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
    /** the VM's seed, 64 KiB of it or more; undefined: there is none */
    readonly seedOf: (vmId: VmId) => Effect.Effect<Uint8Array | undefined>
    /** writes the byte where `read` looks for it, as a guest would */
    readonly write: (volume: VolumeAt, byte: number) => Effect.Effect<void>
    readonly read: (volume: VolumeAt) => Effect.Effect<number>
    /** what such a byte is in a file of the disk */
    readonly marks: (byte: number) => Buffer
    /** runs a domain on the host that has the volume open, until the scope ends; gives the domain's name */
    readonly hold: (volume: VolumeAt) => Effect.Effect<string, never, Scope.Scope>
    /** the same with the root disk of a VM */
    readonly holdRoot: (vmId: VmId) => Effect.Effect<string, never, Scope.Scope>
  }
>() {}

const quiet = Logger.withMinimumLogLevel(LogLevel.Warning)
const gibibyte = 1024 ** 3
const vm = (id: number) => VmId.make(id)
const uuid = DomainUuid.make("6f1d8c1e-2b41-4c0e-9d5c-0b6b8e0f5a11")
const withPath = (host: Host, path: string) => new Host({ ...host, config: { ...host.config, path } })
const snapshot = (id: number) => SnapshotId.make(id)
/** the n-th operation */
const operation = (n: number) =>
  OperationId.make(`0d9e8c7b-6a5f-4e3d-8c2b-${(n % 16 ** 12).toString(16).padStart(12, "0")}`)
const byNumber = <A extends number>(ids: ReadonlyArray<A>) => [...ids].sort((a, b) => a - b)

const tagOf = (error: unknown): unknown => Reflect.get(Object(error), "_tag")
const sentenceOf = (error: unknown): string => String(Reflect.get(Object(error), "message"))

export interface Given {
  readonly name: string
  /** whether all hosts share what the driver keeps */
  readonly shared: boolean
}

export const storageContract = <E>(
  { name, shared }: Given,
  layer: Layer.Layer<Storage | StorageWorld | ScriptedImages, E>
) =>
  describe(`Storage: ${name}`, () => {
    const world = Effect.gen(function* () {
      const storage = yield* Storage
      const world = yield* StorageWorld
      const { host } = world
      const driver = storage.preferred
      const root = (id: number, image: Image, size: number, operationId = operation(id)): RootRequest => ({
        vmId: vm(id),
        image,
        size,
        operationId
      })
      const at = (id: number): VolumeAt => ({ id: VolumeId.make(id), host: shared ? null : host })
      /** a volume of its own operation, `size` GiB */
      const create = (id: number, size = 1, source: readonly [volume: number, snapshot: number] | null = null) =>
        driver.createVolume(at(id), {
          size,
          name: `volume number ${id}`,
          operationId: operation(id),
          source: source === null ? null : { volumeId: VolumeId.make(source[0]), snapshotId: snapshot(source[1]) }
        })
      const sizeOf = (id: number) => Effect.map(driver.volumeSize(at(id)), Option.getOrUndefined)
      const volumes = Effect.map(driver.listVolumes(shared ? null : host), byNumber)
      /** the sentence it fails with */
      const refused = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.map(Effect.flip(effect), (error) => {
          assert.strictEqual(tagOf(error), shared ? "StorageFailure" : "HostFailure")
          return sentenceOf(error)
        })
      return { storage, driver, images: yield* ScriptedImages, world, host, root, at, create, sizeOf, volumes, refused }
    })

    const test = <A, E2>(
      title: string,
      body: (at: Effect.Effect.Success<typeof world>) => Effect.Effect<A, E2, Scope.Scope>
    ) =>
      // the scope closes before the layer does, so that what is cleared up still has it
      it.live(title, () => Effect.flatMap(world, body).pipe(Effect.scoped, quiet, Effect.provide(layer)))

    describe("the hosts' own folders", () => {
      test("are prepared again and again, and give their whole size", ({ host, storage }) =>
        Effect.gen(function* () {
          const first = yield* storage.prepare(host)
          assert.isAbove(first.capacity, gibibyte)
          const more = yield* Effect.all(
            Array.from({ length: 5 }, () => storage.prepare(host)),
            { concurrency: "unbounded" }
          )
          for (const again of more) assert.strictEqual(again.capacity, first.capacity)
        }))

      test("are never others than those in use, and the error names both", ({ host, storage }) =>
        Effect.gen(function* () {
          yield* storage.prepare(host)
          const error = yield* Effect.flip(storage.prepare(withPath(host, "/srv/elsewhere")))
          assert.strictEqual(error._tag, "HostFailure")
          assert.include(error.message, host.config.path)
          assert.include(error.message, "/srv/elsewhere")
        }))
    })

    describe("an image", () => {
      test("is sent once, also when ten ask at the same time", ({ driver, host, world: { image, sendings } }) =>
        Effect.gen(function* () {
          yield* Effect.all(
            Array.from({ length: 10 }, () => driver.ensureImage(host, image)),
            { concurrency: "unbounded" }
          )
          yield* driver.ensureImage(host, image)
          assert.strictEqual(yield* sendings, 1)
        }))

      test("comes to whoever waits for it, even when the one who asked first goes away", ({
        driver,
        host,
        images,
        world: { image, sendings }
      }) =>
        Effect.gen(function* () {
          yield* images.hold
          const first = yield* Effect.fork(driver.ensureImage(host, image))
          yield* images.reading
          const second = yield* Effect.fork(driver.ensureImage(host, image))
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(first)
          yield* images.release
          yield* Fiber.join(second)
          assert.strictEqual(yield* sendings, 1)
        }))

      test("whose sending broke off fails for all who wait, and is sent again by the next", ({
        driver,
        host,
        images,
        world: { image, sendings }
      }) =>
        Effect.gen(function* () {
          yield* images.breakNext
          const both = yield* Effect.all(
            [1, 2].map(() => Effect.either(driver.ensureImage(host, image))),
            { concurrency: "unbounded" }
          )
          for (const one of both) assert.strictEqual(Either.isLeft(one) ? one.left._tag : "sent", "ImageRefused")
          yield* driver.ensureImage(host, image)
          yield* driver.ensureImage(host, image)
          assert.strictEqual(yield* sendings, 2)
        }))

      test("that was removed by hand is sent again when a disk needs it", ({
        driver,
        host,
        root,
        world: { capacityOf, image, loseImage, sendings }
      }) =>
        Effect.gen(function* () {
          yield* driver.ensureImage(host, image)
          yield* loseImage(image)
          yield* driver.createRoot(host, root(7, image, 1))
          assert.strictEqual(yield* capacityOf(vm(7)), gibibyte)
          assert.strictEqual(yield* sendings, 2)
        }))
    })

    describe("an image's copy", () => {
      test("is removed when no disk lies over it and nobody sends it, and then sent anew", ({
        driver,
        host,
        images,
        root,
        world: { capacityOf, image, other, sendings }
      }) =>
        Effect.gen(function* () {
          const before = yield* driver.listImages(host)
          const added = (earlier: ReadonlyArray<string>) =>
            Effect.map(driver.listImages(host), (now) => now.filter((sha256) => !earlier.includes(sha256)))
          yield* driver.createRoot(host, root(7, image, 1))
          const [first = ""] = yield* added(before)
          assert.match(first, /^[0-9a-f]{64}$/)
          yield* driver.ensureImage(host, other)
          const [second = ""] = yield* added([...before, first])
          // only that one goes
          assert.isTrue(yield* driver.removeImage(host, second))
          assert.isFalse(yield* driver.removeImage(host, first))
          assert.deepStrictEqual(yield* added(before), [first])
          assert.strictEqual(yield* capacityOf(vm(7)), gibibyte)

          yield* images.hold
          const sending = yield* Effect.fork(driver.ensureImage(host, other))
          yield* images.reading
          assert.isFalse(yield* driver.removeImage(host, second))
          yield* images.release
          yield* Fiber.join(sending)
          assert.sameMembers(yield* added(before), [first, second])

          yield* driver.deleteRoot(host, vm(7))
          for (const sha256 of [first, second, first]) assert.isTrue(yield* driver.removeImage(host, sha256))
          assert.deepStrictEqual(yield* added(before), [])
          yield* driver.createRoot(host, root(8, image, 1))
          assert.deepStrictEqual(yield* added(before), [first])
          assert.strictEqual(yield* sendings, 4)
        }))
    })

    describe("a root disk", () => {
      test("has the type's size, and is what the driver makes", ({
        driver,
        host,
        root,
        world: { capacityOf, image }
      }) =>
        Effect.gen(function* () {
          const disk = yield* driver.createRoot(host, root(7, image, 2))
          assert.strictEqual(disk.serial, "vm-7-root")
          if (disk._tag === "File") {
            assert.isFalse(shared)
            assert.strictEqual(disk.path, `${host.config.path}/vm-7-root.qcow2`)
            assert.strictEqual(disk.format, "qcow2")
          } else {
            assert.isTrue(shared)
            assert.strictEqual(disk.pool, driver.pool)
            assert.strictEqual(disk.image, "vm-7-root")
            assert.isNotEmpty(disk.monitors)
            assert.isNotEmpty(disk.client)
            assert.match(disk.secret, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
          }
          assert.strictEqual(yield* capacityOf(vm(7)), 2 * gibibyte)
        }))

      test("is never smaller than its image", ({ driver, host, root, world: { capacityOf, large } }) =>
        Effect.gen(function* () {
          yield* driver.createRoot(host, root(7, large, 1))
          assert.strictEqual(yield* capacityOf(vm(7)), 3 * gibibyte)
        }))

      test("of the largest id has a serial that fits the 20 characters there are", ({
        driver,
        host,
        root,
        world: { image }
      }) =>
        Effect.gen(function* () {
          const disk = yield* driver.createRoot(host, root(Number.MAX_SAFE_INTEGER, image, 1))
          assert.isAtMost(disk.serial.length, 20)
          assert.include(disk.serial, String(Number.MAX_SAFE_INTEGER))
          yield* driver.deleteRoot(host, vm(Number.MAX_SAFE_INTEGER))
        }))

      test("that is there is kept, one that is not as wanted is made anew", ({
        driver,
        host,
        root,
        world: { capacityOf, image, other }
      }) =>
        Effect.gen(function* () {
          const first = yield* driver.createRoot(host, root(7, image, 2))
          assert.deepStrictEqual(yield* driver.createRoot(host, root(7, image, 2)), first)
          assert.strictEqual(yield* capacityOf(vm(7)), 2 * gibibyte)
          yield* driver.createRoot(host, root(7, image, 3))
          assert.strictEqual(yield* capacityOf(vm(7)), 3 * gibibyte)
          yield* driver.createRoot(host, root(7, other, 3))
          assert.strictEqual(yield* capacityOf(vm(7)), 3 * gibibyte)
          assert.deepStrictEqual(yield* driver.listRoots(host), [vm(7)])
        }))

      test("is listed and deleted; deleting what is not there is fine", ({
        driver,
        host,
        root,
        world: { capacityOf, image }
      }) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* driver.listRoots(host), [])
          yield* driver.deleteRoot(host, vm(7))
          yield* Effect.all(
            [7, 8, 21].map((id) => driver.createRoot(host, root(id, image, 1))),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual(byNumber(yield* driver.listRoots(host)), [7, 8, 21].map(vm))
          yield* driver.deleteRoot(host, vm(8))
          yield* driver.deleteRoot(host, vm(8))
          assert.strictEqual(yield* capacityOf(vm(8)), undefined)
          assert.deepStrictEqual(byNumber(yield* driver.listRoots(host)), [7, 21].map(vm))
        }))

      test("that is there and not in use is what a domain is given anew; one that is not there says what to do", ({
        driver,
        host,
        refused,
        root,
        world: { holdRoot, image }
      }) =>
        Effect.gen(function* () {
          const gone = yield* refused(driver.openRoot(host, vm(7)))
          assert.match(gone, /open the root disk of vm-7: there is no (image )?vm-7-root/)
          assert.match(gone, /: bring it back there, or destroy the VM and create another$/)
          const made = yield* driver.createRoot(host, root(7, image, 1))
          assert.deepStrictEqual(yield* driver.openRoot(host, vm(7)), made)
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* holdRoot(vm(7))
              assert.match(yield* refused(driver.openRoot(host, vm(7))), /open on \S+: stop|vm-99 has it open/)
            })
          )
          assert.deepStrictEqual(yield* driver.openRoot(host, vm(7)), made)
          yield* driver.deleteRoot(host, vm(7))
          assert.strictEqual(yield* refused(driver.openRoot(host, vm(7))), gone)
        }))

      test("of another origin is left alone: neither taken over nor deleted as that of an operation", ({
        driver,
        host,
        refused,
        root,
        world: { capacityOf, image }
      }) =>
        Effect.gen(function* () {
          yield* driver.createRoot(host, root(7, image, 2))
          for (const size of [3, 2]) {
            const sentence = yield* refused(driver.createRoot(host, root(7, image, size, operation(8))))
            assert.include(sentence, "vm-7-root")
            assert.include(sentence, "is there already and was not made by this operation, so it is left alone")
          }
          yield* driver.deleteRoot(host, vm(7), operation(8))
          assert.strictEqual(yield* capacityOf(vm(7)), 2 * gibibyte)
          yield* driver.deleteRoot(host, vm(7), operation(7))
          yield* driver.deleteRoot(host, vm(7), operation(7))
          assert.strictEqual(yield* capacityOf(vm(7)), undefined)
          // and nothing is left that would make another's out of the next
          yield* driver.createRoot(host, root(7, image, 3, operation(8)))
          assert.strictEqual(yield* capacityOf(vm(7)), 3 * gibibyte)
          yield* driver.deleteRoot(host, vm(7))
          yield* driver.createRoot(host, root(7, image, 1))
        }))
    })

    describe("a seed", () => {
      const content = (hostname: string) => Seed.build({ id: vm(7), uuid, name: "web" }, { ...usual, hostname })
      const seed = (hostname: string, more: Partial<SeedRequest> = {}): SeedRequest => ({
        vmId: vm(7),
        operationId: operation(7),
        content: content(hostname),
        replaces: false,
        ...more
      })
      const hostnameIn = (found: Uint8Array | undefined) => {
        const text = found === undefined ? undefined : Iso9660.read(found)?.get("meta-data")
        return /^local-hostname: "(.*)"$/m.exec(new TextDecoder().decode(text))?.[1]
      }

      test("has what was written, and is described as it was made", ({ driver, host, world: { seedOf } }) =>
        Effect.gen(function* () {
          const disk = yield* driver.writeSeed(host, seed("one"))
          assert.deepStrictEqual(yield* driver.describeSeed(host, vm(7)), disk)
          assert.strictEqual(disk.serial, "vm-7-seed")
          assert.strictEqual(hostnameIn(yield* seedOf(vm(7))), "one")
          assert.deepStrictEqual(yield* driver.writeSeed(host, seed("one")), disk)
          assert.deepStrictEqual(yield* driver.listRoots(host), [])
        }))

      test("is written anew by what made it, and by who may replace it, and nothing of before stays", ({
        driver,
        host,
        world: { seedOf }
      }) =>
        Effect.gen(function* () {
          const long = content("x".repeat(60))
          const padded = new Uint8Array(long.length + 3000).fill(0x78)
          padded.set(long)
          yield* driver.writeSeed(host, seed("", { content: padded }))
          yield* driver.writeSeed(host, seed("two"))
          const found = yield* seedOf(vm(7))
          assert.strictEqual(hostnameIn(found), "two")
          assert.isTrue(found?.subarray(long.length).every((byte) => byte === 0))
          yield* driver.writeSeed(host, seed("three", { operationId: operation(8), replaces: true }))
          assert.strictEqual(hostnameIn(yield* seedOf(vm(7))), "three")
          // it is still what made it that may take it back
          yield* driver.deleteSeed(host, vm(7), operation(8))
          assert.strictEqual(hostnameIn(yield* seedOf(vm(7))), "three")
          yield* driver.deleteSeed(host, vm(7), operation(7))
          assert.isUndefined(yield* seedOf(vm(7)))
        }))

      test("is made by who may replace it when there is none", ({ driver, host, world: { seedOf } }) =>
        Effect.gen(function* () {
          yield* driver.writeSeed(host, seed("one", { operationId: operation(8), replaces: true }))
          assert.strictEqual(hostnameIn(yield* seedOf(vm(7))), "one")
        }))

      test("of another origin is refused and left alone", ({ driver, host, refused, world: { seedOf } }) =>
        Effect.gen(function* () {
          yield* driver.writeSeed(host, seed("one"))
          const sentence = yield* refused(driver.writeSeed(host, seed("two", { operationId: operation(8) })))
          assert.include(sentence, "was not made by this operation, so it is left alone")
          assert.strictEqual(hostnameIn(yield* seedOf(vm(7))), "one")
        }))

      test("is removed, again and again, and leaves others alone", ({ driver, host, world: { seedOf } }) =>
        Effect.gen(function* () {
          yield* driver.deleteSeed(host, vm(7))
          yield* driver.writeSeed(host, seed("one"))
          yield* driver.writeSeed(host, seed("other", { vmId: vm(77) }))
          yield* driver.deleteSeed(host, vm(7))
          yield* driver.deleteSeed(host, vm(7))
          assert.isUndefined(yield* seedOf(vm(7)))
          assert.strictEqual(hostnameIn(yield* seedOf(vm(77))), "other")
          yield* driver.writeSeed(host, seed("again", { operationId: operation(8) }))
          assert.strictEqual(hostnameIn(yield* seedOf(vm(7))), "again")
        }))
    })

    describe("a volume", () => {
      test("has its size, reads as zeros and is listed; made again it is kept", ({
        at,
        create,
        driver,
        host,
        sizeOf,
        volumes,
        world: { read, write }
      }) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* volumes, [])
          assert.strictEqual(yield* sizeOf(7), undefined)
          yield* create(7, 2)
          assert.strictEqual(yield* sizeOf(7), 2 * gibibyte)
          assert.strictEqual(yield* read(at(7)), 0)
          yield* write(at(7), 0x5a)
          yield* create(7, 2)
          assert.strictEqual(yield* read(at(7)), 0x5a)
          yield* Effect.all(
            [8, 21].map((id) => create(id)),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual(yield* volumes, [7, 8, 21])
          assert.deepStrictEqual(yield* driver.listRoots(host), [])
        }))

      test("of another origin is left alone: neither taken over nor discarded", ({
        at,
        create,
        driver,
        refused,
        sizeOf,
        volumes,
        world: { read, write }
      }) =>
        Effect.gen(function* () {
          yield* create(7)
          yield* write(at(7), 0x5a)
          const foreign = { size: 2, name: "theirs", operationId: operation(8), source: null }
          for (const request of [foreign, { ...foreign, size: 1 }]) {
            const sentence = yield* refused(driver.createVolume(at(7), request))
            assert.include(sentence, "volume-7")
            assert.include(sentence, "was not made by this operation, so it is left alone")
          }
          yield* driver.discardVolume(at(7), operation(8))
          assert.deepStrictEqual(yield* volumes, [7])
          assert.strictEqual(yield* sizeOf(7), gibibyte)
          assert.strictEqual(yield* read(at(7)), 0x5a)
          // nor while it is put aside
          yield* driver.trashVolume(at(7), 3600)
          yield* refused(driver.createVolume(at(7), foreign))
          yield* driver.discardVolume(at(7), operation(8))
          yield* driver.restoreVolume(at(7))
          assert.strictEqual(yield* read(at(7)), 0x5a)
        }))

      test("is discarded by the operation that made it, again and again", ({ at, create, driver, sizeOf, volumes }) =>
        Effect.gen(function* () {
          yield* driver.discardVolume(at(7), operation(7))
          yield* create(7)
          yield* create(8)
          yield* driver.discardVolume(at(7), operation(7))
          yield* driver.discardVolume(at(7), operation(7))
          assert.deepStrictEqual(yield* volumes, [8])
          assert.strictEqual(yield* sizeOf(7), undefined)
          yield* driver.createVolume(at(7), { size: 2, name: "new", operationId: operation(9), source: null })
          assert.strictEqual(yield* sizeOf(7), 2 * gibibyte)
        }))

      test("grows and keeps its data, and never shrinks", ({
        at,
        create,
        driver,
        refused,
        sizeOf,
        world: { read, write }
      }) =>
        Effect.gen(function* () {
          yield* create(7)
          yield* write(at(7), 0x5a)
          yield* driver.growVolume(at(7), 3)
          yield* driver.growVolume(at(7), 3)
          assert.strictEqual(yield* sizeOf(7), 3 * gibibyte)
          yield* driver.growVolume(at(7), 2)
          assert.strictEqual(yield* sizeOf(7), 3 * gibibyte)
          assert.strictEqual(yield* read(at(7)), 0x5a)
          assert.include(yield* refused(driver.growVolume(at(8), 2)), "volume-8")
        }))

      test("can be renamed, and is the same", ({ at, create, driver, sizeOf }) =>
        Effect.gen(function* () {
          yield* create(7)
          yield* driver.renameVolume(at(7), 'übung "7" <>')
          yield* driver.renameVolume(at(7), 'übung "7" <>')
          assert.strictEqual(yield* sizeOf(7), gibibyte)
          yield* create(7)
        }))
    })

    describe("a snapshot", () => {
      test("stays as it is while the volume changes, and is what clones begin with", ({
        at,
        create,
        driver,
        sizeOf,
        world: { read, write }
      }) =>
        Effect.gen(function* () {
          yield* create(7, 2)
          yield* write(at(7), 0x11)
          yield* driver.createSnapshot(at(7), snapshot(3))
          yield* write(at(7), 0x22)
          yield* driver.createSnapshot(at(7), snapshot(3))
          yield* create(8, 3, [7, 3])
          yield* create(9, 1, [7, 3])
          assert.strictEqual(yield* read(at(7)), 0x22)
          assert.strictEqual(yield* read(at(8)), 0x11)
          assert.strictEqual(yield* sizeOf(8), 3 * gibibyte)
          // never smaller than what is in it
          assert.strictEqual(yield* sizeOf(9), 2 * gibibyte)
          yield* write(at(8), 0x33)
          yield* create(8, 3, [7, 3])
          assert.strictEqual(yield* read(at(8)), 0x33)
          assert.strictEqual(yield* read(at(7)), 0x22)
          assert.strictEqual(yield* read(at(9)), 0x11)
        }))

      test("that is not there gives no clone", ({ create, refused, volumes }) =>
        Effect.gen(function* () {
          yield* create(7)
          assert.include(yield* refused(create(8, 1, [7, 3])), "snapshot-3")
          assert.include(yield* refused(create(8, 1, [6, 3])), "snapshot-3")
          assert.deepStrictEqual(yield* volumes, [7])
        }))

      test("brings content and size back, again and again", ({
        at,
        create,
        driver,
        refused,
        sizeOf,
        world: { read, write }
      }) =>
        Effect.gen(function* () {
          yield* create(7)
          yield* write(at(7), 0x11)
          yield* driver.createSnapshot(at(7), snapshot(3))
          yield* write(at(7), 0x22)
          yield* driver.growVolume(at(7), 2)
          yield* driver.createSnapshot(at(7), snapshot(4))
          for (const [id, byte, size] of [
            [3, 0x11, 1],
            [3, 0x11, 1],
            [4, 0x22, 2]
          ] as const) {
            yield* driver.revertVolume(at(7), snapshot(id))
            assert.strictEqual(yield* read(at(7)), byte)
            assert.strictEqual(yield* sizeOf(7), size * gibibyte)
          }
          assert.deepStrictEqual(byNumber(yield* driver.listSnapshots(at(7))), [3, 4])
          assert.include(yield* refused(driver.revertVolume(at(7), snapshot(5))), "snapshot-5")
          assert.include(yield* refused(driver.revertVolume(at(8), snapshot(3))), "volume-8")
          assert.strictEqual(yield* read(at(7)), 0x22)
        }))

      test("is listed and deleted; deleting what is not there is fine", ({ at, create, driver, refused }) =>
        Effect.gen(function* () {
          yield* driver.deleteSnapshot(at(7), snapshot(3))
          assert.deepStrictEqual(yield* driver.listSnapshots(at(7)), [])
          assert.include(yield* refused(driver.createSnapshot(at(7), snapshot(3))), "volume-7")
          yield* create(7)
          yield* driver.createSnapshot(at(7), snapshot(3))
          yield* driver.createSnapshot(at(7), snapshot(14))
          assert.deepStrictEqual(byNumber(yield* driver.listSnapshots(at(7))), [3, 14])
          yield* driver.deleteSnapshot(at(7), snapshot(3))
          yield* driver.deleteSnapshot(at(7), snapshot(3))
          assert.deepStrictEqual(yield* driver.listSnapshots(at(7)), [snapshot(14)])
        }))

      test(
        shared ? "is not deleted while there are clones of it" : "may be deleted, clones of it are copies",
        ({ at, create, driver, refused, world: { read, write } }) =>
          Effect.gen(function* () {
            yield* create(7)
            yield* write(at(7), 0x11)
            yield* driver.createSnapshot(at(7), snapshot(3))
            yield* create(8, 1, [7, 3])
            if (shared) {
              assert.include(yield* refused(driver.deleteSnapshot(at(7), snapshot(3))), "volume-8")
              // nor while a clone can be had back
              yield* driver.trashVolume(at(8), 0)
              assert.include(yield* refused(driver.deleteSnapshot(at(7), snapshot(3))), "volume-8")
              yield* driver.restoreVolume(at(8))
              // nor does its volume go
              yield* driver.trashVolume(at(7), 0)
              assert.include(yield* refused(driver.purgeVolume(at(7))), "made from its snapshots")
              assert.strictEqual(yield* read(at(8)), 0x11)
              yield* driver.restoreVolume(at(7))
              yield* driver.trashVolume(at(8), 0)
              yield* driver.purgeVolume(at(8))
              yield* driver.deleteSnapshot(at(7), snapshot(3))
            } else {
              yield* driver.deleteSnapshot(at(7), snapshot(3))
              assert.strictEqual(yield* read(at(8)), 0x11)
            }
            assert.deepStrictEqual(yield* driver.listSnapshots(at(7)), [])
          })
      )
    })

    describe("what a disk holds", () => {
      const volumeOf = (volume: VolumeAt): DiskAt => ({ _tag: "Volume", volume })
      const snapshotOf = (volume: VolumeAt, id: number): DiskAt => ({
        _tag: "Snapshot",
        volume,
        snapshotId: snapshot(id)
      })
      /** the file that is read */
      const fileOf = (driver: StorageDriver, disk: DiskAt, operationId: OperationId) =>
        Effect.gen(function* () {
          const pieces = yield* Stream.runCollect(Stream.unwrap(driver.readDisk(disk, operationId)))
          const file = Buffer.alloc(Math.max(...[...pieces].map(({ bytes, offset }) => offset + bytes.length)))
          for (const { bytes, offset } of pieces) file.set(bytes, offset)
          const ends = { head: file.subarray(0, ImageHeader.headSize), fileSize: file.length }
          return { file, facts: Either.getOrThrow(ImageHeader.inspect(ends, "qcow2")) }
        })

      test("is a file that stands alone: of a root disk, a volume and a snapshot; and nothing is left of reading it", ({
        at,
        create,
        driver,
        host,
        refused,
        root,
        volumes,
        world: { image, marks, write }
      }) =>
        Effect.gen(function* () {
          const disk: DiskAt = { _tag: "Root", host, vmId: vm(7) }
          assert.include(yield* refused(driver.holdDisk(disk, operation(50))), "vm-7-root")
          yield* driver.createRoot(host, root(7, image, 2))
          yield* create(7)
          yield* write(at(7), 0x5a)
          yield* driver.createSnapshot(at(7), snapshot(3))
          yield* write(at(7), 0x77)
          for (const [number, one, size, byte, other] of [
            [51, disk, 2, null, null],
            [52, volumeOf(at(7)), 1, 0x77, 0x5a],
            [53, snapshotOf(at(7), 3), 1, 0x5a, 0x77]
          ] as const) {
            yield* driver.holdDisk(one, operation(number))
            yield* driver.holdDisk(one, operation(number))
            const { facts, file } = yield* fileOf(driver, one, operation(number))
            assert.deepStrictEqual(facts, { format: "qcow2", virtualSize: size * gibibyte })
            if (byte !== null) assert.isTrue(file.includes(marks(byte)))
            if (other !== null) assert.isFalse(file.includes(marks(other)))
            // the same again, after a restart
            assert.isTrue((yield* fileOf(driver, one, operation(number))).file.equals(file))
            yield* driver.releaseDisk(one, operation(number))
            yield* driver.releaseDisk(one, operation(number))
          }
          assert.match(yield* refused(driver.readDisk(disk, operation(51))), /publish-|held/)
          // all that may be removed is, so nothing is in its way
          assert.deepStrictEqual(yield* driver.listSnapshots(at(7)), [snapshot(3)])
          yield* driver.deleteSnapshot(at(7), snapshot(3))
          yield* driver.deleteRoot(host, vm(7))
          yield* driver.discardVolume(at(7), operation(7))
          assert.deepStrictEqual(yield* volumes, [])
          yield* driver.releaseDisk(disk, operation(51))
          for (const gone of [disk, volumeOf(at(7)), snapshotOf(at(7), 3)]) {
            yield* refused(driver.holdDisk(gone, operation(54)))
          }
        }))

      test("is of one moment in a pool, whoever writes; of a file that somebody has open it is refused", ({
        at,
        create,
        driver,
        refused,
        world: { hold, marks, write }
      }) =>
        Effect.gen(function* () {
          yield* create(7)
          yield* write(at(7), 0x11)
          yield* driver.createSnapshot(at(7), snapshot(3))
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* hold(at(7))
              if (shared) yield* driver.holdDisk(volumeOf(at(7)), operation(51))
              else {
                assert.match(yield* refused(driver.holdDisk(volumeOf(at(7)), operation(51))), /has it open|stop the VM/)
              }
              yield* driver.holdDisk(snapshotOf(at(7), 3), operation(52))
              assert.isTrue((yield* fileOf(driver, snapshotOf(at(7), 3), operation(52))).file.includes(marks(0x11)))
            })
          )
          if (!shared) return
          yield* driver.awaitReleased(at(7))
          yield* write(at(7), 0x22)
          const { file } = yield* fileOf(driver, volumeOf(at(7)), operation(51))
          assert.isTrue(file.includes(marks(0x11)))
          assert.isFalse(file.includes(marks(0x22)))
          yield* driver.releaseDisk(volumeOf(at(7)), operation(51))
        }))
    })

    describe("a destroyed volume", () => {
      test("is put aside and brought back with all it had; each may be repeated", ({
        at,
        create,
        driver,
        host,
        refused,
        sizeOf,
        volumes,
        world: { read, write }
      }) =>
        Effect.gen(function* () {
          yield* driver.trashVolume(at(7), 3600)
          yield* create(7, 2)
          yield* write(at(7), 0x5a)
          yield* driver.createSnapshot(at(7), snapshot(3))
          yield* driver.trashVolume(at(7), 3600)
          yield* driver.trashVolume(at(7), 3600)
          assert.deepStrictEqual(yield* volumes, [])
          assert.strictEqual(yield* sizeOf(7), undefined)
          yield* refused(driver.openVolume(at(7), { host, domainName: "vm-99", held: false }))
          yield* refused(create(8, 1, [7, 3]))
          yield* driver.restoreVolume(at(7))
          yield* driver.restoreVolume(at(7))
          assert.deepStrictEqual(yield* volumes, [7])
          assert.strictEqual(yield* sizeOf(7), 2 * gibibyte)
          assert.strictEqual(yield* read(at(7)), 0x5a)
          assert.deepStrictEqual(yield* driver.listSnapshots(at(7)), [snapshot(3)])
          yield* create(8, 1, [7, 3])
          assert.strictEqual(yield* read(at(8)), 0x5a)
        }))

      test("is purged with its snapshots, also before its time; again is fine", ({
        at,
        create,
        driver,
        refused,
        sizeOf,
        volumes,
        world: { read, write }
      }) =>
        Effect.gen(function* () {
          yield* create(7)
          yield* create(8)
          yield* write(at(7), 0x5a)
          yield* driver.createSnapshot(at(7), snapshot(3))
          yield* driver.trashVolume(at(7), 3600)
          yield* driver.purgeVolume(at(7))
          yield* driver.purgeVolume(at(7))
          assert.include(yield* refused(driver.restoreVolume(at(7))), "restore volume-7")
          assert.deepStrictEqual(yield* volumes, [8])
          // nothing is left that a new one would be taken for
          yield* driver.createVolume(at(7), { size: 2, name: "new", operationId: operation(9), source: null })
          assert.strictEqual(yield* sizeOf(7), 2 * gibibyte)
          assert.strictEqual(yield* read(at(7)), 0)
          assert.deepStrictEqual(yield* driver.listSnapshots(at(7)), [])
        }))

      test("is the only one that a purge removes", ({ at, create, driver, sizeOf, volumes, world: { read, write } }) =>
        Effect.gen(function* () {
          yield* create(7)
          yield* write(at(7), 0x5a)
          yield* driver.purgeVolume(at(7))
          yield* driver.trashVolume(at(7), 3600)
          yield* driver.restoreVolume(at(7))
          yield* driver.purgeVolume(at(7))
          assert.deepStrictEqual(yield* volumes, [7])
          assert.strictEqual(yield* sizeOf(7), gibibyte)
          assert.strictEqual(yield* read(at(7)), 0x5a)
        }))
    })

    describe("a volume in use", () => {
      test("opens for a domain on its host, or on any when it is shared", ({
        at,
        create,
        driver,
        host,
        refused,
        world: { elsewhere }
      }) =>
        Effect.gen(function* () {
          const use = { host, domainName: "vm-99", held: false }
          assert.include(yield* refused(driver.openVolume(at(7), use)), "open volume-7")
          yield* create(7)
          const disk = yield* driver.openVolume(at(7), use)
          assert.deepStrictEqual(yield* driver.openVolume(at(7), use), disk)
          assert.strictEqual(disk.serial, "volume-7")
          assert.strictEqual(disk._tag, shared ? "Rbd" : "File")
          const there = driver.openVolume(at(7), { ...use, host: elsewhere })
          if (shared) assert.deepStrictEqual(yield* there, disk)
          else assert.include(yield* refused(there), elsewhere.name)
          yield* create(Number.MAX_SAFE_INTEGER)
          const { serial } = yield* driver.openVolume(at(Number.MAX_SAFE_INTEGER), use)
          assert.isAtMost(serial.length, 20)
          assert.include(serial, String(Number.MAX_SAFE_INTEGER))
        }))

      test("stays as it is, and the errors say who has it", ({
        at,
        create,
        driver,
        host,
        refused,
        sizeOf,
        volumes,
        world: { hold, read, write }
      }) =>
        Effect.gen(function* () {
          yield* create(7)
          yield* write(at(7), 0x11)
          yield* driver.createSnapshot(at(7), snapshot(3))
          yield* Effect.scoped(
            Effect.gen(function* () {
              const domainName = yield* hold(at(7))
              // the domain's own, when a step is done again
              yield* driver.openVolume(at(7), { host, domainName, held: true })
              const who = shared ? /open on \S+|has it open/ : new RegExp(domainName)
              const all: ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown>]> = [
                ["open", driver.openVolume(at(7), { host, domainName, held: false })],
                ...(shared
                  ? []
                  : [["open", driver.openVolume(at(7), { host, domainName: "vm-98", held: true })] as const]),
                ["see volume-7 let go of", driver.awaitReleased(at(7))],
                ["grow", driver.growVolume(at(7), 2)],
                ["bring volume-7 back", driver.revertVolume(at(7), snapshot(3))],
                ["destroy", driver.trashVolume(at(7), 60)],
                ["remove", driver.discardVolume(at(7), operation(7))],
                ...(shared ? [] : [["create snapshot-4", driver.createSnapshot(at(7), snapshot(4))] as const])
              ]
              const sentences = yield* Effect.all(
                all.map(([, effect]) => refused(effect)),
                { concurrency: "unbounded" }
              )
              for (const [index, sentence] of sentences.entries()) {
                const [what] = all[index]!
                assert.include(sentence, `failed to ${what}`)
                // of two reasons either will do
                if (what !== "remove") assert.match(sentence, who)
              }
              if (shared) yield* driver.createSnapshot(at(7), snapshot(4))
              const waiting = yield* Effect.fork(driver.awaitReleased(at(7)))
              yield* Effect.yieldNow()
              return waiting
            })
          ).pipe(Effect.flatMap(Fiber.join))
          assert.deepStrictEqual(yield* volumes, [7])
          assert.strictEqual(yield* sizeOf(7), gibibyte)
          assert.strictEqual(yield* read(at(7)), 0x11)
          yield* driver.awaitReleased(at(7))
          yield* driver.awaitReleased(at(8))
          yield* driver.trashVolume(at(7), 60)
        }))
    })

    test("what does not answer is unreachable, and says why", ({ at, driver, host, root, storage, world }) =>
      Effect.gen(function* () {
        const { image, silent, unreachable } = world
        const use = { host, domainName: "vm-99", held: false }
        const none = { id: VolumeId.make(7), host: shared ? null : unreachable }
        const request = { size: 1, name: "any", operationId: operation(7), source: null }
        const asked: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          silent.ensureImage(unreachable, image),
          silent.createRoot(unreachable, root(7, image, 1)),
          silent.deleteRoot(unreachable, vm(7)),
          silent.listRoots(unreachable),
          silent.createVolume(none, request),
          silent.discardVolume(none, operation(7)),
          silent.listVolumes(none.host),
          silent.volumeSize(none),
          silent.openVolume(none, use),
          silent.awaitReleased(none),
          silent.growVolume(none, 2),
          silent.createSnapshot(none, snapshot(3)),
          silent.deleteSnapshot(none, snapshot(3)),
          silent.revertVolume(none, snapshot(3)),
          silent.listSnapshots(none),
          silent.trashVolume(none, 60),
          silent.restoreVolume(none),
          silent.purgeVolume(none)
        ]
        const errors = yield* Effect.forEach(asked, (one) => Effect.flip(one), { concurrency: "unbounded" })
        for (const error of errors) {
          assert.strictEqual(tagOf(error), shared ? "StorageUnreachable" : "HostUnreachable")
          assert.match(sentenceOf(error), /^(host|Ceph pool) \S+ cannot be used: \S/)
        }
        // a host that has to do something of its own
        yield* driver.createVolume(at(7), request)
        const atHost: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> = [
          storage.prepare(unreachable),
          driver.createRoot(unreachable, root(7, image, 1)),
          ...(shared ? [driver.openVolume(at(7), { ...use, host: unreachable })] : [])
        ]
        for (const one of atHost) assert.strictEqual((yield* Effect.flip(one))._tag, "HostUnreachable")
        assert.deepStrictEqual(yield* driver.listRoots(host), [])
      }))

    test("a pool that is shared tells how full it is", ({ driver }) =>
      Effect.gen(function* () {
        const usage = yield* driver.usage
        assert.strictEqual(Option.isSome(usage), shared)
        if (Option.isNone(usage)) return
        assert.strictEqual(usage.value.name, driver.pool)
        assert.isAbove(usage.value.capacity, gibibyte)
        assert.isAtMost(usage.value.available, usage.value.capacity)
        assert.isAtLeast(usage.value.used, 0)
      }))
  })
