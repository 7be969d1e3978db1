/** A database with many VMs in it, written at once: what made them one by one would take minutes. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import ssh2 from "ssh2"
import * as Database from "../../layers/Database.ts"
import * as InventoryLive from "../../layers/InventoryLive.ts"
import * as JournalLive from "../../layers/JournalLive.ts"
import { defaultConfig, formatAddress } from "../../src/domain/Host.ts"
import { InstanceTypeId } from "../../src/domain/Ids.ts"
import { formatSource } from "../../src/domain/Image.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"

const layerOn = (filename: string) =>
  Layer.merge(InventoryLive.layer, JournalLive.layer).pipe(Layer.provideMerge(Database.layer({ filename })))

/** Its services, until the scope closes. */
export const opened = (filename: string) =>
  Effect.map(Layer.build(layerOn(filename)), (context) => ({
    inventory: Context.get(context, Inventory),
    journal: Context.get(context, Journal),
    database: Context.get(context, Database.Database)
  }))

export type Opened = Effect.Effect.Success<ReturnType<typeof opened>>

/** Machines at addresses where nothing listens. */
const addressOf = (i: number) => ({ user: "root", host: `127.1.${Math.floor(i / 250)}.${(i % 250) + 1}`, port: 1 })

const fleet = (hosts: number) => ({
  hosts: Array.from({ length: hosts }, (_, i) => defaultConfig(addressOf(i))),
  images: [{ source: { host: addressOf(0), path: "/images/debian.img" }, name: "debian" }],
  types: [{ tid: InstanceTypeId.make(1), cpu: 1, ram: 512, disk: 5 }]
})

/**
 * The arguments of a controller that is started on it: three files that say the same of the fleet as the database, and a key of its own to log in
 * with. Where whoever measures has none, no host would be dialled.
 */
export const writeFiles = (folder: string, hosts: number): ReadonlyArray<string> => {
  const { hosts: machines, images, types } = fleet(hosts)
  const files = {
    machines: machines.map(({ address }) => `${formatAddress(address)}\n`).join(""),
    images: images.map(({ name, source }) => `${formatSource(source)} name=${name}\n`).join(""),
    types: JSON.stringify({ types })
  }
  const write = (name: string, text: string) => {
    const file = join(folder, name)
    writeFileSync(file, text, { mode: 0o600 })
    return file
  }
  return [
    "--ssh-key",
    write("key", ssh2.utils.generateKeyPairSync("ed25519").private),
    "--known-hosts",
    write("known_hosts", ""),
    ...Object.entries(files).map(([name, text]) => write(name, text))
  ]
}

/** A database with `vms` that run, evenly on `hosts`, the first `unfinished` of them being repaired, as a controller at work leaves it. */
export const filled = Effect.fnUntraced(function* (
  filename: string,
  size: { readonly hosts: number; readonly vms: number; readonly unfinished: number }
) {
  const { database, inventory } = yield* opened(filename)
  const { sql, write } = database
  const { hosts, unfinished, vms } = size
  yield* inventory.applyFleet(fleet(hosts))
  yield* write(
    "fill",
    Effect.gen(function* () {
      const numbers = sql.literal(
        `with recursive n(i) as (select 1 where ${vms} > 0 union all select i + 1 from n where i < ${vms}) insert into`
      )
      const mac = sql.literal(`printf('52:54:00:%02x:%02x:%02x', i / 65536, i / 256 % 256, i % 256)`)
      const uuid = sql.literal(`printf('00000000-0000-4000-8000-%012x', i)`)
      yield* sql`${numbers} vms
        (uuid, name, tid, image_id, host_id, cpu, ram, disk, nics, driver, state, applied, created_at, updated_at)
        select ${uuid}, 'vm-' || i, 1, 100, 1 + i % ${hosts}, 1, 512, 5,
          json_array(json_object('id', 1, 'mac', ${mac}, 'network', null, 'vlan', null, 'model', 'virtio', 'link', 'up',
            'state', 'attached')), 'dir', 'running', json_object('name', 'vm-' || i, 'cpu', 1, 'ram', 512), 1, 1 from n`
      yield* sql`insert into vm_seen (vm_id, power, since) select id, 'running', 1 from vms`
      yield* sql`${numbers} nic_macs (mac, vm_id) select ${mac}, i from n`
      yield* sql`insert into reservations (vm_id, host_id, cpu, ram, disk) select id, host_id, cpu, ram, disk from vms`
      yield* sql`${numbers} operations (id, kind, vm_id, state, created_at, finished_at)
        select ${uuid}, 'RepairVm', i, case when i <= ${unfinished} then 'running' else 'done' end, i,
          case when i <= ${unfinished} then null else i end from n`
      yield* sql`insert into operation_steps (operation_id, phase, name, ordinal, state, started_at)
        select id, 'do', 'define', 1, case when state = 'done' then 'done' else 'started' end, created_at from operations`
    })
  )
}, Effect.scoped)
