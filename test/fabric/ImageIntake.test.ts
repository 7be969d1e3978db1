/** What becomes of images without anybody asking. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as AppTest from "../../layers/AppTest.ts"
import * as ImageLibraryTest from "../../layers/ImageLibraryTest.ts"
import * as ImageStoreTest from "../../layers/ImageStoreTest.ts"
import * as InventoryTest from "../../layers/InventoryTest.ts"
import * as ImageIntake from "../../src/fabric/ImageIntake.ts"
import { Inventory } from "../../src/services/Inventory.ts"

const parts = ImageStoreTest.layer.pipe(
  Layer.provideMerge(ImageLibraryTest.layer({ "/images/own.raw": new Uint8Array(4096) })),
  Layer.provideMerge(InventoryTest.layerFleet(AppTest.fleet))
)

describe("images that an earlier process has left", () => {
  it.effect("are checked when they were in quarantine, and are still sent when they were", () =>
    Effect.gen(function* () {
      const inventory = yield* Inventory
      const config = (name: string) => ({ name, source: { host: null, path: `/images/${name}.raw` } })
      const add = (name: string, state: "quarantine" | "uploading") =>
        inventory.addImage({ config: config(name), origin: "path", state, wanted: { size: 4096 } })
      const own = yield* add("own", "quarantine")
      const lost = yield* add("lost", "quarantine")
      const sent = yield* add("sent", "uploading")
      yield* Effect.gen(function* () {
        const intake = yield* ImageIntake.ImageIntake
        assert.strictEqual((yield* intake.checked(own.id)).image.state, "available")
        const refused = (yield* intake.checked(lost.id)).image
        assert.strictEqual(refused.state, "refused")
        assert.include(refused.reason, "there is no such file")
        assert.strictEqual((yield* intake.checked(sent.id)).image.state, "uploading")
      }).pipe(Effect.provide(ImageIntake.layer))
    }).pipe(Effect.provide(parts))
  )
})

describe("an image that nobody sends any more", () => {
  it.effect("is given up after a day, and not before", () =>
    Effect.gen(function* () {
      const intake = yield* ImageIntake.ImageIntake
      const begun = yield* intake.add({ name: "a", size: 10 })
      yield* intake.send(begun.id, 0, Stream.make(new Uint8Array(5)))
      const states = Effect.map(intake.list, (all) => all.map(({ image, received }) => [image.state, received]))
      yield* TestClock.adjust("23 hours")
      assert.deepStrictEqual((yield* states).at(-1), ["uploading", 5])
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual(yield* states, [["available", null]])
      assert.strictEqual((yield* Effect.flip(intake.get(begun.id)))._tag, "ImageNotFound")
    }).pipe(Effect.provide(ImageIntake.layer), Effect.provide(parts))
  )
})
