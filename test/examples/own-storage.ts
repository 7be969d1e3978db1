/**
 * Storage of one's own beside what is there: a driver has a name, and volumes know which one they are kept with. This one keeps a list of those that it has
 * made, and leaves all the rest to another.
 *
 * Over hosts in memory; on real machines the other one would be that of `StorageLive.layerDir`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { Storage, Volumes } from "vmfabric"
import { AppLive, AppTest, HypervisorTest, ImageLibraryTest, StorageLive, StorageTest } from "vmfabric/layers"

const listing = (list: Ref.Ref<ReadonlyArray<string>>) =>
  Layer.effect(
    Storage.Storage,
    Effect.map(Storage.Storage, ({ preferred, prepare }) => {
      const driver: Storage.StorageDriver = {
        ...preferred,
        name: "listed",
        createVolume: (volume, request) =>
          Effect.zipRight(
            preferred.createVolume(volume, request),
            Ref.update(list, (all) => [...all, `volume ${volume.id} of ${request.size} GiB`])
          )
      }
      // the first is what new ones are kept with; those of before are still known
      return StorageLive.make(prepare, [driver, preferred])
    })
  ).pipe(Layer.provide(StorageTest.layer))

const app = (list: Ref.Ref<ReadonlyArray<string>>) =>
  AppLive.layerOver({
    fleet: AppTest.fleet,
    persistence: AppTest.persistence,
    drivers: Layer.merge(HypervisorTest.layer, listing(list)).pipe(
      Layer.provideMerge(ImageLibraryTest.layer({ "/images/test.raw": new Uint8Array(8192) }))
    )
  })

const program = Effect.gen(function* () {
  const volumes = yield* Volumes.Volumes
  const volume = yield* volumes.create({ name: "data", size: 10 })
  yield* Console.log(`${volume.name} is kept with the driver ${volume.driver}`)
})

Effect.gen(function* () {
  const list = yield* Ref.make<ReadonlyArray<string>>([])
  yield* Effect.provide(program, app(list))
  yield* Console.log(`it has made ${(yield* Ref.get(list)).join(", ")}`)
}).pipe(NodeRuntime.runMain)
