/** The contracts that simulated hosts keep by way of SSH, kept without it. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CephLive from "../../layers/CephLive.ts"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import * as SimulatedCeph from "../ceph/Simulated.ts"
import { cephContract } from "../contracts/CephContract.ts"
import { hypervisorContract } from "../contracts/HypervisorContract.ts"
import * as Simulated from "../hypervisor/Simulated.ts"
import * as SimulatedWorld from "../hypervisor/SimulatedWorld.ts"
import { given } from "../storage/Given.ts"
import * as ScriptedImages from "../storage/ScriptedImages.ts"
import * as SimulatedFolder from "../storage/SimulatedFolder.ts"

const ssh = Layer.unwrapEffect(Effect.map(Simulated.Simulated, ({ fleet }) => SimulatedFleet.layerMemory(fleet)))
const libvirt = LibvirtLive.layer.pipe(Layer.provideMerge(ssh), Layer.provideMerge(Simulated.fleet))

hypervisorContract(
  "libvirt on a simulated host, without SSH",
  SimulatedWorld.layer.pipe(
    Layer.provideMerge(HypervisorLive.layer),
    Layer.provideMerge(StorageLive.layerDir),
    Layer.provideMerge(ScriptedImages.layer(given)),
    Layer.provideMerge(libvirt)
  )
)

SimulatedFolder.contract("folder on a simulated host, without SSH", { ssh, libvirt })

cephContract(
  "without SSH to a simulated host",
  Layer.provideMerge(
    SimulatedCeph.world,
    CephLive.layer(SimulatedCeph.options).pipe(
      Layer.provideMerge(
        Layer.unwrapEffect(Effect.map(SimulatedCeph.Simulated, ({ fleet }) => SimulatedFleet.layerMemory(fleet)))
      ),
      Layer.provideMerge(SimulatedCeph.simulated())
    )
  )
)
