import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as StorageLive from "../../layers/StorageLive.ts"
import { VolumeId } from "../../src/domain/Ids.ts"
import { Storage } from "../../src/services/Storage.ts"
import * as Simulated from "../hypervisor/Simulated.ts"
import { given } from "./Given.ts"
import * as ScriptedImages from "./ScriptedImages.ts"
import * as SimulatedFolder from "./SimulatedFolder.ts"

SimulatedFolder.contract("folder on a simulated host", Simulated)

describe("a driver that is not set up", () => {
  it.live("fails in everything, and says how to set it up", () =>
    Effect.gen(function* () {
      const storage = yield* Storage
      assert.strictEqual(storage.preferred, storage.driver("dir"))
      const volume = { id: VolumeId.make(7), host: null }
      const error = yield* Effect.flip(storage.driver("rbd").purgeVolume(volume))
      assert.strictEqual(error._tag, "StorageUnreachable")
      assert.include(error.message, "start with --ceph-pool POOL")
      const other = yield* Effect.flip(storage.driver("tape").usage)
      assert.include(other.message, "storage driver tape cannot be used: it is not set up, only dir")
    }).pipe(
      Effect.provide(
        StorageLive.layerDir.pipe(Layer.provide(Layer.merge(ScriptedImages.layer(given), Simulated.libvirt)))
      )
    )
  )
})
