import * as Layer from "effect/Layer"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import { hypervisorContract } from "../contracts/HypervisorContract.ts"
import { given } from "../storage/Given.ts"
import * as ScriptedImages from "../storage/ScriptedImages.ts"
import * as Simulated from "./Simulated.ts"
import * as SimulatedWorld from "./SimulatedWorld.ts"

hypervisorContract(
  "libvirt on a simulated host",
  SimulatedWorld.layer.pipe(
    Layer.provideMerge(HypervisorLive.layer),
    Layer.provideMerge(StorageLive.layerDir),
    Layer.provideMerge(ScriptedImages.layer(given)),
    Layer.provideMerge(Simulated.libvirt)
  )
)
