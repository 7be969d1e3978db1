/** One simulated host and everything Live that reaches it. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Context from "effect/Context"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import { defaultConfig, Host, type HostConfig } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import type { SimulatedHost } from "../../src/simulator/SimulatedHost.ts"

/** The host itself, with its faults. */
export class Simulated extends Context.Tag("test/Simulated")<
  Simulated,
  { readonly fleet: Fleet.Fleet; readonly host: SimulatedHost }
>() {}

export const host = (name: string, change: Partial<HostConfig> = {}) =>
  new Host({
    id: HostId.make(1),
    config: { ...defaultConfig({ user: "root", host: name, port: 22 }), ...change },
    facts: null
  })

/** `sim-1`: nothing else resolves. */
export const here = host("sim-1")
export const unreachable = host("nowhere")

export const fleet = Layer.scoped(
  Simulated,
  Effect.gen(function* () {
    const fleet = yield* Fleet.make({ hosts: [{ hostname: "sim-1", bootTime: "20 millis" }] })
    const [host] = fleet.hosts
    if (host === undefined) return yield* Effect.dieMessage("a fleet without hosts")
    return { fleet, host }
  })
)

export const ssh = Layer.unwrapEffect(Effect.map(Simulated, ({ fleet }) => SimulatedFleet.layerSsh(fleet)))

/** `Libvirt | Ssh | Simulated` */
export const libvirt = LibvirtLive.layer.pipe(Layer.provideMerge(ssh), Layer.provideMerge(fleet))
