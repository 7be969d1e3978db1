import * as Layer from "effect/Layer"
import * as StorageLive from "../../layers/StorageLive.ts"
import { storageContract } from "../contracts/StorageContract.ts"
import * as Simulated from "../hypervisor/Simulated.ts"
import { given } from "./Given.ts"
import * as LiveWorld from "./LiveWorld.ts"
import * as ScriptedImages from "./ScriptedImages.ts"

storageContract(
  "folder on a simulated host",
  LiveWorld.layer({ host: Simulated.here, unreachable: Simulated.unreachable }).pipe(
    Layer.provideMerge(StorageLive.layerDir),
    Layer.provideMerge(LiveWorld.counted(Simulated.libvirt)),
    Layer.provideMerge(Layer.merge(ScriptedImages.layer(given), Simulated.ssh)),
    Layer.provideMerge(Simulated.fleet)
  )
)
