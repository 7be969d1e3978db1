/** The storage contract on a simulated host's folder, by whatever way to the host. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import { Host } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import { storageContract } from "../contracts/StorageContract.ts"
import * as Simulated from "../hypervisor/Simulated.ts"
import { given } from "./Given.ts"
import * as LiveWorld from "./LiveWorld.ts"
import * as ScriptedImages from "./ScriptedImages.ts"

/** In a file's first 64 KiB, all that a simulated host keeps of it, behind what is its header. */
const place = 32 * 1024

const bytes = Effect.map(Simulated.Simulated, ({ host: { state } }): LiveWorld.Bytes => {
  const file = (path: string) => {
    const found = state.files.files.get(path)
    return found === undefined ? Effect.dieMessage(`there is no ${path}`) : Effect.succeed(found)
  }
  return {
    write: (path, byte) => Effect.map(file(path), (found) => found.write(place, new Uint8Array(512).fill(byte))),
    read: (path) => Effect.map(file(path), (found) => found.read(place, 1)[0] ?? 0),
    start: (path) => Effect.sync(() => state.files.files.get(path)?.read(0, 64 * 1024))
  }
})

export const contract = (name: string, way: Pick<typeof Simulated, "ssh" | "libvirt">) =>
  storageContract(
    { name, shared: false },
    LiveWorld.layer({
      host: Simulated.here,
      elsewhere: new Host({ ...Simulated.host("sim-2"), id: HostId.make(2) }),
      unreachable: Simulated.unreachable,
      bytes
    }).pipe(
      Layer.provideMerge(HypervisorLive.layer),
      Layer.provideMerge(StorageLive.layerDirWith({ patience: "300 millis" })),
      Layer.provideMerge(LiveWorld.counted(way.libvirt)),
      Layer.provideMerge(Layer.merge(ScriptedImages.layer(given), way.ssh)),
      Layer.provideMerge(Simulated.fleet)
    )
  )
