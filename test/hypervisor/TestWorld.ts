/** The hypervisor contract's world of hosts that are values in memory. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HypervisorTest from "../../layers/HypervisorTest.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import type { DomainRef } from "../../src/services/Hypervisor.ts"
import { HypervisorWorld, type Side, volumeSize } from "../contracts/HypervisorContract.ts"

export const host = (name: string) =>
  new Host({ id: HostId.make(1), config: defaultConfig({ user: "root", host: name, port: 22 }), facts: null })

export const world = Layer.effect(
  HypervisorWorld,
  Effect.gen(function* () {
    const state = yield* HypervisorTest.HypervisorTestState
    const here = host("a")
    const gone = host("gone")
    yield* state.setUnreachable(gone, "nothing listens there")
    const edit = (
      { uuid }: DomainRef,
      side: Side,
      change: (disks: ReadonlyArray<HypervisorTest.TestDisk>) => ReadonlyArray<HypervisorTest.TestDisk>
    ) =>
      state.update(here, (there) => {
        const domain = there.domains.get(uuid)!
        return { ...there, domains: new Map(there.domains).set(uuid, { ...domain, [side]: change(domain[side]) }) }
      })
    const become = ({ uuid }: DomainRef, now: Partial<HypervisorTest.TestDomain>, change: "suspended" | "stopped") =>
      Effect.flatMap(state.host(here), ({ domains }) => {
        const domain = domains.get(uuid)
        return domain === undefined ? Effect.void : state.put(here, uuid, { ...domain, ...now }, change)
      })
    return {
      host: here,
      unreachable: gone,
      network: "default",
      bridge: "br0",
      trunk: "br{vlan}",
      root: (vmId) =>
        Effect.succeed({
          _tag: "File",
          path: `/var/lib/vmfabric/vm-${vmId}-root.qcow2`,
          format: "qcow2",
          serial: `vm-${vmId}-root`
        }),
      seed: (vmId) =>
        Effect.succeed({
          _tag: "File",
          path: `/var/lib/vmfabric/vm-${vmId}-seed.iso`,
          format: "raw",
          serial: `vm-${vmId}-seed`
        }),
      dropSeed: () => Effect.void,
      dropRoot: () => Effect.void,
      defineForeign: ({ domainName, uuid }) =>
        state.put(here, uuid, HypervisorTest.domain({ uuid, name: domainName, spec: null }), "defined"),
      undefineForeign: ({ uuid }) => state.put(here, uuid, null, "undefined"),
      pause: (domain) => become(domain, { state: "paused", reason: "paused by somebody" }, "suspended"),
      kill: (domain) =>
        become(domain, { state: "crashed", reason: "its QEMU crashed or was killed", live: [], runs: null }, "stopped"),
      shutDown: (domain) =>
        become(domain, { state: "shutoff", reason: "the guest shut itself down", live: [], runs: null }, "stopped"),
      edit: ({ uuid }, { title, ...resources }) =>
        state.update(here, (there) => {
          const domain = there.domains.get(uuid)!
          const spec = { ...domain.spec!, title, resources: { ...domain.spec!.resources, ...resources } }
          return { ...there, domains: new Map(there.domains).set(uuid, { ...domain, spec }) }
        }),
      titleOf: ({ uuid }) => Effect.map(state.host(here), ({ domains }) => domains.get(uuid)?.spec?.title),
      booted: ({ uuid }, times = 1) =>
        Effect.map(state.host(here), ({ domains }) => assert.isAtLeast((domains.get(uuid)?.boots ?? 0) + 1, times)),
      deafen: ({ uuid }) =>
        state.update(here, (there) => {
          const domain = there.domains.get(uuid)!
          return { ...there, domains: new Map(there.domains).set(uuid, { ...domain, deaf: true }) }
        }),
      volume: (serial) =>
        Effect.succeed({ _tag: "File", path: `/var/lib/vmfabric/${serial}.qcow2`, format: "qcow2", serial }),
      dropVolume: () => Effect.void,
      plug: (domain, disk, side) => edit(domain, side, (disks) => [...disks, { ...disk, size: null }]),
      unplug: (domain, disk, side) => edit(domain, side, (disks) => disks.filter(({ alias }) => alias !== disk.alias)),
      sizeOf: ({ uuid }, disk) =>
        Effect.map(
          state.host(here),
          ({ domains }) => domains.get(uuid)?.live.find(({ alias }) => alias === disk.alias)?.size ?? volumeSize
        )
    }
  })
)
