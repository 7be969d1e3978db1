/** What becomes of the copies of images that were deleted. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as TestClock from "effect/TestClock"
import * as AppTest from "../../layers/AppTest.ts"
import * as EventLogTest from "../../layers/EventLogTest.ts"
import * as ImageLibraryTest from "../../layers/ImageLibraryTest.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import * as StorageTest from "../../layers/StorageTest.ts"
import type { Host, HostStatus } from "../../src/domain/Host.ts"
import { HostId, OperationId, VmId } from "../../src/domain/Ids.ts"
import * as ImageCopies from "../../src/fabric/ImageCopies.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Storage } from "../../src/services/Storage.ts"

const bytes = (fill: number) => new Uint8Array(4096).fill(fill)
const files = { "/images/test.raw": bytes(0), "/images/own.raw": bytes(1), "/images/spare.raw": bytes(2) }
const up: HostStatus = { _tag: "Up" }

const parts = (shared: boolean) =>
  StorageTest.layerWith({ shared }).pipe(
    Layer.provideMerge(ImageLibraryTest.layer(files)),
    Layer.provideMerge(EventLogTest.layer)
  )

const world = Effect.gen(function* () {
  const inventory = yield* Inventory
  const state = yield* StorageTest.StorageTestState
  yield* inventory.applyFleet(AppTest.fleet)
  const statuses = yield* Ref.make<ReadonlyMap<HostId, HostStatus>>(new Map([1, 2].map((id) => [HostId.make(id), up])))
  const monitor = Layer.mock(HostMonitor, { settled: Effect.void, statuses: Ref.get(statuses) })
  const add = (name: string) =>
    inventory.addImage({
      config: { name, source: { host: null, path: `/images/${name}.raw` } },
      origin: "path",
      state: "quarantine",
      wanted: {}
    })
  const hosts = (yield* inventory.hosts).map(({ host }) => host)
  const copies = (host: Host | null) => Effect.map(state.store(host), ({ images }) => images.size)
  /** Until so many copies are left. */
  const left = (host: Host | null, count: number) =>
    copies(host).pipe(
      Effect.delay("5 millis"),
      Effect.repeat({ until: (now) => now === count }),
      Effect.timeout("20 seconds")
    )
  const keeper = (interval: ImageCopies.Options["interval"]) =>
    Layer.build(Layer.provide(ImageCopies.layerWith({ interval }), monitor))
  return { add, copies, hosts, inventory, keeper, left, state, statuses }
})

describe("copies of an image that was deleted", () => {
  it.scopedLive("are removed from hosts, at once or when it can be done, but not from under a disk", () =>
    Effect.gen(function* () {
      const { add, copies, hosts, inventory, keeper, left, state, statuses } = yield* world
      const { preferred } = yield* Storage
      const [one, two, three] = hosts
      const [file] = yield* inventory.images
      assert(one !== undefined && two !== undefined && three !== undefined && file !== undefined)
      const [own, spare] = [yield* add("own"), yield* add("spare")]
      for (const [host, image] of [
        [one, file],
        [one, spare],
        [two, own],
        [three, own]
      ] as const) {
        yield* preferred.ensureImage(host, image)
      }
      const operationId = OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-000000000001")
      yield* preferred.createRoot(one, { vmId: VmId.make(7), image: own, size: 1, operationId })
      yield* state.update(two, (store) => ({ ...store, refuses: "Input/output error" }))

      yield* Effect.gen(function* () {
        yield* keeper("1 hour")
        yield* inventory.deleteImage(own.id)
        // it is looked everywhere again with this one: what is still there then is kept
        yield* inventory.deleteImage(spare.id)
        yield* left(one, 2)
        assert.deepStrictEqual(yield* Effect.forEach(hosts, copies), [2, 1, 1])
      }).pipe(Effect.scoped)

      // a later process goes on with it
      yield* keeper("10 millis")
      yield* preferred.deleteRoot(one, VmId.make(7))
      yield* left(one, 1)
      assert.deepStrictEqual(yield* Effect.forEach(hosts, copies), [1, 1, 1])
      yield* state.update(two, (store) => ({ ...store, refuses: null }))
      yield* left(two, 0)
      assert.strictEqual(yield* copies(three), 1)
      yield* Ref.update(statuses, (all) => new Map(all).set(three.id, up))
      yield* left(three, 0)
      // the image file's
      assert.strictEqual(yield* copies(one), 1)
    }).pipe(Effect.provide(parts(false)))
  )

  it.scoped(
    "are looked for less and less where none is left, and everywhere at once when another image is deleted",
    () =>
      Effect.gen(function* () {
        const { add, hosts, inventory, keeper } = yield* world
        const { prepare, preferred } = yield* Storage
        const [one] = hosts
        assert(one !== undefined)
        const [own, spare] = [yield* add("own"), yield* add("spare")]
        for (const image of [own, spare]) yield* preferred.ensureImage(one, image)
        let looks = 0
        const counted = StorageLive.make(prepare, [
          {
            ...preferred,
            listImages: (host) =>
              Effect.zipRight(
                Effect.sync(() => looks++),
                preferred.listImages(host)
              )
          }
        ])
        yield* Effect.provideService(keeper("1 minute"), Storage, counted)
        const after = Effect.fnUntraced(function* (minutes: number) {
          looks = 0
          for (let n = 0; n < minutes; n++) yield* TestClock.adjust("1 minute")
          return looks
        })
        yield* after(1)
        yield* inventory.deleteImage(own.id)
        // two hosts are up: after 1, 2, 4, 8, … minutes
        assert.isAtMost(yield* after(100), 2 * 8)
        assert.isAtMost(yield* after(100), 2)
        yield* inventory.deleteImage(spare.id)
        assert.isAtLeast(yield* after(1), 2)
      }).pipe(Effect.provide(parts(false)))
  )

  it.scopedLive("stay while another image has that content, and are removed from a pool", () =>
    Effect.gen(function* () {
      const { add, copies, hosts, inventory, keeper, left } = yield* world
      const { preferred } = yield* Storage
      const [one] = hosts
      assert(one !== undefined)
      yield* keeper("10 millis")
      const [own, spare] = [yield* add("own"), yield* add("spare")]
      for (const image of [own, spare]) yield* preferred.ensureImage(one, image)
      yield* inventory.deleteImage(own.id)
      const again = yield* add("own")
      const content = (yield* inventory.image(own.id)).content
      assert(content !== null)
      yield* inventory.setImageContent(again.id, content)
      yield* preferred.ensureImage(one, again)
      yield* inventory.deleteImage(spare.id)
      // of both only that one goes
      yield* left(null, 1)
      yield* inventory.deleteImage(again.id)
      yield* left(null, 0)
      assert.strictEqual(yield* copies(null), 0)
    }).pipe(Effect.provide(parts(true)))
  )
})
