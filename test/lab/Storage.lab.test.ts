import * as Layer from "effect/Layer"
import * as StorageLive from "../../layers/StorageLive.ts"
import { storageContract } from "../contracts/StorageContract.ts"
import { given } from "../storage/Given.ts"
import * as LiveWorld from "../storage/LiveWorld.ts"
import * as ScriptedImages from "../storage/ScriptedImages.ts"
import * as Hosts from "./Hosts.ts"

storageContract(
  "folder on a real host",
  LiveWorld.layer({ host: Hosts.host(0), unreachable: Hosts.unreachable }).pipe(
    Layer.provideMerge(StorageLive.layerDir),
    Layer.provideMerge(LiveWorld.counted(Hosts.libvirt)),
    Layer.provideMerge(ScriptedImages.layer(given)),
    Layer.provideMerge(Hosts.libvirt)
  )
)
