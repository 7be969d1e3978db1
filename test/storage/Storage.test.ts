import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as StorageTest from "../../layers/StorageTest.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import { HostId, type VolumeId } from "../../src/domain/Ids.ts"
import { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import { Storage } from "../../src/services/Storage.ts"
import { storageContract, StorageWorld } from "../contracts/StorageContract.ts"
import * as ScriptedImages from "./ScriptedImages.ts"
import { given, imageNamed } from "./Given.ts"

const host = (name: string, id: number) =>
  new Host({ id: HostId.make(id), config: defaultConfig({ user: "root", host: name, port: 22 }), facts: null })

const unreachable = "nothing listens there"

const layerOf = (shared: boolean) => {
  const images = ScriptedImages.layer(given)
  const storage = StorageTest.layerWith({ shared, patience: "200 millis" })
  /** another one, with a pool that does not answer */
  const silent = Effect.gen(function* () {
    const context = yield* Layer.build(Layer.fresh(storage))
    const state = Context.get(context, StorageTest.StorageTestState)
    yield* state.update(null, (store) => ({ ...store, unreachable }))
    return Context.get(context, Storage).preferred
  })

  const world = Layer.scoped(
    StorageWorld,
    Effect.gen(function* () {
      const state = yield* StorageTest.StorageTestState
      const storage = yield* Storage
      const images = yield* ImageLibrary
      const here = host("a", 1)
      const gone = host("gone", 3)
      /** where what is asked for at the host is */
      const place = shared ? null : here
      yield* state.update(gone, (store) => ({ ...store, unreachable }))
      const volume = (id: VolumeId) =>
        Effect.flatMap(state.store(place), ({ volumes }) => {
          const found = volumes.get(id)
          return found === undefined ? Effect.dieMessage(`there is no volume-${id}`) : Effect.succeed(found)
        })
      const setOpen = (name: string, who: string | undefined) =>
        state.update(place, (store) => {
          const open = new Map(store.open)
          if (who === undefined) open.delete(name)
          else open.set(name, who)
          return { ...store, open }
        })
      return {
        host: here,
        elsewhere: host("b", 2),
        unreachable: gone,
        silent: shared ? yield* silent : storage.preferred,
        image: imageNamed("small"),
        other: imageNamed("other"),
        large: imageNamed("large"),
        sendings: Effect.map(state.store(place), (store) => store.sendings),
        loseImage: (image) =>
          Effect.orDie(images.resolve(image)).pipe(
            Effect.flatMap(({ sha256 }) =>
              state.update(place, (store) => ({
                ...store,
                images: new Set([...store.images].filter((one) => one !== sha256))
              }))
            )
          ),
        capacityOf: (vmId) => Effect.map(state.store(place), (store) => store.roots.get(vmId)?.capacity),
        seedOf: (vmId) => Effect.map(state.store(place), (store) => store.seeds.get(vmId)?.content),
        write: ({ id }, byte) =>
          Effect.flatMap(volume(id), (found) =>
            state.update(place, (store) => ({
              ...store,
              volumes: new Map(store.volumes).set(id, { ...found, content: String(byte) })
            }))
          ),
        read: ({ id }) => Effect.map(volume(id), ({ content }) => Number(content)),
        marks: (byte) => Buffer.from(String(byte)),
        hold: ({ id }) =>
          Effect.as(
            Effect.acquireRelease(setOpen(`volume-${id}`, "vm-99"), () => setOpen(`volume-${id}`, undefined)),
            "vm-99"
          ),
        holdRoot: (vmId) =>
          Effect.as(
            Effect.acquireRelease(setOpen(`vm-${vmId}-root`, "vm-99"), () => setOpen(`vm-${vmId}-root`, undefined)),
            "vm-99"
          )
      }
    })
  )
  return world.pipe(Layer.provideMerge(storage), Layer.provideMerge(images))
}

storageContract({ name: "in memory, on each host", shared: false }, layerOf(false))
storageContract({ name: "in memory, shared by the hosts", shared: true }, layerOf(true))
