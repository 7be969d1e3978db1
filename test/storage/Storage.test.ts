import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as StorageTest from "../../layers/StorageTest.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import { storageContract, StorageWorld } from "../contracts/StorageContract.ts"
import * as ScriptedImages from "./ScriptedImages.ts"
import { given, imageNamed } from "./Given.ts"

const host = (name: string) =>
  new Host({ id: HostId.make(1), config: defaultConfig({ user: "root", host: name, port: 22 }), facts: null })

const world = Layer.effect(
  StorageWorld,
  Effect.gen(function* () {
    const state = yield* StorageTest.StorageTestState
    const images = yield* ImageLibrary
    const here = host("a")
    const gone = host("gone")
    yield* state.update(gone, (store) => ({ ...store, unreachable: "nothing listens there" }))
    return {
      host: here,
      unreachable: gone,
      image: imageNamed("small"),
      other: imageNamed("other"),
      large: imageNamed("large"),
      sendings: Effect.map(state.store(here), (store) => store.sendings),
      loseImage: (image) =>
        Effect.orDie(images.resolve(image)).pipe(
          Effect.flatMap(({ sha256 }) =>
            state.update(here, (store) => ({
              ...store,
              images: new Set([...store.images].filter((one) => one !== sha256))
            }))
          )
        ),
      capacityOf: (vmId) => Effect.map(state.store(here), (store) => store.roots.get(vmId)?.capacity)
    }
  })
)

storageContract(
  "in memory",
  world.pipe(Layer.provideMerge(StorageTest.layer), Layer.provideMerge(ScriptedImages.layer(given)))
)
