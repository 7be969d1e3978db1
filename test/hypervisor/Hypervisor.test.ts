import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HypervisorTest from "../../layers/HypervisorTest.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import { hypervisorContract, HypervisorWorld } from "../contracts/HypervisorContract.ts"

const host = (name: string) =>
  new Host({ id: HostId.make(1), config: defaultConfig({ user: "root", host: name, port: 22 }), facts: null })

const world = Layer.effect(
  HypervisorWorld,
  Effect.gen(function* () {
    const state = yield* HypervisorTest.HypervisorTestState
    const here = host("a")
    const gone = host("gone")
    yield* state.setUnreachable(gone, "nothing listens there")
    return {
      host: here,
      unreachable: gone,
      network: "default",
      root: (vmId) =>
        Effect.succeed({ path: `/var/lib/vmfabric/vm-${vmId}-root.qcow2`, format: "qcow2", serial: `vm-${vmId}-root` }),
      dropRoot: () => Effect.void,
      defineForeign: ({ domainName, uuid }) =>
        state.put(here, uuid, { uuid, name: domainName, state: "shutoff", spec: null }, "defined"),
      undefineForeign: ({ uuid }) => state.put(here, uuid, null, "undefined"),
      pause: ({ uuid }) =>
        Effect.flatMap(state.host(here), ({ domains }) => {
          const domain = domains.get(uuid)
          return domain === undefined ? Effect.void : state.put(here, uuid, { ...domain, state: "paused" }, "suspended")
        }),
      titleOf: ({ uuid }) => Effect.map(state.host(here), ({ domains }) => domains.get(uuid)?.spec?.title)
    }
  })
)

hypervisorContract("in memory", world.pipe(Layer.provideMerge(HypervisorTest.layer)))
