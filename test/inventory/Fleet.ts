/** Fleets and databases for tests of the inventory. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import * as Database from "../../layers/Database.ts"
import * as InventoryLive from "../../layers/InventoryLive.ts"
import * as JournalLive from "../../layers/JournalLive.ts"
import { defaultConfig, type HostConfig, type HostFacts } from "../../src/domain/Host.ts"
import { InstanceTypeId } from "../../src/domain/Ids.ts"
import type { ImageConfig } from "../../src/domain/Image.ts"
import type { InstanceType } from "../../src/domain/InstanceType.ts"
import type { Pool } from "../../src/domain/Pool.ts"
import type { Resources } from "../../src/domain/Resources.ts"
import type { KeptWith } from "../../src/services/Inventory.ts"

export const host = (name: string, more: Partial<HostConfig> = {}): HostConfig => ({
  ...defaultConfig({ user: "root", host: name, port: 22 }),
  overcommit: { cpu: 1, ram: 1, disk: 1 },
  ...more
})

export const image = (file: string): ImageConfig => ({ source: { host: null, path: `/images/${file}` }, name: file })

export const type = (tid: number, cpu = 1, ram = 512, disk = 1): InstanceType => ({
  tid: InstanceTypeId.make(tid),
  cpu,
  ram,
  disk
})

export const facts = (resources: Resources, uuid = "e2c2f6b2-0000-4000-8000-000000000001"): HostFacts => ({
  hostname: "node",
  uuid,
  libvirtVersion: "9.0.0",
  resources,
  arch: "x86_64",
  domainType: "kvm",
  network: "default"
})

export const fleet = {
  hosts: [host("a"), host("b"), host("c")],
  images: [image("ubuntu.img"), image("fedora.qcow2")],
  types: [type(2, 2, 1024, 10), type(1)]
}

/** Kept on a host. */
export const dir: KeptWith = { driver: "dir", pool: null }

/** Kept in a pool. */
export const inPool = (pool = "vms"): KeptWith => ({ driver: "rbd", pool })

const gibibyte = 1024 ** 3

/** A pool of that many GiB, empty. */
export const pool = (capacity: number, more: Partial<Pool> = {}): Pool => ({
  name: "vms",
  driver: "rbd",
  capacity: capacity * gibibyte,
  used: 0,
  available: capacity * gibibyte,
  overcommit: 1,
  ...more
})

export const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(os.tmpdir(), "vmfabric-"))),
  (folder) => Effect.promise(() => fs.rm(folder, { recursive: true }))
)

export const layerOn = (filename: string) =>
  Layer.merge(InventoryLive.layer, JournalLive.layer).pipe(Layer.provideMerge(Database.layer({ filename })))

/** A new file for each build. */
export const layerTemporary = Layer.unwrapScoped(
  Effect.map(temporaryFolder, (folder) => layerOn(path.join(folder, "vmfabric.sqlite")))
)
