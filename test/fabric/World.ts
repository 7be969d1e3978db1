/**
 * A simulated fleet, and the whole controller over it: everything is the real thing but the cables, the daemons and the guests.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as AppLive from "../../layers/AppLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import { defaultConfig } from "../../src/domain/Host.ts"
import * as Ids from "../../src/domain/Ids.ts"
import type { FleetConfig } from "../../src/services/Inventory.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"

const address = (host: string) => ({ user: "root", host, port: 22 })

/** Host `sim-1` … `sim-N` of 8 vCPUs and 32 GiB, one image, one type of 1 vCPU, 1 GiB, 1 GiB; gone with the scope. */
export const make = Effect.fn("World.make")(function* (options: { readonly hosts: number }) {
  const names = Array.from({ length: options.hosts }, (_, index) => `sim-${index + 1}`)
  const fleet = yield* Fleet.make({
    hosts: [...names.map((hostname) => ({ hostname })), { hostname: "sim-images" }],
    dialTimeout: "1 second"
  })
  yield* fleet.host("sim-images")!.putFile("/images/test.img", Fleet.diskImage(512 * 1024, 1))
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-world-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const config: FleetConfig = {
    hosts: names.map((name) => defaultConfig(address(name))),
    images: [{ name: "test", source: { host: address("sim-images"), path: "/images/test.img" } }],
    types: [{ tid: Ids.InstanceTypeId.make(1), cpu: 1, ram: 1024, disk: 1 }]
  }
  const ssh = SimulatedFleet.layerSsh(fleet, { keepalive: "300 millis" })
  /** One life of the controller, on the database that all its lives share; ended by interruption it records nothing more. */
  const life = AppLive.layer({ fleet: config, database: join(folder, "vmfabric.sqlite") }).pipe(
    Layer.provide(ssh),
    Layer.provide(NodeContext.layer),
    Layer.provide(Logger.minimumLogLevel(LogLevel.None))
  )
  const hosts = names.map((name) => fleet.host(name)!)
  return { fleet, hosts, config, life }
})

export type World = Effect.Effect.Success<ReturnType<typeof make>>

/** Names of all domains, and of all root disks, over all hosts. */
export const remains = (world: World) => ({
  domains: world.hosts.flatMap((host) => [...host.state.domains.values()].map((domain) => domain.name)).toSorted(),
  disks: world.hosts
    .flatMap((host) => [...host.state.pools.values()])
    .flatMap((pool) => [...pool.volumes.keys()])
    .flatMap((name) => /^(vm-[0-9]+)-root/.exec(name)?.[1] ?? [])
    .toSorted()
})

/** What should be: VMs that run, one domain and one disk for each, nothing promised beside them. */
export const agree = Effect.fn("World.agree")(function* (world: World) {
  const inventory = yield* Inventory
  const vms = yield* inventory.vms()
  const names = vms.map((vm) => vm.domainName).toSorted()
  assert.deepStrictEqual(remains(world), { domains: names, disks: names })
  assert.isTrue(vms.every((vm) => vm.state === "running"))
  const promised = (yield* inventory.hosts).reduce((sum, host) => sum + host.promised.ram, 0)
  assert.strictEqual(promised, vms.length * 1024)
})

/** Looks again until `check` holds, for ten seconds at most; then fails with what it found. */
export const eventually = <A, E, R>(check: Effect.Effect<A, E, R>) =>
  Effect.sandbox(check).pipe(
    Effect.retry(Schedule.spaced("20 millis").pipe(Schedule.upTo("10 seconds"))),
    Effect.unsandbox
  )
