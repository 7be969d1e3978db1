import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import { hypervisorContract } from "../contracts/HypervisorContract.ts"
import { given, imageNamed } from "../storage/Given.ts"
import * as ScriptedImages from "../storage/ScriptedImages.ts"
import * as LiveWorld from "./LiveWorld.ts"
import * as Simulated from "./Simulated.ts"

hypervisorContract(
  "libvirt on a simulated host",
  Layer.unwrapEffect(
    Effect.map(Simulated.Simulated, (simulated) =>
      LiveWorld.layer({
        host: Simulated.here,
        unreachable: Simulated.unreachable,
        network: "default",
        bridge: "br0",
        trunk: "br{vlan}",
        image: imageNamed("small"),
        booted: ({ domainName }, times) =>
          Effect.sync(() => simulated.host.guests().find(({ name }) => name === domainName)?.serial ?? []).pipe(
            Effect.repeat({
              until: (lines) => lines.filter((line) => line.startsWith("GUEST READY")).length >= times,
              schedule: Schedule.spaced("10 millis")
            }),
            Effect.timeout("10 seconds")
          ),
        deafen: ({ domainName }) => simulated.host.faults.ignorePowerButton(domainName, true),
        kill: ({ domainName }) => simulated.host.faults.crashGuest(domainName)
      })
    )
  ).pipe(
    Layer.provideMerge(HypervisorLive.layer),
    Layer.provideMerge(StorageLive.layerDir),
    Layer.provideMerge(ScriptedImages.layer(given)),
    Layer.provideMerge(Simulated.libvirt)
  )
)
